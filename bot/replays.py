"""Callbacks that have been handed on already. Pure.

Whoever has seen a callback on its way can send it once more, and it is signed as well as the first time. A replay is
the same signed request (timestamp, nonce and text, of which the signature is the digest) while it is fresh, in the
process that has handed it on. No replay is: what WeCom seals anew; what was turned away, refused, or has failed, for
that is never remembered; and whatever comes after a restart, which forgets all.
"""

from __future__ import annotations

MOST = 50_000
"""Remembered at once, about 8 MB: a hundred seconds of the heaviest load. Of what is forgotten too early, a replay
costs one more sync."""


class Replays:
    """`seconds`: how long a callback is fresh, to either side of its timestamp."""

    def __init__(self, seconds: float, most: int = MOST) -> None:
        self._seconds, self._most = seconds, most
        self._until: dict[bytes, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def __contains__(self, signature: str) -> bool:
        """`signature`: one that was found right, so hexadecimal digits."""
        return bytes.fromhex(signature) in self._until

    def remember(self, signature: str, timestamp: str, now: float) -> None:
        """Its work is in safe hands. What is older goes first; what cannot be fresh any more goes with it."""
        while self._until:
            oldest = next(iter(self._until))
            if self._until[oldest] >= now and len(self._until) < self._most:
                break
            del self._until[oldest]
        self._until[bytes.fromhex(signature)] = float(timestamp) + self._seconds
