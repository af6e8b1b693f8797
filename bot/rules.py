"""Which open handoffs deserve an alert or an automatic end, given rows and a time. Pure.

Three clocks run on an open handoff: the customer waits for the servicer, nobody writes, the queue waits. A rule asks
for an alert when its clock has run for `after`, and again at growing distances while it runs on. Outside working hours
clocks stand still and nothing is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf

from bot.hours import ALWAYS, Hours
from bot.model import Alert, Handoff, HandoffStatus, Rule, Watched
from bot.sessions import Session

HOUR = 3600.0
LONGEST_PAUSE = 4 * HOUR  # between repeats, unless `repeat` itself is longer
MOST_GROWTH = 8  # and never more than so many times `repeat`
ACK_HOLDS = 2  # an ack without any message after it holds for so many times `repeat`
AT_ONCE = 5.0  # seconds
SECOND, DAY = 1.0, 24 * HOUR
STALE = 600.0  # seconds after which a customer's message no longer ends a session by itself


class Policy(StrEnum):
    """`end.policy`: what ends sessions without anybody asking. The value names the operator in the handoff log."""

    ALERT = "alert"
    ON_MESSAGE = "on_message"
    IDLE = "idle"


@dataclass(frozen=True, slots=True)
class Limit:
    """Seconds of working time."""

    after: float
    repeat: float


@dataclass(frozen=True, slots=True)
class RuleBook:
    """What holds for one kf account. A rule that is off has no limit. `live_from`: messages before it are history."""

    limits: Mapping[Rule, Limit]
    hours: Hours = ALWAYS
    policy: Policy = Policy.ALERT
    idle_after: float = HOUR
    live_from: float = 0.0


@dataclass(slots=True)
class Decision:
    """What to do about one handoff now, and when to look again if that is nothing (or after it is done).

    `raised` and `repeated` want a message, gravest rule first; `cleared` alerts are over without one. `next_at` holds
    only alerts whose time has moved.
    """

    raised: list[Rule] = field(default_factory=list)
    repeated: list[Rule] = field(default_factory=list)
    cleared: list[Rule] = field(default_factory=list)
    end: Policy | None = None
    watch_at: float = inf
    next_at: dict[Rule, float] = field(default_factory=dict)

    @property
    def rules(self) -> list[Rule]:
        """Those that want to be told."""
        return [rule for rule in Rule if rule in self.raised or rule in self.repeated]

    @property
    def acts(self) -> bool:
        return bool(self.raised or self.repeated or self.end)


def clock(handoff: Handoff, rule: Rule) -> float | None:
    """When the rule's clock began to run; None while it does not. What was waited in the queue is the queue's."""
    if handoff.status is HandoffStatus.PENDING:
        return handoff.requested_at if rule is Rule.QUEUE_WAITING else None
    accepted_at = handoff.accepted_at or handoff.requested_at
    match rule:
        case Rule.CUSTOMER_WAITING if handoff.waiting_since is not None:
            return max(handoff.waiting_since, accepted_at) if _was_queued(handoff) else handoff.waiting_since
        case Rule.HUMAN_IDLE:
            return max(handoff.active_at, accepted_at)
        case Rule.HUMAN_OPEN:
            return accepted_at
    return None


def earliest(handoff: Handoff, book: RuleBook) -> float:
    """No rule can ask for anything before this. Cheap and early rather than exact: it is computed for each message."""
    return min((start + seconds for start, seconds in _running(handoff, book)), default=inf)


def judge(watched: Watched, book: RuleBook, now: float) -> Decision:
    """What an open handoff asks for at `now`."""
    decision = Decision()
    for rule in Rule:
        _judge_rule(watched, rule, book, now, decision)
    ends_at = automatic_end(watched.handoff, book, now)
    if ends_at <= now:
        decision.end = book.policy
    else:
        decision.watch_at = min(decision.watch_at, ends_at)
    return decision


def automatic_end(handoff: Handoff, book: RuleBook, now: float) -> float:
    """When the account's policy ends this handoff, if nobody writes; infinity where it does not.

    `idle` never while the customer waits for an answer; `on_message` never after the servicer's answer, and not for a
    message of the queue or of long ago: then people are in charge.
    """
    if handoff.status is HandoffStatus.PENDING:
        return inf
    accepted_at = handoff.accepted_at or handoff.requested_at
    if book.policy is Policy.IDLE and handoff.waiting_since is None:
        return book.hours.reached(max(handoff.active_at, accepted_at), book.idle_after)
    if book.policy is Policy.ON_MESSAGE and handoff.waiting_since is not None:
        met_human = not _was_queued(handoff) or handoff.active_at >= accepted_at
        recent = handoff.active_at >= max(now - STALE, book.live_from)
        return handoff.active_at if met_human and recent else inf
    return inf


def pause(limit: Limit, sends: int) -> float:
    """Seconds of working time until the next message, after `sends` of them."""
    longest = min(limit.repeat * MOST_GROWTH, max(limit.repeat, LONGEST_PAUSE))
    return float(min(limit.repeat * 2 ** min(sends - 1, 10), longest))


def next_send(book: RuleBook, rule: Rule, sends: int, sent_at: float) -> float:
    limit = book.limits.get(rule)
    return inf if limit is None else book.hours.reached(sent_at, pause(limit, sends))


def acked_until(watched: Watched, rule: Rule, book: RuleBook) -> float:
    """Until when somebody's ack holds for this rule; 0 when there is none.

    It silences what was raised before it. Messages after it prolong it, but not those of a customer who waits.
    """
    quiet, alert, limit = watched.quiet, watched.alerts.get(rule), book.limits.get(rule)
    if not quiet.acked_by or limit is None or alert is None or quiet.acked_at < alert.raised_at:
        return 0.0
    since = quiet.acked_at
    if rule is not Rule.CUSTOMER_WAITING:
        since = max(since, watched.handoff.active_at)
    return book.hours.reached(since, ACK_HOLDS * limit.repeat)


def quiet_until(watched: Watched, rule: Rule, book: RuleBook) -> float:
    """Until when staff want to hear nothing of this rule; 0 when they did not say so."""
    return max(watched.quiet.snoozed_until, acked_until(watched, rule, book))


def landed_with_human(session: Session) -> bool:
    """The customer's first message after an end was met by a servicer at once: the console routes people that way.

    An assistant that hands over would have had the session first.
    """
    handoff = session.handoff
    if handoff is None or handoff.status is HandoffStatus.PENDING or _was_queued(handoff) or handoff.previous_id:
        return False
    soon = abs(handoff.requested_at - session.last_customer_at) <= AT_ONCE
    return soon and 0 < session.ended_at < session.last_customer_at + SECOND < session.ended_at + DAY


def _judge_rule(watched: Watched, rule: Rule, book: RuleBook, now: float, decision: Decision) -> None:
    alert = watched.alerts.get(rule)
    start, limit = clock(watched.handoff, rule), book.limits.get(rule)
    if start is None or limit is None or _inhibited(watched.handoff, rule, book):
        if alert is not None:
            decision.cleared.append(rule)
        return
    if alert is not None and start > alert.raised_at:  # answered, and begun anew, since it was raised
        decision.cleared.append(rule)
        alert = None
    if alert is not None:
        _judge_open(watched, alert, book, now, decision)
        return
    due = max(book.hours.reached(start, limit.after), watched.quiet.snoozed_until)
    due = max(due, book.hours.opens(max(due, now))) if due <= now else due
    if due <= now:
        decision.raised.append(rule)
    else:
        decision.watch_at = min(decision.watch_at, due)


def _judge_open(watched: Watched, alert: Alert, book: RuleBook, now: float, decision: Decision) -> None:
    at, quiet = alert.next_at, watched.quiet
    said_at = max(quiet.acked_at, quiet.snoozed_at)
    until = quiet_until(watched, alert.rule, book)
    if until and said_at >= alert.sent_at:  # what staff said last takes the place of the repeat
        at = until
    at = max(at, watched.quiet.snoozed_until)
    if at <= now:
        at = book.hours.opens(now)
    if at <= now:
        decision.repeated.append(alert.rule)
    elif at != alert.next_at:
        decision.next_at[alert.rule] = at


def _inhibited(handoff: Handoff, rule: Rule, book: RuleBook) -> bool:
    """A customer who waits is told once, not as silence too."""
    waiting = handoff.waiting_since is not None and Rule.CUSTOMER_WAITING in book.limits
    return rule is Rule.HUMAN_IDLE and waiting


def _was_queued(handoff: Handoff) -> bool:
    return handoff.accepted_at is not None and handoff.accepted_at > handoff.requested_at


def _running(handoff: Handoff, book: RuleBook) -> Iterator[tuple[float, float]]:
    for rule, limit in book.limits.items():
        start = clock(handoff, rule)
        if start is not None:
            yield start, limit.after
    if handoff.status is HandoffStatus.PENDING:
        return
    if book.policy is Policy.IDLE and handoff.waiting_since is None:
        yield max(handoff.active_at, handoff.accepted_at or 0.0), book.idle_after
    elif book.policy is Policy.ON_MESSAGE and handoff.waiting_since is not None:
        yield handoff.active_at, 0.0
