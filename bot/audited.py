"""The doors' side of the audit log: an attempt is entered before it is allowed to do anything, and when it is refused.

    async with audit.attempt(Door.API, operator, "snooze") as attempt:
        handoff = await find(…)            # what is raised before `allowed` is a refusal
        await attempt.allowed(handoff)     # no row, no deed: it raises where the row cannot be written
        …                                  # what is raised after it is entered as a second row

That nothing was raised says that it was done or, where WeCom decides, asked for: how an end came out, the handoff log
tells. Some ends are entered with their intention: see `bot.audit.intended`. What pages read is not entered, files are;
and whoever is turned away from either.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

from bot.audit import Door, Entry
from bot.errors import (
    BadRequest,
    CommandError,
    Forbidden,
    KfbotError,
    NotFound,
    StorageError,
    TooManyRequests,
    Unauthenticated,
    WeComError,
)
from bot.faults import point
from bot.model import Handoff, Operator, OperatorType
from bot.ports import AuditLog, Clock

log = logging.getLogger("kfbot.audit")

REFUSALS = (CommandError, Unauthenticated, Forbidden, NotFound, BadRequest, TooManyRequests)
FORCED = frozenset({"end", "transfer"})
"""Verbs that force something of their own to the disk before they ask WeCom, and with it every row before that."""

MOST, WITHIN = 20, 60.0  # rows in so many seconds of what anybody may repeat all day; what is more is counted
KEPT = 1000


@dataclass(slots=True)
class Idle:
    """What somebody repeats. `last`: of those that were left out, with its outcome."""

    began: float
    count: int = 0
    left_out: int = 0
    last: tuple[Entry, str] | None = None


class Audit:
    """One a process."""

    def __init__(self, rows: AuditLog, clock: Clock) -> None:
        self._rows, self._clock = rows, clock
        self._idle: dict[Hashable, Idle] = {}
        self._others = Idle(0.0)  # those of whom there were too many to be told apart

    def attempt(
        self,
        door: Door,
        operator: Operator | None,
        verb: str,
        *,
        acts: bool = True,
        handoff_id: int | None = None,
        chat_id: str = "",
        open_kfid: str = "",
        customer: str = "",
        **detail: Any,
    ) -> Attempt:
        """`acts` False: it only looks, and may whether or not that can be entered. The rest as in `Entry`."""
        return Attempt(
            self, Entry(0.0, door, operator, verb, "", handoff_id, chat_id, open_kfid, customer, detail), acts
        )

    async def enter(self, entry: Entry, outcome: str, *, durable: bool = False) -> int:
        return await self._rows.enter(replace(entry, at=self._clock.now(), outcome=outcome), durable=durable)

    async def turned_away(self, verb: str, address: str, why: str) -> None:
        """From a page or a live socket, by a token that is none."""
        attempt = self.attempt(Door.API, None, verb)
        attempt.came(None, address)
        await attempt.refused(why)

    async def enter_idle(self, entry: Entry, outcome: str) -> None:
        """An attempt that changes nothing, and that one may repeat all day: a few a minute are entered, the others
        counted, see `tell_left_out`."""
        idle = self._idle_of((entry.door, entry.operator.id if entry.operator else entry.detail.get("address")))
        idle.count += 1
        if idle.count <= MOST:
            await self.enter_after(entry, outcome)
        else:
            idle.left_out, idle.last = idle.left_out + 1, (entry, outcome)

    async def tell_left_out(self) -> None:
        """How many came besides those that were entered: a row for each who brought them. To be called every minute,
        and when there will be no more."""
        for idle in (*self._idle.values(), self._others):
            left_out, idle.left_out = idle.left_out, 0
            if left_out and idle.last is not None:
                entry, outcome = idle.last
                await self.enter_after(replace(entry, detail={**entry.detail, "left_out": left_out}), outcome)

    async def enter_after(self, entry: Entry, outcome: str) -> None:
        """Where nothing follows from it: what is refused or has failed stays so, row or not."""
        try:
            await self.enter(entry, outcome)
        except KfbotError as failed:
            log.error("not entered | %s %s %s: %s", entry.door, entry.verb, outcome, failed)

    def _idle_of(self, who: Hashable) -> Idle:
        """Of the many addresses that nobody need have, those seen last."""
        now = self._clock.now()
        idle = self._idle.pop(who, None) or Idle(now)
        if not 0 <= now - idle.began < WITHIN:
            idle.began, idle.count = now, 0
        self._idle[who] = idle
        if len(self._idle) > KEPT:
            self._forget(self._idle.pop(next(iter(self._idle))))
        return idle

    def _forget(self, oldest: Idle) -> None:
        if oldest.left_out and oldest.last is not None:
            entry, outcome = oldest.last
            self._others.left_out += oldest.left_out
            self._others.last = replace(entry, operator=None, detail={}), outcome


class Attempt:
    """What one tries."""

    def __init__(self, audit: Audit, entry: Entry, acts: bool) -> None:
        self._audit, self._entry, self._acts = audit, entry, acts
        self._number = 0
        self._settled = False

    def came(self, operator: Operator | None, address: str) -> None:
        """Who it is may show while it is tried. Only of somebody unknown the address is kept."""
        detail = self._entry.detail if operator else {**self._entry.detail, "address": address}
        self._entry = replace(self._entry, operator=operator, detail=detail)

    async def __aenter__(self) -> Attempt:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            await self.raised(error)

    async def raised(self, error: Exception) -> None:
        """What has made an end of it. Entered by the first whom it passes on its way out."""
        if isinstance(error, StorageError) or getattr(error, "audited", False):
            return  # without storage there is nowhere to enter it
        vars(error)["audited"] = True
        if not self._settled:
            await self._entered("refused" if isinstance(error, REFUSALS) else "failed", _why(error))

    async def allowed(
        self, handoff: Handoff | None = None, *, open_kfid: str = "", customer: str = "", **detail: Any
    ) -> None:
        """To be awaited before anything is done. Raises StorageError: then nothing may be."""
        self._about(handoff, open_kfid, customer, detail)
        if not self._acts:
            await self._audit.enter_idle(self._entry, "allowed")
            return
        self._number = await self._audit.enter(self._entry, "allowed", durable=self._entry.verb not in FORCED)
        point("audit.entered")

    async def over(self, handoff: Handoff) -> None:
        """There is nothing left to do, whatever it is told."""
        self._about(handoff, "", "", {})
        self._settled = True
        await self._audit.enter_idle(self._entry, "over")

    async def harmless(self) -> None:
        """What gives nobody anything and may be done over and over: done, row or not."""
        await self._audit.enter_idle(self._entry, "allowed")

    async def refused(self, why: str) -> None:
        """Where nothing is raised."""
        self._settled = True
        await self._entered("refused", why)

    async def failed(self, why: str) -> None:
        """Where nothing is raised."""
        self._settled = True
        await self._entered("failed", why)

    async def _entered(self, outcome: str, why: str) -> None:
        detail = {"of": self._number} if self._number else self._entry.detail  # its first row says the rest
        entry, operator = replace(self._entry, detail={**detail, "why": why}), self._entry.operator
        of_staff = operator is not None and operator.type is OperatorType.AGENT
        if self._acts and of_staff and why != TooManyRequests.__name__:
            await self._audit.enter_after(entry, outcome)
        else:
            await self._audit.enter_idle(entry, outcome)

    def _about(self, handoff: Handoff | None, open_kfid: str, customer: str, detail: dict[str, Any]) -> None:
        known = self._entry
        self._entry = replace(
            known,
            handoff_id=known.handoff_id if handoff is None else handoff.id,
            open_kfid=(known.open_kfid if handoff is None else handoff.open_kfid) or open_kfid,
            customer=(known.customer or customer) if handoff is None else "",
            detail={**known.detail, **detail},
        )


def staff(userid: str) -> Operator | None:
    """None: nobody knows who."""
    return Operator(OperatorType.AGENT, userid) if userid else None


def _why(error: Exception) -> str:
    """One word, or WeCom's code."""
    if isinstance(error, CommandError):
        return error.outcome
    if isinstance(error, WeComError):
        return str(error.errcode)
    return type(error).__name__ if isinstance(error, KfbotError) else "incident"
