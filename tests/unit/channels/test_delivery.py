"""Replies, pushes, cards and updates: by which way they go, and what an acknowledgement leads to."""

import asyncio
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from bot.errors import CardRefused, ChannelError
from bot.handing import Handing
from bot.model import Button, Card, CardTap

from .conftest import LISI, RESPONSE_URL, ROOM, Frame, Peer, Rig, WeCom, settle

CARD = Card("al-12-y", "wm7l 等待 18 分钟", buttons=(Button("结束", "end:12"),))
RESPOND, SEND, UPDATE = "aibot_respond_msg", "aibot_send_msg", "aibot_respond_update_msg"


def content(frame: Frame) -> Any:
    return frame["body"]["markdown"]["content"]


async def tapped(rig: Rig, peer: Peer) -> CardTap:
    await peer.tap()
    return await rig.taps.get()


# -- reply


async def test_a_reply_answers_the_callback(rig: Rig) -> None:
    peer = await rig.ready()
    message = await rig.heard(peer, req_id="Q7")
    await rig.channel.reply(message, "**done**")
    frame = await peer.got(RESPOND)
    assert frame == {
        "cmd": RESPOND,
        "headers": {"req_id": "Q7"},
        "body": {"msgtype": "markdown", "markdown": {"content": "**done**"}},
    }


async def test_several_replies_to_one_message(rig: Rig) -> None:
    peer = await rig.ready()
    message = await rig.heard(peer)
    await asyncio.gather(*(rig.channel.reply(message, f"part {number}") for number in range(3)))
    assert [content(await peer.got(RESPOND)) for _ in range(3)] == ["part 0", "part 1", "part 2"]


@pytest.mark.parametrize("errcode", [846604, 846605, 846608])
async def test_a_reply_that_comes_too_late_is_sent(rig: Rig, wecom: WeCom, errcode: int) -> None:
    peer = await rig.ready()
    message = await rig.heard(peer)
    wecom.script[RESPOND] = [errcode]
    await rig.channel.reply(message, "late")
    frame = await peer.got(SEND)
    assert frame["body"] == {
        "chatid": ROOM,
        "chat_type": 2,
        "msgtype": "markdown",
        "markdown": {"content": "late"},
    }
    assert frame["headers"]["req_id"] != "Q1"
    assert rig.observed["reply_by_send"] == 1


async def test_a_reply_in_a_single_chat_is_sent_to_the_member(rig: Rig, wecom: WeCom) -> None:
    peer = await rig.ready()
    message = await rig.heard(peer, "/status", chattype="single", chatid=None)
    wecom.script[RESPOND] = [846604]
    await rig.channel.reply(message, "late")
    body = (await peer.got(SEND))["body"]
    assert (body["chatid"], body["chat_type"]) == (LISI, 1)


async def test_not_subscribed_dials_again_and_sends(rig: Rig, wecom: WeCom) -> None:
    peer = await rig.ready()
    message = await rig.heard(peer)
    wecom.script[RESPOND] = [846609]
    reply = asyncio.create_task(rig.channel.reply(message, "kept"))
    await peer.closed.wait()
    await rig.time.asleep(0.875)
    await rig.time.move(1)
    assert content(await (await wecom.peer()).got(SEND)) == "kept"
    await reply


async def test_a_reply_over_another_connection_is_sent(rig: Rig) -> None:
    """A req_id means nothing to the connection after."""
    peer = await rig.ready()
    message = await rig.heard(peer)
    await peer.close()
    await rig.time.asleep(0.875)
    await rig.time.move(1)
    peer = await rig.ready()
    await rig.channel.reply(message, "hello again")
    assert content(await peer.got(SEND)) == "hello again"
    assert not [frame for frame in peer.frames if frame["cmd"] == RESPOND]


async def test_a_foreign_reply_to_is_sent(rig: Rig) -> None:
    peer = await rig.ready()
    message = await rig.heard(peer)
    for reply_to in ("", "Q1", "a b c", "x nan Q1"):
        await rig.channel.reply(replace(message, reply_to=reply_to), "by chat")
        await peer.got(SEND)


async def test_another_refusal_of_a_reply_is_an_error(rig: Rig, wecom: WeCom) -> None:
    peer = await rig.ready()
    message = await rig.heard(peer)
    wecom.script[RESPOND] = [44004]
    with pytest.raises(ChannelError, match=r"^WeCom refused the reply: 44004 refused$") as caught:
        await rig.channel.reply(message, "")
    assert caught.value.errcode == 44004


async def test_no_acknowledgement_on_a_living_connection_one_duplicate_at_most(rig: Rig, wecom: WeCom) -> None:
    peer = await rig.ready()
    message = await rig.heard(peer)
    wecom.script[RESPOND], wecom.script[SEND] = [None], [None]
    reply = asyncio.create_task(rig.channel.reply(message, "maybe twice"))
    await peer.got(RESPOND)
    await rig.time.move(5)
    await peer.got(SEND)
    await rig.time.move(5)
    with pytest.raises(ChannelError, match="did not acknowledge within 5 s") as caught:
        await reply
    assert caught.value.errcode == 0
    assert rig.observed["ack_missing"] == 2


async def test_a_late_acknowledgement_is_not_taken_for_the_next(rig: Rig, wecom: WeCom) -> None:
    """A req_id with an overdue acknowledgement is not used again; the chat is."""
    peer = await rig.ready()
    message = await rig.heard(peer)
    wecom.script[RESPOND] = [None]
    first = asyncio.create_task(rig.channel.reply(message, "first"))
    overdue = await peer.got(RESPOND)
    await rig.time.move(5)
    await peer.got(SEND)
    await first
    await rig.channel.reply(message, "second")
    assert content(await peer.got(SEND)) == "second"
    await peer.ack(overdue, 44004)
    wecom.script[RESPOND] = [0]
    await rig.heard(peer, msgid="m-2", req_id="Q2")  # the overdue one has been read before it
    await rig.channel.reply(message, "third")
    assert content(await peer.got(RESPOND)) == "third"


async def test_the_connection_lost_before_the_acknowledgement(rig: Rig, wecom: WeCom) -> None:
    peer = await rig.ready()
    message = await rig.heard(peer)
    wecom.script[RESPOND] = [None]
    reply = asyncio.create_task(rig.channel.reply(message, "kept"))
    await peer.got(RESPOND)
    peer.cut()
    await rig.time.asleep(0.875)
    await rig.time.move(1)
    assert content(await (await wecom.peer()).got(SEND)) == "kept"
    await reply


async def test_without_a_connection_a_reply_goes_to_its_response_url_once(rig: Rig, wecom: WeCom) -> None:
    peer = await rig.ready()
    message = await rig.heard(peer)
    wecom.refuse_dial = True
    peer.cut()
    await rig.until(lambda: not rig.channel.ready)
    reply = asyncio.create_task(rig.channel.reply(message, "by http"))
    await _patience(rig)
    await reply
    assert rig.posts == [(RESPONSE_URL, {"msgtype": "markdown", "markdown": {"content": "by http"}})]
    assert rig.observed["reply_by_url"] == 1


async def _patience(rig: Rig, seconds: float = 30.0) -> None:
    """Moves on to the end of a sender's patience, through dials that fail."""
    until = rig.time.now + seconds
    while rig.time.now < until:
        await rig.time.asleep(0.1, 31)
        await rig.time.move(min(0.5, until - rig.time.now))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"errcode": 40058, "errmsg": "C0DE"}, "failed: 40058"),
        (aiohttp.ClientError(RESPONSE_URL), r"failed: no answer \(ClientError\)"),
        (TimeoutError(RESPONSE_URL), r"failed: no answer \(TimeoutError\)"),
        (ValueError(RESPONSE_URL), r"failed: no answer \(ValueError\)"),
    ],
)
async def test_the_code_of_a_response_url_is_in_no_exception(rig: Rig, answer: Any, said: str) -> None:
    peer = await rig.ready()
    message = await rig.heard(peer)
    rig.post_answer = answer
    await peer.kick()
    await rig.alarmed.wait()
    with pytest.raises(ChannelError, match=said) as caught:
        await rig.channel.reply(message, "by http")
    error: BaseException | None = caught.value
    while error:
        assert "C0DE" not in str(error)
        error = error.__context__
    assert len(rig.posts) == 1


async def test_without_connection_and_response_url_the_problem_is_told(rig: Rig) -> None:
    peer = await rig.ready()
    message = await rig.heard(peer, response_url=None)
    await peer.kick()
    await rig.alarmed.wait()
    with pytest.raises(ChannelError, match=r"^kicked by another connection$"):
        await rig.channel.reply(message, "nobody")
    assert not rig.posts


# -- send


async def test_a_push_waits_for_the_connection(rig: Rig, wecom: WeCom) -> None:
    wecom.refuse_dial = True
    await rig.start()
    await rig.time.asleep(0.875)
    send = asyncio.create_task(rig.channel.send(ROOM, True, "alert"))
    wecom.refuse_dial = False
    await rig.time.move(1)
    assert content(await (await wecom.peer()).got(SEND)) == "alert"
    await send


async def test_a_push_waits_30_seconds_at_most(rig: Rig, wecom: WeCom) -> None:
    wecom.refuse_dial = True
    await rig.start()
    await rig.time.asleep(0.875)
    send = asyncio.create_task(rig.channel.send(ROOM, True, "alert"))
    await _patience(rig, 29.5)
    assert not send.done()
    await _patience(rig, 0.5)
    with pytest.raises(ChannelError, match=r"^not connected: cannot connect") as caught:
        await send
    assert caught.value.errcode == 0


async def test_a_push_without_acknowledgement_goes_once_more(rig: Rig, wecom: WeCom) -> None:
    peer = await rig.ready()
    wecom.script[SEND] = [None]
    send = asyncio.create_task(rig.channel.send(ROOM, True, "alert"))
    await peer.got(SEND)
    await rig.time.move(5)
    await send
    assert content(await peer.got(SEND)) == "alert"


async def test_a_push_refused_is_an_error(rig: Rig, wecom: WeCom) -> None:
    await rig.ready()
    wecom.script[SEND] = [86001]
    with pytest.raises(ChannelError, match=r"^WeCom refused the message: 86001 refused$") as caught:
        await rig.channel.send("wrkNever", True, "alert")
    assert caught.value.errcode == 86001


@pytest.mark.parametrize("errcode", [45009, 45033, -1])
async def test_throttled_waits_and_keeps_the_order(rig: Rig, wecom: WeCom, errcode: int) -> None:
    peer = await rig.ready()
    wecom.script[SEND] = [errcode]
    first = asyncio.create_task(rig.channel.send(ROOM, True, "first"))
    await peer.got(SEND)
    await rig.time.asleep(2)
    second = asyncio.create_task(rig.channel.send(ROOM, True, "second"))
    await settle()
    await rig.time.move(2)
    await asyncio.gather(first, second)
    assert [content(await peer.got(SEND)) for _ in range(2)] == ["first", "second"]


async def test_throttled_for_ever_is_an_error(rig: Rig, wecom: WeCom) -> None:
    peer = await rig.ready()
    wecom.default[SEND] = 45009
    send = asyncio.create_task(rig.channel.send(ROOM, True, "alert"))
    for pause in (2, 15, 61):
        await peer.got(SEND)
        await rig.time.asleep(pause)
        await rig.time.move(pause)
    with pytest.raises(ChannelError, match="45009") as caught:
        await send
    assert caught.value.errcode == 45009
    assert rig.observed["throttled"] == 3


async def test_not_subscribed_for_ever_is_an_error(rig: Rig, wecom: WeCom) -> None:
    wecom.default[SEND] = 846609
    await rig.ready()
    send = asyncio.create_task(rig.channel.send(ROOM, True, "alert"))
    await rig.time.asleep(0.875)
    await rig.time.move(1)
    with pytest.raises(ChannelError, match="846609"):
        await send


async def test_markdown_is_cut_to_the_limit(rig: Rig) -> None:
    peer = await rig.ready()
    await rig.channel.send(ROOM, True, "急" * 10000)
    sent = content(await peer.got(SEND))
    assert len(sent.encode()) <= 20480
    assert set(sent) == {"急", "…"}


async def test_a_lone_surrogate_can_be_sent(rig: Rig) -> None:
    peer = await rig.ready()
    await rig.channel.send(ROOM, True, "a\ud800b")
    assert content(await peer.got(SEND)) == "a?b"


# -- cards


async def test_a_card_is_sent(rig: Rig) -> None:
    peer = await rig.ready()
    await rig.channel.send_card(ROOM, True, CARD)
    body = (await peer.got(SEND))["body"]
    assert (body["chatid"], body["chat_type"], body["msgtype"]) == (ROOM, 2, "template_card")
    assert body["template_card"]["task_id"] == "al-12-y"


@pytest.mark.parametrize("errcode", [40008, 40058, 12345])
async def test_cards_refused(rig: Rig, wecom: WeCom, errcode: int) -> None:
    await rig.ready()
    wecom.script[SEND] = [errcode]
    with pytest.raises(CardRefused) as caught:
        await rig.channel.send_card(ROOM, True, CARD)
    assert caught.value.errcode == errcode


@pytest.mark.parametrize("errcode", [42014, 86001, 93006])
async def test_refusals_that_say_nothing_about_cards(rig: Rig, wecom: WeCom, errcode: int) -> None:
    await rig.ready()
    wecom.script[SEND] = [errcode]
    with pytest.raises(ChannelError) as caught:
        await rig.channel.send_card(ROOM, True, CARD)
    assert not isinstance(caught.value, CardRefused)
    assert caught.value.errcode == errcode


async def test_a_card_without_acknowledgement_is_never_sent_twice(rig: Rig, wecom: WeCom) -> None:
    peer = await rig.ready()
    wecom.script[SEND] = [None]
    send = asyncio.create_task(rig.channel.send_card(ROOM, True, CARD))
    await peer.got(SEND)
    await rig.time.move(5)
    with pytest.raises(ChannelError, match="did not acknowledge") as caught:
        await send
    assert not isinstance(caught.value, CardRefused)
    assert [frame["cmd"] for frame in peer.frames].count(SEND) == 1


# -- a half-open line: what goes out arrives nowhere, and nothing says so


async def half_open(rig: Rig, wecom: WeCom) -> Peer:
    peer = await rig.ready()
    wecom.script[SEND] = wecom.script[RESPOND] = [None]
    wecom.script["ping"] = [None]
    return peer


async def found_dead(rig: Rig, peer: Peer, cmd: str = SEND) -> None:
    """The acknowledgement is missed, and then the pong."""
    await peer.got(cmd)
    await rig.time.move(5)
    assert rig.channel.ready
    await peer.got("ping")
    await rig.time.move(5)
    await rig.until(lambda: not rig.channel.ready)


async def redialled(rig: Rig, wecom: WeCom) -> Peer:
    await rig.time.asleep(0.875, 1.75)
    await rig.time.move(2)
    peer = await wecom.peer()
    await peer.got("aibot_subscribe")
    return peer


async def test_it_is_found_out_by_the_first_message_and_the_next_line_carries_that(rig: Rig, wecom: WeCom) -> None:
    peer = await half_open(rig, wecom)
    told = Told(rig)
    send = asyncio.create_task(rig.channel.send_card(ROOM, True, CARD, told))
    await found_dead(rig, peer)
    assert rig.channel.problem == "not connected: a message was not acknowledged, and a ping was not answered"
    assert [step for step, _ in told.steps] == ["out", "back"]
    frame = await (await redialled(rig, wecom)).got(SEND)
    await send
    assert frame["body"]["template_card"]["task_id"] == CARD.task_id
    assert [step for step, _ in told.steps] == ["out", "back", "out"]


async def test_a_card_that_had_arrived_after_all_is_not_shown_again(rig: Rig, wecom: WeCom) -> None:
    peer, told = await half_open(rig, wecom), Told(rig)
    wecom.script[SEND] = [None, 42014]
    send = asyncio.create_task(rig.channel.send_card(ROOM, True, CARD, told))
    await found_dead(rig, peer)
    await redialled(rig, wecom)
    await send
    assert [step for step, _ in told.steps] == ["out", "back", "out"]


async def test_a_card_goes_again_when_the_connection_breaks_under_it(rig: Rig, wecom: WeCom) -> None:
    peer = await half_open(rig, wecom)
    send = asyncio.create_task(rig.channel.send_card(ROOM, True, CARD))
    await peer.got(SEND)
    peer.cut()
    await (await redialled(rig, wecom)).got(SEND)
    await send


async def test_two_lines_that_die_of_it_are_enough(rig: Rig, wecom: WeCom) -> None:
    peer = await half_open(rig, wecom)
    wecom.script[SEND] = [None, None]
    send = asyncio.create_task(rig.channel.send_card(ROOM, True, CARD))
    await peer.got(SEND)
    peer.cut()
    second = await redialled(rig, wecom)
    await second.got(SEND)
    second.cut()
    with pytest.raises(ChannelError, match="the connection was lost before WeCom acknowledged") as caught:
        await send
    assert caught.value.sent and caught.value.lost
    await redialled(rig, wecom)


async def test_who_has_no_line_after_it_is_told_that_nothing_was_sent(rig: Rig, wecom: WeCom) -> None:
    peer = await half_open(rig, wecom)
    send = asyncio.create_task(rig.channel.send_card(ROOM, True, CARD))
    wecom.refuse_dial = True
    await found_dead(rig, peer)
    await _patience(rig)
    with pytest.raises(ChannelError, match="not connected") as caught:
        await send
    assert not caught.value.sent


async def test_all_who_doubt_share_one_ping(rig: Rig, wecom: WeCom) -> None:
    peer = await half_open(rig, wecom)
    wecom.script[SEND] = [None] * 3
    sends = [asyncio.create_task(rig.channel.send(f"wrk{number}", True, "text")) for number in range(3)]
    for _ in range(2):
        await peer.got(SEND)
    await found_dead(rig, peer)
    await redialled(rig, wecom)
    await asyncio.gather(*sends)
    assert [frame["cmd"] for frame in peer.frames].count("ping") == 1


async def test_a_reply_goes_by_the_next_line_once(rig: Rig, wecom: WeCom) -> None:
    peer = await half_open(rig, wecom)
    message = await rig.heard(peer)
    reply = asyncio.create_task(rig.channel.reply(message, "done"))
    wecom.script[SEND] = [None]
    await found_dead(rig, peer, RESPOND)
    second = await redialled(rig, wecom)
    await second.got(SEND)
    second.cut()
    with pytest.raises(ChannelError):
        await reply
    await redialled(rig, wecom)


async def test_a_picture_is_not_sent_again(rig: Rig, wecom: WeCom) -> None:
    peer = await half_open(rig, wecom)
    send = asyncio.create_task(rig.channel.send_image(ROOM, True, b"\x89PNG"))
    await found_dead(rig, peer)
    with pytest.raises(ChannelError) as caught:
        await send
    assert caught.value.sent


async def test_a_line_that_answers_the_ping_stays(rig: Rig, wecom: WeCom) -> None:
    peer = await rig.ready()
    wecom.script[SEND] = [None]
    send = asyncio.create_task(rig.channel.send_card(ROOM, True, CARD))
    await peer.got(SEND)
    await rig.time.move(5)
    with pytest.raises(ChannelError) as caught:
        await send
    assert (caught.value.sent, caught.value.lost, rig.channel.ready) == (True, False, True)
    assert wecom.dials == 1


# -- how far a message has come


class Told(Handing):
    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.steps: list[tuple[str, float]] = []

    async def out(self) -> None:
        self.steps.append(("out", self._rig.time.now - 1000))

    async def back(self) -> None:
        self.steps.append(("back", self._rig.time.now - 1000))


async def test_a_message_is_out_when_its_turn_has_come(rig: Rig) -> None:
    await rig.ready()
    pushes = [asyncio.create_task(rig.channel.send(ROOM, True, "push")) for _ in range(24)]
    await asyncio.gather(*pushes)
    told = Told(rig)
    send = asyncio.create_task(rig.channel.send_card(ROOM, True, CARD, told))
    await rig.time.asleep(61)
    assert told.steps == []
    await rig.time.move(61)
    await send
    assert told.steps == [("out", 61)]


async def test_it_is_not_out_while_it_waits_after_a_refusal(rig: Rig, wecom: WeCom) -> None:
    await rig.ready()
    wecom.script[SEND] = [45009]
    told = Told(rig)
    send = asyncio.create_task(rig.channel.send_card(ROOM, True, CARD, told))
    await rig.time.asleep(2)
    assert told.steps == [("out", 0), ("back", 0)]
    await rig.time.move(2)
    await send
    assert told.steps[2:] == [("out", 2)]


async def test_nor_when_the_connection_ends_at_that_moment(rig: Rig, wecom: WeCom) -> None:
    peer = await rig.ready()

    class Ending(Told):
        async def out(self) -> None:
            await super().out()
            if len(self.steps) == 1:
                peer.cut()
                await rig.until(lambda: rig.observed["disconnected"] == 1)

    told = Ending(rig)
    send = asyncio.create_task(rig.channel.send_card(ROOM, True, CARD, told))
    await rig.time.asleep(0.875)
    await rig.time.move(1)
    await (await wecom.peer()).got(SEND)
    await send
    assert [step for step, _ in told.steps] == ["out", "back", "out"]


# -- updates


async def test_an_update_answers_the_tap_with_its_task_id(rig: Rig) -> None:
    peer = await rig.ready()
    tap = await tapped(rig, peer)
    assert (tap.key, tap.task_id, tap.userid, tap.chat_id) == ("end:12", "al-12-x", LISI, ROOM)
    await rig.channel.update_card(tap, CARD)
    frame = await peer.got(UPDATE)
    assert frame["headers"]["req_id"] == "T1"
    assert frame["body"]["response_type"] == "update_template_card"
    assert frame["body"]["template_card"]["task_id"] == "al-12-x"
    assert "userids" not in frame["body"]


async def test_a_tap_without_task_id_is_answered_with_the_cards_own(rig: Rig) -> None:
    peer = await rig.ready()
    await peer.tap(task_id="")
    await rig.channel.update_card(await rig.taps.get(), CARD)
    assert (await peer.got(UPDATE))["body"]["template_card"]["task_id"] == "al-12-y"


async def test_an_update_is_never_late(rig: Rig) -> None:
    peer = await rig.ready()
    tap = await tapped(rig, peer)
    await rig.time.move(4.9)
    await rig.channel.update_card(tap, CARD)
    await peer.got(UPDATE)
    await rig.time.move(0.1)
    with pytest.raises(ChannelError, match="5 s have passed since the tap"):
        await rig.channel.update_card(tap, CARD)


async def test_an_update_gives_up_when_its_turn_would_come_too_late(rig: Rig) -> None:
    peer = await rig.ready()
    tap = await tapped(rig, peer)
    for _ in range(30):
        await rig.channel.update_card(tap, CARD)
    update = asyncio.create_task(rig.channel.update_card(tap, CARD))
    await settle()
    await rig.time.move(5)
    with pytest.raises(ChannelError, match="5 s have passed since the tap"):
        await update
    assert [frame["cmd"] for frame in peer.frames].count(UPDATE) == 30


async def test_an_update_finds_a_turn_in_a_storm_of_alerts(rig: Rig) -> None:
    peer = await rig.ready()
    tap = await tapped(rig, peer)
    alerts = [asyncio.create_task(rig.channel.send(ROOM, True, "alert")) for _ in range(60)]
    await settle()
    await rig.channel.update_card(tap, CARD)
    await peer.got(UPDATE)
    assert not all(alert.done() for alert in alerts)
    for alert in alerts:
        alert.cancel()
    await asyncio.wait(alerts)


async def test_an_update_takes_the_first_turn_that_a_full_minute_frees(rig: Rig) -> None:
    """Ahead of 36 alerts that have been waiting for longer; 17 of those may follow."""
    peer = await rig.ready()
    alerts = [asyncio.create_task(rig.channel.send(ROOM, True, f"alert {number}")) for number in range(60)]
    for _ in range(24):
        await peer.got(SEND)
    await rig.time.asleep(61)
    await rig.time.move(58)
    tap = await tapped(rig, peer)
    for _ in range(6):
        await rig.channel.update_card(tap, CARD)
    update = asyncio.create_task(rig.channel.update_card(tap, CARD))
    await settle()
    assert not update.done()
    await rig.time.move(2.9)
    assert not update.done()
    await rig.time.move(0.1)
    await update
    for _ in range(17):
        await peer.got(SEND)
    await settle()
    assert [frame["cmd"] for frame in peer.frames].count(SEND) == 24 + 17
    for alert in alerts:
        alert.cancel()
    await asyncio.wait(alerts)


async def test_an_update_does_not_wait_while_alerts_are_throttled(rig: Rig, wecom: WeCom) -> None:
    peer = await rig.ready()
    tap = await tapped(rig, peer)
    wecom.script[SEND] = [45009]
    alert = asyncio.create_task(rig.channel.send(ROOM, True, "alert"))
    await rig.time.asleep(2)
    await rig.channel.update_card(tap, CARD)
    assert not alert.done()
    await rig.time.move(2)
    await alert


async def test_an_update_over_another_connection_is_refused(rig: Rig) -> None:
    peer = await rig.ready()
    tap = await tapped(rig, peer)
    await peer.close()
    await rig.time.asleep(0.875)
    with pytest.raises(ChannelError, match="the connection the tap came by is gone"):
        await rig.channel.update_card(tap, CARD)
    await rig.time.move(1)
    await rig.ready()
    with pytest.raises(ChannelError, match="the connection the tap came by is gone"):
        await rig.channel.update_card(tap, CARD)


async def test_an_update_refused_or_not_acknowledged_is_an_error(rig: Rig, wecom: WeCom) -> None:
    peer = await rig.ready()
    tap = await tapped(rig, peer)
    wecom.script[UPDATE] = [846605, 45009, None]
    for errcode in (846605, 45009):
        with pytest.raises(ChannelError) as caught:
            await rig.channel.update_card(tap, CARD)
        assert caught.value.errcode == errcode
    update = asyncio.create_task(rig.channel.update_card(tap, CARD))
    for _ in range(3):
        await peer.got(UPDATE)
    await rig.time.move(5)
    with pytest.raises(ChannelError, match="did not acknowledge"):
        await update


# -- limits over the wire


async def test_no_minute_holds_more_than_30_and_replies_go_first(rig: Rig) -> None:
    peer = await rig.ready()
    message = await rig.heard(peer)
    began = rig.time.now
    pushes = [asyncio.create_task(rig.channel.send(ROOM, True, f"push {number}")) for number in range(40)]
    await settle()
    replies = [asyncio.create_task(rig.channel.reply(message, f"reply {number}")) for number in range(10)]
    for number in range(24):
        assert content(await peer.got(SEND)) == f"push {number}"
    for number in range(3):
        assert content(await peer.got(RESPOND)) == f"reply {number}"
    other = asyncio.create_task(rig.channel.send("wrkOther", True, "another chat has its own turns"))
    await other
    await peer.got(SEND)
    await settle()
    assert sum(task.done() for task in pushes + replies) <= 27
    await rig.time.asleep(61)
    await rig.time.move(60.5)
    assert [frame["cmd"] for frame in peer.frames].count(SEND) == 25
    await rig.time.move(0.5)
    for number in range(3, 10):
        assert content(await peer.got(RESPOND)) == f"reply {number}"
    for number in range(24, 40):
        assert content(await peer.got(SEND)) == f"push {number}"
    await asyncio.gather(*pushes, *replies)
    assert rig.time.now == began + 61


async def test_stop_tells_those_who_wait_for_a_turn(rig: Rig) -> None:
    peer = await rig.ready()
    pushes = [asyncio.create_task(rig.channel.send(ROOM, True, "push")) for _ in range(26)]
    for _ in range(24):
        await peer.got(SEND)
    await rig.channel.stop()
    done = await asyncio.gather(*pushes, return_exceptions=True)
    assert [str(outcome) for outcome in done[24:]] == ["the channel was stopped before this could be sent"] * 2


async def test_stop_tells_those_who_wait_for_an_acknowledgement(rig: Rig, wecom: WeCom) -> None:
    peer = await rig.ready()
    wecom.default[SEND] = None
    card = asyncio.create_task(rig.channel.send_card(ROOM, True, CARD))
    text = asyncio.create_task(rig.channel.send(ROOM, True, "text"))
    for _ in range(2):
        await peer.got(SEND)
    await rig.channel.stop()
    with pytest.raises(ChannelError, match="the connection was lost before WeCom acknowledged"):
        await card
    with pytest.raises(ChannelError, match=r"^not connected: stopped$"):
        await text


async def test_stop_tells_those_who_wait_for_a_connection(rig: Rig, wecom: WeCom) -> None:
    wecom.refuse_dial = True
    await rig.start()
    await rig.time.asleep(0.875)
    send = asyncio.create_task(rig.channel.send(ROOM, True, "text"))
    await rig.time.asleep(30)
    await rig.channel.stop()
    with pytest.raises(ChannelError, match=r"^not connected: stopped$"):
        await send
