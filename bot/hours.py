"""Working hours: clocks that stop outside them. Pure.

`Mon-Fri 09:00-18:00 Asia/Shanghai`; several windows are joined with `;`, days written `Mon-Fri,Sun`, a window past
midnight `22:00-06:00`. A holiday is a whole local day: no window begins on it, and one that would run into it ends at
midnight.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import takewhile
from zoneinfo import ZoneInfo

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
LOOK_AHEAD = 400  # days within which the next window must come
LONGEST_HOLIDAY = 366  # days

_DAY = f"(?:{'|'.join(DAYS)})"
_WINDOW = re.compile(rf"({_DAY}(?:-{_DAY})?(?:,{_DAY}(?:-{_DAY})?)*) ([0-9]{{2}}:[0-9]{{2}})-([0-9]{{2}}:[0-9]{{2}})")
_DATE = "([0-9]{4}-[0-9]{2}-[0-9]{2})"
_DATES = re.compile(rf"{_DATE}(?:\.\.{_DATE})?")
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Window:
    """`days`: those on which it begins, 0 is Monday. Where `ends` is not after `begins`, it ends on the next day."""

    days: frozenset[int]
    begins: time
    ends: time


@dataclass(frozen=True, slots=True)
class Hours:
    """No windows: always. Times given and returned are seconds since the epoch; infinity means never."""

    windows: tuple[Window, ...] = ()
    zone: tzinfo = UTC
    holidays: frozenset[date] = frozenset()

    def worked(self, since: float, until: float) -> float:
        """Working seconds between two moments; 0 when `until` comes first."""
        if not self.windows:
            return max(0.0, until - since)
        spans = takewhile(lambda span: span[0] < until, self._spans(since))
        return sum((min(end, until) - begin for begin, end in spans), 0.0)

    def reached(self, since: float, seconds: float) -> float:
        """When a clock started at `since` will have run for `seconds`; 0 of them are not reached before it can run."""
        if not self.windows:
            return since + seconds
        left = seconds
        for begin, end in self._spans(since):
            if left <= end - begin:
                return begin + left
            left -= end - begin
        return float("inf")

    def opens(self, now: float) -> float:
        """`now` inside a window, else when the next one begins."""
        return self.reached(now, 0.0)

    def is_open(self, now: float) -> bool:
        """The moment in which a window ends is outside."""
        return self.opens(now) == now

    def _spans(self, since: float) -> Iterator[tuple[float, float]]:
        """What windows leave after `since`, in order, no moment twice. Looks only as far as it is asked to."""
        day = datetime.fromtimestamp(since, self.zone).date() - _ONE_DAY
        covered, waited = since, 0
        while waited < LOOK_AHEAD:
            for begin, end in self._windows_of(day):
                begin = max(begin, covered)
                if end > begin:
                    yield begin, end
                    covered, waited = end, 0
            day, waited = day + _ONE_DAY, waited + 1

    def _windows_of(self, day: date) -> list[tuple[float, float]]:
        weekday = day.weekday()
        today = [window for window in self.windows if weekday in window.days]
        if not today or day in self.holidays:
            return []
        return sorted((self._at(day, window.begins), self._end(day, window)) for window in today)

    def _end(self, day: date, window: Window) -> float:
        if window.ends > window.begins:
            return self._at(day, window.ends)
        tomorrow = day + _ONE_DAY
        return self._at(tomorrow, time.min if tomorrow in self.holidays else window.ends)

    def _at(self, day: date, clock: time) -> float:
        """A clock time that comes twice is its first; one that is skipped is the moment of the skip."""
        wall = datetime.combine(day, clock)
        first = wall.replace(tzinfo=self.zone).timestamp()
        second = wall.replace(tzinfo=self.zone, fold=1).timestamp()
        if first <= second:
            return first
        near = range(int(second), int(first))
        return float(near.start + bisect_left(near, wall, key=self._wall))

    def _wall(self, at: float) -> datetime:
        return datetime.fromtimestamp(at, self.zone).replace(tzinfo=None)


ALWAYS = Hours()

# -- from text; ValueError says in words what is wrong


def parse_hours(text: str, holidays: Iterable[date] = ()) -> Hours:
    """The empty text is `ALWAYS`, holidays or not."""
    if not text.strip():
        return ALWAYS
    windows, _, zone = text.strip().rpartition(" ")
    if not windows or not zone[:1].isalpha():
        raise ValueError('must look like "Mon-Fri 09:00-18:00 Asia/Shanghai"')
    each = tuple(_window(part.strip()) for part in windows.split(";"))
    return Hours(each, parse_zone(zone), frozenset(holidays))


def parse_zone(name: str) -> ZoneInfo:
    """An IANA name."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"unknown time zone {name}; write one like Asia/Shanghai") from None


def parse_holiday(text: str) -> tuple[date, ...]:
    """One day, or all days from the first to the last."""
    found = _DATES.fullmatch(text.strip())
    if found is None:
        raise ValueError("write a date like 2026-10-01, or 2026-10-01..2026-10-07 for all days of a holiday")
    first, last = _date(found[1]), _date(found[2] or found[1])
    days = (last - first).days + 1
    if not 1 <= days <= LONGEST_HOLIDAY:
        raise ValueError(f"a holiday has its first day first, and at most {LONGEST_HOLIDAY} days")
    return tuple(first + timedelta(days=step) for step in range(days))


def _window(text: str) -> Window:
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise ValueError(f'"{text}" must look like "Mon-Fri 09:00-18:00"; join several with ; and put the zone last')
    days, begins, ends = found.groups()
    if begins == ends:
        raise ValueError(f"{begins}-{ends} is no time at all; a whole day is 00:00-24:00")
    return Window(_days(days), _clock(begins), time.min if ends == "24:00" else _clock(ends))


def _days(text: str) -> frozenset[int]:
    days: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        start, stop = DAYS.index(first), DAYS.index(last or first)
        days.update((start + step) % 7 for step in range((stop - start) % 7 + 1))
    return frozenset(days)


def _clock(text: str) -> time:
    try:
        return time(int(text[:2]), int(text[3:]))
    except ValueError:
        raise ValueError(f"{text} is no time of day") from None


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"there is no day {text}") from None
