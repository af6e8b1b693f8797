"""Local days, what they are compared with, and when the daily report is due."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from bot import period
from bot.period import Kind

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")


def at(text: str, zone: ZoneInfo = SHANGHAI) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def test_today_begins_at_local_midnight_and_is_compared_with_yesterday_until_now() -> None:
    today = period.today(at("2026-11-20 15:04"), SHANGHAI)
    assert (today.kind, today.now, today.since) == (Kind.TODAY, at("2026-11-20 15:04"), at("2026-11-20"))
    assert (today.compared_since, today.compared_until) == (at("2026-11-19"), at("2026-11-19 15:04"))


def test_what_ends_in_the_very_moment_counts_and_so_does_what_wecoms_faster_clock_says() -> None:
    now = at("2026-11-20 15:04")
    assert period.today(now, SHANGHAI).until > now + 3600
    assert period.week(now, SHANGHAI).until > now + 3600


def test_a_week_is_seven_local_days_with_today() -> None:
    week = period.week(at("2026-11-20 15:04"), SHANGHAI)
    assert week.days == tuple(at(f"2026-11-{day}") for day in range(14, 21))
    assert (week.now, week.since, week.until) == (at("2026-11-20 15:04"), at("2026-11-14"), at("2026-11-21"))
    assert (week.compared_since, week.compared_until) == (at("2026-11-07"), at("2026-11-13 15:04"))


def test_days_are_local_days_also_when_the_clocks_change() -> None:
    week = period.week(at("2026-10-28 12:00", BERLIN), BERLIN)
    lengths = [later - earlier for earlier, later in zip(week.days, week.days[1:], strict=False)]
    assert lengths == [86400, 86400, 86400, 90000, 86400, 86400]


def test_daily_reports_follow_each_other_without_a_gap() -> None:
    first, second = (period.daily(at(f"2026-11-{day} 18:00"), SHANGHAI) for day in (19, 20))
    assert second.since == first.until == second.compared_until
    assert second.compared_since == first.since


@pytest.mark.parametrize(
    ("now", "slot"),
    [
        ("2026-11-20 17:59:59", None),
        ("2026-11-20 18:00:00", "2026-11-20 18:00"),
        ("2026-11-20 18:14:59", "2026-11-20 18:00"),
        ("2026-11-20 18:15:00", None),
    ],
)
def test_a_report_is_due_for_a_quarter_of_an_hour(now: str, slot: str | None) -> None:
    assert period.due("18:00", at(now), SHANGHAI) == (None if slot is None else at(slot))


def test_a_late_report_is_due_after_midnight_too() -> None:
    assert period.due("23:55", at("2026-11-21 00:05"), SHANGHAI) == at("2026-11-20 23:55")


def test_without_a_time_no_report_is_ever_due() -> None:
    assert period.due("", at("2026-11-20 18:00"), SHANGHAI) is None


def test_without_a_zone_the_machines_is_meant() -> None:
    now = at("2026-11-20 15:04")
    today = period.today(now, None)
    assert datetime.fromtimestamp(today.since).time().isoformat() == "00:00:00"  # noqa: DTZ006
    assert 0 <= now - today.since < 90000
