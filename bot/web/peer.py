"""One connected page. What it is told goes straight to its transport: no task, no queue, no copy for each socket."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import WSMessage, WSMsgType, web

from bot.model import Scope, SessionKey
from bot.web.frames import Code, close_frame, pong_frame
from bot.web.limits import Limit

Audience = SessionKey | Scope  # a customer hears of their own session, an agent of their accounts
BACKLOG = 64 * 1024  # bytes not taken yet when more is to be told; about two hundred events
GRACE = 2.0  # seconds for the other side to answer our goodbye
A_SECOND, AT_ONCE = 5.0, 50.0  # messages it may say; a page has one in 20 s
OVER = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)


class Flooded(Exception):
    """More is said than anybody has to say: it would cost the time of all others."""


class Peer:
    """`position`: every event up to this id is written, or was none of its business.

    `socket` must neither close by itself nor answer pings: `leave` closes, from whichever task, and whoever reads then
    sees it end; `read` answers.
    """

    __slots__ = ("_left", "_limit", "_transport", "audience", "position", "socket", "token")

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        self.socket, self._transport, self._left = socket, transport, False
        self._limit = Limit(A_SECOND, AT_ONCE)
        self.audience: Audience | None = None
        self.token, self.position = "", 0

    def write(self, frames: bytes) -> bool:
        """Whole frames. False where what was told before is not taken: this socket is of no use any more."""
        if self._left or self._transport.is_closing():
            return True
        if self._transport.get_write_buffer_size() > BACKLOG:
            return False
        self._transport.write(frames)
        return True

    async def read(self) -> WSMessage | None:
        """What it says; None at the end. Raises Flooded."""
        while (message := await self._next()).type in (WSMsgType.PING, WSMsgType.PONG):
            if message.type is WSMsgType.PING:
                self.write(pong_frame(message.data))
        return None if message.type in OVER else message

    def leave(self, code: Code, reason: str) -> None:
        """Say goodbye, after all that was told. The connection ends with the answer, and soon without one."""
        if self._left:
            return
        self._left = True
        if not self._transport.is_closing():
            self._transport.write(close_frame(code, reason))
        asyncio.get_running_loop().call_later(GRACE, self._transport.abort)

    async def gone(self) -> None:
        """When it has been read to its end; what it says after our goodbye, nobody listens to, and not for long."""
        with contextlib.suppress(Flooded):
            while await self.read() is not None:
                pass
        self.leave(Code.OK, "")
        self._transport.close()

    async def _next(self) -> WSMessage:
        message = await self.socket.receive()
        if self._limit.take(None):
            raise Flooded
        return message
