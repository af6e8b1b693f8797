"""kf service states and handoff status moves, and the questions asked of them. Pure.

https://developer.work.weixin.qq.com/document/path/94669
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.model import HandoffStatus, ServiceState

STATUS_MOVES: Mapping[HandoffStatus, frozenset[HandoffStatus]] = {
    HandoffStatus.PENDING: frozenset({HandoffStatus.ACCEPTED, HandoffStatus.IN_PROGRESS, HandoffStatus.CANCELLED}),
    HandoffStatus.ACCEPTED: frozenset({HandoffStatus.IN_PROGRESS, HandoffStatus.COMPLETED}),
    HandoffStatus.IN_PROGRESS: frozenset({HandoffStatus.COMPLETED}),
    HandoffStatus.COMPLETED: frozenset(),
    HandoffStatus.CANCELLED: frozenset(),
}

SESSION_LIFETIME = 48 * 3600.0  # seconds after the customer's last message; then WeCom ends the session by itself
ENDING_CODE_LIFETIME = 20.0  # seconds a msg_code of an end can be used
REPLY_CODE_LIFETIME = 48 * 3600.0  # the same of one that came with state 2 or 3; it dies sooner when the state changes


def has_human(state: ServiceState) -> bool:
    """True where a handoff is open: queued for a human, or with one."""
    return state in (ServiceState.QUEUED, ServiceState.HUMAN)


def end_status(status: HandoffStatus) -> HandoffStatus:
    """How an open handoff ends: CANCELLED while nobody has accepted it, COMPLETED in every other case."""
    return HandoffStatus.CANCELLED if status is HandoffStatus.PENDING else HandoffStatus.COMPLETED
