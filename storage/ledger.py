"""Sessions, handoffs, their log, intentions to end, messages by single-use codes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from math import inf
from typing import TypeVar

from bot.audit import intended
from bot.faults import point
from bot.model import Asker, Handoff, HandoffStatus, Notify, Operator, Scope, ServiceState, SessionKey
from bot.ports import CodeMessage, PendingEnding
from bot.sessions import Ending, EventDraft, Session
from storage import rows, unit
from storage.audit import append
from storage.database import Database
from storage.migrations import OPEN
from storage.questions import HANDOFFS, Questions
from storage.rows import ENDING_COLUMNS
from storage.unit import Keeping, never

T = TypeVar("T")
OWED = 2  # see the schema
# Whoever asks in no chat takes the promise over that was given to another.
_KEEP_PROMISE = ", ".join(
    f"{name}=iif(excluded.chat_id='', {name}, excluded.{name})"
    for name in ("is_group", "command_id", "owed", "chat_id")
)
_QUIET = "state IS NOT 4 AND state_at <= ?"  # in these words: they are how the index sessions_quiet is found
_EXPIRE = """UPDATE sessions SET state=4, servicer_userid=NULL, state_at=?, version=version+1
    WHERE open_kfid=? AND external_userid=?"""
_LOOK_AT = 1000  # sessions at a time that may turn out to be long over


class Ledger(Questions):
    """Implements `bot.ports.Ledger`. Its own questions are of all accounts, and of whatever tenant."""

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
        super().__init__(database)
        self._tenant = tenant_id
        self.keep_text = keep_text != "none"
        self._keeping = Keeping(keep_text == "all", earliest, tell_ends)

    def within(self, scope: Scope) -> Questions:
        return Questions(self._db, scope, self._tenant)

    async def session(self, key: SessionKey) -> Session:
        return await self._db.read(lambda db: unit.load_one(db, key, self._tenant))

    async def sessions(self, keys: Iterable[SessionKey]) -> dict[SessionKey, Session]:
        wanted = list(keys)
        return await self._db.read(lambda db: unit.load_all(db, wanted, self._tenant))

    async def change_all(self, keys: Iterable[SessionKey], decide: Callable[[Session], None], now: float) -> None:
        """As `change` for many sessions in one transaction."""
        wanted = list(keys)

        def work(db: sqlite3.Connection) -> None:
            loaded = unit.load_all(db, wanted, self._tenant)
            for session in loaded.values():
                decide(session)
            unit.save(db, loaded.values(), now, self._keeping)
            point("states.following")

        await self._db.write(work)

    async def change(self, key: SessionKey, decide: Callable[[Session], T], now: float, *, durable: bool = False) -> T:
        """Load one session, let `decide` change it, write it back: one transaction. `decide` may run in any thread.

        `durable`: on disk when it returns, for what an outside effect follows."""

        def work(db: sqlite3.Connection) -> T:
            session = unit.load_one(db, key, self._tenant)
            result = decide(session)
            unit.save(db, [session], now, self._keeping)
            point("session.changing")
            return result

        return await self._db.write(work, durable=durable)

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
        notify: Notify | None,
    ) -> tuple[Handoff | None, Ending | None, bool]:
        """Record an intention to end the open handoff, on disk, before anything is done about it.

        `decide` sees the session first (it may open the handoff that a state read has found) and says whether to go
        on. Returns the handoff, the pending intention (None when there is nothing to end, or `decide` would not), and
        whether it is ours: another's is returned as it stands, unless its lease has run out; then it becomes ours.
        """
        asker = Asker(*notify) if notify else Asker("", False)
        ours = (operator.type, operator.id, via, reason, now, now + lease)
        owing = (asker.chat_id, asker.is_group, asker.command, OWED if asker.chat_id else None)

        def work(db: sqlite3.Connection) -> tuple[Handoff | None, Ending | None, bool]:
            session = unit.load_one(db, key, self._tenant)
            go_on = decide(session)
            unit.save(db, [session], now, self._keeping)
            if not go_on or session.handoff is None:
                return session.handoff, None, False
            if session.ending is not None and not _lease_is_over(db, session.ending.id, now):
                return session.handoff, session.ending, False
            row = db.execute(
                f"""INSERT INTO endings (operator_type, operator_id, via, reason, requested_at, lease_until, chat_id,
                        is_group, command_id, owed, handoff_id, open_kfid, external_userid, state, attempts)
                    VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,'pending',1)
                    ON CONFLICT (handoff_id) WHERE state='pending' DO UPDATE SET
                        operator_type=excluded.operator_type, operator_id=excluded.operator_id, via=excluded.via,
                        reason=excluded.reason, requested_at=excluded.requested_at, lease_until=excluded.lease_until,
                        {_KEEP_PROMISE}, attempts=attempts+1, overtaken=0
                    RETURNING id, attempts""",
                (*ours, *owing, session.handoff.id, *_pair(key)),
            ).fetchone()
            if entry := intended(now, operator, via, session.handoff):
                append(db, entry)
            point("ending.recording")
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
            unit.save(db, [session], now, self._keeping)
            point("ending.settling")
            return result

        return await self._db.write(work)

    async def take_ending(self, ending_id: int, now: float, lease: float) -> bool:
        """Claim a pending intention whose lease has run out. False: another has it, or it is settled."""
        sql = """UPDATE endings SET lease_until=?, attempts=attempts+1
            WHERE id=? AND state='pending' AND lease_until <= ?"""
        values = (now + lease, ending_id, now)
        return await self._db.write(lambda db: db.execute(sql, values).rowcount == 1, durable=True)

    async def release_ending(self, ending_id: int, until: float, errcode: int) -> None:
        """Leave it pending, to be looked at again at `until`. Then no answer under way will tell what comes of it."""
        await self._db.write(
            lambda db: db.execute(
                "UPDATE endings SET lease_until=?, errcode=?, command_id=NULL WHERE id=? AND state='pending'",
                (until, errcode, ending_id),
            )
        )

    async def promise(self, ending_id: int, asker: Asker) -> None:
        """Who has asked for the same end is told its outcome, where nobody else is."""
        sql = "UPDATE endings SET chat_id=?, is_group=?, command_id=NULL, owed=? WHERE id=? AND chat_id=''"
        values = (asker.chat_id, asker.is_group, OWED, ending_id)
        await self._db.write(lambda db: db.execute(sql, values), durable=True)

    async def due_endings(self, now: float, limit: int = 100) -> list[PendingEnding]:
        sql = f"""SELECT {ENDING_COLUMNS}, open_kfid, external_userid, chat_id, is_group FROM endings
            WHERE state='pending' AND lease_until <= ? ORDER BY id LIMIT ?"""
        found = await self._db.read(lambda db: db.execute(sql, (now, limit)).fetchall())
        return [
            PendingEnding(rows.ending(tuple(ending)), SessionKey(kf, customer), chat_id or "", bool(is_group))
            for *ending, kf, customer, chat_id, is_group in found
        ]

    async def asked_ends(self, limit: int = 100) -> list[SessionKey]:
        """Sessions whose customer has asked for the end in the chat, earliest first."""
        sql = """SELECT open_kfid, external_userid FROM sessions WHERE end_asked_at IS NOT NULL
            ORDER BY end_asked_at LIMIT ?"""
        return [SessionKey(*row) for row in await self._db.read(lambda db: db.execute(sql, (limit,)).fetchall())]

    # -- messages by single-use codes

    async def take_code(self, handoff_id: int, given_in: ServiceState) -> CodeMessage | None:
        """Claim a message for sending: exactly one caller gets a pending one. A closing message waits for the end."""

        def work(db: sqlite3.Connection) -> CodeMessage | None:
            taken = db.execute(
                """UPDATE codes SET state='sending', attempts=attempts+1
                    WHERE handoff_id=? AND service_state=? AND state='pending'
                        AND (service_state < 4 OR (SELECT completed_at FROM handoffs WHERE id=handoff_id))
                    RETURNING code, msgid, expires_at, attempts""",
                (handoff_id, given_in),
            ).fetchone()
            if taken is None:
                return None
            row = db.execute(f"{HANDOFFS} WHERE id=?", (handoff_id,)).fetchone()
            point("code.taking")
            return CodeMessage(rows.handoff(row), given_in, *taken)

        return await self._db.write(work, durable=True)

    async def settle_code(
        self, handoff: Handoff, given_in: ServiceState, state: str, errcode: int, error: str, event: EventDraft
    ) -> None:
        """`state`: sent, failed, expired, unknown or skipped. `event`: what the handoff's log says of it."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE codes SET state=?, errcode=?, error=? WHERE handoff_id=? AND service_state=?",
                (state, errcode, error, handoff.id, given_in),
            )
            unit.append_events(db, [event])
            point("code.settling")

        await self._db.write(work)

    async def due_codes(self, *given_in: ServiceState) -> list[tuple[int, ServiceState]]:
        """Messages that wait to be sent: their handoffs, and the states their codes were given in."""
        sql = f"""SELECT c.handoff_id, c.service_state FROM codes c JOIN handoffs h ON h.id = c.handoff_id
            WHERE c.state='pending' AND c.service_state IN ({",".join("?" * len(given_in))})
                AND (c.service_state < 4 OR h.completed_at IS NOT NULL)
            ORDER BY c.handoff_id, c.service_state LIMIT 200"""
        found = await self._db.read(lambda db: db.execute(sql, given_in).fetchall())
        return [(handoff_id, ServiceState(state)) for handoff_id, state in found]

    async def recover_codes(self, busy: Iterable[tuple[int, ServiceState]] = (), dead: float = inf) -> None:
        """What nobody is sending any more may be sent again with the same single-use code: at start all, later what is
        not `busy` in this process. A closing message may be another's until its code was `dead` for a while."""
        ours = json.dumps([handoff_id * 8 + given_in for handoff_id, given_in in busy])
        sql = f"""UPDATE codes SET state='pending' WHERE state='sending'
            AND (service_state < {ServiceState.ENDED:d} OR expires_at <= ?)
            AND handoff_id * 8 + service_state NOT IN (SELECT value FROM json_each(?))"""
        await self._db.write(lambda db: db.execute(sql, (dead, ours)))

    async def code_state(self, handoff_id: int, given_in: ServiceState) -> str:
        """As `settle_code` has it, or pending or sending; empty where there is no code."""
        sql = "SELECT state FROM codes WHERE handoff_id=? AND service_state=?"
        row = await self._db.read(lambda db: db.execute(sql, (handoff_id, given_in)).fetchone())
        return row[0] if row else ""

    async def place_in_queue(self, handoff: Handoff) -> int:
        """1 for who is next in the account's queue."""
        sql = f"""SELECT count(*) FROM handoffs WHERE open_kfid=? AND status='{HandoffStatus.PENDING}'
            AND status IN {OPEN} AND (requested_at, id) < (?, ?)"""
        values = (handoff.open_kfid, handoff.requested_at, handoff.id)
        return 1 + int((await self._db.read(lambda db: db.execute(sql, values).fetchone()))[0])

    # -- what is due for a state read

    async def due_checks(self, now: float, limit: int) -> list[SessionKey]:
        sql = "SELECT open_kfid, external_userid FROM sessions WHERE check_at <= ? ORDER BY check_at LIMIT ?"
        found = await self._db.read(lambda db: db.execute(sql, (now, limit)).fetchall())
        return [SessionKey(*row) for row in found]

    async def check_quiet(self, since: float, now: float, limit: int) -> int:
        """Mark open handoffs that nothing has shown to be so since `since`, oldest knowledge first. Returns how many.

        A customer's message is no such sign: it may be part of a new session with the assistant.
        """
        sql = f"""SELECT open_kfid, external_userid FROM sessions WHERE {_QUIET} AND chat_mode='HUMAN'
            AND last_servicer_at <= ? ORDER BY state_at LIMIT ?"""

        def work(db: sqlite3.Connection) -> int:
            return _mark(db, db.execute(sql, (since, since, limit)).fetchall(), now)

        return await self._db.write(work)

    async def check_unserved(self, since: float, alive: float, now: float, limit: int) -> int:
        """Mark sessions without a handoff whose state was last learned before `since`, oldest knowledge first: another
        program may have handed them to a human. Returns how many.

        WeCom ends by itself what the customer has left long ago: those silent since `alive` are put down as ended.
        """
        sql = f"""SELECT open_kfid, external_userid, coalesce(nullif(last_customer_at, 0), state_at),
                coalesce(check_at, 9e99) FROM sessions WHERE {_QUIET} AND chat_mode='AI' ORDER BY state_at LIMIT ?"""

        def work(db: sqlite3.Connection) -> int:
            found = db.execute(sql, (since, _LOOK_AT)).fetchall()
            silent = {(kf, customer) for kf, customer, wrote_at, due in found if wrote_at <= alive and due > now}
            db.executemany(_EXPIRE, [(now, *pair) for pair in silent])
            return _mark(db, [row[:2] for row in found if row[:2] not in silent][:limit], now)

        return await self._db.write(work)

    async def next_check(self) -> float | None:
        sql = "SELECT min(check_at) FROM sessions WHERE check_at IS NOT NULL"
        row = await self._db.read(lambda db: db.execute(sql).fetchone())
        return row[0] if row else None


def _mark(db: sqlite3.Connection, pairs: Iterable[tuple[str, str]], now: float) -> int:
    """Have the state read now; a mark already due keeps its place."""
    sql = "UPDATE sessions SET check_at=min(coalesce(check_at, ?), ?) WHERE open_kfid=? AND external_userid=?"
    return db.executemany(sql, [(now, now, *pair) for pair in pairs]).rowcount


def _pair(key: SessionKey) -> tuple[str, str]:
    return key.open_kfid, key.external_userid


def _lease_is_over(db: sqlite3.Connection, ending_id: int, now: float) -> bool:
    found = db.execute("SELECT 1 FROM endings WHERE id=? AND lease_until <= ?", (ending_id, now)).fetchone()
    return found is not None
