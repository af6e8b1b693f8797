"""Decrypted callback XML to values."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import CallbackRejected
from bot.wecom.events import AccountsChanged, Foreign, KfNotification, parse_event


def xml(*children: str) -> str:
    return f"<xml><ToUserName><![CDATA[ww1]]></ToUserName>{''.join(children)}</xml>"


def node(name: str, text: str) -> str:
    return f"<{name}><![CDATA[{text}]]></{name}>"


KF = (node("MsgType", "event"), node("Event", "kf_msg_or_event"), "<CreateTime>1700000000</CreateTime>")
AUTH = (node("MsgType", "event"), node("Event", "kf_account_auth_change"))


def test_kf_notification() -> None:
    event = parse_event(xml(*KF, node("Token", "ENCt"), node("OpenKfId", "wk1")))
    assert event == KfNotification("wk1", "ENCt", 1700000000)


def test_the_2021_edition_names_no_account_and_a_token_may_be_missing() -> None:
    assert parse_event(xml(*KF)) == KfNotification("", "", 1700000000)
    assert parse_event(xml(*KF, "<Token/>", "<OpenKfId></OpenKfId>")) == KfNotification("", "", 1700000000)


@pytest.mark.parametrize("created", ["", "soon", "-1", "9" * 5000, "１２"])
def test_a_create_time_that_is_none_is_zero(created: str) -> None:
    event = parse_event(xml(*KF[:2], node("CreateTime", created), node("OpenKfId", "wk1")))
    assert event == KfNotification("wk1", "", 0)


def test_event_names_are_case_blind() -> None:
    assert parse_event(xml(node("Event", "KF_MSG_OR_EVENT"))) == KfNotification("", "", 0)


def test_accounts_changed_once_and_repeated_and_not_at_all() -> None:
    assert parse_event(xml(*AUTH, node("AuthAddOpenKfId", "wk1"))) == AccountsChanged(("wk1",), ())
    repeated = xml(
        *AUTH, node("AuthAddOpenKfId", "wk1"), node("AuthDelOpenKfId", "wk3"), node("AuthAddOpenKfId", "wk2")
    )
    assert parse_event(repeated) == AccountsChanged(("wk1", "wk2"), ("wk3",))
    assert parse_event(xml(*AUTH, "<AuthDelOpenKfId/>")) == AccountsChanged((), ())


def test_anything_else_is_foreign() -> None:
    assert parse_event(xml(node("MsgType", "event"), node("Event", "change_contact"))) == Foreign("change_contact")
    assert parse_event(xml(node("MsgType", "text"), node("Content", "<!DOCTYPE html>"))) == Foreign("text")
    assert parse_event(xml()) == Foreign("")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "junk",
        "<xml>",
        "<xml/>",
        "<xml>words</xml>",
        "<other><Event>kf_msg_or_event</Event></other>",
        '<!DOCTYPE xml [<!ENTITY a "b">]><xml><Event>&a;</Event></xml>',
        "<xml>\ud800</xml>",
        "<xml>\x00</xml>",
    ],
)
def test_what_is_no_event_is_rejected(text: str) -> None:
    with pytest.raises(CallbackRejected) as caught:
        parse_event(text)
    assert caught.value.reason == "event"


@given(st.text(st.characters(codec=None)))
def test_any_text_gives_an_event_or_a_rejection(text: str) -> None:
    for candidate in (text, f"<xml>{text}</xml>", f"<xml><Event>{text}</Event></xml>"):
        with suppress(CallbackRejected):
            parse_event(candidate)
