"""`/end all` and `/confirm`: two people, one minute, and sessions that go on while it runs."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.model import OperatorType, SessionKey
from tests.scenario.conftest import ANN, BOB, CHAT, KF, KF2, PATIENCE, Stage, a_stage

RULES = ("customer_waiting", "human_idle", "human_open", "queue_waiting")
TRANS = "kf/service_state/trans"
HALF_AN_HOUR = 1860.0


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """Without alerts, which would speak in between."""
    async with a_stage(tmp_path, watch={"rules": dict.fromkeys(RULES, "off")}) as ready:
        await ready.live()
        yield ready


async def with_human(stage: Stage, customer: str = ANN, kf: str = KF, *, answered: bool = True) -> int:
    number = await stage.with_human(customer, kf)
    if answered:
        stage.sandbox.servicer_writes(kf, customer, "ZhangSuQuan", "您好")
        await stage.settled()
    return number


async def planned(stage: Stage, text: str = "/end all idle>30m", userid: str = "LiNa") -> str:
    found = re.search(r"/confirm ([0-9A-Z]+)", await stage.ask(text, userid))
    assert found
    return found[1]


async def test_what_is_listed_is_ended_when_its_author_says_so(stage: Stage) -> None:
    await with_human(stage)
    await with_human(stage, BOB, answered=False)
    stage.sandbox.clock_advance(HALF_AN_HOUR)
    await with_human(stage, ANN, KF2)
    answer = await stage.ask("/结束 全部 空闲＞30分钟")
    assert "将结束 2 个会话" in answer and "小林" in answer and "1 位客户还在等回复" in answer
    assert stage.moves() == []
    code = re.search(r"/confirm (\w+)", answer)
    assert code

    assert "只有本人能确认" in await stage.ask(f"/confirm {code[1]}", userid="ChenJing")
    assert stage.moves() == []
    assert await stage.ask(f"/confirm {code[1]}") == (
        "✅ 已结束 2 · 此前已结束 0 · 跳过 0 · 失败 0 · 待核实 0\n已结束：#1 #2"
    )

    assert [stage.sandbox.session(KF, customer).state for customer in (ANN, BOB)] == [4, 4]
    assert stage.sandbox.session(KF2, ANN).state == 3
    for customer in (ANN, BOB):
        handoff = await stage.no_handoff(customer)
        assert (handoff.ended_by, handoff.operator_id, handoff.via) == (OperatorType.AGENT, "LiNa", "command")
        assert handoff.reason == "idle>30分钟"
    await stage.settled()
    assert stage.goodbyes() == [stage.settings.customer.closing.agent] * 2
    assert "已经用过" in await stage.ask(f"/confirm {code[1]}")
    assert len(stage.moves()) == 2


async def test_a_minute_later_nothing_is_done(stage: Stage) -> None:
    await with_human(stage)
    stage.sandbox.clock_advance(HALF_AN_HOUR)
    code = await planned(stage)
    stage.sandbox.clock_advance(61)
    assert "超过 60 秒" in await stage.ask(f"/confirm {code}")
    assert stage.moves() == []
    code = await planned(stage)
    assert "✅ 已结束 1" in await stage.ask(f"/confirm {code}")


async def test_each_person_has_a_plan_of_their_own_and_another_chat_is_no_place_to_confirm(stage: Stage) -> None:
    number = await with_human(stage)
    stage.sandbox.clock_advance(HALF_AN_HOUR)
    mine, theirs = await planned(stage), await planned(stage, userid="ChenJing")
    assert "已结束 1" in await stage.ask(f"/confirm {theirs}", userid="ChenJing")
    assert "此前已结束 1" in await stage.ask(f"/confirm {mine}")
    assert len(stage.moves()) == 1
    assert (await stage.no_handoff()).id == number


async def test_who_writes_after_the_list_is_left_alone(stage: Stage) -> None:
    await with_human(stage)
    await with_human(stage, BOB)
    stage.sandbox.clock_advance(HALF_AN_HOUR)
    code = await planned(stage)
    stage.sandbox.customer_writes(KF, BOB, "我还在")
    await stage.synced()
    answer = await stage.ask(f"/confirm {code}")
    assert "已结束 1" in answer and "跳过 1" in answer
    assert stage.sandbox.session(KF, BOB).state == 3


async def test_some_have_ended_some_are_refused_some_are_unknown(stage: Stage) -> None:
    await with_human(stage)
    await with_human(stage, BOB)
    stage.sandbox.clock_advance(HALF_AN_HOUR)
    code = await planned(stage)
    stage.sandbox.session_state(KF, BOB, 4)
    stage.sandbox.fault(TRANS, "errcode", errcode=95016, times=None)
    answer = await stage.ask(f"/confirm {code}")
    assert answer.startswith("⚠️ 已结束 0 · 此前已结束 1 · 跳过 0 · 失败 1 · 待核实 0")
    assert "95016" in answer and "仅智能助手接待" in answer
    stage.sandbox.clear_faults()

    code = await planned(stage)
    stage.sandbox.fault(TRANS, "reset_after")
    assert "✅ 已结束 1" in await stage.ask(f"/confirm {code}")


async def test_what_takes_long_tells_how_far_it_is(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await with_human(stage)
    stage.sandbox.clock_advance(HALF_AN_HOUR)
    code, mark = await planned(stage), stage.sandbox.mark
    monkeypatch.setattr("bot.bulk.TELL_EVERY", 0.05)
    stage.sandbox.fault(TRANS, "delay", seconds=2.0)
    stage.sandbox.group_message(CHAT, "LiNa", f"@kfbot /confirm {code}")
    await stage.sandbox.wait_for_group_message(lambda said: said.text == "⏳ 批量结束：0/1", PATIENCE, mark)
    await stage.sandbox.wait_for_group_message(lambda said: said.text.startswith("✅ 已结束 1"), PATIENCE, mark)


@pytest.mark.parametrize("condition", ["", "idle", "idle>10", "idle>-5m", "idle>1000d", "all", "idle>30m open>1h"])
async def test_bad_conditions_do_nothing(stage: Stage, condition: str) -> None:
    await with_human(stage)
    stage.sandbox.clock_advance(40 * 3600)
    answer = await stage.ask(f"/end all {condition}")
    assert "用法：`/end all 条件`" in answer and "/confirm" not in answer
    assert stage.moves() == []


async def test_a_plan_does_not_outlive_its_process_and_says_so(stage: Stage) -> None:
    await with_human(stage)
    stage.sandbox.clock_advance(HALF_AN_HOUR)
    code = await planned(stage)
    await stage.stop()
    await stage.start()
    assert "没有等您确认" in await stage.ask(f"/confirm {code}", chat=CHAT)
    assert await stage.bot.core.ledger.open_handoff(SessionKey(KF, ANN)) is not None
