"""The API over a real socket: who may what, the one shape of every answer, and bad input of all kinds."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientOSError, ClientPayloadError, ClientSession, ClientTimeout, ServerDisconnectedError, web

from bot import server
from bot.core import Core
from bot.errors import StorageError
from bot.export import Extract, Selection
from bot.model import EVERYTHING, NOTHING, Handoff, KfAccount, Operator, OperatorType, Scope, SessionKey
from bot.registry import Role
from bot.server import CallbackRoute, Hooks, Readiness
from bot.sessions import Session, follow
from bot.settings import Settings
from bot.tokens import AgentClaims
from bot.web.api import LONGEST_BODY
from bot.web.doors import ADDRESS, AGENT_COOKIE, CUSTOMER_COOKIE
from bot.web.extracts import OF_ONE
from bot.web.limits import Limit
from bot.web.site import Site
from tests.fakes import ANN, BOB, KF, KF2, LI, TENANT, WU, FakeClock, FakeKf, FakeSleep, raising, refusal, unavailable

OURS = {"X-Requested-With": "kfbot"}
END, COMPLETE = "/api/customer/handoff/end-by-user", "/api/agent/handoff/complete"
Answer = tuple[int, Any]


@dataclass
class Stage:
    """A bot's API on loopback, on a WeCom in memory."""

    core: Core
    site: Site
    kf: FakeKf
    clock: FakeClock
    http: ClientSession
    port: int = 0
    seen: int = 0
    ended: int = 0
    last: dict[str, str] | None = None

    def customer(self, external_userid: str = ANN, kf: str = KF, tenant: str = TENANT) -> dict[str, str]:
        return bearer(self.core.tokens.customer_token(tenant, kf, external_userid))

    def agent(self, userid: str = LI, role: Role = Role.AGENT) -> dict[str, str]:
        return bearer(self.core.tokens.agent_token(userid, role))

    async def ask(self, method: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> Answer:
        """Status, and what stands under `data` or `error`; the shape is checked on the way."""
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.http.request(method, url, headers=headers, **more) as response:
            self.last = dict(response.headers)
            document = await response.json()
        [key] = document
        assert key == ("data" if response.status == 200 else "error"), document
        if key == "error":
            assert set(document[key]) == {"code", "message"} and document[key]["message"], document
        assert response.content_type == "application/json"
        return response.status, document[key]

    async def end(self, headers: dict[str, str], number: Any = 1, path: str = END) -> Answer:
        return await self.ask("POST", path, headers, json={"handoffRequestId": number})

    async def complete(self, headers: dict[str, str], number: Any = 1) -> Answer:
        return await self.end(headers, number, COMPLETE)

    async def hear(self, customer: str = ANN, kf: str = KF) -> None:
        """What sync does: every new item of the stream is followed."""
        stream, now = self.kf._streams[kf], self.clock.now()

        def decide(session: Session) -> None:
            for item in stream[self.seen :]:
                if item.external_userid == session.external_userid:
                    follow(session, item, now, keep_text=True)

        await self.core.ledger.change(SessionKey(kf, customer), decide, now)

    async def served(self, customer: str = ANN) -> Handoff:
        """The customer is with Li, who has answered."""
        self.kf.customer_writes(KF, customer, "在吗")
        self.kf.servicer_takes(KF, customer, LI)
        self.kf.servicer_writes(KF, customer, LI, "您好")
        await self.hear(customer)
        found = await self.core.ledger.open_handoff(SessionKey(KF, customer))
        assert found is not None
        return found

    async def queued(self, customer: str = ANN) -> Handoff:
        self.kf.account_routing(KF, "queue")
        self.kf.customer_writes(KF, customer, "在吗")
        await self.core.handoffs.read_state(SessionKey(KF, customer))
        found = await self.core.ledger.open_handoff(SessionKey(KF, customer))
        assert found is not None
        return found

    async def ends(self, number: int = 1) -> int:
        return sum(event.type == "COMPLETED" for event in await self.core.ledger.events(number))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def settings(folder: Path, **changes: Any) -> Settings:
    values: dict[str, Any] = {
        "lang": "en",
        "timezone": "UTC",
        "wecom": {"corp_id": TENANT, "secret": "s"},
        "storage": {"url": f"sqlite:///{folder / 'kfbot.db'}"},
        **changes,
    }
    return Settings(**values)


@pytest.fixture
async def stage(
    tmp_path: Path, fake_kf: FakeKf, fake_clock: FakeClock, fake_sleep: FakeSleep, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    monkeypatch.setattr("bot.core.KfClient", lambda *_, **__: fake_kf)
    async for ready in a_stage(settings(tmp_path), fake_kf, fake_clock, fake_sleep):
        yield ready


async def a_stage(
    given: Settings, kf: FakeKf, clock: FakeClock, sleep: FakeSleep, **limits: Limit
) -> AsyncIterator[Stage]:
    core = Core(given, clock)
    core.handoffs._sleep = core.closings._sleep = sleep
    await core.open()
    ends: list[None] = []
    site = Site(core, {KF: "售前咨询"}.get, lambda: ends.append(None), **limits)  # type: ignore[arg-type]

    async def readiness() -> Readiness:
        return Readiness(True, {})

    hooks = Hooks(lambda account, token: None, lambda: None, readiness)
    callback = CallbackRoute(None, hooks, clock, core.metrics)
    runner = server.runner(server.build(callback, hooks, core.metrics, [site.add_to]))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with ClientSession(timeout=ClientTimeout(total=20)) as http:
        yield Stage(core, site, kf, clock, http, runner.addresses[0][1])
    await runner.cleanup()
    await core.handoffs.drain(5)
    await core.close()


# -- ending


async def test_a_customer_ends_their_own_handoff(stage: Stage) -> None:
    await stage.served()
    status, data = await stage.end(stage.customer())
    assert status == 200
    assert data == {
        "id": 1, "tenantId": TENANT, "openKfid": KF, "accountName": "售前咨询", "userId": ANN, "status": "COMPLETED",
        "agentId": LI, "requestedAt": "2023-11-14T22:13:20Z", "acceptedAt": "2023-11-14T22:13:20Z",
        "repliedAt": "2023-11-14T22:13:20Z", "completedAt": "2023-11-14T22:13:20Z", "endedBy": "USER",
    }  # fmt: skip
    [end] = [event for event in await stage.core.ledger.events(1) if event.type == "COMPLETED"]
    assert (end.operator, end.data["endedBy"], end.data["via"]) == (Operator(OperatorType.USER, ANN), "USER", "api")
    assert [message.text for _, message, _ in stage.kf.sent] == [stage.core.settings.customer.closing.user]


async def test_a_member_completes_it_the_same_way(stage: Stage) -> None:
    await stage.served()
    status, data = await stage.ask(
        "POST", COMPLETE, stage.agent("ChenJing"), json={"handoffRequestId": 1, "reason": "已解决 ✓"}
    )
    assert (status, data["status"], data["endedBy"], data["operatorId"]) == (200, "COMPLETED", "AGENT", "ChenJing")
    assert (data["via"], data["reason"]) == ("api", "已解决 ✓")


async def test_ending_twice_is_success_twice_with_the_same_data(stage: Stage) -> None:
    await stage.served()
    first = await stage.end(stage.customer())
    stage.clock.move(60)
    assert first[0] == 200 and await stage.end(stage.customer()) == first
    assert await stage.ends() == 1


async def test_whoever_comes_late_is_told_who_was_first(stage: Stage) -> None:
    await stage.served()
    await stage.complete(stage.agent("ChenJing"))
    status, error = await stage.end(stage.customer())
    assert (status, error["code"]) == (409, "HANDOFF_NOT_ACTIVE")
    assert error["message"] == "It had ended already: by ChenJing, 22:13"
    status, error = await stage.complete(stage.agent("WangWei"))
    assert (status, error["code"]) == (409, "HANDOFF_NOT_ACTIVE")
    assert (await stage.complete(stage.agent("ChenJing")))[0] == 200


async def test_what_ended_in_the_client_is_the_servicers_end(stage: Stage) -> None:
    await stage.served()
    stage.kf.servicer_ends(KF, ANN)
    stage.seen = len(stage.kf._streams[KF]) - 1
    await stage.hear()
    assert (await stage.end(stage.customer()))[1]["code"] == "HANDOFF_NOT_ACTIVE"
    assert (await stage.complete(stage.agent(LI)))[0] == 200, "it was that very member who ended it"


async def test_both_at_the_same_instant_make_one_event_and_two_true_answers(stage: Stage) -> None:
    await stage.served()
    ways = [stage.end(stage.customer()), stage.complete(stage.agent("ChenJing")), stage.end(stage.customer())]
    customer, agent, again = await asyncio.gather(*ways)
    assert await stage.ends() == 1
    assert len([call for call in stage.kf.called("trans") if call.args[1] == 4]) == 1
    [handoff] = await stage.core.ledger.history(SessionKey(KF, ANN))
    if handoff.ended_by is OperatorType.USER:
        assert (customer[0], agent[0], again[0]) == (200, 409, 200)
        assert customer == again
    else:
        assert (customer[0], agent[0], again[0]) == (409, 200, 409)


async def test_a_queued_one_is_cancelled_where_wecom_lets_it(stage: Stage) -> None:
    await stage.queued()
    status, error = await stage.end(stage.customer())
    assert (status, error["code"]) == (502, "WECOM_ERROR"), "2 to 4 is refused by default"
    assert "95016" not in error["message"], "a customer can do nothing with WeCom's codes"
    status, error = await stage.complete(stage.agent())
    assert (status, error["code"]) == (502, "WECOM_ERROR")
    assert "queue" in error["message"]
    stage.kf.before("trans", lambda: stage.kf.session_state(KF, ANN, 3, LI))  # this WeCom does
    status, data = await stage.end(stage.customer())
    assert (status, data["status"], data["endedBy"]) == (200, "CANCELLED", "USER")


async def test_a_silent_wecom_is_502_and_settled_later(stage: Stage) -> None:
    await stage.served()
    stage.kf.after("trans", raising(unavailable()))
    stage.kf.before("state", lambda: None, raising(unavailable()))
    status, error = await stage.end(stage.customer())
    assert (status, error["code"]) == (502, "WECOM_ERROR") and "not known yet" in error["message"]
    stage.clock.move(20)

    async def tell(*_: Any) -> None: ...

    await stage.core.handoffs.settle_pending(tell)
    status, data = await stage.end(stage.customer())
    assert (status, data["endedBy"]) == (200, "USER"), "it was the customer's own end after all"


async def test_what_wecom_refuses_is_told_to_staff_with_its_code(stage: Stage) -> None:
    await stage.served()
    stage.kf.before("trans", *[raising(refusal(95017))] * 2)
    status, error = await stage.complete(stage.agent())
    assert (status, error["code"]) == (502, "WECOM_ERROR") and "95017" in error["message"]


async def test_the_next_session_of_a_customer_is_left_alone(stage: Stage) -> None:
    first = await stage.served()
    await stage.complete(stage.agent())
    stage.seen = len(stage.kf._streams[KF])
    stage.clock.move(60)
    second = await stage.served()
    assert second.id != first.id
    assert (await stage.end(stage.customer(), first.id))[0] == 409
    assert stage.kf.session(KF, ANN).state == 3


async def test_ends_here_are_announced(stage: Stage) -> None:
    await stage.served()
    told: list[str] = []
    stage.site.service._on_end = lambda: told.append("ended")
    await stage.end(stage.customer())
    await stage.end(stage.customer())
    assert told == ["ended"]


# -- whose it is


async def test_another_customers_handoff_is_none(stage: Stage) -> None:
    await stage.served()
    wrong = [
        await stage.end(stage.customer(BOB)),
        await stage.end(stage.customer(ANN, KF2)),
        await stage.end(stage.customer(), 999),
        await stage.end(stage.customer(), 10**15 - 1),
    ]
    assert {json.dumps(each) for each in wrong} == {
        json.dumps((404, {"code": "NOT_FOUND", "message": "There is no such handoff"}))
    }
    assert stage.kf.called("trans") == [] and stage.kf.called("state") == []


async def test_it_takes_no_longer_to_find_none_than_anothers(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two looks at the record and one row of the audit log each, nothing else."""
    await stage.served()
    database, looks, written = stage.core.database, 0, 0
    read, write = database.read, database.write

    async def look(work: Callable[[Any], Any]) -> Any:
        nonlocal looks
        looks += 1
        return await read(work)

    async def keep(work: Callable[[Any], Any], **how: Any) -> Any:
        nonlocal written
        written += 1
        return await write(work, **how)

    monkeypatch.setattr(database, "read", look)
    monkeypatch.setattr(database, "write", keep)
    for number in (1, 999):
        looks = written = 0
        assert (await stage.end(stage.customer(BOB), number))[0] == 404
        assert (looks, written) == (2, 1)
    assert stage.kf.called("state") == []


async def test_another_tenants_handoff_is_none_for_staff_too(stage: Stage) -> None:
    await stage.served()
    await stage.core.database.write(lambda db: db.execute("UPDATE handoffs SET tenant_id='ww-before'"))
    assert (await stage.complete(stage.agent()))[0] == 404
    assert (await stage.ask("GET", "/api/handoffs/1", stage.agent()))[0] == 404
    assert (await stage.ask("GET", "/api/handoffs/1/events", stage.agent()))[0] == 404
    for path in ("/api/handoffs", "/api/handoffs?status=OPEN"):
        assert (await stage.ask("GET", path, stage.agent()))[1] == {"items": [], "nextCursor": None}
    numbers = (await stage.ask("GET", "/api/agent/stats", stage.agent()))[1]
    assert numbers["open"] == {"queued": 0, "human": 0, "waiting": 0}


async def test_a_page_is_full_though_another_tenants_handoffs_lie_in_between(stage: Stage) -> None:
    for customer in (ANN, BOB, ANN):
        await stage.served(customer)
        await stage.end(stage.customer(customer), 1 if customer == ANN else 2)
    await stage.core.database.write(lambda db: db.execute("UPDATE handoffs SET tenant_id='ww-before' WHERE id=2"))
    status, data = await stage.ask("GET", "/api/handoffs?limit=2", stage.agent())
    assert (status, [each["id"] for each in data["items"]]) == (200, [3, 1])


async def test_a_customer_learns_nothing_that_staff_wrote_for_themselves(stage: Stage) -> None:
    await stage.served()
    status, data = await stage.ask("GET", "/api/customer/handoff", stage.customer())
    assert (status, data["id"], data["status"], data["agentId"]) == (200, 1, "IN_PROGRESS", LI)
    assert not {"reason", "operatorId", "lastText", "nickname"} & set(data)
    assert await stage.ask("GET", "/api/customer/handoff", stage.customer(BOB)) == (200, None)
    await stage.end(stage.customer())
    assert await stage.ask("GET", "/api/customer/handoff", stage.customer()) == (200, None)


# -- tokens and cookies


async def test_nobody_enters_without_a_token_of_the_right_kind(stage: Stage) -> None:
    await stage.served()
    expired = bearer(stage.core.tokens.customer_token(TENANT, KF, ANN, ttl=-1))
    customer, agent = stage.customer(), stage.agent()
    nobody: dict[str, str] = {}
    for headers in (nobody, expired, agent, bearer(""), bearer("x.y.z"), {"Authorization": "Basic eDp5"},
                    {"Authorization": customer["Authorization"][7:]}):  # fmt: skip
        status, error = await stage.end(headers)
        assert (status, error["code"]) == (401, "UNAUTHENTICATED"), headers
        assert stage.last is not None and stage.last["WWW-Authenticate"] == "Bearer"
    for path in ("/api/handoffs", "/api/handoffs/1", "/api/handoffs/1/events", "/api/agent/me", "/api/agent/servicers",
                 "/api/agent/stats"):  # fmt: skip
        assert (await stage.ask("GET", path, customer))[0] == 401
        assert (await stage.ask("GET", path))[0] == 401
    assert stage.kf.called("trans") == []


async def test_the_word_bearer_is_case_blind(stage: Stage) -> None:
    token = stage.core.tokens.agent_token(LI, Role.AGENT)
    assert (await stage.ask("GET", "/api/agent/me", {"Authorization": f"bearer {token}"}))[0] == 200


async def test_a_lost_role_ends_a_token_at_once(stage: Stage) -> None:
    headers = stage.agent("WangWei")
    assert (await stage.ask("GET", "/api/agent/me", headers))[0] == 200
    stage.core.tokens.role_of = lambda userid: Role.VIEWER
    assert (await stage.ask("GET", "/api/agent/me", headers))[0] == 401


async def test_a_cookie_speaks_for_its_page_but_not_for_others(stage: Stage) -> None:
    await stage.served()
    token = stage.core.tokens.customer_token(TENANT, KF, ANN)
    cookie = {"Cookie": f"{CUSTOMER_COOKIE}={token}"}
    assert (await stage.ask("GET", "/api/customer/handoff", cookie))[0] == 200
    status, error = await stage.end(cookie)
    assert (status, error["code"]) == (403, "FORBIDDEN")
    assert await stage.ends() == 0
    assert (await stage.end(cookie | OURS))[0] == 200
    wrong = {"Cookie": f"{AGENT_COOKIE}={token}"}
    assert (await stage.ask("GET", "/api/customer/handoff", wrong))[0] == 401


async def test_a_header_comes_before_a_cookie(stage: Stage) -> None:
    """Who sends both means the header; a wrong one is not saved by a cookie."""
    token = stage.core.tokens.customer_token(TENANT, KF, ANN)
    both = {"Cookie": f"{CUSTOMER_COOKIE}={token}", "Authorization": "Bearer nonsense"}
    assert (await stage.ask("GET", "/api/customer/handoff", both))[0] == 401


async def test_no_other_site_gets_leave_to_ask(stage: Stage) -> None:
    asks = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-requested-with"}  # fmt: skip
    status, _ = await stage.ask("OPTIONS", END, asks)
    assert status == 405
    assert stage.last is not None and not any(name.startswith("Access-Control") for name in stage.last)


async def test_a_pasted_token_becomes_a_cookie_and_leaves_again(stage: Stage) -> None:
    token = stage.core.tokens.agent_token(LI, Role.AGENT)
    assert (await stage.ask("POST", "/api/agent/session", json={"token": token}))[0] == 403
    assert (await stage.ask("POST", "/api/agent/session", OURS, json={"token": "x"}))[0] == 401
    status, data = await stage.ask("POST", "/api/agent/session", OURS, json={"token": token})
    assert (status, data) == (200, {"expiresAt": "2023-11-15T06:13:20Z"})
    assert stage.last is not None
    cookie = stage.last["Set-Cookie"]
    assert cookie.startswith(f"{AGENT_COOKIE}={token};")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; ")) and "Secure" not in cookie
    assert (await stage.ask("GET", "/api/agent/me"))[0] == 401, "this client keeps no cookies of an address"
    assert (await stage.ask("DELETE", "/api/agent/session", OURS)) == (200, None)
    assert "Max-Age=0" in stage.last["Set-Cookie"]


async def test_behind_https_the_cookie_stays_there(
    tmp_path: Path, fake_kf: FakeKf, fake_clock: FakeClock, fake_sleep: FakeSleep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.core.KfClient", lambda *_, **__: fake_kf)
    given = settings(tmp_path, server={"public_url": "https://kf.example.com"})
    async for stage in a_stage(given, fake_kf, fake_clock, fake_sleep):
        token = stage.core.tokens.agent_token(LI, Role.AGENT)
        await stage.ask("POST", "/api/agent/session", OURS, json={"token": token})
        assert stage.last is not None and "; Secure" in stage.last["Set-Cookie"]


# -- bad input


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"12", b'"x"', b"\xff\xfe", b"{}", b'{"handoffRequestId": null}',
        b'{"handoffRequestId": "1"}', b'{"handoffRequestId": true}', b'{"handoffRequestId": 1.5}',
        b'{"handoffRequestId": NaN}', b'{"handoffRequestId": Infinity}', b'{"handoffRequestId": [1]}',
        b'{"handoffRequestId": 0}', b'{"handoffRequestId": -1}', b'{"handoffRequestId": 1000000000000000}',
        b'{"handoffRequestId": ' + b"9" * 5000 + b"}", b"[" * 50_000, b'{"handoffrequestid": 1}',
        b"handoffRequestId=1",
    ],
)  # fmt: skip
async def test_a_wrong_body_is_400_with_words(stage: Stage, body: bytes) -> None:
    await stage.served()
    for path, headers in ((END, stage.customer()), (COMPLETE, stage.agent())):
        status, error = await stage.ask("POST", path, headers, data=body)
        assert (status, error["code"]) == (400, "BAD_REQUEST")
    assert await stage.ends() == 0


async def test_one_is_one_however_json_writes_it(stage: Stage) -> None:
    await stage.served()
    body = b'{"handoffRequestId": 1.0, "newer": {"field": [1]}}'
    assert (await stage.ask("POST", END, stage.customer(), data=body))[0] == 200


@pytest.mark.parametrize("announced", [True, False])
async def test_a_large_body_is_refused(stage: Stage, announced: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(LONGEST_BODY // 1024 + 1):
            yield b" " * 1024

    data: Any = b" " * (LONGEST_BODY + 1) if announced else chunks()
    status, error = await stage.ask("POST", END, stage.customer(), data=data)
    assert (status, error["code"]) == (400, "BAD_REQUEST") and "64 KB" in error["message"]


async def test_a_body_of_the_largest_size_is_read(stage: Stage) -> None:
    await stage.served()
    body = b'{"handoffRequestId": 1}'
    assert (await stage.ask("POST", END, stage.customer(), data=body + b" " * (LONGEST_BODY - len(body))))[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/nothing", 404, "NOT_FOUND"),
        ("GET", "/api/", 404, "NOT_FOUND"),
        ("GET", "/api/handoffs/abc", 404, "NOT_FOUND"),
        ("GET", "/api/handoffs/-1", 404, "NOT_FOUND"),
        ("GET", "/api/handoffs/1e3", 404, "NOT_FOUND"),
        ("GET", "/api/handoffs/9999999999999999999", 404, "NOT_FOUND"),
        ("GET", "/api/handoffs/%D9%A3", 404, "NOT_FOUND"),
        ("GET", "/api/..%2f..%2fetc", 404, "NOT_FOUND"),
        ("GET", END, 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/api/handoffs", 405, "METHOD_NOT_ALLOWED"),
        ("PATCH", "/api/openapi.json", 405, "METHOD_NOT_ALLOWED"),
        ("TRACE", "/api/agent/me", 405, "METHOD_NOT_ALLOWED"),
    ],
)
async def test_every_wrong_address_has_the_same_shape(
    stage: Stage, method: str, path: str, status: int, code: str
) -> None:
    found, error = await stage.ask(method, path, stage.agent())
    assert (found, error["code"]) == (status, code)
    assert stage.last is not None and ("Allow" in stage.last) is (status == 405)


async def test_what_is_answered_before_us_is_answered(stage: Stage) -> None:
    """By aiohttp itself, which knows nothing of our headers."""
    url = f"http://127.0.0.1:{stage.port}/api/agent/me"
    async with stage.http.get(url, headers={"Expect": "nonsense"}) as response:
        assert response.status == 417


async def test_half_a_character_is_stored_as_a_whole_one(stage: Stage) -> None:
    await stage.served()
    body = b'{"handoffRequestId": 1, "reason": "\\ud800 \\u0000 <script>"}'
    status, data = await stage.ask("POST", COMPLETE, stage.agent(), data=body)
    assert (status, data["reason"]) == (200, "� \x00 <script>")


async def test_what_breaks_inside_has_a_number_and_no_details(
    stage: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> Any:
        raise RuntimeError("the secret of it")

    monkeypatch.setattr(stage.site.service, "current", broken)
    monkeypatch.setattr(stage.core.ledger, "open_handoff", broken)
    status, error = await stage.ask("GET", "/api/customer/handoff", stage.customer())
    assert (status, error["code"]) == (500, "INTERNAL") and "secret" not in error["message"]
    incident = error["message"].split("Incident ")[1][:8]
    assert incident in caplog.text


async def test_without_its_database_it_says_so(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: Any) -> Any:
        raise StorageError("disk full: /home/x")

    monkeypatch.setattr(stage.core.ledger, "handoff", full)
    status, error = await stage.end(stage.customer())
    assert (status, error["code"]) == (503, "UNAVAILABLE") and "/home" not in error["message"]


async def test_each_answer_keeps_browsers_from_mischief(stage: Stage) -> None:
    for path in ("/api/agent/me", "/api/nothing", "/api/openapi.json"):
        async with stage.http.get(f"http://127.0.0.1:{stage.port}{path}", headers=stage.agent()) as response:
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Cache-Control"] == "no-store"
            assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]


async def test_requests_are_counted_by_route(stage: Stage) -> None:
    await stage.served()
    await stage.ask("GET", "/api/handoffs/1", stage.agent())
    await stage.ask("GET", "/api/handoffs/2", stage.agent())
    await stage.ask("GET", "/api/no-such-thing", stage.agent())
    text = stage.core.metrics.text().decode()
    assert 'kfbot_api_seconds_count{route="/api/handoffs/{id}",status="200"} 1.0' in text
    assert 'kfbot_api_seconds_count{route="",status="404"} 1.0' in text


# -- limits


@pytest.fixture
def quick() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def limited(
    tmp_path: Path,
    fake_kf: FakeKf,
    fake_clock: FakeClock,
    fake_sleep: FakeSleep,
    quick: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Stage]:
    monkeypatch.setattr("bot.core.KfClient", lambda *_, **__: fake_kf)
    limits = {"addresses": Limit(1.0, 50, quick.now), "callers": Limit(1.0, 3, quick.now)}
    async for ready in a_stage(settings(tmp_path), fake_kf, fake_clock, fake_sleep, **limits):
        yield ready


async def test_one_caller_may_ask_so_often(limited: Stage, quick: FakeClock) -> None:
    me = limited.customer()
    assert [(await limited.ask("GET", "/api/customer/handoff", me))[0] for _ in range(4)] == [200, 200, 200, 429]
    assert limited.last is not None and limited.last["Retry-After"] == "1"
    assert (await limited.ask("GET", "/api/customer/handoff", limited.customer(BOB)))[0] == 200
    anew = bearer(limited.core.tokens.customer_token(TENANT, KF, ANN, ttl=7))
    assert (await limited.ask("GET", "/api/customer/handoff", anew))[0] == 429, "a fresh token is the same customer"
    quick.move(1.0)
    assert (await limited.ask("GET", "/api/customer/handoff", me))[0] == 200


async def test_one_address_may_ask_so_often_and_guess_seldom(limited: Stage) -> None:
    statuses = [(await limited.ask("GET", "/api/agent/me", bearer("guess")))[0] for _ in range(4)]
    assert statuses == [401, 401, 401, 429]
    assert (await limited.ask("GET", "/api/agent/me", limited.agent()))[0] == 429
    elsewhere = limited.agent() | {"X-Forwarded-For": "8.8.8.8"}
    assert (await limited.ask("GET", "/api/agent/me", elsewhere))[0] == 200


async def test_two_thousand_requests_of_one_address_do_not_stop_another(stage: Stage) -> None:
    stage.site.doors._addresses = Limit(*ADDRESS, stage.clock.now)
    flood = {"X-Forwarded-For": "1.2.3.4"}
    statuses = [(await stage.ask("GET", "/api/nothing", flood))[0] for _ in range(600)]
    assert statuses[0] == 404 and statuses[-1] == 429
    assert (await stage.ask("GET", "/api/nothing", {"X-Forwarded-For": "8.8.8.8"}))[0] == 404


# -- what staff see


async def test_pages_are_newest_first_and_meet_without_gap(stage: Stage) -> None:
    for number in range(7):
        customer = stage.kf.customer_new(f"客户{number}", f"wmPage{number:026d}")
        await stage.served(customer)
        stage.seen = len(stage.kf._streams[KF])
    await stage.complete(stage.agent(), 3)
    await stage.core.people.save_nicknames({"wmPage" + "0" * 25 + "6": "<b>小林</b>"}, 0.0)
    stage.kf.customer_writes(KF, "wmPage" + "0" * 25 + "6", "还有一个问题")
    await stage.hear("wmPage" + "0" * 25 + "6")
    found: list[Any] = []
    cursor: str | None = ""
    pages = 0
    while cursor is not None:
        status, page = await stage.ask("GET", f"/api/handoffs?status=&kf=&limit=3&cursor={cursor}", stage.agent())
        assert status == 200
        found += page["items"]
        cursor, pages = page["nextCursor"], pages + 1
    assert [each["id"] for each in found] == [7, 6, 5, 4, 3, 2, 1] and pages == 3
    assert found[0]["nickname"] == "<b>小林</b>", "as it is: what shows it must know that it is text"
    assert found[0]["lastText"] == "还有一个问题" and found[4]["lastText"] is None
    assert found[0]["waitingSince"] == "2023-11-14T22:13:20Z" and found[4]["waitingSince"] is None
    for query, ids in (("status=COMPLETED", [3]), ("status=IN_PROGRESS&limit=2", [7, 6]), ("status=CANCELLED", []),
                       ("status=OPEN&limit=1000", [7, 6, 5, 4, 2, 1]), (f"kf={KF2}", []), (f"kf={KF}&limit=1", [7]),
                       ("kf=nobody", []), ("newer=1&limit=1", [7])):  # fmt: skip
        _, page = await stage.ask("GET", f"/api/handoffs?{query}", stage.agent())
        assert [each["id"] for each in page["items"]] == ids, query


async def test_a_page_of_what_has_moved_since(stage: Stage) -> None:
    """As a page asks that is looked at: what has moved since it asked the last time."""
    began = int(stage.clock.now())
    await stage.served(ANN)
    stage.clock.move(60)
    stage.seen = len(stage.kf._streams[KF])
    await stage.served(BOB)

    async def since(seconds: int, query: str = "status=OPEN") -> list[int]:
        status, page = await stage.ask("GET", f"/api/handoffs?{query}&activeSince={began + seconds}", stage.agent())
        assert status == 200
        return [each["id"] for each in page["items"]]

    assert [await since(0), await since(1), await since(60), await since(61)] == [[2, 1], [2], [2], []]
    stage.clock.move(60)
    stage.kf.customer_writes(KF, ANN, "还在吗")
    stage.seen = len(stage.kf._streams[KF]) - 1
    await stage.hear(ANN)
    assert [await since(120), await since(60), await since(60, f"kf={KF2}")] == [[1], [2, 1], []]
    await stage.complete(stage.agent(), 1)
    assert [await since(0), await since(0, ""), await since(0, "status=COMPLETED")] == [[2], [2], []]
    _, page = await stage.ask("GET", "/api/handoffs?activeSince=0", stage.agent())
    assert [each["id"] for each in page["items"]] == [2, 1], "0: whatever ever was"


@pytest.mark.parametrize(
    "query",
    ["activeSince=yesterday", "activeSince=-1", "activeSince=1.5", "activeSince=", "activeSince=253402300800",
     "status=DONE", "status=open", "limit=0", "limit=1001", "limit=x", "limit=", "limit=%D9%A3", "cursor=!",
     "cursor=ZZZ", "cursor=zzzzzzzzzzzzz", "kf=" + "x" * 65],
)  # fmt: skip
async def test_a_wrong_question_is_400_with_words(stage: Stage, query: str) -> None:
    status, error = await stage.ask("GET", f"/api/handoffs?{query}", stage.agent())
    assert (status, error["code"]) == (400, "BAD_REQUEST")
    assert query.split("=")[0] in error["message"]


async def test_one_handoff_and_its_log(stage: Stage) -> None:
    await stage.served()
    await stage.complete(stage.agent("ChenJing"))
    status, data = await stage.ask("GET", "/api/handoffs/1", stage.agent())
    assert (status, data["id"], data["openKfid"], data["userId"]) == (200, 1, KF, ANN)
    assert set(data) == {
        "id", "tenantId", "openKfid", "accountName", "userId", "nickname", "status", "agentId", "requestedAt",
        "acceptedAt", "repliedAt", "completedAt", "endedBy", "via", "operatorId", "reason", "waitingSince", "lastText",
        "previousId", "snoozedUntil",
    }  # fmt: skip
    status, events = await stage.ask("GET", "/api/handoffs/1/events", stage.agent())
    end = next(each for each in events if each["type"] == "COMPLETED")
    assert (end["operatorType"], end["operatorId"], end["handoffRequestId"]) == ("AGENT", "ChenJing", 1)
    assert end["eventData"]["endedBy"] == "AGENT" and end["eventData"]["via"] == "api"
    assert [each["id"] for each in events] == sorted(each["id"] for each in events)
    for path in ("/api/handoffs/9", "/api/handoffs/9/events", "/api/handoffs/0"):
        status, error = await stage.ask("GET", path, stage.agent())
        assert (status, error["code"]) == (404, "NOT_FOUND")


async def test_snoozing_quiets_it_until_then(stage: Stage) -> None:
    await stage.served()
    body = {"handoffRequestId": 1, "seconds": 600}
    status, data = await stage.ask("POST", "/api/agent/handoff/snooze", stage.agent("ChenJing"), json=body)
    assert status == 200
    assert data == {"handoffRequestId": 1, "snoozedUntil": "2023-11-14T22:23:20Z", "snoozedBy": "ChenJing"}
    assert (await stage.ask("GET", "/api/handoffs/1", stage.agent()))[1]["snoozedUntil"] == "2023-11-14T22:23:20Z"
    for wrong in (59, 2592001, 0, -1):
        status, _ = await stage.ask(
            "POST", "/api/agent/handoff/snooze", stage.agent(), json={"handoffRequestId": 1, "seconds": wrong}
        )
        assert status == 400
    await stage.complete(stage.agent())
    status, error = await stage.ask("POST", "/api/agent/handoff/snooze", stage.agent(), json=body)
    assert (status, error["code"]) == (409, "HANDOFF_NOT_ACTIVE")
    body["handoffRequestId"] = 99
    assert (await stage.ask("POST", "/api/agent/handoff/snooze", stage.agent(), json=body))[0] == 404


async def test_a_transfer_goes_to_whom_it_can(stage: Stage) -> None:
    await stage.served()

    async def give(servicer: str, number: int = 1) -> Answer:
        body = {"handoffRequestId": number, "servicer": servicer}
        return await stage.ask("POST", "/api/agent/handoff/transfer", stage.agent("ChenJing"), json=body)

    status, data = await give("wum")
    assert (status, data["agentId"], data["status"]) == (200, WU, "IN_PROGRESS")
    assert (await give(WU))[0] == 200, "the same once more"
    status, error = await give("nobody")
    assert (status, error["message"]) == (404, "nobody is no servicer of this account")
    assert (await give(""))[0] == 400
    assert (await give(WU, 77))[0] == 404
    stage.kf.servicer_status(KF, LI, 1)
    assert (await give(LI))[0] == 400
    stage.kf.servicer_status(KF, LI, 0)
    stage.kf.before("trans", raising(refusal(95019)))
    status, error = await give(LI)
    assert (status, error["code"]) == (502, "WECOM_ERROR") and "95019" in error["message"]
    stage.kf.down = unavailable()
    assert (await give(LI))[0] == 502
    stage.kf.down = None
    await stage.complete(stage.agent())
    assert (await give(LI))[0] == 409


async def test_servicers_with_their_loads(stage: Stage) -> None:
    await stage.served()
    await stage.core.people.save_servicers(KF, await stage.kf.servicers(KF), stage.clock.now())
    status, data = await stage.ask("GET", "/api/agent/servicers", stage.agent())
    assert status == 200
    assert data[0] == {"openKfid": KF, "accountName": "售前咨询", "userId": LI, "receiving": True, "suspended": False,
                       "load": 1}  # fmt: skip
    assert [each["userId"] for each in data] == [LI, WU]
    assert (await stage.ask("GET", f"/api/agent/servicers?kf={KF2}", stage.agent())) == (200, [])


async def test_the_numbers_of_today_and_of_the_week(stage: Stage) -> None:
    await stage.served()
    await stage.end(stage.customer())
    for query, days in (("", 0), ("?period=today", 0), ("?period=week", 7)):
        status, data = await stage.ask("GET", f"/api/agent/stats{query}", stage.agent())
        assert (status, data["handled"], data["endedBy"]) == (200, 1, {"USER": 1, "AGENT": 0, "SYSTEM": 0})
        assert data["ways"] == [{"endedBy": "USER", "via": "api", "count": 1}]
        assert data["servicers"] == [{"userId": LI, "handled": 1, "open": 0}]
        assert len(data["days"]) == days
        assert data["open"] == {"queued": 0, "human": 0, "waiting": 0}
        assert data["ratings"] == data["before"]["ratings"] == {"good": 0, "middling": 0, "bad": 0}
    assert data["days"][-1] == {"date": "2023-11-14", "handled": 1}
    assert (await stage.ask("GET", "/api/agent/stats?period=year", stage.agent()))[0] == 400


async def test_who_am_i(stage: Stage) -> None:
    await stage.core.sync_store.know_accounts([KfAccount(KF, "售前咨询"), KfAccount(KF2)])
    status, data = await stage.ask("GET", "/api/agent/me", stage.agent("张三", Role.ADMIN))
    assert (status, data["userId"], data["role"], data["lang"]) == (200, "张三", "agent", "en"), "no admin is named"
    assert (data["tenantId"], data["expiresAt"]) == (TENANT, "2023-11-15T06:13:20Z")
    assert data["accounts"] == [
        {"openKfid": KF, "accountName": "售前咨询"},
        {"openKfid": KF2, "accountName": KF2},
    ]


# -- export


async def _file(stage: Stage, query: str = "", headers: dict[str, str] | None = None) -> tuple[dict[str, str], str]:
    url = f"http://127.0.0.1:{stage.port}/api/agent/export{query}"
    async with stage.http.get(url, headers=headers or stage.agent()) as response:
        assert response.status == 200
        return dict(response.headers), (await response.read()).decode()


async def _lines(stage: Stage, query: str, headers: dict[str, str] | None = None) -> list[Any]:
    """As many as were announced."""
    told, text = await _file(stage, f"?form=jsonl&{query}", headers)
    lines = [json.loads(line) for line in text.splitlines()]
    assert int(told["X-Total-Count"]) == len(lines)
    return lines


async def test_an_export_is_what_is_on_record(stage: Stage) -> None:
    await stage.served()
    await stage.complete(stage.agent())
    told, text = await _file(stage)
    assert told["Content-Type"] == "text/csv; charset=utf-8" and told["X-Total-Count"] == "1"
    assert told["Content-Disposition"] == 'attachment; filename="kfbot-handoffs-to-2023-11-14.csv"'
    assert told["X-Last-Event-Id"] == "0" and told["Date"] == "Tue, 14 Nov 2023 22:13:20 GMT"
    [row] = csv.DictReader(StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    assert text[0] == "\ufeff" and (row["id"], row["status"], row["endedBy"]) == ("1", "COMPLETED", "AGENT")
    [document] = await _lines(stage, "what=handoffs")
    assert (document["userId"], document["completedAt"]) == (ANN, "2023-11-14T22:13:20+00:00")
    events = await _lines(stage, "what=events")
    assert [each["type"] for each in events] == [each.type for each in await stage.core.ledger.events(1)]


async def test_no_cell_of_an_export_is_a_formula(stage: Stage) -> None:
    await stage.served()
    await stage.core.people.save_nicknames({ANN: '=HYPERLINK("http://x")'}, 0.0)
    await stage.ask("POST", COMPLETE, stage.agent(), json={"handoffRequestId": 1, "reason": "@SUM(1+1)"})
    _, text = await _file(stage)
    [row] = csv.DictReader(StringIO(text.removeprefix("\ufeff"), newline=""))
    assert (row["nickname"], row["reason"]) == ('\'=HYPERLINK("http://x")', "'@SUM(1+1)")


async def test_an_export_is_of_the_days_that_are_asked_for(stage: Stage) -> None:
    """It is 22:13 on the 14th."""
    await stage.served()
    day, moment = "2023-11-14", "2023-11-14T22:13:20Z"
    inside = [f"since={day}", f"until={day}", f"since={day}&until={day}", f"since={moment}", "since=&until=",
              "until=2023-11-14T22:13:21Z", "since=2023-11-15T06:13:20%2B08:00", f"kf={KF}"]  # fmt: skip
    outside = ["since=2023-11-15", "until=2023-11-13", f"until={moment}", "since=2023-11-14T22:13:21Z", f"kf={KF2}",
               "kf=nobody"]  # fmt: skip
    assert [(query, len(await _lines(stage, query))) for query in inside] == [(query, 1) for query in inside]
    assert [(query, await _lines(stage, query)) for query in outside] == [(query, []) for query in outside]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("since=yesterday", "since must be a day (2026-11-20) or a time"),
        ("until=2023-02-30", "until must be a day"),
        ("until=9999-12-31", "until must be a day"),
        ("since=2023-11-15T06:13:20+08:00", "since must be a day"),  # its + is a blank in an address
        ("since=2023-11-15&until=2023-11-14", "until must come after since"),
        ("since=2023-11-15T00:00:00Z&until=2023-11-15T00:00:00Z", "until must come after since"),
        ("what=customers", "what must be one of: handoffs, events"),
        ("form=xlsx", "form must be one of: csv, jsonl"),
        ("kf=" + "x" * 65, "kf must be a text"),
    ],
)
async def test_a_wrong_export_is_400_with_words(stage: Stage, query: str, said: str) -> None:
    status, error = await stage.ask("GET", f"/api/agent/export?{query}", stage.agent())
    assert (status, error["code"]) == (400, "BAD_REQUEST") and error["message"].startswith(said)


async def test_an_export_is_for_staff_of_this_tenant_and_of_their_accounts(stage: Stage) -> None:
    await stage.served()
    for headers in (None, stage.customer(), bearer("x")):
        assert (await stage.ask("GET", "/api/agent/export", headers))[0] == 401
    cookie = {"Cookie": f"{AGENT_COOKIE}={stage.agent()['Authorization'][7:]}"}
    assert len(await _lines(stage, "", cookie)) == 1, "a link on the page is enough"
    for scope, seen in ((Scope(frozenset({KF})), 0), (Scope(frozenset({KF2})), 1), (NOTHING, 0)):
        stage.site.service.scope = partial(_whatever, scope)
        for query in ("", "what=events", f"kf={KF}", f"what=events&kf={KF}"):
            assert bool(await _lines(stage, query)) is bool(seen), (scope, query)
    stage.site.service.scope = partial(_whatever, EVERYTHING)
    await stage.core.database.write(lambda db: db.execute("UPDATE handoffs SET tenant_id='ww-before'"))
    assert await _lines(stage, "") == await _lines(stage, "what=events") == []


def _whatever(scope: Scope, _: AgentClaims) -> Scope:
    return scope


async def test_an_export_that_cannot_begin_says_so(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: Any) -> Any:
        raise StorageError("disk full: /home/x")

    monkeypatch.setattr(stage.core.records, "find", full)
    for _ in range(OF_ONE + 1):  # and holds no place
        status, error = await stage.ask("GET", "/api/agent/export", stage.agent())
        assert (status, error["code"]) == (503, "UNAVAILABLE")


async def test_an_export_that_breaks_is_cut_off_and_logged(
    stage: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def pages() -> AsyncIterator[list[Any]]:
        yield [(1, 1, "PROGRESS", "USER", ANN, 0.0, "{}")]
        raise RuntimeError("unforeseen")

    async def broken(*_: Any) -> Extract:
        return Extract(2, pages())

    monkeypatch.setattr(stage.core.records, "find", broken)
    with pytest.raises((ClientPayloadError, ServerDisconnectedError, ClientOSError)):
        await _file(stage, "?what=events")
    assert "api failed" in caplog.text


async def test_one_export_too_many_is_429(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = asyncio.Event()
    find = stage.core.records.find

    async def later(selection: Selection) -> Extract:
        await gate.wait()
        return await find(selection)

    monkeypatch.setattr(stage.core.records, "find", later)
    under_way = [asyncio.create_task(_file(stage)) for _ in range(OF_ONE + 1)]
    done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_EXCEPTION, timeout=10)
    assert len(done) == 1, "of three, one is refused"
    status, error = await stage.ask("GET", "/api/agent/export", stage.agent())
    assert (status, error["code"]) == (429, "TOO_MANY_REQUESTS")
    assert stage.last is not None and stage.last["Retry-After"] == "5"
    gate.set()
    assert sum(isinstance(each, tuple) for each in await asyncio.gather(*under_way, return_exceptions=True)) == OF_ONE
