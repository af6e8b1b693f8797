"""Pushes the state to open pages over a WebSocket, at most every 50 ms."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import WSMsgType, web

DEBOUNCE = 0.05


class Watchers:
    def __init__(self, state: Callable[[], dict[str, Any]]) -> None:
        self._state = state
        self._sockets: set[web.WebSocketResponse] = set()
        self._due: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        self._sockets.add(socket)
        try:
            await socket.send_str(self._frame())
            async for message in socket:
                if message.type is WSMsgType.ERROR:
                    break
        except ConnectionError:
            pass
        finally:
            self._sockets.discard(socket)
        return socket

    @property
    def any(self) -> bool:
        """A page is open."""
        return bool(self._sockets)

    def changed(self) -> None:
        """Costs nothing while no page is open."""
        if self._sockets and self._due is None:
            self._due = asyncio.get_running_loop().call_later(DEBOUNCE, self._push)

    async def close(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
        await asyncio.gather(*[socket.close() for socket in list(self._sockets)])

    def _push(self) -> None:
        self._due = None
        frame = self._frame()
        for socket in self._sockets:
            task = asyncio.get_running_loop().create_task(_sent(socket, frame))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _frame(self) -> str:
        return json.dumps({"type": "state", **self._state()}, ensure_ascii=False)


async def _sent(socket: web.WebSocketResponse, frame: str) -> None:
    try:
        await socket.send_str(frame)
    except ConnectionError:
        return
