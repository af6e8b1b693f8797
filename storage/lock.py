"""One bot a database: an exclusive lock beside the file, which the kernel lets go of however its process ends.

Only `run` takes it. What else opens the database (end, status, export, backup, forget) works beside a running bot.
"""

from __future__ import annotations

import fcntl
import os
import socket
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from bot.errors import StorageError
from storage.trouble import unreachable

_LONGEST = 200


class Lock:
    """`take` raises StorageError where another process has it, and names that."""

    def __init__(self, database: Path) -> None:
        self._database = database
        real = database.resolve()  # by whatever name it is opened
        self.path = real.with_name(f"{real.name}.lock")
        self._file: int | None = None

    def take(self) -> None:
        try:
            self.path.parent.mkdir(0o700, parents=True, exist_ok=True)
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as refused:
            raise unreachable(self.path, refused) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read(file)
            os.close(file)
            what = f"another kfbot ({holder}) is running on {self._database}"
            raise StorageError(what, "taken", path=self._database, holder=holder) from None
        except OSError as refused:  # a disk that knows no locks
            os.close(file)
            raise unreachable(self.path, refused) from None
        self._file = file
        self._refuse_other_names()
        with suppress(OSError):  # a full disk: the lock holds all the same, and the database tells of it
            os.truncate(file, 0)
            os.write(file, f"pid {os.getpid()}, {socket.gethostname()}\n".encode())

    def _refuse_other_names(self) -> None:
        """A hard link has a lock of its own, and a log of its own: whoever writes by both names damages the file."""
        with suppress(OSError):  # it is not there yet
            if self._database.stat().st_nlink > 1:
                self.release()
                raise StorageError(f"{self._database} has another name, a hard link", "linked", path=self._database)

    def release(self) -> None:
        """The file stays: who waits to lock it must not lock one that is gone."""
        if self._file is not None:
            with suppress(OSError):
                os.truncate(self._file, 0)
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Lock:
        self.take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _read(file: int) -> str:
    """Who has it; it may be about to say so."""
    return os.pread(file, _LONGEST, 0).decode(errors="replace").strip() or "pid ?"
