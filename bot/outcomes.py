"""Tells outcomes that a chat was promised, and those whose answer was lost, until they have arrived or nobody waits.

They are on record with the end itself. What may have arrived is told once or twice more, for to read it twice is better
than not at all; what certainly has not, as long as anybody waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from bot.ending import EndResult, Outcome
from bot.errors import ChannelError, WeComError, WeComUnavailable
from bot.faults import point
from bot.handoffs import GIVE_UP_AFTER
from bot.model import Handoff, ServiceState, StateReading
from bot.ports import Clock, GroupChannel, Ledger, Owed, People, Promises
from bot.replies import end_result_later
from bot.wording import Words

log = logging.getLogger("kfbot.outcomes")

ANSWERABLE = 600.0  # seconds after which nobody waits for an answer any more
FOLD = 5  # messages about single ends in one chat; more of them become one list
LISTED = 20
LAST = 0.5  # seconds that what is being told has at the stop


class Outcomes:
    """`otherwise`: whether the chat hears of it in another way."""

    def __init__(
        self,
        promises: Promises,
        ledger: Ledger,
        people: People,
        channel: GroupChannel,
        clock: Clock,
        say: Words,
        otherwise: Callable[[Owed], Awaitable[bool]],
    ) -> None:
        self._promises, self._ledger, self._people = promises, ledger, people
        self._channel, self._clock, self._say, self._otherwise = channel, clock, say, otherwise
        self._talks: dict[str, asyncio.Task[None]] = {}

    async def tell_all(self) -> None:
        """Begin to tell what is due, in a task for each chat: one may have to wait for its turn."""
        due, since = await self._promises.due(), self._clock.now() - ANSWERABLE
        await self._give_up([each for each in due if each.settled_at < since])
        by_chat: dict[str, list[Owed]] = {}
        for each in due:
            if each.settled_at >= since:
                by_chat.setdefault(each.chat_id, []).append(each)
        for chat_id in by_chat.keys() - self._talks.keys():
            if self._channel.ready:
                self._talks[chat_id] = asyncio.create_task(self._talk(chat_id, by_chat[chat_id]))

    async def stop(self) -> None:
        """What is not told stays owed."""
        talks = list(self._talks.values())
        if talks:
            await asyncio.wait(talks, timeout=LAST)
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)

    async def _talk(self, chat_id: str, owed: Sequence[Owed]) -> None:
        try:
            await self._tell_chat(owed)
        except Exception:  # the outermost loop; it stays owed, and is due again
            log.exception("outcomes not told | chat=%s", chat_id)
        finally:
            del self._talks[chat_id]

    async def _tell_chat(self, owed: Sequence[Owed]) -> None:
        heard = [each for each in owed if await self._otherwise(each)]
        await self._promises.told(heard)
        left = [each for each in owed if each not in heard]
        for piece in [left] if len(left) > FOLD else [[each] for each in left]:
            if not await self._send(piece):
                return

    async def _send(self, owed: Sequence[Owed]) -> bool:
        texts = [await self._text(each) for each in owed[:LISTED]]
        try:
            await self._channel.send(owed[0].chat_id, owed[0].is_group, self._folded(texts, len(owed)))
        except ChannelError as undelivered:
            await self._not_delivered(owed, undelivered)
            return False
        point("outcome.told")
        await self._promises.told(owed)
        point("outcome.settled")
        return True

    async def _not_delivered(self, owed: Sequence[Owed], why: ChannelError) -> None:
        if why.sent or why.errcode:
            await self._promises.doubted(owed)
        last = [each.ending.handoff_id for each in owed if (why.sent or why.errcode) and each.tries == 1]
        log.warning(
            "outcome not delivered | chat=%s handoffs=%s given_up=%s %s",
            owed[0].chat_id, [each.ending.handoff_id for each in owed], last, why,
        )  # fmt: skip

    async def _give_up(self, owed: Sequence[Owed]) -> None:
        for each in owed:
            handoff_id = each.ending.handoff_id
            log.warning("outcome not told, nobody waits any more | chat=%s handoff=%d", each.chat_id, handoff_id)
        await self._promises.give_up(owed)

    def _folded(self, texts: Sequence[str], count: int) -> str:
        if len(texts) == 1:
            return texts[0]
        rows = [f"> {each.splitlines()[1]}" for each in texts]
        more = [self._say("alerts.and", count=count - len(texts))] if count > len(texts) else []
        return "\n".join([self._say("end.later.many", count=count), *rows, *more])

    async def _text(self, owed: Owed) -> str:
        handoff = await self._ledger.handoff(owed.ending.handoff_id)
        closing = await self._ledger.code_state(owed.ending.handoff_id, ServiceState.ENDED)
        names = await self._people.nicknames([owed.key.external_userid])
        nickname = names.get(owed.key.external_userid, "")
        return end_result_later(self._say, as_recorded(owed, handoff, closing), nickname, self._clock.now())


def as_recorded(owed: Owed, handoff: Handoff | None, closing: str) -> EndResult:
    """The result again, as far as words are made of it. `closing`: state of the closing message."""
    ending = owed.ending
    if owed.state == "done":
        ours = handoff is not None and (handoff.via, handoff.operator_id) == (ending.via, ending.operator.id)
        said = "sending" if closing == "pending" else closing
        return EndResult(Outcome.ENDED if ours else Outcome.ALREADY, owed.key, handoff=handoff, closing=said)
    human = StateReading(ServiceState.HUMAN)
    if owed.errcode:
        silent = WeComUnavailable("", "")
        error = silent if owed.errcode == silent.errcode else WeComError(owed.errcode, "", "")
        before = None if owed.state == "parked" else human
        return EndResult(Outcome.FAILED, owed.key, before, handoff=handoff, error=error)
    outdated = ending.overtaken or owed.settled_at > ending.requested_at + GIVE_UP_AFTER
    return EndResult(Outcome.FAILED, owed.key, human, None if outdated else human, handoff)
