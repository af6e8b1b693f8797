"""A copy of the database at one moment, taken beside whoever works on it.

The copy is made of one snapshot, which the write-ahead log keeps while it lasts: nobody waits for it, and what is
written meanwhile does not begin it anew. It is whole or not there: it has another name until it is on disk and looked
through. What a process that died has left under such a name goes with the next backup into that folder.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sqlite_utils import Database as Tables

from bot.errors import StorageError
from bot.faults import point
from storage.integrity import faults
from storage.migrations import refuse_empty, refuse_others
from storage.trouble import told

PAGES = 256  # a megabyte at a time
PAUSE = 0.005  # seconds after each, so that others get at the disk
UNFINISHED = ".backup.part"

Advance = Callable[[int, int], None]
"""Told of (bytes copied, bytes in all), in the thread that copies."""

# Numbers that were given out after a backup must not be given out again where it is put back: a button on an old card
# names one of them, and would end another customer's session.
SKIPPED = (("handoffs", 100_000), ("handoff_events", 1_000_000))


class NoRoom(StorageError):
    """There is no room for the copy. `needed`, `free`: bytes."""

    def __init__(self, folder: Path, needed: int, free: int) -> None:
        self.needed, self.free = needed, free
        super().__init__(f"{folder}: {needed} bytes needed, {free} free")


async def back_up(source: Path, target: Path, advance: Advance = lambda done, total: None) -> int:
    """Returns the size in bytes. Raises StorageError for the source, OSError for the target; FileExistsError where
    there is one already. Cancelled, it leaves nothing behind."""
    given_up = threading.Event()
    work = asyncio.ensure_future(asyncio.to_thread(_back_up, source, target, advance, given_up))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        given_up.set()
        await asyncio.wait({work})
        work.exception()  # is no news
        raise


def _back_up(source: Path, target: Path, advance: Advance, given_up: threading.Event) -> int:
    if target.exists():
        raise FileExistsError(str(target))
    with _part(target) as part:
        try:
            _copy(source, part, advance, given_up)
            point("backup.copied")
            if found := faults(part, lambda check: check.set_progress_handler(given_up.is_set, 10_000)):
                raise StorageError(f"the copy of {source} is damaged: {found}", "damaged", path=source, why=found)
        except sqlite3.Error as failed:
            raise told(source, failed) from failed
        with part.open("rb") as written:
            os.fsync(written.fileno())
            size = os.fstat(written.fileno()).st_size
        if target.exists():
            raise FileExistsError(str(target))
        point("backup.forced")
        part.rename(target)
        point("backup.named")
        _sync(target.parent)
    return size


@contextmanager
def _part(target: Path) -> Iterator[Path]:
    """Nobody else's to read, for there are names and keys in it. Locked while somebody works on it."""
    _clear(target.parent)
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}{UNFINISHED}")
    held = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with suppress(OSError):  # a disk that knows no locks
            fcntl.flock(held, fcntl.LOCK_EX)
        yield part
    finally:
        _remove(part)
        os.close(held)


def _clear(folder: Path) -> None:
    """Away with the pieces on which nobody works: they are large, and what has been forgotten since may stand there."""
    for part in folder.glob(f".*{UNFINISHED}"):
        with suppress(OSError):  # another's, or gone
            held = os.open(part, os.O_RDWR)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(part)
            finally:
                os.close(held)


def _remove(part: Path) -> None:
    for each in ("", "-journal", "-wal", "-shm"):
        part.with_name(f"{part.name}{each}").unlink(missing_ok=True)


def _copy(source: Path, part: Path, advance: Advance, given_up: threading.Event) -> None:
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)) as ours,
        closing(sqlite3.connect(part, isolation_level=None)) as copy,
    ):
        ours.execute("PRAGMA query_only=on")
        ours.execute("BEGIN")
        tables = Tables(ours, execute_plugins=False)
        refuse_others(tables, source)  # with this first look, the moment is chosen
        refuse_empty(tables, source)
        (size,), (pages,) = (ours.execute(f"PRAGMA {each}").fetchone() for each in ("page_size", "page_count"))
        _ask_for_room(part.parent, size * pages)

        def rest(_: int, left: int, total: int) -> None:
            advance((total - left) * size, total * size)
            point("backup.copying")
            if given_up.wait(PAUSE):
                raise InterruptedError("the backup was given up")

        copy.execute("PRAGMA synchronous=off")  # it is forced to the disk as a whole
        ours.backup(copy, pages=PAGES, progress=rest)
        copy.execute("PRAGMA journal_mode=delete")  # one file, that can be read where nothing can be written
        _skip_numbers(copy)


def _ask_for_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise NoRoom(folder, needed, free)


def _skip_numbers(copy: sqlite3.Connection) -> None:
    for table, count in SKIPPED:
        copy.execute("UPDATE sqlite_sequence SET seq = seq + ? WHERE name = ?", (count, table))


def _sync(folder: Path) -> None:
    """The new name, too, is on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
