"""Plays sequences at random, and looks for the least of those after which the record disagrees with WeCom."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.soak.runs import agreement
from tests.soak.runs.ears import Ears
from tests.soak.runs.people import REST, Step, steps, take, told
from tests.soak.runs.play import Play, played
from tests.soak.runs.trouble import TROUBLE


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
