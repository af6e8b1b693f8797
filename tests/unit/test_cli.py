"""Verbs, exit codes, where words go. What the verbs do stands in tests/scenario."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot import cli

ROOT = Path(__file__).parents[2]
VERBS = sorted(cli.cli.commands)
FIVE_MISTAKES = "lang: fr\nserver: {port: 99999}\nkf: {poll: 90}\nstorage: {url: postgres://x}\nwatch: {tik: 15s}\n"
READY = "wecom: {corp_id: ww1, secret: sss, api_base: 'http://127.0.0.1:9'}\nserver: {host: 127.0.0.1, port: 0}\n"

Main = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.upper().startswith("KFBOT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Main:
    """`bot.py` in this process: exit code, stdout, stderr."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bot.py", *words])
        with pytest.raises(SystemExit) as left:
            cli.main()
        said = capsys.readouterr()
        code = left.value.code
        assert isinstance(code, int)
        return code, said.out, said.err

    return run


@contextmanager
def started(*words: str) -> Iterator[subprocess.Popen[str]]:
    """`bot.py` in a process of its own; killed if the test leaves it running."""
    command = [sys.executable, str(ROOT / "bot.py"), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def until(process: subprocess.Popen[str], words: str) -> None:
    """Reads stdout up to the line with these words."""
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return
    raise AssertionError(f"never said {words!r}: {process.stderr.read() if process.stderr else ''}")


# -- help and wrong use


@pytest.mark.parametrize("verb", ["", *VERBS])
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_verb_has_help_and_settings(main: Main, verb: str, flag: str) -> None:
    code, out, err = main(*filter(None, [verb, flag]))
    assert (code, err) == (0, "")
    assert "--settings" in out
    assert out.startswith("Usage: bot.py")


@pytest.mark.parametrize("verb", ["check", "end", "status", "audit"])
def test_what_scripts_use_has_json(main: Main, verb: str) -> None:
    assert "--json" in main(verb, "--help")[1]


@pytest.mark.parametrize(
    "words",
    [
        ["ned"],
        ["--nope"],
        ["end"],
        ["end", "--json"],
        ["end", "wm1", "wm2"],
        ["end", "wm1", "--kf"],
        ["check", "extra"],
        ["status", "--jsn"],
        ["demo", "--port", "http"],
        ["sandbox", "--port", "99999"],
        ["run", "--settings"],
        ["export", "sessions"],
        ["export", "--format", "xlsx"],
        ["backup", "extra"],
        ["forget"],
        ["forget", "12"],
        ["forget", "wm7l…OUPw"],
    ],
)
def test_wrong_use_prints_usage_to_stderr(main: Main, words: list[str]) -> None:
    code, out, err = main(*words)
    assert (code, out) == (2, "")
    assert err.startswith("Usage: bot.py")


# -- settings


@pytest.mark.parametrize(
    "verb",
    [
        [],
        ["run"],
        ["check", "--json"],
        ["end", "wm1", "--json"],
        ["status", "--json"],
        ["export"],
        ["backup"],
        ["forget", "wm1234"],
    ],
)
def test_five_mistakes_are_five_lines_and_nothing_is_started(main: Main, tmp_path: Path, verb: list[str]) -> None:
    Path("settings.yaml").write_text(FIVE_MISTAKES)
    code, out, err = main(*verb)
    assert (code, out) == (2, "")
    keys = [line.partition(":")[0] for line in err.splitlines()]
    assert sorted(keys) == ["kf.poll", "lang", "server.port", "storage.url", "watch.tik"]
    assert [each.name for each in tmp_path.iterdir()] == ["settings.yaml"]


@pytest.mark.parametrize("verb", [[], ["run"], ["end", "wm1"]])
def test_what_a_run_needs_is_told_before_anything_is_started(main: Main, tmp_path: Path, verb: list[str]) -> None:
    Path("settings.yaml").write_text("callback: {token: abc}\n")
    code, out, err = main(*verb)
    assert (code, out) == (2, "")
    keys = [line.partition(":")[0] for line in err.splitlines()]
    assert keys == ["wecom.corp_id", "wecom.secret", "callback.encoding_aes_key"]
    assert [each.name for each in tmp_path.iterdir()] == ["settings.yaml"]


def test_a_channel_that_is_only_a_file_leaves_nothing_behind(main: Main, tmp_path: Path) -> None:
    Path("settings.yaml").write_text(READY + "group: {channel: mention}\n")
    code, _, err = main("run")
    assert code == 2
    assert err.startswith("group.channel: ")
    assert [each.name for each in tmp_path.iterdir()] == ["settings.yaml"]


@pytest.mark.parametrize("verb", [["status"], ["check"], ["end", "wm1"], ["export"], ["run"], []])
def test_the_file_may_be_named_before_or_after_the_verb(main: Main, verb: list[str]) -> None:
    Path("other.yaml").write_text("lang: fr")
    named = ["--settings", "other.yaml"]
    for words in ([*named, *verb], [*verb, *named]):
        assert main(*words)[2].startswith("lang: ")


@pytest.fixture
def taken() -> Iterator[str]:
    """A port that somebody has."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield str(other.getsockname()[1])


@pytest.mark.parametrize("verb", ["demo", "sandbox"])
def test_demo_and_sandbox_read_no_file_unless_named(main: Main, taken: str, verb: str) -> None:
    """And what is named before they ask for a port."""
    Path("other.yaml").write_text("lang: fr")
    assert main(verb, "--port", taken, "--settings", "other.yaml")[2].startswith("lang: ")
    assert main("--settings", "other.yaml", verb, "--port", taken)[2].startswith("lang: ")


@pytest.mark.parametrize("words", [["demo"], ["demo", "--script"], ["sandbox"]])
def test_a_page_whose_port_is_in_use_names_the_option(main: Main, taken: str, words: list[str]) -> None:
    Path("mine.yaml").write_text("lang: en\n")
    code, out, err = main(*words, "--port", taken, "--settings", "mine.yaml")
    assert (code, out) == (1, "")
    assert err.startswith(f"kfbot: cannot listen on 127.0.0.1:{taken} (Address already in use)")
    assert "--port" in err and err.count("\n") == 1


def test_the_sandbox_says_how_to_go_on() -> None:
    with started("sandbox", "--port", "0") as process:
        until(process, "chmod 600 sandbox.yaml")
        until(process, "bot.py --settings sandbox.yaml")
        until(process, "--callback http://127.0.0.1:8080/callback/kf")


def test_a_file_that_is_not_there(main: Main) -> None:
    code, out, err = main("status")
    assert (code, out) == (2, "")
    assert err == "settings.yaml: no such file; name it with --settings PATH\n"


def test_a_folder_that_cannot_be_written_is_told_in_a_line(main: Main) -> None:
    Path("settings.yaml").write_text(READY + "log: {dir: settings.yaml}\n")
    code, _, err = main("run")
    assert code == 1
    assert re.fullmatch(r"kfbot: .*settings\.yaml.*\n", err)


# -- life


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_bot_runs_without_a_verb_and_ends_cleanly(number: signal.Signals) -> None:
    Path("mine.yaml").write_text(READY)
    with started("--settings", "mine.yaml") as bot:
        until(bot, "listening")
        bot.send_signal(number)
        _, err = bot.communicate(timeout=60)
    assert (bot.returncode, err) == (0, "")


@pytest.mark.parametrize(
    ("words", "says"),
    [(["sandbox"], "WeCom sandbox"), (["demo"], "kfbot demo"), (["demo", "--script"], "kfbot demo")],
)
def test_demo_and_sandbox_end_cleanly(words: list[str], says: str) -> None:
    with started(*words, "--port", "0") as process:
        until(process, says)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


def test_a_port_in_use_is_told_in_a_line() -> None:
    Path("mine.yaml").write_text(READY)
    with started("--settings", "mine.yaml") as bot:
        assert bot.stdout is not None
        port = next(found[1] for line in bot.stdout if (found := re.search(r"http://127.0.0.1:(\d+)", line)))
        Path("same.yaml").write_text(READY.replace("port: 0", f"port: {port}") + "storage: {url: 'sqlite:///b.db'}\n")
        with started("--settings", "same.yaml") as second:
            _, err = second.communicate(timeout=60)
    assert second.returncode == 1
    assert "Traceback" not in err
    assert port in err


def test_a_terminal_without_chinese_gets_question_marks() -> None:
    Path("settings.yaml").write_text("")
    done = subprocess.run(
        [sys.executable, str(ROOT / "bot.py"), "status", "--json"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr


def test_help_does_not_wait_for_what_it_does_not_use() -> None:
    """A guard for start-up: none of these is needed to say what there is."""
    code = "import sys, bot.cli; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    heavy = {"aiohttp", "pydantic", "yaml", "asyncio", "sqlite3", "rich", "structlog", "bot.settings", "matplotlib"}
    assert heavy & set(loaded.split()) == set()
