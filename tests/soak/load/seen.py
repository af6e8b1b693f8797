"""What is seen of a bot under load from outside: whether it answers, how much memory and processor it takes."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bench.children import HOST, Child, cpu_seconds, resident_mb

PROBE = 0.1  # seconds between two looks at whether the bot answers
WEIGH = 1.0


@dataclass(slots=True)
class Seen:
    """All that came of a load. Times are seconds, memory is MB, `load_average` is the machine's of the last minute.

    `told` is what the WeCom says of it, `truth` what it knows in the end. `on_record_after` and `ended_after` count
    from the last news. `asked`: how those were answered who left by the page or the console. `cpu`: share of a
    processor that each process had. `longest_silence`: the slowest answer of /healthz.
    """

    told: dict[str, Any] = field(default_factory=dict)
    truth: dict[str, Any] = field(default_factory=dict)
    on_record_after: float = 0.0
    ended_after: float = 0.0
    asked: Counter[int] = field(default_factory=Counter)
    memory: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)
    longest_silence: float = 0.0
    ready: Counter[int] = field(default_factory=Counter)
    log: str = ""
    load_average: tuple[float, ...] = ()


class Watch:
    """`async with Watch(…):`; what it sees goes into `seen`."""

    def __init__(self, seen: Seen, http: aiohttp.ClientSession, port: int, bot: Child, **others: Child) -> None:
        self._seen, self._http, self._port, self._bot = seen, http, port, bot
        self._all = {"bot": bot, **others}

    async def __aenter__(self) -> None:
        self._began, self._cpu = time.monotonic(), self._used()
        self._tasks = [asyncio.create_task(each) for each in (self._probe(), self._weigh())]

    async def __aexit__(self, *_: object) -> None:
        took = time.monotonic() - self._began
        self._seen.cpu = {name: (used - self._cpu[name]) / took for name, used in self._used().items()}
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _used(self) -> dict[str, float]:
        return {name: cpu_seconds(child.pid) for name, child in self._all.items()}

    async def _probe(self) -> None:
        while True:
            began = time.monotonic()
            await self._status("/healthz")
            self._seen.longest_silence = max(self._seen.longest_silence, time.monotonic() - began)
            await asyncio.sleep(PROBE)

    async def _weigh(self) -> None:
        while True:
            weight = await asyncio.to_thread(resident_mb, self._bot.pid)
            self._seen.memory["peak"] = max(self._seen.memory.get("peak", 0.0), weight)
            self._seen.ready[await self._status("/readyz")] += 1
            await asyncio.sleep(WEIGH)

    async def _status(self, path: str) -> int:
        async with self._http.get(f"http://{HOST}:{self._port}{path}") as answer:
            await answer.read()
            return answer.status
