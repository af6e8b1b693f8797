"""What handoffs add up to. Rows are handed on one by one, in the reader's thread; nothing grows with the table."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from typing import TypeVar

from bot.model import EVERYTHING, EventType, Scope
from bot.stats import EndedRow, OpenRow
from storage.database import Database
from storage.migrations import OPEN

T = TypeVar("T")
Where = tuple[str, tuple[str, ...]]  # a condition, and the values bound in it


class Stats:
    """Implements `bot.ports.Stats`. `tenant_id`: whose handoffs are counted; empty for everybody's.

    A unary plus keeps SQLite from preferring another index to that of the ends.
    """

    def __init__(self, database: Database, tenant_id: str = "") -> None:
        self._db, self._tenant = database, tenant_id

    async def ended(self, scope: Scope, since: float, until: float, add_up: Callable[[Iterable[EndedRow]], T]) -> T:
        """What `add_up` makes of the handoffs that ended from `since` to before `until`, in the order of their ends."""
        within, accounts = self._ours(scope)
        sql = f"""SELECT {", ".join(EndedRow._fields)} FROM handoffs
            WHERE completed_at >= ? AND completed_at < ? AND {within} ORDER BY completed_at"""

        def work(db: sqlite3.Connection) -> T:
            return add_up(map(EndedRow._make, db.execute(sql, (since, until, *accounts))))

        return await self._db.read(work)

    async def ratings(self, scope: Scope, since: float, until: float) -> dict[str, int]:
        """How often each score was given to handoffs that ended in that time; of several, a handoff's last counts."""
        within, accounts = self._ours(scope)
        sql = f"""SELECT score, count(*) FROM (
                SELECT json_extract(e.event_data, '$.score') AS score, max(e.id)
                FROM handoffs h CROSS JOIN handoff_events e ON e.handoff_id = h.id
                WHERE h.completed_at >= ? AND h.completed_at < ? AND {within} AND e.type = '{EventType.RATED}'
                GROUP BY +h.id
            ) WHERE score IS NOT NULL GROUP BY score"""
        values = (since, until, *accounts)
        return dict(await self._db.read(lambda db: db.execute(sql, values).fetchall()))

    async def open_now(self, scope: Scope) -> list[OpenRow]:
        within, accounts = self._ours(scope)
        sql = f"""SELECT status, servicer_userid, count(*), count(waiting_since) FROM handoffs
            WHERE status IN {OPEN} AND {within} GROUP BY status, servicer_userid"""
        return [OpenRow._make(row) for row in await self._db.read(lambda db: db.execute(sql, accounts).fetchall())]

    async def accounts(self, scope: Scope) -> list[str]:
        """Names of the kf accounts, an id where there is no name."""
        within, accounts = _within(scope)
        sql = f"SELECT iif(name = '', open_kfid, name) FROM accounts WHERE {within} ORDER BY open_kfid"
        return [row[0] for row in await self._db.read(lambda db: db.execute(sql, accounts).fetchall())]

    def _ours(self, scope: Scope) -> Where:
        within, accounts = _within(scope)
        return (f"{within} AND +tenant_id = ?", (*accounts, self._tenant)) if self._tenant else (within, accounts)


def _within(scope: Scope) -> Where:
    if scope == EVERYTHING:
        return "true", ()
    word = "NOT IN" if scope.others else "IN"
    return f"+open_kfid {word} (SELECT value FROM json_each(?))", (json.dumps(sorted(scope.accounts)),)
