"""What follows a page of the message stream, after it is on record: ends that customers ask for, greetings, goodbyes,
state reads, names, servicers.

None of it may hold up the next page, and all of it can be done again: what must not get lost stands in the ledger.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from math import inf

from bot.checks import Checks
from bot.closing import ClosingMessages
from bot.errors import KfbotError
from bot.greeting import Greetings
from bot.leaving import Leaving
from bot.model import KfItem
from bot.names import Names
from bot.ports import Clock, Committed, People
from bot.sessions import RECHECK

log = logging.getLogger("kfbot.aftermath")


class Aftermath:
    def __init__(
        self,
        people: People,
        clock: Clock,
        leaving: Leaving,
        greetings: Greetings,
        closings: ClosingMessages,
        checks: Checks,
        names: Names,
    ) -> None:
        self._people, self._clock = people, clock
        self._leaving, self._greetings, self._closings = leaving, greetings, closings
        self._checks, self._names = checks, names
        self._tasks: set[asyncio.Task[None]] = set()
        self.on_committed: Callable[[Committed], None] = lambda committed: None
        """Told first of what is on record."""

    async def follow(self, committed: Committed) -> None:
        """Start what the page asks for, and return."""
        self.on_committed(committed)
        if any(session.end_asked_at is not None for session in committed.sessions):
            self._spawn(self._leaving.end_all)
        if any(session.greetings for session in committed.sessions):
            self._spawn(self._greetings.send_all)
        if any(session.closings for session in committed.sessions):
            self._spawn(self._closings.send_all)
        soon = self._clock.now() + RECHECK
        if not committed.fresh or any((session.check_at or inf) <= soon for session in committed.sessions):
            self._checks.wake()
        arrived = [session.external_userid for session in committed.sessions if session.handoff and session.handoffs]
        self._names.want(arrived)
        for item in committed.fresh:
            if item.event is not None:
                await self._heed(item)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _heed(self, item: KfItem) -> None:
        event = item.event or {}
        if item.event_type == "servicer_status_change":
            # Here 1 is receiving and 2 stopped; the list API says 0 and 1.
            receiving, suspended = event.get("status") == 1, event.get("stop_type") == 1
            userid = str(event.get("servicer_userid") or "")
            if userid:
                await self._people.servicer_changed(item.open_kfid, userid, receiving, suspended, self._clock.now())
        elif item.event_type == "msg_send_fail":
            log.warning("not delivered | msgid=%s fail_type=%s", event.get("fail_msgid"), event.get("fail_type"))

    def _spawn(self, work: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.create_task(self._guard(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guard(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except KfbotError as failed:
            log.warning("after sync: %s", failed)
        except Exception:
            log.exception("after sync")
