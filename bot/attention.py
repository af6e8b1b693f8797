"""What staff say of a handoff's alerts: somebody takes it, or not now. By a tap or by a command, first one wins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from bot.faults import point
from bot.model import Scope, Watched
from bot.ports import Alerts, Chats, Clock
from bot.rules import RuleBook, acked_until


class Heard(Enum):
    """`ALREADY`: somebody had said the same, and it still holds. `NOTHING`: no alert is open. `OVER`: it has ended."""

    DONE = auto()
    ALREADY = auto()
    NOTHING = auto()
    OVER = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    """The handoff as it stands after it. `until`: when its alerts come back, unless a message does something."""

    heard: Heard
    watched: Watched
    until: float


class Attention:
    """`pause`: seconds of a snooze that names no time."""

    def __init__(
        self, alerts: Alerts, chats: Chats, clock: Clock, books: Callable[[str], RuleBook], pause: float = 600.0
    ) -> None:
        self._alerts, self._chats, self._clock, self._books = alerts, chats, clock, books
        self.pause = pause

    async def ack(self, handoff_id: int, userid: str) -> Answer | None:
        """None: there is no such handoff. An ack holds while messages follow it, see `bot.rules.quiet_until`."""
        watched = await self.watched(handoff_id)
        if watched is None:
            return None
        if not watched.handoff.status.is_open:
            return self._answer(Heard.OVER, watched)
        if not watched.alerts:
            return self._answer(Heard.NOTHING, watched)
        if self.acked_until(watched) > self._clock.now():
            return self._answer(Heard.ALREADY, watched)
        first = await self._alerts.ack(handoff_id, userid, self._clock.now(), watched.quiet.acked_at)
        return await self._after(watched, first)

    async def snooze(self, handoff_id: int, userid: str, seconds: float, *, anew: bool = False) -> Answer | None:
        """None: there is no such handoff. `anew`: the time counts even where somebody has set another."""
        watched, now = await self.watched(handoff_id), self._clock.now()
        if watched is None:
            return None
        if not watched.handoff.status.is_open:
            return self._answer(Heard.OVER, watched)
        if watched.quiet.snoozed_until > now and not anew:
            return self._answer(Heard.ALREADY, watched)
        over = watched.quiet.snoozed_at
        return await self._after(watched, await self._alerts.snooze(handoff_id, userid, now + seconds, now, over))

    async def open(self, scope: Scope) -> list[Watched]:
        """Handoffs with an open alert, longest raised first."""
        return [each for each in await self._alerts.open() if each.handoff.open_kfid in scope]

    async def mute(self, chat_id: str, until: float) -> None:
        """No alerts for that group before `until`; 0 takes it back. Policies go on."""
        await self._chats.keep([(_mute_key(chat_id), repr(until) if until else "")])

    async def muted_until(self, chat_id: str) -> float:
        """0 when the group hears everything."""
        until = float(await self._chats.recall(_mute_key(chat_id)) or 0.0) if chat_id else 0.0
        return until if until > self._clock.now() else 0.0

    async def watched(self, handoff_id: int) -> Watched | None:
        return next(iter(await self._alerts.watched([handoff_id])), None)

    def until(self, watched: Watched) -> float:
        """When the first of the handoff's alerts comes back; 0 when nobody has quieted them."""
        return max(watched.quiet.snoozed_until, self.acked_until(watched))

    def acked_until(self, watched: Watched) -> float:
        """As long as somebody's ack holds for every open alert; 0 where one was raised after it."""
        book = self._books(watched.handoff.open_kfid)
        return min((acked_until(watched, rule, book) for rule in watched.alerts), default=0.0)

    async def _after(self, before: Watched, first: bool) -> Answer:
        point("quiet.recorded")
        after = await self.watched(before.handoff.id) or before
        return self._answer(Heard.DONE if first else Heard.ALREADY, after)

    def _answer(self, heard: Heard, watched: Watched) -> Answer:
        return Answer(heard, watched, self.until(watched))


def _mute_key(chat_id: str) -> str:
    return f"muted until: {chat_id}"
