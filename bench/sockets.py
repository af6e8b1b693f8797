"""Live events: from a request that ends a handoff to the frame at each of 2,000 sockets, and what a socket costs.

Subject: the real bot, started as `make run` does; 2,000 sockets at `/ws/agent`, which hear everything. A handoff is
ended by the API, one at a time; the clock runs from before the request until each socket has the frame, so that the
calls to WeCom, the intention on disk and the reading of the log are in it. Memory is that of the bot's process with all
sockets open and at rest, less what it was before.

Floor: a bare asyncio server that writes the same bytes to as many connections when it is asked to; its memory likewise.

Both are heard by one process that does nothing but look at the clock; it shares the machine's cores with them.
"""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

from bench import records
from bench.bots import Bot, agent_token, database
from bench.child import say
from bench.children import HOST, Child, free_port, listening, resident_mb
from bench.runner import Goal, Row, Stage, bench, of_rounds, quantile
from bench.wecom import Wecom

SOCKETS, AT_ONCE, PER_ADDRESS = 2000, 50, 100
ROUNDS, WARM_UP = 20, 3
REST = 2.0  # seconds of being left alone before the memory is read
EVENT = b"HANDOFF_COMPLETED"
LATENCY, MEMORY = Goal(at_most=250), Goal(at_most=40)

Take = tuple[float, list[float]]  # monotonic times: of the request, and of each socket's frame


@bench("sockets", steps=ROUNDS + 3)
def sockets(stage: Stage) -> Iterator[Row]:
    folder = stage.folder / "bot"
    records.fill(database(folder), sessions=ROUNDS + WARM_UP, open_=ROUNDS + WARM_UP)
    bot = Bot(stage.children, Wecom(stage.children), folder)
    token = asyncio.run(agent_token(database(folder)))
    floor_port = free_port()
    floor = stage.children.call("bench.sockets:cry", port=floor_port)
    listening(floor, floor_port)
    stage.step("both servers ready")
    subject = _Crowd(stage, bot.child, bot.port, token)
    stage.step(f"{SOCKETS:,} sockets at the bot: {subject.kilobytes:.1f} KB each")
    bare = _Crowd(stage, floor, floor_port, "")
    stage.step(f"{SOCKETS:,} at the floor: {bare.kilobytes:.1f} KB each")
    rounds = []
    for number in range(WARM_UP + ROUNDS):
        pair = _ms(subject.round(number + 1)), _ms(bare.round(number + 1))
        if number >= WARM_UP:
            rounds.append(pair)
            stage.step(f"round {number - WARM_UP + 1}: the last socket after {max(pair[0]):.0f} ms")
    yield from _rows(rounds)
    yield Row(
        f"memory of one of {SOCKETS:,} sockets", subject.kilobytes, "KB", MEMORY, bare.kilobytes,
        subject.kilobytes / bare.kilobytes,
    )  # fmt: skip


def _rows(rounds: list[tuple[list[float], list[float]]]) -> Iterator[Row]:
    slowest = max(max(subject) for subject, _ in rounds)
    for share, goal in ((0.5, Goal()), (0.99, LATENCY)):
        pairs = [(quantile(subject, share), quantile(floor, share)) for subject, floor in rounds]
        detail = f"{ROUNDS} ends, the slowest socket {slowest:.0f} ms"
        yield of_rounds(f"end to {SOCKETS:,} sockets p{share * 100:.0f}", "ms", pairs, goal, detail)


def _ms(take: Take) -> list[float]:
    began, heard = take
    return [(at - began) * 1000 for at in heard]


class _Crowd:
    """All sockets at one server, held by a process. `kilobytes`: what each costs the server."""

    def __init__(self, stage: Stage, server: Child, port: int, token: str) -> None:
        self._port, self._token = port, token
        time.sleep(REST)
        before = resident_mb(server.pid)
        self._ears = stage.children.call("bench.sockets:listen", port=port, token=token)
        self._ears.hear()
        time.sleep(REST)
        self.kilobytes = (resident_mb(server.pid) - before) * 1024 / SOCKETS

    def round(self, handoff: int) -> Take:
        """End it, and when each socket has heard so."""
        body = json.dumps({"handoffRequestId": handoff}).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        url = f"http://{HOST}:{self._port}/api/agent/handoff/complete"
        began = time.monotonic()
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
            answer.read()
        return began, self._ears.hear()["heard"]


# -- the process that listens


def listen(port: int, token: str) -> None:
    asyncio.run(_listen(port, token))


async def _listen(port: int, token: str) -> None:
    loop, ears = asyncio.get_running_loop(), _Ears()
    for start in range(0, SOCKETS, AT_ONCE):
        opening = (
            loop.create_connection(lambda number=number: _Ear(ears, number, token), HOST, port)  # type: ignore[misc]
            for number in range(start, start + AT_ONCE)
        )
        await asyncio.gather(*opening)
    await ears.ready.wait()
    say(ready=SOCKETS)
    await asyncio.Event().wait()


class _Ears:
    """What all of them have heard; told when the last one has."""

    def __init__(self) -> None:
        self.ready, self._count, self._heard = asyncio.Event(), 0, list[float]()

    def let_in(self) -> None:
        self._count += 1
        if self._count == SOCKETS:
            self.ready.set()

    def hear(self, at: float) -> None:
        self._heard.append(at)
        if len(self._heard) == SOCKETS:
            say(heard=self._heard)
            self._heard.clear()


class _Ear(asyncio.Protocol):
    """As little of a WebSocket client as will do; each hundred has an address of its own, as through a proxy."""

    def __init__(self, ears: _Ears, number: int, token: str) -> None:
        self._ears = ears
        said = json.dumps({"type": "AUTH", "token": token}).encode()
        self._first = (
            f"GET /ws/agent HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.18.0.{number // PER_ADDRESS}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ).encode() + bytes([0x81, 0xFE, len(said) >> 8, len(said) & 0xFF, 0, 0, 0, 0]) + said  # fmt: skip

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._first)

    def data_received(self, data: bytes) -> None:
        if EVENT in data:
            self._ears.hear(time.monotonic())
        elif b'"READY"' in data:
            self._ears.let_in()
        if b"\x89\x00" in data:
            self._transport.write(b"\x8a\x80\0\0\0\0")

    def connection_lost(self, exc: Exception | None) -> None:
        raise SystemExit(f"a socket was closed: {exc}")


# -- the floor's process


def cry(port: int) -> None:
    asyncio.run(_cry(port))


async def _cry(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Crier, HOST, port)
    await server.serve_forever()


class _Crier(asyncio.Protocol):
    """Lets everybody in; tells all of them when somebody posts."""

    _all: set[asyncio.Transport] = set()  # noqa: RUF012  one server a process
    _event: Any = b"\x81\x7e\x01\x00" + EVENT.ljust(256, b".")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET"):
            self._all.add(self._transport)
            self._transport.write(b'HTTP/1.1 101 .\r\n\r\n\x81\x10{"type":"READY"}')
        elif data.startswith(b"POST"):
            for transport in self._all:
                transport.write(self._event)
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self._transport.close()
