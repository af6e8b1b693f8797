"""Alerts of open handoffs, and what staff said of them. What is due is found by two indexes, never by a scan."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from functools import partial
from math import isfinite

from bot.faults import point
from bot.model import Alert, Handoff, Quiet, Rule, Watched
from bot.ports import Closed, Order, Sending
from storage import rows
from storage.database import Database
from storage.migrations import OPEN
from storage.rows import HANDOFF_COLUMNS

_CHUNK = 10_000

_ALERTS = """SELECT a.handoff_id, a.rule, a.state, a.raised_at, a.sends, a.sent_at, a.next_at, a.told
    FROM json_each(?) k CROSS JOIN alerts a ON a.handoff_id = k.value"""
_QUIETS = """SELECT q.handoff_id, q.acked_by, q.acked_at, q.snoozed_by, q.snoozed_at, q.snoozed_until
    FROM json_each(?) k CROSS JOIN quiets q ON q.handoff_id = k.value"""
_HANDOFFS = f"SELECT {HANDOFF_COLUMNS} FROM handoffs WHERE id IN (SELECT value FROM json_each(?))"

# Only where nothing has moved since the decision was made: younger news have put in a time of their own.
_WATCH = """UPDATE handoffs SET watch_at=?
    WHERE id=? AND status=? AND waiting_since IS ? AND active_at=? AND completed_at IS NULL"""
_UNMOVED = "SELECT active_at FROM handoffs WHERE id=? AND status=? AND waiting_since IS ? AND completed_at IS NULL"
_RAISE = """INSERT INTO alerts (handoff_id, rule, state, raised_at, sends, sent_at, next_at, told, unsent)
    VALUES (?, ?, 'open', ?, 1, ?, ?, 1, 1)
    ON CONFLICT DO UPDATE SET state='open', raised_at=excluded.raised_at, sends=1, sent_at=excluded.sent_at,
        next_at=excluded.next_at, told=told+1, unsent=1 WHERE state='cleared'"""
# The `next_at` of an ended handoff is 0: whoever decided while it was open must not put off its last word.
_ENDED_STAYS = "next_at=CASE next_at WHEN 0 THEN 0 ELSE ? END"
# What is over before it was handed over is not sent any more (`hand_out`), and nobody was told.
_TOLD = "told - (unsent AND sends=1)"
_CLEAR = f"""UPDATE alerts SET state='cleared', told={_TOLD}, unsent=0, {_ENDED_STAYS}
    WHERE handoff_id=? AND rule=? AND state='open'"""
# An answer that is still under way may say it.
_OWED = """EXISTS (SELECT 1 FROM endings e WHERE e.handoff_id = alerts.handoff_id AND e.owed > 0
    AND e.state='done' AND e.via='command')"""
_CLOSE = f"""UPDATE alerts SET state='closed', next_at=NULL, told={_TOLD}, unsent={_TOLD} > 0
    WHERE handoff_id=? AND state != 'closed' AND NOT {_OWED} RETURNING told"""
_MOVE = f"UPDATE alerts SET {_ENDED_STAYS} WHERE handoff_id=? AND rule=? AND state='open'"
_UNRAISE = f"""UPDATE alerts SET state='cleared', told=told-1, unsent=0, {_ENDED_STAYS}
    WHERE handoff_id=? AND rule=? AND sends=1 AND state='open'"""
_UNREPEAT = f"""UPDATE alerts SET sends=sends-1, unsent=0, {_ENDED_STAYS}
    WHERE handoff_id=? AND rule=? AND sends=? AND state='open'"""
_WATCH_AGAIN = "UPDATE handoffs SET watch_at=min(coalesce(watch_at, 9e99), ?) WHERE id=? AND completed_at IS NULL"
_REPEAT = """UPDATE alerts SET sends=?, sent_at=?, next_at=?, unsent=1
    WHERE handoff_id=? AND rule=? AND state='open' AND sends=?"""
# A `next_at` of 0: its handoff has ended.
_HAND_OUT = "UPDATE alerts SET unsent=0 WHERE handoff_id=? AND rule=? AND state='open' AND sends=? AND next_at > 0"
_TAKE_IN = "UPDATE alerts SET unsent=1 WHERE handoff_id=? AND rule=? AND state='open' AND sends=?"
_REOPEN = "UPDATE alerts SET state='cleared', next_at=?, unsent=0 WHERE state='closed'"
_YOUNG = "(SELECT completed_at FROM handoffs WHERE id=handoff_id) > ?"


class Alerts:
    """Implements `bot.ports.Alerts`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def due(self, now: float, limit: int) -> list[Watched]:
        """Handoffs at which a rule may want to look, ended ones that the group was told of included."""

        def work(db: sqlite3.Connection) -> list[Watched]:
            open_ = db.execute("SELECT id FROM handoffs WHERE watch_at <= ? ORDER BY watch_at LIMIT ?", (now, limit))
            ids = {row[0] for row in open_}
            repeats = "SELECT handoff_id FROM alerts WHERE next_at <= ? ORDER BY next_at LIMIT ?"
            ids.update(row[0] for row in db.execute(repeats, (now, limit)))
            return _load(db, ids)

        return await self._db.read(work)

    async def watched(self, handoff_ids: Iterable[int]) -> list[Watched]:
        ids = list(handoff_ids)
        return await self._db.read(lambda db: _load(db, ids))

    async def open(self, limit: int = 500) -> list[Watched]:
        """Handoffs with an open alert, longest raised first."""

        def work(db: sqlite3.Connection) -> list[Watched]:
            sql = "SELECT handoff_id, raised_at FROM alerts WHERE next_at IS NOT NULL AND state='open' LIMIT ?"
            found = sorted(db.execute(sql, (limit,)).fetchall(), key=lambda row: row[1])
            order = {handoff_id: place for place, (handoff_id, _) in reversed(list(enumerate(found)))}
            loaded = [each for each in _load(db, order) if each.handoff.status.is_open]
            return sorted(loaded, key=lambda each: order[each.handoff.id])

        return await self._db.read(work)

    async def record(self, orders: Sequence[Order], now: float) -> list[Sending]:
        """Put decisions on record, all at once, before anything is sent. Returns the messages that are ours to send:
        not those of a handoff that has moved on meanwhile, nor those that another process has taken."""

        def work(db: sqlite3.Connection) -> list[Sending]:
            ours: list[Sending] = []
            for order in orders:
                if order.sendings and _has_moved(db, order):
                    continue
                _clear(db, order)
                ours += [each for each in order.sendings if _claim(db, each, now)]
                watch_at = order.watch_at if isfinite(order.watch_at) else None
                db.execute(_WATCH, (watch_at, *_moving(order.handoff), order.handoff.active_at))
            point("alert.claiming")
            return ours

        return await self._db.write(work, durable=any(order.sendings for order in orders))

    async def give_back(self, sendings: Iterable[Sending], retry_at: float) -> None:
        """Messages that certainly did not reach the group: as if they had not been taken, until `retry_at`."""

        def work(db: sqlite3.Connection) -> None:
            for each in sendings:
                _give_back(db, each.handoff.id, each.rule, each.sends, retry_at)

        await self._db.write(work)

    async def hand_out(self, sendings: Iterable[Sending]) -> bool:
        """They are about to go: after a crash they are not claimed again. False when none of them is to go any more."""
        keys = [(each.handoff.id, each.rule, each.sends) for each in sendings]

        def work(db: sqlite3.Connection) -> bool:
            stand = sum(db.execute(_HAND_OUT, key).rowcount for key in keys)
            point("alert.handing")
            return stand > 0

        return await self._db.write(work, durable=True)

    async def take_in(self, sendings: Iterable[Sending]) -> None:
        """They did not go after all, and are tried again."""
        keys = [(each.handoff.id, each.rule, each.sends) for each in sendings]
        await self._db.write(lambda db: db.executemany(_TAKE_IN, keys))

    async def close(self, handoff_ids: Iterable[int]) -> list[Closed]:
        """Claim the last word on ended handoffs: each is returned once, and only if the group was told of it. It waits
        while the answer to a command may say it."""

        def work(db: sqlite3.Connection) -> list[Closed]:
            told = [each for each in handoff_ids if any(row[0] for row in db.execute(_CLOSE, (each,)).fetchall())]
            point("last_word.claiming")
            return [Closed(each, _asked_in(db, each)) for each in told]

        return await self._db.write(work, durable=True)

    async def reopen(self, handoff_ids: Iterable[int], retry_at: float) -> None:
        """Last words that did not reach the group."""
        sql = f"{_REOPEN} AND told AND handoff_id=?"
        await self._db.write(lambda db: db.executemany(sql, [(retry_at, each) for each in handoff_ids]))

    async def hand_out_words(self, handoff_ids: Iterable[int]) -> None:
        """Last words, as `hand_out`; or they are not to be said."""
        ids = [(each,) for each in handoff_ids]

        def work(db: sqlite3.Connection) -> None:
            db.executemany("UPDATE alerts SET unsent=0 WHERE handoff_id=? AND state='closed'", ids)
            point("last_word.handing")

        await self._db.write(work, durable=True)

    async def take_in_words(self, handoff_ids: Iterable[int]) -> None:
        sql = "UPDATE alerts SET unsent=1 WHERE handoff_id=? AND state='closed' AND told"
        await self._db.write(lambda db: db.executemany(sql, [(each,) for each in handoff_ids]))

    async def give_back_unsent(self, now: float, since: float) -> int:
        """Of a dead process: what it had claimed and not handed over falls due at once. Not the last words on what has
        ended before `since`. Returns how many alerts and last words that was."""

        def work(db: sqlite3.Connection) -> int:
            alerts = db.execute("SELECT handoff_id, rule, sends FROM alerts WHERE unsent=1 AND state='open'").fetchall()
            for handoff_id, rule, sends in alerts:
                _give_back(db, handoff_id, rule, sends, now)
            words = db.execute(f"{_REOPEN} AND unsent=1 AND {_YOUNG}", (now, since)).rowcount
            db.execute("UPDATE alerts SET unsent=0 WHERE unsent=1")
            if alerts or words:
                point("alert.giving_back")
            return len(alerts) + words

        return await self._db.write(work)

    async def ack(self, handoff_id: int, userid: str, now: float, over: float) -> bool:
        """`over`: the time of the ack this one replaces, 0 for none; False when somebody else was faster."""
        sql = """INSERT INTO quiets (handoff_id, acked_by, acked_at) VALUES (?, ?, ?)
            ON CONFLICT DO UPDATE SET acked_by=excluded.acked_by, acked_at=excluded.acked_at WHERE acked_at=?"""
        return await self._quieten(handoff_id, sql, (handoff_id, userid, now, over), now)

    async def snooze(self, handoff_id: int, userid: str, until: float, now: float, over: float) -> bool:
        """As `ack`; `over` is the `snoozed_at` it replaces."""
        sql = """INSERT INTO quiets (handoff_id, snoozed_by, snoozed_until, snoozed_at) VALUES (?, ?, ?, ?)
            ON CONFLICT DO UPDATE SET snoozed_by=excluded.snoozed_by, snoozed_until=excluded.snoozed_until,
                snoozed_at=excluded.snoozed_at WHERE snoozed_at=?"""
        return await self._quieten(handoff_id, sql, (handoff_id, userid, until, now, over), now)

    async def _quieten(self, handoff_id: int, sql: str, values: tuple[object, ...], now: float) -> bool:
        def work(db: sqlite3.Connection) -> bool:
            first = db.execute(sql, values).rowcount == 1
            if first:  # have the rules look anew
                db.execute("UPDATE alerts SET next_at=? WHERE handoff_id=? AND state='open'", (now, handoff_id))
            point("quiet.recording")
            return first

        return await self._db.write(work)

    async def watch_all(self) -> None:
        """The rules have changed: have every open handoff looked at."""
        last: int | None = 0
        while last is not None:
            last = await self._db.write(partial(_watch_some, last))


def _watch_some(start: int, db: sqlite3.Connection) -> int | None:
    """A bounded piece, so that others may write in between. Returns where to go on, None at the end."""
    sql = f"SELECT id FROM handoffs WHERE id > ? AND status IN {OPEN} ORDER BY id LIMIT {_CHUNK}"
    ids = [row[0] for row in db.execute(sql, (start,))]
    db.executemany("UPDATE handoffs SET watch_at=0 WHERE id=?", [(each,) for each in ids])
    return ids[-1] if len(ids) == _CHUNK else None


def _load(db: sqlite3.Connection, ids: Iterable[int]) -> list[Watched]:
    wanted = json.dumps(list(ids))
    alerts: dict[int, dict[Rule, Alert]] = {}
    told: set[int] = set()
    for handoff_id, rule, state, raised_at, sends, sent_at, next_at, heard in db.execute(_ALERTS, (wanted,)):
        if state == "open":
            alerts.setdefault(handoff_id, {})[Rule(rule)] = Alert(Rule(rule), raised_at, sends, sent_at, next_at or 0.0)
        if heard:
            told.add(handoff_id)
    quiets = {row[0]: Quiet(*row[1:]) for row in db.execute(_QUIETS, (wanted,))}
    found = (rows.handoff(row) for row in db.execute(_HANDOFFS, (wanted,)))
    return [Watched(each, alerts.get(each.id, {}), quiets.get(each.id, Quiet()), each.id in told) for each in found]


def _moving(handoff: Handoff) -> tuple[object, ...]:
    return handoff.id, handoff.status.value, handoff.waiting_since


def _has_moved(db: sqlite3.Connection, order: Order) -> bool:
    """Whether younger news make what is to be sent untrue. Of a silence, any word does."""
    row = db.execute(_UNMOVED, _moving(order.handoff)).fetchone()
    silent = any(each.rule is Rule.HUMAN_IDLE for each in order.sendings)
    return row is None or (silent and row[0] != order.handoff.active_at)


def _clear(db: sqlite3.Connection, order: Order) -> None:
    db.executemany(_CLEAR, [(None, order.handoff.id, rule.value) for rule in order.cleared])
    moved = [(at if isfinite(at) else 9e99, order.handoff.id, rule.value) for rule, at in order.next_at.items()]
    db.executemany(_MOVE, moved)


def _give_back(db: sqlite3.Connection, handoff_id: int, rule: str, sends: int, retry_at: float) -> None:
    if sends == 1:
        db.execute(_UNRAISE, (None, handoff_id, rule))
        db.execute(_WATCH_AGAIN, (retry_at, handoff_id))
    else:
        db.execute(_UNREPEAT, (retry_at, handoff_id, rule, sends))


def _claim(db: sqlite3.Connection, sending: Sending, now: float) -> bool:
    handoff_id, rule = sending.handoff.id, sending.rule.value
    next_at = sending.next_at if isfinite(sending.next_at) else 9e99
    if sending.sends == 1:
        return db.execute(_RAISE, (handoff_id, rule, sending.raised_at, now, next_at)).rowcount == 1
    return db.execute(_REPEAT, (sending.sends, now, next_at, handoff_id, rule, sending.sends - 1)).rowcount == 1


def _asked_in(db: sqlite3.Connection, handoff_id: int) -> str:
    """The chat in which a command asked for the end, and has read the outcome."""
    sql = """SELECT chat_id FROM endings WHERE handoff_id=? AND state='done' AND via='command' AND owed=0
        ORDER BY id DESC LIMIT 1"""
    row = db.execute(sql, (handoff_id,)).fetchone()
    return (row[0] or "") if row else ""
