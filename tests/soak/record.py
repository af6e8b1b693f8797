"""What stands in the database of a bot, looked at from outside while it runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

CODES, WAITING = "messages by code", "messages that wait for somebody to send them"
# What is still to be done, and when it may be: 0 for what needs no time to pass.
UNDONE = {
    "intentions": "SELECT 0 FROM endings WHERE state='pending'",
    CODES: "SELECT 0 FROM codes WHERE state IN ('pending', 'sending')",
    WAITING: "SELECT 0 FROM codes WHERE state = 'pending'",
    "deliveries": """SELECT iif(state = 'pending', coalesce(next_at, 0), 0) FROM deliveries
        WHERE state IN ('pending', 'sending')""",
    "events not collected": """SELECT 0 FROM webhooks WHERE event_id <
        (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name='handoff_events')""",
    "commands": "SELECT 0 FROM commands WHERE outcome IS NULL",
    "outcomes": "SELECT 0 FROM endings WHERE owed > 0",
    "ends asked for": "SELECT 0 FROM sessions WHERE end_asked_at IS NOT NULL",
    "state reads": "SELECT check_at FROM sessions WHERE check_at IS NOT NULL",
    "history": "SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM accounts) OR EXISTS (SELECT 1 FROM accounts WHERE cold)",
    "alerts and last words to be handed over": "SELECT 0 FROM alerts WHERE unsent",
    "last words": """SELECT next_at FROM alerts a JOIN handoffs h ON h.id = a.handoff_id
        WHERE next_at IS NOT NULL AND completed_at IS NOT NULL""",
}


class Record:
    """Read-only, and opened for each look: a process that dies must leave the file as it is to the next one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Raises sqlite3.OperationalError while there is nothing to be read."""
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=5.0)) as db:
            return db.execute(sql, values).fetchall()

    def one(self, sql: str, *values: object) -> Any:
        """The first value of the first row; None where there is none."""
        found = self.rows(sql, *values)
        return found[0][0] if found else None

    def undone(self) -> dict[str, float]:
        """What is left to do, each with the time of the first of it."""
        found = {what: [row[0] for row in self.rows(sql)] for what, sql in UNDONE.items()}
        return {what: min(times) for what, times in found.items() if times}

    def leases(self) -> dict[int, float]:
        """Pending intentions, and until when they belong to whoever works on them."""
        return dict(self.rows("SELECT id, lease_until FROM endings WHERE state='pending'"))

    def items(self) -> list[str]:
        return [row[0] for row in self.rows("SELECT msgid FROM items")]

    def handoff(self, customer: str) -> int:
        """Number of the customer's only handoff; 0 while there is none."""
        return int(self.one("SELECT max(id) FROM handoffs WHERE external_userid=?", customer) or 0)
