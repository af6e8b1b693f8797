"""Where staff have written of a customer in the group: by id, by its beginning, as the group shortens it, by number."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

_WORD = r"[0-9A-Za-z_-]"
_ID = re.compile(rf"(?<!{_WORD})(w[mo]{_WORD}{{2,62}})(?:(?:…+|\.{{2,}})({_WORD}+))?", re.IGNORECASE)
_NUMBER = re.compile(r"^\s*\S+\s+([0-9]{1,12})(?![0-9A-Za-z])|#([0-9]{1,12})(?![0-9])")
SOON = 30.0  # seconds between a command and the intention that it puts on record


def standing_alone(external_userid: str) -> re.Pattern[str]:
    """The id, and not as the beginning of another."""
    return re.compile(rf"(?<!{_WORD}){re.escape(external_userid)}(?!{_WORD})")


class Mentions:
    """`handoffs`: the customer's. `ended`: (userid, time) of each end that somebody asked for by a command: then the
    customer may have been named by a quoted message, and the command has no more than the reason."""

    def __init__(self, external_userid: str, handoffs: Collection[int], ended: Iterable[tuple[str, float]]) -> None:
        self._id, self._handoffs, self._ended = external_userid, frozenset(handoffs), tuple(ended)

    def stand_in(self, text: str, userid: str, at: float) -> bool:
        """`text`: of a command that this member wrote at that time."""
        return (
            any(self._meant(*found.groups()) for found in _ID.finditer(text))
            or any(int(one or other) in self._handoffs for one, other in _NUMBER.findall(text))
            or any(userid == who and 0 <= asked_at - at <= SOON for who, asked_at in self._ended)
        )

    def _meant(self, head: str, tail: str | None) -> bool:
        return self._id[2:].startswith(head[2:]) and self._id.endswith(tail or "")
