"""/help [command]"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.commands.conftest import Room, a_room


async def test_the_overview_has_every_command_with_usage_and_meaning(room: Room) -> None:
    answer = await room.ask("/help")
    for name in (
        "end 客户 [原因]",
        "status [客户]",
        "list [等待|人工|排队] [页码]",
        "history [客户]",
        "whoami",
        "bind 配对码",
    ):
        assert f"> `/{name}` " in answer
    assert "您的角色：客服" in answer and "@kfbot" in answer


async def test_the_overview_in_english(english: Room) -> None:
    answer = await english.ask("/help")
    assert "> `/list [waiting|human|queue] [page]` List open sessions, longest wait first" in answer
    assert "your role: agent" in answer


async def test_only_what_the_asker_may_run_is_shown(tmp_path: Path) -> None:
    async with a_room(tmp_path / "kfbot.db", agents=("LiNa",)) as room:
        assert "/end" not in await room.ask("/help", userid="Guest")
        assert "/end" in await room.ask("/help", userid="LiNa")
        answer = await room.ask("/help end", userid="Guest")
        assert "需要「客服」角色" in answer and "原因" not in answer


async def test_in_a_single_chat_the_rest_is_said_to_be_in_the_group(room: Room) -> None:
    answer = await room.ask("/help", single=True)
    assert "/end" not in answer and "客服群" in answer
    assert "/end" in await room.ask("/help", userid="Boss", single=True)


@pytest.mark.parametrize("name", ["end", "/end", "End", "结束", "／end", "end。", "`/end`"])
async def test_one_command(room: Room, name: str) -> None:
    answer = await room.ask(f"/help {name}")
    assert answer.startswith("`/end 客户 [原因]` ") and "别名：`结束`" in answer and "编号" in answer


async def test_a_command_without_customer_is_explained_without_one(english: Room) -> None:
    answer = await english.ask("/help list")
    assert answer == ("`/list [waiting|human|queue] [page]` List open sessions, longest wait first\nAlso: `列表` `ls`")


async def test_an_unknown_command_is_answered_with_the_nearest(room: Room) -> None:
    assert "`/history`" in await room.ask("/help histroy")


async def test_a_question_mark_asks_for_help(room: Room) -> None:
    assert "/help [命令]" in await room.ask("/help ?")
    assert "我能做的事" in await room.ask("/?")
