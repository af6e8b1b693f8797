"""How the ledger asks SQLite; what it promises stands in tests/contract/test_ledger.py."""

from __future__ import annotations

import sqlite3

import pytest

from storage.database import Database
from storage.ledger import Ledger

NOW = 1_700_000_000.0


@pytest.mark.parametrize("chat_mode", ["HUMAN", "AI"])
async def test_one_index_finds_what_is_long_quiet_in_order(database: Database, ledger: Ledger, chat_mode: str) -> None:
    asked: list[str] = []
    await database.write(lambda db: db.set_trace_callback(asked.append))
    await ledger.check_quiet(NOW, NOW, 100)
    await ledger.check_unserved(NOW, NOW, NOW, 100)

    def plan(db: sqlite3.Connection) -> list[str]:
        sql = next(each for each in asked if f"chat_mode='{chat_mode}'" in each)
        return [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}")]

    steps = await database.read(plan)
    assert steps == ["SEARCH sessions USING INDEX sessions_quiet (chat_mode=? AND state_at<?)"]
