"""What SQLite and the system refuse, told so that somebody can do something about it."""

from __future__ import annotations

import os
import pwd
import shutil
import sqlite3
from pathlib import Path

from bot.errors import StorageError

BUSY_SECONDS = 5.0  # a writer waits for another process
LEAST_ROOM = 64 * 1024  # bytes; less is none

_KINDS = {
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_READONLY: "readonly",
    sqlite3.SQLITE_CANTOPEN: "unreachable",
    sqlite3.SQLITE_IOERR: "io",
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_NOTADB: "damaged",
}
LASTING = frozenset({"full", "readonly", "unreachable", "io", "damaged"})
"""What the next attempt is likely to meet as well."""


def told(path: Path, failed: sqlite3.Error) -> StorageError:
    kind = _KINDS.get(getattr(failed, "sqlite_errorcode", 0) & 0xFF, "")
    if kind == "io" and _is_full(path):  # the file that the log is found by cannot grow
        kind = "full"
    details = {"path": path, "why": failed, "user": user(), "seconds": f"{BUSY_SECONDS:g}"} if kind else {}
    error = StorageError(f"{path}: {failed}", kind, **details)
    error.__cause__ = failed
    return error


def _is_full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < LEAST_ROOM
    except OSError:
        return False


def unreachable(path: Path, refused: OSError) -> StorageError:
    """The folder, or a file beside the database."""
    why = refused.strerror or str(refused)
    return StorageError(f"cannot create {path}: {why}", "unreachable", path=path, why=why, user=user())


def damaged(path: Path, why: str) -> StorageError:
    return StorageError(f"{path} is damaged: {why}", "damaged", path=path, why=why)


def user() -> str:
    """A container's user may have no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid {os.geteuid()}"
