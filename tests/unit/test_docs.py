"""Documents that can fail: generated parts are fresh, settings.yaml is complete, links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.model import OperatorType
from bot.phrases import SCORES
from bot.settings_file import load
from docs import report_picture
from tests import docs

PAGES = [
    *(docs.ROOT / name for name in ("README.md", "README.zh-CN.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"))
]
PAGES += sorted((docs.ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("name", docs.DOCUMENTS)
def test_generated_parts_are_fresh(name: str) -> None:
    assert docs.render(name) == (docs.ROOT / name).read_text("utf-8"), "run `make docs`"


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no .env has a say in what settings.yaml says."""
    for key in docs.settings_keys():
        monkeypatch.delenv(docs.variable(key), raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("bare")
def test_settings_yaml_has_every_key_with_the_models_default() -> None:
    assert set(docs.shipped_settings()) == set(docs.settings_keys())
    shipped = load(docs.ROOT / "settings.yaml").model_dump(by_alias=True)
    for key, default in docs.settings_defaults():
        value = shipped
        for part in key.split("."):
            value = value[part]
        wanted = default.model_dump() if hasattr(default, "model_dump") else default
        assert value == wanted, key


def test_every_setting_and_verb_is_explained_in_both_languages_and_nothing_else() -> None:
    keys, commented = set(docs.settings_keys()), {key for key, (_, said) in docs.shipped_settings().items() if said}
    assert set(docs.WORDS["zh"]["settings"]) == keys
    assert set(docs.WORDS["en"]["settings"]) == keys - commented
    assert set(docs.WORDS["zh"]["verbs"]) == set(docs.cli.commands)


def test_what_is_said_to_be_planned_is_not_used_yet() -> None:
    """When this fails, the setting has come to life: take it off `planned` in docs/words.yaml, run `make docs`."""
    for planned in docs.WORDS["planned"]:
        section, _, name = f"settings.{planned}".rpartition(".")
        used = re.compile(rf"\b{section.rpartition('.')[2]}\.{name}\b")
        for file in (docs.ROOT / "bot").glob("*.py"):
            if file.name not in ("settings.py", "check.py"):  # those two look at every setting
                assert not used.search(file.read_text("utf-8")), f"{planned} in {file.name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, heading = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not heading or heading in _headings(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tests_that_a_page_names_are_there(page: Path) -> None:
    """By their paths from the root, or by a name there is only once. What is said not to exist need not."""
    tests = [each.relative_to(docs.ROOT) for each in (docs.ROOT / "tests").rglob("*") if each.name != "__pycache__"]
    for named in re.findall(r"(?<!no )`((?:tests/[\w/.*]+|[\w/*]*test_[\w*]+\.py))`", page.read_text("utf-8")):
        fitting = [each for each in tests if str(each) == named.rstrip("/") or named == each.name]
        assert len(fitting) == 1, f"{named}: {fitting}"


@pytest.mark.parametrize("lang", report_picture.NAMES)
def test_the_day_in_the_reports_picture_adds_up(lang: str) -> None:
    day = report_picture.busy_day(lang)
    numbers, now = day.numbers, day.open
    assert sum(numbers.ways.values()) == sum(numbers.servicers.values()) == numbers.handled
    assert sum(numbers.enders.values()) == numbers.ended_by(OperatorType.AGENT)
    assert sum(now.loads.values()) == now.human
    assert set(day.ratings) == set(SCORES)
    asked = numbers.handled - numbers.ended_by(OperatorType.SYSTEM)
    assert 0 < sum(day.ratings.values()) <= asked and numbers.ended_by(OperatorType.USER)


def test_both_languages_have_the_same_figures() -> None:
    """Of the performance table, in which words differ and numbers must not."""
    here, there = (_figures(docs.ROOT / name) for name in ("README.md", "README.zh-CN.md"))
    assert here and there == here


def _figures(page: Path) -> list[list[str]]:
    """What was measured and what for, row by row: the last two columns, without the words between the numbers."""
    rows = page.read_text("utf-8").partition("`bench.json`")[2].splitlines()
    cells = [row.split("|")[2:4] for row in rows if row.startswith("|")][2:]
    return [re.findall(r"\d[\d.,]*\d|\d", " ".join(each)) for each in cells]


def _headings(page: Path) -> set[str]:
    """As GitHub names them in links."""
    titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
