"""send_msg: states, the window of 5 messages and 48 hours, and what a message may hold."""

from typing import Any

import pytest

from bot.sandbox.states import ASSISTANT, ENDED, HUMAN, NEW, QUEUED

from .conftest import KF, LI, WM, Corp


@pytest.fixture
def corp(corp: Corp) -> Corp:
    corp.customer_writes(KF, WM, "hello")
    return corp


@pytest.mark.parametrize(
    ("state", "errcode"), [(NEW, 0), (ASSISTANT, 0), (QUEUED, 95018), (HUMAN, 95018), (ENDED, 95018)]
)
def test_states_that_may_send(corp: Corp, state: int, errcode: int) -> None:
    corp.session_state(KF, WM, state, LI)
    assert corp.send()["errcode"] == errcode


def test_sending_in_state_0_makes_it_1(corp: Corp) -> None:
    corp.send()
    assert corp.session(KF, WM).state == ASSISTANT


def test_five_messages_until_the_customer_writes_again(corp: Corp) -> None:
    assert [corp.send()["errcode"] for _ in range(6)] == [0, 0, 0, 0, 0, 95001]
    corp.customer_writes(KF, WM, "again")
    assert corp.send()["errcode"] == 0


def test_48_hours(corp: Corp) -> None:
    corp.clock_advance(48 * 3600 + 1)
    assert corp.send()["errcode"] == 95002


def test_sent_messages_are_not_in_the_stream(corp: Corp) -> None:
    corp.send()
    assert [item["origin"] for item in corp.items()] == [3]


def test_own_msgid_is_echoed_and_good_once(corp: Corp) -> None:
    assert corp.send(msgid="out_1")["msgid"] == "out_1"
    assert corp.send(msgid="out_1")["errcode"] == 40058


@pytest.mark.parametrize("msgid", ["", "x" * 33, "a b", 7, None])
def test_bad_msgids(corp: Corp, msgid: object) -> None:
    assert corp.send(msgid=msgid)["errcode"] == 40058


def item(**changes: Any) -> dict[str, Any]:
    return {"type": "click", "click": {"id": "1", "content": "满意", **changes}}


MESSAGES: list[tuple[dict[str, Any], int]] = [
    ({"text": {"content": "字" * 682 + "ab"}}, 0),
    ({"text": {"content": "字" * 683}}, 45002),
    ({"text": {"content": ""}}, 40058),
    ({"text": None}, 40058),
    ({"msgtype": "carrier_pigeon"}, 40008),
    ({"msgtype": "image", "image": {"media_id": "nope"}}, 40007),
    ({"msgtype": "msgmenu", "msgmenu": {"list": [item()] * 10}}, 0),
    ({"msgtype": "msgmenu", "msgmenu": {"list": [item()] * 11}}, 95008),
    ({"msgtype": "msgmenu", "msgmenu": {"list": [{"type": "spin", "spin": {}}]}}, 95009),
    ({"msgtype": "msgmenu", "msgmenu": {"list": [item(content="x" * 129)]}}, 40058),
    ({"msgtype": "msgmenu", "msgmenu": {"head_content": "x" * 1025}}, 45002),
    ({"touser": "wmNobody"}, 40096),
    ({"touser": ""}, 40058),
    ({"open_kfid": "kfc1"}, 95000),
]


@pytest.mark.parametrize(("changes", "errcode"), MESSAGES)
def test_what_a_message_may_be(corp: Corp, changes: dict[str, Any], errcode: int) -> None:
    assert corp.send(**changes)["errcode"] == errcode


def test_a_menu_is_shown_and_a_tap_comes_back_with_its_id(corp: Corp) -> None:
    corp.send(msgtype="msgmenu", msgmenu={"head_content": "满意吗", "list": [item()]})
    menu = corp.session(KF, WM).lines[-1].menu
    assert menu is not None
    assert menu["items"] == [{"id": "1", "content": "满意", "type": "click"}]
    corp.customer_writes(KF, WM, "满意", menu_id="1")
    assert corp.items()[-1]["text"] == {"content": "满意", "menu_id": "1"}
