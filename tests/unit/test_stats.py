"""Numbers of handoffs that ended: counts, times of waiting and length, who ended them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.model import HandoffStatus, OperatorType, Via
from bot.stats import EndedRow, Longest, Numbers, OpenNow, OpenRow, Spread, add_up, open_now, spread

NOON = 1_795_000_000.0
USER, AGENT, SYSTEM = OperatorType
ENDED = EndedRow(
    id=1,
    external_userid="wmAnn",
    servicer_userid="LiNa",
    status=HandoffStatus.COMPLETED,
    requested_at=NOON - 700,
    accepted_at=NOON - 600,
    replied_at=NOON - 580,
    completed_at=NOON,
    ended_by=AGENT,
    via=Via.BUTTON,
    operator_id="ChenJing",
    previous_id=None,
)


def test_nothing_adds_up_to_nothing() -> None:
    assert add_up([]) == Numbers()


def test_one_handoff_in_numbers() -> None:
    assert add_up([ENDED]) == Numbers(
        handled=1,
        ways={(AGENT, "button"): 1},
        enders={"ChenJing": 1},
        wait=Spread(120.0, 120.0),
        length=Spread(600.0, 600.0),
        longest=Longest(1, "wmAnn", 600.0),
        servicers={"LiNa": 1},
    )


def test_what_was_cancelled_in_the_queue_counts_for_nothing_else() -> None:
    assert add_up([ENDED._replace(status=HandoffStatus.CANCELLED)]) == Numbers(cancelled=1)


def test_ends_are_counted_by_who_and_which_way() -> None:
    rows = [
        ENDED,
        ENDED._replace(ended_by=USER, via=Via.CHAT, operator_id="wmAnn"),
        ENDED._replace(ended_by=USER, via=Via.API, operator_id="wmAnn"),
        ENDED._replace(ended_by=SYSTEM, via=Via.EXPIRED, operator_id=None),
        ENDED._replace(via=Via.ELSEWHERE, operator_id=None),
    ]
    numbers = add_up(rows)
    assert [numbers.ended_by(who) for who in OperatorType] == [2, 2, 1]
    assert numbers.ways[USER, "chat"] == numbers.ways[USER, "api"] == numbers.ways[AGENT, "elsewhere"] == 1
    assert numbers.enders == {"ChenJing": 1}


def test_only_customers_who_got_an_answer_have_waited_for_one() -> None:
    assert add_up([ENDED._replace(replied_at=None)]).wait is None


def test_nobody_waited_for_a_servicer_who_wrote_again_by_himself() -> None:
    assert add_up([ENDED._replace(previous_id=7)]).wait is None


def test_without_an_acceptance_the_length_counts_from_the_request() -> None:
    assert add_up([ENDED._replace(accepted_at=None)]).length == Spread(700.0, 700.0)


def test_clocks_that_disagree_make_no_negative_times() -> None:
    row = ENDED._replace(accepted_at=NOON + 1, replied_at=NOON - 701)
    numbers = add_up([row])
    assert (numbers.wait, numbers.length) == (Spread(0.0, 0.0), Spread(0.0, 0.0))


def test_the_longest_is_named() -> None:
    long = ENDED._replace(id=2, external_userid="wmBob", accepted_at=NOON - 9000)
    assert add_up([ENDED, long, ENDED]).longest == Longest(2, "wmBob", 9000.0)


def test_each_day_has_its_own_count_and_begins_with_its_first_moment() -> None:
    days = (NOON, NOON + 100, NOON + 200)
    ends = (NOON - 1, NOON, NOON + 99.9, NOON + 100, NOON + 5000)
    assert add_up([ENDED._replace(completed_at=at) for at in ends], days).per_day == (2, 1, 1)


@pytest.mark.parametrize(
    ("seconds", "median", "p90"),
    [
        ([5.0], 5.0, 5.0),
        ([60.0, 120.0], 90.0, 120.0),
        ([3.0, 1.0, 2.0], 2.0, 3.0),
        ([float(n) for n in range(1, 11)], 5.5, 9.0),
        ([float(n) for n in range(1, 101)], 50.5, 90.0),
    ],
)
def test_median_and_ninetieth_percentile(seconds: list[float], median: float, p90: float) -> None:
    assert spread(seconds) == Spread(median, p90)


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_nine_in_ten_are_within_the_ninetieth_percentile(seconds: list[float]) -> None:
    found = spread(seconds)
    assert found is not None
    assert found.p90 in seconds and found.median <= found.p90
    assert sum(each <= found.p90 for each in seconds) >= 0.9 * len(seconds)


def test_what_is_open_now() -> None:
    rows = [
        OpenRow("PENDING", None, 3, 2),
        OpenRow("ACCEPTED", "LiNa", 2, 2),
        OpenRow("IN_PROGRESS", "LiNa", 1, 0),
        OpenRow("IN_PROGRESS", None, 1, 0),
    ]
    assert open_now(rows) == OpenNow(queued=3, human=4, waiting=4, loads={"LiNa": 3})
