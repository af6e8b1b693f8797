"""Chat text to a command line. Pure: knows what people type, not which commands exist."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

TEXT_LIMIT = 4096  # bytes; what stands behind is dropped before anything looks at it
DAY = 86400.0

_UNSEEN = re.compile(
    "[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\ufeff]"
    "|(?<=[\\x00-\\x7f])[\u200c\u200d]|[\u200c\u200d](?=[\\x00-\\x7f]|$)"  # elsewhere they hold emoji together
)
_FULL_WIDTH = "０１２３４５６７８９＃＞＜＝＿－．／" + "".join(
    chr(code) for first in "Ａａ" for code in range(ord(first), ord(first) + 26)
)
_TO_ASCII = str.maketrans(_FULL_WIDTH, unicodedata.normalize("NFKC", _FULL_WIDTH))
_SLASHES = "/、"  # a Chinese keyboard writes 、 with the slash key
_WORD = re.compile(r"#?[A-Za-z0-9_-]+|[^\x00-\x7f]+")
_QUOTES = '"“”＂'
_ARGUMENT = re.compile(rf"[{_QUOTES}](?P<quoted>[^{_QUOTES}]*)[{_QUOTES}](?!\S)|(?P<bare>\S+)")

_UNITS = {
    **dict.fromkeys(("s", "秒", "秒钟"), 1.0),
    **dict.fromkeys(("m", "分", "分钟"), 60.0),
    **dict.fromkeys(("h", "小时", "个小时"), 3600.0),
    **dict.fromkeys(("d", "天", "日"), DAY),
}
_DURATION = re.compile(rf"([0-9]{{1,9}})({'|'.join(sorted(_UNITS, key=len, reverse=True))})")


@dataclass(frozen=True, slots=True)
class CommandLine:
    """One line that may be a command.

    `name`: in lower case and half width. `args`: quotes taken off, full-width digits, letters and `#<>=_-./` made
    ASCII, case kept. `rest`: all that stands behind the name, as it was written. `slash`: false for a bare word,
    which is a command only if somebody knows it by that name.
    """

    name: str
    args: tuple[str, ...]
    rest: str
    slash: bool

    def after(self, count: int) -> str:
        """What was written behind the first `count` arguments: a reason keeps its blanks and punctuation."""
        found = list(_ARGUMENT.finditer(self.rest))
        if count >= len(found):
            return ""
        if count == len(found) - 1:
            return _value(found[count])
        return self.rest[found[count].start() :]

    def longer(self) -> CommandLine | None:
        """The same line with a name of two words; None when there is no second."""
        second = _bare(self.args[0]) if self.args else ""
        if not second:
            return None
        return CommandLine(f"{self.name} {second.casefold()}", self.args[1:], _without_marks(self.after(1)), self.slash)


def parse_command(text: str) -> CommandLine | None:
    """None when there is no word at all. Never raises."""
    written = _bounded(text)
    plain = written.translate(_TO_ASCII)  # character for character, so that positions fit both
    start = next((position for position, char in enumerate(plain) if not _is_mark(char)), len(plain))
    end = _end_of_word(plain, start)
    if start == end:
        return None
    rest = _without_marks(written[end:])
    args = tuple(_value(found).translate(_TO_ASCII) for found in _ARGUMENT.finditer(rest))
    slash = any(mark in plain[:start] for mark in _SLASHES)
    return CommandLine(plain[start:end].casefold(), args, rest, slash)


def parse_duration(text: str, longest: float = 366 * DAY) -> float:
    """Seconds of `90s`, `15m`, `2h`, `1d`, `10分钟`, `2小时`, `1天`, `30秒`.

    Raises ValueError for anything else, for nothing, and for more than `longest` seconds.
    """
    found = _DURATION.fullmatch(text.translate(_TO_ASCII).casefold())
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0.0
    if not seconds:
        raise ValueError("write a duration like 90s, 15m, 2h or 1d")
    if seconds > longest:
        raise ValueError(f"a duration of at most {longest / DAY:g}d")
    return seconds


def _bounded(text: str) -> str:
    cut = text[:TEXT_LIMIT].encode("utf-8", "ignore")[:TEXT_LIMIT]
    return _UNSEEN.sub("", cut.decode("utf-8", "ignore"))


def _is_mark(char: str) -> bool:
    """What may stand around a name: blanks, punctuation, ASCII symbols. `#12` is a word, and so is an emoji."""
    if char.isascii():
        return not char.isalnum() and char not in "#_-"
    return not char.isprintable() or unicodedata.category(char)[0] == "P"


def _bare(word: str) -> str:
    """Without the marks around it."""
    kept = [position for position, char in enumerate(word) if not _is_mark(char)]
    return word[kept[0] : kept[-1] + 1] if kept else ""


def _end_of_word(plain: str, start: int) -> int:
    """A name is ASCII or it is not: `/end，wm7l` and `结束wm7l` both have two words."""
    found = _WORD.match(plain, start)
    if not found:
        return start
    span = range(start, found.end())
    return next((position for position in span if position > start and _is_mark(plain[position])), found.end())


def _without_marks(rest: str) -> str:
    """Takes off the punctuation that closed the name (`/status。`, `/end: wm7l`), not what opens an argument."""
    start = 0
    while start < len(rest) and _closes(rest, start):
        start += 1
    return rest[start:].strip()


def _closes(rest: str, position: int) -> bool:
    char = rest[position]
    if char in _QUOTES:
        return position + 1 == len(rest) or rest[position + 1].isspace()
    return unicodedata.category(char)[0] == "P" and char not in "#_-@/"


def _value(found: re.Match[str]) -> str:
    quoted = found["quoted"]
    return found["bare"] if quoted is None else quoted
