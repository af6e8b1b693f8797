"""Ends that were asked for and could not be settled, for WeCom refuses to tell the state of their sessions."""

from __future__ import annotations

import sqlite3
from itertools import islice

from bot.model import Scope
from bot.ports import ParkedEnd
from storage import rows
from storage.database import Database
from storage.ledger import OWED
from storage.migrations import OPEN
from storage.rows import HANDOFF_COLUMNS, prefixed

# Of a handoff that is over by now, nobody need know.
_OF = f"endings e JOIN handoffs h ON h.id = e.handoff_id WHERE e.state='parked' AND h.status IN {OPEN}"
_PARKED = f"SELECT {prefixed('h', HANDOFF_COLUMNS)}, e.operator_id, e.requested_at, e.errcode FROM {_OF} ORDER BY e.id"
# Whoever asked for them hears again how they came out.
_REVIVE = f"""UPDATE OR IGNORE endings SET state='pending', lease_until=0, settled_at=NULL, outcome=NULL,
        command_id=NULL, owed=iif(chat_id != '', {OWED}, owed)
    WHERE id=? AND state='parked'"""


class ParkedEnds:
    """Implements `bot.ports.ParkedEnds`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def first(self, scope: Scope, limit: int) -> list[ParkedEnd]:
        """The first ones, of accounts in the scope."""

        def work(db: sqlite3.Connection) -> list[ParkedEnd]:
            found = (ParkedEnd(rows.handoff(row[:-3]), *row[-3:]) for row in db.execute(_PARKED))
            return list(islice((each for each in found if each.handoff.open_kfid in scope), limit))

        return await self._db.read(work)

    async def count(self, scope: Scope) -> int:
        sql = f"SELECT h.open_kfid, count(*) FROM {_OF} GROUP BY h.open_kfid"
        return rows.within(scope, await self._db.read(lambda db: db.execute(sql).fetchall()))

    async def revive(self, scope: Scope) -> int:
        """Have them settled again. Returns how many: not those whose handoff is being ended anew."""
        sql = f"SELECT e.id, h.open_kfid FROM {_OF}"
        found = await self._db.read(lambda db: db.execute(sql).fetchall())
        mine = [(number,) for number, open_kfid in found if open_kfid in scope]
        return await self._db.write(lambda db: sum(db.execute(_REVIVE, each).rowcount for each in mine))
