"""The database's threads and transactions, and who may open the file."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from sqlite_utils import Database as Tables

from bot.errors import StorageError
from bot.model import EventType, Operator, OperatorType, SessionKey
from bot.sessions import Session, servicer_wrote
from storage.database import Database
from storage.ledger import Ledger
from storage.migrations import migrations
from storage.people import People
from tests.fakes import ANN, KF, LI, TENANT

NOW = 1_700_000_000.0


def insert(db: sqlite3.Connection) -> None:
    db.execute("INSERT INTO meta VALUES ('a', 'b')")


def count(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM meta").fetchone()[0])


async def test_folders_are_made_and_the_schema_is_brought_up_to_date(tmp_path: Path) -> None:
    database = Database(tmp_path / "a" / "b" / "kfbot.db")
    await database.open()
    await database.write(insert)
    await database.close()
    again = Database(tmp_path / "a" / "b" / "kfbot.db")
    await again.open()
    assert await again.read(count) == 1
    await again.close()


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot create"):
        await Database(tmp_path / "file" / "kfbot.db").open()


async def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kfbot.db").write_bytes(b"no database at all, but long enough to be looked at" * 20)
    database = Database(tmp_path / "kfbot.db")
    with pytest.raises(StorageError, match=r"kfbot\.db"):
        await database.open()
    await database.close()


async def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    tables = Tables(tmp_path / "kfbot.db")
    migrations.apply(tables)
    tables.table("_sqlite_migrations").insert(
        {"migration_set": "kfbot", "name": "m999_future", "applied_at": "2030-01-01"}, alter=True
    )
    tables.conn.close()
    database = Database(tmp_path / "kfbot.db")
    with pytest.raises(StorageError, match="newer kfbot"):
        await database.open()
    await database.close()


@pytest.mark.parametrize("durable", [False, True])
async def test_a_transaction_is_all_or_nothing(database: Database, durable: bool) -> None:
    def fails(db: sqlite3.Connection) -> None:
        insert(db)
        raise RuntimeError("half-way")

    with pytest.raises(RuntimeError):
        await database.write(fails, durable=durable)
    assert await database.read(count) == 0
    await database.write(insert, durable=durable)
    assert await database.read(count) == 1


async def test_the_reader_cannot_write(database: Database) -> None:
    with pytest.raises(StorageError, match="readonly"):
        await database.read(insert)


async def test_a_statement_sqlite_refuses_is_a_storage_error(database: Database) -> None:
    with pytest.raises(StorageError, match="no such table"):
        await database.write(lambda db: db.execute("SELECT * FROM nowhere"))


async def test_a_caller_who_gives_up_does_not_break_the_transaction(database: Database) -> None:
    task = asyncio.create_task(database.write(insert))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await database.write(lambda db: None)
    assert await database.read(count) in (0, 1)


async def test_another_process_may_write_too(database: Database) -> None:
    other = Database(database.path)
    await other.open()
    await asyncio.gather(*(each.write(lambda db: None) for each in [database, other] * 20))
    await other.write(insert)
    assert await database.read(count) == 1
    await other.close()


async def test_the_log_is_append_only(database: Database) -> None:
    ledger = Ledger(database, TENANT)
    await ledger.change(SessionKey(KF, ANN), lambda session: servicer_wrote(session, NOW, LI, NOW), NOW)
    with pytest.raises(StorageError, match="append-only"):
        await database.write(lambda db: db.execute("UPDATE handoff_events SET at = 0"))


async def test_nothing_is_logged_of_a_session_that_did_not_change(database: Database) -> None:
    ledger = Ledger(database, TENANT)
    await ledger.change(SessionKey(KF, ANN), lambda session: None, NOW)
    assert await ledger.events(1) == []


def _logs(session: Session) -> None:
    servicer_wrote(session, NOW, LI, NOW)
    assert session.handoff is not None
    session.log(session.handoff, EventType.CLOSING, Operator(OperatorType.SYSTEM, "x"), NOW, 词="值")


async def test_event_data_keeps_its_words(database: Database) -> None:
    ledger = Ledger(database, TENANT)
    await ledger.change(SessionKey(KF, ANN), _logs, NOW)
    assert (await ledger.events(1))[-1].data == {"词": "值"}


async def test_chat_mode_follows_the_open_handoff(database: Database) -> None:
    ledger, people = Ledger(database, TENANT), People(database)
    await ledger.change(SessionKey(KF, ANN), lambda session: servicer_wrote(session, NOW, LI, NOW), NOW)
    sql = "SELECT chat_mode FROM sessions"
    assert await database.read(lambda db: db.execute(sql).fetchall()) == [("HUMAN",)]
    assert await people.nicknames([ANN]) == {}
