"""Whether WeCom's kf API can be relied on, told from how its calls go."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

GETTOKEN, STATE_GET, SYNC_MSG = "/cgi-bin/gettoken", "/cgi-bin/kf/service_state/get", "/cgi-bin/kf/sync_msg"
# Answers that say nothing about a session: no answer, busy, too many calls, this app or its token is not let in.
BAD = frozenset(
    {"unavailable", "blocked", "-1", "45009", "45033", "40001", "40013", "40091", "48002", "50003", "60020", "301002"}
)
LIMITS = frozenset({"blocked", "45009"})  # of sync_msg only calls without a token are limited, and those can wait
WATCHED = {GETTOKEN: BAD, STATE_GET: BAD, SYNC_MSG: BAD - LIMITS}
IN_A_ROW = 3
LASTING = 5.0  # seconds; a single hiccup with its repetitions is over sooner


@dataclass(slots=True)
class _Run:
    """Bad answers of one endpoint, one after the other."""

    since: float
    count: int = 0


class Upstream:
    """Fed by the client with every exchange. `monotonic`: seconds that never jump.

    Down means: what alerts stand on cannot be had, be it states, messages or a token.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._runs: dict[str, _Run] = {}
        self._answered = False

    def observe(self, endpoint: str, outcome: str, seconds: float) -> None:
        """As `bot.wecom.client.Observe`. A refusal of one session is an answer like any other."""
        if endpoint not in WATCHED or outcome == "cancelled":
            return
        if outcome in WATCHED[endpoint]:
            run = self._runs.setdefault(endpoint, _Run(self._monotonic() - seconds))
            run.count += 1
        elif outcome not in LIMITS:
            self._answered = True
            self._runs.pop(endpoint, None)

    def forget(self, endpoint: str) -> None:
        """Nothing depends on it now, and nobody asks it."""
        self._runs.pop(endpoint, None)

    @property
    def down(self) -> bool:
        return any(self.failing(endpoint) for endpoint in WATCHED)

    @property
    def up(self) -> bool:
        """The last answers were good ones, and there were some."""
        return self._answered and not self._runs

    def failing(self, endpoint: str) -> bool:
        """It has answered badly again and again, for a while."""
        run = self._runs.get(endpoint)
        return run is not None and run.count >= IN_A_ROW and self._monotonic() - run.since >= LASTING
