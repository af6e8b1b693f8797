"""The other end of a webhook: a real server on loopback that answers as it is told and keeps what it was sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

PATIENCE = 30.0


@dataclass(frozen=True)
class Received:
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.raw)
        return body

    @property
    def handoff(self) -> int:
        return int(self.body["payload"]["handoffRequestId"])

    @property
    def event(self) -> str:
        return self.headers["X-Kfbot-Event"]


@dataclass
class Receiver:
    """`answers` are the next statuses, then `status` for ever; to handoffs in `refused`, 400. Clear `open` to keep
    everybody waiting."""

    status: int = 204
    answers: list[int] = field(default_factory=list)
    refused: set[int] = field(default_factory=set)
    received: list[Received] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""
    busy: int = 0
    most: int = 0

    @property
    def accepted(self) -> list[Received]:
        return [each for each in self.received if each.headers["status"] == "2"]

    @property
    def story(self) -> list[tuple[int, str]]:
        """(handoff, event) of what was accepted, in order."""
        return [(each.handoff, each.event.removeprefix("handoff.")) for each in self.accepted]

    async def answer(self, request: web.Request) -> web.Response:
        raw = await request.read()
        self.busy += 1
        self.most = max(self.most, self.busy)
        try:
            await self.open.wait()
        finally:
            self.busy -= 1
        status = self.answers.pop(0) if self.answers else self.status
        sent = Received(dict(request.headers), raw)
        if sent.handoff in self.refused:
            status = 400
        self.received.append(Received({**sent.headers, "status": str(status // 100)}, raw))
        return web.Response(status=status, headers={"Location": "/elsewhere"} if status in (301, 302, 307) else {})

    async def until(self, count: int) -> None:
        """So many requests have been answered."""
        async with asyncio.timeout(PATIENCE):
            while len(self.received) < count:  # noqa: ASYNC110  there is nothing to wait for but time
                await asyncio.sleep(0.005)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    receiver.open.set()
    app = web.Application()
    app.router.add_post("/{tail:.*}", receiver.answer)
    async with TestServer(app) as server:
        receiver.url = str(server.make_url("/hook?key=S3CRETKEY"))
        yield receiver
