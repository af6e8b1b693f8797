"""The watch: at every tick, what is due is judged, looked at again in WeCom, put on record, and told or ended.

Nothing is sent about a session that has moved on, nothing twice, and no end is made that younger news forbid: the
state is read again just before, and the record refuses what no longer stands as it was judged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol

from bot.errors import WeComError
from bot.faults import point
from bot.model import Handoff, SessionKey, Watched
from bot.policies import Policies
from bot.ports import Alerts, Clock, Order, Sending
from bot.rules import Decision, RuleBook, clock, judge, next_send
from bot.sessions import Session
from bot.speaker import Speaker

log = logging.getLogger("kfbot.watch")

BATCH, ROUNDS = 2000, 20  # handoffs looked at together, and how often in one tick
SLICE = 100  # judged without a break
MOST_READ, LEAST_READ = 200, 20  # states read in one round, and of each account with more
RETRY = 15.0  # seconds until what could not be done now is tried again
LATER = 3600.0  # the same for a session that WeCom will not show us
PATIENCE = 3.0  # seconds to wait for news that are in WeCom's stream already


class CatchUp(Protocol):
    """`bot.kf_sync.KfSync.catch_up`."""

    async def __call__(self, open_kfid: str, patience: float, *, sure: bool = False) -> bool: ...


ReadStates = Callable[[Iterable[SessionKey]], Awaitable[Mapping[SessionKey, WeComError]]]


class Watch:
    """`tick` is safe to call at any time: a call during another has it look once more.

    `trustworthy`: False while nothing may be concluded from times or from WeCom's silence.
    """

    def __init__(
        self,
        alerts: Alerts,
        clock: Clock,
        books: Callable[[str], RuleBook],
        catch_up: CatchUp,
        read_states: ReadStates,
        trustworthy: Callable[[], Awaitable[bool]],
        policies: Policies,
        speaker: Speaker,
    ) -> None:
        self._alerts, self._clock, self._books = alerts, clock, books
        self._catch_up, self._read_states, self._trustworthy = catch_up, read_states, trustworthy
        self._policies, self._speaker = policies, speaker
        self._busy = self._again = False
        self._wanted = asyncio.Event()

    def news(self, sessions: Iterable[Session]) -> None:
        """Look at once if a rule asks for something now, rather than at the next tick."""
        now = self._clock.now()
        if any(each.handoff is not None and (each.handoff.watch_at or now + 1) <= now for each in sessions):
            self.wake()

    def wake(self) -> None:
        self._wanted.set()

    async def run(self) -> None:
        """For ever: a tick at every wake."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self.tick()
            except Exception:  # the outermost loop; the next tick of the scheduler comes anyway
                log.exception("watch failed")

    async def tick(self) -> None:
        self._again = True
        if self._busy:
            return
        self._busy = True
        try:
            while self._again:
                self._again = False
                await self._look()
        finally:
            self._busy = False

    async def _look(self) -> None:
        for _ in range(ROUNDS):
            due = await self._alerts.due(self._clock.now(), BATCH)
            ended = [each for each in due if not each.handoff.status.is_open]
            if ended:
                await self._speaker.last_words(ended)
            await self._judge([each for each in due if each.handoff.status.is_open])
            if len(due) < BATCH:
                return

    async def _judge(self, due: Sequence[Watched]) -> None:
        now = self._clock.now()
        judged = await self._decide_all(due, now)
        idle = [_order(each.handoff, decision) for each, decision in judged if not decision.acts]
        if idle:
            await self._alerts.record(idle, now)
        acting = [(each, decision) for each, decision in judged if decision.acts]
        if not acting:
            return
        if not await self._trustworthy():
            await self._hold((each, decision, now + RETRY) for each, decision in acting)
            return
        deaf = await self._speaker.deaf_until({each.handoff.open_kfid for each, _ in acting})
        heard = [(each, how) for each, how in acting if how.end or each.handoff.open_kfid not in deaf]
        await self._hold(
            (each, decision, deaf[each.handoff.open_kfid])
            for each, decision in acting
            if not decision.end and each.handoff.open_kfid in deaf
        )
        if heard:
            await self._act(heard, deaf)

    async def _act(self, asking: Sequence[tuple[Watched, Decision]], deaf: Mapping[str, float]) -> None:
        """Look again, then do what is still asked for."""
        acting = [each for each, _ in asking]
        caught_up = await self._catch_up_all(asking)
        failed = await self._read_states(_heads(acting))
        now = self._clock.now()
        await self._hold_unread(acting, failed, now)
        fresh = await self._alerts.watched(each.handoff.id for each in acting if each.handoff.key not in failed)
        judged = await self._decide_all([each for each in fresh if each.handoff.status.is_open], now)
        for each, decision in judged:
            if decision.end and not caught_up[each.handoff.open_kfid]:  # the servicer may just have written
                decision.end, decision.watch_at = None, min(decision.watch_at, now + RETRY)
        ends = [(each, decision.end) for each, decision in judged if decision.end]
        told = [(each, decision) for each, decision in judged if not decision.end]
        await self._tell([each for each in told if each[0].handoff.open_kfid not in deaf], fresh, now)
        await self._hold((each, how, deaf[kf]) for each, how in told if (kf := each.handoff.open_kfid) in deaf)
        await self._policies.end(ends)
        if ends:
            self._again = True  # the last word on what has ended, or an alert about what has not

    async def _tell(self, told: Iterable[tuple[Watched, Decision]], fresh: Iterable[Watched], now: float) -> None:
        sendings = await self._alerts.record([self._sending(each, decision, now) for each, decision in told], now)
        if sendings:
            point("alert.claimed")
            await self._speaker.tell(sendings, fresh)

    async def _decide_all(self, found: Sequence[Watched], now: float) -> list[tuple[Watched, Decision]]:
        """With breaks, in which others have their turn."""
        judged: list[tuple[Watched, Decision]] = []
        for start in range(0, len(found), SLICE):
            judged += [(each, self._decide(each, now)) for each in found[start : start + SLICE]]
            await asyncio.sleep(0)
        return judged

    def _decide(self, watched: Watched, now: float) -> Decision:
        decision = judge(watched, self._books(watched.handoff.open_kfid), now)
        if decision.end:
            not_before = self._policies.not_before(watched.handoff.id)
            if not_before > now:  # it has been tried, and refused
                decision.end, decision.watch_at = None, min(decision.watch_at, not_before)
        return decision

    async def _catch_up_all(self, asking: Iterable[tuple[Watched, Decision]]) -> dict[str, bool]:
        """Whether we know all that was written in these accounts; for a session about to be ended, at any price."""
        sure: dict[str, bool] = {}
        for each, decision in asking:
            account = each.handoff.open_kfid
            sure[account] = sure.get(account, False) or decision.end is not None
        calls = (self._catch_up(account, PATIENCE, sure=wanted) for account, wanted in sure.items())
        return dict(zip(sure, await asyncio.gather(*calls), strict=True))

    async def _hold(self, acting: Iterable[tuple[Watched, Decision, float]]) -> None:
        """Leave each alone until its time."""
        orders = [_held(each.handoff, decision, until) for each, decision, until in acting]
        if orders:
            await self._alerts.record(orders, self._clock.now())

    async def _hold_unread(
        self, acting: Sequence[Watched], failed: Mapping[SessionKey, WeComError], now: float
    ) -> None:
        """Trouble of the network or the app has a kind of its own, and passes; a plain refusal is of this session."""
        held = []
        for each in acting:
            error = failed.get(each.handoff.key)
            if error is not None:
                log.warning("state not read before an alert | handoff=%d %s", each.handoff.id, error)
                held.append((each, self._decide(each, now), now + (LATER if type(error) is WeComError else RETRY)))
        await self._hold(held)

    def _sending(self, watched: Watched, decision: Decision, now: float) -> Order:
        handoff, book = watched.handoff, self._books(watched.handoff.open_kfid)
        sendings = []
        for rule in decision.rules:
            sends = 1 if rule in decision.raised else watched.alerts[rule].sends + 1
            began = max(now, clock(handoff, rule) or now)  # WeCom's clock may be ahead of ours
            sendings.append(Sending(handoff, rule, began, sends, next_send(book, rule, sends, now)))
        return _order(handoff, decision, sendings)


def _heads(acting: list[Watched]) -> list[SessionKey]:
    """Whose state to read. Very many become one list for each group, of which only the head is read."""
    acting.sort(key=lambda each: each.handoff.waiting_since or each.handoff.active_at)
    of_account: dict[str, list[SessionKey]] = {}
    for each in acting:
        of_account.setdefault(each.handoff.open_kfid, []).append(each.handoff.key)
    most = max(LEAST_READ, MOST_READ // len(of_account))
    return [key for keys in of_account.values() for key in keys[:most]]


def _order(handoff: Handoff, decision: Decision, sendings: Sequence[Sending] = ()) -> Order:
    return Order(handoff, decision.watch_at, decision.next_at, decision.cleared, sendings)


def _held(handoff: Handoff, decision: Decision, until: float) -> Order:
    """Nothing is done about it before `until`."""
    again = decision.raised or decision.end
    watch_at = min(decision.watch_at, until) if again else decision.watch_at
    return Order(handoff, watch_at, {**decision.next_at, **dict.fromkeys(decision.repeated, until)}, decision.cleared)
