"""One small corp for the sandbox's own tests, a clock that stands still, and plain clients for its wires."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import count
from typing import Any, cast

import aiohttp
import pytest

from bot.sandbox import Sandbox, SandboxConfig
from bot.sandbox.kf_calls import CALLS
from bot.sandbox.refusals import Refused

KF = "wk7lKAVwAADCtArVetgUpxDBFQHef6Aw"
WM = "wm7lKAVwAAG68dSOO7G4EVpN1eScOUPw"
LI, WU = "LiNa", "WuMing"
ROOM = "wrkTest"


@dataclass
class StillClock:
    time: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.time


class Corp(Sandbox):
    """A sandbox with shorthands: `call` a kf path, `events` of the stream."""

    def call(self, path: str, **body: Any) -> dict[str, Any]:
        """The answer, or just the errcode when refused."""
        try:
            return {"errcode": 0, **CALLS[path](self.world, body)}
        except Refused as refused:
            return {"errcode": refused.errcode}

    def trans(self, state: int, servicer: str = "") -> dict[str, Any]:
        body: dict[str, Any] = {"open_kfid": KF, "external_userid": WM, "service_state": state}
        if servicer:
            body["servicer_userid"] = servicer
        return self.call("kf/service_state/trans", **body)

    def send(self, **changes: Any) -> dict[str, Any]:
        body = {"touser": WM, "open_kfid": KF, "msgtype": "text", "text": {"content": "hi"}, **changes}
        return self.call("kf/send_msg", **body)

    def answer_code(self, code: str, **changes: Any) -> int:
        body = {"code": code, "msgtype": "text", "text": {"content": "bye"}, **changes}
        return int(self.call("kf/send_msg_on_event", **body)["errcode"])

    def items(self) -> list[dict[str, Any]]:
        return self.world.account(KF).stream.page("", 1000, self.now()).items

    def events(self) -> list[dict[str, Any]]:
        return [item["event"] for item in self.items() if item["msgtype"] == "event"]


def make_corp(**config: Any) -> Corp:
    corp = Corp(SandboxConfig(**config), now=StillClock())
    corp.account_new(KF, "售前咨询", {LI: "李娜", WU: "吴明"})
    corp.customer_new("小林", WM)
    corp.group_new("客服值班群", {LI: "李娜", WU: "吴明"}, ROOM)
    return corp


@pytest.fixture
def corp() -> Corp:
    return make_corp()


class Line:
    """A bot's long connection in raw frames: acks by req_id, callbacks in order."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self._numbers = count(1)

    async def receive(self) -> dict[str, Any]:
        return cast(dict[str, Any], await self.socket.receive_json(timeout=30))

    async def command(self, cmd: str, body: dict[str, Any] | None = None, req_id: str = "") -> dict[str, Any]:
        """Send one command and return the next frame, its ack."""
        await self.say(cmd, body, req_id)
        return await self.receive()

    async def say(self, cmd: str, body: dict[str, Any] | None = None, req_id: str = "") -> None:
        headers = {"req_id": req_id or f"r{next(self._numbers)}"}
        await self.socket.send_json({"cmd": cmd, "headers": headers, "body": body or {}})

    async def errcode(self, cmd: str, body: dict[str, Any], req_id: str = "") -> int:
        return int((await self.command(cmd, body, req_id))["errcode"])

    async def subscribe(self, secret: str = "sandbox-bot-secret") -> dict[str, Any]:
        return await self.command("aibot_subscribe", {"bot_id": "aib-sandbox", "secret": secret})


class Served:
    """A serving corp and an HTTP client for it."""

    def __init__(self, corp: Corp, http: aiohttp.ClientSession) -> None:
        self.corp, self.http = corp, http
        self.sockets: list[aiohttp.ClientWebSocketResponse] = []

    async def dial(self, path: str = "/", subscribe: bool = True) -> Line:
        socket = await self.http.ws_connect(self.corp.ws_url + path, autoping=False)
        self.sockets.append(socket)
        line = Line(socket)
        if subscribe:
            assert (await line.subscribe())["errcode"] == 0
        return line

    def hang_up(self) -> None:
        """Cut every line, without waiting for a goodbye that a half-open one never answers."""
        for socket in self.sockets:
            socket._response.close()

    async def post(self, path: str, body: object = None, **query: str) -> dict[str, Any]:
        async with self.http.post(self.corp.base_url + path, json=body or {}, params=query) as response:
            return cast(dict[str, Any], await response.json())

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        async with self.http.get(self.corp.base_url + path, params=query) as response:
            return cast(dict[str, Any], await response.json())

    async def token(self) -> str:
        config = self.corp.config
        answer = await self.get("/cgi-bin/gettoken", corpid=config.corp_id, corpsecret=config.secret)
        return str(answer["access_token"])


@pytest.fixture
async def served(corp: Corp) -> AsyncIterator[Served]:
    async with corp.serve(), aiohttp.ClientSession() as http:
        served = Served(corp, http)
        yield served
        served.hang_up()
