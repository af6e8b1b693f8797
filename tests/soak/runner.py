"""Sections of the soak, what they tell, and the registry of them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tests.soak as package


@dataclass(frozen=True, slots=True)
class Stage:
    """What a section gets: a folder that goes away with it, and `tell(done, of, words)` to show how far it is."""

    folder: Path
    tell: Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Told:
    """`figures` go into soak.json under the section's name, `ok` among them; `rows` are what is printed of them."""

    ok: bool
    figures: Mapping[str, Any]
    rows: Mapping[str, str]


Run = Callable[[Stage], Told]
_sections: dict[str, Run] = {}


def section(name: str) -> Callable[[Run], Run]:
    """Registers a function that soaks."""

    def register(run: Run) -> Run:
        _sections[name] = run
        return run

    return register


def sections() -> Iterator[tuple[str, Run]]:
    """All of them, by name: each is a package here, and importing its `section` registers it."""
    for module in pkgutil.iter_modules(package.__path__):
        if module.ispkg:
            importlib.import_module(f"tests.soak.{module.name}.section")
    yield from sorted(_sections.items())
