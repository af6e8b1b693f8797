"""Fault points: nothing without the variable, and with it a death at the passing that it names."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from bench.children import ROOT
from bot import faults
from bot.faults import dies_at, point

PASSES = (
    "from bot.faults import point; [print(name, flush=True) or point(name) for name in ('a.a', 'b.b', 'a.a', 'c.c')]"
)


def _run(where: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, faults.VARIABLE: where}
    return subprocess.run([sys.executable, "-c", PASSES], cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("where", "reached"), [("a.a", ["a.a"]), ("a.a:2", ["a.a", "b.b", "a.a"]), ("c.c:1", ["a.a", "b.b", "a.a", "c.c"])]
)
def test_the_process_kills_itself_at_that_passing(where: str, reached: list[str]) -> None:
    ran = _run(where)
    assert ran.returncode == -signal.SIGKILL
    assert ran.stdout.split() == reached


@pytest.mark.parametrize("where", ["", "a.a:3", "d.d"])
def test_what_is_not_passed_so_often_kills_nobody(where: str) -> None:
    assert _run(where).returncode == 0


def test_nobody_listens_in_production() -> None:
    assert dies_at("") is None
    assert faults.passed is None
    point("nowhere.at_all")
