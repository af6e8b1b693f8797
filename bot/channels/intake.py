"""What arrives is put on record at once, and worked on in tasks of their own, so that slow work holds nobody up."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from bot.channels.timing import Timing, ended
from bot.folded import Folded
from bot.model import CardTap, GroupMessage
from bot.ports import Work

AT_ONCE = 32
OF_A_CHAT = 8  # answers wait while their chat has had all that a minute allows
HELD, HELD_OF_A_CHAT = 1000, 100

T = TypeVar("T", bound=GroupMessage | CardTap)

log = logging.getLogger("kfbot.group")


class Intake:
    """Runs the work of `AT_ONCE` items, `OF_A_CHAT` of one chat, and keeps `HELD` in all, `HELD_OF_A_CHAT` of one;
    beyond that drops, and says so. One for each kind of news.

    A handler itself waits for no turn: whatever is kept here is on record before long, and no process takes it along.
    """

    def __init__(self, timing: Timing, observe: Callable[[str], None]) -> None:
        self._timing = timing
        self._observe = observe
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._chats: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[None]] = set()
        self._held = Counter[str]()
        self._dropped = Folded(log, "group messages dropped")
        self._working = True

    def open(self) -> None:
        self._working = True

    def close(self) -> None:
        """Begin no work for what comes from now on: it is put on record only."""
        self._working = False

    def accept(self, handler: Callable[[T], Awaitable[Work | None]], item: T) -> None:
        if len(self._tasks) >= HELD or self._held[item.chat_id] >= HELD_OF_A_CHAT:
            self._observe("overflow")
            self._dropped.warning(
                "group message dropped, too many are being handled | held=%d of_this_chat=%d chat=%s by=%s msgid=%s",
                len(self._tasks), self._held[item.chat_id], item.chat_id, item.userid, item.msgid,
            )  # fmt: skip
            return
        task = asyncio.create_task(self._run(handler, item))
        self._tasks.add(task)
        self._held[item.chat_id] += 1
        task.add_done_callback(partial(self._done, item.chat_id))

    def _done(self, chat_id: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._held[chat_id] -= 1
        if not self._held[chat_id]:
            del self._held[chat_id]

    async def drain(self, seconds: float, spare: asyncio.Task[Any] | None) -> None:
        """Let the handlers finish, for so long at most. `spare`: the one that waits for this, if it is a handler."""
        tasks = self._tasks - {spare}
        if tasks:
            try:
                await self._timing.within(seconds, asyncio.wait(tasks))
            except TimeoutError:
                log.warning("group handlers cut off while stopping | count=%d", len(tasks))
        await ended(*tasks)

    async def _run(self, handler: Callable[[T], Awaitable[Work | None]], item: T) -> None:
        try:
            work = await handler(item)
            if work is not None and self._working:
                await self._in_turn(item.chat_id, work)
        except Exception:  # the outermost loop of a handler
            self._observe("handler_failed")
            log.exception("group handler failed")

    async def _in_turn(self, chat_id: str, work: Work) -> None:
        # Lives while somebody has a turn or waits for one.
        chat = self._chats.setdefault(chat_id, asyncio.Semaphore(OF_A_CHAT))
        async with chat:
            async with self._turns:
                rest = await work()
            if rest is not None:
                await rest()
