"""What customers and servicers do, and the events that tell of it (wecom-kf.md 3.6)."""

import pytest

from bot.sandbox import NotPossible
from bot.sandbox.states import ASSISTANT, ENDED, HUMAN, NEW, QUEUED

from .conftest import KF, LI, WM, WU, Corp


def without_code(event: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in event.items() if name not in ("open_kfid", "external_userid")}


@pytest.mark.parametrize(("routing", "state"), [("assistant", NEW), ("human", HUMAN), ("queue", QUEUED)])
def test_routing_of_a_new_session_is_silent(corp: Corp, routing: str, state: int) -> None:
    corp.account_routing(KF, routing)
    corp.customer_writes(KF, WM, "hello")
    assert corp.session(KF, WM).state == state
    assert corp.events() == []


def test_human_routing_queues_when_nobody_receives(corp: Corp) -> None:
    corp.account_routing(KF, "human")
    for servicer in (LI, WU):
        corp.servicer_status(KF, servicer, 1)
    corp.customer_writes(KF, WM, "hello")
    assert corp.session(KF, WM).state == QUEUED


def test_human_routing_takes_turns(corp: Corp) -> None:
    corp.account_routing(KF, "human")
    others = [corp.customer_new(str(number)) for number in range(4)]
    for other in others:
        corp.customer_writes(KF, other, "hello")
    assert {corp.session(KF, other).servicer for other in others} == {LI, WU}


@pytest.mark.parametrize("state", [NEW, ASSISTANT, QUEUED])
def test_taking_makes_change_type_1(corp: Corp, state: int) -> None:
    corp.session_state(KF, WM, state)
    code = corp.servicer_takes(KF, WM, LI)
    expected = {"event_type": "session_status_change", "change_type": 1, "new_servicer_userid": LI}
    assert [without_code(event) for event in corp.events()] == [{**expected, "msg_code": code}]
    assert (corp.session(KF, WM).state, corp.session(KF, WM).servicer) == (HUMAN, LI)


def test_transfer_makes_change_type_2(corp: Corp) -> None:
    corp.session_state(KF, WM, HUMAN, LI)
    corp.servicer_transfers(KF, WM, WU)
    event = without_code(corp.events()[-1])
    assert event == {
        "event_type": "session_status_change",
        "change_type": 2,
        "old_servicer_userid": LI,
        "new_servicer_userid": WU,
    }


def test_ending_makes_change_type_3(corp: Corp) -> None:
    corp.session_state(KF, WM, HUMAN, LI)
    code = corp.servicer_ends(KF, WM)
    event = without_code(corp.events()[-1])
    assert event == {
        "event_type": "session_status_change",
        "change_type": 3,
        "old_servicer_userid": LI,
        "msg_code": code,
    }
    assert corp.session(KF, WM).state == ENDED


def test_writing_into_an_ended_session_reopens_it_first(corp: Corp) -> None:
    corp.session_state(KF, WM, HUMAN, LI)
    corp.servicer_ends(KF, WM)
    corp.servicer_writes(KF, WM, WU, "one more thing")
    reopened, written = corp.items()[-2:]
    assert reopened["event"]["change_type"] == 4
    assert (reopened["event"]["old_servicer_userid"], reopened["event"]["new_servicer_userid"]) == (LI, WU)
    assert (written["origin"], written["servicer_userid"]) == (5, WU)
    assert corp.session(KF, WM).servicer == WU


def test_a_former_servicer_takes_a_transferred_session_back(corp: Corp) -> None:
    corp.session_state(KF, WM, HUMAN, LI)
    corp.servicer_transfers(KF, WM, WU)
    corp.servicer_writes(KF, WM, LI, "wait")
    assert corp.session(KF, WM).servicer == LI
    assert corp.events()[-1]["change_type"] == 4


def test_the_event_counts_status_from_1_and_the_list_from_0(corp: Corp) -> None:
    corp.servicer_status(KF, LI, 1, stop_type=1)
    assert corp.events()[-1] == {
        "event_type": "servicer_status_change",
        "open_kfid": KF,
        "servicer_userid": LI,
        "status": 2,
        "stop_type": 1,
    }
    rows = corp.call("kf/servicer/list", open_kfid=KF)["servicer_list"]
    assert rows == [{"userid": LI, "status": 1, "stop_type": 1}, {"userid": WU, "status": 0}]
    corp.servicer_status(KF, LI, 0)
    assert corp.events()[-1]["status"] == 1


def test_recalls_name_the_message_inside_the_event(corp: Corp) -> None:
    msgid = corp.customer_writes(KF, WM, "oops")
    corp.customer_recalls(KF, WM, msgid)
    assert (corp.events()[-1]["event_type"], corp.events()[-1]["recall_msgid"]) == ("user_recall_msg", msgid)
    corp.servicer_recalls(KF, WM, LI, msgid)
    assert corp.events()[-1]["servicer_userid"] == LI


def test_rejecting_and_failing_are_events(corp: Corp) -> None:
    corp.servicer_rejects(KF, WM, LI, True)
    corp.delivery_fails(KF, WM, "o1", 4)
    rejected, failed = corp.events()
    assert (rejected["event_type"], rejected["reject_switch"]) == ("reject_customer_msg_switch_change", 1)
    assert (failed["event_type"], failed["fail_msgid"], failed["fail_type"]) == ("msg_send_fail", "o1", 4)


def test_other_message_types_and_anything_at_all(corp: Corp) -> None:
    corp.customer_writes(KF, WM, "", msgtype="location", content={"latitude": 31.2, "name": "上海"})
    corp.inject(KF, {"send_time": 1, "origin": 4, "msgtype": "event", "event": {"event_type": "new_thing"}})
    located, strange = corp.items()
    assert located["location"]["name"] == "上海"
    assert "msgid" not in strange


def test_what_the_apps_do_not_offer(corp: Corp) -> None:
    with pytest.raises(NotPossible):
        corp.servicer_takes(KF, WM, LI)
    with pytest.raises(NotPossible):
        corp.servicer_ends(KF, WM)
    with pytest.raises(NotPossible):
        corp.servicer_writes(KF, WM, LI, "nobody ever wrote")
    corp.customer_writes(KF, WM, "hello")
    with pytest.raises(NotPossible):
        corp.servicer_writes(KF, WM, LI, "not taken yet")
    with pytest.raises(NotPossible):
        corp.servicer_takes(KF, WM, "Nobody")
    with pytest.raises(NotPossible):
        corp.customer_writes(KF, "wmNobody", "hello")


def test_customers_are_told_of_for_48_hours(corp: Corp) -> None:
    wanted = {"external_userid_list": [WM, "wmNobody"], "need_enter_session_context": 1}
    assert corp.call("kf/customer/batchget", **wanted)["invalid_external_userid"] == [WM, "wmNobody"]
    corp.customer_enters(KF, WM, "web", "a=1")
    answer = corp.call("kf/customer/batchget", **wanted)
    assert answer["invalid_external_userid"] == ["wmNobody"]
    told = answer["customer_list"][0]
    assert (told["nickname"], told["enter_session_context"]["scene_param"]) == ("小林", "a=1")
    corp.clock_advance(48 * 3600 + 1)
    assert corp.call("kf/customer/batchget", **wanted)["customer_list"] == []


def test_accounts_come_in_pages(corp: Corp) -> None:
    for number in range(3):
        corp.account_new(f"wk{number}", str(number), {})
    first = corp.call("kf/account/list", offset=0, limit=3)["account_list"]
    rest = corp.call("kf/account/list", offset=3, limit=3)["account_list"]
    assert [row["open_kfid"] for row in first + rest] == [KF, "wk0", "wk1", "wk2"]
    assert corp.call("kf/account/list", limit=101)["errcode"] == 40058
