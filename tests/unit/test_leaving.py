"""Ends that customers ask for in the chat: granted once, as theirs, and never against what they have written since."""

from __future__ import annotations

import asyncio

import pytest

from bot.closing import ClosingMessages
from bot.ending import EndResult, Outcome
from bot.errors import RateLimited, StorageError, TokenExpired, WeComBusy, WeComError
from bot.handoffs import Handoffs
from bot.leaving import AT_ONCE, REST, Leaving
from bot.model import EventType, Handoff, HandoffStatus, Operator, OperatorType, SessionKey, Via
from bot.phrases import EndPhrases
from bot.sessions import ASKED_HOLDS, SKEW, Session, follow
from storage.ledger import Ledger
from tests.fakes import (
    ANN,
    BOB,
    ENDED,
    HUMAN,
    KF,
    LI,
    NEW,
    QUEUED,
    FakeClock,
    FakeKf,
    FakeSleep,
    Hook,
    nothing_more,
    raising,
    refusal,
    unavailable,
)

KEY = SessionKey(KF, ANN)
END, PHRASES = "结束对话", EndPhrases(["结束对话"])


class Bot:
    """`up_to_date`: whether catching up works. `told`: what the rest of the bot heard."""

    def __init__(self, kf: FakeKf, ledger: Ledger, clock: FakeClock, sleep: FakeSleep) -> None:
        self.kf, self.ledger, self.clock = kf, ledger, clock
        closings = ClosingMessages(kf, ledger, clock, lambda handoff: str(handoff.ended_by), sleep)
        self.handoffs = Handoffs(kf, ledger, clock, closings, sleep)
        self.handoffs.untold.catch_up = nothing_more
        self.leaving = Leaving(self.handoffs, ledger, clock, self._catch_up, self._hear)
        self.told: list[EndResult] = []
        self.caught_up = 0
        self.up_to_date = True
        self._seen = 0

    async def _catch_up(self, open_kfid: str, patience: float, *, sure: bool = False) -> bool:
        assert open_kfid == KF and sure
        self.caught_up += 1
        await self.hear()
        return self.up_to_date

    async def _hear(self, result: EndResult) -> None:
        self.told.append(result)

    async def hear(self) -> None:
        """What sync does: every new item of the stream is followed."""
        stream, now = self.kf._streams[KF], self.clock.now()
        fresh, self._seen = stream[self._seen :], len(stream)

        def decide(session: Session) -> None:
            for item in fresh:
                if item.external_userid == session.external_userid:
                    follow(session, item, now, keep_text=True, phrases=PHRASES)

        await self.ledger.change_all([KEY, SessionKey(KF, BOB)], decide, now)

    async def served(self, customer: str = ANN) -> None:
        self.kf.customer_writes(KF, customer, "在吗")
        self.kf.servicer_takes(KF, customer, LI)
        self.kf.servicer_writes(KF, customer, LI, "您好")
        await self.hear()
        self.clock.move(60)

    async def says(self, text: str = END, customer: str = ANN) -> None:
        self.kf.customer_writes(KF, customer, text)
        await self.hear()

    async def last(self, customer: str = ANN) -> Handoff:
        return (await self.ledger.history(SessionKey(KF, customer), 1))[0]

    async def asked_at(self) -> float | None:
        return (await self.ledger.session(KEY)).end_asked_at

    @property
    def moves(self) -> int:
        return len(self.kf.called("trans"))


@pytest.fixture
def bot(fake_kf: FakeKf, ledger: Ledger, fake_clock: FakeClock, fake_sleep: FakeSleep) -> Bot:
    return Bot(fake_kf, ledger, fake_clock, fake_sleep)


async def test_the_session_ends_as_the_customers(bot: Bot) -> None:
    await bot.served()
    await bot.says()
    await bot.leaving.end_all()
    handoff = await bot.last()
    assert (handoff.status, handoff.ended_by, handoff.via, handoff.operator_id) == (
        HandoffStatus.COMPLETED, OperatorType.USER, "chat", ANN,
    )  # fmt: skip
    [told] = bot.told
    assert (told.outcome, told.closing, bot.caught_up) == (Outcome.ENDED, "sent", 0)
    assert await bot.ledger.asked_ends() == []


async def test_nothing_is_done_where_nobody_asked(bot: Bot) -> None:
    await bot.served()
    await bot.says("先不要结束对话")
    bot.kf.calls.clear()
    await bot.leaving.end_all()
    assert bot.kf.calls == [] and bot.told == []


@pytest.mark.parametrize("state", [NEW, ENDED])
async def test_without_a_human_the_wish_goes_away(bot: Bot, state: int) -> None:
    await bot.says()
    bot.kf.session_state(KF, ANN, state)
    await bot.leaving.end_all()
    assert (bot.moves, bot.told, await bot.asked_at()) == (0, [], None)
    bot.kf.session_state(KF, ANN, HUMAN, LI)
    await bot.leaving.end_all()
    assert bot.moves == 0


async def test_what_only_the_state_shows_is_ended_too(bot: Bot) -> None:
    await bot.says()
    bot.kf.session_state(KF, ANN, HUMAN, LI)
    await bot.leaving.end_all()
    assert (await bot.last()).ended_by is OperatorType.USER


async def test_runs_at_the_same_time_end_it_once(bot: Bot) -> None:
    await bot.served()
    await bot.says()
    await asyncio.gather(*(bot.leaving.end_all() for _ in range(3)))
    assert (bot.moves, len(bot.told)) == (1, 1)


async def test_two_processes_end_it_once(bot: Bot, fake_sleep: FakeSleep) -> None:
    await bot.served()
    await bot.says()
    other = Bot(bot.kf, bot.ledger, bot.clock, fake_sleep)
    await asyncio.gather(bot.leaving.end_all(), other.leaving.end_all())
    assert bot.moves == 1 and len(bot.told + other.told) == 1
    completed = [each for each in await bot.ledger.events(1) if each.type is EventType.COMPLETED]
    assert len(completed) == 1


async def test_many_customers_leave_at_once(bot: Bot) -> None:
    for customer in (ANN, BOB):
        await bot.served(customer)
        await bot.says(customer=customer)
    await bot.leaving.end_all()
    assert [(await bot.last(each)).status for each in (ANN, BOB)] == [HandoffStatus.COMPLETED] * 2
    assert AT_ONCE > 1


async def test_one_that_somebody_else_has_ended_meanwhile_is_not_ours(bot: Bot) -> None:
    await bot.served()
    await bot.says()
    bot.kf.before("state", lambda: bot.kf.session_state(KF, ANN, ENDED))
    await bot.leaving.end_all()
    assert (bot.told, await bot.asked_at(), (await bot.last()).ended_by) == ([], None, OperatorType.AGENT)


# -- trouble


@pytest.mark.parametrize("trouble", [unavailable(), unavailable(sent=False)])
async def test_while_the_state_cannot_be_read_the_wish_stays(bot: Bot, trouble: Exception) -> None:
    await bot.served()
    await bot.says()
    bot.kf.before("state", raising(trouble))
    await bot.leaving.end_all()
    assert (bot.moves, bot.told) == (0, []) and await bot.asked_at() is not None
    await bot.leaving.end_all()
    assert (await bot.last()).ended_by is OperatorType.USER


async def test_a_session_that_wecom_will_not_show_is_given_up(bot: Bot) -> None:
    await bot.served()
    await bot.says()
    bot.kf.before("state", raising(refusal(40096)))
    await bot.leaving.end_all()
    assert (await bot.asked_at(), (await bot.last()).status.is_open) == (None, True)


async def test_a_refused_move_is_told_once_for_each_handoff_and_not_repeated(bot: Bot) -> None:
    await bot.served()
    for _ in range(3):
        await bot.says()
        bot.kf.before("trans", raising(refusal(95016)))
        await bot.leaving.end_all()
        await bot.leaving.end_all()
        assert await bot.asked_at() is None
    assert (bot.moves, [each.outcome for each in bot.told]) == (3, [Outcome.FAILED])
    assert (await bot.last()).status is HandoffStatus.IN_PROGRESS


async def test_a_refusal_is_told_while_the_wish_still_stands(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies in between must not take it with it: people have to know."""
    stood: list[float | None] = []

    async def hear(result: EndResult) -> None:
        stood.append(await bot.asked_at())

    monkeypatch.setattr(bot.leaving, "_told", hear)
    await bot.served()
    await bot.says()
    bot.kf.before("trans", raising(refusal(95016)))
    await bot.leaving.end_all()
    assert len(stood) == 1 and stood[0] is not None
    assert await bot.asked_at() is None


LIMITED = RateLimited(45009, "api freq out of limit", "/trans")


@pytest.mark.parametrize(
    "trouble",
    [LIMITED, WeComBusy(-1, "busy", "/trans"), TokenExpired(42001, "expired", "/trans")],
    ids=lambda trouble: str(trouble.errcode),
)
async def test_a_move_that_wecom_has_no_time_for_is_made_again_after_a_rest(bot: Bot, trouble: WeComError) -> None:
    await bot.served()
    await bot.says()
    bot.kf.before("trans", *[raising(trouble)] * 2)
    for moves, rest, told in ((1, REST, []), (2, 2 * REST, [Outcome.FAILED])):
        for _ in range(3):
            await bot.leaving.end_all()
        assert (bot.moves, [each.outcome for each in bot.told]) == (moves, told)
        assert await bot.asked_at() is not None
        bot.clock.move(rest)
    await bot.leaving.end_all()
    assert (await bot.last()).ended_by is OperatorType.USER
    assert [each.outcome for each in bot.told] == [Outcome.FAILED, Outcome.ENDED]
    assert await bot.asked_at() is None


async def test_rests_are_forgotten_before_they_fill_the_memory(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.leaving.KEPT", 1)
    for customer in (ANN, BOB):
        await bot.served(customer)
        await bot.says(customer=customer)
        bot.kf.before("trans", raising(LIMITED))
        await bot.leaving.end_all()
    assert list(bot.leaving._rests) == [SessionKey(KF, BOB)]


async def test_from_the_queue_wecom_may_refuse(bot: Bot) -> None:
    bot.kf.account_routing(KF, "queue")
    await bot.says("你好")
    await bot.handoffs.read_state(KEY)
    await bot.says()
    await bot.leaving.end_all()
    [told] = bot.told
    assert (told.outcome, told.error and told.error.errcode) == (Outcome.FAILED, 95016)
    assert bot.kf.session(KF, ANN).state is QUEUED


async def test_an_end_of_unknown_outcome_is_settled_by_its_own_record(bot: Bot) -> None:
    """The wish has become an intention, which another job looks after."""
    await bot.served()
    await bot.says()
    bot.kf.after("trans", raising(unavailable()))
    bot.kf.after("state", lambda: None, raising(unavailable()))
    await bot.leaving.end_all()
    assert (await bot.asked_at(), bot.told) == (None, [])
    bot.clock.move(20)

    async def ignore(*args: object) -> None: ...

    await bot.handoffs.settle_pending(ignore)
    handoff = await bot.last()
    assert (handoff.ended_by, handoff.via, bot.moves) == (OperatorType.USER, "chat", 1)


@pytest.mark.parametrize("error", [StorageError("busy"), RuntimeError("a bug")])
async def test_trouble_of_our_own_is_logged_and_the_wish_stays(
    bot: Bot, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await bot.served()
    await bot.says()
    with monkeypatch.context() as patch:
        patch.setattr(bot.handoffs, "end", _failing(error))
        await bot.leaving.end_all()
    assert "end asked for in the chat" in caplog.text
    await bot.leaving.end_all()
    assert (await bot.last()).ended_by is OperatorType.USER


def _failing(error: Exception) -> Hook:
    async def end(*args: object, **more: object) -> EndResult:
        raise error

    return end


# -- later


async def test_an_older_wish_is_granted_when_all_that_was_written_since_is_known(bot: Bot) -> None:
    await bot.served()
    await bot.says()
    bot.clock.move(SKEW + 1)
    bot.up_to_date = False
    await bot.leaving.end_all()
    assert (bot.moves, bot.caught_up) == (0, 1) and await bot.asked_at() is not None
    bot.up_to_date = True
    await bot.leaving.end_all()
    assert (bot.moves, bot.caught_up) == (1, 2)


async def test_not_if_the_customer_has_written_on(bot: Bot) -> None:
    await bot.served()
    await bot.says()
    bot.clock.move(60)
    bot.kf.customer_writes(KF, ANN, "等等")
    await bot.leaving.end_all()
    assert (bot.moves, bot.told, await bot.asked_at()) == (0, [], None)


async def test_not_after_a_long_time(bot: Bot) -> None:
    await bot.served()
    await bot.says()
    bot.clock.move(ASKED_HOLDS + 1)
    await bot.leaving.end_all()
    assert (bot.moves, await bot.asked_at()) == (0, None)


async def test_a_wish_repeated_while_the_first_one_was_refused_is_kept(bot: Bot) -> None:
    await bot.served()
    await bot.says()
    bot.clock.move(3)

    async def again() -> None:
        await bot.says()
        raise refusal(95016)

    bot.kf.before("trans", again)
    await bot.leaving.end_all()
    assert await bot.asked_at() is not None
    await bot.leaving.end_all()
    assert (await bot.last()).ended_by is OperatorType.USER


async def test_a_stretch_begun_since_is_left_alone(bot: Bot) -> None:
    await bot.served()
    await bot.says()
    operator = Operator(OperatorType.AGENT, LI)

    async def another() -> None:
        await bot.handoffs.end(KEY, operator, Via.COMMAND)
        bot.kf.session_state(KF, ANN, HUMAN, LI)

    bot.kf.before("state", another)
    await bot.leaving.end_all()
    assert (bot.moves, bot.kf.session(KF, ANN).state) == (1, HUMAN)
    assert bot.told == []
