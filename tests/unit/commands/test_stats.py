"""/stats in a group: the numbers of the accounts that may be seen there."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.picture import Drawing
from bot.report import Report
from storage.stats import Stats
from tests.unit.commands.conftest import ANN, BOB, CHAT, KF2, Room


@pytest.fixture
async def counting(room: Room) -> AsyncIterator[Room]:
    """A room whose bot counts, and draws nothing."""
    async for ready in counts(room):
        yield ready


@pytest.fixture
async def counting_english(english: Room) -> AsyncIterator[Room]:
    async for ready in counts(english):
        yield ready


async def counts(room: Room) -> AsyncIterator[Room]:
    async def no_picture(drawing: Drawing) -> bytes:
        return b""

    report = Report(
        Stats(room.database), room.people, room.chats, room.clock, room.dispatch.say, room.channel,
        list, draw=no_picture,
    )  # fmt: skip
    room.dispatch.report = report
    yield room
    await report.stop()


async def test_todays_numbers(counting: Room) -> None:
    await counting.open(nickname="小林", waits=600)
    await counting.answered()
    await counting.ended()
    await counting.open(BOB, KF2, servicer="LiNa")
    said = await counting.ask("/stats")
    assert said.startswith("**今日统计** ")
    for line in (
        "处理 **1** 个",
        "结束：客户 0 · 客服 1（群命令） · 系统 0",
        "首次回复：中位 **10 分钟**，九成在 10 分钟内",
        "最长：#1 **小林** `wm7lKA…OUPw`，10 分钟",
        "现在：人工 1 · 排队 0 · 等待回复 1",
        "> ZhangSan：处理 1 · 手上 0",
        "> LiNa：处理 0 · 手上 1",
    ):
        assert line in said.splitlines(), line


@pytest.mark.parametrize("text", ["/stats week", "/统计 一周", "/STATS WEEK"])
async def test_the_week(counting: Room, text: str) -> None:
    counting.clock.time -= 3 * 86400
    await counting.open()
    await counting.ended()
    counting.clock.time += 3 * 86400
    said = await counting.ask(text)
    assert said.startswith("**近 7 天统计** ") and "处理 **1** 个" in said
    assert "没有结束的会话" in await counting.ask("/stats 今天")


async def test_in_english(counting_english: Room) -> None:
    await counting_english.open()
    await counting_english.ended()
    said = await counting_english.ask("/stats")
    assert said.startswith("**Today** ") and "Handled **1**" in said


async def test_another_stretch_is_refused_with_those_there_are(counting: Room) -> None:
    said = await counting.ask("/stats month")
    assert "`month`" in said and "`今天` `一周`" in said and "/stats [今天|一周]" in said


async def test_who_may_only_look_may_count(counting: Room) -> None:
    counting.dispatch.access = type(counting.dispatch.access)(frozenset({"Boss"}), frozenset({"LiNa"}))
    assert (await counting.ask("/stats", userid="Guest")).startswith("**今日统计** ")


async def test_a_group_counts_its_own_accounts_only(counting: Room) -> None:
    teams = counting.dispatch.teams
    counting.dispatch.teams = type(teams)({KF2: "wrOTHER"}, [CHAT, "wrOTHER"], {CHAT, "wrOTHER"})
    counting.dispatch.paired.add("wrOTHER")
    for account, customer in ((KF2, BOB), (KF2, ANN)):
        await counting.open(customer, account)
        await counting.ended(customer, account)
    assert "没有结束的会话" in await counting.ask("/stats")
    assert "处理 **2** 个" in await counting.ask("/stats", chat="wrOTHER")
