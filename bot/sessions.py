"""Follow one session: news in, changes out. Pure; every function mutates only the `Session` it is given.

A `Session` is loaded with its open handoff, changed here, and written back by storage in one transaction. News may come
twice, late, or out of order, and WeCom's clock is not ours. So: a state read from WeCom is the truth at the time it
was made; an event or message that contradicts younger knowledge is not believed but checked (`check_at`).

Events: https://developer.work.weixin.qq.com/document/path/94670, states: …/94669
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from bot.model import (
    EventType,
    Handoff,
    HandoffStatus,
    KfItem,
    Operator,
    OperatorType,
    ServiceState,
    SessionKey,
    StateReading,
    Via,
)
from bot.phrases import NO_PHRASES, EndPhrases, rating
from bot.states import ENDING_CODE_LIFETIME, REPLY_CODE_LIFETIME, SESSION_LIFETIME, end_status, has_human

CUSTOMER, EVENT, SERVICER = 3, 4, 5  # `origin`
RECHECK = 60.0  # seconds until a session whose end is under way is looked at again
# A program that serves as assistant hands over some seconds after the customer wrote, and no event tells. So after a
# message the state is read again, at growing distances, until the customer has been silent for long.
FOLLOW_UP, FOLLOW_UPS_APART, FOLLOWED = 3.0, 15.0, 600.0
SECOND = 1.0  # send_time has whole seconds, so evidence this close may be younger than what we know
SKEW = 10.0  # seconds WeCom's clock and ours may differ: so close to an end, times do not tell what came first
HOUR = 3600.0
ASKED_LATELY = 120.0  # seconds after which an end phrase that has only now been read is old news
ASKED_HOLDS = 600.0  # seconds it is tried to give the customer the end that was asked for

UNSAVED = -1  # stands for the id of the handoff before it in the same transaction; storage puts the id in

SYSTEM = Operator(OperatorType.SYSTEM, "kfbot")
WECOM = Operator(OperatorType.SYSTEM, "wecom")


@dataclass(slots=True)
class EventDraft:
    """A row for the handoff log; `handoff` may not have its id yet."""

    handoff: Handoff
    type: EventType
    operator: Operator
    at: float
    data: dict[str, Any]


@dataclass(slots=True)
class ClosingDraft:
    """A closing message that may be sent once for this handoff, with a single-use code, until `expires_at`."""

    handoff: Handoff
    code: str
    expires_at: float


@dataclass(slots=True)
class GreetingDraft:
    """A text that may be sent once for this handoff and `state`, while the session is in it, with a single-use code."""

    handoff: Handoff
    state: ServiceState
    code: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class RatingDraft:
    """What the customer thinks of a handoff, by its number. Of several taps the first counts."""

    handoff_id: int
    score: str
    at: float


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A message that WeCom accepted and could not deliver, by the msgid it was sent with; perhaps none of ours."""

    msgid: str
    why: str
    at: float


@dataclass(slots=True)
class Ending:
    """A recorded intention to end the open handoff, not settled yet. At most one per handoff.

    `overtaken`: customer or servicer wrote after it was recorded, so nobody may act on it without looking again.
    """

    id: int
    handoff_id: int
    operator: Operator
    via: str
    reason: str
    requested_at: float
    attempts: int
    overtaken: bool = False


@dataclass(slots=True)
class Session:
    """What is known of one (open_kfid, external_userid) pair.

    `state_at`: when `state` was last learned. `ended_at`: when its last handoff ended, 0 for none. `check_at`: read the
    state from WeCom at or after this time. `version` grows with every change of state; whoever asked WeCom before a
    change must not apply the answer after it. `end_asked_at`: the customer has asked for the end in the chat, and
    nobody has acted upon it yet. `found_at`: it was learned from WeCom's answer, and not from an event, that a human
    has the session, and no event has told of it since.
    """

    open_kfid: str
    external_userid: str
    state: ServiceState | None = None
    state_at: float = 0.0
    servicer_userid: str | None = None
    last_handoff_id: int | None = None
    ended_at: float = 0.0
    last_customer_at: float = 0.0
    last_servicer_at: float = 0.0
    check_at: float | None = None
    version: int = 0
    end_asked_at: float | None = None
    found_at: float | None = None
    handoff: Handoff | None = None
    ending: Ending | None = None
    tenant_id: str = ""
    dirty: set[int] = field(default_factory=set)  # Handoff objects to write, by id()
    moved: set[int] = field(default_factory=set)  # those of them in which more than clocks and the last words changed
    handoffs: list[Handoff] = field(default_factory=list)
    drafts: list[EventDraft] = field(default_factory=list)
    closings: list[ClosingDraft] = field(default_factory=list)
    greetings: list[GreetingDraft] = field(default_factory=list)
    ratings: list[RatingDraft] = field(default_factory=list)
    undelivered: list[Undelivered] = field(default_factory=list)

    @property
    def key(self) -> SessionKey:
        return SessionKey(self.open_kfid, self.external_userid)

    def touch(self, handoff: Handoff, *, moved: bool = True) -> None:
        """Mark a handoff as changed. Most news only moves its clocks, and that is much cheaper to write."""
        if moved:
            self.moved.add(id(handoff))
        if id(handoff) not in self.dirty:
            self.dirty.add(id(handoff))
            self.handoffs.append(handoff)

    def log(self, handoff: Handoff, type_: EventType, operator: Operator, at: float, **data: Any) -> None:
        self.drafts.append(EventDraft(handoff, type_, operator, at, data))


def follow(session: Session, item: KfItem, now: float, *, keep_text: bool, phrases: EndPhrases = NO_PHRASES) -> None:
    """Apply one live item of the message stream. A tap on a rating is no word of the conversation."""
    if item.origin == CUSTOMER:
        if rated := rating(item):
            session.ratings.append(RatingDraft(*rated, float(item.send_time)))
            if session.handoff is None:  # to WeCom it is a message: it begins a session, which may land with a human
                look_again(session, now)
            return
        asks = phrases.meant_by(item)
        customer_wrote(session, float(item.send_time), item.text if keep_text else "", now, goes_on=not asks)
        if asks:
            _ask_end(session, float(item.send_time), now)
    elif item.origin == SERVICER:
        servicer_wrote(session, float(item.send_time), item.servicer_userid or None, now)
    elif item.event_type == "session_status_change" and item.event is not None:
        _status_changed(session, item.event, float(item.send_time), now)
    elif item.event_type == "msg_send_fail" and item.event is not None:
        why = f"msg_send_fail {item.event.get('fail_type')}"
        session.undelivered.append(Undelivered(_text(item.event, "fail_msgid") or "", why, now))


def code_event(handoff: Handoff, given_in: ServiceState, outcome: str, errcode: int, at: float) -> EventDraft:
    """What the log says of a message by the code that was given in this state."""
    data = {"outcome": outcome, "errcode": errcode}
    if given_in is ServiceState.ENDED:
        return EventDraft(handoff, EventType.CLOSING, SYSTEM, at, data)
    return EventDraft(handoff, EventType.GREETING, SYSTEM, at, {**data, "state": given_in})


def remember(session: Session, item: KfItem) -> None:
    """Apply one item from before the start: activity and the likely state, but no handoff and no effect."""
    at = float(item.send_time)
    if rating(item):
        return
    if item.origin == CUSTOMER:
        session.last_customer_at = max(session.last_customer_at, at)
    elif item.origin == SERVICER:
        session.last_servicer_at = max(session.last_servicer_at, at)
        _recall(session, ServiceState.HUMAN, item.servicer_userid or None, at)
    elif item.event_type == "session_status_change" and item.event is not None:
        ended = item.event.get("change_type") == 3
        servicer = None if ended else _text(item.event, "new_servicer_userid")
        _recall(session, ServiceState.ENDED if ended else ServiceState.HUMAN, servicer, at)
    if session.handoff is not None:
        _clock(session, session.handoff, item.origin, at)


def customer_wrote(session: Session, at: float, text: str, now: float, *, goes_on: bool = True) -> None:
    """`goes_on` False: the words ask for the end, and so do not overtake an end that is under way."""
    _lapse(session, at)
    youngest = at >= session.last_customer_at
    session.last_customer_at = max(session.last_customer_at, at)
    if goes_on:
        _overtake(session, at)
    handoff = session.handoff
    if handoff is None:
        # Console routing may have put this session straight into 2 or 3, and no event tells.
        assisted = session.state in (ServiceState.NEW, ServiceState.ASSISTANT)
        look_again(session, max(now + FOLLOW_UP, session.state_at + FOLLOW_UPS_APART) if assisted else now)
        return
    _clock(session, handoff, CUSTOMER, at)
    if text and youngest:
        handoff.last_text = text
        session.touch(handoff, moved=False)


def wants_end(session: Session, now: float) -> bool:
    """The customer has asked for the end in the chat, not too long ago, and has not written on since."""
    asked_at = session.end_asked_at
    return asked_at is not None and session.last_customer_at <= asked_at + SKEW and now <= asked_at + ASKED_HOLDS


def servicer_wrote(session: Session, at: float, servicer_userid: str | None, now: float) -> None:
    session.last_servicer_at = max(session.last_servicer_at, at)
    _overtake(session, at)
    close = at + SKEW > session.ended_at
    if at < session.ended_at and (session.handoff is None or not close):  # written before the end, delivered after it
        if close:
            look_again(session, now)
        return
    if session.handoff is None:
        _open_on_word(session, servicer_userid, at, Via.MESSAGE, now)
    handoff = session.handoff
    assert handoff is not None
    _accept(session, handoff, servicer_userid, at, Via.MESSAGE, now)
    if handoff.status is HandoffStatus.ACCEPTED:
        _progress(session, handoff, servicer_userid, at)
    _clock(session, handoff, SERVICER, at)


def state_read(session: Session, reading: StateReading, at: float) -> None:
    """Apply what service_state/get said. The caller has made sure that `version` is still the one it asked with."""
    session.check_at = None
    if not has_human(reading.state):
        session.end_asked_at = None
    handoff = session.handoff
    if handoff is not None and is_over(handoff, reading.state):
        if session.ending is not None:
            look_again(session, at + RECHECK)  # whoever is ending it settles it, and knows who did
            return
        finish_elsewhere(session, at)
        handoff = None
    if has_human(reading.state):
        if handoff is None:
            _open_from_reading(session, reading, at)
        elif reading.state is ServiceState.HUMAN:
            if handoff.status is HandoffStatus.PENDING:
                session.found_at = at
            _accept(session, handoff, reading.servicer_userid, at, Via.STATE, at)
    _set_state(session, reading.state, reading.servicer_userid, at)
    if session.handoff is not None:
        look_again(session, _expiry(session, at))
    elif reading.state is not ServiceState.ENDED:
        _follow_up(session, at)


def look_again(session: Session, at: float) -> None:
    """Have the state read at that moment, if not before."""
    session.check_at = at if session.check_at is None else min(session.check_at, at)


def _follow_up(session: Session, at: float) -> None:
    silent = max(0.0, at - session.last_customer_at)
    if silent < FOLLOWED:
        look_again(session, at + max(FOLLOW_UP, 2 * silent))


def is_over(handoff: Handoff, state: ServiceState) -> bool:
    """Whether a session in this state shows that the open handoff has ended: no human gives back to the queue."""
    return not has_human(state) or (state is ServiceState.QUEUED and handoff.status is not HandoffStatus.PENDING)


def open_handoff(
    session: Session,
    status: HandoffStatus,
    servicer: str | None,
    at: float,
    via: Via,
    *,
    reopened: bool = False,
) -> Handoff:
    """Begin a stretch of human service. The customer's last unanswered message starts the waiting clock.

    A session with a human although the customer has not written since the last end was re-opened by the servicer.
    """
    silent_since_end = session.ended_at > 0 and session.last_customer_at + SECOND <= session.ended_at
    reopened = reopened or (silent_since_end and status is not HandoffStatus.PENDING)
    previous_id = session.last_handoff_id if reopened else None
    answered_at = session.last_servicer_at if session.last_servicer_at >= session.ended_at else 0.0
    unanswered = session.last_customer_at > max(answered_at, session.ended_at - SKEW)
    handoff = Handoff(
        id=0,
        tenant_id=session.tenant_id,
        open_kfid=session.open_kfid,
        external_userid=session.external_userid,
        status=HandoffStatus.PENDING,
        servicer_userid=None,
        requested_at=at,
        previous_id=previous_id,
        waiting_since=session.last_customer_at if unanswered else None,
        active_at=max(session.last_customer_at, session.last_servicer_at) if unanswered else at,
    )
    session.handoff = handoff
    session.ending, session.found_at = None, None
    session.touch(handoff)
    session.log(handoff, EventType.REQUESTED, WECOM, at, via=via)
    _set_state(session, ServiceState.QUEUED, None, at)
    if status is not HandoffStatus.PENDING:
        _accept(session, handoff, servicer, at, via, at)
    look_again(session, _expiry(session, at))
    return handoff


def finish(session: Session, operator: Operator, via: str, at: float, reason: str = "", **data: Any) -> Handoff:
    """End the open handoff: the one place where a handoff gets its end. Raises ValueError when none is open."""
    handoff = session.handoff
    if handoff is None:
        raise ValueError(f"no open handoff for {session.external_userid}")
    handoff.status = end_status(handoff.status)
    handoff.completed_at = max(at, handoff.requested_at, handoff.accepted_at or 0.0, handoff.replied_at or 0.0)
    handoff.ended_by, handoff.via = operator.type, via
    handoff.operator_id, handoff.reason = operator.id or None, reason or None
    handoff.waiting_since = None
    session.touch(handoff)
    session.log(
        handoff,
        EventType.COMPLETED,
        operator,
        at,
        endedBy=operator.type,
        via=via,
        status=handoff.status,
        **({"reason": reason} if reason else {}),
        **data,
    )
    session.handoff, session.ending, session.end_asked_at = None, None, None
    session.last_handoff_id, session.ended_at = handoff.id or UNSAVED, at
    _set_state(session, ServiceState.ENDED, None, at)
    return handoff


def finish_elsewhere(session: Session, at: float) -> Handoff:
    """End a handoff that WeCom shows as over, when nothing told who did it."""
    expires_at = session.last_customer_at + SESSION_LIFETIME
    if session.last_customer_at and at >= expires_at:
        return finish(session, WECOM, Via.EXPIRED, expires_at)
    return finish(session, Operator(OperatorType.AGENT, ""), Via.ELSEWHERE, at)


def write_off(session: Session, errcode: int, at: float) -> None:
    """WeCom goes on to say that there is no such account or customer: nobody can end what it does not know."""
    if session.handoff is not None and session.ending is None:
        finish(session, WECOM, Via.ELSEWHERE, at, f"WeCom {errcode}")


def hand_over(
    session: Session, handoff: Handoff, servicer: str, operator: Operator, at: float, via: Via, code: str = ""
) -> None:
    """Somebody has given the session to a servicer by us, and WeCom agreed. Later news of the same adds nothing."""
    _accept(session, handoff, servicer, at, via, at, operator)
    session.found_at = at
    offer_greeting(session, ServiceState.HUMAN, code, at)


def offer_greeting(session: Session, state: ServiceState, code: str | None, at: float) -> None:
    """WeCom gave a code when the open handoff's session came to that state: the queue, or a human."""
    if session.handoff is not None and code:
        session.greetings.append(GreetingDraft(session.handoff, state, code, at + REPLY_CODE_LIFETIME))


def _open_from_reading(session: Session, reading: StateReading, at: float) -> None:
    pending = reading.state is ServiceState.QUEUED
    served = session.state is ServiceState.HUMAN and session.last_servicer_at >= session.state_at > 0
    since = session.state_at if session.state is ServiceState.HUMAN and not pending else at
    status = HandoffStatus.PENDING if pending else HandoffStatus.ACCEPTED
    handoff = open_handoff(session, status, reading.servicer_userid, since, Via.STATE)
    session.found_at = None if pending else at
    if served and not pending:  # known from history: the servicer has already written in this stretch
        _progress(session, handoff, reading.servicer_userid, session.last_servicer_at)


def _open_on_word(
    session: Session, servicer: str | None, at: float, via: Via, now: float, *, reopened: bool = False
) -> None:
    """Open on the word of an event or message. Just after an end it may be older than that: believed and checked. So is
    what a reading came too late for: what is told next is no older than this, and may be its end."""
    if at < session.ended_at + SKEW or _stale(session, at):
        look_again(session, now)
    session.state_at = min(session.state_at, at)
    open_handoff(session, HandoffStatus.ACCEPTED, servicer, at, via, reopened=reopened)


def _status_changed(session: Session, event: dict[str, Any], at: float, now: float) -> None:
    change = event.get("change_type")
    new, old = _text(event, "new_servicer_userid"), _text(event, "old_servicer_userid")
    if change == 3:
        _ended_in_client(session, old, _text(event, "msg_code"), at, now)
    elif change in (1, 2, 4):
        if change != 2:
            _end_as_noted(session, at)
        found_at, session.found_at = session.found_at, None
        if session.handoff is None and found_at is not None and at <= found_at + SKEW:
            look_again(session, now)  # the beginning of what was read before it was told, and has ended since
            return
        stale = _stale(session, at)
        if stale and (at < session.ended_at + SKEW if session.handoff is None else session.servicer_userid != new):
            look_again(session, now)
            return
        if session.handoff is None:
            _open_on_word(session, new, at, Via.EVENT, now, reopened=change == 4)
        else:
            if change == 4:
                _name_previous(session, session.handoff, at, now)
            _accept(session, session.handoff, new, at, Via.EVENT, now)
        offer_greeting(session, ServiceState.HUMAN, _text(event, "msg_code"), at)


def _name_previous(session: Session, handoff: Handoff, at: float, now: float) -> None:
    """The servicer's message may come before the event that says what it did."""
    if handoff.previous_id is not None:
        return
    if handoff.requested_at + SECOND >= at >= session.ended_at - SECOND:
        handoff.previous_id = session.last_handoff_id
        session.touch(handoff)
    else:
        look_again(session, now)  # taken back from another servicer, or the end before it is still to come


def _ended_in_client(session: Session, old: str | None, code: str | None, at: float, now: float) -> None:
    handoff = session.handoff
    if handoff is None:
        if not _stale(session, at):
            _set_state(session, ServiceState.ENDED, None, at)
        return
    if at + SECOND <= handoff.requested_at:
        look_again(session, now)  # the end of an earlier stretch
        return
    if code:
        session.closings.append(ClosingDraft(handoff, code, at + ENDING_CODE_LIFETIME))
    if session.ending is None:
        if at < session.state_at + SKEW:
            look_again(session, now)  # a younger reading shows what came after it, or it is of about the same time
        finish(session, Operator(OperatorType.AGENT, old or ""), Via.CLIENT, at)
    else:  # our own call is under way and learns from its answer whose end this was: leave it a note
        handoff.via, handoff.operator_id = Via.CLIENT, old
        session.touch(handoff)


def _end_as_noted(session: Session, at: float) -> None:
    """Our own call is still under way, but the servicer was faster, and now the next stretch has begun: whatever the
    answer will be, it is not about this one."""
    handoff = session.handoff
    if handoff is None or session.ending is None or handoff.via != Via.CLIENT:
        return
    if at > (handoff.accepted_at or handoff.requested_at) + SECOND:
        finish(session, Operator(OperatorType.AGENT, handoff.operator_id or ""), Via.CLIENT, at)


def _accept(
    session: Session,
    handoff: Handoff,
    servicer: str | None,
    at: float,
    via: Via,
    now: float,
    operator: Operator | None = None,
) -> None:
    """A servicer has it: the first (PENDING → ACCEPTED) or another than before (transferred)."""
    operator = operator or Operator(OperatorType.AGENT, servicer or "")
    if handoff.status is HandoffStatus.PENDING:
        handoff.status, handoff.accepted_at = HandoffStatus.ACCEPTED, max(at, handoff.requested_at)
        handoff.servicer_userid = servicer
        session.log(handoff, EventType.ACCEPTED, operator, at, agentId=servicer, via=via)
    elif servicer and handoff.servicer_userid != servicer:
        if via is Via.MESSAGE and at <= session.state_at:
            look_again(session, now)
            return
        before, handoff.servicer_userid = handoff.servicer_userid, servicer
        type_ = EventType.TRANSFERRED if before else EventType.ACCEPTED
        session.log(handoff, type_, operator, at, fromAgentId=before, agentId=servicer, via=via)
    elif session.state is ServiceState.HUMAN:
        return
    session.touch(handoff)
    _set_state(session, ServiceState.HUMAN, servicer or handoff.servicer_userid, at)


def _progress(session: Session, handoff: Handoff, servicer: str | None, at: float) -> None:
    """The servicer's first message."""
    handoff.status = HandoffStatus.IN_PROGRESS
    handoff.replied_at = max(at, handoff.accepted_at or 0.0)
    session.log(handoff, EventType.PROGRESS, Operator(OperatorType.AGENT, servicer or ""), at, agentId=servicer)
    session.touch(handoff)


def _lapse(session: Session, at: float) -> None:
    """WeCom ends a session by itself, and may not say so: after so long a silence this message begins another."""
    expired_at = session.last_customer_at + SESSION_LIFETIME
    if session.handoff is not None and session.ending is None and session.last_customer_at and at >= expired_at:
        finish(session, WECOM, Via.EXPIRED, expired_at)


def _expiry(session: Session, at: float) -> float:
    """When to look at an open handoff of which nothing more is heard."""
    return max((session.last_customer_at or at) + SESSION_LIFETIME + SKEW, at + HOUR)


def _overtake(session: Session, at: float) -> None:
    if session.ending is not None and at + SKEW > session.ending.requested_at:
        session.ending.overtaken = True


def _ask_end(session: Session, at: float, now: float) -> None:
    """Just after an end it is the same wish once more, unless it stands in the stretch after that."""
    again = at < session.ended_at + SKEW and (session.handoff is None or at <= session.handoff.requested_at)
    if now <= at + ASKED_LATELY and not again:
        session.end_asked_at = max(at, session.end_asked_at or 0.0)


def _clock(session: Session, handoff: Handoff, origin: int, at: float) -> None:
    """The customer's first unanswered message starts the waiting clock, the servicer's next message stops it."""
    if origin == EVENT or at + SKEW <= session.ended_at:
        return  # late news of the stretch before this one
    if origin == CUSTOMER and at >= session.last_servicer_at:
        handoff.waiting_since = at if handoff.waiting_since is None else min(handoff.waiting_since, at)
    elif origin == SERVICER and (handoff.waiting_since or 0) <= at:
        handoff.waiting_since = session.last_customer_at if session.last_customer_at > at else None
    handoff.active_at = max(handoff.active_at, at)
    session.touch(handoff, moved=False)


def _set_state(session: Session, state: ServiceState, servicer: str | None, at: float) -> None:
    session.state, session.servicer_userid = state, servicer
    session.state_at = max(session.state_at, at)
    session.version += 1


def _recall(session: Session, state: ServiceState, servicer: str | None, at: float) -> None:
    """History: `state_at` stays where the state began, so that a stretch found later is dated from there."""
    if session.handoff is None and at >= session.state_at and session.state is not state:
        session.state, session.state_at = state, at
        session.servicer_userid = servicer


def _stale(session: Session, at: float) -> bool:
    return at + SECOND <= session.state_at


def _text(event: dict[str, Any], name: str) -> str | None:
    value = event.get(name)
    return value if isinstance(value, str) and value else None


def snapshot(handoff: Handoff) -> Handoff:
    """A copy that later changes do not touch; what a caller may keep after the transaction."""
    return replace(handoff)
