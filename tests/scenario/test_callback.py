"""The callback as WeCom uses it, against the whole bot: verified, answered at once, folded, and refused when false."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiohttp import ClientSession

from bot.model import SyncPage
from tests.scenario.conftest import ANN, KF, Stage


async def _get(stage: Stage, path: str) -> tuple[int, dict[str, object]]:
    url = f"http://127.0.0.1:{stage.bot.port}{path}"
    async with ClientSession() as session, session.get(url) as response:
        return response.status, await response.json()


async def _ready(stage: Stage) -> bool:
    return (await _get(stage, "/readyz"))[0] == 200


async def test_the_console_can_save_the_url(running: Stage) -> None:
    assert (await running.sandbox.callback_verify())["verified"] is True


async def test_news_is_answered_at_once_although_sync_hangs(running: Stage) -> None:
    running.sandbox.customer_writes(KF, ANN, "第一句")
    await running.sandbox.settled()
    running.sandbox.fault("kf/sync_msg", "delay", seconds=4.5, times=None)  # the bot hangs up after 5
    began = time.perf_counter()
    for _ in range(10):
        await running.sandbox.callback_duplicate()
    assert time.perf_counter() - began < 4.5
    running.sandbox.clear_faults()


async def test_triggers_for_one_account_fold(running: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    box, kf = running.sandbox, running.bot.core.kf
    await running.until(lambda: _ready(running))
    await running.with_human()
    before, go_on, sync = box.ledger.calls.copy(), asyncio.Event(), kf.sync

    async def slow(open_kfid: str, cursor: str = "", token: str = "") -> SyncPage:
        await go_on.wait()
        return await sync(open_kfid, cursor, token)

    monkeypatch.setattr(kf, "sync", slow)
    for _ in range(20):
        await box.callback_duplicate()
    box.servicer_ends(KF, ANN)
    await box.settled()
    go_on.set()
    await running.no_handoff()
    calls = box.ledger.calls - before
    assert sum(count for path, count in calls.items() if "sync_msg" in path) <= 4


async def test_events_of_others_are_accepted_and_forgotten(running: Stage, caplog: pytest.LogCaptureFixture) -> None:
    await running.sandbox.callback_foreign()
    await running.sandbox.settled()
    assert "rejected" not in caplog.text and "Traceback" not in caplog.text


async def test_an_account_that_is_granted_while_running_is_served(running: Stage) -> None:
    new = "wkNEW000000000000000000000000001"
    running.sandbox.account_new(new, "新账号", {"LiNa": "李娜"})
    await running.sandbox.callback_auth_change(added=[new])

    async def known() -> bool:
        return new in running.bot.accounts

    await running.until(known)
    running.sandbox.customer_writes(new, ANN, "你好")
    running.sandbox.servicer_takes(new, ANN, "LiNa")
    assert (await running.open_handoff(ANN, new)).servicer_userid == "LiNa"


async def test_readiness_names_what_is_missing_and_comes_by_itself(stage: Stage) -> None:
    stage.sandbox.fault("gettoken", "http", errcode=502, times=None)
    await stage.start()
    status, said = await _get(stage, "/readyz")
    checks = said["checks"]
    assert status == 503 and isinstance(checks, dict)
    assert checks["token"] and not checks["storage"]
    assert stage.settings.wecom.secret.get_secret_value() not in str(said)
    assert (await _get(stage, "/healthz")) == (200, {"status": "up"})
    stage.sandbox.clear_faults()
    await stage.until(lambda: _ready(stage))


async def test_junk_changes_nothing_and_logs_no_secret(running: Stage, caplog: pytest.LogCaptureFixture) -> None:
    url = f"http://127.0.0.1:{running.bot.port}/callback/kf?msg_signature=hidden&timestamp=1&nonce=hidden"
    async with ClientSession() as session:
        for body in (b"", b"junk", b"<xml>", b"\x00" * 1000, b"x" * 70_000):
            async with session.post(url, data=body) as response:
                assert 400 <= response.status < 500
        packed = {"Content-Encoding": "gzip"}
        async with session.post(url, data=b"not gzip at all", headers=packed, compress=None) as response:
            assert 400 <= response.status < 500
    assert "hidden" not in caplog.text and "Traceback" not in caplog.text
    assert caplog.text.count("callback rejected") == 6
    assert await running.bot.core.ledger.history() == []


async def test_the_bot_stops_while_events_come(running: Stage) -> None:
    running.sandbox.fault("kf/sync_msg", "delay", seconds=5.0, times=None)
    pushing = asyncio.gather(*(running.sandbox.callback_duplicate() for _ in range(5)))
    async with asyncio.timeout(20):
        await running.stop()
    await pushing
