"""What handoffs add up to: rows in, numbers out. Pure."""

from __future__ import annotations

import math
import statistics
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bot.model import HandoffStatus, OperatorType


class EndedRow(NamedTuple):
    """A handoff that has ended, as far as numbers need it; the texts are the values of the enums of `bot.model`."""

    id: int
    external_userid: str
    servicer_userid: str | None
    status: str
    requested_at: float
    accepted_at: float | None
    replied_at: float | None
    completed_at: float
    ended_by: str | None
    via: str | None
    operator_id: str | None
    previous_id: int | None


class OpenRow(NamedTuple):
    """How many handoffs are open in one status with one servicer, and in how many of them the customer waits."""

    status: str
    servicer_userid: str | None
    handoffs: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds. Half of all were at most `median`, nine in ten at most `p90`."""

    median: float
    p90: float


@dataclass(frozen=True, slots=True)
class Longest:
    handoff_id: int
    external_userid: str
    seconds: float


Way = tuple[OperatorType, str]  # who ended it, via what


@dataclass(frozen=True, slots=True)
class Numbers:
    """Of the handoffs that ended in a time. All but `cancelled` speak of those that a servicer had accepted.

    `wait`: until the first answer, of those that got one; a handoff that a servicer re-opened had nobody waiting.
    `length`: from acceptance to the end. `enders`: members who ended some, by userid. `per_day` follows the days asked.
    """

    handled: int = 0
    cancelled: int = 0
    ways: Mapping[Way, int] = field(default_factory=dict)
    enders: Mapping[str, int] = field(default_factory=dict)
    wait: Spread | None = None
    length: Spread | None = None
    longest: Longest | None = None
    servicers: Mapping[str, int] = field(default_factory=dict)
    per_day: tuple[int, ...] = ()

    def ended_by(self, who: OperatorType) -> int:
        return sum(count for (by, _), count in self.ways.items() if by is who)


@dataclass(frozen=True, slots=True)
class OpenNow:
    """`loads`: open handoffs per servicer."""

    queued: int = 0
    human: int = 0
    waiting: int = 0
    loads: Mapping[str, int] = field(default_factory=dict)


def add_up(rows: Iterable[EndedRow], days: Sequence[float] = ()) -> Numbers:
    """Reads the rows once, one by one. `days`: when each day begins, in order; what ended before the first has none."""
    counted = _Counted(days)
    for row in rows:
        counted.add(row)
    return counted.numbers()


def open_now(rows: Iterable[OpenRow]) -> OpenNow:
    queued = human = waiting = 0
    loads: Counter[str] = Counter()
    for row in rows:
        waiting += row.waiting
        if row.status == HandoffStatus.PENDING:
            queued += row.handoffs
            continue
        human += row.handoffs
        if row.servicer_userid:
            loads[row.servicer_userid] += row.handoffs
    return OpenNow(queued, human, waiting, dict(loads))


def spread(seconds: list[float]) -> Spread | None:
    """None of nothing. `p90` is a time that occurred (nearest rank)."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    return Spread(statistics.median(ordered), ordered[math.ceil(0.9 * len(ordered)) - 1])


class _Counted:
    """Numbers in the making."""

    def __init__(self, days: Sequence[float]) -> None:
        self._days, self._per_day = days, [0] * len(days)
        self._handled = self._cancelled = 0
        self._ways: Counter[tuple[str | None, str | None]] = Counter()
        self._enders: Counter[str] = Counter()
        self._servicers: Counter[str] = Counter()
        self._waits: list[float] = []
        self._lengths: list[float] = []
        self._longest = Longest(0, "", -1.0)

    def add(self, row: EndedRow) -> None:
        if row.status == HandoffStatus.CANCELLED:
            self._cancelled += 1
            return
        self._handled += 1
        self._ways[row.ended_by, row.via] += 1
        if row.ended_by == OperatorType.AGENT and row.operator_id:
            self._enders[row.operator_id] += 1
        if row.servicer_userid:
            self._servicers[row.servicer_userid] += 1
        day = bisect_right(self._days, row.completed_at) - 1
        if day >= 0:
            self._per_day[day] += 1
        self._time(row)

    def _time(self, row: EndedRow) -> None:
        began = row.requested_at if row.accepted_at is None else row.accepted_at
        length = max(0.0, row.completed_at - began)
        self._lengths.append(length)
        if length > self._longest.seconds:
            self._longest = Longest(row.id, row.external_userid, length)
        if row.replied_at is not None and row.previous_id is None:
            self._waits.append(max(0.0, row.replied_at - row.requested_at))

    def numbers(self) -> Numbers:
        ways: Counter[Way] = Counter()
        for (by, via), count in self._ways.items():
            ways[OperatorType(by or OperatorType.SYSTEM), via or ""] += count
        return Numbers(
            self._handled, self._cancelled, dict(ways), dict(self._enders), spread(self._waits), spread(self._lengths),
            self._longest if self._handled else None, dict(self._servicers), tuple(self._per_day),
        )  # fmt: skip
