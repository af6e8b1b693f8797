"""kf accounts, their cursors, and every item of the message stream once."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from bot.faults import point
from bot.model import Handoff, KfAccount, KfItem, Scope, SyncPage
from bot.ports import AccountState, Committed, Decide, ParkedItem
from bot.sessions import Session
from storage import rows, unit
from storage.database import Database
from storage.unit import Keeping, never

_INSERT = """INSERT OR IGNORE INTO items (open_kfid, msgid, external_userid, send_time, origin, msgtype, event_type,
    servicer_userid, state, body, error) VALUES (?,?,?,?,?,?,?,?,?,?,?)"""
_PARKED = "SELECT open_kfid, msgid, send_time, body, error FROM items WHERE state='parked' ORDER BY open_kfid, msgid"
_ACCOUNTS = "SELECT open_kfid, name, cursor, live_from, cold, synced_at, error, token, token_at FROM accounts"


class SyncStore:
    """Implements `bot.ports.SyncStore`."""

    def __init__(
        self,
        database: Database,
        tenant_id: str,
        keep_text: str = "last",
        earliest: Callable[[Handoff], float] = never,
        *,
        tell_ends: bool = False,
    ) -> None:
        """`earliest`, `tell_ends`: see `storage.unit.Keeping`."""
        self._db, self._tenant = database, tenant_id
        self._keep_all = keep_text == "all"
        self._keeping = Keeping(self._keep_all, earliest, tell_ends)

    async def accounts(self) -> list[AccountState]:
        found = await self._db.read(lambda db: db.execute(f"{_ACCOUNTS} ORDER BY open_kfid").fetchall())
        return [_account(row) for row in found]

    async def know_accounts(self, accounts: Iterable[KfAccount]) -> None:
        """Add accounts and take over their names; nothing is forgotten."""
        sql = """INSERT INTO accounts (open_kfid, name) VALUES (?, ?)
            ON CONFLICT DO UPDATE SET name = CASE WHEN excluded.name = '' THEN name ELSE excluded.name END"""
        values = [(account.open_kfid, account.name) for account in accounts]
        await self._db.write(lambda db: db.executemany(sql, values))

    async def begin(self, open_kfid: str, live_from: float, token: str = "", token_at: float = 0.0) -> AccountState:
        """The account as it stands before a sync. Its `live_from` is set once, so that a crash half-way through the
        history does not turn the rest of it into news, nor what comes meanwhile into history. Where a cursor has been
        lost it stays: what was seen before is on record, and what was not is news.

        A token is kept: one that still lives spares a restarted process the few calls that go without.
        """

        def work(db: sqlite3.Connection) -> AccountState:
            db.execute("INSERT OR IGNORE INTO accounts (open_kfid) VALUES (?)", (open_kfid,))
            db.execute(
                """UPDATE accounts SET live_from=coalesce(live_from, ?), cold=1
                    WHERE open_kfid=? AND cursor IS NULL AND (live_from IS NULL OR cold=0)""",
                (live_from, open_kfid),
            )
            if token:
                db.execute("UPDATE accounts SET token=?, token_at=? WHERE open_kfid=?", (token, token_at, open_kfid))
            return _account(db.execute(f"{_ACCOUNTS} WHERE open_kfid=?", (open_kfid,)).fetchone())

        return await self._db.write(work)

    async def commit(self, open_kfid: str, page: SyncPage, decide: Decide, now: float) -> Committed:
        """Items, what they change and the new cursor in one transaction. Items seen before are passed over."""

        def work(db: sqlite3.Connection) -> Committed:
            committed = self._take_in(db, open_kfid, page, decide, now)
            if page.next_cursor:
                sql = "UPDATE accounts SET cursor=?, synced_at=?, error=NULL WHERE open_kfid=?"
                db.execute(sql, (page.next_cursor, now, open_kfid))
            point("page.committing")
            return committed

        return await self._db.write(work)

    async def unpark(self, item: ParkedItem, page: SyncPage, decide: Decide, now: float) -> Committed | None:
        """Put what can now be read of a parked item in its place, as if it had just come; the cursor stays where it is.
        None when it is parked no more."""

        def work(db: sqlite3.Connection) -> Committed | None:
            sql = "DELETE FROM items WHERE open_kfid=? AND msgid=? AND state='parked'"
            found = db.execute(sql, (item.open_kfid, item.msgid)).rowcount
            return self._take_in(db, item.open_kfid, page, decide, now) if found else None

        return await self._db.write(work)

    def _take_in(self, db: sqlite3.Connection, open_kfid: str, page: SyncPage, decide: Decide, now: float) -> Committed:
        fresh = _fresh(db, page.items)
        sessions: list[Session] = []
        for account, items in _by_account(fresh, open_kfid).items():
            customers = [item.external_userid for item in items if item.external_userid]
            loaded = unit.load(db, account, customers, self._tenant)
            decide(loaded, items)
            sessions.extend(loaded.values())
        unit.save(db, sessions, now, self._keeping)
        db.executemany(_INSERT, [self._row(item) for item in fresh])
        db.executemany(_INSERT, [_parked(open_kfid, raw, why) for raw, why in page.broken])
        return Committed(fresh, sessions, len(page.broken))

    async def parked(self, scope: Scope, limit: int) -> list[ParkedItem]:
        """The first ones, of accounts in the scope."""

        def work(db: sqlite3.Connection) -> list[ParkedItem]:
            found = (row for row in db.execute(_PARKED) if row[0] in scope)
            return [
                ParkedItem(kf, msgid, at, json.loads(body), why) for kf, msgid, at, body, why in islice(found, limit)
            ]

        return await self._db.read(work)

    async def count_parked(self, scope: Scope) -> int:
        sql = "SELECT open_kfid, count(*) FROM items WHERE state='parked' GROUP BY open_kfid"
        return rows.within(scope, await self._db.read(lambda db: db.execute(sql).fetchall()))

    async def finish_history(self, open_kfid: str, since: float, now: float) -> int:
        """History is read to its end: have the state read of every customer seen since `since` and of every open
        handoff. Returns how many."""

        def work(db: sqlite3.Connection) -> int:
            marked = db.execute(
                """UPDATE sessions SET check_at=? WHERE open_kfid=? AND (check_at IS NULL OR check_at > ?)
                    AND (last_customer_at >= ? OR handoff_id IS NOT NULL)""",
                (now, open_kfid, now, since),
            ).rowcount
            db.execute("UPDATE accounts SET cold=0 WHERE open_kfid=?", (open_kfid,))
            point("history.finishing")
            return marked

        return await self._db.write(work)

    async def lose_cursor(self, open_kfid: str) -> None:
        """The next sync begins with the oldest item."""
        await self._db.write(lambda db: db.execute("UPDATE accounts SET cursor=NULL WHERE open_kfid=?", (open_kfid,)))

    async def fail(self, open_kfid: str, error: str) -> None:
        await self._db.write(lambda db: db.execute("UPDATE accounts SET error=? WHERE open_kfid=?", (error, open_kfid)))

    def _row(self, item: KfItem) -> tuple[Any, ...]:
        body = None
        if item.event is not None:
            body = rows.dump(item.event)
        elif self._keep_all:
            body = rows.dump(item.raw if item.raw is not None else {"text": item.text, "menu_id": item.menu_id})
        return (
            item.open_kfid, item.msgid, item.external_userid, item.send_time, item.origin, item.msgtype,
            item.event_type, item.servicer_userid, "done", body, None,
        )  # fmt: skip


def _account(row: tuple[Any, ...]) -> AccountState:
    open_kfid, name, cursor, live_from, cold, *rest = row
    return AccountState(open_kfid, name, cursor, live_from, bool(cold), *rest)


def _fresh(db: sqlite3.Connection, items: list[KfItem]) -> list[KfItem]:
    """Items without a row yet, each once, in order."""
    seen: set[tuple[str, str]] = set()
    for account in {item.open_kfid for item in items}:
        ids = json.dumps([item.msgid for item in items if item.open_kfid == account])
        sql = "SELECT i.msgid FROM json_each(?) k CROSS JOIN items i ON i.open_kfid=? AND i.msgid=k.value"
        seen.update((account, row[0]) for row in db.execute(sql, (ids, account)))
    fresh = []
    for item in items:
        identity = (item.open_kfid, item.msgid)
        if identity not in seen:
            seen.add(identity)
            fresh.append(item)
    return fresh


def _by_account(items: list[KfItem], open_kfid: str) -> dict[str, list[KfItem]]:
    """Nearly always one account; items without one belong to the account that was asked."""
    grouped: dict[str, list[KfItem]] = {}
    for item in items:
        grouped.setdefault(item.open_kfid or open_kfid, []).append(item)
    return grouped


def _parked(open_kfid: str, raw: Any, why: str) -> tuple[Any, ...]:
    body = rows.dump(raw)
    msgid = (
        str(raw.get("msgid"))
        if isinstance(raw, dict) and raw.get("msgid")
        else f"x-{hashlib.sha256(body.encode()).hexdigest()[:30]}"
    )
    return (open_kfid, msgid, "", 0, 0, "broken", "", "", "parked", body, why)
