"""One sequence of steps, played on a whole bot and a whole WeCom in this process, in a time that leaps."""

from __future__ import annotations

import asyncio
import tempfile
import types
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import aiohttp
from apscheduler.triggers.interval import IntervalTrigger

from bot.app import App
from bot.core import Core
from bot.model import SessionKey, StateReading, SyncPage
from bot.sandbox import Sandbox, SandboxConfig
from bot.scheduler import Job
from tests.receiver import Receiver, receiving
from tests.scenario.conftest import ANN, BOB, CHAT, KF, KF2, Stage, WecomTime, settings_of
from tests.scenario.test_webhooks import with_webhook
from tests.soak.record import Record
from tests.soak.runs.ears import Ears
from tests.soak.runs.leaps import LeapingLoop
from tests.soak.runs.stretches import Stretches

EPOCH = 1_790_000_000.0  # WeCom's time when the loop's is 0
SERVICERS = {"ZhangSuQuan": "张素泉", "LiNa": "李娜"}
MEMBERS = {**SERVICERS, "ChenJing": "陈静"}
KEYS = (SessionKey(KF, ANN), SessionKey(KF, BOB), SessionKey(KF2, ANN), SessionKey(KF2, BOB))
PATIENCE = 600.0  # seconds of the loop's time in which whatever has begun must have come to an end
APART = 1.01  # seconds between what people do in one session: times are told in whole ones, and order by no more
MOMENT = 0.01  # until nothing is under way any more that does not wait for time


class Rounds:
    """Stands for APScheduler's timer, which goes by the machine's clock."""

    def __init__(self, **options: Any) -> None:
        self._jobs: list[tuple[Any, Job]] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        return self._task is not None

    def add_job(self, begin: Any, trigger: IntervalTrigger, args: Sequence[Job], **options: Any) -> None:
        self._jobs.append((begin, args[0]))

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    def shutdown(self, wait: bool) -> None:
        assert self._task is not None
        self._task.cancel()

    async def _run(self) -> None:
        """What falls due while time leaps, falls due once."""
        loop = asyncio.get_running_loop()
        due = {job.name: loop.time() + job.period for _, job in self._jobs}
        while True:
            await asyncio.sleep(min(due.values()) - loop.time())
            for begin, job in self._jobs:
                if due[job.name] <= loop.time():
                    due[job.name] = loop.time() + job.period
                    begin(job)


class PlayStage(Stage):
    """Time needs no help here: limits of calls and pauses are kept as they are. `stretches` is told when the bot
    looks."""

    stretches: Stretches

    async def start(self) -> App:
        self.app = App(Core(self.settings, WecomTime(self.sandbox)))
        self.apps.append(self.app)
        self._listen(self.app.core)
        await self.app.start()
        self.sandbox.callback_url = f"http://127.0.0.1:{self.app.port}/callback/kf"
        return self.app

    def _listen(self, core: Core) -> None:
        state, sync = core.kf.state, core.kf.sync

        async def looked(key: SessionKey) -> StateReading:
            reading = await state(key)
            self.stretches.looked(key)
            return reading

        async def heard(open_kfid: str, cursor: str, token: str = "", limit: int = 1000) -> SyncPage:
            page = await sync(open_kfid, cursor, token, limit)
            self.stretches.heard(page)
            return page

        vars(core.kf).update(state=looked, sync=heard)


class Play:
    """What a step is given to do something with."""

    def __init__(self, stage: PlayStage, receiver: Receiver, http: aiohttp.ClientSession, record: Record) -> None:
        self.stage, self.sandbox, self.receiver = stage, stage.sandbox, receiver
        self.http, self.record = http, record
        self.stretches = stage.stretches
        self._tasks: set[asyncio.Task[Any]] = set()
        self._turns: dict[SessionKey, float] = {}
        self.broken: list[str] = []

    @property
    def up(self) -> bool:
        return self.stage.app is not None

    def begin(self, work: Coroutine[Any, Any, Any]) -> None:
        """What a person does who waits for an answer, while the others go on."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.broken.append(f"a step failed: {error!r}")

    async def turn(self, key: SessionKey) -> None:
        """Before somebody does something in this session, or about it."""
        now = asyncio.get_running_loop().time()
        at = max(now, self._turns.get(key, 0.0) + APART)
        self._turns[key] = at
        if at > now:
            await self.wait(at - now)

    async def wait(self, seconds: float) -> None:
        """As long as it takes, with all that happens meanwhile."""
        await asyncio.sleep(seconds)

    async def leap(self, seconds: float) -> None:
        """A long time, in which everything that falls due happens once."""
        await self.wait(MOMENT)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, LeapingLoop)
        loop.leap(seconds)
        await self.wait(MOMENT)

    async def calm(self) -> None:
        """No trouble any more, the bot and its connection are there, and whoever waits for an answer has it."""
        self.sandbox.clear_faults()
        self.receiver.answers.clear()
        if not self.up:
            await self.stage.start()
        async with asyncio.timeout(PATIENCE):
            if self._tasks:
                await asyncio.wait(self._tasks)
            await self.sandbox.callbacks.settled()
            await self.wait(APART)  # until a kick has been heard of
            while not self.sandbox.line.connected:
                self.resume()
                await self.wait(APART)

    def resume(self) -> None:
        """As an operator does who was told that the bot has been kicked."""
        if self.stage.app is not None and (channel := self.stage.app.channel) is not None:
            channel.resume()


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Play]:
    loop = asyncio.get_running_loop()
    sandbox = Sandbox(SandboxConfig(), now=lambda: EPOCH + loop.time())
    async with sandbox.serve(), receiving() as receiver, aiohttp.ClientSession() as http:
        for account, name in ((KF, "售前咨询"), (KF2, "售后服务")):
            sandbox.account_new(account, name, SERVICERS)
        for customer, name in ((ANN, "小林"), (BOB, "Bob")):
            sandbox.customer_new(name, customer)
        sandbox.group_new("客服值班群", MEMBERS, CHAT)
        sandbox.groups.groups[CHAT].opened = True  # somebody has spoken to the bot there, so that it may push
        settings = with_webhook(settings_of(sandbox, folder, report={"at": ""}), receiver)
        stage = PlayStage(sandbox, settings)
        stage.stretches = Stretches(sandbox)
        play = Play(stage, receiver, http, Record(folder / "kfbot.db"))
        with play.stretches.seen():
            try:
                await stage.start()
                await sandbox.wait_connected(PATIENCE)
                await stage.until(stage._warm)
                await play.wait(2.0)  # what is sent in the second of the start may count as history
                yield play
            finally:
                await stage.stop()


def played(work: Any) -> Any:
    """Run `work(play, ears)` in a world of its own."""

    async def run(folder: Path, ears: Ears) -> Any:
        async with opened(folder) as play:
            return await work(play, ears)

    with Ears.open() as ears, tempfile.TemporaryDirectory(dir=_memory()) as folder, _leaping() as runner:
        return runner.run(run(Path(folder), ears))


@contextmanager
def _leaping() -> Iterator[asyncio.Runner]:
    """One bot lives here after the other: what it keeps for ever is not kept."""
    loop, forgetting = LeapingLoop(), types.SimpleNamespace(collect=lambda: 0, freeze=lambda: None)
    with (
        patch("bot.scheduler.AsyncIOScheduler", Rounds),
        patch("bot.app.gc", forgetting),
        loop.lived_in(),
        asyncio.Runner(loop_factory=lambda: loop) as runner,
    ):
        yield runner


def _memory() -> str | None:
    """A disk that need not be waited for, where there is one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
