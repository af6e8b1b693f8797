"""However people act and WeCom misbehaves, the record agrees with WeCom when that is over. `make soak` tries more."""

from __future__ import annotations

import pytest

from tests.soak.runs import people
from tests.soak.runs.__main__ import main
from tests.soak.runs.search import Search

SEQUENCES, STEPS = 15, 30


@pytest.mark.timeout(900)  # one that fails is made short first
def test_the_record_agrees_with_wecom_whatever_happens() -> None:
    Search().run(SEQUENCES, STEPS)


def test_a_sequence_is_read_as_it_is_told() -> None:
    told = "takes 0 1, trouble 12 2, stops_or_starts"
    assert people.told(people.read(told)) == told


@pytest.mark.parametrize("words", ["", "bogus", "takes", "takes 0 1 2", "takes 0 99", "takes 0 x", "rest,"])
def test_what_is_no_step_is_told_with_how_one_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    monkeypatch.setattr("sys.argv", ["runs", words])
    assert main() == 2
    assert "takes 0-3 0-1" in capsys.readouterr().err
