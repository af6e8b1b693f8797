"""Says what the watch has put on record: cards to the account's group, many folded into one, each end once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from bot import cards
from bot.attention import Attention
from bot.cards import Subject
from bot.ending import EndResult
from bot.errors import ChannelError
from bot.model import Rule, Watched
from bot.notices import Notices
from bot.ports import Alerts, Clock, Sending
from bot.replies import end_result
from bot.subjects import Subjects
from bot.wording import Words

log = logging.getLogger("kfbot.speaker")

FOLD = 5  # messages about single handoffs in one tick and chat; more of them become one list
THIRD_REPEAT = 4  # messages of one alert; from this one on the admins hear of it too
RETRY, SOON = 15.0, 3.0
STALE = 3600.0  # seconds after which the end of a session is no news any more


class Speaker:
    """`chat_of`: the group that serves an account, empty while none is paired. `admins`: userids."""

    def __init__(
        self,
        alerts: Alerts,
        attention: Attention,
        clock: Clock,
        notices: Notices,
        subjects: Subjects,
        say: Words,
        chat_of: Callable[[str], str],
        admins: Sequence[str] = (),
        observe: Callable[[str, str], None] = lambda rule, way: None,
    ) -> None:
        self._alerts, self._attention, self._clock = alerts, attention, clock
        self._notices, self._subjects, self._say = notices, subjects, say
        self._chat_of, self._admins, self._observe = chat_of, admins, observe

    async def deaf_until(self, accounts: Iterable[str]) -> dict[str, float]:
        """Accounts whose group cannot or will not hear anything now, and until when that holds at least."""
        now = self._clock.now()
        deaf: dict[str, float] = {}
        for account in accounts:
            chat_id = self._chat_of(account)
            muted_until = await self._attention.muted_until(chat_id)
            if muted_until:
                deaf[account] = muted_until
            elif not self._notices.reachable(chat_id):
                deaf[account] = now + SOON
        return deaf

    async def tell(self, sendings: Sequence[Sending], watched: Iterable[Watched]) -> None:
        """Deliver; what certainly did not arrive is given back, and falls due again."""
        rules: dict[int, list[Rule]] = {}
        for each in sendings:
            rules.setdefault(each.handoff.id, []).append(each.rule)
        subjects = await self._subjects.of([each for each in watched if each.handoff.id in rules], rules)
        by_chat: dict[str, list[Subject]] = {}
        for subject in sorted(subjects, key=_longest_first):
            by_chat.setdefault(self._chat_of(subject.handoff.open_kfid), []).append(subject)
        by_handoff = {
            each.handoff.id: [one for one in sendings if one.handoff.id == each.handoff.id] for each in subjects
        }
        told = await asyncio.gather(*(self._tell_chat(chat, found, by_handoff) for chat, found in by_chat.items()))
        loud = {each.handoff.id for each in sendings if each.sends >= THIRD_REPEAT}
        await self._escalate([each for each in chain.from_iterable(told) if each.handoff.id in loud])

    async def last_words(self, ended: Sequence[Watched]) -> None:
        """One line for each handoff that the group was told of, unless it has just read so as the answer to `/end`."""
        closed = {
            each.handoff_id: each.asked_in for each in await self._alerts.close(each.handoff.id for each in ended)
        }
        by_chat: dict[str, list[Watched]] = {}
        for each in ended:
            chat_id, asked_in = self._chat_of(each.handoff.open_kfid), closed.get(each.handoff.id)
            if asked_in is not None and (not asked_in or asked_in != chat_id):
                by_chat.setdefault(chat_id, []).append(each)
        await asyncio.gather(*(self._close_in(chat_id, found) for chat_id, found in by_chat.items()))

    async def refused(self, watched: Watched, result: EndResult) -> None:
        """An automatic end that WeCom refused: people have to know, the customer is still with a human."""
        subject = await self._subjects.one(watched)
        text = self._say("policy.refused") + "\n" + end_result(self._say, result, subject.nickname, self._clock.now())
        await self._text(self._chat_of(watched.handoff.open_kfid), text)

    async def _tell_chat(
        self, chat_id: str, subjects: list[Subject], sendings: dict[int, list[Sending]]
    ) -> list[Subject]:
        """Returns those that the chat has been told of."""
        pieces = [subjects] if len(subjects) > FOLD else [[each] for each in subjects]
        told: list[Subject] = []
        for piece in pieces:
            if await self._send(chat_id, piece, [one for each in piece for one in sendings[each.handoff.id]]):
                told += piece
        return told

    async def _send(self, chat_id: str, subjects: list[Subject], sendings: list[Sending]) -> bool:
        try:
            way = await self._deliver(chat_id, True, subjects)
        except ChannelError as undelivered:
            log.warning("alert not delivered | chat=%s handoffs=%d %s", chat_id, len(subjects), undelivered)
            await self._alerts.give_back(sendings, self._clock.now() + RETRY)
            return False
        for each in sendings:
            log.info("alert | handoff=%d rule=%s no=%d by=%s", each.handoff.id, each.rule, each.sends, way)
            self._observe(each.rule.value, way)
        return True

    async def _deliver(self, chat_id: str, is_group: bool, subjects: list[Subject]) -> str:
        now, say = self._clock.now(), self._say
        if len(subjects) > 1:
            card, text = cards.list_card(say, subjects, now), cards.list_text(say, subjects, now)
        else:
            card, text = cards.alert_card(say, subjects[0], now), cards.alert_text(say, subjects[0], now)
        return await self._notices.card(chat_id, is_group, card, text)

    async def _escalate(self, subjects: list[Subject]) -> None:
        if not subjects:
            return
        for admin in self._admins:
            pieces = [subjects] if len(subjects) > FOLD else [[each] for each in subjects]
            for piece in pieces:
                try:
                    await self._deliver(admin, False, piece)
                except ChannelError as undelivered:
                    log.warning("admin not told, has to write to the bot once | admin=%s %s", admin, undelivered)
                    break

    async def _close_in(self, chat_id: str, ended: list[Watched]) -> None:
        now = self._clock.now()
        if await self._attention.muted_until(chat_id):
            return
        subjects = await self._subjects.of(ended)
        texts = (
            [cards.closing_lines(self._say, subjects, now)]
            if len(subjects) > FOLD
            else [cards.closing_line(self._say, each, now) for each in subjects]
        )
        for number, text in enumerate(texts):
            if not await self._text(chat_id, text):
                left = ended if len(texts) == 1 else ended[number:]
                young = [each.handoff.id for each in left if now - (each.handoff.completed_at or now) < STALE]
                await self._alerts.reopen(young, now + RETRY)
                return

    async def _text(self, chat_id: str, text: str) -> bool:
        if not self._notices.reachable(chat_id):
            return False
        try:
            await self._notices.text(chat_id, True, text)
        except ChannelError as undelivered:
            log.warning("not delivered | chat=%s %s", chat_id, undelivered)
            return False
        return True


def _longest_first(subject: Subject) -> float:
    handoff = subject.handoff
    return handoff.waiting_since or handoff.active_at or handoff.requested_at
