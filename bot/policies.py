"""Ends that nobody asked for: what the account's policy wants, through the one path that ends sessions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bot.ending import EndResult, Outcome
from bot.faults import point
from bot.handoffs import Handoffs
from bot.model import Operator, OperatorType, Via, Watched
from bot.ports import Clock
from bot.rules import Policy, RuleBook, automatic_end
from bot.sessions import Session

log = logging.getLogger("kfbot.policies")

AT_ONCE = 4
REST, MOST_REST = 300.0, 3600.0  # seconds before a refused end is tried again, doubled each time
SHORT_REST = 15.0  # the first time, where WeCom had no time for us
KEPT = 1000

Refused = Callable[[Watched, EndResult], Awaitable[bool]]


@dataclass(slots=True)
class _Rest:
    until: float
    seconds: float
    told: bool = False


class Policies:
    """`refused` is told of the first refusal of each handoff, but not of a first one that passes."""

    def __init__(self, handoffs: Handoffs, clock: Clock, books: Callable[[str], RuleBook], refused: Refused) -> None:
        self._handoffs, self._clock, self._books, self._refused = handoffs, clock, books, refused
        self._rests: dict[int, _Rest] = {}

    def not_before(self, handoff_id: int) -> float:
        """Before this time a handoff whose end was refused is left to people; 0 for all others."""
        rest = self._rests.get(handoff_id)
        return rest.until if rest else 0.0

    async def end(self, wanted: Sequence[tuple[Watched, Policy]]) -> None:
        gate = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(self._one(watched, policy, gate) for watched, policy in wanted))

    async def _one(self, watched: Watched, policy: Policy, gate: asyncio.Semaphore) -> None:
        handoff = watched.handoff
        operator = Operator(OperatorType.SYSTEM, policy.value)
        async with gate:
            point("policy.asked")
            result = await self._handoffs.end(
                handoff.key, operator, Via.POLICY, handoff_id=handoff.id, still=self._wanted
            )
            point("policy.ended")
        if result.outcome in (Outcome.FAILED, Outcome.UNKNOWN):
            await self._rest(watched, result)
        else:
            self._rests.pop(handoff.id, None)

    def _wanted(self, session: Session) -> bool:
        """With all that is on record at the last moment: nobody has written against it.

        Nor where the customer has asked for the end: that is the customer's own.
        """
        handoff, now = session.handoff, self._clock.now()
        if handoff is None or session.end_asked_at is not None:
            return False
        return automatic_end(handoff, self._books(session.open_kfid), now) <= now

    async def _rest(self, watched: Watched, result: EndResult) -> None:
        known = self._rests.pop(watched.handoff.id, None)
        seconds = min(known.seconds * 2, MOST_REST) if known else SHORT_REST if result.passes else REST
        told, failed = known is not None and known.told, result.outcome is Outcome.FAILED
        failed = failed and not (known is None and result.passes)
        rest = self._rests[watched.handoff.id] = _Rest(self._clock.now() + seconds, seconds, told)
        if len(self._rests) > KEPT:
            del self._rests[next(iter(self._rests))]
        if failed and not told:
            rest.told = await self._refused(watched, result)
