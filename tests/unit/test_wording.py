"""Both languages say the same, every key is used, and what people typed can format nothing."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

import commands
from bot.discovery import discover
from bot.errors import WeComError, WeComUnavailable
from bot.model import Handoff, HandoffStatus, OperatorType, ServiceState, Via
from bot.registry import Command, Role
from bot.wecom.errcodes import meaning_of
from bot.wording import STATE_NAMES, TEXT, Words, plain, short_id

ROOT = Path(__file__).parents[2]
ZH, EN = Words("zh", "kfbot", meaning_of), Words("en", "kfbot", meaning_of)
SPEAKING = ("say", "_say")


def _sources() -> Iterator[tuple[Path, ast.Module]]:
    for folder in ("bot", "commands"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            yield file, ast.parse(file.read_text("utf-8"))


def _on_pages() -> Iterator[tuple[str, str]]:
    """(file, key pattern) of each text that the pages' scripts and markup name; `customer.js` is none."""
    for file in sorted((ROOT / "bot" / "web" / "static").glob("*.*")):
        if file.suffix in (".js", ".html") and ".min." not in file.name:
            for key in re.findall(
                r"""['"`]((?:page|customer|console)\.(?!js|css)[^'"`\s]+)['"`]""", file.read_text("utf-8")
            ):
                yield file.name, ".*".join(map(re.escape, re.split(r"\$\{[^}]*\}", key)))


def _pattern(node: ast.JoinedStr) -> str:
    parts = (re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".*" for part in node.values)
    return "".join(parts)


def _strings(tree: ast.Module, *, own: bool) -> Iterator[str]:
    """Every string of the source as a pattern; `own`: the wording itself, whose table does not use its own keys."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict) and own:
            for key in node.keys:
                if isinstance(key, ast.Constant):
                    key.value = ""
        if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
            yield _pattern(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.escape(node.value)


def _said() -> Iterator[tuple[str, str]]:
    """(where, key pattern) of each `say("…")` and `….say("…")`; the key is the one positional argument."""
    for file, tree in _sources():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or len(node.args) != 1:
                continue
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            for key in (
                _keys(node.args[0]) if name in SPEAKING or (name == "self" and file.name == "wording.py") else ()
            ):
                yield f"{file.relative_to(ROOT)}:{node.lineno}", key


def _keys(argument: ast.expr) -> Iterator[str]:
    match argument:
        case ast.Constant(value=str(key)):
            yield re.escape(key)
        case ast.JoinedStr():
            yield _pattern(argument)
        case ast.IfExp():
            yield from _keys(argument.body)
            yield from _keys(argument.orelse)


def _places(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


@pytest.mark.parametrize("key", TEXT)
def test_both_languages_have_the_same_places_to_fill(key: str) -> None:
    zh, en = TEXT[key]
    assert _places(zh) == _places(en)
    assert zh.strip() and en.strip()


def test_every_key_that_is_said_exists() -> None:
    said = [*_said(), *_on_pages()]
    missing = [(where, key) for where, key in said if not any(re.fullmatch(key, each) for each in TEXT)]
    assert missing == []


def test_no_key_is_unused() -> None:
    used = {key for file, tree in _sources() for key in _strings(tree, own=file.name == "wording.py")}
    used |= {key for _, key in _on_pages()}
    used |= {re.escape(f"help.{each.name}") for each in discover(commands, Command)}
    whole = re.compile("|".join(f"(?:{key})" for key in used if key not in (".*", "")))
    assert [key for key in TEXT if not whole.fullmatch(key)] == []


def test_every_command_parameter_and_choice_has_words() -> None:
    for each in discover(commands, Command):
        assert f"help.{each.name}" in TEXT
        assert each.help(EN) == TEXT[f"help.{each.name}"][1]
        for parameter in each.parameters:
            assert parameter.choices or f"parameter.{parameter.name}" in TEXT
            assert all(f"choice.{choice}" in TEXT for choice in parameter.choices)


def test_every_value_that_names_a_key_has_words() -> None:
    keys = [f"role.{role.value}" for role in Role] + [f"status.{status}" for status in HandoffStatus]
    ends = set(Via) - {Via.EVENT, Via.MESSAGE, Via.STATE}  # those begin a handoff, they never end one
    keys += [f"via.{via}" for via in ends] + [f"by.{who}" for who in OperatorType if who is not OperatorType.AGENT]
    assert [key for key in keys if key not in TEXT] == []
    assert set(STATE_NAMES) == set(ServiceState)


@pytest.mark.parametrize(
    ("seconds", "zh", "en"),
    [
        (-5, "0 秒", "0 s"),
        (59.9, "59 秒", "59 s"),
        (60, "1 分钟", "1 min"),
        (3599, "59 分钟", "59 min"),
        (3600, "1 小时", "1 h"),
        (3660, "1 小时 1 分钟", "1 h 1 min"),
        (86399, "23 小时 59 分钟", "23 h 59 min"),
        (86400, "1 天", "1 d"),
        (90000, "1 天 1 小时", "1 d 1 h"),
    ],
)
def test_amounts_of_time(seconds: float, zh: str, en: str) -> None:
    assert (ZH.lasted(seconds), EN.lasted(seconds)) == (zh, en)


def test_a_time_of_today_has_no_date() -> None:
    noon = 1_795_000_000.0
    assert re.fullmatch(r"\d\d:\d\d", ZH.when(noon, noon))
    assert re.fullmatch(r"\d\d-\d\d \d\d:\d\d", ZH.when(noon - 86400 * 2, noon))


def test_times_are_told_in_the_zone_that_was_set() -> None:
    at = datetime(2026, 11, 18, 16, 30, tzinfo=UTC).timestamp()
    shanghai = Words("zh", "kfbot", meaning_of, ZoneInfo("Asia/Shanghai"))
    assert shanghai.when(at, at) == "00:30"
    assert shanghai.when(at - 3600, at) == "11-18 23:30"
    assert Words("zh", "kfbot", meaning_of, UTC).when(at, at) == "16:30"


def test_an_error_of_wecom_has_code_meaning_and_remedy() -> None:
    error = WeComError(95016, "errmsg with **marks**", "kf/service_state/trans")
    assert ZH.error(error).startswith("企业微信返回 95016：") and "**" not in ZH.error(error)
    said, remedy = EN.error(error).split(". ", 1)
    assert said.startswith("WeCom says 95016: ") and remedy[0].isupper()


def test_silence_of_wecom_has_no_code() -> None:
    silent = WeComUnavailable("kf/service_state/get", "timed out")
    assert ZH.error(silent).startswith("企业微信没有应答。") and "-2" not in ZH.error(silent)
    assert EN.error(silent).startswith("WeCom does not answer. Check")


def test_a_code_that_nobody_knows_is_told_too() -> None:
    assert "95099" in ZH.error(WeComError(95099, "?", "x"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<@all>", "＜＠all＞"),
        ("[点我](http://evil)", "［点我］(http：//evil)"),
        ("**x** _y_ ~z~ `w` # | \\", "＊＊x＊＊ ＿y＿ ～z～ ˋwˋ ＃ ｜ ＼"),
        ("&lt;b&gt;", "＆lt;b＆gt;"),
        ("one\ntwo\r\n\tthree", "one two three"),
        ("a\u202eb\u2066c\u061cd\ufeff", "a b c d"),
        ("half \ud83d pair", "half   pair"),
        ("👨‍👩‍👧 & co", "👨‍👩‍👧 ＆ co"),
        ("  padded  ", "padded"),
    ],
)
def test_words_of_people_are_shown_as_words(text: str, shown: str) -> None:
    assert plain(text) == shown


@given(st.text())
def test_any_words_stay_one_short_line_without_marks(text: str) -> None:
    shown = plain(text, 20)
    assert len(shown) <= 20
    assert not set(shown) & set("<>[]*`_@\\|~#&\n\r")
    shown.encode()


def test_ids_are_short_enough_for_a_phone() -> None:
    assert short_id("wm7lKAAnnaaaaaaaaaaaaaaaaaaaOUPw") == "wm7lKA…OUPw"
    assert short_id("wmShort") == "wmShort"


def test_who_is_shown_by_name_number_and_id() -> None:
    handoff = Handoff(12, "ww", "wk", "wm7lKAAnnaaaaaaaaaaaaaaaaaaaOUPw", HandoffStatus.ACCEPTED, None, 0.0)
    assert ZH.who(handoff, handoff.external_userid, "小*林") == "**小＊林** #12 `wm7lKA…OUPw`"
    assert ZH.who(None, handoff.external_userid) == "`wm7lKA…OUPw`"
