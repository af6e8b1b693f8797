"""One time for several processes, ahead of the real one by as much as somebody has moved it."""

from __future__ import annotations

import ctypes
import mmap
import time
from pathlib import Path

_SIZE = ctypes.sizeof(ctypes.c_double)


class MovedClock:
    """Kept in a file: who moves it moves it for all who look at the same one."""

    def __init__(self, path: Path) -> None:
        with path.open("ab") as file:
            file.truncate(_SIZE)
        with path.open("r+b") as file:
            self._ahead = ctypes.c_double.from_buffer(mmap.mmap(file.fileno(), _SIZE))

    def now(self) -> float:
        return time.time() + self._ahead.value

    def move(self, seconds: float) -> None:
        self._ahead.value += seconds
