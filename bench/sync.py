"""How many items of the message stream a second get on record, handoffs and all.

Subject: a real `KfSync`, `KfClient`, `Http`, `SyncStore` and `Database` in a process of their own read 1000-item pages
of live customer service (see `traffic`) over loopback from a fake WeCom that has them ready as bytes. A round begins
with the hint of a callback and ends when the last page is committed; then the database must hold every item, and every
handoff of the traffic, ended ones as ended. What follows a commit (names, goodbyes) runs beside a sync and is left out.

Floor: `executemany` of the very rows the subject has written to `items`, in the same order, into the same table with
its indexes, one transaction a page, WAL, the same folder: what SQLite takes for the items alone. So the ratio has
HTTP, JSON, following the sessions, and the other three tables on our side. Each round starts on a new file.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.child import say
from bench.children import HOST, ChildFailed
from bench.runner import Goal, Row, Stage, bench, of_rounds
from bench.wecom import BUSY, CORP, SECRET, Wecom

PAGES, SIZE = 25, 1000
ROUNDS = 7
GOAL = Goal(at_least=20_000, ratio_at_least=0.15)
PATIENCE = 60.0

Rows = list[tuple[Any, ...]]


@bench("sync", steps=ROUNDS + 2)
def sync(stage: Stage) -> Iterator[Row]:
    first = int(time.time()) - 2 * 3600
    wecom = Wecom(stage.children, pages=PAGES, first=first)
    stage.step(f"{PAGES} pages ready")
    subject = stage.children.call("bench.sync:measure", folder=str(stage.folder), port=wecom.port, first=first)
    counts = subject.hear(PATIENCE)
    stage.step("warm")
    pairs = []
    for number in range(ROUNDS):
        told = subject.ask(PATIENCE, round=number)
        pairs.append((told["subject"], told["floor"]))
        stage.step(f"round {number + 1}: {told['subject']:,.0f} items/s, floor {told['floor']:,.0f}/s")
    detail = "{items} items a round on {customers} customers: {begun} handoffs begun, {ended} ended".format(**counts)
    yield of_rounds("items synced", "/s", pairs, GOAL, detail)


# -- the subject's process


def measure(folder: str, port: int, first: int) -> None:
    """Once to warm up and to learn the rows; then for each line on stdin the floor and the subject."""
    from bench.traffic import talk

    told = talk(BUSY, PAGES, first)
    warm = Path(folder) / "warm.db"
    asyncio.run(_subject(warm, port, first))
    counts = _counts(warm)
    expected = {"items": PAGES * SIZE, "begun": told.begun, "ended": told.ended}
    if {name: counts[name] for name in expected} != expected:
        raise ChildFailed(f"on record: {counts}, told: {expected}")
    pages = _rows(warm, [[item["msgid"] for item in page] for page in told.pages])
    say(**counts)
    for number, _ in enumerate(sys.stdin):
        floor = _floor(Path(folder) / f"floor-{number}.db", pages)
        path = Path(folder) / f"subject-{number}.db"
        seconds = asyncio.run(_subject(path, port, first))
        if _counts(path) != counts:
            raise ChildFailed(f"on record: {_counts(path)}, in the first round: {counts}")
        say(subject=PAGES * SIZE / seconds, floor=PAGES * SIZE / floor)


async def _subject(path: Path, port: int, first: int) -> float:
    from bot.core import SystemClock
    from bot.http import Http
    from bot.kf_sync import KfSync
    from bot.ports import Committed
    from bot.wecom.client import KfClient
    from storage.database import Database
    from storage.sync_store import SyncStore

    database, done, left = Database(path), asyncio.Event(), PAGES * SIZE

    async def follow(committed: Committed) -> None:
        nonlocal left
        left -= len(committed.fresh)
        if not left:
            done.set()

    async def turn() -> None: ...

    await database.open()
    await database.write(lambda db: db.execute(
        "INSERT INTO accounts (open_kfid, cursor, live_from, cold) VALUES (?, '0', ?, 0)", (BUSY, float(first))
    ))  # fmt: skip
    async with Http() as http:
        kf = KfClient(http, CORP, SECRET, f"http://{HOST}:{port}")
        await kf.check_token()
        subject = KfSync(kf, SyncStore(database, CORP), SystemClock(), follow, turn, keep_text=True)
        began = time.perf_counter()
        subject.wake(BUSY, "callback-token")
        async with asyncio.timeout(PATIENCE):
            await done.wait()
        seconds = time.perf_counter() - began
        await subject.stop()
    await database.close()
    return seconds


def _floor(path: Path, pages: list[Rows]) -> float:
    from bench.records import schema

    asyncio.run(schema(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for pragma in ("journal_mode=wal", "synchronous=normal", "cache_size=-8192"):
            db.execute(f"PRAGMA {pragma}")
        began = time.perf_counter()
        for rows in pages:
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT INTO items VALUES (?,?,?,?,?,?,?,?,?,?,?)", rows)
            db.execute("COMMIT")
        return time.perf_counter() - began


def _rows(path: Path, msgids: list[list[str]]) -> list[Rows]:
    """What the subject wrote, page by page in the order of arrival."""
    with closing(sqlite3.connect(path)) as db:
        found = {row[1]: row for row in db.execute("SELECT * FROM items")}
    return [[found[msgid] for msgid in page] for page in msgids]


def _counts(path: Path) -> dict[str, int]:
    queries = {
        "items": "SELECT count(*) FROM items",
        "customers": "SELECT count(*) FROM sessions",
        "begun": "SELECT count(*) FROM handoffs",
        "ended": "SELECT count(*) FROM handoffs WHERE status = 'COMPLETED' AND completed_at",
        "log": "SELECT count(*) FROM handoff_events",
    }
    with closing(sqlite3.connect(path)) as db:
        return {name: int(db.execute(query).fetchone()[0]) for name, query in queries.items()}
