"""Import each module of a package and collect one kind of value from it."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def discover(package: ModuleType, kind: type[T]) -> list[T]:
    """Every module-level value of `kind` in the package's modules, each once, in the order of module names."""
    found: dict[int, T] = {}
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        loaded = importlib.import_module(f"{package.__name__}.{module.name}")
        found.update((id(value), value) for value in vars(loaded).values() if isinstance(value, kind))
    return list(found.values())
