"""Read the state of sessions marked for it (`check_at`), oldest first, inside a budget far below WeCom's limits.

Marks are set by a first start, by a customer's message in a session whose state nothing told, by news that contradict
each other, and once a minute for what has long been quiet. They are rows, so a crash forgets none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

from bot.errors import CredentialRejected, KfbotError, RateLimited, TokenExpired, WeComError
from bot.model import SessionKey, StateReading
from bot.ports import Clock, Ledger
from bot.sessions import Session, write_off
from bot.states import SESSION_LIFETIME

log = logging.getLogger("kfbot.checks")

BATCH = 50
AT_ONCE = 8
NAP = 1.0  # seconds between looks while marks lie in the future
RETRY = 15.0  # seconds until a session whose read failed is read again
REFUSED_AGAIN = (15.0, 60.0, 240.0)  # the same where WeCom would not say; then it is left to what looks at all of them
PAUSE_AFTER_REFUSAL = 60.0
LOOK_AGAIN = 5.0  # after a hit limit: the client finds out whether it still holds
FOREIGN = 40096  # not a customer of this corp
GONE = frozenset({FOREIGN, 95000, 95004})  # or the account is none, or none any more
QUIET = 600.0  # seconds after which what is known of an open handoff is old
UNSERVED = 1800.0  # the same of a session that no human is known to have
QUIET_EVERY, QUIET_AT_ONCE = 60.0, 100  # at most 100 reads a minute of the 10,000 that WeCom grants a corp

REFUSED_TO_ALL = (RateLimited, CredentialRejected, TokenExpired)

ReadState = Callable[[SessionKey], Awaitable[StateReading]]
Turn = Callable[[], Awaitable[None]]
Hear = Callable[[Iterable[str]], Awaitable[object]]


async def nothing_new(accounts: Iterable[str]) -> None:
    """Where no stream is behind."""


class Checks:
    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        read_state: ReadState,
        turn: Turn,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        hear: Hear = nothing_new,
    ) -> None:
        """`turn` waits for the next call that the budget allows. `hear` has these accounts' streams tell what they can
        where they are behind: a state does not say since when it holds, or what was before."""
        self._ledger, self._clock, self._read_state = ledger, clock, read_state
        self._turn, self._sleep, self._hear = turn, sleep, hear
        self._wanted = asyncio.Event()
        self._refusals: dict[SessionKey, int] = {}

    def wake(self) -> None:
        self._wanted.set()

    async def run(self) -> None:
        """For ever: work off what is due, then wait for a wake or the next mark's time."""
        while True:
            self._wanted.clear()
            pause = RETRY
            try:
                pause = await self.work_off()
            except KfbotError as failed:
                log.error("checks: %s", failed)
            except Exception:  # the outermost loop: marks stay, and are read later
                log.exception("checks failed")
            await self._wait(pause)

    async def look_after_quiet_ones(self) -> None:
        """Other programs act without an event: read again, in both directions, what that may have changed. First open
        handoffs that have long not shown it; then, with what is left of the minute, sessions without one.
        """
        now = self._clock.now()
        marked = await self._ledger.check_quiet(now - QUIET, now, QUIET_AT_ONCE)
        left = QUIET_AT_ONCE - marked
        marked += await self._ledger.check_unserved(now - UNSERVED, now - SESSION_LIFETIME, now, left)
        if marked:
            self.wake()

    async def work_off(self) -> float:
        """Read every session that is due. Returns the seconds until there may be more to do."""
        while keys := await self._ledger.due_checks(self._clock.now(), BATCH):
            refused = await self._batch(keys)
            if isinstance(refused, RateLimited):
                await self._sleep(LOOK_AGAIN)  # whoever wakes us meanwhile
            elif refused is not None:
                return PAUSE_AFTER_REFUSAL
        upcoming = await self._ledger.next_check()
        return RETRY if upcoming is None else max(NAP, min(upcoming - self._clock.now(), RETRY))

    async def _batch(self, keys: Sequence[SessionKey]) -> WeComError | None:
        """Read these. Returns what would be said to any; then those not yet asked about stay due, and cost no turn."""
        await self._hear({key.open_kfid for key in keys})
        gate, refused = asyncio.Semaphore(AT_ONCE), list[WeComError]()

        async def one(key: SessionKey) -> None:
            async with gate:
                if refused:
                    return
                await self._turn()
                try:
                    await self._read_state(key)
                    self._refusals.pop(key, None)
                except WeComError as failed:
                    await self._later(key, failed)
                    if isinstance(failed, REFUSED_TO_ALL):
                        refused.append(failed)

        await asyncio.gather(*(one(key) for key in keys))
        return refused[0] if refused else None

    async def _later(self, key: SessionKey, failed: WeComError) -> None:
        """Trouble of the network or the app has a kind of its own, and passes; a plain refusal is of this very session
        (a foreign customer, a deleted account), and most often stays."""
        now, passing = self._clock.now(), type(failed) is not WeComError
        log.warning("state not read | %s %s", key.external_userid, failed)
        pause = RETRY if passing else await self._after_refusal(key, failed.errcode)

        def postpone(session: Session) -> None:
            session.check_at = now + pause if pause else None
            if not passing:  # nothing was learned, but the others are asked about first
                session.state_at = max(session.state_at, now)
            if not pause and failed.errcode in GONE:
                write_off(session, failed.errcode, now)

        await self._ledger.change(key, postpone, now)

    async def _after_refusal(self, key: SessionKey, errcode: int) -> float | None:
        """Seconds; None where it was asked often enough. Once is enough for a stranger with whom nothing is open."""
        count = self._refusals.pop(key, 0)
        if count == len(REFUSED_AGAIN) or (errcode == FOREIGN and await self._ledger.open_handoff(key) is None):
            return None
        self._refusals[key] = count + 1
        return REFUSED_AGAIN[count]

    async def _wait(self, seconds: float) -> None:
        resting = asyncio.ensure_future(self._sleep(seconds))
        waking = asyncio.ensure_future(self._wanted.wait())
        try:
            await asyncio.wait({resting, waking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (resting, waking):
                task.cancel()
