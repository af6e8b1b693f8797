"""Pairing with a code from the log, the bot's own health, and saying more than the answer."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.desk import TRIES, Desk
from bot.errors import StorageError
from bot.model import EVERYTHING, GroupMessage, Scope
from bot.registry import Pairing
from tests.fakes import FakeChannel
from tests.unit.commands.conftest import CHAT, Room, a_room


@pytest.fixture
async def room(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Room]:
    caplog.set_level(logging.INFO)
    async with a_room(tmp_path / "kfbot.db", paired=()) as ready:
        yield ready


def codes(caplog: pytest.LogCaptureFixture) -> list[str]:
    return re.findall(r"/bind ([0-9a-f]{8})\b", caplog.text)


def message(chat: str = CHAT) -> GroupMessage:
    return GroupMessage("fake", "m", chat, True, "LiNa", "/bind")


async def test_the_code_is_in_the_log_and_works_once(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    room.desk.offer_code()
    [code] = codes(caplog)
    assert await room.desk.pair(message(), code.upper()) is Pairing.DONE
    assert await room.chats.paired() == [CHAT]
    assert await room.desk.pair(message("wrOTHER"), code) is Pairing.CLOSED
    assert await room.desk.pair(message(), "whatever") is Pairing.ALREADY


async def test_the_line_in_the_log_can_be_copied(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    """A group hears nothing under another name than the one the bot has."""
    room.desk.offer_code()
    assert f"@kfbot /bind {codes(caplog)[0]} " in caplog.text


async def test_no_code_is_offered_once_a_group_is_paired(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with a_room(tmp_path / "paired.db") as room:
        room.desk.offer_code()
        assert codes(caplog) == []
        assert await room.desk.pair(message("wrOTHER"), "") is Pairing.CLOSED


async def test_wrong_codes_are_limited(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    room.desk.offer_code()
    [first] = codes(caplog)
    for _ in range(TRIES):
        assert await room.desk.pair(message(), "00000000") is Pairing.WRONG
    assert await room.desk.pair(message(), first) is Pairing.WRONG
    _, second = codes(caplog)
    assert second != first
    assert await room.desk.pair(message(), second) is Pairing.DONE


@pytest.mark.parametrize("code", ["", "é", "配对码", "0" * 4000, "half a pair \ud83d"])
async def test_junk_is_a_wrong_code(room: Room, code: str) -> None:
    room.desk.offer_code()
    assert await room.desk.pair(message(), code) is Pairing.WRONG


async def test_two_groups_with_the_same_code_at_once_pair_one(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    room.desk.offer_code()
    [code] = codes(caplog)
    results = await asyncio.gather(*(room.desk.pair(message(chat), code) for chat in ("wrA", "wrB", "wrC")))
    assert sorted(each.name for each in results) == ["CLOSED", "CLOSED", "DONE"]
    assert len(await room.chats.paired()) == 1


async def test_a_code_survives_a_database_that_fails(
    room: Room, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise StorageError("disk full")

    room.desk.offer_code()
    [code] = codes(caplog)
    with monkeypatch.context() as patch:
        patch.setattr(room.chats, "pair", full)
        with pytest.raises(StorageError):
            await room.desk.pair(message(), code)
    assert await room.desk.pair(message(), code) is Pairing.DONE


async def test_health_counts_from_the_start(room: Room) -> None:
    room.problems.append("something")
    room.clock.time += 90
    health = await room.desk.health(EVERYTHING)
    assert (health.uptime, health.problems) == (90.0, ("something",))
    assert health.version


async def test_what_cannot_be_told_is_logged(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    await room.desk.tell(message(), "half done")
    assert "not told | chat=wrTESTGROUP nothing is pushed here" in caplog.text


async def test_what_is_told_goes_to_the_chat_of_the_message(room: Room) -> None:
    async def nothing_wrong(scope: Scope) -> tuple[str, ...]:
        return ()

    channel = FakeChannel()
    await Desk(room.chats, room.clock, set(), nothing_wrong, channel, "kfbot").tell(message(), "half done")
    await Desk(room.chats, room.clock, set(), nothing_wrong, None, "kfbot").tell(message(), "half done")
    assert channel.sent == [(CHAT, True, "half done")]
