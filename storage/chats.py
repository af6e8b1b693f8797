"""Paired groups, and every group message once, with what came of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from bot.faults import point
from bot.model import CardTap, GroupMessage
from bot.ports import LostCommand
from storage.database import Database

_TOLD = "UPDATE endings SET owed=0 WHERE command_id=? AND owed > 0 AND state != 'pending'"


class Chats:
    """Implements `bot.ports.Chats`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def paired(self) -> list[str]:
        sql = "SELECT chat_id FROM paired_chats ORDER BY at"
        return [row[0] for row in await self._db.read(lambda db: db.execute(sql).fetchall())]

    async def pair(self, chat_id: str, userid: str, now: float) -> None:
        """Idempotent, and on disk before the group is told."""

        def work(db: sqlite3.Connection) -> None:
            sql = "INSERT OR IGNORE INTO paired_chats (chat_id, userid, at) VALUES (?, ?, ?)"
            db.execute(sql, (chat_id, userid, now))
            point("pairing.recording")

        await self._db.write(work, durable=True)

    async def claim(self, message: GroupMessage | CardTap, command: str, text: str, now: float) -> int | None:
        """Record that a message or tap is being worked on. None: it was claimed before, also by an earlier process."""

        def work(db: sqlite3.Connection) -> int | None:
            row = db.execute(
                """INSERT OR IGNORE INTO commands (channel, msgid, chat_id, is_group, userid, command, text, at)
                    VALUES (?,?,?,?,?,?,?,?) RETURNING id""",
                (
                    message.channel,
                    message.msgid,
                    message.chat_id,
                    message.is_group,
                    message.userid,
                    command,
                    text,
                    now,
                ),
            ).fetchone()
            point("command.claiming")
            return row[0] if row else None

        return await self._db.write(work)

    async def settle(
        self, command_id: int, outcome: str, seconds: float, incident: str = "", *, told: bool = False
    ) -> None:
        def work(db: sqlite3.Connection) -> None:
            sql = "UPDATE commands SET outcome=?, seconds=?, incident=? WHERE id=?"
            db.execute(sql, (outcome, seconds, incident or None, command_id))
            if told:
                db.execute(_TOLD, (command_id,))

        await self._db.write(work)

    async def lost(self, since: float) -> list[LostCommand]:
        """Commands without an outcome: a process died over them. Older ones than `since` are settled in silence."""

        def work(db: sqlite3.Connection) -> list[LostCommand]:
            db.execute("UPDATE commands SET outcome='lost' WHERE outcome IS NULL AND at < ?", (since,))
            sql = """SELECT id, command, chat_id, is_group, userid, text, at FROM commands
                WHERE outcome IS NULL ORDER BY id"""
            return [
                LostCommand(id_, command, chat, bool(group), *rest)
                for id_, command, chat, group, *rest in db.execute(sql)
            ]

        return await self._db.write(work)

    async def keep_card(self, task_id: str, chat_id: str, about: str, now: float) -> None:
        sql = "INSERT INTO cards (task_id, chat_id, about, at) VALUES (?, ?, ?, ?)"
        await self._db.write(lambda db: db.execute(sql, (task_id, chat_id, about, now)), durable=True)

    async def card_about(self, task_id: str) -> str:
        """What the card with this task_id is about; empty when it is none of ours."""
        sql = "SELECT about FROM cards WHERE task_id=?"
        row = await self._db.read(lambda db: db.execute(sql, (task_id,)).fetchone())
        return row[0] if row else ""

    async def last_card(self, chat_id: str, about: str) -> str:
        """The task_id of the newest card about it in that chat; empty when there is none."""
        sql = "SELECT task_id FROM cards WHERE chat_id=? AND about=? ORDER BY at DESC LIMIT 1"
        row = await self._db.read(lambda db: db.execute(sql, (chat_id, about)).fetchone())
        return row[0] if row else ""

    async def recall(self, key: str) -> str:
        """A small fact kept across restarts; empty when unknown."""
        sql = "SELECT value FROM meta WHERE key=?"
        row = await self._db.read(lambda db: db.execute(sql, (key,)).fetchone())
        return row[0] if row else ""

    async def keep(self, facts: Iterable[tuple[str, str]]) -> None:
        pairs = list(facts)
        await self._db.write(lambda db: db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", pairs))

    async def keep_first(self, key: str, value: str) -> str:
        """Keep it unless some process has kept one before; returns what is kept, and on disk."""

        def work(db: sqlite3.Connection) -> str:
            db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, value))
            kept: str = db.execute("SELECT value FROM meta WHERE key=?", (key,)).fetchone()[0]
            return kept

        return await self._db.write(work, durable=True)

    async def give_back(self, key: str) -> None:
        """What was claimed has certainly not been done: the next caller may."""
        await self._db.write(lambda db: db.execute("DELETE FROM meta WHERE key=?", (key,)))

    async def claim_once(self, key: str, now: float) -> bool:
        """True for the first caller ever, in whatever process; the key is then a small fact, the time of its claim."""

        def work(db: sqlite3.Connection) -> bool:
            first = db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, repr(now))).rowcount == 1
            point("once.claiming")
            return first

        return await self._db.write(work, durable=True)
