"""The sandbox's time: continuous whatever its speed, and ahead by leaps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sandbox.clock import Clock

from .conftest import StillClock

MOVES = st.lists(st.tuples(st.floats(1, 600), st.floats(0, 3600)), max_size=20)


def test_it_goes_as_its_base_goes() -> None:
    base = StillClock()
    clock = Clock(base)
    base.time += 5
    assert (clock.now(), clock.moved) == (base.time, False)


def test_it_runs_faster_from_where_it_is() -> None:
    base = StillClock()
    clock, began = Clock(base), base.time
    base.time += 10
    clock.run(60)
    assert (clock.now(), clock.moved) == (began + 10, True)
    base.time += 2
    assert clock.now() == began + 10 + 120
    clock.run(1)
    base.time += 3
    assert clock.now() == began + 10 + 120 + 3
    assert clock.moved


def test_a_leap_comes_on_top() -> None:
    base = StillClock()
    clock, began = Clock(base), base.time
    clock.run(10)
    clock.advance(300)
    base.time += 1
    assert clock.now() == began + 300 + 10


@given(MOVES)
def test_it_is_continuous_and_never_goes_back(moves: list[tuple[float, float]]) -> None:
    base = StillClock()
    clock = Clock(base)
    for factor, seconds in moves:
        before = clock.now()
        clock.run(factor)
        assert clock.now() == pytest.approx(before, rel=0, abs=1e-3)
        base.time += seconds
        assert clock.now() >= before
        assert clock.now() == pytest.approx(before + seconds * factor, rel=0, abs=1e-3)


@pytest.mark.parametrize("factor", [0, 0.5, -1, 600.1, float("nan"), float("inf")])
def test_speeds_it_does_not_know(factor: float) -> None:
    clock = Clock(StillClock())
    with pytest.raises(ValueError, match="1 to 600"):
        clock.run(factor)
    assert clock.speed == 1


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_leaps_it_does_not_make(seconds: float) -> None:
    with pytest.raises(ValueError, match="only goes forward"):
        Clock(StillClock()).advance(seconds)
