"""Request bodies and parsers of answers."""

from __future__ import annotations

import json
import re
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import WeComUnavailable
from bot.model import KfAccount, KfItem, Message, Servicer, ServiceState, SessionKey, StateReading, SyncPage
from bot.wecom import protocol
from bot.wecom.protocol import content_body, cut, parse_page

KF = "wk1"
TEXT = {
    "msgid": "M1",
    "open_kfid": KF,
    "external_userid": "wm1",
    "send_time": 1700000001,
    "origin": 3,
    "msgtype": "text",
    "text": {"content": "hello", "menu_id": "101"},
}
ENDED = {
    "msgid": "E1",
    "send_time": 1700000100,
    "origin": 4,
    "msgtype": "event",
    "event": {
        "event_type": "session_status_change",
        "open_kfid": KF,
        "external_userid": "wm1",
        "change_type": 3,
        "old_servicer_userid": "li",
        "msg_code": "CODE",
    },
}
MISSING = object()


def page(*entries: Any, **more: Any) -> SyncPage:
    return parse_page({"errcode": 0, "msg_list": list(entries), "next_cursor": "C2", "has_more": 0, **more}, KF)


def changed(entry: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**entry, **changes}.items() if value is not MISSING}


def in_event(**changes: Any) -> dict[str, Any]:
    return changed(ENDED, event=changed(ENDED["event"], **changes))  # type: ignore[arg-type]


def only(entry: Any) -> KfItem:
    result = page(entry)
    assert result.broken == []
    return result.items[0]


# --- sync_msg


def test_a_customers_text_with_a_menu_tap() -> None:
    assert only(TEXT) == KfItem("M1", KF, "wm1", 1700000001, 3, "text", text="hello", menu_id="101")


def test_a_servicers_text() -> None:
    item = only(changed(TEXT, origin=5, servicer_userid="li", text={"content": "hi"}))
    assert (item.origin, item.servicer_userid, item.text, item.menu_id) == (5, "li", "hi", "")


def test_ids_of_an_event_come_from_inside_it() -> None:
    item = only(ENDED)
    assert (item.msgid, item.open_kfid, item.external_userid, item.origin) == ("E1", KF, "wm1", 4)
    assert (item.msgtype, item.event_type, item.raw) == ("event", "session_status_change", None)
    assert item.event is ENDED["event"]


def test_ids_beside_an_event_serve_when_it_has_none() -> None:
    event = changed(in_event(open_kfid=MISSING, external_userid=MISSING), open_kfid="wk9", external_userid="wm9")
    assert (only(event).open_kfid, only(event).external_userid) == ("wk9", "wm9")


def test_a_servicer_event_has_no_customer() -> None:
    event = {"event_type": "servicer_status_change", "servicer_userid": "li", "status": 2, "open_kfid": KF}
    item = only(changed(ENDED, event=event))
    assert (item.external_userid, item.servicer_userid, item.raw) == ("", "li", None)


def test_an_item_of_another_account_is_kept_under_its_own() -> None:
    assert only(changed(TEXT, open_kfid="wk2")).open_kfid == "wk2"
    assert only(in_event(open_kfid="wk2")).open_kfid == "wk2"


def test_an_item_that_names_no_account_is_filed_under_the_one_asked_for() -> None:
    assert only(changed(TEXT, open_kfid=MISSING)).open_kfid == KF
    assert only(in_event(open_kfid=MISSING)).open_kfid == KF


@pytest.mark.parametrize("msgtype", sorted(protocol.MESSAGE_TYPES - {"text"}))
def test_other_known_types_are_kept_without_their_body(msgtype: str) -> None:
    item = only({**changed(TEXT, text=MISSING, msgtype=msgtype), msgtype: {"media_id": "m"}})
    assert (item.msgtype, item.text, item.raw) == (msgtype, "", None)


def test_unknown_types_are_kept_whole() -> None:
    meeting = changed(TEXT, msgtype="meeting")
    assert only(meeting).raw is meeting
    event = in_event(event_type="invented_in_2027", external_userid=MISSING)
    assert (only(event).raw, only(event).event_type) == (event, "invented_in_2027")


def test_an_event_without_msgid_gets_the_same_one_every_time() -> None:
    event = changed(ENDED, msgid=MISSING)
    shuffled = dict(reversed(json.loads(json.dumps(event)).items()))
    assert only(event).msgid == only(shuffled).msgid
    assert re.fullmatch(r"x-[0-9a-f]{30}", only(event).msgid)


def test_different_events_without_msgid_get_different_ones() -> None:
    variants = [
        in_event(change_type=1),
        in_event(msg_code="OTHER"),
        in_event(external_userid="wm2"),
        in_event(open_kfid="wk2"),
        in_event(event_type="user_recall_msg"),
        changed(ENDED, send_time=1700000101),
    ]
    assert len({only(changed(entry, msgid=MISSING)).msgid for entry in [ENDED, *variants]}) == 7


@pytest.mark.parametrize("msgid", [None, "", 5, [], {}])
def test_a_msgid_that_is_none_is_replaced(msgid: Any) -> None:
    assert only(changed(TEXT, msgid=msgid)).msgid.startswith("x-")


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"send_time": "1700000001"}, "send_time", 1700000001),
        ({"origin": "3"}, "origin", 3),
        ({"origin": MISSING}, "origin", 0),
        ({"origin": 9}, "origin", 9),
        ({"external_userid": 77}, "external_userid", "77"),
        ({"servicer_userid": None}, "servicer_userid", ""),
        ({"text": MISSING}, "text", ""),
        ({"text": "bare"}, "text", ""),
        ({"text": {"content": None, "menu_id": 5}}, "text", ""),
    ],
)
def test_what_can_be_understood_is(changes: dict[str, Any], field: str, value: Any) -> None:
    assert getattr(only(changed(TEXT, **changes)), field) == value


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (None, "not an object"),
        ("text", "not an object"),
        ([TEXT], "not an object"),
        ({}, "send_time is None"),
        (changed(TEXT, send_time=MISSING), "send_time is None"),
        (changed(TEXT, send_time="soon"), "send_time is 'soon'"),
        (changed(TEXT, send_time=-1), "send_time is -1"),
        (changed(TEXT, send_time=True), "send_time is True"),
        (changed(TEXT, send_time=float("nan")), "send_time is nan"),
        (changed(TEXT, send_time=2**70), "send_time is 1180591620717411303424"),
        (changed(TEXT, send_time=1700000001000), "send_time is 1700000001000"),
        (changed(TEXT, send_time="9" * 9000), f"send_time is '{'9' * 39}"),
        (changed(TEXT, origin="x"), "origin is 'x'"),
        (changed(TEXT, origin=2**70), "origin is 1180591620717411303424"),
        (changed(TEXT, external_userid=MISSING), "no external_userid"),
        (changed(TEXT, external_userid=["wm1"]), "an id is ['wm1']"),
        (changed(TEXT, msgtype=MISSING), "no msgtype"),
        (changed(TEXT, msgtype=["text"]), "no msgtype"),
        (changed(ENDED, event=MISSING), "event is no object"),
        (changed(ENDED, event="x"), "event is no object"),
        (in_event(event_type=MISSING), "no event_type"),
        (in_event(event_type=7), "no event_type"),
        (in_event(external_userid=MISSING), "session_status_change without external_userid"),
        (in_event(open_kfid={}), "an id is {}"),
        (changed(ENDED, send_time=None), "send_time is None"),
    ],
)
def test_what_cannot_is_parked_and_the_page_goes_on(entry: Any, why: str) -> None:
    result = page(TEXT, entry, ENDED)
    assert [item.msgid for item in result.items] == ["M1", "E1"]
    assert len(result.broken) == 1
    assert result.broken[0][0] is entry
    assert result.broken[0][1] == why


@pytest.mark.parametrize("empty", [MISSING, None, []])
def test_a_page_without_items(empty: Any) -> None:
    payload = changed({"next_cursor": "C2", "has_more": 1}, msg_list=empty)
    assert parse_page(payload, KF) == SyncPage([], "C2", True, [])


@pytest.mark.parametrize("junk", ["items", 7, {"msgid": "M1"}, True])
def test_a_msg_list_that_is_no_list_is_parked_whole(junk: Any) -> None:
    assert parse_page({"msg_list": junk}, KF) == SyncPage([], "", False, [(junk, "msg_list is no list")])


@pytest.mark.parametrize(
    ("value", "more"), [(1, True), (True, True), ("1", True), (0, False), ("0", False), ([], False)]
)
def test_has_more(value: Any, more: bool) -> None:
    assert page(has_more=value).has_more is more


@pytest.mark.parametrize("cursor", [None, MISSING, 7, ["C"]])
def test_a_cursor_that_is_none_is_empty(cursor: Any) -> None:
    assert parse_page(changed({}, next_cursor=cursor), KF).next_cursor == ""


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.text(string.digits, max_size=14),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=5,
)
EVENTS = st.fixed_dictionaries({}, optional=dict.fromkeys(ENDED["event"], JSON))  # type: ignore[call-overload]
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(TEXT, JSON | st.just("a") | st.just(1)),
        "msgtype": JSON | st.sampled_from(["text", "image", "event", "meeting"]),
        "event": JSON | EVENTS,
    },
)


@given(st.lists(ENTRIES | JSON), JSON, JSON)
def test_no_page_raises_and_no_item_is_lost(entries: list[Any], cursor: Any, more: Any) -> None:
    result = parse_page({"msg_list": entries, "next_cursor": cursor, "has_more": more}, KF)
    assert len(result.items) + len(result.broken) == len(entries)
    assert all(item.msgid and item.msgtype and item.open_kfid for item in result.items)
    for item in result.items:
        words = (item.msgid, item.open_kfid, item.external_userid, item.servicer_userid, item.text, item.menu_id)
        assert {type(word) for word in words} == {str}
        assert 0 <= item.send_time < 2**63
        assert 0 <= item.origin < 2**63


@given(JSON)
def test_no_payload_raises(payload: Any) -> None:
    parse_page({"msg_list": payload}, KF)
    protocol.parse_accounts({"account_list": payload})
    protocol.parse_servicers({"servicer_list": payload})
    protocol.parse_nicknames({"customer_list": payload})


def test_an_item_nested_too_deep_is_parked() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    result = page(changed(TEXT, msgid=deep))
    assert (len(result.items), len(result.broken)) == (0, 1)


# --- other answers


@pytest.mark.parametrize("state", list(ServiceState))
def test_state(state: ServiceState) -> None:
    reading = protocol.parse_state({"service_state": int(state), "servicer_userid": "li"})
    assert reading == StateReading(state, "li")


@pytest.mark.parametrize("servicer", [None, "", 7])
def test_a_state_without_servicer(servicer: Any) -> None:
    assert protocol.parse_state({"service_state": 0, "servicer_userid": servicer}) == StateReading(ServiceState.NEW)


@pytest.mark.parametrize("state", [5, -1, None, "x", [], {}, 1.5])
def test_an_unknown_state_is_not_guessed_at(state: Any) -> None:
    with pytest.raises(WeComUnavailable, match="service_state is"):
        protocol.parse_state({"service_state": state})


def test_accounts() -> None:
    payload = {
        "account_list": [
            {"open_kfid": "wk1", "name": "Desk", "avatar": "https://x", "manage_privilege": True},
            {"open_kfid": "wk2", "name": None, "manage_privilege": False},
            {"open_kfid": "wk3"},
            {"name": "nameless"},
            None,
        ]
    }
    assert protocol.parse_accounts(payload) == [
        KfAccount("wk1", "Desk"),
        KfAccount("wk2", manage_privilege=False),
        KfAccount("wk3"),
    ]


def test_servicers_say_0_for_receiving() -> None:
    payload = {
        "servicer_list": [
            {"userid": "li", "status": 0},
            {"userid": "wu", "status": 1, "stop_type": 1},
            {"userid": "he", "status": 1, "stop_type": 0},
            {"userid": "an"},
            {"department_id": 2},
            {},
            7,
        ]
    }
    assert protocol.parse_servicers(payload) == [
        Servicer("li", True),
        Servicer("wu", False, suspended=True),
        Servicer("he", False),
        Servicer("an"),
        Servicer("", department_id=2),
    ]


def test_nicknames() -> None:
    customers = [{"external_userid": "wm1", "nickname": "Ann"}, {"external_userid": "wm2", "nickname": ""}, {}, None]
    assert protocol.parse_nicknames({"customer_list": customers, "invalid_external_userid": ["wm3"]}) == {"wm1": "Ann"}


@pytest.mark.parametrize(
    ("lifetime", "seconds"), [(60, 60.0), (None, 7200.0), (0, 7200.0), ("60", 7200.0), (-5, 7200.0)]
)
def test_token(lifetime: Any, seconds: float) -> None:
    assert protocol.parse_token({"access_token": "T", "expires_in": lifetime}) == ("T", seconds)


@pytest.mark.parametrize("token", ["", None, 7])
def test_no_token(token: Any) -> None:
    with pytest.raises(WeComUnavailable):
        protocol.parse_token({"errcode": 0, "access_token": token})


# --- requests


def test_session_body() -> None:
    assert protocol.session_body(SessionKey("wk1", "wm1")) == {"open_kfid": "wk1", "external_userid": "wm1"}


def test_a_text() -> None:
    assert content_body(Message("hi"), "m1") == {"msgid": "m1", "msgtype": "text", "text": {"content": "hi"}}


def test_an_empty_msgid_is_left_out() -> None:
    assert "msgid" not in content_body(Message("hi"), "")


def test_a_menu() -> None:
    assert content_body(Message("Well?", (("good", "满意"), ("bad", "不满意")), "Thanks"), "m1") == {
        "msgid": "m1",
        "msgtype": "msgmenu",
        "msgmenu": {
            "head_content": "Well?",
            "list": [
                {"type": "click", "click": {"id": "good", "content": "满意"}},
                {"type": "click", "click": {"id": "bad", "content": "不满意"}},
            ],
            "tail_content": "Thanks",
        },
    }


def test_a_menu_without_head_and_tail_leaves_them_out() -> None:
    assert content_body(Message("", (("a", "b"),)), "m")["msgmenu"].keys() == {"list"}


def test_everything_is_cut_to_wecoms_limits() -> None:
    long = "长" * 3000
    assert len(content_body(Message(long), "m")["text"]["content"].encode()) == 2046
    menu = content_body(Message(long, tuple((long, long) for _ in range(12)), long), "m")["msgmenu"]
    assert len(menu["head_content"].encode()) == len(menu["tail_content"].encode()) == 1023
    assert len(menu["list"]) == 10
    assert {len(text.encode()) for item in menu["list"] for text in item["click"].values()} == {126}


@given(st.text(st.characters(codec=None)), st.integers(0, 40))
def test_cut_is_the_longest_whole_beginning(text: str, limit: int) -> None:
    whole = text.encode("utf-8", "replace").decode()
    result = cut(text, limit)
    assert whole.startswith(result)
    assert len(result.encode()) <= limit
    assert result == whole or len(whole[: len(result) + 1].encode()) > limit
