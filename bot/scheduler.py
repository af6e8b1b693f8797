"""The table of periodic jobs, on APScheduler. A job that fails says so, and its next run still comes."""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

log = logging.getLogger("kfbot.scheduler")

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
        self._timer = AsyncIOScheduler(timezone="UTC")

    def start(self) -> None:
        for job in self._jobs:
            # A little jitter keeps jobs of one period, and bots of one corp, from calling in step.
            jitter = None if job.exact else min(1, job.period * random.random())  # noqa: S311
            trigger = IntervalTrigger(seconds=job.period, jitter=jitter)
            self._timer.add_job(
                self.run, trigger, args=[job], id=job.name, coalesce=True, max_instances=2, misfire_grace_time=None
            )
        self._timer.start()

    def stop(self) -> None:
        if self._timer.running:
            self._timer.shutdown(wait=False)

    async def run(self, job: Job) -> None:
        """One run, unless one is under way; never raises. Public, so that tests run jobs without a clock."""
        if job.name in self._running:
            self._observe(job.name, "skipped")
            return
        self._running.add(job.name)
        try:
            await job.run()
        except Exception:
            log.exception("job failed | job=%s", job.name)
            self._observe(job.name, "failed")
        else:
            self._observe(job.name, "ok")
        finally:
            self._running.discard(job.name)
