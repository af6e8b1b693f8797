"""The HTTP edge of the kf API: access tokens, envelopes, ledger, and faults on the way."""

import aiohttp
import pytest

from .conftest import KF, WM, Corp, Served

STATE = "/cgi-bin/kf/service_state/get"
TRANS = "/cgi-bin/kf/service_state/trans"
SESSION = {"open_kfid": KF, "external_userid": WM}


@pytest.mark.parametrize(
    ("query", "errcode"),
    [
        ({"corpid": "ww5a4db0c0ffee0001", "corpsecret": "sandbox-secret"}, 0),
        ({"corpid": "ww0", "corpsecret": "sandbox-secret"}, 40013),
        ({"corpid": "ww5a4db0c0ffee0001", "corpsecret": "other"}, 40001),
        ({"corpid": "ww5a4db0c0ffee0001", "corpsecret": "un printable"}, 40091),
        ({"corpsecret": "sandbox-secret"}, 41002),
        ({"corpid": "ww5a4db0c0ffee0001"}, 41004),
    ],
)
async def test_gettoken(served: Served, query: dict[str, str], errcode: int) -> None:
    answer = await served.get("/cgi-bin/gettoken", **query)
    assert answer["errcode"] == errcode
    assert (answer.get("expires_in") == 7200) == (errcode == 0)


async def test_access_tokens_live_side_by_side_and_expire(served: Served) -> None:
    tokens = {await served.token(), await served.token()}
    assert len(tokens) == 2
    for token in tokens:
        assert (await served.post(STATE, SESSION, access_token=token))["errcode"] == 0
    served.corp.clock_advance(7200)
    for token in tokens:
        assert (await served.post(STATE, SESSION, access_token=token))["errcode"] == 42001


async def test_missing_unknown_and_revoked_access_tokens(served: Served) -> None:
    token = await served.token()
    assert (await served.post(STATE, SESSION))["errcode"] == 41001
    assert (await served.post(STATE, SESSION, access_token="made up"))["errcode"] == 40014
    served.corp.tokens_revoke()
    assert (await served.post(STATE, SESSION, access_token=token))["errcode"] == 40014


async def test_refusals_carry_the_tail(served: Served) -> None:
    answer = await served.post(TRANS, {**SESSION, "service_state": 1}, access_token=await served.token())
    assert answer["errcode"] == 95013
    assert answer["errmsg"].startswith("conversation end, hint: [")
    assert answer["errmsg"].endswith("more info at https://open.work.weixin.qq.com/devtool/query?e=95013")
    assert ", from ip: 127.0.0.1, " in answer["errmsg"]


@pytest.mark.parametrize("raw", [b"{", b"[]", b"", b"\xff"])
async def test_bad_json_is_40058(served: Served, raw: bytes) -> None:
    token = await served.token()
    async with served.http.post(served.corp.base_url + STATE, data=raw, params={"access_token": token}) as response:
        answer = await response.json()
    assert (response.status, answer["errcode"]) == (200, 40058)


async def test_a_wrong_method_is_40058(served: Served) -> None:
    token = await served.token()
    assert (await served.get(STATE, access_token=token))["errcode"] == 40058
    assert (await served.get("/cgi-bin/kf/account/list", access_token=token))["errcode"] == 0


async def test_the_ledger_has_every_change_and_counts_every_call(served: Served) -> None:
    token = await served.token()
    await served.post(TRANS, {**SESSION, "service_state": 1}, access_token=token)
    await served.post(STATE, SESSION, access_token=token)
    served.corp.customer_writes(KF, WM, "hello")
    body = {"touser": WM, "open_kfid": KF, "msgtype": "text", "text": {"content": "你好"}}
    await served.post("/cgi-bin/kf/send_msg", body, access_token=token)
    trans, sent = served.corp.ledger.entries
    assert (trans["kind"], trans["args"]["service_state"], trans["errcode"]) == ("trans", 1, 95013)
    assert (sent["kind"], sent["args"]["text"]["content"], sent["errcode"]) == ("send_msg", "你好", 0)
    assert sent["answer"]["msgid"]
    assert served.corp.ledger.calls == {
        "gettoken": 1,
        "kf/service_state/trans": 1,
        "kf/service_state/get": 1,
        "kf/send_msg": 1,
    }


async def test_an_errcode_fault_has_no_effect_and_is_in_the_ledger(served: Served) -> None:
    token = await served.token()
    served.corp.session_state(KF, WM, 3, "LiNa")
    served.corp.fault("kf/service_state/trans", "errcode", errcode=-1)
    body = {**SESSION, "service_state": 4}
    assert (await served.post(TRANS, body, access_token=token))["errcode"] == -1
    assert served.corp.session(KF, WM).state == 3
    assert (await served.post(TRANS, body, access_token=token))["errcode"] == 0
    assert [entry["errcode"] for entry in served.corp.ledger.of("trans")] == [-1, 0]


@pytest.mark.parametrize(("kind", "after"), [("reset_before", 3), ("reset_after", 4)])
async def test_resets_before_and_after_the_effect(served: Served, kind: str, after: int) -> None:
    token = await served.token()
    served.corp.session_state(KF, WM, 3, "LiNa")
    served.corp.fault("/cgi-bin/kf/service_state/trans", kind)
    with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
        await served.post(TRANS, {**SESSION, "service_state": 4}, access_token=token)
    assert served.corp.session(KF, WM).state == after


async def test_gateway_trouble(served: Served) -> None:
    served.corp.fault("*", "http", errcode=503)
    served.corp.fault("gettoken", "garbage")
    url = served.corp.base_url + "/cgi-bin/gettoken"
    async with served.http.get(url) as response:
        assert response.status == 503
    async with served.http.get(url) as response:
        assert response.content_type == "application/json", "both faults struck the first call"


async def test_a_delay_outlasts_an_impatient_client(served: Served) -> None:
    served.corp.fault("gettoken", "delay", seconds=30)
    with pytest.raises(TimeoutError):
        await served.http.get(served.corp.base_url + "/cgi-bin/gettoken", timeout=aiohttp.ClientTimeout(total=0.05))


async def test_a_page_fault_comes_once_over_http(served: Served) -> None:
    token = await served.token()
    served.corp.customer_writes(KF, WM, "hello")
    served.corp.fault("kf/sync_msg", "empty_page")
    first = await served.post("/cgi-bin/kf/sync_msg", {"open_kfid": KF}, access_token=token)
    assert (first["msg_list"], first["has_more"]) == ([], 1)
    body = {"open_kfid": KF, "cursor": first["next_cursor"]}
    second = await served.post("/cgi-bin/kf/sync_msg", body, access_token=token)
    assert (len(second["msg_list"]), second["has_more"]) == (1, 0)


async def test_an_accepted_message_can_fail_later(served: Served) -> None:
    token = await served.token()
    served.corp.customer_writes(KF, WM, "hello")
    served.corp.fault("kf/send_msg", "fail_later", errcode=10)
    body = {"touser": WM, "open_kfid": KF, "msgid": "o1", "msgtype": "text", "text": {"content": "hi"}}
    assert (await served.post("/cgi-bin/kf/send_msg", body, access_token=token))["errcode"] == 0
    event = served.corp.events()[-1]
    assert (event["event_type"], event["fail_msgid"], event["fail_type"]) == ("msg_send_fail", "o1", 10)


async def test_media_go_up_and_come_down(served: Served) -> None:
    token = await served.token()
    form = aiohttp.FormData()
    form.add_field("media", b"pixels", filename="a.png")
    url = f"{served.corp.base_url}/cgi-bin/media/upload"
    async with served.http.post(url, data=form, params={"access_token": token, "type": "image"}) as response:
        media_id = (await response.json())["media_id"]
    query = {"access_token": token, "media_id": media_id}
    async with served.http.get(f"{served.corp.base_url}/cgi-bin/media/get", params=query) as response:
        assert await response.read() == b"pixels"
        assert response.content_disposition is not None
        assert response.content_disposition.filename == "a.png"
    served.corp.clock_advance(3 * 86_400 + 1)
    query["access_token"] = await served.token()
    assert (await served.get("/cgi-bin/media/get", **query))["errcode"] == 40007


async def test_stop_and_start_again_keeps_the_world(corp: Corp) -> None:
    corp.session_state(KF, WM, 3, "LiNa")
    async with corp.serve():
        pass
    async with corp.serve(), aiohttp.ClientSession() as http:
        served = Served(corp, http)
        answer = await served.post(STATE, SESSION, access_token=await served.token())
        assert answer["service_state"] == 3
