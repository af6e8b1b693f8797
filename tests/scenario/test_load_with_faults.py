"""Many customers at once, ends of every kind, and a WeCom whose calls fail now and then. `make soak` asks for more, and
looks at the time it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.load.run import PATIENCE, run
from tests.soak.load.shape import Shape
from tests.soak.load.truth import wrong

SHAPE = Shape(seconds=4.0, rate=100, customers=200, accounts=4, served=80, ends=2, tick="1s")


@pytest.mark.timeout(4 * PATIENCE)
async def test_nothing_is_lost_and_nothing_done_twice_under_load_with_faults(tmp_path: Path) -> None:
    seen, record = await run(tmp_path, SHAPE, lambda *_: None)
    assert wrong(seen, record, SHAPE) == []
    assert seen.told["callbacks"] == SHAPE.rate * SHAPE.seconds
    assert sum(seen.truth["faults"].values()) > 0
