"""Chance with a seed, and what becomes of a valid document in its hands. Pure."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

TEXTS = (
    "", " ", "\0", "\ud800", "\udfff\ud800", "a\u202eb", "\u200b\ufeff", "\u2028", "0", "-1", "null", "true", "NaN",
    "１２", "＠ｋｆｂｏｔ",
    "／ｅｎｄ", "wm", "wk", "#1", "<script>", "]]>", "&lt;&xxe;", "%s%n{0}{x!r}", "../../etc/passwd",
    "' OR 1=1 --", "\r\nSet-Cookie: a=b", "\x1b[2J", "👩‍👩‍👧‍👦", "e\u0301" * 40,
    "ß" * 300, "漢" * 3000, "A" * 70_000, "=cmd|' /C calc'!A0",
)  # fmt: skip
NUMBERS = (
    0, 1, -1, 2, 1.0, 1.5, -0.0, 1e308, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 10**18, 10**400,
    float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
DEEP = 3000  # levels; more than Python's own parser takes
MOST_BROKEN = 3  # places of one document


class Dice:
    """The same seed brings the same junk again."""

    def __init__(self, seed: int | str) -> None:
        self._random = random.Random(seed)
        self.below, self.chance = self._random.randrange, self._chance

    def _chance(self, of: float) -> bool:
        return self._random.random() < of

    def one(self, of: Sequence[T]) -> T:
        return of[int(self._random.random() * len(of))]

    def weighted(self, of: dict[Callable[[], T], int]) -> T:
        """What one of these makes, the heavier ones more often."""
        return self._random.choices(list(of), list(of.values()))[0]()

    def junk(self, most: int = 300) -> bytes:
        return self._random.randbytes(self.below(most + 1))

    def text(self, most: int = 24) -> str:
        """Mostly short, of any characters that JSON can name."""
        if self.chance(0.4):
            return self.one(TEXTS[:-4] if self.chance(0.95) else TEXTS)
        ranges = ((32, 127), (0, 32), (0x4E00, 0x9FFF), (0xFF00, 0xFF60), (0x2000, 0x2070), (0x1F300, 0x1F6FF))
        low, high = self.one(ranges)
        return "".join(chr(low + self.below(high - low)) for _ in range(self.below(most + 1)))

    def value(self, depth: int = 2) -> Any:
        """Anything that JSON has, and NaN."""
        kind = self.below(8 if depth else 6)
        if kind < 3:
            return self.text()
        if kind < 5:
            return self.one(NUMBERS)
        if kind == 5:
            return self.one((None, True, False, [], {}, "deep"))
        if kind == 6:
            return [self.value(depth - 1) for _ in range(self.below(4))]
        return {self.text(8): self.value(depth - 1) for _ in range(self.below(4))}

    def scratched(self, text: str) -> str:
        """A text with a little damage: cut, doubled, full-width, or with something in it that nobody sees."""
        place = self.below(len(text) + 1)
        match self.below(7):
            case 0:
                return text[:place]
            case 1:
                return text[place:]
            case 2:
                return text[:place] + self.text(4) + text[place:]
            case 3:
                return text + text
            case 4:
                return "".join(chr(ord(each) + 0xFEE0) if "!" <= each <= "~" else each for each in text)
            case 5:
                return text.swapcase()
            case _:
                return text[:place] + self.one("\0\u202e\u200b\ud800\t\n　") + text[place:]

    def hurt(self, document: Any, spared: frozenset[str] = frozenset()) -> Any:
        """A copy of it, broken in a few places, but for what stands under these names."""
        found = json.loads(json.dumps(document))
        for _ in range(1 + self.below(MOST_BROKEN)):
            found = self._broken(found, spared)
        return found

    def _broken(self, document: Any, spared: frozenset[str]) -> Any:
        """In one place, found by walking down until it stops by chance or at the bottom."""
        if not isinstance(document, (dict, list)) or not document or self.chance(0.02):
            return self._instead(document)
        key: Any = self.one(list(document)) if isinstance(document, dict) else self.below(len(document))
        if key in spared:
            return document
        if isinstance(document[key], (dict, list)) and self.chance(0.75):
            document[key] = self._broken(document[key], spared)
            return document
        match self.below(6):
            case 0:
                del document[key]
            case 1 if isinstance(document, dict):
                document[self.scratched(key)] = document.pop(key)
            case 2:
                document[key] = [document[key]] * self.below(3)
            case 3:
                document[key] = {str(key): document[key]}
            case _:
                document[key] = self._instead(document[key])
        return document

    def _instead(self, value: Any) -> Any:
        if isinstance(value, str) and self.chance(0.5):
            return self.scratched(value)
        if isinstance(value, (int, float)) and self.chance(0.3):
            return str(value)
        return self.value()

    def written(self, document: Any) -> bytes:
        """As JSON; now and then half of it, twice, in another encoding, or nested too deep."""
        bare = json.dumps(document, ensure_ascii=self.chance(0.5))
        text = bare.replace('"deep"', "[" * DEEP + "]" * DEEP) if '"deep"' in bare else bare
        if self.chance(0.92):
            return text.encode("utf-8", "surrogatepass")
        return self.damaged(text.encode("utf-8", "replace"))

    def damaged(self, raw: bytes) -> bytes:
        """Bytes that are no document any more, or one that looks strange."""
        place = self.below(len(raw) + 1)
        match self.below(8):
            case 0:
                return raw[:place]
            case 1:
                return raw + raw
            case 2:
                return b"\xef\xbb\xbf" + raw
            case 3:
                return raw.decode("utf-8", "replace").encode(self.one(("utf-16", "utf-16-be", "utf-32", "gb18030")))
            case 4:
                return raw[:place] + self.junk(4) + raw[place + 1 :]
            case 5:
                return self.junk()
            case 6:
                return raw.replace(self.one((b'"', b":", b",", b"{", b"<", b">")), self.one((b"", b"'", b"\0")), 1)
            case _:
                return b" " * self.below(50) + raw + self.one((b"\0", b"}", b"<!--", b"\n", b"]]"))
