"""Time as the channels use it, so that tests can move it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Timing:
    """`clock`: seconds that never jump, from any start. `rng`: evenly from 0 up to 1."""

    clock: Clock = time.monotonic
    sleep: Sleep = asyncio.sleep
    rng: Callable[[], float] = random.random

    async def within(self, seconds: float, work: Awaitable[T]) -> T:
        """Result of `work`; after `seconds` cancels it and raises TimeoutError."""
        task = asyncio.ensure_future(work)
        alarm = asyncio.ensure_future(self.sleep(seconds))
        try:
            await asyncio.wait((task, alarm), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise TimeoutError
        finally:
            await ended(task, alarm)


async def ended(*tasks: asyncio.Future[Any]) -> None:
    """Cancels and waits until none is left; their outcomes are dropped."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
