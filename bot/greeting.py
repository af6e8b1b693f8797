"""The text by which a customer learns how to end the session, when a human takes over or the queue begins.

In these states nothing else can be written to the customer: one text, by the code that came with the state, while the
session is in it. Without a code (the console's routing gives none) there is no greeting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator

from bot.codes import CodeMessages
from bot.errors import KfbotError
from bot.model import Handoff, HandoffStatus, Message, ServiceState
from bot.ports import Clock, CodeMessage, KfApi, Ledger

log = logging.getLogger("kfbot.greeting")

PHRASE, PLACE = "{phrase}", "{place}"
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds between tries, doubled from one to the other: a code lives 48 h
LASTS = {
    ServiceState.QUEUED: frozenset({HandoffStatus.PENDING}),
    ServiceState.HUMAN: frozenset({HandoffStatus.ACCEPTED, HandoffStatus.IN_PROGRESS}),
}

Texts = Callable[[ServiceState], str]
"""What to say in that state, with `{phrase}` and `{place}` to be filled; empty for nothing."""


def worded(text: str, phrase: str, place: int = 0, link: str = "") -> str:
    """Filled, the link in a line of its own. Empty where it would tell of a phrase and there is none."""
    if not text or (PHRASE in text and not phrase):
        return ""
    filled = text.replace(PHRASE, phrase).replace(PLACE, str(place))
    return f"{filled}\n{link}" if link else filled


class Greetings(CodeMessages):
    """Sends what the ledger holds, in tasks of its own. `phrase`: what customers write to end a session.

    `link` is called when a greeting goes out: where that customer can end this handoff, empty for nowhere.
    """

    def __init__(
        self,
        kf: KfApi,
        ledger: Ledger,
        clock: Clock,
        texts: Texts,
        phrase: str,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(kf, ledger, clock, sleep)
        self._texts, self._phrase = texts, phrase
        self._tasks: set[asyncio.Task[None]] = set()
        self.link: Callable[[Handoff], str] = lambda handoff: ""

    async def send_all(self) -> None:
        """Begin to send whatever waits."""
        for handoff_id, given_in in await self._ledger.due_codes(*LASTS):
            task = asyncio.create_task(self._guard(handoff_id, given_in))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def send(self, handoff_id: int, given_in: ServiceState) -> str:
        """Returns how it went, as `ClosingMessages.send` does; expired also when the session has moved on."""
        with self._at_work(handoff_id, given_in):
            taken = await self._ledger.take_code(handoff_id, given_in)
            if taken is None:
                return await self._ledger.code_state(handoff_id, given_in)
            return await self._deliver(taken, await self._message(taken), _pauses(), lambda: self._lasts(taken))

    async def stop(self) -> None:
        """What is under way stays to be sent by another process."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _message(self, taken: CodeMessage) -> Message | None:
        handoff, text = taken.handoff, self._texts(taken.given_in)
        place = await self._ledger.place_in_queue(handoff) if PLACE in text else 0
        filled = worded(text, self._phrase, place, self.link(handoff))
        return Message(filled) if filled else None

    async def _lasts(self, taken: CodeMessage) -> bool:
        handoff = await self._ledger.handoff(taken.handoff.id)
        return handoff is not None and handoff.status in LASTS[taken.given_in]

    async def _guard(self, handoff_id: int, given_in: ServiceState) -> None:
        try:
            await self.send(handoff_id, given_in)
        except KfbotError as failed:
            log.warning("greeting: %s", failed)
        except Exception:
            log.exception("greeting failed | handoff=%d", handoff_id)


def _pauses() -> Iterator[float]:
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * 2, LONGEST_PAUSE)
