"""Two bots on one database: the second is refused, and told of the first; a dead one leaves nothing locked."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bot.errors import StorageError
from bot.wecom.errcodes import meaning_of
from bot.wording import Words
from storage.database import Database
from storage.lock import Lock

ROOT = Path(__file__).parents[3]
HOLD = "import sys; from pathlib import Path; from storage.lock import Lock\n"
HOLD += "Lock(Path(sys.argv[1])).take(); print('taken', flush=True); sys.stdin.read()"
ZH, EN = Words("zh", "kfbot", meaning_of), Words("en", "kfbot", meaning_of)


def test_the_second_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    with Lock(tmp_path / "kfbot.db"):
        with pytest.raises(StorageError) as told:
            Lock(tmp_path / "kfbot.db").take()
        assert told.value.kind == "taken"
        for words in (ZH, EN):
            assert f"pid {os.getpid()}" in words.storage(told.value)
            assert str(tmp_path / "kfbot.db") in words.storage(told.value)


def test_the_folder_of_the_database_is_nobody_else_s(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with Lock(tmp_path / "data" / "kfbot.db"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "data" / "kfbot.db.lock").stat().st_mode & 0o777 == 0o600


def test_after_the_first_comes_the_next(tmp_path: Path) -> None:
    for _ in range(2):
        with Lock(tmp_path / "kfbot.db"):
            pass


def test_a_file_has_one_lock_by_whatever_name(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    with Lock(tmp_path / "data" / "kfbot.db"), pytest.raises(StorageError):
        Lock(tmp_path / "link" / ".." / "data" / "kfbot.db").take()


def test_a_file_with_a_hard_link_is_refused_for_its_log_has_but_one_name(tmp_path: Path) -> None:
    path, other = tmp_path / "kfbot.db", tmp_path / "other.db"
    path.write_bytes(b"")
    with Lock(path):
        other.hardlink_to(path)
        with pytest.raises(StorageError) as told:
            Lock(other).take()
    assert told.value.kind == "linked"
    for words in (ZH, EN):
        assert str(other) in words.storage(told.value) and f"find . -samefile {other}" in words.storage(told.value)
    other.unlink()
    with Lock(path):
        pass


def test_a_full_disk_does_not_keep_the_lock_from_being_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with Lock(tmp_path / "kfbot.db"), pytest.raises(StorageError, match="another kfbot"):
        Lock(tmp_path / "kfbot.db").take()


def test_two_databases_have_two(tmp_path: Path) -> None:
    with Lock(tmp_path / "a.db"), Lock(tmp_path / "b.db"):
        pass


def test_folders_are_made_as_the_database_makes_them(tmp_path: Path) -> None:
    with Lock(tmp_path / "deep" / "kfbot.db"):
        assert (tmp_path / "deep").is_dir()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as told:
        Lock(tmp_path / "file" / "kfbot.db").take()
    assert told.value.kind == "unreachable"


def test_a_process_that_is_killed_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "kfbot.db"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "taken\n"
        with pytest.raises(StorageError, match=f"pid {other.pid}"):
            Lock(path).take()
        other.send_signal(signal.SIGKILL)
        other.wait()
    with Lock(path):
        pass


async def test_it_keeps_nobody_from_reading_and_writing(tmp_path: Path) -> None:
    with Lock(tmp_path / "kfbot.db"):
        database = Database(tmp_path / "kfbot.db")
        await database.open()
        await database.prove()
        await database.close()
