"""The WeCom of a load, in a process of its own: its customers and servicers write, and its calls fail now and then."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

from bench.child import say
from bot.sandbox import Sandbox, SandboxConfig
from tests.soak.load.pushes import Pushes
from tests.soak.load.shape import CHAT, MEMBER, SERVICERS, Customer, Shape

SERVED_BY = tuple(SERVICERS)
ANSWERS = 0.25  # share of messages that are a servicer's
TAKES = 0.01  # share of news that are a servicer taking a session
ASKS_AGAIN = 10.0  # seconds after which a member asks again for an end that has not come
ENDED = 4


def serve(shape: dict[str, Any]) -> None:
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # half a request is nothing special here
    asyncio.run(_serve(Shape(**shape)))


async def _serve(shape: Shape) -> None:
    sandbox = Sandbox(SandboxConfig())
    async with sandbox.serve():
        for number in range(shape.accounts):
            routing = "assistant" if number else "human"  # which WeCom does without telling anybody
            sandbox.account_new(shape.account(number), f"账号{number}", SERVICERS, routing)
        sandbox.group_new("客服值班群", {**SERVICERS, MEMBER: "陈静"}, CHAT)
        sandbox.groups.groups[CHAT].opened = True  # somebody has spoken to the bot there, so that it may push
        say(settings=sandbox.settings)
        crowd: Crowd | None = None
        while line := await asyncio.to_thread(sys.stdin.readline):
            order = json.loads(line)
            crowd = crowd or Crowd(sandbox, shape, Pushes(sandbox, order["port"]))
            say(**await getattr(crowd, order["do"])(**order.get("with", {})))


class Crowd:
    """Everybody. Its public methods are what it can be told to do; each answers with what has become of it."""

    def __init__(self, sandbox: Sandbox, shape: Shape, pushes: Pushes) -> None:
        self._sandbox, self._shape, self._pushes = sandbox, shape, pushes
        self._chance = Random(shape.seed)
        everybody = shape.everybody()
        self._served = [each for each in everybody if each.served and not each.leaves]
        self._others = [each for each in everybody if not each.served and not each.leaves]
        self._leavers = [each for each in everybody if each.leaves]
        self._waiting: list[Customer] = []
        self._asking: set[asyncio.Task[None]] = set()

    async def arrive(self) -> dict[str, Any]:
        """All are known, and those who are served get their servicer."""
        for each in (*self._others, *self._served, *self._leavers):
            self._sandbox.customer_new(f"顾客{each.external_userid[-4:]}", each.external_userid)
        for number, each in enumerate(each for each in (*self._served, *self._leavers) if each.served):
            self._sandbox.customer_writes(each.open_kfid, each.external_userid, "在吗")
            self._sandbox.servicer_takes(each.open_kfid, each.external_userid, SERVED_BY[number % len(SERVED_BY)])
            await asyncio.sleep(1 / self._shape.rate)
        await self._pushes.settled()
        return {"items": self._items()}

    async def load(self) -> dict[str, Any]:
        """So much news a second for so long, each with its callback, while calls fail."""
        self._pushes.forget()
        before, calls = self._items(), self._sandbox.ledger.calls.total()
        self._shape.make_trouble(self._sandbox)
        began = await self._write()
        last = time.time()
        await self._pushes.settled()
        return {
            "items": self._items(), "callbacks": self._items() - before, "took": last - began, "last_at": last,
            "answers": dict(self._pushes.answers), "lost": self._pushes.lost, "seconds": sorted(self._pushes.seconds),
            "calls_before": calls,
        }  # fmt: skip

    async def truth(self, path: str) -> dict[str, Any]:
        """What is so, for whoever wants to compare it; into a file, for it is long."""
        world = self._sandbox.world
        streams = {name: account.stream.page("", sys.maxsize, time.time()) for name, account in world.accounts.items()}
        told = {
            "items": {name: [str(item["msgid"]) for item in page.items] for name, page in streams.items()},
            "states": {session.external_userid: session.state for session in world.sessions.values()},
            "ledger": self._sandbox.ledger.of("trans", "send_msg", "send_msg_on_event"),
            "calls": self._sandbox.ledger.calls,
            "faults": self._sandbox.faults.counts,
        }
        await asyncio.to_thread(Path(path).write_text, json.dumps(told), "utf-8")
        return {}

    def _items(self) -> int:
        return sum(len(account.stream) for account in self._sandbox.world.accounts.values())

    async def _write(self) -> float:
        """Returns when it began."""
        leaving = iter(sorted(self._leavers, key=lambda each: each.at))
        following = next(leaving, None)
        wall, began = time.time(), time.monotonic()
        for number in itertools.count():
            due = number / self._shape.rate
            if due >= self._shape.seconds:
                return wall
            if (ahead := began + due - time.monotonic()) > 0:
                await asyncio.sleep(ahead)
            if following is not None and due >= following.at:
                leaver, following = following, next(leaving, None)
                if self._leaves(leaver):
                    continue
            self._anything()
        raise AssertionError("unreachable")

    def _leaves(self, each: Customer) -> bool:
        """Whether that was news. Who leaves by the page or the console does so elsewhere."""
        if each.leaves == "chat":
            self._sandbox.customer_writes(each.open_kfid, each.external_userid, "结束对话")
        elif each.leaves == "policy":
            self._sandbox.customer_writes(each.open_kfid, each.external_userid, "在吗")
        elif each.leaves == "client":
            self._sandbox.servicer_ends(each.open_kfid, each.external_userid)
        elif each.leaves == "group":
            task = asyncio.get_running_loop().create_task(self._ask_for_the_end(each))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        return each.leaves in ("chat", "policy", "client")

    async def _ask_for_the_end(self, each: Customer) -> None:
        while self._sandbox.session(each.open_kfid, each.external_userid).state != ENDED:
            self._sandbox.group_message(CHAT, MEMBER, f"@kfbot /end {each.external_userid}")
            await asyncio.sleep(ASKS_AGAIN)

    def _anything(self) -> None:
        """One piece of news by anybody who stays."""
        chance = self._chance.random()
        if chance < TAKES and self._waiting:
            each = self._waiting.pop()
            self._sandbox.servicer_takes(each.open_kfid, each.external_userid, self._chance.choice(SERVED_BY))
            self._served.append(each)
        elif chance < ANSWERS:
            each = self._chance.choice(self._served)
            session = self._sandbox.session(each.open_kfid, each.external_userid)
            servicer = session.servicer or session.last_servicer
            self._sandbox.servicer_writes(each.open_kfid, each.external_userid, servicer, "好的，我帮您查一下")
        else:
            self._somebody_writes()

    def _somebody_writes(self) -> None:
        each = self._chance.choice(self._served if self._chance.random() < 0.5 else self._others)
        new = self._sandbox.session(each.open_kfid, each.external_userid).state == ENDED
        self._sandbox.customer_writes(each.open_kfid, each.external_userid, "请问什么时候发货？")
        if new:
            self._waiting.append(each)
