"""Following one session: what each kind of news does, and what no order of news can break."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.model import EventType, Handoff, HandoffStatus, KfItem, Operator, OperatorType, ServiceState, StateReading, Via
from bot.phrases import EndPhrases
from bot.sessions import (
    ASKED_HOLDS,
    ASKED_LATELY,
    FOLLOW_UP,
    FOLLOW_UPS_APART,
    SKEW,
    Ending,
    Session,
    Undelivered,
    finish,
    finish_elsewhere,
    follow,
    hand_over,
    is_over,
    remember,
    snapshot,
    state_read,
    wants_end,
)
from bot.states import SESSION_LIFETIME, STATUS_MOVES
from tests.fakes import ANN, ASSISTANT, ENDED, HUMAN, KF, LI, NEW, QUEUED, TENANT, WU

T = 1_700_000_000.0
AGENT = Operator(OperatorType.AGENT, "ZhangSuQuan")
END = "结束对话"
PHRASES = EndPhrases([END])


@dataclass
class Life:
    """A session as storage keeps it: after each piece of news it is written and loaded again."""

    session: Session = field(default_factory=lambda: Session(KF, ANN, tenant_id=TENANT))
    handoffs: list[Handoff] = field(default_factory=list)
    log: list[tuple[int, EventType, dict[str, Any]]] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    greetings: list[tuple[int, ServiceState, str]] = field(default_factory=list)
    ratings: list[tuple[int, str]] = field(default_factory=list)

    def write(self) -> None:
        session = self.session
        for handoff in session.handoffs:
            if not handoff.id:
                self.handoffs.append(handoff)
                handoff.id = len(self.handoffs)
        if session.last_handoff_id == -1:
            session.last_handoff_id = [each for each in session.handoffs if each.completed_at is not None][-1].id
        for handoff in session.handoffs:
            if handoff.previous_id == -1:
                handoff.previous_id = handoff.id - 1
        self.log += [(draft.handoff.id, draft.type, draft.data) for draft in session.drafts]
        self.codes += [draft.code for draft in session.closings]
        self.greetings += [(draft.handoff.id, draft.state, draft.code) for draft in session.greetings]
        self.ratings += [(draft.handoff_id, draft.score) for draft in session.ratings]
        for made in (session.dirty, session.handoffs, session.drafts, session.closings, session.greetings):
            made.clear()
        session.ratings.clear()

    def customer(self, at: float, text: str = "在吗", now: float | None = None) -> Life:
        return self.item(3, at, now, text=text)

    def servicer(self, at: float, userid: str = LI, now: float | None = None) -> Life:
        return self.item(5, at, now, servicer_userid=userid)

    def change(self, change_type: int, at: float, now: float | None = None, **fields: str) -> Life:
        event = {"event_type": "session_status_change", "change_type": change_type, **fields}
        return self.item(4, at, now, msgtype="event", event_type="session_status_change", event=event)

    def taken(self, at: float, servicer: str = LI, now: float | None = None) -> Life:
        return self.change(1, at, now, new_servicer_userid=servicer)

    def moved(self, at: float, old: str = LI, new: str = WU, now: float | None = None) -> Life:
        return self.change(2, at, now, old_servicer_userid=old, new_servicer_userid=new)

    def ended(self, at: float, old: str = LI, now: float | None = None) -> Life:
        return self.change(3, at, now, old_servicer_userid=old, msg_code="CODE")

    def reopened(self, at: float, servicer: str = LI, now: float | None = None) -> Life:
        return self.change(4, at, now, old_servicer_userid=servicer, new_servicer_userid=servicer)

    def read(self, reading: StateReading, at: float) -> Life:
        state_read(self.session, reading, at)
        self.write()
        return self

    def closed(self, at: float) -> Life:
        """Ended by one of us."""
        finish(self.session, AGENT, Via.COMMAND, at)
        self.write()
        return self

    def closed_before(self, at: float) -> Life:
        """One stretch, of which nothing is left."""
        return self.customer(at - 90).taken(at - 80).closed(at)

    def intended(self, at: float) -> Life:
        assert self.session.handoff is not None
        self.session.ending = Ending(1, self.session.handoff.id, AGENT, Via.COMMAND, "", at, 1)
        return self

    def item(self, origin: int, at: float, now: float | None = None, **fields: Any) -> Life:
        fields = {"msgtype": "text", **fields}
        item = KfItem("m", KF, ANN, int(at), origin, **fields)
        follow(self.session, item, at if now is None else now, keep_text=True, phrases=PHRASES)
        self.write()
        return self

    def remembered(self, origin: int, at: float, **fields: Any) -> Life:
        remember(self.session, KfItem("m", KF, ANN, int(at), origin, **{"msgtype": "text", **fields}))
        self.write()
        return self

    @property
    def open(self) -> Handoff:
        assert self.session.handoff is not None
        return self.session.handoff

    @property
    def types(self) -> list[tuple[int, EventType]]:
        return [(number, type_) for number, type_, _ in self.log]

    @property
    def last_end(self) -> dict[str, Any]:
        return next(data for _, type_, data in reversed(self.log) if type_ is EventType.COMPLETED)


HUMAN_LI, HUMAN_WU = StateReading(HUMAN, LI), StateReading(HUMAN, WU)


def served(at: float = T) -> Life:
    """Waited, was taken by Li, got an answer, has been looked at: handoff 1 in progress."""
    return Life().customer(at - 50).taken(at - 40).servicer(at - 30).read(HUMAN_LI, at - 20)


# -- a handoff begins


@pytest.mark.parametrize(("reading", "status"), [(StateReading(QUEUED), "PENDING"), (HUMAN_LI, "ACCEPTED")])
def test_a_session_found_with_a_human_gets_a_handoff(reading: StateReading, status: str) -> None:
    life = Life().customer(T).read(reading, T + 2)
    assert (life.open.status, life.open.servicer_userid) == (status, reading.servicer_userid)
    assert life.open.tenant_id == TENANT
    assert (life.open.waiting_since, life.open.active_at) == (T, T)
    assert life.types[0] == (1, EventType.REQUESTED)


@pytest.mark.parametrize("reading", [StateReading(NEW), StateReading(ASSISTANT), StateReading(ENDED)])
def test_a_session_without_a_human_gets_none(reading: StateReading) -> None:
    life = Life().customer(T).read(reading, T + 2)
    assert (life.session.handoff, life.session.state, life.log) == (None, reading.state, [])


def test_a_servicer_who_takes_a_session_from_the_pool_accepts_it() -> None:
    life = Life().customer(T).read(StateReading(QUEUED), T + 1).taken(T + 5)
    assert (life.open.status, life.open.accepted_at, life.open.servicer_userid) == ("ACCEPTED", T + 5, LI)
    assert life.types == [(1, EventType.REQUESTED), (1, EventType.ACCEPTED)]


def test_a_session_taken_before_its_queueing_was_seen_opens_accepted() -> None:
    life = Life().customer(T).taken(T + 5)
    assert (life.open.status, life.open.waiting_since) == ("ACCEPTED", T)


def test_a_servicers_message_alone_tells_of_a_handoff_in_progress() -> None:
    life = Life().customer(T).servicer(T + 5)
    assert (life.open.status, life.open.replied_at, life.open.waiting_since) == ("IN_PROGRESS", T + 5, None)
    assert [type_ for _, type_ in life.types] == [EventType.REQUESTED, EventType.ACCEPTED, EventType.PROGRESS]


def test_a_servicers_first_message_makes_progress_and_the_second_none() -> None:
    life = Life().customer(T).taken(T + 5).servicer(T + 7)
    assert (life.open.status, life.open.replied_at) == (HandoffStatus.IN_PROGRESS, T + 7)
    life.servicer(T + 9)
    assert [type_ for _, type_ in life.types].count(EventType.PROGRESS) == 1
    assert life.open.replied_at == T + 7


def test_a_servicers_message_into_the_queue_accepts_it_too() -> None:
    life = Life().read(StateReading(QUEUED), T).servicer(T + 1)
    assert life.open.status is HandoffStatus.IN_PROGRESS


@pytest.mark.parametrize("state", [None, QUEUED, HUMAN, ENDED])
def test_a_customer_without_handoff_makes_the_state_be_read(state: Any) -> None:
    """Console routing puts sessions into 2 or 3, and no event tells."""
    life = Life(Session(KF, ANN, state=state, state_at=T)).customer(T + 1, now=T + 2)
    assert life.session.check_at == T + 2


def test_with_the_assistant_the_state_is_read_soon_after_a_word_but_not_for_each_word() -> None:
    life = Life().read(StateReading(ASSISTANT), T).customer(T + 1).customer(T + 2)
    assert life.session.check_at == T + FOLLOW_UPS_APART
    life.read(StateReading(ASSISTANT), T + 100).customer(T + 200)
    assert life.session.check_at == T + 200 + FOLLOW_UP


def test_after_a_word_to_the_assistant_the_state_is_read_at_growing_distances_and_then_no_more() -> None:
    life, reads = Life().customer(T), []
    while life.session.check_at is not None:
        reads.append(life.session.check_at - T)
        life.read(StateReading(ASSISTANT), life.session.check_at)
    assert reads == [0, 3, 9, 27, 81, 243, 729]


# -- it goes on


def test_a_transfer_names_both() -> None:
    life = served().moved(T)
    assert life.open.servicer_userid == WU
    assert life.log[-1][1:] == (EventType.TRANSFERRED, {"fromAgentId": LI, "agentId": WU, "via": Via.EVENT})


def test_a_transfer_seen_in_a_reading_or_a_message_counts_as_well() -> None:
    assert served().read(HUMAN_WU, T).open.servicer_userid == WU
    assert served().servicer(T, WU).open.servicer_userid == WU


@pytest.mark.parametrize("late", [T - 5, T])
def test_a_message_no_younger_than_the_transfer_does_not_undo_it(late: float) -> None:
    life = served().moved(T).servicer(late, LI, now=T + 3)
    assert (life.open.servicer_userid, life.session.check_at) == (WU, T + 3)


def test_news_older_than_a_reading_that_contradict_it_are_checked_not_believed() -> None:
    life = served().read(HUMAN_WU, T).moved(T - 20, WU, LI, now=T + 1)
    assert (life.open.servicer_userid, life.session.check_at) == (WU, T + 1)


def test_a_stretch_that_a_reading_was_too_late_for_is_on_record_with_its_end() -> None:
    """The bot was down, or its callbacks were lost: it reads that the session is over, and then that it began."""
    life = Life().customer(T).read(StateReading(ENDED), T + 900)
    life.taken(T + 10, now=T + 901)
    assert (life.open.requested_at, life.session.check_at) == (T + 10, T + 901)
    life.servicer(T + 20, now=T + 901).ended(T + 30, now=T + 901)
    assert (life.session.handoff, life.session.state) == (None, ENDED)
    assert (life.handoffs[0].via, life.handoffs[0].completed_at, life.codes) == (Via.CLIENT, T + 30, ["CODE"])


def test_so_it_is_where_nothing_but_the_servicers_words_tell_of_it() -> None:
    life = Life().customer(T).read(StateReading(NEW), T + 900)
    life.servicer(T + 20, now=T + 901).ended(T + 30, now=T + 901)
    assert (life.handoffs[0].via, life.handoffs[0].completed_at) == (Via.CLIENT, T + 30)


def test_where_nothing_tells_of_its_end_it_was_made_elsewhere() -> None:
    life = Life().customer(T).read(StateReading(ENDED), T + 900).taken(T + 10, now=T + 901)
    life.read(StateReading(ENDED), T + 902)
    assert (life.session.handoff, life.handoffs[0].via) == (None, Via.ELSEWHERE)


@pytest.mark.parametrize("at", [T - 80, T - SKEW - 1])
def test_news_of_a_stretch_that_is_on_record_with_its_end_begin_none(at: float) -> None:
    life = Life().closed_before(T).read(StateReading(ENDED), T + 900).taken(at, now=T + 901)
    assert (life.session.handoff, life.session.check_at, len(life.handoffs)) == (None, T + 901, 1)


@pytest.mark.parametrize("ahead", [0, SKEW])
def test_a_beginning_that_was_read_before_it_was_told_is_told_when_all_is_over(ahead: float) -> None:
    """Who ends a session asks WeCom for its state, and may be done before the stream says that it began. `ahead`:
    seconds of WeCom's clock."""
    life = Life().customer(T).read(HUMAN_LI, T + 0.5).closed(T + 0.6)
    life.taken(T + ahead, now=T + 0.7)
    assert (life.session.handoff, life.session.check_at, len(life.handoffs)) == (None, T + 0.7, 1)
    life.read(StateReading(ENDED), T + 0.8).taken(T + ahead, now=T + 0.9)
    assert len(life.handoffs) == 2  # told only once, so this is another


def test_so_it_is_when_it_had_been_queued_before() -> None:
    life = Life().customer(T).read(StateReading(QUEUED), T).read(HUMAN_LI, T + 0.5).closed(T + 0.6)
    assert life.taken(T, now=T + 0.7).session.handoff is None


def test_so_it_is_when_we_have_handed_it_over() -> None:
    life = Life().customer(T).read(StateReading(QUEUED), T)
    hand_over(life.session, life.open, LI, AGENT, T + 0.5, Via.COMMAND)
    assert life.closed(T + 0.6).taken(T, now=T + 0.7).session.handoff is None


def test_what_begins_in_the_second_of_an_end_is_another_stretch() -> None:
    life = Life().customer(T).taken(T).closed(T + 0.6).taken(T, now=T + 0.7)
    assert life.open.status == "ACCEPTED"
    life = Life().customer(T).read(HUMAN_LI, T + 0.4).taken(T, now=T + 0.5).closed(T + 0.6).taken(T, now=T + 0.7)
    assert life.open.status == "ACCEPTED"


def test_an_end_older_than_a_reading_ends_what_began_before_it() -> None:
    """The reading shows the stretch after it, with the same servicer."""
    life = served().read(HUMAN_LI, T + 60).ended(T, now=T + 61)
    assert (life.session.handoff, life.handoffs[0].completed_at, life.session.check_at) == (None, T, T + 61)
    assert life.read(HUMAN_LI, T + 62).open.id == 2


def test_old_news_that_agree_change_nothing() -> None:
    life = served().read(HUMAN_LI, T)
    before = (snapshot(life.open), list(life.log), life.session.check_at)
    life.taken(T - 40, now=T + 1)
    assert (life.open, life.log, life.session.check_at) == before


def test_a_session_given_back_to_the_queue_is_another_handoff() -> None:
    """WeCom has no move from 3 to 2: the first has ended, and the customer has asked anew."""
    life = served().customer(T).read(StateReading(QUEUED), T + 1)
    assert (life.open.id, life.open.status, life.open.previous_id) == (2, HandoffStatus.PENDING, None)
    assert life.last_end["endedBy"] == "AGENT"


# -- the waiting clock


def test_the_first_unanswered_message_starts_the_clock_and_an_answer_stops_it() -> None:
    life = served().customer(T).customer(T + 9)
    assert (life.open.waiting_since, life.open.active_at) == (T, T + 9)
    assert life.servicer(T + 10).open.waiting_since is None


def test_a_late_answer_to_an_earlier_message_leaves_the_later_one_waiting() -> None:
    assert served().customer(T).customer(T + 9).servicer(T + 5).open.waiting_since == T + 9


def test_a_late_message_that_was_answered_waits_for_nothing() -> None:
    assert served().servicer(T + 5).customer(T + 3).open.waiting_since is None


def test_late_messages_move_the_clock_back_to_the_first() -> None:
    assert served().customer(T + 9).customer(T).open.waiting_since == T


def test_the_last_words_are_the_youngest() -> None:
    assert served().customer(T + 9, "再问").customer(T, "先问").open.last_text == "再问"


def test_messages_from_before_the_last_end_do_not_start_the_next_clock() -> None:
    life = served().closed(T).customer(T + 50).read(HUMAN_LI, T + 51).customer(T - 20).servicer(T - 15)
    assert (life.open.status, life.open.waiting_since) == (HandoffStatus.ACCEPTED, T + 50)


def test_a_customer_who_writes_in_the_second_of_the_end_waits_in_the_next_handoff() -> None:
    """Our clock has fractions, WeCom's has not."""
    life = served().servicer(T).closed(T + 0.4).customer(T + 0.9).read(HUMAN_LI, T + 1)
    assert life.open.waiting_since == T


# -- it ends


def test_an_end_in_the_client_is_the_servicers() -> None:
    life = served().ended(T)
    (handoff,) = life.handoffs
    assert (handoff.status, handoff.ended_by, handoff.via, handoff.operator_id, handoff.completed_at) == (
        HandoffStatus.COMPLETED, OperatorType.AGENT, Via.CLIENT, LI, T,
    )  # fmt: skip
    assert life.last_end == {"endedBy": "AGENT", "via": "client", "status": "COMPLETED"}
    assert (life.codes, life.session.state, life.session.handoff) == (["CODE"], ENDED, None)


def test_the_same_end_twice_is_one_end() -> None:
    life = served().ended(T).ended(T)
    assert [type_ for _, type_ in life.types].count(EventType.COMPLETED) == 1


def test_an_end_while_pending_is_a_cancellation_with_a_completed_event() -> None:
    life = Life().customer(T).read(StateReading(QUEUED), T + 1).read(StateReading(ENDED), T + 5)
    assert life.handoffs[0].status is HandoffStatus.CANCELLED
    assert life.last_end == {"endedBy": "AGENT", "via": "elsewhere", "status": "CANCELLED"}


def test_a_session_found_over_ended_elsewhere() -> None:
    life = served().read(StateReading(ENDED), T)
    assert life.last_end == {"endedBy": "AGENT", "via": "elsewhere", "status": "COMPLETED"}
    assert life.handoffs[0].operator_id is None


def test_after_two_days_wecom_has_ended_it_itself() -> None:
    life = Life().customer(T).read(HUMAN_LI, T + 1).read(StateReading(ENDED), T + SESSION_LIFETIME + 60)
    assert life.last_end["endedBy"] == "SYSTEM"
    assert (life.handoffs[0].via, life.handoffs[0].completed_at) == (Via.EXPIRED, T + SESSION_LIFETIME)


def test_an_open_handoff_is_looked_at_when_wecom_would_end_it() -> None:
    """Nothing else tells of that end."""
    opened = Life(Session(KF, ANN, last_customer_at=T)).taken(T + 5)
    assert opened.session.check_at == T + SESSION_LIFETIME + SKEW
    later = opened.customer(T + 9000).read(HUMAN_LI, T + SESSION_LIFETIME + SKEW)
    assert later.session.check_at == T + 9000 + SESSION_LIFETIME + SKEW


def test_a_session_that_outlives_its_time_is_not_read_all_the_time() -> None:
    late = T + SESSION_LIFETIME + 100
    check_at = Life().customer(T).taken(T + 5).read(HUMAN_LI, late).session.check_at
    assert check_at is not None
    assert check_at >= late + 60


def test_a_customer_who_writes_after_two_days_begins_another_session() -> None:
    life = served().customer(T).customer(T + SESSION_LIFETIME + 5)
    assert (life.session.handoff, life.handoffs[0].via) == (None, Via.EXPIRED)
    assert life.session.check_at is not None
    assert life.session.check_at <= T + SESSION_LIFETIME + 5


def test_an_end_older_than_the_handoff_is_checked_not_believed() -> None:
    life = Life().customer(T).read(HUMAN_LI, T + 20).ended(T + 5, now=T + 30)
    assert (life.open.id, life.session.check_at, life.codes) == (1, T + 30, [])


def test_an_end_of_a_session_nobody_knew_of_is_remembered() -> None:
    life = Life().ended(T)
    assert (life.session.state, life.log) == (ENDED, [])


def test_text_of_a_handoff_is_kept_only_if_wanted() -> None:
    life = served()
    follow(life.session, KfItem("m", KF, ANN, int(T), 3, "text", text="秘密"), T, keep_text=False)
    assert life.open.last_text is None


def test_only_an_open_handoff_can_be_finished() -> None:
    with pytest.raises(ValueError, match="no open handoff"):
        finish(Session(KF, ANN), AGENT, Via.COMMAND, T)


@pytest.mark.parametrize(
    ("status", "state", "over"),
    [
        (HandoffStatus.PENDING, QUEUED, False),
        (HandoffStatus.PENDING, HUMAN, False),
        (HandoffStatus.ACCEPTED, QUEUED, True),
        (HandoffStatus.ACCEPTED, HUMAN, False),
        (HandoffStatus.IN_PROGRESS, ENDED, True),
        (HandoffStatus.PENDING, NEW, True),
    ],
)
def test_a_state_shows_whether_a_handoff_is_over(status: HandoffStatus, state: Any, over: bool) -> None:
    assert is_over(Handoff(1, TENANT, KF, ANN, status, None, T), state) is over


# -- the customer asks for the end


def test_an_end_phrase_is_a_wish_on_record_and_a_message_like_others() -> None:
    life = served().customer(T, END)
    assert life.session.end_asked_at == T and wants_end(life.session, T + 1)
    assert (life.open.waiting_since, life.open.last_text, life.session.last_customer_at) == (T, END, T)


def test_other_words_are_no_wish() -> None:
    life = served().customer(T, "先不要结束对话").servicer(T + 1).item(5, T + 2, text=END, servicer_userid=LI)
    assert life.session.end_asked_at is None and not wants_end(life.session, T + 3)


@pytest.mark.parametrize("state", [None, NEW, ASSISTANT, ENDED])
def test_a_wish_is_kept_until_the_state_is_read(state: Any) -> None:
    """Only WeCom knows whether a human has the session by now."""
    life = Life() if state is None else Life().read(StateReading(state), T - 60)
    life.customer(T, END)
    assert wants_end(life.session, T)
    assert wants_end(life.read(HUMAN_LI, T + 1).session, T + 1)


@pytest.mark.parametrize("state", [NEW, ASSISTANT, ENDED])
def test_it_is_gone_where_no_human_has_the_session(state: Any) -> None:
    life = Life().customer(T, END).read(StateReading(state), T + 1)
    assert life.session.end_asked_at is None
    assert life.read(HUMAN_LI, T + 5).session.end_asked_at is None


def test_it_is_gone_when_the_session_has_ended_whoever_did_it() -> None:
    assert served().customer(T, END).ended(T + 1).session.end_asked_at is None
    assert served().customer(T, END).closed(T + 1).session.end_asked_at is None


@pytest.mark.parametrize(("late", "counts"), [(0, True), (ASKED_LATELY, True), (ASKED_LATELY + 1, False)])
def test_a_phrase_read_too_late_is_old_news(late: float, counts: bool) -> None:
    life = served().customer(T, END, now=T + late)
    assert (life.session.end_asked_at is not None) is counts


def test_history_wishes_nothing() -> None:
    life = served().remembered(3, T, text=END)
    assert life.session.end_asked_at is None


def test_the_same_wish_just_after_the_end_is_no_new_one() -> None:
    life = served().closed(T).customer(T + SKEW - 1, END)
    assert life.session.end_asked_at is None
    assert life.customer(T + SKEW, END).session.end_asked_at == T + SKEW


def test_late_news_of_it_does_not_end_the_next_stretch() -> None:
    life = served().closed(T).reopened(T + 3).customer(T + 2, END, now=T + 4)
    assert (life.open.id, life.session.end_asked_at) == (2, None)
    assert life.customer(T + 5, END).session.end_asked_at == T + 5


def test_who_writes_on_does_not_want_it_any_more() -> None:
    life = served().customer(T, END).customer(T + SKEW, "谢谢")
    assert wants_end(life.session, T + SKEW)
    assert not wants_end(life.customer(T + SKEW + 1, "等等").session, T + SKEW + 1)


def test_the_servicers_words_do_not_take_it_back() -> None:
    life = served().customer(T, END).servicer(T + 60)
    assert wants_end(life.session, T + 60)


def test_it_is_not_wanted_for_ever() -> None:
    life = served().customer(T, END)
    assert wants_end(life.session, T + ASKED_HOLDS) and not wants_end(life.session, T + ASKED_HOLDS + 1)


def test_who_asks_for_the_end_does_not_overtake_one_that_is_under_way() -> None:
    life = served().intended(T).customer(T + 1, END)
    assert life.session.ending is not None and not life.session.ending.overtaken
    life.customer(T + 2, "谢谢")
    assert life.session.ending.overtaken


# -- codes of the beginning


def test_an_accepted_session_brings_the_code_of_a_greeting() -> None:
    life = Life().customer(T).change(1, T + 5, new_servicer_userid=LI, msg_code="REPLY")
    assert life.greetings == [(1, HUMAN, "REPLY")]


def test_without_a_code_there_is_none() -> None:
    assert served().moved(T).reopened(T + 60).greetings == []


def test_a_code_of_an_earlier_stretch_greets_nobody() -> None:
    life = Life().customer(T).read(HUMAN_LI, T + 20)
    assert life.change(1, T + 5, now=T + 30, new_servicer_userid=WU, msg_code="OLD").greetings == []
    assert Life().closed_before(T).change(1, T - 5, now=T + 1, new_servicer_userid=LI, msg_code="OLD").greetings == []


def test_a_session_that_we_hand_over_brings_one_too() -> None:
    life = Life().customer(T).read(StateReading(QUEUED), T + 1)
    hand_over(life.session, life.open, WU, AGENT, T + 2, Via.COMMAND, "REPLY")
    life.write()
    assert (life.greetings, life.open.servicer_userid) == ([(1, HUMAN, "REPLY")], WU)


# -- ratings


def test_a_rating_is_noted_and_is_no_word_of_the_conversation() -> None:
    life = served().ended(T)
    life.session.check_at = None
    before = snapshot_of(life.session)
    life.item(3, T + 60, text="满意", menu_id="rate:1:good")
    assert life.ratings == [(1, "good")]
    life.session.check_at = None
    assert snapshot_of(life.session) == before


def test_a_rating_may_begin_a_session_that_the_console_gives_to_a_human() -> None:
    life = served().ended(T).item(3, T + 60, text="满意", menu_id="rate:1:good")
    assert life.session.check_at == T + 60


def test_a_rating_leaves_an_open_handoff_alone() -> None:
    life = served().ended(T).reopened(T + 60).servicer(T + 60)
    before = snapshot_of(life.session), snapshot(life.open)
    life.item(3, T + 70, text="不满意", menu_id="rate:1:bad")
    assert life.ratings == [(1, "bad")] and (snapshot_of(life.session), life.open) == before


def test_a_rating_of_before_the_start_is_passed_over() -> None:
    life = Life().remembered(3, T, text="满意", menu_id="rate:1:good")
    assert (life.ratings, life.session.last_customer_at) == ([], 0.0)


def snapshot_of(session: Session) -> tuple[object, ...]:
    return (
        session.state, session.state_at, session.last_customer_at, session.check_at, session.version,
        session.end_asked_at, session.last_handoff_id,
    )  # fmt: skip


# -- it is re-opened


def test_a_servicer_who_writes_again_opens_a_handoff_that_names_the_last() -> None:
    life = served().ended(T).reopened(T + 60).servicer(T + 60)
    assert (life.open.id, life.open.previous_id, life.open.status) == (2, 1, HandoffStatus.IN_PROGRESS)


@pytest.mark.parametrize("gap", [0, 1, 60])
def test_the_message_may_come_before_the_event_that_says_what_it_did(gap: float) -> None:
    life = served().ended(T).servicer(T + gap).reopened(T + gap)
    assert (life.open.id, life.open.previous_id, life.open.status) == (2, 1, HandoffStatus.IN_PROGRESS)
    assert [type_ for _, type_ in life.types].count(EventType.REQUESTED) == 2


def test_the_event_may_be_stamped_a_second_after_the_message() -> None:
    life = served().customer(T).ended(T).servicer(T).reopened(T + 1)
    assert life.open.previous_id == 1


def test_an_end_by_us_can_be_taken_back_in_the_same_second() -> None:
    life = served().closed(T + 0.7).reopened(T).servicer(T)
    assert (life.open.previous_id, life.open.status) == (1, HandoffStatus.IN_PROGRESS)
    assert life.open.completed_at is None


def test_a_reopened_session_found_by_a_reading_names_the_last_too() -> None:
    life = served().ended(T).read(HUMAN_LI, T + 60)
    assert (life.open.id, life.open.previous_id) == (2, 1)


def test_a_new_session_of_the_customer_names_none() -> None:
    life = served().ended(T).customer(T + 50).read(HUMAN_LI, T + 60)
    assert (life.open.id, life.open.previous_id) == (2, None)


def test_a_servicer_who_takes_a_session_back_from_another_continues_the_handoff() -> None:
    life = served().moved(T).reopened(T + 60, LI)
    assert (life.open.id, life.open.servicer_userid, life.open.previous_id) == (1, LI, None)


def test_a_reopening_that_overtakes_its_end_is_checked() -> None:
    life = served().reopened(T, now=T + 1)
    assert life.session.check_at == T + 1
    life.ended(T, now=T + 2)
    assert life.session.check_at == T + 1
    assert life.read(HUMAN_LI, T + 3).open.previous_id == 1


# -- a WeCom whose clock is not ours


@pytest.mark.parametrize("gap", [-SKEW / 2, -0.5])
def test_a_message_from_about_our_end_may_be_younger_than_it(gap: float) -> None:
    """Delivered after the end, stamped before it: a goodbye, or the first words of a re-opened session."""
    life = served().closed(T).servicer(T + gap, now=T + 2)
    assert (life.session.handoff, life.session.check_at) == (None, T + 2)


def test_a_message_from_just_after_our_end_may_be_older_than_it() -> None:
    life = served().closed(T).servicer(T + SKEW / 2, now=T + 2)
    assert (life.open.previous_id, life.session.check_at) == (1, T + 2)
    assert life.read(StateReading(ENDED), T + 3).session.handoff is None


def test_an_event_from_just_after_our_end_may_be_older_than_it() -> None:
    life = served().closed(T).taken(T + SKEW / 2, now=T + 2)
    assert life.session.check_at == T + 2


def test_a_goodbye_from_long_before_the_end_is_only_remembered() -> None:
    life = served().closed(T).servicer(T - 25)
    assert (life.session.handoff, life.session.last_servicer_at) == (None, T - 25)
    assert len(life.handoffs) == 1


def test_no_time_in_a_handoff_runs_backwards() -> None:
    """Found by our clock, taken and ended by a WeCom's that is five seconds behind."""
    life = Life().customer(T - 5).read(StateReading(QUEUED), T + 0.5).taken(T, now=T + 5).servicer(T, now=T + 5)
    handoff = life.open
    assert handoff.accepted_at is not None
    assert handoff.replied_at is not None
    assert handoff.requested_at <= handoff.accepted_at <= handoff.replied_at
    finish(life.session, AGENT, Via.COMMAND, T - 3)
    assert handoff.completed_at is not None
    assert handoff.completed_at >= handoff.replied_at


# -- somebody is ending it


def test_while_we_end_it_an_event_of_its_end_only_leaves_a_note() -> None:
    life = served().intended(T).ended(T + 1)
    assert (life.open.via, life.open.operator_id, life.codes) == (Via.CLIENT, LI, ["CODE"])
    assert life.session.ending is not None


@pytest.mark.parametrize("state", [NEW, ASSISTANT, QUEUED, ENDED])
def test_while_we_end_it_a_reading_leaves_the_end_to_us_and_is_repeated(state: Any) -> None:
    life = served().intended(T).read(StateReading(state), T + 1)
    assert life.open.status is HandoffStatus.IN_PROGRESS
    assert life.session.check_at is not None
    assert life.session.check_at > T + 1


@pytest.mark.parametrize("origin", [3, 5])
def test_words_that_come_in_while_an_end_waits_overtake_it(origin: int) -> None:
    life = served().intended(T).item(origin, T + 1, servicer_userid=LI if origin == 5 else "")
    assert life.session.ending is not None
    assert life.session.ending.overtaken


def test_old_words_do_not_overtake_it() -> None:
    life = served().intended(T).customer(T - SKEW - 1)
    assert life.session.ending is not None
    assert not life.session.ending.overtaken


# -- history


def test_history_opens_nothing_but_is_known_when_the_state_is_read() -> None:
    change = {"event_type": "session_status_change", "event": {"change_type": 1, "new_servicer_userid": LI}}
    life = Life().remembered(3, T).remembered(4, T + 5, **change).remembered(5, T + 7, servicer_userid=LI)
    assert life.log == []
    life.remembered(3, T + 20).read(HUMAN_LI, T + 3600)
    assert (life.open.requested_at, life.open.status, life.open.replied_at) == (T + 5, "IN_PROGRESS", T + 7)
    assert (life.open.waiting_since, life.open.active_at) == (T + 20, T + 20)


def test_history_of_an_end_leaves_it_ended() -> None:
    ended = {"event_type": "session_status_change", "event": {"change_type": 3, "old_servicer_userid": LI}}
    life = Life().remembered(5, T, servicer_userid=LI).remembered(4, T + 9, **ended)
    assert (life.session.state, life.session.servicer_userid) == (ENDED, None)


def test_history_moves_the_clocks_of_a_handoff_already_open() -> None:
    life = served().remembered(3, T)
    assert (life.open.waiting_since, life.open.status) == (T, HandoffStatus.IN_PROGRESS)


@pytest.mark.parametrize("event", [{}, {"change_type": 9}, {"change_type": "3"}, {"change_type": None}])
def test_changes_this_version_does_not_know_change_nothing(event: dict[str, Any]) -> None:
    item = KfItem("m", KF, ANN, int(T), 4, "event", event_type="session_status_change", event=event)
    life = served()
    follow(life.session, item, T, keep_text=True)
    assert life.open.status is HandoffStatus.IN_PROGRESS


def test_a_message_that_could_not_be_delivered_is_part_of_the_page_that_tells_it() -> None:
    """What was done about it after the page was on record died with the process: the page does not come again."""
    event = {"fail_msgid": "greet3-1-a", "fail_type": 4}
    told = KfItem("m", KF, ANN, int(T), 4, "event", event_type="msg_send_fail", event=event)
    life = served()
    follow(life.session, told, T + 1, keep_text=True)
    assert life.session.undelivered == [Undelivered("greet3-1-a", "msg_send_fail 4", T + 1)]


def test_other_events_and_unknown_origins_change_nothing() -> None:
    life = Life()
    for origin, type_ in ((4, "enter_session"), (9, "")):
        life.item(origin, T, event_type=type_, event={} if type_ else None)
    assert life.log == []


# -- whatever comes, in whatever order

Step = tuple[str, int, StateReading, str, bool]  # kind, age in seconds, reading, servicer, twice
NEWS = st.sampled_from(("customer", "servicer", "taken", "moved", "ended", "reopened", "reading", "closed", "intended"))
STATES = st.sampled_from([StateReading(NEW), StateReading(QUEUED), HUMAN_LI, HUMAN_WU, StateReading(ENDED)])
STEP = st.tuples(NEWS, st.integers(0, 40), STATES, st.sampled_from([LI, WU]), st.booleans())


def apply(life: Life, step: Step, now: float) -> None:
    """A reading is always of now."""
    kind, age, reading, servicer, twice = step
    for _ in range(1 + twice):
        match kind:
            case "reading":
                life.read(reading, now)
            case "closed":
                if life.session.handoff is not None:
                    life.closed(now)
            case "intended":
                if life.session.handoff is not None and life.session.ending is None:
                    life.intended(now)
            case "moved":
                life.moved(now - age, LI if servicer == WU else WU, servicer, now)
            case "customer":
                life.customer(now - age, now=now)
            case _:
                getattr(life, kind)(now - age, servicer, now)


def lived(steps: list[Step]) -> Life:
    life = Life()
    for number, step in enumerate(steps):
        apply(life, step, T + 7.3 * number)
        check(life)
    return life


def check(life: Life) -> None:
    open_ = [handoff for handoff in life.handoffs if handoff.status.is_open]
    assert open_ == ([life.session.handoff] if life.session.handoff else [])
    for handoff in life.handoffs:
        types = [type_ for number, type_ in life.types if number == handoff.id]
        assert types.count(EventType.COMPLETED) == (not handoff.status.is_open)
        assert types[0] is EventType.REQUESTED
        assert handoff.previous_id is None or handoff.previous_id < handoff.id
        times = [handoff.requested_at, handoff.accepted_at, handoff.replied_at, handoff.completed_at]
        told = [at for at in times if at is not None]
        assert told == sorted(told)
        if handoff.waiting_since is not None:
            assert handoff.status.is_open
            assert handoff.waiting_since <= life.session.last_customer_at


STATUS_OF = {
    EventType.REQUESTED: HandoffStatus.PENDING,
    EventType.ACCEPTED: HandoffStatus.ACCEPTED,
    EventType.PROGRESS: HandoffStatus.IN_PROGRESS,
}


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(STEP, max_size=25))
def test_no_order_of_news_breaks_the_record(steps: list[Step]) -> None:
    lived(steps)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(STEP, max_size=25))
def test_status_moves_only_along_the_table(steps: list[Step]) -> None:
    life = Life()
    for number, step in enumerate(steps):
        apply(life, (*step[:4], False), T + 7.3 * number)
        for handoff in life.handoffs:
            path = [data.get("status") or STATUS_OF.get(type_) for n, type_, data in life.log if n == handoff.id]
            told = [HandoffStatus(status) for status in path if status]
            for old, new in pairwise(told):
                assert new is old or new in STATUS_MOVES[old]
            assert told[-1] is handoff.status


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(STEP, max_size=25), STATES)
def test_a_reading_is_the_truth_whatever_came_before(steps: list[Step], reading: StateReading) -> None:
    life = lived(steps)
    life.session.ending = None
    life.read(reading, T + 1000)
    handoff = life.session.handoff
    assert (handoff is not None) == (reading.state in (QUEUED, HUMAN))
    if handoff is not None:
        assert (handoff.status is HandoffStatus.PENDING) == (reading.state is QUEUED)
        assert reading.state is QUEUED or handoff.servicer_userid == reading.servicer_userid
    check(life)


def test_a_snapshot_is_not_touched_by_later_news() -> None:
    life = served()
    before = snapshot(life.open)
    life.ended(T)
    assert before.status is HandoffStatus.IN_PROGRESS


def test_an_end_that_nothing_told_of_is_the_servicers_within_two_days() -> None:
    life = served()
    finish_elsewhere(life.session, T)
    life.write()
    assert life.handoffs[0].ended_by is OperatorType.AGENT
