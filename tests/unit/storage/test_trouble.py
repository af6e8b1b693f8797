"""A full disk, a file that may not be written, a disk that fails: refused in words, and over when it is over."""

from __future__ import annotations

import os
import pwd
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlite_utils import Database as Tables

from bot.errors import StorageError
from bot.wecom.errcodes import meaning_of
from bot.wording import Words
from storage.database import Database
from storage.migrations import migrations
from storage.trouble import told as put_into_words

ZH, EN = Words("zh", "kfbot", meaning_of), Words("en", "kfbot", meaning_of)
NOBODY = 65534
LARGE = "x" * 200_000


async def put(database: Database, value: str) -> None:
    await database.write(lambda db: db.execute("INSERT OR REPLACE INTO meta VALUES ('a', ?)", (value,)))


async def pages(database: Database, most: int) -> None:
    """As if the disk had room for so many."""
    await database.write(lambda db: db.execute(f"PRAGMA max_page_count={most}"))


async def refused(database: Database, value: str = LARGE) -> StorageError:
    with pytest.raises(StorageError) as told:
        await put(database, value)
    return told.value


def trouble(database: Database) -> str:
    return database.trouble.kind if database.trouble else ""


# -- a full disk


async def test_a_full_disk_is_told_and_nothing_is_half_done(database: Database) -> None:
    await put(database, "before")
    await pages(database, 1)  # no more than there are
    error = await refused(database)
    assert error.kind == "full"
    assert str(database.path) in ZH.storage(error) and "磁盘满了" in ZH.storage(error)
    assert "Make room" in EN.storage(error)
    assert await database.read(lambda db: db.execute("SELECT value FROM meta WHERE key='a'").fetchone()[0]) == "before"


async def test_a_full_disk_is_trouble_until_something_could_be_written(database: Database) -> None:
    await pages(database, 1)
    await refused(database)
    assert trouble(database)
    await database.write(lambda db: None)  # changes nothing and proves nothing
    assert trouble(database)
    await pages(database, 100_000)
    await put(database, LARGE)
    assert not trouble(database)


async def test_that_it_can_be_written_is_proved_by_writing(database: Database) -> None:
    await database.prove()
    await pages(database, 1)
    await refused(database)
    await database.write(lambda db: db.execute("PRAGMA query_only=on"))  # not even a little
    with pytest.raises(StorageError):
        await database.prove()


async def test_when_there_is_room_again_the_next_proof_ends_the_trouble(database: Database) -> None:
    await pages(database, 1)
    await refused(database)
    await pages(database, 100_000)
    await database.prove()
    assert not trouble(database)


async def test_room_for_a_little_is_none(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await pages(database, 1)
    await refused(database)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=9000))
        await put(database, "little")
        with pytest.raises(StorageError):
            await database.prove()
    await database.prove()
    assert not trouble(database)


async def test_a_proof_is_not_repeated_while_things_are_written_anyway(database: Database) -> None:
    await put(database, "just now")
    said: list[str] = []
    await database.write(lambda db: db.set_trace_callback(said.append))
    said.clear()
    await database.prove()
    assert said == []


# -- what may not be written


@contextmanager
def nobody() -> Iterator[None]:
    """Root may write everywhere; so for a while, we are not."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def allow(path: Path, mode: int) -> None:
    """Of a database, all its files."""
    for each in [path] if path.is_dir() else path.parent.glob(f"{path.name}*"):
        each.chmod(mode)


@pytest.fixture
async def public(database: Database) -> AsyncIterator[Path]:
    """A database in a folder that everybody can reach and write. What is imported late has been for the other one."""
    with tempfile.TemporaryDirectory() as folder:
        allow(Path(folder), 0o777)
        database = Database(Path(folder) / "kfbot.db")
        with nobody():
            await database.open()
            await database.close()
        yield database.path


async def test_a_file_that_may_not_be_written_is_told_with_who_should(public: Path) -> None:
    allow(public, 0o444)
    database = Database(public)
    with nobody(), pytest.raises(StorageError) as told:
        await database.open()
    assert told.value.kind == "readonly"
    assert "不可写" in ZH.storage(told.value)
    if os.geteuid() == 0:
        assert pwd.getpwuid(NOBODY).pw_name in EN.storage(told.value)
    await database.close()


async def test_once_it_may_be_written_nothing_has_to_be_restarted(public: Path) -> None:
    allow(public, 0o444)
    database = Database(public)
    with nobody():
        assert (await refused(database, "x")).kind == "readonly"
        assert trouble(database)
    allow(public, 0o666)
    with nobody():
        await put(database, "after")
        assert not trouble(database)
        await database.close()


async def test_a_folder_that_may_not_be_written_is_told(public: Path) -> None:
    allow(public.parent, 0o555)
    database = Database(public.with_name("other.db"))
    with nobody(), pytest.raises(StorageError) as told:
        await database.open()
    allow(public.parent, 0o777)
    assert told.value.kind == "unreachable"
    assert "打不开" in ZH.storage(told.value)
    await database.close()


async def test_a_folder_that_cannot_be_made_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as told:
        await Database(tmp_path / "file" / "deep" / "kfbot.db").open()
    assert str(tmp_path / "file") in ZH.storage(told.value)


async def test_a_new_database_is_nobody_elses_to_read(database: Database) -> None:
    await put(database, "小林")
    for file in database.path.parent.glob("kfbot.db*"):
        assert oct(file.stat().st_mode & 0o777) == "0o600", file.name


# -- a disk that fails


def cut_off(path: Path) -> None:
    """The log that SQLite has open leads nowhere from now on."""
    with Path("/dev/null").open("rb") as nowhere:
        for handle in Path("/proc/self/fd").iterdir():
            if handle.exists() and str(handle.readlink()) == f"{path}-wal":
                os.dup2(nowhere.fileno(), int(handle.name))


async def test_a_disk_that_failed_is_gone_back_to(database: Database) -> None:
    await put(database, "before")
    cut_off(database.path)
    assert (await refused(database)).kind == "io"
    assert "读写出错" in ZH.storage(database.trouble or StorageError())
    await put(database, "after")
    assert not trouble(database)


# -- a file that is not ours


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        tables = Tables(connection, execute_plugins=False)
        migrations.apply(tables)
        applied = {"migration_set": "kfbot", "name": "m999_future", "applied_at": "2030-01-01"}
        tables.table("_sqlite_migrations").insert(applied)
        connection.commit()


async def test_a_file_of_a_newer_kfbot_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "kfbot.db"
    newer(path)
    before = path.read_bytes()
    database = Database(path)
    with pytest.raises(StorageError) as told:
        await database.open()
    await database.close()
    assert told.value.kind == "newer"
    assert "m999_future" in ZH.storage(told.value) and "升级 kfbot" in ZH.storage(told.value)
    assert path.read_bytes() == before


async def test_nor_is_it_read(tmp_path: Path) -> None:
    newer(tmp_path / "kfbot.db")
    database = Database(tmp_path / "kfbot.db")
    with pytest.raises(StorageError, match="newer kfbot"):
        await database.read(lambda db: db.execute("SELECT 1"))
    await database.close()


async def test_the_database_of_another_program_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "places.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    before = path.read_bytes()
    database = Database(path)
    with pytest.raises(StorageError) as told:
        await database.open()
    await database.close()
    assert told.value.kind == "foreign"
    assert "别的程序" in ZH.storage(told.value)
    assert path.read_bytes() == before


async def test_a_statement_that_is_wrong_is_no_trouble_of_the_disk(database: Database) -> None:
    with pytest.raises(StorageError) as told:
        await database.write(lambda db: db.execute("SELECT * FROM nowhere"))
    assert told.value.kind == ""
    assert ZH.storage(told.value) == str(told.value)
    assert not trouble(database)


@pytest.mark.parametrize(("free", "kind"), [(0, "full"), (10**9, "io")])
def test_a_disk_error_on_a_full_disk_is_its_fullness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, kind: str
) -> None:
    """A bot that starts there fails at the small file beside the log, and SQLite calls that an I/O error."""
    failed = sqlite3.OperationalError("disk I/O error")
    failed.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert put_into_words(tmp_path / "kfbot.db", failed).kind == kind
