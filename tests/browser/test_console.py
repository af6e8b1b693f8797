"""The agents' console: what happens in the demo shows in the table by itself, and what is done in the table happens."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, WebSocketRoute, expect

from tests.browser.conftest import LIMIT, ROOT, Demo, opened, until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

KF, OTHER_KF = "wk7lKAVwAADCtArVetgUpxDBFQHef6Aw", "wk7lKAVwAAqM3bTnYxC8ZrVhKd0JgLpE"  # of the demo's cast
STUCK = "小林"  # with ZhangSuQuan from the start, unanswered for 26 minutes

expect.set_options(timeout=LIMIT * 1000)


class Customer:
    """Somebody new in the demo, who has written to an account."""

    def __init__(self, demo: Demo, nickname: str = "阿宁", kf: str = KF, text: str = "你好，我的订单没有发货") -> None:
        self._demo, self._kf, self.nickname = demo, kf, nickname
        self.userid = str(demo.act("customer/new", nickname=nickname)["external_userid"])
        self.writes(text)

    def _act(self, action: str, **body: Any) -> None:
        self._demo.act(action, open_kfid=self._kf, external_userid=self.userid, **body)

    def writes(self, text: str) -> None:
        self._act("customer/message", text=text)

    def taken(self, servicer: str = "LiNa") -> Customer:
        self._act("servicer/take", servicer_userid=servicer)
        return self

    def queued(self) -> Customer:
        self._act("session/state", service_state=2)
        return self

    def session(self) -> dict[str, Any]:
        sessions: list[dict[str, Any]] = self._demo.state()["sessions"]
        return next(each for each in sessions if each["external_userid"] == self.userid)

    def texts(self) -> str:
        return "\n".join(str(message["text"]) for message in self.session()["messages"])

    def link(self) -> str:
        """In the greeting, once it has come."""

        def found() -> str:
            match = re.search(r"http://\S+/h/\S+", self.texts())
            return match[0] if match else ""

        return until(found)


@contextmanager
def console(browser: Browser, demo: Demo, member: str = "李娜", **options: Any) -> Iterator[Page]:
    """Logged in on the sandbox's page, live, and the bot has read what was before it: what comes now is news to it.

    What the page's policy forbids fails the test.
    """
    forbidden: list[str] = []
    with opened(browser, f"{demo.bot}/login?next=/console", **options) as page:
        page.on("console", lambda said: forbidden.append(said.text) if "Content Security Policy" in said.text else None)
        page.get_by_role("link", name=member, exact=True).click()
        is_live(page)
        expect(row(page, STUCK)).to_be_visible()
        yield page
    assert forbidden == []


def phone(browser: Browser, address: str) -> AbstractContextManager[Page]:
    return opened(browser, address, width=390, height=844)


def is_live(page: Page) -> None:
    expect(page.get_by_test_id("link")).to_have_attribute("data-state", "live")
    expect(page.get_by_test_id("kind-all").locator("b")).not_to_be_empty()


def row(page: Page, name: str) -> Locator:
    return page.get_by_test_id("handoff-row").filter(has_text=name)


def note(page: Page, text: str) -> None:
    expect(page.get_by_test_id("note").filter(has_text=text)).to_be_visible()


def confirm(page: Page) -> None:
    page.get_by_test_id("question").get_by_test_id("confirm").click()


def count(page: Page, kind: str) -> Locator:
    return page.get_by_test_id(f"kind-{kind}").locator("b")


# -- what happens shows by itself


def test_a_session_appears_when_a_servicer_takes_it(browser: Browser, demo: Demo) -> None:
    with console(browser, demo) as page:
        expect(count(page, "all")).to_have_text("1")
        customer = Customer(demo).taken()
        mine = row(page, customer.nickname)
        expect(mine).to_contain_text("售前咨询")
        expect(mine).to_contain_text("LiNa")
        expect(mine.get_by_test_id("status")).to_have_text("已接入，未回复")
        expect(mine.get_by_test_id("wait")).to_have_text(re.compile(r"^\d+:\d\d$"))
        assert mine.get_by_test_id("copy").get_attribute("title") == f"{customer.userid}（点击复制）"
        expect(count(page, "all")).to_have_text("2")
        expect(page.get_by_test_id("handoff-row").first, "the longest wait comes first").to_contain_text(STUCK)


def test_kinds_are_counted_and_chosen(browser: Browser, demo: Demo) -> None:
    with console(browser, demo) as page:
        Customer(demo, "排队的").queued()
        expect(row(page, "排队的").get_by_test_id("status")).to_have_text("排队中")
        for kind, number in {"all": "2", "waiting": "2", "human": "1", "queued": "1"}.items():
            expect(count(page, kind)).to_have_text(number)
        page.get_by_test_id("kind-queued").click()
        expect(page.get_by_test_id("handoff-row")).to_have_count(1)
        expect(row(page, "排队的")).to_be_visible()


def test_new_words_show_though_no_event_tells_of_them(browser: Browser, demo: Demo) -> None:
    with console(browser, demo) as page:
        customer = Customer(demo).taken()
        mine = row(page, customer.nickname)
        expect(mine).to_be_visible()
        customer.writes("那什么时候能到？")
        expect(mine).to_contain_text("那什么时候能到？")


def test_clocks_run_and_turn_red(browser: Browser, demo: Demo) -> None:
    with console(browser, demo) as page:
        customer = Customer(demo).taken()
        wait = row(page, customer.nickname).get_by_test_id("wait")
        expect(wait).to_have_text(re.compile(r"^\d:\d\d$"))
        before = wait.inner_text()
        expect(wait).not_to_have_text(before)
        expect(row(page, customer.nickname)).to_have_attribute("data-level", "calm")
        demo.act("clock", advance=600)
        expect(row(page, customer.nickname)).to_have_attribute("data-level", "red")
        expect(wait).to_have_text(re.compile(r"^1\d:\d\d$"))


# -- ends, from either side


def test_an_end_from_the_console_ends_the_session_and_the_row_leaves(browser: Browser, demo: Demo) -> None:
    with console(browser, demo) as page:
        customer = Customer(demo).taken()
        mine = row(page, customer.nickname)
        mine.get_by_test_id("end").click()
        question = page.get_by_test_id("question")
        expect(question).to_contain_text("结束「阿宁」的会话？")
        expect(question).to_contain_text("售前咨询")
        page.get_by_test_id("cancel").click()
        expect(mine).to_be_visible()
        mine.get_by_test_id("end").click()
        page.get_by_test_id("reason").fill("已处理")
        confirm(page)
        note(page, "「阿宁」的会话已由 LiNa 结束")
        expect(mine).to_have_count(0)
        assert customer.session()["service_state"] == 4
        until(lambda: "客服已结束本次对话" in customer.texts())
        expect(page.get_by_test_id("note"), "told once").to_have_count(1)

        page.get_by_test_id("ended-item").filter(has_text="阿宁").click()
        drawer = page.get_by_test_id("drawer")
        expect(drawer.get_by_test_id("ended-by")).to_have_text("LiNa")
        expect(drawer.get_by_test_id("drawer-status")).to_have_text("已结束")
        expect(drawer.locator("[data-type=COMPLETED]")).to_contain_text("原因：已处理")
        expect(drawer.locator("[data-type=CLOSING]"), "it follows what comes after").to_contain_text("已发送")
        expect(drawer.get_by_test_id("end")).to_have_count(0)


def test_the_customer_ends_it_in_the_chat_and_the_row_leaves_by_itself(browser: Browser, demo: Demo) -> None:
    with console(browser, demo) as page:
        customer = Customer(demo).taken()
        expect(row(page, customer.nickname)).to_be_visible()
        customer.writes("结束对话")
        note(page, "「阿宁」的会话已由客户本人结束")
        expect(row(page, customer.nickname)).to_have_count(0)
        expect(page.get_by_test_id("ended-item").filter(has_text="阿宁")).to_contain_text("客户本人")


def test_ending_in_the_console_changes_the_customers_page(browser: Browser, demo: Demo) -> None:
    with console(browser, demo) as page:
        customer = Customer(demo).taken()
        with phone(browser, customer.link()) as theirs:
            expect(theirs.get_by_test_id("end")).to_be_visible()
            row(page, customer.nickname).get_by_test_id("end").click()
            confirm(page)
            expect(theirs.locator("body")).to_contain_text("客服已结束")


def test_ending_on_the_customers_page_changes_the_console(browser: Browser, demo: Demo) -> None:
    with console(browser, demo) as page:
        customer = Customer(demo).taken()
        expect(row(page, customer.nickname)).to_be_visible()
        with phone(browser, customer.link()) as theirs:
            theirs.get_by_test_id("end").click()
            theirs.get_by_test_id("confirm").click()
            expect(theirs.locator("body")).to_contain_text("您已结束")
        note(page, "「阿宁」的会话已由客户本人结束")
        expect(row(page, customer.nickname)).to_have_count(0)


def test_what_somebody_else_has_ended_is_told_as_it_is(browser: Browser, demo: Demo) -> None:
    """The page does not hear of it before it asks."""

    def deaf(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        server.on_message(lambda said: socket.send(said) if "HANDOFF_" not in str(said) else None)

    with console(browser, demo) as page:
        customer = Customer(demo).taken()
        page.route_web_socket("**/ws/agent", deaf)
        page.reload()
        is_live(page)
        row(page, customer.nickname).get_by_test_id("end").click()
        customer.writes("结束对话")
        until(lambda: customer.session()["service_state"] == 4)
        confirm(page)
        note(page, "没能结束「阿宁」的会话：该会话已于")
        note(page, "「阿宁」的会话已由客户本人结束")
        expect(row(page, customer.nickname)).to_have_count(0)


def test_a_question_about_what_has_ended_is_asked_no_more(browser: Browser, demo: Demo) -> None:
    with console(browser, demo) as page:
        customer = Customer(demo).taken()
        row(page, customer.nickname).get_by_test_id("end").click()
        expect(page.get_by_test_id("question")).to_be_visible()
        customer.writes("结束对话")
        expect(page.get_by_test_id("question")).to_have_count(0)
        note(page, "「阿宁」的会话已由客户本人结束")


# -- snooze, transfer


def test_snooze(browser: Browser, demo: Demo) -> None:
    with console(browser, demo) as page:
        row(page, STUCK).get_by_test_id("snooze").click()
        expect(page.get_by_test_id("snooze-10")).to_be_checked()  # as the card does it
        page.get_by_test_id("snooze-60").check()
        confirm(page)
        note(page, "之前不再提醒「小林」的会话")
        expect(row(page, STUCK).get_by_test_id("snoozed")).to_have_text(re.compile(r"\d\d:\d\d 后再提醒"))
        page.reload()
        expect(row(page, STUCK).get_by_test_id("snoozed")).to_be_visible()


def test_transfer(browser: Browser, demo: Demo) -> None:
    demo.act("servicer/status", open_kfid=KF, servicer_userid="WangWei", status=1, stop_type=0)
    with console(browser, demo) as page:
        customer = Customer(demo).taken()
        row(page, customer.nickname).get_by_test_id("transfer").click()
        servicers = page.get_by_test_id("servicer")
        away, theirs = servicers.locator("option[value=WangWei]"), servicers.locator("option[value=LiNa]")
        expect(away).to_have_text(re.compile("WangWei · 未在接待"))
        expect(away).to_be_disabled()
        expect(theirs).to_be_disabled()
        servicers.select_option("ZhangSuQuan")
        confirm(page)
        note(page, "「阿宁」已转接给 ZhangSuQuan")
        expect(row(page, customer.nickname)).to_contain_text("ZhangSuQuan")
        assert customer.session()["servicer_userid"] == "ZhangSuQuan"


# -- finding


def test_filters_survive_a_reload(browser: Browser, demo: Demo) -> None:
    with console(browser, demo) as page:
        for name, kf, servicer in (("甲", KF, "LiNa"), ("乙", OTHER_KF, "LiNa"), ("丙", OTHER_KF, "WangWei")):
            Customer(demo, name, kf).taken(servicer)
        expect(page.get_by_test_id("handoff-row")).to_have_count(4)
        page.get_by_test_id("filter-account").select_option(label="售后服务")
        expect(page.get_by_test_id("handoff-row")).to_have_count(2)
        page.get_by_test_id("filter-servicer").select_option(label="我（LiNa）")
        expect(page.get_by_test_id("handoff-row")).to_have_count(1)
        page.reload()
        expect(row(page, "乙")).to_be_visible()
        expect(page.get_by_test_id("handoff-row")).to_have_count(1)
        expect(page.get_by_test_id("filter-account")).to_have_value(OTHER_KF)
        page.get_by_test_id("search").fill("没有这样的")
        expect(page.get_by_test_id("empty")).to_contain_text("没有符合条件的会话")
        page.get_by_role("button", name="清除筛选").click()
        expect(page.get_by_test_id("handoff-row")).to_have_count(4)
        assert urlsplit(page.url).query == ""


def test_the_search_looks_at_names_ids_and_words(browser: Browser, demo: Demo) -> None:
    with console(browser, demo) as page:
        customer = Customer(demo, "Nina").taken()
        customer.writes("发票开错了")
        expect(row(page, "Nina")).to_contain_text("发票开错了")
        for words in ("nina", "发票", customer.userid[:8], "#"):
            page.get_by_test_id("search").fill(words)
            expect(row(page, "Nina")).to_be_visible()
        page.get_by_test_id("search").fill("小林")
        expect(row(page, "Nina")).to_have_count(0)


def test_headers_sort_and_say_so(browser: Browser, demo: Demo) -> None:
    with console(browser, demo) as page:
        Customer(demo, "乙").taken("WangWei")
        Customer(demo, "甲").taken("LiNa")
        rows = page.get_by_test_id("handoff-row")
        header = page.get_by_role("columnheader", name="接待人")
        expect(page.get_by_role("columnheader", name="已等待")).to_have_attribute("aria-sort", "descending")
        for order, first in (("ascending", "甲"), ("descending", STUCK)):
            header.get_by_role("button").click()
            expect(header).to_have_attribute("aria-sort", order)
            expect(rows.first).to_contain_text(first)


# -- the keyboard


def test_a_session_is_ended_by_the_keyboard_alone(browser: Browser, demo: Demo) -> None:
    with console(browser, demo) as page:
        customer = Customer(demo).taken()
        mine = row(page, customer.nickname)
        expect(mine).to_be_visible()
        expect(page.locator("#rows [data-handoff-id][tabindex='0']"), "Tab reaches one row").to_have_count(1)
        page.keyboard.press("j")
        expect(row(page, STUCK)).to_be_focused()
        page.keyboard.press("ArrowDown")
        expect(mine).to_be_focused()
        page.keyboard.press("Enter")
        drawer = page.get_by_test_id("drawer")
        expect(drawer).to_be_focused()
        expect(drawer.locator("[data-type=ACCEPTED]")).to_contain_text("LiNa")
        page.keyboard.press("Escape")
        expect(drawer).to_be_hidden()
        expect(mine).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.press("e")
        expect(page.get_by_test_id("reason")).to_be_focused()
        page.keyboard.type("jest e")
        page.keyboard.press("Enter")
        note(page, "「阿宁」的会话已由 LiNa 结束")
        expect(mine).to_have_count(0)
        expect(drawer.locator("[data-type=COMPLETED]")).to_contain_text("原因：jest e")
        page.keyboard.press("Escape")
        expect(row(page, STUCK), "the focus goes on to the next row").to_be_focused()


def test_keys_for_the_rest(browser: Browser, demo: Demo) -> None:
    with console(browser, demo) as page:
        page.keyboard.press("4")
        expect(page.get_by_test_id("kind-queued")).to_have_attribute("aria-pressed", "true")
        expect(page.get_by_test_id("empty")).to_be_visible()
        page.keyboard.press("1")
        expect(row(page, STUCK)).to_be_visible()
        page.keyboard.press("/")
        page.keyboard.type("2e")
        expect(page.get_by_test_id("search")).to_have_value("2e")
        expect(page.get_by_test_id("kind-all")).to_have_attribute("aria-pressed", "true")
        page.get_by_test_id("search").fill("")
        expect(row(page, STUCK)).to_be_visible()
        page.keyboard.press("Escape")
        for key, shown in {"s": "question", "t": "question", "?": "keys"}.items():
            page.keyboard.press(key)
            expect(page.get_by_test_id(shown)).to_be_visible()
            page.keyboard.press("Escape")
            expect(page.get_by_test_id(shown)).to_have_count(0)


# -- the drawer


def test_the_drawer_leads_to_the_session_before(browser: Browser, demo: Demo) -> None:
    with console(browser, demo) as page:
        customer = Customer(demo).taken()
        row(page, customer.nickname).get_by_test_id("end").click()
        confirm(page)
        note(page, "「阿宁」的会话已由 LiNa 结束")
        ended = page.get_by_test_id("ended-item").filter(has_text="阿宁")
        expect(ended).to_be_visible()
        demo.act("servicer/message", open_kfid=KF, external_userid=customer.userid, servicer_userid="LiNa", text="还有")
        row(page, customer.nickname).click()
        drawer = page.get_by_test_id("drawer")
        drawer.get_by_test_id("previous").click()
        expect(drawer.get_by_test_id("ended-by")).to_have_text("LiNa")
        page.reload()
        expect(drawer.get_by_test_id("ended-by"), "the address has it").to_have_text("LiNa")


def test_the_drawer_changes_while_it_is_open(browser: Browser, demo: Demo) -> None:
    with console(browser, demo) as page:
        customer = Customer(demo).taken()
        row(page, customer.nickname).click()
        drawer = page.get_by_test_id("drawer")
        expect(drawer.get_by_test_id("drawer-status")).to_have_text("已接入，未回复")
        demo.act("servicer/message", open_kfid=KF, external_userid=customer.userid, servicer_userid="LiNa", text="您好")
        expect(drawer.get_by_test_id("drawer-status")).to_have_text("人工接待中")
        expect(drawer.locator("[data-type=PROGRESS]")).to_contain_text("首次回复客户")
        customer.writes("结束对话")
        expect(drawer.get_by_test_id("ended-by")).to_have_text("客户本人")


# -- in and out


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the demo keeps its data: asked for before `demo`."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def _token(data: Path, userid: str) -> str:
    """As somebody at the machine makes one for the running bot."""
    database = next(data.glob("kfbot-demo-*/kfbot.db"))
    command = [sys.executable, str(ROOT / "bot.py"), "token", "--user", userid]
    command += ["--settings", str(ROOT / "settings.yaml")]
    environment = {**os.environ, "KFBOT_STORAGE__URL": f"sqlite:///{database}"}
    done = subprocess.run(command, cwd=data, env=environment, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.strip()


def test_a_token_opens_the_console(browser: Browser, data: Path, demo: Demo) -> None:
    with opened(browser, f"{demo.bot}/console") as page:
        expect(page.get_by_test_id("login")).to_have_attribute("href", "/login?next=/console")
        page.get_by_test_id("token").fill("none.of.yours")
        page.get_by_test_id("token-send").click()
        expect(page.get_by_test_id("entry-error")).to_contain_text("凭证无效或已过期")
        page.get_by_test_id("token").fill(_token(data, "LiNa"))
        page.keyboard.press("Enter")
        expect(row(page, STUCK)).to_be_visible()
        expect(page.get_by_test_id("who")).to_have_text("LiNa · 客服")
        page.get_by_test_id("logout").click()
        expect(page.get_by_test_id("entry")).to_be_visible()
        page.reload()
        expect(page.get_by_test_id("entry")).to_be_visible()


def test_a_session_that_expires_leads_back_to_the_entry(browser: Browser, demo: Demo) -> None:
    with console(browser, demo) as page:
        page.context.clear_cookies()
        Customer(demo).taken()
        expect(page.get_by_test_id("entry")).to_contain_text("登录已过期，请重新登录")
        expect(row(page, STUCK)).to_be_hidden()


def test_a_lost_connection_is_told_and_made_up_for(browser: Browser, demo: Demo) -> None:
    sockets: list[WebSocketRoute] = []
    is_down = False

    def between(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        if is_down:
            socket.close(code=1001)
        else:
            socket.connect_to_server()

    with console(browser, demo) as page:
        page.route_web_socket("**/ws/agent", between)
        page.reload()
        is_live(page)
        is_down = True
        sockets[-1].close(code=1001)
        expect(page.get_by_test_id("link")).to_have_attribute("data-state", "lost")
        customer = Customer(demo).taken()
        customer.writes("结束对话")
        until(lambda: customer.session()["service_state"] == 4)
        is_down = False
        expect(page.get_by_test_id("link")).to_have_attribute("data-state", "live")
        expect(page.get_by_test_id("ended-item").filter(has_text="阿宁")).to_be_visible()


# -- what others wrote


def test_marks_in_names_and_words_are_words(browser: Browser, demo: Demo) -> None:
    evil = '<img src=x onerror="window.broken=1">'
    with console(browser, demo) as page:
        customer = Customer(demo, evil).taken()
        customer.writes("</script><script>window.broken=1</script>")
        mine = row(page, evil)
        expect(mine).to_contain_text("</script><script>")
        mine.click()
        expect(page.get_by_test_id("drawer").get_by_role("heading", level=2)).to_have_text(evil)
        mine.get_by_test_id("end").click()
        page.get_by_test_id("reason").fill(evil)
        confirm(page)
        note(page, f"「{evil}」的会话已由 LiNa 结束")
        expect(page.get_by_test_id("drawer").locator("[data-type=COMPLETED]")).to_contain_text(evil)
        assert page.evaluate("window.broken") is None
        assert page.locator("img[src=x]").count() == 0


# -- phones, languages


@pytest.mark.parametrize("width", [360, 390])
def test_a_phone_has_cards_and_nothing_to_scroll_sideways(browser: Browser, demo: Demo, width: int) -> None:
    with console(browser, demo, width=width, height=844) as page:
        long = Customer(demo, "一个名字很长很长很长很长很长很长很长的客户" * 2).taken()
        long.writes("https://example.com/" + "a" * 200)
        expect(row(page, STUCK)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == width
        box = row(page, STUCK).bounding_box()
        assert box is not None and box["width"] <= width and box["height"] > 100
        row(page, STUCK).get_by_test_id("status").click()
        assert page.get_by_test_id("drawer").evaluate("node => node.offsetWidth") == width
        page.get_by_test_id("drawer-close").click()
        row(page, STUCK).get_by_test_id("end").click()
        confirm(page)
        note(page, "「小林」的会话已由 LiNa 结束")


@pytest.mark.parametrize("locale", ["zh-CN", "en-US"])
def test_at_every_width_the_last_words_can_be_read(browser: Browser, demo: Demo, locale: str) -> None:
    with console(browser, demo, locale=locale) as page:
        if locale == "en-US":
            page.get_by_test_id("language").click()
        Customer(demo, text="三十个人左右，有折扣吗").taken()
        words = row(page, "阿宁").locator(".last")
        expect(words).to_be_visible()
        for width in (390, 768, 940, 1200, 1280, 1366, 1440, 1920):
            page.set_viewport_size({"width": width, "height": 800})
            seen = words.evaluate("it => Math.min(it.offsetWidth, it.parentNode.clientWidth)")
            assert seen >= 100, f"{width}: {seen} px, {seen // 13} characters"
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            row(page, "阿宁").get_by_test_id("transfer").click(trial=True)  # nothing lies upon it


def test_english_after_the_switch(browser: Browser, demo: Demo) -> None:
    with console(browser, demo) as page:
        row(page, STUCK).click()
        page.get_by_test_id("language").click()
        expect(page.locator("html")).to_have_attribute("lang", "en")
        expect(page.get_by_role("columnheader", name="Servicer")).to_be_visible()
        expect(row(page, STUCK).get_by_test_id("status")).to_have_text("In progress")
        expect(page.get_by_test_id("drawer")).to_contain_text("First answer")
        chinese = re.compile("[\u4e00-\u9fff]")
        for words in page.locator("button:visible, th[scope=col]:visible, dt:visible").all_inner_texts():
            assert words == "中文" or not chinese.search(words)
        page.reload()
        expect(page.get_by_test_id("kind-waiting")).to_contain_text("Waiting")


# -- many


def _many(route: Route, first: int, last: int, heard: str) -> None:
    """A page of handoffs from the newest, number `first`, down to `last`. `heard`: the last event."""
    since = int(parse_qs(urlsplit(route.request.url).query).get("cursor", [str(first)])[0])
    until_ = max(since - 999, last)
    items = [_one(number) for number in range(since, until_ - 1, -1)]
    data = {"items": items, "nextCursor": str(until_ - 1) if until_ > last else None}
    route.fulfill(json={"data": data}, headers={"X-Last-Event-Id": heard})


def _one(number: int) -> dict[str, Any]:
    at = f"2026-01-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z"
    return {
        "id": number, "tenantId": "ww", "openKfid": KF, "accountName": "售前咨询", "userId": f"wm{number:08}",
        "status": "ACCEPTED", "agentId": "LiNa", "requestedAt": at, "acceptedAt": at, "repliedAt": None,
        "completedAt": None, "endedBy": None, "nickname": f"客户{number}", "via": None, "operatorId": None,
        "reason": None, "waitingSince": at, "lastText": None, "previousId": None, "snoozedUntil": None,
    }  # fmt: skip


def test_of_thousands_only_those_near_are_in_the_document(browser: Browser, demo: Demo) -> None:
    with console(browser, demo) as page:
        heard = page.request.get(f"{demo.bot}/api/agent/me").headers["x-last-event-id"]
        page.route(re.compile(r"/api/handoffs\?"), lambda route: _many(route, 6000, 1, heard))
        page.reload()
        expect(count(page, "all")).to_have_text("5000")
        expect(page.locator("#partial")).to_contain_text("只有最新的 5,000 个")
        assert page.evaluate("performance.getEntriesByName('kfbot-rows').length") == 1
        expect(row(page, "客户1001")).to_be_visible()
        assert page.get_by_test_id("handoff-row").count() < 100
        expect(page.get_by_role("table")).to_have_attribute("aria-rowcount", "5001")
        page.locator("#scroller").evaluate("node => node.scrollTo(0, node.scrollHeight)")
        expect(row(page, "客户6000")).to_be_visible()
        expect(row(page, "客户1001")).to_have_count(0)
        page.keyboard.press("j")
        expect(row(page, "客户1001"), "the keyboard goes where it was").to_be_focused()
        page.get_by_test_id("search").fill("客户4321")
        expect(page.get_by_test_id("handoff-row")).to_have_count(1)


def test_rows_do_not_move_under_the_pointer(browser: Browser, demo: Demo) -> None:
    with console(browser, demo) as page:
        rows = page.get_by_test_id("handoff-row")
        first, second = Customer(demo, "先来的").taken(), Customer(demo, "后来的").taken()
        for customer in (first, second):
            expect(row(page, customer.nickname)).to_be_visible()
        expect(rows.nth(1)).to_contain_text(first.nickname)
        row(page, first.nickname).hover()
        demo.act("servicer/message", open_kfid=KF, external_userid=first.userid, servicer_userid="LiNa", text="您好")
        wait = row(page, first.nickname).get_by_test_id("wait")

        def pointed_at() -> bool:
            row(page, second.nickname).hover()
            row(page, first.nickname).hover()
            return wait.inner_text() == "–"

        until(pointed_at)
        expect(rows.nth(1)).to_contain_text(first.nickname)
        page.mouse.move(5, 5)
        expect(rows.nth(2), "it is put in order when nobody points at it").to_contain_text(first.nickname)
        expect(rows.nth(1)).to_contain_text(second.nickname)


def test_the_table_stands_without_numbers_and_export(browser: Browser, demo: Demo) -> None:
    with console(browser, demo) as page:
        page.route(re.compile(r"/assets/(numbers|export)\.js"), lambda route: route.fulfill(status=503, body=""))
        page.reload()
        is_live(page)
        customer = Customer(demo).taken()
        expect(row(page, customer.nickname)).to_be_visible()


def test_it_waits_for_a_bot_that_is_not_there_yet(browser: Browser, demo: Demo) -> None:
    refused = [2]

    def at_first(route: Route) -> None:
        refused[0] -= 1
        error = {"error": {"code": "UNAVAILABLE", "message": "数据库暂时不可用"}}
        route.fulfill(status=503, body=json.dumps(error)) if refused[0] >= 0 else route.continue_()

    with console(browser, demo) as page:
        page.route("**/api/agent/me", at_first)
        page.reload()
        expect(page.get_by_text("暂时连不上：数据库暂时不可用")).to_be_visible()
        expect(row(page, STUCK)).to_be_visible()
