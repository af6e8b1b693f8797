"""Lines of the log that anybody outside can cause."""

from __future__ import annotations

import asyncio
import logging

import pytest

from bot.folded import Folded
from tests.fakes import FakeClock

log = logging.getLogger("kfbot.test.folded")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(100.0)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == log.name]


async def test_the_first_are_written_and_the_others_counted(caplog: pytest.LogCaptureFixture, clock: FakeClock) -> None:
    folded = Folded(log, "bad ones", most=2, clock=clock.now)
    for number in range(1000):
        folded.warning("bad one | %d", number)
    assert lines(caplog) == ["bad one | 0", "bad one | 1"]
    clock.move(60)
    folded.warning("bad one | %s", "later")
    assert lines(caplog)[2:] == ["bad ones | 998 more like these within 60 s", "bad one | later"]


async def test_the_number_comes_although_nothing_more_happens(
    caplog: pytest.LogCaptureFixture, clock: FakeClock
) -> None:
    folded = Folded(log, "bad ones", most=1, within=0.01, clock=clock.now)
    for number in range(4):
        folded.warning("bad one | %d", number)
    async with asyncio.timeout(30):
        while len(lines(caplog)) < 2:  # noqa: ASYNC110  the log tells nobody
            await asyncio.sleep(0.01)
    assert lines(caplog) == ["bad one | 0", "bad ones | 3 more like these within 0 s"]


async def test_seldom_ones_are_all_written(caplog: pytest.LogCaptureFixture, clock: FakeClock) -> None:
    folded = Folded(log, "bad ones", most=1, clock=clock.now)
    for number in range(3):
        folded.warning("bad one | %d", number)
        clock.move(61)
    assert len(lines(caplog)) == 3
