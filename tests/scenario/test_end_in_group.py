"""From a group frame to WeCom's call, the row and the reply: `/end` in every circumstance."""

from __future__ import annotations

import asyncio

from bot.kf_sync import LATELY
from bot.model import EventType, HandoffStatus, OperatorType, Via
from tests.scenario.conftest import ANN, BOB, CHAT, KF, KF2, PATIENCE, Stage


async def _with_human(stage: Stage, customer: str = ANN, kf: str = KF) -> int:
    return await stage.with_human(customer, kf)


async def test_a_session_ends_and_the_customer_hears_goodbye(running: Stage) -> None:
    number = await _with_human(running)
    running.sandbox.servicer_writes(KF, ANN, "ZhangSuQuan", "您好")

    answer = await running.ask("/end wm7l 已解决")

    assert answer.startswith("✅ 已结束") and f"#{number}" in answer and "结束语已发送" in answer
    assert running.sandbox.session(KF, ANN).state == 4
    [move] = running.moves()
    assert move["args"]["servicer_userid"] == "ZhangSuQuan"
    assert running.goodbyes() == [running.settings.customer.closing.agent]
    handoff = await running.no_handoff()
    assert (handoff.status, handoff.ended_by) == (HandoffStatus.COMPLETED, OperatorType.AGENT)
    assert (handoff.operator_id, handoff.via, handoff.reason) == ("LiNa", "command", "已解决")


async def test_the_log_of_the_handoff_tells_the_whole_story(running: Stage) -> None:
    number = await _with_human(running)
    running.sandbox.servicer_writes(KF, ANN, "ZhangSuQuan", "您好")
    await running.until(lambda: _in_progress(running))
    await running.ask(f"/end {number}")

    events = await running.bot.core.ledger.events(number)

    kinds = [event.type for event in events]
    assert kinds == [
        EventType.REQUESTED,
        EventType.ACCEPTED,
        EventType.GREETING,
        EventType.PROGRESS,
        EventType.ENDING,
        EventType.COMPLETED,
        EventType.CLOSING,
    ]
    completed = events[5]
    assert (completed.data["endedBy"], completed.data["via"]) == ("AGENT", "command")
    assert completed.operator.id == "LiNa"


async def _in_progress(stage: Stage) -> bool:
    return (await stage.open_handoff()).status is HandoffStatus.IN_PROGRESS


async def test_it_takes_three_calls_and_the_closing_message(running: Stage) -> None:
    await _with_human(running)
    before = running.sandbox.ledger.calls.copy()
    await running.ask("/end wm7l")
    calls = running.sandbox.ledger.calls - before
    state = sum(count for path, count in calls.items() if "service_state" in path)
    assert state == 3
    assert sum(count for path, count in calls.items() if "send_msg_on_event" in path) == 1


async def test_ending_twice_says_who_ended_it(running: Stage) -> None:
    number = await _with_human(running)
    await running.ask("/end wm7l")
    for name in (str(number), "wm7l", ANN):
        answer = await running.ask(f"/end {name}", userid="ChenJing")
        assert "此前已经结束：LiNa" in answer
    assert len(running.moves()) == 1


async def test_two_people_ending_at_once_make_one_end(running: Stage) -> None:
    number = await _with_human(running)
    mark = running.sandbox.mark
    running.sandbox.fault("kf/service_state/trans", "delay", seconds=0.3)
    running.sandbox.group_message("wrTESTGROUP", "LiNa", f"@kfbot /end {number}")
    running.sandbox.group_message("wrTESTGROUP", "ChenJing", f"@kfbot /end {number}")

    def both() -> list[str]:
        said = [each for each in running.sandbox.group_messages("wrTESTGROUP") if each.n > mark]
        answers = [each.text for each in said if each.source == "bot"]
        return answers if len(answers) == 2 else []

    answers = await running.sandbox.changes.until(both, PATIENCE)
    assert sorted(answer[0] for answer in answers) == ["ℹ", "✅"]
    assert len(running.moves()) == 1
    events = await running.bot.core.ledger.events(number)
    assert [event.type for event in events].count(EventType.COMPLETED) == 1
    await running.settled()
    assert len(running.goodbyes()) == 1


async def test_a_servicer_no_longer_known_is_left_out(running: Stage) -> None:
    await _with_human(running)
    running.sandbox.fault("kf/service_state/trans", "errcode", errcode=95014)
    answer = await running.ask("/end wm7l")
    assert answer.startswith("✅")
    refused, done = running.moves()
    assert "servicer_userid" in refused["args"] and "servicer_userid" not in done["args"]


async def test_95016_leaves_it_open_and_says_what_to_do(running: Stage) -> None:
    number = await _with_human(running)
    running.sandbox.fault("kf/service_state/trans", "errcode", errcode=95016, times=None)
    answer = await running.ask("/end wm7l")
    assert answer.startswith("❌") and "95016" in answer and "删除会话" in answer and "仅智能助手接待" in answer
    handoff = await running.bot.core.ledger.handoff(number)
    assert handoff is not None and handoff.status.is_open
    assert len(running.moves()) <= 2


async def test_the_servicer_was_faster(running: Stage) -> None:
    await _with_human(running)
    running.sandbox.servicer_ends(KF, ANN)
    handoff = await running.no_handoff()
    assert (handoff.ended_by, handoff.via, handoff.operator_id) == (OperatorType.AGENT, "client", "ZhangSuQuan")
    assert "此前已经结束：ZhangSuQuan" in await running.ask("/end wm7l")
    await running.settled()
    assert running.goodbyes() == [running.settings.customer.closing.agent]


async def test_a_number_never_ends_the_next_session_though_no_callback_has_told_of_it(running: Stage) -> None:
    number = await _with_human(running)
    running.sandbox.fault("callback", "lose", times=None)
    running.sandbox.servicer_ends(KF, ANN)
    running.sandbox.customer_writes(KF, ANN, "还有一个问题")
    running.sandbox.servicer_takes(KF, ANN, "LiNa")
    running.sandbox.clock_advance(LATELY)

    running.sandbox.group_message(CHAT, "LiNa", f"@kfbot /end {number}")

    answer = await running.sandbox.wait_for_group_message(lambda said: f"#{number}" in said.text, PATIENCE)
    assert "已经结束" in answer.text and "ZhangSuQuan" in answer.text
    assert running.moves() == [] and running.sandbox.session(KF, ANN).state == 3
    assert (await running.open_handoff()).id > number


async def test_an_answer_that_got_lost_is_read_back(running: Stage) -> None:
    await _with_human(running)
    running.sandbox.fault("kf/service_state/trans", "reset_after")
    answer = await running.ask("/end wm7l")
    assert answer.startswith("✅")
    assert len(running.moves()) == 1


async def test_a_busy_wecom_that_has_done_it_all_the_same_has_done_it_for_us(running: Stage) -> None:
    """The repetition of the move finds the session over, and so it would seem that somebody else had ended it."""
    number = await _with_human(running)
    running.sandbox.fault("kf/service_state/trans", "busy_after")
    answer = await running.ask("/end wm7l", userid="LiNa")
    assert answer.startswith("✅") and "不是" not in answer
    handoff = await running.bot.core.ledger.handoff(number)
    assert handoff is not None and (handoff.via, handoff.operator_id) == (Via.COMMAND, "LiNa")


async def test_a_call_that_never_arrived_is_made_again(running: Stage) -> None:
    await _with_human(running)
    running.sandbox.fault("kf/service_state/trans", "reset_before")
    assert (await running.ask("/end wm7l")).startswith("✅")
    assert running.sandbox.session(KF, ANN).state == 4


async def test_wecom_down_before_anything_is_done_is_said_and_nothing_is_pretended(running: Stage) -> None:
    number = await _with_human(running)
    running.sandbox.fault("kf/service_state/get", "reset_before", times=None)
    async with asyncio.timeout(10):
        answer = await running.ask("/end wm7l")
    assert answer.startswith("❌") and "没有应答" in answer
    running.sandbox.clear_faults()
    assert f"#{number}" in await running.ask("/end wm7l")
    assert running.sandbox.session(KF, ANN).state == 4


async def test_an_end_of_unknown_outcome_is_said_within_ten_seconds_and_converges(running: Stage) -> None:
    number = await _with_human(running)
    running.sandbox.fault("kf/service_state/trans", "reset_after")
    mark = running.sandbox.mark
    async with asyncio.timeout(10):
        asking = asyncio.create_task(running.ask("/end wm7l 超时"))
        await running.sandbox.wait_for_ledger(lambda entry: entry["kind"] == "trans")
        running.sandbox.fault("kf/service_state/get", "reset_before", times=None)
        answer = await asking
    assert answer.startswith("⏳") and "没有应答" in answer

    running.sandbox.clear_faults()
    later = await running.sandbox.wait_for_group_message(lambda said: "✅" in said.text, PATIENCE, mark)

    assert f"#{number}" in later.text
    handoff = await running.no_handoff()
    assert (handoff.id, handoff.ended_by, handoff.reason) == (number, OperatorType.AGENT, "超时")
    assert len(running.moves()) == 1


async def test_ambiguous_names_do_nothing(running: Stage) -> None:
    await _with_human(running)
    await _with_human(running, ANN, KF2)
    answer = await running.ask("/end wm7l")
    assert "匹配到多个客户" in answer and "#1" in answer and "#2" in answer
    assert running.moves() == []


async def test_a_quoted_message_names_the_customer(running: Stage) -> None:
    await _with_human(running)
    await _with_human(running, BOB)
    await running.ask("/list")
    status = running.sandbox.mark
    await running.ask("/status wmQ4")
    quoted = next(
        said
        for said in reversed(running.sandbox.group_messages("wrTESTGROUP"))
        if said.n > status and said.source == "bot"
    )
    answer = await running.ask("/end 谢谢", quote=quoted.id)
    assert answer.startswith("✅") and "Bob" in answer
    assert running.sandbox.session(KF, ANN).state == 3
    assert (await running.no_handoff(BOB)).reason == "谢谢"


async def test_a_queued_session_that_wecom_keeps_stays_open(running: Stage) -> None:
    running.sandbox.account_routing(KF, "queue")
    running.sandbox.customer_writes(KF, ANN, "有人吗")
    handoff = await running.open_handoff()
    assert handoff.status is HandoffStatus.PENDING
    answer = await running.ask("/end wm7l")
    assert answer.startswith("❌") and "排队" in answer
    assert (await running.open_handoff()).id == handoff.id


async def test_ids_of_nobody_and_junk_get_a_sentence(running: Stage) -> None:
    assert "没有找到客户" in await running.ask("/end wmNobodyAtAll")
    assert "没有编号为 #99" in await running.ask("/end 99")
    assert "用法：`/end 客户 [原因]`" in await running.ask("/end")
    assert "太短" in await running.ask("/end wm7")
    assert running.moves() == []
