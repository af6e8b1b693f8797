"""The customer ends the session in the chat: what an end phrase has put on record is carried out, through the one path
that ends sessions.

The wish stands in the session from the moment its message does, and goes when it is granted, refused or out of date. So
a crash in between loses nothing, and a repeated run finds nothing to do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from bot.ending import EndResult, Outcome
from bot.errors import KfbotError, WeComError
from bot.faults import point
from bot.handoffs import Handoffs
from bot.model import Operator, OperatorType, SessionKey, Via
from bot.ports import Clock, Ledger
from bot.sessions import SKEW, Session, wants_end
from bot.watch import CatchUp

log = logging.getLogger("kfbot.leaving")

AT_ONCE = 8
PATIENCE = 3.0  # seconds to wait for news that are in WeCom's stream already
REST, MOST_REST = 5.0, 60.0  # seconds before a move is tried again that WeCom had no time for, doubled each time
KEPT = 1000

Told = Callable[[EndResult], Awaitable[None]]


class Leaving:
    """`told` hears of each end, and of the first refusal of each handoff, but not of a first one that passes. `end_all`
    is safe to call at any time."""

    def __init__(self, handoffs: Handoffs, ledger: Ledger, clock: Clock, catch_up: CatchUp, told: Told) -> None:
        self._handoffs, self._ledger, self._clock = handoffs, ledger, clock
        self._catch_up, self._told = catch_up, told
        self._busy: set[SessionKey] = set()
        self._refused: dict[int, None] = {}
        self._rests: dict[SessionKey, tuple[float, float]] = {}  # until when, and for how long
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def end_all(self) -> None:
        """Give every customer who has asked for it the end, as far as WeCom lets us now."""
        now = self._clock.now()
        asked = await self._ledger.asked_ends()
        keys = [key for key in asked if key not in self._busy and not self._rests_at(key, now)]
        self._busy.update(keys)
        await asyncio.gather(*(self._take(key) for key in keys))

    async def _take(self, key: SessionKey) -> None:
        try:
            async with self._gate:
                await self._end(key)
        except KfbotError as failed:
            log.warning("end asked for in the chat: %s | %s", failed, key)
        except Exception:
            log.exception("end asked for in the chat failed | %s", key)
        finally:
            self._busy.discard(key)

    async def _end(self, key: SessionKey) -> None:
        if not await self._up_to_date(key):
            return
        session = await self._ledger.session(key)
        asked_at, handoff = session.end_asked_at, session.handoff
        if asked_at is None:
            return
        if not wants_end(session, self._clock.now()):
            log.info("end asked for in the chat: out of date | %s", key)
            await self._drop(key, asked_at)
            return
        customer = Operator(OperatorType.USER, key.external_userid)
        point("leaving.asked")
        result = await self._handoffs.end(
            key, customer, Via.CHAT, handoff_id=handoff.id if handoff else None, still=self._wanted
        )
        point("leaving.answered")
        if self._rest(key, result):
            await self._tell(result)
        if not _passes(result):
            await self._tell(result)  # before, or a crash in between would leave people without the news
            point("leaving.told")
            await self._drop(key, asked_at)
            point("leaving.dropped")

    async def _up_to_date(self, key: SessionKey) -> bool:
        """A wish of just now is granted at once; before an older one we have to know what was written since."""
        asked_at = (await self._ledger.session(key)).end_asked_at
        if asked_at is None or self._clock.now() < asked_at + SKEW:
            return True
        return await self._catch_up(key.open_kfid, PATIENCE, sure=True)

    def _wanted(self, session: Session) -> bool:
        return wants_end(session, self._clock.now())

    def _rest(self, key: SessionKey, result: EndResult) -> bool:
        """Each move stands in the log, and so there must not be one every two seconds. True if it was to no avail
        again: what is over by the next time need not worry anybody."""
        _, before = self._rests.pop(key, (0.0, 0.0))
        if not result.passes or result.before is None:
            return False
        seconds = min(2 * before, MOST_REST) or REST
        self._rests[key] = self._clock.now() + seconds, seconds
        if len(self._rests) > KEPT:
            del self._rests[next(iter(self._rests))]
        return before > 0

    def _rests_at(self, key: SessionKey, now: float) -> bool:
        until, seconds = self._rests.get(key, (0.0, 0.0))
        return until - seconds <= now < until

    async def _drop(self, key: SessionKey, asked_at: float) -> None:
        """Unless the customer has asked again since."""

        def drop(session: Session) -> None:
            if session.end_asked_at == asked_at:
                session.end_asked_at = None

        await self._ledger.change(key, drop, self._clock.now())

    async def _tell(self, result: EndResult) -> None:
        if result.outcome is Outcome.FAILED and result.handoff is not None:
            if result.handoff.id in self._refused:
                return
            self._refused[result.handoff.id] = None
            if len(self._refused) > KEPT:
                del self._refused[next(iter(self._refused))]
        if result.outcome in (Outcome.ENDED, Outcome.FAILED):
            await self._told(result)


def _passes(result: EndResult) -> bool:
    """The trouble is not of this session: try again."""
    if result.passes:
        return True
    if result.outcome is not Outcome.FAILED or result.after is not None:
        return False
    return result.error is None or (result.before is None and type(result.error) is not WeComError)
