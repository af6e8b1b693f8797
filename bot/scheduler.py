"""The table of periodic jobs, on APScheduler. A job that fails says so, and its next run still comes."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from bot.errors import KfbotError

log = logging.getLogger("kfbot.scheduler")

LAST = 3.0  # seconds that jobs under way have at the stop

Run = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Job:
    """`period` in seconds. `exact`: somebody waits for it, so it is not shifted a little at random. Runs that fall due
    while one is under way, or the machine asleep, fold into the next."""

    name: str
    period: float
    run: Run
    exact: bool = False


class Scheduler:
    def __init__(self, jobs: Iterable[Job], observe: Callable[[str, str], None]) -> None:
        self._observe = observe
        self._jobs = list(jobs)
        self._running: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        # It calls in line: the tasks are ours. Those of the library's own executor it cancels at the stop, and then
        # logs each as an error.
        self._timer = AsyncIOScheduler(timezone="UTC", executors={"default": DebugExecutor()})

    def start(self) -> None:
        for job in self._jobs:
            # A little jitter keeps jobs of one period, and bots of one corp, from calling in step.
            jitter = None if job.exact else min(1, job.period * random.random())  # noqa: S311
            trigger = IntervalTrigger(seconds=job.period, jitter=jitter)
            self._timer.add_job(self._begin, trigger, args=[job], id=job.name, coalesce=True, misfire_grace_time=None)
        self._timer.start()

    async def stop(self, seconds: float = LAST) -> None:
        """Begin nothing more. What is under way may finish, for so long at most."""
        if self._timer.running:
            self._timer.shutdown(wait=False)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, job: Job) -> None:
        task = asyncio.create_task(self.run(job), name=f"job {job.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def run(self, job: Job) -> None:
        """One run, unless one is under way; never raises. Public, so that tests run jobs without a clock."""
        if job.name in self._running:
            self._observe(job.name, "skipped")
            return
        self._running.add(job.name)
        try:
            await job.run()
        except KfbotError as failed:
            log.warning("job failed | job=%s %s", job.name, failed)
            self._observe(job.name, "failed")
        except Exception:
            log.exception("job failed | job=%s", job.name)
            self._observe(job.name, "failed")
        else:
            self._observe(job.name, "ok")
        finally:
            self._running.discard(job.name)
