"""One connected page. What it is told goes straight to its transport: no task, no queue, no copy for each socket."""

from __future__ import annotations

import asyncio

from aiohttp import WSMessage, WSMsgType, web

from bot.model import Scope, SessionKey
from bot.web.frames import Code, close_frame

Audience = SessionKey | Scope  # a customer hears of their own session, an agent of their accounts
BACKLOG = 64 * 1024  # bytes not taken yet when more is to be told; about two hundred events
GRACE = 2.0  # seconds for the other side to answer our goodbye
OVER = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)


class Peer:
    """`position`: every event up to this id is written, or was none of its business.

    `socket` must not close by itself: `leave` does, from whichever task, and whoever reads then sees it end.
    """

    __slots__ = ("_left", "_transport", "audience", "position", "socket", "token")

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        self.socket, self._transport, self._left = socket, transport, False
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
        """None at the end."""
        message = await self.socket.receive()
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
        """When it has been read to its end; what it says after our goodbye, nobody listens to."""
        while await self.read() is not None:
            pass
        self.leave(Code.OK, "")
        self._transport.close()
