"""`Sandbox`: one simulated WeCom with its server."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import Any

from aiohttp import web

from . import page
from .actions import Actions
from .config import SandboxConfig, settings_for
from .control import Control
from .group_api import GroupApi
from .kf_api import KfApi
from .logins import LoginPage
from .watchers import Watchers


class Sandbox(Actions):
    """What people do is in `Actions`; here it listens.

    All methods belong to the loop it serves in. It may be stopped and started again; the world stays.
    """

    def __init__(
        self, config: SandboxConfig | None = None, *, now: Callable[[], float] = time.time, seed: bool = False
    ) -> None:
        super().__init__(config, now=now, seed=seed)
        self.base_url = ""
        self._runner: web.AppRunner | None = None
        self._watchers = Watchers(self.state)
        self.changes.listener = self._watchers.changed
        self.player.audience = lambda: self._watchers.any

    async def start(self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        """Listen; port 0 takes a free one, see `base_url`."""
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, ssl_context=tls).start()
        port = self._runner.addresses[0][1]
        named = "127.0.0.1" if host in ("0.0.0.0", "") else host  # noqa: S104 (compared, not bound)
        self.base_url = self.staff.base_url = f"{'https' if tls else 'http'}://{named}:{port}"
        self.callbacks.open()

    async def stop(self) -> None:
        """Cut every line and stop listening; idempotent."""
        if self._runner is None:
            return
        runner, self._runner = self._runner, None
        await self.player.stop()
        await self.callbacks.close()
        await self._watchers.close()
        await self.line.stop()
        await runner.cleanup()

    @asynccontextmanager
    async def serve(
        self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> AsyncIterator["Sandbox"]:
        try:
            await self.start(host, port, tls)
            yield self
        finally:
            await self.stop()

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=64 << 20)
        app.add_routes(KfApi(self.world, self.faults).routes())
        app.add_routes(GroupApi(self.groups, self.replies, self.faults).routes())
        app.add_routes(Control(self).routes())
        app.add_routes(page.routes())
        app.add_routes(LoginPage(self.world, self.groups).routes())
        app.add_routes([web.get("/sandbox/ws", self._watchers.serve), web.get("/aibot", self.line.serve)])
        app.add_routes([web.get("/", self._root)])
        app.on_response_prepare.append(self._date)
        return app

    async def _date(self, request: web.Request, response: web.StreamResponse) -> None:
        """The Date header tells this WeCom's time, so that a bot can find its own clock wrong."""
        if self.clock.moved or self.clock.base is not time.time:
            response.headers["Date"] = formatdate(self.now(), usegmt=True)

    async def _root(self, request: web.Request) -> web.StreamResponse:
        """The long connection for who asks to upgrade, else the page."""
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self.line.serve(request)
        return await page.index(request)

    @property
    def ws_url(self) -> str:
        return self.base_url.replace("http", "ws", 1)

    @property
    def settings(self) -> dict[str, Any]:
        """The kfbot settings for this sandbox, nested as in settings.yaml."""
        return settings_for(self.config, self.base_url)

    def webhook_url(self, chatid: str) -> str:
        """The send-only robot's address for one group; "" for a single chat."""
        group = self.groups.find(chatid)
        key = group.webhook_key if group else ""
        return f"{self.base_url}/cgi-bin/webhook/send?key={key}" if key else ""


async def serve_forever(
    config: SandboxConfig,
    host: str = "127.0.0.1",
    port: int = 0,
    on_ready: Callable[[Sandbox], None] = lambda sandbox: None,
) -> None:
    """Serve a seeded sandbox until cancelled; `on_ready` is called once it listens."""
    async with Sandbox(config, seed=True).serve(host, port) as sandbox:
        on_ready(sandbox)
        await asyncio.Event().wait()
