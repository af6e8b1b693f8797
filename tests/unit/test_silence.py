"""Callbacks are missed only where polls find again and again what they should have announced."""

from __future__ import annotations

import pytest

from bot.silence import Silence

POLL = 300.0
START = 1_700_000_000.0


@pytest.fixture
def silence() -> Silence:
    return Silence(POLL, START)


def test_a_long_silence_without_finds_is_peace(silence: Silence) -> None:
    assert not silence.problem(START + 100 * POLL)


def test_finds_without_any_callback_are_a_problem_after_three_polls(silence: Silence) -> None:
    for number in (1, 2):
        silence.found(START + number * POLL)
    assert not silence.problem(START + 3 * POLL)
    assert silence.problem(START + 3 * POLL + 1)


def test_one_find_may_be_an_accident(silence: Silence) -> None:
    silence.found(START + POLL)
    assert not silence.problem(START + 100 * POLL)


def test_finds_of_one_poll_count_once(silence: Silence) -> None:
    for second in range(5):
        silence.found(START + POLL + second)
    assert not silence.problem(START + 4 * POLL)
    silence.found(START + 4 * POLL)
    assert silence.problem(START + 4 * POLL)


def test_a_first_find_counts_at_once(silence: Silence) -> None:
    silence.found(START)
    silence.found(START + 5 * POLL)
    assert silence.problem(START + 5 * POLL)


def test_the_next_callback_ends_it_and_what_was_found_before_is_forgotten(silence: Silence) -> None:
    for number in (1, 2, 3, 4):
        silence.found(START + number * POLL)
    now = START + 4 * POLL
    assert silence.problem(now)
    silence.callback(now)
    assert not silence.problem(now)
    silence.found(now + POLL)
    assert not silence.problem(now + 50 * POLL)
    silence.found(now + 50 * POLL)
    assert silence.problem(now + 50 * POLL)


def test_callbacks_that_come_now_and_then_are_no_silence(silence: Silence) -> None:
    for number in range(1, 40):
        now = START + number * POLL
        if number % 3 == 0:
            silence.callback(now)
        silence.found(now)
        assert not silence.problem(now)


def test_how_long_it_has_lasted_is_counted_from_the_last_callback(silence: Silence) -> None:
    assert silence.lasted(START + 9) == 9
    silence.callback(START + 10)
    assert silence.lasted(START + 12) == 2
