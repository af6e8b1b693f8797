"""Sessions, handoffs, their log, intentions to end, closing messages."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from bot.model import Handoff, HandoffEvent, Operator, SessionKey
from bot.ports import AccountCounts, Closing, PendingEnding
from bot.sessions import Ending, Session
from storage import rows, unit
from storage.database import Database
from storage.migrations import OPEN
from storage.rows import ENDING_COLUMNS, EVENT_COLUMNS, HANDOFF_COLUMNS

T = TypeVar("T")
_HANDOFF = f"SELECT {HANDOFF_COLUMNS} FROM handoffs"


class Ledger:
    """Implements `bot.ports.Ledger`."""

    def __init__(self, database: Database, tenant_id: str, keep_text: str = "last") -> None:
        self._db, self._tenant = database, tenant_id
        self.keep_text = keep_text != "none"
        self._keep_ended_text = keep_text == "all"

    async def session(self, key: SessionKey) -> Session:
        return await self._db.read(lambda db: unit.load_one(db, key, self._tenant))

    async def change(self, key: SessionKey, decide: Callable[[Session], T], now: float) -> T:
        """Load one session, let `decide` change it, write it back: one transaction. `decide` may run in any thread."""

        def work(db: sqlite3.Connection) -> T:
            session = unit.load_one(db, key, self._tenant)
            result = decide(session)
            unit.save(db, [session], now, keep_ended_text=self._keep_ended_text)
            return result

        return await self._db.write(work)

    # -- intentions to end

    async def open_ending(
        self,
        key: SessionKey,
        decide: Callable[[Session], bool],
        operator: Operator,
        via: str,
        reason: str,
        now: float,
        lease: float,
        notify: tuple[str, bool] | None,
    ) -> tuple[Handoff | None, Ending | None, bool]:
        """Record an intention to end the open handoff, on disk, before anything is done about it.

        `decide` sees the session first (it may open the handoff that a state read has found) and says whether to go
        on. Returns the handoff, the pending intention (None when there is nothing to end, or `decide` would not), and
        whether it is ours: another's is returned as it stands, unless its lease has run out; then it becomes ours.
        """
        chat_id, is_group = notify or ("", False)
        ours = (operator.type, operator.id, via, reason, now, now + lease, chat_id, is_group)

        def work(db: sqlite3.Connection) -> tuple[Handoff | None, Ending | None, bool]:
            session = unit.load_one(db, key, self._tenant)
            go_on = decide(session)
            unit.save(db, [session], now, keep_ended_text=self._keep_ended_text)
            if not go_on or session.handoff is None:
                return session.handoff, None, False
            if session.ending is not None and not _lease_is_over(db, session.ending.id, now):
                return session.handoff, session.ending, False
            row = db.execute(
                """INSERT INTO endings (operator_type, operator_id, via, reason, requested_at, lease_until, chat_id,
                        is_group, handoff_id, open_kfid, external_userid, state, attempts)
                    VALUES (?,?,?,?,?,?,?,?,?,?,?,'pending',1)
                    ON CONFLICT (handoff_id) WHERE state='pending' DO UPDATE SET
                        operator_type=excluded.operator_type, operator_id=excluded.operator_id, via=excluded.via,
                        reason=excluded.reason, requested_at=excluded.requested_at, lease_until=excluded.lease_until,
                        chat_id=excluded.chat_id, is_group=excluded.is_group, attempts=attempts+1, overtaken=0
                    RETURNING id, attempts""",
                (*ours, session.handoff.id, *_pair(key)),
            ).fetchone()
            return session.handoff, Ending(row[0], session.handoff.id, operator, via, reason, now, row[1]), True

        return await self._db.write(work, durable=True)

    async def settle_ending(
        self,
        key: SessionKey,
        ending_id: int,
        state: str,
        outcome: str,
        errcode: int,
        now: float,
        decide: Callable[[Session], T],
    ) -> T:
        """Close the intention and apply its outcome in one transaction. `state`: done or failed."""

        def work(db: sqlite3.Connection) -> T:
            db.execute(
                """UPDATE endings SET state=?, outcome=?, errcode=?, settled_at=? WHERE id=? AND state='pending'""",
                (state, outcome, errcode, now, ending_id),
            )
            session = unit.load_one(db, key, self._tenant)
            result = decide(session)
            unit.save(db, [session], now, keep_ended_text=self._keep_ended_text)
            return result

        return await self._db.write(work)

    async def take_ending(self, ending_id: int, now: float, lease: float) -> bool:
        """Claim a pending intention whose lease has run out. False: another has it, or it is settled."""
        sql = """UPDATE endings SET lease_until=?, attempts=attempts+1
            WHERE id=? AND state='pending' AND lease_until <= ?"""
        return await self._db.write(lambda db: db.execute(sql, (now + lease, ending_id, now)).rowcount == 1)

    async def release_ending(self, ending_id: int, until: float, errcode: int) -> None:
        """Leave it pending, to be looked at again at `until`."""
        await self._db.write(
            lambda db: db.execute(
                "UPDATE endings SET lease_until=?, errcode=? WHERE id=? AND state='pending'",
                (until, errcode, ending_id),
            )
        )

    async def due_endings(self, now: float, limit: int = 100) -> list[PendingEnding]:
        sql = f"""SELECT {ENDING_COLUMNS}, open_kfid, external_userid, chat_id, is_group FROM endings
            WHERE state='pending' AND lease_until <= ? ORDER BY id LIMIT ?"""
        found = await self._db.read(lambda db: db.execute(sql, (now, limit)).fetchall())
        return [
            PendingEnding(rows.ending(tuple(ending)), SessionKey(kf, customer), chat_id or "", bool(is_group))
            for *ending, kf, customer, chat_id, is_group in found
        ]

    # -- closing messages

    async def take_closing(self, handoff_id: int, now: float) -> Closing | None:
        """Claim a closing message for sending: exactly one caller gets a pending one. Expired ones are marked so."""

        def work(db: sqlite3.Connection) -> Closing | None:
            db.execute(
                "UPDATE closings SET state='expired' WHERE handoff_id=? AND state='pending' AND expires_at <= ?",
                (handoff_id, now),
            )
            taken = db.execute(
                """UPDATE closings SET state='sending', attempts=attempts+1
                    WHERE handoff_id=? AND state='pending' AND (SELECT completed_at FROM handoffs WHERE id=handoff_id)
                    RETURNING code, state, msgid, expires_at, attempts""",
                (handoff_id,),
            ).fetchone()
            if taken is None:
                return None
            row = db.execute(f"{_HANDOFF} WHERE id=?", (handoff_id,)).fetchone()
            return Closing(rows.handoff(row), *taken)

        return await self._db.write(work)

    async def settle_closing(
        self,
        handoff: Handoff,
        state: str,
        errcode: int,
        error: str,
        decide: Callable[[Session], None],
        now: float,
    ) -> None:
        """`state`: sent, failed, unknown, expired, or pending to try again. Logged through `decide`."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE closings SET state=?, errcode=?, error=? WHERE handoff_id=?",
                (state, errcode, error, handoff.id),
            )
            session = unit.load_one(db, handoff.key, self._tenant)
            decide(session)
            unit.save(db, [session], now, keep_ended_text=self._keep_ended_text)

        await self._db.write(work)

    async def due_closings(self) -> list[int]:
        """Handoffs whose closing message waits to be sent."""
        sql = """SELECT c.handoff_id FROM closings c JOIN handoffs h ON h.id = c.handoff_id
            WHERE c.state='pending' AND h.completed_at IS NOT NULL ORDER BY c.handoff_id LIMIT 200"""
        return [row[0] for row in await self._db.read(lambda db: db.execute(sql).fetchall())]

    async def recover_closings(self) -> None:
        """At start: what a dead process was sending may be sent again with the same single-use code."""
        await self._db.write(lambda db: db.execute("UPDATE closings SET state='pending' WHERE state='sending'"))

    async def closing_state(self, handoff_id: int) -> str:
        sql = "SELECT state FROM closings WHERE handoff_id=?"
        row = await self._db.read(lambda db: db.execute(sql, (handoff_id,)).fetchone())
        return row[0] if row else ""

    # -- what is due for a state read

    async def due_checks(self, now: float, limit: int) -> list[SessionKey]:
        sql = "SELECT open_kfid, external_userid FROM sessions WHERE check_at <= ? ORDER BY check_at LIMIT ?"
        found = await self._db.read(lambda db: db.execute(sql, (now, limit)).fetchall())
        return [SessionKey(*row) for row in found]

    async def check_quiet(self, since: float, now: float, limit: int) -> int:
        """Mark open handoffs that nothing has shown to be so since `since`, oldest knowledge first. Returns how many.

        A customer's message is no such sign: it may be part of a new session with the assistant.
        """
        sql = """UPDATE sessions SET check_at = ? WHERE (open_kfid, external_userid) IN (
                SELECT open_kfid, external_userid FROM sessions
                WHERE handoff_id IS NOT NULL AND state_at <= ? AND last_servicer_at <= ? ORDER BY state_at LIMIT ?)"""
        return await self._db.write(lambda db: db.execute(sql, (now, since, since, limit)).rowcount)

    async def next_check(self) -> float | None:
        sql = "SELECT min(check_at) FROM sessions WHERE check_at IS NOT NULL"
        row = await self._db.read(lambda db: db.execute(sql).fetchone())
        return row[0] if row else None

    # -- questions

    async def handoff(self, handoff_id: int) -> Handoff | None:
        return next(iter(await self._handoffs("WHERE id=?", (handoff_id,))), None)

    async def open_handoff(self, key: SessionKey) -> Handoff | None:
        found = await self._handoffs(f"WHERE open_kfid=? AND external_userid=? AND status IN {OPEN}", _pair(key))
        return next(iter(found), None)

    async def open_by_prefix(self, prefix: str, limit: int = 10) -> list[Handoff]:
        """Open handoffs whose customer's id begins so; exact case."""
        where = f"WHERE status IN {OPEN} AND external_userid >= ? AND external_userid < ? ORDER BY id LIMIT ?"
        return await self._handoffs(where, (prefix, prefix + "\U0010ffff", limit))

    async def sessions_by_prefix(self, prefix: str, limit: int = 10) -> list[SessionKey]:
        sql = """SELECT open_kfid, external_userid FROM sessions WHERE external_userid >= ? AND external_userid < ?
            ORDER BY external_userid LIMIT ?"""
        wanted = (prefix, prefix + "\U0010ffff", limit)
        return [SessionKey(*row) for row in await self._db.read(lambda db: db.execute(sql, wanted).fetchall())]

    async def open_handoffs(self, kind: str = "", limit: int = 10, offset: int = 0) -> list[Handoff]:
        """Longest wait first. `kind`: waiting (customer wrote last), human, queue, or empty for all."""
        where = f"WHERE {_kind(kind)} ORDER BY coalesce(waiting_since, 9e99), requested_at LIMIT ? OFFSET ?"
        return await self._handoffs(where, (limit, offset))

    async def count_open(self, kind: str = "") -> int:
        sql = f"SELECT count(*) FROM handoffs WHERE {_kind(kind)}"
        row = await self._db.read(lambda db: db.execute(sql).fetchone())
        return int(row[0])

    async def counts(self) -> list[AccountCounts]:
        """Open handoffs per account, accounts without any included."""
        sql = f"""SELECT a.open_kfid, a.name, count(h.id) FILTER (WHERE h.status = 'PENDING'),
                count(h.id) FILTER (WHERE h.status != 'PENDING'), count(h.waiting_since), min(h.waiting_since)
            FROM accounts a LEFT JOIN handoffs h ON h.open_kfid = a.open_kfid AND h.status IN {OPEN}
            GROUP BY a.open_kfid ORDER BY a.open_kfid"""
        return [AccountCounts(*row) for row in await self._db.read(lambda db: db.execute(sql).fetchall())]

    async def history(self, key: SessionKey | None = None, limit: int = 10) -> list[Handoff]:
        """Ended and open handoffs, newest first; of one session or of all."""
        if key is None:
            return await self._handoffs("ORDER BY id DESC LIMIT ?", (limit,))
        where = "WHERE external_userid=? AND open_kfid=? ORDER BY id DESC LIMIT ?"
        return await self._handoffs(where, (key.external_userid, key.open_kfid, limit))

    async def events(self, handoff_id: int) -> list[HandoffEvent]:
        sql = f"SELECT {EVENT_COLUMNS} FROM handoff_events WHERE handoff_id=? ORDER BY id"
        return [rows.event(row) for row in await self._db.read(lambda db: db.execute(sql, (handoff_id,)).fetchall())]

    async def _handoffs(self, where: str, values: Sequence[Any]) -> list[Handoff]:
        sql = f"{_HANDOFF} {where}"
        found = await self._db.read(lambda db: db.execute(sql, values).fetchall())
        return [rows.handoff(row) for row in found]


def _kind(kind: str) -> str:
    extra = {"waiting": " AND waiting_since IS NOT NULL", "human": " AND status != 'PENDING'", "queue": ""}
    return f"status = 'PENDING' AND status IN {OPEN}" if kind == "queue" else f"status IN {OPEN}{extra.get(kind, '')}"


def _pair(key: SessionKey) -> tuple[str, str]:
    return key.open_kfid, key.external_userid


def _lease_is_over(db: sqlite3.Connection, ending_id: int, now: float) -> bool:
    found = db.execute("SELECT 1 FROM endings WHERE id=? AND lease_until <= ?", (ending_id, now)).fetchone()
    return found is not None
