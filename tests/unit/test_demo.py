"""What the demo takes from a user's settings, and the time it lives in."""

from __future__ import annotations

import os
import time
from datetime import datetime
from pathlib import Path

import pytest

from bot.demo import afternoon, demo_settings
from bot.sandbox import SCRIPT_MINUTES, Sandbox, SandboxConfig
from bot.settings import Settings
from bot.settings_file import load

CONFIG = SandboxConfig()


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.upper().startswith("KFBOT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def written(text: str) -> Path:
    path = Path("mine.yaml")
    path.write_text(text, "utf-8")
    return path


async def settled(path: Path) -> Settings:
    async with Sandbox(CONFIG, seed=True).serve() as sandbox:
        return demo_settings(CONFIG, sandbox, Path("data"), 1234, path)


async def test_the_users_rules_count_but_nobody_waits_for_a_tick() -> None:
    rules = "{customer_waiting: {after: 7m}, human_open: off}"
    settings = await settled(written(f"lang: en\nwatch: {{tick: 10m, rules: {rules}}}\n"))
    assert (settings.lang, settings.watch.tick) == ("en", 1.0)
    assert settings.watch.rules.customer_waiting is not None
    assert settings.watch.rules.customer_waiting.after == 420.0
    assert settings.watch.rules.human_open is None


@pytest.mark.parametrize(
    ("text", "due"), [("", "18:00"), ("report: {at: '09:30'}", "09:30"), ("report: {at: ''}", "18:00")]
)
def test_the_script_ends_when_the_report_is_due(text: str, due: str) -> None:
    settings = load(written(f"{text}\ntimezone: Asia/Shanghai\n"))
    now = afternoon(settings)
    closing = datetime.fromtimestamp(now() + SCRIPT_MINUTES * 60, settings.zone)
    assert f"{closing:%H:%M}" == due
    assert abs(now() - time.time()) < 86400
