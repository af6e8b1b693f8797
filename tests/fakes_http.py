"""A scripted WeCom for unit tests of whatever calls out: aioresponses behind a table of answers per path."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import Mock

from aiohttp import ClientResponse
from aioresponses import CallbackResult, aioresponses

API_BASE = "https://qyapi.weixin.qq.com"


class FakeResponse(ClientResponse):
    """aioresponses 0.7.9 does not know the argument that aiohttp 3.14 wants."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", Mock(output_size=0))
        super().__init__(*args, **kwargs)


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    body: Any
    seconds: float


Answer = dict[str, Any] | list[Any] | bytes | int | Exception | Callable[[Request], Awaitable[Any]]
"""A JSON value, a raw body, an HTTP status, an exception of aiohttp, or a coroutine function returning one of them."""


class Script:
    """Answers by path, in the order given; the last one is given for ever. `requests` is what was asked."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._answers: dict[str, list[Answer]] = {}
        self._arrivals: dict[str, asyncio.Event] = {}

    def on(self, path: str, *answers: Answer) -> None:
        self._answers[path] = list(answers)

    async def arrival(self, path: str) -> None:
        """Until a request to `path` has come in."""
        await self._arrivals.setdefault(path, asyncio.Event()).wait()

    def asked(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    async def _answer(self, url: Any, **options: Any) -> CallbackResult:
        data, timeout = options.get("data"), options["timeout"]
        body = None if data is None else json.loads(data)
        request = Request("GET" if data is None else "POST", url.path, dict(url.query), body, timeout.total)
        self.requests.append(request)
        self._arrivals.setdefault(url.path, asyncio.Event()).set()
        answers = self._answers[url.path]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if callable(answer):
            answer = await answer(request)
        return _result(answer)


def _result(answer: Any) -> CallbackResult:
    match answer:
        case Exception():
            raise answer
        case int():
            return CallbackResult(status=answer, body=b"<html>", response_class=FakeResponse)
        case bytes():
            return CallbackResult(body=answer, response_class=FakeResponse)
        case _:
            return CallbackResult(body=json.dumps(answer).encode(), response_class=FakeResponse)


@contextmanager
def scripted() -> Iterator[Script]:
    script = Script()
    with aioresponses() as fake:
        for method in ("GET", "POST"):
            fake.add(re.compile(re.escape(API_BASE) + ".*"), method, callback=script._answer, repeat=True)
        yield script


class Ticks:
    """A monotonic clock that moves when told."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += seconds
