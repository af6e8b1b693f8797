"""Watches that the event loop turns. A thread of its own hears its beat, for a loop that hangs cannot tell of itself.

Only `App.run` starts it, the real process: it ends the process where nothing else can. It counts only time in which it
was awake itself: a machine that slept, or a process that was halted, has missed nothing. It is deaf while something
holds the interpreter as a whole; such a stall is told of afterwards.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType

log = logging.getLogger("kfbot.watchdog")

EVERY = 0.5  # seconds between two beats, and between two looks
STALL = 5.0  # seconds without a beat after which the log says where the loop stands
DEADLY = 60.0  # seconds without a beat after which it will never come
STUCK = 3  # exit code: nothing but another process helps
DEEP = 20  # calls told of
LAST_WORDS = 0.5  # seconds the log's thread has to write them


@dataclass(frozen=True, slots=True)
class Stall:
    """`ended_at`: by the clock of `Watchdog`."""

    ended_at: float
    seconds: float


def leave(code: int) -> None:
    """At once, whatever hangs."""
    time.sleep(LAST_WORDS)
    os._exit(code)


class Watchdog:
    """`start`, `stop` and `leave_within` are called in the loop, `look` in the thread. `observe` hears of each stall
    that is over; `last` is the last of them."""

    def __init__(
        self,
        observe: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        frames: Callable[[], Mapping[int, FrameType]] = sys._current_frames,
        leave: Callable[[int], None] = leave,
    ) -> None:
        self._observe, self._clock, self._frames, self._leave = observe, clock, frames, leave
        self._thread_of_loop = 0
        self._over = threading.Event()
        self._beats = self._heard = 0
        self._beat_at = self._looked_at = clock()
        self._still, self._told = 0.0, False
        self._leave_at: float | None = None
        self.last: Stall | None = None

    def start(self) -> None:
        self._thread_of_loop = threading.get_ident()
        self._beat_at = self._looked_at = self._clock()
        self._beat_on(asyncio.get_running_loop())
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        self._over.set()

    def leave_within(self, seconds: float) -> None:
        """The process has been asked to end. What hangs then, even a thread that cannot be interrupted, is left."""
        self._leave_at = self._clock() + seconds

    def beat(self) -> None:
        now = self._clock()
        gap, self._beat_at = now - self._beat_at, now
        self._beats += 1
        if gap >= STALL:
            self.last = Stall(now, gap)
            self._observe()
            log.warning("the event loop turns again | stood still for %.1f s", gap)

    def ago(self) -> float:
        """Seconds since the end of the last stall."""
        return self._clock() - self.last.ended_at if self.last else 0.0

    def look(self) -> None:
        now = self._clock()
        step, self._looked_at = now - self._looked_at, now
        if self._leave_at is not None and now >= self._leave_at:
            log.critical("something does not end, left behind | the loop is at %s", self._where())
            self._leave(0)
        elif self._beats != self._heard:
            self._heard, self._still, self._told = self._beats, 0.0, False
        else:
            self._wait(min(step, 2 * EVERY))

    def _wait(self, seconds: float) -> None:
        self._still += seconds
        if self._still >= DEADLY and self._leave_at is None:
            log.critical("the event loop is stuck, this process ends | for %.0f s at %s", self._still, self._where())
            self._leave(STUCK)
        elif self._still >= STALL and not self._told:
            self._told = True
            log.error("the event loop stands still | for %.1f s at %s", self._still, self._where())

    def _where(self) -> str:
        """The loop's stack in a line, innermost first."""
        frame, stack = self._frames().get(self._thread_of_loop), list[str]()
        while frame is not None and len(stack) < DEEP:
            stack.append(f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}")
            frame = frame.f_back
        return " < ".join(stack) or "?"

    def _beat_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Timers rather than a task: there is nothing in it that could die."""
        self.beat()
        if not self._over.is_set():
            loop.call_later(EVERY, self._beat_on, loop)

    def _watch(self) -> None:
        while not self._over.wait(EVERY):
            self.look()
