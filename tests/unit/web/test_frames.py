"""What goes over a live socket, as bytes and as meaning."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import ClientSession, WSMsgType, web
from hypothesis import given
from hypothesis import strategies as st

from bot.web import frames
from bot.web.frames import Auth, Code


async def read(data: bytes, count: int) -> list[tuple[WSMsgType, Any]]:
    """What a client makes of our bytes."""

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        assert request.transport is not None
        request.transport.write(data)
        await socket.receive()
        return socket

    app = web.Application()
    app.router.add_get("/", serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with ClientSession() as http, http.ws_connect(f"http://127.0.0.1:{runner.addresses[0][1]}/") as socket:
            return [(each.type, each.data) for each in [await socket.receive(30) for _ in range(count)]]
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65535, 65536, 200_000])
async def test_a_text_of_any_length_is_one_frame(length: int) -> None:
    text = "x" * length
    assert await read(frames.text_frame(text) + frames.PONG, 2) == [
        (WSMsgType.TEXT, text),
        (WSMsgType.TEXT, '{"type":"PONG"}'),
    ]


async def test_a_goodbye_has_its_code() -> None:
    assert await read(frames.close_frame(Code.TOO_SLOW, "慢" * 41), 1) == [(WSMsgType.CLOSE, 4408)]


async def test_what_the_server_says_is_json() -> None:
    [(_, ready), (_, reset)] = await read(frames.ready(41) + frames.RESET, 2)
    assert (json.loads(ready), json.loads(reset)) == ({"type": "READY", "lastEventId": 41}, {"type": "RESET"})


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ('{"type": "AUTH", "token": "abc"}', Auth("abc", None)),
        ('{"type": "AUTH", "token": "abc", "after": 41}', Auth("abc", 41)),
        ('{"type": "AUTH", "token": "abc", "after": 0, "more": [1]}', Auth("abc", 0)),
        ('{"type": "AUTH", "after": null}', Auth("", None)),
        ('{"type": "AUTH"}', Auth("", None)),
    ],
)
def test_the_first_frame_is_understood(said: str, meant: Auth) -> None:
    assert frames.auth(said) == meant


@pytest.mark.parametrize(
    "said",
    [
        "", "null", "[]", "1", '"AUTH"', "{}", "{", "hello",
        '{"type": "auth", "token": "abc"}',
        '{"type": ["AUTH"], "token": "abc"}',
        '{"type": "AUTH", "token": 1}',
        '{"type": "AUTH", "token": null}',
        '{"type": "AUTH", "token": "好"}',
        '{"type": "AUTH", "token": "\\ud800"}',
        '{"type": "AUTH", "token": "abc", "after": "41"}',
        '{"type": "AUTH", "token": "abc", "after": true}',
        '{"type": "AUTH", "token": "abc", "after": -1}',
        '{"type": "AUTH", "token": "abc", "after": 1.5}',
        '{"type": "AUTH", "token": "abc", "after": 1e400}',
        '{"type": "AUTH", "token": "abc", "after": 9223372036854775808}',
        '{"type": "AUTH", "token": "abc", "after": ' + "9" * 5000 + "}",
        "[" * 100_000,
        '{"type":' * 100_000,
    ],
)  # fmt: skip
def test_any_other_first_frame_is_refused(said: str) -> None:
    with pytest.raises(ValueError):
        frames.auth(said)


@given(st.one_of(st.text(), st.recursive(st.none() | st.booleans() | st.text(), st.lists).map(json.dumps)))
def test_no_text_is_too_strange(said: str) -> None:
    assert not frames.is_ping(said)
    with pytest.raises(ValueError):
        frames.auth(said)


def test_a_page_asks_whether_somebody_is_there() -> None:
    assert frames.is_ping('{"type": "PING"}')
    assert not frames.is_ping('{"type": "PONG"}') and not frames.is_ping("[" * 100_000)
