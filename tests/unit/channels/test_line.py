"""The long connection: subscribing, pings, every kind of end, dialling again."""

import asyncio

import aiohttp
import pytest

from bot.errors import ChannelError

from .conftest import BOT_ID, ROOM, SECRET, Rig, WeCom, settle

PAUSES = [0.875, 1.75, 3.5, 7.0, 14.0, 26.25, 26.25]  # rng 0.5: 7/8 of 1, 2, 4 … 30


async def test_ready_only_after_the_subscription_is_acknowledged(rig: Rig, wecom: WeCom) -> None:
    assert rig.channel.problem == "not connected: not started"
    wecom.script["aibot_subscribe"] = [None]
    await rig.start()
    peer = await wecom.peer()
    frame = await peer.got("aibot_subscribe")
    assert frame["body"] == {"bot_id": BOT_ID, "secret": SECRET}
    assert not rig.channel.ready
    assert rig.channel.problem == "not connected: connecting"
    await peer.ack(frame)
    await rig.until(lambda: rig.channel.ready)
    assert rig.channel.problem == ""


async def test_pings_every_30_seconds(rig: Rig) -> None:
    peer = await rig.ready()
    for beat in (1, 2, 3):
        await rig.time.asleep(30)
        await rig.time.move(30)
        assert (await peer.got("ping"))["cmd"] == "ping"
        await rig.until(lambda beat=beat: rig.observed["pong"] == beat)  # type: ignore[misc]
        assert rig.channel.last_pong_at == rig.time.now
    assert len({frame["headers"]["req_id"] for frame in peer.frames}) == 4


async def test_two_missed_pongs_are_the_end(rig: Rig, wecom: WeCom) -> None:
    """A half-open line: nothing comes back, and the socket says nothing."""
    peer = await rig.ready()
    wecom.default["ping"] = None
    for missed in (1, 2):
        await rig.time.asleep(30)
        await rig.time.move(30)
        await peer.got("ping")
        await rig.time.move(5)
        await rig.until(lambda missed=missed: rig.observed["pong_missed"] == missed)  # type: ignore[misc]
    await rig.until(lambda: not rig.channel.ready)
    await rig.time.asleep(PAUSES[0])
    assert rig.channel.problem == "not connected: no answer to 2 pings"
    await rig.time.move(1)
    await rig.ready()


async def test_one_missed_pong_is_forgiven(rig: Rig, wecom: WeCom) -> None:
    peer = await rig.ready()
    wecom.script["ping"] = [None, 0, None, 0]
    for _ in range(2):
        await rig.time.asleep(30)
        await rig.time.move(30)
        await peer.got("ping")
        await rig.time.move(5)
        await rig.time.asleep(30)
        await rig.time.move(30)
        await peer.got("ping")
        await rig.until(lambda: rig.observed["pong"] > 0)
    assert rig.channel.ready


@pytest.mark.parametrize(
    ("how", "why"),
    [
        (1000, "closed by the server (1000)"),
        (1001, "closed by the server (1001)"),
        (1011, "closed by the server (1011)"),
        (None, "dropped without a close frame"),
    ],
)
async def test_dials_again_after_any_end(rig: Rig, how: int | None, why: str) -> None:
    peer = await rig.ready()
    await (peer.close(how) if how else _cut(peer.cut))
    await rig.time.asleep(PAUSES[0])
    assert rig.channel.problem == f"not connected: {why}"
    assert not rig.alarms
    await rig.time.move(PAUSES[0])
    await rig.ready()
    assert rig.observed["connected"] == 2


async def _cut(cut: object) -> None:
    assert callable(cut)
    cut()


async def test_pauses_double_to_30_seconds_and_start_again_after_a_stable_connection(rig: Rig, wecom: WeCom) -> None:
    await rig.start()
    for pause in PAUSES:
        peer = await wecom.peer()
        await peer.got("aibot_subscribe")
        await rig.until(lambda: rig.channel.ready)
        await peer.close()
        await rig.until(lambda: not rig.channel.ready)
        assert await rig.time.asleep(pause) == pause
        await rig.time.move(pause)
    peer = await rig.ready()
    for beat in (1, 2):
        await rig.time.asleep(30)
        await rig.time.move(30)
        await rig.until(lambda beat=beat: rig.observed["pong"] == beat)  # type: ignore[misc]
    await peer.close()
    assert await rig.time.asleep(PAUSES[0]) == PAUSES[0]


async def test_jitter_spreads_a_pause_over_its_last_quarter(rig: Rig, wecom: WeCom) -> None:
    wecom.refuse_dial = True
    for rig.luck, pause in ((0.0, 0.75), (0.999999, 1.0)):
        await rig.start()
        assert await rig.time.asleep(pause - 0.001, pause) == pytest.approx(pause, abs=1e-5)
        await rig.channel.stop()


async def test_a_refused_dial_is_tried_again(rig: Rig, wecom: WeCom) -> None:
    wecom.refuse_dial = True
    await rig.start()
    await rig.time.asleep(PAUSES[0])
    assert rig.channel.problem.startswith("not connected: cannot connect (WSServerHandshakeError: 502")
    wecom.refuse_dial = False
    await rig.time.move(1)
    await rig.ready()


async def test_a_dial_that_hangs_is_given_up(rig: Rig) -> None:
    dialled = asyncio.Event()

    async def hang(url: str) -> aiohttp.ClientWebSocketResponse:
        dialled.set()
        await asyncio.Event().wait()
        raise AssertionError

    rig.dial = hang
    await rig.start()
    await dialled.wait()
    await rig.time.move(15)
    await rig.time.asleep(PAUSES[0])
    assert rig.channel.problem == "not connected: cannot connect (no answer in time)"


async def test_a_mistake_in_connect_does_not_kill_the_line(rig: Rig) -> None:
    async def broken(url: str) -> aiohttp.ClientWebSocketResponse:
        raise KeyError(url)

    rig.dial = broken
    await rig.start()
    await rig.time.asleep(PAUSES[0])
    assert rig.channel.problem == "not connected: internal error (KeyError)"
    rig.dial = rig.connect
    await rig.time.move(1)
    await rig.ready()


async def test_a_kick_stops_it_for_good(rig: Rig, wecom: WeCom) -> None:
    peer = await rig.ready()
    await peer.kick()
    await rig.alarmed.wait()
    await peer.closed.wait()
    await settle()
    assert rig.alarms == [("kicked", "kicked by another connection")]
    assert rig.channel.problem == "kicked by another connection"
    assert not rig.channel.ready
    await rig.time.move(3600)
    assert wecom.dials == 1
    with pytest.raises(ChannelError, match=r"^kicked by another connection$"):
        await rig.channel.send(ROOM, True, "nobody hears this")
    rig.channel.resume()
    await rig.ready()
    assert rig.channel.problem == ""


@pytest.mark.parametrize("errcode", [853000, 40001, 40013])
async def test_bad_credentials_stop_it_for_good(rig: Rig, wecom: WeCom, errcode: int) -> None:
    wecom.script["aibot_subscribe"] = [errcode]
    await rig.start()
    peer = await wecom.peer()
    await rig.alarmed.wait()
    await peer.closed.wait()
    text = f"bad bot_id or secret ({errcode})"
    assert rig.alarms == [("rejected", text)]
    assert rig.channel.problem == text
    await rig.time.move(3600)
    assert wecom.dials == 1
    rig.channel.resume()
    await rig.ready()


async def test_silence_after_subscribing_does_not_hang(rig: Rig, wecom: WeCom) -> None:
    wecom.script["aibot_subscribe"] = [None]
    await rig.start()
    peer = await wecom.peer()
    await peer.got("aibot_subscribe")
    await rig.time.move(10)
    await rig.time.asleep(PAUSES[0])
    why = "no answer to the subscription within 10 s; are bot_id and secret right?"
    assert rig.channel.problem == f"not connected: {why}"
    await rig.time.move(1)
    await rig.ready()


async def test_another_refusal_of_the_subscription_is_tried_again_and_keeps_the_secret(rig: Rig, wecom: WeCom) -> None:
    wecom.script["aibot_subscribe"] = [None]
    await rig.start()
    peer = await wecom.peer()
    await peer.ack(await peer.got("aibot_subscribe"), 45009, f"too often for {SECRET}, hint: [1], from ip: 1.2.3.4")
    await rig.time.asleep(PAUSES[0])
    assert rig.channel.problem == "not connected: subscription refused: 45009 too often for ***"
    await rig.time.move(1)
    await rig.ready()


async def test_a_kick_or_close_instead_of_the_acknowledgement(rig: Rig, wecom: WeCom) -> None:
    wecom.script["aibot_subscribe"] = [None, None]
    await rig.start()
    peer = await wecom.peer()
    await peer.got("aibot_subscribe")
    await peer.close(1001)
    await rig.time.asleep(PAUSES[0])
    assert rig.channel.problem == "not connected: closed by the server (1001)"
    await rig.time.move(1)
    peer = await wecom.peer()
    await peer.got("aibot_subscribe")
    await peer.kick()
    await rig.alarmed.wait()
    assert rig.channel.problem == "kicked by another connection"


async def test_not_subscribed_any_more_is_an_end(rig: Rig, wecom: WeCom) -> None:
    await rig.ready()
    wecom.script["ping"] = [846609]
    await rig.time.asleep(30)
    await rig.time.move(30)
    await rig.time.asleep(PAUSES[0])
    assert rig.channel.problem == "not connected: WeCom says that we are not subscribed (846609)"


async def test_a_failing_alarm_harms_nothing(rig: Rig) -> None:
    def fail(kind: str, text: str) -> None:
        rig.alarmed.set()
        raise RuntimeError(kind)

    rig.on_alarm = fail
    peer = await rig.ready()
    await peer.kick()
    await rig.alarmed.wait()
    await settle()
    assert not rig.channel._line.running
    rig.channel.resume()
    await rig.ready()


async def test_start_and_resume_do_nothing_while_it_runs(rig: Rig, wecom: WeCom) -> None:
    await rig.ready()
    await rig.start()
    rig.channel.resume()
    await settle()
    assert wecom.dials == 1


# -- stop, in each phase; the fixture looks for what is left


async def test_stop_before_start_and_twice(rig: Rig) -> None:
    await rig.channel.stop()
    await rig.channel.stop()
    assert rig.channel.problem == "not connected: stopped"


async def test_stop_while_dialling(rig: Rig) -> None:
    await rig.start()
    await asyncio.sleep(0)
    await rig.channel.stop()
    assert rig.channel.problem == "not connected: stopped"


async def test_stop_just_when_the_dial_has_succeeded(rig: Rig) -> None:
    """The socket that nobody got to see is closed."""
    opened: list[aiohttp.ClientWebSocketResponse] = []

    async def connect(url: str) -> aiohttp.ClientWebSocketResponse:
        opened.append(await rig.connect(url))
        rig.channel._line._task.cancel()  # type: ignore[union-attr]
        return opened[0]

    rig.dial = connect
    await rig.start()
    await rig.wecom.peer()
    while rig.channel._line.running:
        await settle()
    assert opened[0].closed


async def test_stop_while_subscribing(rig: Rig, wecom: WeCom) -> None:
    wecom.script["aibot_subscribe"] = [None]
    await rig.start()
    peer = await wecom.peer()
    await peer.got("aibot_subscribe")
    await rig.channel.stop()
    await peer.closed.wait()


async def test_stop_while_waiting_to_dial_again(rig: Rig) -> None:
    peer = await rig.ready()
    await peer.close()
    await rig.time.asleep(PAUSES[0])
    await rig.channel.stop()
    await rig.time.move(60)
    assert rig.wecom.dials == 1


async def test_stop_during_a_ping(rig: Rig, wecom: WeCom) -> None:
    peer = await rig.ready()
    wecom.default["ping"] = None
    await rig.time.asleep(30)
    await rig.time.move(30)
    await peer.got("ping")
    await rig.channel.stop()
    await peer.closed.wait()


async def test_stop_after_a_kick(rig: Rig) -> None:
    peer = await rig.ready()
    await peer.kick()
    await rig.alarmed.wait()
    await rig.channel.stop()


async def test_starts_again_after_stop(rig: Rig) -> None:
    await rig.ready()
    await rig.channel.stop()
    with pytest.raises(ChannelError, match=r"^not connected: stopped$"):
        await rig.channel.send(ROOM, True, "too late")
    peer = await rig.ready()
    await rig.heard(peer)
