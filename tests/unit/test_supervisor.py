"""Tasks that die are begun again, after pauses that grow; whoever looks in is told."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import StorageError
from bot.supervisor import FIRST, LONGEST, WELL, Backoff, Supervisor


class Bench:
    """A supervisor in a time that only sleeping moves. Each pause is waited for until `go_on`."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses = list[float]()
        self.restarts = list[str]()
        self.resting, self.restarted, self._go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.supervisor = Supervisor(self._count, clock=lambda: self.now, sleep=self._sleep)

    def _count(self, task: str) -> None:
        self.restarts.append(task)
        self.restarted.set()

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.resting.set()
        await self._go_on.wait()
        self._go_on.clear()
        self.now += seconds

    async def rests(self) -> None:
        async with asyncio.timeout(30):
            await self.resting.wait()
        self.resting.clear()

    def go_on(self) -> None:
        self._go_on.set()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.supervisor.stop()


def dying(*deaths: BaseException | None) -> Callable[[], asyncio.Future[None]]:
    """Runs that end so, one after the other; None lasts for ever."""
    left = itertools.chain(deaths, itertools.repeat(None))

    def run() -> asyncio.Future[None]:
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if (death := next(left)) is not None:
            ended.set_exception(death)
        return ended

    return run


# -- pauses


def test_pauses_double_up_to_a_minute() -> None:
    backoff = Backoff()
    assert [backoff.after(0.1) for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_after_a_good_run_the_pause_is_the_first_again() -> None:
    backoff = Backoff()
    assert [backoff.after(lasted) for lasted in (0, 0, 0, WELL, 0)] == [1, 2, 4, 1, 2]


@given(st.lists(st.floats(0, 10 * WELL)))
def test_a_pause_is_never_shorter_than_the_first_nor_longer_than_the_longest(runs: list[float]) -> None:
    backoff = Backoff()
    assert all(FIRST <= backoff.after(lasted) <= LONGEST for lasted in runs)


# -- tasks


async def test_a_task_that_dies_is_begun_again_and_counted(bench: Bench) -> None:
    bench.supervisor.keep("watch", dying(RuntimeError("one"), RuntimeError("two")))
    await bench.rests()
    assert bench.restarts == []
    bench.go_on()
    await bench.rests()
    assert (bench.restarts, bench.pauses) == (["watch"], [1.0, 2.0])


async def test_the_log_tells_of_a_death_with_a_number_and_the_traceback(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.supervisor.keep("watch", dying(RuntimeError("the bug")))
    await bench.rests()
    [record] = [each for each in caplog.records if each.levelno == logging.ERROR]
    found = re.fullmatch(r"task died \| task=watch incident=([0-9a-f]{8}) the bug", record.getMessage())
    assert found is not None and record.exc_info
    assert bench.supervisor.dead()[0].incident == found[1]


async def test_what_is_foreseen_is_a_line_without_a_traceback(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.supervisor.keep("settle", dying(StorageError("the disk is full")))
    await bench.rests()
    [record] = caplog.records
    assert (record.levelno, record.exc_info) == (logging.WARNING, None)
    assert "the disk is full" in record.getMessage()


async def test_whoever_looks_in_sees_what_is_dead_and_when_it_comes_back(bench: Bench) -> None:
    bench.supervisor.keep("watch", dying(RuntimeError("password")))
    bench.supervisor.keep("names", dying())
    await bench.rests()
    bench.now += 0.25
    [dead] = bench.supervisor.dead()
    assert (dead.task, dead.why, dead.seconds) == ("watch", "RuntimeError", 0.75)
    bench.go_on()
    async with asyncio.timeout(30):
        await bench.restarted.wait()
    assert (bench.restarts, bench.supervisor.dead()) == (["watch"], [])


async def test_what_returns_is_done(bench: Bench) -> None:
    ran = list[None]()

    async def once() -> None:
        ran.append(None)

    bench.supervisor.keep("rules", once)
    await asyncio.wait(bench.supervisor._tasks, timeout=30)
    assert (ran, bench.pauses) == ([None], [])


async def test_a_cancellation_meant_for_somebody_else_is_a_death_like_others(bench: Bench) -> None:
    async def awaits_what_was_cancelled() -> None:
        other = asyncio.ensure_future(asyncio.Event().wait())
        other.cancel()
        await other

    bench.supervisor.keep("checks", awaits_what_was_cancelled)
    await bench.rests()
    assert bench.supervisor.dead()[0].why == "CancelledError"


async def test_what_runs_once_is_not_begun_again(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.supervisor.once("landed", dying(RuntimeError("the bug")))
    await asyncio.wait(bench.supervisor._tasks, timeout=30)
    assert "task died | task=landed incident=" in caplog.text
    assert (bench.pauses, bench.supervisor.dead()) == ([], [])


async def test_after_the_stop_nothing_runs_and_nothing_begins(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.supervisor.keep("watch", dying(RuntimeError("dead already")))
    bench.supervisor.keep("names", dying())
    await bench.rests()
    caplog.clear()
    await bench.supervisor.stop()
    bench.supervisor.once("landed", dying(RuntimeError("too late")))
    await asyncio.sleep(0)
    assert (bench.supervisor._tasks, caplog.records) == (set(), [])
