"""/alerts"""

from __future__ import annotations

from bot.model import Rule
from commands.alerts import SHOWN
from tests.unit.commands.conftest import AFTER, ANN, ANNA, BOB, KF2, Room


def at(room: Room, seconds: float = 0.0) -> str:
    return room.dispatch.say.when(room.clock.time + seconds, room.clock.time)


async def test_what_is_open_oldest_first_and_who_takes_care(room: Room) -> None:
    await room.alert(await room.open(ANN, nickname="小林", waits=900), sends=3)
    room.clock.move(60)
    second = await room.open(BOB, nickname="老王", waits=400)
    await room.alert(second)
    await room.alert(second, Rule.HUMAN_OPEN)
    await room.alert(await room.open(ANNA, waits=300))
    await room.ask("/ack 2", "WuMing")
    await room.ask("/snooze 3 1h")
    lines = (await room.ask("/alerts")).splitlines()
    assert lines[0] == "**3 个会话有提醒**，最早的在前："
    assert lines[1] == f"> **小林** #1 `wm7lKA…OUPw` · 客户等回复 · {at(room, -60)} 起，已提醒 3 次"
    assert lines[2].startswith("> **老王** #2 ") and lines[2].endswith(" · WuMing 跟进中")
    assert "客户等回复 · 接待过久" in lines[2]
    assert lines[3].endswith(f" · {at(room, 3600)} 后再提醒")


async def test_an_ack_that_is_over_is_not_shown(room: Room) -> None:
    await room.alert(await room.open(waits=400))
    await room.ask("/ack 1")
    assert "LiNa 跟进中" in await room.ask("/提醒")
    room.clock.move(1800)
    assert "跟进中" not in await room.ask("/提醒")


async def test_nothing_is_open(room: Room) -> None:
    await room.alert(await room.open())
    await room.ended()
    await room.open(BOB)
    assert await room.ask("/alerts") == "没有待处理的提醒"


async def test_many_are_cut(room: Room) -> None:
    for number in range(SHOWN + 3):
        await room.alert(await room.open(f"wmEach{number:026}", waits=400))
    lines = (await room.ask("/alerts")).splitlines()
    assert (len(lines), lines[-1]) == (SHOWN + 2, "还有 3 个")


async def test_a_muted_group_is_reminded_of_that(room: Room) -> None:
    await room.ask("/mute 1h")
    assert (await room.ask("/alerts")).splitlines() == [
        f"🔕 本群静音到 {at(room, 3600)}；恢复：`/mute off`",
        "没有待处理的提醒",
    ]
    assert await room.ask("/alerts", "Boss", single=True) == "没有待处理的提醒"


async def test_a_group_sees_its_own(two_groups: Room) -> None:
    await two_groups.alert(await two_groups.open(BOB, KF2, waits=400))
    assert await two_groups.ask("/alerts") == "没有待处理的提醒"
    assert "#1" in await two_groups.ask("/alerts", chat=AFTER)
    assert "#1" in await two_groups.ask("/alerts", "Boss")


async def test_what_people_typed_stays_words(english: Room) -> None:
    await english.alert(await english.open(nickname="<@all> *x*", waits=400))
    answer = await english.ask("/alerts", "LiNa")
    assert "<@all>" not in answer and "＜＠all＞" in answer
    assert answer.startswith("**1 sessions have alerts**")
