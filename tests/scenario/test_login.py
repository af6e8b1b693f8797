"""Agents log in by WeCom's web login, over real sockets: who comes in, who does not, and where they arrive."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import ClientSession, CookieJar
from yarl import URL

from bot.web.doors import ADDRESS, AGENT_COOKIE
from bot.web.limits import Limit
from bot.web.login import BROWSER_COOKIE, Corp, Login
from tests.scenario.conftest import Stage, a_stage


class Browser:
    """Follows nothing by itself; keeps its cookies."""

    def __init__(self, stage: Stage) -> None:
        self.base, self.http = f"http://127.0.0.1:{stage.bot.port}", ClientSession(cookie_jar=CookieJar(unsafe=True))
        self.text = self.type = ""

    async def open(self, url: str) -> tuple[int, str]:
        """Status, and where it leads."""
        target = URL(url if url.startswith("http") else self.base + url, encoded=True)
        async with self.http.get(target, allow_redirects=False) as response:
            self.text, self.type = await response.text(), response.content_type
            return response.status, response.headers.get("Location", "")

    async def log_in(self, userid: str, wanted: str = "") -> tuple[int, str]:
        """To WeCom, who knows who that is, and back."""
        _, wecom = await self.open(f"/login{wanted}")
        _, back = await self.open(f"{wecom.removesuffix('#wechat_redirect')}&userid={userid}")
        return await self.open(back)

    @property
    def cookies(self) -> dict[str, str]:
        return {each.key: each.value for each in self.http.cookie_jar}


@pytest.fixture
async def browser(running: Stage) -> AsyncIterator[Browser]:
    _public(running)
    async for ready in a_browser(running):
        yield ready


async def a_browser(stage: Stage) -> AsyncIterator[Browser]:
    browser = Browser(stage)
    yield browser
    await browser.http.close()


def _public(stage: Stage) -> None:
    """The bot's port is known only now."""
    login: Login = stage.bot.site.login
    wecom = stage.bot.core.settings.wecom
    login._corp = Corp(wecom.corp_id, wecom.api_base, f"http://127.0.0.1:{stage.bot.port}")


async def test_a_servicer_comes_in_and_arrives_where_they_wanted(running: Stage, browser: Browser) -> None:
    await running.until(running.bot.core.people.servicers)
    assert await browser.log_in("LiNa", "?next=/console%3Fkf%3Dwk1") == (302, "/console?kf=wk1")
    assert set(browser.cookies) == {AGENT_COOKIE}
    claims = running.bot.core.tokens.agent(browser.cookies[AGENT_COOKIE])
    assert (claims.userid, claims.role.name) == ("LiNa", "AGENT")
    assert (await browser.open("/api/agent/me"))[0] == 200


async def test_who_serves_nobody_is_no_agent_while_none_are_named(running: Stage, browser: Browser) -> None:
    await running.until(running.bot.core.people.servicers)
    status, _ = await browser.log_in("ChenJing")
    assert status == 403 and "ChenJing" in browser.text
    assert AGENT_COOKIE not in browser.cookies


async def test_whoever_is_turned_away_gets_a_page_with_a_way_on(running: Stage, browser: Browser) -> None:
    status, _ = await browser.open("/login/callback?code=x&state=y")
    assert (status, browser.type) == (401, "text/html") and 'href="/login"' in browser.text
    login: Login = running.bot.site.login
    login._corp = Corp("ww1", "", "")
    assert (await browser.open("/login"))[0] == 404
    assert browser.type == "text/html" and 'href="/console"' in browser.text


@pytest.mark.parametrize(("userid", "status", "role"), [
    ("ChenJing", 302, "AGENT"), ("WangWei", 302, "ADMIN"), ("LiNa", 403, ""), ("wmStranger", 403, ""),
])  # fmt: skip
async def test_those_whom_the_settings_name_come_in(tmp_path: Path, userid: str, status: int, role: str) -> None:
    roles: dict[str, Any] = {"admins": ["WangWei"], "agents": ["ChenJing"]}
    async with a_stage(tmp_path, roles=roles) as stage:
        stage.sandbox.group_new("全员", {"WangWei": "王伟"})
        await stage.start()
        _public(stage)
        async for browser in a_browser(stage):
            assert (await browser.log_in(userid))[0] == status
            if role:
                assert stage.bot.core.tokens.agent(browser.cookies[AGENT_COOKIE]).role.name == role


async def test_a_code_works_once_and_a_state_only_in_its_browser(running: Stage, browser: Browser) -> None:
    await running.until(running.bot.core.people.servicers)
    _, wecom = await browser.open("/login")
    _, back = await browser.open(f"{wecom.removesuffix('#wechat_redirect')}&userid=LiNa")
    async for other in a_browser(running):
        assert (await other.open(back))[0] == 401, "somebody else's login must not become mine"
        assert not other.cookies
    kept = browser.cookies[BROWSER_COOKIE]
    assert (await browser.open(back))[0] == 302
    browser.http.cookie_jar.update_cookies({BROWSER_COOKIE: kept}, URL(browser.base))
    status, _ = await browser.open(back)
    assert status == 502 and "40029" in browser.text


async def test_whoever_guesses_codes_is_soon_not_heard_and_wecom_is_spared(running: Stage, browser: Browser) -> None:
    running.bot.site.doors._addresses = Limit(*ADDRESS, lambda: 0.0)
    _, wecom = await browser.open("/login")
    [state] = parse_qs(urlsplit(wecom).query)["state"]
    statuses = [(await browser.open(f"/login/callback?code=guess{n}&state={state}"))[0] for n in range(60)]
    assert (statuses[0], statuses[-1]) == (502, 429)
    asked = sum(count for path, count in running.sandbox.ledger.calls.items() if "getuserinfo" in path)
    assert asked == statuses.count(502) < 50


async def test_a_state_is_good_for_a_while(running: Stage, browser: Browser) -> None:
    _, wecom = await browser.open("/login")
    _, back = await browser.open(f"{wecom.removesuffix('#wechat_redirect')}&userid=LiNa")
    running.sandbox.clock_advance(601)
    assert (await browser.open(back))[0] == 401
    for broken in ("/login/callback", "/login/callback?code=x&state=y", "/login/callback?state=%00&code=%ff"):
        assert (await browser.open(broken))[0] == 401


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/%0d%0aSet-Cookie:x=1", "javascript:alert(1)", "",
     "/" + "a" * 600],
)  # fmt: skip
async def test_nobody_is_sent_elsewhere(running: Stage, browser: Browser, wanted: str) -> None:
    await running.until(running.bot.core.people.servicers)
    assert await browser.log_in("LiNa", f"?next={wanted}") == (302, "/console")


async def test_what_wecom_is_told(running: Stage, browser: Browser) -> None:
    status, wecom = await browser.open("/login")
    where, query = urlsplit(wecom), parse_qs(urlsplit(wecom).query)
    assert (status, where.path, where.fragment) == (302, "/connect/oauth2/authorize", "wechat_redirect")
    assert query["appid"] == [running.bot.core.settings.wecom.corp_id]
    assert query["redirect_uri"] == [f"{browser.base}/login/callback"]
    assert (query["response_type"], query["scope"]) == (["code"], ["snsapi_base"])
    assert (await browser.open(wecom))[0] == 200 and "LiNa" in browser.text, "the sandbox asks who it is"


def test_the_live_login_is_tencents() -> None:
    corp = Corp("ww1", "https://qyapi.weixin.qq.com", "https://kf.example.com/")
    assert corp.authorize("S").startswith("https://open.weixin.qq.com/connect/oauth2/authorize?appid=ww1&")
    assert "redirect_uri=https%3A%2F%2Fkf.example.com%2Flogin%2Fcallback&" in corp.authorize("S")
    private = Corp("ww1", "https://wecom.corp.example", "https://kf.example.com")
    assert private.authorize("S").startswith("https://wecom.corp.example/connect/oauth2/authorize?")


async def test_without_a_public_address_there_is_no_login(running: Stage) -> None:
    async for browser in a_browser(running):
        assert (await browser.open("/login"))[0] == 404
        assert "bot.py token" in browser.text


async def test_what_wecom_refuses_is_told(running: Stage, browser: Browser) -> None:
    _, wecom = await browser.open("/login")
    _, back = await browser.open(f"{wecom.removesuffix('#wechat_redirect')}&userid=LiNa")
    running.sandbox.fault("auth/getuserinfo", "errcode", errcode=60020)
    assert (await browser.open(back))[0] == 502 and "60020" in browser.text
