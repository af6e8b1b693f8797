"""Tells waiters that something changed, so that nobody has to sleep and look."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Changes:
    """`bump()` costs next to nothing while nobody waits. All in one event loop."""

    def __init__(self) -> None:
        self.seq = 0
        self._waiters: set[asyncio.Event] = set()
        self.listener: Callable[[], None] = lambda: None

    def bump(self) -> None:
        self.seq += 1
        for waiter in self._waiters:
            waiter.set()
        self.listener()

    async def until(self, look: Callable[[], T | None], timeout: float = 30.0) -> T:
        """The first truthy thing `look` sees, now or after some change; TimeoutError after `timeout` seconds."""
        changed = asyncio.Event()
        self._waiters.add(changed)
        try:
            async with asyncio.timeout(timeout):
                while not (seen := look()):
                    changed.clear()
                    await changed.wait()
                return seen
        finally:
            self._waiters.discard(changed)
