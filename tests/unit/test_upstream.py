"""WeCom is down when what alerts stand on has not been had for a while."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from bot.upstream import BAD, GETTOKEN, IN_A_ROW, LASTING, STATE_GET, SYNC_MSG, WATCHED, Upstream


@dataclass
class Line:
    """Calls to WeCom in moved time."""

    time: float = 1000.0

    def __post_init__(self) -> None:
        self.upstream = Upstream(lambda: self.time)

    def call(self, outcome: str, seconds: float = 0.0, endpoint: str = STATE_GET) -> None:
        self.time += seconds
        self.upstream.observe(endpoint, outcome, seconds)

    def fail(self, times: int = IN_A_ROW, apart: float = LASTING, endpoint: str = STATE_GET) -> None:
        for _ in range(times):
            self.call("unavailable", endpoint=endpoint)
            self.time += apart


def test_before_the_first_call_nothing_is_known() -> None:
    assert not Line().upstream.down and not Line().upstream.up


@pytest.mark.parametrize("outcome", sorted(BAD))
def test_some_failures_in_a_row_over_some_seconds_are_an_outage(outcome: str) -> None:
    line = Line()
    for _ in range(IN_A_ROW):
        line.call(outcome, LASTING)
    assert line.upstream.down and not line.upstream.up


def test_one_hiccup_with_its_repetitions_is_not() -> None:
    line = Line()
    line.fail(times=10, apart=LASTING / 20)
    assert not line.upstream.down and not line.upstream.up


def test_nor_are_a_few_slow_ones() -> None:
    line = Line()
    line.fail(times=IN_A_ROW - 1, apart=60.0)
    assert not line.upstream.down


def test_the_time_that_was_waited_for_the_first_counts() -> None:
    line = Line()
    line.call("unavailable", LASTING)
    line.call("unavailable")
    assert not line.upstream.down
    line.call("unavailable")
    assert line.upstream.down


@pytest.mark.parametrize("endpoint", sorted(WATCHED))
def test_each_of_the_three_is_needed_and_none_makes_up_for_another(endpoint: str) -> None:
    line = Line()
    line.fail(endpoint=endpoint)
    for other in WATCHED.keys() - {endpoint}:
        line.call("ok", endpoint=other)
    assert line.upstream.down and line.upstream.failing(endpoint) and not line.upstream.up


@pytest.mark.parametrize("outcome", ["ok", "95013", "95016", "40096", "95004"])
def test_any_answer_about_a_session_shows_that_wecom_is_there(outcome: str) -> None:
    line = Line()
    line.fail()
    line.call(outcome)
    assert line.upstream.up and not line.upstream.down


def test_calls_that_nobody_waited_for_say_nothing() -> None:
    line = Line()
    line.fail()
    line.call("cancelled")
    assert line.upstream.down


def test_other_calls_are_not_what_alerts_stand_on() -> None:
    line = Line()
    line.fail(endpoint="/cgi-bin/kf/customer/batchget")
    assert not line.upstream.down


@pytest.mark.parametrize("outcome", ["45009", "blocked"])
def test_the_limit_of_calls_without_a_token_is_no_outage_and_no_sign_of_life(outcome: str) -> None:
    line = Line()
    for _ in range(2 * IN_A_ROW):
        line.call(outcome, LASTING, SYNC_MSG)
    assert not line.upstream.down and not line.upstream.up
    line.fail(endpoint=SYNC_MSG)
    line.call(outcome, endpoint=SYNC_MSG)
    assert line.upstream.down


def test_what_nothing_depends_on_any_more_is_forgotten() -> None:
    line = Line()
    line.call("ok", endpoint=GETTOKEN)
    line.fail()
    line.upstream.forget(STATE_GET)
    assert line.upstream.up
