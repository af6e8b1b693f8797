"""FakeChannel and the long connection, FakeLifeline and the robot: both tell alike how far a message has come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import aiohttp
import pytest

from bot.channels.aibot import AibotChannel
from bot.channels.webhook import WebhookChannel
from bot.errors import CardRefused, ChannelError, Overtaken
from bot.handing import Handing
from bot.model import Button, Card
from bot.sandbox import Sandbox, SandboxConfig
from tests.fakes import FakeChannel, FakeLifeline, raising

ROOM, LISI = "wrkRoom", "lisi"
REFUSED = 93006
CARD = Card("al-12-y", "小林 等待 18 分钟", buttons=(Button("结束", "end:12"),))


@dataclass
class Told(Handing):
    """Of a message: what was told of it, and how much the group had seen by then."""

    seen: Callable[[], int]
    steps: list[tuple[str, int]] = field(default_factory=list)
    overtaken: bool = False

    async def out(self) -> None:
        self.steps.append(("out", self.seen()))
        if self.overtaken:
            raise Overtaken

    async def back(self) -> None:
        self.steps.append(("back", self.seen()))


@dataclass
class Way:
    """`say` says something in the group, `seen` counts what it has heard, `refuse` has the next one refused."""

    say: Callable[[Handing], Awaitable[None]]
    seen: Callable[[], int]
    refuse: Callable[[], object]


@asynccontextmanager
async def wecom() -> AsyncIterator[Sandbox]:
    sandbox = Sandbox(SandboxConfig())
    sandbox.group_new("客服值班群", {LISI: "李四"}, ROOM)
    sandbox.groups.groups[ROOM].opened = True
    async with sandbox.serve():
        yield sandbox


def heard(sandbox: Sandbox) -> int:
    return len(sandbox.group_messages(ROOM))


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Sandbox, AibotChannel]]:
    async with wecom() as sandbox, aiohttp.ClientSession() as session:
        ready = asyncio.Event()
        channel = AibotChannel(
            bot_id=sandbox.config.bot_id, secret=sandbox.config.bot_secret, name="kfbot", url=sandbox.ws_url,
            connect=session.ws_connect, on_alarm=lambda kind, text: None,
            observe=lambda event: ready.set() if event == "connected" else None,
        )  # fmt: skip

        async def nobody(_: object) -> None: ...

        await channel.start(nobody, nobody)
        await ready.wait()
        yield sandbox, channel
        await channel.stop()


@asynccontextmanager
async def real_text() -> AsyncIterator[Way]:
    async with connected() as (sandbox, channel):
        refuse = partial(sandbox.fault, "aibot_send_msg", "errcode", errcode=REFUSED)
        yield Way(lambda handing: channel.send(ROOM, True, "hi", handing), lambda: heard(sandbox), refuse)


@asynccontextmanager
async def real_card() -> AsyncIterator[Way]:
    async with connected() as (sandbox, channel):
        refuse = partial(sandbox.fault, "aibot_send_msg", "errcode", errcode=REFUSED)
        yield Way(lambda handing: channel.send_card(ROOM, True, CARD, handing), lambda: heard(sandbox), refuse)


@asynccontextmanager
async def real_robot() -> AsyncIterator[Way]:
    async with wecom() as sandbox, aiohttp.ClientSession() as session:

        async def post(url: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
            async with session.post(url, json=body) as response:
                answer: Mapping[str, Any] = await response.json()
                return answer

        robot = WebhookChannel(f"{sandbox.base_url}/cgi-bin/webhook/send?key={sandbox.config.webhook_key}", post)
        refuse = partial(sandbox.fault, "webhook/send", "errcode", errcode=REFUSED)
        yield Way(lambda handing: robot.send("hi", handing), lambda: heard(sandbox), refuse)


@asynccontextmanager
async def fake_text() -> AsyncIterator[Way]:
    channel = FakeChannel()
    refuse = partial(channel.before, "send", raising(ChannelError("refused", REFUSED)))
    yield Way(lambda handing: channel.send(ROOM, True, "hi", handing), lambda: len(channel.sent), refuse)


@asynccontextmanager
async def fake_card() -> AsyncIterator[Way]:
    channel = FakeChannel()
    refuse = partial(channel.before, "send_card", raising(ChannelError("refused", REFUSED)))
    yield Way(lambda handing: channel.send_card(ROOM, True, CARD, handing), lambda: len(channel.cards), refuse)


@asynccontextmanager
async def fake_robot() -> AsyncIterator[Way]:
    robot = FakeLifeline()

    def refuse() -> None:
        robot.problem = "refused"

    yield Way(lambda handing: robot.send("hi", handing), lambda: len(robot.sent), refuse)


@pytest.fixture(params=[fake_text, fake_card, fake_robot, real_text, real_card, real_robot])
async def way(request: pytest.FixtureRequest) -> AsyncIterator[Way]:
    async with request.param() as way:
        yield way


async def test_it_is_told_before_anybody_can_have_heard(way: Way) -> None:
    told = Told(way.seen)
    await way.say(told)
    assert (told.steps, way.seen()) == ([("out", 0)], 1)


async def test_what_is_overtaken_is_not_sent(way: Way) -> None:
    told = Told(way.seen, overtaken=True)
    with pytest.raises(Overtaken):
        await way.say(told)
    assert (told.steps, way.seen()) == ([("out", 0)], 0)


async def test_what_is_refused_has_not_gone(way: Way) -> None:
    told = Told(way.seen)
    way.refuse()
    with pytest.raises(ChannelError):
        await way.say(told)
    assert told.steps in ([], [("out", 0), ("back", 0)])
    assert way.seen() == 0


async def test_nor_has_a_card_where_there_are_none() -> None:
    channel = FakeChannel(takes_cards=False)
    told = Told(lambda: len(channel.cards))
    with suppress(CardRefused):
        await channel.send_card(ROOM, True, CARD, told)
    assert told.steps == [("out", 0), ("back", 0)]
