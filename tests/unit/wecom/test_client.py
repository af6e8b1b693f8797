"""KfClient against a scripted WeCom: tokens, repetitions, limits, and what each call sends and reads."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import pytest
import stamina
from aiohttp.client_reqrep import ConnectionKey

from bot.errors import (
    CredentialRejected,
    RateLimited,
    SyncTokenExpired,
    TokenExpired,
    WeComBusy,
    WeComError,
    WeComUnavailable,
)
from bot.http import Http
from bot.model import KfAccount, Message, Servicer, ServiceState, SessionKey, StateReading
from bot.ports import KfApi
from bot.wecom import protocol
from bot.wecom.client import BLOCK_SECONDS, LIMIT_SECONDS, LOOK_SECONDS, KfClient
from bot.wecom.protocol import (
    ACCOUNT_LIST,
    CUSTOMER_BATCHGET,
    GETTOKEN,
    GETUSERINFO,
    SEND_MSG,
    SEND_MSG_ON_EVENT,
    SERVICER_LIST,
    STATE_GET,
    STATE_TRANS,
    SYNC_MSG,
)
from tests.fakes_http import API_BASE, Request, Script, Ticks, scripted

CORP, SECRET, TOKEN = "ww1", "S3CRETSECRET", "T0KENT0KEN"
KEY = SessionKey("wk1", "wm1")
OK: dict[str, Any] = {"errcode": 0, "errmsg": "ok"}
STATE = {**OK, "service_state": 3, "servicer_userid": "li"}
UNSENT = aiohttp.ClientConnectorError(
    ConnectionKey("qyapi.weixin.qq.com", 443, True, True, None, None, None), OSError(111, "refused")
)
LOST = aiohttp.ServerDisconnectedError()

Call = Callable[[KfClient], Awaitable[Any]]
READS: dict[str, Call] = {
    ACCOUNT_LIST: lambda client: client.accounts(),
    SERVICER_LIST: lambda client: client.servicers("wk1"),
    CUSTOMER_BATCHGET: lambda client: client.nicknames(["wm1"]),
    STATE_GET: lambda client: client.state(KEY),
    SYNC_MSG: lambda client: client.sync("wk1", "C1", "ENC"),
}
ACTS: dict[str, Call] = {
    STATE_TRANS: lambda client: client.trans(KEY, ServiceState.ENDED),
    SEND_MSG: lambda client: client.send(KEY, Message("hi"), "m1"),
    SEND_MSG_ON_EVENT: lambda client: client.send_on_event("CODE", Message("hi"), "m1"),
    GETUSERINFO: lambda client: client.member("CODE"),
}
CALLS = READS | ACTS
GOOD = {**OK, "service_state": 3, "msg_code": "CODE", "msgid": "m1", "next_cursor": "C2", "has_more": 0}


def refusal(errcode: int, errmsg: str = "no") -> dict[str, Any]:
    return {"errcode": errcode, "errmsg": f"{errmsg}, hint: [17], from ip: 203.0.113.5, more info at https://x/?e=1"}


def readiness(client: KfClient) -> tuple[bool, int | None]:
    return client.ready, client.last_error.errcode if client.last_error else None


def grant(value: str = TOKEN, lifetime: int = 7200) -> dict[str, Any]:
    return {**OK, "access_token": value, "expires_in": lifetime}


@pytest.fixture(autouse=True)
def _no_waiting_between_attempts() -> Iterator[None]:
    with stamina.set_testing(True, attempts=10, cap=True):
        yield


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def wecom() -> Iterator[Script]:
    with scripted() as script:
        script.on(GETTOKEN, grant())
        yield script


@pytest.fixture
def seen() -> list[tuple[str, str]]:
    return []


@pytest.fixture
async def client(wecom: Script, ticks: Ticks, seen: list[tuple[str, str]]) -> AsyncIterator[KfClient]:
    def observe(endpoint: str, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        seen.append((endpoint, outcome))

    async with Http() as http:
        yield KfClient(http, CORP, SECRET, API_BASE + "/", observe=observe, monotonic=ticks)


def test_it_is_a_kf_api(client: KfClient) -> None:
    api: KfApi = client
    assert api


# --- what each call sends and reads


async def test_gettoken_and_a_read(client: KfClient, wecom: Script, seen: list[tuple[str, str]]) -> None:
    wecom.on(STATE_GET, STATE)
    assert await client.state(KEY) == StateReading(ServiceState.HUMAN, "li")
    gettoken, state = wecom.requests
    assert (gettoken.method, gettoken.query) == ("GET", {"corpid": CORP, "corpsecret": SECRET})
    assert (state.method, state.query) == ("POST", {"access_token": TOKEN})
    assert state.body == {"open_kfid": "wk1", "external_userid": "wm1"}
    assert seen == [(GETTOKEN, "ok"), (STATE_GET, "ok")]


async def test_gettoken_without_errcode(client: KfClient, wecom: Script) -> None:
    wecom.on(GETTOKEN, {"access_token": TOKEN, "expires_in": 7200})
    await client.check_token()
    assert client.ready


@pytest.mark.parametrize("servicer", [None, "li"])
async def test_trans(client: KfClient, wecom: Script, servicer: str | None) -> None:
    wecom.on(STATE_TRANS, {**OK, "msg_code": "CODE"})
    assert await client.trans(KEY, ServiceState.ENDED, servicer) == "CODE"
    expected = {"open_kfid": "wk1", "external_userid": "wm1", "service_state": 4}
    assert wecom.asked(STATE_TRANS)[0].body == expected | ({"servicer_userid": servicer} if servicer else {})


@pytest.mark.parametrize("code", [{}, {"msg_code": None}, {"msg_code": ""}, {"msg_code": 7}])
async def test_trans_without_a_code(client: KfClient, wecom: Script, code: dict[str, Any]) -> None:
    wecom.on(STATE_TRANS, OK | code)
    assert await client.trans(KEY, ServiceState.ENDED) == ""


async def test_sync(client: KfClient, wecom: Script) -> None:
    wecom.on(SYNC_MSG, {**OK, "next_cursor": "C2", "has_more": 1, "msg_list": None})
    page = await client.sync("wk1", "C1", "ENC", 50)
    assert (page.items, page.next_cursor, page.has_more) == ([], "C2", True)
    request = wecom.asked(SYNC_MSG)[0]
    assert request.body == {"open_kfid": "wk1", "cursor": "C1", "token": "ENC", "limit": 50, "voice_format": 0}
    assert request.seconds == 15


async def test_sync_leaves_out_what_is_empty_and_keeps_the_cursor(client: KfClient, wecom: Script) -> None:
    wecom.on(SYNC_MSG, OK)
    assert (await client.sync("wk1", "", limit=5000)).next_cursor == ""
    assert wecom.asked(SYNC_MSG)[0].body == {"open_kfid": "wk1", "limit": 1000, "voice_format": 0}
    assert (await client.sync("wk1", "C1", "ENC")).next_cursor == "C1"


async def test_an_expired_sync_token_is_not_an_expired_access_token(client: KfClient, wecom: Script) -> None:
    wecom.on(SYNC_MSG, refusal(95007))
    with pytest.raises(SyncTokenExpired):
        await client.sync("wk1", "C1", "ENC")
    assert len(wecom.requests) == 2


async def test_send(client: KfClient, wecom: Script) -> None:
    wecom.on(SEND_MSG, {**OK, "msgid": "m1"})
    assert await client.send(KEY, Message("hi"), "m1") == "m1"
    assert wecom.asked(SEND_MSG)[0].body == {
        "touser": "wm1",
        "open_kfid": "wk1",
        "msgid": "m1",
        "msgtype": "text",
        "text": {"content": "hi"},
    }


async def test_send_on_event(client: KfClient, wecom: Script) -> None:
    wecom.on(SEND_MSG_ON_EVENT, OK)
    assert await client.send_on_event("CODE", Message("hi", (("a", "b"),)), "m1") == "m1"
    body = wecom.asked(SEND_MSG_ON_EVENT)[0].body
    assert (body["code"], body["msgid"], body["msgtype"]) == ("CODE", "m1", "msgmenu")


@pytest.mark.parametrize(
    ("told", "userid"),
    [
        ({"userid": "LiNa", "user_ticket": "x"}, "LiNa"),
        ({"UserId": "LiNa"}, "LiNa"),  # as the older user/getuserinfo spells it
        ({"openid": "o1"}, ""),
        ({"openid": "o1", "external_userid": "wm1"}, ""),
        ({"userid": None}, ""),
        ({}, ""),
    ],
)
async def test_who_has_logged_in(client: KfClient, wecom: Script, told: dict[str, Any], userid: str) -> None:
    wecom.on(GETUSERINFO, {**OK, **told})
    assert await client.member("a code/+") == userid


async def test_servicers_is_a_get(client: KfClient, wecom: Script) -> None:
    wecom.on(SERVICER_LIST, {**OK, "servicer_list": [{"userid": "li", "status": 0}]})
    assert await client.servicers("wk1") == [Servicer("li", True)]
    request = wecom.asked(SERVICER_LIST)[0]
    assert (request.method, request.query) == ("GET", {"open_kfid": "wk1", "access_token": TOKEN})


def accounts(*numbers: int) -> dict[str, Any]:
    return {**OK, "account_list": [{"open_kfid": f"wk{number}"} for number in numbers]}


async def test_accounts_are_read_until_a_short_page(client: KfClient, wecom: Script) -> None:
    wecom.on(ACCOUNT_LIST, accounts(*range(100)), accounts(*range(100, 200)), accounts(200))
    assert await client.accounts() == [KfAccount(f"wk{number}") for number in range(201)]
    assert [request.body for request in wecom.asked(ACCOUNT_LIST)] == [
        {"offset": offset, "limit": 100} for offset in (0, 100, 200)
    ]


async def test_an_unreadable_account_does_not_make_a_page_short(client: KfClient, wecom: Script) -> None:
    full = accounts(*range(99))
    full["account_list"].append({"name": "no id"})
    wecom.on(ACCOUNT_LIST, full, accounts(200))
    assert len(await client.accounts()) == 100


async def test_a_server_that_ignores_the_offset_is_not_read_for_ever(client: KfClient, wecom: Script) -> None:
    wecom.on(ACCOUNT_LIST, accounts(*range(100)))
    assert len(await client.accounts()) == 100
    assert len(wecom.asked(ACCOUNT_LIST)) == 2


async def test_nicknames_by_the_hundred(client: KfClient, wecom: Script) -> None:
    async def answer(request: Request) -> dict[str, Any]:
        ids = request.body["external_userid_list"]
        return {**OK, "customer_list": [{"external_userid": wm, "nickname": f"nick {wm}"} for wm in ids]}

    wecom.on(CUSTOMER_BATCHGET, answer)
    ids = [f"wm{number}" for number in range(150)]
    assert await client.nicknames(iter(ids + ids)) == {wm: f"nick {wm}" for wm in ids}
    assert [len(request.body["external_userid_list"]) for request in wecom.asked(CUSTOMER_BATCHGET)] == [100, 50]


async def test_no_ids_no_call(client: KfClient, wecom: Script) -> None:
    assert await client.nicknames([]) == {}
    assert not wecom.requests


async def test_an_unknown_state_is_raised_not_guessed(client: KfClient, wecom: Script) -> None:
    wecom.on(STATE_GET, {**OK, "service_state": 9})
    with pytest.raises(WeComUnavailable):
        await client.state(KEY)


# --- tokens


async def test_many_calls_share_one_gettoken(client: KfClient, wecom: Script) -> None:
    wecom.on(STATE_GET, STATE)
    await asyncio.gather(*(client.state(KEY) for _ in range(30)))
    assert len(wecom.asked(GETTOKEN)) == 1
    assert len(wecom.asked(STATE_GET)) == 30


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
async def test_a_stale_token_is_renewed_once_and_the_call_repeated(
    client: KfClient, wecom: Script, path: str, errcode: int
) -> None:
    wecom.on(GETTOKEN, grant("OLD"), grant("NEW"))
    wecom.on(path, refusal(errcode), GOOD)
    await CALLS[path](client)
    assert [request.query["access_token"] for request in wecom.asked(path)] == ["OLD", "NEW"]


@pytest.mark.parametrize("path", CALLS)
async def test_a_token_that_stays_stale_is_given_up(client: KfClient, wecom: Script, path: str) -> None:
    wecom.on(path, refusal(42001))
    with pytest.raises(TokenExpired):
        await CALLS[path](client)
    assert (len(wecom.asked(path)), len(wecom.asked(GETTOKEN))) == (2, 2)


async def test_a_late_42001_of_the_older_token_renews_nothing(client: KfClient, wecom: Script) -> None:
    late = asyncio.Event()

    async def refused_late(request: Request) -> dict[str, Any]:
        await late.wait()
        return refusal(42001)

    wecom.on(GETTOKEN, grant("OLD"), grant("NEW"), grant("NEWER"))
    wecom.on(SERVICER_LIST, refused_late, OK)
    wecom.on(STATE_GET, refusal(42001), STATE)
    await client.check_token()
    slow = asyncio.create_task(client.servicers("wk1"))
    await wecom.arrival(SERVICER_LIST)
    await client.state(KEY)
    late.set()
    await slow
    assert [request.query["access_token"] for request in wecom.asked(SERVICER_LIST)] == ["OLD", "NEW"]
    assert len(wecom.asked(GETTOKEN)) == 2


@pytest.mark.parametrize("errcode", [40001, 40013, 40091, 41002, 41004])
async def test_a_wrong_secret_is_not_hammered(client: KfClient, wecom: Script, ticks: Ticks, errcode: int) -> None:
    wecom.on(GETTOKEN, refusal(errcode))
    for call in CALLS.values():
        with pytest.raises(CredentialRejected):
            await call(client)
    assert len(wecom.requests) == 1
    assert readiness(client) == (False, errcode)
    ticks.move(31)
    wecom.on(GETTOKEN, grant())
    await client.check_token()
    assert readiness(client) == (True, None)


@pytest.mark.parametrize("path", ACTS)
@pytest.mark.parametrize("answer", [LOST, TimeoutError(), 502, b"<html>", {**OK, "access_token": ""}])
async def test_without_a_token_nothing_was_sent(client: KfClient, wecom: Script, path: str, answer: Any) -> None:
    """However gettoken failed, the effect certainly did not happen."""
    wecom.on(GETTOKEN, answer)
    with pytest.raises(WeComUnavailable) as caught:
        await ACTS[path](client)
    assert not caught.value.sent
    assert not wecom.asked(path)


async def test_gettoken_is_repeated_as_a_read_is_and_no_more(client: KfClient, wecom: Script) -> None:
    wecom.on(GETTOKEN, LOST, refusal(-1), grant())
    wecom.on(STATE_GET, STATE)
    await client.state(KEY)
    wecom.on(GETTOKEN, 502)
    client._token.reject(await client._token.get(1))
    with pytest.raises(WeComUnavailable):
        await client.state(KEY)
    assert len(wecom.asked(GETTOKEN)) == 3 + 3


# --- repetitions


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("failure", [refusal(-1), refusal(45033), LOST, UNSENT, TimeoutError(), 503, b"not json"])
async def test_reads_are_repeated(client: KfClient, wecom: Script, path: str, failure: Any) -> None:
    wecom.on(path, failure, failure, GOOD)
    await READS[path](client)
    assert len(wecom.asked(path)) == 3


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize(
    ("failure", "kind"), [(refusal(-1), WeComBusy), (refusal(45033), RateLimited), (UNSENT, WeComUnavailable)]
)
async def test_nothing_more_than_three_times(
    client: KfClient, wecom: Script, path: str, failure: Any, kind: type[WeComError]
) -> None:
    wecom.on(path, failure)
    with pytest.raises(kind):
        await CALLS[path](client)
    assert len(wecom.asked(path)) == 3


@pytest.mark.parametrize("path", ACTS)
@pytest.mark.parametrize("failure", [refusal(-1), refusal(45033), UNSENT])
async def test_acts_are_repeated_when_refused_or_never_sent(
    client: KfClient, wecom: Script, path: str, failure: Any
) -> None:
    wecom.on(path, failure, GOOD)
    await ACTS[path](client)
    assert len(wecom.asked(path)) == 2


@pytest.mark.parametrize("path", ACTS)
@pytest.mark.parametrize(("first", "doubtful"), [(refusal(-1), True), (refusal(45033), False), (UNSENT, False)])
async def test_a_refused_repetition_says_whether_the_act_may_have_happened_before(
    client: KfClient, wecom: Script, path: str, first: Any, doubtful: bool
) -> None:
    """-1 is said of a move that has taken effect, too; then the next one finds the session over, or the code spent."""
    wecom.on(path, first, refusal(95013))
    with pytest.raises(WeComError) as caught:
        await ACTS[path](client)
    assert (caught.value.errcode, caught.value.doubtful) == (95013, doubtful)


@pytest.mark.parametrize("path", ACTS)
@pytest.mark.parametrize("failure", [LOST, TimeoutError(), aiohttp.ClientOSError(104, "reset"), 500, b"not json", {}])
async def test_acts_with_an_unknown_outcome_are_not_repeated(
    client: KfClient, wecom: Script, path: str, failure: Any
) -> None:
    wecom.on(path, failure)
    with pytest.raises(WeComUnavailable) as caught:
        await ACTS[path](client)
    assert caught.value.sent
    assert len(wecom.asked(path)) == 1


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize("errcode", [95013, 95016, 40058, 48002, 12345])
async def test_a_refusal_is_final(client: KfClient, wecom: Script, path: str, errcode: int) -> None:
    wecom.on(path, refusal(errcode))
    with pytest.raises(WeComError) as caught:
        await CALLS[path](client)
    assert (caught.value.errcode, caught.value.errmsg, caught.value.endpoint) == (errcode, "no", path)
    assert len(wecom.asked(path)) == 1


async def test_cancelling_is_passed_on_at_once(client: KfClient, wecom: Script, seen: list[tuple[str, str]]) -> None:
    async def never(request: Request) -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    wecom.on(STATE_TRANS, never)
    call = asyncio.create_task(client.trans(KEY, ServiceState.ENDED))
    await wecom.arrival(STATE_TRANS)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert len(wecom.asked(STATE_TRANS)) == 1
    assert seen[-1] == (STATE_TRANS, "cancelled")


async def test_real_waits_between_attempts_are_short(
    client: KfClient, wecom: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept, sleep = list[float](), asyncio.sleep

    async def noted(seconds: float) -> None:
        slept.append(seconds)
        await sleep(seconds)

    stamina.set_testing(False)
    monkeypatch.setattr(asyncio, "sleep", noted)
    wecom.on(STATE_GET, refusal(-1), STATE)
    await client.state(KEY)
    assert 0.15 < sum(slept) < 1.0


# --- time limits


def slow(ticks: Ticks, seconds: float, answer: Any) -> Callable[[Request], Awaitable[Any]]:
    async def answer_late(request: Request) -> Any:
        ticks.move(min(seconds, request.seconds))
        return answer if seconds <= request.seconds else TimeoutError()

    return answer_late


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize("seconds", [0.1, 2.0, 5.0, 60.0])
@pytest.mark.parametrize("failure", [refusal(-1), UNSENT, LOST])
async def test_no_call_outlasts_its_limit(
    client: KfClient, wecom: Script, ticks: Ticks, path: str, seconds: float, failure: Any
) -> None:
    await client.check_token()
    began = ticks()
    wecom.on(path, slow(ticks, seconds, failure))
    with pytest.raises(WeComError):
        await CALLS[path](client)
    assert ticks() - began <= (20 if path == SYNC_MSG else LIMIT_SECONDS)
    assert all(0 < request.seconds <= (15 if path == SYNC_MSG else 5) for request in wecom.asked(path))


async def test_a_slow_first_try_leaves_the_second_what_is_left(client: KfClient, wecom: Script, ticks: Ticks) -> None:
    await client.check_token()
    wecom.on(STATE_GET, slow(ticks, 60, STATE), STATE)
    await client.state(KEY)
    assert [request.seconds for request in wecom.asked(STATE_GET)] == [5.0, 3.0]


async def test_no_repetition_without_time_for_its_answer(client: KfClient, wecom: Script, ticks: Ticks) -> None:
    """And the caller hears what WeCom said, not that the time was over."""
    await client.check_token()
    wecom.on(STATE_TRANS, slow(ticks, 4.9, refusal(-1)), slow(ticks, 2, refusal(-1)), OK)
    with pytest.raises(WeComBusy):
        await client.trans(KEY, ServiceState.ENDED)
    assert len(wecom.asked(STATE_TRANS)) == 2


async def test_the_pages_of_one_call_share_its_limit(client: KfClient, wecom: Script, ticks: Ticks) -> None:
    await client.check_token()
    numbers = iter(range(10_000))

    async def page(request: Request) -> dict[str, Any]:
        ticks.move(3)
        return accounts(*(next(numbers) for _ in range(100)))

    wecom.on(ACCOUNT_LIST, page)
    with pytest.raises(WeComUnavailable) as caught:
        await client.accounts()
    assert not caught.value.sent
    assert [request.seconds for request in wecom.asked(ACCOUNT_LIST)] == [5.0, 5.0, 2.0]


async def test_the_time_gettoken_took_counts(client: KfClient, wecom: Script, ticks: Ticks) -> None:
    wecom.on(GETTOKEN, slow(ticks, 4, grant()))
    wecom.on(STATE_GET, STATE)
    await client.state(KEY)
    assert wecom.asked(STATE_GET)[0].seconds == 4.0


# --- rate limits


async def test_45009_is_not_repeated_and_blocks_its_path_for_a_minute(
    client: KfClient, wecom: Script, ticks: Ticks, seen: list[tuple[str, str]]
) -> None:
    wecom.on(STATE_GET, refusal(45009), STATE)
    wecom.on(STATE_TRANS, OK)
    for _ in range(5):
        with pytest.raises(RateLimited) as caught:
            await client.state(KEY)
        assert caught.value.errcode == 45009
    assert len(wecom.asked(STATE_GET)) == 1
    assert seen[1:] == [(STATE_GET, "45009")] + [(STATE_GET, "blocked")] * 4
    await client.trans(KEY, ServiceState.ENDED)
    ticks.move(BLOCK_SECONDS + 0.1)
    assert (await client.state(KEY)).state is ServiceState.HUMAN


async def test_a_blocked_path_is_looked_at_again_and_again_and_free_when_it_answers(
    client: KfClient, wecom: Script, ticks: Ticks
) -> None:
    wecom.on(STATE_GET, refusal(45009), refusal(45009), LOST, STATE)
    for asked in (1, 2, 3):
        for _ in range(3):
            with pytest.raises(RateLimited if asked < 3 else WeComError):
                await client.state(KEY)
        assert len(wecom.asked(STATE_GET)) == asked
        ticks.move(LOOK_SECONDS + 0.1)
    for _ in range(3):
        assert (await client.state(KEY)).state is ServiceState.HUMAN


async def test_a_refusal_of_another_kind_ends_a_block(client: KfClient, wecom: Script, ticks: Ticks) -> None:
    wecom.on(STATE_TRANS, refusal(45009), refusal(95016), OK)
    with pytest.raises(RateLimited):
        await client.trans(KEY, ServiceState.ENDED)
    ticks.move(LOOK_SECONDS + 0.1)
    with pytest.raises(WeComError) as refused:
        await client.trans(KEY, ServiceState.ENDED)
    assert refused.value.errcode == 95016
    await client.trans(KEY, ServiceState.ENDED)


async def test_a_used_up_tokenless_sync_is_not_looked_at_before_its_minute_is_over(
    client: KfClient, wecom: Script, ticks: Ticks
) -> None:
    wecom.on(SYNC_MSG, refusal(45009), OK)
    for _ in range(3):
        with pytest.raises(RateLimited):
            await client.sync("wk1", "C1")
        ticks.move(BLOCK_SECONDS / 4)
    assert len(wecom.asked(SYNC_MSG)) == 1
    ticks.move(BLOCK_SECONDS / 4 + 0.1)
    await client.sync("wk1", "C1")


async def test_a_used_up_tokenless_sync_does_not_stop_a_sync_with_a_token(client: KfClient, wecom: Script) -> None:
    wecom.on(SYNC_MSG, refusal(45009), OK)
    with pytest.raises(RateLimited):
        await client.sync("wk1", "C1")
    await client.sync("wk1", "C1", "ENC")
    with pytest.raises(RateLimited):
        await client.sync("wk2", "C1")
    assert len(wecom.asked(SYNC_MSG)) == 2


async def test_a_used_up_sync_with_a_token_stops_both(client: KfClient, wecom: Script) -> None:
    wecom.on(SYNC_MSG, refusal(45009), OK)
    for token in ("ENC", "ENC", ""):
        with pytest.raises(RateLimited):
            await client.sync("wk1", "C1", token)
    assert len(wecom.asked(SYNC_MSG)) == 1


async def test_gettoken_over_its_limit_is_left_alone_too(client: KfClient, wecom: Script, ticks: Ticks) -> None:
    wecom.on(GETTOKEN, refusal(45009), grant())
    wecom.on(STATE_GET, STATE)
    for _ in range(3):
        with pytest.raises(RateLimited):
            await client.state(KEY)
    assert len(wecom.requests) == 1
    ticks.move(BLOCK_SECONDS + 0.1)
    await client.state(KEY)


async def test_45033_does_not_block(client: KfClient, wecom: Script) -> None:
    wecom.on(STATE_GET, *[refusal(45033)] * 3, STATE)
    with pytest.raises(RateLimited):
        await client.state(KEY)
    await client.state(KEY)


# --- readiness


async def test_ready_after_the_first_token(client: KfClient) -> None:
    assert readiness(client) == (False, None)
    await client.check_token()
    assert readiness(client) == (True, None)


@pytest.mark.parametrize("errcode", [60020, 48002, 50003, 301002, 95011, 95012, 95017, 95023])
async def test_not_ready_while_wecom_refuses_the_whole_app(client: KfClient, wecom: Script, errcode: int) -> None:
    wecom.on(STATE_GET, refusal(errcode), STATE)
    with pytest.raises(CredentialRejected):
        await client.state(KEY)
    assert readiness(client) == (False, errcode)
    await client.state(KEY)
    assert readiness(client) == (True, None)


@pytest.mark.parametrize("answer", [refusal(95016), refusal(48007), refusal(45009), LOST, 502])
async def test_one_calls_trouble_does_not_matter_to_readiness(client: KfClient, wecom: Script, answer: Any) -> None:
    wecom.on(STATE_TRANS, answer)
    with pytest.raises(WeComError):
        await client.trans(KEY, ServiceState.ENDED)
    assert client.ready


# --- nothing secret anywhere


BAD_GETTOKEN = [refusal(40001), refusal(40013), LOST, UNSENT, TimeoutError(), 502, b"<html>", {}]
BAD_CALL = [
    *[refusal(errcode) for errcode in (-1, 42001, 45009, 95016, 48002)],
    refusal(40014, f"invalid access_token, GET /x?access_token={TOKEN}&corpsecret={SECRET}"),
    *(LOST, UNSENT, TimeoutError(), 502, b"<html>", {}, []),
    aiohttp.ConnectionTimeoutError(f"Connection timeout to host https://x/?access_token={TOKEN}"),
    aiohttp.InvalidURL(f"https://x/?access_token={TOKEN}&corpsecret={SECRET}"),
    aiohttp.ClientResponseError(None, (), message=f"https://x/?access_token={TOKEN}"),  # type: ignore[arg-type]
]


def everything_said(error: BaseException) -> str:
    said = "".join(traceback.format_exception(error))
    chain: list[BaseException | None] = [error]
    for link in chain:
        if link is not None:
            said += f"{link!s}{link!r}{link.args!r}{vars(link)!r}"
            chain += [other for other in (link.__cause__, link.__context__) if other not in chain]
    return said


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize(
    ("gettoken", "answer"), [(bad, OK) for bad in BAD_GETTOKEN] + [(grant(), bad) for bad in BAD_CALL]
)
async def test_no_failure_says_a_secret(
    client: KfClient, wecom: Script, caplog: pytest.LogCaptureFixture, path: str, gettoken: Any, answer: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    wecom.on(GETTOKEN, gettoken)
    wecom.on(path, answer)
    with pytest.raises(WeComError) as caught:
        await CALLS[path](client)
    said = everything_said(caught.value) + caplog.text + repr(client) + repr(client.last_error)
    assert TOKEN not in said
    assert SECRET not in said


async def test_the_retry_log_says_no_secret(client: KfClient, wecom: Script) -> None:
    said: list[Any] = []

    def listen(details: stamina.instrumentation.RetryDetails) -> None:
        said.append(details)

    stamina.instrumentation.set_on_retry_hooks([listen])
    try:
        wecom.on(GETTOKEN, LOST, grant())
        wecom.on(STATE_GET, LOST, STATE)
        await client.state(KEY)
    finally:
        stamina.instrumentation.set_on_retry_hooks(None)
    assert len(said) == 2
    assert TOKEN not in repr(said)
    assert SECRET not in repr(said)


def test_paths_are_wecoms() -> None:
    paths = [
        value for name, value in vars(protocol).items() if isinstance(value, str) and value.startswith("/cgi-bin/")
    ]
    assert len(paths) == len(set(paths)) == 10
