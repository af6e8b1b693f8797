"""Which files with secrets everybody may read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bot.exposed import exposed

SECRET = "hunter2hunter2"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where everybody gets to, unlike `tmp_path`."""
    with TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        if not all(each.stat().st_mode & 0o001 for each in Path(made).resolve().parents):
            pytest.skip("temporary files lie where not everybody gets to")
        yield Path(made)


def a_file(folder: Path, mode: int, text: str = f"secret: {SECRET}\n", name: str = "settings.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("mode", "found"), [(0o644, True), (0o604, True), (0o602, True), (0o640, False), (0o600, False)]
)
def test_a_secret_that_others_may_read_is_found(folder: Path, mode: int, found: bool) -> None:
    path = a_file(folder, mode)
    assert exposed([path], [], [SECRET]) == ([path] if found else [])


def test_settings_without_a_secret_may_be_read(folder: Path) -> None:
    path = a_file(folder, 0o644, "lang: zh\n")
    assert exposed([path], [], [SECRET, "", "zh"]) == []


def test_the_record_is_private_whatever_it_holds(folder: Path) -> None:
    path = a_file(folder, 0o644, "names", "kfbot.db")
    assert exposed([], [path], []) == [path]


def test_a_closed_folder_closes_what_is_in_it(folder: Path) -> None:
    inner = folder / "a" / "b"
    inner.mkdir(parents=True)
    path = a_file(inner, 0o644)
    assert exposed([path], [], [SECRET]) == [path]
    inner.parent.chmod(0o750)
    assert exposed([path], [], [SECRET]) == []


def test_what_is_not_there_is_not_open(folder: Path) -> None:
    assert exposed([folder / ".env"], [folder / "data" / "kfbot.db"], [SECRET]) == []
