"""Exports as downloads: a few rows at a time, as fast as their reader takes them and the loop has time for them.

The rows become what `bot.py export` makes of them.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import tzinfo

from aiohttp import web

from bot.errors import StorageError, TooManyRequests
from bot.export import BOM, Extract, Form, Selection, Sheet
from bot.period import local_day
from bot.ports import Clock, Records
from bot.web.errors import HEADERS
from bot.web.room import Room

log = logging.getLogger("kfbot.api")

TYPES = {Form.CSV: "text/csv", Form.JSONL: "application/jsonl"}
TOTAL = "X-Total-Count"
SLICE = 100  # rows made to text in one go: about a millisecond
AT_ONCE, OF_ONE = 8, 2  # under way: in all, and of one member
RETRY_AFTER = 5.0  # seconds
STALLED = 60.0  # seconds after which a reader that takes nothing is given up
_NO_NAME = re.compile(r"[^\w-]", re.ASCII)

Send = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Extracts:
    def __init__(self, records: Records, clock: Clock, zone: tzinfo | None) -> None:
        self._records, self._clock, self._zone = records, clock, zone
        self._room = Room(AT_ONCE, OF_ONE)
        self._running: list[web.Request] = []

    def of(self, who: str, selection: Selection, form: Form, account: str = "") -> Send:
        """`account`: the only one, where it is for the name. To send it raises TooManyRequests while there is no room,
        and StorageError before anything is sent; what fails later cuts the connection, so that nobody takes a part for
        the whole."""

        async def send(request: web.Request) -> web.StreamResponse:
            if not self._room.enter(who):
                raise TooManyRequests(RETRY_AFTER)
            self._running.append(request)
            try:
                extract = await self._records.find(selection)
                response = _head(form, extract.count, self._name(selection, form, account))
                pieces = _pieces(Sheet(selection.what, form, self._zone), form, extract)
                sent, end = await _deliver(request, response, pieces)
                log.info("export | userid=%s what=%s rows=%d/%d | %s", who, selection.what, sent, extract.count, end)
                return response
            finally:
                self._running = [each for each in self._running if each is not request]
                self._room.leave(who)

        return send

    async def stop(self, _: web.Application) -> None:
        """A server that stops waits for nobody's download."""
        for request in self._running:
            _cut(request)

    def _name(self, selection: Selection, form: Form, account: str) -> str:
        now = self._clock.now()
        account = _NO_NAME.sub("", account)
        name = f"kfbot-{selection.what}-{account}" if account else f"kfbot-{selection.what}"
        if selection.since is not None:
            name += f"-{self._day(selection.since, now)}"
        until = now if selection.until is None else selection.until - 1.0
        return f"{name}-to-{self._day(until, now)}.{form}"

    def _day(self, at: float, now: float) -> str:
        """There are records of no others."""
        return local_day(max(0.0, min(at, now)), self._zone).isoformat()


def _head(form: Form, count: int, name: str) -> web.StreamResponse:
    response = web.StreamResponse(headers=HEADERS)
    response.content_type, response.charset = TYPES[form], "utf-8" if form is Form.CSV else None
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers[TOTAL] = str(count)
    return response


async def _deliver(
    request: web.Request, response: web.StreamResponse, pieces: AsyncIterator[tuple[int, str]]
) -> tuple[int, str]:
    """How many rows were sent, and why no more."""
    sent, whole = 0, False
    try:
        await response.prepare(request)
        async for rows, text in pieces:
            async with asyncio.timeout(STALLED):
                await response.write(text.encode(errors="replace"))
            sent += rows
            await asyncio.sleep(0)  # the others' turn
        async with asyncio.timeout(STALLED):
            await response.write_eof()
        whole = True
    except (ConnectionError, StorageError, TimeoutError) as broken:
        return sent, f"{type(broken).__name__} {broken}".strip()
    finally:
        if not whole:
            _cut(request)
    return sent, "whole"


async def _pieces(sheet: Sheet, form: Form, extract: Extract) -> AsyncIterator[tuple[int, str]]:
    """How many rows, and their text."""
    if sheet.head:
        yield 0, f"{BOM if form is Form.CSV else ''}{sheet.head}"
    async for page in extract.pages:
        for first in range(0, len(page), SLICE):
            rows = page[first : first + SLICE]
            yield len(rows), sheet.text(rows)


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
