"""`python bot.py backup` as people and cron use it, and what a bot makes of a backup that is put back."""

from __future__ import annotations

import asyncio
import os
import pty
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database as Tables

from bot.model import HandoffStatus, OperatorType, SessionKey
from storage.migrations import migrations
from tests.scenario.conftest import ANN, BOB, KF, KF2, Stage
from tests.scenario.test_cli_end import BOT, ZHANG, Terminal, terminal_of

DATABASE = "kfbot.db"


@pytest.fixture
def alone(tmp_path: Path) -> Terminal:
    """Nothing but settings: neither database nor WeCom."""
    terminal = Terminal(tmp_path)
    terminal.with_settings(storage={"url": f"sqlite:///{DATABASE}"})
    return terminal


@pytest.fixture
def shell(alone: Terminal) -> Terminal:
    """A bot has been here once."""
    _schema(alone.folder / DATABASE)
    return alone


def _schema(path: Path, before: str | None = None) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode=wal")
        migrations.apply(Tables(db, execute_plugins=False), stop_before=before)


def asked(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()


# -- a file


async def test_its_name_is_all_that_stdout_has(shell: Terminal) -> None:
    ran = await shell.run("backup")
    assert (ran.code, ran.err) == (0, "")
    [name] = ran.out.splitlines()
    assert name.startswith("kfbot-20") and name.endswith(".db")
    copy = shell.folder / name
    assert asked(copy, "PRAGMA integrity_check") == [("ok",)]
    assert oct(copy.stat().st_mode & 0o777) == "0o600"


async def test_where_it_is_told_to(shell: Terminal) -> None:
    (shell.folder / "safe").mkdir()
    assert (await shell.run("backup", "--to", "safe/mine.db")).out == "safe/mine.db\n"
    ran = await shell.run("backup", "--to", "safe")
    assert ran.out.startswith("safe/kfbot-20")
    assert len(list((shell.folder / "safe").iterdir())) == 2


async def test_a_folder_is_made_where_the_words_end_as_one(shell: Terminal) -> None:
    """The README's line, on the first night and on the second; nobody else is to read names and keys."""
    for night in (1, 2):
        ran = await shell.run("backup", "--to", "nightly/")
        assert (ran.code, ran.err) == (0, "")
        assert len(list((shell.folder / "nightly").iterdir())) == night
        await asyncio.sleep(1)  # the name has the second in it
    assert oct((shell.folder / "nightly").stat().st_mode & 0o777) == "0o700"


@pytest.mark.parametrize("name", ["mine.db", DATABASE])
async def test_what_is_there_is_not_overwritten(shell: Terminal, name: str) -> None:
    await shell.run("backup", "--to", "mine.db")
    before = (shell.folder / name).read_bytes()
    ran = await shell.run("backup", "--to", name)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"❌ {name} 已经存在，不会覆盖；请换一个名字\n"
    assert (shell.folder / name).read_bytes() == before


async def test_a_folder_that_is_not_there(shell: Terminal) -> None:
    ran = await shell.run("backup", "--to", "nowhere/mine.db")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("❌ 写不了 nowhere/mine.db：")
    ran = await shell.run("backup", "--to", "nowhere/nightly/")  # perhaps a disk that is not mounted
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("❌ 写不了 nowhere/nightly/kfbot-20")


async def test_a_file_where_the_folder_should_be(shell: Terminal) -> None:
    """As older versions made one of the README's line."""
    await shell.run("backup", "--to", "nightly")
    ran = await shell.run("backup", "--to", "nightly/")
    assert (ran.code, ran.err) == (1, "❌ nightly 已经存在，不会覆盖；请换一个名字\n")


async def test_before_the_first_run_there_is_nothing_to_copy(alone: Terminal) -> None:
    ran = await alone.run("backup")
    assert (ran.code, ran.out) == (1, "")
    assert "还没有数据库" in ran.err
    assert alone.files() == ["settings.yaml"]


@pytest.mark.parametrize("verb", ["backup", "status"])
async def test_an_empty_database_is_refused_in_a_sentence(alone: Terminal, verb: str) -> None:
    (alone.folder / DATABASE).write_bytes(b"")
    ran = await alone.run(verb)
    assert ran.code == 1
    assert "是空的" in ran.err and "bot.py run" in ran.err and "备份" in ran.err
    assert (alone.folder / DATABASE).read_bytes() == b""


async def test_a_database_of_a_newer_kfbot_is_refused_in_a_sentence(shell: Terminal) -> None:
    with closing(sqlite3.connect(shell.folder / DATABASE)) as db, db:
        db.execute("INSERT INTO _sqlite_migrations VALUES (999, 'kfbot', 'm999_future', '2030-01-01')")
    ran = await shell.run("backup")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("❌ kfbot.db 是更新版本的 kfbot 写的（m999_future）")


async def test_before_an_upgrade_it_leaves_the_database_as_it_is(alone: Terminal) -> None:
    """The new version is installed, and has not run yet: the backup is of the old schema, and so is the database."""
    _schema(alone.folder / DATABASE, before="m006_pages")
    ran = await alone.run("backup")
    assert (ran.code, ran.err) == (0, "")
    applied = "SELECT count(*) FROM _sqlite_migrations"
    assert asked(alone.folder / ran.out.strip(), applied) == asked(alone.folder / DATABASE, applied) == [(5,)]


async def test_who_took_it_stands_in_the_audit_log(shell: Terminal) -> None:
    await shell.run("backup")
    rows = asked(shell.folder / DATABASE, "SELECT door, operator_id, verb, outcome FROM audit")
    assert rows == [("cli", "operator", "backup", "allowed")]


def test_on_a_terminal_it_shows_how_far_it_is_and_how_to_restore(shell: Terminal) -> None:
    outside, inside = pty.openpty()
    command = [sys.executable, str(BOT), "backup", "--to", "copy.db"]
    with subprocess.Popen(command, cwd=shell.folder, stdout=subprocess.PIPE, stderr=inside) as process:
        os.close(inside)
        shown = b""
        while chunk := _read(outside):
            shown += chunk
        assert process.stdout is not None
        assert process.stdout.read() == b"copy.db\n"
    os.close(outside)
    assert process.returncode == 0
    assert "备份完成，已检查" in shown.decode()
    assert "删掉同名的 -wal 和 -shm" in shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # how Linux says that the other end is closed
        return b""


# -- beside a running bot, and back


async def restored(stage: Stage, copy: Path) -> None:
    """As the README says: stop, put it in place, delete -wal and -shm, start."""
    await stage.stop()
    _put_in_place(copy, stage.settings.storage.path)
    await stage.start()


def _put_in_place(copy: Path, path: Path) -> None:
    copy.rename(path)
    for end in ("-wal", "-shm"):
        path.with_name(f"{path.name}{end}").unlink(missing_ok=True)


async def test_a_bot_that_gets_a_backup_back_knows_all_up_to_there_and_finds_out_the_rest(
    running: Stage, tmp_path: Path
) -> None:
    shell = terminal_of(running, tmp_path)
    before = await running.with_human()
    ran = await shell.run("backup")
    assert (ran.code, ran.err) == (0, "")
    running.sandbox.servicer_ends(KF, ANN)
    await running.no_handoff()
    lost = await running.with_human(BOB, KF2)

    await restored(running, Path(ran.out.strip()))

    ended = await running.no_handoff()  # what the backup has as open
    assert (ended.id, ended.status, ended.ended_by) == (before, HandoffStatus.COMPLETED, OperatorType.AGENT)
    found = await running.open_handoff(BOB, KF2)  # and what it has never heard of
    assert found.servicer_userid == ZHANG
    assert found.id != lost  # its card may still hang in the group
    assert len(await running.bot.core.ledger.history()) == 2


async def test_while_customers_write(running: Stage, tmp_path: Path) -> None:
    """Whatever moment it catches: a whole one, from which a bot goes on to the same state of things."""
    shell = terminal_of(running, tmp_path)
    await running.with_human()
    for number in range(20):
        running.sandbox.customer_writes(KF, ANN, f"第 {number} 条")
    ran = await shell.run("backup")
    for number in range(20):
        running.sandbox.customer_writes(KF, ANN, f"又 {number} 条")
    await running.settled()
    items = "SELECT msgid FROM items ORDER BY msgid"
    known = asked(running.settings.storage.path, items)
    assert asked(Path(ran.out.strip()), "PRAGMA integrity_check") == [("ok",)]

    await restored(running, Path(ran.out.strip()))

    await running.settled()
    assert asked(running.settings.storage.path, items) == known
    handoff = await running.bot.core.ledger.open_handoff(SessionKey(KF, ANN))
    assert handoff is not None and handoff.last_text == "又 19 条"


async def test_an_end_that_was_under_way_then_is_settled_and_not_repeated(running: Stage, tmp_path: Path) -> None:
    shell = terminal_of(running, tmp_path)
    number = await running.with_human()
    running.sandbox.fault("kf/service_state/trans", "delay", seconds=3.0)
    running.sandbox.group_message("wrTESTGROUP", "LiNa", f"@kfbot /end {number}")

    async def intended() -> bool:
        return (await running.bot.core.ledger.session(SessionKey(KF, ANN))).ending is not None

    await running.until(intended)
    ran = await shell.run("backup")
    await running.no_handoff()
    await restored(running, Path(ran.out.strip()))
    await running.no_handoff()
    assert len(running.moves()) == 1
    assert len(running.goodbyes()) == 1
