"""How often somebody may ask: a steady rate, and a burst on top of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

MOST = 20_000  # askers remembered


class Limit:
    """`rate` a second, `burst` at once. `MOST` askers cost about 3 MB."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._each, self._room, self._clock = 1.0 / rate, burst / rate, clock
        self._until: dict[Hashable, float] = {}

    def take(self, who: Hashable) -> float:
        """0 for yes; else the seconds after which it would be one, and nothing is taken."""
        now = self._clock()
        until = max(self._until.get(who, now), now) + self._each
        if until - now > self._room:
            return until - now - self._room
        self._until[who] = until
        if len(self._until) > MOST:
            self._forget(now)
        return 0.0

    def charge(self, who: Hashable, count: float) -> None:
        """As if they had asked so often, as far as there was room."""
        now = self._clock()
        until = max(self._until.get(who, now), now) + count * self._each
        self._until[who] = min(until, now + self._room)

    def _forget(self, now: float) -> None:
        """Who has rested long enough; and if that is nobody, those who are nearest to it."""
        busy = sorted((until, number, who) for number, (who, until) in enumerate(self._until.items()) if until > now)
        self._until = {who: until for until, _, who in busy[-MOST // 2 :]}
