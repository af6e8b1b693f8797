"""The unit file agrees with the program on how it ends."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

import pytest

from bot.app import LEAVE
from bot.cli import WRONG_USE
from bot.watchdog import STUCK

UNIT = Path(__file__).parents[2] / "deploy" / "kfbot.service"


@pytest.fixture
def service() -> dict[str, str]:
    parser = ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    parser.read(UNIT, "utf-8")
    return dict(parser["Service"])


def test_it_is_not_killed_before_it_has_had_its_time(service: dict[str, str]) -> None:
    assert LEAVE < 10 < int(service["TimeoutStopSec"])


def test_it_comes_back_from_whatever_another_start_may_mend(service: dict[str, str]) -> None:
    assert service["Restart"] == "always"
    kept_down = {int(code) for code in service["RestartPreventExitStatus"].split()}
    assert kept_down == {WRONG_USE}
    assert STUCK not in kept_down


def test_what_it_writes_is_what_it_may_write(service: dict[str, str]) -> None:
    """As settings.yaml is shipped: below its folder."""
    home = service["WorkingDirectory"]
    assert service["ReadWritePaths"].split() == [f"{home}/data", f"{home}/logs"]
