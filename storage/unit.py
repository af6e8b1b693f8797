"""Load sessions, let pure code change them, write back what changed: the unit of work of every ledger transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from bot.model import EventType, Handoff, OperatorType, ServiceState, SessionKey
from bot.sessions import UNSAVED, ClosingDraft, EventDraft, GreetingDraft, Session, code_event
from storage import rows
from storage.rows import ENDING_COLUMNS, HANDOFF_COLUMNS, SESSION_COLUMNS, prefixed

CHUNK = 1000


def never(handoff: Handoff) -> float:
    """Where nobody watches."""
    return inf


@dataclass(frozen=True, slots=True)
class Keeping:
    """How handoffs are written. `earliest`: before which time no rule can ask for anything, see `bot.rules`.

    `tell_ends`: the group hears of every end that a customer made, also where it has had no alert.
    """

    ended_text: bool = False
    earliest: Callable[[Handoff], float] = never
    tell_ends: bool = False


_WHOLE = f"""SELECT
    {prefixed("s", SESSION_COLUMNS)}, {prefixed("h", HANDOFF_COLUMNS)}, {prefixed("e", ENDING_COLUMNS)}"""
_OPEN = """LEFT JOIN handoffs h ON h.id = s.handoff_id
    LEFT JOIN endings e ON e.handoff_id = s.handoff_id AND e.state = 'pending'"""
_LOAD = f"""{_WHOLE} FROM json_each(?) AS k
    CROSS JOIN sessions s ON s.open_kfid = ? AND s.external_userid = k.value {_OPEN}"""
_LOAD_ONE = f"{_WHOLE} FROM sessions s {_OPEN} WHERE s.open_kfid = ? AND s.external_userid = ?"

_SAVE_SESSION = """INSERT INTO sessions (open_kfid, external_userid, state, state_at, servicer_userid, last_handoff_id,
        ended_at, last_customer_at, last_servicer_at, check_at, version, end_asked_at, found_at, chat_mode, handoff_id)
    VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)
    ON CONFLICT DO UPDATE SET state=excluded.state, state_at=excluded.state_at,
        servicer_userid=excluded.servicer_userid, last_handoff_id=excluded.last_handoff_id,
        ended_at=excluded.ended_at, last_customer_at=excluded.last_customer_at,
        last_servicer_at=excluded.last_servicer_at, check_at=excluded.check_at, version=excluded.version,
        end_asked_at=excluded.end_asked_at, found_at=excluded.found_at, chat_mode=excluded.chat_mode,
        handoff_id=excluded.handoff_id"""

_COLUMNS = [column.strip() for column in HANDOFF_COLUMNS.split(",")][1:]
_INSERT_HANDOFF = f"INSERT INTO handoffs ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
# Columns that no index or one index knows: news that only moves the clocks leaves five other indexes alone.
_UPDATE_CLOCKS = "UPDATE handoffs SET waiting_since=?, active_at=?, last_text=? WHERE id=?"
_UPDATE_WATCH = "UPDATE handoffs SET watch_at=? WHERE id=?"
_FIXED = 3  # whose it is never changes: two indexes less to touch
_UPDATE_HANDOFF = f"UPDATE handoffs SET {', '.join(f'{column}=?' for column in _COLUMNS[_FIXED:])} WHERE id=?"
_UNDELIVERED = """UPDATE codes SET state='failed', errcode=0, error=? WHERE msgid=?
    AND handoff_id IN (SELECT id FROM handoffs WHERE external_userid=? AND open_kfid=?)
    RETURNING handoff_id, service_state"""
_RATE = f"""INSERT INTO handoff_events (handoff_id, type, operator_type, operator_id, at, event_data)
    SELECT id, '{EventType.RATED}', '{OperatorType.USER}', external_userid, ?, ? FROM handoffs h
    WHERE id=? AND open_kfid=? AND external_userid=? AND completed_at IS NOT NULL AND NOT EXISTS
        (SELECT 1 FROM handoff_events e WHERE e.handoff_id = h.id AND e.type = '{EventType.RATED}')"""


def load(db: sqlite3.Connection, open_kfid: str, customers: Iterable[str], tenant_id: str) -> dict[str, Session]:
    """Sessions of one account by external_userid; those without a row come back new."""
    wanted = list(dict.fromkeys(customers))
    found = {
        row[1]: rows.session(row, tenant_id)
        for start in range(0, len(wanted), CHUNK)
        for row in db.execute(_LOAD, (json.dumps(wanted[start : start + CHUNK]), open_kfid))
    }
    for customer in wanted:
        if customer not in found:
            found[customer] = Session(open_kfid, customer, tenant_id=tenant_id)
    return found


def load_all(db: sqlite3.Connection, keys: Iterable[SessionKey], tenant_id: str) -> dict[SessionKey, Session]:
    by_account: dict[str, list[str]] = {}
    for key in keys:
        by_account.setdefault(key.open_kfid, []).append(key.external_userid)
    loaded = (load(db, account, customers, tenant_id) for account, customers in by_account.items())
    return {session.key: session for sessions in loaded for session in sessions.values()}


def load_one(db: sqlite3.Connection, key: SessionKey, tenant_id: str) -> Session:
    row = db.execute(_LOAD_ONE, (key.open_kfid, key.external_userid)).fetchone()
    if row is None:
        return Session(key.open_kfid, key.external_userid, tenant_id=tenant_id)
    return rows.session(row, tenant_id)


def save(db: sqlite3.Connection, sessions: Iterable[Session], now: float, keeping: Keeping) -> None:
    """Write back sessions with their handoffs, log rows and codes; ids of new handoffs are filled in."""
    sessions = list(sessions)
    _save_handoffs(db, sessions, keeping)
    _many(db, _SAVE_SESSION, [rows.session_values(session) for session in sessions])
    overtaken = [(each.ending.id,) for each in sessions if each.ending is not None and each.ending.overtaken]
    _many(db, "UPDATE endings SET overtaken=1 WHERE id=?", overtaken)
    append_events(db, [draft for session in sessions for draft in session.drafts])
    _add_codes(db, sessions, now)
    _add_ratings(db, sessions)
    _note_undelivered(db, sessions)


def _many(db: sqlite3.Connection, sql: str, values: Sequence[tuple[Any, ...]]) -> None:
    """Mostly there is nothing to write, and asking SQLite for nothing costs as much as asking for something."""
    if values:
        db.executemany(sql, values)


def _save_handoffs(db: sqlite3.Connection, sessions: list[Session], keeping: Keeping) -> None:
    """Known ones first: a session may have one open handoff only, and its next may begin in this transaction."""
    changed = [(session, handoff) for session in sessions for handoff in session.handoffs]
    sooner = [handoff for _, handoff in changed if _watch(handoff, keeping)]
    known = [(handoff, id(handoff) in session.moved) for session, handoff in changed if handoff.id]
    _many(db, _UPDATE_HANDOFF, [(*rows.handoff_values(each)[_FIXED:], each.id) for each, moved in known if moved])
    clocks = [(each.waiting_since, each.active_at, each.last_text, each.id) for each, moved in known if not moved]
    _many(db, _UPDATE_CLOCKS, clocks)
    _many(db, _UPDATE_WATCH, [(each.watch_at, each.id) for each in sooner if each.id])
    _end_alerts(db, [each.id for each, moved in known if moved and each.completed_at is not None])
    for session in sessions:
        _insert_new(db, session)
    if keeping.tell_ends:
        _tell_ends(db, [each for session, each in changed if id(each) in session.moved])


def _watch(handoff: Handoff, keeping: Keeping) -> bool:
    """Have the rules look at it in time. True if that is sooner than what is on record: later needs no writing, for
    whoever looks too early finds the true time."""
    if handoff.completed_at is not None:
        handoff.watch_at = None
        if not keeping.ended_text:
            handoff.last_text = None
        return False
    at = keeping.earliest(handoff)
    if at == inf or (handoff.watch_at is not None and handoff.watch_at <= at):
        return False
    handoff.watch_at = at
    return True


def _end_alerts(db: sqlite3.Connection, ended: list[int]) -> None:
    """What the group was told of is due for its last word."""
    _many(db, "UPDATE alerts SET next_at=0 WHERE handoff_id=? AND state != 'closed'", [(each,) for each in ended])


def _tell_ends(db: sqlite3.Connection, moved: list[Handoff]) -> None:
    """As if the group had been told of what a customer has ended: that is how it hears of ends."""
    _many(
        db,
        """INSERT OR IGNORE INTO alerts (handoff_id, rule, state, raised_at, sends, sent_at, next_at, told)
            VALUES (?, 'ended', 'cleared', ?, 0, 0, 0, 1)""",
        [(each.id, each.completed_at) for each in moved if each.ended_by is OperatorType.USER],
    )


def _insert_new(db: sqlite3.Connection, session: Session) -> None:
    """UNSAVED stands for the handoff that this very transaction inserted before."""
    ended = UNSAVED
    for handoff in session.handoffs:
        if not handoff.id:
            if handoff.previous_id == UNSAVED:
                handoff.previous_id = ended
            handoff.id = db.execute(_INSERT_HANDOFF, rows.handoff_values(handoff)).lastrowid or 0
        if handoff.completed_at is not None:
            ended = handoff.id
    if session.last_handoff_id == UNSAVED:
        session.last_handoff_id = ended


def append_events(db: sqlite3.Connection, drafts: list[EventDraft]) -> None:
    _many(
        db,
        """INSERT INTO handoff_events (handoff_id, type, operator_type, operator_id, at, event_data)
            VALUES (?,?,?,?,?,?)""",
        [
            (
                draft.handoff.id,
                draft.type,
                draft.operator.type,
                draft.operator.id,
                draft.at,
                rows.dump(draft.data),
            )
            for draft in drafts
        ],
    )


def _add_codes(db: sqlite3.Connection, sessions: list[Session], now: float) -> None:
    """The first code wins: one message per handoff and state, whoever brings another code later."""
    codes: list[tuple[Handoff, ServiceState, ClosingDraft | GreetingDraft]] = []
    for session in sessions:
        codes += [(each.handoff, ServiceState.ENDED, each) for each in session.closings]
        codes += [(each.handoff, each.state, each) for each in session.greetings]
    _many(
        db,
        """INSERT OR IGNORE INTO codes
                (handoff_id, service_state, code, state, msgid, expires_at, created_at, attempts)
            VALUES (?, ?, ?, 'pending', ?, ?, ?, 0)""",
        [(of.id, given_in, each.code, _msgid(of, given_in), each.expires_at, now) for of, given_in, each in codes],
    )


def _msgid(handoff: Handoff, given_in: ServiceState) -> str:
    """Unique within the account even after a lost database, the same for every repetition; at most 32 characters."""
    kind = "closing" if given_in is ServiceState.ENDED else f"greet{given_in:d}"
    return f"{kind}-{handoff.id}-{int(handoff.requested_at * 1000):x}"


def _add_ratings(db: sqlite3.Connection, sessions: list[Session]) -> None:
    """Of the customer's own handoffs, each once."""
    for session in sessions:
        for each in session.ratings:
            values = (each.at, rows.dump({"score": each.score}), each.handoff_id)
            db.execute(_RATE, (*values, session.open_kfid, session.external_userid))


def _note_undelivered(db: sqlite3.Connection, sessions: list[Session]) -> None:
    """Of messages by code, which were sent, that they have failed after all. In the transaction of the news: they come
    once."""
    for session in sessions:
        for each in session.undelivered:
            values = (each.why, each.msgid, session.external_userid, session.open_kfid)
            for number, given_in in db.execute(_UNDELIVERED, values).fetchall():
                row = db.execute(f"SELECT {HANDOFF_COLUMNS} FROM handoffs WHERE id=?", (number,)).fetchone()
                append_events(db, [code_event(rows.handoff(row), ServiceState(given_in), "failed", 0, each.at)])
