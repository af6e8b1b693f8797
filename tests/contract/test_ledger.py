"""What every ledger promises: whole transactions, one owner of an intention, one end of a handoff.

Only the SQLite one for now, on a real file and real threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from bot.errors import StorageError
from bot.model import (
    NOTHING,
    EventType,
    Handoff,
    HandoffStatus,
    Operator,
    OperatorType,
    Rule,
    Scope,
    ServiceState,
    SessionKey,
    StateReading,
    Via,
)
from bot.ports import Ledger as Promise
from bot.rules import clock
from bot.sessions import (
    ClosingDraft,
    EventDraft,
    RatingDraft,
    Session,
    customer_wrote,
    finish,
    offer_greeting,
    open_handoff,
    servicer_wrote,
    state_read,
)
from bot.states import REPLY_CODE_LIFETIME
from storage.alerts import Alerts
from storage.database import Database
from storage.ledger import Ledger
from tests.fakes import ANN, ASSISTANT, BOB, ENDED, HUMAN, KF, KF2, LI, NEW, QUEUED, TENANT, WU

NOW = 1_700_000_000.0
KEY, BOBS = SessionKey(KF, ANN), SessionKey(KF, BOB)
AGENT, COLLEAGUE = Operator(OperatorType.AGENT, "ZhangSuQuan"), Operator(OperatorType.AGENT, "WangWei")
LEASE = 15.0

Open = Callable[..., Awaitable[Promise]]


@pytest.fixture
async def open_ledger(tmp_path: Path) -> AsyncIterator[Open]:
    """Opens the same records again, as another process would."""
    opened: list[Database] = []

    async def open_ledger(keep_text: str = "last") -> Promise:
        opened.append(Database(tmp_path / "data" / "kfbot.db"))
        await opened[-1].open()
        return Ledger(opened[-1], TENANT, keep_text)

    yield open_ledger
    for database in opened:
        await database.close()


@pytest.fixture
async def records(open_ledger: Open) -> Promise:
    return await open_ledger()


def begin(session: Session, at: float = NOW) -> Handoff:
    servicer_wrote(session, at - 9, LI, at)
    customer_wrote(session, at - 5, "在吗", at)
    servicer_wrote(session, at, LI, at)
    assert session.handoff is not None
    return session.handoff


async def begun(records: Promise, *keys: SessionKey) -> list[int]:
    return [(await records.change(key, begin, NOW)).id for key in keys]


def end(session: Session) -> Handoff:
    return finish(session, AGENT, Via.COMMAND, NOW + 60, "done")


def go_on(session: Session) -> bool:
    return True


async def intend(
    records: Promise, operator: Operator = AGENT, now: float = NOW, notify: tuple[str, bool] | None = None
) -> tuple[Handoff | None, object, bool]:
    return await records.open_ending(KEY, go_on, operator, Via.COMMAND, "why", now, LEASE, notify)


# -- sessions


async def test_a_session_nobody_has_seen_is_new(records: Promise) -> None:
    session = await records.session(KEY)
    assert (session.key, session.state, session.handoff, session.tenant_id) == (KEY, None, None, TENANT)


async def test_what_was_decided_is_there_for_the_next_and_for_another_process(
    records: Promise, open_ledger: Open
) -> None:
    await begun(records, KEY)
    for reader in (records, await open_ledger()):
        session = await reader.session(KEY)
        assert session.handoff is not None
        assert (session.state, session.servicer_userid, session.last_customer_at) == (HUMAN, LI, NOW - 5)
        assert (session.handoff.status, session.handoff.last_text) == (HandoffStatus.IN_PROGRESS, "在吗")
        assert session.version > 0


async def test_a_decision_that_fails_leaves_nothing(records: Promise) -> None:
    def fails(session: Session) -> None:
        begin(session)
        raise RuntimeError("half-way")

    with pytest.raises(RuntimeError):
        await records.change(KEY, fails, NOW)
    assert (await records.session(KEY)).handoff is None
    assert await records.history() == []


async def test_decisions_of_many_at_once_do_not_lose_each_other(records: Promise, open_ledger: Open) -> None:
    other = await open_ledger()

    def count(session: Session) -> None:
        session.version += 1

    await asyncio.gather(*(each.change(KEY, count, NOW) for each in [records, other] * 25))
    assert (await records.session(KEY)).version == 50


async def test_a_session_has_one_open_handoff_at_most(records: Promise) -> None:
    await begun(records, KEY)

    def another(session: Session) -> None:
        session.handoff = None
        begin(session)

    with pytest.raises(StorageError):
        await records.change(KEY, another, NOW)


async def test_a_handoff_ends_once(records: Promise) -> None:
    await begun(records, KEY)
    handoff = await records.change(KEY, end, NOW)

    def again(session: Session) -> None:
        session.log(handoff, EventType.COMPLETED, AGENT, NOW)

    with pytest.raises(StorageError):
        await records.change(KEY, again, NOW)


async def test_an_ended_handoff_gives_its_words_up_and_the_session_back_to_the_assistant(
    records: Promise, open_ledger: Open
) -> None:
    await begun(records, KEY)
    await records.change(KEY, end, NOW)
    (handoff,) = await records.history(KEY)
    assert (handoff.last_text, handoff.ended_by, handoff.reason) == (None, OperatorType.AGENT, "done")
    keeping = await open_ledger("all")
    await keeping.change(BOBS, begin, NOW)
    await keeping.change(BOBS, end, NOW)
    assert [each.last_text for each in await keeping.history(BOBS)] == ["在吗"]


async def test_the_log_tells_what_happened_in_order(records: Promise) -> None:
    await begun(records, KEY)
    await records.change(KEY, end, NOW)
    events = await records.events(1)
    assert [event.type for event in events] == [
        EventType.REQUESTED, EventType.ACCEPTED, EventType.PROGRESS, EventType.COMPLETED,
    ]  # fmt: skip
    assert events[1].operator == Operator(OperatorType.AGENT, LI)
    assert events[-1].data == {"endedBy": "AGENT", "via": "command", "status": "COMPLETED", "reason": "done"}


# -- intentions to end


async def test_an_intention_is_recorded_once(records: Promise, open_ledger: Open) -> None:
    await begun(records, KEY)
    handoff, ending, ours = await intend(records)
    again = await intend(await open_ledger(), COLLEAGUE, NOW + 1)
    assert handoff is not None
    assert (handoff.id, ours, again) == (1, True, (handoff, ending, False))
    assert (await records.session(KEY)).ending == ending


async def test_two_at_once_have_one_owner(records: Promise, open_ledger: Open) -> None:
    await begun(records, KEY)
    other = await open_ledger()
    results = await asyncio.gather(*(intend(each) for each in [records, other] * 5))
    assert sum(ours for _, _, ours in results) == 1


async def test_without_a_handoff_there_is_nothing_to_intend(records: Promise) -> None:
    assert await intend(records) == (None, None, False)


async def test_a_handoff_found_on_the_way_is_opened_with_it(records: Promise) -> None:
    def found(session: Session) -> bool:
        state_read(session, StateReading(HUMAN, LI), NOW)
        return True

    handoff, ending, ours = await records.open_ending(KEY, found, AGENT, Via.CLI, "", NOW, LEASE, None)
    assert handoff is not None
    assert ending is not None
    assert (ending.handoff_id, ours, handoff.status) == (handoff.id, True, HandoffStatus.ACCEPTED)


async def test_who_decides_not_to_go_on_records_nothing(records: Promise) -> None:
    await begun(records, KEY)
    _, ending, ours = await records.open_ending(KEY, lambda session: False, AGENT, Via.CLI, "", NOW, LEASE, None)
    assert (ending, ours, (await records.session(KEY)).ending) == (None, False, None)


async def test_an_intention_left_behind_becomes_the_next_askers(records: Promise) -> None:
    await begun(records, KEY)
    _, first, _ = await intend(records)
    _, second, ours = await intend(records, COLLEAGUE, NOW + LEASE, ("wr1", True))
    assert ours
    (pending,) = await records.due_endings(NOW + 2 * LEASE)
    assert pending.ending == second
    assert (pending.ending.operator, pending.ending.attempts, pending.chat_id) == (COLLEAGUE, 2, "wr1")
    assert first != second


async def test_what_is_due_is_what_nobody_holds(records: Promise) -> None:
    await begun(records, KEY)
    _, ending, _ = await intend(records, notify=("wr1", True))
    assert await records.due_endings(NOW) == []
    (pending,) = await records.due_endings(NOW + LEASE)
    assert (pending.ending, pending.key, pending.chat_id, pending.is_group) == (ending, KEY, "wr1", True)
    assert await records.take_ending(pending.ending.id, NOW + LEASE, LEASE)
    assert not await records.take_ending(pending.ending.id, NOW + LEASE, LEASE)
    assert await records.due_endings(NOW + LEASE) == []
    await records.release_ending(pending.ending.id, NOW + LEASE + 1, -2)
    assert len(await records.due_endings(NOW + LEASE + 1)) == 1


async def test_words_that_come_in_meanwhile_are_remembered(records: Promise) -> None:
    await begun(records, KEY)
    await intend(records)
    await records.change(KEY, lambda session: customer_wrote(session, NOW + 1, "等等", NOW + 1), NOW + 1)
    (pending,) = await records.due_endings(NOW + LEASE)
    assert pending.ending.overtaken
    ending = (await records.session(KEY)).ending
    assert ending is not None
    assert ending.overtaken
    _, renewed, _ = await intend(records, COLLEAGUE, NOW + LEASE)
    assert (await records.session(KEY)).ending == renewed


@pytest.mark.parametrize("state", ["done", "failed"])
async def test_a_settled_intention_is_nobodys_any_more(records: Promise, state: str) -> None:
    await begun(records, KEY)
    await intend(records)
    decide = end if state == "done" else (lambda session: session.handoff)
    await records.settle_ending(KEY, 1, state, "ended", 0, NOW, decide)
    assert (await records.due_endings(NOW + 99), (await records.session(KEY)).ending) == ([], None)
    assert not await records.take_ending(1, NOW + 99, LEASE)
    assert (await records.open_handoff(KEY) is None) == (state == "done")


async def test_settling_that_fails_settles_nothing(records: Promise) -> None:
    await begun(records, KEY)
    await intend(records)

    def fails(session: Session) -> None:
        end(session)
        raise RuntimeError("half-way")

    with pytest.raises(RuntimeError):
        await records.settle_ending(KEY, 1, "done", "ended", 0, NOW, fails)
    assert len(await records.due_endings(NOW + LEASE)) == 1
    assert await records.open_handoff(KEY) is not None


# -- messages by single-use codes


def end_with(code: str) -> Callable[[Session], Handoff]:
    def decide(session: Session) -> Handoff:
        handoff = end(session)
        session.closings.append(ClosingDraft(handoff, code, NOW + 20))
        return handoff

    return decide


async def test_a_closing_message_is_taken_once(records: Promise, open_ledger: Open) -> None:
    await begun(records, KEY)
    await records.change(KEY, end_with("CODE"), NOW)
    assert await records.due_codes(ENDED) == [(1, ENDED)]
    other = await open_ledger()
    taken = await asyncio.gather(*(each.take_code(1, ENDED) for each in [records, other] * 5))
    (closing,) = [each for each in taken if each is not None]
    assert (closing.code, closing.expires_at, closing.attempts, closing.handoff.id) == ("CODE", NOW + 20, 1, 1)
    assert len(closing.msgid) <= 32
    assert (await records.due_codes(ENDED), await records.code_state(1, ENDED)) == ([], "sending")


async def test_of_two_codes_for_one_handoff_the_first_is_used(records: Promise) -> None:
    await begun(records, KEY)
    await records.change(KEY, end_with("FIRST"), NOW)

    def late(session: Session) -> None:
        handoff = Handoff(1, TENANT, KF, ANN, HandoffStatus.COMPLETED, LI, NOW)
        session.closings.append(ClosingDraft(handoff, "SECOND", NOW + 30))

    await records.change(KEY, late, NOW)
    closing = await records.take_code(1, ENDED)
    assert closing is not None
    assert closing.code == "FIRST"


async def test_a_code_of_a_handoff_that_is_still_open_waits(records: Promise) -> None:
    """An event brought it while our own end is under way."""

    def early(session: Session) -> None:
        session.closings.append(ClosingDraft(begin(session), "CODE", NOW + 20))

    await records.change(KEY, early, NOW)
    assert (await records.due_codes(ENDED), await records.take_code(1, ENDED)) == ([], None)
    await records.change(KEY, end, NOW)
    assert await records.due_codes(ENDED) == [(1, ENDED)]


async def test_how_a_closing_message_went_is_kept_and_logged(records: Promise) -> None:
    await begun(records, KEY)
    handoff = await records.change(KEY, end_with("CODE"), NOW)
    await records.take_code(1, ENDED)
    event = EventDraft(handoff, EventType.CLOSING, AGENT, NOW, {"outcome": "sent"})
    await records.settle_code(handoff, ENDED, "sent", 0, "", event)
    assert await records.code_state(1, ENDED) == "sent"
    assert (await records.events(1))[-1].data == {"outcome": "sent"}


async def test_what_was_being_sent_at_a_crash_may_be_sent_again(records: Promise) -> None:
    await begun(records, KEY)
    await records.change(KEY, end_with("CODE"), NOW)
    await records.take_code(1, ENDED)
    await records.recover_codes()
    closing = await records.take_code(1, ENDED)
    assert closing is not None
    assert closing.attempts == 2


async def test_what_somebody_is_sending_is_not_taken_from_him(records: Promise) -> None:
    def greet(session: Session) -> None:
        begin(session)
        offer_greeting(session, HUMAN, "HUMAN", NOW)

    await records.change(KEY, greet, NOW)
    await records.take_code(1, HUMAN)
    await records.recover_codes([(1, HUMAN)])
    assert await records.code_state(1, HUMAN) == "sending"
    await records.recover_codes([(2, HUMAN), (1, QUEUED)], dead=0.0)
    assert await records.code_state(1, HUMAN) == "pending"


async def test_a_closing_message_may_be_another_process_s_until_its_code_is_dead(records: Promise) -> None:
    await begun(records, KEY)
    await records.change(KEY, end_with("CODE"), NOW)
    taken = await records.take_code(1, ENDED)
    assert taken is not None
    await records.recover_codes(dead=taken.expires_at - 0.1)
    assert await records.code_state(1, ENDED) == "sending"
    await records.recover_codes(dead=taken.expires_at)
    assert await records.code_state(1, ENDED) == "pending"


async def test_a_greeting_is_taken_once_for_each_state_while_the_handoff_is_open(
    records: Promise, open_ledger: Open
) -> None:
    def greet(session: Session) -> None:
        begin(session)
        for state, code in ((QUEUED, "POOL"), (HUMAN, "HUMAN"), (HUMAN, "AGAIN")):
            offer_greeting(session, state, code, NOW)

    await records.change(KEY, greet, NOW)
    assert await records.due_codes(QUEUED, HUMAN) == [(1, QUEUED), (1, HUMAN)]
    assert await records.due_codes(ENDED) == []
    other = await open_ledger()
    taken = await asyncio.gather(*(each.take_code(1, HUMAN) for each in [records, other] * 5))
    (greeting,) = [each for each in taken if each is not None]
    assert (greeting.code, greeting.given_in, greeting.expires_at) == ("HUMAN", HUMAN, NOW + REPLY_CODE_LIFETIME)
    assert await records.due_codes(QUEUED, HUMAN) == [(1, QUEUED)]
    assert [await records.code_state(1, state) for state in (QUEUED, HUMAN, ENDED)] == ["pending", "sending", ""]


async def test_the_messages_of_a_handoff_have_different_names(records: Promise) -> None:
    def greet(session: Session) -> None:
        begin(session)
        for state in (QUEUED, HUMAN):
            offer_greeting(session, state, "CODE", NOW)

    await records.change(KEY, greet, NOW)
    await records.change(KEY, end_with("CODE"), NOW)
    taken = [await records.take_code(1, state) for state in (QUEUED, HUMAN, ENDED)]
    assert len({each.msgid for each in taken if each is not None}) == 3


# -- what customers ask for


async def test_a_wish_to_end_is_there_for_another_process(records: Promise, open_ledger: Open) -> None:
    def ask(at: float) -> Callable[[Session], None]:
        def decide(session: Session) -> None:
            begin(session)
            session.end_asked_at = at

        return decide

    assert await records.asked_ends() == []
    await records.change(KEY, ask(NOW + 5), NOW)
    await records.change(BOBS, ask(NOW), NOW)
    other = await open_ledger()
    assert (await other.asked_ends(), await other.asked_ends(1)) == ([BOBS, KEY], [BOBS])
    assert (await other.session(KEY)).end_asked_at == NOW + 5
    await records.change(KEY, end, NOW)
    assert await other.asked_ends() == [BOBS]


@pytest.mark.parametrize("tells", [False, True])
async def test_the_group_may_hear_of_every_end_by_a_customer(database: Database, tells: bool) -> None:
    records, alerts = Ledger(database, TENANT, tell_ends=tells), Alerts(database)
    for key, who in ((KEY, OperatorType.USER), (BOBS, OperatorType.AGENT)):
        await records.change(key, begin, NOW)
        operator = Operator(who, "x")
        await records.change(key, lambda session, by=operator: finish(session, by, Via.API, NOW), NOW)  # type: ignore[misc]
    due = await alerts.due(NOW, 10)
    assert [(each.handoff.id, each.told, each.alerts) for each in due] == ([(1, True, {})] if tells else [])
    assert [each.handoff_id for each in await alerts.close([1, 2])] == ([1] if tells else [])
    assert (await alerts.close([1, 2]), await alerts.open()) == ([], [])


def rate(handoff_id: int, score: str) -> Callable[[Session], None]:
    return lambda session: session.ratings.append(RatingDraft(handoff_id, score, NOW + 99))


async def ratings(records: Promise, handoff_id: int) -> list[tuple[object, ...]]:
    rated = [each for each in await records.events(handoff_id) if each.type is EventType.RATED]
    return [(each.operator, each.at, each.data) for each in rated]


async def test_the_first_rating_of_an_ended_handoff_counts(records: Promise) -> None:
    await begun(records, KEY)
    await records.change(KEY, end, NOW)
    for score in ("bad", "good"):
        await records.change(KEY, rate(1, score), NOW)
    assert await ratings(records, 1) == [(Operator(OperatorType.USER, ANN), NOW + 99, {"score": "bad"})]


async def test_nobody_rates_what_is_open_or_of_another(records: Promise) -> None:
    await begun(records, KEY, BOBS)
    await records.change(BOBS, end, NOW)
    for number in (1, 2, 3):
        await records.change(KEY, rate(number, "good"), NOW)
    assert [await ratings(records, number) for number in (1, 2, 3)] == [[], [], []]


async def test_the_place_in_the_queue_counts_who_waits_longer_in_the_account(records: Promise) -> None:
    def wait(at: float, status: HandoffStatus = HandoffStatus.PENDING) -> Callable[[Session], Handoff]:
        return lambda session: open_handoff(session, status, None, at, Via.STATE)

    first = await records.change(SessionKey(KF, "wmA"), wait(NOW), NOW)
    await records.change(SessionKey(KF2, "wmB"), wait(NOW), NOW)
    await records.change(SessionKey(KF, "wmC"), wait(NOW, HandoffStatus.ACCEPTED), NOW)
    same = await records.change(KEY, wait(NOW), NOW)
    last = await records.change(BOBS, wait(NOW + 1), NOW)
    assert [await records.place_in_queue(each) for each in (first, same, last)] == [1, 2, 3]


# -- marks


async def test_marks_come_due_oldest_first(records: Promise) -> None:
    for key, at in ((KEY, NOW + 2), (BOBS, NOW + 1)):
        await records.change(key, lambda session, at=at: setattr(session, "check_at", at), NOW)  # type: ignore[misc]
    assert (await records.due_checks(NOW, 10), await records.next_check()) == ([], NOW + 1)
    assert await records.due_checks(NOW + 2, 10) == [BOBS, KEY]
    assert await records.due_checks(NOW + 2, 1) == [BOBS]


HOUR = 3600.0


async def known(records: Promise, customer: str, state: ServiceState | None, state_at: float, wrote_at: float) -> None:
    def learn(session: Session) -> None:
        session.state, session.state_at, session.last_customer_at = state, state_at, wrote_at

    await records.change(SessionKey(KF, customer), learn, NOW)


async def unserved(records: Promise, limit: int = 100) -> tuple[int, list[str]]:
    """Asked with what is known for half an hour and customers silent for two days: how many, and whom to read."""
    marked = await records.check_unserved(NOW - HOUR / 2, NOW - 48 * HOUR, NOW, limit)
    return marked, [key.external_userid for key in await records.due_checks(NOW, 100)]


@pytest.mark.parametrize("state", [NEW, ASSISTANT, None], ids=str)
async def test_whom_another_program_may_have_handed_over_is_read_again(
    records: Promise, state: ServiceState | None
) -> None:
    await known(records, "wmJustRead", state, NOW - 60, NOW - HOUR)
    await known(records, "wmLongKnown", state, NOW - HOUR, NOW - HOUR)
    await known(records, "wmEnded", ENDED, NOW - HOUR, NOW - HOUR)
    await begun(records, KEY)
    assert await unserved(records) == (1, ["wmLongKnown"])


async def test_the_longest_known_are_read_first(records: Promise) -> None:
    for hours in (2, 4, 3):
        await known(records, f"wm{hours}", ASSISTANT, NOW - hours * HOUR, NOW - HOUR)
    assert await unserved(records, limit=0) == (0, [])
    assert await unserved(records, limit=2) == (2, ["wm3", "wm4"])
    assert await unserved(records, limit=2) == (2, ["wm3", "wm4"])


async def test_a_session_its_customer_has_left_for_two_days_is_over(records: Promise) -> None:
    await known(records, "wmSilent", ASSISTANT, NOW - HOUR, NOW - 48 * HOUR)
    await known(records, "wmNeverHeard", ASSISTANT, NOW - HOUR, 0.0)
    await known(records, "wmOfOld", ASSISTANT, NOW - 49 * HOUR, 0.0)
    before = await records.session(SessionKey(KF, "wmSilent"))
    assert await unserved(records, limit=1) == (1, ["wmNeverHeard"])
    over = [await records.session(SessionKey(KF, customer)) for customer in ("wmSilent", "wmOfOld")]
    assert [(each.state, each.state_at) for each in over] == [(ENDED, NOW)] * 2
    assert over[0].version > before.version


async def test_a_mark_that_is_due_is_not_put_off_nor_its_session_taken_for_over(records: Promise) -> None:
    await known(records, "wmSilent", None, 0.0, 0.0)
    await records.change(SessionKey(KF, "wmSilent"), lambda session: setattr(session, "check_at", NOW - 9), NOW)
    await records.change(KEY, begin, NOW)
    await records.change(KEY, lambda session: setattr(session, "check_at", NOW - 8), NOW)
    assert await unserved(records) == (1, ["wmSilent", ANN])
    assert await records.check_quiet(NOW + HOUR, NOW, 100) == 1
    assert await records.next_check() == NOW - 9
    assert await records.due_checks(NOW - 8, 100) == [SessionKey(KF, "wmSilent"), KEY]


async def test_without_marks_there_is_no_next(records: Promise) -> None:
    assert await records.next_check() is None


# -- questions


async def several(records: Promise) -> None:
    """1: Ann, answered. 2: Bob, waits. 3: Ann in the other account, queued, waits longer. 4: ended."""
    await begun(records, KEY, BOBS)
    await records.change(BOBS, lambda session: customer_wrote(session, NOW + 9, "喂", NOW + 9), NOW)

    def queued(session: Session) -> None:
        customer_wrote(session, NOW + 4, "排队", NOW + 5)
        state_read(session, StateReading(QUEUED), NOW + 5)

    await records.change(SessionKey(KF2, ANN), queued, NOW)
    await begun(records, SessionKey(KF2, BOB))
    await records.change(SessionKey(KF2, BOB), end, NOW)


@pytest.mark.parametrize(
    ("kind", "expected"), [("", [3, 2, 1]), ("waiting", [3, 2]), ("human", [2, 1]), ("queue", [3])]
)
async def test_open_handoffs_are_listed_longest_wait_first(records: Promise, kind: str, expected: list[int]) -> None:
    await several(records)
    assert [each.id for each in await records.open_handoffs(kind)] == expected
    assert [each.id for each in await records.open_handoffs(kind, limit=1, offset=1)] == expected[1:2]
    assert await records.count_open(kind) == len(expected)


@pytest.mark.parametrize("rule", [Rule.HUMAN_IDLE, Rule.CUSTOMER_WAITING, Rule.HUMAN_OPEN])
async def test_what_matches_is_what_the_rules_clock_says(records: Promise, rule: Rule) -> None:
    await several(records)
    await records.change(SessionKey(KF, "wmFromQueue"), lambda session: from_queue(session, NOW - 50), NOW)
    began = {each.id: clock(each, rule) for each in await records.open_handoffs()}
    running = sorted((at, number) for number, at in began.items() if at is not None)
    assert running
    for before in {at for at, _ in running} | {NOW + 1000}:
        expected = [number for at, number in running if at < before]
        assert [each.id for each in await records.open_matching(rule, before, 10)] == expected
        assert [each.id for each in await records.open_matching(rule, before, 1)] == expected[:1]


def from_queue(session: Session, at: float) -> None:
    """The customer wrote, queued, and was accepted ten seconds later."""
    customer_wrote(session, at, "在吗", at)
    state_read(session, StateReading(QUEUED), at)
    state_read(session, StateReading(HUMAN, LI), at + 10)


async def test_handoffs_are_found_by_number_session_and_prefix(records: Promise) -> None:
    await several(records)
    found = await records.handoff(2)
    assert found is not None
    assert found.key == BOBS
    assert await records.open_handoff(BOBS) == found
    assert (await records.handoff(99), await records.open_handoff(SessionKey(KF2, BOB))) == (None, None)
    assert [each.id for each in await records.open_by_prefix(ANN[:6])] == [1, 3]
    assert [each.id for each in await records.open_by_prefix(ANN[:6], limit=1)] == [1]
    assert await records.open_by_prefix(ANN[:6].upper()) == []
    assert await records.sessions_by_prefix(BOB) == [SessionKey(KF, BOB), SessionKey(KF2, BOB)]


async def test_history_is_newest_first(records: Promise) -> None:
    await several(records)
    assert [each.id for each in await records.history(limit=3)] == [4, 3, 2]
    assert [each.id for each in await records.history(KEY)] == [1]


@pytest.mark.parametrize(
    "scope", [Scope(frozenset({KF}), others=False), Scope(frozenset({KF2}))], ids=["named", "rest"]
)
async def test_a_scope_knows_of_no_other_account(records: Promise, scope: Scope) -> None:
    await several(records)
    mine = records.within(scope)
    for kind in ("", "waiting", "human", "queue"):
        own = [each for each in await records.open_handoffs(kind) if each.open_kfid == KF]
        assert (await mine.open_handoffs(kind), await mine.count_open(kind)) == (own, len(own))
    assert [each.id for each in await mine.open_handoffs(limit=1, offset=1)] == [1]
    assert [each.id for each in await mine.open_matching(Rule.HUMAN_OPEN, NOW + 99, 10)] == [1, 2]
    assert [each.id for each in await mine.open_by_prefix(ANN[:6])] == [1]
    assert await mine.sessions_by_prefix(BOB) == [BOBS]
    assert [each.id for each in await mine.history()] == [2, 1]
    assert [each.id for each in await mine.history(limit=1)] == [2]
    assert await mine.handoff(2) == await records.handoff(2)
    assert await mine.open_handoff(KEY) == await records.open_handoff(KEY)
    assert (await mine.history(KEY), await mine.events(1)) == (await records.history(KEY), await records.events(1))


@pytest.mark.parametrize("scope", [Scope(frozenset({KF}), others=False), NOTHING], ids=["another", "nothing"])
async def test_what_lies_outside_a_scope_is_answered_as_what_never_was(records: Promise, scope: Scope) -> None:
    await several(records)
    mine, theirs = records.within(scope), SessionKey(KF2, ANN)
    assert (
        (await mine.handoff(3), await mine.events(3)) == (await mine.handoff(99), await mine.events(99)) == (None, [])
    )
    assert (await mine.open_handoff(theirs), await mine.history(theirs), await mine.history(theirs, 1)) == (
        None,
        [],
        [],
    )
    assert theirs not in await mine.sessions_by_prefix(ANN)
    assert 3 not in [each.id for each in await mine.open_by_prefix(ANN)]


async def test_a_scope_of_accounts_with_nothing_on_record_is_empty(records: Promise) -> None:
    await several(records)
    for scope in (Scope(frozenset({"wkNEW"}), others=False), Scope(frozenset({KF, KF2})), NOTHING):
        mine = records.within(scope)
        assert (await mine.history(), await mine.open_handoffs(), await mine.count_open()) == ([], [], 0)
        assert (await mine.sessions_by_prefix("wm"), await mine.counts()) == ([], [])


async def test_history_and_sessions_of_several_accounts_come_in_one_order(records: Promise) -> None:
    await several(records)
    both = records.within(Scope(frozenset({KF, KF2, "wkNEW"}), others=False))
    assert await both.history() == await records.history()
    assert await both.history(limit=3) == await records.history(limit=3)
    assert await both.sessions_by_prefix("wm") == await records.sessions_by_prefix("wm")
    assert await both.sessions_by_prefix("wm", 3) == await records.sessions_by_prefix("wm", 3)


async def test_a_transferred_handoff_belongs_to_the_other(records: Promise) -> None:
    await begun(records, KEY)
    await records.change(KEY, lambda session: state_read(session, StateReading(HUMAN, WU), NOW + 1), NOW)
    assert [each.servicer_userid for each in await records.open_handoffs()] == [WU]


STEPS: list[tuple[str, Callable[[Session], object]]] = [
    ("queued", lambda session: state_read(session, StateReading(QUEUED), NOW)),
    ("a customer's word", lambda session: customer_wrote(session, NOW + 1, "在吗", NOW + 1)),
    ("accepted", lambda session: state_read(session, StateReading(HUMAN, LI), NOW + 2)),
    ("another word", lambda session: customer_wrote(session, NOW + 3, "有人吗", NOW + 3)),
    ("the first answer", lambda session: servicer_wrote(session, NOW + 4, LI, NOW + 4)),
    ("transferred", lambda session: state_read(session, StateReading(HUMAN, WU), NOW + 5)),
    ("an answer by the other", lambda session: servicer_wrote(session, NOW + 20, WU, NOW + 20)),
    ("a last word", lambda session: customer_wrote(session, NOW + 21, "谢谢", NOW + 21)),
    ("ended", lambda session: finish(session, AGENT, Via.COMMAND, NOW + 40, "done")),
]


async def test_each_step_of_a_handoff_is_on_record_as_it_was_decided(records: Promise) -> None:
    for name, step in STEPS:

        def decide(session: Session, step: Callable[[Session], object] = step) -> Handoff:
            before = session.handoff
            step(session)
            handoff = session.handoff or before
            assert handoff is not None
            return handoff

        decided = await records.change(KEY, decide, NOW)
        assert await records.handoff(decided.id) == decided, name
