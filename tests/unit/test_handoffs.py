"""One path of ending: read, record, move, read back, settle, say goodbye; and what is left when it breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot.closing import ClosingMessages
from bot.ending import EndResult, Move, Outcome, StateRead
from bot.errors import CredentialRejected, WeComError
from bot.handoffs import GIVE_UP_AFTER, LEASE, PARK_AFTER, Handoffs
from bot.model import (
    EVERYTHING,
    EventType,
    Handoff,
    HandoffStatus,
    Operator,
    OperatorType,
    SessionKey,
    StateReading,
    Via,
)
from bot.ports import PendingEnding
from bot.sessions import Session, follow
from bot.strays import LATE
from bot.untold import AGAIN, ENOUGH, IN_VAIN
from storage.database import Database
from storage.ledger import Ledger
from storage.parked_ends import ParkedEnds
from tests.fakes import (
    ANN,
    ASSISTANT,
    ENDED,
    HUMAN,
    KF,
    LI,
    QUEUED,
    TENANT,
    WU,
    FakeClock,
    FakeKf,
    FakeSleep,
    raising,
    refusal,
    unavailable,
)

KEY = SessionKey(KF, ANN)
AGENT, COLLEAGUE = Operator(OperatorType.AGENT, "ZhangSuQuan"), Operator(OperatorType.AGENT, "WangWei")
CUSTOMER = Operator(OperatorType.USER, ANN)
TEXTS = {OperatorType.USER: "您已结束对话", OperatorType.AGENT: "客服已结束对话", OperatorType.SYSTEM: "对话已自动结束"}


@dataclass
class Bot:
    """One process: its domain service on its own connection to the database. `heard`: how many items of the stream are
    followed, by whichever process. `deaf`: the stream cannot be read."""

    handoffs: Handoffs
    ledger: Ledger
    kf: FakeKf
    clock: FakeClock
    heard: list[int]
    told: list[tuple[PendingEnding, EndResult]] = field(default_factory=list)
    deaf: bool = False

    async def end(self, operator: Operator = AGENT, via: Via = Via.COMMAND, reason: str = "", **more: Any) -> EndResult:
        return await self.handoffs.end(KEY, operator, via, reason, **more)

    async def settle(self) -> list[EndResult]:
        """One run of the periodic job, when leases have run out."""
        self.clock.move(LEASE + 1)
        self.told.clear()
        await self.handoffs.settle_pending(self._tell)
        return [result for _, result in self.told]

    async def settle_late(self) -> list[Outcome]:
        """When no answer can be on its way any more."""
        self.clock.move(LATE)
        return [result.outcome for result in await self.settle()]

    async def _tell(self, pending: PendingEnding, result: EndResult) -> None:
        self.told.append((pending, result))

    async def hear(self) -> None:
        """What sync does: every new item of the stream is followed."""
        stream, now = self.kf._streams[KF], self.clock.now()

        def decide(session: Session) -> None:
            for item in stream[self.heard[0] :]:
                follow(session, item, now, keep_text=True)

        await self.ledger.change(KEY, decide, now)
        self.heard[0] = len(stream)

    async def catch_up(self, open_kfid: str) -> bool:
        assert open_kfid == KF
        if not self.deaf:
            await self.hear()
        return not self.deaf

    async def handoff(self) -> Handoff:
        return (await self.ledger.history(KEY, limit=1))[0]

    async def types(self, number: int = 1) -> list[EventType]:
        return [event.type for event in await self.ledger.events(number)]

    async def completed(self, number: int = 1) -> dict[str, Any]:
        (event,) = [event for event in await self.ledger.events(number) if event.type is EventType.COMPLETED]
        return event.data

    @property
    def state(self) -> StateReading:
        session = self.kf.session(KF, ANN)
        return StateReading(session.state, session.servicer or None)

    @property
    def goodbyes(self) -> list[str]:
        return [message.text for _, message, _ in self.kf.sent]


StartBot = Callable[..., Awaitable[Bot]]


@pytest.fixture
async def start(
    tmp_path: Path, fake_kf: FakeKf, fake_clock: FakeClock, fake_sleep: FakeSleep
) -> AsyncIterator[StartBot]:
    """Starts a bot, or another process of it on the same file."""
    opened: list[Database] = []
    heard = [0]

    async def start(limit: float = 5.0) -> Bot:
        database = Database(tmp_path / "kfbot.db")
        opened.append(database)
        await database.open()
        ledger = Ledger(database, TENANT)
        closings = ClosingMessages(
            fake_kf, ledger, fake_clock, lambda handoff: TEXTS[handoff.ended_by or OperatorType.SYSTEM], fake_sleep
        )
        handoffs = Handoffs(fake_kf, ledger, fake_clock, closings, fake_sleep, limit)
        bot = Bot(handoffs, ledger, fake_kf, fake_clock, heard)
        handoffs.untold.catch_up = bot.catch_up
        return bot

    yield start
    for database in opened:
        await database.close()


@pytest.fixture
async def bot(start: StartBot) -> Bot:
    """Ann is with Li, who has answered her; all of it is known."""
    bot = await start()
    await served(bot)
    return bot


async def served(bot: Bot) -> None:
    bot.kf.customer_writes(KF, ANN, "在吗")
    bot.kf.servicer_takes(KF, ANN, LI)
    bot.kf.servicer_writes(KF, ANN, LI, "您好")
    await bot.hear()
    bot.clock.move(60)
    bot.kf.calls.clear()


@asynccontextmanager
async def hanging(bot: Bot, name: str, when: str) -> AsyncIterator[asyncio.Event]:
    """The next call of `name` hangs; the event is set once it does."""
    reached, forever = asyncio.Event(), asyncio.Event()

    async def hook() -> None:
        reached.set()
        await forever.wait()

    getattr(bot.kf, when)(name, hook)
    yield reached
    forever.set()


async def crash(bot: Bot, name: str, when: str, run: Callable[[], Awaitable[object]]) -> None:
    """The process dies while a call is under way, and puts nothing in order."""
    setattr(bot.ledger, "release_ending", _dead)  # noqa: B010  mypy would not have it assigned
    async with hanging(bot, name, when) as reached:
        task = asyncio.ensure_future(run())
        await reached.wait()
        task.cancel()
        for other in list(bot.handoffs._sending):
            other.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _dead(*args: object) -> None:
    """What a dead process does not do any more."""


# -- the plain case


async def test_an_end_takes_three_calls_and_a_closing_message(bot: Bot) -> None:
    result = await bot.end(reason="重复咨询")
    assert bot.kf.names == ["state", "trans", "state", "send_on_event"]
    assert bot.kf.called("trans")[0].args == (KEY, ENDED, LI)
    assert (result.outcome, result.before, result.after) == (
        Outcome.ENDED, StateReading(HUMAN, LI), StateReading(ENDED),
    )  # fmt: skip
    assert (result.closing, bot.goodbyes) == ("sent", ["客服已结束对话"])
    assert await bot.types() == [
        EventType.REQUESTED, EventType.ACCEPTED, EventType.PROGRESS, EventType.ENDING, EventType.COMPLETED,
        EventType.CLOSING,
    ]  # fmt: skip
    assert await bot.completed() == {
        "endedBy": "AGENT", "via": "command", "status": "COMPLETED", "reason": "重复咨询",
    }  # fmt: skip


async def test_the_result_has_the_handoff_as_it_stands_after(bot: Bot) -> None:
    handoff = (await bot.end(CUSTOMER, Via.API)).handoff
    assert handoff is not None
    assert (handoff.id, handoff.status, handoff.completed_at) == (1, HandoffStatus.COMPLETED, bot.clock.now())
    assert (handoff.ended_by, handoff.via, handoff.operator_id) == (OperatorType.USER, "api", ANN)
    assert await bot.handoff() == handoff
    assert bot.goodbyes == ["您已结束对话"]


async def test_every_step_can_be_watched(bot: Bot) -> None:
    steps: list[StateRead | Move] = []
    await bot.end(watch=steps.append)
    assert [type(step) for step in steps] == [StateRead, Move, StateRead]
    assert [step.confirming for step in steps if isinstance(step, StateRead)] == [False, True]


async def test_a_session_nothing_was_known_of_is_recorded_on_the_way(bot: Bot) -> None:
    """Console routing put it into state 3 before any event."""
    bot.kf.servicer_ends(KF, ANN)
    await bot.hear()
    bot.kf.session_state(KF, ANN, HUMAN, WU)
    result = await bot.end()
    assert (result.outcome, result.handoff.id if result.handoff else 0) == (Outcome.ENDED, 2)
    assert await bot.types(2) == [
        EventType.REQUESTED, EventType.ACCEPTED, EventType.ENDING, EventType.COMPLETED, EventType.CLOSING,
    ]  # fmt: skip


async def test_a_transfer_nobody_told_of_ends_with_the_right_servicer(bot: Bot) -> None:
    bot.kf.session_state(KF, ANN, HUMAN, WU)
    assert (await bot.end()).outcome is Outcome.ENDED
    assert bot.kf.called("trans")[0].args == (KEY, ENDED, WU)
    assert (await bot.handoff()).servicer_userid == WU


async def test_without_a_code_there_is_no_closing_message(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.kf, "_code", lambda session, life: "")
    assert ((await bot.end()).closing, bot.goodbyes) == ("", [])


# -- nothing to end


@pytest.mark.parametrize("again", [AGENT, CUSTOMER])
async def test_an_ended_session_counts_as_done_and_says_who_ended_it(bot: Bot, again: Operator) -> None:
    await bot.end()
    bot.kf.calls.clear()
    result = await bot.end(again)
    assert (result.outcome, bot.kf.names) == (Outcome.ALREADY, ["state"])
    assert result.handoff is not None
    assert (result.handoff.operator_id, len(bot.goodbyes)) == (AGENT.id, 1)


async def test_an_end_in_the_client_that_was_not_heard_of_yet_is_done_too(bot: Bot) -> None:
    bot.kf.servicer_ends(KF, ANN)
    result = await bot.end()
    assert result.outcome is Outcome.ALREADY
    assert result.handoff is not None
    assert (result.handoff.via, result.handoff.operator_id) == (Via.CLIENT, LI)
    assert not bot.kf.called("trans")


async def test_an_end_by_another_program_is_done_too(bot: Bot) -> None:
    bot.kf.session_state(KF, ANN, ENDED)
    result = await bot.end()
    assert result.outcome is Outcome.ALREADY
    assert result.handoff is not None
    assert (result.handoff.via, result.handoff.ended_by) == (Via.ELSEWHERE, OperatorType.AGENT)
    assert not bot.kf.called("trans")


async def test_with_the_assistant_there_is_nothing_to_end(bot: Bot) -> None:
    await bot.end()
    bot.kf.customer_writes(KF, ANN, "还在吗")
    result = await bot.end()
    assert result.outcome is Outcome.NOT_HUMAN
    assert len(bot.kf.called("trans")) == 1


async def test_a_number_names_one_stretch_and_never_ends_the_next(bot: Bot) -> None:
    assert (await bot.end(handoff_id=1)).outcome is Outcome.ENDED
    bot.kf.session_state(KF, ANN, HUMAN, LI)
    await bot.handoffs.read_state(KEY)
    result = await bot.end(COLLEAGUE, handoff_id=1)
    assert (result.outcome, result.handoff.id if result.handoff else 0) == (Outcome.ALREADY, 1)
    assert (bot.state, len(bot.kf.called("trans"))) == (StateReading(HUMAN, LI), 1)


async def test_what_a_caller_saw_before_the_next_stretch_began_does_not_end_it(bot: Bot) -> None:
    early = await bot.ledger.session(KEY)
    assert (await bot.end()).outcome is Outcome.ENDED
    bot.kf.session_state(KF, ANN, HUMAN, LI)
    await bot.handoffs.read_state(KEY)
    result = await bot.end(COLLEAGUE, handoff_id=1, session=early)
    assert (result.outcome, result.handoff.id if result.handoff else 0) == (Outcome.ALREADY, 1)
    assert (bot.state, len(bot.kf.called("trans"))) == (StateReading(HUMAN, LI), 1)


async def test_a_stretch_found_over_while_the_next_has_begun_is_over(bot: Bot) -> None:
    """The reading itself shows that the named one has ended: no human gives back to the queue."""
    bot.kf.session_state(KF, ANN, QUEUED)
    result = await bot.end(handoff_id=1)
    assert (result.outcome, result.handoff.status if result.handoff else "") == (Outcome.ALREADY, "COMPLETED")
    assert (bot.state.state, bot.kf.called("trans")) == (QUEUED, [])


# -- refusals


async def test_a_servicer_who_no_longer_serves_is_left_out(bot: Bot) -> None:
    bot.kf._accounts[KF].pop(LI)
    assert (await bot.end()).outcome is Outcome.ENDED
    assert [call.args[2] for call in bot.kf.called("trans")] == [LI, None]


async def test_a_queued_session_that_cannot_be_ended_stays_open(start: StartBot) -> None:
    bot = await start()
    bot.kf.account_routing(KF, "queue")
    bot.kf.customer_writes(KF, ANN, "在吗")
    result = await bot.end()
    assert (result.outcome, result.error.errcode if result.error else 0) == (Outcome.FAILED, 95016)
    assert (await bot.handoff()).status is HandoffStatus.PENDING
    assert await bot.types() == [EventType.REQUESTED, EventType.ENDING, EventType.END_FAILED]
    assert len(bot.kf.called("trans")) == 1
    assert await bot.settle() == []


@pytest.mark.parametrize("errcode", [95016, 48002, 45009])
async def test_a_failure_leaves_the_handoff_open_and_free_for_another_try(bot: Bot, errcode: int) -> None:
    bot.kf.before("trans", raising(refusal(errcode)))
    result = await bot.end()
    assert (result.outcome, result.error.errcode if result.error else 0) == (Outcome.FAILED, errcode)
    assert (await bot.handoff()).status is HandoffStatus.IN_PROGRESS
    assert (await bot.end()).outcome is Outcome.ENDED
    assert (await bot.types()).count(EventType.COMPLETED) == 1


async def test_ended_by_someone_between_the_reading_and_the_move_is_done(bot: Bot) -> None:
    bot.kf.before("trans", lambda: bot.kf.session_state(KF, ANN, ENDED))
    result = await bot.end()
    assert (result.outcome, (await bot.handoff()).via) == (Outcome.ALREADY, Via.ELSEWHERE)


async def test_the_servicer_who_ended_it_meanwhile_is_named(bot: Bot) -> None:
    async def ends() -> None:
        bot.kf.servicer_ends(KF, ANN)
        await bot.hear()

    bot.kf.before("trans", ends)
    result = await bot.end()
    handoff = await bot.handoff()
    assert (result.outcome, handoff.via, handoff.operator_id) == (Outcome.ALREADY, Via.CLIENT, LI)
    assert bot.goodbyes == ["客服已结束对话"]


async def test_a_move_that_arrives_in_the_next_stretch_leaves_both_on_record(bot: Bot) -> None:
    """It goes unanswered; the servicer ends meanwhile, and takes the customer's next words; then it takes effect."""

    async def goes_on() -> None:
        bot.clock.move(2)
        bot.kf.servicer_ends(KF, ANN)
        bot.clock.move(2)
        bot.kf.customer_writes(KF, ANN, "还有")
        bot.kf.servicer_takes(KF, ANN, WU)
        await bot.hear()
        raise unavailable()

    bot.kf.before("trans", goes_on)
    await bot.end(COLLEAGUE)
    bot.kf.session_state(KF, ANN, ENDED)
    await bot.settle()
    bot.clock.move(LATE)
    await bot.handoffs.read_state(KEY)
    first, second = reversed(await bot.ledger.history(KEY))
    assert (first.via, first.operator_id) == (Via.CLIENT, LI)
    assert (second.servicer_userid, second.via, second.operator_id) == (WU, Via.COMMAND, COLLEAGUE.id)
    assert len(bot.kf.called("trans")) == 1


async def test_a_transfer_between_the_reading_and_the_move_is_followed(bot: Bot) -> None:
    def transferred() -> None:
        bot.kf.session_state(KF, ANN, HUMAN, WU)
        raise refusal(95016)

    bot.kf.before("trans", transferred)
    assert (await bot.end()).outcome is Outcome.ENDED
    assert [call.args[2] for call in bot.kf.called("trans")] == [LI, WU]


@pytest.mark.parametrize("errcode", [95013, 95016])
async def test_no_refusal_makes_it_loop(bot: Bot, errcode: int) -> None:
    bot.kf.before("trans", *[raising(refusal(errcode))] * 20)
    assert (await bot.end()).outcome is Outcome.FAILED
    assert len(bot.kf.called("trans")) <= 2
    assert len(bot.kf.calls) <= 6


async def test_a_refusal_that_cannot_be_read_back_is_not_called_open(bot: Bot) -> None:
    bot.kf.before("trans", raising(refusal(95013)))
    bot.kf.before("state", lambda: None, raising(unavailable()))
    assert (await bot.end()).outcome is Outcome.UNKNOWN
    assert [result.outcome for result in await bot.settle()] == [Outcome.ENDED]


async def test_an_ok_that_shows_only_later_is_looked_at_twice(bot: Bot, fake_sleep: FakeSleep) -> None:
    readings = iter([StateReading(HUMAN, LI), StateReading(HUMAN, LI), StateReading(ENDED)])

    async def lagging(key: SessionKey) -> StateReading:
        return next(readings)

    bot.kf.state = lagging  # type: ignore[method-assign]
    assert (await bot.end()).outcome is Outcome.ENDED
    assert fake_sleep.slept


async def test_the_next_session_does_not_make_an_end_untrue(bot: Bot) -> None:
    """Routing gives the customer's next message to a human before the end is read back."""
    bot.kf.account_routing(KF, "human")
    bot.kf.after("trans", lambda: bot.kf.customer_writes(KF, ANN, "还有"))
    result = await bot.end()
    assert result.outcome is Outcome.ENDED
    first, second = reversed(await bot.ledger.history(KEY))
    assert (first.status, second.status) == (HandoffStatus.COMPLETED, HandoffStatus.ACCEPTED)
    assert bot.state == StateReading(HUMAN, LI)


@pytest.mark.parametrize(("routing", "status"), [("assistant", None), ("queue", "PENDING")])
async def test_a_new_session_seen_on_the_way_is_followed(bot: Bot, routing: str, status: str | None) -> None:
    bot.kf.account_routing(KF, routing)
    bot.kf.after("trans", lambda: bot.kf.customer_writes(KF, ANN, "还有"))
    assert (await bot.end()).outcome is Outcome.ENDED
    open_ = await bot.ledger.open_handoff(KEY)
    assert (open_.status if open_ else None) == status


# -- no answer


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_time_out_is_unknown_until_read_back(bot: Bot, when: str) -> None:
    getattr(bot.kf, when)("trans", raising(unavailable()))
    result = await bot.end()
    assert (result.outcome, bot.state.state) == (Outcome.ENDED, ENDED)
    assert len(bot.kf.called("trans")) == (2 if when == "before" else 1)
    assert (await bot.types()).count(EventType.COMPLETED) == 1


async def test_a_move_that_takes_effect_after_its_time_out_is_still_ours(bot: Bot) -> None:
    bot.kf.before("trans", raising(unavailable()), lambda: bot.kf.session_state(KF, ANN, ENDED))
    result = await bot.end()
    assert (result.outcome, (await bot.handoff()).operator_id) == (Outcome.ENDED, AGENT.id)


async def test_a_move_that_takes_effect_while_it_is_resumed_is_still_ours(bot: Bot) -> None:
    await left_pending(bot)
    bot.kf.before("trans", lambda: bot.kf.session_state(KF, ANN, ENDED))
    assert [result.outcome for result in await bot.settle()] == [Outcome.ENDED]


async def test_a_read_back_that_fails_does_not_make_an_ok_unknown(bot: Bot) -> None:
    bot.kf.before("state", lambda: None, raising(unavailable()))
    result = await bot.end()
    assert (result.outcome, result.after) == (Outcome.ENDED, None)
    assert "confirmed" not in await bot.completed()  # WeCom gives a code for an end alone


async def test_but_without_a_code_the_record_says_that_nothing_has_confirmed_it(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.kf, "_code", lambda session, life: "")
    bot.kf.before("state", lambda: None, raising(unavailable()))
    assert (await bot.end()).outcome is Outcome.ENDED
    assert (await bot.completed())["confirmed"] is False


async def test_neither_answer_nor_reading_is_told_and_settled_later(bot: Bot) -> None:
    bot.kf.after("trans", raising(unavailable()))
    bot.kf.before("state", lambda: None, raising(unavailable()))
    result = await bot.end(notify=("wr1", True))
    assert (result.outcome, (await bot.handoff()).status) == (Outcome.UNKNOWN, HandoffStatus.IN_PROGRESS)
    assert [settled.outcome for settled in await bot.settle()] == [Outcome.ENDED]
    pending, settled = bot.told[0]
    assert (pending.chat_id, pending.is_group, settled.handoff) == ("wr1", True, await bot.handoff())
    assert (await bot.handoff()).operator_id == AGENT.id


async def test_when_wecom_is_down_from_the_start_nothing_is_recorded(bot: Bot) -> None:
    bot.kf.down = unavailable(sent=False)
    result = await bot.end()
    assert (result.outcome, result.error) == (Outcome.FAILED, bot.kf.down)
    assert await bot.types() == [EventType.REQUESTED, EventType.ACCEPTED, EventType.PROGRESS]


async def test_what_certainly_never_reached_wecom_is_tried_again_and_then_failed(bot: Bot) -> None:
    def down() -> None:
        bot.kf.down = unavailable(sent=False)
        raise bot.kf.down

    bot.kf.before("trans", down)
    assert (await bot.end()).outcome is Outcome.FAILED
    bot.kf.down = None
    assert (await bot.end()).outcome is Outcome.ENDED


@pytest.mark.parametrize(("name", "when"), [("trans", "before"), ("trans", "after")])
async def test_an_end_returns_within_its_limit_and_converges_when_wecom_is_back(
    start: StartBot, name: str, when: str
) -> None:
    bot = await start(limit=1.0)
    await served(bot)
    async with hanging(bot, name, when):
        result = await bot.end()
    assert result.outcome is Outcome.UNKNOWN
    assert await bot.types() == [EventType.REQUESTED, EventType.ACCEPTED, EventType.PROGRESS, EventType.ENDING]
    patient = await start()
    assert [settled.outcome for settled in await patient.settle()] == [Outcome.ENDED]
    assert (bot.state.state, (await bot.types()).count(EventType.COMPLETED)) == (ENDED, 1)


async def test_a_first_reading_without_answer_fails_within_the_limit(start: StartBot) -> None:
    bot = await start(limit=1.0)
    await served(bot)
    async with hanging(bot, "state", "before"):
        assert (await bot.end()).outcome is Outcome.FAILED


async def test_a_slow_goodbye_does_not_make_a_known_end_unknown(start: StartBot) -> None:
    bot = await start(limit=1.0)
    await served(bot)
    async with hanging(bot, "send_on_event", "before"):
        result = await bot.end()
        assert (result.outcome, result.closing) == (Outcome.ENDED, "sending")
    await asyncio.gather(*bot.handoffs._sending)
    assert bot.goodbyes == ["客服已结束对话"]


async def test_a_caller_who_is_stopped_leaves_the_rest_to_the_next_run(bot: Bot) -> None:
    """The script's own time is over, or the bot stops: nobody need wait for the lease."""
    async with hanging(bot, "trans", "before") as reached:
        task = asyncio.create_task(bot.end())
        await reached.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert task.cancelled()
    bot.clock.move(1)
    await bot.handoffs.settle_pending(bot._tell)
    assert [result.outcome for _, result in bot.told] == [Outcome.ENDED]


async def test_while_wecom_stays_down_the_intention_waits(bot: Bot) -> None:
    bot.kf.after("trans", raising(unavailable()))
    bot.kf.before("state", lambda: None, raising(unavailable()))
    await bot.end()
    bot.kf.down = unavailable(sent=False)
    assert await bot.settle() == []
    assert await bot.settle() == []
    bot.kf.down = None
    assert [result.outcome for result in await bot.settle()] == [Outcome.ENDED]
    assert await bot.settle() == []


# -- two at once


def outcomes(results: list[EndResult]) -> list[Outcome]:
    return sorted((result.outcome for result in results), key=str, reverse=True)


@pytest.mark.parametrize("processes", [1, 2])
async def test_of_two_ends_in_the_same_instant_one_counts(bot: Bot, start: StartBot, processes: int) -> None:
    other = bot if processes == 1 else await start()
    results = list(await asyncio.gather(bot.end(AGENT), other.end(COLLEAGUE)))
    assert outcomes(results) == [Outcome.ENDED, Outcome.ALREADY]
    handoff = await bot.handoff()
    winner = AGENT if results[0].outcome is Outcome.ENDED else COLLEAGUE
    assert handoff.operator_id == winner.id
    assert [result.handoff for result in results] == [handoff, handoff]
    assert (len(bot.kf.called("trans")), len(bot.goodbyes)) == (1, 1)
    assert (await bot.types()).count(EventType.COMPLETED) == 1


async def test_news_in_the_middle_of_an_end_do_not_make_it_fail(bot: Bot) -> None:
    """A servicer takes the session, hands it on, and others end it: whoever asks meanwhile hears how it came out."""

    async def news() -> None:
        def change(session: Session) -> None:
            session.version += 1

        await bot.ledger.change(KEY, change, bot.clock.now())

    bot.kf.after("state", news, news, news)
    assert (await bot.end()).outcome is Outcome.ENDED


def meeting(bot: Bot) -> tuple[list[asyncio.Task[EndResult]], asyncio.Event]:
    """Where to keep the second caller, and an event for when it asks for the state."""
    asks = asyncio.Event()
    bot.kf.before("state", lambda: None, asks.set)
    return [], asks


@pytest.mark.parametrize("when", ["before", "after"])
async def test_who_comes_while_it_is_being_ended_waits_for_the_truth(bot: Bot, when: str) -> None:
    """Before the move the state is still 3; after it, it is 4, but nobody has written down whose end it was."""
    others, asks = meeting(bot)

    async def colleague_comes() -> None:
        others.append(asyncio.create_task(bot.end(COLLEAGUE)))
        await asks.wait()

    getattr(bot.kf, when)("trans", colleague_comes)
    results = [await bot.end(), await others[0]]
    assert [result.outcome for result in results] == [Outcome.ENDED, Outcome.ALREADY]
    assert results[1].handoff == await bot.handoff()
    assert results[1].handoff is not None
    assert results[1].handoff.operator_id == AGENT.id


async def test_who_waits_for_another_that_fails_is_told_so(bot: Bot) -> None:
    others, asks = meeting(bot)

    async def colleague_comes() -> None:
        others.append(asyncio.create_task(bot.end(COLLEAGUE)))
        await asks.wait()
        raise refusal(95016)

    bot.kf.before("trans", colleague_comes)
    results = [await bot.end(), await others[0]]
    assert [result.outcome for result in results] == [Outcome.FAILED, Outcome.FAILED]
    assert (await bot.handoff()).status is HandoffStatus.IN_PROGRESS


async def test_who_waits_for_another_that_hears_nothing_is_told_that_nobody_knows(start: StartBot) -> None:
    bot = await start(limit=1.0)
    await served(bot)
    async with hanging(bot, "trans", "before"):
        results = await asyncio.gather(bot.end(), bot.end(COLLEAGUE))
    assert [result.outcome for result in results] == [Outcome.UNKNOWN, Outcome.UNKNOWN]


async def test_an_intention_whose_owner_is_gone_becomes_the_next_callers(bot: Bot) -> None:
    await crash(bot, "trans", "before", bot.end)
    bot.clock.move(LEASE + 1)
    result = await bot.end(COLLEAGUE)
    assert result.outcome is Outcome.ENDED
    assert (await bot.handoff()).operator_id == COLLEAGUE.id
    assert await bot.settle() == []


async def test_an_end_left_behind_by_a_dead_process_is_settled_by_who_asks_next(bot: Bot) -> None:
    """`bot.py end` while the bot is stopped: no job would settle it."""
    await crash(bot, "trans", "after", bot.end)
    bot.clock.move(LEASE + 1)
    result = await bot.end(COLLEAGUE)
    assert result.outcome is Outcome.ALREADY
    assert result.handoff is not None
    assert (result.handoff.operator_id, result.handoff.status) == (AGENT.id, HandoffStatus.COMPLETED)


async def test_an_end_settled_by_an_event_meanwhile_is_not_undone(bot: Bot) -> None:
    """The other process was slow, its lease ran out, the job settled: then its own answer comes."""

    async def overtaken() -> None:
        assert [result.outcome for result in await bot.settle()] == [Outcome.ENDED]

    bot.kf.after("trans", overtaken)
    result = await bot.end()
    assert result.outcome is Outcome.ALREADY
    assert (await bot.types()).count(EventType.COMPLETED) == 1


async def test_news_between_the_reading_and_the_record_make_it_look_again(bot: Bot) -> None:
    async def ended_and_begun_again() -> None:
        bot.kf.servicer_ends(KF, ANN)
        await bot.hear()

    bot.kf.after("state", ended_and_begun_again)
    result = await bot.end()
    assert (result.outcome, (await bot.handoff()).via) == (Outcome.ALREADY, Via.CLIENT)
    assert bot.kf.names == ["state", "state"]


# -- a crash after each step


@pytest.mark.parametrize(
    ("name", "when", "ended"),
    [
        ("state", "after", False),  # read, not recorded: nothing was promised
        ("trans", "before", True),  # recorded, not moved
        ("trans", "after", True),  # moved, answer lost
    ],
)
async def test_a_crash_settles_correctly_later(bot: Bot, start: StartBot, name: str, when: str, ended: bool) -> None:
    await crash(bot, name, when, bot.end)
    heir = await start()
    assert [result.outcome for result in await heir.settle()] == [Outcome.ENDED] * ended
    handoff = await heir.handoff()
    assert handoff.status is (HandoffStatus.COMPLETED if ended else HandoffStatus.IN_PROGRESS)
    assert heir.state.state is (ENDED if ended else HUMAN)
    if ended:
        assert (handoff.operator_id, handoff.via) == (AGENT.id, Via.COMMAND)
        assert (await heir.completed())["endedBy"] == "AGENT"


async def test_a_crash_at_the_read_back_settles_as_ours(bot: Bot, start: StartBot) -> None:
    async def dies_at_second() -> object:
        return await bot.end()

    bot.kf.after("state", lambda: None)
    await crash(bot, "state", "after", dies_at_second)
    heir = await start()
    assert ((await heir.handoff()).operator_id, await heir.settle()) == (AGENT.id, [])
    assert len(heir.kf.called("trans")) == 1


async def test_a_crash_after_wecoms_answer_keeps_the_goodbye(bot: Bot) -> None:
    """Its code is in that answer and nowhere else: it is on record before anything more is asked of WeCom."""
    known: list[str] = []

    async def look() -> None:
        known.append(await bot.ledger.code_state(1, ENDED))

    bot.kf.before("state", lambda: None, look)
    await bot.end()
    assert known and known[0]


async def test_nor_is_it_lost_where_wecom_is_slow_to_confirm_the_end(start: StartBot) -> None:
    bot = await start(limit=1.0)
    await served(bot)
    bot.kf.after("state", lambda: None)
    async with hanging(bot, "state", "after"):
        result = await bot.end()
    assert (result.outcome, result.after, bot.goodbyes) == (Outcome.ENDED, None, ["客服已结束对话"])


async def test_no_goodbye_outlives_the_drain_even_one_that_is_cut_off(start: StartBot) -> None:
    """The database is closed next."""
    bot = await start(limit=0.5)
    await served(bot)
    async with hanging(bot, "send_on_event", "before"):
        assert (await bot.end()).closing == "sending"
        (sending,) = bot.handoffs._sending
        draining = asyncio.create_task(bot.handoffs.drain(30))
        await asyncio.sleep(0)
        draining.cancel()
        await asyncio.wait({draining})
        assert sending.done()


async def test_a_crash_before_the_goodbye_leaves_it_to_the_next_start(bot: Bot, start: StartBot) -> None:
    await crash(bot, "send_on_event", "before", bot.end)
    heir = await start()
    assert (await heir.handoff()).status is HandoffStatus.COMPLETED
    await heir.ledger.recover_codes()
    await heir.handoffs._closings.send_all()
    assert heir.goodbyes == ["客服已结束对话"]


async def test_a_client_end_during_our_time_out_is_the_servicers(bot: Bot) -> None:
    """WeCom makes such events for the client only: our move cannot have been it."""
    bot.kf.before("trans", raising(unavailable()))
    bot.kf.before("state", lambda: None, raising(unavailable()))
    await bot.end()
    bot.kf.servicer_ends(KF, ANN)
    await bot.hear()
    assert [result.outcome for result in await bot.settle()] == [Outcome.ALREADY]
    handoff = await bot.handoff()
    assert (handoff.via, handoff.operator_id) == (Via.CLIENT, LI)


async def left_pending(bot: Bot) -> None:
    """Asked for, not moved, nothing read back."""
    bot.kf.before("trans", raising(unavailable()))
    bot.kf.before("state", lambda: None, raising(unavailable()))
    assert (await bot.end()).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("refused", "patience"),
    [(refusal(40096), PARK_AFTER), (refusal(95004), PARK_AFTER), (CredentialRejected(48007, "", ""), GIVE_UP_AFTER)],
)
async def test_an_end_whose_state_wecom_refuses_to_tell_is_parked_and_told(
    bot: Bot, database: Database, refused: WeComError, patience: float
) -> None:
    await left_pending(bot)
    bot.kf.before("state", raising(refused), raising(refused))
    for outcomes in ([], [Outcome.FAILED], []):
        assert [each.outcome for each in await bot.settle()] == outcomes
        bot.clock.move(patience)
    parked = ParkedEnds(database)
    (end,) = await parked.first(EVERYTHING, 9)
    assert (end.handoff.id, end.errcode, await parked.count(EVERYTHING)) == (1, refused.errcode, 1)
    assert (await bot.ledger.session(KEY)).ending is None  # and whoever asks anew begins anew
    assert await parked.revive(EVERYTHING) == 1
    bot.kf.session_state(KF, ANN, ENDED)
    assert [each.outcome for each in await bot.settle()] == [Outcome.ENDED]
    assert await parked.count(EVERYTHING) == 0


async def test_an_end_is_not_parked_because_wecom_is_down(bot: Bot) -> None:
    await left_pending(bot)
    bot.clock.move(10 * GIVE_UP_AFTER)
    bot.kf.before("state", raising(unavailable()))
    assert await bot.settle() == []


@pytest.mark.parametrize("ahead", [0.0, 8.0, -8.0])
@pytest.mark.parametrize("who", ["customer", "servicer"])
async def test_a_conversation_that_went_on_is_not_ended_blindly(bot: Bot, who: str, ahead: float) -> None:
    await left_pending(bot)
    bot.kf.ahead = ahead
    bot.clock.move(1)
    if who == "customer":
        bot.kf.customer_writes(KF, ANN, "等等，还有")
    else:
        bot.kf.servicer_writes(KF, ANN, LI, "请稍等")
    await bot.hear()
    assert await bot.settle_late() == [Outcome.FAILED]
    assert (bot.state.state, (await bot.handoff()).status) == (HUMAN, HandoffStatus.IN_PROGRESS)
    assert (await bot.types())[-1] is EventType.END_FAILED


@pytest.mark.parametrize("ahead", [0.0, 8.0, -8.0])
async def test_words_known_when_the_end_was_asked_for_do_not_stop_it(bot: Bot, ahead: float) -> None:
    bot.kf.ahead = ahead
    bot.kf.customer_writes(KF, ANN, "好的")
    await bot.hear()
    await left_pending(bot)
    assert [result.outcome for result in await bot.settle()] == [Outcome.ENDED]


async def test_the_customers_next_session_is_not_ended_for_the_last(bot: Bot) -> None:
    """The move took effect but its answer was lost; then she wrote again and is with a human again."""
    bot.kf.account_routing(KF, "human")

    async def lost() -> None:
        bot.kf.customer_writes(KF, ANN, "还有")
        await bot.hear()
        raise unavailable()

    bot.kf.after("trans", lost)
    assert (await bot.end()).outcome is Outcome.UNKNOWN
    assert await bot.settle_late() == [Outcome.FAILED]
    assert (bot.state, len(bot.kf.called("trans"))) == (StateReading(HUMAN, LI), 1)


async def overtaken(bot: Bot) -> None:
    """The move is on its way for longer than anybody waits, and the servicer writes meanwhile."""
    await left_pending(bot)
    bot.clock.move(1)
    bot.kf.servicer_writes(KF, ANN, LI, "请稍等")
    await bot.hear()


async def test_a_move_that_takes_effect_after_the_conversation_went_on_is_still_ours(bot: Bot) -> None:
    await overtaken(bot)
    bot.clock.move(2)
    await bot.handoffs.settle_pending(bot._tell)
    assert (bot.told, bot.state.state) == ([], HUMAN)
    bot.kf.session_state(KF, ANN, ENDED)
    await bot.handoffs.settle_pending(bot._tell)
    assert [result.outcome for _, result in bot.told] == [Outcome.ENDED]
    handoff = await bot.handoff()
    assert (handoff.status, handoff.via, handoff.operator_id) == (HandoffStatus.COMPLETED, Via.COMMAND, AGENT.id)
    assert len(bot.kf.called("trans")) == 1


async def test_so_it_is_where_it_ends_the_customers_next_session(bot: Bot) -> None:
    """Sent twice, as the first went unanswered; the second arrives when a servicer has taken the session again."""
    bot.kf.after("trans", raising(unavailable()))
    bot.kf.before("state", lambda: None, raising(unavailable()))
    await bot.end()
    assert [result.outcome for result in await bot.settle()] == [Outcome.ENDED]
    bot.kf.servicer_writes(KF, ANN, WU, "您好")
    await bot.hear()
    await bot.handoffs.read_state(KEY)
    bot.kf.session_state(KF, ANN, ENDED)
    bot.clock.move(LATE)
    assert await bot.ledger.due_checks(bot.clock.now(), 10) == [KEY]
    await bot.handoffs.read_state(KEY)
    second, first = await bot.ledger.history(KEY)
    assert (second.via, second.operator_id, first.via) == (Via.COMMAND, AGENT.id, Via.COMMAND)


async def test_who_asks_again_meanwhile_need_not_wait_for_it(bot: Bot) -> None:
    await overtaken(bot)
    bot.clock.move(2)
    await bot.handoffs.settle_pending(bot._tell)
    assert (await bot.end(COLLEAGUE)).outcome is Outcome.ENDED
    assert (await bot.handoff()).operator_id == COLLEAGUE.id


async def test_where_a_move_went_unanswered_and_the_next_was_refused_it_is_looked_at_again(bot: Bot) -> None:
    """The first may be on its way still."""
    bot.kf.before("trans", raising(unavailable()), raising(refusal(95016)))
    assert (await bot.end()).outcome is Outcome.FAILED
    bot.clock.move(LATE)
    assert await bot.ledger.due_checks(bot.clock.now(), 10) == [KEY]


async def test_a_queue_after_a_human_shows_that_the_end_has_happened(bot: Bot) -> None:
    bot.kf.account_routing(KF, "queue")
    bot.kf.after("trans", raising(unavailable()))
    bot.kf.before("state", lambda: None, raising(unavailable()))
    assert (await bot.end()).outcome is Outcome.UNKNOWN
    bot.kf.customer_writes(KF, ANN, "还有")
    assert [result.outcome for result in await bot.settle()] == [Outcome.ENDED]
    open_ = await bot.ledger.open_handoff(KEY)
    assert open_ is not None
    assert (open_.id, open_.status) == (2, HandoffStatus.PENDING)
    assert len(bot.kf.called("trans")) == 1


async def test_an_intention_is_given_up_in_the_end(bot: Bot) -> None:
    await left_pending(bot)
    bot.clock.move(GIVE_UP_AFTER)
    assert [result.outcome for result in await bot.settle()] == [Outcome.FAILED]
    assert bot.state.state is HUMAN


async def test_an_intention_for_a_stretch_that_is_over_moves_nothing(bot: Bot) -> None:
    """Whatever left it behind: it never ends the customer's next handoff."""
    await left_pending(bot)

    def gone(session: Any) -> None:
        session.ending = None
        bot.kf.session_state(KF, ANN, HUMAN, WU)
        session.handoff.status, session.handoff.completed_at = HandoffStatus.COMPLETED, bot.clock.now()
        session.touch(session.handoff)
        session.handoff = None

    await bot.ledger.change(KEY, gone, bot.clock.now())
    assert [result.outcome for result in await bot.settle()] == [Outcome.ALREADY]
    assert (bot.state, len(bot.kf.called("trans"))) == (StateReading(HUMAN, WU), 1)


# -- reading a state


async def test_a_reading_is_followed_and_what_it_opens_is_announced(start: StartBot) -> None:
    bot = await start()
    opened: list[str] = []
    bot.handoffs.on_open = lambda sessions: opened.extend(each.external_userid for each in sessions)
    bot.kf.customer_writes(KF, ANN, "在吗")
    bot.kf.session_state(KF, ANN, QUEUED)
    assert await bot.handoffs.read_state(KEY) == StateReading(QUEUED)
    await bot.handoffs.read_state(KEY)
    assert (opened, (await bot.handoff()).status) == ([ANN], HandoffStatus.PENDING)


async def test_an_answer_older_than_the_news_is_not_followed_but_asked_for_again(bot: Bot) -> None:
    async def ends() -> None:
        bot.kf.servicer_ends(KF, ANN)
        await bot.hear()

    bot.kf.after("state", ends)
    assert (await bot.handoffs.read_state(KEY)).state is HUMAN
    session = await bot.ledger.session(KEY)
    assert (session.handoff, session.check_at, (await bot.handoff()).via) == (None, bot.clock.now(), Via.CLIENT)


async def test_a_reading_that_fails_says_so(bot: Bot) -> None:
    bot.kf.down = unavailable()
    with pytest.raises(WeComError):
        await bot.handoffs.read_state(KEY)


# -- an end that the state shows before its event has been read


async def test_a_servicers_end_that_the_state_shows_first_is_the_servicers_and_gets_its_goodbye(bot: Bot) -> None:
    bot.kf.servicer_ends(KF, ANN)
    await bot.handoffs.read_state(KEY)
    handoff = await bot.handoff()
    assert (handoff.via, handoff.operator_id, handoff.ended_by) == (Via.CLIENT, LI, OperatorType.AGENT)
    await bot.handoffs._closings.send_all()
    assert bot.goodbyes == ["客服已结束对话"]


async def test_so_it_is_where_many_are_read(bot: Bot) -> None:
    bot.kf.servicer_ends(KF, ANN)
    assert await bot.handoffs.read_states([KEY]) == {}
    assert (await bot.handoff()).via == Via.CLIENT


async def test_an_event_may_come_into_the_stream_a_moment_after_the_state(bot: Bot) -> None:
    codes: list[str] = []
    bot.kf.session_state(KF, ANN, ENDED)

    async def late(seconds: float) -> None:
        bot.kf.session_state(KF, ANN, HUMAN, LI)
        codes.append(bot.kf.servicer_ends(KF, ANN))

    bot.handoffs.untold._sleep = late
    await bot.handoffs.read_state(KEY)
    assert (len(codes), (await bot.handoff()).via) == (1, Via.CLIENT)


async def test_what_the_stream_does_not_tell_was_done_elsewhere(bot: Bot) -> None:
    bot.kf.session_state(KF, ANN, ENDED)
    await bot.handoffs.read_state(KEY)
    assert ((await bot.handoff()).via, bot.goodbyes) == (Via.ELSEWHERE, [])
    assert (await bot.ledger.session(KEY)).state is ENDED


async def test_while_the_stream_cannot_be_read_nothing_is_concluded(bot: Bot) -> None:
    bot.kf.servicer_ends(KF, ANN)
    bot.deaf = True
    assert (await bot.handoffs.read_state(KEY)).state is ENDED
    assert (await bot.handoff()).status is HandoffStatus.IN_PROGRESS
    check_at = (await bot.ledger.session(KEY)).check_at
    assert check_at is not None and check_at <= bot.clock.now() + AGAIN
    bot.deaf = False
    bot.clock.move(AGAIN)
    await bot.handoffs.read_state(KEY)
    assert ((await bot.handoff()).via, (await bot.handoff()).operator_id) == (Via.CLIENT, LI)


async def test_nor_may_anybody_act_upon_such_a_session(bot: Bot) -> None:
    """Neither an alert nor an automatic end is wanted for it."""
    bot.kf.servicer_ends(KF, ANN)
    bot.deaf = True
    assert list(await bot.handoffs.read_states([KEY])) == [KEY]
    assert (await bot.end()).outcome is Outcome.ALREADY
    assert await bot.types() == [EventType.REQUESTED, EventType.ACCEPTED, EventType.PROGRESS]


async def test_but_not_for_ever(bot: Bot) -> None:
    """An end that is known must not stand as open as long as sync_msg fails."""
    bot.kf.session_state(KF, ANN, ENDED)
    bot.deaf = True
    began = bot.clock.now()
    while (await bot.handoff()).status.is_open:
        await bot.handoffs.read_state(KEY)
        bot.clock.move(AGAIN)
    handoff = await bot.handoff()
    assert (handoff.via, handoff.completed_at) == (Via.ELSEWHERE, began)
    assert ENOUGH <= bot.clock.now() - began <= ENOUGH + 2 * AGAIN < 2 * 30


async def test_a_machine_that_was_asleep_meanwhile_asks_again(bot: Bot) -> None:
    """That it is late says nothing of how often the stream was asked."""
    bot.kf.servicer_ends(KF, ANN)

    async def asleep(open_kfid: str) -> bool:
        bot.clock.move(600)
        return False

    bot.handoffs.untold.catch_up = asleep
    await bot.handoffs.read_state(KEY)
    assert (await bot.handoff()).status.is_open
    bot.handoffs.untold.catch_up = bot.catch_up
    await bot.handoffs.read_state(KEY)
    assert ((await bot.handoff()).via, (await bot.handoff()).operator_id) == (Via.CLIENT, LI)


async def test_who_comes_while_the_stream_is_asked_does_not_conclude_by_the_age_of_the_question(bot: Bot) -> None:
    bot.kf.servicer_ends(KF, ANN)
    bot.deaf = True
    for _ in range(IN_VAIN - 1):
        await bot.handoffs.read_state(KEY)
        bot.clock.move(ENOUGH)
    going, go = asyncio.Event(), asyncio.Event()

    async def slow(open_kfid: str) -> bool:
        going.set()
        await go.wait()
        bot.deaf = False
        return await bot.catch_up(open_kfid)

    bot.handoffs.untold.catch_up = slow
    asker = asyncio.create_task(bot.handoffs.read_state(KEY))
    await going.wait()
    await bot.handoffs.read_state(KEY)
    assert (await bot.handoff()).status.is_open
    go.set()
    await asker
    assert ((await bot.handoff()).via, (await bot.handoff()).operator_id) == (Via.CLIENT, LI)


async def test_after_a_crash_the_question_is_asked_anew(bot: Bot, start: StartBot) -> None:
    bot.kf.servicer_ends(KF, ANN)
    bot.deaf = True
    await bot.handoffs.read_state(KEY)
    heir = await start()
    heir.clock.move(AGAIN)
    assert await heir.ledger.due_checks(heir.clock.now(), 10) == [KEY]
    await heir.handoffs.read_state(KEY)
    assert (await heir.handoff()).via == Via.CLIENT


async def test_it_is_asked_anew_also_where_the_crash_came_while_it_was_asked(bot: Bot, start: StartBot) -> None:
    bot.kf.servicer_ends(KF, ANN)
    reached = asyncio.Event()

    async def hangs(open_kfid: str) -> bool:
        reached.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    bot.handoffs.untold.catch_up = hangs
    task = asyncio.create_task(bot.handoffs.read_state(KEY))
    await reached.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    heir = await start()
    heir.clock.move(AGAIN)
    assert await heir.ledger.due_checks(heir.clock.now(), 10) == [KEY]


async def test_a_session_found_with_a_human_again_is_the_customers_next(bot: Bot) -> None:
    """Ended without an event, begun again without one, while the stream could not be read."""
    bot.kf.session_state(KF, ANN, ENDED)
    bot.deaf = True
    await bot.handoffs.read_state(KEY)
    at = bot.clock.now()
    bot.kf.session_state(KF, ANN, HUMAN, LI)
    for _ in range(IN_VAIN - 1):
        bot.clock.move(ENOUGH)
        await bot.handoffs.read_state(KEY)
    first, second = reversed(await bot.ledger.history(KEY))
    assert (first.via, first.completed_at, second.servicer_userid) == (Via.ELSEWHERE, at, LI)


async def test_its_end_is_the_servicers_where_the_stream_tells_so_meanwhile(bot: Bot) -> None:
    bot.kf.servicer_ends(KF, ANN)
    bot.deaf = True
    await bot.handoffs.read_state(KEY)
    bot.kf.session_state(KF, ANN, HUMAN, WU)
    bot.clock.move(AGAIN)
    await bot.handoffs.read_state(KEY)
    bot.deaf = False
    bot.clock.move(AGAIN)
    await bot.handoffs.read_state(KEY)
    await bot.handoffs.read_state(KEY)
    first, second = reversed(await bot.ledger.history(KEY))
    assert (first.via, first.operator_id, second.servicer_userid) == (Via.CLIENT, LI, WU)


async def test_who_means_the_stretch_in_question_does_not_end_the_next(bot: Bot) -> None:
    bot.kf.session_state(KF, ANN, ENDED)
    bot.deaf = True
    await bot.handoffs.read_state(KEY)
    bot.clock.move(AGAIN)
    bot.kf.session_state(KF, ANN, HUMAN, LI)
    result = await bot.end(COLLEAGUE, handoff_id=1)
    assert (result.outcome, result.handoff.id if result.handoff else 0) == (Outcome.ALREADY, 1)
    assert (bot.state, bot.kf.called("trans")) == (StateReading(HUMAN, LI), [])


async def test_who_wrote_while_it_was_asked_is_looked_after(bot: Bot) -> None:
    """The customer's message belongs to the next session, whoever has it."""
    bot.kf.session_state(KF, ANN, ENDED)

    async def writes(open_kfid: str) -> bool:
        bot.clock.move(1)
        bot.kf.customer_writes(KF, ANN, "还有")
        await bot.hear()
        return True

    bot.handoffs.untold.catch_up = writes
    await bot.handoffs.read_state(KEY)
    assert await bot.ledger.due_checks(bot.clock.now(), 10) == [KEY]


async def test_an_end_by_the_servicer_between_the_reading_and_the_move_is_the_servicers(bot: Bot) -> None:
    bot.kf.before("trans", lambda: bot.kf.servicer_ends(KF, ANN))
    result = await bot.end()
    handoff = await bot.handoff()
    assert (result.outcome, handoff.via, handoff.operator_id) == (Outcome.ALREADY, Via.CLIENT, LI)
    await bot.handoffs._closings.send_all()
    assert bot.goodbyes == ["客服已结束对话"]


async def test_and_so_it_is_where_the_stream_can_be_read_only_later(bot: Bot) -> None:
    bot.kf.before("trans", lambda: bot.kf.servicer_ends(KF, ANN))
    bot.deaf = True
    result = await bot.end()
    assert (result.outcome, (await bot.handoff()).status) == (Outcome.ALREADY, HandoffStatus.IN_PROGRESS)
    assert await bot.settle() == []
    bot.deaf = False
    await bot.handoffs.read_state(KEY)
    assert ((await bot.handoff()).via, (await bot.handoff()).operator_id) == (Via.CLIENT, LI)


async def test_a_client_end_that_was_not_heard_of_during_our_time_out_is_the_servicers(bot: Bot) -> None:
    bot.kf.before("trans", raising(unavailable()))
    bot.kf.before("state", lambda: None, raising(unavailable()))
    await bot.end()
    bot.kf.servicer_ends(KF, ANN)
    assert [result.outcome for result in await bot.settle()] == [Outcome.ALREADY]
    assert ((await bot.handoff()).via, (await bot.handoff()).operator_id) == (Via.CLIENT, LI)


# -- the log


async def test_the_log_keeps_the_words_operators_grep_for(bot: Bot, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "kfbot")
    await bot.end()
    lines = [record.getMessage() for record in caplog.records if "会话" in record.getMessage()]
    assert lines[0].startswith("📊 当前会话状态: 人工接待中 (state=3) | 接待人: LiNa")
    assert lines[1].startswith("🔄 尝试自动结束会话")
    assert lines[2].startswith("✅ 成功结束会话")


@pytest.mark.parametrize("error", [refusal(95016), unavailable(sent=False)])
async def test_a_failure_is_logged_with_its_code(bot: Bot, caplog: pytest.LogCaptureFixture, error: WeComError) -> None:
    bot.kf.before("trans", raising(error), raising(error))
    await bot.end()
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert line.startswith("❌ 结束会话失败")
    assert f"errcode={error.errcode}" in line


async def test_what_the_assistant_serves_is_logged_as_nothing_to_end(
    bot: Bot, caplog: pytest.LogCaptureFixture
) -> None:
    bot.kf.session_state(KF, ANN, ASSISTANT)
    caplog.set_level("INFO", "kfbot")
    assert (await bot.end()).outcome is Outcome.ALREADY
    assert (await bot.end()).outcome is Outcome.NOT_HUMAN
    assert any("无需结束会话" in record.getMessage() for record in caplog.records)
