"""The customer's page on a phone: opened by the link in the greeting, ended from each side, watched from the other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Page, Route, WebSocketRoute, expect

from tests.browser.conftest import LIMIT, Demo, opened, until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

KF = "wk7lKAVwAADCtArVetgUpxDBFQHef6Aw"  # of the demo's cast
WIDTH, HEIGHT = 390, 844
END, CURRENT = "**/api/customer/handoff/end-by-user", "**/api/customer/handoff"
YOU, AGENT, SYSTEM = "您已结束与客服的对话", "客服已结束本次对话", "本次对话已自动结束"


@pytest.fixture(autouse=True, scope="module")
def patience() -> Iterator[None]:
    expect.set_options(timeout=LIMIT * 1000)
    yield
    expect.set_options(timeout=None)


class Customer:
    """Somebody new in the demo, who writes to the first account."""

    def __init__(self, demo: Demo, nickname: str = "测试客户") -> None:
        until(lambda: _is_awake(demo))
        self._demo = demo
        self.userid = str(demo.act("customer/new", nickname=nickname)["external_userid"])
        self._read = 0

    def act(self, action: str, **body: Any) -> dict[str, Any]:
        return self._demo.act(action, open_kfid=KF, external_userid=self.userid, **body)

    def writes(self, text: str) -> None:
        self.act("customer/message", text=text)

    def taken(self, servicer: str = "LiNa") -> str:
        """A servicer takes the session. Returns the link in the greeting."""
        self.act("servicer/take", servicer_userid=servicer)
        return self.link()

    def served(self) -> str:
        self.writes("你好，我的订单没有发货")
        return self.taken()

    def link(self) -> str:
        """The next one that comes; two of the same second are equal."""

        def fresh() -> list[str]:
            texts = [str(message["text"]) for message in self.session()["messages"]]
            return [link for text in texts for link in re.findall(r"http://\S+/h/\S+", text)][self._read :]

        link = until(fresh)[0]
        self._read += 1
        return link

    def session(self) -> dict[str, Any]:
        sessions: list[dict[str, Any]] = self._demo.state()["sessions"]
        return next(each for each in sessions if each["external_userid"] == self.userid)

    def ended(self) -> None:
        until(lambda: self.session()["service_state"] == 4)

    def ended_in_group(self) -> None:
        group = self._demo.state()["groups"][0]["chatid"]
        self._demo.act("group/message", chatid=group, userid="LiNa", text=f"@kfbot /end {self.userid}")
        self.ended()


def _is_awake(demo: Demo) -> bool:
    """Whether what happens now is news: before that it would be history, of which nobody is told."""
    with urlopen(f"{demo.bot}/metrics", timeout=10) as reply:
        [served] = re.findall(rb'kfbot_open_handoffs{status="human"} ([\d.]+)', reply.read()) or [b"0"]
    knows_the_stuck_session = float(served) > 0
    return knows_the_stuck_session and bool(demo.state()["bot"]["connected"])


@contextmanager
def phone(browser: Browser, link: str = "about:blank", **options: Any) -> Iterator[Page]:
    """What the page's policy forbids fails the test, as an error in it does."""
    forbidden: list[str] = []
    with opened(browser, "about:blank", **{"width": WIDTH, "height": HEIGHT, **options}) as page:
        page.on("console", lambda said: forbidden.append(said.text) if "Content Security Policy" in said.text else None)
        page.goto(link)
        yield page
    assert forbidden == []


def says(page: Page, headline: str) -> None:
    expect(page.locator("#headline")).to_have_text(headline)


def end(page: Page) -> None:
    page.locator("#end").click()
    page.get_by_role("dialog").get_by_role("button", name="结束对话").click()


def seen(page: Page, found: list[Any]) -> None:
    """What the page does reaches us while we ask it something."""
    until(lambda: page.evaluate("true") and found)


def comes_back(page: Page) -> None:
    """From the background."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def fact(page: Page, name: str) -> str:
    return page.locator("#facts div").filter(has_text=name).locator("dd").inner_text()


# -- ending from the page


def test_the_customer_ends_it_from_the_link_in_the_greeting(browser: Browser, shared_demo: Demo) -> None:
    customer = Customer(shared_demo)
    link = customer.served()
    with phone(browser, link) as page:
        says(page, "客服已接入")
        expect(page, "the token has left the address").to_have_url(f"{shared_demo.bot}/h")
        expect(page.get_by_role("heading", level=1)).to_have_text("售前咨询")
        assert fact(page, "接待人") == "LiNa"
        assert re.fullmatch(r"\d\d:\d\d", fact(page, "接入时间"))
        assert re.fullmatch(r"\d+ 秒|\d+ 分 \d\d 秒", fact(page, "已持续"))
        page.reload()
        says(page, "客服已接入")
        page.locator("#end").click()
        page.get_by_role("dialog").get_by_role("button", name="取消").click()
        says(page, "客服已接入")
        end(page)
        says(page, YOU)
        expect(page.locator("#end")).to_be_hidden()
        expect(page.locator("#headline")).to_be_focused()
        expect(page.locator("#detail")).to_contain_text("在聊天中直接发送消息")
        assert customer.session()["service_state"] == 4
        page.reload()
        says(page, "当前没有进行中的人工对话")


def test_two_taps_end_it_once_and_another_device_hears_of_it(browser: Browser, shared_demo: Demo) -> None:
    link = Customer(shared_demo).served()
    sent: list[str] = []
    held: list[Route] = []

    def hold(route: Route) -> None:
        sent.append(str(route.request.post_data))
        held.append(route)

    with phone(browser, link) as page, phone(browser, link) as other:
        says(other, "客服已接入")
        page.route(END, hold)
        end(page)
        button = page.locator("#end")
        expect(button).to_be_disabled()
        expect(button).to_have_attribute("aria-busy", "true")
        expect(button).to_have_text("正在结束…")
        button.dispatch_event("click")
        expect(page.get_by_role("dialog")).to_have_count(0)
        seen(page, held)
        held[0].continue_()
        says(page, YOU)
        says(other, YOU)
    assert [set(json.loads(body)) for body in sent] == [{"handoffRequestId"}]


# -- ending from elsewhere


@pytest.mark.parametrize("way", ["group", "client", "chat"])
def test_an_end_from_elsewhere_shows_by_itself_and_says_whose_it_was(
    browser: Browser, shared_demo: Demo, way: str
) -> None:
    customer = Customer(shared_demo)
    with phone(browser, customer.served()) as page:
        customer.act("servicer/message", servicer_userid="LiNa", text="您好")
        says(page, "正在与客服对话")
        page.locator("#end").click()
        if way == "group":
            customer.ended_in_group()
        elif way == "client":
            customer.act("servicer/end")
        else:
            customer.writes("结束对话。")
        says(page, YOU if way == "chat" else AGENT)
        expect(page.get_by_role("dialog"), "there is nothing left to confirm").to_have_count(0)
        assert fact(page, "接待人") == "LiNa"
        customer.ended()


def test_whoever_comes_second_is_told_who_was_first(browser: Browser, shared_demo: Demo) -> None:
    customer = Customer(shared_demo)
    answers: list[int] = []

    def late(route: Route) -> None:
        customer.ended_in_group()
        answer = route.fetch()
        route.fulfill(response=answer)
        answers.append(answer.status)

    with phone(browser, customer.served()) as page:
        says(page, "客服已接入")
        page.route(END, late)
        end(page)
        says(page, AGENT)
        seen(page, answers)
        expect(page.locator("#trouble")).to_be_empty()
    assert answers == [409]


# -- what comes after


def test_the_page_follows_from_the_queue_to_the_next_conversation(browser: Browser, demo: Demo) -> None:
    customer = Customer(demo)
    with phone(browser, customer.served()) as page:
        says(page, "客服已接入")
        customer.act("servicer/transfer", to="WangWei")
        expect(page.locator("#facts")).to_contain_text("WangWei")
        customer.act("servicer/end")
        says(page, AGENT)
        demo.act("account/routing", open_kfid=KF, routing="queue")
        customer.writes("还有一个问题")
        says(page, "正在排队")
        expect(page.locator("#end")).to_be_hidden()
        assert re.fullmatch(r"\d+ 秒", fact(page, "已等待"))
        customer.act("servicer/take", servicer_userid="ZhangSuQuan")
        says(page, "客服已接入")
        assert fact(page, "接待人") == "ZhangSuQuan"
        end(page)
        says(page, YOU)


def test_a_conversation_that_begins_while_the_page_is_open_appears(browser: Browser, shared_demo: Demo) -> None:
    customer = Customer(shared_demo)
    link = customer.served()
    customer.act("servicer/end")
    with phone(browser, link) as page:
        until(lambda: page.locator("#headline").inner_text() in (AGENT, "当前没有进行中的人工对话"))
        customer.writes("还在吗")
        customer.taken("WangWei")
        says(page, "客服已接入")
        assert fact(page, "接待人") == "WangWei"


# -- links that are worth nothing


def test_an_expired_link_says_how_to_go_on(browser: Browser, demo: Demo) -> None:
    link = Customer(demo).served()
    with phone(browser, link) as page:
        says(page, "客服已接入")
        demo.act("clock", advance=49 * 3600)
        page.reload()
        says(page, "链接已失效")
        expect(page.locator("#detail")).to_contain_text("「结束对话」")
    with phone(browser) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(link)
        says(page, "链接已失效")
        expect(page).to_have_url(f"{demo.bot}/h")
        expect(page.locator("button:visible")).to_have_text(["English"])
        assert not [url for url in asked if "/api/" in url or "/ws/" in url]


def test_without_a_link_there_is_nobody_to_show(browser: Browser, shared_demo: Demo) -> None:
    for address in ("/h", "/h/forged"):
        with phone(browser, shared_demo.bot + address) as page:
            says(page, "链接已失效")


# -- trouble


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ({"status": 502, "json": {"error": {"code": "WECOM_ERROR", "message": "x"}}}, "暂时没能确认结束"),
        ({"status": 500, "body": "<html>a proxy"}, "暂时没能确认结束"),
        ({"status": 429, "headers": {"Retry-After": "7"}, "json": {"error": {"code": "TOO_MANY_REQUESTS"}}}, "过 7 秒"),
        (None, "网络不通"),
    ],
)
def test_what_does_not_succeed_can_be_tried_again(
    browser: Browser, shared_demo: Demo, trouble: dict[str, Any] | None, words: str
) -> None:
    customer = Customer(shared_demo)
    with phone(browser, customer.served()) as page:
        says(page, "客服已接入")
        page.route(END, lambda route: route.fulfill(**trouble) if trouble else route.abort())
        end(page)
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text(words)
        expect(alert).to_contain_text("也可以在聊天中发送「结束对话」")
        expect(page.locator("#end")).to_be_enabled()
        page.unroute(END)
        end(page)
        says(page, YOU)
        expect(page.locator("#trouble")).to_be_empty()


def test_a_lost_connection_is_told_quietly_and_comes_back_with_what_was_missed(
    browser: Browser, shared_demo: Demo
) -> None:
    customer, heard, lines = Customer(shared_demo), list[str | bytes](), list[WebSocketRoute]()

    def pass_on(socket: WebSocketRoute) -> None:
        lines.append(socket)
        server = socket.connect_to_server()

        def hear(said: str | bytes) -> None:
            heard.append(said)
            socket.send(said)

        server.on_message(hear)

    def cut(socket: WebSocketRoute) -> None:
        socket.close()

    link = customer.served()
    with phone(browser) as page:
        page.route_web_socket("**/ws/customer", pass_on)
        page.goto(link)
        says(page, "客服已接入")
        seen(page, heard)
        page.route_web_socket("**/ws/customer", cut)
        lines[0].close()
        hint = page.get_by_text("正在重新连接")
        expect(hint).to_be_visible()
        customer.ended_in_group()
        page.route_web_socket("**/ws/customer", pass_on)
        comes_back(page)
        expect(hint).to_be_hidden()
        says(page, AGENT)


def test_where_no_socket_comes_through_the_page_still_ends(browser: Browser, shared_demo: Demo) -> None:
    customer = Customer(shared_demo)
    link = customer.served()
    with phone(browser) as page:
        page.route_web_socket("**/ws/customer", lambda socket: socket.close())
        page.goto(link)
        says(page, "客服已接入")
        end(page)
        says(page, YOU)
        customer.writes("还在吗")
        customer.taken()
        comes_back(page)
        says(page, "客服已接入")


def test_a_bot_that_cannot_be_reached_is_tried_again(browser: Browser, shared_demo: Demo) -> None:
    link = Customer(shared_demo).served()
    with phone(browser) as page:
        page.route(CURRENT, lambda route: route.abort())
        page.goto(link)
        says(page, "暂时连接不上")
        with page.expect_request(CURRENT):
            page.get_by_role("button", name="重试").click()
        says(page, "暂时连接不上")
        page.unroute(CURRENT)
        says(page, "客服已接入")


def test_who_was_sent_away_for_a_while_comes_in_with_the_same_link(browser: Browser, shared_demo: Demo) -> None:
    link = Customer(shared_demo).served()

    def busy(route: Route) -> None:
        answer = route.fetch()
        text = answer.text().replace('data-status="200"', 'data-status="429"')
        route.fulfill(response=answer, status=429, body=text)

    with phone(browser) as page:
        page.route(link, busy, times=1)
        page.goto(link)
        says(page, "访问太频繁")
        expect(page).to_have_url(link)
        page.get_by_role("button", name="重试").click()
        says(page, "客服已接入")


# -- what its events say; the bot behind them is played here


class Played:
    """A page that is told what this says, and nothing else."""

    def __init__(self, page: Page, **handoff: Any) -> None:
        self.page, self.current, self.lines = page, _handoff(**handoff) if handoff else None, list[WebSocketRoute]()
        self.last = 7
        page.route(CURRENT, self._answer)
        page.route_web_socket("**/ws/customer", self._line)

    def _answer(self, route: Route) -> None:
        route.fulfill(json={"data": self.current}, headers={"X-Last-Event-Id": str(self.last)})

    def _line(self, socket: WebSocketRoute) -> None:
        self.lines.append(socket)
        socket.on_message(lambda said: self._greet(socket, json.loads(said)))

    def _greet(self, socket: WebSocketRoute, said: dict[str, Any]) -> None:
        if said["type"] == "AUTH":
            socket.send(json.dumps({"type": "READY", "lastEventId": said["after"]}))

    def tell(self, **frame: Any) -> None:
        seen(self.page, self.lines)
        self.last += 1
        self.lines[-1].send(json.dumps({"id": self.last, **frame}))

    def ends(self, by: str) -> None:
        assert self.current is not None
        payload = {"handoffRequestId": self.current["id"], "endedBy": by, "completedAt": "2026-11-20T08:30:05Z"}
        self.current = None
        self.tell(type="HANDOFF_COMPLETED", payload={**payload, "agentId": None})


def _handoff(**changes: Any) -> dict[str, Any]:
    began = "2026-11-20T08:00:00Z"
    return {
        "id": 12, "tenantId": "ww", "openKfid": KF, "accountName": "售前咨询", "userId": "wm", "status": "IN_PROGRESS",
        "agentId": "LiNa", "requestedAt": began, "acceptedAt": began, "repliedAt": began, "completedAt": None,
        "endedBy": None, **changes,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "by", "words"),
    [
        ("IN_PROGRESS", "SYSTEM", SYSTEM),
        ("ACCEPTED", "AGENT", AGENT),
        ("PENDING", "USER", "您已退出排队"),
        ("PENDING", "AGENT", "客服已结束本次排队"),
        ("PENDING", "SYSTEM", "本次排队已自动结束"),
    ],
)
def test_each_end_has_its_words(browser: Browser, shared_demo: Demo, status: str, by: str, words: str) -> None:
    with phone(browser) as page:
        played = Played(page, status=status)
        page.goto(f"{shared_demo.bot}/h")
        expect(page.locator("#card")).to_have_attribute("data-kind", "queue" if status == "PENDING" else "talk")
        played.ends(by)
        says(page, words)
        assert fact(page, "历时") == "30 分 05 秒"


def test_what_ended_unheard_has_ended_all_the_same(browser: Browser, shared_demo: Demo) -> None:
    with phone(browser) as page:
        played = Played(page, status="IN_PROGRESS")
        page.goto(f"{shared_demo.bot}/h")
        says(page, "正在与客服对话")
        played.current = None
        played.tell(type="RESET")
        says(page, "本次对话已结束")
        played.current = _handoff(id=13, status="ACCEPTED")
        comes_back(page)
        says(page, "客服已接入")


def test_an_answer_older_than_the_news_is_not_believed(browser: Browser, shared_demo: Demo) -> None:
    """The handoff ends while the page is asking for it."""
    held: list[Route] = []
    with phone(browser) as page:
        played = Played(page, status="IN_PROGRESS")
        page.goto(f"{shared_demo.bot}/h")
        says(page, "正在与客服对话")
        page.route(CURRENT, lambda route: held.append(route), times=1)
        comes_back(page)
        seen(page, held)
        played.ends("AGENT")
        says(page, AGENT)
        with page.expect_response(CURRENT):
            held[0].fulfill(json={"data": _handoff()}, headers={"X-Last-Event-Id": "7"})
        says(page, AGENT)


def test_what_people_are_called_is_text(browser: Browser, shared_demo: Demo) -> None:
    mark = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>'
    customer = Customer(shared_demo, mark)
    with phone(browser, customer.served()) as page:
        says(page, "客服已接入")
    with phone(browser, width=320, height=640) as page:
        Played(page, status="IN_PROGRESS", accountName=mark * 3, agentId=mark + "x" * 120)
        page.goto(f"{shared_demo.bot}/h")
        expect(page.get_by_role("heading", level=1)).to_have_text(mark * 3)
        assert fact(page, "接待人") == mark + "x" * 120
        assert page.evaluate("[document.images.length, document.scripts.length, window.hit ?? null]") == [0, 2, None]
        assert page.evaluate("document.documentElement.scrollWidth") == 320


# -- for everybody


@pytest.mark.parametrize("width", [195, 320, WIDTH, 1440])
def test_it_fits_and_can_be_hit_at_every_width(browser: Browser, shared_demo: Demo, width: int) -> None:
    """195 is a phone at 200 %."""
    with phone(browser, width=width, height=HEIGHT * width // WIDTH if width < WIDTH else 900) as page:
        Played(page, status="ACCEPTED")
        page.goto(f"{shared_demo.bot}/h")
        says(page, "客服已接入")
        for language in ("zh", "en"):
            if language == "en":
                page.locator("#language").click()
            page.locator("#end").click()
            boxes = [page.locator(each).bounding_box() for each in ("#language", "#end", "#confirm button >> nth=0")]
            assert all(box is not None and box["height"] >= 48 and box["width"] >= 48 for box in boxes), boxes
            assert page.evaluate("document.documentElement.scrollWidth") == width
            page.keyboard.press("Escape")


def test_both_languages_are_a_tap_away_and_the_choice_is_kept(browser: Browser, shared_demo: Demo) -> None:
    with phone(browser) as page:
        Played(page, status="IN_PROGRESS")
        page.goto(f"{shared_demo.bot}/h")
        page.get_by_role("button", name="English").click()
        says(page, "You are talking with an agent")
        expect(page.locator("html")).to_have_attribute("lang", "en")
        page.reload()
        says(page, "You are talking with an agent")
        page.get_by_role("button", name="中文").click()
        says(page, "正在与客服对话")


def test_the_keyboard_is_enough(browser: Browser, shared_demo: Demo) -> None:
    with phone(browser, Customer(shared_demo).served()) as page:
        says(page, "客服已接入")
        page.keyboard.press("Tab")
        expect(page.locator("#end")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog", name="结束与客服的对话？")).to_be_visible()
        expect(page.get_by_role("button", name="取消"), "what changes nothing comes first").to_be_focused()
        page.keyboard.press("Escape")
        expect(page.locator("#end")).to_be_focused()
        while not page.locator("#confirm").evaluate(
            "dialog => dialog.open"
        ):  # the page may not know yet that it closed
            page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        says(page, YOU)
        expect(page.get_by_role("status")).to_contain_text(YOU)


def test_a_browser_without_dialogs_asks_in_its_own_way(browser: Browser, shared_demo: Demo) -> None:
    link = Customer(shared_demo).served()
    with phone(browser) as page:
        page.add_init_script("delete HTMLDialogElement.prototype.showModal; delete AbortSignal.timeout")
        page.goto(link)
        page.once("dialog", lambda asked: asked.dismiss())
        page.locator("#end").click()
        says(page, "客服已接入")
        page.once("dialog", lambda asked: asked.accept())
        page.locator("#end").click()
        says(page, YOU)


def test_at_night_it_is_dark(browser: Browser, shared_demo: Demo) -> None:
    shades = []
    for scheme in ("light", "dark"):
        with phone(browser, f"{shared_demo.bot}/h/old", color_scheme=scheme) as page:
            shades.append(page.evaluate("getComputedStyle(document.querySelector('#card')).backgroundColor"))
    assert shades[0] == "rgb(255, 255, 255)" and shades[1] != shades[0]
