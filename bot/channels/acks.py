"""Acknowledgements other than 0: too much, so again later; or an error in words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from bot.channels import protocol
from bot.channels.cutting import cut
from bot.channels.pacing import Pace
from bot.channels.protocol import Ack
from bot.errors import ChannelError

THROTTLE_PAUSES = (2.0, 15.0, 61.0)  # the length of the vendor's penalty is not documented

Answer = TypeVar("Answer", Ack, Ack | None)


async def patiently(pace: Pace, once: Callable[[], Awaitable[Answer]], observe: Callable[[str], None]) -> Answer:
    """Again while WeCom says that it is too much. `once` takes its turn in `pace` each time."""
    for pause in THROTTLE_PAUSES:
        ack = await once()
        if ack is None or ack.errcode not in protocol.THROTTLED:
            return ack
        observe("throttled")
        pace.hold(pause)
    return await once()


def refusal(what: str, ack: Ack) -> ChannelError:
    said = cut(ack.errmsg.split(", hint:")[0], 160)
    return ChannelError(f"WeCom refused {what}: {ack.errcode} {said}", ack.errcode)
