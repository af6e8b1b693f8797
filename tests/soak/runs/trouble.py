"""What WeCom may do to the bot, as numbers that a step can choose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.sandbox.faults import EVENT, PAGE_KINDS, PUSHES

if TYPE_CHECKING:
    from tests.soak.runs.play import Play

LATE = 10.0  # seconds; longer than any call may take

# What is said of each call. The numbers are WeCom's.
CODES = {
    "gettoken": (-1, 40001, 45009),
    "kf/account/list": (-1, 45009),
    "kf/servicer/list": (-1,),
    "kf/customer/batchget": (-1, 45009),
    "kf/service_state/get": (-1, 42001, 40014, 45009, 95000, 95004),
    "kf/service_state/trans": (-1, 42001, 45009, 95013, 95014, 95016, 95017, 95019),
    "kf/sync_msg": (-1, 42001, 45009, 45033, 95007, 40058),
    "kf/send_msg_on_event": (-1, 42001, 45009, 95001, 95002, 95018),
    "aibot_send_msg": (45009, 846607, 40058, 42014, 93006),
    "aibot_respond_msg": (45009, 846607, 846605),
    "aibot_respond_update_msg": (45009, 846605, 42014),
    "aibot_subscribe": (-1, 853000),
    "webhook/send": (45009,),
}  # fmt: skip
CUTS = ("reset_before", "reset_after", "garbage", "http")
SOCKET = ("reset_before", "reset_after", "no_answer")


@dataclass(frozen=True, slots=True)
class Fault:
    target: str
    kind: str
    errcode: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.target} {self.kind} {self.errcode or ''}".strip()


def _faults() -> list[Fault]:
    found = []
    for target, codes in CODES.items():
        found += [Fault(target, "errcode", code) for code in codes]
        found += [Fault(target, kind) for kind in (SOCKET if target.startswith("aibot") else CUTS)]
        found.append(Fault(target, "delay", seconds=LATE))
    found += [Fault(target, "busy_after") for target in ("kf/service_state/trans", "kf/send_msg_on_event")]
    found += [Fault("kf/sync_msg", kind) for kind in PAGE_KINDS]
    found += [Fault(push, kind, seconds=LATE) for push in PUSHES for kind in ("lose", "duplicate", "delay")]
    return [*found, Fault("ping", "no_answer"), Fault(EVENT, "no_msgid")]


def _line(play: Play, act: str) -> None:
    getattr(play.sandbox.line, act)()


OTHER: dict[str, Callable[[Play, int], None]] = {
    "the token expires": lambda play, times: play.sandbox.tokens_expire(),
    "the token is revoked": lambda play, times: play.sandbox.tokens_revoke(),
    "the line breaks": lambda play, times: _line(play, "drop"),
    "the line is closed": lambda play, times: _line(play, "close"),
    "the line is half closed": lambda play, times: _line(play, "half_open"),
    "another connection subscribes": lambda play, times: _line(play, "kick"),
    "the webhook fails": lambda play, times: play.receiver.answers.extend([500] * times),
    "an operator resumes": lambda play, times: play.resume(),
}

TROUBLE: list[Fault | str] = [*_faults(), *OTHER]


async def strike(play: Play, which: int, times: int) -> None:
    wrong = TROUBLE[which]
    if isinstance(wrong, Fault):
        play.sandbox.fault(wrong.target, wrong.kind, errcode=wrong.errcode, seconds=wrong.seconds, times=times)
    else:
        OTHER[wrong](play, times)
