"""Section 六 of the guide this feature grew from, 用户端结束对话功能: its check list, line by line and in its words.

What those names stand for here: the controller is `/api/customer/handoff`, the service `bot/service.py`, the front end
and its ChatPage the customer's page.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from http.cookiejar import CookieJar
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urldefrag
from urllib.request import HTTPCookieProcessor, Request, build_opener

import pytest
from playwright.sync_api import Browser, Page, WebSocket, expect

from tests.browser.conftest import Demo, opened, until
from tests.browser.test_customer_page import AGENT, KF, YOU, Customer, phone, says

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

CURRENT, END = "/api/customer/handoff", "/api/customer/handoff/end-by-user"
Answer = tuple[int, Any]


class Asker:
    """Somebody without a page: with the token of a customer's link, or logged in as a member of staff."""

    def __init__(self, demo: Demo, link: str = "", member: str = "") -> None:
        self._bot, self._http = demo.bot, build_opener(HTTPCookieProcessor(CookieJar()))
        self._headers = {"Authorization": f"Bearer {link.rpartition('/')[2]}"} if link else {}
        if member:
            with self._http.open(f"{demo.bot}/login", timeout=10) as wecom:
                self._http.open(f"{urldefrag(wecom.url).url}&userid={member}", timeout=10).close()

    def ask(self, path: str, body: Any = None) -> Answer:
        """Status, and what stands under `data` or `error`."""
        data = None if body is None else json.dumps(body).encode()
        try:
            with self._http.open(Request(self._bot + path, data, self._headers), timeout=20) as answer:
                return answer.status, json.load(answer)["data"]
        except HTTPError as refused:
            with refused:
                return refused.code, json.load(refused)["error"]

    def end(self, number: Any) -> Answer:
        return self.ask(END, {"handoffRequestId": number})

    def handoff(self, *statuses: str) -> dict[str, Any]:
        """The customer's, as soon as it is in one of these."""

        def found() -> dict[str, Any] | None:
            status, current = self.ask(CURRENT)
            return current if status == 200 and current and current["status"] in statuses else None

        handoff = until(found)
        assert handoff is not None
        return handoff


def button(page: Page) -> Any:
    return page.locator("main").get_by_role("button", name="结束对话")


def confirm(page: Page) -> None:
    page.get_by_role("dialog").get_by_role("button", name="结束对话").click()


def test_CustomerHandoffController_存在_end_by_user_端点且_DTO_可编译(demo: Demo) -> None:
    customer = Customer(demo)
    asker = Asker(demo, customer.served())
    with build_opener().open(f"{demo.bot}/api/openapi.json", timeout=10) as answer:
        body = json.load(answer)["paths"][END]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["handoffRequestId"]
    assert body["properties"]["handoffRequestId"]["type"] == "integer"
    number = asker.handoff("ACCEPTED")["id"]
    wrongs: list[Any] = [{}, [], "1", *({"handoffRequestId": each} for each in (None, str(number), 0.5, -1))]
    for wrong in wrongs:
        status, error = asker.ask(END, wrong)
        assert (status, error["code"]) == (400, "BAD_REQUEST"), wrong
    assert Asker(demo).end(number)[0] == 401
    status, data = asker.end(number)
    assert (status, data["id"]) == (200, number)


def test_HandoffService_endByUser_实现完成并通过状态_权限校验(demo: Demo) -> None:
    """Whose it is, and in which status; then all that an end brings with it."""
    customer, other = Customer(demo), Customer(demo, "别人")
    asker, stranger, staff = Asker(demo, customer.served()), Asker(demo, other.served()), Asker(demo, member="LiNa")
    number = asker.handoff("ACCEPTED")["id"]
    assert stranger.end(number) == stranger.end(999_999)
    assert stranger.end(number)[0] == 404

    load = _load(staff)
    status, data = asker.end(number)
    assert (status, data["status"], data["endedBy"], data["agentId"]) == (200, "COMPLETED", "USER", "LiNa")
    assert data["completedAt"] and customer.session()["service_state"] == 4
    assert asker.end(number) == (200, data), "the same once more is success once more"
    assert asker.ask(CURRENT) == (200, None), "the chat mode is AI again"
    assert _load(staff) == load - 1
    _, events = staff.ask(f"/api/handoffs/{number}/events")
    [end] = [each for each in events if each["type"] == "COMPLETED"]
    assert (end["operatorType"], end["operatorId"]) == ("USER", customer.userid)
    assert end["eventData"]["endedBy"] == "USER"

    number = stranger.handoff("ACCEPTED")["id"]
    other.act("servicer/end")
    until(lambda: stranger.ask(CURRENT)[1] is None)
    status, error = stranger.end(number)
    assert (status, error["code"]) == (409, "HANDOFF_NOT_ACTIVE")


def _load(staff: Asker) -> int:
    _, servicers = staff.ask(f"/api/agent/servicers?kf={KF}")
    return int(next(each["load"] for each in servicers if each["userId"] == "LiNa"))


def test_HANDOFF_COMPLETED_payload_增加_endedBy(browser: Browser, demo: Demo) -> None:
    """For the customer's page and the agents', whoever ended it."""
    customer = Customer(demo)
    for by in ("USER", "AGENT"):
        link = customer.served()
        number = Asker(demo, link).handoff("ACCEPTED")["id"]
        with phone(browser) as page, opened(browser, f"{demo.bot}/login?next=/console") as console:
            heard, seen = _ends(page), _ends(console)
            page.goto(link)
            says(page, "客服已接入")
            console.get_by_role("link", name="李娜").click()
            expect(console.get_by_test_id("link")).to_have_attribute("data-state", "live")
            if by == "USER":
                assert Asker(demo, link).end(number)[0] == 200
            else:
                customer.act("servicer/end")
            until(lambda: page.evaluate("1") and console.evaluate("1") and heard and seen)  # noqa: B023
            for told in (heard, seen):
                assert [(each["handoffRequestId"], each["endedBy"]) for each in told] == [(number, by)]
                assert set(told[0]) == {
                    "handoffRequestId", "endedBy", "completedAt", "openKfid", "userId", "agentId",
                }  # fmt: skip
                assert (told[0]["userId"], told[0]["agentId"]) == (customer.userid, "LiNa")


def _ends(page: Page) -> list[dict[str, Any]]:
    """What its live events tell of ends."""
    told: list[dict[str, Any]] = []

    def hear(said: str | bytes) -> None:
        frame = json.loads(said)
        if frame["type"] == "HANDOFF_COMPLETED":
            told.append(frame["payload"])

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", hear)

    page.on("websocket", listen)
    return told


def test_前端_handoffApi_endByUser_已接入(browser: Browser, demo: Demo) -> None:
    customer = Customer(demo)
    link = customer.served()
    number = Asker(demo, link).handoff("ACCEPTED")["id"]
    with phone(browser, link) as page:
        button(page).click()
        with page.expect_response(f"**{END}") as answered:
            confirm(page)
        request, answer = answered.value.request, answered.value
        assert (request.method, request.post_data_json) == ("POST", {"handoffRequestId": number})
        assert (answer.status, answer.json()["data"]["endedBy"]) == (200, "USER")
        says(page, YOU)
    assert customer.session()["service_state"] == 4


def test_ChatPage_tsx_人工中展示_结束对话_按钮(browser: Browser, demo: Demo) -> None:
    """And only then: not while it queues, nor when it is over."""
    customer = Customer(demo)
    link = customer.served()
    customer.act("servicer/end")
    demo.act("account/routing", open_kfid=KF, routing="queue")
    with phone(browser, link) as page:
        customer.writes("还有一个问题")
        says(page, "正在排队")
        expect(button(page)).to_be_hidden()
        customer.act("servicer/take", servicer_userid="LiNa")
        says(page, "客服已接入")
        expect(button(page)).to_be_enabled()
        customer.act("servicer/message", servicer_userid="LiNa", text="您好")
        says(page, "正在与客服对话")
        expect(button(page)).to_be_enabled()
        button(page).click()
        expect(page.get_by_role("dialog")).to_contain_text("结束与客服的对话？")
        page.keyboard.press("Escape")
        expect(button(page), "nothing is ended that was not confirmed").to_be_enabled()
        button(page).click()
        confirm(page)
        says(page, YOU)
        expect(button(page)).to_be_hidden()


def test_ChatPage_tsx_对_HANDOFF_COMPLETED_做_endedBy_分支提示(browser: Browser, demo: Demo) -> None:
    """The end comes from elsewhere, so that the event alone can tell whose it was."""
    customer = Customer(demo)
    ways: list[tuple[Callable[[], Any], str]] = [
        (lambda: customer.writes("结束对话"), YOU),
        (lambda: customer.act("servicer/end"), AGENT),
        (customer.ended_in_group, AGENT),
    ]
    for end, words in ways:
        with phone(browser, customer.served()) as page:
            says(page, "客服已接入")
            end()
            says(page, words)
            expect(button(page)).to_be_hidden()
            customer.ended()
