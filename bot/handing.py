"""How far one message has come: whether it has certainly not left this process yet.

Whoever delivers it tells, and whoever has claimed it keeps that on record: what a dead process had claimed and not
handed over is the next one's to send, and what may have gone out is not.
"""

from __future__ import annotations


class Handing:
    """A message that nobody follows, and what one who does has to do."""

    async def out(self) -> None:
        """It is about to be handed over: every wait is behind it. Each time it is tried. Raises `Overtaken`."""

    async def back(self) -> None:
        """It has certainly not arrived, or is to be sent again in any case."""


UNFOLLOWED = Handing()
