"""The AI bot (智能机器人) on its long connection: hears mentions and taps, replies, pushes, changes tapped cards.

https://developer.work.weixin.qq.com/document/path/101463
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import replace

import aiohttp

from bot.channels.connection import Connection
from bot.channels.delivery import Delivery, Handle
from bot.channels.intake import Intake
from bot.channels.line import Account, Dial, Line
from bot.channels.posting import PostJson
from bot.channels.protocol import CHANNEL
from bot.channels.timing import Clock, Sleep, Timing
from bot.handing import UNFOLLOWED, Handing
from bot.model import Card, CardTap, GroupMessage
from bot.ports import MessageHandler, TapHandler

PATIENCE = 30.0
DRAIN = 5.0
LAST = 1.0  # seconds to put on record what came while draining


def _unobserved(event: str) -> None:
    """Where nobody counts."""


class AibotChannel:
    """Keeps the promises of `bot.ports.GroupChannel`.

    `name` is the bot's display name, as members mention it. `connect(url)` gives an open WebSocket: let it negotiate
    no compression and have no heartbeat of its own. `on_alarm(kind, text)`: the channel has stopped until `resume`;
    `kicked` when another process has subscribed with this bot_id, `rejected` when bot_id or secret is wrong. `observe`
    is told one word for each thing worth counting. `post_json` is for replies while there is no connection. `clock`
    counts seconds that never jump. `patience`: seconds that a send waits for a connection.
    """

    name = CHANNEL

    def __init__(
        self,
        *,
        bot_id: str,
        secret: str,
        name: str,
        url: str,
        connect: Dial,
        on_alarm: Callable[[str, str], None],
        post_json: PostJson | None = None,
        observe: Callable[[str], None] = _unobserved,
        clock: Clock = time.monotonic,
        sleep: Sleep = asyncio.sleep,
        rng: Callable[[], float] = random.random,
        patience: float = PATIENCE,
    ) -> None:
        self._bot_name = name
        self._observer = observe
        self._timing = Timing(clock, sleep, rng)
        self._last_pong_at: float | None = None
        self._line = Line(Account(bot_id, secret, url), connect, self._wrap, self._timing, on_alarm, self._observe)
        self._delivery = Delivery(self._line, self._timing, post_json, self._observe, patience)
        self._messages = Intake(self._timing, self._observe)
        self._taps = Intake(self._timing, self._observe)
        self._on_message: MessageHandler | None = None
        self._on_tap: TapHandler | None = None

    @property
    def ready(self) -> bool:
        return self._line.current is not None

    @property
    def problem(self) -> str:
        return self._line.problem

    @property
    def last_pong_at(self) -> float | None:
        """By `clock`; None before the first, which comes 30 s after connecting."""
        return self._last_pong_at

    async def start(self, on_message: MessageHandler, on_tap: TapHandler) -> None:
        self._on_message, self._on_tap = on_message, on_tap
        for intake in (self._messages, self._taps):
            intake.open()
        self._line.start()

    def resume(self) -> None:
        """Try again after an alarm, because an operator says so. Nothing if it is running."""
        self._line.start()

    async def stop(self) -> None:
        """Begins nothing more; handlers get a few seconds to end and to reply. They need the line, and what comes by it
        meanwhile is put on record for the next process. Safe to call twice."""
        intakes, caller = (self._messages, self._taps), asyncio.current_task()
        for intake in intakes:
            intake.close()
        await asyncio.gather(*(intake.drain(DRAIN, caller) for intake in intakes))
        await self._line.stop()
        await asyncio.gather(*(intake.drain(LAST, caller) for intake in intakes))
        await self._delivery.close()

    async def reply(self, to: GroupMessage, markdown: str) -> None:
        await self._delivery.reply(to, markdown)

    async def send(self, chat_id: str, is_group: bool, markdown: str, handing: Handing = UNFOLLOWED) -> None:
        """May arrive twice when an acknowledgement was lost, rather than not at all."""
        await self._delivery.send(chat_id, is_group, markdown, handing)

    async def send_card(self, chat_id: str, is_group: bool, card: Card, handing: Handing = UNFOLLOWED) -> None:
        """Once, and once more if the connection dies of it: then WeCom knows the task_id if it had arrived.

        `ChannelError` with errcode 42014: take a fresh task_id.
        """
        await self._delivery.send_card(chat_id, is_group, card, handing)

    async def send_image(self, chat_id: str, is_group: bool, png: bytes) -> None:
        """Never twice. 2 MB at most."""
        await self._delivery.send_image(chat_id, is_group, png)

    async def update_card(self, tap: CardTap, card: Card) -> None:
        await self._delivery.update(tap, card)

    def _wrap(self, socket: aiohttp.ClientWebSocketResponse) -> Connection:
        return Connection(socket, self._bot_name, self._timing, self._receive, self._observe)

    def _receive(self, connection: Connection, item: GroupMessage | CardTap) -> None:
        handle = Handle(connection.id, self._timing.clock(), item.reply_to).write()
        if isinstance(item, GroupMessage):
            self._hear(replace(item, reply_to=handle))
        else:
            self._feel(replace(item, reply_to=handle))

    def _hear(self, message: GroupMessage) -> None:
        if handler := self._on_message:
            self._observe("message")
            self._messages.accept(handler, message)

    def _feel(self, tap: CardTap) -> None:
        if handler := self._on_tap:
            self._observe("tap")
            self._taps.accept(handler, tap)

    def _observe(self, event: str) -> None:
        if event == "pong":
            self._last_pong_at = self._timing.clock()
        self._observer(event)
