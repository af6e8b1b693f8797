"""A loop whose time leaps: when nothing is under way, it is at once as late as the next that waits for time.

So ten seconds of WeCom's silence cost none, and half an hour of pauses, retries and ticks pass in a moment, while
sockets and threads take the time they need: time stands still until they have had it.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from types import FunctionType
from typing import Any

LOOKS = 2  # without finding anything, until nothing is under way: what goes by loopback arrives as it is sent
MOST = 2_000_000  # turns of one loop; who needs more goes round in circles
TURN = 1e-6  # seconds that the loop's turn takes: some compute a pause too small to make a time later
THREADS = 0.05  # seconds of real time between looks at threads that are at work; one that is done says so


class InCircles(BaseException):
    """Something waits for what never comes, and looks for it again and again."""


class _Selector(selectors.DefaultSelector):
    """`leap(seconds)` instead of waiting, as far as nobody is at work."""

    leap: Callable[[float], None]
    at_work: Callable[[], bool]

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.leap(TURN)
        found = super().select(0)
        if found or (timeout is not None and timeout <= 0):
            return list(found)
        while self.at_work():
            if found := super().select(THREADS):
                return list(found)
        for _ in range(LOOKS):
            if found := super().select(0):
                return list(found)
        if timeout is None:
            return list(super().select(THREADS))
        self.leap(timeout)
        return []


class LeapingLoop(asyncio.SelectorEventLoop):
    """`time` begins at `began` and moves by leaps alone."""

    def __init__(self, began: float = 1_000_000.0) -> None:
        selector = _Selector()
        super().__init__(selector)
        self._now, self._turns, self._working = began, 0, set[Future[Any]]()
        selector.leap, selector.at_work = self.leap, lambda: bool(self._working)

    def time(self) -> float:
        return self._now

    def leap(self, seconds: float) -> None:
        """All at once, as for a machine that was asleep: whatever falls due meanwhile is late, and happens once."""
        self._now += seconds
        self._turns += 1
        if self._turns > MOST:
            raise InCircles(f"more than {MOST} turns")

    @contextmanager
    def lived_in(self) -> Iterator[None]:
        """Clocks and threads of the bot go by this loop. What is built meanwhile must not be used afterwards."""
        submit, clock, kept = ThreadPoolExecutor.submit, self.time, list(_taking(time.monotonic))

        def noted(pool: ThreadPoolExecutor, work: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
            future = submit(pool, work, *args, **options)
            self._working.add(future)
            future.add_done_callback(self._worked)
            return future

        ThreadPoolExecutor.submit = noted  # type: ignore[method-assign,assignment]
        _retime(kept, time.monotonic, clock)
        try:
            yield
        finally:
            _retime(kept, clock, time.monotonic)
            ThreadPoolExecutor.submit = submit  # type: ignore[method-assign]

    def _worked(self, future: Future[Any]) -> None:
        """In the thread, when it has told the loop of what it has done."""
        self._working.discard(future)
        with suppress(RuntimeError):  # nobody waits any more
            self.call_soon_threadsafe(self._nothing)

    def _nothing(self) -> None:
        """Whoever waits for threads looks again."""


def _taking(clock: object) -> Iterator[FunctionType]:
    """The functions of the bot that take this clock where they are told of none."""
    modules = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == "bot"]
    kinds = {each for module in modules for each in vars(module).values() if isinstance(each, type)}
    for kind in kinds:
        for function in vars(kind).values():
            if isinstance(function, FunctionType) and any(each is clock for each in _defaults(function)):
                yield function


def _defaults(function: FunctionType) -> tuple[Any, ...]:
    return (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())


def _retime(functions: list[FunctionType], old: object, new: object) -> None:
    for each in functions:
        if each.__defaults__:
            each.__defaults__ = tuple(new if value is old else value for value in each.__defaults__)
        if each.__kwdefaults__:
            named = each.__kwdefaults__.items()
            each.__kwdefaults__ = {name: new if value is old else value for name, value in named}
