"""/history [customer]"""

from __future__ import annotations

import re

from bot.model import Via
from tests.unit.commands.conftest import AFTER, ANN, BOB, CHAT, KF, KF2, Room


async def test_the_last_handoffs_newest_first(room: Room) -> None:
    await room.open(ANN, nickname="小林", waits=300)
    await room.ended(ANN, by="LiNa", reason="已*解决*")
    await room.open(BOB)
    room.clock.time += 60
    lines = (await room.ask("/history")).splitlines()
    assert lines[0] == "**最近的会话记录**"
    assert lines[1].startswith("> #2 `wmQ4Bo…0002` ") and lines[1].endswith(" 开始 · 1 分钟 · 已接入，未回复")
    assert lines[2].endswith(" 开始 · 5 分钟 · 结束：LiNa（群命令），原因：已＊解决＊")


async def test_one_customers_handoffs_do_not_repeat_the_name(english: Room) -> None:
    await english.open(ANN, nickname="Ann")
    await english.ended(ANN, by=ANN, via=Via.CHAT)
    lines = (await english.ask("/记录 wm7l")).splitlines()
    assert lines[0] == "Handoffs of **Ann** `wm7lKA…OUPw`"
    assert lines[1].startswith("> #1 began ") and lines[1].endswith(" · 0 s · ended by the customer (chat)")


async def test_every_way_an_end_is_told(room: Room) -> None:
    told = {
        (Via.COMMAND, "LiNa"): "结束：LiNa（群命令）",
        (Via.BUTTON, "LiNa"): "结束：LiNa（按钮）",
        (Via.API, "LiNa"): "结束：LiNa（接口）",
        (Via.CHAT, ANN): "结束：客户本人（聊天）",
        (Via.CLIENT, "Zhang"): "结束：Zhang（企业微信客户端）",
        (Via.ELSEWHERE, ""): "结束：某人（没有通过机器人）",
        (Via.EXPIRED, "WeCom"): "结束：企业微信（客户 48 小时未发消息）",
        (Via.POLICY, "WeCom"): "结束：系统（自动规则）",
    }
    for (via, by), words in told.items():
        await room.open()
        await room.ended(by=by, via=via)
        newest = (await room.ask("/history")).splitlines()[1]
        assert newest.endswith(words), newest


async def test_a_cancelled_wait_in_the_queue_is_told_as_one(room: Room) -> None:
    await room.queue(BOB)
    await room.ended(BOB, by=BOB, via=Via.CHAT)
    assert "排队中结束：客户本人（聊天）" in await room.ask("/history")


async def test_a_reopened_handoff_names_the_one_before(room: Room) -> None:
    await room.open(waits=60)
    await room.ended()
    room.clock.time += 60
    await room.answered()
    assert "（接续 #1）" in await room.ask("/history")


async def test_nothing_yet(room: Room) -> None:
    assert await room.ask("/history") == "还没有会话记录。"


async def test_at_most_ten(room: Room) -> None:
    for _ in range(12):
        await room.open()
        await room.ended()
    assert (await room.ask("/history")).count("\n") == 10


async def test_a_group_remembers_its_own(two_groups: Room) -> None:
    await two_groups.open(ANN, KF)
    await two_groups.open(ANN, KF2)
    await two_groups.ended(ANN, KF2)
    assert "#2" not in await two_groups.ask("/history")
    assert "#1" not in await two_groups.ask("/history", chat=AFTER)
    for text, chat, number in ((f"/history {ANN}", CHAT, 1), ("/history 2", AFTER, 2)):
        assert (
            len(re.findall("#[0-9]+", answer := await two_groups.ask(text, chat=chat))) == 1 and f"#{number}" in answer
        )
    assert await two_groups.ask("/history", chat="wrIDLE") == "还没有会话记录。"
