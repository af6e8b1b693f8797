"""Downloads over a real socket, of records that are as many and as slow as a test wants them."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC
from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from aiohttp import ClientPayloadError, ClientResponse, ClientSession, ClientTimeout, web

from bot.errors import StorageError, TooManyRequests
from bot.export import BOM, EVENT_FIELDS, Extract, Form, Row, Selection, What
from bot.web import extracts
from bot.web.extracts import AT_ONCE, OF_ONE, SLICE, Extracts
from tests.fakes import ANN, LI, WU, FakeClock

EVENTS = Selection(What.EVENTS)
MEGABYTE = "x" * 10_000 * (100 // SLICE)
DAY = 86400.0


def rows(count: int, said: str = "") -> list[Row]:
    return [(number, 1, "PROGRESS", "USER", ANN, 0.0, json.dumps(said)) for number in range(count)]


@dataclass
class FakeRecords:
    """`pages` of what there is; before each, `turn`. `read`: rows that were taken out of it."""

    pages: Iterable[list[Row]] = ()
    count: int = 0
    turn: Callable[[], None] | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    read: int = 0

    async def find(self, selection: Selection) -> Extract:
        return Extract(self.count, self._read())

    async def unknown(self, accounts: Iterable[str]) -> list[str]:
        return []

    async def _read(self) -> AsyncIterator[list[Row]]:
        for page in self.pages:
            await self.gate.wait()
            if self.turn is not None:
                self.turn()
            self.read += len(page)
            yield page


@dataclass
class Stage:
    """`who`: the member who asks next."""

    records: FakeRecords
    extracts: Extracts
    http: ClientSession
    runner: web.AppRunner
    form: Form = Form.CSV
    who: str = LI

    @asynccontextmanager
    async def asked(self) -> AsyncIterator[ClientResponse]:
        async with self.http.get(f"http://127.0.0.1:{self.runner.addresses[0][1]}/") as response:
            yield response

    async def text(self) -> str:
        async with self.asked() as response:
            assert response.status == 200
            return (await response.read()).decode()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self.extracts.of(self.who, EVENTS, self.form)(request)
        except TooManyRequests as refused:
            return web.Response(status=429, text=str(refused.retry_after))

    async def until(self, running: int) -> None:
        """So many are under way; nobody tells when that is."""
        async with asyncio.timeout(20):
            while self.extracts._room.count != running:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@pytest.fixture
async def stage(fake_clock: FakeClock) -> AsyncIterator[Stage]:
    records = FakeRecords()
    records.gate.set()
    app = web.Application()
    runner = web.AppRunner(app, access_log=None)
    async with ClientSession(timeout=ClientTimeout(total=30)) as http:
        ready = Stage(records, Extracts(records, fake_clock, UTC), http, runner)
        app.router.add_get("/", ready.serve)
        app.on_shutdown.append(ready.extracts.stop)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield ready
    await runner.cleanup()


@pytest.mark.parametrize("count", [0, 1, SLICE - 1, SLICE, SLICE + 1, 1000, 2345])
@pytest.mark.parametrize("form", Form)
async def test_every_row_once_in_order(stage: Stage, form: Form, count: int) -> None:
    stage.form, stage.records.count = form, count
    found = rows(count)
    stage.records.pages = [found[first : first + 1000] for first in range(0, count, 1000)]
    text = await stage.text()
    if form is Form.CSV:
        assert text.startswith(BOM + ",".join(EVENT_FIELDS) + "\r\n"), "by the mark a spreadsheet knows UTF-8"
        numbers = [int(each["id"]) for each in csv.DictReader(StringIO(text[1:], newline=""))]
    else:
        numbers = [json.loads(line)["id"] for line in text.splitlines()]
    assert numbers == list(range(count))


@pytest.mark.parametrize(("form", "kind"), [(Form.CSV, "text/csv; charset=utf-8"), (Form.JSONL, "application/jsonl")])
async def test_what_comes_is_told_before(stage: Stage, form: Form, kind: str) -> None:
    """So that a page can show how far it is."""
    stage.form, stage.records.count = form, 1_000_000
    async with stage.asked() as response:
        assert response.headers["Content-Type"] == kind
        assert response.headers["X-Total-Count"] == "1000000"
        assert response.headers["Content-Disposition"] == f'attachment; filename="kfbot-events-to-2023-11-14.{form}"'
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("selection", "account", "name"),
    [
        (Selection(), "", "kfbot-handoffs-to-2023-11-15.csv"),
        (Selection(What.EVENTS, FakeClock().now() - 6 * DAY), "", "kfbot-events-2023-11-09-to-2023-11-15.csv"),
        (Selection(until=FakeClock().now() - DAY), "wkA_b-1", "kfbot-handoffs-wkA_b-1-to-2023-11-14.csv"),
        (Selection(since=-1e11, until=1e11), '../"\r\n客', "kfbot-handoffs-1970-01-01-to-2023-11-15.csv"),
        (Selection(since=2e11, until=-1e11), "", "kfbot-handoffs-2023-11-15-to-1970-01-01.csv"),
    ],
)
def test_a_file_is_named_for_what_is_in_it(
    fake_clock: FakeClock, selection: Selection, account: str, name: str
) -> None:
    """By local days: it is morning in Shanghai already."""
    assert Extracts(FakeRecords(), fake_clock, ZoneInfo("Asia/Shanghai"))._name(selection, Form.CSV, account) == name


async def test_half_a_character_stops_nothing(stage: Stage) -> None:
    stage.records.pages = [[(1, 1, "PROGRESS", "USER", "\ud83d", 0.0, "{}")]]
    assert ",USER,?,1970" in await stage.text()


# -- readers who do not take it all


async def test_who_hangs_up_stops_it(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "kfbot.api")
    page, most = rows(SLICE, MEGABYTE), 500
    stage.records.pages = (page for _ in range(most))
    async with stage.asked() as response:
        await response.content.readexactly(100_000)
        response.close()
    await stage.until(0)
    assert stage.records.read < most * SLICE
    assert "export | userid=LiNa what=events" in caplog.text and "whole" not in caplog.text


async def test_nobody_is_read_ahead_of_and_who_takes_nothing_is_given_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "kfbot.api")
    monkeypatch.setattr(extracts, "STALLED", 0.3)
    page, most = rows(SLICE, MEGABYTE), 500
    stage.records.pages = (page for _ in range(most))
    async with stage.asked() as response:
        await stage.until(0)
        assert stage.records.read < most / 5 * SLICE, "what the sockets hold, and no more"
        with pytest.raises(ClientPayloadError):
            await response.read()
    assert "TimeoutError" in caplog.text


async def test_a_server_that_stops_waits_for_nobody(stage: Stage) -> None:
    stage.records.pages = (rows(SLICE, MEGABYTE) for _ in range(500))
    async with stage.asked(), asyncio.timeout(20):
        await stage.until(1)
        await stage.runner.cleanup()
    assert stage.extracts._room.count == 0


async def test_others_have_their_turn_within_a_page(stage: Stage) -> None:
    """The loop is never kept for longer than a slice takes."""
    turns, at_pages = 0, []
    stage.records.pages = [rows(1000), rows(1000)]
    stage.records.turn = lambda: at_pages.append(turns)

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    await stage.text()
    task.cancel()
    first, second = at_pages
    assert second - first >= 1000 / SLICE


# -- what breaks


async def test_a_part_is_never_taken_for_the_whole(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "kfbot.api")

    def pages() -> Iterable[list[Row]]:
        yield rows(SLICE)
        raise StorageError("disk gone")

    stage.records.pages, stage.records.count = pages(), 1000
    async with stage.asked() as response:
        assert response.status == 200
        with pytest.raises(ClientPayloadError):
            await response.read()
    await stage.until(0)
    assert f"rows={SLICE}/1000 | StorageError disk gone" in caplog.text


# -- how many at once


async def test_so_many_at_once(stage: Stage) -> None:
    stage.records.pages = [rows(1)]
    stage.records.gate.clear()
    under_way = [asyncio.create_task(stage.text()) for _ in range(OF_ONE)]
    await stage.until(OF_ONE)
    async with stage.asked() as response:
        assert (response.status, await response.text()) == (429, "5.0")
    stage.who = WU
    under_way.append(asyncio.create_task(stage.text()))
    await stage.until(OF_ONE + 1)
    stage.records.gate.set()
    assert len(await asyncio.gather(*under_way)) == OF_ONE + 1
    await stage.until(0)
    stage.who = LI
    await stage.text()


async def test_so_many_of_all(stage: Stage) -> None:
    stage.records.pages = [rows(1)]
    stage.records.gate.clear()
    under_way = []
    for number in range(AT_ONCE):
        stage.who = f"member{number}"
        under_way.append(asyncio.create_task(stage.text()))
        await stage.until(number + 1)
    stage.who = LI
    async with stage.asked() as response:
        assert response.status == 429
    stage.records.gate.set()
    await asyncio.gather(*under_way)
