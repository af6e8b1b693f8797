"""Outcomes of ends that somebody in a chat waits for, until they have been told."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from bot.faults import point
from bot.model import SessionKey
from bot.ports import Owed
from storage import rows
from storage.database import Database
from storage.rows import ENDING_COLUMNS, prefixed

# Whoever still works on the command or tap will tell it with the answer.
_DUE = f"""SELECT {prefixed("e", ENDING_COLUMNS)}, e.open_kfid, e.external_userid, e.chat_id, e.is_group, e.state,
        coalesce(e.errcode, 0), coalesce(e.settled_at, 0), e.owed
    FROM endings e WHERE e.owed > 0 AND e.state != 'pending'
        AND NOT EXISTS (SELECT 1 FROM commands c WHERE c.id = e.command_id AND c.outcome IS NULL)
    ORDER BY +e.id LIMIT ?"""  # or the rowid would seem a better way than the index
_TOLD = "UPDATE endings SET owed=0 WHERE id=? AND owed > 0"
_DOUBTED = "UPDATE endings SET owed=iif(owed > 1, owed - 1, -1) WHERE id=? AND owed > 0"
_GIVEN_UP = "UPDATE endings SET owed=-1 WHERE id=? AND owed > 0"


class Promises:
    """Implements `bot.ports.Promises`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def due(self, limit: int = 500) -> list[Owed]:
        """Of ends that are settled, earliest first; not those that an answer under way will tell."""
        found = await self._db.read(lambda db: db.execute(_DUE, (limit,)).fetchall())
        return [
            Owed(
                rows.ending(tuple(ending)), SessionKey(kf, customer), chat_id, bool(is_group), state, errcode, at, tries
            )
            for *ending, kf, customer, chat_id, is_group, state, errcode, at, tries in found
        ]

    async def told(self, owed: Iterable[Owed]) -> None:
        await self._mark(_TOLD, owed)

    async def doubted(self, owed: Iterable[Owed]) -> None:
        """They have been sent or refused, and may be sent again once less."""
        await self._mark(_DOUBTED, owed)

    async def give_up(self, owed: Iterable[Owed]) -> None:
        await self._mark(_GIVEN_UP, owed)

    async def _mark(self, sql: str, owed: Iterable[Owed]) -> None:
        ids = [(each.ending.id,) for each in owed]

        def work(db: sqlite3.Connection) -> None:
            db.executemany(sql, ids)
            point("outcome.settling")

        if ids:
            await self._db.write(work)
