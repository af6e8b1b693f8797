"""Marked sessions have their state read, oldest mark first, inside the budget; no mark is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from bot.checks import (
    AT_ONCE,
    BATCH,
    LOOK_AGAIN,
    PAUSE_AFTER_REFUSAL,
    QUIET,
    QUIET_AT_ONCE,
    REFUSED_AGAIN,
    RETRY,
    UNSERVED,
    Checks,
)
from bot.closing import ClosingMessages
from bot.errors import CredentialRejected, RateLimited, StorageError, TokenExpired, WeComBusy, WeComError
from bot.handoffs import Handoffs
from bot.model import SessionKey, Via
from bot.sessions import FOLLOWED, Session, customer_wrote
from bot.states import SESSION_LIFETIME
from storage.ledger import Ledger
from tests.fakes import (
    ANN,
    BOB,
    ENDED,
    HUMAN,
    KF,
    LI,
    FakeClock,
    FakeKf,
    FakeSleep,
    nothing_more,
    raising,
    refusal,
    unavailable,
)

KEY, BOBS = SessionKey(KF, ANN), SessionKey(KF, BOB)


@pytest.fixture
def turns() -> list[float]:
    return []


@pytest.fixture
def checks(fake_kf: FakeKf, ledger: Ledger, fake_clock: FakeClock, fake_sleep: FakeSleep, turns: list[float]) -> Checks:
    async def turn() -> None:
        turns.append(fake_clock.now())

    handoffs = Handoffs(
        fake_kf, ledger, fake_clock, ClosingMessages(fake_kf, ledger, fake_clock, lambda handoff: ""), fake_sleep
    )
    handoffs.untold.catch_up = nothing_more
    return Checks(ledger, fake_clock, handoffs.read_state, turn, fake_sleep)


async def mark(ledger: Ledger, key: SessionKey, at: float) -> None:
    def decide(session: Session) -> None:
        session.check_at = at

    await ledger.change(key, decide, at)


def with_human(kf: FakeKf, *customers: str) -> None:
    for customer in customers:
        kf.customer_writes(KF, customer, "在吗")
        kf.session_state(KF, customer, HUMAN, LI)


async def test_sessions_already_stuck_at_a_first_start_are_found(
    checks: Checks, ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock, turns: list[float]
) -> None:
    with_human(fake_kf, ANN)
    fake_kf.customer_writes(KF, BOB, "你好")
    for key in (KEY, BOBS):
        await mark(ledger, key, fake_clock.now())
    await checks.work_off()
    assert [handoff.external_userid for handoff in await ledger.open_handoffs()] == [ANN]
    assert len(turns) == 2
    assert await ledger.due_checks(fake_clock.now(), 10) == []


async def test_the_oldest_mark_comes_first(
    checks: Checks, ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock
) -> None:
    await mark(ledger, KEY, fake_clock.now() - 1)
    await mark(ledger, BOBS, fake_clock.now() - 2)
    await checks.work_off()
    assert [call.args[0] for call in fake_kf.called("state")] == [BOBS, KEY]


async def test_more_than_a_batch_is_worked_off_in_one_go(
    checks: Checks, ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock, turns: list[float]
) -> None:
    customers = [f"wm{number:03}" for number in range(BATCH + 5)]
    for customer in customers:
        fake_kf.customer_new("", customer)
        await mark(ledger, SessionKey(KF, customer), fake_clock.now())
    await checks.work_off()
    assert len(turns) == len(customers)


async def test_a_mark_in_the_future_waits(
    checks: Checks, ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock
) -> None:
    await mark(ledger, KEY, fake_clock.now() + 7)
    assert (await checks.work_off(), fake_kf.calls) == (7, [])
    fake_clock.move(7)
    await checks.work_off()
    assert fake_kf.names == ["state"]


PASSING = [
    unavailable(),
    WeComBusy(-1, "busy", "/"),
    TokenExpired(42001, "expired", "/"),
    CredentialRejected(60020, "not allow to access from your ip", "/"),
    RateLimited(45009, "freq", "/"),
]


@pytest.mark.parametrize("error", PASSING, ids=lambda error: str(error.errcode))
async def test_trouble_that_is_not_the_sessions_own_keeps_its_mark(
    checks: Checks, ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock, error: WeComError
) -> None:
    with_human(fake_kf, ANN)
    await mark(ledger, KEY, fake_clock.now())
    fake_kf.before("state", raising(error))
    await checks.work_off()
    fake_clock.move(RETRY)
    await checks.work_off()
    assert await ledger.open_handoff(KEY) is not None


async def test_a_refusal_of_everything_pauses_everything(
    checks: Checks, ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock
) -> None:
    await mark(ledger, KEY, fake_clock.now())
    fake_kf.before("state", raising(CredentialRejected(48002, "forbidden", "/")))
    assert await checks.work_off() == PAUSE_AFTER_REFUSAL


async def test_a_hit_limit_costs_a_pause_and_then_the_others_are_read_on(
    checks: Checks, ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock, fake_sleep: FakeSleep, turns: list[float]
) -> None:
    for number in range(BATCH):
        fake_kf.customer_new("", f"wm{number:03}")
        await mark(ledger, SessionKey(KF, f"wm{number:03}"), fake_clock.now())
    began = fake_clock.now()
    fake_kf.before("state", raising(RateLimited(45009, "freq", "/")))
    await checks.work_off()
    before = [at for at in turns if at < began + LOOK_AGAIN]
    assert fake_sleep.slept[0] == LOOK_AGAIN and len(before) <= AT_ONCE
    assert len(turns) == BATCH
    assert await ledger.due_checks(fake_clock.now(), BATCH) == []


async def test_a_customer_wecom_does_not_know_is_not_asked_for_again(
    checks: Checks, ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock
) -> None:
    await mark(ledger, SessionKey(KF, "wmGone"), fake_clock.now())
    await checks.work_off()
    fake_clock.move(3600)
    await checks.work_off()
    assert len(fake_kf.called("state")) == 1


async def running(checks: Checks, until: Callable[[], Awaitable[bool]]) -> None:
    task = asyncio.create_task(checks.run())
    async with asyncio.timeout(30):
        while not await until():
            assert not task.done()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_it_goes_on_for_ever_and_follows_the_marks(
    checks: Checks, ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock
) -> None:
    with_human(fake_kf, ANN)
    await mark(ledger, KEY, fake_clock.now() + 40)

    async def found() -> bool:
        return await ledger.open_handoff(KEY) is not None

    await running(checks, found)


@pytest.mark.parametrize("error", [StorageError("busy"), RuntimeError("a bug")])
async def test_no_trouble_ends_it(
    checks: Checks, ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock, error: Exception
) -> None:
    with_human(fake_kf, ANN)
    await mark(ledger, KEY, fake_clock.now())
    fake_kf.before("state", raising(error))

    async def found() -> bool:
        return await ledger.open_handoff(KEY) is not None

    await running(checks, found)


async def test_it_can_be_woken(checks: Checks, ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock) -> None:
    forever = asyncio.Event()

    async def sleep(seconds: float) -> None:
        asleep.set()
        await forever.wait()

    asleep, checks._sleep = asyncio.Event(), sleep
    with_human(fake_kf, ANN)

    async def found() -> bool:
        await asleep.wait()
        if not fake_kf.calls:
            await mark(ledger, KEY, fake_clock.now())
            checks.wake()
        return await ledger.open_handoff(KEY) is not None

    await running(checks, found)


async def test_an_answer_overtaken_by_news_is_asked_for_again(
    checks: Checks, ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock
) -> None:
    """The version of the session has moved on while WeCom answered."""
    with_human(fake_kf, ANN)
    await mark(ledger, KEY, fake_clock.now())

    async def news() -> None:
        await ledger.change(KEY, _moved, fake_clock.now())

    fake_kf.after("state", news)
    await checks.work_off()
    assert len(fake_kf.called("state")) == 2
    assert (await ledger.session(KEY)).state is HUMAN


def _moved(session: Session) -> None:
    session.version += 1


async def test_an_end_by_another_program_is_found_although_no_event_told(
    checks: Checks, ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock
) -> None:
    with_human(fake_kf, ANN, BOB)
    for key in (KEY, BOBS):
        await mark(ledger, key, fake_clock.now())
    await checks.work_off()
    fake_kf.session_state(KF, ANN, ENDED)
    fake_clock.move(QUIET + 1)

    await checks.look_after_quiet_ones()
    await checks.work_off()

    assert [handoff.external_userid for handoff in await ledger.open_handoffs()] == [BOB]


async def test_a_handoff_known_to_be_open_a_moment_ago_is_not_asked_about(
    checks: Checks, ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock, turns: list[float]
) -> None:
    with_human(fake_kf, ANN)
    await mark(ledger, KEY, fake_clock.now())
    await checks.work_off()
    fake_clock.move(QUIET - 1)
    await checks.look_after_quiet_ones()
    await checks.work_off()
    assert len(turns) == 1


async def test_no_more_quiet_ones_are_asked_about_at_once_than_the_budget_allows(
    checks: Checks, ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock, turns: list[float]
) -> None:
    customers = [f"wmQuiet{number:025d}" for number in range(QUIET_AT_ONCE + 20)]
    for customer in customers:
        fake_kf.customer_new("", customer)
        with_human(fake_kf, customer)
        await mark(ledger, SessionKey(KF, customer), fake_clock.now())
    await checks.work_off()
    turns.clear()
    fake_clock.move(QUIET + 1)
    await checks.look_after_quiet_ones()
    await checks.work_off()
    assert len(turns) == QUIET_AT_ONCE


# -- sessions without a handoff


async def assisted(checks: Checks, ledger: Ledger, kf: FakeKf, clock: FakeClock, *customers: str) -> None:
    """Each wrote, and was found with the assistant; then all were silent for long enough to be asked about again."""
    for customer in customers:
        kf.customer_new("", customer)
        kf.customer_writes(KF, customer, "你好")
        key = SessionKey(KF, customer)
        await ledger.change(key, lambda session: customer_wrote(session, clock.now(), "", clock.now()), clock.now())
    await checks.work_off()
    clock.move(FOLLOWED)
    await checks.work_off()
    clock.move(UNSERVED)
    kf.calls.clear()


async def look(checks: Checks) -> None:
    await checks.look_after_quiet_ones()
    await checks.work_off()


async def test_a_handover_by_another_program_is_found_long_after_the_customers_last_word(
    checks: Checks, ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock
) -> None:
    await assisted(checks, ledger, fake_kf, fake_clock, ANN, BOB)
    fake_kf.session_state(KF, BOB, HUMAN, LI)
    await look(checks)
    assert [handoff.external_userid for handoff in await ledger.open_handoffs()] == [BOB]
    await look(checks)
    assert len(fake_kf.calls) == 2


async def test_open_handoffs_come_first_and_the_rest_of_the_minute_is_for_the_others(
    checks: Checks, ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock
) -> None:
    others = [f"wmOther{number:025d}" for number in range(QUIET_AT_ONCE)]
    await assisted(checks, ledger, fake_kf, fake_clock, *others)
    fake_clock.move(-QUIET - 1)
    with_human(fake_kf, ANN, BOB)
    for key in (KEY, BOBS):
        await mark(ledger, key, fake_clock.now())
    await checks.work_off()
    fake_kf.calls.clear()
    fake_clock.move(QUIET + 1)
    await look(checks)
    asked = {call.args[0].external_userid for call in fake_kf.calls}
    assert (len(asked), {ANN, BOB} <= asked) == (QUIET_AT_ONCE, True)
    await look(checks)
    assert len(fake_kf.calls) == len(others) + 2


async def test_what_wecom_has_ended_by_itself_is_not_asked_about(
    checks: Checks, ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock
) -> None:
    await assisted(checks, ledger, fake_kf, fake_clock, ANN)
    fake_clock.move(SESSION_LIFETIME)
    await look(checks)
    assert (fake_kf.calls, (await ledger.session(KEY)).state) == ([], ENDED)


async def test_a_session_that_cannot_be_read_does_not_stand_in_the_way_of_the_others(
    checks: Checks, ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock
) -> None:
    with_human(fake_kf, ANN, BOB)
    for key in (KEY, BOBS):
        await mark(ledger, key, fake_clock.now())
    await checks.work_off()
    fake_clock.move(QUIET + 1)
    fake_kf.before("state", raising(refusal(40096)))
    await look(checks)
    fake_kf.calls.clear()
    await look(checks)
    assert fake_kf.calls == []


@pytest.mark.parametrize(("errcode", "over"), [(40096, True), (95000, True), (95004, True), (95013, False)])
async def test_what_wecom_does_not_know_any_more_does_not_stay_open_for_ever(
    checks: Checks, ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock, errcode: int, over: bool
) -> None:
    with_human(fake_kf, ANN)
    await mark(ledger, KEY, fake_clock.now())
    await checks.work_off()
    fake_clock.move(QUIET + 1)
    fake_kf.before("state", *(raising(refusal(errcode)) for _ in range(1 + len(REFUSED_AGAIN))))
    await look(checks)
    for pause in REFUSED_AGAIN:
        assert await ledger.open_handoff(KEY) is not None
        fake_clock.move(pause)
        await checks.work_off()
    (handoff,) = await ledger.history(KEY)
    assert (handoff.via, handoff.reason) == ((Via.ELSEWHERE, f"WeCom {errcode}") if over else (None, None))


async def test_a_session_that_wecom_would_not_tell_of_is_asked_about_some_more_times(
    checks: Checks, ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock
) -> None:
    with_human(fake_kf, ANN)
    await mark(ledger, KEY, fake_clock.now())
    fake_kf.before("state", *(raising(refusal(95000)) for _ in REFUSED_AGAIN))
    await checks.work_off()
    for pause in REFUSED_AGAIN:
        assert await ledger.open_handoff(KEY) is None
        fake_clock.move(pause)
        await checks.work_off()
    assert await ledger.open_handoff(KEY) is not None


async def test_but_not_for_ever(checks: Checks, ledger: Ledger, fake_kf: FakeKf, fake_clock: FakeClock) -> None:
    with_human(fake_kf, ANN)
    await mark(ledger, KEY, fake_clock.now())
    fake_kf.down = refusal(95000)
    for pause in (0.0, *REFUSED_AGAIN):
        fake_clock.move(pause)
        await checks.work_off()
    assert ((await ledger.session(KEY)).check_at, len(fake_kf.calls)) == (None, 1 + len(REFUSED_AGAIN))
