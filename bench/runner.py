"""Rows, the goals they are held to, and the registry of benches."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import bench as package
from bench.children import Children


@dataclass(frozen=True, slots=True)
class Goal:
    """What a row must reach; a limit that is None is no limit. `ratio_*` limit measured / floor."""

    at_least: float | None = None
    at_most: float | None = None
    ratio_at_least: float | None = None
    ratio_at_most: float | None = None

    def holds(self, measured: float, ratio: float | None) -> bool:
        return _within(measured, self.at_least, self.at_most) and (
            ratio is None or _within(ratio, self.ratio_at_least, self.ratio_at_most)
        )

    def __str__(self) -> str:
        limits = [
            ("≥ {:g}", self.at_least),
            ("≤ {:g}", self.at_most),
            ("≥ {:g} × floor", self.ratio_at_least),
            ("≤ {:g} × floor", self.ratio_at_most),
        ]
        return ", ".join(words.format(limit) for words, limit in limits if limit is not None)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `rounds`: what the medians were taken from, (measured, floor) each.

    `measured` None: what it takes is not on this machine, as `detail` says, and that misses no goal.
    """

    name: str
    measured: float | None
    unit: str
    goal: Goal = Goal()
    floor: float | None = None
    ratio: float | None = None
    detail: str = ""
    rounds: list[tuple[float, float]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return self.measured is None or self.goal.holds(self.measured, self.ratio)


def of_rounds(name: str, unit: str, rounds: Sequence[tuple[float, float]], goal: Goal, detail: str = "") -> Row:
    """A row from (measured, floor) pairs taken one right after the other."""
    measured, floor = median(subject for subject, _ in rounds), median(floor for _, floor in rounds)
    ratio = median(subject / floor for subject, floor in rounds)
    return Row(name, measured, unit, goal, floor, ratio, detail, list(rounds))


@dataclass(frozen=True, slots=True)
class Stage:
    """What a bench gets: a folder that goes away with it, its processes, and `step(words)` to show how far it is."""

    folder: Path
    children: Children
    step: Callable[[str], None]


Run = Callable[[Stage], Iterable[Row]]


@dataclass(frozen=True, slots=True)
class Bench:
    """`steps`: how often it calls `Stage.step`, so that the bar can tell how much is left."""

    name: str
    steps: int
    run: Run


_benches: dict[str, Bench] = {}


def bench(name: str, steps: int) -> Callable[[Run], Run]:
    """Registers a function that measures and yields rows."""

    def register(run: Run) -> Run:
        _benches[name] = Bench(name, steps, run)
        return run

    return register


def benches() -> Iterator[Bench]:
    """All of them, by name: importing a module of this package is what registers it."""
    for module in pkgutil.iter_modules(package.__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"bench.{module.name}")
    yield from (_benches[name] for name in sorted(_benches))


def quantile(values: Iterable[float], share: float) -> float:
    """The smallest value that `share` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-round(share * 1000) * len(ordered) // 1000) - 1))]


def _within(value: float, least: float | None, most: float | None) -> bool:
    return (least is None or value >= least) and (most is None or value <= most)
