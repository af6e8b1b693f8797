"""Forget one customer: what they are called and what was written goes, their id gives way to a pseudonym.

So numbers, histories and what adds up to statistics stay right, and nobody can tell whose they were. The id is looked
for in every text of every table, so none has to be named here to be reached. Two are left alone: the audit log, whose
rows are a chain and have had digests of customers only from the start, and SQLite's own. What these digests were made
with goes too, or whoever knows the id could still find them.

Then the bytes. What SQLite deletes is overwritten (`secure_delete`), but not where a page has been made up anew, so the
file is written anew as well where nobody is kept waiting for that; else it is looked whether anything is left.
"""

from __future__ import annotations

import asyncio
import json
import mmap
import secrets
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bot.errors import StorageError
from bot.faults import point
from bot.model import Via
from bot.sessions import SYSTEM, finish
from storage import rows, unit
from storage.audit import renew_key
from storage.database import Database
from storage.lock import Lock
from storage.mentions import Mentions, standing_alone
from storage.migrations import OPEN, migrations
from storage.rows import EVENT_COLUMNS
from storage.trouble import BUSY_SECONDS, told
from storage.unit import Keeping

FORGOTTEN = "forgotten"
"""The small fact that tells a running bot to forget as well: the pseudonym of whoever was forgotten last."""
LEFT_ALONE = ("audit", migrations.migrations_table)
ROUNDS = 5  # of looking for what others have written meanwhile
SMALL = 128 * 1024 * 1024  # bytes; so much is written anew in about a second, which a bot beside it can wait
CHECKPOINT_SECONDS = 10.0

Keys = dict[str, list[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class Traces:
    """What is on record of a customer: how many rows of which table. `open`: handoffs that are, or whose end or last
    message is under way, by number."""

    rows: Mapping[str, int]
    nickname: str
    open: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Wiped:
    """`left`: files in which the id still stands. The file was not written anew where a bot is `running` on a large
    one, or where there is no `room` for it."""

    left: tuple[Path, ...]
    running: bool = False
    room: bool = True


def pseudonym() -> str:
    """No id of WeCom's looks like it."""
    return f"forgotten-{secrets.token_hex(6)}"


class Forget:
    """One customer of one tenant, in all accounts. Works beside a running bot."""

    def __init__(self, database: Database, tenant_id: str, external_userid: str) -> None:
        self._db, self._tenant, self._id = database, tenant_id, external_userid

    async def find(self) -> Traces:
        return await self._db.read(self._traces)

    async def leaves_pieces(self) -> bool:
        """Whether the id stands somewhere in the files, though it is on record nowhere."""
        return any(stands_in(each, self._id) for each in _files(self._db.path))

    async def erase(self, name: str, now: float) -> Counter[str]:
        """Put `name` in the place of the id. Returns how many rows of which table. Open handoffs are put down as ended;
        nobody is told, WeCom neither.

        The rows are looked for without holding anybody up, and changed by their keys in one transaction; what somebody
        writes in between is found by looking again.
        """
        erased: Counter[str] = Counter()
        for _ in range(ROUNDS):
            keys = await self._db.read(self._keys)
            if not any(keys.values()):
                break
            erased += await self._db.write(partial(self._replace, keys=keys, name=name, now=now), durable=True)
            point("forget.replaced")
        return erased

    async def wipe(self) -> Wiped:
        """See to it that nothing of it is left in the database's files."""
        return await asyncio.to_thread(_wipe, self._db.path, self._id)

    # -- what there is

    def _traces(self, db: sqlite3.Connection) -> Traces:
        found = db.execute("SELECT nickname FROM customers WHERE external_userid=?", (self._id,)).fetchone()
        under_way = f"""SELECT id FROM handoffs h WHERE external_userid=? AND (status IN {OPEN}
            OR EXISTS (SELECT 1 FROM endings e WHERE e.handoff_id = h.id AND e.state='pending')
            OR EXISTS (SELECT 1 FROM codes c WHERE c.handoff_id = h.id AND c.state IN ('pending', 'sending')))"""
        open_ = tuple(row[0] for row in db.execute(under_way, (self._id,)))
        counts = {table: len(keys) for table, keys in self._keys(db).items() if keys}
        return Traces(counts, found[0] if found else "", open_)

    def _keys(self, db: sqlite3.Connection) -> Keys:
        """Of every row that names the customer, by table."""
        keys: Keys = {table: _naming(db, table, self._id) for table in _tables(db)}
        handoffs = [number for (number,) in keys["handoffs"]]
        keys["commands"] = sorted({*keys["commands"], *self._commands(db, handoffs)})
        keys["handoff_events"] = sorted({*keys["handoff_events"], *_telling(db, handoffs)})
        return keys

    def _commands(self, db: sqlite3.Connection, handoffs: list[int]) -> Iterator[tuple[int]]:
        sql = """SELECT operator_id, requested_at FROM endings
            WHERE via='command' AND handoff_id IN (SELECT value FROM json_each(?))"""
        mentions = Mentions(self._id, handoffs, db.execute(sql, (json.dumps(handoffs),)))
        wordy = "SELECT id, text, userid, at FROM commands WHERE command != 'tap' AND text NOT LIKE '%forgotten-%'"
        for number, text, userid, at in db.execute(wordy):
            if mentions.stand_in(text, userid, at):
                yield (number,)

    # -- what becomes of it

    def _replace(self, db: sqlite3.Connection, keys: Keys, name: str, now: float) -> Counter[str]:
        self._end_open(db, now)
        db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (FORGOTTEN, name))
        changed = Counter({table: len(found) for table, found in keys.items() if found})
        self._make_nameless(db, name)
        renew_key(db)
        for table, found in keys.items():
            for key in found:
                _WAYS.get(table, _rewrite)(db, table, key, self._id, name)
        point("forget.replacing")
        return changed

    def _end_open(self, db: sqlite3.Connection, now: float) -> None:
        sql = "SELECT open_kfid FROM sessions WHERE external_userid=? AND handoff_id IS NOT NULL"
        for (open_kfid,) in db.execute(sql, (self._id,)).fetchall():
            session = unit.load(db, open_kfid, [self._id], self._tenant)[self._id]
            finish(session, SYSTEM, Via.ELSEWHERE, now)
            unit.save(db, [session], now, Keeping())
        mine = "handoff_id IN (SELECT id FROM handoffs WHERE external_userid=?)"
        db.execute(
            f"UPDATE endings SET state='failed', outcome='forgotten', settled_at=? WHERE state='pending' AND {mine}",
            (now, self._id),
        )
        db.execute(f"UPDATE endings SET owed=-1 WHERE owed > 0 AND {mine}", (self._id,))
        db.execute(f"UPDATE codes SET state='skipped' WHERE state IN ('pending', 'sending') AND {mine}", (self._id,))

    def _make_nameless(self, db: sqlite3.Connection, name: str) -> None:
        """What belongs together by the id, also where it has been written since the keys were looked for. Of such a
        session WeCom is asked no more."""
        db.execute("DELETE FROM customers WHERE external_userid=?", (self._id,))
        who = {"id": self._id, "name": name}
        operator = "operator_id=iif(operator_id=:id, :name, operator_id)"
        for table, rest in (
            ("sessions", "state=4, servicer_userid=NULL, check_at=NULL, end_asked_at=NULL"),
            ("handoffs", f"last_text=NULL, reason=NULL, {operator}"),
            ("endings", f"reason='', {operator}"),
        ):
            db.execute(f"UPDATE {table} SET external_userid=:name, {rest} WHERE external_userid=:id", who)


# -- rows


def _tables(db: sqlite3.Connection) -> list[str]:
    sql = "SELECT name FROM sqlite_schema WHERE type='table' AND name NOT LIKE 'sqlite_%'"
    return [name for (name,) in db.execute(sql) if name not in LEFT_ALONE]


def _columns(db: sqlite3.Connection, table: str) -> tuple[list[str], list[str]]:
    """Those of the key, and those that hold text."""
    found = db.execute(f"PRAGMA table_info({table})").fetchall()
    key = [name for _, name, _, _, _, place in sorted(found, key=lambda row: row[5]) if place]
    return key or ["rowid"], [name for _, name, type_, *_ in found if type_ == "TEXT"]


def _naming(db: sqlite3.Connection, table: str, external_userid: str) -> list[tuple[Any, ...]]:
    key, texts = _columns(db, table)
    if not texts:
        return []
    somewhere = " OR ".join(f"instr({name}, :id)" for name in texts)
    sql = f"SELECT {', '.join([*key, *texts])} FROM {table} WHERE {somewhere}"
    alone = standing_alone(external_userid)
    found = db.execute(sql, {"id": external_userid})
    return [row[: len(key)] for row in found if any(alone.search(text or "") for text in row[len(key) :])]


def _telling(db: sqlite3.Connection, handoffs: list[int]) -> list[tuple[int]]:
    """Events with words of staff about them."""
    sql = """SELECT id FROM handoff_events WHERE handoff_id IN (SELECT value FROM json_each(?))
        AND json_extract(event_data, '$.reason') IS NOT NULL"""
    return db.execute(sql, (json.dumps(handoffs),)).fetchall()


# -- what becomes of one row: of the table with that key, the id, and the name in its place


def _none(*_: Any) -> None:
    """It has been dealt with among all that belongs together."""


def _empty_item(db: sqlite3.Connection, table: str, key: tuple[Any, ...], external_userid: str, name: str) -> None:
    """It stays to tell a repetition from news; what could not be read is not to be read again."""
    sql = """UPDATE items SET external_userid=?, body=NULL, error=NULL, state=iif(state='parked', 'done', state)
        WHERE open_kfid=? AND msgid=? AND (external_userid=? OR state='parked')"""
    if not db.execute(sql, (name, *key, external_userid)).rowcount:  # somebody else's
        _rewrite(db, table, key, external_userid, name)


def _empty_command(db: sqlite3.Connection, table: str, key: tuple[Any, ...], external_userid: str, name: str) -> None:
    """Who gave which command stays; what was written behind it may tell anything."""
    db.execute("UPDATE commands SET text = '/' || command || ' ' || ? WHERE id=?", (name, *key))


def _rewrite_event(db: sqlite3.Connection, table: str, key: tuple[Any, ...], external_userid: str, name: str) -> None:
    """By another in its place: the log lets nobody update one. Without what staff has written."""
    row = db.execute("SELECT * FROM handoff_events WHERE id=?", key).fetchone()
    if row is None:
        return
    *rest, operator_id, at, data = row
    told = rows.dump({name: value for name, value in json.loads(data).items() if name != "reason"})
    alone = standing_alone(external_userid)
    db.execute("DELETE FROM handoff_events WHERE id=?", key)
    values = (*rest, alone.sub(name, operator_id), at, alone.sub(name, told))
    db.execute(f"INSERT INTO handoff_events ({EVENT_COLUMNS}) VALUES (?,?,?,?,?,?,?)", values)


def _rewrite(db: sqlite3.Connection, table: str, key: tuple[Any, ...], external_userid: str, name: str) -> None:
    names, texts = _columns(db, table)
    same, alone = " AND ".join(f"{each}=?" for each in names), standing_alone(external_userid)
    row = db.execute(f"SELECT {', '.join(texts)} FROM {table} WHERE {same}", key).fetchone()
    if row is not None:
        values = [text and alone.sub(name, text) for text in row]
        db.execute(f"UPDATE {table} SET {', '.join(f'{each}=?' for each in texts)} WHERE {same}", (*values, *key))


_WAYS: dict[str, Callable[[sqlite3.Connection, str, tuple[Any, ...], str, str], None]] = {
    **dict.fromkeys(("sessions", "handoffs", "endings", "customers"), _none),
    "items": _empty_item,
    "commands": _empty_command,
    "handoff_events": _rewrite_event,
}


# -- bytes


def _wipe(path: Path, external_userid: str) -> Wiped:
    lock = Lock(path)
    try:
        lock.take()
    except StorageError as taken:
        if taken.kind != "taken":
            raise
        return _wipe_as(path, external_userid, running=True)
    try:
        return _wipe_as(path, external_userid, running=False)
    finally:
        lock.release()


def _wipe_as(path: Path, external_userid: str, *, running: bool) -> Wiped:
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as db:
        try:
            too_large = running and path.stat().st_size > SMALL
            room = too_large or _write_anew(db, path)
            point("forget.written")
            _empty_log(db)
            point("forget.wiped")
        except sqlite3.Error as failed:
            raise told(path, failed) from failed
    left = tuple(each for each in _files(path) if stands_in(each, external_userid))
    return Wiped(left, too_large, room)


def _write_anew(db: sqlite3.Connection, path: Path) -> bool:
    """False: there is no room for it."""
    if shutil.disk_usage(path.parent).free < 2 * path.stat().st_size:
        return False
    try:
        db.execute("VACUUM")
    except sqlite3.OperationalError as failed:  # it has its own idea of where there has to be room
        if failed.sqlite_errorcode != sqlite3.SQLITE_FULL:
            raise
        return False
    return True


def _empty_log(db: sqlite3.Connection) -> None:
    """The write-ahead log, where every version of a page stands until it is begun anew."""
    db.execute("PRAGMA busy_timeout=200")  # for while it waits for readers, nobody can write
    until = time.monotonic() + CHECKPOINT_SECONDS
    while db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] and time.monotonic() < until:
        time.sleep(0.05)


def _files(path: Path) -> list[Path]:
    beside = (path.with_name(f"{path.name}{end}") for end in ("-wal", "-shm"))
    return [each for each in (path, *beside) if each.exists()]


def copies_with(path: Path, external_userid: str) -> list[Path]:
    """Other databases beside this one in which the id stands, such as backups: out of reach here."""
    beside = sorted(each for each in path.parent.iterdir() if each.is_file() and each not in _files(path))
    return [each for each in beside if _is_database(each) and stands_in(each, external_userid)]


def _is_database(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(16) == b"SQLite format 3\0"
    except OSError:
        return False


def stands_in(file: Path, text: str) -> bool:
    with file.open("rb") as opened:
        if not file.stat().st_size:
            return False
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as whole:
            return whole.find(text.encode()) >= 0
