"""Moves that went unanswered: WeCom may carry one out long after anybody waits for it, and tells nobody.

What it then ends need not be what was meant: the conversation may have gone on, or begun anew. So the state is read
again when none can arrive any more, and an end that nothing has told of until then is its doing. Known to this process
alone: after a crash, what it was about stands on record as an intention, and starts anew from there.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.model import Operator, SessionKey, Via
from bot.sessions import Session, finish, finish_elsewhere, look_again

LATE = 20.0  # seconds after which a move that went unanswered takes no effect any more


@dataclass(frozen=True, slots=True)
class Stray:
    until: float
    operator: Operator
    via: Via


class Strays:
    def __init__(self) -> None:
        self._of: dict[SessionKey, Stray] = {}

    def expect(self, key: SessionKey, sent_at: float, operator: Operator, via: Via) -> None:
        known = self._of.get(key)
        if known is None or known.until < sent_at + LATE:
            self._of[key] = Stray(sent_at + LATE, operator, via)

    def may_arrive(self, key: SessionKey, now: float) -> bool:
        stray = self._of.get(key)
        return stray is not None and now < stray.until

    def mark(self, session: Session, now: float) -> None:
        """Have the state read when it has arrived, or never will."""
        stray = self._of.get(session.key)
        if stray is not None and now < stray.until:
            look_again(session, stray.until)

    def finish(self, session: Session, at: float) -> None:
        """End a handoff that is over, when nothing told who did it."""
        stray = self._of.get(session.key)
        if stray is not None and at < stray.until + LATE:  # it need not be read at once
            finish(session, stray.operator, stray.via, at)
        else:
            finish_elsewhere(session, at)

    def read(self, key: SessionKey, at: float) -> None:
        """The state was read at that moment, and is on record."""
        stray = self._of.get(key)
        if stray is not None and stray.until <= at:
            del self._of[key]
