"""The fault points of the code, read from its source: a new one is swept without being named anywhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.children import ROOT

FOLDERS = ("bot", "commands", "storage")


@dataclass(frozen=True, slots=True)
class Point:
    """`name` is None where the call does not say it as a literal."""

    name: str | None
    file: str
    line: int


def points() -> list[Point]:
    """In the order of the source."""
    return [found for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py")) for found in _in(file)]


def names() -> list[str]:
    return [each.name for each in points() if each.name is not None]


def _in(file: Path) -> Iterator[Point]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "point":
            said = node.args[0] if len(node.args) == 1 and not node.keywords else None
            literal = said.value if isinstance(said, ast.Constant) and isinstance(said.value, str) else None
            yield Point(literal, file.relative_to(ROOT).as_posix(), node.lineno)
