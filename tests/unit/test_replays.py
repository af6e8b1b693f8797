"""Callbacks that come a second time."""

from __future__ import annotations

from bot.replays import Replays


def signature(number: int) -> str:
    return f"{number:040x}"


def test_what_was_handed_on_is_known_while_it_is_fresh() -> None:
    replays = Replays(600.0)
    assert signature(1) not in replays
    replays.remember(signature(1), "1000", 1000.0)
    assert signature(1) in replays and signature(2) not in replays
    replays.remember(signature(2), "1600", 1600.0)
    assert signature(1) in replays, "it would still be taken for fresh"
    replays.remember(signature(3), "1601", 1601.0)
    assert signature(1) not in replays, "it is refused as stale by now"
    assert signature(2) in replays


def test_one_from_the_future_is_known_as_long_as_it_could_be_used() -> None:
    replays = Replays(600.0)
    replays.remember(signature(1), "1500", 1000.0)
    replays.remember(signature(2), "2099", 2099.0)
    assert signature(1) in replays
    replays.remember(signature(3), "2101", 2101.0)
    assert signature(1) not in replays


def test_no_number_of_callbacks_fills_the_memory() -> None:
    replays = Replays(600.0, most=100)
    for number in range(1000):
        replays.remember(signature(number), "1000", 1000.0)
    assert len(replays) == 100
    assert signature(999) in replays and signature(899) not in replays
