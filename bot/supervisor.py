"""Keeps running what is to run for ever: a task that dies is told of under an incident number, counted, begun again."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from bot.errors import KfbotError

log = logging.getLogger("kfbot.supervisor")

FIRST, LONGEST = 1.0, 60.0  # seconds until a dead task is begun again, doubled from one death to the next
WELL = 60.0  # seconds a run has to last for the next pause to be the first again

Run = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Backoff:
    """The pauses of one task. `pause`: the last one, 0 before the first."""

    pause: float = 0.0

    def after(self, lasted: float) -> float:
        """Seconds to wait after a run that lasted so long."""
        again = self.pause > 0 and lasted < WELL
        self.pause = min(self.pause * 2, LONGEST) if again else FIRST
        return self.pause


@dataclass(frozen=True, slots=True)
class Dead:
    """A task that waits to be begun again, in `seconds`. `why`: in one word, for what it said may be secret."""

    task: str
    why: str
    incident: str
    seconds: float


class Supervisor:
    """`observe` hears the name of each task that is begun again."""

    def __init__(
        self,
        observe: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._observe, self._clock, self._sleep = observe, clock, sleep
        self._tasks: set[asyncio.Task[None]] = set()
        self._dead: dict[str, Dead] = {}
        self._closed = False

    def keep(self, name: str, run: Run) -> None:
        """Until it returns by itself, or `stop`. Names are unique."""
        self._begin(name, self._keep(name, run))

    def once(self, name: str, run: Run) -> None:
        """What fails is told of, and somebody else's to do again."""
        self._begin(name, self._once(name, run))

    def dead(self) -> list[Dead]:
        now = self._clock()
        return [Dead(each.task, each.why, each.incident, max(0.0, each.seconds - now)) for each in self._dead.values()]

    async def stop(self) -> None:
        """Nothing is begun any more."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        if self._closed:
            work.close()
            return
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(self, name: str, run: Run) -> None:
        backoff = Backoff()
        while True:
            began = self._clock()
            try:
                await run()
                return
            except (Exception, asyncio.CancelledError) as died:
                if _is_stop(died):
                    raise
                pause, incident = backoff.after(self._clock() - began), _told(name, died)
                self._dead[name] = Dead(name, type(died).__name__, incident, self._clock() + pause)
            await self._sleep(pause)
            del self._dead[name]
            self._observe(name)

    async def _once(self, name: str, run: Run) -> None:
        try:
            await run()
        except (Exception, asyncio.CancelledError) as died:
            if _is_stop(died):
                raise
            _told(name, died)


def _is_stop(died: BaseException) -> bool:
    """Not every cancellation is meant for this task: whoever awaits one that was cancelled dies of it as well."""
    task = asyncio.current_task()
    return isinstance(died, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _told(name: str, died: BaseException) -> str:
    """What is foreseen is told in a line. Returns the incident's number."""
    incident = secrets.token_hex(4)
    level, trace = (logging.WARNING, None) if isinstance(died, KfbotError) else (logging.ERROR, died)
    why = str(died) or type(died).__name__
    log.log(level, "task died | task=%s incident=%s %s", name, incident, why, exc_info=trace)
    return incident
