"""A group robot's webhook: send only. The lifeline for alerts while the long connection is down.

https://developer.work.weixin.qq.com/document/path/99110
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bot.channels.cutting import cut, cut_bytes
from bot.channels.pacing import MINUTE, Pace, Rank
from bot.channels.posting import NO_ANSWER, PostJson, posted
from bot.channels.timing import Clock, Sleep, Timing
from bot.errors import ChannelError
from bot.handing import UNFOLLOWED, Handing

MARKDOWN_LIMIT = 4096  # bytes
IMAGE_LIMIT = 2 << 20  # bytes before base64
LIMITS = ((20, MINUTE),)
TOO_MANY = 45009
BUSY_PAUSES = (1.0, 4.0, None)  # -1, 45033 and network failures
BUSY = frozenset({-1, 45033})
REMEDIES = {
    93000: "the key is wrong or the robot was removed from the group; set group.webhook.url anew",
    93004: "the robot is disabled; enable it in the group's settings",
    93008: "the robot is not in that group; add it, or set group.webhook.url anew",
}


class WebhookChannel:
    """One webhook belongs to one group, so there is no chat id. Its key is in no message and no repr.

    `post_json(url, body)` returns the JSON object answered. A message may arrive twice when the answer was lost.
    """

    def __init__(
        self,
        url: str,
        post_json: PostJson,
        clock: Clock = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._url = url
        self._post_json = post_json
        self._pace = Pace(Timing(clock, sleep), LIMITS, reserve={})
        self._sleep = sleep

    async def send(self, markdown: str, handing: Handing = UNFOLLOWED) -> None:
        """Waits for its turn: 20 messages a minute. Longer than 4096 bytes is cut."""
        content = cut_bytes(markdown, MARKDOWN_LIMIT)
        await self._deliver({"msgtype": "markdown", "markdown": {"content": content}}, handing)

    async def send_image(self, png: bytes) -> None:
        """PNG or JPG of 2 MB at most."""
        if len(png) > IMAGE_LIMIT:
            raise ChannelError(f"webhook: the picture has {len(png)} bytes, {IMAGE_LIMIT} are allowed")
        digest = hashlib.md5(png, usedforsecurity=False).hexdigest()
        image = {"base64": base64.b64encode(png).decode(), "md5": digest}
        await self._deliver({"msgtype": "image", "image": image})

    async def stop(self) -> None:
        """Those who wait for their turn get `ChannelError`."""
        await self._pace.close()

    async def _deliver(self, body: dict[str, Any], handing: Handing = UNFOLLOWED) -> None:
        """45009 waits for the next minute, twice; every round has its own tries against a busy server."""
        ticket = self._pace.ticket()
        for last in (False, False, True):
            errcode, errmsg = await self._try(body, ticket, handing)
            if errcode != TOO_MANY or last:
                break
            self._pace.hold(MINUTE)
        if errcode:
            raise ChannelError(f"webhook: {errcode} {REMEDIES.get(errcode, errmsg)}", errcode)

    async def _try(self, body: dict[str, Any], ticket: int, handing: Handing) -> tuple[int, str]:
        for pause in BUSY_PAUSES:
            await self._pace.turn(Rank.PUSH, ticket)
            await handing.out()
            errcode, errmsg = await posted(self._post_json, self._url, body)
            if errcode not in (0, NO_ANSWER):
                await handing.back()
            if errcode not in BUSY or pause is None:
                break
            await self._sleep(pause)
        return errcode, self._redacted(errmsg)

    def _redacted(self, text: str) -> str:
        for keys in parse_qs(urlsplit(self._url).query).values():
            for key in keys:
                text = text.replace(key, "***")
        return cut(text.split(", hint:")[0], 160)
