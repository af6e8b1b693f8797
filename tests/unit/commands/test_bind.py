"""/bind CODE"""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from tests.unit.commands.conftest import CHAT, Room, a_room


@pytest.mark.parametrize("written", ["{code}", "{code}。", "`{code}`", "「{code}」", "{CODE}"])
async def test_the_code_from_the_log_pairs_the_group(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, written: str
) -> None:
    async with a_room(tmp_path / "kfbot.db", paired=()) as room:
        with caplog.at_level(logging.WARNING):
            room.desk.offer_code()
        code = re.findall(r"/bind ([0-9a-f]{8})", caplog.text)[0]
        assert "还没有与我配对" in await room.ask("/status")
        assert "✅" in await room.ask(f"/绑定 {written.format(code=code, CODE=code.upper())}")
        assert "总览" in await room.ask("/status")
    async with a_room(tmp_path / "kfbot.db", paired=()) as room:
        assert "总览" in await room.ask("/status", chat=CHAT)


async def test_a_wrong_code_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with a_room(tmp_path / "kfbot.db", paired=()) as room:
        room.desk.offer_code()
        assert "配对码不对" in await room.ask("/bind 00000000")
        assert (await room.row(1))["outcome"] == "refused"
        assert "wrong pairing code | chat=wrTESTGROUP by=LiNa" in caplog.text
        assert "还没有与我配对" in await room.ask("/status")


async def test_another_group_cannot_pair_once_one_is(room: Room) -> None:
    answer = await room.ask("/bind 00000000", chat="wrOTHER")
    assert "group.chat_ids" in answer and "`wrOTHER`" in answer


async def test_a_paired_group_is_told_that_it_is(room: Room) -> None:
    assert await room.ask("/bind 00000000") == "本群已配对。"


async def test_a_single_chat_cannot_be_paired(room: Room) -> None:
    assert "群里发送" in await room.ask("/bind 00000000", userid="Boss", single=True)


async def test_without_a_code_there_is_a_usage_line(english: Room) -> None:
    assert await english.ask("/bind") == "Something is missing.\nUsage: `/bind CODE`"
