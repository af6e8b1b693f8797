"""The domain service: decide, record, call, settle. Every way a handoff ends goes through here or through `sessions`.

The order of an end: read the state → record the intention, on disk → service_state/trans to 4 → settle → closing
message, while the state is read back. Where WeCom's answer proves nothing, it is read back before the end is settled. A
crash before that leaves a pending intention; `settle_pending` reads the real state and closes it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from math import inf
from typing import Any, TypeVar

from bot.attempt import Attempt, Watch, always, settle_theirs, unwatched
from bot.closing import ClosingMessages
from bot.ending import NOT_SERVICER, EndResult, Move, Outcome, StateRead, Verdict, judge
from bot.errors import CredentialRejected, WeComError, WeComUnavailable
from bot.faults import point
from bot.model import Asker, EventType, Handoff, Notify, Operator, ServiceState, SessionKey, StateReading, Via
from bot.ports import Clock, KfApi, Ledger, PendingEnding
from bot.sessions import (
    SKEW,
    Ending,
    Session,
    is_over,
    state_read,
)
from bot.states import has_human
from bot.strays import Strays
from bot.untold import Readings, Untold

log = logging.getLogger("kfbot.handoffs")

LIMIT = 9.0  # seconds an end may take before its caller is told that WeCom does not answer
LOOKS = 5  # at a session that news keep changing; a colleague's end changes it twice
SECOND_LOOK = 0.3  # seconds before a state is read again that contradicts WeCom's ok
LEASE = 15.0  # seconds an intention belongs to whoever works on it; of a dead process, a move may still be on its way
GIVE_UP_AFTER = 600.0  # seconds an unsettled intention is tried again
PARK_AFTER = 60.0  # the same where WeCom refuses to tell this one session's state: that mostly stays so
CLOSING_PATIENCE = 3.0  # seconds a caller waits to hear how the closing message went
POLL = 0.05
READS_AT_ONCE = 16

T = TypeVar("T")
Told = Callable[[PendingEnding, EndResult], Awaitable[None]]


class Handoffs:
    def __init__(
        self,
        kf: KfApi,
        ledger: Ledger,
        clock: Clock,
        closings: ClosingMessages,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        limit: float = LIMIT,
    ) -> None:
        self._kf, self._ledger, self._clock = kf, ledger, clock
        self._closings, self._sleep, self._limit = closings, sleep, limit
        self._sending: set[asyncio.Task[str]] = set()
        self._strays = Strays()
        self.untold = Untold(ledger, clock, sleep)
        self.news: Callable[[str], Awaitable[object] | None] = lambda open_kfid: None
        """Reads an account's stream, unless that has just been done. Set where somebody reads it."""
        self.on_open: Callable[[list[Session]], None] = lambda sessions: None
        """Told of sessions in which a state read has opened a handoff, as they stand after it."""

    async def read_state(self, key: SessionKey, *, patient: bool = True) -> StateReading:
        """Ask WeCom now, and follow what it says. Raises WeComError.

        An end that shows before its event has been read is followed when the message stream has told what it knows of
        it: until then the handoff stands as open. Whoever is going to act upon what is on record is not so `patient`:
        with a human there is the handoff of now."""
        session = await self._ledger.session(key)
        reading = await self._kf.state(key)
        await self._follow(session, reading, patient=patient)
        return reading

    async def read_states(self, keys: Iterable[SessionKey]) -> dict[SessionKey, WeComError]:
        """As `read_state` for many, some at a time and followed in one transaction. Returns those that failed, and
        those that are over while it is not known yet how: nothing may be done about any of them."""
        gate = asyncio.Semaphore(READS_AT_ONCE)
        before = await self._ledger.sessions(keys)
        readings: dict[SessionKey, StateReading] = {}
        failed: dict[SessionKey, WeComError] = {}

        async def read(key: SessionKey) -> None:
            async with gate:
                try:
                    readings[key] = await self._kf.state(key)
                except WeComError as error:
                    failed[key] = error

        await asyncio.gather(*(read(key) for key in before))
        untold = await self._follow_all({key: (before[key], reading) for key, reading in readings.items()})
        return failed | {key: WeComUnavailable("sync_msg", "it is over, and its end not read yet") for key in untold}

    async def end(
        self,
        key: SessionKey,
        operator: Operator,
        via: Via,
        reason: str = "",
        *,
        handoff_id: int | None = None,
        notify: Notify | None = None,
        watch: Watch = unwatched,
        still: Callable[[Session], bool] = always,
        session: Session | None = None,
    ) -> EndResult:
        """End a session. Never raises WeComError: what WeCom refuses is in the result.

        Idempotent: an ended session is `ALREADY`. `handoff_id` names the one stretch that is meant, as a number or an
        old card does: when it is over, that is the answer, and the customer's next one is left alone. `notify`: who is
        owed the outcome, now or when it is known; until it has arrived there, that is on record. `watch` sees each step
        as it happens. `still` is asked at the last moment, with all that is on record, whether the end is wanted;
        if not, the outcome is `SKIPPED`. `session`: as it was loaded a moment ago, where the caller has looked already.
        """
        attempt = Attempt(key, operator, via, reason, notify, watch, self._deadline(), still)
        try:
            return await self._end(attempt, handoff_id, session)
        except WeComError as failed:  # of a first reading: nothing is recorded yet
            return self._result(attempt, Outcome.FAILED, error=failed)
        except asyncio.CancelledError:
            if attempt.ending is not None:  # no need for anybody to wait for our lease
                await asyncio.shield(self._ledger.release_ending(attempt.ending.id, self._clock.now(), 0))
            raise

    async def settle_pending(self, tell: Told) -> None:
        """Close intentions that a crash, a time-out or another process left behind; `tell` hears of each outcome."""
        for pending in await self._ledger.due_endings(self._clock.now()):
            if await self._ledger.take_ending(pending.ending.id, self._clock.now(), LEASE):
                point("ending.taken_up")
                result = await self._resume(pending.ending, pending.key)
                point("ending.resumed")
                if result is not None and result.outcome is not Outcome.UNKNOWN:
                    await tell(pending, result)
                    point("ending.told")

    async def drain(self, seconds: float) -> None:
        """Let goodbyes that are under way get through before the process leaves: soon their codes are dead. None is
        left when this ends, however it ends."""
        try:
            if self._sending:
                await asyncio.wait(self._sending, timeout=seconds)
        finally:
            for sending in self._sending:
                sending.cancel()
            await asyncio.gather(*self._sending, return_exceptions=True)

    # -- one end

    async def _end(self, attempt: Attempt, meant: int | None, known: Session | None) -> EndResult:
        for _ in range(LOOKS):
            session, known = known or await self._ledger.session(attempt.key), None
            if meant is not None and (session.handoff is None or session.handoff.id != meant):
                attempt.handoff = await self._ledger.handoff(meant)
                return self._result(attempt, Outcome.ALREADY)
            attempt.see(await self._seen(attempt, meant))
            if not has_human(attempt.before.state):
                return await self._nothing_to_end(attempt, session)
            if self.untold.concerns(session, attempt.before):
                await self._follow(session, attempt.before, patient=False)
                continue
            attempt.handoff, ending, ours = await self._record(attempt, session.version, meant)
            if attempt.unwanted:
                return self._result(attempt, Outcome.SKIPPED)
            if ending is None:
                continue  # news changed it between the reading and the record: look again
            if not ours:
                return await self._await_other(attempt, ending)
            attempt.ending = ending
            point("ending.recorded")
            return await self._carry_out(attempt)
        return self._result(attempt, Outcome.FAILED)

    async def _seen(self, attempt: Attempt, meant: int | None) -> StateReading:
        """The state. Where one stretch is meant, the news are read beside it: it may be over, and this the next one,
        though no callback has told of it. Then the session is another by the time the end is recorded."""
        reading = self._in_time(attempt, self._kf.state(attempt.key))
        news = self.news(attempt.key.open_kfid) if meant is not None else None
        if news is None:
            return await reading
        return (await asyncio.gather(reading, news))[0]

    async def _record(
        self, attempt: Attempt, version: int, meant: int | None
    ) -> tuple[Handoff | None, Ending | None, bool]:
        now = self._clock.now()

        def decide(session: Session) -> bool:
            if session.version != version:
                return False  # this may be another stretch than the one that was read
            state_read(session, attempt.before, now)
            if session.handoff is None or meant not in (None, session.handoff.id):
                return False
            if not attempt.still(session):
                attempt.unwanted = True
                return False
            if session.ending is None:
                data = {"via": attempt.via, **({"reason": attempt.reason} if attempt.reason else {})}
                session.log(session.handoff, EventType.ENDING, attempt.operator, now, **data)
            return True

        return await self._ledger.open_ending(
            attempt.key, decide, attempt.operator, attempt.via, attempt.reason, now, LEASE, attempt.notify
        )

    async def _carry_out(self, attempt: Attempt) -> EndResult:
        """Move, read back, judge; once more where the judgement says so. Never a third time.

        A code is given for an end alone, buys the goodbye for 20 s, and stands in this answer only: then nothing more
        is asked before it is on record."""
        reading = attempt.before
        log.info("🔄 尝试自动结束会话，让用户重新发送消息以创建新会话... | %s", attempt)
        for last in (False, True):
            move = await self._move(attempt, reading)
            if move.code:
                return await self._settle(attempt, move, Verdict.ENDED)
            verdict = await self._look_back(attempt, move)
            if verdict is not Verdict.AGAIN or last or await self._overtaken(attempt):
                return await self._settle(attempt, move, verdict)
            reading = attempt.after or reading
        raise AssertionError("unreachable")

    async def _move(self, attempt: Attempt, reading: StateReading) -> Move:
        servicer = reading.servicer_userid if reading.state is ServiceState.HUMAN else None
        move = await self._trans(attempt, servicer)
        if move.errcode == NOT_SERVICER and servicer:
            move = await self._trans(attempt, None)
        return move

    async def _trans(self, attempt: Attempt, servicer: str | None) -> Move:
        point("ending.moving")
        try:
            code = await self._in_time(attempt, self._kf.trans(attempt.key, ServiceState.ENDED, servicer))
            move = Move(servicer, code)
            attempt.code, attempt.moved_at = code, self._clock.now()
            point("ending.moved")
        except WeComError as refused:
            move = Move(servicer, error=refused)
            attempt.lost = attempt.lost or refused.doubtful
            if isinstance(refused, WeComUnavailable) and refused.sent:
                attempt.lost = True
                self._strays.expect(attempt.key, self._clock.now(), attempt.operator, attempt.via)
        attempt.watch(move)
        return move

    async def _look_back(self, attempt: Attempt, move: Move) -> Verdict:
        verdict = judge(move, await self._read_back(attempt))
        if verdict is Verdict.STILL_OPEN and move.error is None:
            await self._sleep(SECOND_LOOK)  # WeCom said ok: give the state a moment before calling it untrue
            verdict = judge(move, await self._read_back(attempt), looked_twice=True)
        point("ending.judged")
        return verdict

    async def _read_back(self, attempt: Attempt) -> StateReading | None:
        try:
            attempt.after = await self._in_time(attempt, self._kf.state(attempt.key))
        except WeComError:
            attempt.after = None
        else:
            attempt.watch(StateRead(attempt.after, confirming=True))
        return attempt.after

    async def _overtaken(self, attempt: Attempt) -> bool:
        """Somebody wrote since the end was asked for: what is open now may not be what was meant."""
        ending = (await self._ledger.session(attempt.key)).ending
        return ending is None or ending.overtaken

    async def _settle(self, attempt: Attempt, move: Move, verdict: Verdict) -> EndResult:
        ending = attempt.ending
        assert ending is not None
        if verdict is Verdict.UNKNOWN or (verdict is Verdict.AGAIN and isinstance(move.error, WeComUnavailable)):
            await self._ledger.release_ending(ending.id, self._clock.now() + POLL, move.errcode)
            return self._result(attempt, Outcome.UNKNOWN, error=move.error)
        over = verdict in (Verdict.ENDED, Verdict.ALREADY)
        if verdict is Verdict.ENDED and not attempt.moved_at:
            await self._hear_of_it(attempt)
        now = self._clock.now()

        def decide(session: Session) -> tuple[Handoff | None, bool, Session]:
            """The handoff, whether the end is ours, and the session as it stands then."""
            self._strays.mark(session, now)
            if session.handoff is None or session.handoff.id != ending.handoff_id:
                return None, False, session  # settled by younger news
            ours = verdict is Verdict.ENDED or (over and attempt.lost)
            if ours and (attempt.moved_at or session.handoff.via != Via.CLIENT):
                return attempt.finish_ours(session, now), True, session
            if over:
                return settle_theirs(session, now), False, session
            attempt.log_failure(session, session.handoff, move, now)
            return session.handoff, False, session

        attempt.handoff, ours, session = await self._ledger.settle_ending(
            attempt.key, ending.id, "done" if over else "failed", verdict.value, move.errcode, now, decide
        )
        point("ending.settled")
        if over and attempt.handoff is not None and attempt.handoff is session.handoff:  # nothing told whose end it was
            await self._follow(session, attempt.after or StateReading(ServiceState.ENDED))
            attempt.handoff = None
        attempt.handoff = attempt.handoff or await self._ledger.handoff(ending.handoff_id)
        if not over and attempt.handoff is not None and attempt.handoff.status.is_open:
            return self._result(attempt, Outcome.FAILED, error=move.error)
        return await self._take_leave(attempt, move, Outcome.ENDED if ours else Outcome.ALREADY, session)

    async def _take_leave(self, attempt: Attempt, move: Move, outcome: Outcome, session: Session) -> EndResult:
        """`session`: as it was settled."""
        goodbye = self._say_goodbye(attempt)
        if move.code:
            await self._look_back(attempt, move)
        await self._follow_new_session(attempt, session)
        closing = await self._hear_of(goodbye, attempt)
        return self._result(attempt, outcome, closing=closing)

    async def _hear_of_it(self, attempt: Attempt) -> None:
        """An end that is taken to be ours for want of an answer: an event may tell of another's."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(attempt.until):
                await self.untold.catch_up(attempt.key.open_kfid)

    async def _follow_new_session(self, attempt: Attempt, settled: Session) -> None:
        """The read-back may already show the customer's next session."""
        after = attempt.after
        if after is not None and settled.handoff is None and after.state is not settled.state:
            await self._follow(settled, after)

    def _say_goodbye(self, attempt: Attempt) -> asyncio.Task[str] | None:
        if attempt.handoff is None:
            return None
        sending = asyncio.create_task(self._closings.send(attempt.handoff.id))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)
        return sending

    async def _hear_of(self, sending: asyncio.Task[str] | None, attempt: Attempt) -> str:
        """Wait a little to hear how the goodbye went; it goes on without us."""
        if sending is None:
            return ""
        left = attempt.until - asyncio.get_running_loop().time()
        done, _ = await asyncio.wait({sending}, timeout=max(0.0, min(CLOSING_PATIENCE, left)))
        return sending.result() if done else "sending"

    async def _nothing_to_end(self, attempt: Attempt, session: Session) -> EndResult:
        await self._follow(session, attempt.before)
        ending = (await self._ledger.session(attempt.key)).ending
        if ending is not None:  # its end is being settled, or was left behind by a crash
            if await self._ledger.take_ending(ending.id, self._clock.now(), LEASE):
                await self._resume(ending, attempt.key)
            return await self._await_other(attempt, ending)
        found = session.handoff
        attempt.handoff = await (self._last(attempt.key) if found is None else self._ledger.handoff(found.id))
        over = attempt.before.state is ServiceState.ENDED or found is not None
        return self._result(attempt, Outcome.ALREADY if over else Outcome.NOT_HUMAN)

    async def _await_other(self, attempt: Attempt, ending: Ending) -> EndResult:
        """Somebody else is ending it right now: wait for the truth, as long as our caller can wait."""
        while True:
            session = await self._ledger.session(attempt.key)
            attempt.handoff = session.handoff
            if session.handoff is None or session.handoff.id != ending.handoff_id:
                attempt.handoff = await self._ledger.handoff(ending.handoff_id)
                attempt.after = StateReading(ServiceState.ENDED)
                return self._result(attempt, Outcome.ALREADY)
            if session.ending is None or session.ending.id != ending.id:
                return self._result(attempt, Outcome.FAILED)
            if asyncio.get_running_loop().time() >= attempt.until:
                if attempt.notify:
                    await self._ledger.promise(ending.id, Asker(*attempt.notify))
                return self._result(attempt, Outcome.UNKNOWN)
            await self._sleep(POLL)

    # -- intentions left behind

    async def _resume(self, ending: Ending, key: SessionKey) -> EndResult | None:
        """None: WeCom does not answer, it stays pending."""
        attempt = Attempt(key, ending.operator, Via(ending.via), ending.reason, None, unwatched, self._deadline())
        attempt.ending, attempt.lost = ending, True
        self._strays.expect(key, ending.requested_at, attempt.operator, attempt.via)
        try:
            attempt.see(await self._in_time(attempt, self._kf.state(key)))
        except WeComError as failed:
            if self._clock.now() > ending.requested_at + _patience(failed):
                return await self._park(attempt, failed)
            await self._ledger.release_ending(ending.id, self._clock.now() + LEASE / 3, failed.errcode)
            return None
        session = await self._ledger.session(key)
        attempt.handoff = session.handoff
        if session.handoff is None or session.handoff.id != ending.handoff_id:
            return await self._settle(attempt, Move(None), Verdict.ALREADY)
        if is_over(session.handoff, attempt.before.state):
            attempt.after = attempt.before
            return await self._settle(attempt, Move(None), Verdict.ENDED)
        if session.ending is None or self._outdated(session.ending):
            if self._strays.may_arrive(key, self._clock.now()):  # whoever asks anew need not wait for it
                await self._ledger.release_ending(ending.id, self._clock.now(), 0)
                return None
            return await self._settle(attempt, Move(None), Verdict.STILL_OPEN)
        return await self._carry_out(attempt)

    async def _park(self, attempt: Attempt, failed: WeComError) -> EndResult:
        """Nobody can say whether it is over: people are told, and it waits for them."""
        ending, now = attempt.ending, self._clock.now()
        assert ending is not None

        def decide(session: Session) -> Handoff | None:
            if session.handoff is None or session.handoff.id != ending.handoff_id:
                return None
            attempt.log_failure(session, session.handoff, Move(None, error=failed), now)
            return session.handoff

        attempt.handoff = await self._ledger.settle_ending(
            attempt.key, ending.id, "parked", "unreadable", failed.errcode, now, decide
        ) or await self._ledger.handoff(ending.handoff_id)
        return self._result(attempt, Outcome.FAILED, error=failed)

    def _outdated(self, ending: Ending) -> bool:
        """The conversation went on after somebody asked for its end, or that was long ago: people decide anew."""
        return ending.overtaken or self._clock.now() > ending.requested_at + GIVE_UP_AFTER

    # -- shared

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._limit

    async def _in_time(self, attempt: Attempt, call: Coroutine[Any, Any, T]) -> T:
        """Only WeCom is waited for no longer than the caller can: what has begun in the ledger is finished."""
        if asyncio.get_running_loop().time() >= attempt.until:
            call.close()
            raise WeComUnavailable("service_state", "the time for this end is over", sent=False)
        try:
            async with asyncio.timeout_at(attempt.until):
                return await call
        except TimeoutError:
            raise WeComUnavailable("service_state", f"no answer within {self._limit:.0f} s") from None

    async def _follow(self, session: Session, reading: StateReading, *, patient: bool = True) -> None:
        """Apply a reading unless younger news came in meanwhile. `session`: as it was when WeCom was asked."""
        await self._follow_all({session.key: (session, reading)}, patient=patient)

    async def _follow_all(self, readings: Readings, *, patient: bool = True) -> set[SessionKey]:
        """Returns the sessions that are over while it is still asked how: nothing is followed there. See `Untold`."""
        now = self._clock.now()
        doubtful = {key: each for key, each in readings.items() if self.untold.concerns(*each)}
        await self._apply({key: each for key, each in readings.items() if key not in doubtful}, now)
        if not doubtful:
            return set()
        untold = await self.untold.ask(doubtful, now, patient=patient)
        await self._apply({key: each for key, each in doubtful.items() if key not in untold}, now)
        return untold

    async def _apply(self, readings: Readings, read_at: float) -> None:
        if not readings:
            return
        now = self._clock.now()
        over_since = {key: self.untold.since(session) for key, (session, _) in readings.items()}
        opened: list[Session] = []

        def decide(session: Session) -> None:
            before, reading = readings[session.key]
            if session.version != before.version:
                session.check_at = now
                return
            handoff, since = session.handoff, over_since[session.key]
            if since is not None:
                self._strays.finish(session, since)
            state_read(session, reading, read_at)
            self._strays.mark(session, read_at)
            if since is not None and session.last_customer_at + SKEW > read_at:
                session.check_at = now  # written since then, maybe, and in the next session
            if session.handoff is not None and session.handoff is not handoff:
                opened.append(session)

        await self._ledger.change_all(readings, decide, now)
        point("states.followed")
        for key in readings:
            self.untold.conclude(key)
            self._strays.read(key, read_at)
        if opened:
            self.on_open(opened)

    async def _last(self, key: SessionKey) -> Handoff | None:
        return next(iter(await self._ledger.history(key, limit=1)), None)

    def _result(
        self, attempt: Attempt, outcome: Outcome, error: WeComError | None = None, closing: str = ""
    ) -> EndResult:
        result = EndResult(outcome, attempt.key, attempt.first, attempt.after, attempt.handoff, error, closing)
        attempt.log_result(result)
        return result


def _patience(failed: WeComError) -> float:
    """Seconds from an intention on until a state that cannot be read is not waited for any more."""
    if isinstance(failed, CredentialRejected):
        return GIVE_UP_AFTER
    return PARK_AFTER if type(failed) is WeComError else inf
