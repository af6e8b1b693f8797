"""Lives of the bot, each a process of its own that can be killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench.children import ROOT

_LISTENS = re.compile(rb"listening \| http://127\.0\.0\.1:(\d+)")


@dataclass(frozen=True, slots=True)
class Life:
    """One process, by the files it leaves: what it prints, its number, how it ended, the points it passed."""

    folder: Path
    number: int

    def file(self, kind: str) -> Path:
        return self.folder / f"life-{self.number}.{kind}"

    @property
    def ended(self) -> int | None:
        """The exit code, or minus the signal it died of; None while it lives."""
        file = self.file("ended")
        return int(file.read_text()) if file.exists() else None

    @property
    def port(self) -> int:
        """0 until it listens."""
        log = self.file("log")
        found = _LISTENS.search(log.read_bytes()) if log.exists() else None
        return int(found[1]) if found else 0

    @property
    def passed(self) -> Counter[str]:
        """How often each fault point was passed."""
        file = self.file("passed")
        return Counter(file.read_text().splitlines() if file.exists() else ())

    def begun(self, point: str) -> int:
        """How often the step after this point has begun. One that is named -ing is passed before its step, or in its
        transaction: who dies there has not begun."""
        file = self.file("passed")
        last = file.read_text().splitlines()[-1:] if file.exists() else []
        return self.passed[point] - (point.endswith("ing") and last == [point])

    def kill(self) -> None:
        """Safe to call again and again; nothing comes of it before the process is there."""
        number = self.file("pid").read_text() if self.file("pid").exists() else ""
        if number and self.ended is None:
            with suppress(ProcessLookupError):
                os.kill(int(number), signal.SIGKILL)

    def said(self, characters: int = 3000) -> str:
        log = self.file("log")
        return log.read_text("utf-8", "replace")[-characters:] if log.exists() else ""


class Nursery:
    """`with Nursery() as nursery:`; whoever still lives when it closes is killed."""

    def __enter__(self) -> Self:
        environment = {name: value for name, value in os.environ.items() if not name.upper().startswith("KFBOT_")}
        self._cradle = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.kills.cradle"],
            stdin=subprocess.PIPE, cwd=ROOT, env=environment, start_new_session=True,
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        assert self._cradle.stdin is not None
        self._cradle.stdin.close()
        self._cradle.wait(30)

    def start(
        self, life: Life, settings: Path, clock: Path, words: Sequence[str] = ("run",), *,
        fault: str = "", hurried: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """Begin a life: `bot.py` with these words. `fault`: the point at which it dies. `hurried`: see `Scenery`."""
        order = {
            "settings": str(settings), "clock": str(clock), "words": [*words], "fault": fault, "hurried": [*hurried],
            **{kind: str(life.file(kind)) for kind in ("log", "pid", "ended", "passed")},
        }  # fmt: skip
        assert self._cradle.stdin is not None
        self._cradle.stdin.write(json.dumps(order).encode() + b"\n")
        self._cradle.stdin.flush()
