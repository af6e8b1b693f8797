"""Accounts that a callback names and that nobody has told us of: new ones, or none at all.

Of what WeCom does not know, nothing is kept: no loop that asks again and again, no row, no call without a token.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Container

MOST = 100  # that wait for one look
EVERY = 30.0  # seconds between two looks for the sake of a name; what comes in between is found by the next regular one

Run = Callable[[], Awaitable[None]]


class Newcomers:
    """`begin` runs something of its own; `look` asks WeCom which accounts there are, so that `known` tells; `wake` has
    an account read."""

    def __init__(
        self,
        begin: Callable[[Run], None],
        look: Run,
        known: Callable[[], Container[str]],
        wake: Callable[[str, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._begin, self._look, self._known, self._wake, self._clock = begin, look, known, wake, clock
        self._waiting: dict[str, str] = {}
        self._wanted = self._looking = False
        self._looked_at = float("-inf")

    def changed(self) -> None:
        """WeCom says that there are others now. However often: one look, and one more for what came during it."""
        self._wanted = True
        if not self._looking:
            self._looking = True
            self._begin(self._run)

    def named(self, open_kfid: str, token: str) -> None:
        """A callback for this account, with the token to read it by."""
        if not self._looking and self._clock() - self._looked_at < EVERY:
            return
        if open_kfid in self._waiting or len(self._waiting) < MOST:
            self._waiting[open_kfid] = token
            self.changed()

    async def _run(self) -> None:
        try:
            while self._wanted:
                self._wanted = False
                waiting, self._waiting = self._waiting, {}
                await self._look()
                self._looked_at = self._clock()
                self._greet(waiting)
        finally:
            self._looking = False

    def _greet(self, waiting: dict[str, str]) -> None:
        known = self._known()
        for open_kfid, token in waiting.items():
            if open_kfid in known:
                self._wake(open_kfid, token)
