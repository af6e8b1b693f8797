"""Names of customers, and servicers with their reception status."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping

from bot.model import Servicer
from bot.ports import Reception
from storage.database import Database
from storage.migrations import OPEN

# Loads are counted from the handoffs each time: nothing to drift.
_SERVICERS = f"""SELECT open_kfid, servicer_userid,
        max(receiving) AS receives, max(suspended), max(updated_at), sum(load) AS busy
    FROM (
        SELECT open_kfid, servicer_userid, receiving, suspended, updated_at, 0 AS load FROM servicers
        UNION ALL
        SELECT open_kfid, servicer_userid, NULL, 0, NULL, 1 FROM handoffs
            WHERE status IN {OPEN} AND servicer_userid IS NOT NULL
    )
    GROUP BY open_kfid, servicer_userid ORDER BY open_kfid, busy DESC, receives DESC, servicer_userid"""


class People:
    """Implements `bot.ports.People`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def nicknames(self, external_userids: Iterable[str]) -> dict[str, str]:
        """Known names; an id without one is missing from the answer, one known to have none maps to ''."""
        ids = json.dumps(list(external_userids))
        sql = (
            "SELECT external_userid, nickname FROM customers WHERE external_userid IN (SELECT value FROM json_each(?))"
        )
        return dict(await self._db.read(lambda db: db.execute(sql, (ids,)).fetchall()))

    async def save_nicknames(self, names: Mapping[str, str], now: float) -> None:
        sql = "INSERT OR REPLACE INTO customers (external_userid, nickname, fetched_at) VALUES (?, ?, ?)"
        await self._db.write(lambda db: db.executemany(sql, [(id_, name, now) for id_, name in names.items()]))

    async def save_servicers(self, open_kfid: str, servicers: Iterable[Servicer], now: float) -> None:
        """Replace the account's list. Departments are not expanded by WeCom and are left out."""
        rows = [
            (open_kfid, servicer.userid, servicer.receiving, servicer.suspended, now)
            for servicer in servicers
            if servicer.userid
        ]

        def work(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM servicers WHERE open_kfid=?", (open_kfid,))
            db.executemany("INSERT OR REPLACE INTO servicers VALUES (?,?,?,?,?)", rows)

        await self._db.write(work)

    async def servicer_changed(self, open_kfid: str, userid: str, receiving: bool, suspended: bool, now: float) -> None:
        values = (open_kfid, userid, receiving, suspended, now)
        await self._db.write(lambda db: db.execute("INSERT OR REPLACE INTO servicers VALUES (?,?,?,?,?)", values))

    async def servicers(self) -> list[Reception]:
        """Everybody who is in an account's list or has a session of it, busiest first, then who could take one."""
        found = await self._db.read(lambda db: db.execute(_SERVICERS).fetchall())
        return [
            Reception(kf, userid, None if receiving is None else bool(receiving), bool(suspended), told_at, load)
            for kf, userid, receiving, suspended, told_at, load in found
        ]
