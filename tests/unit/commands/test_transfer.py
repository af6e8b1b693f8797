"""/transfer customer servicer"""

from __future__ import annotations

import pytest

from bot.errors import WeComUnavailable
from bot.model import Servicer, ServiceState, SessionKey, StateReading
from tests.unit.commands.conftest import ANN, BOB, KF, Room, refusal

KEY = SessionKey(KF, ANN)


@pytest.fixture(autouse=True)
def staff(request: pytest.FixtureRequest) -> None:
    room = request.getfixturevalue("english" if "english" in request.fixturenames else "room")
    room.kf.staff = [Servicer("ZhangSan", True), Servicer("LiNa", True), Servicer("Wang_Wu", False)]


@pytest.mark.parametrize(
    "text",
    ["/transfer wm7l LiNa", "/转接 1 lina", "/Transfer #1 @Li。", "/transfer wm7l，LiNa", "/转接 wm7lKA…OUPw LINA"],
)
async def test_it_goes_to_the_other_and_says_so(room: Room, text: str) -> None:
    await room.open(nickname="小林")
    assert await room.ask(text) == "✅ **小林** #1 `wm7lKA…OUPw` 已转接：ZhangSan → LiNa"
    assert room.kf.moves == [(KEY, "LiNa")]
    assert "LiNa" in await room.ask("/list")


async def test_in_english_from_the_queue(english: Room) -> None:
    await english.queue()
    assert await english.ask("/transfer 1 LiNa") == "✅ #1 `wm7lKA…OUPw` transferred: queue → LiNa"


async def test_a_quoted_message_names_the_customer(room: Room) -> None:
    await room.open(ANN)
    await room.open(BOB)
    assert "✅" in await room.ask("/转接 LiNa", quote="⚠️ #2 `wmQ4Bo…0002` 等了 5 分钟")
    assert [key.external_userid for key, _ in room.kf.moves] == [BOB]


@pytest.mark.parametrize("text", ["/transfer", "/transfer wm7l", "/transfer wm7l LiNa now"])
async def test_what_is_missing_or_too_much_gets_the_usage(room: Room, text: str) -> None:
    await room.open()
    assert "用法：`/transfer 客户 接待人`" in await room.ask(text)
    assert room.kf.moves == []


async def test_who_cannot_have_it_is_answered_with_who_could(room: Room) -> None:
    await room.open(ANN)
    await room.open(BOB)
    assert await room.ask("/transfer 1 Nobody") == (
        "❌ 该账号的接待人员里没有 `Nobody`，未转接。\n正在接待（会话数）：`LiNa`（0） · `ZhangSan`（2）"
    )
    assert await room.ask("/transfer 1 wang") == (
        "❌ Wang＿Wu 没有在接待，#1 `wm7lKA…OUPw` 未转接。\n正在接待（会话数）：`LiNa`（0） · `ZhangSan`（2）"
    )
    room.kf.staff.append(Servicer("LiMing", True))
    assert await room.ask("/transfer 1 li") == "❌ `li` 匹配到多位接待人员，未转接：`LiNa` `LiMing`"
    assert "已由 ZhangSan 接待" in await room.ask("/transfer 1 ZhangSan")
    room.kf.staff = []
    assert "现在没有别人在接待" in await room.ask("/transfer 1 LiNa")
    assert room.kf.moves == []


async def test_words_of_members_cannot_format_the_answer(room: Room) -> None:
    await room.open()
    assert not set(await room.ask("/transfer 1 <@all>**x**[y](http://z)")) & set("<>*[]")


async def test_an_ended_session_says_who_ended_it(room: Room) -> None:
    await room.open()
    await room.ended(by="ChenJing")
    answer = await room.ask("/transfer 1 LiNa")
    assert "已经结束，不能转接" in answer and "结束：ChenJing" in answer
    await room.open()
    answer = await room.ask("/transfer 1 LiNa")
    assert "已经结束" in answer and "#2，没有动它" in answer
    assert room.kf.moves == []


async def test_a_session_with_the_assistant_says_so(room: Room) -> None:
    await room.open()
    await room.ended()
    room.kf.states[KEY] = StateReading(ServiceState.ASSISTANT)
    assert "「智能助手接待中」（state=1），没有人工会话可转接" in await room.ask("/transfer wm7l LiNa")


@pytest.mark.parametrize("errcode", [95014, 95016, 95019])
async def test_a_refusal_is_put_into_words_with_who_is_receiving(room: Room, errcode: int) -> None:
    await room.open()
    room.kf.refuse["trans"] = [refusal(errcode)]
    head, why, who = (await room.ask("/transfer 1 LiNa")).splitlines()
    assert head == "❌ #1 `wm7lKA…OUPw` 未能转给 LiNa。"
    assert why.startswith(f"企业微信返回 {errcode}：") and "`ZhangSan`（1）" in who


async def test_other_refusals_have_code_meaning_and_remedy(room: Room) -> None:
    await room.open()
    room.kf.refuse["trans"] = [refusal(45009)]
    answer = await room.ask("/transfer 1 LiNa")
    assert "未能转给 LiNa" in answer and "45009" in answer and "停 1 分钟" in answer


async def test_without_an_answer_it_tells_what_is_known(room: Room) -> None:
    await room.open()
    room.kf.refuse["trans"] = [WeComUnavailable("trans", "timed out")]
    assert "没有转给 LiNa" in await room.ask("/transfer 1 LiNa")

    def lost(call: str) -> None:
        if call == "trans":
            room.kf.refuse["state"] = [WeComUnavailable("state", "timed out")]

    room.kf.before = lost
    room.kf.refuse["trans"] = [WeComUnavailable("trans", "timed out")]
    assert (await room.ask("/transfer 1 LiNa")).startswith("⏳ 企业微信没有应答")


async def test_a_state_that_cannot_be_read_leaves_everything(room: Room) -> None:
    await room.open()
    room.kf.refuse["state"] = [WeComUnavailable("state", "timed out", sent=False)]
    assert "企业微信没有应答" in await room.ask("/transfer 1 LiNa")
    assert room.kf.moves == []
