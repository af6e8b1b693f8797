"""The handoff log from its end, in a real database."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from bot.model import EventType, HandoffStatus, Operator, OperatorType, SessionKey, Via
from bot.sessions import Session, finish, open_handoff
from storage.database import Database
from storage.feed import Feed
from storage.ledger import Ledger
from storage.retention import Retention
from tests.fakes import ANN, BOB, KF, LI, TENANT

NOW = 1_795_000_000.0


@pytest.fixture
def feed(database: Database) -> Feed:
    return Feed(database)


async def opened(ledger: Ledger, customer: str, at: float = NOW) -> int:
    """Two events: requested, accepted."""
    key = SessionKey(KF, customer)
    handoff = await ledger.change(
        key, lambda session: open_handoff(session, HandoffStatus.ACCEPTED, LI, at, Via.EVENT), at
    )
    return handoff.id


async def ended(ledger: Ledger, customer: str, at: float = NOW) -> None:
    def end(session: Session) -> None:
        finish(session, Operator(OperatorType.USER, customer), Via.CHAT, at)

    await ledger.change(SessionKey(KF, customer), end, at)


async def test_before_the_first_event_there_is_nothing(feed: Feed) -> None:
    assert await feed.last() == 0
    assert await feed.after(0, 10) == []


async def test_events_come_in_order_with_their_handoff_as_it_is_now(feed: Feed, ledger: Ledger) -> None:
    ann, bob = await opened(ledger, ANN), await opened(ledger, BOB)
    await ended(ledger, ANN)
    found = await feed.after(0, 10)
    assert [(event.id, event.type, handoff.id) for event, handoff in found] == [
        (1, EventType.REQUESTED, ann),
        (2, EventType.ACCEPTED, ann),
        (3, EventType.REQUESTED, bob),
        (4, EventType.ACCEPTED, bob),
        (5, EventType.COMPLETED, ann),
    ]
    assert found[0][1].status is HandoffStatus.COMPLETED and found[0][1].external_userid == ANN
    assert found[4][0].data["endedBy"] == "USER"
    assert await feed.last() == 5


async def test_it_goes_on_after_any_event_and_stops_at_the_limit(feed: Feed, ledger: Ledger) -> None:
    await opened(ledger, ANN)
    await opened(ledger, BOB)
    assert [event.id for event, _ in await feed.after(1, 2)] == [2, 3]
    assert [event.id for event, _ in await feed.after(3, 2)] == [4]
    assert await feed.after(4, 2) == []


async def test_what_another_process_writes_is_found(feed: Feed, database: Database) -> None:
    other = Database(database.path)
    await other.open()
    await opened(Ledger(other, TENANT), ANN)
    await other.close()
    assert await feed.last() == 2 and len(await feed.after(0, 10)) == 2


async def test_ids_go_on_where_retention_has_deleted_everything(feed: Feed, ledger: Ledger, database: Database) -> None:
    await opened(ledger, ANN)
    await ended(ledger, ANN)
    await Retention(database, 60.0).prune(NOW + 61)
    assert await feed.after(0, 10) == []
    assert await feed.last() == 3


async def test_the_end_of_a_long_log_is_found_without_reading_the_rest(feed: Feed, database: Database) -> None:
    def fill(db: sqlite3.Connection) -> None:
        db.executemany(
            """INSERT INTO handoffs (id, tenant_id, open_kfid, external_userid, status, requested_at, active_at)
                VALUES (?1, 'ww', 'wk', 'wm', 'COMPLETED', 0, 0)""",
            [(number,) for number in range(1, 20_001)],
        )
        db.execute(
            """INSERT INTO handoff_events (handoff_id, type, operator_type, operator_id, at, event_data)
                SELECT id, 'REQUESTED', 'SYSTEM', 'wecom', 0, '{}' FROM handoffs"""
        )

    await database.write(fill)
    asked: list[str] = []
    steps: list[None] = []
    await database.read(lambda db: db.set_trace_callback(asked.append))
    await database.read(lambda db: db.set_progress_handler(lambda: steps.append(None), 10))
    assert await feed.last() == 20_000
    assert [event.id for event, _ in await feed.after(19_990, 5)] == [19_991, 19_992, 19_993, 19_994, 19_995]
    await database.read(lambda db: db.set_trace_callback(None))
    await database.read(lambda db: db.set_progress_handler(None, 10))
    assert len(steps) * 10 < 2000
    plan = await database.read(lambda db: db.execute(f"EXPLAIN QUERY PLAN {asked[-1]}").fetchall())
    assert [row[3] for row in plan] == [
        "SEARCH e USING INTEGER PRIMARY KEY (rowid>?)",
        "SEARCH h USING INTEGER PRIMARY KEY (rowid=?)",
    ]


async def test_every_transaction_of_this_process_is_told(database: Database, ledger: Ledger, tmp_path: Path) -> None:
    told: list[None] = []
    database.on_write = lambda: told.append(None)
    await opened(ledger, ANN)
    assert len(told) == 1
    await ledger.history()
    with pytest.raises(ZeroDivisionError):
        await database.write(lambda db: 1 // 0)
    assert len(told) == 1
