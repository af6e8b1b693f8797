"""A WeCom in a process of its own that answers at once: no rules, no limits, no memory but who has been ended.

`bot.sandbox` simulates WeCom; this one is for the clock. Its sync_msg serves prebuilt bytes, its long connection hands
out one message at a time and measures until the reply. `/bench/…` is how the benchmarks speak to it.
"""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from typing import Any

from aiohttp import WSMsgType, web

from bench import traffic
from bench.child import say
from bench.children import HOST, Child, Children, free_port

CORP, SECRET = "ww5a4db0c0ffee0001", "bench-secret"
ACCOUNTS = ("wkBenchAccount0000000000000000001", "wkBenchAccount0000000000000000002")
BUSY = ACCOUNTS[0]  # the account with pages to sync
BOT_SECRET, MENTION = "bench-bot-secret", "@kfbot "
SERVICER = "ZhangSan"
FLOOR_CALLS = ("floor/state", "floor/trans", "floor/send")  # for who must not show up in the counts of the others
GAP = 0.005  # seconds between a reply and the next message: the subject has come to rest
PATIENCE = 20.0

Json = dict[str, Any]
_OK: Json = {"errcode": 0, "errmsg": "ok"}


class Wecom:
    """The handle on it that a benchmark holds."""

    def __init__(self, children: Children, *, pages: int = 0, first: int = 0) -> None:
        """`pages` of `traffic.talk` from second `first` on are told to calls of sync_msg with a token."""
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        self.child: Child = children.call("bench.wecom:serve", port=self.port, pages=pages, first=first)
        self.child.hear()

    def converse(self, bot_id: str, messages: list[tuple[str, str]]) -> list[float]:
        """Send (chat, text) messages, each after the reply to the one before; seconds from message to reply."""
        told = self._post("converse", {"bot_id": bot_id, "messages": messages})
        return [float(seconds) for seconds in told["seconds"]]

    def calls(self) -> Counter[str]:
        """How often each kf endpoint has been called so far."""
        return Counter({str(path): int(count) for path, count in self._post("calls", {})["calls"].items()})

    def _post(self, what: str, order: Json) -> Json:
        request = urllib.request.Request(f"{self.url}/bench/{what}", json.dumps(order).encode())
        with urllib.request.urlopen(request, timeout=120) as answer:
            told: Json = json.load(answer)
            return told


def serve(port: int, pages: int, first: int) -> None:
    """The process."""
    asyncio.run(_serve(port, pages, first))


async def _serve(port: int, pages: int, first: int) -> None:
    runner = web.AppRunner(_app(Kf(pages, first), Group()), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    say(listening=port)
    await asyncio.Event().wait()


def _app(kf: Kf, group: Group) -> web.Application:
    app = web.Application(client_max_size=8 << 20)
    app.router.add_get("/", group.serve)
    app.router.add_post("/bench/converse", group.converse)
    app.router.add_post("/bench/calls", kf.told)
    app.router.add_route("*", "/cgi-bin/{path:.+}", kf.serve)
    return app


class Kf:
    """`/cgi-bin/…`. Every session is with a human until it is moved to 4."""

    def __init__(self, pages: int, first: int) -> None:
        self.calls: Counter[str] = Counter()
        self._ended: set[str] = set()
        told = traffic.talk(BUSY, pages, first).pages
        self._pages = [_page(items, number + 1, len(told)) for number, items in enumerate(told)]
        self._answers: dict[str, Callable[[Json], Json]] = {
            "gettoken": lambda body: {"access_token": "bench-access-token", "expires_in": 7200},
            "kf/account/list": lambda body: {"account_list": [{"open_kfid": each, "name": each} for each in ACCOUNTS]},
            "kf/servicer/list": lambda body: {"servicer_list": [{"userid": SERVICER, "status": 0}]},
            "kf/customer/batchget": _names,
            "kf/service_state/get": self._state,
            "kf/service_state/trans": self._move,
            "kf/send_msg_on_event": lambda body: {"msgid": body.get("msgid", "")},
            **dict.fromkeys(FLOOR_CALLS, self._state),
        }

    async def serve(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        self.calls[path] += 1
        body: Json = json.loads(await request.read() or b"{}")
        if path == "kf/sync_msg":
            return _json(self._sync(body))
        return _json(json.dumps({**_OK, **self._answers[path](body)}, ensure_ascii=False).encode())

    async def told(self, _: web.Request) -> web.Response:
        return web.json_response({"calls": self.calls})

    def _sync(self, body: Json) -> bytes:
        """Cursors are page numbers; news is told only to who has a token, that is to who was called back."""
        cursor = body.get("cursor", "")
        page = int(cursor or 0)
        if body.get("token") and body["open_kfid"] == BUSY and page < len(self._pages):
            return self._pages[page]
        return json.dumps({**_OK, "next_cursor": cursor or "0", "has_more": 0, "msg_list": []}).encode()

    def _state(self, body: Json) -> Json:
        ended = body["external_userid"] in self._ended
        return {"service_state": 4} if ended else {"service_state": 3, "servicer_userid": SERVICER}

    def _move(self, body: Json) -> Json:
        self._ended.add(body["external_userid"])
        return {"msg_code": f"code-{len(self._ended)}"}


class Group:
    """The long connection's other end."""

    def __init__(self) -> None:
        self._bots: dict[str, web.WebSocketResponse] = {}
        self._replied: dict[str, asyncio.Future[float]] = {}
        self._sent = 0

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False, compress=False)
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                at = time.perf_counter()
                await self._take(socket, json.loads(message.data), at)
        return socket

    async def converse(self, request: web.Request) -> web.Response:
        order: Json = await request.json()
        return web.json_response(
            {"seconds": [await self._ask(order["bot_id"], chat, text) for chat, text in order["messages"]]}
        )

    async def _ask(self, bot_id: str, chat: str, text: str) -> float:
        await asyncio.sleep(GAP)
        self._sent += 1
        req_id = f"bench-{self._sent}"
        replied = self._replied[req_id] = asyncio.get_running_loop().create_future()
        frame = _callback(req_id, chat, text)
        began = time.perf_counter()
        await self._bots[bot_id].send_str(frame)
        async with asyncio.timeout(PATIENCE):
            seconds: float = await replied - began
        return seconds

    async def _take(self, socket: web.WebSocketResponse, frame: Json, at: float) -> None:
        req_id = frame["headers"]["req_id"]
        if frame["cmd"] == "aibot_subscribe":
            self._bots[frame["body"]["bot_id"]] = socket
        elif frame["cmd"] == "aibot_respond_msg" and req_id in self._replied:
            self._replied.pop(req_id).set_result(at)
        await socket.send_str(json.dumps({"headers": {"req_id": req_id}, **_OK}))


def _callback(req_id: str, chat: str, text: str) -> str:
    body = {
        "msgid": f"msg-{req_id}", "aibotid": "bench", "chatid": chat, "chattype": "group",
        "from": {"userid": "LiSi"}, "msgtype": "text", "text": {"content": f"{MENTION}{text}"},
    }  # fmt: skip
    return json.dumps({"cmd": "aibot_msg_callback", "headers": {"req_id": req_id}, "body": body}, ensure_ascii=False)


def _page(items: list[traffic.Item], following: int, pages: int) -> bytes:
    more = int(following < pages)
    page = {**_OK, "next_cursor": str(following), "has_more": more, "msg_list": items}
    return json.dumps(page, ensure_ascii=False, separators=(",", ":")).encode()


def _names(body: Json) -> Json:
    ids = body["external_userid_list"]
    return {"customer_list": [{"external_userid": each, "nickname": f"顾客{each[-4:]}"} for each in ids]}


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")
