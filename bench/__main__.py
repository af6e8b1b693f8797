"""`python -m bench [--only NAME]… [--out PATH]`.

Exit 0: every row reaches its goal; 1: one does not, or the run failed; 2: wrong use; 130: interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench.children import ChildFailed, Children
from bench.runner import Bench, Row, Stage, benches

WIDTH = 150  # columns where the output is no terminal


def main() -> int:
    found = list(benches())
    asked = _arguments([each.name for each in found])
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended like Ctrl+C: in order
    console, began = Console(width=None if sys.stdout.isatty() else WIDTH), time.monotonic()
    before = _machine()
    chosen = [each for each in found if not asked.only or each.name in asked.only]
    try:
        rows = _measure(console, chosen)
    except ChildFailed as failed:
        console.print(f"the benchmark itself failed: {failed}", markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("interrupted")
        return 130
    seconds = time.monotonic() - began
    _write(asked.out, rows, seconds, before)
    console.print(_table(rows))
    console.print(f"{seconds:.0f} s, written to {asked.out}")
    return 0 if all(row.ok for row in rows) else 1


def _arguments(names: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks of kfbot.")
    parser.add_argument("--only", action="append", choices=names, help="this bench alone; may be given again")
    parser.add_argument("--out", type=Path, default=Path("bench.json"), help="default: %(default)s")
    return parser.parse_args()


def _measure(console: Console, chosen: list[Bench]) -> list[Row]:
    columns = (
        TextColumn("{task.fields[bench]:<10}"),
        BarColumn(24),
        TimeElapsedColumn(),
        TextColumn("{task.fields[at]}"),
    )
    rows: list[Row] = []
    with Progress(*columns, console=console) as progress:
        tasks = [progress.add_task("", total=each.steps, start=False, bench=each.name, at="") for each in chosen]
        for task, each in zip(tasks, chosen, strict=True):
            rows += _one(each, progress, task)
    return rows


def _one(bench: Bench, progress: Progress, task: TaskID) -> list[Row]:
    def step(words: str) -> None:
        progress.update(task, advance=1, at=words)
        if not progress.console.is_terminal:
            progress.console.print(f"{bench.name}: {words}", markup=False, highlight=False)

    progress.start_task(task)
    with _stage(step) as stage:
        rows = list(bench.run(stage))
    progress.update(task, completed=bench.steps, at="")
    return rows


@contextmanager
def _stage(step: Any) -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="kfbot-bench-") as folder, Children(Path(folder)) as children:
        yield Stage(Path(folder), children, step)


# -- what is told


def _table(rows: list[Row]) -> Table:
    table = Table(
        title="kfbot benchmarks", caption="medians of rounds; ratio: median of measured / floor, round by round"
    )
    for name, justify in (("", "left"), ("measured", "right"), ("floor", "right"), ("ratio", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name in ("goal", "", "detail"):
        table.add_column(name, overflow="fold")
    for row in rows:
        measured = "—" if row.measured is None else f"{_number(row.measured)} {row.unit}"
        verdict = "[green]ok[/]" if row.ok else "[bold red]MISSED[/]"
        floor = "" if row.floor is None else f"{_number(row.floor)} {row.unit}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        goal = str(row.goal)
        judged = bool(goal) and row.measured is not None
        table.add_row(row.name, measured, floor, ratio, goal, verdict if judged else "", row.detail)
    return table


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def _write(path: Path, rows: list[Row], seconds: float, before: dict[str, Any]) -> None:
    report = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "ok": all(row.ok for row in rows),
        "machine": {**before, "load_after": _load()},
        "rows": [_told(row) for row in rows],
    }
    path.write_text(json.dumps(report, ensure_ascii=False, indent=2) + "\n", "utf-8")


def _told(row: Row) -> dict[str, Any]:
    return {
        "name": row.name, "measured": row.measured, "unit": row.unit, "target": str(row.goal), "floor": row.floor,
        "ratio": row.ratio, "ok": row.ok, "detail": row.detail, "rounds": row.rounds, "limits": asdict(row.goal),
    }  # fmt: skip


def _machine() -> dict[str, Any]:
    """What to know before two reports are compared; `spin_ms` is how long a fixed piece of Python took just now."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "folder": tempfile.gettempdir(),
        "spin_ms": _spin(),
        "load_before": _load(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _spin() -> float:
    began = time.perf_counter()
    sum(number * number for number in range(1_000_000))
    return round((time.perf_counter() - began) * 1000, 1)


def _load() -> list[float]:
    return [round(value, 2) for value in os.getloadavg()]


if __name__ == "__main__":
    sys.exit(main())
