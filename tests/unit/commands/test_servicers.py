"""/servicers"""

from __future__ import annotations

from pathlib import Path

from bot.model import Servicer
from tests.unit.commands.conftest import ANN, ANNA, BOB, CHAT, KF, KF2, Room, a_room


async def test_busiest_first_with_reception_per_account(room: Room) -> None:
    now = room.clock.time
    staff = [Servicer("LiNa", True), Servicer("ZhangSan", False), Servicer("Wang_Wu", False, True), Servicer("Chen")]
    await room.people.save_servicers(KF, [*staff, Servicer("", department_id=2)], now)
    await room.people.save_servicers(KF2, [Servicer("LiNa", True)], now)
    await room.open(ANN, servicer="ZhangSan")
    await room.open(ANNA, servicer="ZhangSan")
    await room.open(BOB, servicer="Gone")
    await room.queue(ANN, KF2)
    assert (await room.ask("/servicers")).splitlines() == [
        "**接待人员**",
        "售前咨询：4 人中 1 人正在接待",
        "> ⚪ ZhangSan · 停止接待 · 2 个会话",
        "> ⚪ Gone · 不在接待名单 · 1 个会话",
        "> 🟢 LiNa · 正在接待 · 0 个会话",
        "> ⚪ Wang＿Wu · 暂停接待 · 0 个会话",
        "> ⚪ Chen · 接待状态未知 · 0 个会话",
        "售后＿服务：1 人中 1 人正在接待",
        "> 🟢 LiNa · 正在接待 · 0 个会话",
    ]


async def test_ended_sessions_are_no_load(english: Room) -> None:
    await english.people.save_servicers(KF, [Servicer("LiNa", True)], english.clock.time)
    await english.open(servicer="LiNa")
    assert "> 🟢 LiNa · receiving · 1 open" in await english.ask("/接待")
    await english.ended()
    assert "> 🟢 LiNa · receiving · 0 open" in await english.ask("/servicers")


async def test_old_news_say_how_old_they_are(room: Room) -> None:
    await room.people.save_servicers(KF, [Servicer("LiNa", True), Servicer("ZhangSan", True)], room.clock.time)
    room.clock.time += 600
    await room.people.servicer_changed(KF, "ZhangSan", False, False, room.clock.time)
    assert "读到的" not in await room.ask("/servicers")
    room.clock.time += 60
    assert (await room.ask("/servicers")).endswith("以上是 11 分钟前读到的。")


async def test_a_long_list_is_cut_after_the_busiest(room: Room) -> None:
    await room.people.save_servicers(KF, [Servicer(f"staff{n:03}", n > 90) for n in range(100)], room.clock.time)
    await room.open(servicer="staff050")
    rows = (await room.ask("/servicers")).splitlines()[2:]
    assert rows[0].startswith("> ⚪ staff050") and rows[1].startswith("> 🟢 staff091")
    assert len(rows) == 21 and rows[-1] == "> …还有 80 人"


async def test_nothing_known_yet(room: Room) -> None:
    assert await room.ask("/servicers") == "还没有读到接待人员。"


async def test_a_group_sees_its_own_accounts(tmp_path: Path) -> None:
    async with a_room(tmp_path / "kfbot.db", routes={KF2: "wrOTHER"}) as room:
        for kf in (KF, KF2):
            await room.people.save_servicers(kf, [Servicer("LiNa", True)], room.clock.time)
        assert "售后" not in await room.ask("/servicers", chat=CHAT)
        assert "售前" not in await room.ask("/servicers", chat="wrOTHER")
