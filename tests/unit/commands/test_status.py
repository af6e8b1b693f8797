"""/status [customer]"""

from __future__ import annotations

import pytest

from bot.errors import WeComUnavailable
from bot.model import EVERYTHING, Scope, ServiceState, SessionKey, StateReading
from tests.unit.commands.conftest import AFTER, ANN, BOB, CHAT, KF, KF2, Room


async def test_the_overview_counts_per_account_and_tells_the_longest_wait(room: Room) -> None:
    await room.open(ANN, nickname="小林", waits=300)
    await room.queue(BOB)
    room.clock.time += 120
    assert (await room.ask("/status")).splitlines() == [
        "**客服会话总览**",
        "> 售前咨询：人工 1 · 排队 1 · 等待回复 1",
        "> 售后＿服务：人工 0 · 排队 0 · 等待回复 0",
        "等待最久：**小林** #1 `wm7lKA…OUPw`，已等 7 分钟",
        "机器人正常，已运行 2 分钟（v0.1.0）",
    ]


async def test_the_overview_of_a_quiet_day(english: Room) -> None:
    lines = (await english.ask("/st")).splitlines()
    assert lines[1] == "> 售前咨询: with a human 0 · queued 0 · waiting for an answer 0"
    assert lines[3:] == ["No session is with a human.", "The bot is fine, up 0 s (v0.1.0)"]


async def test_the_bots_problems_are_told(room: Room) -> None:
    room.problems += ["取不到 access_token：x", "群通道未就绪：y"]
    lines = (await room.ask("/status")).splitlines()
    assert lines[-3].startswith("机器人有问题") and lines[-2:] == ["> 取不到 access_token：x", "> 群通道未就绪：y"]


async def test_one_session_in_full_read_live(room: Room) -> None:
    await room.open(ANN, nickname="小林", waits=300)
    room.kf.states[SessionKey(KF, ANN)] = StateReading(ServiceState.HUMAN, "Wang_Wu")
    answer = await room.ask("/状态 wm7l")
    assert f"**小林** `wm7lKA…OUPw`\n`{ANN}` · 售前咨询\n" in answer
    assert "**人工接待中** (state=3)" in answer and "接待人：Wang＿Wu" in answer
    assert "会话 #1 开始于" in answer and "客户已等待回复 5 分钟" in answer and "在吗" in answer
    assert "`/end 1`" in answer


async def test_answered_is_said_only_when_somebody_answered(room: Room) -> None:
    await room.queue(BOB)
    assert "已回复" not in await room.ask("/status wmQ4")
    await room.open(ANN)
    assert "已回复" not in await room.ask("/status wm7l")
    await room.answered(ANN)
    room.clock.time += 60
    assert "客服已回复，最近一条消息在 1 分钟前" in await room.ask("/status wm7l")


async def test_without_wecom_the_record_is_shown_and_said_to_be_one(room: Room) -> None:
    await room.open()
    room.kf.refuse["state"] = [WeComUnavailable("kf/service_state/get", "timed out")]
    answer = await room.ask("/status 1")
    assert "企业微信没有应答" in answer and "记录中" in answer and "会话 #1" in answer and "state=" not in answer


async def test_a_session_that_has_ended_tells_who_ended_the_last(room: Room) -> None:
    await room.open()
    await room.ended(by="LiNa")
    answer = await room.ask("/status wm7l")
    assert "**已结束** (state=4)" in answer and "上一次：#1" in answer and "结束：LiNa" in answer


async def test_a_live_reading_is_followed(room: Room) -> None:
    """Ended elsewhere: the answer must not go on calling it open."""
    await room.open()
    room.kf.states[SessionKey(KF, ANN)] = StateReading(ServiceState.ENDED)
    answer = await room.ask("/status 1")
    assert "`/end" not in answer and "上一次：#1" in answer


async def test_a_quoted_alert_names_the_session(room: Room) -> None:
    await room.open()
    assert ANN in await room.ask("/status", quote="⚠️ #1 等了 5 分钟")


async def test_a_group_has_an_overview_of_its_own_accounts(two_groups: Room) -> None:
    await two_groups.open(ANN, KF, waits=60)
    await two_groups.open(BOB, KF2, waits=900)
    here, there = await two_groups.ask("/status"), await two_groups.ask("/status", chat=AFTER)
    assert "售前咨询：人工 1" in here and "#1" in here and "售后" not in here and "#2" not in here
    assert "售后＿服务：人工 1" in there and "#2" in there and "售前" not in there and "#1" not in there
    everything = await two_groups.ask("/status", userid="Boss", chat=AFTER)
    assert "售前咨询" in everything and "售后＿服务" in everything
    idle = await two_groups.ask("/status", chat="wrIDLE")
    assert "group.routes" in idle and "售" not in idle


async def test_one_customer_of_two_groups_is_shown_to_each_as_theirs_alone(two_groups: Room) -> None:
    await two_groups.open(ANN, KF)
    await two_groups.open(ANN, KF2)
    assert "会话 #1" in (here := await two_groups.ask(f"/status {ANN}")) and "售后" not in here
    assert "会话 #2" in (there := await two_groups.ask(f"/status {ANN}", chat=AFTER)) and "售前" not in there


async def test_the_bot_is_asked_for_the_troubles_of_the_groups_accounts(
    two_groups: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Scope] = []

    async def problems(scope: Scope) -> tuple[str, ...]:
        asked.append(scope)
        return ()

    monkeypatch.setattr(two_groups.desk, "_problems", problems)
    for chat, userid in ((CHAT, "LiNa"), (AFTER, "LiNa"), (AFTER, "Boss")):
        await two_groups.ask("/status", userid=userid, chat=chat)
    assert asked == [Scope(frozenset({KF2}), others=True), Scope(frozenset({KF2}), others=False), EVERYTHING]
