"""Give a session to another servicer of its account.

Read the state and the account's servicers → mark the session → service_state/trans to 3 → put on record who did it. The
move is made once: where its answer is lost, the state is read back and that is the truth. A crash leaves the mark, and
the state read that it asks for finds what has happened.

https://developer.work.weixin.qq.com/document/path/94669
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf
from typing import TypeVar

from bot.errors import WeComError, WeComUnavailable
from bot.faults import point
from bot.handoffs import Handoffs
from bot.model import Handoff, Operator, Servicer, ServiceState, SessionKey, StateReading, Via
from bot.ports import Clock, KfApi, Ledger, People
from bot.sessions import Session, hand_over, snapshot
from bot.states import has_human

log = logging.getLogger("kfbot.transfer")

# Seconds after the beginning, so that the asker is answered within 10 s: the two readings, the move, the read-back.
READ_BY, MOVE_BY, LOOK_BACK_BY = 4.0, 7.0, 9.0
SETTLED = 15.0  # seconds after which the state is read anyhow: the move may have happened and we may be gone

CONVERSATION_END = 95013

T = TypeVar("T")


class Outcome(StrEnum):
    """`OVER`: the session, or the stretch that was meant, has ended. `LOST`: the request went unanswered and has had no
    effect; `UNKNOWN`: nor can be told whether it had one. In all cases but `DONE` and `UNKNOWN` nothing has changed."""

    DONE = "done"
    SAME = "same"
    OVER = "over"
    NOT_HUMAN = "not_human"
    NOBODY = "nobody"
    SEVERAL = "several"
    AWAY = "away"
    REFUSED = "refused"
    LOST = "lost"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Colleague:
    """A servicer who is receiving, with the number of open handoffs that are theirs."""

    userid: str
    load: int


@dataclass(frozen=True, slots=True)
class TransferResult:
    """`servicer`: who was meant, as WeCom writes the userid where it is known. `fits`: several that a short name fits.

    `receiving`: who could have it, least busy first. `handoff` as it stands after; None when none is on record.
    """

    outcome: Outcome
    before: StateReading
    servicer: str = ""
    handoff: Handoff | None = None
    fits: tuple[str, ...] = ()
    receiving: tuple[Colleague, ...] = ()
    error: WeComError | None = None


def meant_by(name: str, servicers: Sequence[Servicer]) -> list[Servicer]:
    """The one with this userid, case-blind, with or without an @; else those whose userid begins so."""
    wanted = name.lstrip("@＠").casefold()
    members = [each for each in servicers if each.userid]
    exact = [each for each in members if each.userid.casefold() == wanted]
    return exact or [each for each in members if wanted and each.userid.casefold().startswith(wanted)]


class Transfers:
    def __init__(self, kf: KfApi, ledger: Ledger, people: People, handoffs: Handoffs, clock: Clock) -> None:
        self._kf, self._ledger, self._people = kf, ledger, people
        self._handoffs, self._clock = handoffs, clock

    async def give(
        self, key: SessionKey, name: str, operator: Operator, via: Via, *, handoff_id: int | None = None
    ) -> TransferResult:
        """`name`: of the servicer, see `meant_by`. `handoff_id` names the one stretch that is meant.

        Raises WeComError when the state or the list of servicers cannot be read: then nothing was done.
        """
        began = asyncio.get_running_loop().time()
        before, session = await self._read(key, began + READ_BY)
        if session.handoff is None or not has_human(before.state) or handoff_id not in (None, session.handoff.id):
            return await self._nothing_to_give(key, before, handoff_id)
        servicers = await _by(began + READ_BY, self._kf.servicers(key.open_kfid))
        await self._people.save_servicers(key.open_kfid, servicers, self._clock.now())
        result = await self._choose(key, name, TransferResult(Outcome.DONE, before, name, session.handoff), servicers)
        if result.outcome is Outcome.DONE:
            result = await self._give(key, result, session, operator, via, began)
        log.info(
            "transfer %s | handoff=%d %s from=%s to=%s by=%s", result.outcome, session.handoff.id, key,
            before.servicer_userid or "-", result.servicer, operator.id,
        )  # fmt: skip
        return result

    async def _read(self, key: SessionKey, until: float) -> tuple[StateReading, Session]:
        """The state, and the session that has followed it; once more where news came in between."""
        for _ in range(2):
            reading = await _by(until, self._handoffs.read_state(key, patient=False))
            session = await self._ledger.session(key)
            if (session.handoff is not None) is has_human(reading.state):
                break
        return reading, session

    async def _nothing_to_give(self, key: SessionKey, before: StateReading, meant: int | None) -> TransferResult:
        last = await self._ledger.history(key, 1)
        handoff = next(iter(last), None) if meant is None else await self._ledger.handoff(meant)
        over = before.state is ServiceState.ENDED or (handoff is not None and meant is not None)
        return TransferResult(Outcome.OVER if over else Outcome.NOT_HUMAN, before, handoff=handoff)

    async def _choose(
        self, key: SessionKey, name: str, result: TransferResult, servicers: list[Servicer]
    ) -> TransferResult:
        """`DONE` with the servicer's userid where there is one who can have it."""
        found = meant_by(name, servicers)
        if len(found) > 1:
            return replace(result, outcome=Outcome.SEVERAL, fits=tuple(each.userid for each in found))
        if not found:
            colleagues = await self._colleagues(key, servicers)
            return replace(result, outcome=Outcome.NOBODY, receiving=colleagues)
        chosen = replace(result, servicer=found[0].userid)
        if found[0].userid == result.before.servicer_userid:
            return replace(chosen, outcome=Outcome.SAME)
        if found[0].receiving is False:  # where WeCom does not say, its answer to the move will
            return replace(chosen, outcome=Outcome.AWAY, receiving=await self._colleagues(key, servicers))
        return replace(chosen, receiving=await self._colleagues(key, servicers, found[0].userid))

    async def _colleagues(self, key: SessionKey, servicers: list[Servicer], but: str = "") -> tuple[Colleague, ...]:
        loads = {each.userid: each.load for each in await self._people.servicers() if each.open_kfid == key.open_kfid}
        receiving = [each.userid for each in servicers if each.receiving and each.userid not in ("", but)]
        return tuple(
            sorted(
                (Colleague(userid, loads.get(userid, 0)) for userid in receiving),
                key=lambda each: (each.load, each.userid),
            )
        )

    async def _give(
        self, key: SessionKey, result: TransferResult, known: Session, operator: Operator, via: Via, began: float
    ) -> TransferResult:
        servicer, code = result.servicer, ""
        await self._look_again(key, SETTLED)
        point("transfer.marked")
        try:
            code = await _by(began + MOVE_BY, self._kf.trans(key, ServiceState.HUMAN, servicer))
            point("transfer.moved")
        except WeComError as error:
            outcome = await self._after_error(key, servicer, error, began + LOOK_BACK_BY)
            if outcome is not Outcome.DONE:
                await self._look_again(key, 0.0)
                return replace(result, outcome=outcome, error=error)
        handoff = await self._record(key, known, servicer, operator, via, code)
        point("transfer.recorded")
        return replace(result, handoff=handoff)

    async def _after_error(self, key: SessionKey, servicer: str, error: WeComError, until: float) -> Outcome:
        """What a refused or unanswered move comes to."""
        unanswered = isinstance(error, WeComUnavailable)
        if isinstance(error, WeComUnavailable) and not error.sent:
            return Outcome.LOST
        try:
            after = await _by(until, self._kf.state(key))
        except WeComError:
            return Outcome.UNKNOWN if unanswered else Outcome.REFUSED
        if after == StateReading(ServiceState.HUMAN, servicer):
            return Outcome.DONE
        if after.state is ServiceState.ENDED or error.errcode == CONVERSATION_END:
            return Outcome.OVER
        return Outcome.LOST if unanswered else Outcome.REFUSED

    async def _look_again(self, key: SessionKey, seconds: float) -> None:
        """Have the state read by then. The mark is a row, and on disk, so that it outlives us."""
        now = self._clock.now()

        def mark(session: Session) -> None:
            session.check_at = min(session.check_at or inf, now + seconds)

        await self._ledger.change(key, mark, now, durable=True)

    async def _record(
        self, key: SessionKey, known: Session, servicer: str, operator: Operator, via: Via, code: str
    ) -> Handoff:
        """One event, with the one who asked. If news came in meanwhile, the state is read once more.

        With `code` the customer is greeted: soon, by the job that looks for what waits to be sent.
        """
        now = self._clock.now()
        given = known.handoff
        assert given is not None

        def record(session: Session) -> Handoff:
            handoff = session.handoff
            if session.version != known.version:
                session.check_at = now
            if handoff is None or handoff.id != given.id:
                return given
            hand_over(session, handoff, servicer, operator, now, via, code)
            return snapshot(handoff)

        return await self._ledger.change(key, record, now)


async def _by(until: float, call: Awaitable[T]) -> T:
    """`until` by the loop's time. What is given up may have happened."""
    try:
        async with asyncio.timeout_at(until):
            return await call
    except TimeoutError:
        raise WeComUnavailable("service_state", "no answer in time") from None
