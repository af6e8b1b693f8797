"""Working hours: what a clock counts, when it is reached, and how hours are written."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise
from math import inf
from unittest.mock import patch
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bot.hours import ALWAYS, DAYS, Hours, Window, parse_holiday, parse_hours, parse_zone

H, DAY = 3600.0, 86400.0
ZONES = ("UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo")
OFFICE = parse_hours("Mon-Fri 09:00-18:00 Asia/Shanghai")


def at(text: str, zone: str = "Asia/Shanghai") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


# -- 2026-11-16 is a Monday


@pytest.mark.parametrize(
    ("since", "until", "hours"),
    [
        ("2026-11-16 09:00", "2026-11-16 18:00", 9),
        ("2026-11-16 08:00", "2026-11-16 10:00", 1),
        ("2026-11-16 17:30", "2026-11-17 09:30", 1),
        ("2026-11-20 17:00", "2026-11-23 10:00", 2),  # over a weekend
        ("2026-11-21 10:00", "2026-11-22 10:00", 0),
        ("2026-11-16 00:00", "2026-11-30 00:00", 90),
        ("2026-11-16 12:00", "2026-11-16 12:00", 0),
        ("2026-11-16 12:00", "2026-11-16 11:00", 0),
    ],
)
def test_only_time_within_hours_counts(since: str, until: str, hours: float) -> None:
    assert OFFICE.worked(at(since), at(until)) == hours * H


@pytest.mark.parametrize(
    ("since", "hours", "when"),
    [
        ("2026-11-16 10:00", 1, "2026-11-16 11:00"),
        ("2026-11-16 17:00", 1, "2026-11-16 18:00"),
        ("2026-11-16 17:00", 2, "2026-11-17 10:00"),
        ("2026-11-20 17:30", 1, "2026-11-23 09:30"),
        ("2026-11-16 10:00", 0, "2026-11-16 10:00"),
        ("2026-11-16 18:00", 0, "2026-11-17 09:00"),
        ("2026-11-16 09:00", 45, "2026-11-20 18:00"),
    ],
)
def test_a_clock_that_stops_outside_hours(since: str, hours: float, when: str) -> None:
    assert OFFICE.reached(at(since), hours * H) == at(when)


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-11-16 08:59", "2026-11-16 09:00"),
        ("2026-11-16 09:00", "2026-11-16 09:00"),
        ("2026-11-16 17:59", "2026-11-16 17:59"),
        ("2026-11-16 18:00", "2026-11-17 09:00"),
        ("2026-11-20 18:00", "2026-11-23 09:00"),
    ],
)
def test_when_it_opens(now: str, opens: str) -> None:
    assert OFFICE.opens(at(now)) == at(opens)
    assert OFFICE.is_open(at(now)) == (now == opens)


def test_without_windows_it_is_always_open() -> None:
    assert (ALWAYS.worked(5.0, 9.0), ALWAYS.worked(9.0, 5.0)) == (4.0, 0.0)
    assert (ALWAYS.reached(5.0, 4.0), ALWAYS.opens(5.0), ALWAYS.is_open(5.0)) == (9.0, 5.0, True)


def test_hours_that_never_come() -> None:
    never = Hours((Window(frozenset(), datetime.min.time(), datetime.max.time()),))
    assert (never.reached(0.0, 1.0), never.opens(0.0), never.is_open(0.0)) == (inf, inf, False)
    assert never.worked(0.0, 1e9) == 0.0


# -- windows


def test_windows_past_midnight_belong_to_the_day_they_begin_on() -> None:
    night = parse_hours("Mon 22:00-06:00 Asia/Shanghai")
    assert night.worked(at("2026-11-16 00:00"), at("2026-11-18 00:00")) == 8 * H
    assert night.is_open(at("2026-11-17 05:59")) and not night.is_open(at("2026-11-16 05:59"))


def test_a_whole_day_ends_at_24() -> None:
    sunday = parse_hours("Sun 00:00-24:00 UTC")
    assert sunday.worked(at("2026-11-16 00:00", "UTC"), at("2026-11-30 00:00", "UTC")) == 2 * DAY
    assert sunday.opens(at("2026-11-23 00:00", "UTC")) == at("2026-11-29 00:00", "UTC")


@pytest.mark.parametrize(
    "written",
    [
        "Mon-Sun 09:00-12:00;Mon-Sun 13:00-18:00",
        "Mon-Sun 13:00-18:00 ; Mon-Sun 09:00-12:00",
        "Mon-Wed 09:00-12:00; Thu-Sun,Mon 09:00-12:00; Sat-Fri 13:00-18:00; Tue 10:00-11:00",
        "Mon-Sun 09:00-11:00; Mon-Sun 10:00-12:00; Mon-Sun 09:00-10:00; Mon-Sun 13:00-14:00; Mon-Sun 14:00-18:00",
    ],
)
def test_several_windows_and_no_moment_counts_twice(written: str) -> None:
    hours = parse_hours(f"{written} Asia/Shanghai")
    assert hours.worked(at("2026-11-16 00:00"), at("2026-11-23 00:00")) == 7 * 8 * H
    assert hours.reached(at("2026-11-16 11:00"), 2 * H) == at("2026-11-16 14:00")


def test_a_night_and_the_morning_it_overlaps() -> None:
    hours = parse_hours("Mon-Sun 22:00-10:00; Mon-Sun 09:00-12:00 Asia/Shanghai")
    assert hours.worked(at("2026-11-16 09:30"), at("2026-11-16 23:00")) == 3.5 * H


def test_days_wrap_around_the_week() -> None:
    assert parse_hours("Sat-Mon 09:00-10:00 UTC").windows[0].days == {5, 6, 0}
    assert parse_hours("Mon-Fri,Sun 09:00-10:00 UTC").windows[0].days == {0, 1, 2, 3, 4, 6}


# -- holidays


def test_nothing_begins_on_a_holiday() -> None:
    hours = parse_hours("Mon-Fri 09:00-18:00 Asia/Shanghai", parse_holiday("2026-10-01..2026-10-07"))
    assert hours.reached(at("2026-09-30 17:00"), 2 * H) == at("2026-10-08 10:00")
    assert hours.opens(at("2026-10-03 10:00")) == at("2026-10-08 09:00")


def test_a_night_shift_stops_where_a_holiday_begins() -> None:
    hours = parse_hours("Mon-Sun 22:00-06:00 Asia/Shanghai", [date(2026, 11, 17)])
    assert hours.worked(at("2026-11-16 21:00"), at("2026-11-18 21:00")) == 2 * H


def test_holidays_are_days_of_the_zone() -> None:
    hours = parse_hours("Mon-Sun 00:00-24:00 Asia/Shanghai", [date(2026, 11, 17)])
    assert hours.opens(at("2026-11-16 16:00", "UTC")) == at("2026-11-17 16:00", "UTC")


# -- days on which the clocks change: Berlin skips 02:00-03:00 on 2026-03-29, and has it twice on 2026-10-25


@pytest.mark.parametrize(
    ("window", "march", "october"),
    [
        ("00:00-24:00", 23, 25),
        ("01:00-04:00", 2, 4),
        ("02:30-04:00", 1, 2.5),  # from the moment of the skip; from the first of two half past two
        ("02:30-03:00", 0, 1.5),
        ("02:15-02:45", 0, 0.5),
        ("09:00-18:00", 9, 9),
        ("22:00-06:00", 15, 17),  # the night before reaches in
    ],
)
def test_days_on_which_the_clocks_change(window: str, march: float, october: float) -> None:
    hours = parse_hours(f"Mon-Sun {window} Europe/Berlin")
    for day, expected in (("2026-03-29", march), ("2026-10-25", october)):
        morning = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("Europe/Berlin"))
        since, until = morning.timestamp(), (morning + timedelta(days=1)).timestamp()
        if window == "22:00-06:00":
            since -= 2 * H
            until += 6 * H
        assert hours.worked(since, until) == expected * H, day


def test_windows_that_tile_a_day_tile_every_day() -> None:
    hours = parse_hours("Mon-Sun 00:00-02:30; Mon-Sun 02:30-24:00 Europe/Berlin")
    since = at("2026-03-01", "Europe/Berlin")
    assert hours.worked(since, since + 300 * DAY) == 300 * DAY


def test_a_window_that_was_skipped_does_not_open() -> None:
    hours = parse_hours("Mon-Sun 02:15-02:45 Europe/Berlin")
    assert hours.opens(at("2026-03-28 12:00", "Europe/Berlin")) == at("2026-03-30 02:15", "Europe/Berlin")


def test_a_day_that_was_skipped_whole() -> None:
    hours = parse_hours("Fri 09:00-17:00 Pacific/Apia")
    assert hours.opens(at("2011-12-29 12:00", "Pacific/Apia")) == at("2012-01-06 09:00", "Pacific/Apia")


# -- laws

_clocks = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
_days = st.lists(st.sampled_from(DAYS), min_size=1, max_size=3).map(",".join)
_windows = st.builds("{} {}-{}".format, _days, _clocks, _clocks | st.just("24:00"))
_written = st.builds("{} {}".format, st.lists(_windows, min_size=1, max_size=3).map(";".join), st.sampled_from(ZONES))
_moments = st.integers(int(at("2026-01-01")), int(at("2027-06-01"))).map(float)
_amounts = st.integers(0, int(10 * DAY)).map(float)
_holidays = st.frozensets(st.integers(0, 500).map(lambda n: date(2026, 1, 1) + timedelta(days=n)), max_size=20)


@st.composite
def _some_hours(draw: st.DrawFn) -> Hours:
    try:
        return parse_hours(draw(_written), draw(_holidays))
    except ValueError:
        assume(False)
        raise


@given(_some_hours(), _moments, _amounts)
def test_what_is_reached_has_been_worked(hours: Hours, since: float, seconds: float) -> None:
    when = hours.reached(since, seconds)
    assert hours.worked(since, when) == seconds
    assert seconds == 0 or hours.worked(since, when - 1) == seconds - 1


@given(_some_hours(), st.lists(_moments, min_size=3, max_size=3).map(sorted))
def test_worked_adds_up_and_never_exceeds_time(hours: Hours, moments: list[float]) -> None:
    first, middle, last = moments
    assert hours.worked(first, last) == hours.worked(first, middle) + hours.worked(middle, last)
    assert 0 <= hours.worked(first, last) <= last - first


@given(_some_hours(), _moments, st.lists(_amounts, min_size=2, max_size=5).map(sorted))
def test_reached_never_goes_back(hours: Hours, since: float, amounts: list[float]) -> None:
    reached = [hours.reached(since, each) for each in amounts]
    assert all(earlier <= later for earlier, later in pairwise(reached))
    assert hours.reached(since, amounts[0]) <= hours.reached(since + H, amounts[0])


@given(_some_hours(), _moments)
def test_it_is_open_just_when_a_second_can_be_worked(hours: Hours, now: float) -> None:
    assert hours.is_open(now) == (hours.worked(now, now + 1) == 1)
    assert hours.is_open(hours.opens(now))
    assert hours.worked(now, hours.opens(now)) == 0


def test_looking_ahead_stops_at_what_was_asked() -> None:
    with patch.object(Hours, "_windows_of", autospec=True, side_effect=Hours._windows_of) as looked:
        OFFICE.reached(at("2026-11-16 10:00"), 300.0)
        OFFICE.worked(at("2026-11-16 10:00"), at("2026-11-16 11:00"))
    assert looked.call_count <= 6


# -- as they are written


@pytest.mark.parametrize("written", ["", "  "])
def test_nothing_written_is_always(written: str) -> None:
    assert parse_hours(written, [date(2026, 10, 1)]) == ALWAYS


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("always", "must look like"),
        ("Mon-Fri 09:00-18:00", "must look like"),
        ("Mon-Fri 9:00-18:00 UTC", '"Mon-Fri 9:00-18:00" must look like'),
        ("Mon-Fry 09:00-18:00 UTC", "must look like"),
        ("Mon-Fri 09:00-18:00; UTC", '"" must look like'),
        ("Mon 09:00-18:00 UTC; Tue 09:00-18:00 UTC", '"Mon 09:00-18:00 UTC" must look like'),
        ("Mon ٠٩:٠٠-18:00 UTC", "must look like"),
        ("Mon 09:00-29:00 UTC", "29:00 is no time of day"),
        ("Mon 09:60-18:00 UTC", "09:60 is no time of day"),
        ("Mon 24:00-06:00 UTC", "24:00 is no time of day"),
        ("Mon 09:00-24:01 UTC", "24:01 is no time of day"),
        ("Mon 00:00-00:00 UTC", "a whole day is 00:00-24:00"),
        ("Mon 09:00-18:00 Mars/Olympus", "unknown time zone Mars/Olympus"),
        ("Mon 09:00-18:00 Asia", "unknown time zone Asia"),
        ("Mon 09:00-18:00 Asia/../UTC", "unknown time zone"),
    ],
)
def test_what_is_no_hours(written: str, says: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_hours(written)
    assert says in str(refused.value)


def test_holidays_are_dates_or_ranges_of_them() -> None:
    assert parse_holiday("2026-10-01") == (date(2026, 10, 1),)
    assert parse_holiday(" 2026-12-31..2027-01-02 ") == (date(2026, 12, 31), date(2027, 1, 1), date(2027, 1, 2))


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("10-01", "write a date like 2026-10-01"),
        ("20261001", "write a date like"),
        ("2026-10-01..", "write a date like"),
        ("2026-02-30", "there is no day 2026-02-30"),
        ("2026-10-07..2026-10-01", "first day first"),
        ("2026-10-01..9999-10-07", "at most 366 days"),
    ],
)
def test_what_is_no_holiday(written: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_holiday(written)


def test_zones_have_iana_names() -> None:
    assert parse_zone("Asia/Shanghai") == ZoneInfo("Asia/Shanghai")
    with pytest.raises(ValueError, match="unknown time zone CST8; write one like Asia/Shanghai"):
        parse_zone("CST8")
