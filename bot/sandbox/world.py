"""The corp: accounts, servicers, customers, sessions. Pure: the time is handed in, nothing is awaited."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from .codes import Codes
from .config import SandboxConfig
from .ids import fresh
from .ledger import Ledger
from .limits import Quota
from .login_codes import Logins
from .media import MediaStore
from .refusals import Refused
from .sessions import WINDOW, Line, Session
from .stream import Item, Stream
from .tokens import AccessTokens, SyncTokens

RECEIVING, STOPPED = 0, 1
ROUTINGS = ("assistant", "human", "queue")


class NotPossible(ValueError):
    """A person asked for something their app would not let them do; the text says why."""


@dataclass(slots=True)
class Servicer:
    """`status` as in servicer/list: 0 receiving, 1 stopped; `stop_type` 1 is a short suspension."""

    userid: str
    name: str
    status: int = RECEIVING
    stop_type: int = 0


@dataclass(slots=True)
class Customer:
    external_userid: str
    nickname: str
    seen_at: float | None = None
    scene: str = ""
    scene_param: str = ""


@dataclass(slots=True)
class Account:
    """`routing` is what the console does with a new session: assistant (0), human (3, else 2), queue (2)."""

    open_kfid: str
    name: str
    routing: str = "assistant"
    servicers: dict[str, Servicer] = field(default_factory=dict)
    msgids: set[str] = field(default_factory=set)
    stream: Stream = field(init=False)
    _turn: int = 0

    def __post_init__(self) -> None:
        self.stream = Stream(self.open_kfid)

    def next_receiving(self) -> str:
        """The receiving servicers in turn; "" when nobody is."""
        receiving = [person.userid for person in self.servicers.values() if person.status == RECEIVING]
        self._turn += 1
        return receiving[self._turn % len(receiving)] if receiving else ""


class World:
    """Everything WeCom knows of kf. `on_news` hears of accounts with something to sync, `on_change` of anything.
    `nameless` says of each event whether it goes without a msgid."""

    def __init__(self, config: SandboxConfig, now: Callable[[], float]) -> None:
        self.config, self.now = config, now
        self.accounts: dict[str, Account] = {}
        self.members: dict[str, str] = {}
        self.customers: dict[str, Customer] = {}
        self.sessions: dict[tuple[str, str], Session] = {}
        self._recent: dict[tuple[str, str], None] = {}
        self.codes = Codes()
        self.logins = Logins()
        self.access = AccessTokens(config.token_ttl)
        self.sync_tokens = SyncTokens(config.token_life)
        self.token_less = Quota(config.token_less_per_minute, 60)
        self.media = MediaStore()
        self.ledger = Ledger()
        self.on_news: Callable[[str], None] = lambda open_kfid: None
        self.on_change: Callable[[], None] = lambda: None
        self.nameless: Callable[[], bool] = lambda: False

    def account(self, open_kfid: str) -> Account:
        account = self.accounts.get(open_kfid)
        if account is None:
            raise Refused(95004 if open_kfid.startswith("wk") and len(open_kfid) <= 64 else 95000)
        return account

    def customer(self, external_userid: str) -> Customer:
        customer = self.customers.get(external_userid)
        if customer is None:
            raise Refused(40096)
        return customer

    def session(self, open_kfid: str, external_userid: str) -> Session:
        """The session as it is now: made on first use, ended by itself after 48 h."""
        self.account(open_kfid)
        self.customer(external_userid)
        key = (open_kfid, external_userid)
        session = self.sessions.get(key)
        if session is None:
            session = self.sessions[key] = Session(open_kfid, external_userid)
        session.lapse(self.now())
        return session

    def touch(self, session: Session) -> None:
        """Put the session on top of the recent ones, and tell whoever watches."""
        key = (session.open_kfid, session.external_userid)
        self._recent.pop(key, None)
        self._recent[key] = None
        self.on_change()

    def recent(self, count: int) -> Iterator[Session]:
        return (self.sessions[key] for key in islice(reversed(self._recent), count))

    def seen_lately(self, customer: Customer) -> bool:
        return customer.seen_at is not None and self.now() - customer.seen_at <= WINDOW

    def publish(self, open_kfid: str, item: Item) -> None:
        """Add to the account's stream; sync_msg shows it from now on."""
        self.account(open_kfid).stream.append(item, self.now())
        self.on_news(open_kfid)
        self.on_change()

    def publish_event(self, open_kfid: str, event_type: str, fields: Mapping[str, Any]) -> str:
        """An event item: the ids stand only inside `event` (wecom-kf.md 3.3). Returns its msgid."""
        event = {"event_type": event_type, "open_kfid": open_kfid}
        event.update({name: value for name, value in fields.items() if value != ""})
        msgid = fresh()
        self.publish(
            open_kfid,
            {
                **({} if self.nameless() else {"msgid": msgid}),
                "send_time": int(self.now()),
                "origin": 4,
                "msgtype": "event",
                "event": event,
            },
        )
        return msgid

    def name_of(self, userid: str) -> str:
        return self.members.get(userid, userid)

    def say(self, session: Session, text: str) -> None:
        """A grey system line in the conversation, for the page only."""
        session.show(Line(fresh(), self.now(), "system", "", "event", text))
        self.touch(session)
