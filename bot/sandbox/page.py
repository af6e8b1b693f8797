"""Serves the demo page and its assets; a plain page stands in while there is none."""

from pathlib import Path

from aiohttp import web

STATIC = Path(__file__).parent / "static"

# Everything the page needs is its own; what people type must never become markup or a script.
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
_PLAIN = "<!doctype html><meta charset=utf-8><title>WeCom sandbox</title><h1>WeCom sandbox</h1>"


async def index(request: web.Request) -> web.StreamResponse:
    path = STATIC / "index.html"
    if not path.is_file():
        return web.Response(text=_PLAIN, content_type="text/html")
    return web.FileResponse(path, headers=_HEADERS)


async def asset(request: web.Request) -> web.StreamResponse:
    path = (STATIC / request.match_info["path"]).resolve()
    if not path.is_relative_to(STATIC.resolve()) or not path.is_file():
        raise web.HTTPNotFound
    return web.FileResponse(path, headers=_HEADERS)


def routes() -> list[web.RouteDef]:
    return [web.get("/sandbox/static/{path:.+}", asset)]
