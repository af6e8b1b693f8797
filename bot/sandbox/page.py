"""Serves the demo page and its assets; a plain page stands in while there is none."""

from pathlib import Path

from aiohttp import web

STATIC = Path(__file__).parent / "static"

_PLAIN = "<!doctype html><meta charset=utf-8><title>WeCom sandbox</title><h1>WeCom sandbox</h1>"


async def index(request: web.Request) -> web.StreamResponse:
    path = STATIC / "index.html"
    if not path.is_file():
        return web.Response(text=_PLAIN, content_type="text/html")
    return web.FileResponse(path, headers={"Cache-Control": "no-cache"})


async def asset(request: web.Request) -> web.StreamResponse:
    path = (STATIC / request.match_info["path"]).resolve()
    if not path.is_relative_to(STATIC.resolve()) or not path.is_file():
        raise web.HTTPNotFound
    return web.FileResponse(path, headers={"Cache-Control": "no-cache"})


def routes() -> list[web.RouteDef]:
    return [web.get("/sandbox/static/{path:.+}", asset)]
