"""The long connection kept up: dial, subscribe, live, and dial again after any end but a kick or a refusal."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp

from bot.channels import protocol
from bot.channels.connection import REJECTED, Connection, End, NotConnected, Unacknowledged, fresh
from bot.channels.cutting import cut
from bot.channels.timing import Timing, ended
from bot.errors import KfbotError

DIAL_LIMIT = 15.0
SUBSCRIBE_LIMIT = 10.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
STABLE = 60.0  # a connection that lived this long was a good one: pauses start from the first again

Dial = Callable[[str], Awaitable[aiohttp.ClientWebSocketResponse]]

log = logging.getLogger("kfbot.group")


@dataclass(frozen=True, slots=True)
class Account:
    """How to log in. The secret is in no repr."""

    bot_id: str
    secret: str = field(repr=False)
    url: str


class Line:
    """At most one subscribed connection at a time; `current` is that one.

    `wrap` makes a `Connection` of a fresh socket. `on_alarm(kind, text)` is called when the line gives up until
    `start` is called again: `kicked` or `rejected`. `observe` is told `connected` and `disconnected`.
    """

    def __init__(
        self,
        account: Account,
        dial: Dial,
        wrap: Callable[[aiohttp.ClientWebSocketResponse], Connection],
        timing: Timing,
        on_alarm: Callable[[str, str], None],
        observe: Callable[[str], None],
    ) -> None:
        self._account = account
        self._dial = dial
        self._wrap = wrap
        self._timing = timing
        self._on_alarm = on_alarm
        self._observe = observe
        self._connection: Connection | None = None
        self._end = End("not started")
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    @property
    def current(self) -> Connection | None:
        return self._connection if self._connection and self._connection.alive else None

    @property
    def running(self) -> bool:
        return self._task is not None and not self._task.done()

    @property
    def problem(self) -> str:
        if self.current:
            return ""
        return self._end.why if self._end.alarm else f"not connected: {self._end.why}"

    def start(self) -> None:
        """Nothing if it is running."""
        if not self.running:
            self._end = End("connecting")
            self._changed.clear()
            self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        if self._task:
            await ended(self._task)
        self._give_up(End("stopped"))

    async def connected(self, patience: float) -> Connection:
        """Waits while there is hope, `patience` seconds at most; then raises `NotConnected` with the problem."""
        deadline = self._timing.clock() + patience
        while not self.current:
            left = deadline - self._timing.clock()
            if not self.running or left <= 0:
                raise NotConnected(self.problem)
            with suppress(TimeoutError):
                await self._timing.within(left, self._changed.wait())
        return self.current

    async def _keep(self) -> None:
        failures = 0
        while True:
            started = self._timing.clock()
            end = await self._session()
            if end.alarm:
                return self._sound(end)
            failures = 0 if self._timing.clock() - started >= STABLE else failures
            await self._pause(end, failures)
            failures += 1

    async def _session(self) -> End:
        """Never raises: whatever ends a session, the line goes on."""
        try:
            return await self._connect()
        except (aiohttp.ClientError, OSError, KfbotError) as error:
            return End(f"cannot connect ({self._spoken(error)})")
        except Exception as error:  # the outermost loop: the line must not die of a mistake
            log.exception("group connection failed in a way not foreseen")
            return End(f"internal error ({type(error).__name__})")

    async def _connect(self) -> End:
        async with self._wrap(await self._dialled()) as connection:
            if refusal := await self._subscribe(connection):
                return refusal
            self._up(connection)
            try:
                return await connection.live()
            finally:
                self._down()

    async def _dialled(self) -> aiohttp.ClientWebSocketResponse:
        """A socket that arrives too late, or while stopping, is closed."""
        dialling = asyncio.ensure_future(self._dial(self._account.url))
        try:
            return await self._timing.within(DIAL_LIMIT, dialling)
        except BaseException:
            if dialling.done() and not dialling.cancelled() and not dialling.exception():
                await dialling.result().close()
            raise

    async def _subscribe(self, connection: Connection) -> End | None:
        req_id = fresh("subscribe")
        frame = protocol.subscribe(req_id, self._account.bot_id, self._account.secret)
        try:
            ack = await connection.request(req_id, frame, SUBSCRIBE_LIMIT)
        except (Unacknowledged, NotConnected):
            return await self._silence(connection)
        if ack.errcode in protocol.BAD_CREDENTIALS:
            return End(f"bad bot_id or secret ({ack.errcode})", REJECTED)
        if ack.errcode:
            return End(f"subscription refused: {ack.errcode} {self._redacted(ack.errmsg)}")
        return None

    async def _silence(self, connection: Connection) -> End:
        """Some servers say nothing to a bad secret; a lost connection says more."""
        if not connection.alive:
            return await connection.ended()
        return End(f"no answer to the subscription within {SUBSCRIBE_LIMIT:g} s; are bot_id and secret right?")

    def _up(self, connection: Connection) -> None:
        self._connection = connection
        self._changed.set()
        self._observe("connected")
        log.info("group connection ready")

    def _down(self) -> None:
        self._connection = None
        self._changed.clear()
        self._observe("disconnected")

    def _give_up(self, end: End) -> None:
        self._end = end
        self._changed.set()

    def _sound(self, end: End) -> None:
        self._give_up(end)
        log.error("group connection given up | %s", end.why)
        try:
            self._on_alarm(end.alarm, end.why)
        except Exception:  # somebody else's code at the end of this loop
            log.exception("group connection alarm failed")

    async def _pause(self, end: End, failures: int) -> None:
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures, 10))
        pause = longest * (0.75 + 0.25 * self._timing.rng())
        self._end = end
        log.warning("group connection down | %s; redial in %.1f s", end.why, pause)
        await self._timing.sleep(pause)

    def _spoken(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return "no answer in time"
        return f"{type(error).__name__}: {self._redacted(str(error))}"

    def _redacted(self, text: str) -> str:
        """WeCom's words without their tail of hints and addresses, and never with our secret."""
        text = text.replace(self._account.secret, "***") if self._account.secret else text
        return cut(text.split(", hint:")[0].split(", from ip:")[0], 160)
