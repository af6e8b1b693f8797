"""Accounts that a callback names and that nobody has told us of: new ones, or none at all.

Of what WeCom does not know, nothing is kept: no loop that asks again and again, no row, no call without a token. While
WeCom does not say which there are, the callback is believed: it has signed that too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Container

from bot.errors import WeComError

MOST = 100  # that wait for one look, or are remembered as unknown; what is more is found by the next regular look
PAUSE = 2.0  # seconds between two looks
FORGOTTEN = 30.0  # seconds after which a name that WeCom did not know is asked about again

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
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._begin, self._look, self._known, self._wake = begin, look, known, wake
        self._clock, self._sleep = clock, sleep
        self._waiting: dict[str, str] = {}
        self._unknown: dict[str, float] = {}
        self._wanted = self._looking = False

    def changed(self) -> None:
        """WeCom says that there are others now. However often: one look, and one more for what came during it."""
        self._wanted = True
        if not self._looking:
            self._looking = True
            self._begin(self._run)

    def named(self, open_kfid: str, token: str) -> None:
        """A callback for this account, with the token to read it by."""
        if self._clock() < self._unknown.get(open_kfid, float("-inf")) + FORGOTTEN:
            return
        if open_kfid in self._waiting or len(self._waiting) < MOST:
            self._waiting[open_kfid] = token
            self.changed()

    async def _run(self) -> None:
        try:
            while self._wanted:
                self._wanted = False
                waiting, self._waiting = self._waiting, {}
                self._greet(waiting, believed=not await self._told())
                await self._sleep(PAUSE)
        finally:
            self._looking = False

    async def _told(self) -> bool:
        """Whether WeCom has said which there are."""
        try:
            await self._look()
        except WeComError:
            return False
        return True

    def _greet(self, waiting: dict[str, str], *, believed: bool) -> None:
        known, now = self._known(), self._clock()
        for open_kfid, token in waiting.items():
            self._unknown.pop(open_kfid, None)
            if believed or open_kfid in known:
                self._wake(open_kfid, token)
            else:
                self._unknown[open_kfid] = now
        while len(self._unknown) > MOST:
            del self._unknown[next(iter(self._unknown))]
