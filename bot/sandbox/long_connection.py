"""The WebSocket server bots subscribe to: one owner at a time, and every way a line can die (wecom-group.md 4)."""

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

from aiohttp import WSMsgType, web

from . import callback_frames
from .bot_commands import BotCommands
from .callback_frames import Frame
from .faults import Fault, Faults, struck
from .groups import Groups
from .refusals import Refused, errmsg
from .trouble import waited

LEDGER_KINDS = {
    "aibot_send_msg": "group_send",
    "aibot_respond_msg": "group_respond",
    "aibot_respond_welcome_msg": "group_welcome",
    "aibot_respond_update_msg": "group_update",
}


class Connection:
    """One socket. `deaf`: never answers again (bad credentials); `half_open`: not even a close."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
        self.socket, self._transport = socket, transport
        self.deaf = self.half_open = False
        self._cut = asyncio.Event()

    async def send(self, frame: Frame) -> None:
        if not self.deaf and not self.socket.closed:
            try:
                await self.socket.send_str(json.dumps(frame, ensure_ascii=False))
            except ConnectionError:
                return

    def cut(self) -> None:
        """No close frame: the peer sees a reset."""
        self._cut.set()
        if self._transport is not None:
            self._transport.abort()

    async def farewell(self) -> None:
        """After the peer has closed: say so too, unless half-open, where this end never learns of it."""
        if self.half_open:
            await self._cut.wait()
        await self.socket.close()


class LongConnection:
    """Serves any number of sockets; at most one is the bot's."""

    def __init__(self, groups: Groups, commands: BotCommands, faults: Faults) -> None:
        self._groups, self._commands, self._faults = groups, commands, faults
        self._all: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.owner: Connection | None = None

    @property
    def connected(self) -> bool:
        return self.owner is not None

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False, autoclose=False, compress=False, max_msg_size=0)
        await socket.prepare(request)
        connection = Connection(socket, request.transport)
        self._all.add(connection)
        try:
            await self._read(connection)
            await connection.farewell()
        finally:
            self._all.discard(connection)
            if self.owner is connection:
                self._own(None)
        return socket

    async def _read(self, connection: Connection) -> None:
        async for message in connection.socket:
            if message.type is WSMsgType.PING and not connection.deaf:
                await connection.socket.pong(message.data)
            elif message.type is WSMsgType.TEXT and not connection.deaf:
                await self._take(connection, message.data)

    async def _take(self, connection: Connection, raw: str) -> None:
        """One frame; a delayed one does not hold up those behind it."""
        frame = _parsed(raw)
        if frame is None:
            return
        cmd = str(frame.get("cmd"))
        self._groups.ledger.calls[cmd] += 1
        if faults := self._faults.take(cmd):
            self._start(self._frame(connection, cmd, frame, faults))
        else:
            await self._frame(connection, cmd, frame, [])

    async def _frame(self, connection: Connection, cmd: str, frame: Frame, faults: list[Fault]) -> None:
        await waited(faults)
        if struck(faults, "reset_before"):
            connection.cut()
            return
        if cmd == "aibot_subscribe" and connection.socket.closed:
            return  # who has gone meanwhile throws nobody out
        fault = struck(faults, "errcode")
        ack = self._answer(connection, cmd, frame, fault.errcode if fault else 0)
        if struck(faults, "reset_after"):
            connection.cut()
        elif not struck(faults, "no_answer"):
            await connection.send(ack)
        if ack["errcode"] == 853000:
            connection.deaf = True

    def _answer(self, connection: Connection, cmd: str, frame: Frame, errcode: int) -> Frame:
        req_id = str(frame["headers"].get("req_id", ""))
        body = frame.get("body")
        body = body if isinstance(body, dict) else {}
        ack: Frame = {"headers": {"req_id": req_id}, "errcode": 0, "errmsg": "ok"}
        try:
            if errcode:
                raise Refused(errcode)
            if answer := self._run(connection, cmd, req_id, body):
                ack["body"] = answer
        except Refused as refused:
            ack |= {"errcode": refused.errcode, "errmsg": errmsg(refused.errcode, refused.detail)}
        if kind := LEDGER_KINDS.get(cmd):
            args = {"req_id": req_id, **body}
            self._groups.ledger.write(kind, self._groups.now(), args, ack["errcode"], ack.get("body", {}))
            self._groups.on_change()
        return ack

    def _run(self, connection: Connection, cmd: str, req_id: str, body: dict[str, Any]) -> dict[str, Any]:
        if cmd == "ping":
            return {}
        if cmd == "aibot_subscribe":
            self._subscribe(connection, body)
            return {}
        if connection is not self.owner:
            raise Refused(846609)
        return self._commands.run(cmd, req_id, body)

    def _subscribe(self, connection: Connection, body: dict[str, Any]) -> None:
        config = self._groups.config
        if (body.get("bot_id"), body.get("secret")) != (config.bot_id, config.bot_secret):
            raise Refused(853000)
        if self.owner is not connection:
            self.kick()
            self._own(connection)

    def _own(self, connection: Connection | None) -> None:
        self.owner = connection
        self._groups.on_change()

    def kick(self) -> None:
        """As a newer subscribe does: the owner is told, keeps looking healthy, and is dropped a little later."""
        old = self.owner
        if old is None:
            return
        self._own(None)
        event = callback_frames.event(self._groups.config, self._groups.now(), "disconnected_event")
        self._start(old.send(event))
        asyncio.get_running_loop().call_later(self._groups.config.kicked_drop_after, old.cut)

    def drop(self) -> None:
        """The line breaks: no close frame."""
        if self.owner is not None:
            self.owner.cut()

    def close(self) -> None:
        """A clean close, code 1000."""
        if self.owner is not None:
            self._start(_closed(self.owner))

    def half_open(self) -> None:
        """From now on nothing comes back on this line, though it stays open."""
        if self.owner is not None:
            self.owner.deaf = self.owner.half_open = True

    def push(self, frame: Frame) -> bool:
        """Send a callback to the bot; False when nobody is subscribed (it is lost, as in WeCom)."""
        faults = self._faults.take(frame["cmd"])
        if self.owner is None or struck(faults, "lose"):
            return False
        for _ in range(2 if struck(faults, "duplicate") else 1):
            self._start(_delivered(self.owner, frame, faults))
        return True

    async def settled(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        for connection in list(self._all):
            connection.cut()
        await self.settled()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _delivered(connection: Connection, frame: Frame, faults: list[Fault]) -> None:
    if faults:
        await waited(faults)
    await connection.send(frame)


async def _closed(connection: Connection) -> None:
    await connection.socket.close(code=1000)


def _parsed(raw: str) -> Frame | None:
    """A frame with headers, or None for what the server would not understand."""
    try:
        frame = json.loads(raw)
    except ValueError:
        return None
    return frame if isinstance(frame, dict) and isinstance(frame.get("headers"), dict) else None
