"""What arrives: values with the mention removed, handlers that may be slow or fail, junk, duplicates."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from bot.channels.intake import AT_ONCE, HELD, HELD_OF_A_CHAT, OF_A_CHAT
from bot.folded import MOST
from bot.model import CardTap, GroupMessage
from bot.ports import MessageHandler, Work

from .conftest import LISI, RESPONSE_URL, ROOM, Peer, Rig, settle, tap_frame


def working(work: Callable[[GroupMessage], Awaitable[None]], heard: list[str] | None = None) -> MessageHandler:
    """A handler of which nothing is slow but the work. `heard`: the msgids that it has put on record."""

    async def hear(message: GroupMessage) -> Work:
        if heard is not None:
            heard.append(message.msgid)
        return partial(work, message)

    return hear


async def beat(rig: Rig, peer: Peer) -> None:
    """One ping and its pong."""
    pongs = rig.observed["pong"]
    await rig.time.asleep(30)
    await rig.time.move(30)
    await peer.got("ping")
    await rig.until(lambda: rig.observed["pong"] == pongs + 1)


async def test_a_message(rig: Rig) -> None:
    peer = await rig.ready()
    message = await rig.heard(peer, "@kfbot /end wm7l", quote={"msgtype": "text", "text": {"content": "alert #12"}})
    assert message == GroupMessage(
        channel="aibot",
        msgid="m-1",
        chat_id=ROOM,
        is_group=True,
        userid=LISI,
        text="/end wm7l",
        quote="alert #12",
        reply_to=message.reply_to,
        response_url=RESPONSE_URL,
    )


async def test_duplicates_are_passed_on(rig: Rig) -> None:
    peer = await rig.ready()
    first, second = await rig.heard(peer), await rig.heard(peer)
    assert first.msgid == second.msgid == "m-1"


async def test_junk_is_ignored(rig: Rig) -> None:
    peer = await rig.ready()
    junk = ["", "{", "null", "[]", '"x"', "1e999", "[" * 100_000, "{}", '{"cmd": {}}', '{"cmd":"aibot_msg_callback"}']
    for frame in junk:
        await peer.send(frame)
    await peer.socket.send_bytes(b"\xff\xfe\x00")
    await peer.send('{"headers": {"req_id": "nobody"}, "errcode": 0}')
    await rig.heard(peer)
    assert rig.observed["ignored"] == len(junk) + 1
    assert rig.observed["ack_unexpected"] == 1
    await beat(rig, peer)


async def test_binary_frames_are_read(rig: Rig) -> None:
    peer = await rig.ready()
    await peer.socket.send_bytes(json.dumps(tap_frame()).encode())
    assert (await rig.taps.get()).key == "end:12"


async def test_a_frame_over_our_limit_is_ignored(rig: Rig) -> None:
    peer = await rig.ready()
    await peer.say("x" * (1 << 20))
    await rig.heard(peer)
    assert rig.observed["ignored"] == 1


async def test_a_frame_over_the_sockets_limit_ends_the_connection(rig: Rig) -> None:
    peer = await rig.ready()
    with contextlib.suppress(ConnectionError):  # cut off while it is still sending
        await peer.say("x" * (5 << 20))
    await rig.time.asleep(0.875)
    assert rig.channel.problem == "not connected: the socket failed (WebSocketError)"
    await rig.time.move(1)
    await rig.heard(await rig.ready())


async def test_slow_handlers_hold_up_nobody(rig: Rig) -> None:
    release, handled = asyncio.Event(), []

    async def slow(message: GroupMessage) -> None:
        await release.wait()
        await rig.channel.reply(message, "at last")
        handled.append(message.msgid)

    await rig.channel.start(working(slow), rig.taps.put)
    peer = await wecom_ready(rig)
    for number in range(50):
        await peer.say("@kfbot /status", f"m-{number}")
    await peer.tap()
    tap = await rig.taps.get()
    await rig.channel.send("wrkOther", True, "acknowledged meanwhile")
    await beat(rig, peer)
    assert isinstance(tap, CardTap)
    assert not handled
    release.set()
    await peer.got("aibot_respond_msg")
    stopping = asyncio.create_task(rig.channel.stop())  # more replies than a minute holds
    await rig.time.asleep(5)
    await rig.time.move(5)
    await stopping


async def test_a_flooded_chat_holds_up_no_other(rig: Rig) -> None:
    release, heard = asyncio.Event(), asyncio.Queue[str]()

    async def stuck(message: GroupMessage) -> None:
        if message.chat_id == ROOM:
            await release.wait()
        heard.put_nowait(message.msgid)

    await rig.channel.start(working(stuck), rig.taps.put)
    peer = await wecom_ready(rig)
    for number in range(2 * AT_ONCE):
        await peer.say("@kfbot /status", f"m-{number}")
    await peer.say("@kfbot /status", "elsewhere", chatid="wrOther")
    assert await heard.get() == "elsewhere"
    release.set()
    assert [await heard.get() for _ in range(2 * AT_ONCE)] == [f"m-{number}" for number in range(2 * AT_ONCE)]


async def test_however_many_chats_wait_for_their_answers_others_are_worked_on(rig: Rig) -> None:
    """Each has had all that a minute allows."""
    release, heard = asyncio.Event(), asyncio.Queue[str]()

    async def hear(message: GroupMessage) -> Work:
        async def work() -> Work:
            heard.put_nowait(message.chat_id)
            return tell

        async def tell() -> None:
            await release.wait()

        return work

    await rig.channel.start(hear, rig.taps.put)
    peer = await wecom_ready(rig)
    for number in range(2 * AT_ONCE):
        await peer.say("@kfbot /status", f"m-{number}", chatid=f"wr{number % (AT_ONCE // 2)}")
    await peer.say("@kfbot /status", "elsewhere", chatid="wrOther")
    assert "wrOther" in [await heard.get() for _ in range(2 * AT_ONCE + 1)]
    release.set()


async def test_what_waits_for_a_turn_is_on_record(rig: Rig) -> None:
    release, worked, heard = asyncio.Event(), list[str](), list[str]()

    async def stuck(message: GroupMessage) -> None:
        worked.append(message.msgid)
        await release.wait()

    await rig.channel.start(working(stuck, heard), rig.taps.put)
    peer = await wecom_ready(rig)
    sent = [f"m-{number}" for number in range(HELD_OF_A_CHAT + 3)]
    for msgid in sent:
        await peer.say("@kfbot /end 1", msgid)
    await rig.until(lambda: rig.observed["overflow"] == 3)
    await settle()
    assert heard == sent[:HELD_OF_A_CHAT], "what is dropped beyond that is as if it had never come"
    assert worked == sent[:OF_A_CHAT]
    release.set()
    await settle()
    await peer.say("@kfbot /end 1", "later")
    await rig.until(lambda: rig.observed["message"] == len(sent) + 1)
    await settle()
    assert worked == [*sent[:HELD_OF_A_CHAT], "later"]


async def test_a_tap_that_comes_while_stopping_is_put_on_record_and_no_more(rig: Rig) -> None:
    release, started, worked = asyncio.Event(), asyncio.Event(), list[str]()

    async def slow(message: GroupMessage) -> None:
        started.set()
        await release.wait()

    async def feel(tap: CardTap) -> Work:
        await rig.taps.put(tap)

        async def work() -> None:
            worked.append(tap.key)

        return work

    await rig.channel.start(working(slow), feel)
    peer = await wecom_ready(rig)
    await peer.say("/x")
    await started.wait()
    stopping = asyncio.create_task(rig.channel.stop())
    await settle()
    await peer.tap()
    assert (await rig.taps.get()).key == "end:12"
    release.set()
    await stopping
    assert worked == []


async def wecom_ready(rig: Rig) -> Peer:
    peer = await rig.wecom.peer()
    await rig.until(lambda: rig.channel.ready)
    return peer


async def test_a_failing_handler_is_logged_and_counted(rig: Rig) -> None:
    heard = asyncio.Queue[str]()

    async def fail(message: GroupMessage) -> None:
        heard.put_nowait(message.msgid)
        raise RuntimeError("a mistake in a command")

    await rig.channel.start(working(fail), rig.taps.put)
    peer = await wecom_ready(rig)
    for msgid in ("m-1", "m-2"):
        await peer.say("/x", msgid)
        assert await heard.get() == msgid
    await rig.until(lambda: rig.observed["handler_failed"] == 2)
    assert rig.channel.ready


async def test_too_many_are_dropped(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    forever = asyncio.Event()

    async def stuck(message: GroupMessage) -> None:
        await forever.wait()

    await rig.channel.start(working(stuck), rig.taps.put)
    peer = await wecom_ready(rig)
    for number in range(HELD + MOST + 3):
        await peer.say("/x", f"m-{number}", chatid=f"wr{number % 20}")
    await rig.until(lambda: rig.observed["overflow"] == MOST + 3)
    assert caplog.text.count("group message dropped") == MOST
    forever.set()
    await settle()


async def test_stop_lets_handlers_reply(rig: Rig) -> None:
    release, started = asyncio.Event(), asyncio.Event()
    heard, worked = list[str](), list[str]()

    async def slow(message: GroupMessage) -> None:
        worked.append(message.msgid)
        started.set()
        await release.wait()
        await rig.channel.reply(message, "goodbye")

    await rig.channel.start(working(slow, heard), rig.taps.put)
    peer = await wecom_ready(rig)
    await peer.say("/x")
    await started.wait()
    stopping = asyncio.create_task(rig.channel.stop())
    await settle()
    await peer.say("/too late", "m-2")
    await rig.until(lambda: rig.observed["message"] == 2)
    release.set()
    await stopping
    await peer.got("aibot_respond_msg")
    assert heard == ["m-1", "m-2"] and worked == ["m-1"], "the next process knows of what came too late"


async def test_stop_cuts_off_handlers_after_a_while(rig: Rig) -> None:
    started, cut = asyncio.Event(), asyncio.Event()

    async def stuck(message: GroupMessage) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut.set()

    await rig.channel.start(working(stuck), rig.taps.put)
    peer = await wecom_ready(rig)
    await peer.say("/x")
    await started.wait()
    stopping = asyncio.create_task(rig.channel.stop())
    await rig.time.asleep(5)
    await rig.time.move(5)
    await stopping
    assert cut.is_set()


async def test_a_handler_may_stop_the_channel(rig: Rig) -> None:
    stopped = asyncio.Event()

    async def stop(message: GroupMessage) -> None:
        await rig.channel.stop()
        stopped.set()

    await rig.channel.start(working(stop), rig.taps.put)
    peer = await wecom_ready(rig)
    await peer.say("/x")
    await stopped.wait()
    assert not rig.channel.ready
