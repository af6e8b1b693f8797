"""/list [waiting|human|queue] [page]"""

from __future__ import annotations

from tests.unit.commands.conftest import AFTER, ANN, ANNA, BOB, KF, KF2, Room


async def test_longest_wait_first_with_number_servicer_and_clock(room: Room) -> None:
    await room.open(ANN, nickname="小林", waits=300)
    await room.open(ANNA, waits=3600, servicer="Wang_Wu")
    await room.queue(BOB)
    room.clock.time += 60
    assert (await room.ask("/list")).splitlines() == [
        "**进行中的会话** 1–3，共 3",
        "> #2 `wm7lKB…XYZw` · Wang＿Wu · 已接入，未回复 · 等了 1 小时 1 分钟",
        "> **小林** #1 `wm7lKA…OUPw` · ZhangSan · 已接入，未回复 · 等了 6 分钟",
        "> #3 `wmQ4Bo…0002` · 排队中 · 1 分钟无动静",
        "结束用 `/end 编号`，例如 `/end 2`",
    ]


async def test_in_english(english: Room) -> None:
    await english.open(ANN, waits=300)
    assert (await english.ask("/list")).splitlines() == [
        "**Open sessions** 1–1 of 1",
        "> #1 `wm7lKA…OUPw` · ZhangSan · accepted, not answered yet · waiting 5 min",
        "To end one, use its number: `/end 1`",
    ]


async def test_no_running_number_can_be_mistaken_for_a_handoff(room: Room) -> None:
    for _ in range(3):
        await room.open(ANN)
        await room.ended(ANN)
    await room.open(ANN)
    assert "1." not in await room.ask("/list") and "#4" in await room.ask("/list")


async def test_kinds(room: Room) -> None:
    await room.open(ANN, waits=10)
    await room.open(ANNA)
    await room.answered(ANNA)
    await room.queue(BOB)
    assert "**等待回复的会话** 1–1，共 1" in await room.ask("/list waiting")
    assert "**人工接待的会话** 1–2，共 2" in await room.ask("/list 人工")
    assert "**排队中的会话** 1–1，共 1" in await room.ask("/ls QUEUE")


async def test_none_of_a_kind_does_not_deny_the_others(room: Room) -> None:
    assert await room.ask("/list") == "没有进行中的会话。"
    await room.open(ANN)
    await room.answered(ANN)
    assert await room.ask("/list queue") == "没有排队中的会话。"
    assert await room.ask("/list waiting") == "没有客户在等待回复。"
    await room.ended(ANN)
    assert await room.ask("/list human") == "没有人工接待中的会话。"


async def test_pages(room: Room) -> None:
    for number in range(25):
        await room.open(f"wmPAGE{number:026}", waits=1000 - number)
    first = await room.ask("/list")
    assert "1–10，共 25" in first and first.endswith("下一页：`/list 2`")
    second = await room.ask("/list 人工 2")
    assert "11–20，共 25" in second and second.endswith("下一页：`/list 人工 3`")
    third = await room.ask("/list 3")
    assert "21–25，共 25" in third and "下一页" not in third and third.count("> ") == 5


async def test_a_page_that_is_not_there(english: Room) -> None:
    await english.open()
    assert await english.ask("/list 2") == "There is no page 2; the last is page 1."


async def test_who_only_looks_is_not_told_how_to_end(room: Room) -> None:
    await room.open()
    room.dispatch.access = type(room.dispatch.access)(frozenset(), frozenset({"LiNa"}))
    assert "/end" in await room.ask("/list", userid="LiNa")
    assert "/end" not in await room.ask("/list", userid="Guest")


async def test_a_group_lists_its_own(two_groups: Room) -> None:
    await two_groups.open(ANN, KF)
    await two_groups.queue(BOB, KF2)
    assert "1–1，共 1" in (here := await two_groups.ask("/list")) and "#1" in here and "#2" not in here
    assert "1–1，共 1" in (there := await two_groups.ask("/list", chat=AFTER)) and "#2" in there and "#1" not in there
    assert await two_groups.ask("/list queue") == "没有排队中的会话。"
    assert "共 2" in await two_groups.ask("/list", userid="Boss", chat=AFTER)
