"""Three clocks, four rules, two policies: what a handoff asks for at a time."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest

from bot.hours import parse_hours
from bot.model import Alert, Handoff, HandoffStatus, Quiet, Rule, ServiceState, Watched
from bot.rules import (
    ACK_HOLDS,
    HOUR,
    Decision,
    Limit,
    Policy,
    RuleBook,
    earliest,
    judge,
    landed_with_human,
    next_send,
    pause,
    quiet_until,
)
from bot.sessions import Session

T = 1_700_000_000.0  # Tuesday, 2023-11-14 22:13:20 UTC
MINUTE = 60.0
BOOK = RuleBook(
    {
        Rule.CUSTOMER_WAITING: Limit(5 * MINUTE, 15 * MINUTE),
        Rule.QUEUE_WAITING: Limit(3 * MINUTE, 10 * MINUTE),
        Rule.HUMAN_IDLE: Limit(30 * MINUTE, HOUR),
        Rule.HUMAN_OPEN: Limit(4 * HOUR, 4 * HOUR),
    }
)


def a_handoff(**changes: object) -> Handoff:
    """Accepted at T, nobody waits."""
    made = Handoff(
        7, "ww1", "wk1", "wm1", HandoffStatus.IN_PROGRESS, "LiNa", requested_at=T, accepted_at=T, active_at=T
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def queued(**changes: object) -> Handoff:
    return a_handoff(status=HandoffStatus.PENDING, servicer_userid=None, accepted_at=None, **changes)


def decide(handoff: Handoff, at: float, book: RuleBook = BOOK, *alerts: Alert, quiet: Quiet | None = None) -> Decision:
    return judge(Watched(handoff, {each.rule: each for each in alerts}, quiet or Quiet()), book, at)


def an_alert(rule: Rule = Rule.CUSTOMER_WAITING, raised_at: float = T + 300, sends: int = 1, **changes: float) -> Alert:
    sent_at = changes.get("sent_at", raised_at)
    return Alert(rule, raised_at, sends, sent_at, changes.get("next_at", sent_at + 900))


# -- clocks


def test_a_waiting_customer_is_due_after_the_limit_and_not_before() -> None:
    waiting = a_handoff(waiting_since=T)
    assert decide(waiting, T + 299).raised == []
    assert decide(waiting, T + 299).watch_at == T + 300
    assert decide(waiting, T + 300).raised == [Rule.CUSTOMER_WAITING]


def test_the_wait_in_the_queue_is_the_queues() -> None:
    waiting = a_handoff(waiting_since=T, accepted_at=T + 600, active_at=T)
    assert decide(waiting, T + 899).raised == []
    assert decide(waiting, T + 900).raised == [Rule.CUSTOMER_WAITING]


def test_the_queue_has_a_rule_of_its_own_and_no_other() -> None:
    assert decide(queued(waiting_since=T), T + 179).rules == []
    assert decide(queued(waiting_since=T), T + 180).rules == [Rule.QUEUE_WAITING]
    assert decide(queued(waiting_since=T), T + 5 * HOUR).rules == [Rule.QUEUE_WAITING]


def test_silence_counts_from_the_last_word_of_anybody() -> None:
    silent = a_handoff(active_at=T + 600)
    assert decide(silent, T + 600 + 1799).raised == []
    assert decide(silent, T + 600 + 1800).raised == [Rule.HUMAN_IDLE]


def test_a_customer_who_waits_is_not_told_as_silence_too() -> None:
    assert decide(a_handoff(waiting_since=T), T + HOUR).raised == [Rule.CUSTOMER_WAITING]
    off = RuleBook({rule: limit for rule, limit in BOOK.limits.items() if rule is not Rule.CUSTOMER_WAITING})
    assert decide(a_handoff(waiting_since=T), T + HOUR, off).raised == [Rule.HUMAN_IDLE]


def test_a_long_session_is_due_however_lively() -> None:
    assert decide(a_handoff(active_at=T + 4 * HOUR), T + 4 * HOUR).raised == [Rule.HUMAN_OPEN]


def test_a_rule_that_is_off_asks_for_nothing() -> None:
    decision = decide(a_handoff(waiting_since=T), T + 40 * HOUR, RuleBook({}))
    assert not decision.acts and decision.watch_at == inf


@pytest.mark.parametrize("handoff", [a_handoff(), a_handoff(waiting_since=T + 60, active_at=T + 60), queued()])
@pytest.mark.parametrize("policy", list(Policy))
def test_the_quick_estimate_is_never_late(handoff: Handoff, policy: Policy) -> None:
    book = replace(BOOK, policy=policy)
    decision = decide(handoff, T, book)
    assert earliest(handoff, book) <= (T if decision.acts else decision.watch_at)


# -- working hours

OFFICE = replace(BOOK, hours=parse_hours("Mon-Fri 09:00-18:00 UTC"))
WEDNESDAY_9 = 1_700_038_800.0


def test_outside_working_hours_the_clocks_stand_still() -> None:
    waiting = a_handoff(waiting_since=T)  # written on Tuesday night
    assert not decide(waiting, T + 3 * HOUR, OFFICE).acts
    assert decide(waiting, T + 3 * HOUR, OFFICE).watch_at == WEDNESDAY_9 + 300
    assert decide(waiting, WEDNESDAY_9 + 300, OFFICE).raised == [Rule.CUSTOMER_WAITING]


def test_what_fell_due_before_closing_time_is_not_told_at_night() -> None:
    evening = WEDNESDAY_9 + 9 * HOUR - 400
    waiting = a_handoff(requested_at=evening, accepted_at=evening, waiting_since=evening, active_at=evening)
    assert decide(waiting, evening + 300, OFFICE).acts
    late = decide(waiting, evening + 1000, OFFICE)
    assert not late.acts and late.watch_at == WEDNESDAY_9 + 24 * HOUR


def test_a_repeat_waits_for_the_morning() -> None:
    raised = WEDNESDAY_9 + 9 * HOUR - 60
    waiting = a_handoff(requested_at=raised - 300, accepted_at=raised - 300, waiting_since=raised - 300)
    alert = an_alert(raised_at=raised, next_at=raised + 900)
    assert decide(waiting, raised + 900, OFFICE, alert).next_at == {Rule.CUSTOMER_WAITING: WEDNESDAY_9 + 24 * HOUR}
    assert next_send(OFFICE, Rule.CUSTOMER_WAITING, 1, raised) == WEDNESDAY_9 + 24 * HOUR + 840


# -- the life of an alert


def test_an_open_alert_is_not_raised_again_but_repeated_in_its_time() -> None:
    waiting = a_handoff(waiting_since=T)
    assert not decide(waiting, T + 1000, BOOK, an_alert()).acts
    assert decide(waiting, T + 1200, BOOK, an_alert()).repeated == [Rule.CUSTOMER_WAITING]


def test_pauses_grow_up_to_a_cap() -> None:
    quarter = Limit(5 * MINUTE, 15 * MINUTE)
    assert [pause(quarter, sends) / MINUTE for sends in range(1, 8)] == [15, 30, 60, 120, 120, 120, 120]
    assert [pause(Limit(HOUR, HOUR), sends) / HOUR for sends in range(1, 5)] == [1, 2, 4, 4]
    assert [pause(Limit(HOUR, 6 * HOUR), sends) / HOUR for sends in range(1, 4)] == [6, 6, 6]


def test_an_answer_clears_the_alert() -> None:
    answered = a_handoff(waiting_since=None, active_at=T + 400)
    decision = decide(answered, T + 500, BOOK, an_alert())
    assert decision.cleared == [Rule.CUSTOMER_WAITING] and not decision.acts


def test_a_customer_who_waits_anew_is_a_new_alert() -> None:
    waits_again = a_handoff(waiting_since=T + 600, active_at=T + 600)
    assert decide(waits_again, T + 700, BOOK, an_alert()).cleared == [Rule.CUSTOMER_WAITING]
    due = decide(waits_again, T + 900, BOOK, an_alert())
    assert due.cleared == due.raised == [Rule.CUSTOMER_WAITING]


def test_a_snooze_quiets_raises_and_repeats_until_its_end() -> None:
    waiting, snooze = a_handoff(waiting_since=T), Quiet(snoozed_by="LiNa", snoozed_at=T + 310, snoozed_until=T + 2000)
    assert decide(waiting, T + 400, quiet=snooze).watch_at == T + 2000
    assert decide(waiting, T + 1500, BOOK, an_alert(), quiet=snooze).next_at == {Rule.CUSTOMER_WAITING: T + 2000}
    assert decide(waiting, T + 2000, BOOK, an_alert(), quiet=snooze).repeated == [Rule.CUSTOMER_WAITING]


def test_a_short_snooze_brings_the_alert_back_before_its_repeat() -> None:
    waiting, snooze = a_handoff(waiting_since=T), Quiet(snoozed_by="LiNa", snoozed_at=T + 310, snoozed_until=T + 400)
    assert decide(waiting, T + 400, BOOK, an_alert(), quiet=snooze).repeated == [Rule.CUSTOMER_WAITING]


def test_an_ack_without_a_message_expires_and_reminds() -> None:
    waiting, ack = a_handoff(waiting_since=T), Quiet(acked_by="LiNa", acked_at=T + 310)
    until = T + 310 + ACK_HOLDS * 15 * MINUTE
    assert decide(waiting, T + 1500, BOOK, an_alert(), quiet=ack).next_at == {Rule.CUSTOMER_WAITING: until}
    assert decide(waiting, until, BOOK, an_alert(), quiet=ack).repeated == [Rule.CUSTOMER_WAITING]


def test_messages_prolong_an_ack_except_those_of_a_customer_who_waits() -> None:
    ack = Quiet(acked_by="LiNa", acked_at=T + 4 * HOUR)
    busy = Watched(a_handoff(active_at=T + 10 * HOUR), {Rule.HUMAN_OPEN: an_alert(Rule.HUMAN_OPEN, T + 4 * HOUR)}, ack)
    assert quiet_until(busy, Rule.HUMAN_OPEN, BOOK) == T + 18 * HOUR
    nagging = a_handoff(waiting_since=T, active_at=T + 5 * HOUR)
    waits = Watched(nagging, {Rule.CUSTOMER_WAITING: an_alert()}, ack)
    assert quiet_until(waits, Rule.CUSTOMER_WAITING, BOOK) == T + 4.5 * HOUR


def test_an_ack_says_nothing_of_what_comes_later() -> None:
    ack = Quiet(acked_by="LiNa", acked_at=T + 310)
    decision = decide(a_handoff(waiting_since=T), T + 4 * HOUR, BOOK, an_alert(next_at=T + 9 * HOUR), quiet=ack)
    assert Rule.HUMAN_OPEN in decision.raised


def test_several_rules_speak_in_the_order_of_their_gravity() -> None:
    assert decide(a_handoff(waiting_since=T), T + 5 * HOUR).rules == [Rule.CUSTOMER_WAITING, Rule.HUMAN_OPEN]


# -- policies

IDLE = replace(BOOK, policy=Policy.IDLE, idle_after=HOUR)
ON_MESSAGE = replace(BOOK, policy=Policy.ON_MESSAGE)


def test_idle_ends_what_nobody_has_touched() -> None:
    assert decide(a_handoff(), T + HOUR - 1, IDLE).end is None
    assert decide(a_handoff(), T + HOUR, IDLE).end is Policy.IDLE


def test_idle_never_ends_a_customer_who_waits_or_queues() -> None:
    assert decide(a_handoff(waiting_since=T), T + 40 * HOUR, IDLE).end is None
    assert decide(queued(), T + 40 * HOUR, IDLE).end is None


def test_on_message_ends_at_once_what_the_customer_writes_into() -> None:
    assert decide(a_handoff(waiting_since=T), T, ON_MESSAGE).end is Policy.ON_MESSAGE


@pytest.mark.parametrize(
    ("handoff", "why"),
    [
        (a_handoff(), "nobody waits"),
        (a_handoff(waiting_since=None, active_at=T + 10), "the servicer has answered"),
        (queued(waiting_since=T), "queued"),
        (a_handoff(waiting_since=T, accepted_at=T + 60, active_at=T), "it was written in the queue"),
        (a_handoff(waiting_since=T - 2 * HOUR, active_at=T - 2 * HOUR), "it is old"),
    ],
)
def test_on_message_leaves_alone_what_is_not_a_fresh_message_to_a_human(handoff: Handoff, why: str) -> None:
    assert decide(handoff, T + 61, ON_MESSAGE).end is None, why


def test_history_ends_nothing() -> None:
    assert decide(a_handoff(waiting_since=T), T + 5, replace(ON_MESSAGE, live_from=T + 1)).end is None


def test_a_policy_does_not_silence_the_rules() -> None:
    assert decide(a_handoff(waiting_since=T), T + 300, IDLE).raised == [Rule.CUSTOMER_WAITING]


# -- the console sends customers to humans


def a_session(**changes: object) -> Session:
    handoff = a_handoff(requested_at=T + 60, accepted_at=T + 60, **changes)
    return Session("wk1", "wm1", ServiceState.HUMAN, ended_at=T, last_customer_at=T + 59, handoff=handoff)


def test_a_first_message_that_meets_a_human_at_once_shows_how_the_console_is_set() -> None:
    assert landed_with_human(a_session())


def test_an_assistant_in_between_or_a_reopening_servicer_shows_nothing() -> None:
    slow = a_session()
    slow.last_customer_at = T + 30
    reopened, fresh, first = a_session(previous_id=3), a_session(), a_session()
    fresh.ended_at = T + 100
    first.ended_at = 0.0
    assert not any(landed_with_human(each) for each in (slow, reopened, fresh, first))
