"""One load: a bot as it is shipped and its WeCom, each in a process of its own, and this one looking on."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import aiohttp

from bench import bots
from bench.children import HOST, ROOT, Child, ChildFailed, Children, free_port, resident_mb
from tests.soak.load.leaving import Leaving
from tests.soak.load.seen import Seen, Watch
from tests.soak.load.shape import CHAT, MEMBER, Customer, Shape
from tests.soak.record import CODES, Record

HISTORY = 2.1  # seconds: send_time has no fractions, and what is sent in the second of the start counts as history
PATIENCE = 300.0  # seconds until what is late is given up
LOOK = 0.02
TO_DO = frozenset({"intentions", CODES, "commands", "ends asked for", "history"})
_UNSERVED = "SELECT count(*) FROM handoffs WHERE status='PENDING'"
_ENDED = """SELECT count(DISTINCT external_userid) FROM handoffs WHERE completed_at IS NOT NULL
    AND external_userid IN (SELECT value FROM json_each(?))"""

Tell = Callable[[int, int, str], None]


async def run(folder: Path, shape: Shape, tell: Tell) -> tuple[Seen, Record]:
    with Children(folder) as children:
        load = Load(folder, shape, tell, children)
        await load.run()
        return load.seen, load.record


class Load:
    def __init__(self, folder: Path, shape: Shape, tell: Tell, children: Children) -> None:
        self._folder, self._shape, self._tell, self._port = folder, shape, tell, free_port()
        self.seen, self.record = Seen(), Record(folder / "kfbot.db")
        self._leavers: list[Customer] = [each for each in shape.everybody() if each.leaves]
        self._wecom = children.call("tests.soak.load.wecom:serve", shape=asdict(shape))
        self._corp: dict[str, Any] = self._wecom.hear()["settings"]
        self._bot = self._start(children)

    def _start(self, children: Children) -> Child:
        path = self._folder / "settings.yaml"
        path.write_text(json.dumps(self._settings()), "utf-8")
        bot, _ = children.program(str(ROOT / "bot.py"), "run", "--settings", str(path))
        bots.ready(bot, self._port)
        return bot

    def _settings(self) -> dict[str, Any]:
        return self._corp | {
            "group": self._corp["group"] | {"chat_ids": [CHAT], "webhook": {"url": ""}},
            "server": {"host": HOST, "port": self._port},
            "storage": {"url": f"sqlite:///{self._folder / 'kfbot.db'}"},
            "log": {"dir": str(self._folder / "logs")},
            "report": {"at": ""},
            "watch": {"tick": self._shape.tick},
            "end": {"accounts": {self._shape.account(0): {"policy": "on_message"}}},
        }

    async def run(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as http:
            await self._arrive()
            averages = [os.getloadavg()[0]]
            async with Watch(self.seen, http, self._port, self._bot, wecom=self._wecom):
                await self._load(http)
            self.seen.load_average = (*averages, os.getloadavg()[0])
        self.seen.memory["after"] = resident_mb(self._bot.pid)
        self.seen.log = self._bot.log.read_text("utf-8", "replace")
        file = self._folder / "truth.json"
        await self._order("truth", path=str(file))
        self.seen.truth = json.loads(file.read_text("utf-8"))

    async def _arrive(self) -> None:
        """All who are served are on record, as such."""
        self._tell(0, 1, "customers arrive")
        await self._until(lambda: not self._to_do(), "the history is read")
        await asyncio.sleep(HISTORY)
        told = await self._order("arrive")
        await self._until(lambda: len(self.record.items()) >= told["items"], "the first items on record")
        await self._until(lambda: not self._to_do() and not self.record.one(_UNSERVED), "nothing left to do")
        self.seen.memory["before"] = resident_mb(self._bot.pid)

    async def _load(self, http: aiohttp.ClientSession) -> None:
        leaving = Leaving(http, self._port, self.record, self._corp["wecom"]["corp_id"], MEMBER)
        asking, showing = asyncio.create_task(leaving.all(self._leavers)), asyncio.create_task(self._show())
        told = self.seen.told = await self._order("load")
        showing.cancel()
        await self._until(lambda: self._items() >= told["items"], "every item on record")
        self.seen.on_record_after = max(0.0, time.time() - told["last_at"])
        names = json.dumps([each.external_userid for each in self._leavers])
        left = len(self._leavers)
        await self._until(lambda: self.record.one(_ENDED, names) == left, "all have left who wanted to")
        await self._until(lambda: not self._to_do(), "nothing left to do")
        self.seen.ended_after = max(0.0, time.time() - told["last_at"])
        await asking
        self.seen.asked = leaving.answers

    async def _show(self) -> None:
        seconds = round(self._shape.seconds)
        for second in range(seconds):
            self._tell(second, seconds, f"{self._shape.rate} callbacks a second")
            await asyncio.sleep(1.0)

    def _items(self) -> int:
        return int(self.record.one("SELECT count(*) FROM items"))

    def _to_do(self) -> frozenset[str]:
        return TO_DO & self.record.undone().keys()

    async def _order(self, do: str, **more: Any) -> dict[str, Any]:
        patience = 3 * self._shape.seconds + PATIENCE
        return await asyncio.to_thread(self._wecom.ask, patience, do=do, port=self._port, **{"with": more})

    async def _until(self, true: Callable[[], object], what: str) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            with suppress(sqlite3.OperationalError):
                if true():
                    return
            if time.monotonic() > until or not self._bot.alive:
                raise ChildFailed(f"never came: {what}; left to do: {self._to_do()}\n{self._said()}")
            await asyncio.sleep(LOOK)

    def _said(self, characters: int = 3000) -> str:
        return self._bot.log.read_text("utf-8", "replace")[-characters:]
