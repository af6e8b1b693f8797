"""Turns within a vendor's message limits: so many per minute and hour in one chat, the urgent ones first.

The limits hold for every window of that length, not on average: the times of the last sends are kept.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Iterable
from enum import IntEnum

from bot.channels.timing import Timing, ended
from bot.errors import ChannelError

# Frames are delayed unevenly on their way and may arrive closer together than they left: so a second to spare.
MINUTE, HOUR = 61.0, 3605.0
CHAT_LIMITS = ((30, MINUTE), (1000, HOUR))
KEPT_PACES = 1000
_INSTANT = 1e-6


class Rank(IntEnum):
    UPDATE = 0
    REPLY = 1
    PUSH = 2


# The last turns of a window are kept for the more urgent: a card update cannot wait for the next window.
RESERVE = {Rank.UPDATE: 0, Rank.REPLY: 3, Rank.PUSH: 6}


class Pace:
    """Turns of one chat. `limits`: (sends, seconds) pairs; `reserve`: how many of each a rank leaves to others."""

    def __init__(
        self,
        timing: Timing,
        limits: Iterable[tuple[int, float]] = CHAT_LIMITS,
        reserve: dict[Rank, int] = RESERVE,
    ) -> None:
        self._timing = timing
        self._limits = tuple(limits)
        self._reserve = reserve
        self._sent: deque[float] = deque(maxlen=max(count for count, _ in self._limits))
        self._held_until = float("-inf")
        self._tickets = itertools.count()
        self._waiting: list[tuple[Rank, int, asyncio.Future[None]]] = []
        self._pump: asyncio.Task[None] | None = None

    def ticket(self) -> int:
        """One's place within a rank; keep it to come back to that place after a refusal."""
        return next(self._tickets)

    async def turn(self, rank: Rank, ticket: int | None = None) -> None:
        """Wait until one may send, and count it as sent. Cancelling gives the place up."""
        entry = (rank, self.ticket() if ticket is None else ticket, asyncio.get_running_loop().create_future())
        heapq.heappush(self._waiting, entry)
        if self._waiting[0] is entry:
            self._repump()
        try:
            await entry[2]
        except asyncio.CancelledError:
            self._leave(entry)
            raise

    def hold(self, seconds: float) -> None:
        """The vendor refuses: nothing but updates, which cannot wait, for a while."""
        self._held_until = max(self._held_until, self._timing.clock() + seconds)

    @property
    def idle(self) -> bool:
        """Nobody waits, and no window remembers a send."""
        longest = max(span for _, span in self._limits)
        recent = bool(self._sent) and self._sent[-1] > self._timing.clock() - longest
        return not self._waiting and not recent

    async def close(self) -> None:
        """Those who wait get `ChannelError`."""
        waiting, self._waiting = self._waiting, []
        for _, _, granted in waiting:
            if not granted.done():
                granted.set_exception(ChannelError("the channel was stopped before this could be sent"))
        if self._pump:
            await ended(self._pump)

    def _repump(self) -> None:
        """Somebody new is first in the row. Grants what can be granted now; a task waits for the rest."""
        if self._pump:
            self._pump.cancel()
        self._grant()
        self._pump = asyncio.create_task(self._serve()) if self._waiting else None

    async def _serve(self) -> None:
        while self._waiting:
            await self._timing.sleep(self._pause(self._waiting[0][0]))
            self._grant()

    def _grant(self) -> None:
        while self._waiting and self._pause(self._waiting[0][0]) < _INSTANT:
            _, _, granted = heapq.heappop(self._waiting)
            if not granted.done():
                self._sent.append(self._timing.clock())
                granted.set_result(None)

    def _pause(self, rank: Rank) -> float:
        """Seconds until the next send of this rank fits into every window."""
        now = self._timing.clock()
        pauses = [0.0 if rank is Rank.UPDATE else self._held_until - now]
        for count, span in self._limits:
            room = count - self._reserve.get(rank, 0)
            if len(self._sent) >= room:
                pauses.append(self._sent[-room] + span - now)
        return max(0.0, *pauses)

    def _leave(self, entry: tuple[Rank, int, asyncio.Future[None]]) -> None:
        if entry in self._waiting:
            self._waiting.remove(entry)
            heapq.heapify(self._waiting)
        if self._pump and not self._waiting:
            self._pump.cancel()


class Paces:
    """A `Pace` for each chat."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._paces: dict[str, Pace] = {}

    def of(self, chat_id: str) -> Pace:
        if chat_id not in self._paces:
            self._forget_idle()
            self._paces[chat_id] = Pace(self._timing)
        return self._paces[chat_id]

    async def close(self) -> None:
        for pace in self._paces.values():
            await pace.close()

    def _forget_idle(self) -> None:
        if len(self._paces) >= KEPT_PACES:
            self._paces = {chat: pace for chat, pace in self._paces.items() if not pace.idle}
