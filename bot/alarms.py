"""What staff must know of the bot itself: told once when it begins and once when it is over, also across restarts."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping

from bot.errors import ChannelError, StorageError, WeComError
from bot.notices import Notices
from bot.ports import Chats, Clock, KfApi
from bot.rules import landed_with_human
from bot.sessions import Session
from bot.silence import Silence
from bot.skew import Skew
from bot.upstream import STATE_GET, Upstream
from bot.wording import Words

log = logging.getLogger("kfbot.alarms")
DAY = 86400.0


class Alarms:
    """`first`: the group that hears of the bot; `chat_of`: the group of an account. `read_any`: read some session's
    state from WeCom, to see whether that is possible again. `prove` raises StorageError while the database is not
    usable; what is told of that is remembered nowhere but here."""

    def __init__(
        self,
        kf: KfApi,
        upstream: Upstream,
        silence: Silence | None,
        skew: Skew,
        chats: Chats,
        clock: Clock,
        notices: Notices,
        say: Words,
        first: Callable[[], str],
        chat_of: Callable[[str], str],
        account_name: Callable[[str], str],
        read_any: Callable[[], Awaitable[object]],
        prove: Callable[[], Awaitable[None]],
    ) -> None:
        self._kf, self._upstream, self._silence, self._skew = kf, upstream, silence, skew
        self._chats, self._clock, self._notices, self._say = chats, clock, notices, say
        self._first, self._chat_of, self._account_name = first, chat_of, account_name
        self._read_any, self._prove = read_any, prove
        self._broken_at = 0.0  # when the database was first found unusable; 0 while it is not
        self._told_broken = False
        self._telling: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def look(self) -> None:
        """A job of the scheduler. Asks WeCom only while it is down: somebody has to notice that it is back.

        What an earlier life told of is over when that shows, not when nothing is known yet.
        """
        upstream, silence, now = self._upstream, self._silence, self._clock.now()
        await self._look_at_storage(now)
        if upstream.down:
            await self._probe()
        if upstream.down or upstream.up:
            await self._set("wecom", upstream.down, why=self._why)
        if await self._is_raised("clock"):
            await self.trustworthy()
        if silence is not None and (silence.heard or silence.problem(now)):
            await self._set("callback", silence.problem(now), took=lambda: self._say.lasted(silence.lasted(now)))

    async def _look_at_storage(self, now: float) -> None:
        """Found broken twice, it is no hiccup."""
        try:
            await self._prove()
        except StorageError as broken:
            if self._broken_at and not self._told_broken:
                why = self._say.storage(broken)
                self._told_broken = await self._tell(self._first(), self._say("alarm.storage", why=why))
            self._broken_at = self._broken_at or now
            return
        took = self._say.lasted(now - self._broken_at)
        if not self._told_broken or await self._tell(self._first(), self._say("alarm.storage.over", took=took)):
            self._broken_at, self._told_broken = 0.0, False

    async def trustworthy(self) -> bool:
        """Whether times and states can be relied on now. Raises and clears the alarm about the clock."""
        if self._upstream.down:
            return False
        ahead = await self._skew.ahead()
        await self._set("clock", bool(ahead), took=lambda: self._say.lasted(abs(ahead)))
        return not ahead

    async def landed(self, sessions: list[Session]) -> None:
        """New handoffs: say once a day and account that the console sends customers to humans first."""
        for account in sorted({each.open_kfid for each in sessions if landed_with_human(each)}):
            key, now = f"human first: {account} {int(self._clock.now() // DAY)}", self._clock.now()
            if not await self._chats.claim_once(key, now):
                continue
            name = self._say.plain(self._account_name(account))
            if not await self._tell(self._chat_of(account), self._say("alarm.human_first", account=name)):
                await self._chats.give_back(key)

    async def _probe(self) -> None:
        try:
            if self._upstream.failing(STATE_GET):
                await self._read_any()
            else:
                await self._kf.accounts()
        except WeComError as failed:
            log.info("WeCom is still down | %s", failed)

    def _why(self) -> str:
        error = getattr(self._kf, "last_error", None)
        return self._say.error(error) if isinstance(error, WeComError) else ""

    async def _is_raised(self, name: str) -> bool:
        try:
            return bool(await self._chats.recall(f"alarm: {name}"))
        except StorageError:
            return False

    async def _set(self, name: str, wrong: bool, **details: Callable[[], str]) -> None:
        """`details` fill the text of the beginning; `took` is there in any case."""
        async with self._telling[name]:  # the watch and the job may find the same at the same time
            await self._set_alone(name, wrong, details)

    async def _set_alone(self, name: str, wrong: bool, details: Mapping[str, Callable[[], str]]) -> None:
        try:
            began = float(await self._chats.recall(f"alarm: {name}") or 0.0)
            if wrong == bool(began):
                return
            now = self._clock.now()
            values = (
                {each: value() for each, value in details.items()} if wrong else {"took": self._say.lasted(now - began)}
            )
            text = self._say(f"alarm.{name}" if wrong else f"alarm.{name}.over", **values)
            if await self._tell(self._first(), text):
                await self._chats.keep([(f"alarm: {name}", repr(now) if wrong else "")])
        except StorageError as broken:
            log.error("alarm %s | %s", name, broken)

    async def _tell(self, chat_id: str, text: str) -> bool:
        log.warning("alarm | %s", text)
        if not self._notices.reachable(chat_id):
            return False
        try:
            await self._notices.text(chat_id, True, text)
        except ChannelError as undelivered:
            log.warning("alarm not delivered | %s", undelivered)
            return False
        return True
