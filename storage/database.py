"""The database's threads: one writer, one reader, each with a connection of its own. WAL, immediate transactions.

The writes of a turn (`turns`) share one transaction, where each is undone by itself if it fails, and one wait for the
disk. Nobody is told of a write before it is on record.

Other processes (the CLI beside a running bot) may write too: `BEGIN IMMEDIATE` and a busy time-out keep them apart.

A full disk, a file that may not be written, a disk that fails: every write is refused then, in words, until one works
again. Nothing has to be restarted for that.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from sqlite_utils import Database as Tables

from bot.errors import StorageError
from storage.integrity import Integrity
from storage.migrations import migrate, refuse_empty, refuse_others
from storage.trouble import BUSY_SECONDS, LASTING, told, unreachable
from storage.turns import Turns, Work

T = TypeVar("T")
TURN_SECONDS = 0.005
CACHE_KIB = 8 * 1024  # a connection's page cache; memory stays flat however large the file grows
ROOM = 1024 * 1024  # bytes, below which a disk that was full still is
LATELY = 10.0  # seconds a write proves for that others can be made


class Connection:
    """One thread with one connection, opened and used only there.

    `turns.do` raises what the work raises, and StorageError for what SQLite refuses. `trouble`: what it refused last,
    if that is likely to last, until something works again; damage does not pass.
    """

    def __init__(self, path: Path, name: str, *, read_only: bool) -> None:
        self._path, self._read_only = path, read_only
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._tables: Tables | None = None
        self._durable: bool | None = None
        self._changes = 0
        self.wrote_at = -LATELY
        self.trouble: StorageError | None = None
        self.turns: Turns[sqlite3.Connection] = Turns(self._thread, self._take)

    async def close(self) -> None:
        await self.turns.end()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def _take(self, works: list[Work[sqlite3.Connection]]) -> list[Work[sqlite3.Connection]]:
        """One turn. Returns what is left for the next, so that the first of many need not wait for the last."""
        done: list[Work[sqlite3.Connection]] = []
        until = time.monotonic() + TURN_SECONDS
        try:
            if self._tables is None:
                self._tables = self._open()
            connection = self._tables.conn
            self._begin(connection, works)
            for work in works:
                if done and time.monotonic() > until:
                    break
                done.append(work)
                self._do(connection, work, alone=len(works) == 1)
            if connection.in_transaction:
                connection.execute("COMMIT")
            self._went_well(connection, done)
        except BaseException as failed:  # of the transaction, and so of all that was done in it
            self._undo()
            done = done or works
            for work in done:
                work.error = work.error or self._as_told(failed)
        if self.trouble is not None and self.trouble.kind in ("readonly", "unreachable", "io"):
            self._close()  # opened anew, it may find the file as it is by then
        return works[len(done) :]

    def _went_well(self, connection: sqlite3.Connection, done: list[Work[sqlite3.Connection]]) -> None:
        """A transaction that has changed no row proves nothing of the disk."""
        if connection.total_changes != self._changes:
            self._changes = connection.total_changes
            self.has_written()
        elif self._read_only and any(work.error is None for work in done):
            self._is_over()

    def has_written(self) -> None:
        self.wrote_at = time.monotonic()
        self._is_over()

    def _is_over(self) -> None:
        """Not damage; nor a full disk, while there is room for a little and for no more."""
        kind = self.trouble.kind if self.trouble is not None else ""
        if kind != "damaged" and (kind != "full" or shutil.disk_usage(self._path.parent).free >= ROOM):
            self.trouble = None

    def _begin(self, connection: sqlite3.Connection, works: list[Work[sqlite3.Connection]]) -> None:
        if self._read_only or not works:
            return
        durable = any(work.durable for work in works)
        if durable is not self._durable:
            connection.execute(f"PRAGMA synchronous={'full' if durable else 'normal'}")
            self._durable = durable
        connection.execute("BEGIN IMMEDIATE")

    def _do(self, connection: sqlite3.Connection, work: Work[sqlite3.Connection], *, alone: bool) -> None:
        """What fails is undone by itself; unless SQLite has given up the whole transaction, which is raised."""
        shares = not alone and not self._read_only
        if shares:
            connection.execute("SAVEPOINT work")
        try:
            work.value = work.run(connection)
        except BaseException as failed:
            work.error = self._as_told(failed)
            if self._read_only:
                return
            if not connection.in_transaction:
                raise
            connection.execute("ROLLBACK TO work" if shares else "ROLLBACK")
        if shares:
            connection.execute("RELEASE work")

    def _undo(self) -> None:
        try:
            if self._tables is not None and self._tables.conn.in_transaction:
                self._tables.conn.execute("ROLLBACK")
        except sqlite3.Error:  # then with the connection
            self._close()

    def _as_told(self, failed: BaseException) -> BaseException:
        if not isinstance(failed, sqlite3.Error):
            return failed
        error = told(self._path, failed)
        if error.kind in LASTING and (self.trouble is None or self.trouble.kind != "damaged"):
            self.trouble = error
        return error

    def _open(self) -> Tables:
        if not self._read_only:
            _make(self._path)
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            return self._prepared(connection)
        except BaseException:
            connection.close()
            raise

    def _prepared(self, connection: sqlite3.Connection) -> Tables:
        tables = Tables(connection, execute_plugins=False)
        for pragma in (f"cache_size=-{CACHE_KIB}", "foreign_keys=on", "temp_store=memory"):
            connection.execute(f"PRAGMA {pragma}")
        refuse_others(tables, self._path)
        if self._read_only:
            refuse_empty(tables, self._path)
            connection.execute("PRAGMA query_only=on")
        else:
            connection.execute("PRAGMA journal_mode=wal")
            connection.execute("PRAGMA synchronous=normal")
            connection.execute("PRAGMA secure_delete=on")  # what is deleted is overwritten; see also storage.forget
            migrate(tables)
        return tables

    def _close(self) -> None:
        tables, self._tables, self._durable, self._changes = self._tables, None, None, 0
        if tables is not None:
            tables.conn.close()


class Database:
    """`write` runs a whole transaction in the writer's thread, `read` a consistent look in the reader's.

    `on_write` is called in the loop after each turn of this process's writer; what others write, nobody tells.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.integrity = Integrity(path)
        self._writer = Connection(path, "db-writer", read_only=False)
        self._reader = Connection(path, "db-reader", read_only=True)
        self.on_write: Callable[[], None] = lambda: None
        self._writer.turns.after = lambda: self.on_write()

    async def open(self) -> None:
        """Create directories and file, bring the schema up to date. Raises StorageError, in words, when it cannot."""
        try:
            self.path.parent.mkdir(0o700, parents=True, exist_ok=True)
        except OSError as refused:
            raise unreachable(self.path.parent, refused) from None
        await self._touch()
        await self._reader.turns.do(lambda connection: None)

    async def close(self) -> None:
        await self.integrity.stop()
        await self._reader.close()
        await self._writer.close()

    @property
    def trouble(self) -> StorageError | None:
        """What keeps it from being used, as far as that is known."""
        return self.integrity.damage or self._writer.trouble or self._reader.trouble

    async def prove(self) -> None:
        """Raises StorageError unless it can be read and written now: a full disk shows in nothing less than a write."""
        await self.read(lambda db: db.execute("SELECT 1 FROM meta LIMIT 1").fetchall())
        if self.trouble is not None or time.monotonic() - self._writer.wrote_at >= LATELY:
            await self._touch()
        if self.trouble is not None:
            raise self.trouble

    async def _touch(self) -> None:
        """Write a page, and nothing that anybody sees. A file that may only be read refuses nothing less."""
        await self.write(lambda db: db.execute("PRAGMA user_version=1"))
        self._writer.has_written()

    async def write(self, work: Callable[[sqlite3.Connection], T], *, durable: bool = False) -> T:
        """All or nothing. `durable`: on disk even if the power fails now; for what an outside effect follows."""
        return await self._writer.turns.do(work, durable=durable)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._reader.turns.do(work)


def _make(path: Path) -> None:
    """With what customers are called and the key that signs tokens in it, it is nobody else's to read."""
    with suppress(OSError):  # it is there, or SQLite will say why not
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
