"""Databases for the bot to start on, written fast through the real schema."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.wecom import ACCOUNTS, CORP, SERVICER
from storage.database import Database

HOUR = 3600.0
WAITING_AFTER, IDLE_AFTER = 300.0, 1800.0  # the rules customer_waiting and human_idle, as settings.yaml has them
_SESSION = """INSERT INTO sessions (open_kfid, external_userid, state, state_at, servicer_userid, chat_mode, handoff_id,
    last_handoff_id, ended_at, last_customer_at, last_servicer_at, check_at, version)
    VALUES (?,?,?,?,?,?,?,?,?,?,?,NULL,?)"""
_HANDOFF = """INSERT INTO handoffs (id, tenant_id, open_kfid, external_userid, status, servicer_userid, requested_at,
    accepted_at, replied_at, completed_at, ended_by, via, operator_id, waiting_since, active_at, last_text, watch_at)
    VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"""


def customer(number: int) -> str:
    """32 characters, distinct from the first on; in order, so that a database is filled quickly."""
    return f"wm{number:08d}{'kRzpQxWvTnLbYcHdJfGsMa'}"


async def schema(path: Path) -> None:
    """An empty database of this version."""
    database = Database(path)
    await database.open()
    await database.close()


def fill(
    path: Path,
    *,
    sessions: int,
    open_: int,
    ended: int = 0,
    waiting: float = 60.0,
    accounts: Sequence[str] = ACCOUNTS,
    now: float = 0.0,
) -> None:
    """`sessions` customers, evenly on `accounts`: the first `open_` with a human now, the next `ended` were. Half of
    the open ones have waited for `waiting` seconds (0: nobody waits). No rule asks for an alert yet. `now`: 0 for now.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    asyncio.run(schema(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for pragma in ("synchronous=off", "journal_mode=memory", "cache_size=-262144", "locking_mode=exclusive"):
            db.execute(f"PRAGMA {pragma}")
        now = now or time.time()
        db.execute("BEGIN")
        known = [(account, account, "0", now) for account in accounts]
        db.executemany("INSERT INTO accounts (open_kfid, name, cursor, live_from, cold) VALUES (?,?,?,?,0)", known)
        db.executemany(_HANDOFF, _handoffs(accounts, open_, ended, waiting, now))
        db.executemany("INSERT INTO customers VALUES (?,?,?)", ((customer(each), "顾客", now) for each in range(open_)))
        for place in range(len(accounts)):
            db.executemany(_SESSION, _sessions(accounts, place, sessions, open_, ended, now))
        db.execute("COMMIT")
        db.execute("PRAGMA journal_mode=wal")


def _handoffs(accounts: Sequence[str], open_: int, ended: int, waiting: float, now: float) -> Iterator[tuple[Any, ...]]:
    """The oldest first, as ids and times go; the one with id n is customer n - 1's."""
    for number in range(open_ + ended):
        began = now - HOUR - (open_ + ended - number) * 0.01
        who = (number + 1, CORP, accounts[number % len(accounts)], customer(number))
        if number < open_:
            yield *who, "IN_PROGRESS", SERVICER, began, began + 5, began + 30, *_open(number, waiting, now)
        else:
            over = began + 600.0
            end = (over, "AGENT", "client", SERVICER, None, began + 60.0, None, None)
            yield *who, "COMPLETED", SERVICER, began, began + 5, began + 30, *end


def _open(number: int, waiting: float, now: float) -> tuple[Any, ...]:
    """From `completed_at` on. Every second customer waits; the others had their answer some minutes ago."""
    if waiting and number % 2:
        since, active_at, watch_at = now - waiting, now - waiting, now - waiting + WAITING_AFTER
    else:
        since, active_at = None, now - 60.0 - number % 600
        watch_at = active_at + IDLE_AFTER
    return None, None, None, None, since, active_at, "你好，请问什么时候发货？", watch_at


def _sessions(
    accounts: Sequence[str], place: int, count: int, open_: int, ended: int, now: float
) -> Iterator[tuple[Any, ...]]:
    """Those of one account, in key order."""
    for number in range(place, count, len(accounts)):
        at, handoff = now - HOUR - (count - number) * 0.01, number + 1
        state: tuple[Any, ...]
        if number < open_:
            state = (3, at, SERVICER, "HUMAN", handoff, None, 0.0)
        else:
            state = (4, at, None, "AI", None, handoff if number < open_ + ended else None, at)
        yield (accounts[place], customer(number), *state, at, at, 3)
