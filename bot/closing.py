"""The closing message: one, by a single-use code, within 20 s of the end, worded by who ended it.

Where a servicer had the session it asks what the customer thinks of it, unless nobody is there to be asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import repeat

from bot.codes import CodeMessages
from bot.model import Handoff, HandoffStatus, Message, OperatorType, ServiceState
from bot.phrases import SCORES, rating_id
from bot.ports import Clock, KfApi, Ledger

PAUSE = 0.5  # seconds between tries; a code lives 20
HEAD_BYTES = 1024  # of a menu's text, https://developer.work.weixin.qq.com/document/path/94677
# Customers read these, and they write Chinese whatever language the group speaks.
LABELS = {"good": "满意", "middling": "一般", "bad": "不满意"}
QUESTION = "点一下，评价本次服务"


Texts = Callable[[Handoff], str]
"""What to say at the end of a handoff; empty for nothing."""


class ClosingMessages(CodeMessages):
    """Sends what the ledger holds. Safe to call twice for the same handoff, and in two processes."""

    def __init__(
        self,
        kf: KfApi,
        ledger: Ledger,
        clock: Clock,
        texts: Texts,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        *,
        rating: bool = False,
    ) -> None:
        super().__init__(kf, ledger, clock, sleep)
        self._texts, self._rating = texts, rating

    async def send_all(self) -> None:
        """Send whatever waits, each in its own time: a slow one must not cost another its 20 s."""
        waiting = await self._ledger.due_codes(ServiceState.ENDED)
        await asyncio.gather(*(self.send(handoff_id) for handoff_id, _ in waiting))

    async def send(self, handoff_id: int) -> str:
        """Returns how it went: sent, failed, expired, unknown, skipped; empty when there is nothing to send."""
        with self._at_work(handoff_id, ServiceState.ENDED):
            taken = await self._ledger.take_code(handoff_id, ServiceState.ENDED)
            if taken is None:
                return await self._ledger.code_state(handoff_id, ServiceState.ENDED)
            return await self._deliver(taken, self._message(taken.handoff), repeat(PAUSE))

    def _message(self, handoff: Handoff) -> Message | None:
        text = self._texts(handoff)
        if not text:
            return None
        if self._rating and _met_human(handoff) and len(text.encode()) <= HEAD_BYTES:
            items = tuple((rating_id(handoff.id, score), LABELS[score]) for score in SCORES)
            return Message(text, items, QUESTION)
        return Message(text)


def _met_human(handoff: Handoff) -> bool:
    """A servicer served, and customer or servicer brought it to an end: the customer knows what there is to rate."""
    return handoff.status is HandoffStatus.COMPLETED and handoff.ended_by is not OperatorType.SYSTEM
