"""Ends that a state read shows while nothing has told of them.

Who made such an end, and the code that buys its goodbye, stand in an event of the message stream, which is read before
anything is concluded. Until then nothing of the reading is applied, and news that come meanwhile find the session as
they left it. The question stands on record as a mark (`check_at`): after a crash the state is read again, and it is
asked anew. When the stream has been read to its end and tells nothing, or could not be read for long, the end was made
elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from bot.model import SessionKey, StateReading
from bot.ports import Clock, Ledger
from bot.sessions import Session, is_over, look_again
from bot.states import has_human

LAG = 1.0  # seconds an event may come into the stream after the state that it tells of can be read
AGAIN = 5.0  # seconds until a stream that could not be read is asked again
ENOUGH = 20.0  # seconds of that after which it is not waited for: a code would be dead by now
IN_VAIN = 3  # asks besides: seconds alone pass while the machine is asleep, too

Readings = Mapping[SessionKey, tuple[Session, StateReading]]
"""Each with the session as it was when WeCom was asked."""


@dataclass(slots=True)
class Doubt:
    """`since`: when a reading first showed that this handoff is over. `asked_at`: of the stream, the last time.
    `in_vain`: how often it could not be read."""

    handoff_id: int
    since: float
    asked_at: float
    in_vain: int = 0


class Untold:
    def __init__(self, ledger: Ledger, clock: Clock, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._ledger, self._clock, self._sleep = ledger, clock, sleep
        self._doubts: dict[SessionKey, Doubt] = {}
        self.catch_up: Callable[[str], Awaitable[bool]] = _nobody
        """Reads an account's stream; True when all is on record that stands in it now. Set where somebody reads it."""

    def concerns(self, session: Session, reading: StateReading) -> bool:
        """Whether this shows an end that nothing has told of. Where one is under way, whoever makes it knows."""
        if session.handoff is None or session.ending is not None:
            return False
        return is_over(session.handoff, reading.state) or self.since(session) is not None

    def since(self, session: Session) -> float | None:
        """When a reading first showed that the open handoff is over; None where none has."""
        doubt = self._doubts.get(session.key)
        known = doubt is not None and session.handoff is not None and session.handoff.id == doubt.handoff_id
        return doubt.since if known and doubt is not None else None

    async def ask(self, readings: Readings, at: float, *, patient: bool) -> set[SessionKey]:
        """Have the stream tell who made these ends, which were read `at`. Returns those that are still open questions:
        of all others may be believed what the reading shows. Not `patient`: where a human has the session again, who
        must not be taken for the one of before, there is none."""
        fresh = self._raise(readings, at)
        if fresh:
            await self._mark(fresh, at + AGAIN)
        told = await self._listen({key: readings[key][0] for key in fresh})
        self._count(key for key in fresh if key not in told)
        begun = set() if patient else {key for key, (_, reading) in readings.items() if has_human(reading.state)}
        return {key for key in readings.keys() - told - begun if not self._is_old(readings[key][0])}

    def conclude(self, key: SessionKey) -> None:
        self._doubts.pop(key, None)

    def _raise(self, readings: Readings, at: float) -> list[SessionKey]:
        """The questions, as of now. Returns those that have not been asked just before."""
        fresh = []
        for key, (session, _) in readings.items():
            assert session.handoff is not None
            since = self.since(session)
            if since is None:
                self._doubts[key] = Doubt(session.handoff.id, at, at)
            elif self._doubts[key].asked_at + AGAIN > at:
                continue
            self._doubts[key].asked_at = at
            fresh.append(key)
        return fresh

    async def _mark(self, keys: Iterable[SessionKey], at: float) -> None:
        def mark(session: Session) -> None:
            look_again(session, at)

        await self._ledger.change_all(keys, mark, self._clock.now())

    async def _listen(self, asked: Mapping[SessionKey, Session]) -> set[SessionKey]:
        """Those about which all is on record that the stream has to tell."""
        heard = await self._heard(asked)
        now_known = await self._ledger.sessions(heard)
        silent = {key for key in heard if now_known[key].version == asked[key].version}
        if silent:
            await self._sleep(LAG)
        return (heard - silent) | await self._heard(silent)

    async def _heard(self, keys: Iterable[SessionKey]) -> set[SessionKey]:
        wanted = list(keys)
        accounts = sorted({key.open_kfid for key in wanted})
        heard = dict(zip(accounts, await asyncio.gather(*map(self.catch_up, accounts)), strict=True))
        return {key for key in wanted if heard[key.open_kfid]}

    def _count(self, unheard: Iterable[SessionKey]) -> None:
        for key in unheard:
            if (doubt := self._doubts.get(key)) is not None:
                doubt.in_vain += 1

    def _is_old(self, session: Session) -> bool:
        if self.since(session) is None:
            return True
        doubt = self._doubts[session.key]
        return doubt.in_vain >= IN_VAIN and self._clock.now() >= doubt.since + ENOUGH


async def _nobody(open_kfid: str) -> bool:
    """Nobody reads the stream here."""
    return False
