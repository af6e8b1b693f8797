"""/end customer [reason]"""

from __future__ import annotations

import pytest

from bot.errors import WeComUnavailable
from bot.model import OperatorType, ServiceState, SessionKey, StateReading
from tests.unit.commands.conftest import AFTER, ANN, BOB, CHAT, KF, KF2, Room, refusal


async def test_it_ends_and_says_so(room: Room) -> None:
    await room.open(nickname="小林", waits=300)
    answer = await room.ask("/end wm7l 已解决")
    assert answer.splitlines()[0] == "✅ 已结束 **小林** #1 `wm7lKA…OUPw`，历时 5 分钟。结束语已发送。"
    assert room.kf.moves == [(SessionKey(KF, ANN), "ZhangSan")]
    [handoff] = await room.ledger.history(SessionKey(KF, ANN))
    assert (handoff.ended_by, handoff.operator_id, handoff.via) == (OperatorType.AGENT, "LiNa", "command")


async def test_in_english(english: Room) -> None:
    await english.open(waits=300)
    first = (await english.ask("/end 1")).splitlines()[0]
    assert first == "✅ Ended #1 `wm7lKA…OUPw` after 5 min. Closing message: sent."


@pytest.mark.parametrize("written", ["/End Wm7lKA…OUPw", "/end wm7lKA…OUPw。", "/END `wm7lKA…OUPw`", "／end　Wm7l。"])
async def test_the_shortened_id_of_a_reply_can_be_pasted_back(room: Room, written: str) -> None:
    await room.open()
    await room.open(BOB)
    assert "`wm7lKA…OUPw`" in await room.ask("/list")
    assert "✅" in await room.ask(written)
    assert [key.external_userid for key, _ in room.kf.moves] == [ANN]


async def test_a_number_of_an_ended_stretch_never_ends_the_next(room: Room) -> None:
    await room.open()
    await room.ended(by="LiNa")
    await room.open()
    for written in ("/end 1", "/end #1", "/end ＃１"):
        answer = await room.ask(written)
        assert "此前已经结束：LiNa" in answer and "#2" in answer
    assert "此前已经结束" in await room.ask("/end", quote="⚠️ #1 `wm7lKA…OUPw` 等了 5 分钟")
    assert room.kf.moves == []
    assert await room.ledger.open_handoff(SessionKey(KF, ANN)) is not None


async def test_an_ended_session_says_by_whom_and_when(room: Room) -> None:
    await room.open()
    await room.ended(by=ANN, via="chat")
    for written in ("/end 1", "/end wm7l", f"/end {ANN}"):
        assert "此前已经结束：客户本人" in await room.ask(written)


async def test_a_session_with_the_assistant_has_no_human_to_end(room: Room) -> None:
    await room.open()
    await room.ended()
    room.kf.states[SessionKey(KF, ANN)] = StateReading(ServiceState.ASSISTANT)
    assert "「智能助手接待中」（state=1）" in await room.ask("/end wm7l")


async def test_a_refusal_gives_code_meaning_and_the_manual_way(room: Room) -> None:
    await room.open(nickname="小林")
    room.kf.refuse["trans"] = [refusal(95016) for _ in range(3)]
    answer = await room.ask("/end 1")
    assert answer.startswith("❌ 未能结束 **小林** #1") and "95016" in answer and "删除会话" in answer


async def test_a_state_that_cannot_be_read_leaves_everything(room: Room) -> None:
    await room.open(nickname="小林")
    room.kf.refuse["state"] = [WeComUnavailable("kf/service_state/get", "timed out", sent=False)]
    answer = await room.ask("/end 1")
    assert answer.startswith("❌ 读不到 **小林** #1 `wm7lKA…OUPw` 的状态，未执行任何操作。")
    assert room.kf.moves == []


async def test_a_prefix_that_fits_several_does_nothing(room: Room) -> None:
    await room.open(ANN)
    await room.open("wm7lKAother")
    answer = await room.ask("/end wm7lKA")
    assert "匹配到多个客户" in answer and "#1" in answer and "#2" in answer
    assert room.kf.moves == []


async def test_words_of_customers_cannot_format_the_answer(room: Room) -> None:
    await room.open(nickname="<@all>[点](http://e)**")
    for written in ("/status 1", "/list", "/history", "/end 1 **why** <@all>", "/history", "/end 1"):
        answer = await room.ask(written)
        assert not any(mark in answer for mark in ("<@", "](", "://", "**why", "****"))


async def test_a_session_of_another_group_cannot_be_ended_and_is_not_known(two_groups: Room) -> None:
    await two_groups.open(ANN, KF2)
    unknown = await two_groups.ask("/end 99"), await two_groups.ask("/end wm7lNobody")
    for word in ("1", "#1", ANN, "wm7l", "wm7lKA…OUPw"):
        answer = await two_groups.ask(f"/end {word}")
        assert answer in (unknown[0].replace("99", "1"), unknown[1].replace("wm7lNobody", word))
    assert await two_groups.ask("/end", quote="⚠️ #1 `wm7lKA…OUPw`") == unknown[0].replace("99", "1")
    assert two_groups.kf.moves == []
    assert "✅" in await two_groups.ask("/end 1", chat=AFTER)


async def test_an_admin_may_end_any_session_anywhere(two_groups: Room) -> None:
    for chat, single in ((CHAT, False), (AFTER, False), ("", True)):
        for kf in (KF, KF2):
            number = (await two_groups.open(ANN, kf)).id
            assert "✅" in await two_groups.ask(f"/end {number}", userid="Boss", chat=chat, single=single)
