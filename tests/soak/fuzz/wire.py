"""HTTP and WebSocket by hand, for requests that no library would send, and at a tenth of what one costs."""

from __future__ import annotations

import asyncio
import os
import re
import struct
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

PATIENCE = 60.0  # seconds; nothing takes as long, except on a machine with too much to do
ADDRESSES = 5000  # each may ask only so often
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9


@dataclass(frozen=True, slots=True)
class Answer:
    """`status`: 0 where the connection was closed without one."""

    status: int
    head: bytes = b""
    body: bytes = b""


NONE = Answer(0)
Heard = tuple[int, bytes]  # opcode, payload


class Wire:
    """One connection at a time, kept as long as the other side keeps it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()
            with suppress(OSError):
                await streams[1].wait_closed()

    async def ask(self, request: bytes, *, alone: bool = False) -> Answer:
        """`alone`: on a connection of its own, which is of no use to anybody after this."""
        if alone:
            await self.close()
        answer = await asyncio.wait_for(self._ask(request), PATIENCE)
        if alone or not answer.status or _CLOSE.search(answer.head):
            await self.close()
        return answer

    async def hang_up(self, request: bytes) -> None:
        """Ask, and do not wait for the answer."""
        await self.close()
        _, writer = await self._open()
        writer.write(request)
        await self.close()

    async def _ask(self, request: bytes) -> Answer:
        """A server may close a connection that it has not read to its end: then again, on a fresh one."""
        used = self._streams is not None
        reader, writer = await self._open()
        try:
            writer.write(request)
            return await _answer(reader, request.startswith(b"HEAD "))
        except (OSError, asyncio.IncompleteReadError):
            await self.close()
            return await self._ask(request) if used else NONE

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
        return self._streams

    async def socket(self, request: bytes, said: bytes) -> tuple[Answer, list[Heard]]:
        """Shake hands, say all this, and hear everything until the other side says goodbye or hangs up."""
        await self.close()
        heard: list[Heard] = []
        try:
            answer = await self._ask(request)
            if answer.status == 101:
                await asyncio.wait_for(self._talk(said, heard), PATIENCE)
        finally:
            await self.close()
        return answer, heard

    async def _talk(self, said: bytes, heard: list[Heard]) -> None:
        reader, writer = await self._open()
        with suppress(OSError, asyncio.IncompleteReadError):
            writer.write(said)
            while not heard or heard[-1][0] != CLOSE:
                heard.append(await _frame(reader))


def address(number: int) -> str:
    """One of many that somebody may ask from, as a proxy tells it."""
    number %= ADDRESSES
    return f"198.18.{number // 250}.{1 + number % 250}"


def frame(kind: int, payload: bytes, *, masked: bool = True, final: bool = True) -> bytes:
    """Of a WebSocket (RFC 6455, 5.2), as a client writes it."""
    first, mask = (0x80 if final else 0) | kind, 0x80 if masked else 0
    length = len(payload)
    if length < 126:
        head = struct.pack("!BB", first, mask | length)
    elif length < 1 << 16:
        head = struct.pack("!BBH", first, mask | 126, length)
    else:
        head = struct.pack("!BBQ", first, mask | 127, length)
    if not masked:
        return head + payload
    key = os.urandom(4)
    stream = (key * (length // 4 + 1))[:length]
    hidden = int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")
    return head + key + hidden.to_bytes(length, "big")


async def _frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first, length = await reader.readexactly(2)
    if length == 126:
        length = int.from_bytes(await reader.readexactly(2), "big")
    elif length == 127:
        length = int.from_bytes(await reader.readexactly(8), "big")
    return first & 0x0F, await reader.readexactly(length)


async def _answer(reader: asyncio.StreamReader, no_body: bool) -> Answer:
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    if status == 100:
        return await _answer(reader, no_body)
    if no_body or status in (101, 204, 304):
        return Answer(status, head)
    if found := _LENGTH.search(head):
        return Answer(status, head, await reader.readexactly(int(found[1])))
    if _CHUNKED.search(head):
        return Answer(status, head, await _chunks(reader))
    return Answer(status, head, await reader.read())


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    found = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        found.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(found)
