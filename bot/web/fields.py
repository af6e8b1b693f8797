"""What a request may carry: one description that reads it, and documents it. Pure.

Names that no field knows are ignored: a newer page may say more than this server understands.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from bot.errors import BadRequest
from bot.web.schemas import Json
from bot.wording import Words

Read = Callable[[Words, str, Any], Any]


@dataclass(frozen=True, slots=True)
class Field:
    """`where`: path, query or body. `otherwise`: what an absent one stands for. `read` raises BadRequest."""

    name: str
    where: str
    schema: Json
    read: Read
    required: bool
    otherwise: Any = None


def whole(name: str, where: str, least: int, most: int, about: str, otherwise: int | None = None) -> Field:
    """A whole number; required unless there is something it stands for otherwise."""
    schema: Json = {"type": "integer", "minimum": least, "maximum": most, "description": about}
    if otherwise is not None:
        schema["default"] = otherwise

    def read(say: Words, name: str, value: Any) -> int:
        number = _number(value, of_text=where != "body")
        if number is None:
            raise BadRequest(say("api.whole", name=name))
        if not least <= number <= most:
            raise BadRequest(say("api.range", name=name, least=least, most=most))
        return number

    return Field(name, where, schema, read, otherwise is None, otherwise)


def text(name: str, where: str, longest: int, about: str, *, required: bool = False) -> Field:
    """Required ones may not be empty; what else is absent is empty."""
    schema: Json = {"type": "string", "maxLength": longest, "description": about}
    if required:
        schema["minLength"] = 1

    def read(say: Words, name: str, value: Any) -> str:
        if not isinstance(value, str) or len(value) > longest or (required and not value):
            raise BadRequest(say("api.text", name=name, longest=longest))
        return _whole_characters(value)

    return Field(name, where, schema, read, required, "")


def choice(name: str, where: str, words: Sequence[str], about: str, otherwise: str = "") -> Field:
    offered = list(dict.fromkeys([*words, otherwise]))
    schema: Json = {"type": "string", "enum": offered, "default": otherwise, "description": about}

    def read(say: Words, name: str, value: Any) -> str:
        if value not in offered:
            raise BadRequest(say("api.choice", name=name, choices=", ".join(filter(None, offered))))
        return str(value)

    return Field(name, where, schema, read, False, otherwise)


def moment(name: str, meant: Callable[[str, tzinfo | None], float], about: str) -> Field:
    """A day, which begins and ends where the bot is, or a time as RFC 3339 has it; empty: none. `meant` says which
    second of a day, and raises ValueError for what is neither."""
    forms: list[Json] = [{"format": "date"}, {"format": "date-time"}, {"maxLength": 0}]
    schema: Json = {"type": "string", "anyOf": forms, "description": about}

    def read(say: Words, name: str, value: Any) -> float | None:
        try:
            return meant(value, say.zone) if value else None
        except ValueError:
            raise BadRequest(say("api.moment", name=name)) from None

    return Field(name, "query", schema, read, False)


def cursor(name: str, about: str) -> Field:
    """Where a page ended; whatever can be written so stands for some place."""
    schema: Json = {"type": "string", "pattern": f"^[{_DIGITS}]{{0,{_LONGEST_CURSOR}}}$", "description": about}

    def read(say: Words, name: str, value: Any) -> int | None:
        if len(value) > _LONGEST_CURSOR or not set(value) <= set(_DIGITS):
            raise BadRequest(say("api.cursor", name=name))
        return int(value, 36) if value else None

    return Field(name, "query", schema, read, False)


_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_LONGEST_CURSOR = 12  # below 2**63 whatever it says


def as_cursor(number: int) -> str:
    shown = ""
    while number:
        number, digit = divmod(number, 36)
        shown = _DIGITS[digit] + shown
    return shown


def read_all(say: Words, fields: Collection[Field], where: str, found: Mapping[str, Any]) -> Json:
    """By name, what is absent by what it stands for."""
    values = {}
    for field in fields:
        if field.where != where:
            continue
        if field.name in found:
            values[field.name] = field.read(say, field.name, found[field.name])
        elif field.required:
            raise BadRequest(say("api.missing", name=field.name))
        else:
            values[field.name] = field.otherwise
    return values


def as_object(say: Words, body: bytes) -> Json:
    """One JSON object."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest(say("api.json")) from None
    if not isinstance(found, dict):
        raise BadRequest(say("api.json"))
    return found


def _number(value: Any, *, of_text: bool) -> int | None:
    if of_text:
        return int(value) if value.isascii() and value.isdigit() and len(value) <= 18 else None
    if isinstance(value, float) and value.is_integer():  # JSON does not tell 1 from 1.0
        return int(value)
    return value if type(value) is int else None


def _whole_characters(value: str) -> str:
    """Half of a pair, which JSON can name, is no character and cannot be stored."""
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
