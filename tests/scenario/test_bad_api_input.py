"""Whoever comes to the API and the live sockets with something wrong: told so, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import random
import resource
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from io import BytesIO, StringIO
from typing import Any

import pytest
from aiohttp import ClientSession, ClientTimeout, WSMsgType

from bot.handoffs import Handoffs
from bot.model import EventType, SessionKey
from bot.registry import Role
from bot.tokens import Tokens
from bot.transfer import Transfers
from bot.web import api as api_module
from bot.web import entrance
from bot.web import peer as peer_module
from bot.web import sockets as sockets_module
from bot.web.doors import AGENT_COOKIE, CUSTOMER_COOKIE, OURS
from bot.web.gates import A_HOUSEHOLD
from tests.scenario.conftest import ANN, BOB, KF, KF2, Stage

CURRENT, END = "/api/customer/handoff", "/api/customer/handoff/end-by-user"
COMPLETE, SNOOZE, TRANSFER = (f"/api/agent/handoff/{each}" for each in ("complete", "snooze", "transfer"))
SESSION = "/api/agent/session"
ZHANG = "ZhangSuQuan"
OTHER_TENANT = "ww0therc0rp0000001"
OUR_PAGE = {OURS[0]: OURS[1]}
CLOCKS = ("Date", "X-Last-Event-Id")
PATIENCE = 10.0  # seconds in which everything is answered to whoever does nothing wrong


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)["data"]

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["error"]["code"])

    @property
    def message(self) -> str:
        return str(json.loads(self.body)["error"]["message"])

    @property
    def told(self) -> tuple[int, dict[str, str], bytes]:
        """All that somebody may learn from it, but what grows with the time."""
        return self.status, {name: each for name, each in self.headers.items() if name not in CLOCKS}, self.body


@dataclass
class House:
    """A running bot, and somebody who asks it things."""

    stage: Stage
    http: ClientSession

    @property
    def tokens(self) -> Tokens:
        return self.stage.bot.core.tokens

    @property
    def tenant_id(self) -> str:
        return self.stage.settings.wecom.corp_id

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.stage.bot.port}{path}"

    def customer(self, customer: str = ANN, kf: str = KF, tenant_id: str = "") -> str:
        return self.tokens.customer_token(tenant_id or self.tenant_id, kf, customer)

    def agent(self, userid: str = "LiNa") -> str:
        return self.tokens.agent_token(userid, Role.AGENT)

    async def ask(
        self, path: str, token: str = "", body: Any = None, *, data: Any = None, headers: Any = (), method: str = ""
    ) -> Reply:
        """POST where there is a body: `body` as JSON, `data` as it is."""
        sent = dict(headers) | ({"Authorization": f"Bearer {token}"} if token else {})
        payload = data if body is None else json.dumps(body).encode()
        method = method or ("GET" if payload is None else "POST")
        async with self.http.request(method, self.url(path), data=payload, headers=sent) as response:
            return Reply(response.status, dict(response.headers), await response.read())

    async def end(self, token: str, number: int) -> Reply:
        return await self.ask(END, token, {"handoffRequestId": number})

    async def complete(self, token: str, number: int) -> Reply:
        return await self.ask(COMPLETE, token, {"handoffRequestId": number})

    async def served(self, customer: str = ANN) -> int:
        self.stage.sandbox.customer_writes(KF, customer, "在吗")
        self.stage.sandbox.servicer_takes(KF, customer, ZHANG)
        return (await self.stage.open_handoff(customer)).id

    async def ends(self, number: int) -> list[dict[str, Any]]:
        """The log's rows of its end."""
        events = await self.stage.bot.core.ledger.events(number)
        return [each.data for each in events if each.type is EventType.COMPLETED]

    @contextlib.asynccontextmanager
    async def socket(self, door: str, first: Any = None, **headers: str) -> AsyncIterator[Page]:
        async with self.http.ws_connect(self.url(f"/ws/{door}"), headers=headers, max_msg_size=0) as socket:
            page = Page(socket)
            if first is not None:
                await socket.send_json(first)
            yield page


class Page:
    def __init__(self, socket: Any) -> None:
        self.socket = socket

    async def hear(self, patience: float | None = PATIENCE) -> dict[str, Any]:
        message = await self.socket.receive(patience)
        assert message.type is WSMsgType.TEXT, (message, self.socket.close_code)
        frame: dict[str, Any] = json.loads(message.data)
        return frame

    async def hear_end(self, patience: float | None = PATIENCE) -> dict[str, Any]:
        while (frame := await self.hear(patience))["type"] != "HANDOFF_COMPLETED":
            pass
        payload: dict[str, Any] = frame["payload"]
        return payload

    async def closed(self) -> int | None:
        while (message := await self.socket.receive(PATIENCE)).type is WSMsgType.TEXT:
            pass
        assert message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR), message
        code: int | None = self.socket.close_code
        return code


@pytest.fixture
async def house(running: Stage) -> AsyncIterator[House]:
    async with ClientSession(timeout=ClientTimeout(total=30)) as http:
        yield House(running, http)


def hello(token: str) -> dict[str, str]:
    return {"type": "AUTH", "token": token}


# -- another customer's or tenant's handoff


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would go on to WeCom; it does not."""
    wanted: list[str] = []

    async def end(*_: Any, **__: Any) -> Any:
        wanted.append("end")

    async def give(*_: Any, **__: Any) -> Any:
        wanted.append("give")

    monkeypatch.setattr(Handoffs, "end", end)
    monkeypatch.setattr(Transfers, "give", give)
    return wanted


async def test_anothers_handoff_is_told_byte_for_byte_as_none_and_wecom_is_not_asked(
    house: House, asked: list[str]
) -> None:
    number = await house.served()
    wrong = [
        await house.end(token, each)
        for token in (house.customer(BOB), house.customer(ANN, KF2))
        for each in (number, 999)
    ]
    wrong.append(await house.end(house.customer(), 999))
    assert (wrong[0].status, wrong[0].code) == (404, "NOT_FOUND")
    assert all(each.told == wrong[0].told for each in wrong)
    assert asked == []
    assert await house.ends(number) == []


async def test_another_tenants_token_is_none_at_all(house: House, asked: list[str]) -> None:
    """Though it was signed here, in the days of another corp_id: it gets what a forged one gets, byte for byte."""
    number = await house.served()
    for path in (CURRENT, END):
        body = {"handoffRequestId": number} if path == END else None
        anothers = await house.ask(path, house.customer(tenant_id=OTHER_TENANT), body)
        forged = await house.ask(path, "forged", body)
        assert anothers.status == 401 and anothers.told == forged.told
    assert asked == []


async def test_another_tenants_handoff_is_none_for_staff_whatever_they_want_of_it(
    house: House, asked: list[str]
) -> None:
    number = await house.served()
    core = house.stage.bot.core
    await core.database.write(lambda db: db.execute("UPDATE handoffs SET tenant_id=?", [OTHER_TENANT]))

    async def everything(wanted: int) -> list[Reply]:
        target = {"handoffRequestId": wanted}
        return [
            await house.ask(f"/api/handoffs/{wanted}", house.agent()),
            await house.ask(f"/api/handoffs/{wanted}/events", house.agent()),
            await house.complete(house.agent(), wanted),
            await house.ask(SNOOZE, house.agent(), target | {"seconds": 600}),
            await house.ask(TRANSFER, house.agent(), target | {"servicer": "LiNa"}),
        ]

    anothers, none = await everything(number), await everything(999)
    assert {each.status for each in anothers} == {404}
    assert [each.told for each in anothers] == [each.told for each in none]
    assert (await house.ask("/api/handoffs", house.agent())).data["items"] == []
    assert asked == []


async def test_nobody_unknown_learns_how_much_is_going_on(house: House) -> None:
    """The number of the last event grows with all that happens to all customers."""
    await house.served()
    assert "X-Last-Event-Id" in (await house.ask(CURRENT, house.customer())).headers
    for reply in (await house.ask(CURRENT), await house.ask("/api/nothing"), await house.ask("/api/openapi.json"),
                  await house.ask(SESSION, method="DELETE", headers=OUR_PAGE)):  # fmt: skip
        assert "X-Last-Event-Id" not in reply.headers, reply


# -- tokens


def _encoded(document: Any) -> str:
    return urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def unsigned(token: str, algorithm: str) -> str:
    """The claims of a good token, which says of itself that it needs no signature."""
    return f"{_encoded({'alg': algorithm, 'typ': 'JWT'})}.{token.split('.')[1]}."


def changed(token: str) -> str:
    """Another customer's name under the same signature."""
    head, _, signature = token.split(".")
    claims = {"aud": "customer", "tid": "x", "kf": KF, "sub": BOB, "exp": 9e12}
    return f"{head}.{_encoded(claims)}.{signature}"


WRONG: dict[str, Callable[[House], str]] = {
    "forged": lambda house: house.customer()[:-4] + "AAAA",
    "another key": lambda house: Tokens(b"k" * 32, house.stage.sandbox).customer_token(house.tenant_id, KF, ANN),
    "no key": lambda house: Tokens(b"", house.stage.sandbox)._customers._key.hex(),
    "other claims": lambda house: changed(house.customer()),
    "alg none": lambda house: unsigned(house.customer(), "none"),
    "alg None": lambda house: unsigned(house.customer(), "nOnE"),
    "alg none, signed": lambda house: unsigned(house.customer(), "none") + house.customer().split(".")[2],
    "no signature": lambda house: house.customer().rpartition(".")[0] + ".",
    "two parts": lambda house: house.customer().rpartition(".")[0],
    "four parts": lambda house: house.customer() + ".x",
    "a login's": lambda house: house.tokens.login_state("/console", "browser", 600),
    "huge": lambda house: house.customer() + "A" * 3000,
    "null": lambda house: "null",
}


@pytest.mark.parametrize("name", WRONG)
async def test_a_wrong_token_opens_no_door(house: House, name: str) -> None:
    number, token = await house.served(), WRONG[name](house)
    for reply in (await house.end(token, number), await house.complete(token, number), await house.ask(CURRENT, token),
                  await house.ask("/api/handoffs", token)):  # fmt: skip
        assert (reply.status, reply.code) == (401, "UNAUTHENTICATED")
    for door in ("customer", "agent"):
        async with house.socket(door, hello(token)) as page:
            assert await page.closed() == 4401
    link = await house.ask(f"/h/{token}")
    assert link.status == 401 and "Set-Cookie" not in link.headers
    assert (await house.ask(SESSION, body={"token": token[:2048]}, headers=OUR_PAGE)).status == 401
    assert await house.ends(number) == []


async def test_a_token_opens_only_its_own_door(house: House) -> None:
    number = await house.served()
    assert (await house.end(house.agent(), number)).status == 401
    assert (await house.complete(house.customer(), number)).status == 401
    assert (await house.ask(f"/h/{house.agent()}")).status == 401
    assert (await house.ask(SESSION, body={"token": house.customer()}, headers=OUR_PAGE)).status == 401
    for door, token in (("customer", house.agent()), ("agent", house.customer())):
        async with house.socket(door, hello(token)) as page:
            assert await page.closed() == 4401
    for cookie, token in ((CUSTOMER_COOKIE, house.agent()), (AGENT_COOKIE, house.customer())):
        assert (await house.ask(CURRENT, headers={"Cookie": f"{cookie}={token}"})).status == 401
    assert await house.ends(number) == []


async def test_an_expired_token_opens_nothing_any_more(house: House) -> None:
    number, token = await house.served(), house.customer()
    async with house.socket("customer", hello(token)) as page:
        assert (await page.hear())["type"] == "READY"
        house.stage.sandbox.clock_advance(49 * 3600)
        assert (await house.end(token, number)).status == 401
        assert (await house.ask(f"/h/{token}")).status == 401
        await house.stage.bot.sockets.sweep()
        assert await page.closed() == 4401


# -- bodies


async def _endless() -> AsyncIterator[bytes]:
    for _ in range(160):
        yield b" " * (1 << 16)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"not JSON", b"[{}]", b'"1"', b'{"handoffRequestId": "%d"}', b'{"handoffRequestId": -%d}',
        b'{"handoffRequestId": %d.5}', b'{"handoffRequestId": %d000000000000000000}', b'{"handoffRequestId": NaN}',
        b'{"handoffRequestId": -Infinity}', b'{"handoffRequestId": true}', b'{"handoffRequestId": {"id": %d}}',
        b'{"\\ud800": %d}', b'{"handoffRequestId": "\\udfff"}', b'{"handoffRequestId": %d}{}',
        b'{"handoffRequestId": %d, "deep": ' + b"[" * 30_000 + b"]" * 30_000 + b"}", b'{"a":' * 5000,
        b"handoffRequestId=%d", b"--x\r\nContent-Disposition: form-data; name=handoffRequestId\r\n\r\n%d\r\n--x--\r\n",
        b"\x1f\x8b\x08\x00", b"\xff\xfe\x00", b'{"handoffRequestId": %d}' + b" " * (10 << 20), _endless,
    ],
)  # fmt: skip
async def test_a_wrong_body_is_400_and_ends_nothing(house: House, body: Any) -> None:
    number = await house.served()
    data = body() if callable(body) else BytesIO(body.replace(b"%d", b"%d" % number))
    reply = await house.ask(END, house.customer(), data=data)
    assert (reply.status, reply.code) == (400, "BAD_REQUEST") and reply.message
    assert await house.ends(number) == []
    assert (await house.ask(CURRENT, house.customer())).data["id"] == number


async def test_of_two_equal_names_the_last_counts(house: House) -> None:
    number = await house.served()
    twice = b'{"handoffRequestId": %d, "handoffRequestId": 999}' % number
    assert (await house.ask(END, house.customer(), data=twice)).status == 404
    assert await house.ends(number) == []


@pytest.mark.parametrize("type_", ["text/plain", "application/xml", "application/json; charset=utf-16", "nonsense", ""])
async def test_what_a_body_is_called_is_of_no_importance(house: House, type_: str) -> None:
    """It is JSON or it is refused; and no other site's page gets in by the types that it may send unasked."""
    number = await house.served()
    data = b'{"handoffRequestId": %d}' % number
    cookie = {"Cookie": f"{CUSTOMER_COOKIE}={house.customer()}", "Content-Type": type_}
    assert (await house.ask(END, data=data, headers=cookie)).status == 403
    assert await house.ends(number) == []
    assert (await house.ask(END, house.customer(), data=data, headers={"Content-Type": type_})).status == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/handoffs?kf=%00", 200), ("/api/handoffs?kf=%ED%A0%80", 200), ("/api/handoffs?kf=%FF", 200),
        ("/api/handoffs?kf=' OR 1=1 --", 200), ("/api/handoffs?status=%ED%A0%80", 400),
        ("/api/handoffs?cursor=%ED%A0%80", 400), ("/api/handoffs?limit=٣", 400), ("/api/handoffs/%EF%BC%91", 404),
        ("/api/handoffs/1%00", 404), ("/api/handoffs/1;x", 404), ("/api/handoffs/../agent/me", 200),
    ],
)  # fmt: skip
async def test_strange_characters_in_an_address(house: House, path: str, status: int) -> None:
    reply = await house.ask(path, house.agent())
    assert reply.status == status and json.loads(reply.body)


async def test_half_characters_come_back_as_whole_ones(house: House) -> None:
    number = await house.served()
    transfer = b'{"handoffRequestId": %d, "servicer": "\\ud800"}' % number
    reply = await house.ask(TRANSFER, house.agent(), data=transfer)
    assert reply.status == 404 and "\ufffd" in reply.body.decode()
    assert (await house.ask(SESSION, data=b'{"token": "\\ud800"}', headers=OUR_PAGE)).status == 401
    async with house.socket("customer") as page:
        await page.socket.send_str('{"type": "AUTH", "token": "\\ud800"}')
        assert await page.closed() == 4400


# -- who was first


@pytest.mark.parametrize("way", ["api", "group", "client"])
async def test_what_staff_have_ended_is_told_with_who_and_when(house: House, way: str) -> None:
    number = await house.served()
    if way == "api":
        assert (await house.complete(house.agent(), number)).status == 200
    elif way == "group":
        await house.stage.ask("/end wm7l", "LiNa")
    else:
        house.stage.sandbox.servicer_ends(KF, ANN)
    ended = await house.stage.no_handoff()
    assert ended.completed_at is not None
    reply = await house.end(house.customer(), number)
    assert (reply.status, reply.code) == (409, "HANDOFF_NOT_ACTIVE")
    say, now = house.stage.bot.core.say, house.stage.sandbox.now()
    assert (ZHANG if way == "client" else "LiNa") in reply.message
    assert say.when(ended.completed_at, now) in reply.message
    assert len(await house.ends(number)) == 1


async def test_ends_in_the_same_instant_many_times_over(house: House) -> None:
    """One event, one move, one goodbye; everybody is told the same truth, and every page hears it once."""
    heard: dict[str, Counter[tuple[int, str]]] = {"customer": Counter(), "agent": Counter()}

    async def listen(page: Page, door: str, last: asyncio.Event) -> None:
        while True:
            payload = await page.hear_end(None)
            heard[door][payload["handoffRequestId"], payload["endedBy"]] += 1
            last.set()

    truth: Counter[tuple[int, str]] = Counter()
    async with (
        house.socket("customer", hello(house.customer())) as his,
        house.socket("agent", hello(house.agent())) as hers,
    ):
        told = [asyncio.Event(), asyncio.Event()]
        listening = [asyncio.create_task(listen(his, "customer", told[0])),
                     asyncio.create_task(listen(hers, "agent", told[1]))]  # fmt: skip
        for turn in range(1, 13):
            number = await house.served()
            by = await _everybody_at_once(house, number, random.Random(turn))
            truth[number, by] += 1
            assert len(house.stage.moves()) == turn
            await asyncio.wait_for(asyncio.gather(*(each.wait() for each in told)), PATIENCE)
            for each in told:
                each.clear()
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
    assert heard == {"customer": truth, "agent": truth}
    await house.stage.bot.core.handoffs.drain(PATIENCE)
    assert len(house.stage.goodbyes()) == 12


async def _everybody_at_once(house: House, number: int, order: random.Random) -> str:
    """The customer twice, and three members of staff, one of them in the group. Who it was, as it is on record."""
    ways: list[tuple[str, Any]] = [
        ("USER", house.end(house.customer(), number)), ("USER", house.end(house.customer(), number)),
        ("LiNa", house.complete(house.agent("LiNa"), number)),
        ("ChenJing", house.complete(house.agent("ChenJing"), number)),
    ]  # fmt: skip
    order.shuffle(ways)
    replies = list(zip([who for who, _ in ways], await asyncio.gather(*(way for _, way in ways)), strict=True))
    [end] = await house.ends(number)
    handoff = await house.stage.bot.core.ledger.handoff(number)
    assert handoff is not None and handoff.ended_by == end["endedBy"]
    winner = "USER" if handoff.ended_by == "USER" else handoff.operator_id
    for who, reply in replies:
        assert (who, reply.status) == (who, 200 if who == winner else 409), reply.body
        if reply.status == 200:
            assert (reply.data["id"], reply.data["endedBy"]) == (number, end["endedBy"])
    assert len({reply.body for who, reply in replies if who == winner}) == 1
    return str(end["endedBy"])


async def test_the_same_caller_may_ask_again_and_again(house: House) -> None:
    number = await house.served()
    at_once = await asyncio.gather(*(house.end(house.customer(), number) for _ in range(6)))
    house.stage.sandbox.clock_advance(3600)
    later = await house.end(house.customer(), number)
    assert {each.status for each in (*at_once, later)} == {200}
    assert len({each.body for each in (*at_once, later)}) == 1
    await house.stage.bot.core.handoffs.drain(PATIENCE)
    assert len(await house.ends(number)) == len(house.stage.moves()) == len(house.stage.goodbyes()) == 1


async def test_who_ended_it_in_the_chat_may_ask_as_well(house: House) -> None:
    house.stage.sandbox.clock_advance(2)
    number = await house.served()
    house.stage.sandbox.customer_writes(KF, ANN, "结束对话")
    await house.stage.no_handoff()
    reply = await house.end(house.customer(), number)
    assert (reply.status, reply.data["endedBy"]) == (200, "USER")


# -- HTML in names and messages


async def test_html_is_text_wherever_it_comes_out(house: House) -> None:
    box, markup = house.stage.sandbox, "</script><img src=x onerror=alert(1)>"
    customer = box.customer_new(markup, "wmHtml00000000000000000000000001")
    async with house.socket("agent", hello(house.agent())) as page:
        box.customer_writes(KF, customer, markup)
        box.servicer_takes(KF, customer, ZHANG)
        number = (await house.stage.open_handoff(customer)).id
        box.customer_writes(KF, customer, f"=HYPERLINK(1){markup}")
        await house.stage.until(lambda: _is_known(house, number, f"=HYPERLINK(1){markup}"))
        shown = await house.ask(f"/api/handoffs/{number}", house.agent())
        assert shown.data["nickname"] == markup
        assert shown.headers["Content-Type"] == "application/json"
        assert shown.headers["X-Content-Type-Options"] == "nosniff"
        await house.ask(COMPLETE, house.agent(), {"handoffRequestId": number, "reason": f"={markup}"})
        assert (await page.hear_end())["userId"] == customer
    assert (await house.ask(f"/api/handoffs/{number}", house.agent())).data["reason"] == f"={markup}"
    sheet = await house.ask("/api/agent/export", house.agent())
    [row] = csv.DictReader(StringIO(sheet.body.decode("utf-8-sig"), newline=""))
    assert (row["nickname"], row["reason"]) == (markup, f"'={markup}")
    assert sheet.headers["Content-Type"].startswith("text/csv")
    assert sheet.headers["X-Content-Type-Options"] == "nosniff"
    assert sheet.headers["Content-Disposition"].startswith("attachment")
    for path in (f"/h/{house.customer(customer)}", "/console"):
        assert markup.encode() not in (await house.ask(path)).body, "what somebody typed comes by the API alone"


async def _is_known(house: House, number: int, words: str) -> bool:
    """As soon as the message and the name of its writer have been read."""
    core = house.stage.bot.core
    handoff = await core.ledger.handoff(number)
    assert handoff is not None
    return handoff.last_text == words and bool(await core.people.nicknames({handoff.external_userid}))


# -- sockets


def masked(head: int, length: bytes, said: bytes = b"") -> bytes:
    return bytes([head]) + length + b"\0\0\0\0" + said


BAD_FRAMES = {
    "text": masked(0x81, b"\x85", b"hello"),
    "binary": masked(0x82, b"\x82", b"\xff\x00"),
    "no UTF-8": masked(0x81, b"\x82", b"\xff\xff"),
    "not masked": b"\x81\x05hello",
    "unknown kind": masked(0x83, b"\x80"),
    "noise": b"\xff" * 64,
    "announced as huge": masked(0x81, b"\xff" + b"\x7f" + b"\xff" * 7),
    "huge": masked(0x81, b"\xff" + (10 << 20).to_bytes(8, "big"), b"x" * (10 << 20)),
    "AUTH": masked(0x81, b"\x90", b'{"type": "AUTH"}'),
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("admitted", [False, True])
async def test_a_socket_that_sends_garbage_is_closed_and_the_others_hear_all(
    house: House, admitted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_module, "GRACE", 0.1)
    number = await house.served()
    async with house.socket("customer", hello(house.customer())) as good:
        assert (await good.hear())["type"] == "READY"
        for name, sent in BAD_FRAMES.items():
            with contextlib.suppress(ConnectionError):
                assert (await _says(house, sent, admitted))[:1] in (b"\x88", b""), name
        await house.end(house.customer(), number)
        assert (await good.hear_end())["endedBy"] == "USER"
    await house.stage.until(lambda: _nobody_connected(house))


async def _says(house: House, sent: bytes, admitted: bool) -> bytes:
    """What it is told at the end; READY is taken off."""
    reader, writer = await _upgraded(house)
    if admitted:
        said = json.dumps(hello(house.customer())).encode()
        writer.write(masked(0x81, b"\xfe" + len(said).to_bytes(2, "big"), said))
        await reader.readuntil(b"}")
    try:
        writer.write(sent)
        return await asyncio.wait_for(reader.read(), PATIENCE)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def _upgraded(house: House, address: str = "") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.stage.bot.port)
    writer.write(_request("GET /ws/customer", address, "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"))  # fmt: skip
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


def _request(line: str, address: str, headers: str = "") -> bytes:
    forwarded = f"X-Forwarded-For: {address}\r\n" if address else ""
    return f"{line} HTTP/1.1\r\nHost: kf.example.com\r\n{forwarded}{headers}\r\n".encode()


async def _nobody_connected(house: House) -> bool:
    return not house.stage.bot.sockets._connected


async def test_a_socket_that_says_nothing_is_closed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets_module, "AUTH_WITHIN", 0.1)
    async with house.socket("customer") as page:
        assert await page.closed() == 4401


async def test_nobody_is_let_in_twice(house: House) -> None:
    async with house.socket("customer", hello(house.customer())) as page:
        assert (await page.hear())["type"] == "READY"
        await page.socket.send_json(hello(house.customer(BOB)))
        assert await page.closed() == 4400


# -- many at once

CROWD = 2000
HERE, ELSEWHERE = "203.0.114.7", {"X-Forwarded-For": "198.51.101.1"}


@pytest.fixture
def crowd(capsys: pytest.CaptureFixture[str]) -> int:
    """As many connections as this process may have both ends of."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = CROWD if allowed == resource.RLIM_INFINITY else min(CROWD, (allowed - 300) // 2)
    if count < CROWD:
        with capsys.disabled():
            print(f"\nonly {count} connections instead of {CROWD}: RLIMIT_NOFILE is {allowed}")
    return count


KINDS = {
    "sockets": _request("GET /ws/customer", HERE, "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
    "guesses": _request(f"GET {CURRENT}", HERE, "Authorization: Bearer guess\r\n"),
    "pages": _request("GET /h/guess", HERE),
    "bodies that never end": _request(f"POST {SESSION}", HERE, "X-Requested-With: kfbot\r\nContent-Length: 9\r\n"),
    "heads that never end": _request(f"GET {CURRENT}", HERE)[:-2],
    "silence": b"",
}  # fmt: skip


class Visitor(asyncio.Protocol):
    """Connected until it is told to leave. `status`: what it is told, where it has finished asking."""

    def __init__(self, said: bytes) -> None:
        self._said = said
        self.status, self.gone = (asyncio.get_running_loop().create_future() for _ in range(2))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._said)
        if not self._said.endswith(b"\r\n\r\n") or b"Content-Length" in self._said:
            self.status.set_result(b"")

    def data_received(self, data: bytes) -> None:
        if not self.status.done():
            self.status.set_result(data[9:12])

    def connection_lost(self, _: Exception | None) -> None:
        self.gone.set_result(None)
        if not self.status.done():
            self.status.set_result(b"lost")

    async def leave(self) -> None:
        self._transport.abort()
        await self.gone


@pytest.mark.parametrize("kind", KINDS)
async def test_two_thousand_connections_of_one_address_do_not_stop_another(house: House, kind: str, crowd: int) -> None:
    number, loop, visitors = await house.served(), asyncio.get_running_loop(), list[Visitor]()
    port = house.stage.bot.port

    async def come() -> None:
        _, visitor = await loop.create_connection(lambda: Visitor(KINDS[kind]), "127.0.0.1", port)
        visitors.append(visitor)
        await visitor.status

    try:
        for _ in range(crowd // 100):
            await asyncio.gather(*(come() for _ in range(100)))
        await _all_is_well_elsewhere(house, number)
    finally:
        await asyncio.gather(*(each.leave() for each in visitors))
    statuses = Counter(each.status.result() for each in visitors)
    if kind == "sockets":
        assert statuses == {b"101": A_HOUSEHOLD, b"429": len(visitors) - A_HOUSEHOLD}
    elif kind in ("guesses", "pages"):
        assert statuses[b"401"] + statuses[b"429"] == len(visitors) and statuses[b"401"] < len(visitors) / 2


async def _all_is_well_elsewhere(house: House, number: int) -> None:
    """Probes, callbacks, live events and ends, each in time."""
    async with asyncio.timeout(4 * PATIENCE), house.socket("customer", hello(house.customer()), **ELSEWHERE) as page:
        for path in ("/healthz", "/readyz", CURRENT):
            async with asyncio.timeout(PATIENCE):
                assert (await house.ask(path, house.customer(), headers=ELSEWHERE)).status == 200
        assert (await house.stage.sandbox.callback_verify())["verified"] is True
        house.stage.sandbox.customer_writes(KF, BOB, "在吗")
        house.stage.sandbox.servicer_takes(KF, BOB, ZHANG)
        await house.stage.open_handoff(BOB)
        body = {"handoffRequestId": number}
        assert (await house.ask(END, house.customer(), body, headers=ELSEWHERE)).status == 200
        assert (await page.hear_end())["handoffRequestId"] == number


@pytest.mark.parametrize("said", [b"", b"GET /healthz HTTP/1.1\r\nHost: x", _request("GET /healthz", "")])
async def test_who_says_nothing_more_is_hung_up(stage: Stage, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    monkeypatch.setitem(entrance.HANDLER, "keepalive_timeout", 0.1)
    await stage.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.bot.port)
    writer.write(said)
    told = await asyncio.wait_for(reader.read(), PATIENCE)
    assert told.startswith(b"HTTP/1.1 200" if said.endswith(b"\r\n\r\n") else b"")
    writer.close()
    await writer.wait_closed()


async def test_a_body_that_comes_drop_by_drop_is_not_waited_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_module, "SLOW_BODY", 0.2)
    number = await house.served()
    reader, writer = await asyncio.open_connection("127.0.0.1", house.stage.bot.port)
    head = f"Authorization: Bearer {house.customer()}\r\nContent-Length: 60000\r\n"
    writer.write(_request(f"POST {END}", "", head))

    async def drip() -> None:
        while True:
            writer.write(b" ")
            await asyncio.sleep(0.01)

    dripping = asyncio.create_task(drip())
    assert (await asyncio.wait_for(reader.readline(), PATIENCE)).startswith(b"HTTP/1.1 400")
    dripping.cancel()
    writer.transport.abort()
    assert (await house.end(house.customer(), number)).status == 200


# -- pages of other sites


@pytest.mark.parametrize("header", [{}, {"X-Requested-With": "XMLHttpRequest"}, {"Origin": "https://evil.example"}])
async def test_a_cookie_without_our_pages_header_changes_nothing(house: House, header: dict[str, str]) -> None:
    number = await house.served()
    customer = {"Cookie": f"{CUSTOMER_COOKIE}={house.customer()}", **header}
    agent = {"Cookie": f"{AGENT_COOKIE}={house.agent()}", **header}
    target = {"handoffRequestId": number}
    replies = [
        await house.ask(END, body=target, headers=customer),
        await house.ask(COMPLETE, body=target, headers=agent),
        await house.ask(SNOOZE, body=target | {"seconds": 600}, headers=agent),
        await house.ask(TRANSFER, body=target | {"servicer": "LiNa"}, headers=agent),
        await house.ask(SESSION, method="DELETE", headers=agent),
    ]
    assert [(each.status, each.code) for each in replies] == [(403, "FORBIDDEN")] * 5
    assert not any(name.startswith("Access-Control") for each in replies for name in each.headers)
    assert not any("Set-Cookie" in each.headers for each in replies)
    assert await house.ends(number) == []
    assert (await house.ask(END, body=target, headers={**customer, **OUR_PAGE})).status == 200


async def test_no_other_site_can_log_somebody_in(house: House) -> None:
    """As whom its owner likes, to see what they then do: by a form, which can send no header of its own."""
    for type_ in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        reply = await house.ask(SESSION, body={"token": house.agent()}, headers={"Content-Type": type_})
        assert reply.status == 403 and "Set-Cookie" not in reply.headers
    for path in (f"/h/{house.customer()}", "/console"):
        page = await house.ask(path)
        assert page.headers["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    cookie = (await house.ask(f"/h/{house.customer()}")).headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Lax"} <= set(cookie.split("; "))


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "", "http://127.0.0.1", "http://127.0.0.1.evil.example"]
)
async def test_another_sites_page_hears_nothing_by_a_cookie(house: House, origin: str) -> None:
    for door, cookie, token in (
        ("customer", CUSTOMER_COOKIE, house.customer()),
        ("agent", AGENT_COOKIE, house.agent()),
    ):
        headers = {"Cookie": f"{cookie}={token}"} | ({"Origin": origin} if origin else {})
        async with house.socket(door, {"type": "AUTH"}, **headers) as page:
            assert await page.closed() == 4401
        own = {"Cookie": f"{cookie}={token}", "Origin": house.url("")}
        async with house.socket(door, {"type": "AUTH"}, **own) as page:
            assert (await page.hear())["type"] == "READY"


async def test_after_all_that_one_session_is_still_one_session(house: House) -> None:
    """A customer's ends leave nothing behind that would end the next."""
    first = await house.served()
    await house.end(house.customer(), first)
    second = await house.served()
    assert second != first
    assert (await house.end(house.customer(), first)).status == 200, "it has been ended by them, and stays so"
    assert (await house.stage.bot.core.ledger.open_handoff(SessionKey(KF, ANN))) is not None
