"""The whole bot against the whole sandbox, over real sockets and a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot.app import App
from bot.core import Core
from bot.model import Handoff, SessionKey
from bot.sandbox import Sandbox, SandboxConfig
from bot.settings import Settings

KF, KF2 = "wkTEST00000000000000000000000001", "wkTEST00000000000000000000000002"
ANN, BOB = "wm7lAnn0000000000000000000000001", "wmQ4Bob0000000000000000000000002"
CHAT = "wrTESTGROUP"
PATIENCE = 30.0  # seconds; nothing takes as long, except on a machine with too much to do


async def _at_once() -> None:
    """Time is moved here, not waited for."""


@dataclass
class WecomTime:
    """The bot's clock is WeCom's, so that a test moves both at once."""

    sandbox: Sandbox

    def now(self) -> float:
        return self.sandbox.now()


@dataclass
class Stage:
    """A bot and its WeCom, in one time, which `later` moves. `ask` is what a member types after the mention; it returns
    the bot's answer."""

    sandbox: Sandbox
    settings: Settings
    app: App | None = None
    apps: list[App] = field(default_factory=list)

    @property
    def bot(self) -> App:
        assert self.app is not None
        return self.app

    async def start(self) -> App:
        """Start the bot, or another process of it on the same database."""
        self.app = App(Core(self.settings, WecomTime(self.sandbox)))
        self.apps.append(self.app)
        self.app.sync._token_less_turn = _at_once  # WeCom's own limit goes by WeCom's clock
        self.app.sync.collect = 0.0
        await self.app.start()
        self.sandbox.callback_url = f"http://127.0.0.1:{self.app.port}/callback/kf"
        await self.sandbox.wait_connected(PATIENCE)
        return self.app

    async def stop(self) -> None:
        app, self.app = self.app, None
        if app is not None:
            await app.stop()

    async def live(self) -> App:
        """Start, and have been told all that WeCom had to tell."""
        app = await self.start()
        await self.until(self._warm)
        return app

    async def _warm(self) -> bool:
        """Every account has been read to its end for the first time."""
        read = {each.open_kfid for each in await self.bot.core.sync_store.accounts() if not each.cold}
        return bool(self.bot.accounts) and read.issuperset(self.bot.accounts)

    async def later(self, seconds: float) -> None:
        """So much time passes, and the watch looks."""
        await self.sandbox.settled()
        await self.synced()
        self.sandbox.clock_advance(seconds)
        await self.tick()

    async def tick(self) -> None:
        """The watch looks, and has said what it had to say; also if it was at it already."""
        await self.bot.alerting.watch.tick()
        await self.until(self._said)

    async def _said(self) -> bool:
        alerting = self.bot.alerting
        watching = alerting.watch._busy or alerting.watch._wanted.is_set()
        return not watching and not any(alerting.speaker._talks.values())

    async def synced(self) -> None:
        """Until all that WeCom has to tell is on record."""
        await self.until(self._found)
        self.bot.sync.wake_all(self.bot.accounts)
        await self.until(self._idle)

    async def settled(self) -> None:
        """Until all that WeCom has to tell is on record, and what follows from it is done."""
        await self.sandbox.settled()
        await self.synced()
        await self.until(self._quiet)

    async def _quiet(self) -> bool:
        app, ledger = self.bot, self.bot.core.ledger
        if app.aftermath._tasks or app.core.greetings._tasks or app.core.handoffs._sending:
            return False
        customers = {each.external_userid for each in await ledger.open_handoffs(limit=100)}
        if customers != set(await app.core.people.nicknames(customers)):
            return False
        return not (await ledger.due_checks(self.sandbox.now(), 1) or await ledger.asked_ends())

    async def _found(self) -> list[str]:
        return self.bot.accounts

    async def _idle(self) -> bool:
        return all(line.task is None or line.task.done() for line in self.bot.sync._lines.values())

    async def ask(self, text: str, userid: str = "LiNa", chat: str = CHAT, quote: str = "") -> str:
        mark = self.sandbox.mark
        self.sandbox.group_message(chat, userid, f"@kfbot {text}", quote)
        message = await self.sandbox.wait_for_group_message(lambda said: said.source == "bot", PATIENCE, mark)
        return message.text

    async def until(self, true: Callable[[], Awaitable[Any]]) -> Any:
        """Wait for the bot's record to catch up; it has no event to wait for from outside."""
        async with asyncio.timeout(PATIENCE):
            while not (found := await true()):  # noqa: ASYNC110  there is nothing to wait for but time
                await asyncio.sleep(0.01)
        return found

    async def with_human(
        self, customer: str = ANN, kf: str = KF, servicer: str = "ZhangSuQuan", text: str = "在吗"
    ) -> int:
        """The customer has written, a servicer has the session, and nothing of that is still under way. Returns the
        handoff's number."""
        self.sandbox.customer_writes(kf, customer, text)
        self.sandbox.servicer_takes(kf, customer, servicer)
        await self.settled()
        return (await self.open_handoff(customer, kf)).id

    async def open_handoff(self, customer: str = ANN, kf: str = KF) -> Handoff:
        found = await self.until(lambda: self.bot.core.ledger.open_handoff(SessionKey(kf, customer)))
        assert isinstance(found, Handoff)
        return found

    async def no_handoff(self, customer: str = ANN, kf: str = KF) -> Handoff:
        """Wait until the session has no open handoff; returns the last one."""

        async def ended() -> Handoff | None:
            found = await self.bot.core.ledger.history(SessionKey(kf, customer), 1)
            return found[0] if found and not found[0].status.is_open else None

        found = await self.until(ended)
        assert isinstance(found, Handoff)
        return found

    def moves(self) -> list[dict[str, Any]]:
        """service_state/trans calls to 4 that WeCom saw."""
        return [each for each in self.sandbox.ledger.of("trans") if each["args"].get("service_state") == 4]

    def goodbyes(self) -> list[str]:
        """Texts of the closing messages; where they ask for a rating, it is the menu's head."""
        said = self._by_code("closing-")
        return [each["msgmenu"]["head_content"] if "msgmenu" in each else each["text"]["content"] for each in said]

    def menus(self) -> list[list[str]]:
        """Ids of the items of each closing message that has a menu."""
        menus = [each["msgmenu"] for each in self._by_code("closing-") if "msgmenu" in each]
        return [[item["click"]["id"] for item in menu["list"]] for menu in menus]

    def greetings(self) -> list[str]:
        return [each["text"]["content"] for each in self._by_code("greet")]

    def _by_code(self, kind: str) -> list[dict[str, Any]]:
        """What WeCom has taken of it, by single-use codes."""
        sent = [each["args"] for each in self.sandbox.ledger.of("send_msg_on_event") if each["errcode"] == 0]
        return [each for each in sent if each["msgid"].startswith(kind)]


def settings_of(sandbox: Sandbox, folder: Path, **changes: Any) -> Settings:
    values: dict[str, Any] = sandbox.settings
    values["group"]["chat_ids"] = [CHAT]
    values["server"] = {"host": "127.0.0.1", "port": 0}
    values["storage"] = {"url": f"sqlite:///{folder / 'kfbot.db'}"}
    values["log"] = {"dir": str(folder / "logs")}
    for name, section in changes.items():
        values[name] = {**values.get(name, {}), **section}
    return Settings(**values)


@asynccontextmanager
async def a_stage(folder: Path, **changes: Any) -> AsyncIterator[Stage]:
    sandbox = Sandbox(SandboxConfig())
    async with sandbox.serve():
        servicers = {"ZhangSuQuan": "张素泉", "LiNa": "李娜"}
        sandbox.account_new(KF, "售前咨询", servicers)
        sandbox.account_new(KF2, "售后服务", servicers)
        sandbox.customer_new("小林", ANN)
        sandbox.customer_new("Bob", BOB)
        sandbox.group_new("客服值班群", {"LiNa": "李娜", "ZhangSuQuan": "张素泉", "ChenJing": "陈静"}, CHAT)
        sandbox.groups.groups[CHAT].opened = True  # somebody has spoken to the bot there, so that it may push
        stage = Stage(sandbox, settings_of(sandbox, folder, **changes))
        try:
            yield stage
        finally:
            await stage.stop()


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """The sandbox with two accounts, two customers and a paired group; the bot is not started yet."""
    async with a_stage(tmp_path) as ready:
        yield ready


@pytest.fixture
async def running(stage: Stage) -> Stage:
    await stage.live()
    return stage
