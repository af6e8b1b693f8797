"""The send-only robot and the one-shot response_url."""

from typing import Any

import pytest

from .conftest import LI, ROOM, Served

SEND = "/cgi-bin/webhook/send"
KEY = "sandbox-webhook-key"
TEXT = {"msgtype": "text", "text": {"content": "alert"}}
NOTICE = {"card_type": "text_notice", "main_title": {"title": "alert"}, "card_action": {"type": 1, "url": "https://e"}}
BUTTONS = {
    "card_type": "button_interaction",
    "task_id": "t",
    "main_title": {"title": "a"},
    "button_list": [{"text": "b", "key": "k"}],
}

MESSAGES: list[tuple[dict[str, Any], int]] = [
    (TEXT, 0),
    ({"msgtype": "markdown", "markdown": {"content": "**x**"}}, 0),
    ({"msgtype": "markdown_v2", "markdown_v2": {"content": "x" * 4097}}, 45002),
    ({"msgtype": "text", "text": {"content": "x" * 2049}}, 45002),
    ({"msgtype": "text", "text": {"content": ""}}, 44004),
    ({"msgtype": "template_card", "template_card": NOTICE}, 0),
    ({"msgtype": "template_card", "template_card": BUTTONS}, 40008),
    ({"msgtype": "image", "image": {"base64": "iVBORw==", "md5": "49dee2f3abb2ac74ab2be38bcdb6e77e"}}, 40058),
    ({"msgtype": "stream"}, 40008),
    ({}, 40058),
]


@pytest.mark.parametrize(("message", "errcode"), MESSAGES)
async def test_what_the_robot_may_say(served: Served, message: dict[str, Any], errcode: int) -> None:
    assert (await served.post(SEND, message, key=KEY))["errcode"] == errcode
    assert len(served.corp.group_messages(ROOM)) == (0 if errcode else 1)
    assert served.corp.ledger.entries[-1]["kind"] == "webhook"


async def test_a_wrong_key(served: Served) -> None:
    assert (await served.post(SEND, TEXT, key="other"))["errcode"] == 93000


async def test_20_a_minute(served: Served) -> None:
    codes = [(await served.post(SEND, TEXT, key=KEY))["errcode"] for _ in range(21)]
    assert codes == [0] * 20 + [45009]
    served.corp.clock_advance(60)
    assert (await served.post(SEND, TEXT, key=KEY))["errcode"] == 0


async def test_each_group_has_its_own_robot(served: Served) -> None:
    second = served.corp.group_new("二线", {LI: "李娜"})
    await served.post(SEND, TEXT, key=f"{KEY}-2")
    said = await served.corp.wait_for_group_message()
    assert served.corp.group_messages(second) == [said]
    assert said.source == "webhook"


async def test_a_response_url_answers_once_within_the_hour(served: Served) -> None:
    line = await served.dial()
    served.corp.group_message(ROOM, LI, "@kfbot hi")
    url = (await line.receive())["body"]["response_url"].removeprefix(served.corp.base_url)
    update = {"response_type": "update_template_card", "template_card": BUTTONS}
    assert (await served.post(url, update))["errcode"] == 40008
    body = {"msgtype": "markdown", "markdown": {"content": "by http"}}
    assert (await served.post(url, body))["errcode"] == 0
    assert (await served.post(url, body))["errcode"] != 0
    assert served.corp.group_messages(ROOM)[-1].text == "by http"


async def test_a_response_url_is_late_after_an_hour(served: Served) -> None:
    line = await served.dial()
    served.corp.group_message(ROOM, LI, "@kfbot hi")
    url = (await line.receive())["body"]["response_url"].removeprefix(served.corp.base_url)
    served.corp.clock_advance(3601)
    body = {"msgtype": "markdown", "markdown": {"content": "late"}}
    assert (await served.post(url, body))["errcode"] == 846605
