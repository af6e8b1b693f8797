"""Reads request fields the way WeCom's parser does: whatever is missing or mistyped is 40058."""

import json
import re
from collections.abc import Mapping
from typing import Any

from .refusals import Refused

Body = Mapping[str, Any]

_MSGID = re.compile(r"[0-9a-zA-Z_-]{1,32}")


def parse(raw: bytes) -> dict[str, Any]:
    """One JSON object from a request body."""
    try:
        body = json.loads(raw)
    except ValueError:
        raise Refused(40058, "Warning: wrong json format. ") from None
    if not isinstance(body, dict):
        raise Refused(40058, "body is not an object")
    return body


def text(body: Body, name: str, limit: int = 0) -> str:
    """A required, non-empty string of at most `limit` bytes (0: any length)."""
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise Refused(40058, f"missing field {name}")
    if limit and len(value.encode()) > limit:
        raise Refused(40058, f"{name} longer than {limit} bytes")
    return value


def optional_text(body: Body, name: str, limit: int = 0) -> str:
    return text(body, name, limit) if body.get(name) not in (None, "") else ""


def whole(body: Body, name: str, default: int | None = None) -> int:
    """A whole number; required when there is no default. `true` is not a number."""
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused(40058, f"missing field {name}")
    return value


def part(body: Body, name: str) -> dict[str, Any]:
    value = body.get(name)
    if not isinstance(value, dict):
        raise Refused(40058, f"missing field {name}")
    return value


def own_msgid(body: Body) -> str:
    """The caller's msgid, "" when it gave none. An empty string was refused in production (silenceper PR 563)."""
    if "msgid" not in body:
        return ""
    value = body["msgid"]
    if not isinstance(value, str) or not _MSGID.fullmatch(value):
        raise Refused(40058, "invalid msgid")
    return value
