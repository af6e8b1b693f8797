"""A WeCom's end of the long connection that says anything, and answers most of what the bot says."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

from tests.soak.fuzz.dice import Dice

PATIENCE = 60.0  # seconds; nothing takes as long, except on a machine with too much to do
KEPT = 200  # of the bot's last words
REFUSALS = (846605, 846608, 40058, 93006)  # of what the bot says; it goes on another way, or leaves it
Words = dict[str, Any]


class Line:
    """`chance`: how often an acknowledgement is junk first, or a refusal."""

    def __init__(self, dice: Dice, chance: float = 0.0) -> None:
        self._dice, self.chance = dice, chance
        self.url, self.said, self.heard = "", deque[Words](maxlen=KEPT), Counter[str]()
        self._socket: web.WebSocketResponse | None = None
        self._news = asyncio.Condition()

    async def say(self, raw: str | bytes) -> None:
        """Waits for a bot that listens. What has not gone out when a connection ends, is lost."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: self._socket is not None)
        socket = self._socket
        if socket is not None and not socket.closed:
            try:
                await (socket.send_str(raw) if isinstance(raw, str) else socket.send_bytes(raw))
            except ConnectionError:
                return

    async def cut(self) -> None:
        """The line breaks off; the bot dials again."""
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()

    async def answer(self, fits: Callable[[Words], object], ask: str = "") -> Words:
        """Say this, and wait for the bot to say what fits."""
        self.said.clear()
        if ask:
            await self.say(ask)
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: any(fits(each) for each in self.said))
        return next(each for each in self.said if fits(each))

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False, max_msg_size=0)
        await socket.prepare(request)
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                await self._hear(socket, json.loads(message.data))
        if self._socket is socket:
            self._socket = None
        return socket

    async def _hear(self, socket: web.WebSocketResponse, frame: Words) -> None:
        cmd, req_id = frame["cmd"], frame["headers"]["req_id"]
        self.heard[cmd] += 1
        errcode = 0
        if cmd not in ("aibot_subscribe", "ping") and self._dice.chance(self.chance):
            for _ in range(self._dice.below(3)):
                await self._put(socket, self._dice.written(self._ack(req_id)).decode("utf-8", "replace"))
            errcode = self._dice.one(REFUSALS) if self._dice.chance(0.3) else 0
        body = {"upload_id": "u", "media_id": "m"}
        ack = {"headers": {"req_id": req_id}, "errcode": errcode, "errmsg": "ok", "body": body}
        await self._put(socket, json.dumps(ack))
        if cmd == "aibot_subscribe":
            self._socket = socket
        async with self._news:
            self.said.append({"cmd": cmd, "req_id": req_id, **frame.get("body", {})})
            self._news.notify_all()

    def _ack(self, req_id: str) -> Words:
        """One that acknowledges nothing: no errcode that is a number, or of another request."""
        errcode: Any = self._dice.one(("0", None, [], {}, 1.5, True, "ok", {"errcode": 0}))
        if self._dice.chance(0.5):
            return {"headers": {"req_id": req_id}, "errcode": errcode, "errmsg": self._dice.value()}
        return {
            "headers": {"req_id": f"{req_id}x"},
            "errcode": 0,
            "errmsg": self._dice.text(),
            "body": self._dice.value(),
        }

    async def _put(self, socket: web.WebSocketResponse, text: str) -> None:
        try:
            await socket.send_str(text)
        except ConnectionError:
            return

    @classmethod
    @asynccontextmanager
    async def opened(cls, dice: Dice) -> AsyncIterator[Line]:
        line = cls(dice)
        app = web.Application()
        app.router.add_get("/", line.serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            line.url = f"ws://127.0.0.1:{runner.addresses[0][1]}/"
            yield line
        finally:
            await line.cut()
            await runner.cleanup()
