"""Old records are deleted a little at a time: no transaction holds the writer for long, no run works for long.

What a handoff left behind goes with it, found by an index. The other tables are swept: each run reads on from where the
last one stopped, in the order of the primary key, so that nobody pays for an index on time.

The same sweeps erase what customers wrote where the settings have kept more of it once than they do now.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from bot.faults import point
from storage.audit import AuditLog
from storage.database import Database
from storage.migrations import OPEN

DAY = 86400.0
REPLAYED = 15 * DAY  # WeCom says it can repeat three days of items, and only these rows tell news from repetitions
REPLAYED_AT_LEAST = 4 * DAY  # where records are not kept for so long
DELIVERED = 3 * DAY  # to look up what a webhook was sent

HANDOFFS = 100  # in one transaction, with all that belongs to them
ROUNDS = 50  # of these in one run
WINDOW = 1000  # rows looked at in one transaction of a sweep
OF_A_HANDOFF = ("handoff_events", "endings", "codes", "alerts", "quiets", "deliveries")

Times = Mapping[str, float]
Key = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Sweep:
    """`old` says of a row that it may go, given the `Times`. `rows` are looked at in one run at most. `words`: the
    column with what customers wrote, and which of it `keep_text` does not keep; nothing of that with `all`."""

    table: str
    columns: tuple[str, ...]
    first: Key
    old: str
    rows: int
    words: tuple[str, str] | None = None


SWEEPS = (
    # What customers and servicers wrote stands there only if it is to be kept, and a parked item may be all there is of
    # something: these stay for the whole retention.
    Sweep(
        "items",
        ("open_kfid", "msgid"),
        ("", ""),
        """send_time < :replayed
            AND (send_time < :before OR (state != 'parked' AND (body IS NULL OR event_type != '')))""",
        100_000,
        ("body", "event_type = '' AND state = 'done'"),
    ),
    # These go as a whole, see above.
    Sweep("handoffs", ("id",), (0,), "FALSE", 20_000, ("last_text", "completed_at IS NOT NULL OR :none")),
    Sweep(
        "sessions",
        ("open_kfid", "external_userid"),
        ("", ""),
        """handoff_id IS NULL AND check_at IS NULL
            AND max(state_at, ended_at, last_customer_at, last_servicer_at) < :before""",
        20_000,
    ),
    Sweep(
        "customers",
        ("external_userid",),
        ("",),
        f"""fetched_at < :before AND NOT EXISTS (SELECT 1 FROM handoffs h
            WHERE h.external_userid = customers.external_userid AND h.status IN {OPEN})""",
        20_000,
    ),
    Sweep("commands", ("id",), (0,), "at < :before", 20_000),
    Sweep("cards", ("task_id",), ("",), "at < :before", 20_000),
    # Of small facts, those of a day: what was claimed for it is not claimed again.
    Sweep(
        "meta",
        ("key",),
        ("",),
        "(key GLOB 'report *' OR key GLOB 'human first: *') AND CAST(value AS REAL) < :before",
        20_000,
    ),
    # What is still on its way, or dead, goes with its handoff.
    Sweep("deliveries", ("id",), (0,), "state = 'done' AND settled_at < :delivered", 100_000),
)


class Retention:
    """`keep_text`: none, last or all, as in the settings."""

    def __init__(self, database: Database, keep_seconds: float, keep_text: str = "last") -> None:
        self._db, self._keep, self._text = database, keep_seconds, keep_text

    async def prune(self, now: float) -> dict[str, int]:
        """Delete some of what is older than the retention, and say how many rows of which table, and how many `texts`
        were erased. Open handoffs and what belongs to them stay. Idempotent; others write in between."""
        times = {
            "before": now - self._keep,
            "delivered": now - DELIVERED,
            "replayed": now - max(REPLAYED_AT_LEAST, min(REPLAYED, self._keep)),
        }
        await self._db.write(lambda db: _date_parked(db, now))
        deleted = await self._prune_handoffs(times["before"])
        for sweep in SWEEPS:
            deleted.update(await self._sweep(sweep, times))
        deleted["audit"] += await AuditLog(self._db).prune(now, self._keep)
        await self._db.read(_empty_log)
        return {table: count for table, count in deleted.items() if count}

    async def _prune_handoffs(self, before: float) -> Counter[str]:
        deleted: Counter[str] = Counter()
        for _ in range(ROUNDS):
            some = await self._db.write(lambda db: _delete_handoffs(db, before))
            deleted.update(some)
            if some["handoffs"]:
                point("retention.deleted")
            if some["handoffs"] < HANDOFFS:
                break
        return deleted

    async def _sweep(self, sweep: Sweep, times: Times) -> Counter[str]:
        position = await self._db.read(lambda db: _recall(db, sweep))
        count: Counter[str] = Counter()
        for _ in range(sweep.rows // WINDOW):
            window = partial(_window, sweep=sweep, start=position, times=times, text=self._text)
            position, done = await self._db.write(window)
            count.update(done)
            if any(done.values()):
                point("retention.swept")
            if position == sweep.first:
                break
        place = json.dumps(position)
        await self._db.write(lambda db: db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_name(sweep), place)))
        return count


def _empty_log(db: sqlite3.Connection) -> None:
    """What has been erased, here or with the end of a handoff, stands in the write-ahead log until that is begun anew.
    Who reads just now keeps it from that, and nobody waits for them: the next run does it."""
    (patience,) = db.execute("PRAGMA busy_timeout").fetchone()
    db.execute("PRAGMA busy_timeout=200")
    try:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        db.execute(f"PRAGMA busy_timeout={patience}")


def _delete_handoffs(db: sqlite3.Connection, before: float) -> dict[str, int]:
    """Those that ended longest ago. An open one has no `completed_at`."""
    found = db.execute(
        "SELECT id FROM handoffs WHERE completed_at < ? ORDER BY completed_at LIMIT ?", (before, HANDOFFS)
    )
    ids = json.dumps([row[0] for row in found])
    deleted = {table: _delete(db, table, "handoff_id", ids) for table in OF_A_HANDOFF}
    deleted["handoffs"] = _delete(db, "handoffs", "id", ids)
    if deleted["handoffs"]:
        point("retention.deleting")
    return deleted


def _delete(db: sqlite3.Connection, table: str, column: str, ids: str) -> int:
    return db.execute(f"DELETE FROM {table} WHERE {column} IN (SELECT value FROM json_each(?))", (ids,)).rowcount


def _date_parked(db: sqlite3.Connection, now: float) -> None:
    """What could not be read has no time of its own: it is as old as the first look at it."""
    db.execute("UPDATE items SET send_time=? WHERE state='parked' AND send_time=0", (int(now),))


def _window(db: sqlite3.Connection, sweep: Sweep, start: Key, times: Times, text: str) -> tuple[Key, dict[str, int]]:
    """Delete what is old in the rows after `start`. Returns where to go on: at the first key when this was the end."""
    names = ", ".join(sweep.columns)
    after = f"({names}) > ({', '.join(f':start{number}' for number in range(len(start)))})"
    values: dict[str, str | int | float] = {**times, **_numbered("start", start)}
    sql = f"SELECT {names} FROM {sweep.table} WHERE {after} ORDER BY {names} LIMIT 1 OFFSET {WINDOW - 1}"
    last: Key | None = db.execute(sql, values).fetchone()
    if last is not None:
        after += f" AND ({names}) <= ({', '.join(f':last{number}' for number in range(len(last)))})"
        values |= _numbered("last", last)
    done = {sweep.table: db.execute(f"DELETE FROM {sweep.table} WHERE {after} AND ({sweep.old})", values).rowcount}
    if sweep.words is not None and text != "all":
        column, unkept = sweep.words
        sql = f"UPDATE {sweep.table} SET {column}=NULL WHERE {after} AND {column} IS NOT NULL AND ({unkept})"
        done["texts"] = db.execute(sql, {**values, "none": text == "none"}).rowcount
    return last or sweep.first, done


def _numbered(name: str, key: Key) -> dict[str, str | int]:
    return {f"{name}{number}": value for number, value in enumerate(key)}


def _recall(db: sqlite3.Connection, sweep: Sweep) -> Key:
    row = db.execute("SELECT value FROM meta WHERE key=?", (_name(sweep),)).fetchone()
    return tuple(json.loads(row[0])) if row else sweep.first


def _name(sweep: Sweep) -> str:
    return f"swept.{sweep.table}"
