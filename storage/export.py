"""What is to be exported, found page by page by the ids: no question takes long, no transaction stays open in between.

So nobody waits for it, and the writer's log (WAL) can be emptied while somebody looks through an export in a pager.
What belongs to an export is settled when it begins; a row is shown as it stands when its page comes.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from functools import partial
from typing import Any

from bot.export import EVENT_COLUMNS, HANDOFF_COLUMNS, Extract, Row, Selection, What
from bot.model import EVERYTHING, Scope
from storage.database import Database

PAGE, COUNTED = 1000, 100_000  # ids looked at in one question

_CALLED = {"account_name": "coalesce(a.name, '')", "nickname": "coalesce(c.nickname, '')"}
_HANDOFFS = f"""SELECT {", ".join(_CALLED.get(column, f"h.{column}") for column in HANDOFF_COLUMNS)}
    FROM handoffs h LEFT JOIN accounts a ON a.open_kfid = h.open_kfid
    LEFT JOIN customers c ON c.external_userid = h.external_userid"""
_EVENTS = f"SELECT {', '.join(f'e.{column}' for column in EVENT_COLUMNS)} FROM handoff_events e"
_WHOSE = "CROSS JOIN handoffs h ON h.id = e.handoff_id"
_UNKNOWN = """SELECT value FROM json_each(?) WHERE value NOT IN (SELECT open_kfid FROM accounts)
    AND NOT EXISTS (SELECT 1 FROM handoffs WHERE open_kfid = value AND id > 0)"""


class Records:
    """Implements `bot.ports.Records`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def find(self, selection: Selection) -> Extract:
        asked = _Asked(selection)
        last = await self._db.read(asked.last)
        count = 0
        async for [(counted,)] in self._walk(asked, asked.count, COUNTED, last):
            count += counted
        return Extract(count, self._pages(asked, last))

    async def unknown(self, accounts: Iterable[str]) -> list[str]:
        """Those of which nothing is on record."""
        named = json.dumps(list(accounts))
        return [row[0] for row in await self._db.read(lambda db: db.execute(_UNKNOWN, (named,)).fetchall())]

    async def _pages(self, asked: _Asked, last: int) -> AsyncIterator[list[Row]]:
        async for found in self._walk(asked, asked.rows, PAGE, last):
            if found:
                yield found

    async def _walk(self, asked: _Asked, sql: str, ids: int, last: int) -> AsyncIterator[list[Row]]:
        """What `sql` finds in each stretch of so many ids, up to the last one; nobody else waits for more than one."""
        first = await self._db.read(partial(asked.next_id, after=0))
        while first is not None and first <= last:
            until = min(first + ids, last + 1)
            first, found = await self._db.read(partial(asked.stretch, sql=sql, first=first, until=until))
            yield found


class _Asked:
    """A selection in SQL: `h` is a handoff, `e` an event."""

    def __init__(self, selection: Selection) -> None:
        events = selection.what is What.EVENTS
        self._table, row, at = ("handoff_events", "e", "at") if events else ("handoffs", "h", "requested_at")
        where, self._values = _conditions(selection, f"{row}.{at}")
        rest = f"WHERE {row}.id >= ? AND {row}.id < ? AND {where}"
        if events and "h." in where:
            rest = f"{_WHOSE} {rest}"
        self.count = f"SELECT count(*) FROM {self._table} {row} {rest}"
        self.rows = f"{_EVENTS if events else _HANDOFFS} {rest} ORDER BY {row}.id"

    def last(self, db: sqlite3.Connection) -> int:
        return db.execute(f"SELECT coalesce(max(id), 0) FROM {self._table}").fetchone()[0]  # type: ignore[no-any-return]

    def next_id(self, db: sqlite3.Connection, after: int) -> int | None:
        """By a hop over what retention has left empty."""
        found: int | None = db.execute(f"SELECT min(id) FROM {self._table} WHERE id > ?", (after,)).fetchone()[0]
        return found

    def stretch(self, db: sqlite3.Connection, sql: str, first: int, until: int) -> tuple[int | None, list[Row]]:
        """What it finds from the first id to before the other, and the id to go on from."""
        found = db.execute(sql, (first, until, *self._values)).fetchall()
        return self.next_id(db, until - 1), found


def _conditions(selection: Selection, at: str) -> tuple[str, Sequence[Any]]:
    """And what they bind."""
    asked = (
        (f"{at} >= ?", selection.since),
        (f"{at} < ?", selection.until),
        ("+h.tenant_id = ?", selection.tenant_id or None),
        _within(selection.scope),
    )
    chosen = [(condition, value) for condition, value in asked if value is not None]
    return " AND ".join(["TRUE", *(condition for condition, _ in chosen)]), [value for _, value in chosen]


def _within(scope: Scope) -> tuple[str, str | None]:
    """Its `+`, like the tenant's, keeps SQLite from another order than that of the ids."""
    word = "NOT IN" if scope.others else "IN"
    named = None if scope == EVERYTHING else json.dumps(sorted(scope.accounts))
    return f"+h.open_kfid {word} (SELECT value FROM json_each(?))", named
