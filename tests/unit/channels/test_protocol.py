"""Frames out and in."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.channels import protocol
from bot.channels.protocol import Ack, Ignored, Kicked
from bot.model import Button, Card, CardTap, GroupMessage

from .conftest import ROOM, Frame, message_frame, tap_frame

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = [
    *("cmd", "headers", "req_id", "errcode", "errmsg", "body", "msgid", "chatid", "chattype", "from", "userid"),
    *("msgtype", "text", "content", "mixed", "msg_item", "quote", "event", "eventtype", "template_card_event"),
    *("event_key", "task_id", "response_url", "voice", "markdown", "template_card", "main_title", "title"),
]
WORDS = ["aibot_msg_callback", "aibot_event_callback", "group", "single", "text", "mixed", "template_card_event", "Q"]
NEARLY = st.recursive(
    st.sampled_from(WORDS) | st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=9),
    max_leaves=30,
)


def parsed(frame: Frame) -> protocol.Inbound:
    return protocol.parse(json.dumps(frame), "kfbot")


def message(**more: Any) -> GroupMessage:
    found = parsed(message_frame("@kfbot /status", **more))
    assert isinstance(found, GroupMessage)
    return found


# -- out


def test_subscribe_and_ping() -> None:
    assert json.loads(protocol.subscribe("s-1", "aibX", "SECRET")) == {
        "cmd": "aibot_subscribe",
        "headers": {"req_id": "s-1"},
        "body": {"bot_id": "aibX", "secret": "SECRET"},
    }
    assert json.loads(protocol.ping("p-1")) == {"cmd": "ping", "headers": {"req_id": "p-1"}}


def test_send_to_a_group_and_to_a_member() -> None:
    for is_group, chat_type in ((True, 2), (False, 1)):
        frame = json.loads(protocol.send_msg("r", "to", is_group, protocol.markdown("**hi**")))
        assert frame["cmd"] == "aibot_send_msg"
        assert frame["body"] == {
            "chatid": "to",
            "chat_type": chat_type,
            "msgtype": "markdown",
            "markdown": {"content": "**hi**"},
        }


def test_update() -> None:
    card = Card("al-1", "t", buttons=(Button("ok", "noop:1"),))
    frame = json.loads(protocol.respond_update("T1", card))
    assert frame["cmd"] == "aibot_respond_update_msg"
    assert frame["headers"] == {"req_id": "T1"}
    assert frame["body"]["template_card"]["button_list"] == [{"text": "ok", "style": 1, "key": "noop:1"}]


@given(st.text(st.characters(), max_size=8000), st.text(st.characters(), max_size=20))
def test_every_text_makes_a_frame(text: str, chat_id: str) -> None:
    frame = protocol.send_msg("r", chat_id, True, protocol.markdown(text))
    assert len(json.loads(frame.encode())["body"]["markdown"]["content"].encode()) <= 20480


# -- in: acknowledgements


def test_an_acknowledgement() -> None:
    frame = {"headers": {"req_id": "r"}, "errcode": 0, "errmsg": "ok", "body": {"upload_id": "u"}}
    assert parsed(frame) == Ack("r", 0, "ok", {"upload_id": "u"})
    assert parsed({"headers": {"req_id": "r"}, "errcode": 846605}) == Ack("r", 846605)


@pytest.mark.parametrize("errcode", [None, True, "0", 0.0, [], {}])
def test_no_acknowledgement_without_a_number(errcode: Any) -> None:
    """A doubtful one must not count as a success."""
    assert isinstance(parsed({"headers": {"req_id": "r"}, "errcode": errcode}), Ignored)


# -- in: messages


def test_text_of_each_kind() -> None:
    assert message().text == "/status"
    assert message(msgtype="voice", voice={"content": "@kfbot 状态"}).text == "状态"
    parts = [
        {"msgtype": "text", "text": {"content": "@kfbot /end"}},
        {"msgtype": "image", "image": {"url": "https://x"}},
        "junk",
        {"msgtype": "text", "text": {"content": "wm7l"}},
    ]
    assert message(msgtype="mixed", mixed={"msg_item": parts}).text == "/end\nwm7l"
    assert message(msgtype="mixed", mixed={"msg_item": 7}).text == ""
    assert message(text={"content": "@kfbot "}).text == ""


@pytest.mark.parametrize("kind", ["image", "file", "video", None, 7, ["text"], {"a": 1}])
def test_kinds_without_words_are_ignored(kind: Any) -> None:
    assert isinstance(parsed(message_frame("x", msgtype=kind)), Ignored)


def test_single_chats_keep_their_text_and_are_named_by_the_member() -> None:
    found = message(chattype="single", chatid=None, text={"content": "  /status @kfbot "})
    assert (found.chat_id, found.is_group, found.text) == ("lisi", False, "/status @kfbot")
    assert message(chattype="single").chat_id == "lisi"


def test_chattype_may_be_missing() -> None:
    assert message(chattype=None).is_group
    assert not message(chattype=None, chatid=None).is_group


@pytest.mark.parametrize("more", [{"from": None}, {"from": {"userid": ""}}, {"chatid": ""}, {"chatid": ["x"]}])
def test_without_chat_or_sender_it_is_ignored(more: dict[str, Any]) -> None:
    assert isinstance(parsed(message_frame("x", **more)), Ignored)


def test_a_missing_msgid_is_made_of_the_req_id() -> None:
    found = parsed(message_frame("x", msgid="", req_id="Q9"))
    assert isinstance(found, GroupMessage)
    assert (found.msgid, found.reply_to) == ("x-Q9", "Q9")


@pytest.mark.parametrize("url", [None, "", 7, "javascript:alert(1)", "file:///etc/passwd"])
def test_only_web_addresses_are_response_urls(url: Any) -> None:
    assert message(response_url=url).response_url == ""


@pytest.mark.parametrize(
    ("quote", "text"),
    [
        ({"msgtype": "text", "text": {"content": "alert #12"}}, "alert #12"),
        ({"msgtype": "markdown", "markdown": {"content": "**alert** wm7l"}}, "**alert** wm7l"),
        ({"msgtype": "mixed", "mixed": {"msg_item": [{"msgtype": "text", "text": {"content": "a"}}]}}, "a"),
        ({"msgtype": "stream", "stream": {"content": "s"}}, "s"),
        ({"msgtype": "template_card"}, ""),
        (
            {
                "template_card": {
                    "main_title": {"title": "wm7l", "desc": 18},
                    "sub_title_text": "/end wm7l",
                    "horizontal_content_list": [{"keyname": "owner", "value": "lisi"}, 3],
                }
            },
            "wm7l\n18\n/end wm7l\nlisi",
        ),
        ({"msgtype": "image", "image": {"url": "https://x"}}, ""),
        ("junk", ""),
    ],
)
def test_quotes(quote: Any, text: str) -> None:
    assert message(quote=quote).quote == text


def test_absurd_lengths_are_bounded() -> None:
    found = message(text={"content": "/" + "x" * 100_000}, quote={"text": {"content": "y" * 100_000}})
    assert len(found.text) == protocol.TEXT_LIMIT
    assert len(found.quote) == protocol.TEXT_LIMIT


def test_lone_surrogates_do_not_come_in() -> None:
    found = message(text={"content": "/a\ud800"}, msgid="\udfff")
    assert (found.text, found.msgid) == ("/a?", "?")


# -- in: events


def test_a_tap() -> None:
    assert parsed(tap_frame()) == CardTap("aibot", "e-1", ROOM, True, "lisi", "end:12", "al-12-x", "T1")


def test_a_flattened_tap_and_one_without_task_id() -> None:
    frame = tap_frame()
    frame["body"]["event"] = {"eventtype": "template_card_event", "event_key": "ack:3"}
    assert parsed(frame) == CardTap("aibot", "e-1", ROOM, True, "lisi", "ack:3", "", "T1")


def test_a_tap_in_a_single_chat() -> None:
    frame = tap_frame()
    frame["body"] |= {"chattype": "single", "chatid": None}
    found = parsed(frame)
    assert isinstance(found, CardTap)
    assert (found.chat_id, found.is_group) == ("lisi", False)


def test_a_tap_without_key_is_ignored() -> None:
    assert isinstance(parsed(tap_frame(key="")), Ignored)


def test_kicked() -> None:
    frame = {"cmd": "aibot_event_callback", "body": {"event": {"eventtype": "disconnected_event"}}}
    assert parsed(frame) == Kicked()


def test_other_events_are_ignored_by_name() -> None:
    frame = tap_frame()
    frame["body"]["event"] = {"eventtype": "enter_chat"}
    assert parsed(frame) == Ignored("event enter_chat")
    assert parsed({"cmd": "secret " * 100}) == Ignored("cmd " + ("secret " * 100)[:39] + "…")


# -- junk


@given(st.text(st.characters(), max_size=300) | st.binary(max_size=300))
def test_any_text_or_bytes(raw: str | bytes) -> None:
    protocol.parse(raw, "kfbot")


@given(JSON)
def test_any_json(value: Any) -> None:
    protocol.parse(json.dumps(value), "kfbot")


@given(NEARLY)
def test_any_frame_that_is_nearly_right(value: Any) -> None:
    found = protocol.parse(json.dumps(value), "kfbot")
    if isinstance(found, GroupMessage | CardTap):
        assert found.chat_id and found.userid
        for text in (found.chat_id, found.userid, found.msgid, found.reply_to):
            text.encode()


@pytest.mark.parametrize(
    "raw", ["[" * 500_000, '{"a":' * 100_000, "9" * 5000, "NaN", '{"cmd": 1e400}', "x" * (2 << 20)]
)
def test_junk_that_breaks_parsers(raw: str) -> None:
    assert isinstance(protocol.parse(raw, "kfbot"), Ignored)
