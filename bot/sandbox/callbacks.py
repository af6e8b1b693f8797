"""Pushes notifications, signed and encrypted, to the bot's callback URL (wecom-kf.md 2)."""

import asyncio
import secrets
from collections.abc import Coroutine, Sequence
from typing import Any
from urllib.parse import urlencode

import aiohttp

from . import notices
from .crypto import MessageCrypto, signature
from .faults import Faults, struck
from .trouble import waited
from .world import World


class Callbacks:
    """One push at a time per account: news meanwhile is folded into the next push, never lost.

    A push that is not answered 200 within `retry_after` seconds is tried again, `callback_retries` times,
    while newer news already goes out.
    """

    def __init__(self, world: World, faults: Faults) -> None:
        config = world.config
        self.url = config.callback_url
        self.sent = 0
        self._world, self._faults = world, faults
        self._crypto = MessageCrypto(config.encoding_aes_key, config.corp_id)
        self._http: aiohttp.ClientSession | None = None
        self._busy: set[str] = set()
        self._again: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._last = ""

    def open(self) -> None:
        """Needs a running loop; news before this is not told to anybody."""
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._busy.clear()
        self._again.clear()
        if self._http is not None:
            await self._http.close()
        self._http = None

    async def settled(self) -> None:
        """Until nothing is under way or waiting for a retry."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def news(self, open_kfid: str) -> None:
        if not self.url or self._http is None:
            return
        if open_kfid in self._busy:
            self._again.add(open_kfid)
            return
        self._busy.add(open_kfid)
        self._start(self._tell(open_kfid))

    async def _tell(self, open_kfid: str) -> None:
        try:
            while True:
                self._again.discard(open_kfid)
                token = self._world.sync_tokens.issue(open_kfid, self._world.now())
                await self._push(notices.kf_news(self._world.config, self._world.now(), token, open_kfid))
                if open_kfid not in self._again:
                    return
        finally:
            self._busy.discard(open_kfid)

    async def _push(self, xml: str) -> None:
        """One first attempt, unless a fault loses it; what fails is retried aside."""
        faults = self._faults.take("callback")
        if struck(faults, "lose"):
            return
        await waited(faults)
        self._last = xml
        for _ in range(2 if struck(faults, "duplicate") else 1):
            if not await self._attempt(xml):
                self._start(self._retry(xml))

    async def _retry(self, xml: str) -> None:
        for _ in range(self._world.config.callback_retries):
            await asyncio.sleep(self._world.config.retry_after)
            if await self._attempt(xml):
                return

    async def _attempt(self, xml: str) -> bool:
        query, body = self._sealed(xml)
        self.sent += 1
        try:
            async with self._session().post(
                f"{self.url}?{query}",
                data=body,
                headers={"Content-Type": "text/xml; charset=utf-8"},
                timeout=aiohttp.ClientTimeout(total=self._world.config.retry_after),
            ) as response:
                await response.read()
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    def _sealed(self, xml: str) -> tuple[str, bytes]:
        encrypted = self._crypto.encrypt(xml)
        config = self._world.config
        return self._query(encrypted), notices.envelope(config, encrypted).encode()

    def _query(self, encrypted: str, **more: str) -> str:
        timestamp, nonce = str(int(self._world.now())), str(secrets.randbelow(10**10))
        signed = signature(self._world.config.callback_token, timestamp, nonce, encrypted)
        return urlencode({"msg_signature": signed, "timestamp": timestamp, "nonce": nonce, **more})

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            raise RuntimeError("the sandbox is not running")
        return self._http

    async def verify(self) -> dict[str, Any]:
        """What the console does when the URL is saved: right answer, nothing around it, within 1 s."""
        word = str(secrets.randbelow(10**19))
        echo = self._crypto.encrypt(word)
        began = asyncio.get_running_loop().time()
        try:
            async with self._session().get(
                f"{self.url}?{self._query(echo, echostr=echo)}", timeout=aiohttp.ClientTimeout(total=1)
            ) as response:
                right = response.status == 200 and await response.read() == word.encode()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            right = False
        return {"verified": right, "seconds": asyncio.get_running_loop().time() - began}

    async def foreign(self) -> None:
        """An event of another kind on the same URL; the bot must answer 200 and forget it."""
        await self._push(notices.foreign(self._world.config, self._world.now()))

    async def auth_change(self, added: Sequence[str] = (), removed: Sequence[str] = ()) -> None:
        await self._push(notices.auth_change(self._world.config, self._world.now(), added, removed))

    async def duplicate(self) -> None:
        """The last notification once more, freshly sealed."""
        if self._last:
            await self._attempt(self._last)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
