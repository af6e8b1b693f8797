"""Moved time, and a WeCom end of the long connection that does what a test tells it (wecom-group.md 4.3 to 4.8)."""

from __future__ import annotations

import asyncio
import heapq
import io
import itertools
import json
import logging
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bot.channels.aibot import AibotChannel
from bot.channels.posting import PostJson
from bot.model import CardTap, GroupMessage

BOT_ID, SECRET = "aibTest", "s3cret-of-the-bot"
ROOM, LISI = "wrkRoom", "lisi"
RESPONSE_URL = "https://qyapi.weixin.qq.com/cgi-bin/aibot/response?response_code=C0DE"

Frame = dict[str, Any]


async def settle() -> None:
    """Lets every task that can run do so; waits for nothing."""
    for _ in range(50):
        await asyncio.sleep(0)


class MovedTime:
    """A clock that stands still until `move`; who sleeps in between is woken in order."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._count = itertools.count()
        self._asleep: list[tuple[float, int, float, asyncio.Future[None]]] = []
        self._news = asyncio.Event()

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._asleep, (self.now + seconds, next(self._count), seconds, woken))
        self._news.set()
        await woken

    def naps(self) -> list[float]:
        """How long those sleep who are asleep now."""
        return [seconds for _, _, seconds, woken in sorted(self._asleep) if not woken.done()]

    async def asleep(self, low: float, high: float | None = None) -> float:
        """Waits until somebody sleeps for `low` to `high` seconds; returns how long."""
        top = low if high is None else high
        while True:
            for nap in self.naps():
                if low - 1e-9 <= nap <= top + 1e-9:
                    return nap
            self._news.clear()
            await self._news.wait()

    async def move(self, seconds: float) -> None:
        until = self.now + seconds
        await settle()
        while self._asleep and self._asleep[0][0] <= until:
            due, _, _, woken = heapq.heappop(self._asleep)
            self.now = max(self.now, due)
            if not woken.done():
                woken.set_result(None)
                await settle()
        self.now = until

    async def move_to_next(self) -> None:
        await settle()
        due = next(due for due, _, _, woken in sorted(self._asleep) if not woken.done())
        await self.move(due - self.now)


class Peer:
    """WeCom's side of one connection."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport, wecom: WeCom) -> None:
        self.socket = socket
        self.wecom = wecom
        self.frames: list[Frame] = []
        self._transport = transport
        self._rows: defaultdict[str, asyncio.Queue[Frame]] = defaultdict(asyncio.Queue)
        self.closed = asyncio.Event()

    async def serve(self) -> None:
        async for message in self.socket:
            frame = json.loads(message.data)
            self.frames.append(frame)
            await self._answer(frame)
            self._rows[frame["cmd"]].put_nowait(frame)
        self.closed.set()

    async def _answer(self, frame: Frame) -> None:
        script = self.wecom.script[frame["cmd"]]
        errcode = script.pop(0) if script else self.wecom.default.get(frame["cmd"], 0)
        if errcode is not None:
            await self.ack(frame, errcode)

    async def ack(self, frame: Frame, errcode: int = 0, errmsg: str = "") -> None:
        errmsg = errmsg or ("ok" if errcode == 0 else "refused, hint: [1], from ip: 1.2.3.4, more info at https://x")
        body = {} if errcode else self.wecom.bodies.get(frame["cmd"], {})
        headers = {"req_id": frame["headers"]["req_id"]}
        await self.send({"headers": headers, "errcode": errcode, "errmsg": errmsg, "body": body})

    async def got(self, cmd: str) -> Frame:
        """The next frame of this kind; already acknowledged as the script says."""
        return await self._rows[cmd].get()

    async def send(self, frame: Frame | str) -> None:
        await self.socket.send_str(frame if isinstance(frame, str) else json.dumps(frame))

    async def say(self, said: str, msgid: str = "m-1", req_id: str = "Q1", **more: Any) -> None:
        await self.send(message_frame(said, msgid, req_id, **more))

    async def tap(self, key: str = "end:12", req_id: str = "T1", task_id: str = "al-12-x") -> None:
        await self.send(tap_frame(key, req_id, task_id))

    async def kick(self) -> None:
        body = {"msgid": "e-9", "aibotid": BOT_ID, "msgtype": "event", "event": {"eventtype": "disconnected_event"}}
        await self.send({"cmd": "aibot_event_callback", "headers": {"req_id": "K"}, "body": body})

    async def close(self, code: int = 1000) -> None:
        await self.socket.close(code=code)

    def cut(self) -> None:
        self._transport.abort()


class WeCom:
    """Answers 0 to everything, save what `script` (in order) and then `default` say; None is silence.

    `bodies`: what an acknowledgement holds beside the 0.
    """

    def __init__(self) -> None:
        self.bodies: dict[str, Frame] = {
            "aibot_upload_media_init": {"upload_id": "U-1"},
            "aibot_upload_media_finish": {"type": "image", "media_id": "M-1", "created_at": 1700000000},
        }
        self.script: defaultdict[str, list[int | None]] = defaultdict(list)
        self.default: dict[str, int | None] = {}
        self.dials = 0
        self.refuse_dial = False
        self.url = ""
        self._peers: asyncio.Queue[Peer] = asyncio.Queue()

    async def peer(self) -> Peer:
        """The next connection that was opened."""
        return await self._peers.get()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.dials += 1
        if self.refuse_dial:
            return web.Response(status=502)
        socket = web.WebSocketResponse(compress=False, timeout=0.5)
        await socket.prepare(request)
        assert isinstance(request.transport, asyncio.Transport)
        peer = Peer(socket, request.transport, self)
        self._peers.put_nowait(peer)
        await peer.serve()
        return socket


@dataclass
class Rig:
    """A channel against `wecom`, with everything it tells anybody."""

    wecom: WeCom
    time: MovedTime
    session: aiohttp.ClientSession
    alarms: list[tuple[str, str]] = field(default_factory=list)
    observed: Counter[str] = field(default_factory=Counter)
    posts: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    post_answer: Mapping[str, Any] | Exception = field(default_factory=lambda: {"errcode": 0})
    messages: asyncio.Queue[GroupMessage] = field(default_factory=asyncio.Queue)
    taps: asyncio.Queue[CardTap] = field(default_factory=asyncio.Queue)
    alarmed: asyncio.Event = field(default_factory=asyncio.Event)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    luck: float = 0.5

    def __post_init__(self) -> None:
        self.dial: Callable[[str], Awaitable[aiohttp.ClientWebSocketResponse]] = self.connect
        self.on_alarm = self._alarm
        self.post: PostJson = self._post
        self.channel = AibotChannel(
            bot_id=BOT_ID,
            secret=SECRET,
            name="kfbot",
            url=self.wecom.url,
            connect=lambda url: self.dial(url),
            on_alarm=lambda kind, text: self.on_alarm(kind, text),
            post_json=lambda url, body: self.post(url, body),
            observe=self._observe,
            clock=self.time.clock,
            sleep=self.time.sleep,
            rng=lambda: self.luck,
        )

    async def connect(self, url: str) -> aiohttp.ClientWebSocketResponse:
        return await self.session.ws_connect(url, timeout=aiohttp.ClientWSTimeout(ws_close=1.0))

    async def start(self) -> None:
        await self.channel.start(self.messages.put, self.taps.put)

    async def ready(self) -> Peer:
        """Started and subscribed; or subscribed again, when it was started before."""
        await self.start()
        peer = await self.wecom.peer()
        await peer.got("aibot_subscribe")
        await self.until(lambda: self.channel.ready)
        return peer

    async def until(self, fact: Callable[[], bool]) -> None:
        """Waits for what an observed event brings about."""
        while not fact():
            self._news.clear()
            await self._news.wait()

    async def heard(self, peer: Peer, said: str = "@kfbot /status", **more: Any) -> GroupMessage:
        await peer.say(said, **more)
        return await self.messages.get()

    def _alarm(self, kind: str, text: str) -> None:
        self.alarms.append((kind, text))
        self.alarmed.set()

    def _observe(self, event: str) -> None:
        self.observed[event] += 1
        self._news.set()

    async def _post(self, url: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        self.posts.append((url, body))
        if isinstance(self.post_answer, Exception):
            raise self.post_answer
        return self.post_answer


def message_frame(said: str, msgid: str = "m-1", req_id: str = "Q1", **more: Any) -> Frame:
    body = {
        "msgid": msgid,
        "aibotid": BOT_ID,
        "chatid": ROOM,
        "chattype": "group",
        "from": {"userid": LISI},
        "response_url": RESPONSE_URL,
        "msgtype": "text",
        "text": {"content": said},
    }
    return {"cmd": "aibot_msg_callback", "headers": {"req_id": req_id}, "body": body | more}


def tap_frame(key: str = "end:12", req_id: str = "T1", task_id: str = "al-12-x") -> Frame:
    card = {"card_type": "button_interaction", "event_key": key, "task_id": task_id}
    body = {
        "msgid": "e-1",
        "create_time": 1700000000,
        "aibotid": BOT_ID,
        "chatid": ROOM,
        "chattype": "group",
        "from": {"userid": LISI},
        "msgtype": "event",
        "event": {"eventtype": "template_card_event", "template_card_event": card},
    }
    return {"cmd": "aibot_event_callback", "headers": {"req_id": req_id}, "body": body}


@pytest.fixture
def time() -> MovedTime:
    return MovedTime()


@pytest.fixture
async def wecom() -> AsyncIterator[WeCom]:
    wecom = WeCom()
    app = web.Application()
    app.router.add_get("/", wecom.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    wecom.url = f"ws://127.0.0.1:{runner.addresses[0][1]}/"
    yield wecom
    await runner.cleanup()


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """All that is logged, over every phase of a test."""
    written = io.StringIO()
    handler, log = logging.StreamHandler(written), logging.getLogger("kfbot")
    level = log.level
    log.addHandler(handler)
    log.setLevel("DEBUG")
    yield written
    log.removeHandler(handler)
    log.setLevel(level)


@pytest.fixture
async def rig(wecom: WeCom, time: MovedTime, logged: io.StringIO) -> AsyncIterator[Rig]:
    """Stopped at the end, when nothing of the channel may be left running and no log may have told a secret."""
    before = asyncio.all_tasks()
    async with aiohttp.ClientSession() as session:
        rig = Rig(wecom, time, session)
        yield rig
        await rig.channel.stop()
        await settle()
        left = [task for task in asyncio.all_tasks() - before if "bot/channels" in repr(task)]
        assert not left
        assert not time.naps()
        text = logged.getvalue()
        assert "group" in text or not rig.observed["connected"]
        assert SECRET not in text
        assert "C0DE" not in text
