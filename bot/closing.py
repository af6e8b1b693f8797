"""The closing message: one text by a single-use code, within 20 s of the end, worded by who ended it.

https://developer.work.weixin.qq.com/document/path/95122
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any

from bot.errors import RateLimited, WeComBusy, WeComError, WeComUnavailable
from bot.model import EventType, Handoff, Message
from bot.ports import Clock, Closing, KfApi, Ledger
from bot.sessions import SYSTEM, Session

log = logging.getLogger("kfbot.closing")
_CLOSING_MSGID = re.compile(r"closing-(\d{1,12})-")
PAUSE = 0.5  # seconds between tries; a code lives 20


Texts = Callable[[Handoff], str]
"""What to say at the end of a handoff; empty for nothing."""


class ClosingMessages:
    """Sends what the ledger holds. Safe to call twice for the same handoff, and in two processes."""

    def __init__(
        self,
        kf: KfApi,
        ledger: Ledger,
        clock: Clock,
        texts: Texts,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._kf, self._ledger, self._clock = kf, ledger, clock
        self._texts, self._sleep = texts, sleep

    async def send_all(self) -> None:
        """Send whatever waits, each in its own time: a slow one must not cost another its 20 s."""
        waiting = await self._ledger.due_closings()
        await asyncio.gather(*(self.send(handoff_id) for handoff_id in waiting))

    async def send(self, handoff_id: int) -> str:
        """Returns how it went: sent, failed, expired, unknown, skipped; empty when there is nothing to send."""
        closing = await self._ledger.take_closing(handoff_id, self._clock.now())
        if closing is None:
            return await self._ledger.closing_state(handoff_id)
        state, error = await self._deliver(closing)
        await self._settle(closing.handoff, state, error)
        return state

    async def not_delivered(self, fail_msgid: str, fail_type: Any) -> None:
        """WeCom accepted a closing message and could not deliver it (event msg_send_fail): record that."""
        found = _CLOSING_MSGID.match(fail_msgid)
        handoff = await self._ledger.handoff(int(found[1])) if found else None
        if handoff is not None:
            await self._settle(handoff, "failed", None, f"msg_send_fail {fail_type}")

    async def _deliver(self, closing: Closing) -> tuple[str, WeComError | None]:
        """Try until it is in, refused, or the code is dead. The code works once, so repeating cannot double it."""
        text = self._texts(closing.handoff)
        if not text:
            return "skipped", None
        doubt: WeComError | None = None
        while self._clock.now() < closing.expires_at:
            try:
                await self._kf.send_on_event(closing.code, Message(text), closing.msgid)
            except (WeComUnavailable, WeComBusy, RateLimited) as passing:
                doubt = passing if isinstance(passing, WeComUnavailable) and passing.sent else doubt
                await self._sleep(PAUSE)
            except WeComError as refused:
                # After a try of unknown outcome a refusal may just say that the code is spent.
                return ("unknown" if doubt else "failed"), refused
            else:
                return "sent", None
        return ("unknown" if doubt else "expired"), doubt

    async def _settle(self, handoff: Handoff, state: str, error: WeComError | None, why: str = "") -> None:
        errcode, now = (error.errcode if error else 0), self._clock.now()

        def record(session: Session) -> None:
            session.log(handoff, EventType.CLOSING, SYSTEM, now, outcome=state, errcode=errcode)

        await self._ledger.settle_closing(handoff, state, errcode, why or str(error or ""), record, now)
        if state not in ("sent", "skipped"):
            log.warning("closing message %s | handoff=%d errcode=%d %s", state, handoff.id, errcode, why)
