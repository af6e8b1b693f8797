"""The handoff service: what the API may do with a handoff, for a customer and for staff, over the one path of all ends.

`end_by_user` and `complete` differ in who asks and what they may see, in nothing else. A handoff that is not the
asker's is no handoff: it costs as many looks at the record and gets the same answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bot.attention import Attention, Heard
from bot.audit import USERID, Door
from bot.audited import Attempt, Audit
from bot.ending import NOT_ALLOWED, EndResult, Outcome
from bot.errors import BadRequest, HandoffNotActive, HandoffUnsettled, KfbotError, NotFound
from bot.faults import point
from bot.handoffs import Handoffs
from bot.model import (
    Handoff,
    HandoffEvent,
    HandoffStatus,
    Operator,
    OperatorType,
    Scope,
    SessionKey,
    Via,
    Watched,
)
from bot.ports import Clock, Ledger, Questions
from bot.sessions import Session
from bot.tokens import AgentClaims, CustomerClaims
from bot.transfer import Outcome as Given
from bot.transfer import TransferResult, Transfers
from bot.wording import Words

NAMED = 10  # servicers in a message


class HandoffService:
    """`scope_of`: the accounts that a member may see. `on_end` is called after each end that was made here."""

    def __init__(
        self,
        handoffs: Handoffs,
        ledger: Ledger,
        transfers: Transfers,
        attention: Attention,
        clock: Clock,
        say: Words,
        scope_of: Callable[[AgentClaims], Scope],
        audit: Audit,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._handoffs, self._ledger = handoffs, ledger
        self._transfers, self._attention, self._clock, self._say = transfers, attention, clock, say
        self.scope, self._audit, self._on_end = scope_of, audit, on_end

    # -- the customer

    async def end_by_user(self, claims: CustomerClaims, handoff_id: int) -> Handoff:
        """As `complete`, of their own handoff."""
        operator = Operator(OperatorType.USER, claims.external_userid)
        async with self._audit.attempt(Door.API, operator, "end-by-user", handoff_id=handoff_id) as attempt:
            session = await self._ledger.session(SessionKey(claims.open_kfid, claims.external_userid))
            is_open = session.handoff is not None and session.handoff.id == handoff_id
            handoff = session.handoff if is_open else await self._ledger.handoff(handoff_id)
            if handoff is None or not _is_theirs(claims, handoff):
                raise NotFound(self._say("api.not_found"))
            return await self._end(attempt, handoff, operator, session=session if is_open else None)

    async def current(self, claims: CustomerClaims) -> Handoff | None:
        """The customer's open handoff."""
        found = await self._ledger.open_handoff(SessionKey(claims.open_kfid, claims.external_userid))
        return found if found is not None and _is_theirs(claims, found) else None

    # -- staff

    async def complete(self, claims: AgentClaims, handoff_id: int, reason: str = "") -> Handoff:
        """End it; again by the same one is success again, with the same data.

        Raises NotFound, HandoffNotActive (somebody else has ended it) and HandoffUnsettled (WeCom refused, or does
        not answer: then it is settled later).
        """
        async with self._asks(claims, "complete", handoff_id) as attempt:
            handoff = await self.handoff(claims, handoff_id)
            return await self._end(attempt, handoff, _staff(claims), reason)

    async def handoff(self, claims: AgentClaims, handoff_id: int) -> Handoff:
        """Raises NotFound."""
        found = await self._seen(claims).handoff(handoff_id)
        if found is None:
            raise NotFound(self._say("api.not_found"))
        return found

    async def events(self, claims: AgentClaims, handoff_id: int) -> list[HandoffEvent]:
        """Raises NotFound."""
        await self.handoff(claims, handoff_id)
        return await self._seen(claims).events(handoff_id)

    async def page(
        self,
        claims: AgentClaims,
        kind: str,
        open_kfid: str,
        before: int | None,
        limit: int,
        active_since: float | None = None,
    ) -> list[Handoff]:
        """Newest first, those before the one with that id. `kind`, `open_kfid` and `active_since` as in
        `bot.ports.Questions`."""
        return await self._seen(claims).page(kind, open_kfid, before, limit, active_since)

    async def snooze(self, claims: AgentClaims, handoff_id: int, seconds: float) -> Watched:
        """Raises NotFound, HandoffNotActive."""
        async with self._asks(claims, "snooze", handoff_id, seconds=seconds) as attempt:
            handoff = await self.handoff(claims, handoff_id)
            await attempt.allowed(handoff)
            answer = await self._attention.snooze(handoff.id, claims.userid, seconds, anew=True)
            if answer is None:
                raise NotFound(self._say("api.not_found"))
            if answer.heard is Heard.OVER:
                raise self._over(answer.watched.handoff)
            return answer.watched

    async def transfer(self, claims: AgentClaims, handoff_id: int, servicer: str) -> Handoff:
        """`servicer` as `bot.transfer.meant_by` takes it. Raises as `complete`, BadRequest for whom it cannot be now.

        WeComError where WeCom cannot be asked: then nothing was done.
        """
        named = {"servicer": servicer} if USERID.fullmatch(servicer) else {}
        async with self._asks(claims, "transfer", handoff_id, **named) as attempt:
            handoff = await self.handoff(claims, handoff_id)
            await attempt.allowed(handoff)
            result = await self._transfers.give(handoff.key, servicer, _staff(claims), Via.API, handoff_id=handoff.id)
            if result.outcome in (Given.DONE, Given.SAME):
                return result.handoff or handoff
            raise self._not_given(result, handoff)

    async def entered(self, claims: AgentClaims, verb: str, **detail: Any) -> None:
        """What is about no handoff may be done when it is in the audit log."""
        await self._audit.attempt(Door.API, _staff(claims), verb, **detail).allowed()

    async def left(self, claims: AgentClaims) -> None:
        """Who logs out is let, whatever becomes of the row."""
        await self._audit.attempt(Door.LOGIN, _staff(claims), "logout").harmless()

    def _asks(self, claims: AgentClaims, verb: str, handoff_id: int, **detail: Any) -> Attempt:
        return self._audit.attempt(Door.API, _staff(claims), verb, handoff_id=handoff_id, **detail)

    def _seen(self, claims: AgentClaims) -> Questions:
        return self._ledger.within(self.scope(claims))

    # -- one end, which is entered in the audit log with its intention

    async def _end(
        self,
        attempt: Attempt,
        handoff: Handoff,
        operator: Operator,
        reason: str = "",
        session: Session | None = None,
    ) -> Handoff:
        """`session`: as it was loaded with the handoff."""
        if not handoff.status.is_open:
            await attempt.over(handoff)
            return self._ended(handoff, operator)
        point("api.asked")
        result = await self._handoffs.end(
            handoff.key, operator, Via.API, reason, handoff_id=handoff.id, session=session
        )
        point("api.ended")
        if result.outcome is Outcome.ENDED and result.handoff is not None:
            self._on_end()
            return result.handoff
        if result.outcome is Outcome.ALREADY:
            await attempt.over(result.handoff or handoff)
            return self._ended(result.handoff or handoff, operator)
        raise self._not_ended(result, operator)

    def _ended(self, handoff: Handoff, operator: Operator) -> Handoff:
        """It is over. Who ended it, as it is on record, may ask again; anybody else is told."""
        by = None if handoff.ended_by is None else Operator(handoff.ended_by, handoff.operator_id or "")
        if by != operator:
            raise self._over(handoff)
        return handoff

    def _over(self, handoff: Handoff) -> HandoffNotActive:
        if handoff.completed_at is None:
            return HandoffNotActive(self._say("api.not_active"))
        when = self._say.when(handoff.completed_at, self._clock.now())
        return HandoffNotActive(self._say("api.ended", by=self._say.ended_by(handoff), when=when))

    def _not_ended(self, result: EndResult, operator: Operator) -> HandoffNotActive | HandoffUnsettled:
        if result.outcome is Outcome.NOT_HUMAN:
            return HandoffNotActive(self._say("api.not_active"))
        if result.outcome is Outcome.UNKNOWN:
            return HandoffUnsettled(self._say("api.unknown"))
        if operator.type is OperatorType.USER or result.error is None:
            return HandoffUnsettled(self._say("api.failed"))
        queued = result.handoff is not None and result.handoff.status is HandoffStatus.PENDING
        if queued and result.error.errcode == NOT_ALLOWED:
            return HandoffUnsettled(self._say("end.queue"))
        return HandoffUnsettled(self._say("api.refused", why=self._say.error(result.error)))

    def _not_given(self, result: TransferResult, handoff: Handoff) -> KfbotError:
        servicer, names = self._say.plain(result.servicer), " ".join(result.fits[:NAMED])
        match result.outcome:
            case Given.OVER | Given.NOT_HUMAN:
                return self._over(result.handoff or handoff)
            case Given.NOBODY:
                return NotFound(self._say("api.transfer.nobody", servicer=servicer))
            case Given.SEVERAL | Given.AWAY:
                return BadRequest(self._say(f"api.transfer.{result.outcome}", servicer=servicer, names=names))
            case Given.UNKNOWN:
                return HandoffUnsettled(self._say("api.unknown"))
            case _:
                why = self._say.error(result.error) if result.error else ""
                return HandoffUnsettled(self._say("api.refused", why=why))


def _staff(claims: AgentClaims) -> Operator:
    return Operator(OperatorType.AGENT, claims.userid)


def _is_theirs(claims: CustomerClaims, handoff: Handoff) -> bool:
    whose = (handoff.tenant_id, handoff.open_kfid, handoff.external_userid)
    return whose == (claims.tenant_id, claims.open_kfid, claims.external_userid)
