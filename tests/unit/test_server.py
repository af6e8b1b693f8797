"""The callback route and the probes, over a real socket: what is answered, and what the log says of it."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import ClientConnectionResetError, ClientSession, ClientTimeout, web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot import folded, server
from bot.metrics import Metrics
from bot.sandbox.crypto import MessageCrypto, signature
from bot.server import CALLBACK, CallbackRoute, Hooks, Readiness, Turnstile
from bot.web.limits import Limit
from bot.wecom.crypto import MAX_BODY_BYTES, CallbackCrypto
from bot.wecom.errcodes import meaning_of
from bot.wording import Words
from tests.fakes import FakeClock

TOKEN, KEY, CORP = "QDG6eK", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", "wx5823bf96d3bd56c7"
NOW = 1_700_000_000.0
Answer = tuple[int, bytes]


@dataclass
class Site:
    """The routes on a port, what they called, and both ways of asking them."""

    port: int
    session: ClientSession
    metrics: Metrics
    turnstile: Turnstile
    route: CallbackRoute
    woken: list[tuple[str, str]] = field(default_factory=list)
    changed: list[None] = field(default_factory=list)
    readiness: Callable[[], Awaitable[Readiness]] | None = None
    broken: bool = False

    async def ask(self, method: str, path: str, **options: Any) -> Answer:
        async with self.session.request(method, f"http://127.0.0.1:{self.port}{path}", **options) as response:
            return response.status, await response.read()

    async def raw(self, sent: bytes, patience: float = 10.0) -> bytes:
        """Bytes on the bare socket, and the status line that came back; nothing where the server waits for more."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(sent)
            async with asyncio.timeout(patience):
                return await reader.readuntil(b"\r\n")
        except (ConnectionError, TimeoutError, asyncio.IncompleteReadError):
            return b""
        finally:
            writer.close()

    async def push(self, xml: str, **changes: str) -> Answer:
        query, body = envelope(xml, **changes)
        return await self.ask("POST", CALLBACK, params=query, data=body)

    def count(self, outcome: str) -> float:
        return self.metrics.registry.get_sample_value("kfbot_callbacks_total", {"outcome": outcome}) or 0.0


def envelope(
    xml: str, corp: str = CORP, timestamp: str = str(int(NOW)), nonce: str = "n0nce"
) -> tuple[dict[str, str], str]:
    """What WeCom sends, made by the sandbox's half of the crypto."""
    encrypted = MessageCrypto(KEY, corp).encrypt(xml)
    signed = signature(TOKEN, timestamp, nonce, encrypted)
    query = {"msg_signature": signed, "timestamp": timestamp, "nonce": nonce}
    return query, f"<xml><ToUserName>{corp}</ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"


def kf_event(account: str = "wk1", token: str = "ENCtoken") -> str:
    return (
        f"<xml><ToUserName>{CORP}</ToUserName><CreateTime>1700000000</CreateTime><MsgType>event</MsgType>"
        f"<Event>kf_msg_or_event</Event><Token>{token}</Token><OpenKfId>{account}</OpenKfId></xml>"
    )


@pytest.fixture
async def site(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Site]:
    caplog.set_level(logging.INFO)
    async for ready in a_site(CallbackCrypto(TOKEN, KEY, CORP)):
        yield ready


async def a_site(crypto: CallbackCrypto | None) -> AsyncIterator[Site]:
    metrics, made = Metrics(), list[Site]()

    async def readiness() -> Readiness:
        asked = made[0].readiness
        return await asked() if asked else Readiness(True, {"storage": ""})

    hooks = Hooks(
        lambda account, token: made[0].woken.append((account, token)),
        lambda: made[0].changed.append(None),
        readiness,
        lambda: made[0].broken,
    )
    turnstile = Turnstile(Words("en", "kfbot", meaning_of))
    route = CallbackRoute(crypto, hooks, FakeClock(NOW), metrics)
    runner = server.runner(server.build(route, hooks, metrics, turnstile=turnstile))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with ClientSession(timeout=ClientTimeout(total=60)) as session:
        made.append(Site(runner.addresses[0][1], session, metrics, turnstile, route))
        yield made[0]
    await runner.cleanup()


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]


# -- verification


async def test_the_url_is_verified_with_the_bare_echo(site: Site) -> None:
    """WeCom's own published sample."""
    query = {
        "msg_signature": "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3",
        "timestamp": "1409659589",
        "nonce": "263014780",
        "echostr": "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ==",
    }
    assert await site.ask("GET", CALLBACK, params=query) == (200, b"1616140317555161061")
    assert site.count("verified") == 1


async def test_a_wrong_signature_verifies_nothing(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    query = {"msg_signature": "0" * 40, "timestamp": "1", "nonce": "2", "echostr": "abc"}
    status, body = await site.ask("GET", CALLBACK, params=query)
    assert (status, body) == (403, b"signature\n")
    assert lines(caplog) == ["callback rejected | reason=signature from=127.0.0.1"]


@pytest.mark.parametrize("query", ["", "?", "?msg_signature", "?echostr=%00%ff", "?nonce=1&nonce=2&timestamp=x"])
async def test_a_browser_that_looks_at_the_url_gets_4xx(site: Site, query: str) -> None:
    status, _ = await site.ask("GET", CALLBACK + query)
    assert status == 403


# -- events


async def test_an_event_wakes_its_account(site: Site) -> None:
    assert await site.push(kf_event()) == (200, b"success")
    assert site.woken == [("wk1", "ENCtoken")]
    assert site.count("kf") == 1


async def test_changed_accounts_are_looked_at(site: Site) -> None:
    xml = (
        "<xml><MsgType>event</MsgType><Event>kf_account_auth_change</Event>"
        "<AuthAddOpenKfId>wk1</AuthAddOpenKfId><AuthAddOpenKfId>wk2</AuthAddOpenKfId></xml>"
    )
    assert (await site.push(xml))[0] == 200
    assert len(site.changed) == 1 and site.woken == []


@pytest.mark.parametrize(
    "xml",
    [
        "<xml><MsgType>event</MsgType><Event>change_contact</Event></xml>",
        "<xml><MsgType>text</MsgType><Content>hi</Content></xml>",
        "<xml><a/></xml>",
    ],
)
async def test_what_is_none_of_ours_is_accepted_and_forgotten(site: Site, xml: str) -> None:
    assert (await site.push(xml))[0] == 200
    assert (site.woken, site.changed) == ([], [])
    assert site.count("foreign") == 1


async def rejected(
    site: Site, caplog: pytest.LogCaptureFixture, answer: Awaitable[Answer], status: int, why: str
) -> None:
    assert await answer == (status, f"{why}\n".encode())
    assert lines(caplog) == [f"callback rejected | reason={why} from=127.0.0.1"]
    assert (site.woken, site.changed, site.count("rejected")) == ([], [], 1.0)


@pytest.mark.parametrize("seconds", [-601, 601])
async def test_a_stale_event_is_refused(site: Site, caplog: pytest.LogCaptureFixture, seconds: int) -> None:
    await rejected(site, caplog, site.push(kf_event(), timestamp=str(int(NOW) + seconds)), 400, "stale")


async def test_an_event_of_ten_minutes_is_not_stale(site: Site) -> None:
    assert (await site.push(kf_event(), timestamp=str(int(NOW) - 600)))[0] == 200


async def test_another_company_is_refused(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    await rejected(site, caplog, site.push(kf_event(), corp="wwOTHER"), 403, "receiveid")


async def test_a_changed_signature_is_refused(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    query, body = envelope(kf_event())
    query["nonce"] += "x"
    await rejected(site, caplog, site.ask("POST", CALLBACK, params=query, data=body), 403, "signature")


@pytest.mark.parametrize("body", [b"", b"not xml", b"<xml></xml>", b"<xml><Encrypt/></xml>", b"\xff\xfe<\0", b"{}"])
async def test_malformed_xml_is_refused(site: Site, caplog: pytest.LogCaptureFixture, body: bytes) -> None:
    query, _ = envelope(kf_event())
    await rejected(site, caplog, site.ask("POST", CALLBACK, params=query, data=body), 400, "xml")


async def test_xml_that_is_malformed_inside_is_refused(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    await rejected(site, caplog, site.push("<xml><Event>"), 400, "event")


async def test_a_body_that_says_it_is_too_large_is_not_read(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    head = f"POST {CALLBACK} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {MAX_BODY_BYTES + 1}\r\n\r\n"
    assert (await site.raw(head.encode())).startswith(b"HTTP/1.1 413")
    assert lines(caplog)[0] == "callback rejected | reason=too_large from=127.0.0.1"


async def test_a_body_that_turns_out_too_large_is_refused(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 1024 + 2):
            yield b"x" * 1024

    await rejected(site, caplog, site.ask("POST", CALLBACK, data=chunks()), 413, "too_large")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity", "nonsense"])
async def test_a_packed_body_is_never_unpacked(site: Site, encoding: str, caplog: pytest.LogCaptureFixture) -> None:
    bomb = gzip.compress(b"0" * 10_000_000)
    head = f"POST {CALLBACK} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Encoding: {encoding}\r\n"
    answer = await site.raw(f"{head}Content-Length: {len(bomb)}\r\n\r\n".encode() + bomb)
    assert answer.startswith(b"HTTP/1.1 400")
    assert len(lines(caplog)) == 1


async def test_a_client_that_hangs_up_in_the_middle_is_one_line(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = asyncio.Event()
    monkeypatch.setattr(server.log, "filter", lambda record: not heard.set())  # type: ignore[func-returns-value]
    _, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(f"POST {CALLBACK}?nonce=hidden HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc".encode())
    await writer.drain()
    await site.ask("GET", "/healthz")
    writer.close()
    async with asyncio.timeout(30):
        await heard.wait()
    assert lines(caplog) == ["callback rejected | reason=body from=127.0.0.1"]


async def test_a_client_that_is_gone_before_it_may_continue_is_no_error(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """aiohttp answers `Expect` before anything of ours is asked, may find nobody there, and calls that an error."""
    gone = ClientConnectionResetError("Cannot write to closing transport")
    logging.getLogger("aiohttp.server").error("Error handling request from %s", "127.0.0.1", exc_info=gone)
    assert caplog.records == []


async def test_a_client_that_does_not_finish_is_not_waited_for(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "SLOW_CLIENT", 0.05)

    async def drip() -> AsyncIterator[bytes]:
        yield b"<xml>"
        await asyncio.sleep(1)

    status, _ = await site.ask("POST", CALLBACK, data=drip())
    assert status == 408
    assert lines(caplog)[0] == "callback rejected | reason=slow from=127.0.0.1"


async def test_without_a_callback_in_the_settings_there_is_none() -> None:
    async for site in a_site(None):
        for method in ("GET", "POST"):
            status, body = await site.ask(method, CALLBACK)
            assert status == 404 and b"callback.token" in body


# -- once more


async def test_a_replayed_event_is_answered_and_wakes_nobody(site: Site) -> None:
    query, body = envelope(kf_event())
    for _ in range(500):
        assert await site.ask("POST", CALLBACK, params=query, data=body) == (200, b"success")
    assert site.woken == [("wk1", "ENCtoken")]
    assert (site.count("kf"), site.count("replayed")) == (1, 499)


async def test_what_wecom_seals_anew_is_no_replay(site: Site) -> None:
    await site.push(kf_event())
    await site.push(kf_event())
    await site.push(kf_event(), nonce="another")
    assert len(site.woken) == 3


async def test_a_replay_cut_elsewhere_is_still_one(site: Site) -> None:
    """The signature covers its parts one behind the other, so that a character may move from one to the next."""
    query, body = envelope(kf_event(), nonce="~~")
    while not re.search(r"\[CDATA\[[a-z]", body):  # sorted, it must stand behind the token
        query, body = envelope(kf_event(), nonce="~~")
    assert (await site.ask("POST", CALLBACK, params=query, data=body))[0] == 200
    moved = {**query, "nonce": "~"}
    assert (await site.ask("POST", CALLBACK, params=moved, data=body.replace("]]>", "~]]>")))[0] == 200
    assert (len(site.woken), site.count("replayed")) == (1, 1)


async def test_a_retry_after_503_is_no_replay(site: Site) -> None:
    query, body = envelope(kf_event())
    site.turnstile.close()
    assert (await site.ask("POST", CALLBACK, params=query, data=body))[0] == 503
    site.turnstile.closed = False
    assert (await site.ask("POST", CALLBACK, params=query, data=body))[0] == 200
    assert len(site.woken) == 1


async def test_without_storage_wecom_is_asked_to_come_again_and_the_account_is_woken_all_the_same(site: Site) -> None:
    """Nothing of it could be put on record: if this process ends now, only WeCom knows."""
    query, body = envelope(kf_event())
    site.broken = True
    assert (await site.ask("POST", CALLBACK, params=query, data=body))[0] == 503
    assert site.woken == [("wk1", "ENCtoken")]
    site.broken = False
    assert (await site.ask("POST", CALLBACK, params=query, data=body))[0] == 200
    assert len(site.woken) == 2 and site.count("replayed") == 0


async def test_a_retry_of_what_has_failed_is_no_replay(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    query, body = envelope(kf_event())

    def failing(*_: Any) -> None:
        raise RuntimeError("bug")

    with monkeypatch.context() as broken:
        broken.setattr(server, "point", failing)
        assert (await site.ask("POST", CALLBACK, params=query, data=body))[0] == 500
    assert (await site.ask("POST", CALLBACK, params=query, data=body))[0] == 200
    assert site.woken == [("wk1", "ENCtoken")]


async def test_a_retry_of_what_was_cut_off_is_no_replay(site: Site) -> None:
    query, body = envelope(kf_event())
    head = f"POST {CALLBACK}?{urlencode(query)} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    _, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(head.encode() + body[:-10].encode())
    await writer.drain()
    writer.close()
    assert (await site.ask("POST", CALLBACK, params=query, data=body))[0] == 200
    assert site.woken == [("wk1", "ENCtoken")]


async def test_changed_accounts_are_looked_at_once_however_often_they_are_replayed(site: Site) -> None:
    xml = "<xml><MsgType>event</MsgType><Event>kf_account_auth_change</Event></xml>"
    query, body = envelope(xml)
    for _ in range(10):
        assert (await site.ask("POST", CALLBACK, params=query, data=body))[0] == 200
    assert len(site.changed) == 1


# -- many


async def test_good_callbacks_from_one_address_are_never_limited(site: Site) -> None:
    bad, good = envelope(kf_event(), corp="wwOTHER"), 0
    for number in range(300):
        assert (await site.push(kf_event(f"wk{number}")))[0] == 200
        good += (await site.ask("POST", CALLBACK, params=bad[0], data=bad[1]))[0] == 200
    assert (len(site.woken), good) == (300, 0)


async def test_bad_callbacks_are_soon_told_that_there_are_too_many(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.route, "_bad", Limit(1.0, 5, FakeClock(0.0).now))
    query, body = envelope(kf_event(), corp="wwOTHER")
    statuses = [(await site.ask("POST", CALLBACK, params=query, data=body))[0] for _ in range(50)]
    assert statuses == [403] * 5 + [429] * 45
    assert lines(caplog) == ["callback rejected | reason=receiveid from=127.0.0.1"] * folded.MOST
    assert (await site.push(kf_event())) == (200, b"success")
    assert site.count("rejected") == 50


async def test_a_prober_does_not_keep_the_database_busy(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    statuses = [(await site.ask("GET", "/readyz"))[0] for _ in range(int(server.PROBES[1]) * 2)]
    assert statuses[0] == 200 and 429 in statuses
    assert (await site.ask("GET", "/healthz"))[0] == 200


# -- XML that would grow


def bomb(inside: str) -> str:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    return f'<!DOCTYPE xml [<!ENTITY e0 "ha">{entities}]><xml>{inside}</xml>'


EXTERNAL = '<!DOCTYPE xml [<!ENTITY e9 SYSTEM "file:///etc/hostname">]><xml>{}</xml>'
PARAMETER = '<!DOCTYPE xml [<!ENTITY % e SYSTEM "http://127.0.0.1:{port}/readyz"> %e;]><xml>{}</xml>'


@pytest.mark.parametrize("declared", [bomb("{}"), EXTERNAL, PARAMETER, '<!DOCTYPE xml SYSTEM "x.dtd"><xml>{}</xml>'])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be"])
async def test_no_entity_of_the_envelope_is_expanded(site: Site, declared: str, encoding: str) -> None:
    query, _ = envelope(kf_event())
    said = declared.replace("{port}", str(site.port)).replace("{}", "<Encrypt>&e9;</Encrypt>").encode(encoding)
    status, answer = await site.ask("POST", CALLBACK, params=query, data=said)
    assert status == 400 and answer in (b"doctype\n", b"xml\n")
    assert site.woken == []


@pytest.mark.parametrize("declared", [bomb("{}"), EXTERNAL, PARAMETER])
async def test_no_entity_of_the_event_is_expanded(site: Site, declared: str) -> None:
    event = "<MsgType>event</MsgType><Event>kf_msg_or_event</Event><OpenKfId>&e9;</OpenKfId>"
    answer = await site.push(declared.replace("{port}", str(site.port)).replace("{}", event))
    assert answer == (400, b"event\n")
    assert site.woken == []


# -- junk


JUNK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
LINE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40)


@JUNK
@given(body=st.binary(max_size=300), query=LINE)
def test_junk_is_never_our_fault(body: bytes, query: str) -> None:
    """Hypothesis runs its examples one after the other, so each gets its own loop and its own site."""

    async def example() -> None:
        async for site in a_site(CallbackCrypto(TOKEN, KEY, CORP)):
            for method in (b"POST", b"GET"):
                head = b"%s %s?%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" % (
                    method,
                    CALLBACK.encode(),
                    query.encode(),
                )
                answer = await site.raw(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
                assert answer.split(b" ")[1][:1] == b"4", answer[:80]

    asyncio.run(example())


@JUNK
@given(sent=st.binary(min_size=1, max_size=300))
def test_junk_that_is_no_http_is_never_our_fault(sent: bytes) -> None:
    async def example() -> None:
        async for site in a_site(CallbackCrypto(TOKEN, KEY, CORP)):
            answer = await site.raw(sent + b"\r\n\r\n", patience=0.03)
            assert b" 50" not in answer[:14], answer[:80]

    asyncio.run(example())


SECRET = secrets.token_hex(16)


@pytest.mark.parametrize(
    "request_line",
    [
        f"GET {CALLBACK}?msg_signature={SECRET} HTTP/1.1",
        f"GET {CALLBACK}?msg_signature={SECRET}\xff HTTP/1.1",
        f"POST {CALLBACK}?msg_signature={SECRET} HTTP/1.1",
        f"PUT {CALLBACK}?msg_signature={SECRET} HTTP/1.1",
        f"GET /nowhere?key={SECRET} HTTP/1.1",
        f"GET {CALLBACK}?{SECRET * 300} HTTP/1.1",
        f"GET http://[{SECRET}/ HTTP/1.1",
        f"GET {CALLBACK}?{SECRET} HTTP/9.9",
        f"{SECRET} / HTTP/1.1",
    ],
)
async def test_no_query_string_is_ever_logged(site: Site, caplog: pytest.LogCaptureFixture, request_line: str) -> None:
    answer = await site.raw(request_line.encode("latin-1") + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.split(b" ")[1].startswith(b"4")
    assert SECRET not in caplog.text and "Traceback" not in caplog.text
    assert len(lines(caplog)) <= 1


# -- the end


async def test_once_closed_it_turns_away_all_but_probes(site: Site) -> None:
    assert await site.push(kf_event()) == (200, b"success")
    site.turnstile.close()
    assert await site.push(kf_event()) == (503, b"The bot is restarting; try again in a few seconds\n")
    assert len(site.woken) == 1
    status, body = await site.ask("GET", "/api/handoffs")
    assert (status, json.loads(body)["error"]["code"]) == (503, "UNAVAILABLE")
    assert [(await site.ask("GET", path))[0] for path in ("/healthz", "/readyz", "/metrics")] == [200, 200, 200]


async def test_who_is_turned_away_is_told_when_to_come_again_and_on_another_line(site: Site) -> None:
    site.turnstile.close()
    async with site.session.post(f"http://127.0.0.1:{site.port}{CALLBACK}", data=b"<xml/>") as response:
        assert (response.headers["Retry-After"], response.headers["Connection"]) == ("5", "close")


async def test_it_is_empty_when_all_who_came_in_have_left(site: Site) -> None:
    await site.turnstile.empty()
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(b"POST /callback/kf HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n<xml>")
    async with asyncio.timeout(60):
        while not site.turnstile._inside:  # noqa: ASYNC110  the server tells nobody
            await asyncio.sleep(0.01)
        site.turnstile.close()
        leaving = asyncio.create_task(site.turnstile.empty())
        await asyncio.sleep(0)
        assert not leaving.done()
        writer.write(b"</x>")
        await leaving
        assert b"400" in await reader.readline()
    writer.close()


# -- probes


async def test_health_is_that_the_process_answers(site: Site) -> None:
    async def broken() -> Readiness:
        raise RuntimeError("not asked")

    site.readiness = broken
    assert await site.ask("GET", "/healthz") == (200, b'{"status": "up"}')


async def test_ready_is_200_and_not_ready_503_with_reasons(site: Site) -> None:
    status, body = await site.ask("GET", "/readyz")
    assert (status, json.loads(body)) == (200, {"ready": True, "checks": {"storage": ""}})

    async def not_yet() -> Readiness:
        return Readiness(False, {"storage": "", "token": "no token yet", "group": "connecting"})

    site.readiness = not_yet
    status, body = await site.ask("GET", "/readyz")
    assert status == 503
    assert json.loads(body) == {
        "ready": False,
        "checks": {"storage": "", "token": "no token yet", "group": "connecting"},
    }


async def test_what_is_over_is_told_and_costs_no_readiness(site: Site) -> None:
    async def stood_still() -> Readiness:
        return Readiness(True, {"storage": ""}, {"loop": "stood still for 7.0 s, 20 s ago"})

    site.readiness = stood_still
    status, body = await site.ask("GET", "/readyz")
    assert status == 200
    assert json.loads(body)["lately"] == {"loop": "stood still for 7.0 s, 20 s ago"}


async def test_a_probe_that_hangs_is_not_ready(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hanging() -> Readiness:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(server, "PROBE_SECONDS", 0.05)
    site.readiness = hanging
    status, body = await site.ask("GET", "/readyz")
    assert status == 503 and not json.loads(body)["ready"]


async def test_a_probe_that_fails_is_not_ready_and_metrics_still_come(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing() -> Readiness:
        raise RuntimeError("bug")

    site.readiness = failing
    status, body = await site.ask("GET", "/readyz")
    assert status == 503 and not json.loads(body)["ready"] and b"bug" not in body
    assert "bug" in caplog.text
    status, body = await site.ask("GET", "/metrics")
    assert status == 200 and b"kfbot_ready 0.0" in body


async def test_metrics_are_prometheus_text_and_know_readiness_without_a_probe(site: Site) -> None:
    await site.push(kf_event())
    async with site.session.get(f"http://127.0.0.1:{site.port}/metrics") as response:
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        text = await response.text()
    assert 'kfbot_callbacks_total{outcome="kf"} 1.0' in text
    assert "kfbot_ready 1.0" in text


@pytest.mark.parametrize(
    "path", ["/", "/nowhere", "/callback", "/callback/kf/", "//callback/kf", "/healthz/x", "/..%2f"]
)
async def test_unknown_paths_are_404(site: Site, path: str) -> None:
    answer = await site.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/healthz", 200),
        ("HEAD", "/readyz", 200),
        ("HEAD", "/metrics", 200),
        ("HEAD", CALLBACK, 405),
        ("PUT", CALLBACK, 405),
        ("DELETE", CALLBACK, 405),
        ("OPTIONS", CALLBACK, 405),
        ("POST", "/healthz", 405),
        ("POST", "/readyz", 405),
        ("PATCH", "/metrics", 405),
        ("BREW", "/healthz", 400),
    ],
)
async def test_other_methods_are_answered_sanely(site: Site, method: str, path: str, status: int) -> None:
    found, _ = await site.ask(method, path)
    assert found == status


async def test_an_event_is_answered_in_milliseconds(site: Site) -> None:
    await site.push(kf_event())
    took = []
    for number in range(21):
        began = time.perf_counter()
        assert (await site.push(kf_event(f"wk{number}")))[0] == 200
        took.append(time.perf_counter() - began)
    assert sorted(took)[10] < 0.1
