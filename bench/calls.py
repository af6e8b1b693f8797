"""How many calls of the kf API an hour of watching takes.

Subject: the real bot within one process (see `within`), an hour of its clock passing second by second, its jobs run
when they fall due. 10,000 sessions of one account are with a human. In 9,900 of them people talk: the customer writes,
the servicer answers within two minutes, after 4 to 16 minutes they go on, and each message is an item of sync_msg with
a callback of its own. A hundred customers, at any time of the hour, get no answer any more.

All calls are counted, token and servicers included. Nothing but these hundred may be alerted, and each must be, not
later than a tick after its time. Callbacks of one second arrive together and fold into one sync_msg, as hints do that
come while a sync runs: with a WeCom that answers faster than that, live traffic costs more pages. States are read for
alerts, and once a minute for 100 sessions at most in which nothing was heard of the servicer for ten minutes.

Floor: asking for the state of every session once a minute.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from bench import records, traffic
from bench.child import say
from bench.children import ChildFailed
from bench.runner import Goal, Row, Stage, bench
from bench.wecom import BUSY, SERVICER, Kf

OPEN, STUCK, HOUR = 10_000, 100, 3600
FLOOR = OPEN * 60
TICK = 15  # of the shipped settings
TOLD_BY = 300 + TICK + 5  # seconds from the last message to the alert: the rule, a tick, and a little
ANSWER, PAUSE = (5, 120), (240, 960)  # seconds until an answer, and until the customer writes again
PART = 600  # seconds between two steps of the bar
PATIENCE = 300.0
GOAL = Goal(ratio_at_most=0.02)
SYNC, STATE = "kf/sync_msg", "kf/service_state/get"

Talk = dict[int, list[traffic.Item]]


@bench("calls", steps=HOUR // PART + 1)
def calls(stage: Stage) -> Iterator[Row]:
    child = stage.children.call("bench.calls:measure", path=str(stage.folder / "calls.db"))
    items = child.hear(PATIENCE)["items"]
    stage.step(f"{items:,} items to tell")
    began = time.monotonic()
    for part in range(HOUR // PART):
        told = child.ask(PATIENCE, part=part)
        stage.step(f"{(part + 1) * PART // 60} minutes: {sum(told['calls'].values()):,} calls")
    made = Counter(told["calls"])
    total = sum(made.values())
    others = total - made[STATE] - made[SYNC]
    detail = (
        f"{total / FLOOR:.2%}: {made[STATE]:,} states, {made[SYNC]:,} pages for {items:,} items, {others} others; "
        f"all {STUCK} alerted, at most {told['late']:.0f} s late; the hour took {time.monotonic() - began:.0f} s"
    )
    yield Row(f"kf calls an hour, {OPEN:,} open, {STUCK} stuck", total, "calls", GOAL, FLOOR, total / FLOOR, detail)


def talk(first: int, stuck: dict[int, int], chance: random.Random) -> Talk:
    """The items of each second of an hour that begins at `first`. `stuck`: customers by number, with the second in
    which they write for the last time."""
    told: Talk = defaultdict(list)
    for number in range(OPEN):
        who = {"open_kfid": BUSY, "external_userid": records.customer(number)}
        customer = number % 2 == 0  # writes next; the others wait for an answer already
        at = chance.randint(*((1, PAUSE[1]) if customer else ANSWER))
        while at < min(HOUR, stuck.get(number, HOUR)):
            told[at].append(traffic.text(who, "" if customer else SERVICER, chance) | {"send_time": first + at})
            customer = not customer
            at += chance.randint(*(PAUSE if customer else ANSWER))
        if number in stuck:
            last = stuck[number]
            told[last].append(traffic.text(who, "", chance) | {"send_time": first + last})
    return told


# -- the subject's process


def measure(path: str) -> None:
    """For each line on stdin one part of the hour."""
    chance = random.Random(1)
    first = int(time.time())
    stuck = {number: chance.randrange(HOUR - TOLD_BY) for number in chance.sample(range(OPEN), STUCK)}
    records.fill(Path(path), sessions=OPEN, open_=OPEN, accounts=[BUSY], now=first)
    asyncio.run(_measure(Path(path), first, talk(first, stuck, chance), set(stuck)))


async def _measure(path: Path, first: int, told: Talk, stuck: set[int]) -> None:
    from bench.within import HandClock, Told, build

    clock, kf = HandClock(first), Kf()
    hour = _Hour(build(path, clock, Told(), kf=kf), kf, clock)
    await hour.begin()
    say(items=sum(map(len, told.values())))
    late = 0.0
    while await asyncio.to_thread(sys.stdin.readline):
        for _ in range(PART):
            clock.time += 1
            await hour.second(told.get(int(clock.time) - first, []))
        if clock.time >= first + HOUR:
            late = _late(path, stuck)
        say(calls=kf.calls, late=late)
    await hour.end()


class _Hour:
    """`app` is a `bot.app.App`; what it may import is not imported by the parent."""

    def __init__(self, app: Any, kf: Kf, clock: Any) -> None:
        self._app, self._kf, self._clock = app, kf, clock
        self._left, self._all_written = 0, asyncio.Event()
        self._jobs = [(job, clock.now() + job.period) for job in app._jobs()]

    async def begin(self) -> None:
        from bot.scheduler import Scheduler

        self._app.scheduler = Scheduler([], self._app.core.metrics.observe_job)  # jobs are run here, by the bot's clock
        heed = self._app.aftermath.on_committed

        def count(committed: Any) -> None:
            heed(committed)
            self._left -= len(committed.fresh)
            if not self._left:
                self._all_written.set()

        self._app.aftermath.on_committed = count
        await self._app.start()

    async def end(self) -> None:
        await self._app.stop()

    async def second(self, items: list[traffic.Item]) -> None:
        """What is told in this second, and what falls due in it."""
        if items:
            self._kf.tell(items)
            self._left += len(items)
            self._all_written.clear()
            for _ in items:
                self._app._wake(BUSY, "callback-token")
            async with asyncio.timeout(PATIENCE):
                await self._all_written.wait()
        now = self._clock.now()
        for place, (job, at) in enumerate(self._jobs):
            if at <= now:
                self._jobs[place] = job, at + job.period
                await self._app.scheduler.run(job)
                await self._work_off()

    async def _work_off(self) -> None:
        """States that are to be read now: the bot does it in the background, by a clock that is not moved."""
        while await self._app.core.ledger.due_checks(self._clock.now(), 1):  # noqa: ASYNC110  nothing tells its end
            await asyncio.sleep(0)


def _late(path: Path, stuck: set[int]) -> float:
    """Seconds by which the latest alert was later than its rule. Raises where others were alerted, or too late."""
    sql = """SELECT h.id, a.raised_at - h.waiting_since - ? FROM alerts a JOIN handoffs h ON h.id = a.handoff_id
        WHERE a.rule = 'customer_waiting' AND a.told"""
    with closing(sqlite3.connect(path)) as db:
        late = {int(handoff) - 1: float(seconds) for handoff, seconds in db.execute(sql, (records.WAITING_AFTER,))}
        others = db.execute("SELECT count(*) FROM alerts WHERE rule != 'customer_waiting'").fetchone()[0]
    if late.keys() != stuck or others:
        raise ChildFailed(f"alerted: {sorted(late)} and {others} of other rules, stuck: {sorted(stuck)}")
    if max(late.values()) > TICK:
        raise ChildFailed(f"an alert came {max(late.values()):.0f} s after its time")
    return max(late.values())
