"""Pictures: up in chunks whichever way those are counted, within the bot's limits, and shown once at most."""

import asyncio
import base64
import hashlib
from typing import Any

import pytest

from bot.errors import ChannelError

from .conftest import LISI, ROOM, Frame, Peer, Rig, WeCom, settle

INIT, CHUNK, FINISH = "aibot_upload_media_init", "aibot_upload_media_chunk", "aibot_upload_media_finish"
RESPOND, SEND, UPDATE = "aibot_respond_msg", "aibot_send_msg", "aibot_respond_update_msg"
SMALL = b"\x89PNG\r\n\x1a\n" + b"0" * 100
BIG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 5000  # three chunks
LARGEST = b"x" * (2 << 20)


def kinds(peer: Peer) -> list[str]:
    """What came after the subscription, without its common prefixes."""
    return [frame["cmd"].removeprefix("aibot_").removeprefix("upload_media_") for frame in peer.frames[1:]]


def bodies(peer: Peer, cmd: str) -> list[Any]:
    return [frame["body"] for frame in peer.frames if frame["cmd"] == cmd]


def numbers(peer: Peer) -> list[int]:
    return [body["chunk_index"] for body in bodies(peer, CHUNK)]


async def redialled(rig: Rig, wecom: WeCom) -> Peer:
    await rig.time.asleep(0.875)
    await rig.time.move(1)
    peer = await wecom.peer()
    await peer.got("aibot_subscribe")
    return peer


async def test_a_picture_goes_up_in_chunks_and_is_sent_by_its_media_id(rig: Rig) -> None:
    peer = await rig.ready()
    await rig.channel.send_image(ROOM, True, BIG)
    assert kinds(peer) == ["init", "chunk", "chunk", "chunk", "finish", "send_msg"]
    assert bodies(peer, INIT) == [
        {
            "type": "image",
            "filename": "picture.png",
            "total_size": len(BIG),
            "total_chunks": 3,
            "md5": hashlib.md5(BIG).hexdigest(),
        }
    ]
    chunks = [base64.b64decode(body["base64_data"]) for body in bodies(peer, CHUNK)]
    assert [len(chunk) for chunk in chunks] == [524288, 524288, len(BIG) - 2 * 524288]
    assert b"".join(chunks) == BIG
    assert numbers(peer) == [0, 1, 2]
    assert {body["upload_id"] for body in bodies(peer, CHUNK) + bodies(peer, FINISH)} == {"U-1"}
    assert bodies(peer, SEND) == [{"chatid": ROOM, "chat_type": 2, "msgtype": "image", "image": {"media_id": "M-1"}}]
    req_ids = [frame["headers"]["req_id"] for frame in peer.frames]
    assert len(set(req_ids)) == len(req_ids)


async def test_a_picture_for_one_person(rig: Rig) -> None:
    peer = await rig.ready()
    await rig.channel.send_image(LISI, False, SMALL)
    assert (bodies(peer, SEND)[0]["chatid"], bodies(peer, SEND)[0]["chat_type"]) == (LISI, 1)


async def test_2_mb_and_not_a_byte_more(rig: Rig) -> None:
    peer = await rig.ready()
    await rig.channel.send_image(ROOM, True, LARGEST)
    assert numbers(peer) == [0, 1, 2, 3]
    seen = len(peer.frames)
    with pytest.raises(ChannelError, match=r"^the picture has 2097153 bytes, 2097152 are allowed$"):
        await rig.channel.send_image(ROOM, True, LARGEST + b"x")
    assert len(peer.frames) == seen


async def test_a_picture_waits_for_the_connection(rig: Rig, wecom: WeCom) -> None:
    wecom.refuse_dial = True
    await rig.start()
    await rig.time.asleep(0.875)
    send = asyncio.create_task(rig.channel.send_image(ROOM, True, SMALL))
    wecom.refuse_dial = False
    await rig.time.move(1)
    await (await wecom.peer()).got(SEND)
    await send


# -- how chunks are counted


@pytest.mark.parametrize("refused", [CHUNK, FINISH])
async def test_counting_from_1_when_0_is_refused_and_from_then_on(rig: Rig, wecom: WeCom, refused: str) -> None:
    """A server that looks at numbers late finds a chunk missing at the end."""
    peer = await rig.ready()
    wecom.script[refused] = [40058]
    await rig.channel.send_image(ROOM, True, BIG)
    assert numbers(peer) == ([0] if refused == CHUNK else [0, 1, 2]) + [1, 2, 3]
    assert len(bodies(peer, INIT)) == 2
    seen = len(numbers(peer))
    await rig.channel.send_image(ROOM, True, BIG)
    assert numbers(peer)[seen:] == [1, 2, 3]
    assert len(bodies(peer, SEND)) == 2


async def test_counting_from_1_is_remembered_over_connections(rig: Rig, wecom: WeCom) -> None:
    peer = await rig.ready()
    wecom.script[CHUNK] = [40058]
    await rig.channel.send_image(ROOM, True, SMALL)
    await peer.close()
    peer = await redialled(rig, wecom)
    await rig.channel.send_image(ROOM, True, SMALL)
    assert numbers(peer) == [1]


async def test_refused_whichever_way_it_is_counted(rig: Rig, wecom: WeCom) -> None:
    peer = await rig.ready()
    wecom.script[CHUNK] = [40058, 40058]
    with pytest.raises(ChannelError, match=r"^WeCom refused the picture: 40058 refused$") as caught:
        await rig.channel.send_image(ROOM, True, BIG)
    assert (caught.value.errcode, caught.value.sent) == (40058, False)
    assert numbers(peer) == [0, 1]
    await rig.channel.send_image(ROOM, True, SMALL)
    assert numbers(peer) == [0, 1, 0]


async def test_what_has_worked_is_not_doubted(rig: Rig, wecom: WeCom) -> None:
    peer = await rig.ready()
    await rig.channel.send_image(ROOM, True, SMALL)
    wecom.script[CHUNK] = [40058]
    with pytest.raises(ChannelError, match="40058"):
        await rig.channel.send_image(ROOM, True, SMALL)
    assert numbers(peer) == [0, 0]


# -- refusals


async def test_an_upload_refused_at_its_beginning_is_not_repeated(rig: Rig, wecom: WeCom) -> None:
    peer = await rig.ready()
    wecom.script[INIT] = [40009]
    with pytest.raises(ChannelError, match=r"^WeCom refused the picture: 40009 refused$") as caught:
        await rig.channel.send_image(ROOM, True, SMALL)
    assert caught.value.errcode == 40009
    assert kinds(peer) == ["init"]


async def test_a_message_refused(rig: Rig, wecom: WeCom) -> None:
    await rig.ready()
    wecom.script[SEND] = [86001]
    with pytest.raises(ChannelError, match=r"^WeCom refused the message: 86001 refused$"):
        await rig.channel.send_image("wrkNever", True, SMALL)


@pytest.mark.parametrize("body", [{}, {"upload_id": "", "media_id": ""}, {"upload_id": 7, "media_id": None}])
@pytest.mark.parametrize(("cmd", "name"), [(INIT, "upload_id"), (FINISH, "media_id")])
async def test_an_acknowledgement_without_its_id(rig: Rig, wecom: WeCom, body: Frame, cmd: str, name: str) -> None:
    peer = await rig.ready()
    wecom.bodies[cmd] = body
    with pytest.raises(ChannelError, match=f"^WeCom took the picture but gave no {name}$"):
        await rig.channel.send_image(ROOM, True, SMALL)
    assert not bodies(peer, SEND)


# -- lost connections


@pytest.mark.parametrize("step", [INIT, CHUNK, FINISH])
@pytest.mark.parametrize("how", ["cut", "silent", "unsubscribed"])
async def test_an_upload_cut_off_is_begun_anew_once(rig: Rig, wecom: WeCom, step: str, how: str) -> None:
    peer = await rig.ready()
    wecom.script[step] = [846609] if how == "unsubscribed" else [None]
    send = asyncio.create_task(rig.channel.send_image(ROOM, True, BIG))
    await peer.got(step)
    if how == "silent":
        await rig.time.asleep(20)
        await rig.time.move(20)
    else:
        if how == "cut":
            peer.cut()
        peer = await redialled(rig, wecom)
    await send
    assert kinds(peer)[-6:] == ["init", "chunk", "chunk", "chunk", "finish", "send_msg"]
    assert numbers(peer)[-3:] == [0, 1, 2]
    assert len(bodies(peer, SEND)) == 1


async def test_an_upload_cut_off_twice_is_an_error_and_not_doubtful(rig: Rig, wecom: WeCom) -> None:
    peer = await rig.ready()
    wecom.script[CHUNK] = [None, None]
    send = asyncio.create_task(rig.channel.send_image(ROOM, True, BIG))
    await peer.got(CHUNK)
    peer.cut()
    peer = await redialled(rig, wecom)
    await peer.got(CHUNK)
    peer.cut()
    with pytest.raises(ChannelError, match=r"^the picture could not be uploaded: the connection was lost") as caught:
        await send
    assert (caught.value.errcode, caught.value.sent) == (0, False)


async def test_a_picture_without_acknowledgement_is_never_sent_twice(rig: Rig, wecom: WeCom) -> None:
    peer = await rig.ready()
    wecom.script[SEND] = [None]
    send = asyncio.create_task(rig.channel.send_image(ROOM, True, SMALL))
    await peer.got(SEND)
    await rig.time.move(5)
    with pytest.raises(ChannelError, match="did not acknowledge") as caught:
        await send
    assert caught.value.sent
    assert len(bodies(peer, SEND)) == 1


# -- limits


@pytest.mark.parametrize("errcode", [45009, 45033, -1])
@pytest.mark.parametrize("step", [INIT, CHUNK, FINISH, SEND])
async def test_throttled_goes_on_where_it_was(rig: Rig, wecom: WeCom, step: str, errcode: int) -> None:
    peer = await rig.ready()
    wecom.script[step] = [errcode]
    send = asyncio.create_task(rig.channel.send_image(ROOM, True, SMALL))
    await peer.got(step)
    await rig.time.asleep(2)
    await rig.time.move(2)
    await send
    expected = [INIT, CHUNK, FINISH, SEND]
    assert [frame["cmd"] for frame in peer.frames[1:]] == [cmd for cmd in expected for _ in range(1 + (cmd == step))]
    assert set(numbers(peer)) == {0}
    assert rig.observed["throttled"] == 1


async def test_throttled_for_ever_says_nothing_about_counting(rig: Rig, wecom: WeCom) -> None:
    peer = await rig.ready()
    wecom.default[CHUNK] = 45009
    send = asyncio.create_task(rig.channel.send_image(ROOM, True, SMALL))
    for pause in (2, 15, 61):
        await peer.got(CHUNK)
        await rig.time.asleep(pause)
        await rig.time.move(pause)
    with pytest.raises(ChannelError, match=r"^WeCom refused the picture: 45009 refused$"):
        await send
    assert numbers(peer) == [0] * 4


async def test_30_upload_frames_a_minute_over_all_chats(rig: Rig) -> None:
    peer = await rig.ready()
    sends = [asyncio.create_task(rig.channel.send_image(f"wrk{number}", True, SMALL)) for number in range(12)]
    for number in range(10):
        assert (await peer.got(SEND))["body"]["chatid"] == f"wrk{number}"
    await rig.time.asleep(61)
    await rig.time.move(60.5)
    assert len(bodies(peer, SEND)) == 10
    await rig.time.move(0.5)
    await asyncio.gather(*sends)
    assert len(bodies(peer, SEND)) == 12


async def test_one_picture_at_a_time(rig: Rig, wecom: WeCom) -> None:
    peer = await rig.ready()
    wecom.script[CHUNK] = [None]
    sends = [asyncio.create_task(rig.channel.send_image(ROOM, True, SMALL)) for _ in range(2)]
    waiting = await peer.got(CHUNK)
    await rig.channel.send(ROOM, True, "text finds its way between")
    assert kinds(peer) == ["init", "chunk", "send_msg"]
    await peer.ack(waiting)
    await asyncio.gather(*sends)
    steps = [kind for kind in kinds(peer) if kind != "send_msg"]
    assert steps == ["init", "chunk", "finish"] * 2


async def test_a_picture_takes_its_turn_in_the_chat_behind_replies(rig: Rig) -> None:
    peer = await rig.ready()
    message = await rig.heard(peer)
    pushes = [asyncio.create_task(rig.channel.send(ROOM, True, "push")) for _ in range(24)]
    for _ in range(24):
        await peer.got(SEND)
    picture = asyncio.create_task(rig.channel.send_image(ROOM, True, SMALL))
    await peer.got(FINISH)
    await rig.channel.reply(message, "reply")
    await peer.got(RESPOND)
    assert not picture.done()
    await rig.time.asleep(61)
    await rig.time.move(61)
    assert (await peer.got(SEND))["body"]["msgtype"] == "image"
    await asyncio.gather(picture, *pushes)


# -- stop


async def test_stop_tells_those_who_upload_or_wait(rig: Rig, wecom: WeCom) -> None:
    peer = await rig.ready()
    wecom.default[CHUNK] = None
    sends = [asyncio.create_task(rig.channel.send_image(ROOM, True, SMALL)) for _ in range(3)]
    await peer.got(CHUNK)
    await rig.channel.stop()
    outcomes = await asyncio.gather(*sends, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["not connected: stopped"] * 3


async def test_stop_tells_who_is_throttled(rig: Rig, wecom: WeCom) -> None:
    peer = await rig.ready()
    wecom.default[INIT] = 45009
    send = asyncio.create_task(rig.channel.send_image(ROOM, True, SMALL))
    await peer.got(INIT)
    await rig.time.asleep(2)
    await settle()
    await rig.channel.stop()
    with pytest.raises(ChannelError, match="stopped before this could be sent"):
        await send
