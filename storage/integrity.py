"""Looks through the whole file at start, beside everything else: in a thread, with a connection of its own.

A gigabyte takes two seconds of work and, cold, as long as the disk takes to bring it. So a start waits for a while
only, and what is found later is told where it is looked for: `damage`.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from bot.errors import StorageError
from storage.trouble import damaged, told

log = logging.getLogger("kfbot.storage")

PATIENCE = 1.0  # seconds a start waits; enough for some 300 MB
LONGEST = 200  # characters of what SQLite finds
LEAST = 512  # bytes of a database, which is a page


class Integrity:
    """One look a process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._look: asyncio.Task[None] | None = None
        self.damage: StorageError | None = None

    async def check(self, patience: float = PATIENCE) -> bool:
        """Raises StorageError for a damaged file. False: it is sound so far, and the rest is being looked through."""
        if not self._path.is_file():
            return True
        self._look_at_size()
        self._look = asyncio.create_task(asyncio.to_thread(self._through))
        done, _ = await asyncio.wait({self._look}, timeout=patience)
        if self.damage is not None:
            raise self.damage
        return bool(done)

    async def stop(self) -> None:
        """Whatever it has found by now."""
        while self._look is not None and not self._look.done():
            with suppress(sqlite3.ProgrammingError):  # just closed
                if self._connection is not None:
                    self._connection.interrupt()  # nothing, where the look is about to begin
            await asyncio.wait({self._look}, timeout=0.05)

    def _look_at_size(self) -> None:
        """SQLite takes what is so short for a new file, writes over it, and throws away the log that lies beside it."""
        size, log_size = (_size(each) for each in (self._path, self._path.with_name(f"{self._path.name}-wal")))
        if size == 0 and log_size == 0:
            log.warning(
                "%s is empty, so a new database is begun | if there were records in it: stop, put the newest backup in "
                "its place, start", self._path,
            )  # fmt: skip
        elif size < LEAST:
            self.damage = damaged(self._path, f"{size} bytes, its log has {log_size}")
            raise self.damage

    def _through(self) -> None:
        """In the thread."""
        try:
            found = faults(self._path, self._begin)
        except sqlite3.Error as failed:
            error = told(self._path, failed)
            found = str(failed) if error.kind == "damaged" else ""  # opening it tells of all else
        finally:
            self._connection = None
        if found:
            self.damage = damaged(self._path, found)
            log.critical("%s", self.damage)

    def _begin(self, connection: sqlite3.Connection) -> None:
        self._connection = connection


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # is not there; or opening it will tell
        return 0


def faults(path: Path, begin: Callable[[sqlite3.Connection], None] = lambda connection: None) -> str:
    """What SQLite finds wrong with the file, empty for nothing. Every page and every row is looked at; whether the
    indexes have them all is not, for that takes a gigabyte a minute and costs no data. `begin` gets the connection, to
    interrupt it. Raises sqlite3.Error."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
        begin(connection)
        connection.execute("PRAGMA query_only=on")
        found = [row[0] for row in connection.execute("PRAGMA quick_check(3)")]
    return "" if found == ["ok"] else " ".join(" ".join(found).split())[:LONGEST]
