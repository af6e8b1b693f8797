"""The audit log: rows are appended, and go when they are older than the retention. Triggers refuse everything else."""

from __future__ import annotations

import hmac
import json
import secrets
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

from bot.audit import COLUMNS, PRUNE, Door, Entry, Misfit, Place, Row, follow, row
from bot.faults import point
from bot.sessions import SYSTEM
from storage.database import Database

DAY = 86400.0
PAGE = 1000
DELETED, ROUNDS = 1000, 50  # rows in one transaction, and how many of these in one run
LAST = (1 << 63) - 1
LONG = 28  # characters; WeCom's ids of customers have 32
_KEY = "audit key"
_ALL = f"SELECT {', '.join(COLUMNS)} FROM audit WHERE id > ?"
_INSERT = f"INSERT INTO audit ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
_HEAD = "SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1"
_PRUNES = f"SELECT id, detail FROM audit WHERE verb = '{PRUNE}' AND id > 0 ORDER BY id DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class Verified:
    """What a walk over the chain has found. `after`: the last row that the retention has let go; `known`: whether the
    chain has the head that was noted elsewhere, None where that cannot be told any more."""

    count: int
    first_at: float | None
    last_at: float | None
    after: Place
    head: Place
    misfit: Misfit | None = None
    known: bool | None = None


def append(db: sqlite3.Connection, entry: Entry) -> int:
    """Within a transaction, which it shares the fate of. Returns the row's number."""
    values = row(Place(*db.execute(_HEAD).fetchone() or ()), entry, partial(digest, db), partial(_conceal, db))
    db.execute(_INSERT, values)
    return int(values[0])


def digest(db: sqlite3.Connection, external_userid: str) -> str:
    """What stands for a customer: the same in every row until somebody is forgotten, and nothing to anybody without
    this database. It is asked for in the transaction that needs it, so that a key is never used that is not kept."""
    sql = "SELECT value FROM meta WHERE key=?"
    kept = db.execute(sql, (_KEY,)).fetchone()
    if kept is None:
        kept = (secrets.token_hex(32),)
        db.execute("INSERT INTO meta VALUES (?, ?)", (_KEY, *kept))
    text = external_userid.encode(errors="surrogatepass")
    return hmac.digest(bytes.fromhex(kept[0]), text, "sha256").hex()[:32]


def _conceal(db: sqlite3.Connection, text: str) -> str:
    """People write a customer's id where a time or a servicer is asked for. It looks like many a servicer's, but is
    longer, or on record."""
    named = text.lstrip("@＠#")
    if not named.lower().startswith(("wm", "wo")):
        return text
    known = len(named) >= LONG or db.execute("SELECT 1 FROM sessions WHERE external_userid=?", (named,)).fetchone()
    return digest(db, named) if known else text


def renew_key(db: sqlite3.Connection) -> None:
    """Within a transaction: no digest that there is can be told whose it is any more, not even by who knows the id. The
    same customer has another one from now on."""
    db.execute("UPDATE meta SET value=? WHERE key=?", (secrets.token_hex(32), _KEY))


class AuditLog:
    """Implements `bot.ports.AuditLog`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def enter(self, entry: Entry, *, durable: bool = False) -> int:
        """On record when it returns, and with `durable` on disk. Its number."""
        return await self._db.write(lambda db: append(db, entry), durable=durable)

    async def head(self) -> Place:
        return await self._db.read(lambda db: Place(*db.execute(_HEAD).fetchone() or ()))

    async def rows(
        self, since: float | None = None, until: float | None = None, through: int = LAST
    ) -> AsyncIterator[list[Row]]:
        """In the order in which they were entered, page by page; from `since` to before `until`, up to the row with the
        number `through`."""
        bounds = (through, 9e99 if until is None else until, -9e99 if since is None else since)
        sql, last = f"{_ALL} AND id <= ? AND at < ? AND at >= ? ORDER BY id LIMIT {PAGE}", 0
        while page := await self._db.read(lambda db, last=last: db.execute(sql, (last, *bounds)).fetchall()):  # type: ignore[misc]
            yield page
            last = page[-1][0]

    async def verify(self, noted: Place | None = None) -> Verified:
        """Walk the whole chain, as it stands at one moment. `noted`: a head from elsewhere, to be looked for."""
        return await self._db.read(lambda db: _at_one_moment(db, noted))

    async def prune(self, now: float, keep: float) -> int:
        """Delete some of what is older than `keep` seconds, once that is a day's worth; how many rows. Idempotent.

        First a row says up to where, with the hash from which the chain goes on: the triggers go by it.
        """
        last = await self._db.read(lambda db: _older(db, now - keep))
        if last is not None:
            detail = {"through": last.number, "hash": last.hash.hex(), "keep": keep}
            await self.enter(Entry(now, Door.POLICY, SYSTEM, PRUNE, "allowed", detail=detail))
            point("audit.pruning")
        count = 0
        for _ in range(ROUNDS):
            deleted = await self._db.write(_delete)
            count += deleted
            if deleted < DELETED:
                break
        return count


def _pruned(db: sqlite3.Connection) -> Place:
    """Up to where the retention has let rows go. Raises Misfit for a row that says it and is none of ours."""
    found = db.execute(_PRUNES).fetchone()
    if found is None:
        return Place()
    try:
        said = json.loads(found[1])
        place = Place(int(said["through"]), bytes.fromhex(said["hash"]))
    except (ValueError, TypeError, KeyError):
        raise Misfit(found[0], missing=False) from None
    if place.number >= found[0]:
        raise Misfit(found[0], missing=False)
    return place


def _older(db: sqlite3.Connection, before: float) -> Place | None:
    """The last row of those that may go now; None while the first of them is not a day too old."""
    through = _pruned(db).number
    oldest = db.execute("SELECT at FROM audit WHERE id > ? ORDER BY id LIMIT 1", (through,)).fetchone()
    if oldest is None or oldest[0] >= before - DAY:
        return None
    sql = "SELECT id FROM audit WHERE id > ? AND at >= ? ORDER BY id LIMIT 1"
    (young,) = db.execute(sql, (through, before)).fetchone() or (LAST,)
    return Place(*db.execute("SELECT id, hash FROM audit WHERE id < ? ORDER BY id DESC LIMIT 1", (young,)).fetchone())


def _delete(db: sqlite3.Connection) -> int:
    through = _pruned(db).number
    sql = "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE id <= ? ORDER BY id LIMIT ?)"
    return db.execute(sql, (through, DELETED)).rowcount


def _at_one_moment(db: sqlite3.Connection, noted: Place | None) -> Verified:
    db.execute("BEGIN")
    try:
        return _walk(db, noted)
    except sqlite3.OperationalError:  # also for text that is none; read as some, it does not fit
        db.text_factory = lambda text: text.decode(errors="replace")
        return _walk(db, noted)
    finally:
        db.text_factory = str
        db.execute("ROLLBACK")


def _walk(db: sqlite3.Connection, noted: Place | None) -> Verified:
    after = place = Place()
    first, last = None, None
    try:
        after = place = _pruned(db)
        rows = db.execute(f"{_ALL} ORDER BY id", (after.number,))
        while page := rows.fetchmany(PAGE):
            place = follow(place, page)
            first, last = page[0][1] if first is None else first, page[-1][1]
    except Misfit as misfit:
        return Verified(max(0, misfit.number - 1 - after.number), first, last, after, place, misfit)
    return Verified(place.number - after.number, first, last, after, place, known=_knows(db, after, noted))


def _knows(db: sqlite3.Connection, after: Place, noted: Place | None) -> bool | None:
    if noted is None or noted.number < after.number:
        return None
    found = db.execute("SELECT hash FROM audit WHERE id=?", (noted.number,)).fetchone()
    return noted == after or (found is not None and found[0] == noted.hash)
