"""Giving a session to another servicer: once, on record with the one who asked, and the truth when no answer comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from bot.closing import ClosingMessages
from bot.errors import WeComError
from bot.handoffs import Handoffs
from bot.model import (
    EventType,
    Handoff,
    HandoffEvent,
    HandoffStatus,
    Operator,
    OperatorType,
    Servicer,
    SessionKey,
    StateReading,
    Via,
)
from bot.sessions import Session, follow
from bot.transfer import SETTLED, Outcome, TransferResult, Transfers, meant_by
from bot.wording import TEXT
from storage.ledger import Ledger
from storage.people import People
from tests.fakes import (
    ANN,
    ASSISTANT,
    BOB,
    HUMAN,
    KF,
    LI,
    QUEUED,
    WU,
    FakeClock,
    FakeKf,
    FakeSleep,
    nothing_more,
    raising,
    refusal,
    unavailable,
)

KEY = SessionKey(KF, ANN)
ASKER = Operator(OperatorType.AGENT, "ChenJing")


@dataclass
class Bot:
    transfers: Transfers
    handoffs: Handoffs
    ledger: Ledger
    people: People
    kf: FakeKf
    clock: FakeClock

    async def give(self, name: str = WU, **more: Any) -> TransferResult:
        return await self.transfers.give(KEY, name, ASKER, Via.COMMAND, **more)

    async def open(self, servicer: str = LI, customer: str = ANN) -> Handoff:
        """A session with a human, read and on record."""
        self.kf.customer_writes(KF, customer, "在吗")
        self.kf.session_state(KF, customer, HUMAN if servicer else QUEUED, servicer)
        await self.handoffs.read_state(SessionKey(KF, customer))
        found = await self.ledger.open_handoff(SessionKey(KF, customer))
        assert found is not None
        return found

    async def hear(self) -> None:
        """What sync does: the stream is followed."""

        def decide(session: Session) -> None:
            for item in self.kf._streams[KF]:
                follow(session, item, self.clock.now(), keep_text=True)

        await self.ledger.change(KEY, decide, self.clock.now())

    async def passed_on(self) -> list[HandoffEvent]:
        """Accepted and transferred events of the first handoff."""
        wanted = (EventType.ACCEPTED, EventType.TRANSFERRED)
        return [event for event in await self.ledger.events(1) if event.type in wanted]

    async def marked(self) -> bool:
        """The state is going to be read anew."""
        return KEY in await self.ledger.due_checks(self.clock.now(), 10)


@pytest.fixture
def bot(fake_kf: FakeKf, ledger: Ledger, people: People, fake_clock: FakeClock, fake_sleep: FakeSleep) -> Bot:
    closings = ClosingMessages(fake_kf, ledger, fake_clock, lambda handoff: "")
    handoffs = Handoffs(fake_kf, ledger, fake_clock, closings, fake_sleep)
    handoffs.untold.catch_up = nothing_more
    return Bot(Transfers(fake_kf, ledger, people, handoffs, fake_clock), handoffs, ledger, people, fake_kf, fake_clock)


async def test_it_is_with_the_other_servicer_and_on_record_with_the_one_who_asked(bot: Bot) -> None:
    await bot.open()
    bot.clock.move(60)
    result = await bot.give()
    assert (result.outcome, result.servicer, result.before) == (Outcome.DONE, WU, StateReading(HUMAN, LI))
    assert await bot.kf.state(KEY) == StateReading(HUMAN, WU)
    assert result.handoff is not None and result.handoff == await bot.ledger.open_handoff(KEY)
    assert result.handoff.servicer_userid == WU
    event = (await bot.passed_on())[-1]
    assert (event.type, event.operator, event.at) == (EventType.TRANSFERRED, ASKER, bot.clock.now())
    assert event.data == {"fromAgentId": LI, "agentId": WU, "via": "command"}


async def test_later_news_of_the_same_adds_nothing(bot: Bot) -> None:
    await bot.open()
    await bot.give()
    bot.kf.servicer_transfers(KF, ANN, WU)  # WeCom's own event, should it send one
    await bot.hear()
    await bot.handoffs.read_state(KEY)
    await bot.give()
    kinds = [event.type for event in await bot.passed_on()]
    assert kinds == [EventType.ACCEPTED, EventType.TRANSFERRED]


async def test_from_the_queue_it_is_accepted(bot: Bot) -> None:
    await bot.open("")
    result = await bot.give()
    assert result.outcome is Outcome.DONE and result.before == StateReading(QUEUED)
    (event,) = await bot.passed_on()
    assert (event.type, event.operator, event.data) == (
        EventType.ACCEPTED, ASKER, {"agentId": WU, "via": "command"},
    )  # fmt: skip
    handoff = await bot.ledger.open_handoff(KEY)
    assert handoff is not None
    assert (handoff.status, handoff.servicer_userid) == (HandoffStatus.ACCEPTED, WU)
    await bot.handoffs.read_state(KEY)
    assert len(await bot.passed_on()) == 1


async def test_the_code_that_comes_with_it_is_kept_for_the_greeting(bot: Bot) -> None:
    await bot.open("")
    await bot.give()
    assert await bot.ledger.due_codes(QUEUED, HUMAN) == [(1, HUMAN)]


async def test_without_an_answer_there_is_no_code(bot: Bot) -> None:
    await bot.open("")
    bot.kf.after("trans", raising(unavailable()))
    assert (await bot.give()).outcome is Outcome.DONE
    assert await bot.ledger.due_codes(QUEUED, HUMAN) == []


async def test_clocks_and_progress_stay_as_they_were(bot: Bot) -> None:
    before = await bot.open()
    bot.clock.move(600)
    after = (await bot.give()).handoff
    assert after is not None
    assert (after.waiting_since, after.active_at, after.status) == (
        before.waiting_since, before.active_at, before.status,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("WuMing", ["WuMing"]),
        ("wuming", ["WuMing"]),
        ("@WUMING", ["WuMing"]),
        ("＠wu", ["WuMing"]),
        ("li", ["Li"]),  # a whole userid goes before those that begin so
        ("l", ["LiNa", "Li", "Lin.Wei"]),
        ("lin.", ["Lin.Wei"]),
        ("ming", []),
        ("@", []),
        ("", []),
    ],
)
def test_a_servicer_is_meant_by_userid_or_its_beginning(name: str, meant: list[str]) -> None:
    staff = [Servicer(each, True) for each in ("LiNa", "Li", "WuMing", "Lin.Wei")]
    assert [each.userid for each in meant_by(name, [*staff, Servicer("", department_id=2)])] == meant


async def test_a_name_that_fits_several_does_nothing(bot: Bot) -> None:
    await bot.open()
    bot.kf._accounts[KF] |= {"WuHan": 0}
    result = await bot.give("wu")
    assert (result.outcome, result.fits) == (Outcome.SEVERAL, (WU, "WuHan"))
    assert bot.kf.called("trans") == []


async def test_a_name_that_fits_nobody_is_answered_with_who_is_receiving_least_busy_first(bot: Bot) -> None:
    await bot.open()
    await bot.open(LI, BOB)
    result = await bot.give("Nobody")
    assert (result.outcome, result.servicer) == (Outcome.NOBODY, "Nobody")
    assert [(each.userid, each.load) for each in result.receiving] == [(WU, 0), (LI, 2)]
    assert bot.kf.called("trans") == []


async def test_who_is_not_receiving_now_gets_nothing_whatever_was_known_before(bot: Bot) -> None:
    await bot.open()
    await bot.people.save_servicers(KF, [Servicer(WU, True)], bot.clock.now())
    bot.kf.servicer_status(KF, WU, 1)
    result = await bot.give()
    assert result.outcome is Outcome.AWAY
    assert [each.userid for each in result.receiving] == [LI]
    assert bot.kf.called("trans") == []
    known = {each.userid: each.receiving for each in await bot.people.servicers()}
    assert known == {LI: True, WU: False}


async def test_who_has_it_already_is_left_alone(bot: Bot) -> None:
    await bot.open()
    assert (await bot.give(LI)).outcome is Outcome.SAME
    assert bot.kf.called("trans") == []


async def test_an_ended_session_cannot_be_given(bot: Bot) -> None:
    await bot.open()
    bot.kf.session_state(KF, ANN, 4)
    result = await bot.give()
    assert result.outcome is Outcome.OVER
    assert result.handoff is not None and result.handoff.status is HandoffStatus.COMPLETED
    assert bot.kf.called("trans") == []


async def test_a_session_with_the_assistant_cannot_be_given(bot: Bot) -> None:
    bot.kf.customer_writes(KF, ANN, "在吗")
    bot.kf.session_state(KF, ANN, ASSISTANT)
    result = await bot.give()
    assert (result.outcome, result.before) == (Outcome.NOT_HUMAN, StateReading(ASSISTANT))


async def test_a_number_of_an_ended_stretch_never_moves_the_next(bot: Bot) -> None:
    await bot.open()
    bot.kf.session_state(KF, ANN, 4)
    await bot.handoffs.read_state(KEY)
    await bot.open()
    result = await bot.give(handoff_id=1)
    assert result.outcome is Outcome.OVER
    assert result.handoff is not None and result.handoff.id == 1
    assert bot.kf.called("trans") == []
    assert (await bot.give(handoff_id=2)).outcome is Outcome.DONE


async def test_nor_does_it_while_nobody_can_tell_how_that_stretch_has_ended(bot: Bot) -> None:
    async def deaf(open_kfid: str) -> bool:
        return False

    bot.handoffs.untold.catch_up = deaf
    await bot.open()
    bot.kf.session_state(KF, ANN, 4)
    await bot.handoffs.read_state(KEY)
    bot.kf.session_state(KF, ANN, HUMAN, LI)
    assert (await bot.give(handoff_id=1)).outcome is Outcome.OVER
    assert bot.kf.called("trans") == []


@pytest.mark.parametrize("call", ["state", "servicers"])
async def test_what_cannot_be_read_does_nothing(bot: Bot, call: str) -> None:
    await bot.open()
    bot.kf.before(call, raising(unavailable()))
    with pytest.raises(WeComError):
        await bot.give()
    assert bot.kf.called("trans") == []


# -- refused, or no answer


@pytest.mark.parametrize("errcode", [95014, 95019, 95016])
async def test_a_refusal_is_told_with_who_is_receiving(bot: Bot, errcode: int) -> None:
    await bot.open()
    bot.kf._accounts[KF] |= {"Chen": 0}
    bot.kf.before("trans", raising(refusal(errcode)))
    result = await bot.give()
    assert result.outcome is Outcome.REFUSED
    assert result.error is not None and result.error.errcode == errcode
    assert [each.userid for each in result.receiving] == ["Chen", LI]
    assert [event.type for event in await bot.passed_on()] == [EventType.ACCEPTED]
    assert await bot.marked()


async def test_a_session_that_ended_under_our_hands_is_over(bot: Bot) -> None:
    await bot.open()
    bot.kf.before("trans", lambda: bot.kf.servicer_ends(KF, ANN))
    assert (await bot.give()).outcome is Outcome.OVER
    assert await bot.marked()


async def test_an_answer_that_got_lost_is_read_back(bot: Bot) -> None:
    await bot.open()
    bot.kf.after("trans", raising(unavailable()))
    assert (await bot.give()).outcome is Outcome.DONE
    assert len(bot.kf.called("trans")) == 1
    await bot.handoffs.read_state(KEY)
    assert [(each.type, each.operator) for each in await bot.passed_on()][1:] == [(EventType.TRANSFERRED, ASKER)]


@pytest.mark.parametrize("sent", [True, False])
async def test_a_request_without_effect_is_told_and_not_repeated(bot: Bot, sent: bool) -> None:
    await bot.open()
    bot.kf.before("trans", raising(unavailable(sent=sent)))
    assert (await bot.give()).outcome is Outcome.LOST
    assert len(bot.kf.called("trans")) == 1
    assert [event.type for event in await bot.passed_on()] == [EventType.ACCEPTED]


async def test_without_any_answer_nothing_is_pretended(bot: Bot) -> None:
    await bot.open()

    def silent() -> None:
        bot.kf.before("state", raising(unavailable()))
        raise unavailable()

    bot.kf.after("trans", silent)
    assert (await bot.give()).outcome is Outcome.UNKNOWN
    assert await bot.marked()
    await bot.handoffs.read_state(KEY)
    handoff = await bot.ledger.open_handoff(KEY)
    assert handoff is not None and handoff.servicer_userid == WU


async def test_a_move_that_nobody_lived_to_record_is_found_by_the_next_state_read(bot: Bot) -> None:
    def die() -> None:
        raise asyncio.CancelledError

    await bot.open()
    bot.kf.after("trans", die)
    with pytest.raises(asyncio.CancelledError):
        await bot.give()
    bot.clock.move(SETTLED)
    assert await bot.marked()
    await bot.handoffs.read_state(KEY)
    assert [event.type for event in await bot.passed_on()] == [EventType.ACCEPTED, EventType.TRANSFERRED]


@pytest.mark.parametrize("news", ["customer", "end"])
async def test_news_that_come_in_during_the_move_are_not_overwritten(bot: Bot, news: str) -> None:
    await bot.open()

    async def meanwhile() -> None:
        if news == "end":
            bot.kf.servicer_ends(KF, ANN)
        else:
            bot.kf.customer_writes(KF, ANN, "还在吗")
        bot.clock.move(2)
        await bot.hear()

    hook: Callable[[], Any] = meanwhile
    bot.kf.after("trans", hook)
    result = await bot.give()
    assert result.outcome is Outcome.DONE
    handoff = await bot.ledger.handoff(1)
    assert handoff is not None
    assert handoff.status.is_open is (news == "customer")
    if news == "end":
        assert await bot.marked()
    else:
        assert handoff.servicer_userid == WU


def test_every_outcome_has_words() -> None:
    assert {f"transfer.{outcome}" for outcome in Outcome} <= set(TEXT)
