"""The customer ends it in the chat: from the text to the closing message and its rating, in every circumstance."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.leaving import Leaving
from bot.model import EventType, HandoffEvent, HandoffStatus, OperatorType, ServiceState, SessionKey
from bot.sandbox import states
from bot.sessions import Session, offer_greeting
from tests.scenario.conftest import ANN, BOB, CHAT, KF, Stage, a_stage

KEY = SessionKey(KF, ANN)
END = "结束对话"
STATE, TRANS, SEND = "kf/service_state/get", "kf/service_state/trans", "kf/send_msg_on_event"


@pytest.fixture
async def begun(running: Stage) -> Stage:
    return running


@pytest.fixture
async def eager(tmp_path: Path) -> AsyncIterator[Stage]:
    """Its group hears of every end by a customer."""
    async with a_stage(tmp_path, customer={"tell_group": "always"}) as stage:
        await stage.live()
        yield stage


async def with_human(stage: Stage, customer: str = ANN, servicer: str = "ZhangSuQuan") -> int:
    return await stage.with_human(customer, servicer=servicer)


async def events(stage: Stage, number: int, *types: EventType) -> list[HandoffEvent]:
    return [each for each in await stage.bot.core.ledger.events(number) if each.type in types]


async def logged(stage: Stage, number: int, type_: EventType, count: int = 1) -> list[HandoffEvent]:
    async def there() -> list[HandoffEvent]:
        found = await events(stage, number, type_)
        return found if len(found) >= count else []

    found: list[HandoffEvent] = await stage.until(there)
    return found


def texts(stage: Stage) -> list[str]:
    return [each.text for each in stage.sandbox.group_messages(CHAT) if each.source == "bot" and each.text]


# -- the words


async def test_an_end_phrase_ends_the_session_with_a_human(begun: Stage) -> None:
    number = await with_human(begun)
    begun.sandbox.customer_writes(KF, ANN, END)
    handoff = await begun.no_handoff()
    assert (handoff.id, handoff.status) == (number, HandoffStatus.COMPLETED)
    assert (handoff.ended_by, handoff.via, handoff.operator_id) == (OperatorType.USER, "chat", ANN)
    await logged(begun, number, EventType.CLOSING)
    assert begun.sandbox.session(KF, ANN).state == 4
    assert begun.goodbyes() == [begun.settings.customer.closing.user]
    [completed] = await events(begun, number, EventType.COMPLETED)
    assert completed.operator.type is OperatorType.USER
    assert (completed.data["endedBy"], completed.data["via"]) == ("USER", "chat")


@pytest.mark.parametrize("text", ["　结束　對話！", "【结束会话】", "結束人工。。。", "退出人工~", "结束\n对话"])
async def test_it_may_be_written_in_many_ways(begun: Stage, text: str) -> None:
    await with_human(begun)
    begun.sandbox.customer_writes(KF, ANN, text)
    assert (await begun.no_handoff()).ended_by is OperatorType.USER


@pytest.mark.parametrize("text", ["先不要结束对话", "结束对话是什么意思？", "结束", "结束对话结束对话", "不结束对话"])
async def test_other_words_do_not_end_it(begun: Stage, text: str) -> None:
    number = await with_human(begun)
    begun.sandbox.customer_writes(KF, ANN, text)
    await begun.settled()
    assert (await begun.open_handoff()).id == number and begun.moves() == []


async def test_a_tap_on_a_menu_item_ends_it_whatever_its_words(begun: Stage) -> None:
    await with_human(begun)
    begun.sandbox.customer_writes(KF, ANN, "不聊了", menu_id="end")
    assert (await begun.no_handoff()).via == "chat"


async def test_the_servicers_own_words_do_not_end_it(begun: Stage) -> None:
    number = await with_human(begun)
    begun.sandbox.servicer_writes(KF, ANN, "ZhangSuQuan", END)
    await begun.settled()
    assert (await begun.open_handoff()).id == number and begun.moves() == []


async def test_the_phrases_are_the_ones_that_are_set(tmp_path: Path) -> None:
    async with a_stage(tmp_path, customer={"end_phrases": ["Bye Bye"]}) as stage:
        await stage.live()
        await with_human(stage)
        assert await _greeted(stage) == ["发送「Bye Bye」可随时结束人工服务"]
        stage.sandbox.customer_writes(KF, ANN, END)
        await stage.settled()
        assert stage.moves() == []
        stage.sandbox.customer_writes(KF, ANN, "ｂｙｅ-bye!")
        await stage.no_handoff()


# -- where there is nothing to end, or WeCom would not


@pytest.mark.parametrize("state", [0, 1, 4])
async def test_without_a_human_nothing_is_ended(begun: Stage, state: int) -> None:
    if state < 4:
        begun.sandbox.customer_writes(KF, ANN, "你好")
        begun.sandbox.session_state(KF, ANN, state)
    begun.sandbox.customer_writes(KF, ANN, END)
    await begun.settled()
    assert (begun.moves(), begun.goodbyes(), await begun.bot.core.ledger.history(KEY)) == ([], [], [])


async def test_words_of_before_are_no_wish_once_a_human_has_come(begun: Stage) -> None:
    begun.sandbox.customer_writes(KF, ANN, END)
    await begun.settled()
    await with_human(begun)
    await begun.bot.leaving.end_all()
    assert begun.moves() == []


async def test_it_ends_a_session_in_the_queue_where_wecom_allows_it(
    begun: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(states.ALLOWED, 2, frozenset({3, 4}))
    begun.sandbox.account_routing(KF, "queue")
    begun.sandbox.customer_writes(KF, ANN, "你好")
    number = (await begun.open_handoff()).id
    begun.sandbox.customer_writes(KF, ANN, END)
    handoff = await begun.no_handoff()
    assert (handoff.id, handoff.status, handoff.ended_by) == (number, HandoffStatus.CANCELLED, OperatorType.USER)
    await logged(begun, number, EventType.CLOSING)
    assert (begun.goodbyes(), begun.menus()) == ([begun.settings.customer.closing.user], [])


@pytest.mark.parametrize("state", [2, 3])
async def test_a_refusal_is_told_in_the_group_once_and_the_session_stays_open(begun: Stage, state: int) -> None:
    begun.sandbox.account_routing(KF, "queue" if state == 2 else "human")
    begun.sandbox.customer_writes(KF, ANN, "你好")
    number = (await begun.open_handoff()).id
    begun.sandbox.fault(TRANS, "errcode", errcode=95016, times=None)
    for _ in range(3):
        begun.sandbox.customer_writes(KF, ANN, END)
        await begun.settled()
    await begun.sandbox.wait_for_group_message(lambda said: "客户在聊天里要求结束" in said.text)
    assert (await begun.open_handoff()).id == number
    assert [f"#{number}" in text and "95016" in text for text in texts(begun)] == [True]
    assert begun.goodbyes() == []


# -- once


async def test_two_phrases_in_a_row_end_it_once(begun: Stage) -> None:
    number = await with_human(begun)
    begun.sandbox.customer_writes(KF, ANN, END)
    begun.sandbox.customer_writes(KF, ANN, "结束人工")
    await begun.no_handoff()
    await logged(begun, number, EventType.CLOSING)  # by a code that dies when the customer writes again
    begun.sandbox.customer_writes(KF, ANN, END)
    await begun.settled()
    assert (len(begun.moves()), len(begun.goodbyes())) == (1, 1)
    assert len(await begun.bot.core.ledger.history(KEY)) == 1


async def test_the_second_phrase_of_two_spares_the_session_that_it_has_begun(begun: Stage) -> None:
    begun.sandbox.account_routing(KF, "human")
    number = await _routed(begun)
    begun.sandbox.customer_writes(KF, ANN, END)
    await begun.no_handoff()
    begun.sandbox.customer_writes(KF, ANN, END)
    assert (await begun.open_handoff()).id != number
    await begun.settled()
    assert len(begun.moves()) == 1
    begun.sandbox.clock_advance(15)
    begun.sandbox.customer_writes(KF, ANN, END)
    await begun.no_handoff()
    assert len(begun.moves()) == 2


async def test_the_same_page_again_ends_nothing_more(begun: Stage) -> None:
    await with_human(begun)
    begun.sandbox.fault("kf/sync_msg", "repeat_page", times=3)
    begun.sandbox.customer_writes(KF, ANN, END)
    await begun.no_handoff()
    await with_human(begun)
    for _ in range(3):
        await begun.sandbox.callback_duplicate()
    await begun.settled()
    assert (await begun.open_handoff()).status.is_open and len(begun.moves()) == 1


async def test_customer_and_staff_in_the_same_instant_make_one_end(begun: Stage) -> None:
    number = await with_human(begun)
    begun.sandbox.customer_writes(KF, ANN, END)
    answer = await begun.ask(f"/end {number}")
    assert answer[0] in "✅ℹ"
    assert len(await logged(begun, number, EventType.COMPLETED)) == 1
    await logged(begun, number, EventType.CLOSING)
    assert len(begun.goodbyes()) == 1


async def test_the_customers_own_end_goes_before_the_policys(tmp_path: Path) -> None:
    async with a_stage(tmp_path, end={"policy": "on_message"}) as stage:
        await stage.live()
        stage.sandbox.account_routing(KF, "human")
        stage.sandbox.customer_writes(KF, ANN, END)
        handoff = await stage.no_handoff()
        assert (handoff.ended_by, handoff.via) == (OperatorType.USER, "chat")


# -- old news, restarts, outages


async def test_a_phrase_of_before_the_first_start_is_history(stage: Stage) -> None:
    stage.sandbox.customer_writes(KF, ANN, "在吗")
    stage.sandbox.servicer_takes(KF, ANN, "ZhangSuQuan")
    stage.sandbox.customer_writes(KF, ANN, END)
    stage.sandbox.clock_advance(2)
    await stage.start()
    await stage.open_handoff()
    await stage.settled()
    assert stage.moves() == []


@pytest.mark.parametrize("hours", [0, 1])
async def test_a_phrase_of_the_first_moment_is_none(stage: Stage, hours: int) -> None:
    """The bot is called before WeCom has said which accounts there are. The session may be older."""
    stage.sandbox.customer_writes(KF, ANN, "在吗")
    stage.sandbox.servicer_takes(KF, ANN, "ZhangSuQuan")
    stage.sandbox.clock_advance(hours * 3600)
    stage.sandbox.fault("kf/account/list", "delay", seconds=1.5)
    await stage.start()
    stage.sandbox.clock_advance(1)
    stage.sandbox.customer_writes(KF, ANN, END)
    assert (await stage.no_handoff()).ended_by == OperatorType.USER
    assert len(stage.moves()) == 1


@pytest.mark.parametrize(("seconds", "ends"), [(60, True), (130, False)])
async def test_a_phrase_that_was_missed_counts_for_two_minutes(begun: Stage, seconds: float, ends: bool) -> None:
    await with_human(begun)
    await begun.stop()
    begun.sandbox.customer_writes(KF, ANN, END)
    begun.sandbox.clock_advance(seconds)
    await begun.start()
    await begun.settled()
    assert len(begun.moves()) == ends


async def _nobody(leaving: Leaving) -> None:
    """A process that dies as soon as the page is on record."""


async def cut_off(stage: Stage, monkeypatch: pytest.MonkeyPatch, text: str = END) -> None:
    """The phrase is on record, and the process gone before anything came of it."""
    with monkeypatch.context() as patch:
        patch.setattr(Leaving, "end_all", _nobody)
        await stage.stop()
        await stage.start()
        stage.sandbox.customer_writes(KF, ANN, text)
        await stage.until(lambda: stage.bot.core.ledger.asked_ends())
        await stage.stop()
    assert stage.moves() == []


@pytest.mark.parametrize("down", [1, 300])
async def test_a_crash_between_record_and_end_loses_nothing(
    begun: Stage, monkeypatch: pytest.MonkeyPatch, down: float
) -> None:
    number = await with_human(begun)
    await cut_off(begun, monkeypatch)
    begun.sandbox.clock_advance(down)
    await begun.start()
    handoff = await begun.no_handoff()
    assert (handoff.id, handoff.ended_by, handoff.via) == (number, OperatorType.USER, "chat")
    await logged(begun, number, EventType.CLOSING)
    assert (len(begun.moves()), len(begun.goodbyes())) == (1, 1)


async def test_after_a_crash_the_wish_is_gone_if_the_customer_has_written_on(
    begun: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = await with_human(begun)
    await cut_off(begun, monkeypatch)
    begun.sandbox.clock_advance(60)
    begun.sandbox.customer_writes(KF, ANN, "等等，还有一个问题")
    begun.sandbox.clock_advance(60)
    await begun.start()
    await begun.settled()
    assert (await begun.open_handoff()).id == number and begun.moves() == []


async def test_after_a_long_time_down_the_wish_is_gone(begun: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    number = await with_human(begun)
    await cut_off(begun, monkeypatch)
    begun.sandbox.clock_advance(700)
    await begun.start()
    await begun.settled()
    assert (await begun.open_handoff()).id == number and begun.moves() == []


async def test_a_wish_cut_off_in_the_middle_of_its_end_is_settled_as_the_customers(begun: Stage) -> None:
    number = await with_human(begun)
    begun.sandbox.fault(TRANS, "reset_after")
    begun.sandbox.customer_writes(KF, ANN, END)
    await begun.sandbox.wait_for_ledger(lambda entry: entry["kind"] == "trans")
    await begun.stop()
    begun.sandbox.clock_advance(20)
    await begun.start()
    handoff = await begun.no_handoff()
    assert (handoff.id, handoff.ended_by, handoff.via) == (number, OperatorType.USER, "chat")
    assert len(await logged(begun, number, EventType.COMPLETED)) == 1 and len(begun.moves()) == 1


async def test_while_wecom_does_not_answer_the_wish_waits(begun: Stage) -> None:
    number = await with_human(begun)
    begun.sandbox.fault(STATE, "http", errcode=502, times=None)
    begun.sandbox.customer_writes(KF, ANN, END)
    await begun.sandbox.settled()
    await begun.until(lambda: begun.bot.core.ledger.asked_ends())
    await begun.bot.leaving.end_all()
    assert (await begun.open_handoff()).id == number
    begun.sandbox.clear_faults()
    assert (await begun.no_handoff()).ended_by is OperatorType.USER


# -- sessions that nothing told us of


async def _routed(stage: Stage) -> int:
    stage.sandbox.customer_writes(KF, ANN, "你好")
    return (await stage.open_handoff()).id


async def test_it_ends_what_the_console_has_routed_to_a_human(begun: Stage) -> None:
    begun.sandbox.account_routing(KF, "human")
    number = await _routed(begun)
    begun.sandbox.customer_writes(KF, ANN, END)
    assert (await begun.no_handoff()).id == number


async def test_it_ends_what_the_ledger_has_not_heard_of_yet(begun: Stage) -> None:
    """Both messages come in one page, before any state was read."""
    begun.sandbox.account_routing(KF, "human")
    begun.sandbox.customer_writes(KF, ANN, "你好")
    begun.sandbox.customer_writes(KF, ANN, END)
    handoff = await begun.no_handoff()
    assert (handoff.status, handoff.ended_by) == (HandoffStatus.COMPLETED, OperatorType.USER)
    await logged(begun, handoff.id, EventType.CLOSING)
    assert begun.goodbyes() == [begun.settings.customer.closing.user]


async def test_it_ends_what_another_program_handed_over_in_silence(begun: Stage) -> None:
    begun.sandbox.customer_writes(KF, ANN, "转人工")
    await begun.sandbox.settled()
    await begun.synced()
    begun.sandbox.session_state(KF, ANN, 3, "LiNa")
    begun.sandbox.customer_writes(KF, ANN, END)
    handoff = await begun.no_handoff()
    assert (handoff.servicer_userid, handoff.ended_by) == ("LiNa", OperatorType.USER)


# -- the group


async def test_the_group_hears_of_it_where_it_had_an_alert(begun: Stage) -> None:
    number = await with_human(begun)
    await begun.later(6 * 60)
    await begun.sandbox.wait_for_group_message(lambda said: said.card)
    begun.sandbox.customer_writes(KF, ANN, END)
    said = await begun.sandbox.wait_for_group_message(lambda said: "已结束" in said.text)
    assert f"#{number}" in said.text and "客户本人（聊天）" in said.text
    await begun.tick()
    assert len(texts(begun)) == 1


async def test_without_an_alert_the_group_is_left_in_peace(begun: Stage) -> None:
    number = await with_human(begun)
    begun.sandbox.customer_writes(KF, ANN, END)
    await begun.no_handoff()
    await logged(begun, number, EventType.CLOSING)
    await begun.tick()
    assert begun.sandbox.group_messages(CHAT) == []


async def test_or_hears_of_all_if_it_wants_to(eager: Stage) -> None:
    number, other = await with_human(eager), await with_human(eager, BOB)
    eager.sandbox.customer_writes(KF, ANN, END)
    said = await eager.sandbox.wait_for_group_message(lambda said: "已结束" in said.text)
    assert f"#{number}" in said.text and "客户本人（聊天）" in said.text
    eager.sandbox.servicer_ends(KF, BOB)
    await eager.no_handoff(BOB)
    await logged(eager, other, EventType.CLOSING)
    await eager.tick()
    assert len(texts(eager)) == 1
    assert "没有待处理的提醒" in await eager.ask("/alerts")


# -- the greeting


async def _greeted(stage: Stage) -> list[str]:
    async def there() -> list[str]:
        return stage.greetings()

    found: list[str] = await stage.until(there)
    return found


async def test_who_gets_a_human_is_told_how_to_end_it(begun: Stage) -> None:
    number = await with_human(begun)
    [event] = await logged(begun, number, EventType.GREETING)
    assert event.data == {"outcome": "sent", "errcode": 0, "state": 3}
    assert begun.greetings() == ["发送「结束对话」可随时结束人工服务"]
    begun.sandbox.servicer_transfers(KF, ANN, "LiNa")
    await begun.ask(f"/transfer {number} ZhangSuQuan")
    await begun.bot._settle()
    assert len(begun.greetings()) == 1


async def test_one_whom_we_hand_over_from_the_queue_is_told_too(begun: Stage) -> None:
    begun.sandbox.account_routing(KF, "queue")
    begun.sandbox.customer_writes(KF, ANN, "你好")
    number = (await begun.open_handoff()).id
    assert (await begun.ask(f"/transfer {number} LiNa")).startswith("✅")
    await logged(begun, number, EventType.GREETING)
    assert begun.greetings() == ["发送「结束对话」可随时结束人工服务"]


async def test_who_queues_is_told_the_place(begun: Stage) -> None:
    """Nothing of ours puts sessions into the queue yet; here another part does, and hands us the code."""
    begun.sandbox.account_routing(KF, "queue")
    begun.sandbox.customer_writes(KF, BOB, "你好")
    await begun.open_handoff(BOB)
    begun.sandbox.account_routing(KF, "assistant")
    begun.sandbox.customer_writes(KF, ANN, "转人工")
    await begun.settled()
    core, now = begun.bot.core, begun.sandbox.now() + 1
    code = await core.kf.trans(KEY, ServiceState.QUEUED)
    await core.handoffs.read_state(KEY)
    await begun.open_handoff()

    def offer(session: Session) -> None:
        offer_greeting(session, ServiceState.QUEUED, code, now)

    await core.ledger.change(KEY, offer, now)
    await core.greetings.send_all()
    number = (await begun.open_handoff()).id
    [event] = await logged(begun, number, EventType.GREETING)
    assert (event.data["outcome"], event.data["state"]) == ("sent", 2)
    assert begun.greetings() == ["您正在排队，当前第 2 位。发送「结束对话」可随时结束人工服务"]

    begun.sandbox.servicer_takes(KF, ANN, "LiNa")
    await logged(begun, number, EventType.GREETING, 2)
    assert begun.greetings()[1:] == ["发送「结束对话」可随时结束人工服务"]


async def test_the_link_to_the_customers_page_has_its_place(begun: Stage) -> None:
    begun.bot.core.greetings.link = lambda handoff: f"https://kf.example.com/h/{handoff.id}"
    number = await with_human(begun)
    assert await _greeted(begun) == [f"发送「结束对话」可随时结束人工服务\nhttps://kf.example.com/h/{number}"]


async def test_an_empty_greeting_is_none(tmp_path: Path) -> None:
    async with a_stage(tmp_path, customer={"greeting": ""}) as stage:
        await stage.live()
        number = await with_human(stage)
        [event] = await logged(stage, number, EventType.GREETING)
        assert event.data["outcome"] == "skipped" and stage.greetings() == []


async def test_the_consoles_routing_gives_no_code_and_so_no_greeting(begun: Stage) -> None:
    begun.sandbox.account_routing(KF, "human")
    number = await _routed(begun)
    await begun.bot._settle()
    assert (begun.greetings(), await events(begun, number, EventType.GREETING)) == ([], [])


@pytest.mark.parametrize(("fault", "outcome"), [("errcode", "failed"), ("reset_after", "unknown")])
async def test_a_greeting_that_fails_is_recorded_and_not_repeated(begun: Stage, fault: str, outcome: str) -> None:
    begun.sandbox.fault(SEND, fault, errcode=95018 if fault == "errcode" else 0)
    number = await with_human(begun)
    [event] = await logged(begun, number, EventType.GREETING)
    assert event.data["outcome"] == outcome
    for _ in range(3):
        await begun.bot._settle()
    assert len(begun.greetings()) == (outcome == "unknown")


async def test_a_greeting_that_does_not_arrive_is_recorded(begun: Stage) -> None:
    number = await with_human(begun)
    await logged(begun, number, EventType.GREETING)
    [sent] = begun.sandbox.ledger.of("send_msg_on_event")
    begun.sandbox.delivery_fails(KF, ANN, sent["args"]["msgid"], 10)
    assert (await logged(begun, number, EventType.GREETING, 2))[1].data["outcome"] == "failed"


async def test_a_greeting_too_late_for_its_session_is_recorded_as_expired(begun: Stage) -> None:
    await begun.stop()
    begun.sandbox.customer_writes(KF, ANN, "你好")
    begun.sandbox.servicer_takes(KF, ANN, "LiNa")
    begun.sandbox.servicer_ends(KF, ANN)
    begun.sandbox.clock_advance(60)
    await begun.start()
    number = (await begun.no_handoff()).id
    [event] = await logged(begun, number, EventType.GREETING)
    [goodbye] = await logged(begun, number, EventType.CLOSING)
    assert (event.data["outcome"], goodbye.data["outcome"]) == ("expired", "expired")
    assert begun.sandbox.ledger.of("send_msg_on_event") == []


async def test_a_greeting_that_a_dead_process_owed_is_sent_by_the_next(begun: Stage) -> None:
    begun.sandbox.fault(SEND, "http", errcode=502, times=None)
    begun.sandbox.customer_writes(KF, ANN, "在吗")
    begun.sandbox.servicer_takes(KF, ANN, "ZhangSuQuan")
    number = (await begun.open_handoff()).id
    await begun.until(lambda: _tried(begun))
    await begun.stop()
    begun.sandbox.clear_faults()
    await begun.start()
    [event] = await logged(begun, number, EventType.GREETING)
    assert event.data["outcome"] == "sent" and len(begun.greetings()) == 1


async def _tried(stage: Stage) -> bool:
    return stage.sandbox.ledger.calls[SEND] > 0


# -- the rating


async def rated(stage: Stage, number: int, score: str, customer: str = ANN) -> None:
    words = {"good": "满意", "middling": "一般", "bad": "不满意"}[score]
    stage.sandbox.customer_writes(KF, customer, words, menu_id=f"rate:{number}:{score}")
    await stage.settled()


async def ended(stage: Stage, customer: str = ANN) -> int:
    number = await with_human(stage, customer)
    stage.sandbox.customer_writes(KF, customer, END)
    await stage.no_handoff(customer)
    await logged(stage, number, EventType.CLOSING)
    await stage.settled()
    return number


async def test_the_closing_message_asks_for_a_rating_and_the_first_tap_counts(begun: Stage) -> None:
    number = await ended(begun)
    assert begun.menus() == [[f"rate:{number}:{score}" for score in ("good", "middling", "bad")]]
    await rated(begun, number, "middling")
    await rated(begun, number, "good")
    [event] = await events(begun, number, EventType.RATED)
    assert (event.operator.type, event.operator.id) == (OperatorType.USER, ANN)
    assert event.data == {"score": "middling"}
    assert "一般 1" in await begun.ask("/stats")


async def test_an_end_by_staff_asks_too(begun: Stage) -> None:
    number = await with_human(begun)
    begun.sandbox.servicer_ends(KF, ANN)
    await logged(begun, number, EventType.CLOSING)
    assert begun.goodbyes() == [begun.settings.customer.closing.agent]
    assert begun.menus()[0][0] == f"rate:{number}:good"


async def test_a_tap_on_a_rating_is_no_new_enquiry(begun: Stage) -> None:
    number = await ended(begun)
    session = await begun.bot.core.ledger.session(KEY)
    await rated(begun, number, "bad")
    assert len(await events(begun, number, EventType.RATED)) == 1
    await begun.settled()
    after = await begun.bot.core.ledger.session(KEY)
    assert (after.handoff, after.end_asked_at) == (None, None)
    assert after.last_customer_at == session.last_customer_at


async def test_a_tap_on_a_rating_that_lands_with_a_human_is_seen(begun: Stage) -> None:
    """To WeCom it is a message, and begins a session like any other; no event tells where the console puts that."""
    number = await ended(begun)
    begun.sandbox.account_routing(KF, "human")
    await rated(begun, number, "bad")
    assert (await begun.open_handoff()).id > number


async def test_a_tap_of_long_ago_counts_for_its_own_handoff_and_disturbs_no_other(begun: Stage) -> None:
    number = await ended(begun)
    begun.sandbox.clock_advance(86400)
    later = await with_human(begun)
    begun.sandbox.servicer_writes(KF, ANN, "ZhangSuQuan", "您好")
    await begun.until(lambda: _answered(begun))
    await rated(begun, number, "good")
    assert len(await events(begun, number, EventType.RATED)) == 1
    handoff = await begun.open_handoff()
    assert (handoff.id, handoff.waiting_since) == (later, None)


async def _answered(stage: Stage) -> bool:
    return (await stage.open_handoff()).status is HandoffStatus.IN_PROGRESS


async def test_nobody_rates_what_is_not_theirs_or_has_not_ended(begun: Stage) -> None:
    number, bobs = await ended(begun), await with_human(begun, BOB)
    await rated(begun, number, "bad", BOB)
    await rated(begun, bobs, "bad", BOB)
    await rated(begun, 999, "bad")
    assert await events(begun, number, EventType.RATED) == await events(begun, bobs, EventType.RATED) == []


async def test_what_a_rule_has_ended_is_not_rated(tmp_path: Path) -> None:
    async with a_stage(tmp_path, end={"policy": "idle", "idle_after": "1h"}) as stage:
        await stage.live()
        number = await with_human(stage)
        stage.sandbox.servicer_writes(KF, ANN, "ZhangSuQuan", "您好")
        await stage.later(3700)
        await logged(stage, number, EventType.CLOSING)
        assert (stage.goodbyes(), stage.menus()) == ([stage.settings.customer.closing.system], [])


async def test_nobody_is_asked_where_ratings_are_off(tmp_path: Path) -> None:
    async with a_stage(tmp_path, customer={"rating": False}) as stage:
        await stage.live()
        await ended(stage)
        assert (stage.goodbyes(), stage.menus()) == ([stage.settings.customer.closing.user], [])
