"""What is asked in a fuzz, what may be answered to it, and what was."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.soak.fuzz.wire import Answer, Wire

AT_ONCE = 8  # connections
MOST_SHOWN = 20  # faults
LONGEST_SHOWN = 300  # bytes of what led to one
ALLOWED_5XX = frozenset({502, 503})  # said with a code of the API, and documented there


@dataclass(frozen=True, slots=True)
class Case:
    """One request. `only`: what it may be answered; `never`: what it may not. `alone`: it spoils its connection.

    `hang_up`: nobody waits for the answer. `says_502`: WeCom may be asked about it, and may refuse.
    """

    request: bytes
    only: tuple[int, ...] = ()
    never: tuple[int, ...] = ()
    alone: bool = False
    hang_up: bool = False
    says_502: bool = False

    def fault(self, answer: Answer) -> str:
        """What is wrong with this answer; empty for nothing."""
        status = answer.status
        if not status:
            return "no answer"
        if status >= 500 and not (self.says_502 and status in ALLOWED_5XX):
            return f"{status}"
        if status in self.never or (self.only and status not in self.only):
            return f"{status}, which it must not be"
        return ""


@dataclass
class Tally:
    """Answers by status, and what was wrong, with what led to it."""

    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    done: int = 0

    def take(self, case: Case, answer: Answer) -> None:
        self.answers[str(answer.status)] += 1
        if fault := case.fault(answer):
            self.fault(fault, case.request, answer.body)

    def fault(self, what: str, asked: bytes, said: bytes = b"") -> None:
        if len(self.wrong) < MOST_SHOWN:
            self.wrong.append(f"{what}: {asked[:LONGEST_SHOWN]!r} -> {said[:LONGEST_SHOWN]!r}")
        self.answers["wrong"] += 1


async def ask_all(port: int, new: Callable[[], Case], count: int, tally: Tally, tell: Callable[[int], None]) -> None:
    """Ask `count` of them, several at once."""
    left = iter(range(count))

    async def one() -> None:
        async with Wire(port) as wire:
            for _ in left:
                case = new()
                if case.hang_up:
                    await wire.hang_up(case.request)
                    tally.answers["hung up"] += 1
                else:
                    tally.take(case, await wire.ask(case.request, alone=case.alone))
                tally.done += 1
                tell(tally.done)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(one())
