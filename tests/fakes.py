"""Stand-ins for what lies outside: a clock, a sleep, WeCom's kf API, a group channel. They keep the promises of
`bot.ports`; `tests/contract/test_kf_api.py` holds FakeKf and the real client to the same behaviour."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any, TypeVar

from bot.errors import CardRefused, ChannelError, RateLimited, SyncTokenExpired, WeComError, WeComUnavailable
from bot.handing import UNFOLLOWED, Handing
from bot.model import (
    Card,
    CardTap,
    GroupMessage,
    KfAccount,
    KfItem,
    Message,
    Servicer,
    ServiceState,
    SessionKey,
    StateReading,
    SyncPage,
)
from bot.ports import MessageHandler, TapHandler, Work

# The cast of the tests: the corp, two accounts, two customers, two servicers.
TENANT = "ww5a4db0c0ffee0001"
KF, KF2 = "wkTEST00000000000000000000000001", "wkTEST00000000000000000000000002"
ANN, BOB = "wm7lAnn0000000000000000000000001", "wmQ4Bob0000000000000000000000002"
LI, WU = "LiNa", "WuMing"

NEW, ASSISTANT, QUEUED, HUMAN, ENDED = ServiceState
WINDOW = 48 * 3600.0
ENDING_LIFE, REPLY_LIFE, TOKEN_LIFE = 20.0, 48 * 3600.0, 600.0
TOKEN_LESS = 10  # calls a minute
PICTURE = 2 << 20  # bytes

# WeCom's table, not ours: 2→4 is not in its documentation, and refused here as in the sandbox.
ALLOWED: dict[ServiceState, frozenset[ServiceState]] = {
    NEW: frozenset({ASSISTANT, QUEUED, HUMAN}),
    ASSISTANT: frozenset({QUEUED, HUMAN}),
    QUEUED: frozenset({HUMAN}),
    HUMAN: frozenset({HUMAN, ENDED}),
    ENDED: frozenset(),
}


T = TypeVar("T", GroupMessage, CardTap)


async def worked(handler: Callable[[T], Awaitable[Work | None]], item: T) -> None:
    """What a channel does with a handler, where nothing waits for a turn."""
    work = await handler(item)
    while work is not None:
        work = await work()


class FakeClock:
    """Stands still until moved."""

    def __init__(self, now: float = 1_700_000_000.25) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def move(self, seconds: float) -> None:
        self.time += seconds


class FakeSleep:
    """Moves the clock instead of waiting; lets every other task have a turn."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._clock.move(seconds)
        await asyncio.sleep(0)


def refusal(errcode: int, endpoint: str = "/cgi-bin/kf/test") -> WeComError:
    return WeComError(errcode, "refused", endpoint)


async def nothing_more(open_kfid: str) -> bool:
    """What `bot.untold.Untold.catch_up` answers where all that stands in the stream is on record."""
    return True


def unavailable(*, sent: bool = True) -> WeComUnavailable:
    return WeComUnavailable("/cgi-bin/kf/test", "no answer", sent=sent)


Hook = Callable[[], Any]


def raising(error: Exception) -> Hook:
    def hook() -> None:
        raise error

    return hook


@dataclass(slots=True)
class FakeSession:
    """`epoch` grows with each change of state: a code is good only in the one it was given in."""

    state: ServiceState = ENDED
    servicer: str = ""
    customer_at: float | None = None
    epoch: int = 0
    coded: set[ServiceState] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Ticket:
    session: FakeSession
    epoch: int
    expires_at: float


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    args: tuple[Any, ...]


class FakeKf:
    """A small WeCom behind `bot.ports.KfApi`; what people do has the sandbox's method names.

    Time is the clock's, plus `ahead` for a WeCom whose clock is off. `calls` are all that were made, `sent` what
    reached customers. Trouble: `before` and `after` hook the next call of a name; a hook may raise, wait, or act.
    """

    def __init__(self, clock: FakeClock, *, page: int = 1000) -> None:
        self._clock, self.page = clock, page
        self.ahead = 0.0
        self.calls: list[Call] = []
        self.sent: list[tuple[str, Message, str]] = []  # (code or external_userid, message, msgid)
        self.down: WeComError | None = None
        self._accounts: dict[str, dict[str, int]] = {}
        self._routing: dict[str, str] = {}
        self._nicknames: dict[str, str] = {}
        self._sessions: dict[SessionKey, FakeSession] = {}
        self._streams: dict[str, list[KfItem]] = {}
        self._tokens: dict[str, tuple[str, float]] = {}
        self._codes: dict[str, _Ticket] = {}
        self._msgids: set[str] = set()
        self._token_less: list[float] = []
        self._hooks: dict[tuple[str, str], list[Hook]] = {}
        self._pages: list[SyncPage] = []
        self._number = 0

    # -- trouble

    def before(self, name: str, *hooks: Hook) -> None:
        """One hook per coming call of that name, before it takes effect."""
        self._hooks.setdefault((name, "before"), []).extend(hooks)

    def after(self, name: str, *hooks: Hook) -> None:
        """The same, when the effect has happened and the answer is on its way."""
        self._hooks.setdefault((name, "after"), []).extend(hooks)

    def pages(self, *pages: SyncPage) -> None:
        """What the next calls of `sync` answer, whatever they ask."""
        self._pages.extend(pages)

    def called(self, name: str) -> list[Call]:
        return [call for call in self.calls if call.name == name]

    @property
    def names(self) -> list[str]:
        return [call.name for call in self.calls]

    async def _call(self, name: str, args: tuple[Any, ...], effect: Callable[[], Any]) -> Any:
        self.calls.append(Call(name, args))
        if self.down is not None:
            raise self.down
        await self._hook(name, "before")
        answer = effect()
        await self._hook(name, "after")
        return answer

    async def _hook(self, name: str, when: str) -> None:
        hooks = self._hooks.get((name, when))
        waiting = hooks.pop(0)() if hooks else None
        if isawaitable(waiting):
            await waiting

    # -- what people do

    def now(self) -> float:
        return self._clock.now() + self.ahead

    def account_new(self, open_kfid: str, name: str, servicers: dict[str, str], routing: str = "assistant") -> None:
        self._accounts[open_kfid] = dict.fromkeys(servicers, 0)
        self._nicknames[open_kfid] = name
        self._routing[open_kfid] = routing
        self._streams[open_kfid] = []

    def account_routing(self, open_kfid: str, routing: str) -> None:
        self._routing[open_kfid] = routing

    def customer_new(self, nickname: str, external_userid: str) -> str:
        self._nicknames[external_userid] = nickname
        return external_userid

    def servicer_status(self, open_kfid: str, servicer: str, status: int) -> None:
        """As in the list API: 0 receiving, 1 stopped. The event says 1 and 2."""
        self._accounts[open_kfid][servicer] = status
        self._event(open_kfid, "servicer_status_change", "", servicer_userid=servicer, status=status + 1)

    def customer_writes(self, open_kfid: str, external_userid: str, text: str, *, menu_id: str = "") -> str:
        session = self.session(open_kfid, external_userid)
        session.customer_at = self.now()
        if session.state is ENDED:
            session.coded.clear()
            servicer = next((one for one, status in self._accounts[open_kfid].items() if status == 0), "")
            routed = {"human": HUMAN if servicer else QUEUED, "queue": QUEUED}.get(self._routing[open_kfid], NEW)
            self._move(session, routed, servicer)
        return self._said(open_kfid, external_userid, 3, "", text, menu_id)

    def servicer_takes(self, open_kfid: str, external_userid: str, servicer: str) -> str:
        session = self.session(open_kfid, external_userid)
        self._move(session, HUMAN, servicer)
        session.coded.add(HUMAN)
        code = self._code(session, REPLY_LIFE)
        self._changed(open_kfid, external_userid, 1, new_servicer_userid=servicer, msg_code=code)
        return code

    def servicer_writes(self, open_kfid: str, external_userid: str, servicer: str, text: str) -> str:
        """Into an ended or handed-over session: takes it back first (change_type 4)."""
        session = self.session(open_kfid, external_userid)
        if session.servicer != servicer:
            old = session.servicer or servicer
            self._move(session, HUMAN, servicer)
            self._changed(open_kfid, external_userid, 4, old_servicer_userid=old, new_servicer_userid=servicer)
        return self._said(open_kfid, external_userid, 5, servicer, text)

    def servicer_transfers(self, open_kfid: str, external_userid: str, to: str) -> None:
        session = self.session(open_kfid, external_userid)
        old, session.servicer = session.servicer, to
        self._changed(open_kfid, external_userid, 2, old_servicer_userid=old, new_servicer_userid=to)

    def servicer_ends(self, open_kfid: str, external_userid: str) -> str:
        session = self.session(open_kfid, external_userid)
        old = session.servicer
        self._move(session, ENDED)
        code = self._code(session, ENDING_LIFE)
        self._changed(open_kfid, external_userid, 3, old_servicer_userid=old, msg_code=code)
        return code

    def session_state(self, open_kfid: str, external_userid: str, state: int, servicer: str = "") -> None:
        """Another program (or the console) puts the session there; no event tells."""
        session = self.session(open_kfid, external_userid)
        if session.customer_at is None:
            session.customer_at = self.now()
        self._move(session, ServiceState(state), servicer)

    def session(self, open_kfid: str, external_userid: str) -> FakeSession:
        """As it is now: ended by itself 48 h after the customer's last message."""
        if open_kfid not in self._accounts:
            raise refusal(95004)
        if external_userid not in self._nicknames:
            raise refusal(40096)
        session = self._sessions.setdefault(SessionKey(open_kfid, external_userid), FakeSession())
        if session.state is not ENDED and not self._wrote_lately(session):
            self._move(session, ENDED)
        return session

    def sync_token(self, open_kfid: str) -> str:
        """What a callback brings; good for ten minutes."""
        self._number += 1
        token = f"ENC{self._number}"
        self._tokens[token] = (open_kfid, self.now() + TOKEN_LIFE)
        return token

    def publish(self, item: KfItem) -> None:
        self._streams[item.open_kfid].append(item)

    def _said(
        self, open_kfid: str, external_userid: str, origin: int, servicer: str, text: str, menu_id: str = ""
    ) -> str:
        msgid = self._msgid()
        at = int(self.now())
        self.publish(KfItem(msgid, open_kfid, external_userid, at, origin, "text", servicer, text, menu_id))
        return msgid

    def _changed(self, open_kfid: str, external_userid: str, change_type: int, **fields: str) -> None:
        self._event(open_kfid, "session_status_change", external_userid, change_type=change_type, **fields)

    def _event(self, open_kfid: str, event_type: str, external_userid: str, **fields: Any) -> None:
        event = {"event_type": event_type, "open_kfid": open_kfid, "external_userid": external_userid, **fields}
        servicer = str(fields.get("servicer_userid", ""))
        at = int(self.now())
        self.publish(
            KfItem(
                self._msgid(), open_kfid, external_userid, at, 4, "event", servicer,
                event_type=event_type, event={name: value for name, value in event.items() if value != ""},
            )
        )  # fmt: skip

    def _msgid(self) -> str:
        self._number += 1
        return f"M{self._number}"

    def _wrote_lately(self, session: FakeSession) -> bool:
        return session.customer_at is not None and self.now() - session.customer_at <= WINDOW

    def _move(self, session: FakeSession, state: ServiceState, servicer: str = "") -> None:
        session.epoch += session.state is not state
        session.state, session.servicer = state, servicer if state is HUMAN else ""

    def _code(self, session: FakeSession, life: float) -> str:
        self._number += 1
        code = f"CODE{self._number}"
        self._codes[code] = _Ticket(session, session.epoch, self.now() + life)
        return code

    # -- bot.ports.KfApi

    async def accounts(self) -> list[KfAccount]:
        def effect() -> list[KfAccount]:
            return [KfAccount(open_kfid, self._nicknames[open_kfid]) for open_kfid in self._accounts]

        answer: list[KfAccount] = await self._call("accounts", (), effect)
        return answer

    async def servicers(self, open_kfid: str) -> list[Servicer]:
        def effect() -> list[Servicer]:
            return [Servicer(userid, status == 0) for userid, status in self._accounts[open_kfid].items()]

        answer: list[Servicer] = await self._call("servicers", (open_kfid,), effect)
        return answer

    async def nicknames(self, external_userids: Iterable[str]) -> dict[str, str]:
        ids = list(external_userids)

        def effect() -> dict[str, str]:
            lately = {key.external_userid for key, each in self._sessions.items() if self._wrote_lately(each)}
            return {one: self._nicknames[one] for one in ids if one in lately}

        answer: dict[str, str] = await self._call("nicknames", tuple(ids), effect)
        return answer

    async def state(self, key: SessionKey) -> StateReading:
        def effect() -> StateReading:
            session = self.session(key.open_kfid, key.external_userid)
            return StateReading(session.state, session.servicer or None)

        answer: StateReading = await self._call("state", (key,), effect)
        return answer

    async def trans(self, key: SessionKey, target: ServiceState, servicer_userid: str | None = None) -> str:
        def effect() -> str:
            session = self.session(key.open_kfid, key.external_userid)
            if target not in ALLOWED[session.state]:
                raise refusal(95013 if session.state is ENDED else 95016)
            self._check_servicer(key.open_kfid, servicer_userid, target)
            self._move(session, target, servicer_userid or "")
            if target not in (QUEUED, HUMAN, ENDED) or target in session.coded:
                return ""
            if target is not ENDED:
                session.coded.add(target)
            return self._code(session, ENDING_LIFE if target is ENDED else REPLY_LIFE)

        answer: str = await self._call("trans", (key, target, servicer_userid), effect)
        return answer

    def _check_servicer(self, open_kfid: str, servicer: str | None, target: ServiceState) -> None:
        if servicer and servicer not in self._accounts[open_kfid]:
            raise refusal(95014)
        if servicer and target is HUMAN and self._accounts[open_kfid][servicer]:
            raise refusal(95019)

    async def sync(self, open_kfid: str, cursor: str, token: str = "", limit: int = 1000) -> SyncPage:
        def effect() -> SyncPage:
            if self._pages:
                return self._pages.pop(0)
            self._check_token(open_kfid, token)
            start = self._position(open_kfid, cursor)
            stream = self._streams[open_kfid]
            items = stream[start : start + min(limit, self.page)]
            end = start + len(items)
            return SyncPage(items, f"{open_kfid}:{end}", end < len(stream))

        answer: SyncPage = await self._call("sync", (open_kfid, cursor, token), effect)
        return answer

    def _check_token(self, open_kfid: str, token: str) -> None:
        if token:
            account, until = self._tokens.get(token, ("", 0.0))
            if account != open_kfid or self.now() > until:
                raise SyncTokenExpired(95007, "invalid msg token", "/cgi-bin/kf/sync_msg")
            return
        self._token_less = [at for at in self._token_less if self.now() - at < 60.0]
        self._token_less.append(self.now())
        if len(self._token_less) > TOKEN_LESS:
            raise RateLimited(45009, "api freq out of limit", "/cgi-bin/kf/sync_msg")

    def _position(self, open_kfid: str, cursor: str) -> int:
        account, _, position = cursor.partition(":")
        if cursor and (account != open_kfid or not position.isdigit()):
            raise refusal(40058)
        return int(position or 0)

    async def send(self, key: SessionKey, message: Message, msgid: str) -> str:
        def effect() -> str:
            session = self.session(key.open_kfid, key.external_userid)
            if session.state not in (NEW, ASSISTANT):
                raise refusal(95018)
            self._check_msgid(msgid)
            self._move(session, ASSISTANT)
            return self._deliver(key.external_userid, message, msgid)

        answer: str = await self._call("send", (key, message, msgid), effect)
        return answer

    async def send_on_event(self, code: str, message: Message, msgid: str) -> str:
        def effect() -> str:
            ticket = self._codes.get(code)
            if ticket is None or self.now() > ticket.expires_at:
                raise refusal(40058)
            if ticket.epoch != ticket.session.epoch:
                raise refusal(95018)
            self._check_msgid(msgid)
            del self._codes[code]
            return self._deliver(code, message, msgid)

        answer: str = await self._call("send_on_event", (code, message, msgid), effect)
        return answer

    def _check_msgid(self, msgid: str) -> None:
        if msgid in self._msgids:
            raise refusal(40058)

    def _deliver(self, to: str, message: Message, msgid: str) -> str:
        self._msgids.add(msgid)
        self.sent.append((to, message, msgid))
        return msgid


@dataclass(slots=True)
class FakeChannel:
    """Records what the group would see. `problem` not empty: nothing can be delivered. `before` hooks the next call of
    a name, as in FakeKf."""

    name: str = "fake"
    problem: str = ""
    takes_cards: bool = True
    replies: list[tuple[GroupMessage, str]] = field(default_factory=list)
    sent: list[tuple[str, bool, str]] = field(default_factory=list)
    cards: list[tuple[str, bool, Card]] = field(default_factory=list)
    images: list[tuple[str, bool, bytes]] = field(default_factory=list)
    updates: list[tuple[CardTap, Card]] = field(default_factory=list)
    on_message: MessageHandler | None = None
    on_tap: TapHandler | None = None
    _hooks: dict[str, list[Hook]] = field(default_factory=dict)

    def before(self, name: str, *hooks: Hook) -> None:
        self._hooks.setdefault(name, []).extend(hooks)

    @property
    def ready(self) -> bool:
        return not self.problem

    async def start(self, on_message: MessageHandler, on_tap: TapHandler) -> None:
        self.on_message, self.on_tap = on_message, on_tap

    async def stop(self) -> None:
        self.on_message = self.on_tap = None

    async def reply(self, to: GroupMessage, markdown: str) -> None:
        await self._call("reply")
        self.replies.append((to, markdown))

    async def send(self, chat_id: str, is_group: bool, markdown: str, handing: Handing = UNFOLLOWED) -> None:
        await self._call("send", handing)
        self.sent.append((chat_id, is_group, markdown))

    async def send_card(self, chat_id: str, is_group: bool, card: Card, handing: Handing = UNFOLLOWED) -> None:
        await self._call("send_card", handing)
        if not self.takes_cards:
            await handing.back()
            raise CardRefused("this chat takes no cards")
        self.cards.append((chat_id, is_group, card))

    async def send_image(self, chat_id: str, is_group: bool, png: bytes) -> None:
        await self._call("send_image")
        if len(png) > PICTURE:
            raise ChannelError("the picture is too large")
        self.images.append((chat_id, is_group, png))

    async def update_card(self, tap: CardTap, card: Card) -> None:
        await self._call("update_card")
        self.updates.append((tap, card))

    async def _call(self, name: str, handing: Handing = UNFOLLOWED) -> None:
        """A hook that waits does so before the message goes out; one that raises `sent` is what came of it."""
        if self.problem:
            raise ChannelError(self.problem)
        try:
            hooks = self._hooks.get(name)
            waiting = hooks.pop(0)() if hooks else None
            if isawaitable(waiting):
                await waiting
        except ChannelError as failed:
            if failed.sent:
                await handing.out()
            raise
        await handing.out()


@dataclass(slots=True)
class FakeLifeline:
    """The webhook robot of the first group. `problem` as in FakeChannel."""

    problem: str = ""
    sent: list[str] = field(default_factory=list)
    images: list[bytes] = field(default_factory=list)

    async def send(self, markdown: str, handing: Handing = UNFOLLOWED) -> None:
        self._check()
        await handing.out()
        self.sent.append(markdown)

    async def send_image(self, png: bytes) -> None:
        self._check()
        self.images.append(png)

    def _check(self) -> None:
        if self.problem:
            raise ChannelError(self.problem)
