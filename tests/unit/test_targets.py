"""The ways of naming a customer, and what is not done when a name is not enough."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.errors import CommandError
from bot.model import Scope, SessionKey
from bot.targets import CANDIDATES, Targets
from bot.wording import short_id
from tests.unit.commands.conftest import ANN, ANNA, BOB, KF, KF2, Room, a_room


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with a_room(tmp_path / "kfbot.db") as ready:
        yield ready


@pytest.fixture
def targets(room: Room) -> Targets:
    return Targets(room.ledger, room.people, room.dispatch.say)


async def refused(targets: Targets, word: str) -> CommandError:
    with pytest.raises(CommandError) as caught:
        await targets.named(word)
    return caught.value


@pytest.mark.parametrize(
    "word",
    [
        ANN,
        "wm7lKA",
        "wm7lKAAnn",
        "1",
        "#1",
        "Wm7lKA",  # phones write the first letter large
        "WM7lKA",
        "wm7lKA…OUPw",
        "Wm7lKA…OUPw",
        "wm7lKA……OUPw",  # a Chinese keyboard writes the dots twice
        "wm7lKA...OUPw",
        "wm7l..OUPw",
    ],
)
async def test_one_open_session(room: Room, targets: Targets, word: str) -> None:
    await room.open(ANN, nickname="小林")
    await room.open(ANNA)
    await room.open(BOB)
    found = await targets.named(word)
    assert (found.key, found.nickname) == (SessionKey(KF, ANN), "小林")
    assert found.handoff is not None and found.handoff.id == 1


async def test_several_open_sessions_are_listed_with_number_and_account(room: Room, targets: Targets) -> None:
    await room.open(ANN, nickname="小*林")
    await room.open(ANN, KF2)
    error = await refused(targets, ANN)
    assert error.outcome == "ambiguous"
    assert "> **小＊林** #1 `wm7lKA…OUPw` · 售前咨询" in str(error)
    assert "> **小＊林** #2 `wm7lKA…OUPw` · 售后＿服务" in str(error)


async def test_an_open_session_comes_before_ended_ones(room: Room, targets: Targets) -> None:
    await room.open(ANN, KF2)
    await room.ended(ANN, KF2)
    await room.open(ANN)
    assert (await targets.named("wm7l")).key == SessionKey(KF, ANN)


async def test_an_ended_session_is_found_by_prefix_without_a_handoff(room: Room, targets: Targets) -> None:
    await room.open()
    await room.ended()
    found = await targets.named("wm7l")
    assert found.key == SessionKey(KF, ANN) and found.handoff is None


async def test_several_ended_sessions_are_listed_with_numbers_to_choose_by(room: Room, targets: Targets) -> None:
    for kf in (KF, KF2):
        await room.open(ANN, kf)
        await room.ended(ANN, kf)
    error = await refused(targets, ANN)
    assert "#1" in str(error) and "#2" in str(error)
    assert (await targets.named("#2")).key == SessionKey(KF2, ANN)


async def test_more_candidates_than_fit_are_cut_and_said(room: Room, targets: Targets) -> None:
    for number in range(CANDIDATES + 2):
        await room.open(f"wmABCD{number:026}")
    lines = str(await refused(targets, "wmABCD")).splitlines()
    assert len(lines) == CANDIDATES + 2 and "还有更多" in lines[-1]


async def test_a_shortened_id_is_found_among_many_that_begin_alike(room: Room, targets: Targets) -> None:
    """All customers of a corp share their first characters."""
    ids = [f"wmErGzDgAA{number:018}{number:04}" for number in range(40)]
    for each in ids:
        await room.open(each)
    assert (await targets.named(short_id(ids[37]))).key.external_userid == ids[37]
    await room.ended(ids[38])
    assert (await targets.named(short_id(ids[38]))).key.external_userid == ids[38]


@pytest.mark.parametrize("word", ["wm7", "w", "7lK", "好的", "w…"])
async def test_too_little_is_misuse(room: Room, targets: Targets, word: str) -> None:
    await room.open()
    assert (await refused(targets, word)).outcome == "usage"


@pytest.mark.parametrize(
    "word", ["wmNobody", "wm7lKA…XXXX", "#99", "99", "123456789012", "1234567890123", "wm7l%", "wm7_"]
)
async def test_nobody_of_that_name(room: Room, targets: Targets, word: str) -> None:
    await room.open()
    assert (await refused(targets, word)).outcome == "unknown"


async def test_of_one_customer_only_the_session_in_scope_can_be_meant(room: Room) -> None:
    await room.open(ANN, KF)
    await room.open(ANN, KF2)
    scope = Scope(frozenset({KF2}), others=False)
    targets = Targets(room.ledger.within(scope), room.people, room.dispatch.say, scope=scope)
    for word in (ANN, "wm7l", "wm7lKA…OUPw", "#2"):
        assert (await targets.named(word)).key == SessionKey(KF2, ANN)
    assert str(await refused(targets, "#1")) == str(await refused(targets, "#99")).replace("99", "1")


async def test_an_unknown_customer_is_located_within_the_scope(room: Room) -> None:
    asked: list[tuple[str, Scope]] = []

    async def locate(external_userid: str, scope: Scope) -> list[SessionKey]:
        asked.append((external_userid, scope))
        return []

    await room.open(ANN, KF)
    scope = Scope(frozenset({KF2}), others=False)
    targets = Targets(room.ledger.within(scope), room.people, room.dispatch.say, locate, scope)
    assert (await refused(targets, ANN)).outcome == "unknown"
    assert asked == [(ANN, scope)]


async def test_a_number_names_its_stretch_also_when_it_has_ended(room: Room, targets: Targets) -> None:
    await room.open()
    await room.ended()
    await room.open()
    found = await targets.named("#1")
    assert found.handoff is not None and not found.handoff.status.is_open


@pytest.mark.parametrize(
    "text",
    [
        "⚠️ **小林** #1 `wm7lKA…OUPw` 等了 5 分钟",
        "#1",
        f"客户 {ANN}",
        f"**小林** `wm7lKA…OUPw`\n`{ANN}` · 售前咨询",
        "ℹ️ `wm7lKA…OUPw` 当前没有人工会话",
        "客户最后一句：我的号是＃2",
        "#1 and again #1",
    ],
)
async def test_a_quote_names_one_customer(room: Room, targets: Targets, text: str) -> None:
    await room.open(ANN)
    await room.open(BOB)
    found = await targets.quoted(text if "＃" not in text else f"#1 {text}")
    assert found is not None and found.key.external_userid == ANN


@pytest.mark.parametrize("text", ["", "大家好", "wm7l", "# 1", "1.", "＃1"])
async def test_a_quote_names_nobody(room: Room, targets: Targets, text: str) -> None:
    await room.open()
    assert await targets.quoted(text) is None


@pytest.mark.parametrize("text", ["#1 #2", f"{ANN} {BOB}", "`wm7lKA…OUPw` `wmQ4Bo…0002`", f"`wm7lKA…OUPw` {BOB}"])
async def test_a_quote_names_several(room: Room, targets: Targets, text: str) -> None:
    await room.open(ANN)
    await room.open(BOB)
    with pytest.raises(CommandError) as caught:
        await targets.quoted(text)
    assert caught.value.outcome == "ambiguous"
