"""What goes over a live socket, as bytes and as meaning. Pure.

The server's frames are not masked (RFC 6455, 5.1), so one event is the same bytes for everybody: made once, written as
it is.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from enum import IntEnum

TEXT, CLOSE, ECHO = 0x81, 0x88, 0x8A  # with the bit that says the message ends here
MOST_IDS = 1 << 63


class Code(IntEnum):
    """Why a socket is closed. From 4000 on they are ours, after the HTTP status that says the same."""

    OK = 1000
    GOING_AWAY = 1001
    BAD_FRAME = 4400
    UNAUTHENTICATED = 4401
    TOO_SLOW = 4408
    TOO_MANY = 4429


@dataclass(frozen=True, slots=True)
class Auth:
    """The first frame. `token` is empty where a cookie is to speak; `after`: the last event the page has seen."""

    token: str
    after: int | None


def text_frame(text: str) -> bytes:
    payload = text.encode()
    length = len(payload)
    if length < 126:
        return struct.pack("!BB", TEXT, length) + payload
    if length < 1 << 16:
        return struct.pack("!BBH", TEXT, 126, length) + payload
    return struct.pack("!BBQ", TEXT, 127, length) + payload


def close_frame(code: Code, reason: str) -> bytes:
    """`reason`: at most 123 bytes."""
    payload = struct.pack("!H", code) + reason.encode()
    return struct.pack("!BB", CLOSE, len(payload)) + payload


def pong_frame(said: bytes) -> bytes:
    """The answer to a ping of the protocol, whose payload has at most 125 bytes."""
    return struct.pack("!BB", ECHO, len(said)) + said


def ready(last_event_id: int) -> bytes:
    """From now on every event after this one is told."""
    return text_frame(f'{{"type":"READY","lastEventId":{last_event_id}}}')


RESET = text_frame('{"type":"RESET"}')  # too much was missed: load anew what is shown
PONG = text_frame('{"type":"PONG"}')


def auth(text: str) -> Auth:
    """Raises ValueError for anything else."""
    said = _object(text)
    token, after = said.get("token", ""), said.get("after")
    if said.get("type") != "AUTH" or not isinstance(token, str) or not token.isascii():
        raise ValueError("not an AUTH frame")
    if after is not None and (type(after) is not int or not 0 <= after < MOST_IDS):
        raise ValueError("after is no event id")
    return Auth(token, after)


def is_ping(text: str) -> bool:
    """A page cannot send pings of the protocol, nor see them: this is how it finds out that nobody is there."""
    try:
        return _object(text).get("type") == "PING"
    except ValueError:
        return False


def _object(text: str) -> dict[str, object]:
    try:
        said = json.loads(text)
    except RecursionError:
        raise ValueError("too deep") from None
    if not isinstance(said, dict):
        raise ValueError("not an object")
    return said
