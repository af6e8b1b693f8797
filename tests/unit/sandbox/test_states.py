"""Every move between session states by API, against the table of wecom-kf.md 4.4."""

import pytest

from bot.sandbox.states import ASSISTANT, ENDED, HUMAN, NEW, QUEUED

from .conftest import KF, LI, WM, WU, Corp

DOCUMENTED = {(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3), (3, 3), (3, 4)}
EVERY = [(before, after) for before in range(5) for after in range(5)]


@pytest.mark.parametrize(("before", "after"), EVERY)
def test_moves_by_api(corp: Corp, before: int, after: int) -> None:
    corp.customer_writes(KF, WM, "hello")
    corp.session_state(KF, WM, before, LI if before == HUMAN else "")
    expected = 95013 if before == ENDED else 0 if (before, after) in DOCUMENTED else 95016
    assert corp.trans(after, WU if after == HUMAN else "")["errcode"] == expected
    assert corp.session(KF, WM).state == (before if expected else after)
    assert corp.events() == []


def test_a_customer_who_never_wrote_is_in_state_4(corp: Corp) -> None:
    body = {"open_kfid": KF, "external_userid": WM}
    assert corp.call("kf/service_state/get", **body) == {"errcode": 0, "service_state": ENDED}


def test_only_state_3_names_a_servicer(corp: Corp) -> None:
    corp.session_state(KF, WM, HUMAN, LI)
    body = {"open_kfid": KF, "external_userid": WM}
    assert corp.call("kf/service_state/get", **body)["servicer_userid"] == LI
    corp.trans(ENDED)
    assert "servicer_userid" not in corp.call("kf/service_state/get", **body)


@pytest.mark.parametrize(
    ("servicer", "errcode"), [(LI, 0), (WU, 0), ("", 0), ("Nobody", 95014)], ids=["holder", "other", "none", "x"]
)
def test_ending_needs_no_servicer_but_refuses_a_stranger(corp: Corp, servicer: str, errcode: int) -> None:
    corp.session_state(KF, WM, HUMAN, LI)
    assert corp.trans(ENDED, servicer)["errcode"] == errcode


def test_giving_to_a_servicer_needs_one_who_is_receiving(corp: Corp) -> None:
    corp.customer_writes(KF, WM, "hello")
    assert corp.trans(HUMAN)["errcode"] == 40058
    assert corp.trans(HUMAN, "Nobody")["errcode"] == 95014
    corp.servicer_status(KF, LI, 1)
    assert corp.trans(HUMAN, LI)["errcode"] == 95019
    assert corp.trans(HUMAN, WU)["errcode"] == 0


def test_reply_codes_come_the_first_time_only(corp: Corp) -> None:
    corp.customer_writes(KF, WM, "hello")
    assert "msg_code" not in corp.trans(ASSISTANT)
    assert "msg_code" in corp.trans(QUEUED)
    assert "msg_code" in corp.trans(HUMAN, LI)
    assert "msg_code" not in corp.trans(HUMAN, WU)
    assert "msg_code" in corp.trans(ENDED)


def test_a_new_session_gets_its_codes_again(corp: Corp) -> None:
    for _ in range(2):
        corp.customer_writes(KF, WM, "hello")
        assert "msg_code" in corp.trans(HUMAN, LI)
        assert "msg_code" in corp.trans(ENDED)


@pytest.mark.parametrize("state", [NEW, ASSISTANT, QUEUED, HUMAN])
def test_48_hours_after_the_last_message_a_session_is_over_silently(corp: Corp, state: int) -> None:
    corp.customer_writes(KF, WM, "hello")
    corp.session_state(KF, WM, state, LI)
    corp.clock_advance(48 * 3600)
    assert corp.session(KF, WM).state == state
    corp.clock_advance(1)
    assert corp.session(KF, WM).state == ENDED
    assert corp.events() == []


@pytest.mark.parametrize(("bad", "errcode"), [("kfc1", 95000), ("wkOther", 95004)])
def test_unknown_accounts(corp: Corp, bad: str, errcode: int) -> None:
    body = {"open_kfid": bad, "external_userid": WM}
    assert corp.call("kf/service_state/get", **body)["errcode"] == errcode


@pytest.mark.parametrize("state", [-1, 5, "3", True, None])
def test_a_target_that_is_no_state_is_40058(corp: Corp, state: object) -> None:
    corp.customer_writes(KF, WM, "hello")
    body = {"open_kfid": KF, "external_userid": WM, "service_state": state}
    assert corp.call("kf/service_state/trans", **body)["errcode"] == 40058


def test_unknown_customer(corp: Corp) -> None:
    body = {"open_kfid": KF, "external_userid": "wmNobody"}
    assert corp.call("kf/service_state/get", **body)["errcode"] == 40096
