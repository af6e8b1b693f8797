"""The least an aiohttp server can be. Imports nothing else, so that it is a floor for memory and start, too."""

from __future__ import annotations

import sys

from aiohttp import web


def bare_server(port: int, path: str, text: str) -> None:
    """Answers every request to `path` with the same words."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text)

    app = web.Application()
    app.router.add_route("*", path, answer)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


if __name__ == "__main__":
    bare_server(int(sys.argv[1]), "/readyz", "ready")
