"""A part of the bot that dies comes back, and everybody who looks is told."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from aiohttp import ClientSession

from bot.watchdog import Stall
from tests.scenario.conftest import ANN, KF, PATIENCE, Stage
from tests.scenario.test_live import a_page

LASTING = {"watch", "live events", "webhooks", "checks", "names", "settle", "accounts", "rules", "audit"}


class Rest:
    """Instead of the supervisor's pauses: each lasts until `over`, in which its clock stands still."""

    def __init__(self, stage: Stage) -> None:
        self.begun, self._over = asyncio.Event(), asyncio.Event()
        stage.bot.supervisor._sleep, stage.bot.supervisor._clock = self._sleep, lambda: 0.0

    async def _sleep(self, seconds: float) -> None:
        self.begun.set()
        await self._over.wait()

    def over(self) -> None:
        self._over.set()


async def get(stage: Stage, path: str) -> tuple[int, str]:
    async with ClientSession() as http, http.get(f"http://127.0.0.1:{stage.bot.port}{path}") as response:
        return response.status, await response.text()


async def kill_live_events(stage: Stage) -> Rest:
    """By a mistake in its loop, which is mended at once."""
    rest, live = Rest(stage), stage.bot.live
    sleep = live._sleep

    async def mistaken(seconds: float) -> None:
        live._sleep = sleep
        raise ZeroDivisionError("the bug")

    live._sleep = mistaken
    live.wake()
    async with asyncio.timeout(PATIENCE):
        await rest.begun.wait()
    return rest


async def test_a_dead_part_is_told_of_wherever_one_looks(running: Stage, caplog: pytest.LogCaptureFixture) -> None:
    await kill_live_events(running)
    found = re.search(r"task died \| task=live events incident=([0-9a-f]{8}) the bug", caplog.text)
    assert found is not None
    status, body = await get(running, "/readyz")
    assert status == 503
    assert f'"live events died of ZeroDivisionError (incident {found[1]}), back in 1 s"' in body
    assert f"后台任务 live events 意外中断（事件编号 {found[1]}），1 秒后重启" in await running.ask("/status")


async def test_it_comes_back_and_does_what_it_has_missed(running: Stage) -> None:
    async with a_page(running, "agent") as page:
        rest = await kill_live_events(running)
        running.sandbox.customer_writes(KF, ANN, "在吗")
        running.sandbox.servicer_takes(KF, ANN, "ZhangSuQuan")
        await running.open_handoff()
        rest.over()
        await page.hear_until("HANDOFF_ACCEPTED")
    assert (await get(running, "/readyz"))[0] == 200
    assert 'kfbot_task_restarts_total{task="live events"} 1.0' in (await get(running, "/metrics"))[1]


async def test_all_that_lasts_is_looked_after(running: Stage) -> None:
    assert set(running.bot._duties()) >= LASTING


async def test_a_loop_that_stood_still_is_told_of_for_a_while(running: Stage) -> None:
    dog: Any = running.bot.watchdog
    now = dog._clock()
    dog._clock = lambda: now
    dog.last = Stall(now - 20, 7.25)
    status, body = await get(running, "/readyz")
    assert status == 200
    assert re.search(r'"lately": \{"loop": "stood still for 7\.2 s, 20 s ago"\}', body)
    assert re.search(r"机器人曾停顿 7 秒（.*前），原因见日志", await running.ask("/status"))
    dog.last = Stall(now - 3600, 7.25)
    assert "lately" not in (await get(running, "/readyz"))[1]


async def test_only_the_real_process_is_watched(running: Stage) -> None:
    """Neither a test nor the demo may be ended by it."""
    assert running.bot.watchdog._thread_of_loop == 0
