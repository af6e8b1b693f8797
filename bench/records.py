"""Databases for the bot to start on, written fast through the real schema."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.wecom import ACCOUNTS, CORP, SERVICER
from storage.database import Database

HOUR = 3600.0
_SESSION = """INSERT INTO sessions (open_kfid, external_userid, state, state_at, servicer_userid, chat_mode, handoff_id,
    last_handoff_id, ended_at, last_customer_at, last_servicer_at, check_at, version)
    VALUES (?,?,?,?,?,?,?,?,?,?,?,NULL,?)"""
_HANDOFF = """INSERT INTO handoffs (id, tenant_id, open_kfid, external_userid, status, servicer_userid, requested_at,
    accepted_at, replied_at, completed_at, ended_by, via, operator_id, waiting_since, active_at, last_text)
    VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"""


def customer(number: int) -> str:
    """32 characters, distinct from the first on; in order, so that a database is filled quickly."""
    return f"wm{number:08d}{'kRzpQxWvTnLbYcHdJfGsMa'}"


async def schema(path: Path) -> None:
    """An empty database of this version."""
    database = Database(path)
    await database.open()
    await database.close()


def fill(path: Path, *, sessions: int, open_: int, ended: int = 0) -> None:
    """`sessions` customers: the first `open_` with a human now, the next `ended` were. Half of the open ones wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    asyncio.run(schema(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for pragma in ("synchronous=off", "journal_mode=memory", "cache_size=-262144", "locking_mode=exclusive"):
            db.execute(f"PRAGMA {pragma}")
        now = time.time()
        db.execute("BEGIN")
        accounts = [(account, account, "0", now) for account in ACCOUNTS]
        db.executemany("INSERT INTO accounts (open_kfid, name, cursor, live_from, cold) VALUES (?,?,?,?,0)", accounts)
        db.executemany(_HANDOFF, _handoffs(open_, ended, now))
        for account in range(len(ACCOUNTS)):
            db.executemany(_SESSION, _sessions(account, sessions, open_, ended, now))
        db.execute("COMMIT")
        db.execute("PRAGMA journal_mode=wal")


def _account(number: int) -> str:
    return ACCOUNTS[number % len(ACCOUNTS)]


def _handoffs(open_: int, ended: int, now: float) -> Iterator[tuple[Any, ...]]:
    """The oldest first, as ids and times go; the one with id n is customer n - 1's."""
    for number in range(open_ + ended):
        began = now - HOUR - (open_ + ended - number) * 0.01
        over = began + 600.0 if number >= open_ else None
        waiting = began + 60.0 if over is None and number % 2 else None
        end = ("COMPLETED", over, "AGENT", "client") if over else ("IN_PROGRESS", None, None, None)
        status, completed, ended_by, via = end
        text = "你好，请问什么时候发货？" if over is None else None
        yield (
            number + 1, CORP, _account(number), customer(number), status, SERVICER, began, began + 5, began + 30,
            completed, ended_by, via, SERVICER if over else None, waiting, began + 60.0, text,
        )  # fmt: skip


def _sessions(account: int, count: int, open_: int, ended: int, now: float) -> Iterator[tuple[Any, ...]]:
    """Those of one account, in key order."""
    for number in range(account, count, len(ACCOUNTS)):
        at, handoff = now - HOUR - (count - number) * 0.01, number + 1
        state: tuple[Any, ...]
        if number < open_:
            state = (3, at, SERVICER, "HUMAN", handoff, None, 0.0)
        else:
            state = (4, at, None, "AI", None, handoff if number < open_ + ended else None, at)
        yield (ACCOUNTS[account], customer(number), *state, at, at, 3)
