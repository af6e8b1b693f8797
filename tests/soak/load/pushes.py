"""Callbacks as a busy WeCom sends them: one for each piece of news, on many connections, and again without a 200."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine
from typing import Any

from bot.sandbox import Sandbox, notices

HOST, PATH = "127.0.0.1", "/callback/kf"
CONNECTIONS = 32
WHOLE = b"\r\n\r\nsuccess"


class Pushes:
    """Takes the place of the sandbox's own callbacks, which fold news into one while one is under way."""

    def __init__(self, sandbox: Sandbox, port: int) -> None:
        self._sandbox, self._port = sandbox, port
        self._lines: asyncio.Queue[_Line] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self.answers: Counter[int] = Counter()
        """How many attempts were answered with which status; 0 for none."""
        self.seconds: list[float] = []
        """From a callback's first byte to its answer, where that is a 200."""
        self.lost = 0
        """Given up."""
        for _ in range(CONNECTIONS):
            self._lines.put_nowait(_Line())
        sandbox.world.on_news = self.news

    def news(self, open_kfid: str) -> None:
        self._start(self._tell(open_kfid))

    async def settled(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)

    def forget(self) -> None:
        """Count anew."""
        self.answers.clear()
        self.seconds.clear()

    async def _tell(self, open_kfid: str) -> None:
        world = self._sandbox.world
        xml = notices.kf_news(world.config, world.now(), world.sync_tokens.issue(open_kfid, world.now()), open_kfid)
        for _ in range(1 + world.config.callback_retries):
            if await self._attempt(xml) == 200:
                return
            await asyncio.sleep(world.config.retry_after)
        self.lost += 1

    async def _attempt(self, xml: str) -> int:
        line = await self._lines.get()
        try:
            status = await self._ask(line, xml)
        finally:
            self._lines.put_nowait(line)
        self.answers[status] += 1
        return status

    async def _ask(self, line: _Line, xml: str) -> int:
        query, body = self._sandbox.callbacks._sealed(xml)
        head = (
            f"POST {PATH}?{query} HTTP/1.1\r\nHost: {HOST}:{self._port}\r\nUser-Agent: Mozilla/4.0\r\nAccept: */*\r\n"
            f"Content-Type: text/xml; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        try:
            async with asyncio.timeout(self._sandbox.config.retry_after):
                await line.open(self._port)
                began = time.perf_counter()
                status = await line.ask(head.encode() + body)
        except (OSError, TimeoutError):
            line.close()
            return 0
        if status == 200:
            self.seconds.append(time.perf_counter() - began)
        return status

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Line(asyncio.Protocol):
    """One connection, one request at a time. An answer is whole when it ends in the word that ends every right one."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._heard, self._answer = b"", asyncio.get_running_loop().create_future()

    async def open(self, port: int) -> None:
        if self._transport is None or self._transport.is_closing():
            self._transport, _ = await asyncio.get_running_loop().create_connection(lambda: self, HOST, port)

    async def ask(self, request: bytes) -> int:
        assert self._transport is not None
        self._heard, self._answer = b"", asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return int(await self._answer)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def data_received(self, data: bytes) -> None:
        self._heard += data
        if not self._heard.startswith(b"HTTP/1.1 200 "[: len(self._heard)]):
            status = self._heard[9:12]
            self._tell(int(status) if status.isdigit() else 0)
            self.close()
        elif self._heard.endswith(WHOLE):
            self._tell(200)

    def connection_lost(self, exc: Exception | None) -> None:
        self._tell(0)

    def _tell(self, status: int) -> None:
        if not self._answer.done():
            self._answer.set_result(status)
