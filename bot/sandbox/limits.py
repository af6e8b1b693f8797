"""Counting quotas: so many uses in a window that begins with the first use."""

from dataclasses import dataclass


@dataclass(slots=True)
class Quota:
    """At most `limit` uses in `seconds`; what is over stays refused for the rest of the window."""

    limit: int
    seconds: float
    began: float = float("-inf")
    used: int = 0

    def spend(self, now: float) -> bool:
        """Count one use; False when it is over the limit."""
        if now - self.began >= self.seconds:
            self.began, self.used = now, 0
        self.used += 1
        return self.used <= self.limit
