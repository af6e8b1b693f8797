"""What commands ask of the bot itself: its health, pairing a group, saying more than the answer."""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable

from bot import __version__
from bot.errors import ChannelError
from bot.faults import point
from bot.model import GroupMessage, Scope
from bot.ports import Chats, Clock, GroupChannel
from bot.registry import Health, Pairing

log = logging.getLogger("kfbot.desk")
TRIES = 5  # wrong codes before a new one replaces it


class Desk:
    """Implements `bot.registry.Desk`. `name`: by which people mention the bot."""

    def __init__(
        self,
        chats: Chats,
        clock: Clock,
        paired: set[str],
        problems: Callable[[Scope], Awaitable[tuple[str, ...]]],
        channel: GroupChannel | None,
        name: str,
    ) -> None:
        self._chats, self._clock, self._paired, self._problems = chats, clock, paired, problems
        self._channel, self._name = channel, name
        self._began = clock.now()
        self._code, self._wrong = "", 0

    def offer_code(self) -> None:
        """With no group paired, write a new pairing code to the log: who can read the log may pair a group."""
        if not self._paired:
            self._code, self._wrong = secrets.token_hex(4), 0
            line = f"@{self._name} /bind {self._code}"
            log.warning("还没有配对的群。在群里发送: %s | no group is paired yet, send this there", line)

    async def health(self, scope: Scope) -> Health:
        return Health(__version__, self._clock.now() - self._began, await self._problems(scope))

    async def pair(self, message: GroupMessage, code: str) -> Pairing:
        if message.chat_id in self._paired:
            return Pairing.ALREADY
        if not self._code:
            return Pairing.CLOSED
        if not hmac.compare_digest(code.lower().encode("utf-8", "replace"), self._code.encode()):
            self._count_wrong(message)
            return Pairing.WRONG
        used, self._code = self._code, ""  # before anything is awaited, so that it pairs one group only
        try:
            await self._chats.pair(message.chat_id, message.userid, self._clock.now())
        except BaseException:
            self._code = used
            raise
        point("pairing.recorded")
        self._paired.add(message.chat_id)
        log.info("paired | chat=%s by=%s", message.chat_id, message.userid)
        return Pairing.DONE

    async def tell(self, message: GroupMessage, text: str) -> None:
        if self._channel is None:
            return
        try:
            await self._channel.send(message.chat_id, message.is_group, text)
        except ChannelError as undelivered:
            log.warning("not told | chat=%s %s", message.chat_id, undelivered)

    def _count_wrong(self, message: GroupMessage) -> None:
        self._wrong += 1
        log.warning("wrong pairing code | chat=%s by=%s", message.chat_id, message.userid)
        if self._wrong >= TRIES:
            self.offer_code()
