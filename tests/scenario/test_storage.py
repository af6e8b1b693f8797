"""The database in a bot's life: one bot at a time, a full disk, a damaged file, what is kept of customers' words."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from bot.model import SessionKey
from storage.trouble import damaged
from tests.receiver import receiving
from tests.scenario.conftest import ANN, BOB, CHAT, KF, PATIENCE, Stage, a_stage
from tests.scenario.test_cli_end import BOT, Terminal
from tests.scenario.test_webhooks import with_webhook

READY: dict[str, Any] = {
    "wecom": {"corp_id": "ww1", "secret": "sss", "api_base": "http://127.0.0.1:9"},
    "server": {"host": "127.0.0.1", "port": 0},
    "storage": {"url": "sqlite:///kfbot.db"},
}
SECRET = "我的手机号是 13800138000"


@pytest.fixture
def shell(tmp_path: Path) -> Terminal:
    terminal = Terminal(tmp_path)
    terminal.with_settings(**READY)
    return terminal


@asynccontextmanager
async def up(shell: Terminal) -> AsyncIterator[asyncio.subprocess.Process]:
    """`bot.py run` in a process of its own, listening."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(BOT), cwd=shell.folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async for line in process.stdout:
            if b"listening" in line:
                break
        else:
            assert process.stderr is not None
            raise AssertionError((await process.stderr.read()).decode())
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


# -- one at a time


async def test_a_second_bot_is_refused_and_told_of_the_first(shell: Terminal) -> None:
    async with up(shell) as first:
        second = await shell.run("run")
        assert second.code == 1
        assert re.fullmatch(
            rf"kfbot: 另一个 kfbot（pid {first.pid}, [^）]+）正在使用 kfbot\.db。请先停掉它，[^\n]+\n", second.err
        )
        assert first.returncode is None
        assert (await shell.run("status")).code == 0  # the other verbs work beside it


async def test_a_killed_bot_is_in_nobodys_way(shell: Terminal) -> None:
    async with up(shell) as first:
        first.kill()
        await first.wait()
    async with up(shell) as next_:
        assert next_.returncode is None


# -- what is refused at start


@pytest.mark.parametrize(
    "verb",
    [["run"], ["status"], ["export"], ["end", ANN], ["token", "--user", "LiNa"], ["forget", "--yes", ANN]],
    ids=lambda verb: verb[0],
)
async def test_a_newer_database_is_refused_by_every_verb_in_a_sentence(shell: Terminal, verb: list[str]) -> None:
    async with up(shell):
        pass
    path = shell.folder / "kfbot.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT INTO _sqlite_migrations VALUES (999, 'kfbot', 'm999_future', '2030-01-01')")
    ran = await shell.run(*verb)
    assert ran.code == 1
    assert "是更新版本的 kfbot 写的（m999_future）" in ran.err + ran.out
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT max(id) FROM _sqlite_migrations").fetchone() == (999,)


async def test_a_damaged_database_is_refused_with_what_to_do(shell: Terminal) -> None:
    async with up(shell):
        pass
    path = shell.folder / "kfbot.db"
    with closing(sqlite3.connect(path)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name='handoffs'").fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\x55" * 4096)
    ran = await shell.run("run")
    assert ran.code == 1
    assert ran.err.startswith("kfbot: kfbot.db 已损坏（") and "备份" in ran.err
    assert ran.err.count("\n") == 1


# -- a full disk


def full(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every write is refused, as SQLite does it when the disk has no room."""
    failed = sqlite3.OperationalError("database or disk is full")
    failed.sqlite_errorcode = sqlite3.SQLITE_FULL

    def begin(*_: object) -> None:
        raise failed

    monkeypatch.setattr(stage.bot.core.database._writer, "_begin", begin)


async def troubled(stage: Stage) -> bool:
    return stage.bot.core.database.trouble is not None


async def readyz(stage: Stage) -> tuple[int, str]:
    url = f"http://127.0.0.1:{stage.bot.port}/readyz"
    async with ClientSession() as session, session.get(url) as response:
        return response.status, (await response.json())["checks"]["storage"]


async def told(stage: Stage, words: str, ask: str = "") -> str:
    """What the group is told in these words, among whatever else it is told."""
    mark = 0
    if ask:
        mark = stage.sandbox.mark
        stage.sandbox.group_message(CHAT, "LiNa", f"@kfbot {ask}")
    message = await stage.sandbox.wait_for_group_message(
        lambda said: said.source == "bot" and words in said.text, PATIENCE, mark
    )
    return message.text


async def test_on_a_full_disk_everybody_is_told_and_nothing_is_lost_once_there_is_room(
    running: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Callbacks are answered 503, so that WeCom, too, keeps them; the account is woken all the same, and tries until
    it can write, for WeCom keeps the messages themselves, and the cursor is where it was."""
    await running.with_human(BOB)
    assert await readyz(running) == (200, "")
    with monkeypatch.context() as patch:
        full(running, patch)
        running.sandbox.customer_writes(KF, ANN, "在吗")
        running.sandbox.servicer_takes(KF, ANN, "LiNa")
        await running.until(partial(troubled, running))
        status, why = await readyz(running)
        assert status == 503 and "full" in why
        for _ in range(2):
            await running.bot.alerting.alarms.look()
        assert "磁盘满了" in await told(running, "数据库不可用")
        assert "磁盘满了" in await told(running, "可能没有完成", "/end 1")
        assert running.moves() == []  # no intention on disk, no move
    running.sandbox.customer_writes(KF, ANN, "还在吗")  # or a little later by itself
    assert (await running.open_handoff(ANN)).servicer_userid == "LiNa"
    assert await readyz(running) == (200, "")
    await running.bot.alerting.alarms.look()
    await told(running, "数据库已恢复")
    await told(running, "✅ 已结束", "/end 1")
    assert len(running.moves()) == 1


async def test_status_names_a_damage_that_was_found_late(running: Stage) -> None:
    database = running.bot.core.database
    database.integrity.damage = damaged(database.path, "Page 7 is never used")
    assert "已损坏" in await running.ask("/status")
    assert (await readyz(running))[0] == 503


# -- what customers say


def said_on_record(path: Path) -> list[tuple[str, str]]:
    """(table, column) of every text with the customer's words in it."""
    found = []
    with closing(sqlite3.connect(path)) as db:
        for (table,) in db.execute("SELECT name FROM sqlite_schema WHERE type='table'").fetchall():
            for _, column, type_, *_ in db.execute(f"PRAGMA table_info({table})").fetchall():
                sql = f"SELECT count(*) FROM {table} WHERE instr({column}, ?)"
                if type_ == "TEXT" and db.execute(sql, (SECRET,)).fetchone()[0]:
                    found.append((table, column))
    return found


@pytest.mark.parametrize(
    ("keep_text", "open_", "over", "shown"),
    [
        ("none", [], [], False),
        ("last", [("handoffs", "last_text")], [], True),
        ("all", *([[("items", "body"), ("handoffs", "last_text")]] * 2), True),
    ],
)
async def test_what_customers_say_is_kept_as_the_settings_say(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    keep_text: str,
    open_: list[tuple[str, str]],
    over: list[tuple[str, str]],
    shown: bool,
) -> None:
    """Through all that a bot does with them: an alert, its card, a tap, an end, an event to another program."""
    async with receiving() as receiver, a_stage(tmp_path, storage={"keep_text": keep_text}) as stage:
        stage.settings = with_webhook(stage.settings, receiver)
        await stage.live()
        number = await stage.with_human(text=SECRET)
        stage.sandbox.customer_writes(KF, ANN, SECRET)
        await stage.later(360)
        path = stage.settings.storage.path
        assert said_on_record(path) == open_

        card = await stage.sandbox.wait_for_group_message(lambda said: said.card is not None, PATIENCE)
        assert (SECRET[:6] in str(card.card)) is shown
        assert (SECRET in await stage.ask(f"/status {number}")) is shown
        stage.sandbox.tap(CHAT, "LiNa", card.id, f"end:{number}")
        await stage.no_handoff()
        await stage.settled()
        assert said_on_record(path) == over
        stage.sandbox.customer_writes(KF, ANN, "结束对话")  # after the end: to the assistant
        await stage.settled()

        async def told() -> bool:
            return any(each.event == "handoff.completed" for each in receiver.accepted)

        await stage.until(told)
        assert SECRET not in "".join(each.raw.decode() for each in receiver.accepted)
        assert SECRET not in caplog.text


async def test_words_from_before_the_handoff_are_shown_and_never_stored(running: Stage) -> None:
    running.sandbox.customer_writes(KF, ANN, SECRET)
    await running.settled()
    assert said_on_record(running.settings.storage.path) == []
    running.sandbox.servicer_takes(KF, ANN, "LiNa")
    await running.settled()
    await running.later(360)
    card = await running.sandbox.wait_for_group_message(lambda said: said.card is not None, PATIENCE)
    assert SECRET[:6] in str(card.card)
    assert said_on_record(running.settings.storage.path) == []
    assert (await running.bot.core.ledger.session(SessionKey(KF, ANN))).handoff is not None
