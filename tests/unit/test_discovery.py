"""One file, one value, found by being there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from bot.discovery import discover


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    folder = tmp_path / "found_here"
    folder.mkdir()
    (folder / "__init__.py").write_text("NOT_IN_A_MODULE = 9\n")
    (folder / "b.py").write_text("from found_here.a import ONE\nTWO = 2\nname = 'two'\n")
    (folder / "a.py").write_text("ONE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield __import__("found_here")
    for name in [name for name in sys.modules if name.partition(".")[0] == "found_here"]:
        del sys.modules[name]


def test_values_of_one_kind_come_in_the_order_of_modules_and_once(package: ModuleType) -> None:
    """Also when a module has imported another's."""
    assert discover(package, int) == [1, 2]


def test_a_module_that_cannot_be_imported_stops_the_start_and_is_named(package: ModuleType) -> None:
    (Path(str(package.__file__)).parent / "broken.py").write_text("import no_such_module\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        discover(package, int)
