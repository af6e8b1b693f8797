"""The channel against the simulated WeCom, over real sockets."""

import asyncio
import base64
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from bot.channels.webhook import WebhookChannel
from bot.errors import CardRefused, ChannelError
from bot.model import Button, Card
from bot.sandbox import Sandbox, SandboxConfig

from .conftest import BOT_ID, LISI, ROOM, SECRET, MovedTime, Rig, WeCom

CARD = Card(
    "al-12-a", "小林 等待 18 分钟", "售前咨询", "@kfbot /end 12", (("接待人", "李四"),), (Button("结束", "end:12"),)
)
PNG = b"\x89PNG\r\n\x1a\n" + random.Random(0).randbytes(700_000)
DONE = Card("", "已结束", buttons=(Button("李四 已结束", "noop:12", 4),))


@dataclass
class Group:
    """The channel, and the group it talks in."""

    sandbox: Sandbox
    rig: Rig

    async def post(self, url: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        async with self.rig.session.post(url, json=body) as response:
            answer: Mapping[str, Any] = await response.json()
            return answer

    async def ready(self) -> None:
        await self.rig.start()
        await self.rig.until(lambda: self.rig.channel.ready)

    async def redialled(self) -> None:
        await self.rig.time.asleep(0.875)
        await self.rig.time.move(1)
        await self.rig.until(lambda: self.rig.channel.ready)

    async def opened(self) -> None:
        await self.ready()
        self.sandbox.group_message(ROOM, LISI, "@kfbot hi")
        await self.rig.messages.get()

    def pictures(self) -> list[bytes]:
        """What the group sees, as bytes again."""
        shown = [message.image for message in self.sandbox.group_messages(ROOM) if message.msgtype == "image"]
        head = "data:image/png;base64,"
        assert all(image is not None and image.startswith(head) for image in shown)
        return [base64.b64decode((image or "").removeprefix(head)) for image in shown]

    def said(self) -> list[str]:
        return [message.text for message in self.sandbox.group_messages(ROOM) if message.source != "member"]


@pytest.fixture
async def group(time: MovedTime) -> AsyncIterator[Group]:
    sandbox = Sandbox(SandboxConfig(bot_id=BOT_ID, bot_secret=SECRET), now=lambda: 1_700_000_000.0 + time.now)
    sandbox.group_new("客服值班群", {LISI: "李四"}, ROOM)
    async with sandbox.serve(), aiohttp.ClientSession() as session:
        wecom = WeCom()
        wecom.url = sandbox.ws_url
        group = Group(sandbox, Rig(wecom, time, session))
        group.rig.post = group.post
        yield group
        await group.rig.channel.stop()


async def test_hears_replies_and_pushes(group: Group) -> None:
    await group.ready()
    group.sandbox.group_message(ROOM, LISI, "@kfbot /end wm7l")
    message = await group.rig.messages.get()
    assert (message.text, message.chat_id, message.userid, message.is_group) == ("/end wm7l", ROOM, LISI, True)
    await group.rig.channel.reply(message, "**done**")
    await group.rig.channel.send(ROOM, True, "alert")
    assert group.said() == ["**done**", "alert"]


async def test_a_card_is_tapped_and_changed(group: Group) -> None:
    await group.ready()
    group.sandbox.group_message(ROOM, LISI, "@kfbot hi")
    await group.rig.messages.get()
    await group.rig.channel.send_card(ROOM, True, CARD)
    shown = group.sandbox.group_messages(ROOM)[-1]
    group.sandbox.tap(ROOM, LISI, shown.id, "end:12")
    tap = await group.rig.taps.get()
    assert (tap.key, tap.task_id) == ("end:12", "al-12-a")
    await group.rig.channel.update_card(tap, DONE)
    assert shown.card is not None
    assert shown.card["main_title"]["title"] == "已结束"
    with pytest.raises(ChannelError, match="42014") as caught:
        await group.rig.channel.send_card(ROOM, True, CARD)
    assert not isinstance(caught.value, CardRefused)


async def test_cards_refused(group: Group) -> None:
    await group.ready()
    group.sandbox.group_message(ROOM, LISI, "@kfbot hi")
    await group.rig.messages.get()
    group.sandbox.groups.cards_in_groups = False
    with pytest.raises(CardRefused, match="40008"):
        await group.rig.channel.send_card(ROOM, True, CARD)


async def test_a_chat_nobody_has_opened(group: Group) -> None:
    await group.ready()
    with pytest.raises(ChannelError, match="86001"):
        await group.rig.channel.send(ROOM, True, "alert")


async def test_a_picture_arrives_whole(group: Group) -> None:
    await group.opened()
    await group.rig.channel.send_image(ROOM, True, PNG)
    assert group.pictures() == [PNG]


async def test_a_picture_whose_chunks_are_counted_from_1(group: Group) -> None:
    await group.opened()
    group.sandbox.fault("aibot_upload_media_chunk", "errcode", errcode=40058)
    await group.rig.channel.send_image(ROOM, True, PNG)
    assert group.pictures() == [PNG]


@pytest.mark.parametrize("kind", ["reset_before", "reset_after"])
@pytest.mark.parametrize("step", ["init", "chunk", "finish"])
async def test_a_reset_while_uploading_shows_the_picture_once(group: Group, step: str, kind: str) -> None:
    await group.opened()
    group.sandbox.fault(f"aibot_upload_media_{step}", kind)
    send = asyncio.create_task(group.rig.channel.send_image(ROOM, True, PNG))
    await group.redialled()
    await send
    assert group.pictures() == [PNG]


async def test_a_picture_for_a_chat_nobody_has_opened(group: Group) -> None:
    await group.ready()
    with pytest.raises(ChannelError, match="86001"):
        await group.rig.channel.send_image(ROOM, True, PNG)


@pytest.mark.parametrize("how", ["drop", "close"])
async def test_survives_a_broken_line(group: Group, how: str) -> None:
    await group.ready()
    group.sandbox.group_message(ROOM, LISI, "@kfbot /status")
    message = await group.rig.messages.get()
    getattr(group.sandbox.line, how)()
    await group.redialled()
    await group.rig.channel.reply(message, "after all")
    assert group.said() == ["after all"]


async def test_survives_a_half_open_line(group: Group) -> None:
    await group.ready()
    group.sandbox.line.half_open()
    for missed in (1, 2):
        await group.rig.time.asleep(30)
        await group.rig.time.move(30)
        await group.rig.time.asleep(5)
        await group.rig.time.move(5)
        await group.rig.until(lambda missed=missed: group.rig.observed["pong_missed"] == missed)  # type: ignore[misc]
    await group.redialled()


async def test_a_kick_and_an_operator(group: Group) -> None:
    await group.ready()
    group.sandbox.group_message(ROOM, LISI, "@kfbot /status")
    message = await group.rig.messages.get()
    group.sandbox.line.kick()
    await group.rig.alarmed.wait()
    assert group.rig.alarms == [("kicked", "kicked by another connection")]
    await group.rig.channel.reply(message, "by response_url")
    with pytest.raises(ChannelError, match="response_url failed") as caught:
        await group.rig.channel.reply(message, "the address works once")
    assert "response_code=" not in str(caught.value)
    assert group.said() == ["by response_url"]
    group.rig.channel.resume()
    await group.rig.until(lambda: group.rig.channel.ready)


async def test_a_bad_secret(group: Group) -> None:
    group.sandbox.fault("aibot_subscribe", "errcode", errcode=853000)
    await group.rig.start()
    await group.rig.alarmed.wait()
    assert group.rig.channel.problem == "bad bot_id or secret (853000)"


@pytest.mark.parametrize("kind", ["reset_before", "reset_after"])
async def test_a_reset_while_sending(group: Group, kind: str) -> None:
    """With the message lost it comes later; with the acknowledgement lost it comes twice."""
    await group.ready()
    group.sandbox.group_message(ROOM, LISI, "@kfbot /status")
    message = await group.rig.messages.get()
    group.sandbox.fault("aibot_respond_msg", kind)
    reply = asyncio.create_task(group.rig.channel.reply(message, "here"))
    await group.redialled()
    await reply
    assert group.said() == ["here"] * (1 if kind == "reset_before" else 2)


async def test_an_alert_storm_is_never_refused(group: Group) -> None:
    await group.ready()
    group.sandbox.group_message(ROOM, LISI, "@kfbot hi")
    await group.rig.messages.get()
    sends = [asyncio.create_task(group.rig.channel.send(ROOM, True, f"alert {number}")) for number in range(60)]
    for last in ("alert 23", "alert 47"):
        await group.sandbox.wait_for_group_message(lambda said, last=last: said.text == last)  # type: ignore[misc]
        await group.rig.time.asleep(61)
        await group.rig.time.move(61)
    await asyncio.gather(*sends)
    assert group.said() == [f"alert {number}" for number in range(60)]
    assert not group.rig.observed["throttled"]


async def test_the_webhook(group: Group) -> None:
    url = f"{group.sandbox.base_url}/cgi-bin/webhook/send?key="
    webhook = WebhookChannel(url + group.sandbox.config.webhook_key, group.post)
    await webhook.send("**alert**")
    await webhook.send_image(b"\x89PNG\r\n\x1a\n" + b"0" * 100)
    assert [message.msgtype for message in group.sandbox.group_messages(ROOM)] == ["markdown", "image"]
    with pytest.raises(ChannelError, match=r"^webhook: 93000 the key is wrong"):
        await WebhookChannel(url + "nobody", group.post).send("lost")
