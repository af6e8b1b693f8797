"""What is asked for at once is done together, and yet each has its own outcome."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from bot.errors import StorageError
from storage.database import TURN_SECONDS, Database

SYNCHRONOUS = {1: "normal", 2: "full"}


def insert(key: str, value: str = "") -> str:
    return f"INSERT INTO meta VALUES ('{key}', '{value}')"


async def put(database: Database, key: str, *, durable: bool = False) -> None:
    await database.write(lambda db: db.execute(insert(key)), durable=durable)


async def keys(database: Database) -> set[str]:
    return {row[0] for row in await database.read(lambda db: db.execute("SELECT key FROM meta").fetchall())}


async def traced(database: Database) -> list[str]:
    """Every statement of the writer from now on."""
    said: list[str] = []
    await database.write(lambda db: db.set_trace_callback(said.append))
    return said


async def test_many_at_once_share_a_transaction(database: Database) -> None:
    said = await traced(database)
    said.clear()
    told: list[None] = []
    database.on_write = lambda: told.append(None)
    await asyncio.gather(*(put(database, f"k{number}") for number in range(50)))
    assert said.count("BEGIN IMMEDIATE") == said.count("COMMIT") == 1
    assert len(told) == 1 and len(await keys(database)) == 50


async def test_one_alone_needs_no_savepoint_and_waits_for_nobody(database: Database) -> None:
    said = await traced(database)
    await put(database, "a")
    assert [each for each in said if "INSERT" not in each] == ["COMMIT", "BEGIN IMMEDIATE", "COMMIT"]


async def test_what_fails_is_undone_and_its_neighbours_stand(database: Database) -> None:
    def half(db: sqlite3.Connection) -> None:
        db.execute(insert("half"))
        raise ValueError("half-way")

    works = [put(database, "a"), database.write(half), put(database, "b"), put(database, "a"), put(database, "c")]
    outcomes = await asyncio.gather(*works, return_exceptions=True)
    assert [type(each) for each in outcomes] == [type(None), ValueError, type(None), StorageError, type(None)]
    assert await keys(database) == {"a", "b", "c"}


async def test_each_sees_what_those_before_it_have_done(database: Database) -> None:
    count = "SELECT count(*) FROM meta"
    first, seen = await asyncio.gather(
        database.write(lambda db: db.execute(insert("a")).rowcount),
        database.write(lambda db: db.execute(count).fetchone()[0]),
    )
    assert (first, seen) == (1, 1)


@pytest.mark.parametrize(("durable", "mode"), [([False, True, False], "full"), ([False, False], "normal")])
async def test_one_that_must_be_on_disk_makes_all_of_its_turn_so(
    database: Database, durable: list[bool], mode: str
) -> None:
    modes: list[str] = []

    def look(db: sqlite3.Connection) -> None:
        modes.append(SYNCHRONOUS[db.execute("PRAGMA synchronous").fetchone()[0]])

    for _ in range(2):
        await asyncio.gather(*(database.write(look, durable=each) for each in durable))
        await database.write(look)
    assert modes == ([mode] * len(durable) + ["normal"]) * 2


async def test_nobody_is_told_of_what_is_not_on_record(database: Database) -> None:
    """When the disk is full, SQLite may give up the whole transaction: then none of it has happened."""
    await database.write(lambda db: db.execute("PRAGMA max_page_count=1"))  # no more than there are
    large = "x" * 100_000

    async def store(key: str, value: str) -> str:
        await database.write(lambda db: db.execute(insert(key, value)))
        return key

    works = [store("a", "small"), store("b", large), store("c", "small"), store("d", large)]
    outcomes = await asyncio.gather(*works, return_exceptions=True)
    assert any(isinstance(each, StorageError) and "full" in str(each) for each in outcomes)
    assert await keys(database) == {each for each in outcomes if isinstance(each, str)}
    await database.write(lambda db: db.execute("PRAGMA max_page_count=100000"))
    await put(database, "after")


async def test_a_file_that_somebody_else_holds_is_told_to_all(database: Database, tmp_path: Path) -> None:
    await database.write(lambda db: db.execute("PRAGMA busy_timeout=20"))
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    outcomes = await asyncio.gather(*(put(database, f"k{number}") for number in range(5)), return_exceptions=True)
    assert all(isinstance(each, StorageError) and "locked" in str(each) for each in outcomes)
    other.execute("ROLLBACK")
    other.close()
    await put(database, "after")
    assert await keys(database) == {"after"}


async def test_who_gives_up_before_the_turn_is_not_served(database: Database) -> None:
    free = threading.Event()
    busy = asyncio.create_task(database.write(lambda db: free.wait(5)))
    await asyncio.sleep(0.01)
    waiting = asyncio.create_task(put(database, "given up"))
    after = asyncio.create_task(put(database, "after"))
    await asyncio.sleep(0)
    waiting.cancel()
    free.set()
    await asyncio.gather(busy, after)
    assert await keys(database) == {"after"} and waiting.cancelled()


async def test_a_slow_one_lets_those_before_it_go(database: Database) -> None:
    """And nobody is forgotten or passed."""
    order: list[int] = []

    def slow(number: int) -> None:
        time.sleep(TURN_SECONDS * 2)
        order.append(number)

    async def ask(number: int) -> int:
        await database.read(lambda db: slow(number))
        return len(order)

    seen = await asyncio.gather(*(ask(number) for number in range(4)))
    assert order == [0, 1, 2, 3] and seen[0] < 4


async def test_who_asks_after_the_end_is_refused_and_does_not_wait_for_ever(tmp_path: Path) -> None:
    database = Database(tmp_path / "a.db")
    await database.open()
    await database.close()
    async with asyncio.timeout(30):
        for asking in (put(database, "late"), keys(database)):
            with pytest.raises(StorageError, match="closed"):
                await asking


async def test_closing_serves_who_has_asked(tmp_path: Path) -> None:
    database = Database(tmp_path / "a.db")
    await database.open()
    asked = [asyncio.create_task(put(database, f"k{number}")) for number in range(200)]
    await asyncio.sleep(0)
    await database.close()
    assert all(each.done() and each.exception() is None for each in asked)
    again = Database(tmp_path / "a.db")
    await again.open()
    assert len(await keys(again)) == 200
    await again.close()
