"""/ack"""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.attention import Heard
from bot.rules import ACK_HOLDS
from tests.unit.commands.conftest import AFTER, ANN, BOB, KF2, Room, a_room

HOLDS = ACK_HOLDS * 900


def at(room: Room, seconds: float = 0.0) -> str:
    return room.dispatch.say.when(room.clock.time + seconds, room.clock.time)


async def test_who_takes_it_is_named_with_the_time_of_the_reminder(room: Room) -> None:
    await room.alert(await room.open(nickname="小林", waits=400))
    assert await room.ask("/ack 1") == (
        f"👌 LiNa 跟进 **小林** #1 `wm7lKA…OUPw`。到 {at(room, HOLDS)} 还没有新消息，我会再提醒。"
    )
    watched = await room.dispatch.attention.watched(1)
    assert watched is not None and watched.quiet.acked_by == "LiNa"


async def test_the_second_learns_who_was_first(room: Room) -> None:
    await room.alert(await room.open(waits=400))
    await room.ask("/跟进 1")
    assert await room.ask("/ack 1", "WuMing") == f"#1 `wm7lKA…OUPw` 已由 LiNa 在 {at(room)} 接手跟进。"
    room.clock.move(HOLDS)
    assert "WuMing 跟进" in await room.ask("/ack 1", "WuMing")


async def test_without_an_alert_there_is_nothing_to_take(room: Room) -> None:
    await room.open()
    assert "目前没有提醒" in await room.ask("/ack 1")


@pytest.mark.parametrize(("target", "who"), [("1", "#1 `wm7lKA…OUPw`"), (ANN, "`wm7lKA…OUPw`")])
async def test_what_is_over_cannot_be_taken(room: Room, target: str, who: str) -> None:
    await room.alert(await room.open())
    await room.ended()
    assert await room.ask(f"/ack {target}") == f"{who} 没有进行中的会话。"
    assert (await room.row(1))["outcome"] == "over"


async def test_a_quoted_alert_names_the_customer(room: Room) -> None:
    await room.alert(await room.open(waits=400))
    assert "LiNa 跟进" in await room.ask("/ack", quote="⏰ **小林** #1 `wm7lKA…OUPw` 等了 6 分钟")
    assert "用法" in await room.ask("/ack")


async def test_a_viewer_may_not(tmp_path: Path) -> None:
    async with a_room(tmp_path / "kfbot.db", agents=["LiNa"]) as room:
        await room.alert(await room.open(waits=400))
        assert "您不能执行 /ack" in await room.ask("/ack 1", "ChenJing")
        answer = await room.dispatch.attention.ack(1, "LiNa")
        assert answer is not None and answer.heard is Heard.DONE


async def test_a_session_of_another_group_is_none(two_groups: Room) -> None:
    await two_groups.alert(await two_groups.open(BOB, KF2, waits=400))
    assert "没有编号为 #1" in await two_groups.ask("/ack 1")
    assert "LiNa 跟进" in await two_groups.ask("/ack 1", chat=AFTER)


async def test_in_english(english: Room) -> None:
    await english.alert(await english.open(waits=400))
    until = at(english, HOLDS)
    assert await english.ask("/ack 1") == (
        f"👌 LiNa takes care of #1 `wm7lKA…OUPw`. If nothing is written by {until}, I will remind you."
    )
