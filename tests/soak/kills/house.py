"""One WeCom, one database, and one life of the bot after the other: whenever one has died, the next begins.

People go on as people do: what they have asked for, and what has not happened although the bot is back and has nothing
left to do, they ask for once more.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from bot.sandbox import Sandbox, SandboxConfig
from tests.receiver import Receiver, receiving
from tests.soak.kills.moved import MovedClock
from tests.soak.kills.nursery import Life, Nursery
from tests.soak.record import CODES, WAITING, Record

KF = "wkSOAK00000000000000000000000001"
CHAT = "wrSOAKGROUP"
SERVICERS = {"ZhangSuQuan": "张素泉", "LiNa": "李娜"}
PATIENCE = 60.0  # seconds; nothing takes as long, except on a machine with too much to do
LOOK_EVERY = 0.01
SOON = 90.0  # seconds: what is put off by less belongs to what is under way, and time is moved to it

IN_FLIGHT = 0.5  # real seconds: what WeCom was asked by one who is dead, it has done by then
LEFT_BEHIND = 60.0  # seconds after which nobody can still be sending what one beside the bot was sending
ERRANDS = 100  # their numbers begin there


@dataclass(frozen=True, slots=True)
class Scenery:
    """What a scene needs otherwise than usual. `change` changes the settings; `wecom` are fields of the sandbox's
    configuration; `before` is done before the first life; `hurried`: periods of `bot.app` that time is not waited for.
    """

    change: Callable[[dict[str, Any]], None] = lambda settings: None
    wecom: Mapping[str, Any] = field(default_factory=dict)
    before: Callable[[Sandbox], None] = lambda sandbox: None
    hurried: Sequence[str] = ()


AS_USUAL = Scenery()


class Stuck(AssertionError):
    """What should have happened has not."""


class House:
    """`faults`: where the lives to come die, one after the other; those after them do not. `beside`: where the first
    process dies that is run beside the bot and comes there. `cut_off`: the group is out of reach, and so the bot never
    quite ready."""

    def __init__(
        self, folder: Path, nursery: Nursery, sandbox: Sandbox, clock: MovedClock, receiver: Receiver,
        faults: Sequence[str], beside: str, scenery: Scenery,
    ) -> None:  # fmt: skip
        self._folder, self._nursery = folder, nursery
        self.sandbox, self.clock, self.receiver = sandbox, clock, receiver
        self._faults, self._beside, self._scenery = list(faults), beside, scenery
        self.record = Record(folder / "kfbot.db")
        self.lives: list[Life] = []
        self.errands: list[Life] = []
        self.cut_off = False
        self._left: dict[int, float] = {}
        self._born_at = 0.0
        self._http: aiohttp.ClientSession | None = None
        self.settings = self._settings()
        scenery.change(self.settings)
        (folder / "settings.yaml").write_text(json.dumps(self.settings), "utf-8")

    # -- lives

    @property
    def life(self) -> Life:
        return self.lives[-1]

    def died_between(self, begun: str, done: str) -> bool:
        """Some life was killed after the one point and before the other."""
        return any(life.begun(begun) > life.passed[done] for life in self.killed)

    @property
    def killed(self) -> list[Life]:
        """Those that have died where they were to."""
        return [life for life in (*self.lives, *self.errands) if life.ended == -signal.SIGKILL]

    async def begin(self) -> None:
        """A life that is ready. The one before must have ended."""
        while True:
            self._bear()
            if await self._ready():
                return

    def _bear(self) -> None:
        life = Life(self._folder, len(self.lives))
        with suppress(sqlite3.OperationalError):
            self._left = self.record.leases()
        self._born_at = time.monotonic()
        fault = self._faults[life.number] if life.number < len(self._faults) else ""
        self._start(life, fault, ("run",))
        self.lives.append(life)

    def _start(self, life: Life, fault: str, words: Sequence[str]) -> None:
        settings, clock = self._folder / "settings.yaml", self._folder / "clock"
        self._nursery.start(life, settings, clock, words, fault=fault, hurried=self._scenery.hurried)

    async def _ready(self) -> bool:
        """False: it has died before."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if self._dead():
                return False
            if port := self.life.port:
                self.sandbox.callback_url = f"http://127.0.0.1:{port}/callback/kf"
                if await self.status("/healthz" if self.cut_off else "/readyz") == 200:
                    return True
            await asyncio.sleep(LOOK_EVERY)
        raise Stuck(f"the bot was not ready\n{self.life.said()}")

    def _dead(self) -> bool:
        """Raises for an end that nobody wanted."""
        ended = self.life.ended
        if ended is not None and (ended != -signal.SIGKILL or self.life.number >= len(self._faults)):
            raise Stuck(f"the bot has ended by itself ({ended})\n{self.life.said()}")
        return ended is not None

    def _died(self, life: Life) -> bool:
        """Also when the next one has begun meanwhile."""
        return life is not self.life or self._dead()

    async def close(self) -> None:
        """Until nobody lives here."""
        while self.lives and self.life.ended is None:
            self.life.kill()
            await asyncio.sleep(LOOK_EVERY)

    # -- beside them

    async def errand(self, *words: str, idle: int = 0) -> None:
        """Somebody runs `bot.py` with these words, and again if it was killed. `{number}` in a word is another one each
        time; `idle`: how it ends where the one that was killed had left nothing to do."""
        while True:
            fault = "" if any(each.ended == -signal.SIGKILL for each in self.errands) else self._beside
            errand = Life(self._folder, ERRANDS + len(self.errands))
            self._start(errand, fault, [word.format(number=errand.number) for word in words])
            self.errands.append(errand)
            await self._until_ended(errand, words[0])
            if errand.ended in (0, idle if len(self.killed) else 0):
                return
            if errand.ended != -signal.SIGKILL or not fault:
                raise Stuck(f"bot.py {words[0]} has ended with {errand.ended}\n{errand.said()}")
            await self._take_over(errand)

    async def _until_ended(self, errand: Life, verb: str) -> None:
        await self.until(lambda: errand.ended is not None, f"bot.py {verb}")

    async def _take_over(self, dead: Life) -> None:
        """What it has left behind the bot takes up, each in its time."""
        self._left = self.record.leases()
        await self.until(lambda: not {"intentions", WAITING} & self.record.undone().keys(), "what was left")
        if dead.passed["code.taken"] > dead.passed["code.settled"]:
            self.move(LEFT_BEHIND)

    # -- waiting

    async def until(self, true: Callable[[], object], what: str) -> None:
        """Wait for something that must come, whoever has to live for it."""
        deadline = time.monotonic() + PATIENCE
        while not self._is(true):
            if self._dead():
                await self.begin()
                deadline = time.monotonic() + PATIENCE
            if time.monotonic() > deadline:
                raise Stuck(f"{what}: it has not happened; undone: {self.record.undone()}\n{self.life.said()}")
            self._is(self._let_leases_run_out)
            await asyncio.sleep(LOOK_EVERY)

    async def asked(self, ask: Callable[[], Awaitable[None] | None], come: Callable[[], object], what: str) -> None:
        """People ask for something, and again when the bot has died over it and nothing has come of it."""
        while not await self._asked_once(ask, come, what):
            pass

    async def _asked_once(
        self, ask: Callable[[], Awaitable[None] | None], come: Callable[[], object], what: str
    ) -> bool:
        asked = self.life
        asking = ask()
        if asking is not None:
            await asking
        await self.until(lambda: self._is(come) or self._died(asked), what)
        if self._died(asked):
            await self.settled()
        return self._is(come)

    async def settled(self) -> None:
        """Until all that WeCom has to tell is on record, and nothing is left to do. What is put off for a little is
        waited for by moving time."""
        await self.until(self._is_settled, "settled")
        while await self.status("/healthz") != 200:  # the record of one who has just died looks the same
            await self.until(self._is_settled, "settled")
            await asyncio.sleep(LOOK_EVERY)

    def _is_settled(self) -> bool:
        undone = self.undone()
        if self._dead() or not set(self.told()) <= set(self.record.items()):
            return False
        ahead = [at - self.clock.now() for at in undone.values() if at > self.clock.now()]
        if ahead and CODES not in undone:  # which die in 20 s
            self.move(min(ahead) + 0.01)
        return not undone

    def told(self) -> list[str]:
        """The msgids of all that this WeCom has to tell."""
        page = self.sandbox.world.accounts[KF].stream.page("", 1000, self.clock.now())
        return [str(item["msgid"]) for item in page.items]

    def move(self, seconds: float) -> None:
        """Time passes, for the bot and for WeCom."""
        self.clock.move(seconds)
        self.sandbox.clock_advance(0.0)

    def _is(self, true: Callable[[], object]) -> bool:
        try:
            return bool(true())
        except sqlite3.OperationalError:  # there is no file yet, or it is being taken up by the next life
            return False

    def undone(self) -> dict[str, float]:
        """As in the record, without what is put off for long."""
        soon, undone = self.clock.now() + SOON, self.record.undone()
        return {what: at for what, at in undone.items() if at <= soon}

    def _let_leases_run_out(self) -> None:
        """What the dead were working on is taken up when their time for it is over."""
        if time.monotonic() < self._born_at + IN_FLIGHT:
            return
        leases = self.record.leases()
        ahead = min(leases.values(), default=0.0) - self.clock.now()
        if ahead > 0 and leases.items() <= self._left.items() and CODES not in self.record.undone():
            self.move(ahead + 0.01)

    # -- over HTTP

    async def status(self, path: str, token: str = "", body: dict[str, Any] | None = None) -> int:
        """Of an answer; 0 where there is none."""
        assert self._http is not None
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        address = f"http://127.0.0.1:{self.life.port}{path}"
        try:
            async with self._http.request("POST" if body else "GET", address, headers=headers, json=body) as answer:
                await answer.read()
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return 0

    # -- around

    def _settings(self) -> dict[str, Any]:
        values: dict[str, Any] = self.sandbox.settings
        values["group"] |= {"chat_ids": [CHAT], "webhook": {"url": ""}}
        hook = {"url": self.receiver.url, "secret": "soak-webhook-secret-0123456789"}
        return values | {
            "server": {"host": "127.0.0.1", "port": 0},
            "storage": {"url": f"sqlite:///{self._folder / 'kfbot.db'}"},
            "log": {"dir": str(self._folder / "logs")},
            "watch": {"tick": "1s"},
            "report": {"at": ""},
            "webhooks_allow_private": True,
            "webhooks": [hook],
        }

    @classmethod
    @asynccontextmanager
    async def opened(
        cls,
        folder: Path,
        nursery: Nursery,
        faults: Sequence[str] = (),
        scenery: Scenery = AS_USUAL,
        beside: str = "",
    ) -> AsyncIterator[House]:
        """With a WeCom, a webhook's receiver, and the first life begun."""
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        clock = MovedClock(folder / "clock")
        config = SandboxConfig(retry_after=1.0, token_less_per_minute=10_000, **scenery.wecom)
        sandbox = Sandbox(config, now=clock.now)
        async with sandbox.serve(), receiving() as receiver, aiohttp.ClientSession() as http:
            sandbox.account_new(KF, "售前咨询", SERVICERS)
            sandbox.group_new("客服值班群", {**SERVICERS, "ChenJing": "陈静"}, CHAT)
            sandbox.groups.groups[CHAT].opened = True  # somebody has spoken to the bot there, so that it may push
            scenery.before(sandbox)
            house = cls(folder, nursery, sandbox, clock, receiver, faults, beside, scenery)
            house._http = http
            try:
                await house.begin()
                yield house
            finally:
                await house.close()
