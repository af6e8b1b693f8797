"""Log lines that anybody outside can cause: a few are written, of the others only how many there were."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

MOST, WITHIN = 10, 60.0  # lines in so many seconds


class Folded:
    """`what`: the lines' common name, for the one that counts the rest. In the event loop only."""

    def __init__(
        self,
        log: logging.Logger,
        what: str,
        most: int = MOST,
        within: float = WITHIN,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log, self._what, self._most, self._within, self._clock = log, what, most, within, clock
        self._began, self._written, self._left_out = -within, 0, 0

    def warning(self, line: str, *values: object) -> None:
        if self._clock() - self._began >= self._within:
            self.tell()
            self._began, self._written = self._clock(), 0
        if self._written < self._most:
            self._written += 1
            self._log.warning(line, *values)
            return
        if not self._left_out:  # so that the number comes although nothing more happens
            asyncio.get_running_loop().call_later(self._within, self.tell)
        self._left_out += 1

    def tell(self) -> None:
        """How many were left out, if any."""
        count, self._left_out = self._left_out, 0
        if count:
            self._log.warning("%s | %d more like these within %.0f s", self._what, count, self._within)
