"""The real bot as a process of its own, as `make run` starts it, beside a WeCom that answers at once."""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path
from typing import Any

from bench.children import HOST, ROOT, Child, ChildFailed, Children, free_port
from bench.wecom import BOT_SECRET, CORP, SECRET, SERVICER, Wecom
from bot import tokens
from bot.core import SystemClock
from bot.registry import Role
from storage.chats import Chats
from storage.database import Database

CALLBACK_TOKEN, AES_KEY = "BenchCallbackToken", "KfbotBenchEncodingAesKey0123456789abcdefghi"
BOT_ID = "aib-bench"
CHATS = tuple(f"wrBenchChat{number:04d}" for number in range(100))
POLL = 0.004  # seconds between two looks at a server that starts
PATIENCE = 60.0


def settings(wecom: Wecom, folder: Path, port: int) -> dict[str, Any]:
    """What the shipped settings.yaml leaves open, and everything written below `folder`. No daily report."""
    aibot = {"bot_id": BOT_ID, "secret": BOT_SECRET, "name": "kfbot", "url": f"ws://{HOST}:{wecom.port}/"}
    return {
        "wecom": {"corp_id": CORP, "secret": SECRET, "api_base": wecom.url},
        "callback": {"token": CALLBACK_TOKEN, "encoding_aes_key": AES_KEY},
        "group": {"chat_ids": list(CHATS), "aibot": aibot},
        "server": {"host": HOST, "port": port},
        "storage": {"url": f"sqlite:///{database(folder)}"},
        "log": {"dir": str(folder / "logs")},
        "report": {"at": ""},
    }


def database(folder: Path) -> Path:
    return folder / "kfbot.db"


async def signing_key(path: Path) -> bytes:
    """With which the bot on this database signs its tokens."""
    records = Database(path)
    await records.open()
    try:
        return await tokens.signing_key(Chats(records))
    finally:
        await records.close()


async def agent_token(path: Path) -> str:
    """A servicer's."""
    return tokens.Tokens(await signing_key(path), SystemClock()).agent_token(SERVICER, Role.AGENT)


class Bot:
    """`start_seconds`: from the process's start to the first 200 of `/readyz`. `more`: settings of its own."""

    def __init__(self, children: Children, wecom: Wecom, folder: Path, **more: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        path = folder / "settings.yaml"
        path.write_text(json.dumps(settings(wecom, folder, self.port) | more), "utf-8")
        self.child, began = children.program(str(ROOT / "bot.py"), "run", "--settings", str(path))
        self.start_seconds = ready(self.child, self.port) - began

    def get(self, path: str) -> tuple[int, bytes]:
        return request(self.port, "GET", path)

    def end(self) -> None:
        self.child.end()


def ready(child: Child, port: int) -> float:
    """Waits until `/readyz` says 200; the monotonic time of that."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            if request(port, "GET", "/readyz")[0] == 200:
                return time.monotonic()
        except OSError:
            pass
        if not child.alive:
            raise child.failed("has ended")
        time.sleep(POLL)
    raise ChildFailed(f"{child.name} was not ready within {PATIENCE:.0f} s: {request(port, 'GET', '/readyz')}")


def request(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    try:
        connection.request(method, path, body, {"Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
