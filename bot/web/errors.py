"""The one place where an error becomes a status: `{"error": {"code", "message"}}`, with the codes that are promised."""

from __future__ import annotations

import json
import logging
import math
import secrets
from typing import Any

from aiohttp import web

from bot.errors import (
    BadRequest,
    Forbidden,
    HandoffNotActive,
    HandoffUnsettled,
    NotFound,
    StorageError,
    TooManyRequests,
    Unauthenticated,
    WeComError,
)
from bot.wording import Words

log = logging.getLogger("kfbot.api")

CODES: dict[type[Exception], tuple[int, str]] = {
    Unauthenticated: (401, "UNAUTHENTICATED"),
    Forbidden: (403, "FORBIDDEN"),
    NotFound: (404, "NOT_FOUND"),
    HandoffNotActive: (409, "HANDOFF_NOT_ACTIVE"),
    BadRequest: (400, "BAD_REQUEST"),
    TooManyRequests: (429, "TOO_MANY_REQUESTS"),
    HandoffUnsettled: (502, "WECOM_ERROR"),
    WeComError: (502, "WECOM_ERROR"),
    StorageError: (503, "UNAVAILABLE"),
}
STATUSES = dict(CODES.values()) | {405: "METHOD_NOT_ALLOWED", 500: "INTERNAL"}
WORDED = (Forbidden, NotFound, HandoffNotActive, BadRequest, HandoffUnsettled)  # their message is for the caller

LONG = 16 * 1024  # bytes; what is longer is packed for whoever can unpack it
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def as_json(document: Any, status: int = 200) -> web.Response:
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    response = web.Response(body=body, status=status, headers=HEADERS, content_type="application/json")
    if len(body) > LONG:
        response.enable_compression()
    return response


def failure(say: Words, status: int, message: str = "") -> web.Response:
    code = STATUSES[status]
    return as_json({"error": {"code": code, "message": message or say(f"api.{code}")}}, status)


def told(say: Words, error: Exception) -> web.Response:
    """What anything that was raised is told as. What nobody has foreseen goes to the log, under a number."""
    if isinstance(error, web.HTTPException):
        return _of_routing(say, error)
    status = next((status for kind, (status, _) in CODES.items() if isinstance(error, kind)), 500)
    if status == 500:
        incident = secrets.token_hex(4)
        log.error("api failed | incident=%s", incident, exc_info=error)
        return failure(say, status, say("api.INTERNAL", incident=incident))
    if isinstance(error, StorageError):
        log.error("api without storage | %s", error)
    response = failure(say, status, _words(say, error))
    if isinstance(error, TooManyRequests):
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    elif isinstance(error, Unauthenticated):
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _words(say: Words, error: Exception) -> str:
    if isinstance(error, WORDED):
        return str(error)
    return say.error(error) if isinstance(error, WeComError) else ""


def _of_routing(say: Words, error: web.HTTPException) -> web.Response:
    """aiohttp's own: no such path, no such method."""
    response = failure(say, error.status if error.status in STATUSES else 400)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response
