"""Which kills there are, and one of them carried out."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from tests.soak.kills import scenes_group, scenes_record, truth_group, truth_record  # noqa: F401  they register
from tests.soak.kills.house import House, Stuck
from tests.soak.kills.nursery import Nursery
from tests.soak.kills.scenes import SCENERY, SCENES
from tests.soak.kills.truth import wrong

LIMIT = 150.0  # seconds for one scene, on a machine with too much to do
ON_ITS_WAY = 20.0
AT_ONCE = 1 + (os.cpu_count() or 1)  # most of a scene is waiting
# Kills after which the next life takes up what was left behind: only then some points are passed.
BEFORE = (
    ("command", "ending.recorded:1"),
    ("command", "command.claimed:1"),
    ("card", "tap.claimed:2"),
    ("client", "alert.claimed:1"),
    ("client", "last_word.claimed:1"),
)
START = ("schema.", "start.")  # the same in every scene


@dataclass(frozen=True, slots=True)
class Kill:
    """In this scene the first life dies at the first of `faults`, the second at the second; what runs beside the bot
    dies at `beside`."""

    scene: str
    faults: tuple[str, ...]
    beside: str = ""

    @property
    def number(self) -> int:
        return len(self.faults) + bool(self.beside)

    def __str__(self) -> str:
        beside = [f"beside the bot at {self.beside}"] if self.beside else []
        return f"{self.scene} killed at {', then '.join([*self.faults, *beside])}"


@dataclass(frozen=True, slots=True)
class Result:
    """`died`: it was killed as often as it was to be. `wrong`: what did not hold afterwards."""

    kill: Kill
    died: bool
    wrong: tuple[str, ...] = ()


class Who(Enum):
    """Who dies in the end: the first life, a process beside it, or the life after one that was killed before."""

    FIRST = auto()
    BESIDE = auto()
    NEXT = auto()


Survey = dict[tuple[str, tuple[str, ...], Who], Counter[str]]
"""How often each point is passed, by scene and what had killed the life before, and by whom."""


async def survey(folder: Path, nursery: Nursery) -> Survey:
    """Every scene played once without a kill, and some with one before."""
    found: Survey = {}
    gate = asyncio.Semaphore(AT_ONCE)

    async def play(number: int, name: str, faults: tuple[str, ...], who: Who) -> None:
        async with gate, _played(Kill(name, faults), folder / f"survey-{number}", nursery) as house:
            found[name, faults, who] = house.life.passed
            for errand in house.errands:
                found[name, faults, Who.BESIDE] = found.get((name, faults, Who.BESIDE), Counter()) | errand.passed

    cases = [(name, tuple[str, ...](), Who.FIRST) for name in SCENES]
    cases += [(name, (fault,), Who.NEXT) for name, fault in BEFORE]
    async with asyncio.TaskGroup() as group:
        for number, case in enumerate(cases):
            group.create_task(play(number, *case))
    return dict(sorted(found.items(), key=_as_written))


def _as_written(case: tuple[tuple[str, tuple[str, ...], Who], object]) -> tuple[int, tuple[str, ...], int]:
    (name, faults, who), _ = case
    return list(SCENES).index(name), faults, who.value


def kills_at(point: str, found: Survey) -> list[Kill]:
    """At each passing of the point, the first ones first; with a kill before where it is not passed otherwise."""
    return next((kills for who in Who if (kills := _passings(point, found, who))), [])


def all_kills(points: Sequence[str], found: Survey) -> list[Kill]:
    """Of these points, every passing in every scene, also in the lives that take up what one before has left."""
    return [kill for point in points for who in Who for kill in _passings(point, found, who)]


def _passings(point: str, found: Survey, who: Who) -> list[Kill]:
    cases = [(name, faults, count[point]) for (name, faults, by), count in found.items() if by is who and count[point]]
    if point.startswith(START):
        cases = cases[:1]
    return [
        Kill(name, faults, f"{point}:{number}") if who is Who.BESIDE else Kill(name, (*faults, f"{point}:{number}"))
        for number in range(1, max((count for _, _, count in cases), default=0) + 1)
        for name, faults, count in cases
        if number <= count
    ]


async def carry_out(kill: Kill, folder: Path, nursery: Nursery) -> Result:
    """Play the scene, let the bot die, let it live again, and look whether all is as if it had not died."""
    try:
        async with _played(kill, folder, nursery) as house:
            found = await _in_the_end(house, kill.scene)
            return Result(kill, len(house.killed) == kill.number, tuple(found))
    except Exception as stuck:  # one of hundreds, which must not keep the others from being carried out
        return Result(kill, True, (str(stuck) if isinstance(stuck, Stuck) else repr(stuck),))


@asynccontextmanager
async def _played(kill: Kill, folder: Path, nursery: Nursery) -> AsyncIterator[House]:
    opened = House.opened(folder, nursery, kill.faults, SCENERY[kill.scene], kill.beside)
    async with asyncio.timeout(LIMIT), opened as house:
        await SCENES[kill.scene](house)
        await house.settled()
        yield house


async def _in_the_end(house: House, scene: str) -> list[str]:
    """What has been settled before it was sent may still be on its way."""
    until = time.monotonic() + ON_ITS_WAY
    while (found := await wrong(house, scene)) and time.monotonic() < until:
        await asyncio.sleep(0.1)
        await house.settled()
    return found
