"""Whether callbacks fail to reach us, told by the items that polls find without one. Pure.

No callback for a while means nothing: nobody may have written. But WeCom calls for every item, so what polls find again
and again while it says nothing is evidence that the callback's address, its firewall or its settings are broken.
"""

from __future__ import annotations

POLLS = 3  # without a callback, until it may be called silence
FINDS = 2  # polls that found something in that time


class Silence:
    def __init__(self, poll_seconds: float, since: float) -> None:
        """`since`: when callbacks could first reach us; what was missed before is no evidence."""
        self._poll = poll_seconds
        self._called_at, self._found_at, self._finds = since, since, 0
        self.heard = False  # a callback has come

    def callback(self, now: float) -> None:
        """One has come, of whatever account."""
        self._called_at, self._finds, self.heard = now, 0, True

    def found(self, now: float) -> None:
        """A run that no callback asked for has found what a callback should have announced. Finds less than half a
        poll apart are of one poll: it reads several accounts, and tries again what fails."""
        if self._finds == 0 or abs(now - self._found_at) >= self._poll / 2:
            self._finds, self._found_at = self._finds + 1, now

    def lasted(self, now: float) -> float:
        """Seconds without a callback."""
        return now - self._called_at

    def problem(self, now: float) -> bool:
        """True until the next callback."""
        return self._finds >= FINDS and now - self._called_at > POLLS * self._poll
