"""Pictures up to WeCom in chunks, for a `media_id` that can be sent.

https://developer.work.weixin.qq.com/document/path/101463
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from bot.channels import protocol
from bot.channels.acks import patiently, refusal
from bot.channels.connection import NOT_SUBSCRIBED, Connection, NotConnected, Unacknowledged, fresh
from bot.channels.line import Line
from bot.channels.pacing import HOUR, MINUTE, Pace, Rank
from bot.channels.protocol import Ack
from bot.channels.timing import Timing
from bot.errors import ChannelError

LIMIT = 2 << 20  # bytes; some sources say 10 MB
CHUNK = 512 << 10  # bytes before base64
BOT_LIMITS = ((30, MINUTE), (1000, HOUR))  # uploads or their frames, no source says which: frames keep both
SLOW = 20.0  # seconds for one frame: half a megabyte through a narrow line


class Cut(ChannelError):
    """The upload broke off. Nothing is doubtful about it: nobody has seen anything."""


class Misnumbered(ChannelError):
    """WeCom refused a chunk, perhaps because of its number."""


class Pictures:
    """One goes up at a time, so that taps and replies find room between its chunks.

    The sources disagree whether chunks are counted from 0 or from 1: what has once worked is kept to.
    `patience`: seconds to wait for a connection. `observe` is told `throttled`.
    """

    def __init__(self, line: Line, timing: Timing, observe: Callable[[str], None], patience: float) -> None:
        self._line = line
        self._observe = observe
        self._patience = patience
        self._pace = Pace(timing, BOT_LIMITS, reserve={})
        self._alone = asyncio.Lock()
        self._bases: tuple[int, ...] = (0, 1)

    async def close(self) -> None:
        await self._pace.close()

    async def upload(self, png: bytes) -> str:
        """The media_id, good for three days in any chat. What is too large never leaves."""
        if len(png) > LIMIT:
            raise ChannelError(f"the picture has {len(png)} bytes, {LIMIT} are allowed")
        async with self._alone:
            *doubtful, last = self._bases
            for base in doubtful:
                with suppress(Misnumbered):
                    return await self._counted(png, base)
            return await self._counted(png, last)

    async def _counted(self, png: bytes, base: int) -> str:
        media_id = await self._whole(png, base)
        self._bases = (base,)
        return media_id

    async def _whole(self, png: bytes, base: int) -> str:
        """Begun anew, once, when the connection is lost: an upload may belong to it."""
        try:
            return await self._attempt(png, base)
        except Cut:
            return await self._attempt(png, base)

    async def _attempt(self, png: bytes, base: int) -> str:
        connection = await self._line.connected(self._patience)
        try:
            return await self._through(connection, png, base)
        except (NotConnected, Unacknowledged) as error:
            raise Cut(f"the picture could not be uploaded: {error}") from None

    async def _through(self, connection: Connection, png: bytes, base: int) -> str:
        chunks = [png[start : start + CHUNK] for start in range(0, len(png), CHUNK)]
        req_id = fresh("upload")
        begun = await self._ask(connection, req_id, protocol.upload_init(req_id, png, len(chunks)))
        upload_id = _named(begun, "upload_id")
        try:
            return await self._fill(connection, upload_id, chunks, base)
        except ChannelError as error:
            if error.errcode and error.errcode not in protocol.THROTTLED:
                raise Misnumbered(str(error), error.errcode) from None
            raise

    async def _fill(self, connection: Connection, upload_id: str, chunks: list[bytes], base: int) -> str:
        for number, chunk in enumerate(chunks, base):
            req_id = fresh("upload")
            await self._ask(connection, req_id, protocol.upload_chunk(req_id, upload_id, number, chunk))
        req_id = fresh("upload")
        finished = await self._ask(connection, req_id, protocol.upload_finish(req_id, upload_id))
        return _named(finished, "media_id")

    async def _ask(self, connection: Connection, req_id: str, frame: str) -> Ack:
        async def once() -> Ack:
            await self._pace.turn(Rank.PUSH)
            return await connection.request(req_id, frame, SLOW)

        ack = await patiently(self._pace, once, self._observe)
        if ack.errcode == protocol.NOT_SUBSCRIBED:
            raise NotConnected(NOT_SUBSCRIBED.why)
        if ack.errcode:
            raise refusal("the picture", ack)
        return ack


def _named(ack: Ack, name: str) -> str:
    value = ack.body.get(name)
    if not isinstance(value, str) or not value:
        raise ChannelError(f"WeCom took the picture but gave no {name}")
    return value
