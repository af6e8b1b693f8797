"""What to do with each acknowledgement: again, another way, or an error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from bot.channels import protocol
from bot.channels.acks import patiently, refusal
from bot.channels.connection import Connection, Lost, NotConnected, Unacknowledged, fresh
from bot.channels.line import Line
from bot.channels.pacing import Pace, Paces, Rank
from bot.channels.pictures import Pictures
from bot.channels.posting import NO_ANSWER, PostJson, posted
from bot.channels.protocol import Ack, Payload
from bot.channels.timing import Timing
from bot.errors import CardRefused, ChannelError
from bot.handing import UNFOLLOWED, Handing
from bot.model import Card, CardTap, GroupMessage

TAP_WINDOW = 5.0
ATTEMPTS = 2
NOT_ABOUT_CARDS = protocol.THROTTLED | protocol.UNOPENED | {protocol.NOT_SUBSCRIBED, protocol.TASK_ID_USED}


class Handle(NamedTuple):
    """`reply_to` of what this channel delivers: by which connection it came, when, and with which req_id."""

    connection: str
    at: float
    req_id: str

    def write(self) -> str:
        return f"{self.connection} {self.at!r} {self.req_id}"

    @classmethod
    def read(cls, text: str) -> Self:
        """A handle that fits no connection when it is not one of ours."""
        try:
            connection, at, req_id = text.split(" ", 2)
            return cls(connection, float(at), req_id)
        except ValueError:
            return cls("", 0.0, "")


@dataclass(frozen=True, slots=True)
class Errand:
    """Something for a chat, with its place in the row of that chat."""

    chat_id: str
    is_group: bool
    payload: Payload
    rank: Rank
    pace: Pace
    ticket: int
    handing: Handing = UNFOLLOWED

    async def turn(self) -> None:
        await self.pace.turn(self.rank, self.ticket)


class Delivery:
    """`patience`: seconds to wait for a connection. `observe` is told `throttled`, `reply_by_send`, `reply_by_url`."""

    def __init__(
        self,
        line: Line,
        timing: Timing,
        post_json: PostJson | None,
        observe: Callable[[str], None],
        patience: float,
    ) -> None:
        self._line = line
        self._timing = timing
        self._post_json = post_json
        self._observe = observe
        self._patience = patience
        self._paces = Paces(timing)
        self._pictures = Pictures(line, timing, observe, patience)

    async def close(self) -> None:
        await self._pictures.close()
        await self._paces.close()

    async def send(self, chat_id: str, is_group: bool, markdown: str, handing: Handing) -> None:
        errand = self._errand(chat_id, is_group, protocol.markdown(markdown), Rank.PUSH, handing)
        await self._send(errand, copies=2)

    async def send_card(self, chat_id: str, is_group: bool, card: Card, handing: Handing) -> None:
        """One copy at most by a connection that lives: a card sent twice would be two cards with one task_id."""
        try:
            errand = self._errand(chat_id, is_group, protocol.card(card), Rank.PUSH, handing)
            await self._send(errand, copies=1, lines=2)
        except ChannelError as error:
            if error.errcode and error.errcode not in NOT_ABOUT_CARDS:
                raise CardRefused(str(error), error.errcode) from None
            raise

    async def send_image(self, chat_id: str, is_group: bool, png: bytes) -> None:
        """One copy at most; its upload may be repeated, for nobody sees that."""
        picture = protocol.image(await self._pictures.upload(png))
        await self._send(self._errand(chat_id, is_group, picture, Rank.PUSH), copies=1)

    async def reply(self, to: GroupMessage, markdown: str) -> None:
        """By the message's req_id, else by its chat, else by its one-time address."""
        errand = self._errand(to.chat_id, to.is_group, protocol.markdown(markdown), Rank.REPLY)
        try:
            await self._reply(errand, Handle.read(to.reply_to))
        except NotConnected:
            if not to.response_url or not self._post_json:
                raise
            self._observe("reply_by_url")
            await errand.turn()
            await _post(self._post_json, to.response_url, errand.payload)

    async def update(self, tap: CardTap, card: Card) -> None:
        """Once and in time, or not at all."""
        handle = Handle.read(tap.reply_to)
        if self._fitting(handle):
            await self._in_time(handle, self._paces.of(tap.chat_id))
        connection = self._fitting(handle)
        if not connection:
            raise ChannelError("the card stays as it is: the connection the tap came by is gone")
        frame = protocol.respond_update(handle.req_id, replace(card, task_id=tap.task_id or card.task_id))
        ack = await connection.request(handle.req_id, frame)
        if ack.errcode:
            raise refusal("the card update", ack)

    async def _in_time(self, handle: Handle, pace: Pace) -> None:
        try:
            left = handle.at + TAP_WINDOW - self._timing.clock()
            if left <= 0:
                raise TimeoutError
            await self._timing.within(left, pace.turn(Rank.UPDATE))
        except TimeoutError:
            raise ChannelError(f"the card stays as it is: {TAP_WINDOW:g} s have passed since the tap") from None

    async def _reply(self, errand: Errand, handle: Handle) -> None:
        copies = 2
        try:
            ack = await self._respond(errand, handle)
        except Unacknowledged:
            ack, copies = None, 1
        if ack and ack.errcode not in protocol.USE_SEND | {0, protocol.NOT_SUBSCRIBED}:
            raise refusal("the reply", ack)
        if ack is None or ack.errcode:
            self._observe("reply_by_send")
            await self._send(errand, copies)

    async def _respond(self, errand: Errand, handle: Handle) -> Ack | None:
        """None when the connection it came by is gone, or its req_id is waiting for an overdue acknowledgement."""

        async def once() -> Ack | None:
            if not self._fitting(handle):
                return None
            await errand.turn()
            connection = self._fitting(handle)
            if not connection or connection.doubtful(handle.req_id):
                return None
            return await _asked(connection, handle.req_id, protocol.respond_msg(handle.req_id, errand.payload))

        return await patiently(errand.pace, once, self._observe)

    async def _send(self, errand: Errand, copies: int, lines: int = 0) -> None:
        """`copies`: how often it may go out without our knowing whether it arrived; `lines`, where that is more: how
        often by connections that were dead when it was missed."""
        lost = False
        for attempt in range(1, ATTEMPTS + 1):
            try:
                ack = await self._push(errand, lost)
            except Unacknowledged as doubt:
                if attempt >= (max(copies, lines) if doubt.lost else copies):
                    raise
                if doubt.lost:
                    lost = True
                    await errand.handing.back()
                continue
            if not ack.errcode:
                return
            if ack.errcode != protocol.NOT_SUBSCRIBED or attempt == ATTEMPTS:
                raise refusal("the message", ack)

    async def _push(self, errand: Errand, lost: bool) -> Ack:
        """`lost`: a copy went by a connection that was dead, and of a card WeCom says whether it has that one."""

        async def once() -> Ack:
            while True:
                await self._line.connected(self._patience)
                await errand.turn()
                if (connection := self._line.current) and (ack := await self._hand(errand, connection, lost)):
                    return ack

        return await patiently(errand.pace, once, self._observe)

    async def _hand(self, errand: Errand, connection: Connection, lost: bool) -> Ack | None:
        """None when the connection has ended before anything went by it."""
        await errand.handing.out()
        ack: Ack | None = None
        if connection.alive:
            req_id = fresh("send")
            frame = protocol.send_msg(req_id, errand.chat_id, errand.is_group, errand.payload)
            ack = await _asked(connection, req_id, frame)
            if lost and ack.errcode == protocol.TASK_ID_USED:
                ack = replace(ack, errcode=0)
        if ack is None or ack.errcode:
            await errand.handing.back()
        return ack

    def _errand(
        self, chat_id: str, is_group: bool, payload: Payload, rank: Rank, handing: Handing = UNFOLLOWED
    ) -> Errand:
        pace = self._paces.of(chat_id)
        return Errand(chat_id, is_group, payload, rank, pace, pace.ticket(), handing)

    def _fitting(self, handle: Handle) -> Connection | None:
        current = self._line.current
        return current if current and handle.req_id and current.id == handle.connection else None


async def _asked(connection: Connection, req_id: str, frame: str) -> Ack:
    """Raises `Lost` where nobody is there to answer."""
    try:
        return await connection.request(req_id, frame)
    except Unacknowledged as doubt:
        if await connection.is_dead():
            raise Lost(str(doubt)) from None
        raise


async def _post(post_json: PostJson, response_url: str, payload: Payload) -> None:
    errcode, errmsg = await posted(post_json, response_url, payload)
    if errcode:
        why = errmsg if errcode == NO_ANSWER else errcode  # WeCom's own words might repeat the code
        raise ChannelError(f"not connected, and the response_url failed: {why}", errcode)
