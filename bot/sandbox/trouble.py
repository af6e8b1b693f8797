"""Lets the faults in force strike one HTTP call; shared by every HTTP edge of the sandbox."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from .faults import Fault, struck

Answer = dict[str, Any]
BUSY: Answer = {"errcode": -1, "errmsg": "system busy"}


def as_json(answer: Any, status: int = 200) -> web.Response:
    body = json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()
    return web.Response(body=body, status=status, content_type="application/json", charset="utf-8")


def cut(request: web.Request) -> web.Response:
    """Reset the TCP connection; the response returned here never arrives."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def answered(request: web.Request, faults: list[Fault], act: Callable[[int], Answer]) -> web.StreamResponse:
    """`act(errcode)` does the call's work, or with a non-zero errcode only notes that it was refused."""
    if not faults:
        return as_json(act(0))
    await waited(faults)
    if struck(faults, "reset_before"):
        return cut(request)
    if fault := struck(faults, "http"):
        return web.Response(status=fault.errcode or 502, text="bad gateway")
    fault = struck(faults, "errcode")
    answer = act(fault.errcode if fault else 0)
    if struck(faults, "reset_after"):
        return cut(request)
    if struck(faults, "garbage"):
        return web.Response(text="<html>gateway</html>", content_type="text/html")
    if struck(faults, "busy_after"):
        return as_json(BUSY)
    return as_json(answer)


async def waited(faults: list[Fault]) -> None:
    for fault in faults:
        if fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
