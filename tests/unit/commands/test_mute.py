"""/mute"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.commands.conftest import AFTER, CHAT, Room, a_room


def at(room: Room, seconds: float) -> str:
    return room.dispatch.say.when(room.clock.time + seconds, room.clock.time)


async def test_a_group_is_quiet_for_a_time(room: Room) -> None:
    assert await room.ask("/mute 1h") == f"🔕 本群到 {at(room, 3600)} 之前不再收到会话提醒；提前恢复：`/mute off`"
    assert await room.dispatch.attention.muted_until(CHAT) == room.clock.time + 3600
    assert await room.ask("/静音") == f"🔕 本群静音到 {at(room, 3600)}；恢复：`/mute off`"
    room.clock.move(3600)
    assert "本群没有静音" in await room.ask("/mute")


@pytest.mark.parametrize("word", ["off", "OFF", "0", "取消", "关闭"])
async def test_it_can_be_taken_back(room: Room, word: str) -> None:
    await room.ask("/mute 2h")
    assert await room.ask(f"/mute {word}") == "🔔 已恢复提醒。"
    assert await room.dispatch.attention.muted_until(CHAT) == 0.0


async def test_a_longer_or_shorter_time_takes_the_place_of_the_old(room: Room) -> None:
    await room.ask("/mute 2h")
    await room.ask("/mute 5m")
    assert await room.dispatch.attention.muted_until(CHAT) == room.clock.time + 300


async def test_another_group_hears_everything(two_groups: Room) -> None:
    await two_groups.ask("/mute 1h", chat=AFTER)
    assert await two_groups.dispatch.attention.muted_until(CHAT) == 0.0


async def test_what_is_no_duration_mutes_nothing(room: Room) -> None:
    assert "不是有效的时长" in await room.ask("/mute forever")
    assert await room.dispatch.attention.muted_until(CHAT) == 0.0


async def test_only_a_group_can_be_muted_and_only_by_staff(tmp_path: Path) -> None:
    async with a_room(tmp_path / "kfbot.db", agents=["LiNa"]) as room:
        assert await room.ask("/mute 1h", "Boss", single=True) == "请在要静音的群里发送。"
        assert "您不能执行 /mute" in await room.ask("/mute 1h", "ChenJing")
        assert await room.dispatch.attention.muted_until(CHAT) == 0.0
