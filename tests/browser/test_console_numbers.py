"""Today's numbers beside the table, with their charts, and the export: they keep up, and they say the truth."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.browser.conftest import Demo
from tests.browser.test_console import STUCK, Customer, confirm, console, row

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

STATS, EXPORT, CHARTS = "**/api/agent/stats?period=*", "**/api/agent/export?*", "**/assets/chart.umd.min.js"
DAY = {"handled": 0, "cancelled": 0, "endedBy": {"USER": 0, "AGENT": 0, "SYSTEM": 0}, "waitSeconds": None,
       "lengthSeconds": None, "ratings": {"good": 0, "middling": 0, "bad": 0}}  # fmt: skip
QUIET = {**DAY, "period": "today", "before": DAY, "ways": [], "servicers": [], "days": [], "longest": None,
         "open": {"queued": 0, "human": 1, "waiting": 1}}  # fmt: skip
BUSY = {**QUIET, "handled": 40, "endedBy": {"USER": 12, "AGENT": 25, "SYSTEM": 3},
        "waitSeconds": {"median": 41.0, "p90": 195.4}, "lengthSeconds": {"median": 3725.0, "p90": 9000.0},
        "ratings": {"good": 9, "middling": 1, "bad": 0}, "cancelled": 2,
        "before": {**DAY, "handled": 44, "waitSeconds": {"median": 55.0, "p90": 180.0}},
        "servicers": [{"userId": f"member{n}", "handled": 10 - n, "open": 0} for n in range(10)]}  # fmt: skip
# What the file dialog would give, which no test can operate: it keeps what is written, and waits while it is told to.
FILE_DIALOG = """
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
window.written = []; window.saved = window.dropped = false; window.held = Promise.resolve();
window.showSaveFilePicker = async ({ suggestedName }) => ({
  name: suggestedName,
  createWritable: async () => ({
    write: async (bytes) => { await window.held; window.written.push(utf8.decode(bytes)); },
    close: async () => { window.saved = true; },
    abort: async () => { window.dropped = true; },
  }),
  getFile: async () => ({ size: 0 }),
});
"""
NO_FILE_DIALOG = "delete window.showSaveFilePicker;"
# An answer of ten rows, of which `next()` brings one and `cut()` loses the rest.
SLOW_ANSWER = """
const fetched = window.fetch;
window.fetch = (address, options) => {
  if (!String(address).startsWith('/api/agent/export')) return fetched(address, options);
  const body = new ReadableStream({ start(stream) {
    stream.enqueue(new TextEncoder().encode('\\ufeffid,reason\\r\\n'));
    window.next = () => stream.enqueue(new TextEncoder().encode('1,"a\\r\\nb ""c"" d"\\r\\n'));
    window.cut = () => stream.error(new TypeError('network error'));
    options.signal.addEventListener('abort', () => stream.error(new DOMException('', 'AbortError')));
  } });
  return Promise.resolve(new Response(body, { headers: { 'X-Total-Count': '10' } }));
};
"""


def number(page: Page, name: str) -> Locator:
    return page.get_by_test_id(f"number-{name}").locator(".value")


def before(page: Page, name: str) -> Locator:
    return page.get_by_test_id(f"number-{name}").locator(".before")


class Told:
    """What the page is told as its numbers from now on; None: nothing, for the database is away."""

    def __init__(self, page: Page, document: dict[str, Any] | None) -> None:
        self.document = document
        page.route(STATS, self._answer)

    def _answer(self, route: Route) -> None:
        if self.document is None:
            route.fulfill(status=503, json={"error": {"code": "UNAVAILABLE", "message": "?"}})
        else:
            route.fulfill(json={"data": self.document})


def happens(page: Page, demo: Demo) -> None:
    """Something that the numbers count."""
    customer = Customer(demo).taken()
    expect(row(page, customer.nickname).first).to_be_visible()
    customer.writes("结束对话")


# -- the numbers


def test_the_numbers_grow_when_a_session_is_ended(browser: Browser, demo: Demo) -> None:
    with console(browser, demo) as page:
        expect(number(page, "handled")).to_have_text("0")
        expect(page.get_by_test_id("numbers-empty")).to_have_text("今天还没有结束的会话")
        for name in ("ended", "servicers", "days"):
            expect(page.get_by_test_id(f"chart-{name}")).to_be_hidden()
        Customer(demo, "阿宁").taken().writes("结束对话")
        expect(number(page, "handled")).to_have_text("1")
        expect(before(page, "handled")).to_have_text("↑ 昨天此时 0")
        expect(page.get_by_test_id("numbers-empty")).to_be_hidden()
        expect(page.get_by_role("img", name="由谁结束：客户本人 1，客服 0，系统 0")).to_be_visible()
        row(page, STUCK).get_by_role("button", name="结束").click()
        confirm(page)
        expect(number(page, "handled")).to_have_text("2")
        expect(page.get_by_role("img", name="由谁结束：客户本人 1，客服 1，系统 0")).to_be_visible()
        expect(page.get_by_role("img", name="各接待人处理：LiNa 1，ZhangSuQuan 1")).to_be_visible()
        expect(number(page, "open-human")).to_have_text("0")
        page.get_by_test_id("numbers-week").click()
        expect(page.get_by_role("img", name="，今天 2")).to_be_visible()
        expect(number(page, "handled")).to_have_text("2")


def test_each_number_stands_beside_that_of_before(browser: Browser, shared_demo: Demo) -> None:
    with console(browser, shared_demo) as page:
        Told(page, BUSY)
        page.get_by_test_id("numbers-week").click()
        shown = {"handled": "40", "satisfied": "90%", "wait": "0:41", "wait90": "3:15", "length": "1:02:05",
                 "cancelled": "2", "open-waiting": "1", "open-queued": "0"}  # fmt: skip
        for name, value in shown.items():
            expect(number(page, name)).to_have_text(value)
        compared = {"handled": ("↓ 昨天此时 44", "down "), "wait": ("↓ 昨天此时 0:55", "down better"),
                    "wait90": ("↑ 昨天此时 3:00", "up worse"), "satisfied": ("昨天此时 –", "")}  # fmt: skip
        for name, (words, way) in compared.items():
            expect(before(page, name)).to_have_text(words)
            expect(before(page, name)).to_have_attribute("data-way", way)
        expect(page.locator(".legend li")).to_have_text(["客户本人12 · 30%", "客服25 · 63%", "系统3 · 8%"])
        expect(page.get_by_role("img", name="处理最多的 8 位（共 10 位）：member0 10，")).to_be_visible()


def test_the_charts_are_drawn_anew_in_the_dark_and_in_english(browser: Browser, shared_demo: Demo) -> None:
    colours = """() => {
        const { data } = Chart.getChart(document.querySelector('[data-testid=chart-ended]'));
        return data.datasets[0].backgroundColor;
    }"""
    with console(browser, shared_demo, color_scheme="light", reduced_motion="reduce") as page:
        Told(page, BUSY)
        page.get_by_test_id("numbers-week").click()
        expect(page.get_by_test_id("chart-ended")).to_be_visible()
        light = page.evaluate(colours)
        page.emulate_media(color_scheme="dark")
        page.wait_for_function(f"light => ({colours})()[0] !== light[0]", arg=light)
        assert len({*light, *page.evaluate(colours)}) == 6
        page.get_by_test_id("language").click()
        expect(page.get_by_role("img", name="Ended by: customer 12, staff 25, system 3")).to_be_visible()
        expect(before(page, "handled")).to_have_text("↓ yesterday 44")


def test_without_the_charts_the_numbers_stand_alone(browser: Browser, shared_demo: Demo) -> None:
    with console(browser, shared_demo) as page:
        page.route(CHARTS, lambda route: route.abort())
        Told(page, BUSY)
        with page.expect_event("requestfailed", lambda request: "chart.umd" in request.url):
            page.get_by_test_id("numbers-week").click()
        expect(number(page, "handled")).to_have_text("40")
        expect(page.get_by_test_id("chart-ended")).to_be_hidden()


def test_numbers_that_cannot_be_read_say_so_and_come_back(browser: Browser, shared_demo: Demo) -> None:
    with console(browser, shared_demo) as page:
        told = Told(page, BUSY)
        page.get_by_test_id("numbers-week").click()
        expect(number(page, "handled")).to_have_text("40")
        told.document = None
        happens(page, shared_demo)
        expect(page.get_by_test_id("numbers-trouble")).to_have_text("暂时读不到最新数据，稍后自动重试")
        expect(number(page, "handled")).to_have_text("40")
        told.document = {**BUSY, "handled": 41}
        happens(page, shared_demo)
        expect(number(page, "handled")).to_have_text("41")
        expect(page.get_by_test_id("numbers-trouble")).to_be_hidden()


def test_on_a_phone_nothing_is_asked_before_it_is_looked_at(browser: Browser, shared_demo: Demo) -> None:
    asked: list[str] = []
    with console(browser, shared_demo, width=390, height=844) as page:
        page.on("request", lambda request: asked.append(request.url) if "stats" in request.url else None)
        happens(page, shared_demo)
        expect(page.get_by_test_id("export")).to_be_enabled()
        expect(row(page, "阿宁")).to_have_count(0)
        assert asked == []
        page.get_by_test_id("numbers-fold").locator("summary").click()
        expect(page.get_by_test_id("chart-ended")).to_be_visible()
        assert len(asked) == 1


# -- the export


def runs(page: Page, *scripts: str) -> None:
    page.evaluate(f"() => {{ {' '.join(scripts)} }}")


def ask(page: Page, *choices: str) -> None:
    page.get_by_test_id("export").click()
    for choice in choices:
        page.get_by_test_id(f"export-{choice}").click()
    page.get_by_test_id("export-go").click()


def said(page: Page) -> Locator:
    return page.get_by_test_id("export-said")


def is_full(page: Page) -> bool:
    return bool(page.get_by_test_id("export-progress").evaluate("bar => bar.value === bar.max && !bar.hidden"))


def test_the_file_is_what_was_asked_for(browser: Browser, demo: Demo, tmp_path: Path) -> None:
    with console(browser, demo) as page:
        runs(page, NO_FILE_DIALOG)
        row(page, STUCK).get_by_role("button", name="结束").click()
        page.get_by_test_id("reason").fill('=1+1, "好"')
        confirm(page)
        expect(row(page, STUCK)).to_have_count(0)
        with page.expect_download() as download:
            ask(page, "all")
        expect(said(page)).to_contain_text(f"已导出 1 行：{download.value.suggested_filename}")
        assert is_full(page)
        download.value.save_as(tmp_path / "all.csv")
        text = (tmp_path / "all.csv").read_bytes().decode("utf-8-sig")
        [line] = csv.DictReader(StringIO(text, newline=""), strict=True)
        assert (line["nickname"], line["endedBy"], line["operatorId"]) == (STUCK, "AGENT", "LiNa")
        assert line["reason"] == '\'=1+1, "好"'
        page.get_by_test_id("export-again").click()
        page.get_by_test_id("export-events").click()
        page.get_by_test_id("export-jsonl").click()
        with page.expect_download() as download:
            page.get_by_test_id("export-go").click()
        download.value.save_as(tmp_path / "all.jsonl")
        types = [json.loads(line)["type"] for line in (tmp_path / "all.jsonl").read_text("utf-8").splitlines()]
        assert "COMPLETED" in types
        expect(said(page)).to_contain_text(f"已导出 {len(types)} 行：")
        page.get_by_test_id("export-close").click()
        expect(page.get_by_test_id("export-dialog")).to_have_count(0)
        expect(page.get_by_test_id("export")).to_be_focused()


def test_days_and_account_go_with_the_question(browser: Browser, shared_demo: Demo) -> None:
    queries: list[str] = []

    def refuse(route: Route) -> None:
        queries.append(route.request.url.partition("?")[2])
        route.fulfill(status=429, json={"error": {"code": "TOO_MANY_REQUESTS", "message": "?"}})

    with console(browser, shared_demo) as page:
        runs(page, NO_FILE_DIALOG)
        page.route(EXPORT, refuse)
        page.get_by_test_id("export").click()
        page.get_by_test_id("export-from").fill("2026-11-20")
        page.get_by_test_id("export-to").fill("2026-11-19")
        page.get_by_test_id("export-go").click()
        problem = page.get_by_test_id("export-to").evaluate("field => field.validationMessage")
        assert (problem, queries) == ("结束日期不能早于开始日期", [])
        page.get_by_test_id("export-to").fill("2026-11-20")
        page.get_by_test_id("export-kf").select_option(label="售后服务")
        page.get_by_test_id("export-go").click()
        expect(said(page)).to_contain_text("同时导出的太多了")
        assert queries == ["what=handoffs&form=csv&since=2026-11-20&until=2026-11-20"
                           "&kf=wk7lKAVwAAqM3bTnYxC8ZrVhKd0JgLpE"]  # fmt: skip
        page.get_by_test_id("export-again").click()
        page.get_by_test_id("export-all").click()
        page.get_by_test_id("export-go").click()
        expect(said(page)).to_contain_text("同时导出的太多了")
        assert queries[1].startswith("what=handoffs&form=csv&since=&until=&kf=wk")


def test_no_records_are_no_file(browser: Browser, shared_demo: Demo) -> None:
    with console(browser, shared_demo) as page:
        runs(page, FILE_DIALOG)
        page.get_by_test_id("export").click()
        page.get_by_test_id("export-from").fill("2020-01-01")
        page.get_by_test_id("export-to").fill("2020-01-01")
        page.get_by_test_id("export-go").click()
        expect(said(page)).to_have_text("所选范围内没有记录")
        assert page.evaluate("[window.saved, window.dropped]") == [False, True]


def test_rows_go_into_the_file_as_they_come(browser: Browser, shared_demo: Demo) -> None:
    """And are counted as rows, whatever stands in their cells."""
    with console(browser, shared_demo) as page:
        runs(page, FILE_DIALOG, SLOW_ANSWER)
        ask(page, "all")
        for rows in range(3):
            expect(page.get_by_test_id("export-count")).to_contain_text(f"{rows} / 10 行 · 每秒")
            page.wait_for_function("rows => window.written.length === rows + 1", arg=rows)
            if rows < 2:
                page.evaluate("window.next()")
        page.keyboard.press("Escape")
        expect(page.get_by_test_id("export-stop")).to_be_visible()
        page.evaluate("window.cut()")
        expect(said(page)).to_have_text("中断在 2 / 10 行，没有保存文件，请重试")
        assert page.evaluate("[window.saved, window.dropped]") == [False, True]
        assert page.evaluate("window.written.join('')") == "\ufeffid,reason\r\n" + '1,"a\r\nb ""c"" d"\r\n' * 2


def test_an_export_can_be_cancelled(browser: Browser, shared_demo: Demo) -> None:
    """Even while the disk is slow."""
    with console(browser, shared_demo) as page:
        runs(page, FILE_DIALOG, SLOW_ANSWER, "window.held = new Promise(() => {});")
        ask(page, "all")
        page.get_by_test_id("export-stop").click()
        expect(said(page)).to_have_text("已取消，没有保存文件")
        assert page.evaluate("[window.saved, window.dropped]") == [False, True]
        assert not is_full(page)
