"""A little of what `make soak` brings by the hundred thousand: junk at the three doors, always the same.

One bot for all of it: it is not to be told from one that nobody has troubled.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.app import App
from bot.core import Core
from bot.settings_file import load
from tests.soak.fuzz.calls import talk_all
from tests.soak.fuzz.dice import Dice
from tests.soak.fuzz.frames import say_all
from tests.soak.fuzz.house import House
from tests.soak.fuzz.tally import Tally, ask_all

COUNT = 300
SEED = "always the same"


async def _at_once() -> None:
    """Junk that is rightly signed would use up WeCom's calls without a token, and what follows would wait a minute."""


@pytest.fixture
async def house(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[House]:
    """With a bot, which has nothing to complain of in the end."""
    async with House.opened(tmp_path, Dice(f"{SEED} line")) as house:
        app = App(Core(load(house.settings)))
        app.sync._token_less_turn = _at_once
        await app.start()
        try:
            await house.move_in(app.port)
            yield house
            assert await house.wrongs() == []
        finally:
            await app.stop()
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR] == []


def _nothing(_: int) -> None:
    """Nobody looks on."""


async def test_fuzzed_callbacks_change_nothing_and_the_bot_goes_on(house: House) -> None:
    tally = Tally()
    await ask_all(house.port, house.callbacks(Dice(SEED)), COUNT, tally, _nothing)
    assert tally.wrong == []
    assert tally.answers["200"] and tally.answers["400"] and tally.answers["403"]


async def test_fuzzed_frames_do_only_what_agents_may_and_the_bot_goes_on(house: House) -> None:
    tally = Tally()
    house.line.chance = 0.2
    await say_all(house.line, house.frames(Dice(SEED)), COUNT, tally, _nothing)
    assert tally.wrong == []
    assert tally.answers["GroupMessage"] and tally.answers["CardTap"] and tally.answers["Ack"]


async def test_fuzzed_requests_do_only_what_tokens_allow_and_the_bot_goes_on(house: House) -> None:
    tally = Tally()
    await ask_all(house.port, house.requests(Dice(SEED)), COUNT, tally, _nothing)
    await talk_all(house.port, house.talks(Dice(SEED)), COUNT // 10, tally, _nothing)
    assert tally.wrong == []
    assert {"200", "400", "401", "404", "101", "READY"} <= tally.answers.keys()
