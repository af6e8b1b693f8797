"""The closing message: once, within its 20 seconds, in the words for who ended it."""

from __future__ import annotations

import asyncio

import pytest

from bot.closing import ClosingMessages
from bot.errors import RateLimited, WeComBusy, WeComError
from bot.model import EventType, Handoff, HandoffStatus, KfItem, Operator, OperatorType, SessionKey, Via
from bot.phrases import rating
from bot.sessions import ClosingDraft, Session, Undelivered, finish, open_handoff, servicer_wrote
from storage.ledger import Ledger
from tests.fakes import ANN, BOB, ENDED, HUMAN, KF, LI, FakeClock, FakeKf, FakeSleep, raising, refusal, unavailable

TEXTS = {OperatorType.USER: "您已结束对话", OperatorType.AGENT: "客服已结束对话", OperatorType.SYSTEM: "对话已自动结束"}
BUSY = WeComBusy(-1, "system busy", "/cgi-bin/kf/send_msg_on_event")
LIMITED = RateLimited(45033, "concurrent calls", "/cgi-bin/kf/send_msg_on_event")


@pytest.fixture
def closings(fake_kf: FakeKf, ledger: Ledger, fake_clock: FakeClock, fake_sleep: FakeSleep) -> ClosingMessages:
    return ClosingMessages(
        fake_kf, ledger, fake_clock, lambda handoff: TEXTS[handoff.ended_by or OperatorType.SYSTEM], fake_sleep
    )


async def ended(ledger: Ledger, kf: FakeKf, by: OperatorType = OperatorType.AGENT, customer: str = ANN) -> Handoff:
    """A handoff that has just ended, with its code on record."""
    key = SessionKey(KF, customer)
    kf.customer_writes(KF, customer, "在吗")
    kf.session_state(KF, customer, HUMAN, LI)
    code, now = kf.servicer_ends(KF, customer), kf.now()

    def decide(session: Session) -> Handoff:
        servicer_wrote(session, now - 60, LI, now)
        handoff = finish(session, Operator(by, "x"), Via.COMMAND, now)
        session.closings.append(ClosingDraft(handoff, code, now + 20))
        return handoff

    handoff = await ledger.change(key, decide, now)
    kf.calls.clear()
    return handoff


async def outcome(ledger: Ledger, handoff: Handoff) -> tuple[str, object]:
    """What the log says of the last try."""
    event = (await ledger.events(handoff.id))[-1]
    assert event.type is EventType.CLOSING
    return await ledger.code_state(handoff.id, ENDED), event.data["outcome"]


@pytest.mark.parametrize("by", OperatorType)
async def test_it_is_worded_by_who_ended_it(
    closings: ClosingMessages, ledger: Ledger, fake_kf: FakeKf, by: OperatorType
) -> None:
    handoff = await ended(ledger, fake_kf, by)
    assert await closings.send(handoff.id) == "sent"
    ((_, message, msgid),) = fake_kf.sent
    assert message.text == TEXTS[by]
    assert len(msgid) <= 32
    assert await outcome(ledger, handoff) == ("sent", "sent")


async def test_it_is_sent_once(closings: ClosingMessages, ledger: Ledger, fake_kf: FakeKf) -> None:
    handoff = await ended(ledger, fake_kf)
    said = await asyncio.gather(*(closings.send(handoff.id) for _ in range(3)))
    assert "sent" in said
    assert set(said) <= {"sent", "sending"}
    assert await closings.send(handoff.id) == "sent"
    assert len(fake_kf.called("send_on_event")) == 1


async def test_without_words_none_is_sent(ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock) -> None:
    silent = ClosingMessages(fake_kf, ledger, fake_clock, lambda handoff: "")
    handoff = await ended(ledger, fake_kf)
    assert await silent.send(handoff.id) == "skipped"
    assert fake_kf.calls == []


async def test_a_handoff_without_code_has_nothing_to_send(closings: ClosingMessages) -> None:
    assert await closings.send(99) == ""


@pytest.mark.parametrize("passing", [unavailable(), unavailable(sent=False), BUSY, LIMITED])
async def test_passing_trouble_is_tried_again(
    closings: ClosingMessages, ledger: Ledger, fake_kf: FakeKf, passing: WeComError
) -> None:
    handoff = await ended(ledger, fake_kf)
    fake_kf.before("send_on_event", raising(passing), raising(passing))
    assert await closings.send(handoff.id) == "sent"
    assert len(fake_kf.sent) == 1


async def test_a_refusal_is_final(closings: ClosingMessages, ledger: Ledger, fake_kf: FakeKf) -> None:
    handoff = await ended(ledger, fake_kf)
    fake_kf.before("send_on_event", raising(refusal(95018)))
    assert await closings.send(handoff.id) == "failed"
    assert await outcome(ledger, handoff) == ("failed", "failed")


async def test_after_a_lost_answer_a_refusal_may_mean_that_it_went_through(
    closings: ClosingMessages, ledger: Ledger, fake_kf: FakeKf
) -> None:
    handoff = await ended(ledger, fake_kf)
    fake_kf.after("send_on_event", raising(unavailable()))
    assert await closings.send(handoff.id) == "unknown"
    assert len(fake_kf.sent) == 1


@pytest.mark.parametrize(("sent", "expected"), [(True, "unknown"), (False, "expired")])
async def test_a_dead_code_ends_the_tries(
    closings: ClosingMessages, ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock, sent: bool, expected: str
) -> None:
    handoff, began = await ended(ledger, fake_kf), fake_clock.now()
    fake_kf.down = unavailable(sent=sent)
    assert await closings.send(handoff.id) == expected
    assert 20 <= fake_clock.now() - began < 21


async def test_a_code_found_dead_is_not_tried(
    closings: ClosingMessages, ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock
) -> None:
    handoff = await ended(ledger, fake_kf)
    fake_clock.move(21)
    assert (await closings.send(handoff.id), fake_kf.calls) == ("expired", [])
    assert await outcome(ledger, handoff) == ("expired", "expired")
    await closings.send_all()
    assert await ledger.due_codes(ENDED) == []


async def test_a_slow_one_does_not_cost_another_its_time(
    closings: ClosingMessages, ledger: Ledger, fake_kf: FakeKf
) -> None:
    for customer in (ANN, BOB):
        await ended(ledger, fake_kf, customer=customer)
    stuck, go = asyncio.Event(), asyncio.Event()

    async def hook() -> None:
        stuck.set()
        await go.wait()

    fake_kf.before("send_on_event", hook)
    fake_kf.after("send_on_event", go.set)
    await closings.send_all()
    assert len(fake_kf.sent) == 2


async def test_what_a_dead_process_was_sending_may_have_arrived_before_its_code_died(
    closings: ClosingMessages, ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock
) -> None:
    handoff = await ended(ledger, fake_kf)
    await ledger.take_code(handoff.id, ENDED)
    await ledger.recover_codes()
    fake_clock.move(21)
    assert (await closings.send(handoff.id), fake_kf.calls) == ("unknown", [])


async def test_one_that_a_dead_process_was_sending_is_sent_after_a_restart(
    closings: ClosingMessages, ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock
) -> None:
    handoff = await ended(ledger, fake_kf)
    assert await ledger.take_code(handoff.id, ENDED) is not None
    await closings.send_all()
    assert fake_kf.sent == []
    await ledger.recover_codes()
    await closings.send_all()
    assert len(fake_kf.sent) == 1


async def test_what_is_being_sent_is_known_as_long_as_it_is(
    closings: ClosingMessages, ledger: Ledger, fake_kf: FakeKf
) -> None:
    handoff = await ended(ledger, fake_kf)
    seen = list[list[tuple[int, int]]]()
    fake_kf.before("send_on_event", lambda: seen.append([*closings.busy]))
    await asyncio.gather(closings.send(handoff.id), closings.send(handoff.id))
    assert (seen, closings.busy) == ([[(handoff.id, ENDED)]], [])


async def undelivered(ledger: Ledger, msgid: str, customer: str = ANN) -> None:
    """As the page does that tells it."""
    told = Undelivered(msgid, "msg_send_fail 10", 0.0)
    await ledger.change(SessionKey(KF, customer), lambda session: session.undelivered.append(told), 0.0)


async def test_nobody_elses_message_fails(closings: ClosingMessages, ledger: Ledger, fake_kf: FakeKf) -> None:
    handoff = await ended(ledger, fake_kf)
    await closings.send(handoff.id)
    await undelivered(ledger, fake_kf.sent[0][2], BOB)
    assert await ledger.code_state(handoff.id, ENDED) == "sent"


async def test_a_message_wecom_could_not_deliver_is_a_failure_after_all(
    closings: ClosingMessages, ledger: Ledger, fake_kf: FakeKf
) -> None:
    handoff = await ended(ledger, fake_kf)
    await closings.send(handoff.id)
    await undelivered(ledger, fake_kf.sent[0][2])
    assert await outcome(ledger, handoff) == ("failed", "failed")


@pytest.mark.parametrize("msgid", ["", "M17", "closing-99-1", "closing-x", "closing-1"])
async def test_other_messages_that_fail_are_not_ours(
    closings: ClosingMessages, ledger: Ledger, fake_kf: FakeKf, msgid: str
) -> None:
    handoff = await ended(ledger, fake_kf)
    await closings.send(handoff.id)
    await undelivered(ledger, msgid)
    assert await ledger.code_state(handoff.id, ENDED) == "sent"


# -- the rating


@pytest.fixture
def asking(fake_kf: FakeKf, ledger: Ledger, fake_clock: FakeClock, fake_sleep: FakeSleep) -> ClosingMessages:
    return ClosingMessages(
        fake_kf, ledger, fake_clock, lambda handoff: TEXTS[handoff.ended_by or OperatorType.SYSTEM], fake_sleep,
        rating=True,
    )  # fmt: skip


@pytest.mark.parametrize("by", [OperatorType.USER, OperatorType.AGENT])
async def test_it_asks_what_the_customer_thinks(
    asking: ClosingMessages, ledger: Ledger, fake_kf: FakeKf, by: OperatorType
) -> None:
    handoff = await ended(ledger, fake_kf, by)
    assert await asking.send(handoff.id) == "sent"
    ((_, message, _),) = fake_kf.sent
    assert (message.text, [words for _, words in message.items]) == (TEXTS[by], ["满意", "一般", "不满意"])
    taps = [KfItem("m", KF, ANN, 0, 3, "text", text=words, menu_id=menu_id) for menu_id, words in message.items]
    assert [rating(tap) for tap in taps] == [(handoff.id, score) for score in ("good", "middling", "bad")]


async def test_nobody_is_asked_what_a_rule_has_ended(asking: ClosingMessages, ledger: Ledger, fake_kf: FakeKf) -> None:
    handoff = await ended(ledger, fake_kf, OperatorType.SYSTEM)
    await asking.send(handoff.id)
    assert fake_kf.sent[0][1].items == ()


async def test_nobody_is_asked_who_has_met_nobody(asking: ClosingMessages, ledger: Ledger, fake_kf: FakeKf) -> None:
    key, now = SessionKey(KF, ANN), fake_kf.now()
    fake_kf.session_state(KF, ANN, HUMAN, LI)
    code = fake_kf.servicer_ends(KF, ANN)

    def decide(session: Session) -> Handoff:
        open_handoff(session, HandoffStatus.PENDING, None, now, Via.STATE)
        handoff = finish(session, Operator(OperatorType.USER, ANN), Via.CHAT, now)
        session.closings.append(ClosingDraft(handoff, code, now + 20))
        return handoff

    handoff = await ledger.change(key, decide, now)
    assert (await asking.send(handoff.id), fake_kf.sent[0][1].items) == ("sent", ())


async def test_a_text_too_long_for_a_menu_goes_without_one(
    ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock
) -> None:
    wordy = ClosingMessages(fake_kf, ledger, fake_clock, lambda handoff: "再" * 342, rating=True)
    handoff = await ended(ledger, fake_kf)
    await wordy.send(handoff.id)
    assert (len(fake_kf.sent[0][1].text), fake_kf.sent[0][1].items) == (342, ())


async def test_without_words_nobody_is_asked(ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock) -> None:
    silent = ClosingMessages(fake_kf, ledger, fake_clock, lambda handoff: "", rating=True)
    handoff = await ended(ledger, fake_kf)
    assert (await silent.send(handoff.id), fake_kf.sent) == ("skipped", [])
