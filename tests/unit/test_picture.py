"""Drawing in a process of its own: what it gives, and that no trouble of it gets past the log."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot import picture
from bot.picture import Bar, Drawing, Figure, Panel

PANEL = Panel("谁结束的", (Bar("客服", 1.5, "1", "staff", pale=True),))
DRAWING = Drawing("客服日报", "11-20", (Figure("1", "处理", "前一天 2"),), (PANEL,), ("完",))


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_drawing_goes_over_and_comes_back() -> None:
    assert picture.load(DRAWING.dump()) == DRAWING
    odd = Drawing("\udc00$", "😀\n", (), (Panel("", (), upright=True), Panel("", (), half=True)))
    assert picture.load(odd.dump()) == odd


async def test_a_process_of_its_own_draws_it() -> None:
    assert (await picture.draw(DRAWING)).startswith(b"\x89PNG")


def test_the_bot_itself_never_loads_the_plotting_library() -> None:
    code = "import sys, bot.app; sys.exit(any(each in sys.modules for each in ('matplotlib', 'numpy', 'bot.chart')))"
    assert subprocess.run(python(code), cwd=picture.ROOT, check=False).returncode == 0


async def test_where_it_cannot_be_drawn_the_log_says_why(caplog: pytest.LogCaptureFixture) -> None:
    assert await picture.draw(DRAWING, python("import sys; print('half'); sys.exit('the font is missing')")) == b""
    assert "picture not drawn | exit 1: the font is missing" in caplog.text


async def test_without_the_program_there_is_no_picture(caplog: pytest.LogCaptureFixture) -> None:
    assert await picture.draw(DRAWING, ["/nonexistent/python"]) == b""
    assert "picture not drawn" in caplog.text


async def test_a_child_that_hangs_is_killed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told = tmp_path / "pid"
    code = f"import os, pathlib, time; pathlib.Path({str(told)!r}).write_text(str(os.getpid())); time.sleep(60)"
    assert await picture.draw(DRAWING, python(code), longest=1.0) == b""
    assert "not ready after 1 s" in caplog.text
    if told.exists() and told.read_text():
        with pytest.raises(ProcessLookupError):
            os.kill(int(told.read_text()), 0)


async def test_a_stop_kills_the_child_too(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    code = f"import os, pathlib, time; pathlib.Path({str(told)!r}).write_text(str(os.getpid())); time.sleep(60)"
    task = asyncio.create_task(picture.draw(DRAWING, python(code)))
    async with asyncio.timeout(30):
        while not (told.exists() and told.read_text()):  # noqa: ASYNC110  another process has no event to wait for
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), 0)


async def test_the_child_is_told_no_settings(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setenv("KFBOT_WECOM__SECRET", "s3cret")
    seen = await picture.draw(DRAWING, python("import os; print(sorted(os.environ))"))
    assert b"PATH" in seen and b"KFBOT" not in seen
