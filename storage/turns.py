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

from bot.errors import StorageError

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
        self._at_work = self._closed = False
        self.after: Callable[[], None] = lambda: None

    async def do(self, run: Callable[[On], T], *, durable: bool = False) -> T:
        """Who gives up waiting may have been served all the same. Raises StorageError after the end."""
        if self._closed:
            raise StorageError("the database is closed")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._waiting.append(Work(run, durable, answer))
        if not self._at_work:
            self._at_work = True
            loop.call_soon(self._next, loop)  # with whatever else this moment brings
        return await answer

    async def end(self) -> None:
        """Until everything that was asked for is done; nobody may ask for more."""
        while self._at_work:
            await self.do(lambda on: None)
        self._closed = True

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        chosen = (self._waiting.popleft() for _ in range(min(MOST, len(self._waiting))))
        works = [work for work in chosen if not work.answer.done()]  # the others have given up
        self._thread.submit(self._turn, works, loop)

    def _turn(self, works: list[Work[On]], loop: asyncio.AbstractEventLoop) -> None:
        """In the thread."""
        left = self._take(works)
        loop.call_soon_threadsafe(self._over, works, left, loop)

    def _over(self, works: list[Work[On]], left: list[Work[On]], loop: asyncio.AbstractEventLoop) -> None:
        done = works[: len(works) - len(left)]
        for work in done:
            if work.answer.done():
                continue
            if work.error is None:
                work.answer.set_result(work.value)
            else:
                work.answer.set_exception(work.error)
        self._waiting.extendleft(reversed(left))
        self._at_work = bool(self._waiting)
        if self._at_work:
            loop.call_soon(self._next, loop)  # those who have just been answered may have more to ask
        if any(work.error is None for work in done):
            self.after()
