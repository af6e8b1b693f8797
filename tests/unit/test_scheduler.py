"""Periodic jobs: what fails says so and comes again, nothing runs beside itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from bot.errors import WeComUnavailable
from bot.scheduler import Job, Scheduler


class Seen(list[tuple[str, str]]):
    def observe(self, job: str, outcome: str) -> None:
        self.append((job, outcome))


@pytest.fixture
def seen() -> Seen:
    return Seen()


async def test_a_job_that_fails_says_so_and_runs_again(seen: Seen, caplog: pytest.LogCaptureFixture) -> None:
    failures = [RuntimeError("first time")]

    async def work() -> None:
        if failures:
            raise failures.pop()

    job = Job("work", 60.0, work)
    scheduler = Scheduler([job], seen.observe)
    await scheduler.run(job)
    await scheduler.run(job)
    assert seen == [("work", "failed"), ("work", "ok")]
    assert "job failed | job=work" in caplog.text and "first time" in caplog.text


async def test_a_wecom_that_is_down_is_no_incident_of_a_job(seen: Seen, caplog: pytest.LogCaptureFixture) -> None:
    async def ask() -> None:
        raise WeComUnavailable("kf/account/list", "no answer within 5 s")

    scheduler = Scheduler([], seen.observe)
    await scheduler.run(Job("accounts", 60.0, ask))
    assert seen == [("accounts", "failed")]
    assert [(each.levelname, each.exc_info) for each in caplog.records] == [("WARNING", None)]


async def test_a_job_never_runs_beside_itself(seen: Seen) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        assert not begun.is_set()
        begun.set()
        await go_on.wait()

    async def other() -> None:
        """Quick"""

    jobs = [Job("slow", 60.0, slow), Job("other", 60.0, other)]
    scheduler = Scheduler(jobs, seen.observe)
    first = asyncio.create_task(scheduler.run(jobs[0]))
    await begun.wait()
    await scheduler.run(jobs[0])
    await scheduler.run(jobs[1])
    assert seen == [("slow", "skipped"), ("other", "ok")]
    go_on.set()
    await first
    begun.clear()
    await scheduler.run(jobs[0])
    assert seen[2:] == [("slow", "ok"), ("slow", "ok")]


async def test_a_job_cut_off_at_the_stop_may_run_in_the_next_life(seen: Seen) -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    job = Job("forever", 60.0, forever)
    scheduler = Scheduler([job], seen.observe)
    for _ in range(2):
        task = asyncio.create_task(scheduler.run(job))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert seen == []


async def test_the_timer_runs_jobs_again_after_a_failure(seen: Seen) -> None:
    """The one test on real time: two periods of the shortest kind."""
    twice = asyncio.Event()

    async def work() -> None:
        if len(seen) >= 1:
            twice.set()
        raise RuntimeError("each time")

    scheduler = Scheduler([Job("work", 0.01, work)], seen.observe)
    scheduler.start()
    async with asyncio.timeout(30):
        await twice.wait()
    await scheduler.stop()
    await scheduler.stop()
    assert seen[0] == ("work", "failed")


@pytest.fixture
async def busy(seen: Seen) -> AsyncIterator[Busy]:
    """A scheduler whose one job is under way, begun by the timer."""
    busy = Busy()
    busy.scheduler = Scheduler([Job("long", 0.01, busy.work)], seen.observe)
    busy.scheduler.start()
    async with asyncio.timeout(30):
        await busy.begun.wait()
    yield busy
    await busy.scheduler.stop(0)


class Busy:
    scheduler: Scheduler

    def __init__(self) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self.ended = ""

    async def work(self) -> None:
        self.begun.set()
        try:
            await self.go_on.wait()
            self.ended = "by itself"
        except asyncio.CancelledError:
            self.ended = "cut off"
            raise


async def test_a_job_under_way_may_finish_while_the_bot_stops(busy: Busy) -> None:
    stopping = asyncio.create_task(busy.scheduler.stop(30))
    await asyncio.sleep(0)
    busy.go_on.set()
    await stopping
    assert busy.ended == "by itself"


async def test_a_job_that_takes_too_long_is_cut_off_without_an_error_in_the_log(
    busy: Busy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await busy.scheduler.stop(0)
    assert busy.ended == "cut off"
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
