"""What the domain and the flows need from outside, as Protocols. Adapters and tests' fakes keep the same promises."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Protocol, TypeVar

from bot.audit import Entry
from bot.export import Extract, Selection
from bot.handing import UNFOLLOWED, Handing
from bot.model import (
    Asker,
    Card,
    CardTap,
    EventType,
    GroupMessage,
    Handoff,
    HandoffEvent,
    KfAccount,
    KfItem,
    Message,
    Notify,
    Operator,
    Rule,
    Scope,
    Servicer,
    ServiceState,
    SessionKey,
    StateReading,
    SyncPage,
    Watched,
)
from bot.sessions import Ending, EventDraft, Session
from bot.stats import EndedRow, OpenRow

T = TypeVar("T")

Work = Callable[[], Awaitable["Work | None"]]
"""May return what is left of it, which only waits for its chat and needs no turn of its own."""
MessageHandler = Callable[[GroupMessage], Awaitable[Work | None]]
TapHandler = Callable[[CardTap], Awaitable[Work | None]]
"""Puts on record what has come, quickly and before anything else may wait for its turn. Returns what is then to be done
about it, once there is a turn; None where there is nothing. What is not begun any more is the next process's."""


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch, UTC. May jump; durations that matter to safety use the loop's own time."""


class KfApi(Protocol):
    """WeCom's 微信客服 API. Every call raises `WeComError` or one of its kinds; each has a time limit of its own.

    Reads are repeated with back-off on -1, 45033 and network failures. `trans` and the sends are not idempotent by
    themselves: they are repeated only when the request certainly did not take effect, and otherwise raise
    `WeComUnavailable` with `sent=True`, which means *unknown until read back*.
    """

    async def accounts(self) -> list[KfAccount]: ...

    async def servicers(self, open_kfid: str) -> list[Servicer]: ...

    async def nicknames(self, external_userids: Iterable[str]) -> dict[str, str]:
        """Nicknames of customers seen in the last 48 h; others are missing from the answer. 100 ids a call."""

    async def state(self, key: SessionKey) -> StateReading: ...

    async def trans(self, key: SessionKey, target: ServiceState, servicer_userid: str | None = None) -> str:
        """Move a session; returns the `msg_code`, or an empty string where WeCom gives none."""

    async def sync(self, open_kfid: str, cursor: str, token: str = "", limit: int = 1000) -> SyncPage:
        """One page. With neither cursor nor token: from the oldest retained item (3 days), strictly rate limited."""

    async def send(self, key: SessionKey, message: Message, msgid: str) -> str:
        """To a customer in state 0 or 1. `msgid`: 1..32 of [0-9a-zA-Z_-], the same for every repetition."""

    async def send_on_event(self, code: str, message: Message, msgid: str) -> str:
        """Spend a single-use code. Repeating with the same code cannot reach the customer twice."""


class GroupChannel(Protocol):
    """Where staff talk to the bot. One file a channel in bot/channels/.

    `send` and `reply` return when the other side has acknowledged, and raise `ChannelError` when it has not; they
    keep the vendor's limits per chat by waiting for their turn. Right before each try to hand a message over, after
    all waiting, `handing.out` is awaited, and what it raises is raised without anything sent; `handing.back` before
    another wait for what certainly did not arrive.
    """

    name: str

    @property
    def ready(self) -> bool: ...

    @property
    def problem(self) -> str:
        """Empty, or why the channel is not ready, in one line for `/readyz` and `check`."""

    async def start(self, on_message: MessageHandler, on_tap: TapHandler) -> None:
        """Begin to connect in the background; returns at once. What handlers return may be slow: it runs in tasks of
        its own, as turns allow."""

    async def stop(self) -> None:
        """Work that waits or has begun gets a few seconds. What comes until nothing can come any more is put on record,
        and not begun."""

    async def reply(self, to: GroupMessage, markdown: str) -> None:
        """Answer a message; falls back to `send` when the message's own window or connection is gone."""

    async def send(self, chat_id: str, is_group: bool, markdown: str, handing: Handing = UNFOLLOWED) -> None: ...

    async def send_card(self, chat_id: str, is_group: bool, card: Card, handing: Handing = UNFOLLOWED) -> None:
        """Raises `CardRefused` where the chat takes no cards."""

    async def send_image(self, chat_id: str, is_group: bool, png: bytes) -> None:
        """A PNG of 2 MB at most; a larger one raises `ChannelError` and is not sent."""

    async def update_card(self, tap: CardTap, card: Card) -> None:
        """Only in answer to a tap, within 5 s of it, with the tap's own task_id. Goes ahead of everything queued."""


class Lifeline(Protocol):
    """A send-only robot of the first group, for when there is no connection. Raises `ChannelError`. `handing` as in
    `GroupChannel`."""

    async def send(self, markdown: str, handing: Handing = UNFOLLOWED) -> None: ...

    async def send_image(self, png: bytes) -> None: ...


# -- stores: what is kept. Everything may be asked twice; nothing is counted twice.


@dataclass(frozen=True, slots=True)
class PendingEnding:
    """An intention that nobody has settled, and where to tell the outcome (`chat_id` empty: nowhere)."""

    ending: Ending
    key: SessionKey
    chat_id: str
    is_group: bool


@dataclass(frozen=True, slots=True)
class Owed:
    """The outcome of an end that is settled, and that a chat has not been told yet. `tries`: how often it may go out
    unacknowledged, or be refused. `state`: done, failed or parked. `errcode`: WeCom's last word, 0 for none."""

    ending: Ending
    key: SessionKey
    chat_id: str
    is_group: bool
    state: str
    errcode: int
    settled_at: float
    tries: int


class Promises(Protocol):
    """Who is owed an outcome. See storage/promises.py."""

    async def due(self, limit: int = 500) -> list[Owed]: ...
    async def told(self, owed: Iterable[Owed]) -> None: ...
    async def doubted(self, owed: Iterable[Owed]) -> None: ...
    async def give_up(self, owed: Iterable[Owed]) -> None: ...


@dataclass(frozen=True, slots=True)
class CodeMessage:
    """A message about a handoff, by a single-use code that WeCom gave when the session came to the state `given_in`.

    More than one of `attempts`: a process died while it was sending.
    """

    handoff: Handoff
    given_in: ServiceState
    code: str
    msgid: str
    expires_at: float
    attempts: int


@dataclass(frozen=True, slots=True)
class AccountCounts:
    open_kfid: str
    name: str
    queued: int
    human: int
    waiting: int
    oldest_wait: float | None  # waiting_since of the customer who waits longest


@dataclass(frozen=True, slots=True)
class AccountState:
    """`live_from`: items sent before it are history. `cold`: history has not been read to its end yet.

    `token`: the newest sync token of a callback, received at `token_at`; empty before the first.
    """

    open_kfid: str
    name: str
    cursor: str | None
    live_from: float | None
    cold: bool
    synced_at: float | None
    error: str | None
    token: str = ""
    token_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Committed:
    """What a page brought: items not seen before, and the sessions they changed, already written."""

    fresh: list[KfItem]
    sessions: list[Session]
    parked: int


# Given the sessions of one account by external_userid and the new items in order, changes the sessions. Pure.
Decide = Callable[[dict[str, Session], list[KfItem]], None]


class Questions(Protocol):
    """What is on record of some kf accounts of one tenant, as if there were no others. See storage/questions.py."""

    async def handoff(self, handoff_id: int) -> Handoff | None: ...
    async def open_handoff(self, key: SessionKey) -> Handoff | None: ...
    async def open_by_prefix(self, prefix: str, limit: int = 10) -> list[Handoff]: ...
    async def sessions_by_prefix(self, prefix: str, limit: int = 10) -> list[SessionKey]: ...
    async def open_handoffs(self, kind: str = "", limit: int = 10, offset: int = 0) -> list[Handoff]: ...
    async def open_matching(self, rule: Rule, before: float, limit: int) -> list[Handoff]: ...
    async def count_open(self, kind: str = "") -> int: ...
    async def counts(self) -> list[AccountCounts]: ...
    async def history(self, key: SessionKey | None = None, limit: int = 10) -> list[Handoff]: ...
    async def page(
        self, kind: str, open_kfid: str, before: int | None, limit: int, active_since: float | None = None
    ) -> list[Handoff]: ...
    async def events(self, handoff_id: int) -> list[HandoffEvent]: ...


class Ledger(Questions, Protocol):
    """Sessions, handoffs, their append-only log, intentions to end, messages by codes. See storage/ledger.py."""

    keep_text: bool

    def within(self, scope: Scope) -> Questions: ...
    async def session(self, key: SessionKey) -> Session: ...
    async def sessions(self, keys: Iterable[SessionKey]) -> dict[SessionKey, Session]: ...
    async def change(
        self, key: SessionKey, decide: Callable[[Session], T], now: float, *, durable: bool = False
    ) -> T: ...
    async def change_all(self, keys: Iterable[SessionKey], decide: Callable[[Session], None], now: float) -> None: ...
    async def open_ending(
        self,
        key: SessionKey,
        decide: Callable[[Session], bool],
        operator: Operator,
        via: str,
        reason: str,
        now: float,
        lease: float,
        notify: Notify | None,
    ) -> tuple[Handoff | None, Ending | None, bool]: ...
    async def settle_ending(
        self,
        key: SessionKey,
        ending_id: int,
        state: str,
        outcome: str,
        errcode: int,
        now: float,
        decide: Callable[[Session], T],
    ) -> T: ...
    async def take_ending(self, ending_id: int, now: float, lease: float) -> bool: ...
    async def release_ending(self, ending_id: int, until: float, errcode: int) -> None: ...
    async def due_endings(self, now: float, limit: int = 100) -> list[PendingEnding]: ...
    async def promise(self, ending_id: int, asker: Asker) -> None: ...
    async def asked_ends(self, limit: int = 100) -> list[SessionKey]: ...
    async def take_code(self, handoff_id: int, given_in: ServiceState) -> CodeMessage | None: ...
    async def settle_code(
        self, handoff: Handoff, given_in: ServiceState, state: str, errcode: int, error: str, event: EventDraft
    ) -> None: ...
    async def due_codes(self, *given_in: ServiceState) -> list[tuple[int, ServiceState]]: ...
    async def recover_codes(self, busy: Iterable[tuple[int, ServiceState]] = (), dead: float = inf) -> None: ...
    async def code_state(self, handoff_id: int, given_in: ServiceState) -> str: ...
    async def place_in_queue(self, handoff: Handoff) -> int: ...
    async def due_checks(self, now: float, limit: int) -> list[SessionKey]: ...
    async def check_quiet(self, since: float, now: float, limit: int) -> int: ...
    async def check_unserved(self, since: float, alive: float, now: float, limit: int) -> int: ...
    async def next_check(self) -> float | None: ...


class Feed(Protocol):
    """The handoff log from its end. See storage/feed.py."""

    async def after(self, event_id: int, limit: int) -> list[tuple[HandoffEvent, Handoff]]:
        """Events with a greater id, in order, and each one's handoff as it stands now."""

    async def last(self) -> int:
        """The id of the last event ever appended, 0 before the first."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event of the handoff log on its way to one webhook.

    `key`: what the receiver knows it by, the same at every try. `attempts`: this one included.
    """

    id: int
    key: str
    webhook: str
    attempts: int
    event: HandoffEvent
    handoff: Handoff


@dataclass(frozen=True, slots=True)
class DeadDelivery:
    """One that was given up at `at`. `host`: the webhook as it may be shown."""

    id: int
    host: str
    attempts: int
    at: float
    error: str
    type: EventType
    handoff: Handoff


@dataclass(frozen=True, slots=True)
class ParkedEnd:
    """An end that somebody asked for at `asked_at`, of a session whose state WeCom refuses to tell: see the code."""

    handoff: Handoff
    operator_id: str
    asked_at: float
    errcode: int


class ParkedEnds(Protocol):
    """See storage/parked_ends.py."""

    async def first(self, scope: Scope, limit: int) -> list[ParkedEnd]: ...
    async def count(self, scope: Scope) -> int: ...
    async def revive(self, scope: Scope) -> int: ...


class Outbox(Protocol):
    """Events on their way to webhooks, which are named by a stable id. See storage/outbox.py."""

    async def open(self, webhooks: Mapping[str, tuple[str, Iterable[EventType]]], now: float) -> None: ...
    async def collect(self, now: float) -> int: ...
    async def due(self, now: float) -> list[str]: ...
    async def take(self, webhook: str, now: float, lease: float) -> Delivery | None: ...
    async def settle(
        self, delivery: Delivery, state: str, now: float, error: str = "", next_at: float | None = None
    ) -> None: ...
    async def hurry(self, webhook: str, now: float) -> None: ...
    async def dead(self, scope: Scope, limit: int) -> list[DeadDelivery]: ...
    async def count_dead(self, scope: Scope) -> int: ...
    async def revive(self, scope: Scope, number: int | None, now: float) -> tuple[int, int]: ...


@dataclass(frozen=True, slots=True)
class Sending:
    """One message about a handoff that a rule asks for. `sends` counts it in: 1 raises the alert."""

    handoff: Handoff
    rule: Rule
    raised_at: float
    sends: int
    next_at: float


@dataclass(frozen=True, slots=True)
class Order:
    """What was decided about one handoff, as it stood then; see `bot.rules.Decision`."""

    handoff: Handoff
    watch_at: float
    next_at: Mapping[Rule, float]
    cleared: Sequence[Rule]
    sendings: Sequence[Sending] = ()


@dataclass(frozen=True, slots=True)
class Closed:
    """An ended handoff that wants its last word. `asked_in`: the chat in which a command ended it and was answered."""

    handoff_id: int
    asked_in: str


class Alerts(Protocol):
    """Alerts per (handoff, rule), and what staff said of them. See storage/alerts.py."""

    async def due(self, now: float, limit: int) -> list[Watched]: ...
    async def watched(self, handoff_ids: Iterable[int]) -> list[Watched]: ...
    async def open(self, limit: int = 500) -> list[Watched]: ...
    async def record(self, orders: Sequence[Order], now: float) -> list[Sending]: ...
    async def give_back(self, sendings: Iterable[Sending], retry_at: float) -> None: ...
    async def hand_out(self, sendings: Iterable[Sending]) -> bool: ...
    async def take_in(self, sendings: Iterable[Sending]) -> None: ...
    async def close(self, handoff_ids: Iterable[int]) -> list[Closed]: ...
    async def reopen(self, handoff_ids: Iterable[int], retry_at: float) -> None: ...
    async def hand_out_words(self, handoff_ids: Iterable[int]) -> None: ...
    async def take_in_words(self, handoff_ids: Iterable[int]) -> None: ...
    async def give_back_unsent(self, now: float, since: float) -> int: ...
    async def ack(self, handoff_id: int, userid: str, now: float, over: float) -> bool: ...
    async def snooze(self, handoff_id: int, userid: str, until: float, now: float, over: float) -> bool: ...
    async def watch_all(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ParkedItem:
    """An item of the message stream that could not be read: as it was received, since when, and why."""

    open_kfid: str
    msgid: str
    at: float
    raw: Any
    why: str


class SyncStore(Protocol):
    """Accounts, cursors, and every item once. See storage/sync_store.py."""

    async def accounts(self) -> list[AccountState]: ...
    async def know_accounts(self, accounts: Iterable[KfAccount]) -> None: ...
    async def begin(self, open_kfid: str, live_from: float, token: str = "", token_at: float = 0.0) -> AccountState: ...
    async def commit(self, open_kfid: str, page: SyncPage, decide: Decide, now: float) -> Committed: ...
    async def finish_history(self, open_kfid: str, since: float, now: float) -> int: ...
    async def lose_cursor(self, open_kfid: str) -> None: ...
    async def fail(self, open_kfid: str, error: str) -> None: ...
    async def parked(self, scope: Scope, limit: int) -> list[ParkedItem]: ...
    async def count_parked(self, scope: Scope) -> int: ...
    async def unpark(self, item: ParkedItem, page: SyncPage, decide: Decide, now: float) -> Committed | None: ...


@dataclass(frozen=True, slots=True)
class Reception:
    """A servicer of an account, and how many open handoffs are theirs.

    `receiving` as in `Servicer`. `told_at`: when WeCom last told; None for one who has sessions without being in the
    account's list.
    """

    open_kfid: str
    userid: str
    receiving: bool | None
    suspended: bool
    told_at: float | None
    load: int


class People(Protocol):
    """Names of customers, and servicers with their reception status. See storage/people.py."""

    async def nicknames(self, external_userids: Iterable[str]) -> dict[str, str]: ...
    async def save_nicknames(self, names: Mapping[str, str], now: float) -> None: ...
    async def save_servicers(self, open_kfid: str, servicers: Iterable[Servicer], now: float) -> None: ...
    async def servicer_changed(
        self, open_kfid: str, userid: str, receiving: bool, suspended: bool, now: float
    ) -> None: ...
    async def servicers(self) -> list[Reception]: ...


TAP = "tap"  # as taps on cards are called in the command log


@dataclass(frozen=True, slots=True)
class LostCommand:
    """A command or tap that was being worked on when its process died. `text` of a tap is its key."""

    id: int
    command: str
    chat_id: str
    is_group: bool
    userid: str
    text: str
    at: float


class Chats(Protocol):
    """Paired groups, and every group message once. See storage/chats.py."""

    async def paired(self) -> list[str]: ...
    async def pair(self, chat_id: str, userid: str, now: float) -> None: ...
    async def claim(self, message: GroupMessage | CardTap, command: str, text: str, now: float) -> int | None: ...
    async def settle(
        self, command_id: int, outcome: str, seconds: float, incident: str = "", *, told: bool = False
    ) -> None:
        """`told`: its answer has arrived, and with that the outcomes of the ends it asked for, as far as settled."""

    async def lost(self, since: float) -> list[LostCommand]: ...
    async def keep_card(self, task_id: str, chat_id: str, about: str, now: float) -> None: ...
    async def card_about(self, task_id: str) -> str: ...
    async def last_card(self, chat_id: str, about: str) -> str: ...
    async def recall(self, key: str) -> str: ...
    async def keep(self, facts: Iterable[tuple[str, str]]) -> None: ...
    async def keep_first(self, key: str, value: str) -> str: ...
    async def give_back(self, key: str) -> None: ...
    async def claim_once(self, key: str, now: float) -> bool: ...


class Stats(Protocol):
    """What handoffs add up to. See storage/stats.py."""

    async def ended(self, scope: Scope, since: float, until: float, add_up: Callable[[Iterable[EndedRow]], T]) -> T: ...
    async def ratings(self, scope: Scope, since: float, until: float) -> dict[str, int]: ...
    async def open_now(self, scope: Scope) -> list[OpenRow]: ...
    async def accounts(self, scope: Scope) -> list[str]: ...


class Records(Protocol):
    """Handoffs and events to be exported. See storage/export.py."""

    async def find(self, selection: Selection) -> Extract: ...
    async def unknown(self, accounts: Iterable[str]) -> list[str]: ...


class AuditLog(Protocol):
    """What anybody tried to do, in one chain to which rows are only added. See storage/audit.py."""

    async def enter(self, entry: Entry, *, durable: bool = False) -> int:
        """On record when it returns, and with `durable` on disk. The row's number."""
