"""The bot's WebSocket: who owns it, what is heard, what may be answered, and how a line dies."""

import asyncio
from typing import Any

import aiohttp
import pytest

from .conftest import LI, ROOM, WU, Corp, Line, Served

MARKDOWN = {"msgtype": "markdown", "markdown": {"content": "**ok**"}}


def card(task_id: str = "t1", **changes: Any) -> dict[str, Any]:
    content = {
        "card_type": "button_interaction",
        "task_id": task_id,
        "main_title": {"title": "客户等待", "desc": "26 分钟"},
        "button_list": [{"text": "结束", "style": 2, "key": "end:12"}, {"text": "跟进", "key": "ack:12"}],
        **changes,
    }
    return {"msgtype": "template_card", "template_card": content}


def to_room(message: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"chatid": ROOM, "chat_type": 2, **message, **changes}


async def heard(served: Served, line: Line, text: str = "@kfbot hi", **options: Any) -> dict[str, Any]:
    served.corp.group_message(ROOM, LI, text, **options)
    return await line.receive()


async def tapped(served: Served, line: Line, key: str = "end:12", by: str = WU) -> dict[str, Any]:
    """Send a card, tap it, and return the event frame."""
    await heard(served, line)
    assert await line.errcode("aibot_send_msg", to_room(card())) == 0
    served.corp.tap(ROOM, by, served.corp.group_messages(ROOM)[-1].id, key)
    return await line.receive()


def req_id(frame: dict[str, Any]) -> str:
    return str(frame["headers"]["req_id"])


# subscribing


@pytest.mark.parametrize("path", ["/", "/aibot"])
async def test_subscribe_and_ping(served: Served, path: str) -> None:
    line = await served.dial(path)
    await served.corp.wait_connected()
    assert await line.command("ping", req_id="p") == {"headers": {"req_id": "p"}, "errcode": 0, "errmsg": "ok"}


async def test_bad_credentials_get_853000_and_then_silence(served: Served) -> None:
    line = await served.dial(subscribe=False)
    assert (await line.subscribe("wrong"))["errcode"] == 853000
    await line.say("ping")
    with pytest.raises(TimeoutError):
        await line.socket.receive(timeout=0.05)
    assert not served.corp.line.connected


async def test_nothing_but_ping_before_subscribing(served: Served) -> None:
    line = await served.dial(subscribe=False)
    assert await line.errcode("aibot_send_msg", to_room(MARKDOWN)) == 846609
    assert await line.errcode("ping", {}) == 0


async def test_a_newer_subscriber_wins(corp: Corp) -> None:
    object.__setattr__(corp.config, "kicked_drop_after", 1.0)
    async with corp.serve(), aiohttp.ClientSession() as http:
        served = Served(corp, http)
        old = await served.dial()
        new = await served.dial()
        kicked = await old.receive()
        assert kicked["body"]["event"] == {"eventtype": "disconnected_event"}
        assert await old.errcode("ping", {}) == 0, "it keeps looking healthy"
        assert await old.errcode("aibot_send_msg", to_room(MARKDOWN)) == 846609
        dropped = await old.socket.receive(timeout=30)
        assert (dropped.type, old.socket.close_code) == (aiohttp.WSMsgType.CLOSED, 1006)
        assert (await heard(served, new))["cmd"] == "aibot_msg_callback"
        served.hang_up()


# hearing


async def test_a_mention_reaches_the_bot(served: Served) -> None:
    line = await served.dial()
    body = (await heard(served, line, "@kfbot /status"))["body"]
    assert body.pop("response_url").startswith(served.corp.base_url)
    assert body.pop("msgid") == served.corp.group_messages(ROOM)[-1].id
    assert body == {
        "aibotid": "aib-sandbox",
        "chatid": ROOM,
        "chattype": "group",
        "from": {"userid": LI},
        "msgtype": "text",
        "text": {"content": "@kfbot /status"},
    }


async def test_other_talk_does_not(served: Served) -> None:
    line = await served.dial()
    served.corp.group_message(ROOM, LI, "lunch?")
    assert (await heard(served, line, "＠kfbot hi"))["body"]["text"]["content"] == "＠kfbot hi"


async def test_single_chats_always_reach_the_bot(served: Served) -> None:
    line = await served.dial()
    served.corp.group_message(LI, LI, "/help")
    body = (await line.receive())["body"]
    assert (body["chattype"], body["from"], "chatid" in body) == ("single", {"userid": LI}, False)
    assert await line.errcode("aibot_send_msg", {"chatid": LI, "chat_type": 1, **MARKDOWN}) == 0


async def test_a_quote_has_words_but_no_id(served: Served) -> None:
    line = await served.dial()
    first = served.corp.group_message(ROOM, WU, "wm7l is waiting")
    body = (await heard(served, line, "@kfbot /end", quote_id=first))["body"]
    assert body["quote"] == {"msgtype": "text", "text": {"content": "wm7l is waiting"}}
    assert served.corp.group_messages(ROOM)[-1].quote == {"id": first, "text": "wm7l is waiting"}


async def test_without_a_bot_a_message_is_lost(served: Served) -> None:
    served.corp.group_message(ROOM, LI, "@kfbot 1")
    line = await served.dial()
    assert (await heard(served, line, "@kfbot 2"))["body"]["text"]["content"] == "@kfbot 2"


async def test_lost_and_doubled_callbacks(served: Served) -> None:
    line = await served.dial()
    served.corp.fault("aibot_msg_callback", "lose")
    served.corp.group_message(ROOM, LI, "@kfbot lost")
    served.corp.fault("aibot_msg_callback", "duplicate")
    first = await heard(served, line, "@kfbot twice")
    assert await line.receive() == first


# answering


async def test_replies_show_in_the_room_and_in_the_ledger(served: Served) -> None:
    line = await served.dial()
    asked = req_id(await heard(served, line))
    assert await line.errcode("aibot_respond_msg", MARKDOWN, asked) == 0
    assert await line.errcode("aibot_respond_msg", card(), asked) == 0
    said = await served.corp.wait_for_group_message(lambda message: message.card)
    assert said.source == "bot"
    assert [entry["kind"] for entry in served.corp.ledger.entries] == ["group_respond"] * 2


async def test_a_stream_is_one_message_that_changes(served: Served) -> None:
    line = await served.dial()
    asked = req_id(await heard(served, line))
    for content, finish in [("en", False), ("ending…", False), ("ended", True)]:
        body = {"msgtype": "stream", "stream": {"id": "s1", "finish": finish, "content": content}}
        assert await line.errcode("aibot_respond_msg", body, asked) == 0
    assert [message.text for message in served.corp.group_messages(ROOM)][1:] == ["ended"]
    served.corp.clock_advance(601)
    assert await line.errcode("aibot_respond_msg", body, asked) == 846608


async def test_replies_are_late_after_24_hours(served: Served) -> None:
    line = await served.dial()
    asked = req_id(await heard(served, line))
    served.corp.clock_advance(24 * 3600)
    assert await line.errcode("aibot_respond_msg", MARKDOWN, asked) == 0
    served.corp.clock_advance(1)
    assert await line.errcode("aibot_respond_msg", MARKDOWN, asked) == 846604


async def test_a_made_up_req_id_or_that_of_a_tap_cannot_be_answered(served: Served) -> None:
    line = await served.dial()
    tap = await tapped(served, line)
    assert await line.errcode("aibot_respond_msg", MARKDOWN, "mine") == 846605
    assert await line.errcode("aibot_respond_msg", MARKDOWN, req_id(tap)) == 846605


async def test_welcome_once_a_day_within_5_seconds(served: Served) -> None:
    line = await served.dial()
    assert served.corp.group_enter(LI)
    assert not served.corp.group_enter(LI)
    entered = await line.receive()
    assert entered["body"]["event"]["eventtype"] == "enter_chat"
    body = {"msgtype": "text", "text": {"content": "hello"}}
    assert await line.errcode("aibot_respond_msg", MARKDOWN, req_id(entered)) == 846605
    assert await line.errcode("aibot_respond_welcome_msg", body, req_id(entered)) == 0
    served.corp.clock_advance(6)
    assert await line.errcode("aibot_respond_welcome_msg", body, req_id(entered)) == 846604


# pushing


async def test_a_chat_must_have_been_opened(served: Served) -> None:
    line = await served.dial()
    assert await line.errcode("aibot_send_msg", to_room(MARKDOWN)) == 86001
    await heard(served, line)
    assert await line.errcode("aibot_send_msg", to_room(MARKDOWN)) == 0
    assert await line.errcode("aibot_send_msg", to_room(MARKDOWN, chat_type=1)) == 86001
    assert await line.errcode("aibot_send_msg", to_room(MARKDOWN, chatid="wrkOther")) == 86001


REFUSED: list[tuple[dict[str, Any], int]] = [
    ({"msgtype": "text", "text": {"content": "hi"}}, 40008),
    ({"msgtype": "markdown", "markdown": {"content": "x" * 20481}}, 45002),
    ({"msgtype": "markdown", "markdown": {"content": ""}}, 44004),
    (card(task_id="no spaces"), 42014),
    (card(button_list=[]), 40058),
    (card(button_list=[{"text": "a", "key": "k"}, {"text": "b", "key": "k"}]), 40058),
    (card(main_title=None), 40058),
    (card(card_type="poem"), 40058),
    ({"msgtype": "image", "image": {"media_id": "nope"}}, 40007),
]


@pytest.mark.parametrize(("message", "errcode"), REFUSED)
async def test_what_may_not_be_pushed(served: Served, message: dict[str, Any], errcode: int) -> None:
    line = await served.dial()
    await heard(served, line)
    assert await line.errcode("aibot_send_msg", to_room(message)) == errcode
    assert len(served.corp.group_messages(ROOM)) == 1


async def test_a_task_id_is_good_for_one_card(served: Served) -> None:
    line = await served.dial()
    await heard(served, line)
    assert await line.errcode("aibot_send_msg", to_room(card())) == 0
    assert await line.errcode("aibot_send_msg", to_room(card())) == 42014


async def test_a_group_that_refuses_cards(served: Served) -> None:
    served.corp.groups.cards_in_groups = False
    line = await served.dial()
    asked = req_id(await heard(served, line))
    assert await line.errcode("aibot_send_msg", to_room(card())) == 40008
    assert await line.errcode("aibot_respond_msg", card(), asked) == 40008


async def test_30_messages_a_minute_and_1000_an_hour(served: Served) -> None:
    line = await served.dial()
    asked = req_id(await heard(served, line))
    codes = [await line.errcode("aibot_respond_msg", MARKDOWN, asked) for _ in range(15)]
    codes += [await line.errcode("aibot_send_msg", to_room(MARKDOWN)) for _ in range(16)]
    assert codes == [0] * 30 + [45009]
    served.corp.clock_advance(60)
    assert await line.errcode("aibot_send_msg", to_room(MARKDOWN)) == 0
    room = served.corp.groups.groups[ROOM]
    room.hour.used = 1000
    assert await line.errcode("aibot_send_msg", to_room(MARKDOWN)) == 45009


# taps


async def test_a_tap_tells_key_and_task(served: Served) -> None:
    line = await served.dial()
    body = (await tapped(served, line))["body"]
    assert body["event"] == {
        "eventtype": "template_card_event",
        "template_card_event": {"card_type": "button_interaction", "event_key": "end:12", "task_id": "t1"},
    }
    assert (body["from"], body["chatid"], body["msgtype"]) == ({"userid": WU}, ROOM, "event")


def update(**changes: Any) -> dict[str, Any]:
    content = card(main_title={"title": "已结束"}, **changes)["template_card"]
    return {"response_type": "update_template_card", "template_card": content}


async def test_a_tap_is_answered_with_the_new_card(served: Served) -> None:
    line = await served.dial()
    tap = await tapped(served, line)
    assert await line.errcode("aibot_respond_update_msg", update(), req_id(tap)) == 0
    shown = served.corp.group_messages(ROOM)[-1].card
    assert shown is not None
    assert shown["main_title"] == {"title": "已结束"}
    assert served.corp.ledger.entries[-1]["kind"] == "group_update"


async def test_the_new_card_must_be_of_the_same_task_and_in_time(served: Served) -> None:
    line = await served.dial()
    tap = await tapped(served, line)
    assert await line.errcode("aibot_respond_update_msg", update(task_id="t2"), req_id(tap)) == 42014
    assert await line.errcode("aibot_respond_update_msg", update(), "mine") == 846605
    served.corp.clock_advance(6)
    assert await line.errcode("aibot_respond_update_msg", update(), req_id(tap)) == 846604


async def test_a_card_changed_for_some_is_tapped_as_they_see_it(served: Served) -> None:
    line = await served.dial()
    tap = await tapped(served, line)
    changed = update(button_list=[{"text": "刷新", "key": "refresh:12"}])
    assert await line.errcode("aibot_respond_update_msg", {**changed, "userids": [WU]}, req_id(tap)) == 0
    message = served.corp.group_messages(ROOM)[-1].id
    with pytest.raises(ValueError, match="no such button"):
        served.corp.tap(ROOM, WU, message, "end:12")
    served.corp.tap(ROOM, LI, message, "end:12")


# uploads


@pytest.mark.parametrize("base", [0, 1])
async def test_an_image_in_chunks_counted_from_0_or_1(served: Served, base: int) -> None:
    line = await served.dial()
    await heard(served, line)
    media_id = await uploaded(line, base)
    image = {"msgtype": "image", "image": {"media_id": media_id}}
    assert await line.errcode("aibot_send_msg", to_room(image)) == 0
    assert served.corp.group_messages(ROOM)[-1].image == "data:image/png;base64,iVBORzEyMzQ1Ng=="


async def uploaded(line: Line, base: int) -> str:
    init = {"type": "image", "filename": "report.png", "total_size": 10, "total_chunks": 2}
    upload_id = (await line.command("aibot_upload_media_init", init))["body"]["upload_id"]
    for index, data in [(1, "MTIzNDU2"), (0, "iVBORw=="), (0, "iVBORw==")]:
        chunk = {"upload_id": upload_id, "chunk_index": base + index, "base64_data": data}
        assert await line.errcode("aibot_upload_media_chunk", chunk) == 0
    done = await line.command("aibot_upload_media_finish", {"upload_id": upload_id})
    return str(done["body"]["media_id"])


async def test_an_upload_with_a_hole_is_refused(served: Served) -> None:
    line = await served.dial()
    init = {"type": "file", "filename": "a", "total_size": 10, "total_chunks": 2}
    upload_id = (await line.command("aibot_upload_media_init", init))["body"]["upload_id"]
    assert await line.errcode("aibot_upload_media_finish", {"upload_id": upload_id}) == 40058
    assert await line.errcode("aibot_upload_media_finish", {"upload_id": "none"}) == 40058


# how a line dies


async def test_drop_without_a_close_frame(served: Served) -> None:
    line = await served.dial()
    served.corp.line.drop()
    assert (await line.socket.receive(timeout=30)).type is aiohttp.WSMsgType.CLOSED
    assert line.socket.close_code == 1006


async def test_clean_close(served: Served) -> None:
    line = await served.dial()
    served.corp.line.close()
    assert (await line.socket.receive(timeout=30)).type is aiohttp.WSMsgType.CLOSE
    assert line.socket.close_code == 1000


async def test_half_open(served: Served) -> None:
    line = await served.dial()
    served.corp.line.half_open()
    await line.say("ping")
    await line.socket.ping()
    served.corp.group_message(ROOM, LI, "@kfbot hi")
    with pytest.raises(TimeoutError):
        await line.socket.receive(timeout=0.05)
    assert served.corp.line.connected, "the server still believes in it"
    assert (await heard(served, await served.dial()))["cmd"] == "aibot_msg_callback"


async def test_a_half_open_line_does_not_even_close(served: Served) -> None:
    line = await served.dial()
    served.corp.line.half_open()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(line.socket.close(), 0.05)
    assert served.corp.line.connected


async def test_a_bot_that_leaves_is_gone(served: Served) -> None:
    line = await served.dial()
    await line.socket.close()
    assert line.socket.close_code == 1000
    await served.corp.changes.until(lambda: not served.corp.line.connected)


async def test_websocket_pings_are_answered(served: Served) -> None:
    line = await served.dial()
    await line.socket.ping(b"you there")
    pong = await line.socket.receive(timeout=30)
    assert (pong.type, bytes(pong.data)) == (aiohttp.WSMsgType.PONG, b"you there")


@pytest.mark.parametrize(("kind", "count"), [("reset_before", 1), ("reset_after", 2)])
async def test_resets_around_a_command(served: Served, kind: str, count: int) -> None:
    line = await served.dial()
    await heard(served, line)
    served.corp.fault("aibot_send_msg", kind)
    await line.say("aibot_send_msg", to_room(MARKDOWN))
    assert (await line.socket.receive(timeout=30)).type is aiohttp.WSMsgType.CLOSED
    assert len(served.corp.group_messages(ROOM)) == count


async def test_an_errcode_a_silence_and_a_delay(served: Served) -> None:
    line = await served.dial()
    await heard(served, line)
    served.corp.fault("aibot_send_msg", "errcode", errcode=-1)
    assert await line.errcode("aibot_send_msg", to_room(MARKDOWN)) == -1
    served.corp.fault("aibot_send_msg", "no_answer")
    await line.say("aibot_send_msg", to_room(MARKDOWN))
    await line.command("ping")
    served.corp.fault("aibot_send_msg", "delay", seconds=1.0)
    await line.say("aibot_send_msg", to_room(MARKDOWN), "late")
    assert (await line.command("ping", req_id="p"))["headers"]["req_id"] == "p", "a delay holds nobody up"
    assert (await line.receive())["headers"]["req_id"] == "late"
    assert len(served.corp.group_messages(ROOM)) == 3


@pytest.mark.parametrize("junk", ["{", "[]", '{"cmd": "ping"}', '{"headers": []}'])
async def test_junk_is_ignored(served: Served, junk: str) -> None:
    line = await served.dial()
    await line.socket.send_str(junk)
    assert await line.errcode("ping", {}) == 0


async def test_waiting_is_woken_by_what_comes_later(served: Served) -> None:
    line = await served.dial()
    await heard(served, line)
    mark = served.corp.mark
    waiting = asyncio.create_task(served.corp.wait_for_group_message(after=mark))
    ledger = asyncio.create_task(served.corp.wait_for_ledger(lambda entry: entry["kind"] == "group_send"))
    await line.command("aibot_send_msg", to_room(MARKDOWN))
    assert (await waiting).text == "**ok**"
    assert (await ledger)["errcode"] == 0
    with pytest.raises(TimeoutError):
        await served.corp.wait_for_group_message(after=served.corp.mark, timeout=0.01)
