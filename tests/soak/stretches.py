"""What a WeCom saw of its sessions: each stretch of human service, how it began and by whom it was ended.

The record is compared with this, not with what the bot has heard of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest.mock import patch

from bot.model import SessionKey
from bot.sandbox import Sandbox
from bot.sandbox.sessions import WINDOW, Session
from bot.sandbox.states import ENDED, HUMAN, QUEUED
from bot.sandbox.stream import Item, Stream

BOT, CLIENT, OTHER, CONSOLE, LAPSED = "bot", "client", "other", "console", "lapsed"
"""Who moves sessions: the bot by the API, servicers in the client, another program, the routing, time."""
LATE = 600.0  # seconds that what somebody asks for may come too early for the stretch it ends


@dataclass
class Stretch:
    """`told`: the stream has told of it, by more than the customer's messages."""

    began: float
    by: str
    told: bool = False
    ended: float | None = None
    ended_by: str = ""

    def __str__(self) -> str:
        return f"[{self.began:.0f} {self.by} – {self.ended or 0:.0f} {self.ended_by or 'open'}]"


class Stretches:
    """`by`: who moves sessions now. Times are WeCom's."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.of: dict[SessionKey, list[Stretch]] = {}
        self.items: list[Item] = []
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

    def told(self, key: SessionKey) -> None:
        if stretch := self.open(key):
            stretch.told = True

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

        with patch.object(Session, "move", moved), patch.object(Stream, "append", appended):
            yield

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
