"""The connections themselves, before and beside every request: how many one address may hold, how long a slow client is
waited for, and what they hear who speak no HTTP.

    a head that does not end, a connection that says nothing    `IDLE`, by aiohttp
    a body that does not end                                    ten seconds, by who reads it (`server`, `api`)
    a body that nobody wants                                    `LINGER`, by aiohttp: so that the answer is not lost
    an answer that is not taken                                 `SLOW_READER`
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.http import HttpProcessingError
from multidict import CIMultiDict

from bot.addresses import is_public
from bot.folded import Folded
from bot.web.errors import HEADERS
from bot.web.room import Room, address_of, places

log = logging.getLogger("kfbot.server")

IDLE = 10.0  # seconds a connection may say nothing, or a head may take to arrive
LINGER = 2.0  # seconds a body is read, and thrown away, that nobody has asked for
SLOW_READER = 30.0  # seconds in which nothing is taken of an answer that waits
PER_ADDRESS = 2000  # connections; WeCom at its busiest has a few dozen
WAITING = 1024  # connections that the kernel keeps for us

# Bodies come as they are: WeCom packs none. No access log: its lines hold query strings.
HANDLER: dict[str, Any] = {
    "access_log": None,
    "keepalive_timeout": IDLE,
    "lingering_time": LINGER,
    "auto_decompress": False,
}


class Lobby:
    """Who is in. `most` connections in all, `per_address` of a stranger's; a neighbour may be a proxy, with everybody
    behind it. `refused` is called for each that finds no place."""

    def __init__(
        self, most: int = 0, per_address: int = PER_ADDRESS, refused: Callable[[], None] = lambda: None
    ) -> None:
        self.most = most or places()
        self._room, self._refused = Room(self.most, min(per_address, self.most // 2)), refused
        self._lines = Folded(log, "connections refused")
        self.junk = Folded(log, "not HTTP")

    @property
    def count(self) -> int:
        return self._room.count

    def enter(self, address: str) -> bool:
        """Whoever comes in says so with `leave`."""
        if self._room.enter(address, None if is_public(address.partition("/")[0]) else self.most):
            return True
        self._refused()
        self._lines.warning("connection refused | from=%s open=%d", address, self.count)
        return False

    def leave(self, address: str) -> None:
        self._room.leave(address)


class Visitor(web.RequestHandler):
    """One connection."""

    def __init__(self, server: web.Server, lobby: Lobby, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(server, loop=loop, **HANDLER)
        self._lobby, self._address, self._is_in = lobby, "", False
        self._wire: asyncio.Transport | None = None
        self._stuck: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        peer = transport.get_extra_info("peername") or ("",)
        self._wire, self._address = transport, address_of(str(peer[0]), CIMultiDict())
        self._is_in = self._lobby.enter(self._address)
        if self._is_in:
            super().connection_made(transport)
        else:
            transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._unstick()
        if self._is_in:
            self._is_in = False
            self._lobby.leave(self._address)
            super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        assert self._wire is not None
        self._unstick()
        self._stuck = asyncio.get_running_loop().call_later(SLOW_READER, self._wire.abort)

    def resume_writing(self) -> None:
        self._unstick()
        super().resume_writing()

    def _unstick(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Nothing of what was sent is repeated, nor does one line of the log come of each."""
        if isinstance(exc, HttpProcessingError) and not request.writer.output_size:
            self._lobby.junk.warning("not HTTP | reason=%s from=%s", type(exc).__name__, self._address)
        else:
            super().handle_error(request, status, exc, message)
        response = _Nameless(status=status, text="this is not HTTP\n" if status < 500 else "", headers=HEADERS)
        response.force_close()
        return response


class _Nameless(web.Response):
    """Outside the application nobody else takes the name of the server away."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.pop("Server", None)


class Entrance(web.BaseSite):
    """Where they come in."""

    def __init__(self, runner: web.AppRunner, host: str, port: int, lobby: Lobby | None = None) -> None:
        super().__init__(runner, backlog=WAITING)
        self._host, self._port, self._lobby = host, port, lobby or Lobby()

    @property
    def name(self) -> str:
        return f"http://{self._host or '0.0.0.0'}:{self._port}"  # noqa: S104  a name

    async def start(self) -> None:
        await super().start()
        server, loop = self._runner.server, asyncio.get_running_loop()
        assert server is not None
        self._server = await loop.create_server(
            lambda: Visitor(server, self._lobby, loop),
            self._host,
            self._port,
            backlog=self._backlog,
            reuse_address=True,
        )


async def dressed(_: web.Request, response: web.StreamResponse) -> None:
    """`on_response_prepare`: what every answer says, errors and refusals too; and not who says it."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.pop("Server", None)
