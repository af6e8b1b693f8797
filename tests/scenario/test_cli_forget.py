"""`python bot.py forget` as whoever has to answer a customer's request runs it."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from bot.model import EVERYTHING, SessionKey
from storage.forget import stands_in
from storage.lock import Lock
from tests.scenario.conftest import ANN, BOB, KF, KF2, Stage
from tests.scenario.test_cli_end import BOT, ZHANG, Ran, Terminal, terminal_of

WORDS = "我的手机号是 13800138000"


@pytest.fixture
async def served(stage: Stage) -> Stage:
    """A bot that keeps every text; ANN has been served twice, BOB is being served."""
    storage = stage.settings.storage.model_copy(update={"keep_text": "all"})
    stage.settings = stage.settings.model_copy(update={"storage": storage})
    await stage.live()
    for kf in (KF, KF2):
        await stage.with_human(ANN, kf, text=WORDS)
        stage.sandbox.servicer_ends(kf, ANN)
        await stage.no_handoff(ANN, kf)
    await stage.with_human(BOB)
    await stage.settled()
    return stage


@pytest.fixture
def shell(served: Stage, tmp_path: Path) -> Terminal:
    return terminal_of(served, tmp_path)


async def answered(shell: Terminal, answer: str, *words: str) -> Ran:
    """With somebody at the keyboard."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(BOT), "forget", *words,
        cwd=shell.folder, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate(answer.encode())
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode(), 0.0)


def files(stage: Stage) -> list[Path]:
    return sorted(stage.settings.storage.path.parent.glob("kfbot.db*"))


# -- what is asked


async def test_it_says_what_there_is_and_asks(served: Stage, shell: Terminal) -> None:
    ran = await answered(shell, "n\n", ANN)
    assert ran.code == 1
    assert ran.out.splitlines()[:3] == [f"记录中有客户 {ANN}：", "   昵称 小林", "   人工会话 2"]
    assert "无法撤销" in ran.err
    assert await served.bot.core.ledger.history(SessionKey(KF, ANN))
    assert (await answered(shell, "y\n", ANN)).code == 0
    assert await served.bot.core.ledger.history(SessionKey(KF, ANN)) == []


async def test_a_script_that_cannot_answer_does_nothing(served: Stage, shell: Terminal) -> None:
    assert (await answered(shell, "", ANN)).code == 1
    assert await served.bot.core.ledger.history(SessionKey(KF, ANN))


@pytest.mark.parametrize("customer", ["wm7l", "7lAnn", "12", "小林", "wm"])
async def test_only_a_whole_id_will_do(served: Stage, shell: Terminal, customer: str) -> None:
    ran = await shell.run("forget", "--yes", customer)
    assert ran.code in (1, 2) and ran.out == ""
    assert await served.bot.core.ledger.history(SessionKey(KF, ANN))


async def test_nobody_of_that_id(shell: Terminal) -> None:
    ran = await shell.run("forget", "--yes", "wmNobody0000000000000000000000009")
    assert (ran.code, ran.out) == (1, "")
    assert "记录中没有客户" in ran.err


async def test_before_the_first_run_there_is_nobody(tmp_path: Path) -> None:
    alone = Terminal(tmp_path)
    alone.with_settings(storage={"url": "sqlite:///kfbot.db"})
    ran = await alone.run("forget", "--yes", ANN)
    assert ran.code == 1 and "还没有数据库" in ran.err
    assert alone.files() == ["settings.yaml"]


# -- what becomes of it


async def test_no_byte_of_the_customer_is_left_beside_the_running_bot(served: Stage, shell: Terminal) -> None:
    with Lock(served.settings.storage.path):  # as `run` holds it
        assert all(any(stands_in(each, words) for each in files(served)) for words in (ANN, "小林", WORDS))
        ran = await shell.run("forget", "--yes", ANN)
        assert (ran.code, ran.err) == (0, "")
        for words in (ANN, "小林", WORDS):
            assert [each.name for each in files(served) if stands_in(each, words)] == [], words
    assert "✅ 数据库文件里已找不到该 ID" in ran.out


async def test_what_is_left_is_told(served: Stage, shell: Terminal) -> None:
    copied = (await shell.run("backup")).out.strip()
    ran = await shell.run("forget", "--yes", ANN)
    beyond = ran.out[ran.out.index("💡") :]
    assert copied in beyond
    for words in ("日志", "webhook", "企业微信自己的记录", "群里发过的消息"):
        assert words in beyond


async def test_the_others_and_the_counts_stay(served: Stage, shell: Terminal) -> None:
    before = await served.ask("/stats")
    await shell.run("forget", "--yes", ANN)
    after = await served.ask("/stats")
    named = [line for line in before.splitlines() if "小林" in line]
    assert [line for line in before.splitlines() if line not in after.splitlines()] == named
    assert "小林" not in after
    assert (await served.open_handoff(BOB)).servicer_userid == ZHANG
    assert "forgot…" in await served.ask("/history")


async def test_who_writes_again_is_a_new_customer(served: Stage, shell: Terminal) -> None:
    await shell.run("forget", "--yes", ANN)
    number = await served.with_human(ANN, text="你好，第一次来")
    assert [each.id for each in await served.bot.core.ledger.history(SessionKey(KF, ANN))] == [number]
    assert (await served.bot.core.people.nicknames([ANN])) == {ANN: "小林"}
    assert "结束" in await served.ask(f"/end {number}")


async def test_a_second_time_there_is_nobody(shell: Terminal) -> None:
    assert (await shell.run("forget", "--yes", ANN)).code == 0
    ran = await shell.run("forget", "--yes", ANN)
    assert ran.code == 1 and "记录中没有客户" in ran.err


async def test_an_item_that_could_not_be_read_goes_too(served: Stage, shell: Terminal) -> None:
    served.sandbox.inject(KF, {"msgid": "odd", "send_time": "soon", "external_userid": ANN, "text": {"content": WORDS}})
    await served.settled()
    assert await served.bot.core.sync_store.parked(EVERYTHING, 9)
    await shell.run("forget", "--yes", ANN)
    assert await served.bot.core.sync_store.parked(EVERYTHING, 9) == []
    assert not any(stands_in(each, WORDS) for each in files(served))


async def test_it_stands_in_the_audit_log_without_the_id(served: Stage, shell: Terminal) -> None:
    await shell.run("forget", "--yes", ANN)
    with closing(sqlite3.connect(served.settings.storage.path)) as db:
        rows = db.execute("SELECT outcome, detail FROM audit WHERE verb='forget'").fetchall()
    assert [outcome for outcome, _ in rows] == ["allowed"]
    assert ANN not in str(rows)
    assert (await shell.run("audit", "--verify")).code == 0


# -- an open session


async def test_an_open_session_has_to_be_ended_first(served: Stage, shell: Terminal) -> None:
    ran = await shell.run("forget", "--yes", BOB)
    assert ran.code == 1
    assert f"python bot.py end {BOB}" in ran.err and "#3" in ran.err
    assert (await served.open_handoff(BOB)).id == 3


async def test_or_is_put_down_as_ended(served: Stage, shell: Terminal) -> None:
    ran = await shell.run("forget", "--yes", "--force", BOB)
    assert (ran.code, ran.err) == (0, "")
    handoff = await served.bot.core.ledger.handoff(3)
    assert handoff is not None and not handoff.status.is_open
    assert served.moves() == []
    assert not any(stands_in(each, BOB) for each in files(served))
