"""One connected socket of the long connection, from its opening to its end."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, Self

import aiohttp

from bot.channels import protocol
from bot.channels.protocol import Ack, Ignored, Kicked
from bot.channels.timing import Timing, ended
from bot.errors import ChannelError
from bot.model import CardTap, GroupMessage

ACK_LIMIT = 5.0
PING_EVERY = 30.0
MISSED_PONGS = 2
CLOSE_LIMIT = 2.0  # a dead peer answers no close

KICKED, REJECTED = "kicked", "rejected"  # kinds of alarm

log = logging.getLogger("kfbot.group")


class NotConnected(ChannelError):
    """The long connection is down; nothing was sent."""


class Unacknowledged(ChannelError):
    """Sent, but no acknowledgement came: it may have been delivered or not."""

    sent = True


class Lost(Unacknowledged):
    """Not acknowledged, and the connection it went by is dead."""

    lost = True


class End(NamedTuple):
    """Why a connection ended. `alarm` is empty when dialling again may help."""

    why: str
    alarm: str = ""


class Connection:
    """Use as `async with`: reads from then on, and is closed with no task left behind.

    `id` is unique among all connections of all processes: a req_id means nothing on another connection.
    `observe` is told `pong`, `pong_missed`, `ack_missing`, `ack_unexpected` and `ignored`.
    """

    def __init__(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        bot_name: str,
        timing: Timing,
        on_inbound: Callable[[Connection, GroupMessage | CardTap], None],
        observe: Callable[[str], None],
    ) -> None:
        self.id = secrets.token_hex(8)
        self._socket = socket
        self._bot_name = bot_name
        self._timing = timing
        self._on_inbound = on_inbound
        self._observe = observe
        self._acks: dict[str, deque[asyncio.Future[Ack | None]]] = {}
        self._end: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self._tasks: list[asyncio.Task[None]] = []
        self._asking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._tasks.append(asyncio.create_task(self._read()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(CLOSED)
        try:
            await ended(*self._tasks, *([self._asking] if self._asking else []))
            await self._timing.within(CLOSE_LIMIT, self._socket.close())
        except (TimeoutError, aiohttp.ClientError, OSError):
            log.debug("group connection gave no answer to our close")

    @property
    def alive(self) -> bool:
        return not self._end.done()

    def end(self, end: End) -> None:
        """The first reason stands. Whoever waits for an acknowledgement learns that none will come."""
        if not self._end.done():
            self._end.set_result(end)
        for waiting in (waiting for row in self._acks.values() for waiting in row if not waiting.done()):
            waiting.set_result(None)

    async def ended(self) -> End:
        return await asyncio.shield(self._end)

    async def live(self) -> End:
        """Ping until the end. Begin when subscribed."""
        self._tasks.append(asyncio.create_task(self._beat()))
        return await self.ended()

    async def request(self, req_id: str, frame: str, limit: float = ACK_LIMIT) -> Ack:
        """Send and wait for the acknowledgement with this req_id; several on one req_id are answered in order."""
        if not self.alive:
            raise NotConnected(f"not connected: {self._end.result().why}")
        waiting: asyncio.Future[Ack | None] = asyncio.get_running_loop().create_future()
        self._acks.setdefault(req_id, deque()).append(waiting)
        try:
            ack = await self._timing.within(limit, self._exchange(frame, waiting))
        except TimeoutError:
            self._observe("ack_missing")
            raise Unacknowledged(f"WeCom did not acknowledge within {limit:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unacknowledged(f"the connection broke while sending ({type(error).__name__})") from None
        finally:
            waiting.cancel()
        if ack is None:
            raise Unacknowledged("the connection was lost before WeCom acknowledged")
        return ack

    async def is_dead(self) -> bool:
        """Whether it has ended otherwise than by us. Asks at once, by one ping for all who doubt; no answer ends it."""
        if self.alive:
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self._ask())
            await asyncio.wait((self._asking, self._end), return_when=asyncio.FIRST_COMPLETED)
        return not self.alive and self._end.result() is not CLOSED

    def doubtful(self, req_id: str) -> bool:
        """An acknowledgement on this req_id is overdue, so that the next to come may be that one."""
        return any(waiting.done() for waiting in self._acks.get(req_id, ()))

    async def _exchange(self, frame: str, waiting: asyncio.Future[Ack | None]) -> Ack | None:
        await self._socket.send_str(frame)
        return await waiting

    async def _read(self) -> None:
        while True:
            message = await self._socket.receive()
            if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                return self.end(_closing(self._socket.close_code, message))
            try:
                self._accept(message.data)
            except Exception:  # the outermost loop of all that comes in
                log.exception("group frame could not be handled")

    def _accept(self, raw: str | bytes) -> None:
        match protocol.parse(raw, self._bot_name):
            case Ack() as ack:
                self._acknowledge(ack)
            case Kicked():
                self.end(End("kicked by another connection", KICKED))
            case Ignored(why):
                self._observe("ignored")
                log.debug("group frame ignored | %s", why)
            case item:
                self._on_inbound(self, item)

    def _acknowledge(self, ack: Ack) -> None:
        row = self._acks.get(ack.req_id)
        if not row:
            return self._observe("ack_unexpected")
        waiting = row.popleft()
        if not row:
            del self._acks[ack.req_id]
        if not waiting.done():
            waiting.set_result(ack)
        if ack.errcode == protocol.NOT_SUBSCRIBED:
            self.end(NOT_SUBSCRIBED)
        return None

    async def _beat(self) -> None:
        missed = 0
        while missed < MISSED_PONGS:
            await self._timing.sleep(PING_EVERY)
            missed = 0 if await self._pong() else missed + 1
        self.end(End(f"no answer to {MISSED_PONGS} pings"))

    async def _pong(self) -> bool:
        req_id = fresh("ping")
        try:
            await self.request(req_id, protocol.ping(req_id))
        except ChannelError:
            self._observe("pong_missed")
            return False
        self._observe("pong")
        return True

    async def _ask(self) -> None:
        if not await self._pong():
            self.end(End("a message was not acknowledged, and a ping was not answered"))


CLOSED = End("closed by us")
NOT_SUBSCRIBED = End(f"WeCom says that we are not subscribed ({protocol.NOT_SUBSCRIBED})")


def fresh(purpose: str) -> str:
    """A req_id of our own."""
    return f"{purpose}-{secrets.token_hex(8)}"


def _closing(code: int | None, message: aiohttp.WSMessage) -> End:
    if message.type is aiohttp.WSMsgType.ERROR:
        return End(f"the socket failed ({type(message.data).__name__})")
    return End("dropped without a close frame" if code in (None, 1006) else f"closed by the server ({code})")
