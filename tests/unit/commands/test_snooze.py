"""/snooze"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.commands.conftest import Room, a_room


async def until(room: Room) -> float:
    """Seconds from now."""
    watched = await room.dispatch.attention.watched(1)
    assert watched is not None
    return watched.quiet.snoozed_until - room.clock.time if watched.quiet.snoozed_until else 0.0


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("/snooze 1", 600),
        ("/snooze 1 90s", 90),
        ("/稍后 1 2小时", 7200),
        ("/snooze wm7l １ｈ", 3600),
        ("/snooze #1 30d", 2592000),
    ],
)
async def test_for_the_usual_time_or_the_one_that_is_named(room: Room, words: str, seconds: float) -> None:
    await room.alert(await room.open(nickname="小林", waits=400))
    answer = await room.ask(words)
    assert await until(room) == seconds
    when = room.dispatch.say.when(room.clock.time + seconds, room.clock.time)
    assert answer == f"👌 **小林** #1 `wm7lKA…OUPw` 到 {when} 之前不再提醒（LiNa）。"


async def test_it_can_be_said_before_there_is_an_alert(room: Room) -> None:
    await room.open()
    assert "👌" in await room.ask("/snooze 1")


async def test_a_time_counts_also_over_somebody_elses(room: Room) -> None:
    await room.open()
    await room.ask("/snooze 1 2h")
    room.clock.move(1)
    assert "（WuMing）" in await room.ask("/snooze 1 1m", "WuMing")
    assert await until(room) == 60


@pytest.mark.parametrize("word", ["0m", "10", "soon", "-5m", "31d", "1y"])
async def test_what_is_no_duration_is_refused_with_what_is(room: Room, word: str) -> None:
    await room.open()
    answer = await room.ask(f"/snooze 1 {word}")
    assert "不是有效的时长" in answer and "`10m`" in answer
    assert await until(room) == 0
    assert (await room.row(1))["outcome"] == "usage"


async def test_what_is_over_needs_no_rest(room: Room) -> None:
    await room.open()
    await room.ended()
    assert await room.ask("/snooze 1 10m") == "#1 `wm7lKA…OUPw` 没有进行中的会话。"


async def test_a_quoted_alert_names_the_customer_and_the_word_is_the_time(room: Room) -> None:
    await room.open()
    assert "👌" in await room.ask("/snooze 20m", quote="⏰ #1 `wm7lKA…OUPw` 等了 6 分钟")
    assert await until(room) == 1200


async def test_a_viewer_may_not(tmp_path: Path) -> None:
    async with a_room(tmp_path / "kfbot.db", agents=["LiNa"]) as room:
        await room.open()
        assert "您不能执行 /snooze" in await room.ask("/snooze 1", "ChenJing")
        assert await until(room) == 0
