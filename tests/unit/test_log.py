"""Logs: one event a line, nothing secret, a file for each day, the words that operators grep for."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import structlog
import time_machine

from bot import log

SECRET = "hunter2hunter2"
OBEYED = "\x1b\x9b\x7f\u2028\u2029\u202e\u2066\u200b\u200f\ufeff"  # by a terminal, or by who reads lines
GREP = "会话状态|结束会话"


@pytest.fixture(autouse=True)
def structlog_as_it_was() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def shanghai(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Days are local days, not UTC's."""
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def written(
    folder: Path, *, json_lines: bool = False, level: str = "INFO", secrets: tuple[str, ...] = (SECRET,)
) -> log.Listener:
    return log.start(folder, level, json_lines, secrets, to_stdout=False)


def lines(folder: Path) -> list[str]:
    return [line for file in sorted(folder.iterdir()) for line in file.read_text("utf-8").splitlines()]


def test_a_line_has_time_level_place_and_words(tmp_path: Path) -> None:
    listener = written(tmp_path)
    logging.getLogger("kfbot.handoffs").info("✅ 成功结束会话！ | %s", "wm1")
    listener.stop()
    (line,) = lines(tmp_path)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} INFO    handoffs \| ✅ 成功结束会话！ \| wm1", line)


def test_the_time_is_when_it_happened(tmp_path: Path) -> None:
    with time_machine.travel(datetime.fromisoformat("2026-11-21T09:00:00+08:00"), tick=False):
        listener = written(tmp_path)
        logging.getLogger("kfbot").info("now")
    listener.stop()
    assert lines(tmp_path)[0].startswith("2026-11-21 09:00:00.000000 ")


def test_a_new_file_for_each_local_day(tmp_path: Path) -> None:
    with time_machine.travel(datetime.fromisoformat("2026-11-20T23:59:59+08:00"), tick=False) as moved:
        listener = written(tmp_path)
        logging.getLogger("kfbot").info("before midnight")
        moved.shift(2)
        logging.getLogger("kfbot").info("after midnight")
        listener.stop()
    assert {file.name: file.read_text("utf-8").partition(" | ")[2] for file in tmp_path.iterdir()} == {
        "app_20261120.log": "before midnight\n",
        "app_20261121.log": "after midnight\n",
    }


def test_a_full_disk_at_midnight_does_not_stop_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    with time_machine.travel(datetime.fromisoformat("2026-11-20T23:59:59+08:00"), tick=False) as moved:
        listener = written(tmp_path / "logs")
        (tmp_path / "logs" / "app_20261121.log").mkdir()
        moved.shift(2)
        logging.getLogger("kfbot").info("nowhere to go but yesterday")
        listener.stop()
    assert "nowhere to go" in (tmp_path / "logs" / "app_20261120.log").read_text("utf-8")


def test_the_old_log_is_continued(tmp_path: Path) -> None:
    for word in ("first", "second"):
        listener = written(tmp_path)
        logging.getLogger("kfbot").info(word)
        listener.stop()
    assert [line.split()[-1] for line in lines(tmp_path)] == ["first", "second"]


def test_what_the_log_says_is_for_nobody_else(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        written(tmp_path / "logs").stop()
    finally:
        os.umask(before)
    (file,) = (tmp_path / "logs").iterdir()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_files_that_everybody_can_read_are_told_of_whatever_the_level(tmp_path: Path) -> None:
    listener = written(tmp_path, level="ERROR")
    log.expose([Path("/etc/kfbot/settings.yaml")])
    listener.stop()
    (line,) = lines(tmp_path)
    assert "CRITICAL" in line and "chmod 600 /etc/kfbot/settings.yaml" in line


def test_a_folder_that_cannot_be_made_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        written(tmp_path / "file")


@pytest.mark.parametrize("json_lines", [False, True])
def test_one_event_a_line_whatever_it_says(tmp_path: Path, json_lines: bool) -> None:
    listener = written(tmp_path, json_lines=json_lines)
    logging.getLogger("kfbot").info("a customer wrote: %s", f"1\n2026-01-01 ERROR fake\r{OBEYED}x")
    try:
        raise ValueError("line one\nline two")
    except ValueError:
        logging.getLogger("kfbot").exception("failed")
    listener.stop()
    (file,) = tmp_path.iterdir()
    assert len(file.read_text("utf-8").split("\n")) == 3
    assert not set(OBEYED) & set(file.read_text("utf-8"))
    assert "Traceback" in lines(tmp_path)[-1]


def test_json_lines(tmp_path: Path) -> None:
    listener = written(tmp_path, json_lines=True)
    logging.getLogger("kfbot.sync").warning("❌ 结束会话失败 | errcode=%d", 95016)
    structlog.get_logger("kfbot.group").info("down", why="x", redial_in=1.5)
    listener.stop()
    first, second = (json.loads(line) for line in lines(tmp_path))
    assert (first["level"], first["logger"], first["event"]) == ("warning", "sync", "❌ 结束会话失败 | errcode=95016")
    assert (second["why"], second["redial_in"]) == ("x", 1.5)
    assert "结束会话" in lines(tmp_path)[0]


# -- secrets


@pytest.mark.parametrize("json_lines", [False, True])
@pytest.mark.parametrize(
    "leak",
    [
        f"secret is {SECRET}",
        "GET /cgi-bin/kf/sync_msg?access_token=TOKEN-abc_123&debug=1",
        "GET /cgi-bin/gettoken?corpid=ww1&corpsecret=TOKEN-abc_123",
        "POST https://qyapi/cgi-bin/webhook/send?key=TOKEN-abc_123",
        "POST https://qyapi/cgi-bin/aibot/response?response_code=TOKEN-abc_123 HTTP/1.1",
        """{'errcode': 0, 'access_token': 'TOKEN-abc_123'}""",
        '{"access_token":"TOKEN-abc_123","expires_in":7200}',
        '"{\\"access_token\\":\\"TOKEN-abc_123\\"}"',
        "Authorization: Bearer TOKEN-abc_123",
        "page https://bot.example/h/TOKEN-abc_123?x=1",
    ],
)
def test_nothing_secret_is_written(tmp_path: Path, leak: str, json_lines: bool) -> None:
    listener = written(tmp_path, json_lines=json_lines)
    logging.getLogger("kfbot").info("%s", leak)
    logging.getLogger("kfbot").info("in data", extra={"leak": leak})
    structlog.get_logger("kfbot").info("in data", leak={"a": [leak]}, error=RuntimeError(leak))
    try:
        raise RuntimeError(leak)
    except RuntimeError:
        logging.getLogger("kfbot").exception("in a traceback")
        structlog.get_logger("kfbot").exception("in a traceback")
    listener.stop()
    text = "\n".join(lines(tmp_path))
    assert len(lines(tmp_path)) == 5
    assert SECRET not in text
    assert "TOKEN-abc_123" not in text
    assert log.BLACK in text


def test_a_secret_in_an_address_is_found_in_its_encoded_form(tmp_path: Path) -> None:
    listener = written(tmp_path, secrets=("pass/word+1=",))
    logging.getLogger("kfbot").info("GET /x?p=pass%2Fword%2B1%3D and pass/word+1=")
    listener.stop()
    assert "word" not in lines(tmp_path)[0]


def test_what_people_grep_for_is_left_alone(tmp_path: Path) -> None:
    said = "❌ 结束会话失败 | outcome=failed errcode=95016 key=end:12 code=7 monkey=1 | secret=no"
    listener = written(tmp_path, secrets=("", "abc"))
    logging.getLogger("kfbot").info(said)
    listener.stop()
    assert lines(tmp_path)[0].endswith(said)


def test_the_seeds_grep_finds_its_lines(tmp_path: Path) -> None:
    said = [
        "📊 当前会话状态: 人工接待中 (state=3) | 接待人: ZhangSuQuan",
        "🔄 尝试自动结束会话，让用户重新发送消息以创建新会话...",
        "✅ 成功结束会话！用户重新发送消息将创建新会话",
        "❌ 结束会话失败 | errcode=95016",
        "sync | 3 items",
    ]
    listener = written(tmp_path)
    for each in said:
        logging.getLogger("kfbot").info(each)
    listener.stop()
    found = subprocess.run(
        ["grep", "-E", GREP, *map(str, tmp_path.iterdir())],
        capture_output=True,
        check=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert [line.partition(" | ")[2] for line in found.stdout.decode().splitlines()] == said[:4]


# -- where it goes


def test_stdout_too_unless_told_otherwise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listener = log.start(tmp_path, "INFO", False, [])
    logging.getLogger("kfbot").info("to both")
    listener.stop()
    assert "to both" in capsys.readouterr().out
    assert "to both" in lines(tmp_path)[0]


def test_nothing_reaches_stdout_when_a_document_is_printed_there(capsys: pytest.CaptureFixture[str]) -> None:
    listener = log.start(None, "DEBUG", False, [], to_stdout=False)
    logging.getLogger("kfbot").error("an error")
    structlog.get_logger("kfbot").error("an error")
    listener.stop()
    assert capsys.readouterr().out == ""


def test_levels_hold_for_both_loggers(tmp_path: Path) -> None:
    listener = written(tmp_path, level="WARNING")
    for logger in (logging.getLogger("kfbot"), structlog.get_logger("kfbot")):
        logger.info("quiet")
        logger.warning("loud")
    listener.stop()
    assert [line.split()[-1] for line in lines(tmp_path)] == ["loud", "loud"]


def test_stopping_leaves_logging_as_it_was(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    written(tmp_path).stop()
    assert (root.handlers[:], root.level) == before
