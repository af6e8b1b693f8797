"""Handoffs and their events as text for other programs: CSV for spreadsheets, JSON lines for scripts. Pure.

Rows come in pages and go out in pages: whoever writes them, to a file or into a response, has one at a time in hand.
"""

from __future__ import annotations

import csv
import json
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from functools import lru_cache
from io import StringIO
from typing import Any

from bot.model import EVERYTHING, HandoffStatus, Scope

BOM = "\ufeff"  # by it Excel knows UTF-8 from the code page of its country
_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")  # what a cell begins with that a spreadsheet would calculate
_MINUTES = 4096  # remembered, so that most times of a page need no calendar
_TWO_DIGITS = [f"{number:02d}" for number in range(60)]
_ONE_DAY = timedelta(days=1)
_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class What(StrEnum):
    HANDOFFS = "handoffs"
    EVENTS = "events"


class Form(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"


@dataclass(frozen=True, slots=True)
class Selection:
    """Handoffs that were requested, or events that happened, from `since` to before `until`, of some kf accounts.

    `tenant_id` empty: of every tenant on record.
    """

    what: What = What.HANDOFFS
    since: float | None = None
    until: float | None = None
    scope: Scope = EVERYTHING
    tenant_id: str = ""


@dataclass(frozen=True, slots=True)
class Extract:
    """What a selection holds; `pages` can be read once."""

    count: int
    pages: AsyncIterator[list[Row]]


# Rows are read by position, for a million of them is wanted in seconds. Names are empty where nobody knows them.
Row = tuple[Any, ...]
HANDOFF_COLUMNS = (
    "id", "tenant_id", "open_kfid", "account_name", "external_userid", "nickname", "status", "servicer_userid",
    "requested_at", "accepted_at", "replied_at", "completed_at", "ended_by", "via", "operator_id", "reason",
    "previous_id",
)  # fmt: skip
EVENT_COLUMNS = ("id", "handoff_id", "type", "operator_type", "operator_id", "at", "event_data")

# And what they are called outside.
HANDOFF_FIELDS = (
    "id", "tenantId", "openKfid", "accountName", "userId", "nickname", "status", "agentId", "requestedAt",
    "acceptedAt", "repliedAt", "completedAt", "endedBy", "via", "operatorId", "reason", "previousId", "waitSeconds",
    "lengthSeconds",
)  # fmt: skip
EVENT_FIELDS = ("id", "handoffId", "type", "operatorType", "operatorId", "at", "data")

Iso = Callable[[float], str]
_Cells = Callable[[Row, Iso], Row]


class Sheet:
    """Rows of one kind in one form, with times in one zone (None: the machine's). `head` comes before them all."""

    def __init__(self, what: What, form: Form, zone: tzinfo | None) -> None:
        self._fields, self._cells = _LAYOUTS[what]
        self._iso = local_times(zone)
        self.head = _csv([self._fields]) if form is Form.CSV else ""
        self.text: Callable[[Iterable[Row]], str] = self._as_csv if form is Form.CSV else self._as_json
        """A page of rows as whole lines."""

    def _as_csv(self, rows: Iterable[Row]) -> str:
        cells, iso = self._cells, self._iso
        return _csv([harmless(cell) if type(cell) is str else cell for cell in cells(row, iso)] for row in rows)

    def _as_json(self, rows: Iterable[Row]) -> str:
        cells, iso, fields = self._cells, self._iso, self._fields
        return "".join(_json_line(dict(zip(fields, cells(row, iso), strict=True))) for row in rows)


def harmless(text: str) -> str:
    """What somebody typed stays text in a spreadsheet. https://owasp.org/www-community/attacks/CSV_Injection"""
    return f"'{text}" if text[:1] in _FORMULA else text


def local_times(zone: tzinfo | None) -> Iso:
    """Seconds since the epoch as `2026-11-20T16:00:00+08:00`."""

    @lru_cache(_MINUTES)
    def minute(number: int) -> tuple[str, str]:
        text = datetime.fromtimestamp(number * 60, UTC).astimezone(zone).isoformat(timespec="seconds")
        return text[:-8], text[-6:]

    def iso(at: float) -> str:
        second = int(at)
        head, offset = minute(second // 60)
        return f"{head}{_TWO_DIGITS[second % 60]}{offset}"

    return iso


# -- which times are asked for


def beginning(words: str, zone: tzinfo | None) -> float:
    """A local day, from its midnight, or a time as RFC 3339 has it; one without an offset is local. Raises ValueError
    for what is neither."""
    try:
        return _moment(_day_of(words) or datetime.fromisoformat(words.upper()), zone)
    except OverflowError:
        raise ValueError(words) from None


def end(words: str, zone: tzinfo | None) -> float:
    """As `beginning`; a day is meant with all its hours."""
    try:
        day = _day_of(words)
        return beginning(words, zone) if day is None else _moment(day + _ONE_DAY, zone)
    except OverflowError:
        raise ValueError(words) from None


def _day_of(words: str) -> date | None:
    try:
        return date.fromisoformat(words)
    except ValueError:
        return None


def _moment(when: date, zone: tzinfo | None) -> float:
    moment = when if isinstance(when, datetime) else datetime.combine(when, time())
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()


# -- rows to cells


def _handoff(row: Row, iso: Iso) -> Row:
    status, (requested, accepted, replied, completed), previous = row[6], row[8:12], row[16]
    waited = None if replied is None or previous is not None else _seconds(requested, replied)
    began = requested if accepted is None else accepted
    lasted = None if completed is None or status == HandoffStatus.CANCELLED else _seconds(began, completed)
    times = [None if at is None else iso(at) for at in row[8:12]]
    return (*row[:8], *times, *row[12:], waited, lasted)


def _event(row: Row, iso: Iso) -> Row:
    *before, at, data = row
    return (*before, iso(at), data)


def _seconds(since: float, until: float) -> int:
    return max(0, round(until - since))


_LAYOUTS: dict[What, tuple[tuple[str, ...], _Cells]] = {
    What.HANDOFFS: (HANDOFF_FIELDS, _handoff),
    What.EVENTS: (EVENT_FIELDS, _event),
}


# -- cells to lines


def _csv(lines: Iterable[Iterable[Any]]) -> str:
    text = StringIO(newline="")
    csv.writer(text).writerows(lines)
    return text.getvalue()


def _json_line(document: dict[str, Any]) -> str:
    if "data" in document:
        document["data"] = json.loads(document["data"])
    return f"{_ENCODE(document)}\n"
