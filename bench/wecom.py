"""A WeCom in a process of its own that answers at once: no rules, no limits, no memory but who has been ended.

`bot.sandbox` simulates WeCom; this one is for the clock. Its sync_msg serves prebuilt bytes, its long connection hands
out messages and taps and measures until the reply, and notes when cards arrive. `/bench/…` is how the benchmarks speak
to it.
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

    def tap(self, bot_id: str, taps: list[tuple[str, str]], *, at_once: bool = False) -> list[tuple[float, list[str]]]:
        """Tap buttons (chat, key), one after the other or all together; for each the seconds from tap to changed card,
        and the keys of the buttons that the changed card has."""
        told = self._post("tap", {"bot_id": bot_id, "taps": taps, "at_once": at_once})
        return [(float(seconds), list(keys)) for seconds, keys in told["changed"]]

    def cards(self) -> list[tuple[float, list[str]]]:
        """When each card came, by the clock of the epoch, and the keys of its buttons; each is told once."""
        return [(float(at), list(keys)) for at, keys in self._post("cards", {})["cards"]]

    def tell(self, items: list[traffic.Item]) -> None:
        """One more page of the busy account's stream."""
        self._post("tell", {"items": items})

    def slow(self, seconds: float, *paths: str) -> None:
        """From now on these kf endpoints take so long, and no others."""
        self._post("slow", dict.fromkeys(paths, seconds))

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
    app.router.add_post("/bench/tap", group.tap)
    app.router.add_post("/bench/cards", group.told)
    app.router.add_post("/bench/calls", kf.told)
    app.router.add_post("/bench/tell", kf.hear)
    app.router.add_post("/bench/slow", kf.slow)
    app.router.add_route("*", "/cgi-bin/{path:.+}", kf.serve)
    return app


class Kf:
    """`/cgi-bin/…`. Every session is with a human until it is moved to 4."""

    def __init__(self, pages: int = 0, first: int = 0) -> None:
        self.calls: Counter[str] = Counter()
        self._ended: set[str] = set()
        self._slow: dict[str, float] = {}
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
        body: Json = json.loads(await request.read() or b"{}")
        answer = self.answer(path, body)
        if path in self._slow:
            await asyncio.sleep(self._slow[path])
        return web.Response(body=answer, content_type="application/json")

    def answer(self, path: str, body: Json) -> bytes:
        """What stands behind `/cgi-bin/{path}`."""
        self.calls[path] += 1
        if path == "kf/sync_msg":
            return self._sync(body)
        return json.dumps({**_OK, **self._answers[path](body)}, ensure_ascii=False).encode()

    def tell(self, items: list[traffic.Item]) -> None:
        """One more page for whoever has read all others."""
        self._pages.append(_page(items, len(self._pages) + 1, 0))

    async def told(self, _: web.Request) -> web.Response:
        return web.json_response({"calls": self.calls})

    async def hear(self, request: web.Request) -> web.Response:
        self.tell((await request.json())["items"])
        return web.json_response({})

    async def slow(self, request: web.Request) -> web.Response:
        self._slow = await request.json()
        return web.json_response({})

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
        self._replied: dict[str, asyncio.Future[tuple[float, Json]]] = {}
        self._cards: list[tuple[float, list[str]]] = []
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
        bot_id, asked = order["bot_id"], [(chat, _text(text)) for chat, text in order["messages"]]
        return web.json_response({"seconds": [(await self._ask(bot_id, *each))[0] for each in asked]})

    async def tap(self, request: web.Request) -> web.Response:
        order: Json = await request.json()
        asks = [self._ask(order["bot_id"], chat, _tap(key)) for chat, key in order["taps"]]
        replies = await asyncio.gather(*asks) if order["at_once"] else [await ask for ask in asks]
        return web.json_response({"changed": [(seconds, _keys(body)) for seconds, body in replies]})

    async def told(self, _: web.Request) -> web.Response:
        cards, self._cards = self._cards, []
        return web.json_response({"cards": cards})

    async def _ask(self, bot_id: str, chat: str, part: Json) -> tuple[float, Json]:
        """Seconds until the reply, and the reply."""
        await asyncio.sleep(GAP)
        self._sent += 1
        req_id = f"bench-{self._sent}"
        replied = self._replied[req_id] = asyncio.get_running_loop().create_future()
        frame = _callback(req_id, chat, part)
        began = time.perf_counter()
        await self._bots[bot_id].send_str(frame)
        async with asyncio.timeout(PATIENCE):
            at, body = await replied
        return at - began, body

    async def _take(self, socket: web.WebSocketResponse, frame: Json, at: float) -> None:
        req_id, cmd, body = frame["headers"]["req_id"], frame["cmd"], frame.get("body", {})
        if cmd == "aibot_subscribe":
            self._bots[body["bot_id"]] = socket
        elif cmd == "aibot_send_msg" and "template_card" in body:
            self._cards.append((time.time(), _keys(body)))
        elif cmd in ("aibot_respond_msg", "aibot_respond_update_msg") and req_id in self._replied:
            self._replied.pop(req_id).set_result((at, body))
        await socket.send_str(json.dumps({"headers": {"req_id": req_id}, **_OK}))


def _callback(req_id: str, chat: str, part: Json) -> str:
    body = {
        "msgid": f"msg-{req_id}", "aibotid": "bench", "chatid": chat, "chattype": "group",
        "from": {"userid": "LiSi"}, **part,
    }  # fmt: skip
    cmd = f"aibot_{'event' if 'event' in part else 'msg'}_callback"
    return json.dumps({"cmd": cmd, "headers": {"req_id": req_id}, "body": body}, ensure_ascii=False)


def _text(text: str) -> Json:
    return {"msgtype": "text", "text": {"content": f"{MENTION}{text}"}}


def _tap(key: str) -> Json:
    tapped = {"card_type": "button_interaction", "event_key": key, "task_id": f"bench-{key}"}
    return {"msgtype": "event", "event": {"eventtype": "template_card_event", "template_card_event": tapped}}


def _keys(body: Json) -> list[str]:
    return [str(button["key"]) for button in body["template_card"]["button_list"]]


def _page(items: list[traffic.Item], following: int, pages: int) -> bytes:
    more = int(following < pages)
    page = {**_OK, "next_cursor": str(following), "has_more": more, "msg_list": items}
    return json.dumps(page, ensure_ascii=False, separators=(",", ":")).encode()


def _names(body: Json) -> Json:
    ids = body["external_userid_list"]
    return {"customer_list": [{"external_userid": each, "nickname": f"顾客{each[-4:]}"} for each in ids]}
