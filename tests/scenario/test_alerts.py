"""From a session that nobody looks after to the card in the group, its taps, its repeats and its last word."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.model import CardTap, Rule, SessionKey
from bot.ports import TAP
from bot.sandbox import GroupMessage
from bot.settings import Webhook
from tests.scenario.conftest import ANN, BOB, CHAT, KF, KF2, PATIENCE, Stage, a_stage

MINUTE, SECOND = 60.0, "wrSECOND"


async def with_human(stage: Stage, customer: str = ANN, kf: str = KF, text: str = "有人吗？<@all>") -> int:
    return await stage.with_human(customer, kf, text=text)


def cards(stage: Stage, chat: str = CHAT) -> list[GroupMessage]:
    return [said for said in stage.sandbox.group_messages(chat) if said.card is not None]


def texts(stage: Stage, chat: str = CHAT) -> list[str]:
    said = stage.sandbox.group_messages(chat)
    return [each.text for each in said if each.source != "member" and each.card is None]


def shown(card: dict[str, Any]) -> str:
    rows = [f"{row['keyname']} {row['value']}" for row in card.get("horizontal_content_list", [])]
    title = card["main_title"]
    return "\n".join([title["title"], title.get("desc", ""), card.get("sub_title_text", ""), *rows])


def keys(card: dict[str, Any]) -> list[str]:
    return [button["key"] for button in card["button_list"]]


async def alerted(stage: Stage, customer: str = ANN) -> tuple[int, GroupMessage]:
    """A customer has waited for six minutes; returns handoff number and card."""
    number = await with_human(stage, customer)
    await stage.later(6 * MINUTE)
    return number, cards(stage)[-1]


async def tapped(
    stage: Stage, message: GroupMessage, key: str, userid: str = "LiNa", chat: str = CHAT
) -> dict[str, Any]:
    """The card after the tap."""
    before = message.card
    stage.sandbox.tap(chat, userid, message.id, key)
    await stage.sandbox.changes.until(lambda: message.card is not before, PATIENCE)
    assert message.card is not None
    return message.card


# -- the card


async def test_a_waiting_customer_finds_the_staff(running: Stage) -> None:
    number, message = await alerted(running)
    assert len(cards(running)) == 1
    card = message.card
    assert card is not None
    assert keys(card) == [f"end:{number}", f"snooze:{number}", f"ack:{number}"]
    said = shown(card)
    for words in ("小林", f"#{number}", "售前咨询", "ZhangSuQuan", "6 分钟", "有人吗", f"/end {number}"):
        assert words in said
    assert "<@all>" not in said


async def test_it_is_told_once_and_then_repeated_with_growing_pauses(running: Stage) -> None:
    await alerted(running)
    for _ in range(5):
        await running.tick()
    assert len(cards(running)) == 1
    counts = []
    for _ in range(8):
        await running.later(15 * MINUTE)
        counts.append(len(cards(running)))
    assert counts == [2, 2, 3, 3, 3, 3, 4, 4]
    ids = [each.card["task_id"] for each in cards(running) if each.card]
    assert len(set(ids)) == 4


async def test_an_answer_in_time_is_no_alert(running: Stage) -> None:
    await with_human(running)
    await running.later(4 * MINUTE)
    running.sandbox.servicer_writes(KF, ANN, "ZhangSuQuan", "在的")
    await running.later(4 * MINUTE)
    assert cards(running) == []


async def test_an_answer_whose_callback_got_lost_is_no_alert_either(running: Stage) -> None:
    await with_human(running)
    await running.later(4 * MINUTE)
    running.sandbox.fault("callback", "lose", times=None)
    running.sandbox.servicer_writes(KF, ANN, "ZhangSuQuan", "在的")
    running.sandbox.clock_advance(2 * MINUTE)
    await running.tick()
    assert cards(running) == []


async def test_a_session_that_moved_on_without_an_event_is_not_told(running: Stage) -> None:
    await with_human(running)
    await running.synced()
    running.sandbox.session_state(KF, ANN, 4)
    await running.later(6 * MINUTE)
    assert cards(running) == []
    assert not (await running.no_handoff()).status.is_open


async def test_a_session_that_no_event_announced_is_alerted_too(running: Stage) -> None:
    running.sandbox.customer_writes(KF, ANN, "转人工")
    await running.synced()
    running.sandbox.session_state(KF, ANN, 3, "LiNa")
    await running.open_handoff()
    await running.later(6 * MINUTE)
    assert "LiNa" in shown(cards(running)[0].card or {})


async def test_the_queue_has_its_own_alert(running: Stage) -> None:
    running.sandbox.account_routing(KF, "queue")
    running.sandbox.customer_writes(KF, ANN, "有人吗")
    await running.open_handoff()
    await running.later(4 * MINUTE)
    assert "排队 4 分钟" in shown(cards(running)[0].card or {})


async def test_silence_and_length_are_told_when_nobody_waits(running: Stage) -> None:
    await with_human(running)
    running.sandbox.servicer_writes(KF, ANN, "ZhangSuQuan", "您好")
    await running.later(31 * MINUTE)
    assert "无人发言" in shown(cards(running)[0].card or {})
    for _ in range(10):
        await running.later(25 * MINUTE)
        running.sandbox.customer_writes(KF, ANN, "嗯")
        running.sandbox.servicer_writes(KF, ANN, "ZhangSuQuan", "嗯嗯")
    await running.later(1)
    assert "人工接待已 4 小时" in shown(cards(running)[-1].card or {})


# -- the last word


async def test_the_end_by_anybody_is_told_once(running: Stage) -> None:
    number, _ = await alerted(running)
    running.sandbox.servicer_ends(KF, ANN)
    await running.no_handoff()
    for _ in range(3):
        await running.tick()
    [line] = texts(running)
    assert line.startswith("✅") and f"#{number}" in line and "ZhangSuQuan" in line and "企业微信客户端" in line


async def test_whoever_was_never_alerted_about_is_not_told_of(running: Stage) -> None:
    await with_human(running)
    running.sandbox.servicer_ends(KF, ANN)
    await running.no_handoff()
    await running.tick()
    assert texts(running) == []


async def test_a_command_that_ended_it_has_said_so_already(running: Stage) -> None:
    number, _ = await alerted(running)
    assert (await running.ask(f"/end {number}")).startswith("✅")
    await running.tick()
    assert len(texts(running)) == 1


async def test_wecoms_own_end_after_48_hours_is_recorded_and_told(running: Stage) -> None:
    await alerted(running)
    assert "自动结束" in shown(cards(running)[0].card or {})
    await running.later(48 * 3600)
    handoff = await running.no_handoff()
    assert (handoff.ended_by, handoff.via) == ("SYSTEM", "expired")
    await running.tick()
    assert "48 小时" in texts(running)[-1]


# -- taps


async def test_one_tap_ends(running: Stage) -> None:
    number, message = await alerted(running)
    card = await tapped(running, message, f"end:{number}")
    assert "已结束" in shown(card) and "LiNa" in shown(card) and keys(card) == [f"noop:{number}"]
    handoff = await running.no_handoff()
    assert (handoff.operator_id, handoff.via) == ("LiNa", "button")
    await running.settled()
    assert running.goodbyes() == [running.settings.customer.closing.agent]
    await running.until(lambda: _said(running, "按钮"))
    assert len(texts(running)) == 1


async def _said(stage: Stage, words: str, chat: str = CHAT) -> bool:
    return any(words in text for text in texts(stage, chat))


async def test_two_people_tapping_in_the_same_instant_get_the_same_card(running: Stage) -> None:
    number, message = await alerted(running)
    before = len(running.sandbox.ledger.of("group_update"))
    running.sandbox.tap(CHAT, "LiNa", message.id, f"end:{number}")
    running.sandbox.tap(CHAT, "ChenJing", message.id, f"end:{number}")
    await running.until(lambda: _updates(running, before + 2))
    updates = running.sandbox.ledger.of("group_update")[before:]
    first, second = (shown(each["args"]["template_card"]) for each in updates)
    assert first == second and "已结束" in first
    await running.settled()
    assert len(running.moves()) == 1 and len(running.goodbyes()) == 1


async def _updates(stage: Stage, count: int) -> bool:
    return len(stage.sandbox.ledger.of("group_update")) >= count


async def test_a_later_tap_on_any_card_of_it_gets_the_truth(running: Stage) -> None:
    number, first = await alerted(running)
    await running.later(15 * MINUTE)
    second = cards(running)[-1]
    assert second is not first
    await tapped(running, second, f"end:{number}")
    running.sandbox.customer_writes(KF, ANN, "还在吗")
    running.sandbox.servicer_takes(KF, ANN, "ZhangSuQuan")
    again = await running.until(lambda: _next(running, number))
    card = await tapped(running, first, f"end:{number}", "ChenJing")
    assert "已结束" in shown(card) and "LiNa" in shown(card)
    assert again.id != number and (await running.open_handoff()).id == again.id


async def _next(stage: Stage, number: int) -> Any:
    handoff = await stage.open_handoff()
    return handoff if handoff.id != number else None


async def test_a_slow_wecom_is_shown_as_in_progress_and_told_later(running: Stage) -> None:
    number, message = await alerted(running)
    running.sandbox.fault("kf/service_state/trans", "delay", seconds=4)
    assert running.bot.taps is not None
    running.bot.taps._soon = 0.5  # WeCom takes no change after 5 s, and this machine may be slow too
    card = await tapped(running, message, f"end:{number}")
    assert "正在结束" in shown(card) and keys(card) == [f"refresh:{number}"]
    await running.no_handoff()
    await running.until(lambda: _said(running, "✅"))
    assert len(texts(running)) == 1
    final = await tapped(running, message, f"refresh:{number}", "ChenJing")
    assert "已结束" in shown(final) and "LiNa" in shown(final)


async def test_a_refused_end_keeps_the_buttons_and_says_why(running: Stage) -> None:
    number, message = await alerted(running)
    running.sandbox.fault("kf/service_state/trans", "errcode", errcode=95016, times=None)
    card = await tapped(running, message, f"end:{number}")
    assert "未能结束" in shown(card) and "95016" in shown(card) and f"end:{number}" in keys(card)
    await running.until(lambda: _said(running, "仅智能助手接待"))
    running.sandbox.clear_faults()
    assert "已结束" in shown(await tapped(running, message, f"end:{number}", "ChenJing"))


async def test_snooze_and_ack_quiet_it_and_show_who(running: Stage) -> None:
    number, message = await alerted(running)
    card = await tapped(running, message, f"snooze:{number}")
    assert "稍后" in shown(card) and "LiNa" in shown(card) and keys(card) == [f"end:{number}", f"ack:{number}"]
    await running.later(9 * MINUTE)
    assert len(cards(running)) == 1
    await running.later(2 * MINUTE)
    assert len(cards(running)) == 2

    card = await tapped(running, cards(running)[1], f"ack:{number}", "ChenJing")
    assert "跟进 ChenJing" in shown(card)
    await running.later(29 * MINUTE)
    assert len(cards(running)) == 2
    await running.later(2 * MINUTE)
    assert len(cards(running)) == 3


async def test_the_second_to_take_it_learns_who_was_first(running: Stage) -> None:
    number, message = await alerted(running)
    await tapped(running, message, f"ack:{number}")
    await running.later(16 * MINUTE)
    stale = await running.ask(f"/ack {number}", "ChenJing")
    assert "LiNa" in stale
    assert (await running.bot.core.attention.watched(number)).quiet.acked_by == "LiNa"  # type: ignore[union-attr]


async def test_a_viewer_may_not_and_everybody_else_still_may(tmp_path: Path) -> None:
    async with a_stage(tmp_path, roles={"agents": ["LiNa"], "admins": []}) as stage:
        await stage.live()
        number, message = await alerted(stage)
        card = await tapped(stage, message, f"end:{number}", "ChenJing")
        assert "ChenJing 没有权限" in shown(card) and "LiNa" in shown(card)
        assert keys(card) == [f"end:{number}", f"snooze:{number}", f"ack:{number}"]
        assert stage.moves() == []
        assert "已结束" in shown(await tapped(stage, message, f"end:{number}", "LiNa"))


async def test_a_tap_that_a_crash_interrupts_is_carried_out_after_it(running: Stage) -> None:
    number, _ = await alerted(running)
    tap = CardTap("aibot", "m-1", CHAT, True, "LiNa", f"end:{number}")
    await running.bot.core.chats.claim(tap, TAP, tap.key, running.sandbox.now())  # and then the process dies
    await running.stop()

    await running.start()
    handoff = await running.no_handoff()
    assert (handoff.id, handoff.operator_id, handoff.via) == (number, "LiNa", "button")
    await running.until(lambda: _said(running, "✅"))
    await running.settled()
    assert len(running.moves()) == 1 and len(running.goodbyes()) == 1


# -- many, and trouble


async def a_crowd(stage: Stage, count: int) -> list[int]:
    numbers = []
    for each in range(count):
        customer = stage.sandbox.customer_new(f"客户{each}")
        numbers.append(await with_human(stage, customer))
    return numbers


async def test_more_than_five_at_once_become_one_card(running: Stage) -> None:
    await a_crowd(running, 7)
    await running.later(6 * MINUTE)
    [message] = cards(running)
    assert "7 个会话需要处理" in shown(message.card or {})
    card = await tapped(running, message, "list:alerts")
    assert "7 个会话" in shown(card)
    await running.until(lambda: _said(running, "客户6"))
    assert all(f"客户{each}" in texts(running)[-1] for each in range(7))


async def test_five_at_once_are_five_cards_and_their_ends_fold(running: Stage) -> None:
    await a_crowd(running, 5)
    await running.later(6 * MINUTE)
    assert len(cards(running)) == 5


async def test_a_group_that_takes_no_cards_gets_markdown_for_a_day(running: Stage) -> None:
    running.sandbox.fault("aibot_send_msg", "errcode", errcode=40008)
    number, _ = (await with_human(running)), None
    await running.later(6 * MINUTE)
    assert cards(running) == []
    assert f"/end {number}" in texts(running)[-1] and "小林" in texts(running)[-1]
    await running.later(16 * MINUTE)
    assert cards(running) == [] and len(texts(running)) == 2
    await running.later(24 * 3600)
    assert len(cards(running)) == 1


async def test_the_webhook_steps_in_while_the_line_is_down(stage: Stage) -> None:
    await stage.live()
    number = await with_human(stage)
    stage.sandbox.line.kick()
    await stage.until(lambda: _down(stage))
    await stage.later(6 * MINUTE)
    await stage.later(4)
    said = [
        each
        for each in stage.sandbox.group_messages(CHAT)
        if each.source == "webhook" and f"/end {number}" in each.text
    ]
    assert len(said) == 1 and "长连接断开" in said[0].text


async def _down(stage: Stage) -> bool:
    assert stage.bot.channel is not None
    return not stage.bot.channel.ready


async def test_a_wecom_that_is_down_is_one_alarm_and_no_alert(running: Stage) -> None:
    await with_human(running)
    await running.synced()
    for path in ("kf/service_state/get", "kf/account/list", "gettoken"):
        running.sandbox.fault(path, "reset_before", times=None)
    running.sandbox.clock_advance(6 * MINUTE)
    await running.tick()
    for run in running.bot.core.upstream._runs.values():
        run.since -= 10
    for _ in range(3):
        await running.bot.alerting.alarms.look()
        await running.tick()
    assert cards(running) == []
    [alarm] = texts(running)
    assert "没有正常应答" in alarm
    running.sandbox.clear_faults()
    await running.bot.alerting.alarms.look()
    assert "已恢复" in texts(running)[-1]
    await running.later(20)
    assert len(cards(running)) == 1


async def test_a_clock_that_is_wrong_is_said_and_nothing_is_concluded_from_it(running: Stage) -> None:
    await with_human(running)
    await running.synced()
    app = running.bot

    class Ahead:
        def now(self) -> float:
            return running.sandbox.now() + 3600

    wrong = Ahead()
    for part in (app.alerting.watch, app.alerting.alarms, app.alerting.alarms._skew):
        part._clock = wrong
    await app.alerting.watch.tick()
    assert cards(running) == []
    assert "时钟" in texts(running)[-1] and len(texts(running)) == 1


async def test_a_muted_group_hears_nothing_until_then(running: Stage) -> None:
    await with_human(running)
    assert "不再收到会话提醒" in await running.ask("/mute 1h")
    await running.later(30 * MINUTE)
    assert cards(running) == []
    await running.later(31 * MINUTE)
    assert len(cards(running)) == 1


async def test_the_third_repeat_goes_to_the_admins_too(tmp_path: Path) -> None:
    async with a_stage(tmp_path, roles={"admins": ["ChenJing"], "agents": []}) as stage:
        await stage.live()
        stage.sandbox.group_message("ChenJing", "ChenJing", "/status")
        await stage.sandbox.wait_for_group_message(lambda said: "总览" in said.text)
        number, _ = await alerted(stage)
        for pause in (15, 30, 60):
            assert cards(stage, "ChenJing") == []
            await stage.later(pause * MINUTE + 1)
        [message] = cards(stage, "ChenJing")
        card = await tapped(stage, message, f"end:{number}", "ChenJing", "ChenJing")
        assert "已结束" in shown(card)


async def test_alerts_wait_for_a_group(tmp_path: Path) -> None:
    async with a_stage(tmp_path) as stage:
        group = stage.settings.group.model_copy(update={"chat_ids": [], "webhook": Webhook()})
        stage.settings = stage.settings.model_copy(update={"group": group})
        await stage.live()
        await with_human(stage)
        await stage.later(6 * MINUTE)
        assert cards(stage) == []
        code = stage.bot.desk._code
        await stage.ask(f"/bind {code}")
        await stage.later(20)
        assert len(cards(stage)) == 1


async def test_a_restart_forgets_no_alert_and_repeats_none(running: Stage) -> None:
    number, _ = await alerted(running)
    await running.stop()
    await running.start()
    await running.later(1)
    assert len(cards(running)) == 1
    await running.later(15 * MINUTE)
    assert len(cards(running)) == 2
    watched = await running.bot.core.attention.watched(number)
    assert watched is not None and watched.alerts[Rule.CUSTOMER_WAITING].sends == 2


# -- policies


@pytest.fixture
async def ends_on_message(tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(tmp_path, end={"policy": "on_message"}) as stage:
        await stage.live()
        yield stage


async def test_on_message_ends_what_the_console_routed_to_a_human(ends_on_message: Stage) -> None:
    stage = ends_on_message
    stage.sandbox.account_routing(KF, "human")
    stage.sandbox.customer_writes(KF, ANN, "你好")
    handoff = await stage.no_handoff()
    assert (handoff.ended_by, handoff.via, handoff.operator_id) == ("SYSTEM", "policy", "on_message")
    assert len(stage.moves()) == 1
    await stage.until(lambda: _goodbye(stage))
    assert "再发一次" in stage.goodbyes()[0]

    stage.sandbox.customer_writes(KF, ANN, "你好")
    await stage.until(lambda: _said(stage, "仅智能助手接待"))
    await stage.until(lambda: _ended(stage, 2))
    await stage.settled()
    stage.sandbox.customer_writes(KF, ANN, "你好啊")
    await stage.until(lambda: _ended(stage, 3))
    assert len(stage.moves()) == 3
    assert sum("仅智能助手接待" in text for text in texts(stage)) == 1


async def _goodbye(stage: Stage) -> bool:
    return bool(stage.goodbyes())


async def _ended(stage: Stage, count: int) -> bool:
    found = await stage.bot.core.ledger.history(SessionKey(KF, ANN), count)
    return len(found) == count and not any(each.status.is_open for each in found)


async def test_on_message_leaves_alone_what_the_servicer_has_just_answered(ends_on_message: Stage) -> None:
    stage = ends_on_message
    stage.sandbox.fault("callback", "lose", times=None)
    stage.sandbox.customer_writes(KF, ANN, "你好")
    stage.sandbox.servicer_takes(KF, ANN, "LiNa")
    stage.sandbox.servicer_writes(KF, ANN, "LiNa", "您好")
    stage.sandbox.clear_faults()
    await stage.sandbox.callback_duplicate()
    stage.bot.sync.wake(KF)
    await stage.open_handoff()
    await stage.later(30)
    assert stage.moves() == []


async def test_idle_ends_silence_but_never_a_customer_who_waits(tmp_path: Path) -> None:
    async with a_stage(tmp_path, end={"accounts": {KF: {"policy": "idle", "idle_after": "1h"}}}) as stage:
        await stage.live()
        await with_human(stage, ANN)
        stage.sandbox.servicer_writes(KF, ANN, "ZhangSuQuan", "您好")
        await with_human(stage, BOB)
        await stage.later(61 * MINUTE)
        handoff = await stage.no_handoff(ANN)
        assert (handoff.ended_by, handoff.operator_id) == ("SYSTEM", "idle")
        assert (await stage.open_handoff(BOB)).status.is_open
        await stage.settled()
        assert stage.goodbyes() == [stage.settings.customer.closing.system]
        await stage.later(300 * MINUTE)
        assert len(stage.moves()) == 1


async def test_an_automatic_end_that_wecom_refuses_is_told_once_and_tried_rarely(tmp_path: Path) -> None:
    async with a_stage(tmp_path, end={"policy": "idle", "idle_after": "1h"}) as stage:
        await stage.live()
        await with_human(stage)
        stage.sandbox.servicer_writes(KF, ANN, "ZhangSuQuan", "您好")
        stage.sandbox.fault("kf/service_state/trans", "errcode", errcode=95016, times=None)
        await stage.later(61 * MINUTE)
        for _ in range(20):
            await stage.tick()
        tried = len(stage.moves())
        assert tried <= 2
        assert sum("自动结束没有成功" in text for text in texts(stage)) == 1


async def test_the_bots_own_callback_is_watched(tmp_path: Path) -> None:
    async with a_stage(tmp_path, kf={"poll": 60.0}) as stage:
        await stage.live()
        stage.sandbox.fault("callback", "lose", times=None)
        for _ in range(5):
            stage.sandbox.customer_writes(KF, ANN, "有人吗")
            stage.sandbox.clock_advance(70)
            await stage.synced()
            await stage.bot.alerting.alarms.look()
        alarms = [text for text in texts(stage) if "回调" in text]
        assert len(alarms) == 1
        stage.sandbox.clear_faults()
        stage.sandbox.customer_writes(KF, ANN, "谢谢")
        await stage.sandbox.settled()
        await stage.bot.alerting.alarms.look()
        assert "又收到了" in texts(stage)[-1]


# -- several teams


async def test_each_group_is_alerted_about_its_own_accounts(tmp_path: Path) -> None:
    async with a_stage(tmp_path, group={"routes": {KF2: SECOND}}) as stage:
        stage.sandbox.group_new("售后群", {"WangWei": "王伟"}, SECOND)
        stage.sandbox.groups.groups[SECOND].opened = True
        await stage.live()
        first, second = await with_human(stage, ANN, KF), await with_human(stage, BOB, KF2)
        await stage.later(6 * MINUTE)
        [here], [there] = cards(stage, CHAT), cards(stage, SECOND)
        assert f"end:{first}" in keys(here.card or {}) and f"end:{second}" in keys(there.card or {})
        card = await tapped(stage, there, f"end:{second}", "WangWei", SECOND)
        assert "已结束" in shown(card)
        await stage.until(lambda: _said(stage, "✅", SECOND))
        assert texts(stage, CHAT) == []
