"""Seconds for a million handoffs to become a CSV file, and the memory that takes.

Subject: `bot.py export --output FILE` in a process of its own, without the start of Python, on a database where every
customer has a name and nobody's handoffs stand together; the file must have a line for each. Memory is what resident
memory grew by at its highest, from after an export without rows to after the first whole one, as Linux counts it.

Floor: a cursor on the bare columns of `handoffs`, handed to `csv.writer` row by row: no names, no local times, no sums.
"""

from __future__ import annotations

import asyncio
import csv
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from bench import bots, records
from bench.child import say
from bench.children import ChildFailed, resident_mb
from bench.runner import Goal, Row, Stage, bench, of_rounds

HANDOFFS, OPEN = 1_000_000, 1000
ROUNDS = 3
TIME, MEMORY = Goal(at_most=30), Goal(at_most=30)
PATIENCE = 180.0
_BARE = """id, tenant_id, open_kfid, external_userid, status, servicer_userid, requested_at, accepted_at, replied_at,
    completed_at, ended_by, via, operator_id, reason, previous_id"""


@bench("export", steps=ROUNDS + 1)
def export(stage: Stage) -> Iterator[Row]:
    path = bots.database(stage.folder)
    records.fill(path, sessions=0, open_=OPEN, ended=HANDOFFS - OPEN)
    _name_and_mix(path)
    stage.step(f"{HANDOFFS:,} handoffs on record")
    subject = stage.children.call("bench.export:measure", folder=str(stage.folder))
    pairs = []
    for number in range(ROUNDS):
        told = subject.ask(PATIENCE, round=number)
        pairs.append((told["subject"], told["floor"]))
        stage.step(f"round {number + 1}: {told['subject']:.1f} s, floor {told['floor']:.1f} s")
    detail = f"a file of {told['megabytes']} MB, {HANDOFFS / pairs[-1][0]:,.0f} rows/s in the last round"
    yield of_rounds(f"{HANDOFFS:,} handoffs exported", "s", pairs, TIME, detail)
    yield Row(
        f"memory of {HANDOFFS:,} handoffs exported",
        told["grown"],
        "MB",
        MEMORY,
        detail="over what an export without rows needs",
    )


def _name_and_mix(path: Path) -> None:
    """Customers come in the order of their ids; with the step of a prime, no two handoffs in a row lie near by."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA synchronous=off")
        names = ((records.customer(number), f"客户{number}", 0.0) for number in range(HANDOFFS))
        db.executemany("INSERT OR REPLACE INTO customers (external_userid, nickname, fetched_at) VALUES (?,?,?)", names)
        db.execute(
            """UPDATE handoffs SET external_userid =
                    substr(external_userid, 1, 2) || printf('%08d', id * 7919 % ?) || substr(external_userid, 11)
                WHERE id > ?""",
            (HANDOFFS, OPEN),
        )


# -- the subject's process


def measure(folder: str) -> None:
    """For each line on stdin the subject and the floor, one after the other."""
    path, out = bots.database(Path(folder)), Path(folder) / "export.csv"
    _subject(path, out, "events")
    before, grown = resident_mb(os.getpid()), 0.0
    for _ in sys.stdin:
        began = time.perf_counter()
        _subject(path, out, "handoffs")
        seconds = time.perf_counter() - began
        grown = grown or _peak_mb() - before  # the floor is not ours
        if (lines := _lines(out)) != HANDOFFS + 1:
            raise ChildFailed(f"{lines} lines")
        megabytes = out.stat().st_size >> 20
        say(subject=seconds, floor=_floor(path, out), grown=grown, megabytes=megabytes)


def _subject(path: Path, out: Path, what: str) -> None:
    from bot.export_script import ExportScript
    from bot.settings import Settings

    settings = Settings(timezone="Asia/Shanghai", storage={"url": f"sqlite:///{path}"})  # type: ignore[arg-type]
    script = ExportScript(settings, what, "csv", None, None, (), out, None)
    if asyncio.run(script.run()):
        raise ChildFailed("the export failed")


def _floor(path: Path, out: Path) -> float:
    began = time.perf_counter()
    with closing(sqlite3.connect(path)) as db, out.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(db.execute(f"SELECT {_BARE} FROM handoffs"))
    return time.perf_counter() - began


def _lines(out: Path) -> int:
    with out.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


def _peak_mb() -> float:
    """Of this process alone: `ru_maxrss` would begin with what its parent had."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
