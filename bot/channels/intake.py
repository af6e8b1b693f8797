"""Handlers of what arrives, in tasks of their own, so that a slow one holds nobody up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from bot.channels.timing import Timing, ended
from bot.model import CardTap, GroupMessage

AT_ONCE = 32
OF_A_CHAT = 8  # a handler waits while its chat has had all the answers that a minute allows; others need not
HELD = 1000

T = TypeVar("T", bound=GroupMessage | CardTap)

log = logging.getLogger("kfbot.group")


class Intake:
    """Runs `AT_ONCE` handlers, `OF_A_CHAT` of one chat, and keeps `HELD` in all; beyond that drops, and says so. One
    for each kind of news."""

    def __init__(self, timing: Timing, observe: Callable[[str], None]) -> None:
        self._timing = timing
        self._observe = observe
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._chats: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self, handler: Callable[[T], Awaitable[None]], item: T) -> None:
        if len(self._tasks) >= HELD:
            self._observe("overflow")
            log.error("group message dropped, too many are being handled | held=%d", HELD)
            return
        task = asyncio.create_task(self._run(handler, item))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self, seconds: float, spare: asyncio.Task[Any] | None) -> None:
        """Let the handlers finish, for so long at most. `spare`: the one that waits for this, if it is a handler."""
        tasks = self._tasks - {spare}
        if tasks:
            try:
                await self._timing.within(seconds, asyncio.wait(tasks))
            except TimeoutError:
                log.warning("group handlers cut off while stopping | count=%d", len(tasks))
        await ended(*tasks)

    async def _run(self, handler: Callable[[T], Awaitable[None]], item: T) -> None:
        # Lives while somebody has a turn or waits for one.
        chat = self._chats.setdefault(item.chat_id, asyncio.Semaphore(OF_A_CHAT))
        async with chat, self._turns:
            try:
                await handler(item)
            except Exception:  # the outermost loop of a handler
                self._observe("handler_failed")
                log.exception("group handler failed")
