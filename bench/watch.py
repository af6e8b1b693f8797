"""One tick of the watch over very many open handoffs, a hundred of them due.

Subject: the real watch with all it stands on, over a real database with 100,000 or 1,000,000 open handoffs, in a
process of its own. In a tick 100 handoffs anywhere in the table fall due: found, judged, their accounts' news and
their own states read from WeCom, alerts put on record, one list card built and handed to the group. The group answers
within the process, and WeCom too (see `within`): a tick waits for nobody, so what is measured is all ours. One row more
has WeCom in another process, over HTTP: how long 102 calls take that are answered at once.

The loop: a task that sleeps 1 ms at a time, and how late it ever wakes. That includes what threads of the database
take of the interpreter. The row keeps the worst of all rounds; the detail says how late it is when nothing is done.

Floor: plain sqlite3 on the same file does the least for 100 others: finds them by the index, reads their rows, writes
100 alerts and 100 times in one transaction.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import sqlite3
import sys
import time
from collections.abc import Coroutine, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from bench import records
from bench.child import say
from bench.children import ChildFailed
from bench.runner import Goal, Row, Stage, bench, of_rounds
from bench.wecom import ACCOUNTS, Kf, Wecom

DUE, NAP = 100, 0.001
ROUNDS, WARM_UP = 7, 2
APART = 3.0  # seconds by which the bot's clock moves between ticks: no news counts as just read
WAITED = 900.0  # seconds that the due customers have waited
SMALL, LARGE = 100_000, 1_000_000
GOALS = {SMALL: Goal(at_most=50), LARGE: Goal(at_most=150)}
LOOP = Goal(at_most=20)
PATIENCE = 300.0


@bench("watch", steps=3 * (ROUNDS + 1))
def watch(stage: Stage) -> Iterator[Row]:
    for size, goal in GOALS.items():
        rounds = _rounds(stage, size)
        yield _tick(f"watch tick, {size:,} open", rounds, goal)
        idle, late = (max(each[key] for each in rounds) for key in ("idle", "late"))
        detail = f"worst of {len(rounds)} ticks; {idle:.1f} ms idle"
        yield Row(f"loop blocked in it, {size:,} open", late, "ms", LOOP, detail=detail)
    yield _tick(f"watch tick, {SMALL:,} open, over HTTP", _rounds(stage, SMALL, Wecom(stage.children).url), Goal())


def _rounds(stage: Stage, size: int, url: str = "") -> list[dict[str, float]]:
    path = stage.folder / f"{size}{'-http' if url else ''}.db"
    child = stage.children.call("bench.watch:measure", path=str(path), size=size, url=url)
    child.hear(PATIENCE)
    stage.step(f"{size:,} open handoffs on record")
    rounds = []
    for number in range(ROUNDS):
        rounds.append(child.ask(round=number))
        stage.step(f"{size:,}, round {number + 1}: {rounds[-1]['tick']:.1f} ms, late {rounds[-1]['late']:.1f} ms")
    child.end()
    path.unlink()
    return rounds


def _tick(name: str, rounds: list[dict[str, float]], goal: Goal) -> Row:
    pairs = [(each["tick"], each["floor"]) for each in rounds]
    slowest = max(each["tick"] for each in rounds)
    return of_rounds(name, "ms", pairs, goal, f"{DUE} due, {len(rounds)} ticks, slowest {slowest:.1f} ms")


# -- the subject's process


def measure(path: str, size: int, url: str) -> None:
    """For each line on stdin one tick and one floor. `url`: WeCom's; none within the process."""
    records.fill(Path(path), sessions=size, open_=size, waiting=0)
    asyncio.run(_measure(Path(path), size, url))


async def _measure(path: Path, size: int, url: str) -> None:
    from bench.within import MovedClock, Told, build

    clock, told = MovedClock(), Told()
    app = build(path, clock, told, kf=None if url else Kf(), api_base=url)
    await app.core.open()
    await app.alerting.learn()
    gc.collect()
    gc.freeze()  # as at the bot's own start
    subject = _Subject(app, clock, told, path, size)
    for _ in range(WARM_UP):
        await subject.round()
    say(ready=size)
    while await asyncio.to_thread(sys.stdin.readline):
        say(**await subject.round())


class _Subject:
    """`app` is a `bot.app.App`; what it may import is not imported by the parent."""

    def __init__(self, app: Any, clock: Any, told: Any, path: Path, size: int) -> None:
        self._app, self._clock, self._told = app, clock, told
        self._path, self._size, self._chance = path, size, random.Random(size)

    async def round(self) -> dict[str, float]:
        for account in ACCOUNTS:
            self._app.sync.wake(account, "callback-token")  # there has been a callback: the tick may ask for news
        with closing(sqlite3.connect(self._path, isolation_level=None)) as db:
            self._arm(db)
            floor = _floor(db, self._clock.now())
            self._arm(db)
            idle, _ = await _watched_loop(asyncio.sleep(0.1))
            self._clock.ahead += APART
            late, tick = await _watched_loop(self._app.alerting.watch.tick())
            self._check(db)
        return {"tick": tick, "floor": floor, "late": late, "idle": idle}

    def _arm(self, db: sqlite3.Connection) -> None:
        """Nothing has been told, and others than before are due."""
        db.execute("BEGIN IMMEDIATE")
        settled = "UPDATE handoffs SET waiting_since=NULL, watch_at=? WHERE id IN (SELECT handoff_id FROM alerts)"
        db.execute(settled, (self._clock.now() + records.HOUR,))
        db.execute("DELETE FROM alerts")
        ids = self._chance.sample(range(1, self._size + 1), DUE)
        since, at = self._clock.now() - WAITED, self._clock.now() - 1
        due = "UPDATE handoffs SET waiting_since=?, active_at=?, watch_at=? WHERE id=?"
        db.executemany(due, [(since, since, at, each) for each in ids])
        db.execute("COMMIT")

    def _check(self, db: sqlite3.Connection) -> None:
        """What was timed has really happened: all are on record as told, and the group has one list."""
        told = db.execute("SELECT count(*) FROM alerts WHERE told=1 AND sends=1").fetchone()[0]
        keys = [button.key for card in self._told.cards for button in card.buttons]
        if told != DUE or keys != ["list:alerts"]:
            raise ChildFailed(f"{told} alerts on record, the group has cards with the buttons {keys}")
        self._told.cards.clear()


async def _watched_loop(work: Coroutine[Any, Any, None]) -> tuple[float, float]:
    """Milliseconds that the loop was late at most while this ran, and that it took."""
    worst = 0.0

    async def look() -> None:
        nonlocal worst
        while True:
            at = time.perf_counter()
            await asyncio.sleep(NAP)
            worst = max(worst, time.perf_counter() - at - NAP)

    looking = asyncio.create_task(look())
    await asyncio.sleep(2 * NAP)
    began = time.perf_counter()
    await work
    took = time.perf_counter() - began
    await asyncio.sleep(2 * NAP)  # a block at the very end shows only after it
    looking.cancel()
    return worst * 1000, took * 1000


def _floor(db: sqlite3.Connection, now: float) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    db.execute("BEGIN IMMEDIATE")
    due = [row[0] for row in db.execute("SELECT id FROM handoffs WHERE watch_at <= ? ORDER BY watch_at", (now,))]
    db.execute("SELECT * FROM handoffs WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(due),)).fetchall()
    columns = "handoff_id, rule, state, raised_at, sends, sent_at, next_at, told"
    alert = f"INSERT INTO alerts ({columns}) VALUES (?, 'customer_waiting', 'open', ?, 1, ?, ?, 1)"
    db.executemany(alert, [(each, now, now, now) for each in due])
    db.executemany("UPDATE handoffs SET watch_at=? WHERE id=?", [(now + records.HOUR, each) for each in due])
    db.execute("COMMIT")
    if len(due) != DUE:
        raise ChildFailed(f"{len(due)} handoffs are due, not {DUE}")
    return (time.perf_counter() - began) * 1000
