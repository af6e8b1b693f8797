"""/whoami"""

from __future__ import annotations

from pathlib import Path

from tests.unit.commands.conftest import CHAT, Room, a_room


async def test_userid_role_and_group(room: Room) -> None:
    assert await room.ask("/whoami") == f"userid：`LiNa` · 角色：客服\n本群 chatid：`{CHAT}`"


async def test_in_a_single_chat_there_is_no_group(english: Room) -> None:
    assert await english.ask("/whoami", userid="Boss", single=True) == "userid: `Boss` · role: admin"


async def test_it_works_before_the_group_is_paired(tmp_path: Path) -> None:
    async with a_room(tmp_path / "kfbot.db", paired=()) as room:
        assert "`wrNEW`" in await room.ask("/我是谁", chat="wrNEW")


async def test_who_only_looks_is_told_so(tmp_path: Path) -> None:
    async with a_room(tmp_path / "kfbot.db", agents=("LiNa",)) as room:
        assert "只读" in await room.ask("/whoami", userid="Guest")
