"""What is asked of the record: of some kf accounts, as if there were no others."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

from bot.model import EVERYTHING, Handoff, HandoffEvent, HandoffStatus, Rule, Scope, SessionKey
from bot.ports import AccountCounts
from storage import rows
from storage.database import Database
from storage.migrations import OPEN, OVER
from storage.rows import EVENT_COLUMNS, HANDOFF_COLUMNS

_ACCEPTED = "coalesce(accepted_at, requested_at)"
_ALIVE = f"max(active_at, {_ACCEPTED})"
# As `bot.rules.clock` has it.
_BEGAN = {
    Rule.HUMAN_IDLE: _ALIVE,
    Rule.HUMAN_OPEN: _ACCEPTED,
    Rule.CUSTOMER_WAITING: f"iif({_ACCEPTED} > requested_at, max(waiting_since, {_ACCEPTED}), waiting_since)",
}
HANDOFFS = f"SELECT {HANDOFF_COLUMNS} FROM handoffs"
_HANDOFFS, _SESSIONS = "handoffs WHERE id > 0", "sessions WHERE TRUE"  # as the index `handoffs_account` wants it
LAST_ID = (1 << 63) - 1
# Numbers alone, for which `handoffs_counts` has all that is asked; the rows of those that are on the page come after.
_OPEN_PAGE = f"""WHERE id IN (SELECT id FROM handoffs
    WHERE {{}} AND {_ALIVE} >= ? AND {{}} AND +id < ? ORDER BY +id DESC LIMIT ?) ORDER BY id DESC"""
# Conditions in the words of the partial indexes.
_PAGES = {"": "id > 0", "OPEN": f"status IN {OPEN}"} | {
    each.value: f"status IN {OPEN if each.is_open else OVER} AND status = '{each}'" for each in HandoffStatus
}
Values = tuple[Any, ...]
Source = tuple[str, Values]  # a table with a condition, and the values bound in it


class Questions:
    """Implements `bot.ports.Questions`.

    What is open has small indexes of its own, which a scope merely filters; what ever was is looked up account by
    account, for the newest of a quiet account lie far behind those of the others. `tenant_id`: whose handoffs there
    are; empty for everybody's.
    """

    def __init__(self, database: Database, scope: Scope = EVERYTHING, tenant_id: str = "") -> None:
        self._db, self._scope, self._whose = database, scope, tenant_id
        self._filter, self._named = _filter(scope, tenant_id)
        # By the index `handoffs_tenant` or `handoffs_tenant_account`, where `_filter` leaves the choice to others.
        self._ours = " AND tenant_id=?" if tenant_id else ""
        self._us: Values = (tenant_id,) if tenant_id else ()

    async def handoff(self, handoff_id: int) -> Handoff | None:
        found = await self._handoffs("WHERE id=?", (handoff_id,))
        return next((each for each in found if self._may_see(each)), None)

    async def open_handoff(self, key: SessionKey) -> Handoff | None:
        if key.open_kfid not in self._scope:
            return None
        where = f"WHERE open_kfid=? AND external_userid=? AND status IN {OPEN}"
        found = await self._handoffs(where, (key.open_kfid, key.external_userid))
        return next((each for each in found if self._may_see(each)), None)

    async def open_by_prefix(self, prefix: str, limit: int = 10) -> list[Handoff]:
        """Open handoffs whose customer's id begins so; exact case."""
        where = f"""WHERE status IN {OPEN} AND external_userid >= ? AND external_userid < ? AND {self._filter}
            ORDER BY id LIMIT ?"""
        return await self._handoffs(where, (*_between(prefix), *self._named, limit))

    async def sessions_by_prefix(self, prefix: str, limit: int = 10) -> list[SessionKey]:
        begins = "AND external_userid >= ? AND external_userid < ? ORDER BY external_userid LIMIT ?"
        found = await self._of_each("external_userid, open_kfid", (_SESSIONS, ()), begins, (*_between(prefix), limit))
        return [SessionKey(open_kfid, customer) for customer, open_kfid in sorted(found)[:limit]]

    async def open_handoffs(self, kind: str = "", limit: int = 10, offset: int = 0) -> list[Handoff]:
        """Longest wait first. `kind`: waiting (customer wrote last), human, queue, or empty for all."""
        where = f"""WHERE {_kind(kind)} AND {self._filter}
            ORDER BY coalesce(waiting_since, 9e99), requested_at LIMIT ? OFFSET ?"""
        return await self._handoffs(where, (*self._named, limit, offset))

    async def open_matching(self, rule: Rule, before: float, limit: int) -> list[Handoff]:
        """With a servicer, where the rule's clock began before that time; longest first. Reads all that is open."""
        began = _BEGAN[rule]
        where = f"WHERE {_kind('human')} AND {began} < ? AND {self._filter} ORDER BY {began}, id LIMIT ?"
        where = f"INDEXED BY handoffs_counts {where}"  # which tells of all but the chosen ones without their rows
        return await self._handoffs(where, (before, *self._named, limit))

    async def count_open(self, kind: str = "") -> int:
        sql = f"SELECT count(*) FROM handoffs WHERE {_kind(kind)} AND {self._filter}"
        row = await self._db.read(lambda db: db.execute(sql, self._named).fetchone())
        return int(row[0])

    async def counts(self) -> list[AccountCounts]:
        """Open handoffs per account, accounts without any included."""
        sql = f"""SELECT a.open_kfid, a.name, count(h.id) FILTER (WHERE h.status = 'PENDING'),
                count(h.id) FILTER (WHERE h.status != 'PENDING'), count(h.waiting_since), min(h.waiting_since)
            FROM accounts a LEFT JOIN handoffs h ON h.open_kfid = a.open_kfid AND h.status IN {OPEN}
                AND ?1 IN ('', +h.tenant_id)
            GROUP BY a.open_kfid ORDER BY a.open_kfid"""
        found = await self._db.read(lambda db: db.execute(sql, (self._whose,)).fetchall())
        return [AccountCounts(*row) for row in found if row[0] in self._scope]

    async def history(self, key: SessionKey | None = None, limit: int = 10) -> list[Handoff]:
        """Ended and open handoffs, newest first; of one session or of all."""
        if key is None:
            found = await self._of_each(HANDOFF_COLUMNS, self._source, "ORDER BY id DESC LIMIT ?", (limit,))
            return [rows.handoff(row) for row in sorted(found, key=itemgetter(0), reverse=True)[:limit]]
        if key.open_kfid not in self._scope:
            return []
        where = f"WHERE external_userid=? AND open_kfid=? AND {self._filter} ORDER BY id DESC LIMIT ?"
        return await self._handoffs(where, (key.external_userid, key.open_kfid, *self._named, limit))

    async def page(
        self, kind: str, open_kfid: str, before: int | None, limit: int, active_since: float | None = None
    ) -> list[Handoff]:
        """Newest first, those before the one with that id. `kind`: a status, OPEN for the three that are, or empty for
        all; `open_kfid` empty: of all accounts. `active_since`: only open ones that began, were accepted, or had a
        message since; reads all that is open, in the smallest index."""
        if open_kfid and open_kfid not in self._scope:
            return []
        scope = Scope(frozenset({open_kfid}), others=False) if open_kfid else self._scope
        where = _PAGES[kind if active_since is None else kind or "OPEN"]
        values = (LAST_ID if before is None else before, limit)
        if OPEN in where:
            condition, named = _filter(scope, self._whose)
            return await self._handoffs(_OPEN_PAGE.format(where, condition), (active_since or 0.0, *named, *values))
        if active_since is not None:
            return []
        if scope == EVERYTHING and not kind:
            rest = f"{self._ours} AND id < ? ORDER BY id DESC LIMIT ?"
            return await self._handoffs(f"WHERE {where}{rest}", (*self._us, *values))
        ours = self._ours.replace("tenant_id", "+tenant_id") if kind else self._ours
        one = f"{HANDOFFS} WHERE {where}{ours} AND open_kfid=? AND id < ? ORDER BY id DESC LIMIT ?"

        def work(db: sqlite3.Connection) -> list[Values]:
            accounts = _accounts(db, self._source, scope)
            return [row for account in accounts for row in db.execute(one, (*self._us, account, *values))]

        found = sorted(await self._db.read(work), key=itemgetter(0), reverse=True)
        return [rows.handoff(row) for row in found[:limit]]

    async def events(self, handoff_id: int) -> list[HandoffEvent]:
        if (self._scope != EVERYTHING or self._whose) and await self.handoff(handoff_id) is None:
            return []
        sql = f"SELECT {EVENT_COLUMNS} FROM handoff_events WHERE handoff_id=? ORDER BY id"
        return [rows.event(row) for row in await self._db.read(lambda db: db.execute(sql, (handoff_id,)).fetchall())]

    @property
    def _source(self) -> Source:
        return f"{_HANDOFFS}{self._ours}", self._us

    def _may_see(self, found: Handoff) -> bool:
        return found.open_kfid in self._scope and self._whose in ("", found.tenant_id)

    async def _handoffs(self, where: str, values: Sequence[Any]) -> list[Handoff]:
        sql = f"{HANDOFFS} {where}"
        found = await self._db.read(lambda db: db.execute(sql, values).fetchall())
        return [rows.handoff(row) for row in found]

    async def _of_each(self, columns: str, source: Source, rest: str, values: Values) -> list[Values]:
        """What is found in each account of the scope, or at once where that is all of them."""
        sql, bound = f"SELECT {columns} FROM {source[0]}", source[1]

        def work(db: sqlite3.Connection) -> list[Values]:
            if self._scope == EVERYTHING:
                return db.execute(f"{sql} {rest}", (*bound, *values)).fetchall()
            one, accounts = f"{sql} AND open_kfid=? {rest}", _accounts(db, source, self._scope)
            return [row for account in accounts for row in db.execute(one, (*bound, account, *values))]

        return await self._db.read(work)


def _filter(scope: Scope, tenant_id: str = "") -> tuple[str, tuple[str, ...]]:
    """A condition and what it binds. Its `+` leaves the choice of an index to the rest of the question."""
    whose = ("+tenant_id = ?", (tenant_id,)) if tenant_id else ("TRUE", ())
    if scope == EVERYTHING:
        return whose
    word = "NOT IN" if scope.others else "IN"
    named = json.dumps(sorted(scope.accounts))
    return f"+open_kfid {word} (SELECT value FROM json_each(?)) AND {whose[0]}", (named, *whose[1])


def _accounts(db: sqlite3.Connection, source: Source, scope: Scope) -> Iterator[str]:
    """Where the scope does not name them: by a hop in the index for each, for DISTINCT would read every row. And not
    those that are all another tenant's: however much is in them, nothing of it would be found."""
    table, bound = source
    if not scope.others:
        ours = f"SELECT 1 FROM {table} AND open_kfid=? LIMIT 1"
        named = sorted(scope.accounts)
        yield from (each for each in named if not bound or db.execute(ours, (*bound, each)).fetchone())
        return
    hop = f"SELECT min(open_kfid) FROM {table} AND open_kfid > ?"
    account = db.execute(hop, (*bound, "")).fetchone()[0]
    while account is not None:
        if account in scope:
            yield account
        account = db.execute(hop, (*bound, account)).fetchone()[0]


def _between(prefix: str) -> tuple[str, str]:
    return prefix, prefix + "\U0010ffff"


def _kind(kind: str) -> str:
    extra = {"waiting": " AND waiting_since IS NOT NULL", "human": " AND status != 'PENDING'", "queue": ""}
    return f"status = 'PENDING' AND status IN {OPEN}" if kind == "queue" else f"status IN {OPEN}{extra.get(kind, '')}"
