"""From callback bytes to the row: whoever puts a session into human hands, it is on record."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot import untold
from bot.model import Handoff, HandoffStatus, OperatorType, ServiceState, SessionKey, Via
from bot.sessions import HOUR
from tests.scenario.conftest import ANN, BOB, KF, Stage, a_stage


async def test_a_servicer_takes_answers_hands_over_and_ends(running: Stage) -> None:
    box = running.sandbox
    box.account_routing(KF, "queue")
    box.customer_writes(KF, ANN, "你好")
    assert (await running.open_handoff()).status is HandoffStatus.PENDING

    box.servicer_takes(KF, ANN, "ZhangSuQuan")
    await running.until(lambda: _status(running, HandoffStatus.ACCEPTED))
    box.servicer_writes(KF, ANN, "ZhangSuQuan", "您好")
    await running.until(lambda: _status(running, HandoffStatus.IN_PROGRESS))
    box.servicer_transfers(KF, ANN, "LiNa")
    await running.until(lambda: _served_by(running, "LiNa"))
    box.servicer_ends(KF, ANN)

    handoff = await running.no_handoff()
    await running.settled()
    assert handoff.status is HandoffStatus.COMPLETED
    assert (handoff.ended_by, handoff.operator_id) == (OperatorType.AGENT, "LiNa")
    assert running.goodbyes() == [running.settings.customer.closing.agent]
    assert running.moves() == []


async def test_the_consoles_routing_is_found_by_reading_the_state(running: Stage) -> None:
    running.sandbox.account_routing(KF, "human")
    running.sandbox.customer_writes(KF, ANN, "你好")
    handoff = await running.open_handoff()
    assert handoff.status is HandoffStatus.ACCEPTED and handoff.servicer_userid
    assert handoff.waiting_since is not None


async def test_another_program_hands_over_after_the_customers_last_word(running: Stage) -> None:
    running.sandbox.customer_writes(KF, ANN, "转人工")
    await running.until(lambda: _assisted(running))
    running.sandbox.session_state(KF, ANN, 3, "LiNa")
    assert (await running.open_handoff()).servicer_userid == "LiNa"


async def _assisted(stage: Stage) -> bool:
    return (await stage.bot.core.ledger.session(SessionKey(KF, ANN))).state is ServiceState.NEW


async def test_a_servicer_who_writes_again_opens_a_handoff_that_names_the_old_one(running: Stage) -> None:
    box = running.sandbox
    box.customer_writes(KF, ANN, "你好")
    box.servicer_takes(KF, ANN, "ZhangSuQuan")
    first = await running.open_handoff()
    await running.ask("/end wm7l")
    box.servicer_writes(KF, ANN, "ZhangSuQuan", "还有一件事")

    second = await running.open_handoff()

    assert second.id != first.id and second.previous_id == first.id
    assert f"接续 #{first.id}" in await running.ask("/history wm7l")


async def test_the_same_news_twice_changes_nothing(running: Stage) -> None:
    box = running.sandbox
    box.fault("kf/sync_msg", "repeat_page", times=3)
    box.customer_writes(KF, ANN, "你好")
    box.servicer_takes(KF, ANN, "ZhangSuQuan")
    number = (await running.open_handoff()).id
    for _ in range(3):
        await box.callback_duplicate()
    await box.settled()
    box.servicer_ends(KF, ANN)
    assert (await running.no_handoff()).id == number
    events = await running.bot.core.ledger.events(number)
    assert len({event.type for event in events}) == len(events)


async def test_sessions_stuck_before_the_first_start_are_listed_and_their_history_is_not_acted_upon(
    stage: Stage,
) -> None:
    box = stage.sandbox
    box.customer_writes(KF, ANN, "在吗")
    box.servicer_takes(KF, ANN, "ZhangSuQuan")
    box.customer_writes(KF, BOB, "你好")
    box.servicer_takes(KF, BOB, "LiNa")
    box.servicer_ends(KF, BOB)
    box.clock_advance(1800)
    box.customer_writes(KF, ANN, "还在吗")
    box.clock_advance(60)

    await stage.start()

    handoff = await stage.open_handoff()
    assert handoff.servicer_userid == "ZhangSuQuan"
    assert await stage.bot.core.ledger.history(SessionKey(KF, BOB)) == []
    await stage.settled()
    assert box.ledger.of("send_msg_on_event") == []
    assert "小林" in await stage.ask("/list")


async def test_what_happened_while_the_bot_was_down_is_caught_up(stage: Stage) -> None:
    box = stage.sandbox
    await stage.live()
    box.customer_writes(KF, ANN, "你好")
    box.servicer_takes(KF, ANN, "ZhangSuQuan")
    number = (await stage.open_handoff()).id
    await stage.stop()
    box.servicer_ends(KF, ANN)
    box.customer_writes(KF, BOB, "有人吗")
    box.servicer_takes(KF, BOB, "LiNa")

    await stage.start()

    assert (await stage.no_handoff()).id == number
    assert (await stage.open_handoff(BOB)).servicer_userid == "LiNa"


async def test_a_lost_callback_is_made_good_by_the_poll(tmp_path: Path) -> None:
    async with a_stage(tmp_path, kf={"poll": "2s"}) as stage:
        await stage.live()
        stage.sandbox.fault("callback", "lose", times=None)
        stage.sandbox.customer_writes(KF, ANN, "你好")
        stage.sandbox.servicer_takes(KF, ANN, "ZhangSuQuan")
        assert (await stage.open_handoff()).servicer_userid == "ZhangSuQuan"


async def test_an_end_whose_callback_is_lost_is_the_servicers_whoever_sees_it_first(running: Stage) -> None:
    """The state is read before the event is."""
    await running.with_human()
    running.sandbox.fault("callback", "lose", times=None)
    running.sandbox.servicer_ends(KF, ANN)
    answer = await running.ask("/status wm7l")
    handoff = await running.no_handoff()
    assert (handoff.via, handoff.operator_id) == (Via.CLIENT, "ZhangSuQuan")
    assert "ZhangSuQuan" in answer and "/end" not in answer
    await running.settled()
    assert running.goodbyes() == [running.settings.customer.closing.agent]


async def test_so_it_is_after_a_restart_where_the_stream_could_not_be_read_before(
    running: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(untold, "ENOUGH", HOUR)  # however slow this machine is
    number = await running.with_human()
    running.sandbox.fault("kf/sync_msg", "http", errcode=502, times=None)
    running.sandbox.servicer_ends(KF, ANN)
    await running.ask("/status wm7l")
    assert (await running.open_handoff()).id == number
    await running.stop()
    running.sandbox.clear_faults()
    await running.start()
    handoff = await running.no_handoff()
    assert (handoff.id, handoff.via, handoff.operator_id) == (number, Via.CLIENT, "ZhangSuQuan")


@pytest.mark.parametrize("ends", [False, True])
async def test_what_began_while_the_bot_was_down_is_dated_from_the_stream(stage: Stage, ends: bool) -> None:
    """Whatever is due to be read at the start: the state does not say since when it holds."""
    box = stage.sandbox
    await stage.live()
    box.customer_writes(KF, ANN, "你好")
    await stage.until(lambda: _assisted(stage))
    await stage.stop()
    box.clock_advance(5)
    began = int(box.now())
    box.servicer_takes(KF, ANN, "LiNa")
    box.clock_advance(5)
    if ends:
        box.servicer_ends(KF, ANN)
    box.clock_advance(600)
    await stage.start()
    handoff = await (_a_past_one(stage) if ends else stage.open_handoff())
    assert (handoff.requested_at, handoff.servicer_userid) == (began, "LiNa")
    assert handoff.via == (Via.CLIENT if ends else None)


async def _a_past_one(stage: Stage) -> Handoff:
    await stage.until(lambda: stage.bot.core.ledger.history(SessionKey(KF, ANN)))
    return await stage.no_handoff()


async def test_names_of_customers_are_learned(running: Stage) -> None:
    running.sandbox.customer_writes(KF, ANN, "你好")
    running.sandbox.servicer_takes(KF, ANN, "ZhangSuQuan")
    await running.open_handoff()
    await running.until(lambda: running.bot.core.people.nicknames([ANN]))
    assert "小林" in await running.ask("/list")


async def test_words_of_customers_cannot_format_the_groups_messages(running: Stage) -> None:
    evil = running.sandbox.customer_new("<@all>[点我](http://evil)", "wmEvil00000000000000000000000001")
    running.sandbox.customer_writes(KF, evil, "**x** <font color='warning'>y</font> `z`\n# big")
    running.sandbox.servicer_takes(KF, evil, "LiNa")
    await running.open_handoff(evil)
    await running.until(lambda: running.bot.core.people.nicknames([evil]))
    answer = await running.ask("/status wmEvil")
    for mark in ("<@", "](", "<font", "://", "**x**", "\n#"):
        assert mark not in answer, mark


async def _status(stage: Stage, status: HandoffStatus) -> bool:
    return (await stage.open_handoff()).status is status


async def _served_by(stage: Stage, userid: str) -> bool:
    return (await stage.open_handoff()).servicer_userid == userid
