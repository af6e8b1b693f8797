"""The real bot within a process of the benchmarks, jobs run by hand: its WeCom and its group answer on the spot.

Everything is as `bot.app` puts it together, but for what it is given here: the clock, `Http` (so that requests are
built and answers read as ever, only not sent), the group channel, and the budgets, which count real minutes.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bench.bots import CHATS
from bench.children import HOST
from bench.wecom import CORP, SECRET, Kf
from bot.app import App
from bot.core import Core
from bot.handing import UNFOLLOWED, Handing
from bot.model import Card
from bot.settings import Settings

PREFIX = "/cgi-bin/"
UNLIMITED = (1_000_000, 60.0)


class MovedClock:
    """The system's, put ahead by hand."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return time.time() + self.ahead


class HandClock:
    """Stands still until moved."""

    def __init__(self, now: float) -> None:
        self.time = now

    def now(self) -> float:
        return self.time


class Told:
    """A group channel that keeps what it is given: messages and cards."""

    name, ready, problem, last_pong_at = "told", True, "", None

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.cards: list[Card] = []

    async def start(self, *_: Any) -> None: ...

    async def stop(self) -> None: ...

    async def send(self, chat_id: str, is_group: bool, markdown: str, handing: Handing = UNFOLLOWED) -> None:
        await handing.out()
        self.texts.append(markdown)

    async def send_card(self, chat_id: str, is_group: bool, card: Card, handing: Handing = UNFOLLOWED) -> None:
        await handing.out()
        self.cards.append(card)


class Wire:
    """`bot.http.Http` that reaches a `Kf` without a network. Each exchange lets others have a turn, as a real one."""

    def __init__(self, kf: Kf, clock: Any) -> None:
        self._kf, self._clock = kf, clock

    async def json(self, method: str, url: str, *, body: Any = None, endpoint: str = "", **_: Any) -> Mapping[str, Any]:
        await asyncio.sleep(0)
        sent = json.loads(json.dumps(body or {}, ensure_ascii=False))
        answer: Mapping[str, Any] = json.loads(self._kf.answer(endpoint.removeprefix(PREFIX), sent))
        return answer

    async def server_time(self, url: str) -> float:
        now: float = self._clock.now()
        return now

    async def close(self) -> None: ...


def build(path: Path, clock: Any, told: Told, *, kf: Kf | None = None, api_base: str = "") -> App:
    """With the settings of settings.yaml, and either kind of WeCom. Not opened, nor started."""
    given: dict[str, Any] = {
        "_env_file": None,
        "wecom": {"corp_id": CORP, "secret": SECRET, **({"api_base": api_base} if api_base else {})},
        "group": {"chat_ids": [CHATS[0]]},
        "server": {"host": HOST, "port": 0},
        "storage": {"url": f"sqlite:///{path}"},
        "log": {"dir": path.parent / "logs"},
        "report": {"at": ""},
    }
    with ExitStack() as patches:
        if kf is not None:
            patches.enter_context(patch("bot.core.Http", lambda: Wire(kf, clock)))
        for name, stand_in in (("_channel", lambda *_: told), ("TOKEN_LESS", UNLIMITED), ("STATE_READS", UNLIMITED)):
            patches.enter_context(patch(f"bot.app.{name}", stand_in))
        app = App(Core(Settings(**given), clock))
    app.sync.collect = 0.0  # that second would be a real one; whoever moves the clock tells hints second by second
    return app
