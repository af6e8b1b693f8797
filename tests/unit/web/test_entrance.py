"""Connections: how many, how slow, and what those hear who speak no HTTP. Real sockets, short limits."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from bot import server
from bot.feed import LiveFeed
from bot.folded import MOST
from bot.metrics import Metrics
from bot.model import EVERYTHING
from bot.server import CALLBACK, CallbackRoute, Hooks, Readiness
from bot.web import entrance, sockets
from bot.web.entrance import Entrance, Lobby
from bot.web.errors import HEADERS
from bot.web.gates import Gate
from bot.web.sockets import Sockets
from bot.wecom.crypto import CallbackCrypto
from bot.wecom.errcodes import meaning_of
from bot.wording import Words
from tests.fakes import FakeClock

TOKEN, KEY, CORP = "QDG6eK", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", "wx5823bf96d3bd56c7"
PATIENCE = 60.0  # seconds; nothing takes as long, except on a machine with too much to do
SHORT = 0.2
BIG = b"x" * 32 * 1024 * 1024  # more than any kernel keeps for a reader
UPGRADE = (
    b"GET /ws/agent HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class NoEvents:
    """A log of handoffs in which nothing happens."""

    async def head(self) -> int:
        return 0


@asynccontextmanager
async def a_door(lobby: Lobby) -> AsyncIterator[int]:
    """The port of a server with a callback, a socket, and something big."""

    async def ready() -> Readiness:
        return Readiness(True, {})

    async def big(_: web.Request) -> web.Response:
        return web.Response(body=BIG)

    def parts(app: web.Application) -> None:
        app.router.add_get("/big", big)
        gate = Gate("agent", lambda token: EVERYTHING, "cookie")
        Sockets(LiveFeed(NoEvents()), [gate], say, lambda *_: None).add_to(app)  # type: ignore[arg-type]

    say = Words("en", "kfbot", meaning_of)
    hooks = Hooks(lambda account, token: None, lambda: None, ready)
    route = CallbackRoute(CallbackCrypto(TOKEN, KEY, CORP), hooks, FakeClock(1.7e9), Metrics())
    runner = server.runner(server.build(route, hooks, Metrics(), [parts]))
    await runner.setup()
    await Entrance(runner, "127.0.0.1", 0, lobby).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.fixture
async def door(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """With short limits."""
    monkeypatch.setitem(entrance.HANDLER, "keepalive_timeout", SHORT)
    monkeypatch.setitem(entrance.HANDLER, "lingering_time", SHORT)
    monkeypatch.setattr(entrance, "SLOW_READER", SHORT)
    monkeypatch.setattr(server, "SLOW_CLIENT", SHORT)
    monkeypatch.setattr(sockets, "AUTH_WITHIN", SHORT)
    monkeypatch.setattr(sockets, "GRACE", SHORT)
    async with a_door(Lobby()) as port:
        yield port


async def said(port: int, sent: bytes, drip: bytes = b"") -> bytes:
    """All that is answered until the server hangs up, although the client goes on, a little at a time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)

    async def go_on() -> None:
        while drip:
            await asyncio.sleep(SHORT / 8)
            writer.write(drip)

    dripping = asyncio.create_task(go_on())
    try:
        async with asyncio.timeout(PATIENCE):
            return await reader.read()
    except ConnectionError:
        return b"reset"
    finally:
        dripping.cancel()
        writer.close()


HEAD = f"POST {CALLBACK} HTTP/1.1\r\nHost: x\r\n".encode()
SLOW = {
    "says nothing": (b"", b""),
    "never ends its head": (b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"X-More: 1\r\n"),
    "never ends its second head": (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n", b"X-More: 1\r\n"),
    "stays after an answer": (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b""),
    "never ends its body": (HEAD + b"Content-Length: 5000\r\n\r\n", b"x"),
    "never ends its chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "sends a body nobody wants": (b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n", b"x"),
    "sends a body too long": (HEAD + b"Content-Length: 9999999\r\n\r\n", b"x" * 100),
    "never ends its handshake": (b"GET /ws/agent HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n", b"X-More: 1\r\n"),
    "never says AUTH": (UPGRADE, b""),
    "pings instead of AUTH": (UPGRADE, b"\x89\x80\x00\x00\x00\x00"),
    "never ends its first frame": (UPGRADE + b"\x81\xfe\x08\x00\x00\x00\x00\x00", b"x"),
}  # fmt: skip


@pytest.mark.parametrize("how", SLOW)
async def test_a_slow_client_does_not_hold_its_connection(door: int, how: str) -> None:
    began = time.monotonic()
    await said(door, *SLOW[how])
    assert time.monotonic() - began < PATIENCE, "the server did not hang up"


async def test_a_body_too_long_is_refused_before_it_comes(door: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", door)
    writer.write(HEAD + b"Content-Length: 9999999\r\n\r\n")
    async with asyncio.timeout(PATIENCE):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413")
        assert b"Connection: close" in await reader.read()
    writer.close()


async def test_who_takes_nothing_of_an_answer_is_left(door: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", door, limit=1024)
    writer.write(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readline()
    await asyncio.sleep(4 * SHORT)  # the time it is given is what is tested
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        async with asyncio.timeout(PATIENCE):
            await reader.readexactly(len(BIG))
    writer.close()


async def test_who_takes_an_answer_slowly_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrance, "SLOW_READER", PATIENCE)
    async with a_door(Lobby()) as port, asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(SHORT)
        assert len(await reader.read()) == len(BIG)
        writer.close()


# -- how many


async def is_let_in(port: int) -> asyncio.StreamWriter | None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    try:
        async with asyncio.timeout(PATIENCE):
            answer = await reader.readline()
    except ConnectionError:
        answer = b""
    if answer.startswith(b"HTTP/1.1 200"):
        return writer
    writer.close()
    return None


async def test_one_address_holds_so_many_connections_and_gives_them_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrance, "is_public", lambda address: True)  # we are strangers
    refused: list[int] = []
    lobby = Lobby(100, 3, lambda: refused.append(1))
    async with a_door(lobby) as port:
        held = [await is_let_in(port) for _ in range(5)]
        assert [each is not None for each in held] == [True, True, True, False, False]
        assert (lobby.count, len(refused)) == (3, 2)
        assert held[0] is not None
        held[0].close()
        async with asyncio.timeout(PATIENCE):
            while lobby.count == 3:  # noqa: ASYNC110  the server tells nobody
                await asyncio.sleep(0.01)
        again = await is_let_in(port)
        assert again is not None
        for each in (*held, again):
            if each is not None:
                each.close()


async def test_a_proxy_may_hold_all_there_are_but_no_more() -> None:
    lobby = Lobby(6, 1)
    async with a_door(lobby) as port:
        held = [await is_let_in(port) for _ in range(8)]
        assert [each is not None for each in held] == [True] * 6 + [False] * 2
        for each in held:
            if each is not None:
                each.close()


async def test_a_flood_of_connections_does_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    lobby = Lobby(1, 1)
    assert lobby.enter("127.0.0.1")
    for _ in range(1000):
        assert not lobby.enter("198.51.100.7")
    assert len(caplog.records) == MOST


async def test_who_was_refused_takes_nobody_s_place() -> None:
    lobby = Lobby(2, 1)
    async with a_door(lobby) as port:
        held = [await is_let_in(port) for _ in range(2)]
        for _ in range(20):
            assert await is_let_in(port) is None
        assert lobby.count == 2
        for each in held:
            assert each is not None
            each.close()


# -- what everybody hears

ASKED = {
    "probe": b"GET /healthz HTTP/1.1\r\nHost: x\r\n",
    "readiness": b"GET /readyz HTTP/1.1\r\nHost: x\r\n",
    "metrics": b"GET /metrics HTTP/1.1\r\nHost: x\r\n",
    "nowhere": b"GET /nowhere HTTP/1.1\r\nHost: x\r\n",
    "no such method": b"PUT /healthz HTTP/1.1\r\nHost: x\r\n",
    "bad callback": HEAD + b"Content-Length: 0\r\n",
    "long callback": HEAD + b"Content-Length: 9999999\r\n",
    "no handshake": b"GET /ws/agent HTTP/1.1\r\nHost: x\r\n",
    "unknown expectation": b"GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\n",
    "no method": b"<script>alert(1)</script> / HTTP/1.1\r\nHost: x\r\n",
    "no version": b"GET /<script>alert(1)</script> HTTP/9.9\r\nHost: x\r\n",
    "long line": b"GET /<script>alert(1)</script>" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n",
    "no host": b"GET http://[<script>alert(1)</script>/ HTTP/1.1\r\nHost: x\r\n",
    "bad header": b"GET / HTTP/1.1\r\nHost: x\r\n<script>alert(1)</script>\r\n",
}


@pytest.mark.parametrize("what", ASKED)
async def test_every_answer_is_dressed_and_nameless(door: int, what: str) -> None:
    answer = (await said(door, ASKED[what] + b"Connection: close\r\n\r\n")).decode()
    head = dict(line.split(": ", 1) for line in answer.partition("\r\n\r\n")[0].split("\r\n")[1:])
    assert {name: head.get(name) for name in HEADERS} == HEADERS
    assert "Server" not in head and "aiohttp" not in answer and "Python" not in answer
    assert "<script>" not in answer


async def test_a_handshake_is_nameless_too(door: int) -> None:
    answer = await said(door, UPGRADE)
    assert answer.startswith(b"HTTP/1.1 101") and b"Server:" not in answer


async def test_junk_does_not_flood_the_log(door: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(3 * MOST):
        await said(door, b"GET / HTTP/9.9\r\n\r\n")
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    assert lines == ["not HTTP | reason=BadStatusLine from=127.0.0.1"] * MOST
