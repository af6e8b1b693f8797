"""Take the bot's mention out of a group text. Pure.

WeCom gives no list of mentions: `@name` is plain text, typed by clients and by hand, mostly first, sometimes last.
"""

from __future__ import annotations

import re
import unicodedata

_UNSEEN = "\u200b\u200c\u200d\u2060\ufeff"
_SLASH = re.compile(r"(?:^|(?<= ))/")
_LEADING = re.compile(r"(?:@[^ ]* +)+")


def strip_mention(text: str, name: str) -> str:
    """`text` without `@name`, and from its command on when something stands before it.

    Full-width ＠ and ／, blanks of any kind and letter case do not matter for finding it. Only the slash of the
    command is changed in what is left. With `name` nowhere to be seen (the bot was renamed): from the first `/`
    that starts the text or follows a blank, else without the mentions it starts with.
    """
    shadow = _shadow(text)
    spans = _mentions(shadow, _shadow(name))
    if not spans:
        return _tidy(text[_command(shadow) :])
    whole = _tidy(_without(text, spans))
    behind = _tidy(text[spans[0][1] :])
    if behind.startswith("/") and not whole.startswith("/"):
        return behind
    return _tidy(whole[_command(_shadow(whole)) :]) if whole[:1] in ("@", "＠") else whole


def _shadow(text: str) -> str:
    """The text as it is searched: half width, lower case, one kind of blank; character for character."""
    return "".join(map(_plain, text))


def _plain(char: str) -> str:
    if char.isspace() or char in _UNSEEN:
        return " "
    folded = unicodedata.normalize("NFKC", char).lower()
    return folded if len(folded) == 1 else char


def _mentions(shadow: str, name: str) -> list[tuple[int, int]]:
    """Where `@name` stands, blanks behind it included.

    First where it visibly ends; only if it nowhere does, where a character follows that could not go on an ASCII name
    (`@kfbot状态`). So `@kfbot2` is another bot, and so is `@客服小王` beside a proper `@客服`.
    """
    words = name.replace("@", " ").split()
    if not words:
        return []
    at = r"(?<![0-9a-z_.])@ *" + " +".join(map(re.escape, words))
    for end in (r"(?= |$|[/@,:;，。：；、])", r"(?![0-9a-z_]|[-.][0-9a-z])"):
        if spans := [found.span() for found in re.finditer(at + end + " *", shadow)]:
            return spans
    return []


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    starts = [0, *(end for _, end in spans)]
    ends = [*(start for start, _ in spans), len(text)]
    return "".join(text[start:end] for start, end in zip(starts, ends, strict=True))


def _command(shadow: str) -> int:
    if found := _SLASH.search(shadow):
        return found.start()
    leading = _LEADING.match(shadow)
    return leading.end() if leading else 0


def _tidy(text: str) -> str:
    start, end = 0, len(text)
    while start < end and _plain(text[start]) == " ":
        start += 1
    while end > start and _plain(text[end - 1]) == " ":
        end -= 1
    kept = text[start:end]
    return "/" + kept[1:] if kept.startswith("／") else kept
