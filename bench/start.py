"""From the start of the process to the first 200 of `/readyz`: storage open, token granted, group connected.

Subject: `python bot.py run` beside a WeCom that answers at once, on an empty folder (the schema is made), and on a
database with a million sessions on record (a quarter of a million handoffs that are over, a thousand that are open).
The big one is built once; its pages are in the system's cache, as after a restart of the bot, not of the machine.

Floor: a bare aiohttp server in Python, from its start to its first answer: the interpreter and aiohttp's import.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench import bots, records
from bench.children import ROOT, free_port
from bench.runner import Goal, Row, Stage, bench, of_rounds
from bench.wecom import Wecom

ROUNDS = 5
SESSIONS, OPEN, ENDED = 1_000_000, 1000, 250_000
EMPTY, BIG = Goal(at_most=1.5), Goal(at_most=2.0)


@bench("start", steps=2 * ROUNDS + 1)
def start(stage: Stage) -> Iterator[Row]:
    wecom, big = Wecom(stage.children), stage.folder / "big"
    pairs = []
    for number in range(ROUNDS):
        pairs.append(_both(stage, wecom, stage.folder / f"empty-{number}"))
        stage.step(f"empty, round {number + 1}: {pairs[-1][0]:.2f} s")
    yield of_rounds("ready, empty database", "s", pairs, EMPTY)
    records.fill(bots.database(big), sessions=SESSIONS, open_=OPEN, ended=ENDED)
    stage.step(f"{SESSIONS:,} sessions on record")
    pairs = []
    for number in range(ROUNDS):
        pairs.append(_both(stage, wecom, big))
        stage.step(f"{SESSIONS:,} sessions, round {number + 1}: {pairs[-1][0]:.2f} s")
    megabytes = bots.database(big).stat().st_size >> 20
    yield of_rounds(f"ready, {SESSIONS:,} sessions", "s", pairs, BIG, f"a database of {megabytes} MB")


def _both(stage: Stage, wecom: Wecom, folder: Path) -> tuple[float, float]:
    """Seconds of the subject and of the floor, started one after the other."""
    floor = _floor(stage)
    bot = bots.Bot(stage.children, wecom, folder)
    bot.end()
    return bot.start_seconds, floor


def _floor(stage: Stage) -> float:
    port = free_port()
    child, began = stage.children.program(str(ROOT / "bench" / "floors.py"), str(port))
    seconds = bots.ready(child, port) - began
    child.end()
    return seconds
