"""Duties nobody asks for: what the bot keeps right and clean by itself."""

from __future__ import annotations

import logging
import time

import pytest

from bot.checks import UNSERVED
from bot.model import KfItem, SessionKey, SyncPage
from bot.sessions import Session
from tests.scenario.conftest import ANN, KF, Stage


async def do(stage: Stage, job: str) -> None:
    """Have one run of a job now instead of when it is due."""
    await next(each for each in stage.bot._jobs() if each.name == job).run()


async def test_old_records_are_deleted_and_the_log_says_how_many(
    running: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    store, now = running.bot.core.sync_store, time.time()
    old = KfItem("m1", KF, ANN, int(now) - 16 * 86_400, 3, "text")
    await store.commit(KF, SyncPage([old], "", False), lambda loaded, items: None, now)
    with caplog.at_level(logging.INFO):
        await do(running, "retention")
        await do(running, "retention")
    said = [record.getMessage() for record in caplog.records if "old records" in record.getMessage()]
    assert len(said) == 1
    assert "items=1" in said[0]


async def test_a_customer_another_program_handed_over_long_after_his_last_word_is_found(running: Stage) -> None:
    running.sandbox.customer_writes(KF, ANN, "你好")
    key = SessionKey(KF, ANN)

    async def quiet() -> bool:
        return (await running.bot.core.ledger.session(key)).state is not None

    await running.until(quiet)

    def long_ago(session: Session) -> None:
        session.state_at -= UNSERVED + 60
        session.last_customer_at -= UNSERVED + 60
        session.check_at = None

    await running.bot.core.ledger.change(key, long_ago, time.time())
    running.sandbox.session_state(KF, ANN, 3, "LiNa")
    await do(running, "reconcile")
    assert (await running.open_handoff()).servicer_userid == "LiNa"
