"""The generated parts of the documents: `python -m tests.docs` names the stale ones, `--write` renews them.

A part stands between `<!-- begin:NAME -->` and `<!-- end:NAME -->`; everything else is written by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import yaml
from pydantic import BaseModel

import commands
from bot.cli import cli as cli
from bot.discovery import discover
from bot.registry import Command, Registry
from bot.settings import Rule, Settings
from bot.wecom.errcodes import MEANINGS, UNAVAILABLE, meaning_of
from bot.wording import Words

ROOT = Path(__file__).parents[1]
DOCUMENTS = {"README.md": "en", "README.zh-CN.md": "zh", "docs/cli.md": "en"}
WORDS: dict[str, Any] = yaml.safe_load((ROOT / "docs/words.yaml").read_text("utf-8"))

# What an operator may meet; the other codes concern calls that kfbot does not make.
CODES = (UNAVAILABLE, -1, 40001, 40013, 40096, 45009, 48002, 48007, 50003, 60011, 60020, 95000, 95004, 95011, 95012,
         95013, 95014, 95016, 95017, 95018, 95019, 95023)  # fmt: skip
PLANNED = {"en": "*(planned)* ", "zh": "*（后续版本）* "}


def render(document: str) -> str:
    """The document with its generated parts renewed."""
    lang = DOCUMENTS[document]

    def part(found: re.Match[str]) -> str:
        begin, name, end = found.groups()
        return f"{begin}\n{PARTS[name](lang)}\n\n{end}"

    text = (ROOT / document).read_text("utf-8")
    return re.sub(r"(<!-- begin:(\w+) -->\n).*?(<!-- end:\2 -->)", part, text, flags=re.DOTALL)


# -- the parts


def command_table(lang: str) -> str:
    say = Words(lang, "kfbot", meaning_of)
    everyone, *head = {
        "en": ("everyone in the group", "Command", "Also", "Who", "What it does"),
        "zh": ("群内所有人", "命令", "别名", "谁可以用", "作用"),
    }[lang]

    def who(each: Command) -> str:
        return say(f"role.{each.role.value}") if each.role else everyone

    return _table(head, (
        (_code(each.usage(say)), " ".join(_code(f"/{alias}") for alias in each.aliases), who(each), each.help(say))
        for each in Registry(discover(commands, Command))
    ))  # fmt: skip


def verb_table(lang: str) -> str:
    said: dict[str, str] = {name: verb.get_short_help_str(200) for name, verb in cli.commands.items()}
    said |= WORDS.get(lang, {}).get("verbs", {})
    head = {"en": ("Verb", "What it does"), "zh": ("动词", "作用")}[lang]
    return _table(head, ((_code(f"python bot.py {name}"), said[name]) for name in cli.commands))


def verb_help(lang: str) -> str:
    top = click.Context(cli, info_name="python bot.py", terminal_width=100, **cli.context_settings)
    pages = [f"```text\n{cli.get_help(top)}\n```"]
    for name, verb in cli.commands.items():
        context = click.Context(verb, info_name=name, parent=top, terminal_width=100)
        pages.append(f"## {name}\n\n```text\n{verb.get_help(context)}\n```")
    return "\n\n".join(pages)


def setting_table(lang: str) -> str:
    head = {"en": ("Key", "Default", "Meaning", "Environment"), "zh": ("配置项", "默认值", "含义", "环境变量")}[lang]
    shipped = shipped_settings()
    return _table(head, (
        (_code(key), _code(shipped[key][0]), _meaning(key, lang), _code(variable(key))) for key in settings_keys()
    ))  # fmt: skip


def error_table(lang: str) -> str:
    head = {"en": ("Code", "What it means", "What to do"), "zh": ("错误码", "含义", "怎么办")}[lang]
    first = 0 if lang == "zh" else 1
    rows = (((_code(str(code)) if code != UNAVAILABLE else "—"), MEANINGS[code]) for code in CODES)
    return _table(head, ((code, meaning[first], meaning[first + 2]) for code, meaning in rows))


PARTS: dict[str, Callable[[str], str]] = {
    "commands": command_table,
    "verbs": verb_table,
    "cli": verb_help,
    "settings": setting_table,
    "errors": error_table,
}

# -- settings: keys and defaults from the model and from the file


def settings_defaults(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, default) of every leaf; a rule of `watch` is one leaf."""
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        default = field.get_default(call_default_factory=True, validated_data={})
        if isinstance(default, BaseModel) and not isinstance(default, Rule):
            yield from settings_defaults(type(default), f"{key}.")
        else:
            yield key, default


def settings_keys() -> list[str]:
    return [key for key, _ in settings_defaults()]


def shipped_settings() -> dict[str, tuple[str, str]]:
    """Key → (value as written, comment) for every leaf of settings.yaml."""
    text = (ROOT / "settings.yaml").read_text("utf-8")
    sections = {key.rpartition(".")[0] for key in settings_keys()} - {""}
    sections |= {section.partition(".")[0] for section in sections}
    return dict(_leaves(yaml.compose(text), text, sections))


def variable(key: str) -> str:
    return f"KFBOT_{key.upper().replace('.', '__')}"


def is_planned(key: str) -> bool:
    return any(f"{key}.".startswith(f"{planned}.") for planned in WORDS["planned"])


def _leaves(node: Any, text: str, sections: set[str], prefix: str = "") -> Iterator[tuple[str, tuple[str, str]]]:
    for name, value in node.value:
        key = f"{prefix}{name.value}"
        if key in sections:
            yield from _leaves(value, text, sections, f"{key}.")
            continue
        comment = re.search(r"\s#\s+(.*)", text.splitlines()[name.start_mark.line])
        written = text[value.start_mark.index : value.end_mark.index]
        yield key, (written, comment[1] if comment else "")


def _meaning(key: str, lang: str) -> str:
    meaning = WORDS[lang]["settings"].get(key) or shipped_settings()[key][1]
    return f"{PLANNED[lang] if is_planned(key) else ''}{meaning}"


def _code(text: str) -> str:
    return f"`{text}`"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def main(write: bool) -> int:
    stale = [name for name in DOCUMENTS if render(name) != (ROOT / name).read_text("utf-8")]
    for name in stale:
        print(f"{'renewed' if write else 'stale'}: {name}")
        if write:
            (ROOT / name).write_text(render(name), "utf-8")
    return 0 if write else len(stale)


if __name__ == "__main__":
    raise SystemExit(main("--write" in sys.argv[1:]))
