"""Trouble on demand: what should go wrong with which call, and how often. Pure.

Targets: an API path without /cgi-bin/ ("kf/send_msg", "gettoken", "webhook/send"), a long-connection
command ("aibot_send_msg", "ping"), what is pushed to the bot ("callback", "aibot_msg_callback",
"aibot_event_callback"), "event" (the items of origin 4), or "*" (every path and command).
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

PUSHES = ("callback", "aibot_msg_callback", "aibot_event_callback")
EVENT = "event"
COMMANDS = (
    "ping",
    "aibot_subscribe",
    "aibot_respond_msg",
    "aibot_respond_welcome_msg",
    "aibot_respond_update_msg",
    "aibot_send_msg",
    "aibot_upload_media_init",
    "aibot_upload_media_chunk",
    "aibot_upload_media_finish",
)
PATHS = (
    "gettoken",
    "auth/getuserinfo",
    "kf/account/list",
    "kf/servicer/list",
    "kf/customer/batchget",
    "kf/service_state/get",
    "kf/service_state/trans",
    "kf/sync_msg",
    "kf/send_msg",
    "kf/send_msg_on_event",
    "media/upload",
    "webhook/send",
    "webhook/upload_media",
    "aibot/response",
)

CALL_KINDS = ("errcode", "delay", "reset_before", "reset_after", "http", "garbage", "busy_after", "no_answer")
SEND_KINDS = ("fail_later",)
PAGE_KINDS = ("empty_page", "stuck_cursor", "repeat_page", "forget_cursor")
PUSH_KINDS = ("lose", "duplicate", "delay")
EVENT_KINDS = ("no_msgid",)


def kinds_for(target: str) -> tuple[str, ...]:
    """What can go wrong with this target; ValueError for one that does not exist."""
    if target in PUSHES:
        return PUSH_KINDS
    if target == EVENT:
        return EVENT_KINDS
    if target not in (*PATHS, *COMMANDS, "*"):
        raise ValueError(f"no such target: {target}")
    more = {"kf/sync_msg": PAGE_KINDS, "kf/send_msg": SEND_KINDS}
    return CALL_KINDS + more.get(target, ())


@dataclass(slots=True)
class Fault:
    """`errcode` also carries the HTTP status (http) and the fail_type (fail_later). `times` None: until cleared.
    `chance` that it strikes a call, thrown anew for each from `seed`: the same calls fare the same again.

    errcode: refuse, nothing happens. delay: `seconds` first. reset_before / reset_after: cut the connection
    without an answer, before / after the effect. http: answer this status, nothing happens. garbage: effect,
    then an answer that is not JSON. busy_after: effect, then -1 (HTTP). no_answer: effect, and silence (long
    connection). fail_later: accept, then report msg_send_fail. empty_page: no items, has_more 1, cursor unmoved.
    stuck_cursor: items, but the cursor that came in. repeat_page: items, a new cursor, the same items again.
    forget_cursor: from the oldest. lose / duplicate: a push. no_msgid: an event that stands in the stream without
    one from its beginning.
    """

    target: str
    kind: str
    errcode: int = 0
    seconds: float = 0.0
    times: int | None = 1
    chance: float = 1.0
    seed: int = 0
    _dice: Random = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._dice = Random(self.seed)  # noqa: S311

    def strikes(self) -> bool:
        """Whether it is this call's turn to fail."""
        return self.chance >= 1 or self._dice.random() < self.chance

    @property
    def name(self) -> str:
        return f"{self.kind} {self.errcode}" if self.errcode else self.kind


class Faults:
    """`counts`: how often each has struck so far, by its kind and number."""

    def __init__(self) -> None:
        self._active: dict[str, list[Fault]] = {}
        self.counts: Counter[str] = Counter()

    def add(self, fault: Fault) -> None:
        if not 0 < fault.chance <= 1:
            raise ValueError("chance is above 0 and at most 1")
        fault.target = fault.target.removeprefix("/").removeprefix("cgi-bin/")
        kinds = kinds_for(fault.target)
        if fault.kind not in kinds:
            raise ValueError(f"kind is one of {', '.join(kinds)}")
        self._active.setdefault(fault.target, []).append(fault)

    def clear(self, target: str = "") -> None:
        """All faults, or those of one target."""
        if target:
            self._active.pop(target, None)
        else:
            self._active.clear()

    def take(self, target: str) -> list[Fault]:
        """What strikes this call; each one's `times` is used up by one."""
        if not self._active:
            return []
        everywhere = [] if target in (*PUSHES, EVENT) else self._strike("*")
        return [*self._strike(target), *everywhere]

    def _strike(self, target: str) -> Iterator[Fault]:
        faults = self._active.get(target, [])
        for fault in [each for each in faults if each.strikes()]:
            self.counts[fault.name] += 1
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    faults.remove(fault)
            yield fault


def struck(faults: list[Fault], kind: str) -> Fault | None:
    return next((fault for fault in faults if fault.kind == kind), None)
