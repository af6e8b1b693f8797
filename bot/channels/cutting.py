"""Texts within the vendor's limits, cut where a reader sees a whole character."""

from __future__ import annotations

import unicodedata

MORE = "…"
_JOINER = "\u200d"
_LONGEST = 16  # code points of one visible character; more is nobody's text


def clean(text: str) -> str:
    """Lone surrogates, which JSON may carry and UTF-8 cannot, become question marks."""
    return text.encode("utf-8", "replace").decode()


def cut(text: str, limit: int) -> str:
    """At most `limit` characters."""
    text = clean(text)
    if len(text) <= limit:
        return text
    return text[: _boundary(text, limit - len(MORE))].rstrip() + MORE


def cut_bytes(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8."""
    text = clean(text)
    data = text.encode()
    if len(data) <= limit:
        return text
    kept = data[: limit - len(MORE.encode())].decode("utf-8", "ignore")
    return text[: _boundary(text, len(kept))] + MORE


def _boundary(text: str, end: int) -> int:
    for position in range(end, max(end - _LONGEST, 0), -1):
        if not _joins(text[position]) and text[position - 1] != _JOINER:
            return position
    return end


def _joins(char: str) -> bool:
    """Accents, variation selectors, skin tones and the emoji joiner belong to the character before them."""
    return (
        char == _JOINER
        or bool(unicodedata.combining(char))
        or "\ufe00" <= char <= "\ufe0f"
        or "\U0001f3fb" <= char <= "\U0001f3ff"
    )
