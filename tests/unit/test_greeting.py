"""The greeting: one text per handoff and state, while the session is in it, with how to end it."""

from __future__ import annotations

import asyncio

import pytest

from bot.errors import StorageError, WeComBusy, WeComError
from bot.greeting import LONGEST_PAUSE, Greetings, worded
from bot.model import (
    EventType,
    Handoff,
    HandoffStatus,
    Message,
    Operator,
    OperatorType,
    ServiceState,
    SessionKey,
    Via,
)
from bot.sessions import Session, Undelivered, finish, offer_greeting, open_handoff, servicer_wrote
from storage.ledger import Ledger
from tests.fakes import (
    ANN,
    BOB,
    HUMAN,
    KF,
    KF2,
    LI,
    QUEUED,
    FakeClock,
    FakeKf,
    FakeSleep,
    raising,
    refusal,
    unavailable,
)

TEXTS = {HUMAN: "发送「{phrase}」可随时结束", QUEUED: "您排在第 {place} 位"}
BUSY = WeComBusy(-1, "system busy", "/cgi-bin/kf/send_msg_on_event")


@pytest.fixture
def greetings(fake_kf: FakeKf, ledger: Ledger, fake_clock: FakeClock, fake_sleep: FakeSleep) -> Greetings:
    return Greetings(fake_kf, ledger, fake_clock, TEXTS.__getitem__, "结束对话", fake_sleep)


async def begun(
    ledger: Ledger, kf: FakeKf, state: ServiceState = HUMAN, customer: str = ANN, account: str = KF, ago: float = 0.0
) -> Handoff:
    """A handoff in that state, with its code on record."""
    key, now = SessionKey(account, customer), kf.now()
    kf.session_state(account, customer, 0)
    code = await kf.trans(key, state, LI if state is HUMAN else None)

    def decide(session: Session) -> Handoff:
        status = HandoffStatus.PENDING if state is QUEUED else HandoffStatus.ACCEPTED
        handoff = open_handoff(session, status, LI, now - ago, Via.EVENT)
        offer_greeting(session, state, code, now)
        return handoff

    handoff = await ledger.change(key, decide, now)
    kf.calls.clear()
    return handoff


async def outcomes(ledger: Ledger, handoff: Handoff) -> list[str]:
    return [each.data["outcome"] for each in await ledger.events(handoff.id) if each.type is EventType.GREETING]


@pytest.mark.parametrize(
    ("text", "phrase", "place", "link", "said"),
    [
        ("发送「{phrase}」结束", "结束对话", 0, "", "发送「结束对话」结束"),
        ("第 {place} 位，发送「{phrase}」", "再见", 3, "https://x/h/1", "第 3 位，发送「再见」\nhttps://x/h/1"),
        ("您好 {name} {", "再见", 0, "", "您好 {name} {"),
        ("发送「{phrase}」结束", "", 0, "https://x/h/1", ""),
        ("客服已接入", "", 0, "https://x/h/1", "客服已接入\nhttps://x/h/1"),
        ("", "再见", 0, "https://x/h/1", ""),
    ],
)
def test_a_text_is_filled_or_not_said(text: str, phrase: str, place: int, link: str, said: str) -> None:
    assert worded(text, phrase, place, link) == said


async def test_it_is_said_once_when_a_human_takes_over(greetings: Greetings, ledger: Ledger, fake_kf: FakeKf) -> None:
    handoff = await begun(ledger, fake_kf)
    said = await asyncio.gather(*(greetings.send(handoff.id, HUMAN) for _ in range(3)))
    assert "sent" in said and set(said) <= {"sent", "sending"}
    ((_, message, msgid),) = fake_kf.sent
    assert (message.text, message.items) == ("发送「结束对话」可随时结束", ())
    assert len(msgid) <= 32
    assert await greetings.send(handoff.id, HUMAN) == "sent"
    assert (len(fake_kf.sent), await outcomes(ledger, handoff)) == (1, ["sent"])


async def test_who_queues_hears_the_place_among_those_of_the_account(
    greetings: Greetings, ledger: Ledger, fake_kf: FakeKf
) -> None:
    await begun(ledger, fake_kf, QUEUED, BOB, ago=60)
    await begun(ledger, fake_kf, QUEUED, BOB, KF2, ago=60)
    await begun(ledger, fake_kf, HUMAN, fake_kf.customer_new("C", "wmCCCC"), ago=60)
    await begun(ledger, fake_kf, QUEUED, fake_kf.customer_new("D", "wmDDDD"), ago=-60)
    handoff = await begun(ledger, fake_kf, QUEUED)
    assert await greetings.send(handoff.id, QUEUED) == "sent"
    assert fake_kf.sent[-1][1].text == "您排在第 2 位"


async def test_queue_and_human_are_greeted_each_once(greetings: Greetings, ledger: Ledger, fake_kf: FakeKf) -> None:
    handoff = await begun(ledger, fake_kf, QUEUED)
    await greetings.send(handoff.id, QUEUED)
    for _ in range(2):
        code = fake_kf.servicer_takes(KF, ANN, LI)

        def accept(session: Session, code: str = code) -> None:
            servicer_wrote(session, fake_kf.now(), LI, fake_kf.now())
            offer_greeting(session, HUMAN, code, fake_kf.now())

        await ledger.change(handoff.key, accept, fake_kf.now())
        await greetings.send(handoff.id, HUMAN)
    assert [message.text for _, message, _ in fake_kf.sent] == ["您排在第 1 位", "发送「结束对话」可随时结束"]


async def test_the_link_is_asked_for_when_it_is_needed(greetings: Greetings, ledger: Ledger, fake_kf: FakeKf) -> None:
    greetings.link = lambda handoff: f"https://kf.example.com/h/{handoff.external_userid}"
    handoff = await begun(ledger, fake_kf)
    await greetings.send(handoff.id, HUMAN)
    assert fake_kf.sent[0][1].text == f"发送「结束对话」可随时结束\nhttps://kf.example.com/h/{ANN}"


async def test_without_words_none_is_sent(ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock) -> None:
    silent = Greetings(fake_kf, ledger, fake_clock, TEXTS.__getitem__, "")
    handoff = await begun(ledger, fake_kf)
    assert await silent.send(handoff.id, HUMAN) == "skipped"
    assert (fake_kf.calls, await outcomes(ledger, handoff)) == ([], ["skipped"])


async def test_without_a_code_there_is_nothing_to_send(greetings: Greetings) -> None:
    assert await greetings.send(99, HUMAN) == ""


@pytest.mark.parametrize("passing", [unavailable(), unavailable(sent=False), BUSY])
async def test_passing_trouble_is_tried_again_with_the_same_code(
    greetings: Greetings, ledger: Ledger, fake_kf: FakeKf, fake_sleep: FakeSleep, passing: WeComError
) -> None:
    handoff = await begun(ledger, fake_kf)
    fake_kf.before("send_on_event", *[raising(passing)] * 9)
    assert await greetings.send(handoff.id, HUMAN) == "sent"
    assert len({call.args for call in fake_kf.called("send_on_event")}) == 1
    assert fake_sleep.slept == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]


async def test_a_refusal_is_final(greetings: Greetings, ledger: Ledger, fake_kf: FakeKf) -> None:
    handoff = await begun(ledger, fake_kf)
    fake_kf.before("send_on_event", raising(refusal(95018)))
    assert await greetings.send(handoff.id, HUMAN) == "failed"
    assert (await greetings.send(handoff.id, HUMAN), await outcomes(ledger, handoff)) == ("failed", ["failed"])


async def test_after_a_lost_answer_a_refusal_may_mean_that_it_went_through(
    greetings: Greetings, ledger: Ledger, fake_kf: FakeKf
) -> None:
    handoff = await begun(ledger, fake_kf)
    fake_kf.after("send_on_event", raising(unavailable()))
    assert await greetings.send(handoff.id, HUMAN) == "unknown"
    assert len(fake_kf.sent) == 1


async def test_what_a_dead_process_was_sending_is_sent_once(
    greetings: Greetings, ledger: Ledger, fake_kf: FakeKf
) -> None:
    handoff, other = await begun(ledger, fake_kf), await begun(ledger, fake_kf, customer=BOB)
    await ledger.take_code(handoff.id, HUMAN)
    taken = await ledger.take_code(other.id, HUMAN)
    assert taken is not None
    await fake_kf.send_on_event(taken.code, Message("您好"), taken.msgid)
    await ledger.recover_codes()
    assert await greetings.send(handoff.id, HUMAN) == "sent"
    assert await greetings.send(other.id, HUMAN) == "unknown"
    assert len(fake_kf.sent) == 2


async def test_once_the_session_has_moved_on_the_code_is_not_tried(
    greetings: Greetings, ledger: Ledger, fake_kf: FakeKf
) -> None:
    handoff = await begun(ledger, fake_kf)
    operator = Operator(OperatorType.AGENT, LI)
    await ledger.change(
        handoff.key, lambda session: finish(session, operator, Via.CLIENT, fake_kf.now()), fake_kf.now()
    )
    assert (await greetings.send(handoff.id, HUMAN), fake_kf.calls) == ("expired", [])
    assert await outcomes(ledger, handoff) == ["expired"]


async def test_a_code_of_the_queue_is_not_tried_with_a_human(
    greetings: Greetings, ledger: Ledger, fake_kf: FakeKf
) -> None:
    handoff = await begun(ledger, fake_kf, QUEUED)
    await ledger.change(handoff.key, lambda session: servicer_wrote(session, fake_kf.now(), LI, 0.0), fake_kf.now())
    assert (await greetings.send(handoff.id, QUEUED), fake_kf.calls) == ("expired", [])


async def test_tries_end_with_the_session(greetings: Greetings, ledger: Ledger, fake_kf: FakeKf) -> None:
    handoff = await begun(ledger, fake_kf)
    operator = Operator(OperatorType.AGENT, LI)

    async def leaves() -> None:
        now = fake_kf.now()
        await ledger.change(handoff.key, lambda session: finish(session, operator, Via.CLIENT, now), now)
        raise unavailable(sent=False)

    fake_kf.before("send_on_event", raising(BUSY), leaves)
    assert await greetings.send(handoff.id, HUMAN) == "expired"
    assert len(fake_kf.called("send_on_event")) == 2


async def test_the_job_finds_what_waits_and_does_not_wait_for_it(
    greetings: Greetings, ledger: Ledger, fake_kf: FakeKf
) -> None:
    handoff = await begun(ledger, fake_kf)
    reached, forever = asyncio.Event(), asyncio.Event()

    async def hook() -> None:
        reached.set()
        await forever.wait()

    fake_kf.before("send_on_event", hook)
    await greetings.send_all()
    await reached.wait()
    await greetings.send_all()
    assert len(greetings._tasks) == 1
    await greetings.stop()
    assert (greetings._tasks, await ledger.code_state(handoff.id, HUMAN)) == (set(), "sending")


@pytest.mark.parametrize("error", [StorageError("busy"), RuntimeError("a bug")])
async def test_trouble_of_our_own_is_logged_and_stays_there(
    greetings: Greetings,
    ledger: Ledger,
    fake_kf: FakeKf,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await begun(ledger, fake_kf)

    async def take_code(*args: object) -> None:
        raise error

    monkeypatch.setattr(ledger, "take_code", take_code)
    await greetings.send_all()
    await asyncio.gather(*greetings._tasks)
    assert "greeting" in caplog.text


async def undelivered(ledger: Ledger, msgid: str) -> None:
    """As the page does that tells it."""
    told = Undelivered(msgid, "msg_send_fail 10", 0.0)
    await ledger.change(SessionKey(KF, ANN), lambda session: session.undelivered.append(told), 0.0)


async def test_one_that_wecom_could_not_deliver_has_failed_after_all(
    greetings: Greetings, ledger: Ledger, fake_kf: FakeKf
) -> None:
    handoff = await begun(ledger, fake_kf)
    await greetings.send(handoff.id, HUMAN)
    await undelivered(ledger, fake_kf.sent[0][2])
    assert await ledger.code_state(handoff.id, HUMAN) == "failed"
    assert await outcomes(ledger, handoff) == ["sent", "failed"]


@pytest.mark.parametrize("msgid", ["", "closing-1-a", "greet4-1-a", "greet3-99-a", "greet2-1-a"])
async def test_other_messages_that_fail_are_not_this_one(
    greetings: Greetings, ledger: Ledger, fake_kf: FakeKf, msgid: str
) -> None:
    handoff = await begun(ledger, fake_kf)
    await greetings.send(handoff.id, HUMAN)
    await undelivered(ledger, msgid)
    assert await ledger.code_state(handoff.id, HUMAN) == "sent"
