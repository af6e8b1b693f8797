"""However people act and WeCom misbehaves, the record agrees with WeCom when that is over. `make soak` tries more."""

from __future__ import annotations

import pytest

from tests.soak.runs.search import Search

SEQUENCES, STEPS = 15, 30


@pytest.mark.timeout(900)  # one that fails is made short first
def test_the_record_agrees_with_wecom_whatever_happens() -> None:
    Search().run(SEQUENCES, STEPS)
