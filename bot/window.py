"""Turns inside a limit that holds for every window of that length, not on average.

A leaky bucket lets its content through at once and refills meanwhile: up to twice its rate in one window. Where the
other side counts per window and blocks for a minute, that is too much.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable


class Window:
    """At most `count` turns in any `seconds`. Waiting turns are granted in the order in which they were asked for."""

    def __init__(
        self,
        count: int,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._seconds, self._clock, self._sleep = seconds, clock, sleep
        self._taken: deque[float] = deque([float("-inf")] * count, maxlen=count)
        self._row = asyncio.Lock()

    async def turn(self) -> None:
        async with self._row:
            while (wait := self._taken[0] + self._seconds - self._clock()) > 0:
                await self._sleep(wait)
            self._taken.append(self._clock())
