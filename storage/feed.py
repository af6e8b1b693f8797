"""The handoff log from its end: what was appended after an event, whichever process appended it."""

from __future__ import annotations

from bot.model import Handoff, HandoffEvent
from storage import rows
from storage.database import Database
from storage.rows import EVENT_COLUMNS, HANDOFF_COLUMNS, prefixed

_EVENT_WIDTH = len(EVENT_COLUMNS.split(","))

# By the log's own order: ids are given inside the one write transaction there can be, so none comes late.
_AFTER = f"""SELECT {prefixed("e", EVENT_COLUMNS)}, {prefixed("h", HANDOFF_COLUMNS)}
    FROM handoff_events e CROSS JOIN handoffs h ON h.id = e.handoff_id
    WHERE e.id > ? ORDER BY e.id LIMIT ?"""
# The last id ever given, also when retention has deleted the row.
_LAST = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'handoff_events'"


class Feed:
    """Implements `bot.ports.Feed`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def after(self, event_id: int, limit: int) -> list[tuple[HandoffEvent, Handoff]]:
        found = await self._db.read(lambda db: db.execute(_AFTER, (event_id, limit)).fetchall())
        return [(rows.event(row[:_EVENT_WIDTH]), rows.handoff(row[_EVENT_WIDTH:])) for row in found]

    async def last(self) -> int:
        return int((await self._db.read(lambda db: db.execute(_LAST).fetchone()))[0])
