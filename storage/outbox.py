"""Events of the handoff log on their way to webhooks: one delivery per event and webhook, none lost, none made twice.

The log itself is the source. A place in it is kept per webhook, and moves in the transaction that makes the deliveries:
whoever writes events need not know of webhooks, and no crash comes between.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import islice
from typing import Any

from bot.faults import point
from bot.model import EventType, Scope
from bot.ports import DeadDelivery, Delivery
from storage import rows
from storage.database import Database
from storage.rows import EVENT_COLUMNS, HANDOFF_COLUMNS, HANDOFF_WIDTH, prefixed

BATCH = 500  # events, or deliveries, in one transaction
NOT_NAMED = "settings.yaml names this webhook no more"

_LAST = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'handoff_events'"
_WAITING = "state IN ('pending', 'sending')"
_MAKE = """INSERT OR IGNORE INTO deliveries (webhook, event_id, handoff_id, key, state)
    SELECT ?, id, handoff_id, lower(hex(randomblob(16))), 'pending' FROM handoff_events
    WHERE id > ? AND id <= ? AND type IN (SELECT value FROM json_each(?)) ORDER BY id RETURNING handoff_id"""
# The first of a handoff may go, the others wait for it. While one is being sent, all do.
_LINE_UP = f"""UPDATE deliveries AS d SET next_at = iif(id = (SELECT min(id) FROM deliveries f
        WHERE f.handoff_id = d.handoff_id AND f.webhook = d.webhook AND f.{_WAITING}), coalesce(next_at, ?), NULL)
    WHERE handoff_id = ? AND webhook = ? AND state = 'pending' AND NOT EXISTS (SELECT 1 FROM deliveries s
        WHERE s.handoff_id = d.handoff_id AND s.webhook = d.webhook AND s.state = 'sending')"""
_HANDOFF, _EVENT = prefixed("h", HANDOFF_COLUMNS), prefixed("e", EVENT_COLUMNS)
_NEXT = f"""SELECT d.id, d.key, d.attempts + 1, {_HANDOFF}, {_EVENT}
    FROM deliveries d CROSS JOIN handoff_events e ON e.id = d.event_id CROSS JOIN handoffs h ON h.id = d.handoff_id
    WHERE d.webhook = ? AND d.{_WAITING} AND d.next_at <= ? ORDER BY d.next_at, d.id LIMIT 1"""
_DEAD = f"""SELECT d.id, w.host, d.attempts, d.settled_at, d.error, e.type, {_HANDOFF}
    FROM deliveries d CROSS JOIN handoff_events e ON e.id = d.event_id CROSS JOIN handoffs h ON h.id = d.handoff_id
        CROSS JOIN webhooks w ON w.id = d.webhook
    WHERE d.state = 'dead' ORDER BY d.id"""
_DEAD_OF = """SELECT d.id, d.webhook, d.handoff_id, h.open_kfid, w.event_id IS NOT NULL
    FROM deliveries d CROSS JOIN handoffs h ON h.id = d.handoff_id CROSS JOIN webhooks w ON w.id = d.webhook
    WHERE d.state = 'dead'"""


class Outbox:
    """Implements `bot.ports.Outbox`."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._wanted: dict[str, str] = {}

    async def open(self, webhooks: Mapping[str, tuple[str, Iterable[EventType]]], now: float) -> None:
        """At start: these webhooks, by their ids, want these types of events; `host` is what may be shown of them.

        One that is new gets what happens from now on. What was on its way to one that is named no more is dead. What a
        dead process was sending is sent again.
        """
        self._wanted = {webhook: json.dumps(sorted(types)) for webhook, (_, types) in webhooks.items()}
        hosts = [(webhook, host) for webhook, (host, _) in webhooks.items()]

        def work(db: sqlite3.Connection) -> None:
            db.executemany(
                f"""INSERT INTO webhooks (id, host, event_id) VALUES (?, ?, ({_LAST}))
                    ON CONFLICT DO UPDATE SET event_id = coalesce(event_id, excluded.event_id)""",
                hosts,
            )
            gone = "NOT IN (SELECT value FROM json_each(?))"
            db.execute(f"UPDATE webhooks SET event_id=NULL WHERE id {gone}", (self._names,))
            db.execute(
                f"""UPDATE deliveries SET state='dead', next_at=NULL, settled_at=?, error=?
                    WHERE {_WAITING} AND webhook {gone}""",
                (now, NOT_NAMED, self._names),
            )
            db.execute("UPDATE deliveries SET state='pending', next_at=? WHERE state='sending'", (now,))

        await self._db.write(work)

    async def collect(self, now: float) -> int:
        """Make deliveries of the events since the last time. Returns how many."""
        made = 0
        while await self._db.read(partial(_is_behind, names=self._names)):
            made += await self._db.write(partial(_collect, wanted=self._wanted, now=now))
        return made

    async def due(self, now: float) -> list[str]:
        """Webhooks for which there is something to take."""
        sql = f"SELECT EXISTS (SELECT 1 FROM deliveries WHERE webhook=? AND {_WAITING} AND next_at <= ?)"

        def work(db: sqlite3.Connection) -> list[str]:
            return [each for each in self._wanted if db.execute(sql, (each, now)).fetchone()[0]]

        return await self._db.read(work)

    async def take(self, webhook: str, now: float, lease: float) -> Delivery | None:
        """Claim the one that is due longest. After `lease` seconds without a word it may be taken again."""

        def work(db: sqlite3.Connection) -> Delivery | None:
            row = db.execute(_NEXT, (webhook, now)).fetchone()
            if row is None:
                return None
            sql = "UPDATE deliveries SET state='sending', attempts=attempts+1, next_at=? WHERE id=?"
            db.execute(sql, (now + lease, row[0]))
            number, key, attempts, *rest = row
            handoff, event = tuple(rest[:HANDOFF_WIDTH]), tuple(rest[HANDOFF_WIDTH:])
            point("webhook.taking")
            return Delivery(number, key, webhook, attempts, rows.event(event), rows.handoff(handoff))

        return await self._db.write(work, durable=True)

    async def settle(
        self, delivery: Delivery, state: str, now: float, error: str = "", next_at: float | None = None
    ) -> None:
        """`state`: done, dead, or pending, to be taken again at `next_at`. Whoever was overtaken by another try of the
        same delivery changes nothing."""
        settled_at = None if state == "pending" else now

        def work(db: sqlite3.Connection) -> None:
            changed = db.execute(
                """UPDATE deliveries SET state=?, next_at=?, settled_at=?, error=?
                    WHERE id=? AND state='sending' AND attempts=?""",
                (state, next_at, settled_at, error, delivery.id, delivery.attempts),
            ).rowcount
            if changed:
                db.execute(_LINE_UP, (now, delivery.handoff.id, delivery.webhook))
            point("webhook.settling")

        await self._db.write(work)

    async def hurry(self, webhook: str, now: float) -> None:
        """What was put off is due now."""
        sql = f"UPDATE deliveries SET next_at=? WHERE webhook=? AND {_WAITING} AND next_at > ? AND state='pending'"
        await self._db.write(lambda db: db.execute(sql, (now, webhook, now)))

    @property
    def _names(self) -> str:
        return json.dumps(list(self._wanted))

    # -- what was given up

    async def dead(self, scope: Scope, limit: int) -> list[DeadDelivery]:
        """The first ones, of accounts in the scope."""

        def work(db: sqlite3.Connection) -> list[DeadDelivery]:
            found = (_dead(row) for row in db.execute(_DEAD))
            return list(islice((each for each in found if each.handoff.open_kfid in scope), limit))

        return await self._db.read(work)

    async def count_dead(self, scope: Scope) -> int:
        sql = f"SELECT open_kfid, count(*) FROM ({_DEAD_OF}) GROUP BY open_kfid"
        return rows.within(scope, await self._db.read(lambda db: db.execute(sql).fetchall()))

    async def revive(self, scope: Scope, number: int | None, now: float) -> tuple[int, int]:
        """Have a dead delivery sent again, or with None all of them, of accounts in the scope, as if never tried.
        Returns how many, and how many not because the settings do not name their webhook."""
        sql, values = (_DEAD_OF, ()) if number is None else (f"{_DEAD_OF} AND d.id = ?", (number,))
        found = await self._db.read(lambda db: db.execute(sql, values).fetchall())
        mine = [row for row in found if row[3] in scope]
        named = [row[:3] for row in mine if row[4]]
        for start in range(0, len(named), BATCH):
            await self._db.write(partial(_revive, found=named[start : start + BATCH], now=now))
        return len(named), len(mine) - len(named)


def _is_behind(db: sqlite3.Connection, names: str) -> bool:
    named = "SELECT 1 FROM webhooks WHERE id IN (SELECT value FROM json_each(?))"
    return bool(db.execute(f"SELECT EXISTS ({named} AND event_id < ({_LAST}))", (names,)).fetchone()[0])


def _collect(db: sqlite3.Connection, wanted: Mapping[str, str], now: float) -> int:
    """The next batch of events, for each webhook from its own place on."""
    made = 0
    for webhook, types in wanted.items():
        (start,) = db.execute("SELECT event_id FROM webhooks WHERE id=?", (webhook,)).fetchone()
        batch = "SELECT id FROM handoff_events WHERE id > ? ORDER BY id LIMIT ?"
        (end,) = db.execute(f"SELECT coalesce(max(id), ({_LAST})) FROM ({batch})", (start, BATCH)).fetchone()
        handoffs = [row[0] for row in db.execute(_MAKE, (webhook, start, end, types)).fetchall()]
        db.execute("UPDATE webhooks SET event_id=? WHERE id=?", (end, webhook))
        db.executemany(_LINE_UP, [(now, handoff, webhook) for handoff in dict.fromkeys(handoffs)])
        made += len(handoffs)
    point("webhook.collecting")
    return made


def _revive(db: sqlite3.Connection, found: list[tuple[int, str, int]], now: float) -> None:
    db.executemany(
        "UPDATE deliveries SET state='pending', attempts=0, next_at=NULL, settled_at=NULL WHERE id=? AND state='dead'",
        [(number,) for number, _, _ in found],
    )
    db.executemany(_LINE_UP, [(now, handoff, webhook) for _, webhook, handoff in found])


def _dead(row: tuple[Any, ...]) -> DeadDelivery:
    number, host, attempts, at, error, type_, *handoff = row
    return DeadDelivery(number, host, attempts, at, error, EventType(type_), rows.handoff(tuple(handoff)))
