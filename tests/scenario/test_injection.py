"""What people typed stays text, wherever it is shown: in the group, in a file, in the log, on a screen."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from io import StringIO
from pathlib import Path

import pytest

from tests.scenario.conftest import CHAT, Stage, a_stage
from tests.scenario.test_cli_end import Terminal, terminal_of

EVE, EVIL, SERVICER = "wmEve00000000000000000000000001", "wkEVIL000000000000000000000000001", "<@all>[tap](http://e.x)"
NAME = '=HYPERLINK("http://evil.example","tap")<@all>'
ACCOUNT = "[tap](http://evil.example)\n# loud <@all>"
TEXT = "<@all>[tap](http://evil.example)\n# loud\n> quoted\x1b[31m\u202e\u2028<script>alert(1)</script> `code` **bold**"
REASON = "=cmd|' /C calc'!A0 <@all> [tap](http://evil.example) <font color=\"warning\">\u202ered\x1b[31m"
ACTIVE = ("<@", "](", "<script", "<font", "://", "\x1b", "\u202e", "\u2028")
"""What the group, a page, a terminal or a reader of logs would obey."""
ASKED = [
    "/status", f"/status {EVE}", "/list", "/list human", "/history", f"/history {EVE}", "/stats", "/servicers",
    "/alerts", "/parked",
]  # fmt: skip


@pytest.fixture
async def hostile(tmp_path: Path) -> AsyncIterator[Stage]:
    """Everybody is called something that is meant to do something."""
    async with a_stage(tmp_path, storage={"keep_text": "all"}, roles={"admins": ["LiNa"]}) as stage:
        stage.sandbox.account_new(EVIL, ACCOUNT, {SERVICER: SERVICER})
        stage.sandbox.customer_new(NAME, EVE)
        await stage.live()
        await stage.with_human(EVE, EVIL, SERVICER, TEXT)
        yield stage


@pytest.fixture
def shell(hostile: Stage, tmp_path: Path) -> Terminal:
    return terminal_of(hostile, tmp_path)


def harmless(shown: str, where: str) -> None:
    for each in ACTIVE:
        assert each not in shown, f"{where}: {each!r} in {shown!r}"
    assert not any(line.startswith(("# loud", "> quoted")) for line in shown.splitlines()), f"{where}: {shown!r}"


async def test_the_group_is_shown_text(hostile: Stage) -> None:
    for command in ASKED:
        harmless(await hostile.ask(command), command)
    harmless(await hostile.ask(f"/end {EVE} {REASON}"), "/end")
    await hostile.no_handoff(EVE, EVIL)
    harmless(await hostile.ask(f"/history {EVE}"), "/history")
    harmless(await hostile.ask(f"/{REASON}"), "unknown command")
    harmless(await hostile.ask(f"/status {REASON}"), "unknown customer")
    harmless(await hostile.ask(f"/transfer {EVE} {SERVICER}"), "unknown servicer")
    harmless(await hostile.ask(f"/bind {REASON}"), "/bind")


async def test_an_alert_shows_text(hostile: Stage) -> None:
    mark = hostile.sandbox.mark
    await hostile.later(600)
    alert = await hostile.sandbox.wait_for_group_message(lambda said: said.source == "bot", 30.0, mark)
    assert alert.card is not None
    for text in _texts(alert.card):
        harmless(text, "card")
    hostile.sandbox.tap(CHAT, "LiNa", alert.id, next(key for key in _texts(alert.card) if key.startswith("end:")))
    await hostile.no_handoff(EVE, EVIL)
    await hostile.settled()
    for said in hostile.sandbox.group_messages(CHAT):
        for text in (said.text, *_texts(said.card)):
            harmless(text, "afterwards")


def _texts(value: object) -> list[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [value] if isinstance(value, str) else []


async def test_a_spreadsheet_calculates_nothing(hostile: Stage, shell: Terminal) -> None:
    await hostile.ask(f"/end {EVE} {REASON}")
    await hostile.no_handoff(EVE, EVIL)
    ran = await shell.run("export")
    (row,) = csv.DictReader(StringIO(ran.out, newline=""), strict=True)
    assert row["nickname"] == f"'{NAME}" and row["reason"].startswith("'=cmd")
    assert not [cell for cell in row.values() if cell[:1] in tuple("=+-@\t\r")]


@pytest.mark.parametrize("verb", [("status",), ("audit",), ("check",)])
async def test_a_terminal_obeys_nobody(hostile: Stage, shell: Terminal, verb: tuple[str, ...]) -> None:
    await hostile.ask(f"/end {EVE} {REASON}")
    await hostile.ask(f"/snooze {REASON} 10m")
    ran = await shell.run(*verb)
    assert not {each for each in ("\x1b", "\u202e", "\u2028") if each in ran.out + ran.err}, ran.out


async def test_a_script_that_ends_says_nothing_a_terminal_obeys(hostile: Stage, shell: Terminal) -> None:
    ran = await shell.run("end", EVE, "--kf", EVIL, "--reason", REASON)
    assert ran.code == 0
    assert not {each for each in ("\x1b", "\u202e", "\u2028") if each in ran.out + ran.err}, ran.out


async def test_a_log_line_is_one_line_and_nothing_else(hostile: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """Who ended what, is logged with its reason; how a line is written, `tests/unit/test_log.py` holds."""
    caplog.set_level("INFO")
    await hostile.ask(f"/end {EVE} {REASON}")
    await hostile.no_handoff(EVE, EVIL)
    assert TEXT not in caplog.text, "no text of a customer is ever logged"
