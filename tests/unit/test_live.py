"""What of the log is told live, and that it is told as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bot.live import LiveEvent, iso, live_event
from bot.model import EventType, Handoff, HandoffEvent, HandoffStatus, Operator, OperatorType, SessionKey, Via
from bot.sessions import EventDraft, Session, finish, hand_over, open_handoff, servicer_wrote
from tests.fakes import ANN, KF, LI, TENANT, WU

AT = 1_795_161_600.75  # 2026-11-20 08:00:00.75 UTC


def session() -> Session:
    return Session(KF, ANN, tenant_id=TENANT)


def log(session: Session) -> list[LiveEvent | None]:
    """What its log tells of it now."""
    for number, handoff in enumerate(session.handoffs, 12):
        handoff.id = number
    return [live_event(_row(number, draft), draft.handoff) for number, draft in enumerate(session.drafts, 1)]


def _row(number: int, draft: EventDraft) -> HandoffEvent:
    data = json.loads(json.dumps(draft.data))
    return HandoffEvent(number, draft.handoff.id, draft.type, draft.operator, draft.at, data)


def told(event: LiveEvent | None) -> dict[str, Any]:
    assert event is not None
    said: dict[str, Any] = json.loads(event.text)
    return said


def statuses(session: Session) -> list[tuple[str, str]]:
    return [(each.type, each.payload["status"]) for each in log(session) if each and "status" in each.payload]


def test_an_end_is_told_as_the_contract_has_it() -> None:
    chat = session()
    open_handoff(chat, HandoffStatus.ACCEPTED, LI, AT - 600, Via.EVENT)
    finish(chat, Operator(OperatorType.USER, ANN), Via.CHAT, AT)
    assert told(log(chat)[-1]) == {
        "id": 3,
        "type": "HANDOFF_COMPLETED",
        "payload": {
            "handoffRequestId": 12,
            "endedBy": "USER",
            "completedAt": "2026-11-20T08:00:00Z",
            "openKfid": KF,
            "userId": ANN,
            "agentId": LI,
        },
    }


@pytest.mark.parametrize("ended_by", OperatorType)
def test_every_end_has_the_same_type_and_says_who(ended_by: OperatorType) -> None:
    chat = session()
    open_handoff(chat, HandoffStatus.PENDING, None, AT - 600, Via.EVENT)
    finish(chat, Operator(ended_by, "x"), Via.API, AT)
    end = told(log(chat)[-1])
    assert end["type"] == "HANDOFF_COMPLETED"
    assert (end["payload"]["endedBy"], end["payload"]["agentId"]) == (ended_by.value, None)


def test_a_step_names_handoff_session_servicer_time_and_status() -> None:
    chat = session()
    open_handoff(chat, HandoffStatus.ACCEPTED, LI, AT, Via.EVENT)
    requested, accepted = log(chat)
    assert told(accepted) == {
        "id": 2,
        "type": "HANDOFF_ACCEPTED",
        "payload": {
            "handoffRequestId": 12,
            "openKfid": KF,
            "userId": ANN,
            "agentId": LI,
            "at": "2026-11-20T08:00:00Z",
            "status": "ACCEPTED",
        },
    }
    assert told(requested)["payload"] == {
        **told(accepted)["payload"], "agentId": None, "status": "PENDING",
    }  # fmt: skip


def test_each_step_is_told_as_it_was_however_late_it_is_read() -> None:
    chat = session()
    handoff = open_handoff(chat, HandoffStatus.PENDING, None, AT, Via.EVENT)
    hand_over(chat, handoff, LI, Operator(OperatorType.AGENT, LI), AT + 10, Via.COMMAND)
    hand_over(chat, handoff, WU, Operator(OperatorType.AGENT, LI), AT + 20, Via.COMMAND)
    servicer_wrote(chat, AT + 30, WU, AT + 30)
    hand_over(chat, handoff, LI, Operator(OperatorType.AGENT, WU), AT + 30, Via.COMMAND)
    finish(chat, Operator(OperatorType.AGENT, LI), Via.CLIENT, AT + 50)
    assert statuses(chat) == [
        ("HANDOFF_REQUESTED", "PENDING"),
        ("HANDOFF_ACCEPTED", "ACCEPTED"),
        ("HANDOFF_TRANSFERRED", "ACCEPTED"),
        ("HANDOFF_PROGRESS", "IN_PROGRESS"),
        ("HANDOFF_TRANSFERRED", "IN_PROGRESS"),
    ]
    assert [each.payload["agentId"] for each in log(chat) if each] == [None, LI, WU, WU, LI, LI]


def test_one_message_that_takes_and_answers_is_two_steps() -> None:
    chat = session()
    servicer_wrote(chat, AT, LI, AT)
    assert statuses(chat) == [
        ("HANDOFF_REQUESTED", "PENDING"),
        ("HANDOFF_ACCEPTED", "ACCEPTED"),
        ("HANDOFF_PROGRESS", "IN_PROGRESS"),
    ]


@pytest.mark.parametrize("type_", [EventType.ENDING, EventType.END_FAILED, EventType.CLOSING, EventType.RATED])
def test_what_concerns_nobody_outside_is_not_told(type_: EventType) -> None:
    handoff = Handoff(1, TENANT, KF, ANN, HandoffStatus.ACCEPTED, LI, AT)
    event = HandoffEvent(1, 1, type_, Operator(OperatorType.SYSTEM, "kfbot"), AT, {})
    assert live_event(event, handoff) is None


def test_an_end_of_an_old_log_still_says_who() -> None:
    handoff = Handoff(1, TENANT, KF, ANN, HandoffStatus.COMPLETED, LI, AT - 9)
    event = HandoffEvent(1, 1, EventType.COMPLETED, Operator(OperatorType.AGENT, LI), AT, {})
    found = live_event(event, handoff)
    assert found is not None
    assert (found.payload["endedBy"], found.payload["completedAt"]) == ("AGENT", "2026-11-20T08:00:00Z")


def test_the_text_is_one_line_and_made_once() -> None:
    handoff = Handoff(1, TENANT, KF, "wm\n</script>客户", HandoffStatus.ACCEPTED, LI, AT)
    event = HandoffEvent(7, 1, EventType.ACCEPTED, Operator(OperatorType.AGENT, LI), AT, {"agentId": LI})
    found = live_event(event, handoff)
    assert found is not None and found.text is found.text
    assert "\n" not in found.text and json.loads(found.text)["payload"]["userId"] == "wm\n</script>客户"
    assert found.handoff.key == SessionKey(KF, "wm\n</script>客户")
    assert live_event(event, replace(handoff)) == found


def test_times_are_utc_and_whole_seconds() -> None:
    assert iso(0) == "1970-01-01T00:00:00Z"
    assert iso(AT) == "2026-11-20T08:00:00Z"
