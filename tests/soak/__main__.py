"""`python -m tests.soak [--only NAME]… [--out PATH]`.

Exit 0: everything holds; 1: something does not; 2: wrong use; 130: interrupted.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.soak.runner import Run, Stage, Told, sections

WIDTH = 150  # columns where the output is no terminal
EVERY = 50  # a line for so many steps where nothing can be drawn


def main() -> int:
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # a WeCom's: half a request is nothing special here
    found = dict(sections())
    asked = _arguments(list(found))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended like Ctrl+C: in order
    console, began = Console(width=None if sys.stdout.isatty() else WIDTH), time.monotonic()
    chosen = {name: run for name, run in found.items() if not asked.only or name in asked.only}
    try:
        told = _soak(console, chosen)
    except KeyboardInterrupt:
        console.print("interrupted")
        return 130
    seconds = time.monotonic() - began
    _write(asked.out, told, seconds)
    console.print(_table(told))
    console.print(f"{seconds:.0f} s, written to {asked.out}")
    return 0 if all(each.ok for each in told.values()) else 1


def _arguments(names: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="What kfbot endures.")
    parser.add_argument("--only", action="append", choices=names, help="this section alone; may be given again")
    parser.add_argument("--out", type=Path, default=Path("soak.json"), help="default: %(default)s")
    return parser.parse_args()


def _soak(console: Console, chosen: dict[str, Run]) -> dict[str, Told]:
    columns = (
        TextColumn("{task.fields[section]:<10}"),
        BarColumn(24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[at]}"),
    )
    with Progress(*columns, console=console) as progress:
        return {name: _one(name, run, progress) for name, run in chosen.items()}


def _one(name: str, run: Run, progress: Progress) -> Told:
    task = progress.add_task("", total=None, section=name, at="")

    def tell(done: int, of: int, words: str) -> None:
        progress.update(task, completed=done, total=of, at=words)
        if not progress.console.is_terminal and (done == of or done % EVERY == 0):
            progress.console.print(f"{name}: {done} of {of}, {words}", markup=False, highlight=False)

    with tempfile.TemporaryDirectory(prefix="kfbot-soak-") as folder:
        told = run(Stage(Path(folder), tell))
    progress.update(task, at="")
    return told


def _table(told: dict[str, Told]) -> Table:
    table = Table(title="kfbot soak")
    for name in ("", "", "figure", ""):
        table.add_column(name, overflow="fold")
    for name, each in told.items():
        verdict = "[green]ok[/]" if each.ok else "[bold red]FAILED[/]"
        for number, (what, figure) in enumerate(each.rows.items()):
            table.add_row(name if not number else "", what, figure, verdict if not number else "")
    return table


def _write(path: Path, told: dict[str, Told], seconds: float) -> None:
    report = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "ok": all(each.ok for each in told.values()),
        **{name: each.figures for name, each in told.items()},
    }
    path.write_text(json.dumps(report, ensure_ascii=False, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
