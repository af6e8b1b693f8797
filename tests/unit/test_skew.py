"""Our clock against WeCom's: asked rarely, at once after a jump, and never the cause of an outage."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from bot.skew import EVERY, JUMP, LIMIT, Skew
from tests.fakes import FakeClock, unavailable


@dataclass
class World:
    """`off`: seconds that our clock is ahead. `answer` False: WeCom does not tell."""

    clock: FakeClock = field(default_factory=FakeClock)
    off: float = 0.0
    answer: bool = True
    broken: bool = False
    asked: int = 0
    steady: float = 50.0

    def __post_init__(self) -> None:
        self.skew = Skew(self._ask, self.clock, lambda: self.steady)

    async def _ask(self) -> float | None:
        self.asked += 1
        if self.broken:
            raise unavailable()
        return self.clock.now() - self.off if self.answer else None

    def pass_by(self, seconds: float) -> None:
        self.steady += seconds
        self.clock.move(seconds)

    def jump(self, seconds: float) -> None:
        """Somebody sets our clock."""
        self.clock.move(seconds)
        self.off += seconds

    async def ahead(self) -> float:
        return await self.skew.ahead()


@pytest.mark.parametrize(
    ("off", "told"),
    [(0, 0), (LIMIT, 0), (-LIMIT, 0), (LIMIT + 1, LIMIT + 1), (-LIMIT - 1, -LIMIT - 1), (86400, 86400)],
)
async def test_more_than_two_minutes_either_way_are_too_much(off: float, told: float) -> None:
    assert await World(off=off).ahead() == pytest.approx(told)


async def test_a_clock_that_keeps_time_is_compared_rarely() -> None:
    world = World()
    for _ in range(100):
        await world.ahead()
        world.pass_by(EVERY / 100)
    assert world.asked == 1
    world.pass_by(1)
    await world.ahead()
    assert world.asked == 2


@pytest.mark.parametrize("seconds", [LIMIT + 60, -LIMIT - 60])
async def test_a_jump_is_noticed_at_once(seconds: float) -> None:
    world = World()
    assert await world.ahead() == 0
    world.jump(seconds)
    world.pass_by(1)
    assert await world.ahead() == pytest.approx(seconds)


async def test_a_small_correction_is_no_jump() -> None:
    world = World()
    await world.ahead()
    world.jump(JUMP - 1)
    await world.ahead()
    assert world.asked == 1


async def test_a_machine_that_slept_is_in_step_again() -> None:
    world = World()
    await world.ahead()
    world.clock.move(7200)  # time went on for both, the monotonic clock stood still
    assert await world.ahead() == 0
    assert world.asked == 2


async def test_while_it_is_off_every_look_asks_so_that_the_end_is_not_missed() -> None:
    world = World(off=600)
    assert await world.ahead() == pytest.approx(600)
    world.jump(-600)
    assert await world.ahead() == 0


async def test_a_wecom_that_does_not_tell_is_trusted() -> None:
    assert await World(off=9999, answer=False).ahead() == 0


async def test_that_they_agree_is_only_said_when_it_is_known() -> None:
    """By a clock in doubt nothing may be deleted."""
    world = World()
    assert await world.skew.agrees()
    world.jump(LIMIT + 60)
    assert not await world.skew.agrees()
    world.jump(-LIMIT - 60)
    assert await world.skew.agrees()
    world.broken = True
    world.pass_by(EVERY + 1)
    assert await world.skew.agrees()  # an outage sets no clock
    world.jump(86400)
    assert not await world.skew.agrees()
    assert not await World(broken=True).skew.agrees()
    assert await World(answer=False).skew.agrees()


async def test_an_outage_leaves_what_was_known() -> None:
    world = World(off=600)
    await world.ahead()
    world.broken = True
    assert await world.ahead() == pytest.approx(600)
    fresh = World(broken=True)
    assert [await fresh.ahead() for _ in range(2)] == [0, 0]
    assert fresh.asked == 2
