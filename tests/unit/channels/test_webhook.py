"""The lifeline: sends markdown and pictures, keeps the limits, tells no key."""

import asyncio
import base64
import hashlib
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest

from bot.channels.webhook import WebhookChannel
from bot.errors import ChannelError
from bot.handing import Handing

from .conftest import MovedTime, settle

URL = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=KEY-1234"


class Robot:
    """Answers as `answers` say, then errcode 0."""

    def __init__(self, time: MovedTime) -> None:
        self.time = time
        self.bodies: list[Mapping[str, Any]] = []
        self.times: list[float] = []
        self.answers: list[Mapping[str, Any] | Exception] = []
        self.channel = WebhookChannel(URL, self.post, time.clock, time.sleep)

    async def post(self, url: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        assert url == URL
        self.bodies.append(body)
        self.times.append(self.time.now)
        answer = self.answers.pop(0) if self.answers else {"errcode": 0, "errmsg": "ok"}
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def robot(time: MovedTime) -> Robot:
    return Robot(time)


async def test_markdown(robot: Robot) -> None:
    await robot.channel.send("**alert**")
    assert robot.bodies == [{"msgtype": "markdown", "markdown": {"content": "**alert**"}}]


async def test_markdown_is_cut(robot: Robot) -> None:
    await robot.channel.send("急" * 2000)
    sent = robot.bodies[0]["markdown"]["content"]
    assert sent == "急" * 1364 + "…"
    assert len(sent.encode()) <= 4096


async def test_a_picture(robot: Robot) -> None:
    png = b"\x89PNG rest"
    await robot.channel.send_image(png)
    image = {"base64": base64.b64encode(png).decode(), "md5": hashlib.md5(png).hexdigest()}
    assert robot.bodies == [{"msgtype": "image", "image": image}]


async def test_a_picture_too_large(robot: Robot) -> None:
    with pytest.raises(ChannelError, match="2097153 bytes"):
        await robot.channel.send_image(b"x" * (2097152 + 1))
    assert not robot.bodies


async def test_20_a_minute(robot: Robot, time: MovedTime) -> None:
    sends = [asyncio.create_task(robot.channel.send(str(number))) for number in range(50)]
    await settle()
    assert len(robot.bodies) == 20
    while not all(send.done() for send in sends):
        await time.move_to_next()
    assert [body["markdown"]["content"] for body in robot.bodies] == [str(number) for number in range(50)]
    assert all(later - sooner >= 60 for sooner, later in zip(robot.times, robot.times[20:], strict=False))
    assert robot.times[-1] - robot.times[0] == pytest.approx(122)


async def test_too_many_waits_for_the_next_minute(robot: Robot, time: MovedTime) -> None:
    robot.answers = [{"errcode": 45009, "errmsg": "api freq out of limit"}]
    send = asyncio.create_task(robot.channel.send("alert"))
    await time.asleep(61)
    await time.move(60.9)
    assert len(robot.bodies) == 1
    await time.move(0.1)
    await send
    assert len(robot.bodies) == 2


async def test_too_many_for_ever(robot: Robot, time: MovedTime) -> None:
    robot.answers = [{"errcode": 45009, "errmsg": "api freq out of limit"}] * 3
    send = asyncio.create_task(robot.channel.send("alert"))
    for _ in range(2):
        await time.asleep(61)
        await time.move(61)
    with pytest.raises(ChannelError, match=r"^webhook: 45009 api freq out of limit$") as caught:
        await send
    assert caught.value.errcode == 45009


@pytest.mark.parametrize(
    ("errcode", "remedy"),
    [(93000, "set group.webhook.url anew"), (93004, "enable it"), (93008, "add it, or set group.webhook.url anew")],
)
async def test_refusals_tell_the_remedy(robot: Robot, errcode: int, remedy: str) -> None:
    robot.answers = [{"errcode": errcode, "errmsg": "invalid webhook url KEY-1234, hint: [1], from ip: 1.2.3.4"}]
    with pytest.raises(ChannelError, match=f"^webhook: {errcode} .*{remedy}") as caught:
        await robot.channel.send("alert")
    assert caught.value.errcode == errcode
    assert len(robot.bodies) == 1


@pytest.mark.parametrize("trouble", [{"errcode": -1, "errmsg": "busy"}, {"errcode": 45033}, aiohttp.ClientError(URL)])
async def test_trouble_is_tried_three_times(robot: Robot, time: MovedTime, trouble: Any) -> None:
    robot.answers = [trouble, trouble]
    send = asyncio.create_task(robot.channel.send("alert"))
    for pause in (1, 4):
        await time.asleep(pause)
        await time.move(pause)
    await send
    assert len(robot.bodies) == 3


@pytest.mark.parametrize(
    "answer",
    [
        {"errcode": 40058, "errmsg": f"bad {URL}"},
        {"errcode": "KEY-1234", "errmsg": "KEY-1234"},
        aiohttp.ClientError(URL),
        TimeoutError(URL),
        aiohttp.InvalidURL(URL),
        ValueError(URL),
    ],
)
async def test_the_key_is_told_nowhere(robot: Robot, time: MovedTime, answer: Any) -> None:
    robot.answers = [answer] * 3
    send = asyncio.create_task(robot.channel.send("alert"))
    await settle()
    while not send.done():
        await time.move_to_next()
    with pytest.raises(ChannelError) as caught:
        await send
    assert "KEY" not in str(caught.value) + repr(caught.value) + repr(robot.channel)
    assert caught.value.__context__ is None


async def test_stop_tells_those_who_wait(robot: Robot, time: MovedTime) -> None:
    sends = [asyncio.create_task(robot.channel.send("alert")) for _ in range(21)]
    await settle()
    await robot.channel.stop()
    with pytest.raises(ChannelError, match="stopped"):
        await sends[20]
    assert not time.naps()


class Told(Handing):
    def __init__(self) -> None:
        self.steps: list[str] = []

    async def out(self) -> None:
        self.steps.append("out")

    async def back(self) -> None:
        self.steps.append("back")


@pytest.mark.parametrize(
    ("answer", "pause", "steps"),
    [
        ({"errcode": 45009}, 61, ["out", "back", "out"]),
        ({"errcode": 45033}, 1, ["out", "back", "out"]),
        (TimeoutError(), 1, ["out", "out"]),  # it may have arrived
    ],
    ids=["too many", "busy", "no answer"],
)
async def test_what_is_refused_for_now_is_not_out_while_it_waits(
    robot: Robot, time: MovedTime, answer: Any, pause: float, steps: list[str]
) -> None:
    robot.answers = [answer]
    told = Told()
    send = asyncio.create_task(robot.channel.send("alert", told))
    await time.asleep(pause)
    assert told.steps == steps[:-1]
    await time.move(pause)
    await send
    assert told.steps == steps
