"""A backup is one moment of the record, whole or not there, and holds nobody up."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from bot.errors import StorageError
from bot.model import HandoffStatus, SessionKey, Via
from bot.sessions import Session, open_handoff
from storage import backup as module
from storage.backup import SKIPPED, UNFINISHED, NoRoom, back_up
from storage.database import Database
from storage.ledger import Ledger
from tests.fakes import ANN, KF, LI, TENANT

NOW = 1_700_000_000.0
MANY = 20_000  # rows, in some pieces of a backup


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """In small pieces, without the pauses between them."""
    monkeypatch.setattr(module, "PAUSE", 0.0)
    monkeypatch.setattr(module, "PAGES", 64)


@pytest.fixture
async def full(database: Database) -> Database:
    names = [(f"wm{number:030d}", "顾客", 0.0) for number in range(MANY)]
    await database.write(lambda db: db.executemany("INSERT INTO customers VALUES (?, ?, ?)", names))
    return database


def rows(path: Path, sql: str = "SELECT count(*) FROM customers") -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute(sql).fetchone()[0])


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


async def test_everything_is_in_it(full: Database, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    size = await back_up(full.path, copy)
    assert rows(copy) == MANY
    assert size == copy.stat().st_size


async def test_it_is_one_file_that_nobody_else_can_read(full: Database, tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    copy = tmp_path / "backups" / "copy.db"
    await back_up(full.path, copy)
    assert rows(copy, "SELECT 1") == 1  # and is read as it lies there
    assert [each.name for each in copy.parent.iterdir()] == ["copy.db"]
    assert oct(copy.stat().st_mode & 0o777) == "0o600"


async def test_who_writes_meanwhile_does_not_wait_and_is_not_in_it(full: Database, tmp_path: Path) -> None:
    """Each piece is followed by a write of another process: none is refused, and the copy is of the moment before."""
    copy, written = tmp_path / "copy.db", 0
    with closing(sqlite3.connect(full.path, isolation_level=None, timeout=0, check_same_thread=False)) as other:

        def write(done: int, total: int) -> None:
            nonlocal written
            some = "SELECT external_userid FROM customers LIMIT 9"
            other.execute(f"DELETE FROM customers WHERE external_userid IN ({some})")
            written += 1

        await back_up(full.path, copy, write)
    assert written > 2
    assert rows(copy) == MANY
    assert rows(full.path) == MANY - 9 * written


async def test_how_far_it_is_is_told(full: Database, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    size = await back_up(full.path, tmp_path / "copy.db", lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (size, size)


async def test_beside_nobody(tmp_path: Path) -> None:
    database = Database(tmp_path / "kfbot.db")
    await database.open()
    await database.close()
    await back_up(database.path, tmp_path / "copy.db")
    assert rows(tmp_path / "copy.db", "SELECT count(*) FROM sqlite_schema") > 10


async def test_a_file_that_is_there_is_not_overwritten(full: Database, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("mine")
    for target in (tmp_path / "copy.db", full.path):
        with pytest.raises(FileExistsError):
            await back_up(full.path, target)
    assert (tmp_path / "copy.db").read_text() == "mine"
    assert rows(full.path) == MANY


async def test_a_folder_that_is_not_there(full: Database, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await back_up(full.path, tmp_path / "nowhere" / "copy.db")


async def test_no_database(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        await back_up(tmp_path / "kfbot.db", tmp_path / "copy.db")
    assert names(tmp_path) == set()


async def test_given_up_it_leaves_nothing(full: Database, tmp_path: Path) -> None:
    begun, go_on, before = threading.Event(), threading.Event(), names(tmp_path)

    def halt(done: int, total: int) -> None:
        begun.set()
        go_on.wait()

    work = asyncio.create_task(back_up(full.path, tmp_path / "copy.db", halt))
    await asyncio.to_thread(begun.wait)
    work.cancel()
    for _ in range(3):  # it has heard of it
        await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert names(tmp_path) == before


async def test_without_room_nothing_is_begun(full: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(NoRoom) as told:
        await back_up(full.path, tmp_path / "copy.db")
    assert told.value.free == 1000 < told.value.needed
    assert not any("copy" in name for name in names(tmp_path))


async def test_a_damaged_copy_is_none(full: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "faults", lambda path, begin: "Page 7 is never used")
    with pytest.raises(StorageError) as told:
        await back_up(full.path, tmp_path / "copy.db")
    assert told.value.kind == "damaged"
    assert not any("copy" in name for name in names(tmp_path))


async def test_what_a_killed_backup_has_left_behind_goes_with_the_next(full: Database, tmp_path: Path) -> None:
    for left in (f".old.db.0a1b2c3d{UNFINISHED}", f".old.db.0a1b2c3d{UNFINISHED}-journal", ".out.csv.0a1b2c3d.part"):
        (tmp_path / left).write_bytes(b"half of it")
    await back_up(full.path, tmp_path / "copy.db")
    assert {each for each in names(tmp_path) if ".part" in each} == {".out.csv.0a1b2c3d.part"}  # which is another's


async def test_a_backup_does_not_take_anothers_piece_away(full: Database, tmp_path: Path) -> None:
    pieces: list[set[str]] = []

    def another(done: int, total: int) -> None:
        if not pieces:
            pieces.append({each for each in names(tmp_path) if each.endswith(UNFINISHED)})
            asyncio.run(back_up(full.path, tmp_path / "other.db"))
            pieces.append({each for each in names(tmp_path) if each.endswith(UNFINISHED)})

    await back_up(full.path, tmp_path / "copy.db", another)
    assert len(pieces[0]) == 1 and pieces[0] == pieces[1]
    assert rows(tmp_path / "copy.db") == rows(tmp_path / "other.db") == MANY


async def test_it_is_on_disk_before_it_has_its_name(
    full: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[str, bool]] = []
    copy, sync = tmp_path / "copy.db", os.fsync

    def fsync(handle: int) -> None:
        said.append((str(Path(f"/proc/self/fd/{handle}").readlink()), copy.exists()))
        sync(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    await back_up(full.path, copy)
    (part, named), (folder, then) = said
    assert part.endswith(".part") and not named
    assert (folder, then) == (str(tmp_path), True)


def begin(session: Session) -> int:
    return open_handoff(session, HandoffStatus.ACCEPTED, LI, NOW, Via.EVENT).id


async def test_numbers_given_out_since_are_not_given_again_where_it_is_put_back(
    database: Database, tmp_path: Path
) -> None:
    """A button on an old card names a handoff by its number."""
    ledger, copy = Ledger(database, TENANT), tmp_path / "copy.db"
    await ledger.change(SessionKey(KF, "wmFirst"), begin, NOW)
    await back_up(database.path, copy)
    await ledger.change(SessionKey(KF, ANN), begin, NOW)  # and its card
    back = Database(copy)
    restored = Ledger(back, TENANT)
    await restored.change(SessionKey(KF, "wmOther"), begin, NOW)
    [number] = [each.id for each in await restored.history(SessionKey(KF, "wmOther"))]
    assert number == 2 + dict(SKIPPED)["handoffs"]
    assert (await restored.history(SessionKey(KF, "wmFirst")))[0].id == 1
    await back.close()


async def test_it_can_be_opened_and_written(full: Database, tmp_path: Path) -> None:
    await back_up(full.path, tmp_path / "copy.db")
    back = Database(tmp_path / "copy.db")
    await back.open()
    assert await back.read(lambda db: db.execute("PRAGMA journal_mode").fetchone()[0]) == "wal"
    await back.close()
