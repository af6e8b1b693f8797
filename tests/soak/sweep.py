"""Which kills there are, and one of them carried out."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.soak.house import NO_CHANGES, House, Stuck
from tests.soak.nursery import Nursery
from tests.soak.scenes import SCENES, SETTINGS
from tests.soak.truth import wrong

LIMIT = 150.0  # seconds for one scene, on a machine with too much to do
ON_ITS_WAY = 20.0
# Kills after which the next life takes up what was left behind: only then some points are passed.
BEFORE = (
    ("command", "ending.recorded:1"),
    ("command", "command.claimed:1"),
    ("card", "tap.claimed:2"),
)


@dataclass(frozen=True, slots=True)
class Kill:
    """In this scene the first life dies at the first of `faults`, the second at the second."""

    scene: str
    faults: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.scene} killed at {', then '.join(self.faults)}"


@dataclass(frozen=True, slots=True)
class Result:
    """`died`: it was killed as often as it was to be. `wrong`: what did not hold afterwards."""

    kill: Kill
    died: bool
    wrong: tuple[str, ...] = ()


Survey = dict[tuple[str, tuple[str, ...]], Counter[str]]
"""How often each point is passed, by scene and what had killed the life before."""


async def survey(folder: Path, nursery: Nursery) -> Survey:
    """Every scene played once without a kill, and some with one before."""
    found: Survey = {}
    cases: list[tuple[str, tuple[str, ...]]] = [(name, ()) for name in SCENES]
    cases += [(name, (fault,)) for name, fault in BEFORE]
    for name, faults in cases:
        place = folder / f"survey-{len(found)}"
        async with _played(name, place, nursery, faults) as house:
            found[name, faults] = house.life.passed
    return found


def kills_at(point: str, found: Survey) -> list[Kill]:
    """At each passing of the point, the first ones first; with a kill before where it is not passed otherwise."""
    alone = _passings(point, found, after_a_kill=False)
    return alone or _passings(point, found, after_a_kill=True)


def all_kills(points: Sequence[str], found: Survey) -> list[Kill]:
    """Of these points, every passing in every scene, also in the lives that take up what one before has left."""
    return [kill for point in points for after in (False, True) for kill in _passings(point, found, after_a_kill=after)]


def _passings(point: str, found: Survey, *, after_a_kill: bool) -> list[Kill]:
    cases = [(name, faults, count[point]) for (name, faults), count in found.items() if bool(faults) is after_a_kill]
    most = max((count for _, _, count in cases), default=0)
    return [
        Kill(name, (*faults, f"{point}:{number}"))
        for number in range(1, most + 1)
        for name, faults, count in cases
        if number <= count
    ]


async def carry_out(kill: Kill, folder: Path, nursery: Nursery) -> Result:
    """Play the scene, let the bot die, let it live again, and look whether all is as if it had not died."""
    try:
        async with _played(kill.scene, folder, nursery, kill.faults) as house:
            found = await _in_the_end(house)
            return Result(kill, len(house.killed) == len(kill.faults), tuple(found))
    except Exception as stuck:  # one of hundreds, which must not keep the others from being carried out
        return Result(kill, True, (str(stuck) if isinstance(stuck, Stuck) else repr(stuck),))


@asynccontextmanager
async def _played(scene: str, folder: Path, nursery: Nursery, faults: Sequence[str]) -> AsyncIterator[House]:
    settings = SETTINGS.get(scene, NO_CHANGES)
    async with asyncio.timeout(LIMIT), House.opened(folder, nursery, faults, settings) as house:
        await SCENES[scene](house)
        await house.settled()
        yield house


async def _in_the_end(house: House) -> list[str]:
    """What has been settled before it was sent may still be on its way."""
    until = time.monotonic() + ON_ITS_WAY
    while (found := await wrong(house)) and time.monotonic() < until:
        await asyncio.sleep(0.1)
        await house.settled()
    return found
