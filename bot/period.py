"""Which stretch of time numbers are asked for, in local days, and when the daily report is due. Pure.

A zone of None is the machine's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum

WEEK = 7  # days
LATEST = 900.0  # seconds by which a daily report may be late; after that it waits for tomorrow
_ONE_DAY = timedelta(days=1)


class Kind(StrEnum):
    TODAY = "today"
    WEEK = "week"
    DAILY = "daily"  # the 24 hours up to the report's time, so that no handoff falls between two reports


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` to before `until`, told at `now`: a day has ends of this very moment, and of a WeCom whose clock is
    ahead. `compared_since` … `compared_until`: the like stretch just before, up to the same time of day. `days`: when
    each of its local days begins, for a week only."""

    kind: Kind
    now: float
    since: float
    until: float
    compared_since: float
    compared_until: float
    days: tuple[float, ...] = ()


def today(now: float, zone: tzinfo | None) -> Period:
    """The local day so far, beside yesterday until the same time."""
    day = _local(now, zone).date()
    yesterday, midnight, tomorrow = (_begin(day + shift * _ONE_DAY, zone) for shift in (-1, 0, 1))
    return Period(Kind.TODAY, now, midnight, tomorrow, yesterday, _earlier(now, 1, zone))


def week(now: float, zone: tzinfo | None) -> Period:
    """The last seven local days with today, beside the seven before until the same time."""
    last = _local(now, zone).date()
    days = tuple(_begin(last - timedelta(days=ago), zone) for ago in reversed(range(WEEK)))
    before = _begin(last - timedelta(days=2 * WEEK - 1), zone)
    return Period(Kind.WEEK, now, days[0], _begin(last + _ONE_DAY, zone), before, _earlier(now, WEEK, zone), days)


def daily(slot: float, zone: tzinfo | None) -> Period:
    yesterday = _earlier(slot, 1, zone)
    return Period(Kind.DAILY, slot, yesterday, slot, _earlier(slot, 2, zone), yesterday)


def due(at: str, now: float, zone: tzinfo | None) -> float | None:
    """The report's time, if `now` is not before it nor too late for it. `at`: "18:00", or "" for never."""
    if not at:
        return None
    here = _local(now, zone).date()
    for day in (here, here - _ONE_DAY):  # a report of 23:55 may be sent after midnight
        slot = datetime.combine(day, time.fromisoformat(at), zone).timestamp()
        if slot <= now < slot + LATEST:
            return slot
    return None


def local_day(at: float, zone: tzinfo | None) -> date:
    return _local(at, zone).date()


def _local(at: float, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(at, zone)


def _begin(day: date, zone: tzinfo | None) -> float:
    return datetime.combine(day, time(), zone).timestamp()


def _earlier(at: float, days: int, zone: tzinfo | None) -> float:
    """The same time of day so many days before."""
    return (_local(at, zone) - timedelta(days=days)).timestamp()
