"""How far our clock is from WeCom's. Waits are told from WeCom's times and our clock: both must agree."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from bot.errors import KfbotError
from bot.ports import Clock

LIMIT = 120.0  # seconds beyond which nothing is concluded from times
EVERY = 600.0
JUMP = 5.0  # seconds by which our clock may run ahead of or behind the time that has really passed


class Skew:
    """`ask` reads WeCom's clock, None where it does not tell. It is asked rarely, and at once after a jump of ours."""

    def __init__(
        self, ask: Callable[[], Awaitable[float | None]], clock: Clock, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask, self._clock, self._monotonic = ask, clock, monotonic
        self._asked_at = self._seen_at = float("-inf")
        self._ahead = 0.0

    async def ahead(self) -> float:
        """Seconds that our clock is ahead of WeCom's; 0 while they agree within `LIMIT`, or WeCom does not tell."""
        if self._in_doubt() or self._ahead or self._monotonic() - self._asked_at > EVERY:
            await self._compare()
        return self._ahead

    async def agrees(self) -> bool:
        """Whether WeCom has been asked since our clock was last set, and does not say otherwise."""
        return not await self.ahead() and not self._in_doubt()

    def _in_doubt(self) -> bool:
        if self._asked_at == float("-inf"):
            return True
        return abs((self._clock.now() - self._seen_at) - (self._monotonic() - self._asked_at)) > JUMP

    async def _compare(self) -> None:
        try:
            theirs = await self._ask()
        except KfbotError:
            return  # an outage is somebody else's alarm
        self._asked_at, self._seen_at = self._monotonic(), self._clock.now()
        ahead = 0.0 if theirs is None else self._seen_at - theirs
        self._ahead = ahead if abs(ahead) > LIMIT else 0.0
