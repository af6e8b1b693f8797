"""Section: many customers write at once, sessions are ended in every way, and calls to WeCom fail now and then."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any

from bench.children import ChildFailed
from tests.soak.load.run import run
from tests.soak.load.seen import Seen
from tests.soak.load.shape import Shape
from tests.soak.load.truth import wrong
from tests.soak.runner import Stage, Told, section

ON_RECORD = 10.0  # seconds after the last news
RATE = 0.98  # of what was wanted, or this machine had no room for it
SHAPE = Shape()


@section("load")
def load(stage: Stage) -> Told:
    try:
        seen, record = asyncio.run(run(stage.folder, SHAPE, stage.tell))
    except ChildFailed as failed:
        return Told(False, {"ok": False, "failed": [str(failed)]}, {"wrong": str(failed)})
    return _told(seen, wrong(seen, record, SHAPE))


def _told(seen: Seen, failed: Sequence[str]) -> Told:
    figures = _figures(seen)
    fast = seen.on_record_after <= ON_RECORD
    pace = figures["callbacks_a_second"] >= RATE * SHAPE.rate
    ok = fast and pace and not failed
    late = [] if pace else ["the WeCom did not get to send as much as it should: too little machine"]
    return Told(ok, {"ok": ok, **figures, "failed": [*failed, *late]}, _rows(figures, [*failed, *late]))


def _figures(seen: Seen) -> dict[str, Any]:
    told, truth = seen.told, seen.truth
    calls = sum(truth["calls"].values()) - told["calls_before"]
    faults = sum(truth["faults"].values())
    return {
        "callbacks": told["callbacks"], "callbacks_a_second": round(told["callbacks"] / told["took"], 1),
        "answers": told["answers"], "answered_ms_p50": _ms(told["seconds"], 0.5),
        "answered_ms_p99": _ms(told["seconds"], 0.99), "answered_ms_most": _ms(told["seconds"], 1.0),
        "items": told["items"], "on_record_after_s": round(seen.on_record_after, 1), "at_most_s": ON_RECORD,
        "ends": sum(1 for each in SHAPE.everybody() if each.leaves), "ended_after_s": round(seen.ended_after, 1),
        "answers_to_ends": {str(status): count for status, count in seen.asked.items()},
        "calls": calls, "calls_failed": faults, "failed_by": truth["faults"],
        "memory_mb": {name: round(megabytes) for name, megabytes in seen.memory.items()},
        "longest_silence_ms": round(1000 * seen.longest_silence),
        "ready": {str(status): count for status, count in seen.ready.items()},
        "cpu": {name: round(share, 2) for name, share in seen.cpu.items()},
        "load_average": [round(each, 2) for each in seen.load_average],
    }  # fmt: skip


def _ms(ordered: Sequence[float], share: float) -> float:
    place = max(0, math.ceil(share * len(ordered)) - 1)
    return round(1000 * ordered[place], 1) if ordered else math.nan


def _rows(figures: Mapping[str, Any], failed: Sequence[str]) -> dict[str, str]:
    memory = figures["memory_mb"]
    return {
        "callbacks": f"{figures['callbacks']}, {figures['callbacks_a_second']:.0f}/s",
        "answered within": f"{figures['answered_ms_p50']} ms, 99 of 100 within {figures['answered_ms_p99']} ms",
        "WeCom calls failed": f"{figures['calls_failed']} of {figures['calls']}",
        "all on record after": f"{figures['on_record_after_s']} s",
        f"{figures['ends']} ends done after": f"{figures['ended_after_s']} s",
        "memory before, at most, after": f"{memory['before']}, {memory['peak']}, {memory['after']} MB",
        "longest silence": f"{figures['longest_silence_ms']} ms",
        **{f"wrong {number + 1}": each for number, each in enumerate(failed)},
    }
