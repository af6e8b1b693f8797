"""A thread that takes turns: what is asked for while it is at work is done together in its next turn.

So a burst of small transactions costs few waits for the disk and few changes of thread, and one alone waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

On = TypeVar("On")
T = TypeVar("T")
MOST = 64  # works in a turn


@dataclass(slots=True, eq=False)
class Work(Generic[On]):
    """Something to do in the thread. When a turn is over, it has a `value` or an `error`."""

    run: Callable[[On], Any]
    durable: bool
    answer: asyncio.Future[Any]
    value: Any = None
    error: BaseException | None = None


class Turns(Generic[On]):
    """`take` is called in the thread with what is to be done, and returns what it has not begun; it never raises.

    `after` is called in the loop when a turn is over in which something was done, and its outcomes are told.
    """

    def __init__(self, thread: ThreadPoolExecutor, take: Callable[[list[Work[On]]], list[Work[On]]]) -> None:
        self._thread, self._take = thread, take
        self._waiting: deque[Work[On]] = deque()
        self._turn: asyncio.Future[list[Work[On]]] | None = None
        self._works: list[Work[On]] = []
        self.after: Callable[[], None] = lambda: None

    async def do(self, run: Callable[[On], T], *, durable: bool = False) -> T:
        """Who gives up waiting may have been served all the same."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(Work(run, durable, answer))
        if self._turn is None:
            self._next()
        return await answer

    async def rest(self) -> None:
        """Until everything that was asked for is done."""
        while self._turn is not None:
            await asyncio.wait([self._turn])
            await asyncio.sleep(0)

    def _next(self) -> None:
        chosen = (self._waiting.popleft() for _ in range(min(MOST, len(self._waiting))))
        self._works = [work for work in chosen if not work.answer.done()]  # the others have given up
        self._turn = asyncio.get_running_loop().run_in_executor(self._thread, self._take, self._works)
        self._turn.add_done_callback(self._over)

    def _over(self, turn: asyncio.Future[list[Work[On]]]) -> None:
        self._turn, left = None, turn.result()
        done = self._works[: len(self._works) - len(left)]
        for work in done:
            if work.answer.done():
                continue
            if work.error is None:
                work.answer.set_result(work.value)
            else:
                work.answer.set_exception(work.error)
        self._waiting.extendleft(reversed(left))
        if self._waiting:
            self._next()
        if any(work.error is None for work in done):
            self.after()
