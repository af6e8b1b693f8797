"""A bot that is killed at any durable step loses nothing and does nothing twice. `make soak` kills it more often."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.children import ROOT
from bot import faults
from tests.soak.kills import points
from tests.soak.kills.house import House
from tests.soak.kills.nursery import Nursery
from tests.soak.kills.sweep import LIMIT, Survey, carry_out, kills_at, survey

pytestmark = pytest.mark.timeout(3 * LIMIT)
TRIES = 3  # how often a point is passed hangs on how news fold; the first passing is there in every scene


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery


@pytest.fixture(scope="module")
def found(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Survey:
    return asyncio.run(survey(tmp_path_factory.mktemp("survey"), nursery))


@pytest.mark.parametrize("point", points.names())
async def test_a_kill_at_any_point_loses_nothing_and_doubles_nothing(
    point: str, found: Survey, nursery: Nursery, tmp_path: Path
) -> None:
    kills = kills_at(point, found)
    assert kills, f"no scene of tests/soak/kills/scenes.py passes {point}"
    for number, kill in enumerate(kills[:TRIES]):
        result = await carry_out(kill, tmp_path / str(number), nursery)
        assert not result.wrong, f"{kill}: {result.wrong}"
        if result.died:
            return
    pytest.fail(f"{point} was passed in the survey, and not in {', '.join(map(str, kills[:TRIES]))}")


def test_each_point_has_a_name_of_its_own_said_as_a_literal() -> None:
    found = points.points()
    assert not [each for each in found if each.name is None]
    names = [each.name for each in found]
    assert len(names) == len(set(names)) >= 40
    assert all(re.fullmatch(r"[a-z_]+\.[a-z_]+", name or "") for name in names)


def test_nothing_but_the_sweep_sets_the_variable() -> None:
    """No file of the product names it, but the one that reads it."""
    places = ("bot", "commands", "storage", "bench", "docs", "deploy", ".ci")
    files = [file for place in places for file in sorted((ROOT / place).rglob("*")) if file.suffix != ".pyc"]
    files += sorted(ROOT.glob("*"))
    naming = [file for file in files if file.is_file() and faults.VARIABLE.encode() in file.read_bytes()]
    assert [file.relative_to(ROOT).as_posix() for file in naming] == ["bot/faults.py"]


async def test_the_variable_kills_the_program_as_it_is_shipped(nursery: Nursery, tmp_path: Path) -> None:
    async with House.opened(tmp_path, nursery) as house:
        await house.settled()
        await house.close()
        environment = {**os.environ, faults.VARIABLE: "page.fetched:1"}
        words = ("bot.py", "run", "--settings", str(tmp_path / "settings.yaml"))
        process = await asyncio.create_subprocess_exec(
            sys.executable, *words, cwd=ROOT, env=environment, stdout=asyncio.subprocess.DEVNULL
        )
        try:
            async with asyncio.timeout(LIMIT):
                assert await process.wait() == -signal.SIGKILL
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
