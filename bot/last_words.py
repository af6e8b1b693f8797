"""The customers' last words, in memory: an alert shows what was written before the handoff opened.

Nothing of it is stored.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from bot.model import KfItem, SessionKey
from bot.phrases import rating
from bot.sessions import CUSTOMER

KEPT = 20_000


class LastWords:
    def __init__(self, keep: bool, most: int = KEPT) -> None:
        self._keep, self._most = keep, most
        self._words: OrderedDict[SessionKey, tuple[int, str]] = OrderedDict()

    def note(self, items: Iterable[KfItem]) -> None:
        for item in items:
            if self._keep and item.origin == CUSTOMER and item.text and not rating(item):
                self._note(SessionKey(item.open_kfid, item.external_userid), item.send_time, item.text)

    def of(self, key: SessionKey) -> str:
        return self._words.get(key, (0, ""))[1]

    def clear(self) -> None:
        """Somebody is to be forgotten, and nobody tells who."""
        self._words.clear()

    def _note(self, key: SessionKey, at: int, text: str) -> None:
        if at < self._words.get(key, (0, ""))[0]:
            return
        self._words[key] = at, text
        self._words.move_to_end(key)
        if len(self._words) > self._most:
            self._words.popitem(last=False)
