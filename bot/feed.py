"""The handoff log as it grows, told to all who listen: in order, each event once, read once for everybody.

The table is the source, for other processes write to it too: it is read at once when this process has written, and
every second for the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import takewhile

from bot.errors import StorageError
from bot.live import LiveEvent, live_event
from bot.ports import Feed

log = logging.getLogger("kfbot.feed")

BATCH = 200  # rows read, and events told, at a time
KEPT = 1000  # events held for those who come back
EVERY = 1.0  # seconds between two looks while this process writes nothing
APART = 0.02  # the least: writes come in bursts

Listener = Callable[[Sequence[LiveEvent]], Awaitable[None]]
Sleep = Callable[[float], Awaitable[None]]


class LiveFeed:
    """`open` before `run`. `last`: the id up to which the log has been read; 0 before the first event.

    `listeners` are awaited one after the other; whoever comes in between asks `since` what he has missed.
    """

    def __init__(self, feed: Feed, *, every: float = EVERY, sleep: Sleep = asyncio.sleep) -> None:
        self._feed, self._every, self._sleep = feed, every, sleep
        self._wanted = asyncio.Event()
        self._kept: deque[LiveEvent] = deque()
        self._floor = self.last = 0
        self._failing = False
        self.listeners: list[Listener] = []

    async def open(self) -> None:
        """Begin at the end of the log. The events before it are at hand, though nobody is told of them."""
        last = await self._feed.last()
        self._floor = self.last = max(0, last - KEPT)
        while self.last < last and await self._read():
            pass
        self.last = max(self.last, last)

    def wake(self) -> None:
        """Something has been written."""
        self._wanted.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            self._wanted.clear()
            await self._try()
            await self._sleep(APART)
            await self._woken()

    async def look(self) -> None:
        """Tell what has been appended since the last look."""
        while found := await self._read():
            for listener in self.listeners:
                await self._tell(listener, found)

    def since(self, event_id: int) -> list[LiveEvent] | None:
        """The events after this one, up to `last`; None where they are too many, or it is none of this log."""
        if not self._floor <= event_id <= self.last:
            return None
        missed = list(takewhile(lambda event: event.id > event_id, reversed(self._kept)))
        return missed[::-1]

    def clear(self) -> None:
        """Hold nothing any more: who comes back has to load everything anew."""
        self._kept.clear()
        self._floor = self.last

    async def _read(self) -> list[LiveEvent]:
        """The next rows that concern somebody; empty at the end of the log."""
        while rows := await self._feed.after(self.last, BATCH):
            self.last = rows[-1][0].id
            if found := [live for row in rows if (live := live_event(*row)) is not None]:
                self._keep(found)
                return found
        return []

    def _keep(self, events: Sequence[LiveEvent]) -> None:
        self._kept.extend(events)
        while len(self._kept) > KEPT:
            self._floor = self._kept.popleft().id

    async def _try(self) -> None:
        try:
            await self.look()
        except Exception as failed:  # the outermost loop; the next look comes in a moment
            if not self._failing:
                log.warning("live events stand still | %s", failed, exc_info=not isinstance(failed, StorageError))
            self._failing = True
        else:
            self._failing = False

    async def _tell(self, listener: Listener, events: Sequence[LiveEvent]) -> None:
        try:
            await listener(events)
        except Exception:  # the outermost loop; the others must hear it
            log.exception("a listener failed | events=%d..%d", events[0].id, events[-1].id)

    async def _woken(self) -> None:
        try:
            async with asyncio.timeout(self._every):
                await self._wanted.wait()
        except TimeoutError:
            pass
