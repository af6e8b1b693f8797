"""Those benchmarks that reach into the bot still fit it: one round each of the least size, whatever it takes."""

from __future__ import annotations

from pathlib import Path

from bench.children import Children
from bench.watch import DUE

PATIENCE = 60.0  # seconds; nothing takes as long, except on a machine with too much to do


def test_a_tick_of_the_watch_can_be_measured(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        child = children.call("bench.watch:measure", path=str(tmp_path / "kfbot.db"), size=DUE * 2, url="")
        assert child.hear(PATIENCE) == {"ready": DUE * 2}
        assert set(child.ask(PATIENCE, round=0)) == {"tick", "floor", "late", "idle"}
        child.end()
