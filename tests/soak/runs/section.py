"""Section: people and trouble at random, and the record agrees with WeCom when the trouble is over."""

from __future__ import annotations

import os
import secrets
import time

from tests.soak.runner import Stage, Told, section
from tests.soak.runs.search import Disagreement, Search

SEQUENCES, STEPS = 1000, 50
SEED = "KFBOT_SOAK_SEED"  # a number: the sequences of an earlier soak


@section("runs")
def runs(stage: Stage) -> Told:
    began, number = time.monotonic(), int(os.environ.get(SEED) or secrets.randbits(32))
    search = Search(lambda done: stage.tell(min(done, SEQUENCES), SEQUENCES, f"seed {number}"))
    wrong: list[str] = []
    try:
        search.run(SEQUENCES, STEPS, number)
    except Disagreement as disagreement:
        wrong = str(disagreement).splitlines()
    figures = {
        "ok": not wrong, "sequences": search.played, "at_least": SEQUENCES, "steps": STEPS, "seed": number,
        "troubles": len(search.kinds), "seconds": round(time.monotonic() - began, 1), "failed": wrong,
    }  # fmt: skip
    rows = {f"sequences of {STEPS} steps": str(search.played), "kinds of trouble": str(len(search.kinds))}
    return Told(not wrong, figures, rows | {"failed": " | ".join(wrong)} if wrong else rows)
