"""The time of one WeCom: another clock's, moved ahead and run faster. Pure."""

from collections.abc import Callable
from math import isfinite

SLOWEST, FASTEST = 1.0, 600.0


class Clock:
    """Goes as `base` goes, `speed` times as fast. Only `advance` makes it leap; it goes back only with `base`."""

    def __init__(self, base: Callable[[], float]) -> None:
        self.base, self.speed = base, SLOWEST
        self.moved = False  # it tells another time than `base`
        self._then = self._since = base()

    def now(self) -> float:
        return self._then + (self.base() - self._since) * self.speed

    def run(self, factor: float) -> None:
        """From now on `factor` seconds pass here in one of `base`."""
        if not SLOWEST <= factor <= FASTEST:
            raise ValueError(f"the clock runs {SLOWEST:g} to {FASTEST:g} times as fast")
        self._set(self.now())
        self.speed = float(factor)
        self.moved = self.moved or factor > SLOWEST

    def advance(self, seconds: float) -> None:
        if not (seconds >= 0 and isfinite(seconds)):
            raise ValueError("the clock only goes forward")
        self._set(self.now() + seconds)
        self.moved = self.moved or seconds > 0

    def _set(self, then: float) -> None:
        self._then, self._since = then, self.base()
