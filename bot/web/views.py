"""Handoffs as the API shows them, and the schemas that say so. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from bot.live import iso
from bot.model import EventType, Handoff, HandoffEvent, HandoffStatus, OperatorType, Watched
from bot.ports import Reception
from bot.web.schemas import TEXT, TIME, Json, closed

_ID: Json = {"type": "integer", "format": "int64"}
_MAYBE_TEXT: Json = {"type": ["string", "null"]}
_MAYBE_TIME: Json = {"type": ["string", "null"], "format": "date-time"}
_ENDED_BY: Json = {"enum": [*(each.value for each in OperatorType), None]}


def ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def or_null(name: str) -> Json:
    return {"oneOf": [ref(name), {"type": "null"}]}


def list_of(name: str) -> Json:
    return {"type": "array", "items": ref(name)}


_SHARED = {
    "id": _ID,
    "tenantId": TEXT,
    "openKfid": TEXT,
    "accountName": TEXT,
    "userId": TEXT,
    "status": {"type": "string", "enum": [each.value for each in HandoffStatus]},
    "agentId": _MAYBE_TEXT,
    "requestedAt": TIME,
    "acceptedAt": _MAYBE_TIME,
    "repliedAt": _MAYBE_TIME,
    "completedAt": _MAYBE_TIME,
    "endedBy": _ENDED_BY,
}
SCHEMAS: dict[str, Json] = {
    "CustomerHandoff": closed(**_SHARED),
    "Handoff": closed(
        **_SHARED, nickname=TEXT, via=_MAYBE_TEXT, operatorId=_MAYBE_TEXT, reason=_MAYBE_TEXT,
        waitingSince=_MAYBE_TIME, lastText=_MAYBE_TEXT, previousId={"type": ["integer", "null"], "format": "int64"},
        snoozedUntil=_MAYBE_TIME,
    ),
    "HandoffPage": closed(
        items=list_of("Handoff"), nextCursor=_MAYBE_TEXT,
    ),
    "HandoffEvent": closed(
        id=_ID, handoffRequestId=_ID, type={"type": "string", "enum": [each.value for each in EventType]},
        operatorType={"type": "string", "enum": [each.value for each in OperatorType]}, operatorId=TEXT, at=TIME,
        eventData={"type": "object"},
    ),
    "Snoozed": closed(handoffRequestId=_ID, snoozedUntil=TIME, snoozedBy=TEXT),
    "Servicer": closed(
        openKfid=TEXT, accountName=TEXT, userId=TEXT, receiving={"type": ["boolean", "null"]},
        suspended={"type": "boolean"}, load={"type": "integer"},
    ),
    "Me": closed(
        userId=TEXT, role={"type": "string", "enum": ["agent", "admin"]}, expiresAt=TIME, tenantId=TEXT,
        lang={"type": "string", "enum": ["zh", "en"]},
        accounts={"type": "array", "items": closed(openKfid=TEXT, accountName=TEXT)},
    ),
    "Session": closed(expiresAt=TIME),
}  # fmt: skip


def customers_handoff(handoff: Handoff, account_name: str) -> Json:
    """What its customer may know of it: nothing that staff wrote for themselves."""
    return {
        "id": handoff.id,
        "tenantId": handoff.tenant_id,
        "openKfid": handoff.open_kfid,
        "accountName": account_name,
        "userId": handoff.external_userid,
        "status": handoff.status.value,
        "agentId": handoff.servicer_userid,
        "requestedAt": iso(handoff.requested_at),
        "acceptedAt": _maybe(handoff.accepted_at),
        "repliedAt": _maybe(handoff.replied_at),
        "completedAt": _maybe(handoff.completed_at),
        "endedBy": handoff.ended_by.value if handoff.ended_by else None,
    }


def handoff(
    found: Handoff, account_name: str, names: Mapping[str, str], watched: Watched | None, last_words: str = ""
) -> Json:
    """`names`: nicknames by external_userid. `watched`: None where nobody was asked for its alerts. `last_words`: what
    the customer said last, where the record does not have it."""
    return customers_handoff(found, account_name) | {
        "nickname": names.get(found.external_userid, ""),
        "via": found.via,
        "operatorId": found.operator_id,
        "reason": found.reason,
        "waitingSince": _maybe(found.waiting_since if found.status.is_open else None),
        "lastText": found.last_text or last_words or None if found.status.is_open else None,
        "previousId": found.previous_id,
        "snoozedUntil": _maybe(watched.quiet.snoozed_until or None) if watched else None,
    }


def event(found: HandoffEvent) -> Json:
    return {
        "id": found.id,
        "handoffRequestId": found.handoff_id,
        "type": found.type.value,
        "operatorType": found.operator.type.value,
        "operatorId": found.operator.id,
        "at": iso(found.at),
        "eventData": found.data,
    }


def servicer(found: Reception, account_name: str) -> Json:
    return {
        "openKfid": found.open_kfid,
        "accountName": account_name,
        "userId": found.userid,
        "receiving": found.receiving,
        "suspended": found.suspended,
        "load": found.load,
    }


def snoozed(watched: Watched) -> Json:
    quiet = watched.quiet
    return {
        "handoffRequestId": watched.handoff.id,
        "snoozedUntil": iso(quiet.snoozed_until),
        "snoozedBy": quiet.snoozed_by,
    }


def _maybe(at: float | None) -> str | None:
    return None if at is None else iso(at)
