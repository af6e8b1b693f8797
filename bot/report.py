"""The numbers on request and once a day: gather, put into words, send, then the picture, which may be late or missing.

A daily report is claimed per group on record before it is sent: no restart and no second process sends it again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from bot import period, picture, stats, summary
from bot.errors import ChannelError
from bot.faults import point
from bot.model import GroupMessage, Scope
from bot.period import Kind, Period
from bot.picture import Drawing
from bot.ports import Chats, Clock, GroupChannel, Lifeline, People, Stats
from bot.summary import Summary
from bot.wording import Words

log = logging.getLogger("kfbot.report")
EVERY = 30.0  # seconds between looks at the clock
MOST_PICTURES = 5  # under way or waiting; who asks beyond that gets the words alone

Post = Callable[[bytes], Awaitable[None]]


class Report:
    """Implements `bot.registry.Reporter`; `run` is a job.

    `groups`: every group that gets the daily report, with what it may see, the first group first; `lifeline` is a
    robot of that first one. `at`: "18:00", or "" for no daily report. `draw`: a PNG, or empty and the log says why.
    """

    def __init__(
        self,
        numbers: Stats,
        people: People,
        chats: Chats,
        clock: Clock,
        say: Words,
        channel: GroupChannel | None,
        groups: Callable[[], Iterable[tuple[str, Scope]]],
        at: str = "",
        lifeline: Lifeline | None = None,
        draw: Callable[[Drawing], Awaitable[bytes]] = picture.draw,
    ) -> None:
        self._numbers, self._people, self._chats = numbers, people, chats
        self._clock, self._say, self._channel = clock, say, channel
        self._groups, self._at, self._lifeline = groups, at, lifeline
        self._draw, self._one_at_a_time = draw, asyncio.Lock()
        self._pictures: set[asyncio.Task[None]] = set()
        self._done: set[str] = set()

    # -- on request

    async def stats(self, chat: GroupMessage, kind: str, scope: Scope) -> str:
        """Markdown to answer with. The picture follows in the background, drawn while the answer is on its way."""
        stretch = period.week if kind == Kind.WEEK else period.today
        found = await self._gather(stretch(self._clock.now(), self._say.zone), scope)
        channel = self._channel
        if channel is not None and len(self._pictures) < MOST_PICTURES:
            self._follow_up(found, chat.chat_id, lambda png: channel.send_image(chat.chat_id, chat.is_group, png))
        return summary.markdown(self._say, found)

    def _follow_up(self, found: Summary, chat_id: str, post: Post) -> None:
        task = asyncio.create_task(self._picture(found, chat_id, post), name="picture")
        self._pictures.add(task)
        task.add_done_callback(self._pictures.discard)

    async def stop(self) -> None:
        for task in self._pictures:
            task.cancel()
        await asyncio.gather(*self._pictures, return_exceptions=True)

    # -- once a day

    async def run(self, now: float) -> None:
        """Send what is due and not sent yet. A group out of reach gets it when it is back, if that is soon enough."""
        slot = period.due(self._at, now, self._say.zone)
        if slot is None:
            self._done.clear()
            return
        day = period.local_day(slot, self._say.zone)
        for number, (chat_id, scope) in enumerate(self._groups()):
            key = f"report {day} {chat_id}"
            if key not in self._done:
                await self._daily(key, chat_id, scope, slot, self._lifeline if number == 0 else None)

    async def _daily(self, key: str, chat_id: str, scope: Scope, slot: float, lifeline: Lifeline | None) -> None:
        """The outermost loop of one group's report: what goes wrong with it must not cost the others theirs."""
        if lifeline is None and not self._connected():
            log.warning("daily report waits for a connection | chat=%s", chat_id)
            return
        try:
            found = await self._gather(period.daily(slot, self._say.zone), scope)
            first = await self._chats.claim_once(key, self._clock.now())
            self._done.add(key)
            if first:
                point("report.claimed")
                post = await self._tell(chat_id, summary.markdown(self._say, found), lifeline)
                point("report.told")
                log.info("daily report | chat=%s handled=%d", chat_id, found.numbers.handled)
                await self._picture(found, chat_id, post)
        except ChannelError as undelivered:  # certainly not: there is time to try again
            log.warning("daily report not delivered | chat=%s %s", chat_id, undelivered)
            self._done.discard(key)
            await self._chats.give_back(key)
        except Exception:
            log.exception("daily report failed | chat=%s", chat_id)

    async def _tell(self, chat_id: str, text: str, lifeline: Lifeline | None) -> Post:
        """Returns the way it went, for the picture to go the same."""
        try:
            return await self._by_channel(chat_id, text)
        except ChannelError as undelivered:
            if lifeline is None:
                raise
            log.warning("daily report goes by webhook | chat=%s %s", chat_id, undelivered)
        await lifeline.send(text)
        return lifeline.send_image

    async def _by_channel(self, chat_id: str, text: str) -> Post:
        """What goes out unacknowledged is taken as delivered: better once than twice."""
        if self._channel is None or not self._channel.ready:
            raise ChannelError("the group channel is not ready")
        try:
            await self._channel.send(chat_id, True, text)
        except ChannelError as undelivered:
            if not undelivered.sent:
                raise
            log.warning("daily report not acknowledged | chat=%s %s", chat_id, undelivered)
        return partial(self._channel.send_image, chat_id, True)

    def _connected(self) -> bool:
        return self._channel is not None and self._channel.ready

    # -- both

    async def _gather(self, stretch: Period, scope: Scope) -> Summary:
        add_up = partial(stats.add_up, days=stretch.days)
        numbers = await self._numbers.ended(scope, stretch.since, stretch.until, add_up)
        before = await self._numbers.ended(scope, stretch.compared_since, stretch.compared_until, stats.add_up)
        who = numbers.longest.external_userid if numbers.longest else ""
        names = await self._people.nicknames([who]) if who else {}
        return Summary(
            period=stretch,
            numbers=numbers,
            before=before,
            open=stats.open_now(await self._numbers.open_now(scope)),
            ratings=await self._numbers.ratings(scope, stretch.since, stretch.until),
            accounts=await self._numbers.accounts(scope),
            nickname=names.get(who, ""),
        )

    async def _picture(self, found: Summary, chat_id: str, post: Post) -> None:
        """Best effort: the words have been said, and stand alone if this comes to nothing."""
        try:
            async with self._one_at_a_time:
                png = await self._draw(summary.drawing(self._say, found))
            if png:
                point("picture.drawn")
                await post(png)
                point("picture.sent")
        except ChannelError as undelivered:
            log.warning("picture not delivered | chat=%s %s", chat_id, undelivered)
        except Exception:
            log.exception("picture failed | chat=%s", chat_id)
