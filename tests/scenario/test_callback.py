"""The callback as WeCom uses it, against the whole bot: verified, answered at once, folded, and refused when false."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import ClientSession

from bot.model import SyncPage
from tests.scenario.conftest import ANN, KF, KF2, Stage


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


async def test_a_replayed_callback_asks_wecom_for_nothing(running: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    box = running.sandbox
    await running.with_human()
    sealed = box.callbacks._sealed(box.callbacks._last)
    monkeypatch.setattr(box.callbacks, "_sealed", lambda xml: sealed)
    await box.callback_duplicate()
    await running.until(running._idle)
    before = box.ledger.calls.copy()
    for _ in range(20):
        await box.callback_duplicate()
    await running.until(running._idle)
    calls = box.ledger.calls - before
    assert sum(count for path, count in calls.items() if "sync_msg" in path) == 0


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


async def test_a_callback_for_an_account_that_there_is_not_leaves_nothing_and_asks_wecom_once(running: Stage) -> None:
    before = running.sandbox.ledger.calls.copy()
    for number in range(50):
        running.bot._wake(f"wkNOBODY{number}", "some token")
    await running.until(_asked_for_accounts(running, before["kf/account/list"]))
    await running.settled()
    calls = running.sandbox.ledger.calls - before
    assert calls["kf/account/list"] == 1
    assert not [line for line in running.bot.sync._lines if line.startswith("wkNOBODY")]
    assert {each.open_kfid for each in await running.bot.core.sync_store.accounts()} == {KF, KF2}


def _asked_for_accounts(stage: Stage, before: int) -> Callable[[], Awaitable[bool]]:
    async def asked() -> bool:
        return stage.sandbox.ledger.calls["kf/account/list"] > before and not stage.bot.newcomers._looking

    return asked


async def test_a_callback_for_an_account_that_nobody_has_told_of_has_it_read(running: Stage) -> None:
    new = "wkNEW000000000000000000000000001"
    running.sandbox.account_new(new, "新账号", {"LiNa": "李娜"})
    running.sandbox.customer_writes(new, ANN, "你好")
    running.sandbox.servicer_takes(new, ANN, "LiNa")
    assert (await running.open_handoff(ANN, new)).servicer_userid == "LiNa"


async def test_an_account_that_wecom_does_not_list_for_once_is_read_all_the_same(running: Stage) -> None:
    running.bot.accounts = []
    running.sandbox.customer_writes(KF, ANN, "在吗")
    running.sandbox.servicer_takes(KF, ANN, "LiNa")
    assert (await running.open_handoff(ANN)).servicer_userid == "LiNa"
    assert running.bot.accounts == []
