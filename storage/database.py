"""The database's threads: one writer, one reader, each with a connection of its own. WAL, immediate transactions.

Other processes (the CLI beside a running bot) may write too: `BEGIN IMMEDIATE` and a busy time-out keep them apart.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sqlite_utils import Database as Tables

from bot.errors import StorageError
from storage.migrations import migrate

T = TypeVar("T")
BUSY_SECONDS = 5.0
CACHE_KIB = 8 * 1024  # a connection's page cache; memory stays flat however large the file grows


class Connection:
    """One thread with one connection, opened and used only there."""

    def __init__(self, path: Path, name: str, *, read_only: bool) -> None:
        self._path, self._read_only = path, read_only
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._tables: Tables | None = None

    async def run(self, work: Callable[[Tables], T]) -> T:
        """Run in this connection's thread. Raises StorageError for what SQLite refuses."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._guarded, work)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def _guarded(self, work: Callable[[Tables], T]) -> T:
        try:
            if self._tables is None:
                self._tables = self._open()
            return work(self._tables)
        except sqlite3.Error as failed:
            raise StorageError(f"{self._path}: {failed}") from failed

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

    `on_write` is called in the loop after each transaction of this process; what others write, nobody tells.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer = Connection(path, "db-writer", read_only=False)
        self._reader = Connection(path, "db-reader", read_only=True)
        self.on_write: Callable[[], None] = lambda: None

    async def open(self) -> None:
        """Create directories and file, bring the schema up to date. Raises StorageError, in words, when it cannot."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as refused:
            raise StorageError(f"cannot create {self.path.parent}: {refused.strerror}") from None
        await self._writer.run(lambda tables: None)
        await self._reader.run(lambda tables: None)

    async def close(self) -> None:
        await self._reader.close()
        await self._writer.close()

    async def write(self, work: Callable[[sqlite3.Connection], T], *, durable: bool = False) -> T:
        """All or nothing. `durable`: on disk even if the power fails now; for what an outside effect follows."""
        result = await self._writer.run(lambda tables: _transaction(tables.conn, work, durable))
        self.on_write()
        return result

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._reader.run(lambda tables: work(tables.conn))


def _transaction(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T], durable: bool) -> T:
    connection.execute(f"PRAGMA synchronous={'full' if durable else 'normal'}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result
