"""The five rules about imports, held by walking them. The only test about layout."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

HOMES = {
    "wechatpy": ("bot/wecom/",),
    "apscheduler": ("bot/scheduler.py",),
    "matplotlib": ("bot/chart.py",),
    "zhplot": ("bot/chart.py",),
    "sqlite_utils": ("storage/",),
    "sqlite3": ("storage/",),
    "xmltodict": ("bot/wecom/",),
    "prometheus_client": ("bot/metrics.py",),
    "jwt": ("bot/tokens.py",),
    "pydantic": ("bot/settings.py", "bot/settings_file.py"),
    "pydantic_settings": ("bot/settings.py", "bot/settings_file.py"),
    "click": (
        "bot/cli.py",
        "bot/end_script.py",
        "bot/status_script.py",
        "bot/export_script.py",
        "bot/audit_script.py",
        "bot/backup_script.py",
        "bot/forget_script.py",
        "bot/check.py",
        "bot/demo.py",
    ),
    "aiohttp": ("bot/http.py", "bot/channels/", "bot/server.py", "bot/app.py", "bot/web/", "bot/sandbox/"),
}
VALUES = {
    "bot.model",
    "bot.errors",
    "bot.states",
    "bot.sessions",
    "bot.ending",
    "bot.faults",
    "bot.phrases",
    "bot.hours",
}


def _files() -> Iterator[Path]:
    for folder in ("bot", "commands", "storage"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def _imports(file: Path) -> set[str]:
    """Absolute module names, `from x import y` as x and x.y; relative ones resolved."""
    package = file.relative_to(ROOT).with_suffix("").parts[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            found.add(module)
            found.update(f"{module}.{alias.name}" for alias in node.names)
    return found


def _ours(file: Path) -> set[str]:
    known = {_name(each) for each in _files()}
    return _imports(file) & known


def _name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("file", sorted((ROOT / "commands").glob("[a-z]*.py")), ids=lambda file: file.stem)
def test_a_command_sees_only_registry_model_and_errors(file: Path) -> None:
    assert _ours(file) <= {"bot", "bot.registry", "bot.model", "bot.errors"}


def test_storage_and_wecom_meet_in_app_alone() -> None:
    for file in _files():
        name, seen = _name(file), _ours(file)
        if name.startswith("storage"):
            assert not any(each.startswith(("bot.wecom", "bot.channels", "bot.app")) for each in seen), name
        elif name not in (
            "bot.app",
            "bot.core",
            "bot.status_script",
            "bot.export_script",
            "bot.audit_script",
            "bot.backup_script",
            "bot.forget_script",
            "bot.check",
        ):
            assert not any(each.startswith("storage") for each in seen), name


def test_each_outside_library_has_one_home() -> None:
    for file in _files():
        place = file.relative_to(ROOT).as_posix()
        for library in {each.partition(".")[0] for each in _imports(file)} & set(HOMES):
            assert place.startswith(HOMES[library]), f"{place} imports {library}"


def test_the_sandbox_stands_on_the_other_side_of_the_wire() -> None:
    for file in (ROOT / "bot" / "sandbox").rglob("*.py"):
        outside = {each for each in _ours(file) if not each.startswith("bot.sandbox")} - {"bot"}
        assert not outside, f"{_name(file)} imports {outside}"


def test_values_need_only_the_standard_library_and_each_other() -> None:
    for file in _files():
        if _name(file) in VALUES:
            assert _ours(file) - {"bot"} <= VALUES, _name(file)
