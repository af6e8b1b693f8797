"""Resident memory of the running bot, of Linux's counting (pages shared with others included).

Subject: `python bot.py run` beside a WeCom that answers at once. Idle: ready and left alone for a moment, on an empty
database. Busy: with 100,000 handoffs open, after a sync of 5,000 items that a callback has asked for and some `/status`
and `/list` commands, all of them answered.

Floor: a bare aiohttp server in Python: the interpreter, the import of aiohttp, and a socket.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from bench import bots, callbacks, records
from bench.bots import BOT_ID, CHATS, Bot
from bench.children import ROOT, free_port, resident_mb
from bench.runner import Goal, Row, Stage, bench, quantile
from bench.wecom import BUSY, Wecom

OPEN, PAGES = 100_000, 5
REST = 2.0  # seconds of being left alone before the memory is read
PATIENCE = 30.0
IDLE_GOAL, BUSY_GOAL = Goal(at_most=90), Goal(at_most=150)
COMMANDS = ("/status", "/list", "/status", "/list waiting 3", "/list human", "/status")


@bench("memory", steps=4)
def memory(stage: Stage) -> Iterator[Row]:
    wecom = Wecom(stage.children, pages=PAGES, first=int(time.time()) - 600)
    floor = _floor(stage)
    stage.step("floor")
    bot = Bot(stage.children, wecom, stage.folder / "idle")
    time.sleep(REST)
    yield _row("memory, idle", bot, floor, IDLE_GOAL)
    bot.end()
    stage.step("idle")
    busy = stage.folder / "busy"
    records.fill(bots.database(busy), sessions=OPEN, open_=OPEN)
    stage.step(f"{OPEN:,} open handoffs on record")
    bot = Bot(stage.children, wecom, busy)
    _sync(bot, bots.database(busy))
    taken = wecom.converse(BOT_ID, list(zip(CHATS, COMMANDS, strict=False)))
    time.sleep(REST)
    detail = f"commands here took {quantile(taken, 0.5) * 1000:.0f} ms, the slowest {max(taken) * 1000:.0f} ms"
    yield _row(f"memory, {OPEN:,} open handoffs", bot, floor, BUSY_GOAL, detail)
    stage.step("busy")


def _row(name: str, bot: Bot, floor: float, goal: Goal, detail: str = "") -> Row:
    measured = resident_mb(bot.child.pid)
    return Row(name, measured, "MB", goal, floor, measured / floor, detail)


def _sync(bot: Bot, database: Path) -> None:
    """A callback, and what it leads to, until all of it is on record."""
    callbacks.call_back(bot, 1, BUSY)
    until = time.monotonic() + PATIENCE
    with closing(sqlite3.connect(database)) as db:
        while db.execute("SELECT count(*) FROM items").fetchone()[0] < PAGES * 1000:
            if time.monotonic() > until:
                raise bot.child.failed("did not sync what it was called for")
            time.sleep(0.1)


def _floor(stage: Stage) -> float:
    port = free_port()
    child, _ = stage.children.program(str(ROOT / "bench" / "floors.py"), str(port))
    bots.ready(child, port)
    megabytes = resident_mb(child.pid)
    child.end()
    return megabytes
