"""What the log says of a loop that stands still, and when the process ends for it. Time is moved, but in the last
tests, where the thread is a real one."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

import pytest

from bot.watchdog import DEADLY, EVERY, STALL, STUCK, Watchdog


class Kennel:
    def __init__(self) -> None:
        self.now = 5000.0
        self.left, self.stalls = list[int](), 0
        self.dog = Watchdog(self._count, clock=lambda: self.now, frames=_here, leave=self.left.append)
        self.dog._thread_of_loop = threading.get_ident()
        self.dog.look()

    def _count(self) -> None:
        self.stalls += 1

    def still_for(self, seconds: float) -> None:
        for _ in range(round(seconds / EVERY)):
            self.now += EVERY
            self.dog.look()

    def turns_for(self, seconds: float) -> None:
        for _ in range(round(seconds / EVERY)):
            self.now += EVERY
            self.dog.beat()
            self.dog.look()


def _here() -> Mapping[int, FrameType]:
    return sys._current_frames()


@pytest.fixture
def kennel() -> Kennel:
    return Kennel()


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_loop_that_turns_is_nothing_to_tell_of(kennel: Kennel, caplog: pytest.LogCaptureFixture) -> None:
    kennel.turns_for(10 * DEADLY)
    assert (said(caplog), kennel.left, kennel.stalls, kennel.dog.last) == ([], [], 0, None)


def test_a_stall_is_told_of_once_with_the_place(kennel: Kennel, caplog: pytest.LogCaptureFixture) -> None:
    kennel.turns_for(2)
    kennel.still_for(STALL - EVERY)
    assert said(caplog) == []
    kennel.still_for(20)
    [line] = said(caplog)
    assert line.startswith("the event loop stands still | for 5.0 s at ")
    assert "test_watchdog.py" in line
    assert "still_for < " in line
    assert "\n" not in line


def test_its_end_is_told_counted_and_remembered(kennel: Kennel, caplog: pytest.LogCaptureFixture) -> None:
    kennel.turns_for(2)
    kennel.still_for(12)
    kennel.turns_for(3)
    assert said(caplog)[1:] == [f"the event loop turns again | stood still for {12 + EVERY:.1f} s"]
    assert kennel.stalls == 1
    assert kennel.dog.last is not None and kennel.dog.last.seconds == 12 + EVERY
    assert kennel.dog.ago() == 3 - EVERY


def test_the_next_stall_is_told_of_again(kennel: Kennel, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        kennel.still_for(STALL)
        kennel.turns_for(1)
    assert len([line for line in said(caplog) if "stands still" in line]) == 2
    assert kennel.stalls == 2


def test_a_loop_that_is_stuck_ends_the_process(kennel: Kennel, caplog: pytest.LogCaptureFixture) -> None:
    kennel.still_for(DEADLY - EVERY)
    assert kennel.left == []
    kennel.still_for(EVERY)
    assert kennel.left == [STUCK]
    assert "stuck" in said(caplog)[-1]


@pytest.mark.parametrize("hours", [0.1, 9])
def test_a_machine_that_slept_or_a_halted_process_is_not_stuck(
    kennel: Kennel, hours: float, caplog: pytest.LogCaptureFixture
) -> None:
    kennel.turns_for(2)
    kennel.now += hours * 3600
    kennel.dog.look()
    kennel.turns_for(2)
    assert kennel.left == []
    assert [line for line in said(caplog) if "stands still" in line] == []


def test_what_does_not_end_when_asked_to_is_left_behind(kennel: Kennel) -> None:
    kennel.dog.leave_within(9)
    kennel.turns_for(8.5)
    assert kennel.left == []
    kennel.still_for(0.5)
    assert kennel.left == [0]


def _code_of(script: str) -> tuple[int, str]:
    """Of a process that would go on for an hour."""
    head = "import asyncio, logging, time\nfrom bot import watchdog\nlogging.basicConfig()\nwatchdog.DEADLY = 1.0\n"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", head + script], cwd=root, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stderr


def test_a_process_whose_loop_is_stuck_ends_with_a_code_of_its_own() -> None:
    code, said = _code_of("""
async def main():
    watchdog.Watchdog(lambda: None).start()
    time.sleep(3600)

asyncio.run(main())
""")
    assert code == STUCK
    assert "the event loop is stuck, this process ends | for 1" in said
    assert " main < " in said


def test_a_thread_that_never_ends_does_not_hold_up_the_end() -> None:
    """As one that asks for a name no server answers."""
    code, said = _code_of("""
async def main():
    dog = watchdog.Watchdog(lambda: None)
    dog.start()
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)
    dog.leave_within(0.5)

asyncio.run(main())
""")
    assert code == 0
    assert "something does not end, left behind" in said
