"""What an end is made of: the steps, what they mean together, and the result. Pure; `handoffs` acts on it.

https://developer.work.weixin.qq.com/document/path/94669
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot.errors import RateLimited, TokenExpired, WeComBusy, WeComError, WeComUnavailable
from bot.model import Handoff, ServiceState, SessionKey, StateReading
from bot.states import has_human

NOT_SERVICER, CONVERSATION_END, NOT_ALLOWED = 95014, 95013, 95016
PASSING = (RateLimited, TokenExpired, WeComBusy, WeComUnavailable)


class Outcome(StrEnum):
    """`ENDED` by this call; `ALREADY` over, whoever did it; `NOT_HUMAN`: nothing to end; `FAILED`: still open, and
    known to be; `UNKNOWN`: WeCom did not answer, the intention stays recorded and is settled later; `SKIPPED`: not
    wanted any more when it came to it."""

    ENDED = "ended"
    ALREADY = "already"
    NOT_HUMAN = "not_human"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


class Verdict(StrEnum):
    """What a move and the state read after it mean. `AGAIN`: decide anew, once."""

    ENDED = "ended"
    ALREADY = "already"
    STILL_OPEN = "still_open"
    AGAIN = "again"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Move:
    """One service_state/trans to 4: what was sent, and what came back. `code` is the msg_code, good for 20 s."""

    servicer_userid: str | None
    code: str = ""
    error: WeComError | None = None

    @property
    def errcode(self) -> int:
        return self.error.errcode if self.error else 0


@dataclass(frozen=True, slots=True)
class StateRead:
    """Step 1, and step 3 with `confirming`."""

    reading: StateReading
    confirming: bool = False


@dataclass(frozen=True, slots=True)
class EndResult:
    """`handoff` as it stands after; None when none was ever recorded. `error`: WeCom's last refusal.

    `closing`: state of the closing message (sent, failed, expired, unknown, skipped), empty when there was no code.
    """

    outcome: Outcome
    key: SessionKey
    before: StateReading | None = None
    after: StateReading | None = None
    handoff: Handoff | None = None
    error: WeComError | None = None
    closing: str = ""

    @property
    def passes(self) -> bool:
        """It failed over what has nothing to do with the session, and is soon over by itself."""
        return self.outcome is Outcome.FAILED and isinstance(self.error, PASSING)


def judge(move: Move, after: StateReading | None, *, looked_twice: bool = False) -> Verdict:
    """`after` None: the read-back failed too."""
    error = move.error
    if error is None:
        if after is None or not has_human(after.state):
            return Verdict.ENDED
        # WeCom gives a code for an end alone. If that end does not show, the customer's next session does.
        return Verdict.ENDED if looked_twice and move.code else Verdict.STILL_OPEN
    if after is None:
        contradicted = error.errcode in (CONVERSATION_END, NOT_ALLOWED)
        unclear = _may_have_happened(error) or error.doubtful or contradicted
        return Verdict.UNKNOWN if unclear else Verdict.STILL_OPEN
    if not has_human(after.state):
        # Without a good answer to our own move, the session's end is taken to be ours.
        return Verdict.ENDED if _may_have_happened(error) or error.doubtful else Verdict.ALREADY
    if _may_have_happened(error) or isinstance(error, WeComUnavailable):
        return Verdict.AGAIN
    changed = after.state is ServiceState.HUMAN and move.servicer_userid not in (None, after.servicer_userid)
    if error.errcode == CONVERSATION_END or (error.errcode == NOT_ALLOWED and changed):
        return Verdict.AGAIN
    return Verdict.STILL_OPEN


def _may_have_happened(error: WeComError) -> bool:
    return isinstance(error, WeComUnavailable) and error.sent
