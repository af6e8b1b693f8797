"""Alerts on record: each said once, whoever looks, and closed once, whatever happens in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import pytest

from bot.model import Handoff, HandoffStatus, Operator, OperatorType, Rule, SessionKey, Via
from bot.ports import Closed, Order, Sending
from bot.sessions import Session, customer_wrote, finish, open_handoff, servicer_wrote
from storage import alerts as module
from storage.alerts import Alerts
from storage.database import Database
from storage.ledger import Ledger
from storage.promises import Promises
from tests.fakes import ANN, BOB, KF, LI, TENANT

NOW = 1_700_000_000.0
WAITING, IDLE, OPEN = Rule.CUSTOMER_WAITING, Rule.HUMAN_IDLE, Rule.HUMAN_OPEN
STAFF = Operator(OperatorType.AGENT, LI)


@pytest.fixture
def ledger(database: Database) -> Ledger:
    """Each handoff is due 300 s after the last word."""
    return Ledger(database, TENANT, "last", lambda handoff: handoff.active_at + 300)


@pytest.fixture
def alerts(database: Database) -> Alerts:
    return Alerts(database)


@pytest.fixture
async def others(tmp_path: Path, database: Database) -> AsyncIterator[Alerts]:
    """Those of another process."""
    second = Database(tmp_path / "kfbot.db")
    await second.open()
    yield Alerts(second)
    await second.close()


Begin = Callable[..., Awaitable[Handoff]]


@pytest.fixture
def begin(ledger: Ledger) -> Begin:
    async def begin(customer: str = ANN, at: float = NOW) -> Handoff:
        """A customer who waits since then."""

        def decide(session: Session) -> None:
            customer_wrote(session, at, "在吗", at)
            open_handoff(session, HandoffStatus.ACCEPTED, LI, at, Via.EVENT)

        return await changed(ledger, customer, decide)

    return begin


async def changed(ledger: Ledger, customer: str, decide: Callable[[Session], object]) -> Handoff:
    key = SessionKey(KF, customer)
    await ledger.change(key, decide, NOW)
    return (await ledger.history(key, limit=1))[0]


async def answered(ledger: Ledger, at: float = NOW + 400) -> Handoff:
    return await changed(ledger, ANN, lambda session: servicer_wrote(session, at, LI, at))


async def ended(ledger: Ledger, customer: str = ANN, via: str = Via.CLIENT) -> Handoff:
    return await changed(ledger, customer, lambda session: finish(session, STAFF, via, NOW + 500))


def sending(handoff: Handoff, rule: Rule = WAITING, sends: int = 1, next_at: float = NOW + 1300) -> Sending:
    return Sending(handoff, rule, NOW + 400, sends, next_at)


def order(handoff: Handoff, *sendings: Sending, **changes: Any) -> Order:
    return replace(Order(handoff, NOW + 9000, {}, (), sendings), **changes)


async def told(alerts: Alerts, handoff: Handoff, sends: int = 1, rule: Rule = WAITING) -> None:
    for number in range(1, sends + 1):
        one = sending(handoff, rule, number)
        assert await alerts.record([order(handoff, one)], NOW + 400) == [one]
        assert await alerts.hand_out([one])


async def due(alerts: Alerts, at: float, limit: int = 10) -> list[int]:
    return [each.handoff.id for each in await alerts.due(at, limit)]


async def sends(alerts: Alerts, handoff: Handoff) -> dict[Rule, int]:
    [watched] = await alerts.watched([handoff.id])
    return {rule: alert.sends for rule, alert in watched.alerts.items()}


# -- what is due


async def test_a_handoff_is_due_when_a_rule_may_want_to_look(alerts: Alerts, begin: Begin) -> None:
    handoff = await begin()
    assert await due(alerts, NOW + 299) == []
    [watched] = await alerts.due(NOW + 300, 10)
    assert (watched.handoff, watched.alerts, watched.told) == (handoff, {}, False)


async def test_an_alert_makes_it_due_too_and_nothing_comes_twice(alerts: Alerts, begin: Begin) -> None:
    handoff = await begin()
    await told(alerts, handoff)
    assert await due(alerts, NOW + 1299) == []
    assert await due(alerts, NOW + 1300) == [handoff.id]
    assert await due(alerts, NOW + 9000) == [handoff.id]


async def test_what_has_waited_longest_goes_first_where_there_is_no_room_for_all(alerts: Alerts, begin: Begin) -> None:
    await begin(BOB, NOW + 50)
    longest = await begin(ANN, NOW)
    assert await due(alerts, NOW + 900, limit=1) == [longest.id]


async def test_the_end_of_what_was_told_is_due_at_once(alerts: Alerts, begin: Begin, ledger: Ledger) -> None:
    heard, unheard = await begin(ANN), await begin(BOB)
    await told(alerts, heard)
    await ended(ledger, ANN)
    await ended(ledger, BOB)
    [watched] = await alerts.due(NOW + 400, 10)
    assert watched.handoff.id == heard.id and watched.told
    assert unheard.id not in await due(alerts, NOW + 99_999)


# -- decisions on record


async def test_an_alert_is_raised_once_whoever_looks(alerts: Alerts, others: Alerts, begin: Begin) -> None:
    handoff = await begin()
    orders = [order(handoff, sending(handoff))]
    won = await asyncio.gather(*(each.record(orders, NOW + 400) for each in (alerts, others, alerts)))
    assert sorted(map(len, won)) == [0, 0, 1]
    [watched] = await others.watched([handoff.id])
    assert watched.told
    assert (watched.alerts[WAITING].sends, watched.alerts[WAITING].sent_at) == (1, NOW + 400)


async def test_each_repeat_is_claimed_once(alerts: Alerts, others: Alerts, begin: Begin) -> None:
    handoff = await begin()
    await told(alerts, handoff)
    second = [order(handoff, sending(handoff, sends=2, next_at=NOW + 3100))]
    won = await asyncio.gather(*(each.record(second, NOW + 1300) for each in (alerts, others)))
    assert sorted(map(len, won)) == [0, 1]
    assert await sends(alerts, handoff) == {WAITING: 2}
    assert await due(alerts, NOW + 3099) == []


async def test_rules_are_told_each_for_itself(alerts: Alerts, begin: Begin) -> None:
    handoff = await begin()
    both = [sending(handoff, WAITING), sending(handoff, OPEN)]
    assert await alerts.record([order(handoff, *both)], NOW) == both


@pytest.mark.parametrize("news", ["answered", "ended", "begun anew"])
async def test_nothing_is_sent_about_a_session_that_has_moved_on(
    alerts: Alerts, begin: Begin, ledger: Ledger, news: str
) -> None:
    handoff = await begin()
    if news == "answered":
        await answered(ledger)
    else:
        await ended(ledger)
    if news == "begun anew":
        await begin(ANN, NOW + 600)
    assert await alerts.record([order(handoff, sending(handoff))], NOW + 400) == []
    [watched] = await alerts.watched([handoff.id])
    assert (watched.alerts, watched.told) == ({}, False)


async def test_a_customer_who_writes_on_still_waits(alerts: Alerts, begin: Begin, ledger: Ledger) -> None:
    handoff = await begin()
    await changed(ledger, ANN, lambda session: customer_wrote(session, NOW + 200, "？", NOW + 200))
    assert len(await alerts.record([order(handoff, sending(handoff))], NOW + 400)) == 1


async def test_a_silence_is_over_with_any_word(alerts: Alerts, begin: Begin, ledger: Ledger) -> None:
    await begin()
    silent = await answered(ledger, NOW + 10)
    await answered(ledger, NOW + 390)
    assert await alerts.record([order(silent, sending(silent, IDLE))], NOW + 400) == []
    assert len(await alerts.record([order(silent, sending(silent, OPEN))], NOW + 400)) == 1


async def test_the_time_to_look_again_is_kept_unless_younger_news_set_another(
    alerts: Alerts, begin: Begin, ledger: Ledger
) -> None:
    handoff = await begin()
    await alerts.record([order(handoff, watch_at=NOW + 7000)], NOW + 400)
    assert (await due(alerts, NOW + 6999), await due(alerts, NOW + 7000)) == ([], [handoff.id])
    await answered(ledger)
    await alerts.record([order(handoff, watch_at=NOW + 90_000)], NOW + 400)
    assert await due(alerts, NOW + 7000) == [handoff.id]


async def test_so_do_words_that_leave_everything_else_as_it_was(alerts: Alerts, begin: Begin, ledger: Ledger) -> None:
    handoff = await begin()
    await changed(ledger, ANN, lambda session: customer_wrote(session, NOW + 200, "？", NOW + 200))
    await alerts.record([order(handoff, watch_at=NOW + 90_000)], NOW + 400)
    assert await due(alerts, NOW + 500) == [handoff.id]


async def test_never_is_a_time_too(alerts: Alerts, begin: Begin) -> None:
    handoff = await begin()
    await alerts.record([order(handoff, sending(handoff, next_at=inf), watch_at=inf)], NOW + 400)
    assert await due(alerts, NOW + 1e9) == []
    assert await sends(alerts, handoff) == {WAITING: 1}
    await alerts.record([order(handoff, next_at={WAITING: NOW + 5})], NOW + 400)
    assert await due(alerts, NOW + 5) == [handoff.id]


async def test_what_is_cleared_may_be_raised_anew(alerts: Alerts, begin: Begin) -> None:
    handoff = await begin()
    await told(alerts, handoff, sends=3)
    await alerts.record([order(handoff, cleared=[WAITING])], NOW + 2000)
    assert (await sends(alerts, handoff), await due(alerts, NOW + 2000)) == ({}, [])
    await told(alerts, handoff)
    assert await sends(alerts, handoff) == {WAITING: 1}


async def test_one_order_may_clear_and_raise_the_same_rule(alerts: Alerts, begin: Begin) -> None:
    handoff = await begin()
    await told(alerts, handoff, sends=3)
    anew = replace(sending(handoff), raised_at=NOW + 5000)
    assert await alerts.record([order(handoff, anew, cleared=[WAITING])], NOW + 5000) == [anew]
    [watched] = await alerts.watched([handoff.id])
    assert (watched.alerts[WAITING].sends, watched.alerts[WAITING].raised_at) == (1, NOW + 5000)


async def test_orders_are_recorded_all_or_none(alerts: Alerts, begin: Begin) -> None:
    handoff = await begin()
    broken = order(replace(handoff, status="not a status"))  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        await alerts.record([order(handoff, sending(handoff)), broken], NOW + 400)
    assert await sends(alerts, handoff) == {}


# -- given back


async def test_a_first_message_that_did_not_arrive_is_as_if_it_had_never_been(
    alerts: Alerts, begin: Begin, ledger: Ledger
) -> None:
    handoff = await begin()
    await told(alerts, handoff)
    await alerts.give_back([sending(handoff)], NOW + 415)
    assert (await due(alerts, NOW + 414), await due(alerts, NOW + 415)) == ([], [handoff.id])
    assert await sends(alerts, handoff) == {}
    await ended(ledger)
    assert await alerts.close([handoff.id]) == []


async def test_a_repeat_that_did_not_arrive_is_due_again_with_its_number(alerts: Alerts, begin: Begin) -> None:
    handoff = await begin()
    await told(alerts, handoff, sends=3)
    await alerts.give_back([sending(handoff, sends=3)], NOW + 415)
    assert await sends(alerts, handoff) == {WAITING: 2}
    assert (await due(alerts, NOW + 414), await due(alerts, NOW + 415)) == ([], [handoff.id])
    assert len(await alerts.record([order(handoff, sending(handoff, sends=3))], NOW + 415)) == 1


async def test_giving_back_what_somebody_else_has_sent_since_changes_nothing(alerts: Alerts, begin: Begin) -> None:
    handoff = await begin()
    await told(alerts, handoff, sends=3)
    await alerts.give_back([sending(handoff, sends=1), sending(handoff, sends=2)], NOW + 415)
    assert await sends(alerts, handoff) == {WAITING: 3}
    assert WAITING in (await alerts.watched([handoff.id]))[0].alerts


# -- claimed by a process that has died


async def test_what_was_not_handed_out_falls_due_at_once_whatever_the_message(alerts: Alerts, begin: Begin) -> None:
    first, second = await begin(ANN), await begin(BOB)
    await told(alerts, second, sends=2)
    await alerts.record([order(first, sending(first)), order(second, sending(second, sends=3))], NOW + 460)
    assert await alerts.give_back_unsent(NOW + 470, NOW) == 2
    assert (await sends(alerts, first), await sends(alerts, second)) == ({}, {WAITING: 2})
    assert sorted(await due(alerts, NOW + 470)) == [first.id, second.id]
    assert await alerts.give_back_unsent(NOW + 480, NOW) == 0


async def test_what_was_handed_out_stays_as_it_is(alerts: Alerts, begin: Begin) -> None:
    handoff = await begin()
    await told(alerts, handoff, sends=2)
    assert await alerts.give_back_unsent(NOW + 470, NOW) == 0
    assert (await sends(alerts, handoff), await due(alerts, NOW + 1299)) == ({WAITING: 2}, [])


async def test_what_was_taken_in_again_was_not_handed_out(alerts: Alerts, begin: Begin) -> None:
    handoff = await begin()
    await told(alerts, handoff)
    await alerts.take_in([sending(handoff)])
    assert await alerts.give_back_unsent(NOW + 470, NOW) == 1
    assert await due(alerts, NOW + 470) == [handoff.id]


@pytest.mark.parametrize("over", ["answered", "ended", "closed", "given back", "repeated"])
async def test_what_is_over_is_not_handed_out(alerts: Alerts, begin: Begin, ledger: Ledger, over: str) -> None:
    handoff = await begin()
    await alerts.record([order(handoff, sending(handoff))], NOW + 400)
    match over:
        case "answered":
            await alerts.record([order(handoff, cleared=[WAITING])], NOW + 450)
        case "given back":
            await alerts.give_back([sending(handoff)], NOW + 450)
        case "repeated":
            await alerts.record([order(handoff, sending(handoff, sends=2))], NOW + 450)
        case "ended":
            await ended(ledger)
        case "closed":
            await ended(ledger)
            assert await alerts.close([handoff.id]) == []
    assert not await alerts.hand_out([sending(handoff)])
    assert await alerts.give_back_unsent(NOW + 500, NOW) == (over in ("ended", "repeated"))
    [watched] = await alerts.watched([handoff.id])
    assert watched.told == (over == "repeated")


async def test_of_several_messages_one_that_stands_is_enough(alerts: Alerts, begin: Begin, ledger: Ledger) -> None:
    first, second = await begin(ANN), await begin(BOB)
    await alerts.record([order(first, sending(first)), order(second, sending(second))], NOW + 400)
    await ended(ledger, ANN)
    assert await alerts.hand_out([sending(first), sending(second)])


async def test_a_last_word_that_was_not_handed_out_is_due_again(alerts: Alerts, begin: Begin, ledger: Ledger) -> None:
    handoff = await begin()
    await told(alerts, handoff)
    await ended(ledger)
    for _ in range(2):
        assert await alerts.close([handoff.id]) == [Closed(handoff.id, "")]
        assert await alerts.give_back_unsent(NOW + 510, NOW) == 1
        assert await due(alerts, NOW + 510) == [handoff.id]
    await alerts.close([handoff.id])
    await alerts.hand_out_words([handoff.id])
    assert await alerts.give_back_unsent(NOW + 520, NOW) == 0
    await alerts.take_in_words([handoff.id])
    assert await alerts.give_back_unsent(NOW + 530, NOW) == 1


async def test_a_last_word_of_long_ago_is_not(alerts: Alerts, begin: Begin, ledger: Ledger) -> None:
    handoff = await begin()
    await told(alerts, handoff)
    await ended(ledger)
    await alerts.close([handoff.id])
    assert await alerts.give_back_unsent(NOW + 9000, NOW + 500) == 0
    assert await alerts.give_back_unsent(NOW + 9000, NOW) == 0
    assert await due(alerts, NOW + 99_999) == []


# -- the last word


async def test_the_last_word_is_claimed_once_and_only_if_there_was_a_first(
    alerts: Alerts, others: Alerts, begin: Begin, ledger: Ledger
) -> None:
    heard, unheard = await begin(ANN), await begin(BOB)
    await told(alerts, heard)
    await told(alerts, heard, rule=OPEN)
    await ended(ledger, ANN)
    await ended(ledger, BOB)
    won = await asyncio.gather(*(each.close([heard.id, unheard.id]) for each in (alerts, others, alerts)))
    assert sorted(won, key=len) == [[], [], [Closed(heard.id, "")]]
    assert await due(alerts, NOW + 99_999) == []


async def test_a_cleared_alert_was_a_first_word_too(alerts: Alerts, begin: Begin, ledger: Ledger) -> None:
    handoff = await begin()
    await told(alerts, handoff)
    await alerts.record([order(handoff, cleared=[WAITING])], NOW + 450)
    await ended(ledger)
    assert await due(alerts, NOW + 500) == [handoff.id]
    assert await alerts.close([handoff.id]) == [Closed(handoff.id, "")]


async def test_a_last_word_that_did_not_arrive_is_due_again(alerts: Alerts, begin: Begin, ledger: Ledger) -> None:
    handoff = await begin()
    await told(alerts, handoff)
    await ended(ledger)
    await alerts.close([handoff.id])
    await alerts.reopen([handoff.id], NOW + 515)
    assert (await due(alerts, NOW + 514), await due(alerts, NOW + 515)) == ([], [handoff.id])
    assert await alerts.close([handoff.id]) == [Closed(handoff.id, "")]


@pytest.mark.parametrize(
    ("via", "state", "mark", "closed"),
    [
        ("command", "done", "told", "wrSALES"),
        ("command", "done", "give_up", ""),
        ("command", "done", "", None),
        ("command", "failed", "told", ""),
        ("button", "done", "told", ""),
        ("button", "done", "", ""),
    ],
)
async def test_it_says_in_which_chat_a_command_was_answered_and_waits_for_that(
    alerts: Alerts, begin: Begin, ledger: Ledger, database: Database, via: str, state: str, mark: str,
    closed: str | None,
) -> None:  # fmt: skip
    """An answer that was not acknowledged says nothing; one that may still be under way is waited for."""
    handoff = await begin()
    await told(alerts, handoff)
    asked = await ledger.open_ending(
        handoff.key, lambda session: True, STAFF, via, "", NOW + 450, 15.0, ("wrSALES", True)
    )
    assert asked[1] is not None
    await ledger.settle_ending(
        handoff.key, asked[1].id, state, "", 0, NOW + 460, lambda session: finish(session, STAFF, via, NOW + 460)
    )
    promises = Promises(database)
    if mark:
        await getattr(promises, mark)(await promises.due())
    assert await alerts.close([handoff.id]) == ([] if closed is None else [Closed(handoff.id, closed)])
    assert await due(alerts, NOW + 461) == ([handoff.id] if closed is None else [])


LATE_ORDERS: dict[str, dict[str, Any]] = {
    "cleared": {"cleared": [WAITING]},
    "moved": {"next_at": {WAITING: NOW + 90_000}},
}


@pytest.mark.parametrize("late", LATE_ORDERS)
async def test_a_decision_made_before_the_end_does_not_cost_the_last_word(
    alerts: Alerts, begin: Begin, ledger: Ledger, late: str
) -> None:
    handoff = await begin()
    await told(alerts, handoff)
    await ended(ledger)
    await alerts.record([order(handoff, **LATE_ORDERS[late])], NOW + 501)
    assert await due(alerts, NOW + 501) == [handoff.id]
    assert await alerts.close([handoff.id]) == [Closed(handoff.id, "")]


@pytest.mark.parametrize("again", [True, False], ids=["raised anew", "repeated"])
async def test_nor_does_a_message_given_back_after_the_end(
    alerts: Alerts, begin: Begin, ledger: Ledger, again: bool
) -> None:
    handoff = await begin()
    await told(alerts, handoff)
    if again:
        await alerts.record([order(handoff, cleared=[WAITING])], NOW + 450)
    number = 1 if again else 2
    await alerts.record([order(handoff, sending(handoff, sends=number))], NOW + 460)
    await ended(ledger)
    await alerts.give_back([sending(handoff, sends=number)], NOW + 515)
    assert await due(alerts, NOW + 500) == [handoff.id]
    assert await alerts.close([handoff.id]) == [Closed(handoff.id, "")]


# -- what staff said


async def test_the_first_to_take_it_has_it(alerts: Alerts, others: Alerts, begin: Begin) -> None:
    handoff = await begin()
    await told(alerts, handoff)
    taken = await asyncio.gather(
        alerts.ack(handoff.id, "LiNa", NOW + 500, 0.0), others.ack(handoff.id, "WuMing", NOW + 500, 0.0)
    )
    assert sorted(taken) == [False, True]
    [watched] = await alerts.watched([handoff.id])
    assert watched.quiet.acked_by == ("LiNa" if taken[0] else "WuMing")
    assert await due(alerts, NOW + 500) == [handoff.id]


async def test_an_ack_may_be_replaced_by_who_has_seen_it(alerts: Alerts, begin: Begin) -> None:
    handoff = await begin()
    assert await alerts.ack(handoff.id, "LiNa", NOW + 500, 0.0)
    assert not await alerts.ack(handoff.id, "WuMing", NOW + 600, 0.0)
    assert await alerts.ack(handoff.id, "WuMing", NOW + 600, NOW + 500)
    [watched] = await alerts.watched([handoff.id])
    assert (watched.quiet.acked_by, watched.quiet.acked_at) == ("WuMing", NOW + 600)


async def test_a_snooze_beside_an_ack_leaves_it_alone(alerts: Alerts, others: Alerts, begin: Begin) -> None:
    handoff = await begin()
    assert await alerts.ack(handoff.id, "LiNa", NOW + 500, 0.0)
    assert await others.snooze(handoff.id, "WuMing", NOW + 1100, NOW + 510, 0.0)
    assert not await alerts.snooze(handoff.id, "LiNa", NOW + 9999, NOW + 511, 0.0)
    [watched] = await alerts.watched([handoff.id])
    quiet = watched.quiet
    assert (quiet.acked_by, quiet.snoozed_by, quiet.snoozed_at, quiet.snoozed_until) == (
        "LiNa", "WuMing", NOW + 510, NOW + 1100
    )  # fmt: skip


# -- all of them


async def test_open_alerts_are_listed_longest_raised_first(alerts: Alerts, begin: Begin, ledger: Ledger) -> None:
    customers = [f"wmEach{number:026}" for number in range(4)]
    first, second, over, calm = [await begin(each) for each in customers]
    for handoff, at in ((second, 50), (first, 10), (over, 5), (calm, 1)):
        one = replace(sending(handoff), raised_at=NOW + at)
        await alerts.record([order(handoff, one)], NOW + at)
    late = replace(sending(first, OPEN), raised_at=NOW + 99)
    await alerts.record([order(first, late)], NOW + 99)
    await alerts.record([order(calm, cleared=[WAITING])], NOW + 100)
    await ended(ledger, customers[2])
    found = await alerts.open()
    assert [each.handoff.id for each in found] == [first.id, second.id]
    assert set(found[0].alerts) == {WAITING, OPEN}


async def test_changed_rules_have_all_open_handoffs_looked_at(
    alerts: Alerts, begin: Begin, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CHUNK", 2)
    open_ = [await begin(f"wmEach{number:026}") for number in range(5)]
    await begin(ANN)
    await ended(ledger)
    await alerts.watch_all()
    assert sorted(await due(alerts, 0.0)) == [each.id for each in open_]
