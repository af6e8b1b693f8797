"""Files that hold secrets and that everybody on this machine may read.

A bot that refused to start over them would not start in containers whose volumes know no modes: so `run` warns, loudly,
and `check` fails.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

SHORTEST = 4  # characters; what is shorter stands in any file
EVERYBODY = stat.S_IROTH | stat.S_IWOTH


def exposed(written: Iterable[Path], private: Iterable[Path], secrets: Iterable[str]) -> list[Path]:
    """Those that others may open: where somebody may have written secrets, if there is one; and what is `private`
    whatever it holds. What cannot be looked at is none of them."""
    held = [secret.encode() for secret in secrets if len(secret) >= SHORTEST]
    return [
        *(each for each in written if _is_open(each) and _holds(each, held)),
        *(each for each in private if _is_open(each)),
    ]


def _is_open(path: Path) -> bool:
    """A file is as open as the folders above it let it be."""
    try:
        mode = path.stat().st_mode
        way = [each.stat().st_mode for each in path.resolve().parents]
    except OSError:
        return False
    return os.name == "posix" and bool(mode & EVERYBODY) and all(each & stat.S_IXOTH for each in way)


def _holds(path: Path, secrets: list[bytes]) -> bool:
    try:
        text = path.read_bytes()
    except OSError:
        return False
    return any(secret in text for secret in secrets)
