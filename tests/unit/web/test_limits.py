"""How often somebody may ask."""

from __future__ import annotations

from bot.web.limits import MOST, Limit
from tests.fakes import FakeClock


def test_a_burst_then_a_steady_rate() -> None:
    clock = FakeClock(0.0)
    limit = Limit(2.0, 4, clock.now)
    assert [limit.take("a") for _ in range(5)] == [0.0, 0.0, 0.0, 0.0, 0.5]
    clock.move(0.5)
    assert [limit.take("a"), limit.take("a")] == [0.0, 0.5]
    assert limit.take("b") == 0.0
    clock.move(3600)
    assert [limit.take("a") for _ in range(5)] == [0.0, 0.0, 0.0, 0.0, 0.5], "rest is not saved up"


def test_refused_ones_cost_nothing() -> None:
    clock = FakeClock(0.0)
    limit = Limit(1.0, 1, clock.now)
    assert limit.take("a") == 0.0
    for _ in range(100):
        assert limit.take("a") == 1.0
    clock.move(1.0)
    assert limit.take("a") == 0.0


def test_a_charge_is_never_more_than_there_is_room_for() -> None:
    clock = FakeClock(0.0)
    limit = Limit(1.0, 10, clock.now)
    for _ in range(5):
        limit.charge("a", 7)
    assert limit.take("a") == 1.0
    clock.move(1.0)
    assert limit.take("a") == 0.0


def test_no_number_of_askers_fills_the_memory() -> None:
    clock = FakeClock(0.0)
    limit = Limit(1.0, 2, clock.now)
    limit.take("busy"), limit.take("busy")
    for number in range(3 * MOST):
        limit.take(number)
    assert len(limit._until) <= MOST + 1
    assert limit.take("busy") > 0, "who has asked most is forgotten last"
    clock.move(10)
    for number in range(MOST):
        limit.take(-number)
    assert len(limit._until) <= MOST + 1
