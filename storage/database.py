"""The database's threads: one writer, one reader, each with a connection of its own. WAL, immediate transactions.

The writes of a turn (`turns`) share one transaction, where each is undone by itself if it fails, and one wait for the
disk. Nobody is told of a write before it is on record.

Other processes (the CLI beside a running bot) may write too: `BEGIN IMMEDIATE` and a busy time-out keep them apart.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sqlite_utils import Database as Tables

from bot.errors import StorageError
from storage.migrations import migrate
from storage.turns import Turns, Work

T = TypeVar("T")
BUSY_SECONDS = 5.0
TURN_SECONDS = 0.005
CACHE_KIB = 8 * 1024  # a connection's page cache; memory stays flat however large the file grows


class Connection:
    """One thread with one connection, opened and used only there.

    `turns.do` raises what the work raises, and StorageError for what SQLite refuses.
    """

    def __init__(self, path: Path, name: str, *, read_only: bool) -> None:
        self._path, self._read_only = path, read_only
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._tables: Tables | None = None
        self._durable: bool | None = None
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
        except BaseException as failed:  # of the transaction, and so of all that was done in it
            self._undo()
            done = done or works
            for work in done:
                work.error = work.error or self._as_told(failed)
        return works[len(done) :]

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
        if self._tables is not None and self._tables.conn.in_transaction:
            self._tables.conn.execute("ROLLBACK")

    def _as_told(self, failed: BaseException) -> BaseException:
        if not isinstance(failed, sqlite3.Error):
            return failed
        told = StorageError(f"{self._path}: {failed}")
        told.__cause__ = failed
        return told

    def _open(self) -> Tables:
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
        if self._read_only:
            connection.execute("PRAGMA query_only=on")
        else:
            connection.execute("PRAGMA journal_mode=wal")
            connection.execute("PRAGMA synchronous=normal")
            migrate(tables)
        return tables

    def _close(self) -> None:
        if self._tables is not None:
            self._tables.conn.close()
            self._tables = None


class Database:
    """`write` runs a whole transaction in the writer's thread, `read` a consistent look in the reader's.

    `on_write` is called in the loop after each turn of this process's writer; what others write, nobody tells.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer = Connection(path, "db-writer", read_only=False)
        self._reader = Connection(path, "db-reader", read_only=True)
        self.on_write: Callable[[], None] = lambda: None
        self._writer.turns.after = lambda: self.on_write()

    async def open(self) -> None:
        """Create directories and file, bring the schema up to date. Raises StorageError, in words, when it cannot."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as refused:
            raise StorageError(f"cannot create {self.path.parent}: {refused.strerror}") from None
        await self._writer.turns.do(lambda connection: None)
        await self._reader.turns.do(lambda connection: None)

    async def close(self) -> None:
        await self._reader.close()
        await self._writer.close()

    async def write(self, work: Callable[[sqlite3.Connection], T], *, durable: bool = False) -> T:
        """All or nothing. `durable`: on disk even if the power fails now; for what an outside effect follows."""
        return await self._writer.turns.do(work, durable=durable)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._reader.turns.do(work)
