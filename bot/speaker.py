"""Says what the watch has put on record: cards to the account's group, many folded into one, each end once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any

from bot import cards
from bot.attention import Attention
from bot.cards import Subject
from bot.ending import EndResult
from bot.errors import ChannelError, Overtaken
from bot.faults import point
from bot.handing import UNFOLLOWED, Handing
from bot.model import Watched
from bot.notices import Notices
from bot.ports import Alerts, Clock, Sending
from bot.replies import end_result
from bot.subjects import Subjects
from bot.wording import Words

log = logging.getLogger("kfbot.speaker")

FOLD = 5  # messages about single handoffs in one tick and chat; more of them become one list
THIRD_REPEAT = 4  # messages of one alert; from this one on the admins hear of it too
RETRY, SOON = 15.0, 3.0
HURRY = 2.0  # seconds the watch waits for a chat to be told
STALE = 3600.0  # seconds after which the end of a session is no news any more


class Followed(Handing):
    """Both are on record when they return. Who is cancelled meanwhile has not handed over anything."""

    def __init__(self, out: Callable[[], Awaitable[None]], back: Callable[[], Awaitable[None]]) -> None:
        self._out, self._back = out, back

    async def out(self) -> None:
        await self._or_back(self._out)

    async def back(self) -> None:
        await self._or_back(self._back)

    async def _or_back(self, mark: Callable[[], Awaitable[None]]) -> None:
        try:
            await mark()
        except asyncio.CancelledError:
            await self._back()
            raise


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
        self._talks: dict[str, set[asyncio.Task[None]]] = {}

    async def take_up(self) -> None:
        """At start, before anything is said: what an earlier life had claimed and not handed over falls due again."""
        now = self._clock.now()
        if count := await self._alerts.give_back_unsent(now, now - STALE):
            log.info("alerts and last words cut off before they went out | count=%d", count)

    async def deaf_until(self, accounts: Iterable[str]) -> dict[str, float]:
        """Accounts whose group cannot or will not hear anything now, and until when that holds at least.

        Nor can one that is still being told of something: what falls due meanwhile is told together.
        """
        now = self._clock.now()
        deaf: dict[str, float] = {}
        for account in accounts:
            chat_id = self._chat_of(account)
            muted_until = await self._attention.muted_until(chat_id)
            if muted_until:
                deaf[account] = muted_until
            elif self._talks.get(chat_id) or not self._notices.reachable(chat_id):
                deaf[account] = now + SOON
        return deaf

    async def tell(self, sendings: Sequence[Sending], watched: Iterable[Watched]) -> None:
        """Deliver; what certainly did not arrive is given back, and falls due again."""
        by_handoff: dict[int, list[Sending]] = {}
        for each in sendings:
            by_handoff.setdefault(each.handoff.id, []).append(each)
        rules = {number: [each.rule for each in found] for number, found in by_handoff.items()}
        subjects = await self._subjects.of([each for each in watched if each.handoff.id in rules], rules)
        by_chat: dict[str, list[Subject]] = {}
        for subject in sorted(subjects, key=_longest_first):
            by_chat.setdefault(self._chat_of(subject.handoff.open_kfid), []).append(subject)
        for chat_id, found in by_chat.items():
            self._talk(chat_id, self._tell_chat(chat_id, found, by_handoff))
        await self._let_talk(by_chat)

    async def last_words(self, ended: Sequence[Watched]) -> None:
        """One line for each handoff that the group was told of, unless it has just read so as the answer to `/end`."""
        closed = {
            each.handoff_id: each.asked_in for each in await self._alerts.close(each.handoff.id for each in ended)
        }
        point("last_word.claimed")
        answered: list[int] = []
        by_chat: dict[str, list[Watched]] = {}
        for each in ended:
            chat_id, asked_in = self._chat_of(each.handoff.open_kfid), closed.get(each.handoff.id)
            if asked_in is not None and (not asked_in or asked_in != chat_id):
                by_chat.setdefault(chat_id, []).append(each)
            elif asked_in is not None:
                answered.append(each.handoff.id)
        if answered:
            await self._alerts.hand_out_words(answered)
        for chat_id, found in by_chat.items():
            self._talk(chat_id, self._say_ends(chat_id, found))
        await self._let_talk(by_chat)

    async def refused(self, watched: Watched, result: EndResult, head: str = "policy.refused") -> bool:
        """An end that WeCom refused and no member asked for: people have to know, the customer is still with a human.
        False when they could not be told.

        `head`: key of the first line, which says who wanted it.
        """
        subject = await self._subjects.one(watched)
        text = self._say(head) + "\n" + end_result(self._say, result, subject.nickname, self._clock.now())
        return await self._text(self._chat_of(watched.handoff.open_kfid), text)

    async def stop(self) -> None:
        """What waits for its turn is not said here, but by the next life."""
        tasks = [task for talk in self._talks.values() for task in talk]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _talk(self, chat_id: str, saying: Coroutine[Any, Any, None]) -> None:
        """In a task of its own: a chat that has used up its messages of the minute must not hold up the others."""
        task = asyncio.create_task(saying)
        talk = self._talks.setdefault(chat_id, set())
        talk.add(task)
        task.add_done_callback(talk.discard)
        task.add_done_callback(_complain)

    async def _let_talk(self, chat_ids: Iterable[str]) -> None:
        tasks = [task for chat_id in chat_ids for task in self._talks.get(chat_id, ())]
        done, _ = await asyncio.wait(tasks, timeout=HURRY) if tasks else (set(), set())
        for task in done:
            task.result()

    async def _tell_chat(self, chat_id: str, subjects: list[Subject], sendings: dict[int, list[Sending]]) -> None:
        pieces = [subjects] if len(subjects) > FOLD else [[each] for each in subjects]
        told: list[Subject] = []
        for piece in pieces:
            if await self._send(chat_id, piece, [one for each in piece for one in sendings[each.handoff.id]]):
                told += piece
        loud = {each for each, found in sendings.items() if any(one.sends >= THIRD_REPEAT for one in found)}
        await self._escalate([each for each in told if each.handoff.id in loud])

    async def _send(self, chat_id: str, subjects: list[Subject], sendings: list[Sending]) -> bool:
        handing = Followed(partial(self._hand_out, sendings), partial(self._alerts.take_in, sendings))
        try:
            way = await self._deliver(chat_id, True, subjects, handing)
        except Overtaken:
            log.info("alert overtaken | chat=%s handoffs=%d", chat_id, len(subjects))
            return False
        except ChannelError as undelivered:
            log.warning("alert not delivered | chat=%s handoffs=%d %s", chat_id, len(subjects), undelivered)
            await self._alerts.give_back(sendings, self._clock.now() + RETRY)
            return False
        for each in sendings:
            log.info("alert | handoff=%d rule=%s no=%d by=%s", each.handoff.id, each.rule, each.sends, way)
            self._observe(each.rule.value, way)
        point("alert.told")
        return True

    async def _hand_out(self, sendings: list[Sending]) -> None:
        if not await self._alerts.hand_out(sendings):
            raise Overtaken
        point("alert.handed")

    async def _deliver(
        self, chat_id: str, is_group: bool, subjects: list[Subject], handing: Handing = UNFOLLOWED
    ) -> str:
        now, say = self._clock.now(), self._say
        if len(subjects) > 1:
            card, text = cards.list_card(say, subjects, now), cards.list_text(say, subjects, now)
        else:
            card, text = cards.alert_card(say, subjects[0], now), cards.alert_text(say, subjects[0], now)
        return await self._notices.card(chat_id, is_group, card, text, handing)

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

    async def _say_ends(self, chat_id: str, unsaid: list[Watched]) -> None:
        now = self._clock.now()
        if await self._attention.muted_until(chat_id):
            await self._alerts.hand_out_words(_numbers(unsaid))
            return
        subjects = await self._subjects.of(unsaid)
        texts = (
            [cards.closing_lines(self._say, subjects, now)]
            if len(subjects) > FOLD
            else [cards.closing_line(self._say, each, now) for each in subjects]
        )
        told = len(unsaid) if len(texts) == 1 else 1  # by each text
        for text in texts:
            if not await self._text(chat_id, text, self._words(_numbers(unsaid[:told]))):
                await self._reopen(unsaid)
                return
            del unsaid[:told]
            point("last_word.said")

    def _words(self, handoffs: list[int]) -> Handing:
        return Followed(partial(self._hand_out_words, handoffs), partial(self._alerts.take_in_words, handoffs))

    async def _hand_out_words(self, handoffs: list[int]) -> None:
        await self._alerts.hand_out_words(handoffs)
        point("last_word.handed")

    async def _reopen(self, ended: list[Watched]) -> None:
        now = self._clock.now()
        young = [each.handoff.id for each in ended if now - (each.handoff.completed_at or now) < STALE]
        await self._alerts.reopen(young, now + RETRY)

    async def _text(self, chat_id: str, text: str, handing: Handing = UNFOLLOWED) -> bool:
        if not self._notices.reachable(chat_id):
            return False
        try:
            await self._notices.text(chat_id, True, text, handing)
        except ChannelError as undelivered:
            log.warning("not delivered | chat=%s %s", chat_id, undelivered)
            return False
        return True


def _complain(task: asyncio.Task[None]) -> None:
    """Whoever started it may not have waited for it."""
    if not task.cancelled() and (failed := task.exception()) is not None:
        log.error("a chat was not told | %r", failed)


def _numbers(watched: Iterable[Watched]) -> list[int]:
    return [each.handoff.id for each in watched]


def _longest_first(subject: Subject) -> float:
    handoff = subject.handoff
    return handoff.waiting_since or handoff.active_at or handoff.requested_at
