"""From the click on the console's link to the first rows on the screen, with 1,000 open sessions.

Subject: the real bot, started as `make run` does, and its page in headless Chromium, at a desktop's size; a member is
logged in by the cookie. Each load is cold, in a browser profile of its own without a cache. The time runs from where
the navigation starts until the page has painted its first rows, of which it tells by `performance.mark`; every one of
the sessions must be in the table then. Beside it what the browser itself says: its first and its largest paint.

Floor: a page in one file from a bare aiohttp server, with the first rows written in it, loaded in between.

Without Debian's chromium, or without playwright, there is nothing to measure, and that is no failure.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench import records
from bench.bots import Bot, agent_token, database
from bench.children import HOST, ChildFailed, free_port, listening
from bench.runner import Goal, Row, Stage, bench, of_rounds
from bench.wecom import Wecom
from bot.web.doors import AGENT_COOKIE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

OPEN, FIRST_ROWS = 1000, 40
ROUNDS = 9
SIZE = {"width": 1440, "height": 900}
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-sync"]
PATIENCE = 30_000  # milliseconds
TIME = Goal(at_most=1000)
NAME = f"console with {OPEN:,} open sessions"
MARK = "kfbot-rows"
# Not by `wait_for_function`, which the page's content security policy refuses.
HEARD = """([type, name, patience]) => new Promise((told) => {
  const entries = (list) => list.getEntries().filter((each) => !name || each.name === name);
  const hear = (list) => entries(list).length && told(entries(list).at(-1).startTime);
  new PerformanceObserver(hear).observe({ type, buffered: true });
  setTimeout(() => told(null), patience);
})"""
ROWS = "[document.querySelectorAll('[data-handoff-id]').length, document.querySelector('table').ariaRowCount]"

Times = tuple[float, float, float]  # milliseconds: first rows, first and largest paint


@bench("console", steps=ROUNDS + 2)
def console(stage: Stage) -> Iterator[Row]:
    why = _lacking()
    if why:
        yield Row(NAME, None, "ms", TIME, detail=f"not measured: {why}")
        return
    folder = stage.folder / "bot"
    records.fill(database(folder), sessions=OPEN, open_=OPEN)
    bot = Bot(stage.children, Wecom(stage.children), folder)
    token = asyncio.run(agent_token(database(folder)))
    floor_port = free_port()
    listening(stage.children.call("bench.console:plain", port=floor_port), floor_port)
    stage.step("both servers ready")
    rounds: list[tuple[Times, Times]] = []
    with _browser() as browser:
        for number in range(ROUNDS + 1):
            pair = _load(browser, bot.port, token), _load(browser, floor_port, "")
            if number:  # the first one found the browser's own files cold, too
                rounds.append(pair)
            stage.step(f"load {number}: first rows after {pair[0][0]:.0f} ms, of the floor {pair[1][0]:.0f} ms")
    yield from _rows(rounds)


def _rows(rounds: list[tuple[Times, Times]]) -> Iterator[Row]:
    worst = max(subject[0] for subject, _ in rounds)
    names = (NAME, "its first contentful paint", "its largest contentful paint")
    for place, (name, goal) in enumerate(zip(names, (TIME, Goal(), Goal()), strict=True)):
        pairs = [(subject[place], floor[place]) for subject, floor in rounds]
        detail = f"first rows painted; the worst of {ROUNDS} cold loads {worst:.0f} ms" if place == 0 else ""
        yield of_rounds(name, "ms", pairs, goal, detail)


# -- the browser


def _lacking() -> str:
    if shutil.which("chromium") is None:
        return "no chromium here"
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "no playwright here"
    return ""


@contextmanager
def _browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        yield browser
        browser.close()


def _load(browser: Browser, port: int, token: str) -> Times:
    """Without a token the floor, which asks for none."""
    site = f"http://{HOST}:{port}"
    context = browser.new_context(viewport=SIZE, locale="zh-CN")  # type: ignore[arg-type]
    try:
        if token:
            context.add_cookies([{"name": AGENT_COOKIE, "value": token, "url": site}])
        page = context.new_page()
        page.goto(f"{site}/console", wait_until="commit")
        return _measured(page)
    finally:
        context.close()


def _measured(page: Page) -> Times:
    painted = page.evaluate(HEARD, ["mark", MARK, PATIENCE])
    here, known = page.evaluate(ROWS)
    if painted is None or here < FIRST_ROWS / 2 or int(known) != OPEN + 1:  # with the header
        raise ChildFailed(f"{page.url} shows {here} rows, of {known}")
    first = page.evaluate(HEARD, ["paint", "first-contentful-paint", PATIENCE])
    largest = page.evaluate(HEARD, ["largest-contentful-paint", "", PATIENCE])
    return painted, first, largest


# -- the floor's process


def plain(port: int) -> None:
    asyncio.run(_plain(port))


async def _plain(port: int) -> None:
    from aiohttp import web

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=_page(), content_type="text/html")

    app = web.Application()
    app.router.add_get("/console", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    await asyncio.Event().wait()


def _page() -> str:
    cells = "<td>顾客<td>一号店<td>ZhangSan<td>进行中<td>00:59<td>你好，请问什么时候发货？"
    rows = "".join(f"<tr data-handoff-id={number}><td>{number}{cells}" for number in range(FIRST_ROWS))
    script = f"requestAnimationFrame(() => setTimeout(() => performance.mark('{MARK}')))"
    table = f'<table aria-rowcount="{OPEN + 1}">{rows}</table>'
    return f"<!doctype html><meta charset=utf-8><title>floor</title>{table}<script>{script}</script>"
