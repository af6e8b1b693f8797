"""Rows to values and back, by position: the hot path of sync reads and writes thousands of these a second."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from bot.model import EventType, Handoff, HandoffEvent, HandoffStatus, Operator, OperatorType, Scope, ServiceState
from bot.sessions import Ending, Session

HANDOFF_COLUMNS = (
    "id, tenant_id, open_kfid, external_userid, status, servicer_userid, requested_at, accepted_at, replied_at, "
    "completed_at, ended_by, via, operator_id, reason, previous_id, waiting_since, active_at, last_text, watch_at"
)
HANDOFF_WIDTH = len(HANDOFF_COLUMNS.split(","))
SESSION_COLUMNS = (
    "open_kfid, external_userid, state, state_at, servicer_userid, last_handoff_id, ended_at, last_customer_at, "
    "last_servicer_at, check_at, version, end_asked_at, found_at"
)
SESSION_WIDTH = len(SESSION_COLUMNS.split(","))
ENDING_COLUMNS = "id, handoff_id, operator_type, operator_id, via, reason, requested_at, attempts, overtaken"
EVENT_COLUMNS = "id, handoff_id, type, operator_type, operator_id, at, event_data"

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_STATUS = {status.value: status for status in HandoffStatus}
_ENDED_BY: dict[str | None, OperatorType | None] = {None: None, **{kind.value: kind for kind in OperatorType}}
_STATE: dict[int | None, ServiceState | None] = {None: None, **{state.value: state for state in ServiceState}}


def handoff(row: tuple[Any, ...]) -> Handoff:
    (
        id_,
        tenant,
        kf,
        customer,
        status,
        servicer,
        requested,
        accepted,
        replied,
        completed,
        ended_by,
        *rest,
    ) = row
    return Handoff(
        id_, tenant, kf, customer, _STATUS[status], servicer, requested, accepted, replied, completed,
        _ENDED_BY[ended_by], *rest,
    )  # fmt: skip


def handoff_values(value: Handoff) -> tuple[Any, ...]:
    """Every column but the id, in order."""
    return (
        value.tenant_id, value.open_kfid, value.external_userid, value.status.value, value.servicer_userid,
        value.requested_at, value.accepted_at, value.replied_at, value.completed_at,
        value.ended_by.value if value.ended_by else None, value.via, value.operator_id, value.reason,
        value.previous_id, value.waiting_since, value.active_at, value.last_text, value.watch_at,
    )  # fmt: skip


def session(row: tuple[Any, ...], tenant_id: str) -> Session:
    """From SESSION_COLUMNS, then HANDOFF_COLUMNS and ENDING_COLUMNS of what is open, or NULLs."""
    kf, customer, state, *rest = row[:SESSION_WIDTH]
    value = Session(kf, customer, _STATE[state], *rest)
    value.tenant_id = tenant_id
    if row[SESSION_WIDTH] is not None:
        value.handoff = handoff(row[SESSION_WIDTH : SESSION_WIDTH + HANDOFF_WIDTH])
        if row[SESSION_WIDTH + HANDOFF_WIDTH] is not None:
            value.ending = ending(row[SESSION_WIDTH + HANDOFF_WIDTH :])
    return value


def session_values(value: Session) -> tuple[Any, ...]:
    return (
        value.open_kfid, value.external_userid, value.state, value.state_at, value.servicer_userid,
        value.last_handoff_id, value.ended_at, value.last_customer_at, value.last_servicer_at, value.check_at,
        value.version, value.end_asked_at, value.found_at, "HUMAN" if value.handoff else "AI",
        value.handoff.id if value.handoff else None,
    )  # fmt: skip


def ending(row: tuple[Any, ...]) -> Ending:
    id_, handoff_id, operator_type, operator_id, via, reason, requested_at, attempts, overtaken = row
    operator = Operator(OperatorType(operator_type), operator_id)
    return Ending(id_, handoff_id, operator, via, reason, requested_at, attempts, bool(overtaken))


def event(row: tuple[Any, ...]) -> HandoffEvent:
    id_, handoff_id, type_, operator_type, operator_id, at, data = row
    operator = Operator(OperatorType(operator_type), operator_id)
    return HandoffEvent(id_, handoff_id, EventType(type_), operator, at, json.loads(data))


def dump(data: Any) -> str:
    return _ENCODER.encode(data)


def within(scope: Scope, counts: Iterable[tuple[str, int]]) -> int:
    """How many in all, of (open_kfid, how many), are of accounts in the scope."""
    return sum(count for open_kfid, count in counts if open_kfid in scope)


def prefixed(prefix: str, columns: str) -> str:
    """Each column as that of one table in a join."""
    return ", ".join(f"{prefix}.{column.strip()}" for column in columns.split(","))
