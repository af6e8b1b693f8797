"""`python bot.py export` as people, cron and spreadsheets use it: a process of its own, with a bot or alone."""

from __future__ import annotations

import asyncio
import codecs
import csv
import json
import os
import pty
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bot.export import EVENT_FIELDS, HANDOFF_FIELDS
from bot.model import HandoffStatus, Operator, OperatorType, SessionKey, Via
from bot.sessions import Session, finish, open_handoff
from storage.database import Database
from storage.ledger import Ledger
from tests.scenario.conftest import ANN, BOB, KF, KF2, Stage
from tests.scenario.test_cli_end import BOT, ZHANG, Ran, Terminal, terminal_of

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 11, 20, 12, tzinfo=SHANGHAI)
MANY = 200_000  # seconds of work


async def handoff(database: Database, at: datetime, customer: str = ANN, kf: str = KF, reason: str = "") -> None:
    """Of ten minutes, ended by its servicer."""
    now = at.timestamp()

    def live(session: Session) -> None:
        open_handoff(session, HandoffStatus.ACCEPTED, ZHANG, now, Via.EVENT)
        finish(session, Operator(OperatorType.AGENT, ZHANG), Via.BUTTON, now + 600, reason=reason)

    await Ledger(database, "ww1").change(SessionKey(kf, customer), live, now)


def add_many(path: Path, count: int) -> None:
    columns = [name for name in _columns(path) if name not in ("id", "external_userid")]
    names = ", ".join(columns)
    sql = f"""WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
        INSERT INTO handoffs (external_userid, {names}) SELECT 'wm' || n, {names} FROM handoffs, numbers WHERE id = 1"""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(sql)


def _columns(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return [row[1] for row in db.execute("PRAGMA table_info(handoffs)")]


@pytest.fixture
def alone(tmp_path: Path) -> Terminal:
    """Nothing but settings: neither database nor WeCom."""
    terminal = Terminal(tmp_path)
    terminal.with_settings(storage={"url": "sqlite:///kfbot.db"}, timezone="Asia/Shanghai")
    return terminal


@pytest.fixture
async def shell(alone: Terminal, database: Database) -> Terminal:
    """A bot has left two days of handoffs: two of ANN, then one of BOB with the other account."""
    await handoff(database, NOON - timedelta(days=1), reason="问题解决")
    await handoff(database, NOON)
    await handoff(database, NOON + timedelta(minutes=1), BOB, KF2)
    return alone


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text, newline=""), strict=True))


async def numbers(shell: Terminal, *words: str) -> list[int]:
    ran = await shell.run("export", *words)
    assert (ran.code, ran.err) == (0, "")
    return [int(row["id"]) for row in rows(ran.out)]


# -- what is exported


async def test_handoffs_as_csv_without_further_words(shell: Terminal) -> None:
    ran = await shell.run("export")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.split("\r\n", 1)[0] == ",".join(HANDOFF_FIELDS)
    first, *others = rows(ran.out)
    assert (first["userId"], first["agentId"], first["reason"]) == (ANN, ZHANG, "问题解决")
    assert (first["requestedAt"], first["lengthSeconds"]) == ("2026-11-19T12:00:00+08:00", "600")
    assert [each["id"] for each in others] == ["2", "3"]


async def test_events_as_json_lines(shell: Terminal) -> None:
    ran = await shell.run("export", "events", "--format", "jsonl")
    assert (ran.code, ran.err) == (0, "")
    documents = [json.loads(line) for line in ran.out.splitlines()]
    assert tuple(documents[0]) == EVENT_FIELDS
    ends = [each for each in documents if each["type"] == "COMPLETED"]
    assert [each["handoffId"] for each in ends] == [1, 2, 3]
    assert (ends[0]["data"]["endedBy"], ends[0]["data"]["via"]) == ("AGENT", "button")


async def test_days_are_those_of_the_settings(shell: Terminal) -> None:
    assert await numbers(shell, "--since", "2026-11-20") == [2, 3]
    assert await numbers(shell, "--until", "2026-11-19") == [1]
    assert await numbers(shell, "--since", "2026-11-19", "--until", "2026-11-19") == [1]
    assert await numbers(shell, "--since", "2026-11-21") == []


async def test_times_are_exact(shell: Terminal) -> None:
    assert await numbers(shell, "--since", "2026-11-20T12:00:00+08:00", "--until", "2026-11-20T04:01:00Z") == [2]


async def test_some_accounts(shell: Terminal) -> None:
    assert await numbers(shell, "--kf", KF2) == [3]
    assert await numbers(shell, "--kf", KF2, "--kf", KF) == [1, 2, 3]
    ran = await shell.run("export", "events", "--kf", KF2)
    assert {row["handoffId"] for row in rows(ran.out)} == {"3"}


async def test_beside_a_running_bot(running: Stage, tmp_path: Path) -> None:
    shell = terminal_of(running, tmp_path)
    running.sandbox.customer_writes(KF, ANN, "还有人吗")
    running.sandbox.servicer_takes(KF, ANN, ZHANG)
    await running.settled()
    opened = await running.open_handoff()
    [row] = rows((await shell.run("export")).out)
    assert (row["id"], row["userId"], row["accountName"]) == (str(opened.id), ANN, "售前咨询")
    assert (row["completedAt"], row["endedBy"]) == ("", "")


async def test_it_writes_nothing_but_who_has_it(shell: Terminal, database: Database) -> None:
    def content(db: sqlite3.Connection) -> dict[str, list[object]]:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        return {table: db.execute(f"SELECT * FROM {table}").fetchall() for table in tables}

    before = await database.read(content)
    await shell.run("export")
    after = await database.read(content)
    assert [table for table in before if before[table] != after[table]] == ["audit"]
    assert after["audit"][0][2:6] == ("cli", "AGENT", "operator", "export")  # type: ignore[index]


# -- where it goes


async def test_a_file_for_excel(shell: Terminal) -> None:
    """With the mark by which Excel knows UTF-8, and whole or not at all."""
    ran = await shell.run("export", "--output", "十一月.csv")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    written = (shell.folder / "十一月.csv").read_bytes()
    assert written.startswith(codecs.BOM_UTF8)
    assert len(rows(written.decode("utf-8-sig"))) == 3
    assert not list(shell.folder.glob(".*"))


@pytest.mark.parametrize(
    ("words", "marked"),
    [
        (["--output", "out"], True),
        (["--output", "out", "--no-bom"], False),
        (["--output", "out", "--format", "jsonl"], False),
        (["--bom"], True),
        ([], False),
        (["--output", "-"], False),
    ],
)
async def test_the_mark_is_for_csv_files(shell: Terminal, words: list[str], marked: bool) -> None:
    ran = await shell.run("export", *words)
    said = ran.out or (shell.folder / "out").read_text("utf-8")
    assert said.startswith("\ufeff") is marked


async def test_an_old_file_is_replaced_and_keeps_its_rights(shell: Terminal) -> None:
    (shell.folder / "real.csv").write_text("old")
    (shell.folder / "real.csv").chmod(0o600)
    (shell.folder / "link.csv").symlink_to("real.csv")
    assert (await shell.run("export", "--output", "link.csv")).code == 0
    assert (shell.folder / "link.csv").is_symlink()
    assert len(rows((shell.folder / "real.csv").read_text("utf-8-sig"))) == 3
    assert (shell.folder / "real.csv").stat().st_mode & 0o777 == 0o600


async def test_a_device_is_written_to_and_stays_one(shell: Terminal) -> None:
    device = Path("/dev/null")
    assert (await shell.run("export", "--output", str(device))).code == 0
    assert device.is_char_device()  # noqa: ASYNC240


async def test_what_is_ended_early_leaves_the_old_file_and_no_other(shell: Terminal) -> None:
    add_many(shell.folder / "kfbot.db", MANY)
    (shell.folder / "out.csv").write_text("old")
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(BOT), "export", "--output", "out.csv", cwd=shell.folder, stderr=asyncio.subprocess.PIPE
    )
    while not list(shell.folder.glob(".out.csv.*.part")):  # noqa: ASYNC110  nothing to wait for but time
        await asyncio.sleep(0.01)
    process.terminate()
    _, err = await process.communicate()
    assert (process.returncode, err.decode()) == (1, "❌ 已中断，导出不完整\n")
    assert (shell.folder / "out.csv").read_text() == "old"
    assert not list(shell.folder.glob(".*"))


def test_a_reader_that_has_enough_is_no_mistake(shell: Terminal) -> None:
    add_many(shell.folder / "kfbot.db", 10_000)
    command = f"{sys.executable} {BOT} export | head -n 2; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=shell.folder, capture_output=True, text=True, check=True)
    head, first, code = done.stdout.splitlines()
    assert head.startswith("id,tenantId") and first.startswith("1,ww1,")
    assert (code, done.stderr) == ("141", "")


def test_a_full_disk_is_told_in_a_line(shell: Terminal) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, str(BOT), "export"]
        done = subprocess.run(command, cwd=shell.folder, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("❌ 写不了 stdout：")
    assert done.stderr.count("\n") == 1


def test_a_bar_runs_on_a_terminal(shell: Terminal) -> None:
    """On the one that stderr goes to; what is exported stays apart."""
    add_many(shell.folder / "kfbot.db", 2_000)
    outside, inside = pty.openpty()
    command = [sys.executable, str(BOT), "export", "--output", "out.csv"]
    with subprocess.Popen(command, cwd=shell.folder, stdout=subprocess.PIPE, stderr=inside) as process:
        os.close(inside)
        shown = b""
        while chunk := _read(outside):
            shown += chunk
        assert process.stdout is not None
        assert process.stdout.read() == b""
    os.close(outside)
    assert process.returncode == 0
    assert "人工会话" in shown.decode()
    assert "2003/2003" in shown.decode()
    assert "✅ 已写入 out.csv，共 2,003 条" in shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # how Linux says that the other end is closed
        return b""


# -- what is refused


async def refused(shell: Terminal, code: int, *words: str) -> str:
    ran: Ran = await shell.run("export", *words)
    assert (ran.code, ran.out) == (code, "")
    return ran.err


async def test_no_database_yet(alone: Terminal) -> None:
    assert "还没有数据库" in await refused(alone, 1)
    assert alone.files() == ["settings.yaml"]


async def test_a_database_that_is_none(alone: Terminal) -> None:
    (alone.folder / "kfbot.db").write_text("no database at all, though long enough to be looked at\n" * 20)
    said = await refused(alone, 1, "--output", "out.csv")
    assert "kfbot.db" in said
    assert not (alone.folder / "out.csv").exists()


async def test_an_account_that_nobody_knows(shell: Terminal) -> None:
    assert "wkNONE" in await refused(shell, 1, "--kf", KF, "--kf", "wkNONE")


@pytest.mark.parametrize("name", ["kfbot.db", "./kfbot.db-wal"])
async def test_the_database_is_not_overwritten(shell: Terminal, name: str) -> None:
    assert "属于机器人的数据库" in await refused(shell, 1, "--output", name)
    assert await numbers(shell) == [1, 2, 3]


@pytest.mark.parametrize("place", [".", "nowhere/out.csv", "settings.yaml/out.csv"])
async def test_a_place_that_cannot_be_written(shell: Terminal, place: str) -> None:
    assert (await refused(shell, 1, "--output", place)).startswith(f"❌ 写不了 {place}：")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--since", "gestern"], "--since: 'gestern' 既不是日期"),
        (["--until", "2026-02-30"], "--until: '2026-02-30' 既不是日期"),
        (["--since", "2026-11-21", "--until", "2026-11-20"], "--until 要晚于 --since"),
        (["--format", "jsonl", "--bom"], "--bom 只用于 CSV"),
    ],
)
async def test_what_makes_no_sense_is_wrong_use(shell: Terminal, words: list[str], says: str) -> None:
    said = await refused(shell, 2, *words)
    assert said.startswith("Usage: bot.py export")
    assert says in said


async def test_in_english(alone: Terminal) -> None:
    alone.with_settings(lang="en")
    assert "there is no database yet" in await refused(alone, 1)
    assert "is neither a day" in await refused(alone, 2, "--since", "x")


async def test_times_of_the_export_follow_the_settings(shell: Terminal) -> None:
    shell.with_settings(timezone="UTC")
    said = rows((await shell.run("export")).out)[1]["requestedAt"]
    assert datetime.fromisoformat(said) == NOON
    assert datetime.fromisoformat(said).utcoffset() == timedelta(0)
