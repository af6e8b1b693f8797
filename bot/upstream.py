"""Whether WeCom's kf API is there at all, told from how its calls go."""

from __future__ import annotations

import time
from collections.abc import Callable

# Answers that say nothing about a session: no answer, busy, too many calls, this app or its token is not let in.
BAD = frozenset(
    {"unavailable", "blocked", "-1", "45009", "45033", "40001", "40013", "40091", "48002", "50003", "60020", "301002"}
)
IN_A_ROW = 3
LASTING = 5.0  # seconds; a single hiccup with its repetitions is over sooner


class Upstream:
    """Fed by the client with every exchange. `monotonic`: seconds that never jump."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._bad, self._since = 0, 0.0

    def observe(self, endpoint: str, outcome: str, seconds: float) -> None:
        """As `bot.wecom.client.Observe`. A refusal of one session is an answer like any other."""
        if outcome == "cancelled":
            return
        if outcome not in BAD:
            self._bad = 0
            return
        if not self._bad:
            self._since = self._monotonic() - seconds
        self._bad += 1

    @property
    def down(self) -> bool:
        return self._bad >= IN_A_ROW and self._monotonic() - self._since >= LASTING

    @property
    def failing(self) -> bool:
        """The last call got no good answer."""
        return self._bad > 0
