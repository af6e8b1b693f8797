"""Paired groups, and every message of the group once."""

from __future__ import annotations

import asyncio
from typing import Any

from bot.model import CardTap, GroupMessage
from storage.chats import Chats
from storage.database import Database

NOW = 1_700_000_000.0
MESSAGE = GroupMessage("aibot", "m1", "wr1", True, "LiNa", "/end wm7l")
TAP = CardTap("aibot", "t1", "wr1", True, "LiNa", "end:12")


async def rows(database: Database, sql: str) -> list[tuple[Any, ...]]:
    return await database.read(lambda db: db.execute(sql).fetchall())


async def test_groups_are_paired_once_and_remembered_in_order(database: Database) -> None:
    chats = Chats(database)
    for chat, at in (("wr2", NOW), ("wr1", NOW + 1), ("wr2", NOW + 2)):
        await chats.pair(chat, "LiNa", at)
    assert await chats.paired() == ["wr2", "wr1"]


async def test_a_message_is_claimed_once_even_by_a_later_process(database: Database) -> None:
    claims = await asyncio.gather(*(Chats(database).claim(MESSAGE, "end", "/end wm7l", NOW) for _ in range(5)))
    assert [claim for claim in claims if claim is not None] == [1]


async def test_taps_and_messages_of_other_channels_are_claimed_for_themselves(database: Database) -> None:
    chats = Chats(database)
    other = GroupMessage("webhook", "m1", "wr1", True, "LiNa", "/end")
    assert [await chats.claim(each, "end", "", NOW) for each in (MESSAGE, TAP, other)] == [1, 2, 3]


async def test_what_came_of_a_command_is_kept(database: Database) -> None:
    chats = Chats(database)
    claimed = await chats.claim(MESSAGE, "end", "/end wm7l", NOW)
    assert claimed is not None
    assert await rows(database, "SELECT outcome FROM commands") == [(None,)]
    await chats.settle(claimed, "incident", 0.5, "ab12")
    assert await rows(database, "SELECT userid, text, outcome, seconds, incident FROM commands") == [
        ("LiNa", "/end wm7l", "incident", 0.5, "ab12")
    ]


async def test_small_facts_outlive_the_process(database: Database) -> None:
    await Chats(database).keep([("bind", "1234"), ("other", "x")])
    await Chats(database).keep([("bind", "5678")])
    assert [await Chats(database).recall(key) for key in ("bind", "other", "none")] == ["5678", "x", ""]


async def test_a_key_is_claimed_once_by_whoever_comes_first(database: Database) -> None:
    claims = await asyncio.gather(*(Chats(database).claim_once("report 2026-11-20 wr1", NOW) for _ in range(5)))
    assert sorted(claims) == [False, False, False, False, True]
    assert await Chats(database).claim_once("report 2026-11-20 wr2", NOW)
    assert float(await Chats(database).recall("report 2026-11-20 wr1")) == NOW
