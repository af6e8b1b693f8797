"""/end all idle>30m, and /confirm CODE"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.errors import WeComUnavailable
from bot.model import ServiceState, SessionKey, StateReading
from tests.unit.commands.conftest import ANN, ANNA, BOB, CHAT, KF, KF2, Room, a_room, refusal

CODE = re.compile(r"/confirm ([0-9A-Z]+)")


async def planned(room: Room, text: str = "/end all idle>30m", chat: str = CHAT) -> str:
    """The code of the plan."""
    found = CODE.search(await room.ask(text, chat=chat))
    assert found
    return found[1]


async def test_it_lists_what_it_would_end_and_ends_nothing(room: Room) -> None:
    await room.open(ANN, nickname="小林", waits=3600)
    await room.open(BOB, waits=0)
    await room.answered(BOB)
    room.clock.time += 1860
    lines = (await room.ask("/end all idle>30m")).splitlines()
    assert lines[:4] == [
        "**将结束 2 个会话**（空闲>30m）",
        "> **小林** #1 `wm7lKA…OUPw` · ZhangSan · 1 小时 31 分钟无动静 · 等了 1 小时 31 分钟",
        "> #2 `wmQ4Bo…0002` · ZhangSan · 31 分钟无动静",
        "⚠️ 其中 1 位客户还在等回复。",
    ]
    assert CODE.search(lines[4]) and "60 秒" in lines[4] and len(lines) == 5
    assert room.kf.moves == []


async def test_each_condition_shows_the_clock_it_looks_at(english: Room) -> None:
    await english.open(ANN, waits=5 * 3600)
    assert "waiting 5 h" in await english.ask("/end all waiting>10m")
    answer = await english.ask("/end all open>4h")
    assert "**Sessions to be ended: 1** (open>4h)" in answer and "open for 5 h · waiting 5 h" in answer


async def test_ten_are_shown_and_the_rest_is_counted(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.bulk.MOST", 12)
    for number in range(13):
        await room.open(f"wmMANY{number:026}", waits=4000 - number)
    answer = await room.ask("/end all waiting>1h")
    assert "**将结束 12 个会话**" in answer and "> …还有 2 个" in answer
    assert "不止这些，这次只处理最久的 12 个" in answer
    assert answer.count("· 等了") == 10 and "其中 12 位" in answer


async def test_confirmed_it_ends_them(room: Room) -> None:
    await room.open(ANN, waits=3600)
    await room.open(ANNA, waits=3600)
    await room.open(BOB, waits=60)
    code = await planned(room)
    answer = await room.ask(f"/confirm {code}")
    assert answer == "✅ 已结束 2 · 此前已结束 0 · 跳过 0 · 失败 0 · 待核实 0\n已结束：#1 #2"
    assert sorted(key.external_userid for key, _ in room.kf.moves) == [ANN, ANNA]
    assert "已经用过" in await room.ask(f"/confirm {code}")
    assert len(room.kf.moves) == 2
    assert "原因：idle＞30m" in await room.ask("/history 1")


@pytest.mark.parametrize(
    "text",
    [
        "/END ALL IDLE>30M",
        "／end　all　idle＞30m",
        "/结束 全部 空闲>30m",
        "/结束 全部 空闲 ＞ 30分钟",
        "/结束全部 空闲》30m。",
        "结束 全部 空闲>30m",
        "/end all: idle>30m",
        "/end all `idle>30m`",
    ],
)
async def test_however_it_is_written(room: Room, text: str) -> None:
    await room.open(waits=3600)
    code = await planned(room, text)
    assert "已结束 1" in await room.ask(f"/确认 {code.lower()}。")


@pytest.mark.parametrize(
    "text", ["/end all", "/end ALL 。", "/结束 全部", "/结束全部", "/end all 30m", "/end all idle>10"]
)
async def test_without_a_good_condition_it_says_how(room: Room, text: str) -> None:
    await room.open(waits=36000)
    answer = await room.ask(text)
    assert "用法：`/end all 条件`" in answer and "`waiting>10m`" in answer and "/confirm" not in answer
    assert room.kf.moves == []


async def test_where_nothing_fits_there_is_nothing_to_confirm(room: Room) -> None:
    await room.open(waits=3600)
    code = await planned(room)
    assert await room.ask("/end all idle>2h") == "没有符合「空闲>2h」的会话，未执行任何操作。"
    assert "没有等您确认" in await room.ask(f"/confirm {code}")
    assert room.kf.moves == []


async def test_only_who_asked_may_confirm_and_only_where_and_in_time(room: Room) -> None:
    await room.open(waits=3600)
    code = await planned(room)
    assert "LiNa" in await room.ask(f"/confirm {code}", userid="ChenJing")
    assert "没有等您确认的 `XXXX`" in await room.ask("/confirm XXXX")
    room.clock.time += 61
    assert "超过 60 秒" in await room.ask(f"/confirm {code}")
    assert "用法：`/confirm 确认码`" in await room.ask("/confirm")
    assert room.kf.moves == []


async def test_who_may_not_end_may_neither_plan_nor_confirm(tmp_path: Path) -> None:
    async with a_room(tmp_path / "kfbot.db", agents=("LiNa",)) as room:
        await room.open(waits=3600)
        assert "不能执行 /end all" in await room.ask("/end all idle>30m", userid="Guest")
        code = await planned(room)
        assert "不能执行 /confirm" in await room.ask(f"/confirm {code}", userid="Guest")
        assert room.kf.moves == []


async def test_a_group_plans_for_its_own_accounts_only(tmp_path: Path) -> None:
    async with a_room(tmp_path / "kfbot.db", routes={KF2: "wrOTHER"}) as room:
        await room.open(ANN, KF, waits=3600)
        await room.open(ANN, KF2, waits=3600)
        answer = await room.ask("/end all idle>30m", chat=CHAT)
        assert "将结束 1 个会话" in answer and "#1" in answer
        code = await planned(room, chat="wrOTHER")
        assert "已结束 1" in await room.ask(f"/confirm {code}", chat="wrOTHER")
        assert [key for key, _ in room.kf.moves] == [SessionKey(KF2, ANN)]


async def test_what_failed_is_told_by_reason_with_the_remedy(room: Room) -> None:
    for customer in (ANN, ANNA, BOB):
        await room.open(customer, waits=3600)
    code = await planned(room)
    room.kf.states[SessionKey(KF, BOB)] = StateReading(ServiceState.ENDED)
    room.kf.refuse["trans"] = [refusal(95016) for _ in range(2)]
    first, failed = (await room.ask(f"/confirm {code}")).splitlines()
    assert first == "⚠️ 已结束 0 · 此前已结束 1 · 跳过 0 · 失败 2 · 待核实 0"
    assert failed.startswith("> #") and "#1" in failed and "#2" in failed
    assert "95016" in failed and "仅智能助手接待" in failed


async def test_skipped_and_unknown_are_explained(room: Room) -> None:
    await room.open(ANN, waits=3600)
    await room.open(BOB, waits=3600)
    code = await planned(room)
    await room.answered(BOB)

    def lost(call: str) -> None:
        if call == "trans":
            room.kf.refuse["state"] = [WeComUnavailable("state", "timed out")]

    room.kf.before = lost
    room.kf.refuse["trans"] = [WeComUnavailable("trans", "timed out")]
    answer = await room.ask(f"/confirm {code}")
    assert "跳过 1" in answer and "待核实 1" in answer
    assert "有人发了消息" in answer and "在这里告知" in answer


async def test_end_still_takes_a_customer_and_help_knows_both(room: Room) -> None:
    await room.open()
    answer = await room.ask("/help end")
    assert answer.startswith("`/end 客户 [原因]`") and "另见：`/end all 条件`" in answer
    for name in ("end all", "/end all", "END ALL。", "结束 全部", "结束全部"):
        assert (await room.ask(f"/help {name}")).startswith("`/end all 条件`")
    assert "用法：`/help" in await room.ask("/help end now")
    assert "`/end all`" in await room.ask("/endall")
    assert "✅" in await room.ask("/end 1 all done")
