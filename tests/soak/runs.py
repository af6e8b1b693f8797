"""Section: people and trouble at random, and the record agrees with WeCom when the trouble is over.

A sequence that failed is played again by `python -m tests.soak.runs 'takes 0 1, trouble 12 2, …'`, which also tells
what each of its troubles is.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.soak import agreement
from tests.soak.ears import Ears
from tests.soak.people import REST, Step, read, steps, take, told
from tests.soak.play import Play, played
from tests.soak.runner import Stage, Told, section
from tests.soak.trouble import TROUBLE

SEQUENCES, STEPS = 1000, 50
SEED = "KFBOT_SOAK_SEED"  # a number: the sequences of an earlier soak


class Disagreement(AssertionError):
    """What does not hold, and after which steps."""


@dataclass
class Search:
    """Plays sequences; of those that fail, `least` is the one with the fewest steps so far."""

    tell: Callable[[int], None] = lambda done: None
    played: int = 0
    least: tuple[int, str, list[str]] | None = None
    kinds: set[str] = field(default_factory=set)

    def play(self, sequence: Sequence[Step]) -> None:
        """Raises Disagreement."""
        taken = [each for each in sequence if each != REST]
        wrong = outcome(taken)
        self.played += 1
        self.kinds.update(str(TROUBLE[each.numbers[0]]) for each in taken if each.name == "trouble")
        self.tell(self.played)
        if wrong:
            if self.least is None or len(taken) <= self.least[0]:
                self.least = len(taken), told(taken), wrong
            raise Disagreement("\n".join((*wrong, replay(told(taken)))))

    def run(self, count: int, length: int, number: int | None = None) -> None:
        """So many sequences of so many steps: those of this number, or always the same. Raises Disagreement for the
        least that fails."""

        @settings(
            max_examples=count,
            deadline=None,
            derandomize=number is None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
            report_multiple_bugs=False,
        )
        @given(steps(length))
        def search(sequence: list[Step]) -> None:
            self.play(sequence)

        try:
            (search if number is None else seed(number)(search))()
        except BaseException:
            if self.least is not None:  # also where it did not fail each time, which says less than what it was
                raise Disagreement("\n".join((*self.least[2], replay(self.least[1])))) from None
            raise


def outcome(sequence: Sequence[Step]) -> list[str]:
    """What does not hold after these steps."""

    async def work(play: Play, ears: Ears) -> list[str]:
        for each in sequence:
            await take(play, each)
        return await agreement.wrong(play, ears)

    try:
        wrong: list[str] = played(work)
    except Exception as failed:
        return [repr(failed), *traceback.format_exception(failed)]
    return wrong


def replay(sequence: str) -> str:
    return f"python -m tests.soak.runs '{sequence}'"


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


def main() -> int:
    sequence = read(" ".join(sys.argv[1:]))
    for each in sequence:
        print(each, f"({TROUBLE[each.numbers[0]]})" if each.name == "trouble" else "")
    wrong = outcome(sequence)
    print("\n".join(wrong) or "all holds")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
