"""Commands as they declare themselves, and finding them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Literal

import pytest

import commands
from bot.discovery import discover
from bot.errors import KfbotError
from bot.registry import Command, CommandName, Context, Registry, Rest, Role, Target, command, unknown
from bot.wecom.errcodes import meaning_of
from bot.wording import Words

ZH, EN = Words("zh", "kfbot", meaning_of), Words("en", "kfbot", meaning_of)


async def every_kind(
    ctx: Context,
    customer: Target,
    kind: Literal["", "waiting", "human"] = "",
    page: int = 1,
    name: str = "",
    code: CommandName = CommandName(""),  # noqa: B008
    reason: Rest = Rest(""),  # noqa: B008
) -> str:
    """First line.

    More."""
    return ""


async def plain(ctx: Context) -> str:
    """Plain"""
    return ""


def named(name: str, *aliases: str, role: Role = Role.VIEWER) -> Command:
    return command(name, *aliases, role=role)(plain)


def from_file(folder: Path, name: str, source: str) -> Command:
    file = folder / f"{name}.py"
    file.write_text(f"from bot.registry import Context, command\n{source}", "utf-8")
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    [found] = [value for value in vars(module).values() if isinstance(value, Command)]
    return found


def test_the_signature_is_the_grammar() -> None:
    found = command("every", "每种")(every_kind)
    kinds = [(each.name, each.kind, each.required, each.choices) for each in found.parameters]
    assert kinds == [
        ("customer", "target", True, ()),
        ("kind", "choice", False, ("waiting", "human")),
        ("page", "number", False, ()),
        ("name", "word", False, ()),
        ("code", "command", False, ()),
        ("reason", "rest", False, ()),
    ]
    assert found.usage(ZH) == "/every 客户 [等待|人工] [页码] [命令] [配对码] [原因]"
    assert found.usage(EN) == "/every customer [waiting|human] [page] [command] [CODE] [reason]"
    assert found.help(EN) == "First line."


def test_a_command_without_wording_of_its_own_still_has_help_and_usage() -> None:
    async def novel(ctx: Context, something: str) -> str:
        """Do something new"""
        return something

    found = command("novel")(novel)
    assert found.help(ZH) == "Do something new"
    assert found.usage(ZH) == "/novel something"


def test_a_command_without_help_is_refused() -> None:
    async def silent(ctx: Context) -> str:
        return ""

    with pytest.raises(TypeError, match="command silent: the first docstring line"):
        command("silent")(silent)


def test_a_parameter_of_no_known_kind_is_refused() -> None:
    async def odd(ctx: Context, when: float) -> str:
        """Odd"""
        return str(when)

    async def bare(ctx, what):  # type: ignore[no-untyped-def]
        """Bare"""

    with pytest.raises(TypeError, match="command odd: parameter when"):
        command("odd")(odd)
    with pytest.raises(TypeError, match="command bare: parameter what"):
        command("bare")(bare)


def test_nothing_can_stand_behind_the_rest() -> None:
    async def greedy(ctx: Context, reason: Rest, page: int = 1) -> str:
        """Greedy"""
        return f"{reason}{page}"

    with pytest.raises(TypeError, match="command greedy: nothing can stand behind reason"):
        command("greedy")(greedy)


@pytest.mark.parametrize("other", ['command("END")', 'command("stop", "End")', 'command("stop", "结束")'])
def test_a_clash_of_names_fails_and_names_both_files(tmp_path: Path, other: str) -> None:
    body = 'async def run(ctx: Context) -> str:\n    """Run"""\n    return ""\n'
    first = from_file(tmp_path, "first", f'@command("end", "结束")\n{body}')
    second = from_file(tmp_path, "second", f"@{other}\n{body}")
    with pytest.raises(KfbotError) as caught:
        Registry([first, second])
    assert str(tmp_path / "first.py") in str(caught.value) and str(tmp_path / "second.py") in str(caught.value)


def test_names_and_aliases_are_found_case_blind() -> None:
    registry = Registry([named("Status", "状态", "ST")])
    for word in ("status", "STATUS", "状态", "st"):
        found = registry.find(word)
        assert found is not None and found.name == "Status"
    assert registry.find("stat") is None


def test_a_name_of_two_words_is_another_than_its_first() -> None:
    registry = Registry([named("end", "结束"), named("end all", "结束 全部", "结束全部")])
    for word in ("end all", "END All", "结束 全部", "结束全部"):
        found = registry.find(word)
        assert found is not None and found.name == "end all"
    assert registry.find("all") is None
    with pytest.raises(KfbotError, match="two commands are called end all"):
        Registry([named("end all"), named("stop", "End All")])


def test_commands_for_everywhere_come_last() -> None:
    names = [each.name for each in Registry(discover(commands, Command))]
    assert names[-3:] == ["bind", "help", "whoami"]
    assert names[:-3] == sorted(names[:-3])


def test_what_is_near_is_named_once_and_by_the_word_it_is_near_to() -> None:
    usable = [named("status", "状态", "st"), named("stats", "统计")]
    assert unknown("statu", usable, EN) == "There is no command /statu.\nDid you mean: `/status` `/stats`"
    assert unknown("状况", usable, ZH) == "没有 /状况 这个命令。\n您是不是想用：`/状态`"
    assert unknown("xyz", usable, EN) == "There is no command /xyz.\nSend /help to see all commands."


def test_the_shipped_commands_have_the_promised_aliases() -> None:
    registry = Registry(discover(commands, Command))
    aliases: dict[str, Any] = {"帮助": "help", "状态": "status", "列表": "list", "结束": "end"}
    aliases |= {"记录": "history", "我是谁": "whoami", "绑定": "bind", "转接": "transfer", "接待": "servicers"}
    aliases |= {"结束 全部": "end all", "结束全部": "end all", "确认": "confirm"}
    aliases |= {"跟进": "ack", "稍后": "snooze", "统计": "stats"}
    for alias, name in aliases.items():
        found = registry.find(alias)
        assert found is not None and found.name == name
    agents = {each.name for each in registry if each.role >= Role.AGENT}
    assert agents >= {"end", "end all", "confirm", "transfer", "ack", "snooze"}
    assert not agents & {"help", "status", "list", "history", "stats", "servicers", "whoami", "bind"}
