"""Messages by single-use codes: tried until they are in, refused, or their code is dead, and put on record.

A code works once, so repeating cannot double a message: not after a try of unknown outcome, nor after the death of a
process that was sending.

https://developer.work.weixin.qq.com/document/path/95122
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager

from bot.errors import RateLimited, WeComBusy, WeComError, WeComUnavailable
from bot.faults import point
from bot.model import Handoff, Message, ServiceState
from bot.ports import Clock, CodeMessage, KfApi, Ledger
from bot.sessions import code_event

log = logging.getLogger("kfbot.codes")


async def always() -> bool:
    return True


class CodeMessages:
    def __init__(
        self, kf: KfApi, ledger: Ledger, clock: Clock, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._kf, self._ledger, self._clock, self._sleep = kf, ledger, clock, sleep
        self._busy = Counter[tuple[int, ServiceState]]()

    @property
    def busy(self) -> list[tuple[int, ServiceState]]:
        """What this process is sending."""
        return list(self._busy)

    @contextmanager
    def _at_work(self, handoff_id: int, given_in: ServiceState) -> Iterator[None]:
        """To be entered before the code is taken, so that what is being sent is never missing from `busy`."""
        key = handoff_id, given_in
        self._busy[key] += 1
        try:
            yield
        finally:
            self._busy[key] -= 1
            self._busy += Counter()  # drops what has come to nothing

    async def _deliver(
        self,
        taken: CodeMessage,
        message: Message | None,
        pauses: Iterable[float],
        still: Callable[[], Awaitable[bool]] = always,
    ) -> str:
        """Returns how it went: sent, failed, expired, unknown, or skipped where there is nothing to say.

        `pauses`: seconds between the tries, without end. `still` False: the code has died with the session's state.
        """
        point("code.taken")
        state, error = await self._spend(taken, message, pauses, still) if message else ("skipped", None)
        await self._settle(taken.handoff, taken.given_in, state, error)
        point("code.settled")
        return state

    async def _spend(
        self, taken: CodeMessage, message: Message, pauses: Iterable[float], still: Callable[[], Awaitable[bool]]
    ) -> tuple[str, WeComError | None]:
        doubt: WeComError | None = None
        lost = taken.attempts > 1  # what a dead process sent may have got through
        for pause in pauses:
            if self._clock.now() >= taken.expires_at or not await still():
                break
            try:
                await self._kf.send_on_event(taken.code, message, taken.msgid)
            except (WeComUnavailable, WeComBusy, RateLimited) as passing:
                unclear = passing.doubtful or (isinstance(passing, WeComUnavailable) and passing.sent)
                doubt = passing if unclear else doubt
                await self._sleep(pause)
            except WeComError as refused:
                # After a try of unknown outcome a refusal may just say that the code is spent.
                return ("unknown" if doubt or lost or refused.doubtful else "failed"), refused
            else:
                point("code.sent")
                return "sent", None
        return ("unknown" if doubt or lost else "expired"), doubt

    async def _settle(self, handoff: Handoff, given_in: ServiceState, state: str, error: WeComError | None) -> None:
        errcode = error.errcode if error else 0
        event = code_event(handoff, given_in, state, errcode, self._clock.now())
        await self._ledger.settle_code(handoff, given_in, state, errcode, str(error or ""), event)
        if state not in ("sent", "skipped"):
            log.warning("message by code %s | handoff=%d state=%d errcode=%d", state, handoff.id, given_in, errcode)
