"""`/transfer` and `/servicers` from the group to WeCom and back into the record."""

from __future__ import annotations

import asyncio

import pytest

from bot.model import EventType, HandoffStatus, SessionKey
from tests.scenario.conftest import ANN, KF, Stage

TRANS = "kf/service_state/trans"


async def with_human(stage: Stage) -> int:
    return await stage.with_human()


async def handovers(stage: Stage, number: int) -> list[tuple[EventType, str, str | None]]:
    """(type, who did it, who has it now) of each time somebody got the session."""
    events = await stage.bot.core.ledger.events(number)
    wanted = (EventType.ACCEPTED, EventType.TRANSFERRED)
    return [(each.type, each.operator.id, each.data.get("agentId")) for each in events if each.type in wanted]


ACCEPTED = (EventType.ACCEPTED, "ZhangSuQuan", "ZhangSuQuan")
TRANSFERRED = (EventType.TRANSFERRED, "ChenJing", "LiNa")


async def test_a_session_is_with_the_other_servicer_and_the_record_says_who_did_it(running: Stage) -> None:
    number = await with_human(running)
    answer = await running.ask("/转接 wm7l lina", userid="ChenJing")
    assert answer.startswith("✅") and "ZhangSuQuan → LiNa" in answer
    session = running.sandbox.session(KF, ANN)
    assert (session.state, session.servicer) == (3, "LiNa")
    assert await handovers(running, number) == [ACCEPTED, TRANSFERRED]
    assert "LiNa" in await running.ask(f"/status {number}")
    running.sandbox.servicer_writes(KF, ANN, "LiNa", "您好，我来接着处理")
    await running.until(lambda: in_progress(running))
    assert await handovers(running, number) == [ACCEPTED, TRANSFERRED]


async def in_progress(stage: Stage) -> bool:
    return (await stage.open_handoff()).status is HandoffStatus.IN_PROGRESS


async def test_wecoms_own_event_of_the_same_adds_nothing(running: Stage) -> None:
    number = await with_human(running)
    await running.ask(f"/transfer {number} LiNa", userid="ChenJing")
    running.sandbox.servicer_transfers(KF, ANN, "LiNa")
    await running.synced()
    assert await handovers(running, number) == [ACCEPTED, TRANSFERRED]


async def test_from_the_queue_it_is_accepted_by_whom_it_was_given_to(running: Stage) -> None:
    running.sandbox.account_routing(KF, "queue")
    running.sandbox.customer_writes(KF, ANN, "有人吗")
    number = (await running.open_handoff()).id
    assert "排队 → LiNa" in await running.ask(f"/transfer {number} LiNa", userid="ChenJing")
    assert await handovers(running, number) == [(EventType.ACCEPTED, "ChenJing", "LiNa")]
    assert (await running.open_handoff()).status is HandoffStatus.ACCEPTED


async def test_who_has_just_stopped_receiving_gets_nothing(running: Stage) -> None:
    number = await with_human(running)
    running.sandbox.servicer_status(KF, "LiNa", 1)
    answer = await running.ask(f"/transfer {number} LiNa")
    assert "LiNa 没有在接待" in answer and "`ZhangSuQuan`（1）" in answer
    assert running.sandbox.session(KF, ANN).servicer == "ZhangSuQuan"
    assert "⚪ LiNa · 停止接待 · 0 个会话" in await running.ask("/servicers")


async def test_an_ended_session_is_not_brought_back(running: Stage) -> None:
    number = await with_human(running)
    running.sandbox.servicer_ends(KF, ANN)
    answer = await running.ask(f"/transfer {number} LiNa")
    assert "已经结束，不能转接" in answer
    assert running.sandbox.session(KF, ANN).state == 4


@pytest.mark.parametrize("errcode", [95014, 95016, 95019])
async def test_a_refusal_is_told_with_who_could_have_it(running: Stage, errcode: int) -> None:
    number = await with_human(running)
    running.sandbox.fault(TRANS, "errcode", errcode=errcode)
    answer = await running.ask(f"/transfer {number} LiNa")
    assert answer.startswith("❌") and str(errcode) in answer and "`ZhangSuQuan`（1）" in answer
    assert await handovers(running, number) == [ACCEPTED]


async def test_95013_under_our_hands_is_an_ended_session(running: Stage) -> None:
    number = await with_human(running)
    running.sandbox.fault(TRANS, "errcode", errcode=95013)
    assert "已经结束" in await running.ask(f"/transfer {number} LiNa")


async def test_an_answer_that_got_lost_is_read_back_and_not_asked_for_again(running: Stage) -> None:
    number = await with_human(running)
    running.sandbox.fault(TRANS, "reset_after")
    assert (await running.ask(f"/transfer {number} LiNa", userid="ChenJing")).startswith("✅")
    assert len(running.sandbox.ledger.of("trans")) == 1
    assert await handovers(running, number) == [ACCEPTED, TRANSFERRED]


async def test_without_any_answer_the_asker_is_told_so_in_time_and_the_record_catches_up(running: Stage) -> None:
    number = await with_human(running)
    running.sandbox.fault(TRANS, "reset_after")
    async with asyncio.timeout(10):
        asking = asyncio.create_task(running.ask(f"/transfer {number} LiNa"))
        await running.sandbox.wait_for_ledger(lambda entry: entry["kind"] == "trans")
        running.sandbox.fault("kf/service_state/get", "reset_before", times=None)
        answer = await asking
    assert answer.startswith("⏳") and "/status" in answer
    running.sandbox.clear_faults()
    await running.ask(f"/status {number}")
    handoff = await running.bot.core.ledger.open_handoff(SessionKey(KF, ANN))
    assert handoff is not None and (handoff.id, handoff.servicer_userid) == (number, "LiNa")


async def test_servicers_come_with_their_load(running: Stage) -> None:
    await with_human(running)
    answer = await running.ask("/接待")
    assert "售前咨询：2 人中 2 人正在接待" in answer and "售后服务" in answer
    assert answer.index("🟢 ZhangSuQuan · 正在接待 · 1 个会话") < answer.index("🟢 LiNa · 正在接待 · 0 个会话")
