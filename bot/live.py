"""What of the handoff log is told live to customers, agents and webhooks, and how it is written. Pure.

An event is told as it was when it happened, however much later it is read: what has changed since stands in the events
after it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from bot.model import EventType, Handoff, HandoffEvent, HandoffStatus

TYPES = {
    EventType.REQUESTED: "HANDOFF_REQUESTED",
    EventType.ACCEPTED: "HANDOFF_ACCEPTED",
    EventType.PROGRESS: "HANDOFF_PROGRESS",
    EventType.TRANSFERRED: "HANDOFF_TRANSFERRED",
    EventType.COMPLETED: "HANDOFF_COMPLETED",
}


@dataclass(frozen=True)
class LiveEvent:
    """`id` is that of the log's row: it grows, with gaps. `handoff` as it stands now, perhaps later than the event."""

    id: int
    type: str
    handoff: Handoff
    payload: dict[str, Any]

    @cached_property
    def text(self) -> str:
        """JSON on one line, made once for all who hear it."""
        told = {"id": self.id, "type": self.type, "payload": self.payload}
        return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def live_event(event: HandoffEvent, handoff: Handoff) -> LiveEvent | None:
    """None for what concerns nobody outside."""
    type_ = TYPES.get(event.type)
    if type_ is None:
        return None
    payload = _end(event, handoff) if event.type is EventType.COMPLETED else _step(event, handoff)
    return LiveEvent(event.id, type_, handoff, payload)


def iso(at: float) -> str:
    """Seconds since the epoch as `2026-11-20T08:00:00Z`."""
    return datetime.fromtimestamp(int(at), UTC).isoformat()[:19] + "Z"


def _end(event: HandoffEvent, handoff: Handoff) -> dict[str, Any]:
    at = event.at if handoff.completed_at is None else handoff.completed_at
    return {
        "handoffRequestId": handoff.id,
        "endedBy": event.data.get("endedBy", event.operator.type),
        "completedAt": iso(at),
        "openKfid": handoff.open_kfid,
        "userId": handoff.external_userid,
        "agentId": handoff.servicer_userid,
    }


def _step(event: HandoffEvent, handoff: Handoff) -> dict[str, Any]:
    return {
        "handoffRequestId": handoff.id,
        "openKfid": handoff.open_kfid,
        "userId": handoff.external_userid,
        "agentId": event.data.get("agentId"),
        "at": iso(event.at),
        "status": _status(event, handoff),
    }


def _status(event: HandoffEvent, handoff: Handoff) -> HandoffStatus:
    """A servicer takes a handoff before writing in it, even where one message did both; who is given it comes after."""
    replied_at, type_ = handoff.replied_at, event.type
    if type_ is EventType.REQUESTED:
        return HandoffStatus.PENDING
    if type_ is EventType.PROGRESS or (replied_at is not None and replied_at < event.at):
        return HandoffStatus.IN_PROGRESS
    transferred = type_ is EventType.TRANSFERRED and replied_at == event.at
    return HandoffStatus.IN_PROGRESS if transferred else HandoffStatus.ACCEPTED
