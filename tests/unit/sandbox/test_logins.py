"""WeCom's web login: a page that asks who it is, and codes that work once."""

import re

import pytest

from bot.sandbox.login_codes import CODE_LIFE

from .conftest import Served

ASK = {
    "appid": "ww5a4db0c0ffee0001",
    "redirect_uri": "http://bot.test/back?a=1",
    "response_type": "code",
    "state": "S&1",
}


async def code_for(served: Served, userid: str) -> str:
    url = served.corp.base_url + "/connect/oauth2/authorize"
    async with served.http.get(url, params={**ASK, "userid": userid}, allow_redirects=False) as response:
        assert response.status == 302
        back = response.headers["Location"]
    found = re.fullmatch(r"http://bot\.test/back\?a=1&code=([\w-]+)&state=S%261", back)
    assert found, back
    return found[1]


async def test_a_code_says_who_it_is_once(served: Served) -> None:
    token, code = await served.token(), await code_for(served, "LiNa")
    answer = await served.get("/cgi-bin/auth/getuserinfo", access_token=token, code=code)
    assert (answer["errcode"], answer["userid"]) == (0, "LiNa")
    assert (await served.get("/cgi-bin/auth/getuserinfo", access_token=token, code=code))["errcode"] == 40029


async def test_who_is_no_member_has_no_userid(served: Served) -> None:
    answer = await served.get(
        "/cgi-bin/auth/getuserinfo", access_token=await served.token(), code=await code_for(served, "somebody")
    )
    assert answer["errcode"] == 0 and "userid" not in answer and answer["openid"]


async def test_a_code_grows_old(served: Served) -> None:
    code = await code_for(served, "LiNa")
    served.corp.clock_advance(CODE_LIFE)
    answer = await served.get("/cgi-bin/auth/getuserinfo", access_token=await served.token(), code=code)
    assert answer["errcode"] == 40029


@pytest.mark.parametrize(("query", "errcode"), [({"code": "x"}, 40029), ({}, 40058), ({"code": ""}, 40058)])
async def test_wrong_questions(served: Served, query: dict[str, str], errcode: int) -> None:
    answer = await served.get("/cgi-bin/auth/getuserinfo", access_token=await served.token(), **query)
    assert answer["errcode"] == errcode
    assert (await served.get("/cgi-bin/auth/getuserinfo", **query))["errcode"] == 41001


@pytest.mark.parametrize(
    "wrong", [{"appid": "ww0"}, {"response_type": "token"}, {"redirect_uri": "javascript:x"}, {"redirect_uri": ""}]
)
async def test_wrong_links_lead_nowhere(served: Served, wrong: dict[str, str]) -> None:
    url = served.corp.base_url + "/connect/oauth2/authorize"
    async with served.http.get(url, params={**ASK, **wrong}, allow_redirects=False) as response:
        assert response.status == 400


async def test_the_page_names_the_members_and_runs_nothing(served: Served) -> None:
    served.corp.group_new("组", {"Mallory": "<script>alert(1)</script>"})
    async with served.http.get(served.corp.base_url + "/connect/oauth2/authorize", params=ASK) as response:
        page = await response.text()
    assert "userid=LiNa" in page and "&lt;script&gt;" in page and "<script>" not in page
