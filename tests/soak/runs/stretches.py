"""What a WeCom saw of its sessions: each stretch of human service, how it began and by whom it was ended.

The record is compared with this, not with what the bot has heard of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from unittest.mock import patch

from bot.model import SessionKey, SyncPage
from bot.sandbox import Sandbox
from bot.sandbox.sessions import WINDOW, Session
from bot.sandbox.states import ENDED, HUMAN, QUEUED
from bot.sandbox.stream import Item, Stream
from bot.sessions import SERVICER
from bot.wecom.protocol import parse_page

BOT, CLIENT, OTHER, CONSOLE, LAPSED = "bot", "client", "other", "console", "lapsed"
"""Who moves sessions: the bot by the API, servicers in the client, another program, the routing, time."""
ENDS = 3  # change_type of what tells of an end
LATE = 600.0  # seconds that what somebody asks for may come too early for the stretch it ends


def msgid_of(item: Item) -> str:
    """As the bot files it."""
    return parse_page({"msg_list": [item]}, "").items[0].msgid


@dataclass
class Stretch:
    """`told`: what the stream has told of it, by more than the customer's messages."""

    began: float
    by: str
    told: list[Item] = field(default_factory=list)
    ended: float | None = None
    ended_by: str = ""

    @property
    def is_known(self) -> bool:
        """The stream tells of more than its end. Where it does not, nothing says whose end that was, or since when."""
        return any(item.get("event", {}).get("change_type") != ENDS for item in self.told)

    def __str__(self) -> str:
        return f"[{self.began:.0f} {self.by} – {self.ended or 0:.0f} {self.ended_by or 'open'}]"


class Stretches:
    """`by`: who moves sessions now. Times are WeCom's."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.of: dict[SessionKey, list[Stretch]] = {}
        self.items: list[Item] = []
        self._looks: dict[SessionKey, list[float]] = {}
        self._heard: dict[str, float] = {}
        self._asked: dict[SessionKey, list[tuple[float, str]]] = {}
        self.who, self.silent = BOT, False

    @contextmanager
    def by(self, who: str) -> Iterator[None]:
        """What happens inside was done by them. Nothing else can, for it is not awaited."""
        before, self.who = self.who, who
        try:
            yield
        finally:
            self.who = before

    def open(self, key: SessionKey) -> Stretch | None:
        last = next(iter(self.of.get(key, [])[-1:]), None)
        return last if last is not None and last.ended is None else None

    def ask(self, key: SessionKey, way: str) -> None:
        """Somebody wants the bot to end the session, by this way."""
        self._asked.setdefault(key, []).append((self._sandbox.now(), way))

    def asked(self, key: SessionKey, stretch: Stretch) -> set[str]:
        """The ways by which its end may have been asked for: also before, for words are late and wishes are kept."""
        until = self._sandbox.now() if stretch.ended is None else stretch.ended
        return {way for at, way in self._asked.get(key, []) if stretch.began - LATE <= at <= until}

    def looked(self, key: SessionKey) -> None:
        """The bot has read the state."""
        self._looks.setdefault(key, []).append(self._sandbox.now())

    def heard(self, page: SyncPage) -> None:
        """The bot has read these."""
        for item in page.items:
            self._heard.setdefault(item.msgid, self._sandbox.now())

    def unseen(self, key: SessionKey, ended: Stretch, following: Stretch) -> bool:
        """The bot's own move ended it, and the next began before the bot has looked. Had it had an answer, it would
        have looked; as it had none, it finds the session with a human, as it left it. Or a servicer ended it, and the
        bot the next one, before it could read of either."""
        assert ended.ended is not None
        looked = any(ended.ended <= at < following.began for at in self._looks.get(key, []))
        if ended.ended_by == CLIENT and following.ended_by == BOT:
            ends = (each for each in ended.told if each.get("event", {}).get("change_type") == ENDS)
            return not any(self._heard.get(msgid_of(each), inf) < (following.ended or inf) for each in ends)
        return ended.ended_by == BOT and not looked

    @contextmanager
    def seen(self) -> Iterator[None]:
        """Every move of every session and every item of every stream, from now on."""
        move, append = Session.move, Stream.append

        def moved(session: Session, state: int, servicer: str = "") -> None:
            before = session.state
            move(session, state, servicer)
            self._moved(session, before, state)

        def appended(stream: Stream, item: Item, now: float) -> None:
            append(stream, item, now)
            self.items.append(item)
            self._appended(item)

        with patch.object(Session, "move", moved), patch.object(Stream, "append", appended):
            yield

    def _appended(self, item: Item) -> None:
        """WeCom moves a session first, and then tells."""
        event = item.get("event", {})
        key = SessionKey(*({**item, **event}.get(name, "") for name in ("open_kfid", "external_userid")))
        if event.get("event_type") == "session_status_change" or item.get("origin") == SERVICER:
            for stretch in self.of.get(key, [])[-1:]:
                stretch.told.append(item)

    def _moved(self, session: Session, before: int, after: int) -> None:
        key, now = SessionKey(session.open_kfid, session.external_userid), self._sandbox.now()
        stretch = self.open(key)
        if stretch is not None and after not in (QUEUED, HUMAN):
            lapsed = after == ENDED and not session.wrote_within(now)
            stretch.ended, stretch.ended_by = now, LAPSED if lapsed else self.who
            if lapsed and session.customer_at is not None:
                stretch.ended = session.customer_at + WINDOW
        if stretch is None and after in (QUEUED, HUMAN):
            stretch = Stretch(now, self.who)
            self.of.setdefault(key, []).append(stretch)
        self.silent |= self.who == OTHER
