"""`/ws/customer` and `/ws/agent` over real sockets: who hears what, who is sent away, and that it harms nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import socket as sockets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

import pytest
from aiohttp import ClientSession, ClientTimeout, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError, web

from bot.errors import Unauthenticated
from bot.feed import LiveFeed
from bot.metrics import Metrics
from bot.model import EVERYTHING, HandoffStatus, Operator, OperatorType, Scope, SessionKey, Via
from bot.sessions import Session, finish, open_handoff
from bot.tokens import Tokens
from bot.web import peer as peer_module
from bot.web import sockets as module
from bot.web.doors import Doors
from bot.web.gates import Gate
from bot.web.limits import Limit
from bot.web.peer import Audience
from bot.web.sockets import Sockets
from bot.wecom.errcodes import meaning_of
from bot.wording import Words
from storage.database import Database
from storage.feed import Feed
from storage.ledger import Ledger
from tests.fakes import ANN, BOB, KF, KF2, LI, FakeClock

NOW = 1_795_161_600.0
SAY = Words("zh", "kfbot", meaning_of, UTC)
ONLY = Scope(frozenset({KF2}), others=False)
Frame = dict[str, Any]
Socket = ClientWebSocketResponse


@dataclass
class Site:
    """Both doors on a port, a log to write to, and who is let in; `look` has what was written told."""

    ledger: Ledger
    feed: LiveFeed
    metrics: Metrics
    http: ClientSession
    customers: dict[str, Audience] = field(default_factory=lambda: {"ann": SessionKey(KF, ANN)})
    agents: dict[str, Audience] = field(default_factory=lambda: {"boss": EVERYTHING, "after": ONLY})
    port: int = 0
    sockets: Sockets | None = None
    pages: list[Socket] = field(default_factory=list)  # or they would hang up by themselves

    async def start(
        self,
        per_address: int = 20,
        most: int = 100,
        host: str = "",
        admit: Callable[[web.Request], None] = lambda request: None,
    ) -> web.AppRunner:
        gates = [
            Gate("customer", _admitting(self.customers), "kf_customer", most, per_address),
            Gate("agent", _admitting(self.agents), "kf_agent", most, per_address),
        ]
        self.sockets = Sockets(self.feed, gates, SAY, self.metrics.observe_socket, host, admit)
        app = web.Application()
        self.sockets.add_to(app)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        return runner

    async def open(self, door: str = "agent", **headers: str) -> Socket:
        page = await self.http.ws_connect(f"ws://127.0.0.1:{self.port}/ws/{door}", headers=headers)
        self.pages.append(page)
        return page

    async def enter(self, token: str, door: str = "agent", **more: Any) -> Socket:
        """Open, say who it is, and be let in."""
        socket = await self.open(door)
        await socket.send_json({"type": "AUTH", "token": token, **more})
        return socket

    async def ready(self, token: str, door: str = "agent", **more: Any) -> Socket:
        socket = await self.enter(token, door, **more)
        assert (await heard(socket))["type"] == "READY"
        return socket

    async def leave(self) -> None:
        await asyncio.gather(*(page.close() for page in self.pages))

    async def raw(self, request: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request.encode("latin-1"))
        return reader, writer

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    # -- what happens

    async def opened(self, customer: str = ANN, kf: str = KF) -> int:
        def begin(session: Session) -> int:
            open_handoff(session, HandoffStatus.ACCEPTED, LI, NOW, Via.EVENT)
            return 0

        await self.ledger.change(SessionKey(kf, customer), begin, NOW)
        await self.feed.look()
        handoff = await self.ledger.open_handoff(SessionKey(kf, customer))
        assert handoff is not None
        return handoff.id

    async def ended(self, customer: str = ANN, kf: str = KF) -> None:
        def end(session: Session) -> None:
            finish(session, Operator(OperatorType.USER, customer), Via.CHAT, NOW + 60)

        await self.ledger.change(SessionKey(kf, customer), end, NOW + 60)
        await self.feed.look()

    async def chatter(self, rounds: int, customer: str = ANN, kf: str = KF) -> None:
        """Three events a round: requested, accepted, completed."""
        for _ in range(rounds):
            await self.opened(customer, kf)
            await self.ended(customer, kf)


def _admitting(known: dict[str, Audience]) -> Callable[[str], Audience]:
    def admit(token: str) -> Audience:
        if token not in known:
            raise Unauthenticated
        return known[token]

    return admit


async def heard(socket: Socket) -> Frame:
    message = await socket.receive(30)
    assert message.type is WSMsgType.TEXT, message
    frame: Frame = json.loads(message.data)
    return frame


async def types(socket: Socket, count: int) -> list[str]:
    return [(await heard(socket))["type"] for _ in range(count)]


async def silence(socket: Socket) -> None:
    """Nothing has been said to it: what comes next is the answer to a question."""
    await socket.send_json({"type": "PING"})
    assert await heard(socket) == {"type": "PONG"}


async def closed(socket: Socket) -> int | None:
    """With which code it is closed; what comes before that is thrown away."""
    while (message := await socket.receive(30)).type is WSMsgType.TEXT:
        pass
    assert message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR), message
    return int(message.data) if message.type is WSMsgType.CLOSE else socket.close_code  # our answer may come too late


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many pages here read nothing in the end, so that a goodbye is not answered."""
    monkeypatch.setattr(peer_module, "GRACE", 0.1)
    monkeypatch.setattr(module, "GRACE", 0.1)


@contextlib.asynccontextmanager
async def a_site(database: Database, ledger: Ledger) -> AsyncIterator[Site]:
    """Not started. Every page is closed in the end, for what a page leaves open is told as a later test's fault."""
    async with ClientSession(timeout=ClientTimeout(total=60)) as http:
        site = Site(ledger, LiveFeed(Feed(database)), Metrics(), http)
        yield site
        await site.leave()


@pytest.fixture
async def site(database: Database, ledger: Ledger) -> AsyncIterator[Site]:
    async with a_site(database, ledger) as site:
        runner = await site.start()
        yield site
        await site.leave()
        await runner.cleanup()


# -- who hears what


async def test_a_customer_hears_the_end_as_the_contract_has_it(site: Site) -> None:
    number = await site.opened()
    socket = await site.enter("ann", "customer")
    assert await heard(socket) == {"type": "READY", "lastEventId": 2}
    await site.ended()
    assert await heard(socket) == {
        "id": 3,
        "type": "HANDOFF_COMPLETED",
        "payload": {
            "handoffRequestId": number,
            "endedBy": "USER",
            "completedAt": "2026-11-20T08:01:00Z",
            "openKfid": KF,
            "userId": ANN,
            "agentId": LI,
        },
    }


async def test_a_customer_hears_only_of_their_own_session(site: Site) -> None:
    socket = await site.ready("ann", "customer")
    await site.opened(BOB)
    await site.opened(ANN, KF2)
    await silence(socket)
    await site.opened(ANN)
    assert await types(socket, 2) == ["HANDOFF_REQUESTED", "HANDOFF_ACCEPTED"]


async def test_an_agent_hears_of_the_accounts_in_their_scope(site: Site) -> None:
    boss, after = await site.ready("boss"), await site.ready("after")
    await site.opened(ANN, KF)
    await site.opened(BOB, KF2)
    assert [(await heard(boss))["id"] for _ in range(4)] == [1, 2, 3, 4]
    assert [(await heard(after))["id"] for _ in range(2)] == [3, 4]
    await silence(after)


async def test_every_page_of_the_same_customer_hears_it(site: Site) -> None:
    pages = [await site.ready("ann", "customer") for _ in range(3)]
    await site.opened()
    assert [await types(page, 2) for page in pages] == [["HANDOFF_REQUESTED", "HANDOFF_ACCEPTED"]] * 3


async def test_one_door_does_not_open_the_other(site: Site) -> None:
    assert await closed(await site.enter("ann", "agent")) == 4401
    assert await closed(await site.enter("boss", "customer")) == 4401


async def test_open_sockets_and_what_they_are_told_are_counted(site: Site) -> None:
    sockets = [await site.ready("boss"), await site.ready("boss"), await site.ready("ann", "customer")]
    assert (site.count("kfbot_sockets", door="agent"), site.count("kfbot_sockets", door="customer")) == (2, 1)
    await site.opened()
    assert site.count("kfbot_live_events_sent_total", door="agent") == 4
    assert site.count("kfbot_live_events_sent_total", door="customer") == 2
    for socket in sockets:
        await socket.close()
    await gone(site, "agent")


async def gone(site: Site, door: str, count: int = 0) -> None:
    """Until so many are left."""
    async with asyncio.timeout(30):
        while site.count("kfbot_sockets", door=door) > count:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


# -- coming back


async def test_who_comes_back_hears_what_was_missed_and_then_goes_on(site: Site) -> None:
    await site.opened(ANN)
    await site.opened(BOB)
    await site.ended(ANN)
    socket = await site.enter("ann", "customer", after=1)
    assert await heard(socket) == {"type": "READY", "lastEventId": 1}
    assert [(await heard(socket))["id"] for _ in range(2)] == [2, 5]
    await site.opened(ANN)
    assert [(await heard(socket))["id"] for _ in range(2)] == [6, 7]


async def test_a_restart_loses_nothing(site: Site, database: Database) -> None:
    await site.opened()
    site.feed = LiveFeed(Feed(database))
    await site.feed.open()
    runner = await site.start()
    socket = await site.enter("boss", after=0)
    assert [(await heard(socket)).get("id") for _ in range(3)] == [None, 1, 2]
    await runner.cleanup()


@pytest.mark.parametrize("after", [0, 999])
async def test_who_cannot_catch_up_is_told_to_load_anew(
    site: Site, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr("bot.feed.KEPT", 5)
    await site.chatter(2)
    socket = await site.enter("boss", after=after)
    assert await heard(socket) == {"type": "READY", "lastEventId": 6}
    assert await heard(socket) == {"type": "RESET"}
    await site.opened()
    assert (await heard(socket))["id"] == 7


async def test_whenever_a_page_comes_it_misses_nothing_and_hears_nothing_twice(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLICE", 1)  # as many chances to come in between as there can be
    heard_by: list[list[int]] = []

    async def page() -> None:
        await asyncio.sleep(random.random() * 0.1)
        socket, ids = await site.enter("boss", after=0), [0]
        while ids[-1] < 60:
            ids.append((await heard(socket)).get("id", 0))
        heard_by.append(ids[2:])

    pages = [asyncio.create_task(page()) for _ in range(15)]
    await site.chatter(20)
    await asyncio.gather(*pages)
    assert heard_by == [list(range(1, 61))] * 15


# -- who is not let in


@pytest.mark.parametrize("token", ["", "wrong", "x" * 2000])
async def test_a_wrong_token_is_sent_away(site: Site, token: str) -> None:
    assert await closed(await site.enter(token)) == 4401
    assert site.count("kfbot_sockets_dropped_total", door="agent", why="unauthenticated") == 1
    await gone(site, "agent")


async def test_who_says_nothing_is_sent_away(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AUTH_WITHIN", 0.05)
    assert await closed(await site.open()) == 4401
    assert site.count("kfbot_sockets_dropped_total", door="agent", why="silent") == 1


async def test_pings_are_no_token(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AUTH_WITHIN", 0.05)
    socket = await site.open()

    async def ping() -> None:
        while not socket.closed:
            await socket.ping()
            await asyncio.sleep(0.01)

    pinging = asyncio.create_task(ping())
    assert await closed(socket) == 4401
    await asyncio.gather(pinging, return_exceptions=True)


async def test_whose_token_expires_is_sent_away(site: Site) -> None:
    ann, boss = await site.ready("ann", "customer"), await site.ready("boss")
    assert site.sockets is not None
    del site.customers["ann"]
    await site.sockets.sweep()
    await site.opened()
    assert await closed(ann) == 4401
    assert await types(boss, 2) == ["HANDOFF_REQUESTED", "HANDOFF_ACCEPTED"]


async def test_a_scope_that_changes_is_noticed(site: Site) -> None:
    after = await site.ready("after")
    assert site.sockets is not None
    site.agents["after"] = EVERYTHING
    await site.sockets.sweep()
    await site.opened()
    assert await types(after, 2) == ["HANDOFF_REQUESTED", "HANDOFF_ACCEPTED"]


# -- cookies


async def enter_with_cookie(site: Site, **headers: str) -> Socket:
    socket = await site.open("customer", Cookie="kf_customer=ann", **headers)
    await socket.send_json({"type": "AUTH"})
    return socket


async def test_a_page_of_ours_may_use_its_cookie(site: Site) -> None:
    for host in (f"127.0.0.1:{site.port}", f"127.0.0.1:{site.port}".upper()):
        socket = await enter_with_cookie(site, Origin=f"https://{host}")
        assert (await heard(socket))["type"] == "READY"


@pytest.mark.parametrize(
    "origin", ["", "null", "https://evil.example", "https://127.0.0.1", "https://[", "127.0.0.1:%d", "file://"]
)
async def test_a_page_of_somebody_else_may_not(site: Site, origin: str) -> None:
    origin = origin.replace("%d", str(site.port))
    assert await closed(await enter_with_cookie(site, **({"Origin": origin} if origin else {}))) == 4401


async def test_the_public_name_is_ours_too(site: Site) -> None:
    runner = await site.start(host="Kf.Example.com")
    socket = await enter_with_cookie(site, Origin="https://kf.example.com")
    assert (await heard(socket))["type"] == "READY"
    await runner.cleanup()


async def test_a_token_goes_before_the_cookie(site: Site) -> None:
    socket = await site.open("customer", Cookie="kf_customer=ann", Origin=f"http://127.0.0.1:{site.port}")
    await socket.send_json({"type": "AUTH", "token": "wrong"})
    assert await closed(socket) == 4401


# -- garbage


@pytest.mark.parametrize("said", ["", "hello", "[]", '{"type": "READY"}', "[" * 4000, "\x00", "<script>"])
async def test_garbage_before_the_token_is_refused(site: Site, said: str, caplog: pytest.LogCaptureFixture) -> None:
    socket = await site.open()
    await socket.send_str(said)
    assert await closed(socket) == 4400
    assert site.count("kfbot_sockets_dropped_total", door="agent", why="garbage") == 1
    assert not [each for each in caplog.records if each.levelno > logging.INFO]


@pytest.mark.parametrize("said", ["", "hello", '{"type": "AUTH", "token": "boss"}', "[" * 4000])
async def test_garbage_after_it_too(site: Site, said: str) -> None:
    socket = await site.ready("boss")
    await socket.send_str(said)
    assert await closed(socket) == 4400


@pytest.mark.parametrize("ready", [False, True])
async def test_bytes_are_garbage(site: Site, ready: bool) -> None:
    socket = await site.ready("boss") if ready else await site.open()
    await socket.send_bytes(b"\xff\x00")
    assert await closed(socket) == 4400


@pytest.mark.parametrize("ready", [False, True])
async def test_what_is_too_long_is_not_read(site: Site, ready: bool) -> None:
    socket = await site.ready("boss") if ready else await site.open()
    await socket.send_str("x" * 10_000)
    assert await closed(socket) == 1009
    await gone(site, "agent")


UPGRADE = (
    "GET /ws/agent HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
)
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"


@pytest.mark.parametrize(
    "sent", [b"\x00" * 50, b"\x81\x05hello", b"\xff" * 100, b"\x81\xff" + b"\xff" * 20, b"GET / HTTP/1.1\r\n\r\n"]
)
async def test_what_is_no_frame_is_refused(site: Site, sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = await site.raw(f"{UPGRADE}{KEY}\r\n")
    await reader.readuntil(b"\r\n\r\n")
    writer.write(sent)
    answer = await asyncio.wait_for(reader.read(), 30)
    assert answer[:1] in (b"\x88", b"")
    writer.close()
    await gone(site, "agent")
    assert not [each for each in caplog.records if each.levelno > logging.INFO]


@pytest.mark.parametrize(
    "request_",
    [
        f"{UPGRADE}\r\n",
        f"{UPGRADE}Sec-WebSocket-Key: \xff\xfe\r\n\r\n",
        f"{UPGRADE}Sec-WebSocket-Key: abc\r\n\r\n",
        f"{UPGRADE}Sec-WebSocket-Key: @@@\r\n\r\n",
        f"{UPGRADE.replace('13', '99')}{KEY}\r\n",
        "GET /ws/agent HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /ws/customer HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
    ],
)
async def test_a_handshake_that_is_none_is_400(site: Site, request_: str, caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = await site.raw(request_)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
    assert head.startswith(b"HTTP/1.1 400") and b"application/json" in head
    assert b'"code":"BAD_REQUEST"' in await asyncio.wait_for(reader.readuntil(b"}"), 30)
    writer.close()
    assert not [each for each in caplog.records if each.levelno > logging.INFO]
    assert await site.ready("boss")


@pytest.mark.parametrize("polite", [True, False])
async def test_who_hangs_up_is_forgotten(site: Site, polite: bool, caplog: pytest.LogCaptureFixture) -> None:
    for socket in [await site.ready("boss"), await site.open(), await site.ready("boss")]:
        transport = socket._response.connection.transport  # type: ignore[union-attr]
        if polite:
            await socket.close()
        elif transport is not None:
            transport.abort()
    await gone(site, "agent")
    await site.opened()
    assert not [each for each in caplog.records if each.levelno > logging.INFO]


# -- who does not listen


GOODBYE = b"come back with the last id as after"


class Deaf:
    """Is let in, then takes nothing from its socket."""

    def __init__(self, site: Site) -> None:
        self._site, self.socket = site, sockets.socket()
        self.socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        self.socket.setblocking(False)

    async def __aenter__(self) -> Deaf:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self.socket, ("127.0.0.1", self._site.port))
        await loop.sock_sendall(self.socket, f"{UPGRADE}{KEY}\r\n".encode())
        await self.say(b'{"type": "AUTH", "token": "boss"}')
        assert b"101" in await loop.sock_recv(self.socket, 12)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.socket.close()

    async def say(self, what: bytes, times: int = 1) -> None:
        frame = bytes([0x81, 0x80 | len(what), 0, 0, 0, 0]) + what
        await asyncio.get_running_loop().sock_sendall(self.socket, frame * times)

    async def rest(self) -> bytes:
        """All that it has been told up to the goodbye, which nothing can follow; or to the end."""
        loop, told = asyncio.get_running_loop(), b""
        with contextlib.suppress(ConnectionError):
            while not told.endswith(GOODBYE) and (
                chunk := await asyncio.wait_for(loop.sock_recv(self.socket, 1 << 16), 30)
            ):
                told += chunk
        return told


async def flood(site: Site) -> None:
    """Events until somebody is given up."""
    for number in range(400):
        await site.chatter(1, f"wm{'x' * 20_000}{number}")
        if given_up(site):
            return
    raise AssertionError("was never given up")


def given_up(site: Site) -> bool:
    return site.count("kfbot_sockets_dropped_total", door="agent", why="slow") == 1


async def test_a_slow_reader_is_given_up_and_the_others_hear_everything(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_module, "GRACE", 30.0)  # it listens again, at its own pace
    listening, collected = await site.ready("boss"), list[int]()

    async def listen() -> None:
        async for message in listening:
            collected.append(json.loads(message.data)["id"])

    listens = asyncio.create_task(listen())
    async with Deaf(site) as deaf:
        await flood(site)
        told = await deaf.rest()
    assert told.endswith(GOODBYE) and b"\x88" in told[-60:]  # a frame of its own
    await site.chatter(1)
    async with asyncio.timeout(30):
        while not collected or collected[-1] < site.feed.last:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    assert collected == list(range(1, site.feed.last + 1))
    await gone(site, "agent", 1)
    listens.cancel()


async def test_one_that_never_listens_again_is_gone_all_the_same(site: Site) -> None:
    async with Deaf(site):
        await flood(site)
        await gone(site, "agent")


async def test_questions_without_end_are_no_way_to_fill_memory(site: Site) -> None:
    async with Deaf(site) as deaf:
        with pytest.raises(ConnectionError):
            while True:
                await asyncio.wait_for(deaf.say(b'{"type":"PING"}', 1000), 30)
    assert site.count("kfbot_sockets_dropped_total", door="agent", why="flood") == 1


def masked(opcode: int, said: bytes) -> bytes:
    return bytes([opcode, 0x80 | len(said), 0, 0, 0, 0]) + said


HELLO = masked(0x81, b'{"type": "AUTH", "token": "boss"}')
ASK, PING, PONG = masked(0x81, b'{"type":"PING"}'), masked(0x89, b"x"), masked(0x8A, b"")


@pytest.mark.parametrize(("first", "then"), [(b"", PING), (b"", PONG), (HELLO, ASK), (HELLO, PING), (HELLO, PONG)])
async def test_who_says_too_much_at_once_is_cut_off(
    site: Site, first: bytes, then: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Each message is cheap, but thousands in one packet hold up everybody else, and it takes no token to send them."""
    reader, writer = await site.raw(f"{UPGRADE}{KEY}\r\n")
    await reader.readuntil(b"\r\n\r\n")
    writer.write(first + then * 3000)
    told = b""
    with contextlib.suppress(ConnectionError):
        told = await asyncio.wait_for(reader.read(-1), 30)
    assert told.count(b"\x8a\x01x") + told.count(b"PONG") <= 2 * peer_module.AT_ONCE
    writer.close()
    await gone(site, "agent")
    assert site.count("kfbot_sockets_dropped_total", door="agent", why="flood") == 1
    assert not [each for each in caplog.records if each.levelno > logging.INFO]


async def test_nor_is_it_heard_after_our_goodbye(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long before the time is up in which it may answer."""
    monkeypatch.setattr(peer_module, "GRACE", 60.0)
    reader, writer = await site.raw(f"{UPGRADE}{KEY}\r\n")
    await reader.readuntil(b"\r\n\r\n")
    writer.write(masked(0x81, b"garbage") + PONG * 3000)
    await gone(site, "agent")
    writer.close()


async def test_a_ping_is_answered(site: Site) -> None:
    socket = await site.ready("boss")
    await socket.ping(b"are you there?")
    await silence(socket)


async def test_a_peer_that_does_not_answer_pings_is_gone(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", 0.1)
    async with Deaf(site):
        await gone(site, "agent")
    assert not [each for each in caplog.records if each.levelno > logging.INFO]


async def test_a_page_may_ask_whether_somebody_is_there(site: Site) -> None:
    socket = await site.ready("boss")
    await silence(socket)


# -- how many


async def refused(opening: Awaitable[Socket]) -> WSServerHandshakeError:
    with pytest.raises(WSServerHandshakeError) as failed:
        await opening
    return failed.value


async def test_an_address_has_so_many_sockets(site: Site) -> None:
    runner = await site.start(per_address=3)
    open_ = [await site.open("customer") for _ in range(3)]
    assert (await refused(site.open("customer"))).status == 429
    assert (await site.open("agent")) and (await site.open("customer", **{"X-Forwarded-For": "198.51.101.1"}))
    await open_[0].close()
    await gone(site, "customer", 3)
    assert await site.open("customer")
    assert site.count("kfbot_sockets_dropped_total", door="customer", why="refused") == 1
    await runner.cleanup()


async def test_a_refusal_is_told_as_by_the_api(site: Site) -> None:
    runner = await site.start(per_address=0)
    async with site.http.get(f"http://127.0.0.1:{site.port}/ws/customer") as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "60")
        assert (await response.json())["error"]["code"] == "TOO_MANY_REQUESTS"
    await runner.cleanup()


async def test_who_comes_again_and_again_is_not_listened_to(site: Site) -> None:
    limit = Limit(1.0, 5, FakeClock(0.0).now)
    doors = Doors(Tokens(b"", FakeClock(0.0)), SAY, secure=False, handshakes=limit)
    runner = await site.start(admit=doors.listener)
    for _ in range(5):
        await (await site.open("customer")).close()
    assert (await refused(site.open("customer"))).status == 429
    assert (await refused(site.open("agent"))).status == 429
    assert await site.open("customer", **{"X-Forwarded-For": "198.51.101.1"})
    await runner.cleanup()


async def test_two_thousand_from_one_address_take_twenty_places(site: Site) -> None:
    async def attempt() -> bool:
        try:
            await site.open("customer")
        except WSServerHandshakeError as failed:
            assert failed.status == 429
            return False
        return True

    let_in = [await attempt() for _ in range(100)]
    assert let_in == [True] * 20 + [False] * 80


async def test_all_addresses_have_so_many_sockets(site: Site) -> None:
    runner = await site.start(most=3)
    for number in range(3):
        await site.open("customer", **{"X-Forwarded-For": f"198.51.101.{number}"})
    assert (await refused(site.open("customer", **{"X-Forwarded-For": "198.51.101.9"}))).status == 429
    await runner.cleanup()


# -- the end


async def test_at_stop_everybody_is_sent_away(database: Database, ledger: Ledger) -> None:
    async with a_site(database, ledger) as site:
        runner = await site.start()
        pages = [await site.ready("boss"), await site.ready("ann", "customer"), await site.open()]
        leaving = asyncio.create_task(runner.cleanup())
        assert [await closed(page) for page in pages] == [1001, 1001, 1001]
        await leaving


async def test_a_page_that_ignores_the_goodbye_does_not_hold_up_the_stop(database: Database, ledger: Ledger) -> None:
    async with a_site(database, ledger) as site:
        runner = await site.start()
        async with Deaf(site), asyncio.timeout(5):  # without the patience for it, ten
            await runner.cleanup()


async def test_who_is_just_coming_in_when_it_stops_is_sent_away(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    come_in, stopped = web.WebSocketResponse.prepare, asyncio.Event()

    async def slowly(socket: web.WebSocketResponse, request: web.BaseRequest) -> Any:
        writer = await come_in(socket, request)
        await stopped.wait()
        return writer

    monkeypatch.setattr(web.WebSocketResponse, "prepare", slowly)
    page = await site.open()
    assert site.sockets is not None
    await site.sockets.close()
    stopped.set()
    assert await closed(page) == 1001


async def test_nobody_comes_in_while_it_stops(site: Site) -> None:
    assert site.sockets is not None
    await site.sockets.close()
    assert (await refused(site.open())).status == 503
