"""Value types that cross borders. Standard library only; times are seconds since the epoch, UTC, as float."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple


class ServiceState(IntEnum):
    """`service_state` of a session, https://developer.work.weixin.qq.com/document/path/94669."""

    NEW = 0
    ASSISTANT = 1
    QUEUED = 2
    HUMAN = 3
    ENDED = 4


class HandoffStatus(StrEnum):
    PENDING = "PENDING"
    ACCEPTED = "ACCEPTED"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"

    @property
    def is_open(self) -> bool:
        return self in (HandoffStatus.PENDING, HandoffStatus.ACCEPTED, HandoffStatus.IN_PROGRESS)


class OperatorType(StrEnum):
    """Who did it. As `ended_by` of a handoff: the customer, a staff member, or a rule / WeCom itself."""

    USER = "USER"
    AGENT = "AGENT"
    SYSTEM = "SYSTEM"


class Via(StrEnum):
    """By which way a handoff was touched; kept in `event_data.via`."""

    COMMAND = "command"
    BUTTON = "button"
    CLI = "cli"
    API = "api"
    CHAT = "chat"
    CLIENT = "client"  # in the WeCom client, known from a session_status_change event
    ELSEWHERE = "elsewhere"  # found ended by a state read; no event told who
    POLICY = "policy"
    EXPIRED = "expired"  # WeCom's own end, 48 h after the customer's last message
    EVENT = "event"
    MESSAGE = "message"
    STATE = "state"


class EventType(StrEnum):
    """Rows of the append-only handoff log. `COMPLETED` is the one type for every end, cancelled ones too."""

    REQUESTED = "REQUESTED"
    ACCEPTED = "ACCEPTED"
    PROGRESS = "PROGRESS"
    TRANSFERRED = "TRANSFERRED"
    ENDING = "ENDING"
    END_FAILED = "END_FAILED"
    COMPLETED = "COMPLETED"
    GREETING = "GREETING"  # how the text of the beginning went; data: outcome, errcode, and the state it was for
    CLOSING = "CLOSING"
    RATED = "RATED"  # data: {"score": "good" | "middling" | "bad"}


@dataclass(frozen=True, slots=True)
class Operator:
    """`id` is an external_userid, a member's userid, or the name of a rule."""

    type: OperatorType
    id: str


@dataclass(frozen=True, slots=True, order=True)
class SessionKey:
    open_kfid: str
    external_userid: str

    def __str__(self) -> str:
        """As log lines name a session."""
        return f"{self.open_kfid} {self.external_userid}"


@dataclass(frozen=True, slots=True)
class Scope:
    """Some kf accounts: those named, or with `others` all but those named. `open_kfid in scope` asks for one."""

    accounts: frozenset[str] = frozenset()
    others: bool = True

    def __contains__(self, open_kfid: str) -> bool:
        return (open_kfid in self.accounts) is not self.others


EVERYTHING = Scope()
NOTHING = Scope(others=False)


@dataclass(frozen=True, slots=True)
class StateReading:
    """What service_state/get said; `servicer_userid` only in state 3."""

    state: ServiceState
    servicer_userid: str | None = None


@dataclass(slots=True)
class Handoff:
    """One stretch of human service.

    `waiting_since`: time of the customer's first message that no servicer has answered; None when the servicer wrote
    last. `active_at`: last message by anyone, else when it opened. `last_text` is erased when the handoff ends unless
    `storage.keep_text` is `all`. `previous_id` names the ended handoff that a servicer re-opened by writing again.
    `watch_at`: no rule can ask for anything new before then; None once it has ended.
    """

    id: int
    tenant_id: str
    open_kfid: str
    external_userid: str
    status: HandoffStatus
    servicer_userid: str | None
    requested_at: float
    accepted_at: float | None = None
    replied_at: float | None = None
    completed_at: float | None = None
    ended_by: OperatorType | None = None
    via: str | None = None
    operator_id: str | None = None
    reason: str | None = None
    previous_id: int | None = None
    waiting_since: float | None = None
    active_at: float = 0.0
    last_text: str | None = None
    watch_at: float | None = None

    @property
    def key(self) -> SessionKey:
        return SessionKey(self.open_kfid, self.external_userid)


class Rule(StrEnum):
    """What deserves an alert, gravest first. See `bot.rules`."""

    CUSTOMER_WAITING = "customer_waiting"
    QUEUE_WAITING = "queue_waiting"
    HUMAN_IDLE = "human_idle"
    HUMAN_OPEN = "human_open"


@dataclass(frozen=True, slots=True)
class Alert:
    """What stands open of one (handoff, rule). `sends`: messages since it was raised, the first one included;
    `next_at`: when to look at it again."""

    rule: Rule
    raised_at: float
    sends: int
    sent_at: float
    next_at: float


@dataclass(frozen=True, slots=True)
class Quiet:
    """What staff said of a handoff's alerts: somebody follows it up, or they are not to be told before a time."""

    acked_by: str = ""
    acked_at: float = 0.0
    snoozed_by: str = ""
    snoozed_at: float = 0.0
    snoozed_until: float = 0.0


@dataclass(frozen=True, slots=True)
class Watched:
    """A handoff with its open alerts. `told`: the group has heard of it, so its end is told too."""

    handoff: Handoff
    alerts: dict[Rule, Alert] = field(default_factory=dict)
    quiet: Quiet = Quiet()
    told: bool = False


@dataclass(frozen=True, slots=True)
class HandoffEvent:
    id: int
    handoff_id: int
    type: EventType
    operator: Operator
    at: float
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class KfItem:
    """One item of `sync_msg`, ids already taken from inside `event` where it is one.

    `msgid` is WeCom's, or `x-` and a hash of the item where it had none. `event` is the raw event object. `origin`
    3 customer, 4 system event, 5 servicer. https://developer.work.weixin.qq.com/document/path/94670
    """

    msgid: str
    open_kfid: str
    external_userid: str
    send_time: int
    origin: int
    msgtype: str
    servicer_userid: str = ""
    text: str = ""
    menu_id: str = ""
    event_type: str = ""
    event: dict[str, Any] | None = None
    raw: dict[str, Any] | None = None  # only for types this version does not know


@dataclass(frozen=True, slots=True)
class SyncPage:
    """`broken` holds (item as received, why it could not be read); such items are parked, never lost."""

    items: list[KfItem]
    next_cursor: str
    has_more: bool
    broken: list[tuple[Any, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class KfAccount:
    open_kfid: str
    name: str = ""
    manage_privilege: bool = True


@dataclass(frozen=True, slots=True)
class Servicer:
    """`receiving` follows the list API (status 0); None when the app may not see it. A department has no userid."""

    userid: str
    receiving: bool | None = None
    suspended: bool = False
    department_id: int | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """What goes to a customer: a text, or a menu whose `items` are (id, words) pairs."""

    text: str
    items: tuple[tuple[str, str], ...] = ()
    tail: str = ""


@dataclass(frozen=True, slots=True)
class GroupMessage:
    """A text that reached the bot in a group (mention removed) or in a single chat.

    `reply_to` is the channel's own handle for answering this very message; opaque outside the channel.
    `text` is empty when the bot was mentioned without words.
    """

    channel: str
    msgid: str
    chat_id: str
    is_group: bool
    userid: str
    text: str
    quote: str = ""
    reply_to: str = ""
    response_url: str = ""


class Asker(NamedTuple):
    """A chat where somebody waits for the outcome of an end. `command`: the row of the command or tap whose answer
    tells it, if it is known by then."""

    chat_id: str
    is_group: bool
    command: int | None = None


Notify = Asker | tuple[str, bool]


@dataclass(frozen=True, slots=True)
class CardTap:
    """A tap on a card button. `key` is the button's, `task_id` may be missing on some taps."""

    channel: str
    msgid: str
    chat_id: str
    is_group: bool
    userid: str
    key: str
    task_id: str = ""
    reply_to: str = ""


@dataclass(frozen=True, slots=True)
class Button:
    text: str
    key: str
    style: int = 1


@dataclass(frozen=True, slots=True)
class Card:
    """A `button_interaction` card; lengths are the vendor's recommendations, see document/path/101032."""

    task_id: str
    title: str
    desc: str = ""
    body: str = ""
    rows: tuple[tuple[str, str], ...] = ()
    buttons: tuple[Button, ...] = ()
