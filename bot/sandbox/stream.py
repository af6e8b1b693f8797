"""One account's message stream as sync_msg reads it: append-only, three days deep (wecom-kf.md 3)."""

import zlib
from dataclasses import dataclass
from typing import Any

from .refusals import Refused

RETENTION = 3 * 86_400.0

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    items: list[Item]
    cursor: str
    more: bool


class Stream:
    """Positions are absolute and never reused; a cursor is a position in disguise."""

    def __init__(self, open_kfid: str) -> None:
        self._mark = f"{zlib.crc32(open_kfid.encode()):08x}"
        self._items: list[Item] = []
        self._times: list[float] = []
        self._dropped = 0

    def append(self, item: Item, now: float) -> None:
        self._items.append(item)
        self._times.append(now)

    def page(self, cursor: str, limit: int, now: float) -> Page:
        """From the cursor, or from the oldest item kept when it is empty."""
        self._drop_old(now)
        start = max(self.position(cursor), self._dropped)
        items = self._items[start - self._dropped : start - self._dropped + limit]
        end = start + len(items)
        return Page(items, self.cursor(end), end < self._dropped + len(self._items))

    def cursor(self, position: int, salt: str = "0") -> str:
        """`salt` makes another spelling of the same position."""
        return f"4gw7{self._mark}.{position:x}.{salt}"

    def position(self, cursor: str) -> int:
        """40058 for what this stream never handed out; 0 for the empty cursor."""
        if not cursor:
            return 0
        mark, _, rest = cursor.partition(".")
        place, _, _ = rest.partition(".")
        try:
            position = int(place, 16)
        except ValueError:
            raise Refused(40058, "invalid cursor") from None
        if mark != f"4gw7{self._mark}" or not 0 <= position <= self._dropped + len(self._items):
            raise Refused(40058, "invalid cursor")
        return position

    def __len__(self) -> int:
        return self._dropped + len(self._items)

    def _drop_old(self, now: float) -> None:
        old = 0
        while old < len(self._times) and now - self._times[old] > RETENTION:
            old += 1
        if old:
            del self._items[:old], self._times[:old]
            self._dropped += old
