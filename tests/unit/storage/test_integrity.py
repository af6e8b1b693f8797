"""The file is looked through at start: not for long, and what is damaged is refused."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from bot.errors import StorageError
from bot.wecom.errcodes import meaning_of
from bot.wording import Words
from storage import integrity as module
from storage.database import Database
from storage.integrity import Integrity, faults

ZH = Words("zh", "kfbot", meaning_of)
PAGE = 4096


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Closed, with some pages of customers in it."""
    database = Database(tmp_path / "kfbot.db")
    await database.open()
    names = [(f"wm{number:030d}", f"顾客{number}", 0.0) for number in range(2000)]
    await database.write(lambda db: db.executemany("INSERT INTO customers VALUES (?, ?, ?)", names))
    await database.close()
    return database.path


def spoil(path: Path) -> None:
    """As a disk does that has lost a block: here one with customers."""
    with closing(sqlite3.connect(path)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name='customers'").fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * PAGE)
        file.write(b"\x55" * PAGE)


def trouble(database: Database) -> str:
    return database.trouble.kind if database.trouble else ""


async def test_a_sound_file_is_looked_through(path: Path) -> None:
    assert await Integrity(path).check()


async def test_where_there_is_no_file_yet_none_is_made(tmp_path: Path) -> None:
    assert await Integrity(tmp_path / "kfbot.db").check()
    assert not (tmp_path / "kfbot.db").exists()


async def test_a_damaged_file_is_refused_with_what_to_do(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spoil(path)
    with pytest.raises(StorageError) as told:
        await Integrity(path).check()
    assert told.value.kind == "damaged"
    said = ZH.storage(told.value)
    assert str(path) in said and "备份" in said and "\n" not in said
    assert "is damaged" in caplog.text


async def test_what_is_no_database_is_damaged_too(tmp_path: Path) -> None:
    (tmp_path / "kfbot.db").write_bytes(b"no database at all, but long enough to be looked at" * 200)
    with pytest.raises(StorageError, match="not a database"):
        await Integrity(tmp_path / "kfbot.db").check()


async def test_an_empty_file_is_begun_anew_and_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As a crash leaves it in the moment in which it is made; and as a mistaken `>` does."""
    (tmp_path / "kfbot.db").write_bytes(b"")
    assert await Integrity(tmp_path / "kfbot.db").check()
    assert "is empty" in caplog.text and "backup" in caplog.text


@pytest.mark.parametrize(("file", "wal"), [(b"", b"W" * 4152), (b"x", b""), (b"SQLite format 3\0", b"")])
async def test_what_sqlite_would_write_over_is_damaged(tmp_path: Path, file: bytes, wal: bytes) -> None:
    (tmp_path / "kfbot.db").write_bytes(file)
    (tmp_path / "kfbot.db-wal").write_bytes(wal)
    with pytest.raises(StorageError) as told:
        await Integrity(tmp_path / "kfbot.db").check()
    assert told.value.kind == "damaged"
    assert ((tmp_path / "kfbot.db").read_bytes(), (tmp_path / "kfbot.db-wal").read_bytes()) == (file, wal)


async def test_a_start_does_not_wait_for_ever_and_hears_of_it_later(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(path)
    started = threading.Event()

    def slow(path: Path, begin: object) -> str:
        """A file so large that the bot is up before it is looked through."""
        started.wait()
        return faults(path)

    monkeypatch.setattr(module, "faults", slow)
    database = Database(path)
    assert not await database.integrity.check(patience=0.01)
    assert trouble(database) == ""
    started.set()
    assert database.integrity._look is not None
    await database.integrity._look
    assert trouble(database) == "damaged"
    await database.close()


async def test_damage_does_not_pass(path: Path) -> None:
    spoil(path)
    database = Database(path)
    with pytest.raises(StorageError):
        await database.integrity.check()
    with pytest.raises(StorageError) as told:
        await database.prove()
    assert told.value.kind == "damaged"
    await database.close()


async def test_damage_that_is_come_across_is_told_the_same_way(path: Path) -> None:
    spoil(path)
    database = Database(path)
    with pytest.raises(StorageError) as told:
        await database.read(lambda db: db.execute("SELECT count(*) FROM customers WHERE nickname != ''").fetchone())
    assert told.value.kind == "damaged"
    await database.read(lambda db: db.execute("SELECT 1").fetchone())
    assert trouble(database) == "damaged"
    await database.close()


async def test_a_stop_does_not_wait_for_the_end_of_the_look(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look = Integrity(path)

    def endless(path: Path, begin: object) -> str:
        """A statement that takes hours unless it is interrupted."""
        with closing(sqlite3.connect(path, check_same_thread=False)) as connection:
            look._begin(connection)
            forever = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
            connection.execute(forever).fetchall()
        return ""

    monkeypatch.setattr(module, "faults", endless)
    assert not await look.check(patience=0.01)
    await look.stop()
    assert look.damage is None


async def test_the_look_keeps_nobody_from_writing(path: Path) -> None:
    """It reads from one moment, and the writers go on."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN")
            connection.execute("SELECT * FROM customers").fetchone()
            other.execute("DELETE FROM customers")
            connection.execute("COMMIT")

        assert faults(path, write) == ""
