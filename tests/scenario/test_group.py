"""The group as its members live it: from the frame of a mention to the words on the phone."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path

import pytest

from bot.model import SessionKey, StateReading
from bot.sandbox import GroupMessage
from tests.scenario.conftest import ANN, BOB, CHAT, KF, KF2, PATIENCE, Stage, a_stage


async def _with_human(stage: Stage, customer: str = ANN, kf: str = KF) -> int:
    return await stage.with_human(customer, kf)


def _by_bot(message: GroupMessage) -> bool:
    return message.source == "bot"


async def test_help_status_list_history_and_whoami_answer(running: Stage) -> None:
    number = await _with_human(running)
    assert "/end 客户 [原因]" in await running.ask("/help")
    assert "人工 1" in await running.ask("/status")
    assert f"#{number}" in await running.ask("/list")
    assert "state=3" in await running.ask(f"/status {number}")
    assert "已接入" in await running.ask("/history")
    assert "`LiNa`" in await running.ask("/whoami")


@pytest.mark.parametrize(
    "text", ["／ｓｔａｔｕｓ", "状态", "/状态。", "/STATUS", "/St", "、状态", "你好 /status"[3:], "/status @kfbot"]
)
async def test_what_keyboards_make_of_a_command(running: Stage, text: str) -> None:
    assert "客服会话总览" in await running.ask(text)


async def test_the_shortened_id_shown_in_the_list_can_be_pasted_back(running: Stage) -> None:
    await _with_human(running)
    await _with_human(running, BOB)
    shown = re.findall(r"`(wm\S+?…\S+?)`", await running.ask("/list"))
    assert len(shown) == 2
    ann = next(each for each in shown if each.startswith("wm7l"))
    assert "✅" in await running.ask(f"/End {ann[0].upper()}{ann[1:]}。")
    assert running.sandbox.session(KF, ANN).state == 4 and running.sandbox.session(KF, BOB).state == 3


async def test_an_alert_quoted_days_later_does_not_end_the_next_session(running: Stage) -> None:
    first = await _with_human(running)
    await running.ask(f"/status {first}")
    old = next(said for said in reversed(running.sandbox.group_messages(CHAT)) if said.source == "bot")
    await running.ask(f"/end {first}")
    running.sandbox.clock_advance(2)
    second = await _with_human(running)
    assert second != first
    for answer in (await running.ask(f"/end {first}"), await running.ask("/end 好了", quote=old.id)):
        assert "此前已经结束：LiNa" in answer and f"#{second}" in answer
    assert running.sandbox.session(KF, ANN).state == 3


async def test_two_frames_with_the_same_msgid_are_answered_once(running: Stage) -> None:
    await _with_human(running)
    running.sandbox.fault("aibot_msg_callback", "duplicate")
    await running.ask("/end wm7l")
    await running.ask("/whoami")
    said = [message.text for message in running.sandbox.group_messages(CHAT) if _by_bot(message)]
    assert len(said) == 2 and len(running.moves()) == 1


async def test_a_slow_command_does_not_block_another(running: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await _with_human(running)
    mark, kf = running.sandbox.mark, running.bot.core.kf
    asked, go_on, state = asyncio.Event(), asyncio.Event(), kf.state

    async def slow(key: SessionKey) -> StateReading:
        asked.set()
        await go_on.wait()
        return await state(key)

    monkeypatch.setattr(kf, "state", slow)
    running.sandbox.group_message(CHAT, "LiNa", "@kfbot /end wm7l")
    await asked.wait()
    assert "ChenJing" in await running.ask("/whoami", userid="ChenJing")
    go_on.set()
    ended = await running.sandbox.wait_for_group_message(lambda said: "✅" in said.text, PATIENCE, mark)
    said = [message for message in running.sandbox.group_messages(CHAT) if message.n > mark and _by_bot(message)]
    assert said[-1].id == ended.id


async def test_an_unpaired_group_is_paired_with_the_code_from_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_stage(tmp_path, group={"chat_ids": []}) as stage:
        with caplog.at_level(logging.WARNING, "kfbot.desk"):
            await stage.start()
        code = re.findall(r"/bind ([0-9a-f]{8})", caplog.text)[0]
        for text in ("/status", "/help", "/nonsense", "hello"):
            assert await stage.ask(text) == stage.bot.core.say("refused.unpaired", bot="kfbot")
        assert "配对码不对" in await stage.ask("/bind 00000000")
        assert "✅" in await stage.ask(f"/bind {code}。")
        assert "客服会话总览" in await stage.ask("/status")
        await stage.stop()
        await stage.start()
        assert "客服会话总览" in await stage.ask("/status")
        other = stage.sandbox.group_new("别的群", {"LiNa": "李娜"}, "wrOTHER")
        assert "group.chat_ids" in await stage.ask(f"/bind {code}", chat=other)


async def test_roles_hold_in_group_and_single_chat(tmp_path: Path) -> None:
    async with a_stage(tmp_path, roles={"admins": ["ChenJing"], "agents": ["LiNa"]}) as stage:
        await stage.live()
        number = await _with_human(stage)
        refused = await stage.ask(f"/end {number}", userid="ZhangSuQuan")
        assert "不能执行 /end" in refused and "`ChenJing` `LiNa`" in refused
        assert "/end" not in await stage.ask("/help", userid="ZhangSuQuan")
        assert "单聊只对管理员开放" in await stage.ask("/status", userid="LiNa", chat="LiNa")
        mark = stage.sandbox.mark
        stage.sandbox.group_message("ChenJing", "ChenJing", f"/end {number}")  # nobody mentions a bot in its own chat
        await stage.sandbox.wait_for_group_message(lambda said: "✅" in said.text, after=mark)
        assert stage.sandbox.session(KF, ANN).state == 4


async def test_a_reply_that_cannot_be_delivered_is_logged_and_the_bot_lives_on(
    running: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    running.sandbox.fault("aibot_respond_msg", "errcode", errcode=40058, times=None)
    running.sandbox.fault("aibot_send_msg", "errcode", errcode=40058, times=None)
    running.sandbox.fault("aibot/response", "errcode", errcode=40058, times=None)
    running.sandbox.group_message(CHAT, "LiNa", "@kfbot /whoami")

    async def logged() -> bool:
        return "reply not delivered" in caplog.text

    await running.until(logged)
    running.sandbox.clear_faults()
    assert "`LiNa`" in await running.ask("/whoami")


async def test_an_internal_error_has_an_incident_id_and_the_bot_lives_on(
    running: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(running.bot.core.ledger, "within", None)
        answer = await running.ask("/status")
    found = re.search(r"`([0-9a-f]{8})`", answer)
    assert found and f"incident={found[1]}" in caplog.text

    async def recorded() -> bool:
        sql = "SELECT count(*) FROM commands WHERE outcome='incident' AND incident=?"
        row = await running.bot.core.database.read(lambda db: db.execute(sql, (found[1],)).fetchone())
        return bool(row[0])

    await running.until(recorded)
    assert "客服会话总览" in await running.ask("/status")


async def test_one_customer_with_two_accounts_is_told_apart_by_number(running: Stage) -> None:
    await _with_human(running, ANN, KF)
    number = await _with_human(running, ANN, KF2)
    answer = await running.ask(f"/end {ANN}")
    assert "售前咨询" in answer and "售后服务" in answer
    assert "✅" in await running.ask(f"/end {number}")
    assert running.sandbox.session(KF, ANN).state == 3 and running.sandbox.session(KF2, ANN).state == 4


async def test_the_group_may_speak_english(tmp_path: Path) -> None:
    async with a_stage(tmp_path) as stage:
        stage.settings = stage.settings.model_copy(update={"lang": "en"})
        await stage.live()
        await _with_human(stage)
        assert "What I can do" in await stage.ask("/help")
        assert "Open sessions" in await stage.ask("/list")
        answer = await stage.ask("/end wm7l done")
        assert "✅ Ended" in answer and "Closing message: sent." in answer
        assert "reason: done" in await stage.ask("/history")
