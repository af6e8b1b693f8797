"""The outgoing session against real sockets that misbehave."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import WeComUnavailable
from bot.http import Http, decode, encode

SECRET = "S3CRETTOKEN"
QUERY = {"access_token": SECRET}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with Http() as http:
        yield http


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    async with TestServer(app) as server:
        yield str(server.make_url("/cgi-bin/x"))


@asynccontextmanager
async def talking(talk: Talk) -> AsyncIterator[str]:
    """A server that speaks raw bytes instead of HTTP."""

    async def talk_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(talk_and_close, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/cgi-bin/x"


def answering(body: bytes, status: int = 200) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=body, status=status)

    return handler


async def failure(call: Awaitable[Any]) -> WeComUnavailable:
    with pytest.raises(WeComUnavailable) as caught:
        await call
    assert_silent(caught.value)
    return caught.value


def assert_silent(error: BaseException) -> None:
    """No secret in the words, the representation, the printed traceback, or anything chained to the exception."""
    assert error.__cause__ is None
    assert error.__context__ is None
    printed = "".join(traceback.format_exception(error))
    assert SECRET not in printed + str(error) + repr(error) + repr(error.args) + repr(vars(error))


async def test_json_goes_out_and_comes_back(http: Http) -> None:
    async def echo(request: web.Request) -> web.Response:
        assert request.content_type == "application/json"
        return web.json_response({"method": request.method, "query": dict(request.query), "body": await request.json()})

    async with serving(echo) as url:
        answer = await http.json("POST", url, query=QUERY, body={"name": "你好"})
    assert answer == {"method": "POST", "query": QUERY, "body": {"name": "你好"}}


async def test_get_has_no_body_and_no_content_type(http: Http) -> None:
    async def look(request: web.Request) -> web.Response:
        assert not request.can_read_body
        assert "Content-Type" not in request.headers
        return web.json_response({})

    async with serving(look) as url:
        assert await http.json("GET", url) == {}


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        (b'{"errcode": 0}', 500, "HTTP 500"),
        (b"<html>bad gateway", 502, "HTTP 502"),
        (b"<html>captive portal", 200, "HTTP 200 with an answer that is no JSON object"),
        (b"", 200, "HTTP 200 with an answer that is no JSON object"),
        (b"[1]", 200, "HTTP 200 with an answer that is no JSON object"),
        (b"null", 404, "HTTP 404 with an answer that is no JSON object"),
        (b"[" * 100_000, 200, "HTTP 200 with an answer that is no JSON object"),
    ],
)
async def test_an_answer_that_says_nothing_is_unavailable(http: Http, body: bytes, status: int, why: str) -> None:
    async with serving(answering(body, status)) as url:
        error = await failure(http.json("GET", url, query=QUERY))
    assert (error.endpoint, error.errmsg, error.sent) == ("/cgi-bin/x", why, True)


async def test_json_below_500_is_an_answer(http: Http) -> None:
    async with serving(answering(b'{"errcode": 40001}', 403)) as url:
        assert await http.json("GET", url) == {"errcode": 40001}


async def test_redirects_are_not_followed_because_the_query_would_go_with_them(http: Http) -> None:
    asked: list[str] = []

    async def redirect(request: web.Request) -> web.Response:
        asked.append(request.path)
        raise web.HTTPFound("/elsewhere")

    async with serving(redirect) as url:
        await failure(http.json("GET", url, query=QUERY))
    assert asked == ["/cgi-bin/x"]


async def test_a_refused_connection_was_not_sent(http: Http) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = await failure(http.json("POST", f"http://127.0.0.1:{port}/cgi-bin/x", query=QUERY, body={}))
    assert not error.sent
    assert "cannot connect to 127.0.0.1" in error.errmsg


async def test_an_unknown_host_was_not_sent(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_dns(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", no_dns)
    error = await failure(http.json("GET", "https://wecom.invalid/cgi-bin/x", query=QUERY))
    assert not error.sent
    assert "wecom.invalid" in error.errmsg


async def test_a_connection_that_is_never_made_was_not_sent(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", hang)
    error = await failure(http.json("POST", "https://wecom.invalid/cgi-bin/x", query=QUERY, body={}, seconds=2.0))
    assert (error.sent, error.errmsg) == (False, "no connection in time")


async def test_tls_that_fails_was_not_sent(http: Http) -> None:
    async def not_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"this is no TLS\r\n")

    async with talking(not_tls) as url:
        error = await failure(http.json("GET", url.replace("http:", "https:"), query=QUERY))
    assert not error.sent


async def test_a_silent_server_may_have_got_it(http: Http) -> None:
    given_up = asyncio.Event()

    async def stall(request: web.Request) -> web.Response:
        await given_up.wait()
        return web.Response()

    async with serving(stall) as url:
        error = await failure(http.json("POST", url, query=QUERY, body={}, seconds=1.0))
        given_up.set()
    assert (error.sent, error.errmsg) == (True, "no answer within 1 s")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n",
    ],
)
async def test_a_broken_answer_may_have_got_it(http: Http, answer: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)

    async with talking(talk) as url:
        assert (await failure(http.json("POST", url, query=QUERY, body={}))).sent


async def test_a_pooled_connection_closed_by_the_server_leaves_a_post_unknown(http: Http) -> None:
    """And does not repeat it: the server has read the request and may have acted on it."""
    seen: list[bytes] = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"{}"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        seen.append(await reader.readuntil(b"{}"))

    async with talking(once) as url:
        assert await http.json("POST", url, body={}) == {}
        assert (await failure(http.json("POST", url, query=QUERY, body={}))).sent
    assert len(seen) == 2


@pytest.mark.parametrize("url", ["http://", "ftp://host/x", "http://[::1/x", "", "http://" + "a" * 300 + "/x"])
async def test_an_impossible_url_is_unavailable_too(http: Http, url: str) -> None:
    await failure(http.json("GET", url, query=QUERY))


async def test_cancelling_is_not_a_failure(http: Http) -> None:
    async def stall(request: web.Request) -> web.Response:
        await asyncio.sleep(1)
        raise AssertionError

    async with serving(stall) as url:
        call = asyncio.create_task(http.json("GET", url))
        await asyncio.sleep(0.02)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_endpoint_names_the_call_where_the_path_itself_is_a_secret(http: Http) -> None:
    async with serving(answering(b"", 500)) as url:
        error = await failure(http.json("POST", f"{url}/{SECRET}", body={}, endpoint="webhook"))
    assert str(error) == "webhook: -2 HTTP 500"


async def test_request_gives_any_status_and_body(http: Http) -> None:
    async with serving(answering(b"teapot", 418)) as url:
        assert await http.request("POST", url, data=b"x") == (418, b"teapot")


async def test_of_a_stranger_only_the_status_is_wanted(http: Http) -> None:
    """However much it answers, and however slowly: no more than the beginning is read."""

    async def endless(request: web.Request) -> web.StreamResponse:
        assert (await request.read(), request.headers["X-A"]) == (b"x", "b")
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:
                await response.write(b"x" * 1000)
        return response

    async with serving(endless) as url:
        assert await http.post(url, b"x", {"X-A": "b"}, 5.0, "webhook") == 200


async def test_a_short_answer_leaves_the_connection_in_use(http: Http) -> None:
    ports: set[Any] = set()

    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername"))
        return web.Response(text="thanks")

    async with serving(handler) as url:
        for _ in range(3):
            assert await http.post(url, b"x", {}, 5.0, "webhook") == 200
    assert len(ports) == 1


async def test_a_stranger_that_fails_has_a_name_and_no_address(http: Http) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = await failure(http.post(f"http://127.0.0.1:{port}/{SECRET}?key={SECRET}", b"x", {}, 5.0, "crm.example"))
    assert error.endpoint == "crm.example"


# -- addresses in the own network


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Every name leads there."""

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (each, port, 0, 0))
            if ":" in each
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port))
            for each in addresses
        ]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)


async def test_no_connection_is_made_to_the_own_network() -> None:
    asked: list[str] = []

    async def count(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response()

    async with Http(public_only=True) as http, serving(count) as url:
        error = await failure(http.post(url, b"x", {}, 5.0, "crm"))
        assert not error.sent and "a private address is refused" in error.errmsg
        await failure(http.post(url.replace("127.0.0.1", "localhost"), b"x", {}, 5.0, "crm"))
        await failure(http.post(url.replace("127.0.0.1", "2130706433"), b"x", {}, 5.0, "crm"))
    assert asked == []


@pytest.mark.parametrize(
    "host",
    [
        "127.1", "2130706433", "0177.0.0.1", "0x7f.1", "0x7f000001", "0", "0.0.0.0", "①②⑦.0.0.1", "127。0。0。1",
        "[::]", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "localhost.", "169.254.169.254",
        "[fe80::1%25lo]",
    ],
)  # fmt: skip
async def test_nor_however_an_address_is_written(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    connected: list[Any] = []

    async def connect(sock: socket.socket, to: Any) -> None:
        connected.append(to)
        raise ConnectionRefusedError

    async with Http(public_only=True) as http:
        monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", connect)
        await failure(http.post(f"http://{host}:9/hook", b"x", {}, 5.0, "crm"))
    assert connected == []


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
async def test_nor_where_a_name_leads_there(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    connected: list[Any] = []

    async def connect(sock: socket.socket, to: Any) -> None:
        connected.append(to)
        raise ConnectionRefusedError

    async with Http(public_only=True) as http:
        resolving(monkeypatch, address)
        monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", connect)
        error = await failure(http.post("http://harmless.example/hook", b"x", {}, 5.0, "crm"))
        assert "a private address is refused" in error.errmsg
    assert connected == []


async def test_of_several_addresses_only_the_public_ones_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is looked at is what is connected to: a name that answers differently the next time gains nothing."""
    connected: list[Any] = []

    async def connect(sock: socket.socket, to: Any) -> None:
        connected.append(to[0])
        raise ConnectionRefusedError

    async with Http(public_only=True) as http:
        resolving(monkeypatch, "10.0.0.1", "93.184.216.34")
        monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", connect)
        await failure(http.post("http://both.example/hook", b"x", {}, 5.0, "crm"))
    assert set(connected) == {"93.184.216.34"}


async def test_one_session_for_everything_closed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []
    original = aiohttp.ClientSession.__init__

    def counted(self: aiohttp.ClientSession, *args: Any, **options: Any) -> None:
        opened.append(1)
        original(self, *args, **options)

    monkeypatch.setattr(aiohttp.ClientSession, "__init__", counted)
    http = Http()
    assert not opened
    async with serving(answering(b"{}")) as url:
        await asyncio.gather(*(http.json("GET", url) for _ in range(20)))
        assert len(opened) == 1
        await http.close()
        await http.close()
        assert not (await failure(http.json("GET", url, query=QUERY))).sent


async def test_closing_breaks_what_is_under_way() -> None:
    async def stall(request: web.Request) -> web.Response:
        await asyncio.sleep(1)
        raise AssertionError

    http = Http()
    async with serving(stall) as url:
        call = asyncio.create_task(http.json("GET", url, query=QUERY))
        await asyncio.sleep(0.05)
        await http.close()
        await failure(call)


async def test_no_more_connections_than_allowed_at_once() -> None:
    now, most, full = 0, 0, asyncio.Event()

    async def count(request: web.Request) -> web.Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        if now == 3:
            full.set()
        await full.wait()
        await asyncio.sleep(0.01)
        now -= 1
        return web.json_response({})

    async with Http(connections_per_host=3) as http, serving(count) as url:
        await asyncio.gather(*(http.json("GET", url) for _ in range(12)))
    assert most == 3


async def test_the_websocket_uses_the_same_session(http: Http) -> None:
    async def hello(request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        await websocket.send_str(await websocket.receive_str() + "!")
        await websocket.close()
        return websocket

    async with serving(hello) as url:
        websocket = await http.ws_connect(url, heartbeat=30)
        await websocket.send_str("hello")
        assert await websocket.receive_str() == "hello!"
        await websocket.close()


async def test_nothing_secret_is_logged(http: Http, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "aiohttp.access")  # the fake server's own log, not ours
    caplog.set_level(logging.DEBUG, "asyncio")  # whatever other tests have made of it
    caplog.set_level(logging.DEBUG)  # after that: the last call is the handler's level too
    asyncio.get_running_loop().set_debug(True)
    async with serving(answering(b"", 502)) as url:
        await failure(http.json("POST", url, query=QUERY, body={"x": SECRET}))
    assert caplog.text and SECRET not in caplog.text
    assert SECRET not in repr(http) + repr(vars(http))


def test_text_that_no_database_takes_is_mended() -> None:
    assert decode(b'{"a": "half \\ud83d here"}') == {"a": "half ? here"}
    assert decode(b'{"a": "whole \\uD83D\\uDE00"}') == {"a": "whole 😀"}
    assert decode(b'{"a": "bad \xff byte"}') == {"a": "bad � byte"}
    assert decode(b'{"a": "line\nand\x01control"}') == {"a": "line\nand\x01control"}
    assert encode({"a": "half \ud83d"}) == b'{"a":"half ?"}'


@given(st.binary() | st.text().map(lambda text: json.dumps(text).encode()))
def test_decode_never_raises_and_gives_only_what_can_be_encoded(answer: bytes) -> None:
    json.dumps(decode(answer), ensure_ascii=False).encode()


@given(st.text(st.characters(codec=None)))
def test_encode_takes_any_text(text: str) -> None:
    json.loads(encode({"a": text}))
