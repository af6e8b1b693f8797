"""Gets a message into a chat by the best way that is left: card, markdown, webhook."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace

from bot.errors import CardRefused, ChannelError
from bot.faults import point
from bot.handing import UNFOLLOWED, Handing
from bot.model import Card
from bot.ports import Chats, Clock, GroupChannel, Lifeline
from bot.wording import Words

log = logging.getLogger("kfbot.notices")
DAY = 86400.0
GRACE = 3.0  # seconds a lost connection has to come back before the webhook, which has no buttons, steps in
TASK_ID_USED = 42014


class Notices:
    """`lifeline`: the webhook robot of the first group, which needs no connection; `first` names that group.

    What goes out unacknowledged is not sent again: it is taken as delivered, and the log says so. Unless it is lost, as
    far as one can tell, and the webhook can say it.
    """

    def __init__(
        self,
        channel: GroupChannel | None,
        lifeline: Lifeline | None,
        chats: Chats,
        clock: Clock,
        say: Words,
        first: Callable[[], str],
    ) -> None:
        self._channel, self._lifeline, self._chats = channel, lifeline, chats
        self._clock, self._say, self._first = clock, say, first
        self._lost_at: float | None = None

    def reachable(self, chat_id: str) -> bool:
        """Whether something sent now could arrive. A connection that has just been lost is waited for a little."""
        if chat_id and self._connected():
            self._lost_at = None
            return True
        if self._lost_at is None:
            self._lost_at = self._clock.now()
        patient = self._channel is not None and bool(chat_id) and 0 <= self._clock.now() - self._lost_at < GRACE
        return self._has_lifeline(chat_id) and not patient

    async def card(self, chat_id: str, is_group: bool, card: Card, markdown: str, handing: Handing = UNFOLLOWED) -> str:
        """A card with a fresh task_id, or `markdown` where no card can be had. Returns the way it went.

        Raises ChannelError when it certainly did not arrive.
        """
        if self._connected() and chat_id and await self._takes_cards(chat_id):
            try:
                way = await self._doubtful(self._send_card(chat_id, is_group, card, handing), chat_id, "card")
                point("card.sent")
                return way
            except CardRefused as refused:
                log.warning("the chat takes no cards, markdown for a day | chat=%s %s", chat_id, refused)
                await self._chats.keep([(_refused(chat_id), repr(self._clock.now()))])
            except ChannelError as undelivered:
                if self._connected() and not self._has_lifeline(chat_id):
                    raise
                log.info("card not sent | chat=%s %s", chat_id, undelivered)
        return await self.text(chat_id, is_group, markdown, handing)

    async def text(self, chat_id: str, is_group: bool, markdown: str, handing: Handing = UNFOLLOWED) -> str:
        """As `card`."""
        if self._connected() and chat_id:
            assert self._channel is not None
            try:
                return await self._doubtful(
                    self._channel.send(chat_id, is_group, markdown, handing), chat_id, "markdown"
                )
            except ChannelError:
                if not self._has_lifeline(chat_id):
                    raise
        if not self._has_lifeline(chat_id) or not is_group:
            raise ChannelError("neither connection nor webhook")
        assert self._lifeline is not None
        await self._lifeline.send(markdown + self._why_deaf(chat_id), handing)
        point("lifeline.sent")
        return "webhook"

    def _why_deaf(self, chat_id: str) -> str:
        """What the webhook says below: the commands that stand above it may have nobody who hears them."""
        if self._channel is None:
            return ""
        if not chat_id:
            return f"\n{self._say('alerts.unpaired', bot=self._say.bot_name)}"
        return "" if self._connected() else f"\n{self._say('alerts.lifeline')}"

    async def _send_card(self, chat_id: str, is_group: bool, card: Card, handing: Handing) -> None:
        assert self._channel is not None
        try:
            await self._channel.send_card(chat_id, is_group, await self._named(chat_id, card), handing)
        except CardRefused:
            raise
        except ChannelError as refused:
            if refused.errcode != TASK_ID_USED:
                raise
            await self._channel.send_card(chat_id, is_group, await self._named(chat_id, card), handing)

    async def _named(self, chat_id: str, card: Card) -> Card:
        """With a fresh task_id, on record before anybody can tap it."""
        named = replace(card, task_id=fresh_task_id())
        await self._chats.keep_card(named.task_id, chat_id, about(card), self._clock.now())
        point("card.named")
        return named

    async def _doubtful(self, sending: Awaitable[None], chat_id: str, way: str) -> str:
        try:
            await sending
        except ChannelError as undelivered:
            if not undelivered.sent or (undelivered.lost and self._has_lifeline(chat_id)):
                raise
            log.warning("not acknowledged, taken as delivered | %s", undelivered)
        return way

    async def _takes_cards(self, chat_id: str) -> bool:
        refused_at = await self._chats.recall(_refused(chat_id))
        return not refused_at or self._clock.now() - float(refused_at) > DAY

    def _connected(self) -> bool:
        return self._channel is not None and self._channel.ready

    def _has_lifeline(self, chat_id: str) -> bool:
        return self._lifeline is not None and chat_id in ("", self._first())


def about(card: Card) -> str:
    """What the keys of its buttons name: a handoff's number, or `alerts`."""
    return card.buttons[0].key.partition(":")[2] if card.buttons else ""


def fresh_task_id() -> str:
    """Unique per send; https://developer.work.weixin.qq.com/document/path/101032"""
    return f"al-{secrets.token_hex(12)}"


def _refused(chat_id: str) -> str:
    return f"cards refused: {chat_id}"
