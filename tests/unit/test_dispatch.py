"""A message from the door to the row: who may, what the words mean, and what happens when something breaks."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.dispatch import Access
from bot.errors import ChannelError, StorageError
from bot.handing import UNFOLLOWED, Handing
from bot.model import EVERYTHING, GroupMessage, HandoffStatus, Scope, ServiceState, SessionKey, StateReading
from bot.ports import TAP, LostCommand
from bot.registry import Command, Context, Rest, Role, Target, command
from tests.fakes import worked
from tests.unit.commands.conftest import ANN, ANNA, BOB, CHAT, KF, NOW, Channel, Room, a_room

INCIDENT = re.compile(r"`([0-9a-f]{8})`")


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with a_room(tmp_path / "kfbot.db") as ready:
        yield ready


def waiting(begun: asyncio.Event, go_on: asyncio.Event) -> Command:
    @command("wait")
    async def wait(ctx: Context) -> str:
        """Wait until told to go on"""
        begun.set()
        await go_on.wait()
        return "waited"

    return wait


@command("break")
async def broken(ctx: Context) -> str:
    """Break down"""
    raise RuntimeError("secret detail")


@command("echo")
async def echo(ctx: Context, customer: Target | None = None, rest: Rest = Rest("")) -> str:  # noqa: B008
    """Say what was understood"""
    return f"{customer.key.external_userid if customer else '-'}|{rest}"


# -- once


async def test_two_frames_with_the_same_msgid_run_once(room: Room) -> None:
    assert await room.ask("/whoami", msgid="same")
    assert await room.ask("/whoami", msgid="same") == ""
    assert await room.rows() == 1


async def test_two_frames_at_the_same_moment_run_once(room: Room) -> None:
    message = GroupMessage("fake", "twin", CHAT, True, "LiNa", "/whoami")
    await asyncio.gather(*(worked(room.dispatch.hear, message) for _ in range(5)))
    assert len(room.channel.said) == 1


async def test_a_msgid_is_remembered_across_a_restart(tmp_path: Path) -> None:
    async with a_room(tmp_path / "kfbot.db") as room:
        await room.open()
        assert "✅" in await room.ask("/end 1", msgid="m")
    async with a_room(tmp_path / "kfbot.db") as room:
        await room.open()
        assert await room.ask("/end 1", msgid="m") == ""
        assert room.kf.moves == []


async def test_a_slow_command_does_not_block_another(tmp_path: Path) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    async with a_room(tmp_path / "kfbot.db", more=[waiting(begun, go_on)]) as room:
        slow = asyncio.create_task(room.ask("/wait"))
        await begun.wait()
        assert "LiNa" in await room.ask("/whoami")
        go_on.set()
        await slow
        assert room.channel.said[-1] == "waited"


async def test_each_command_leaves_a_row_and_a_line(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "kfbot.dispatch"):
        await room.ask("/st")
    row = await room.row(1)
    assert (row["command"], row["outcome"], row["userid"], row["text"]) == ("status", "ok", "LiNa", "/st")
    assert row["seconds"] > 0 and row["incident"] is None
    [line] = [record.getMessage() for record in caplog.records if record.name == "kfbot.dispatch"]
    assert line.startswith("command ok | status by=LiNa")


@pytest.mark.parametrize(
    ("text", "outcome"),
    [("/nonsense", "unknown"), ("/list foo", "usage"), ("/end 99", "unknown"), ("/end wm7l", "ambiguous")],
)
async def test_the_row_says_what_came_of_it(room: Room, text: str, outcome: str) -> None:
    await room.open(ANN)
    await room.open(ANNA)
    await room.ask(text)
    assert (await room.row(1))["outcome"] == outcome


# -- what an earlier process left


async def lost(room: Room, *texts: str) -> None:
    """Claimed by a process that has died over them: taps where they are no commands."""
    for number, text in enumerate(texts):
        message = GroupMessage("aibot", f"lost-{number}", CHAT, True, "LiNa", text)
        await room.dispatch.chats.claim(message, "stats" if text.startswith("/") else TAP, text, NOW - 5)
    await room.dispatch.start()


async def outcomes(room: Room) -> list[object]:
    return [(await room.row(number + 1))["outcome"] for number in range(await room.rows())]


async def test_a_tap_that_cannot_be_taken_up_keeps_no_other_from_it(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    taken_up = list[str]()

    async def resume(left: LostCommand) -> bool:
        taken_up.append(left.text)
        if left.text == "end:1":
            raise ZeroDivisionError("the bug")
        return True

    room.dispatch.resume = resume
    await lost(room, "end:1", "/stats", "ack:2")
    await room.dispatch.own_up()
    assert taken_up == ["end:1", "ack:2"]
    assert await outcomes(room) == ["lost"] * 3
    assert "lost tap not taken up | end:1" in caplog.text


async def test_owning_up_goes_on_where_the_database_broke_it_off(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    taken_up, failures = list[str](), [StorageError("locked")]

    async def resume(left: LostCommand) -> bool:
        if left.text == "ack:2" and failures:
            raise failures.pop()
        taken_up.append(left.text)
        return True

    room.dispatch.resume = resume
    await lost(room, "end:1", "ack:2", "/stats")
    with pytest.raises(StorageError):
        await room.dispatch.own_up()
    assert await outcomes(room) == ["lost", None, None]
    await room.dispatch.own_up()
    await room.dispatch.own_up()
    assert taken_up == ["end:1", "ack:2"]
    assert await outcomes(room) == ["lost"] * 3
    assert caplog.text.count("nobody waits any more") == 1, "this channel pushes nothing"


class Pushing(Channel):
    """Refuses the first ones with `refusals`."""

    def __init__(self, *refusals: ChannelError) -> None:
        super().__init__()
        self.refusals, self.pushed = list(refusals), list[tuple[str, str]]()

    async def send(self, chat_id: str, is_group: bool, markdown: str, handing: Handing = UNFOLLOWED) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.pushed.append((chat_id, markdown))


async def test_a_chat_is_told_once_of_all_that_it_has_lost_begun_or_not(room: Room) -> None:
    room.dispatch.channel = channel = Pushing()
    await lost(room, *(f"/stats {number}" for number in range(22)))
    await room.dispatch.own_up()
    ((chat, said),) = channel.pushed
    assert (
        chat == CHAT and "`/stats 0` `/stats 1` " in said and "`/stats 19` … (22)" in said and "/stats 20" not in said
    )
    assert set(await outcomes(room)) == {"lost"}


async def test_what_was_lost_is_told_when_the_connection_is_there(room: Room) -> None:
    room.dispatch.channel = channel = Pushing(ChannelError("not connected"), ChannelError("not connected"))
    await lost(room, "/end 1")
    await room.dispatch.own_up()
    assert len(channel.pushed) == 1 and await outcomes(room) == ["lost"]


@pytest.mark.parametrize("sent", [True, False])
async def test_what_was_lost_is_told_no_more_often_than_that(room: Room, sent: bool) -> None:
    """It may have arrived, or the chat does not want it."""
    refusal = ChannelError("no", 0 if sent else 600039)
    refusal.sent = sent
    room.dispatch.channel = channel = Pushing(refusal)
    await lost(room, "/end 1")
    await room.dispatch.own_up()
    assert channel.pushed == [] and await outcomes(room) == ["lost"]


async def test_who_died_between_telling_and_recording_it_tells_again(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(*_: object, **__: object) -> None:
        raise StorageError("locked")

    room.dispatch.channel = channel = Pushing()
    await lost(room, "/end 1")
    with monkeypatch.context() as patch:
        patch.setattr(room.chats, "settle", dies)
        with pytest.raises(StorageError):
            await room.dispatch.own_up()
    await room.dispatch.start()
    await room.dispatch.own_up()
    assert len(channel.pushed) == 2


async def test_a_command_that_never_got_its_turn_is_on_record(room: Room) -> None:
    work = await room.dispatch.hear(GroupMessage("fake", "m", CHAT, True, "LiNa", "/end 1"))
    assert work is not None and await outcomes(room) == [None]
    assert room.channel.said == []


# -- when something breaks


async def test_an_internal_error_answers_with_an_incident_that_is_in_log_and_row(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_room(tmp_path / "kfbot.db", more=[broken]) as room:
        answer = await room.ask("/break")
        found = INCIDENT.search(answer)
        assert found and "secret detail" not in answer
        row = await room.row(1)
        assert (row["outcome"], row["incident"]) == ("incident", found[1])
        assert f"incident={found[1]}" in caplog.text and "secret detail" in caplog.text
        assert "LiNa" in await room.ask("/whoami")


async def test_a_command_that_cannot_be_recorded_does_not_run_and_says_so(
    room: Room, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def full(*_: object) -> int:
        raise StorageError("disk full")

    await room.open()
    with monkeypatch.context() as patch:
        patch.setattr(room.chats, "claim", full)
        answer = await room.ask("/end 1")
    found = INCIDENT.search(answer)
    assert found and found[1] in caplog.text
    assert room.kf.moves == []
    assert "✅" in await room.ask("/end 1")


async def test_a_row_that_cannot_be_settled_is_logged_and_the_reply_still_comes(
    room: Room, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def full(*_: object) -> None:
        raise StorageError("disk full")

    monkeypatch.setattr(room.chats, "settle", full)
    assert "LiNa" in await room.ask("/whoami")
    assert "not settled" in caplog.text


@pytest.mark.parametrize("failure", [ChannelError("the connection is down"), RuntimeError("bug")])
async def test_a_reply_that_cannot_be_delivered_is_logged_and_the_row_is_settled(
    room: Room, caplog: pytest.LogCaptureFixture, failure: Exception
) -> None:
    room.channel.broken = failure
    assert await room.ask("/whoami") == ""
    assert "reply not delivered" in caplog.text and str(failure) in caplog.text
    assert (await room.row(1))["outcome"] == "ok"
    room.channel.broken = None
    assert await room.ask("/whoami")


# -- who may


def test_with_no_agents_named_everybody_is_one() -> None:
    assert Access().role("anyone") is Role.AGENT
    assert Access(frozenset({"Boss"})).role("Boss") is Role.ADMIN


def test_with_agents_named_others_only_look_and_admins_may_all() -> None:
    access = Access(frozenset({"Boss"}), frozenset({"LiNa"}))
    assert [access.role(each) for each in ("Boss", "LiNa", "Guest")] == [Role.ADMIN, Role.AGENT, Role.VIEWER]
    assert access.who_may(Role.AGENT) == ["Boss", "LiNa"]
    assert access.who_may(Role.ADMIN) == ["Boss"]


async def test_with_no_agents_named_any_member_may_end(room: Room) -> None:
    await room.open()
    assert "✅" in await room.ask("/end 1", userid="Anybody")


async def test_who_may_not_is_told_who_may(tmp_path: Path) -> None:
    async with a_room(tmp_path / "kfbot.db", agents=("LiNa", "Wang_Wu")) as room:
        await room.open()
        answer = await room.ask("/end 1", userid="Guest")
        assert "不能执行 /end" in answer and "`Boss` `LiNa` `Wang_Wu`" in answer
        assert room.kf.moves == []
        assert (await room.row(1))["outcome"] == "forbidden"
        assert "总览" in await room.ask("/status", userid="Guest")
        assert "✅" in await room.ask("/end 1", userid="Boss")


async def test_a_long_list_of_who_may_is_cut(tmp_path: Path) -> None:
    people = [f"agent{number:03}" for number in range(100)]
    async with a_room(tmp_path / "kfbot.db", agents=people, admins=()) as room:
        answer = await room.ask("/end 1", userid="Guest")
        assert answer.endswith("`agent009` …") and len(answer) < 200


@pytest.mark.parametrize("text", ["/status", "/help", "/end 1", "/nonsense", "hello", "", "/help end"])
async def test_an_unpaired_group_gets_the_pairing_hint_and_nothing_else(tmp_path: Path, text: str) -> None:
    async with a_room(tmp_path / "kfbot.db", paired=()) as room:
        answer = await room.ask(text)
        assert answer == room.dispatch.say("refused.unpaired", bot="kfbot")


async def test_when_another_group_is_paired_the_hint_names_what_still_works(room: Room) -> None:
    """There is no code in the log then, so nobody must be sent to look for one."""
    answer = await room.ask("/status", chat="wrOTHER")
    assert "配对码" not in answer and "`wrOTHER`" in answer and "group.chat_ids" in answer


async def test_in_an_unpaired_group_nobody_is_an_agent_by_being_there(tmp_path: Path) -> None:
    async with a_room(tmp_path / "kfbot.db", paired=(), agents=("LiNa",)) as room:
        assert "客服" in await room.ask("/whoami", userid="LiNa")
    async with a_room(tmp_path / "other.db", paired=()) as room:
        assert "只读" in await room.ask("/whoami", userid="Guest")
        assert "管理员" in await room.ask("/whoami", userid="Boss")


@pytest.mark.parametrize("text", ["/status", "/end 1", "/list", "/nonsense", "/history"])
async def test_a_single_chat_is_for_admins(room: Room, text: str) -> None:
    await room.open()
    assert "单聊只对管理员开放" in await room.ask(text, single=True)
    assert room.kf.moves == []
    assert "单聊" not in await room.ask(text, userid="Boss", single=True)


async def test_anybody_may_ask_for_help_and_himself_in_a_single_chat(room: Room) -> None:
    assert "LiNa" in await room.ask("/whoami", single=True)
    answer = await room.ask("/help", single=True)
    assert "/whoami" in answer and "/end" not in answer and "/status" not in answer


# -- what the words mean


@pytest.mark.parametrize(
    "text", ["/WHOAMI", "／whoami", "／ＷｈｏＡｍＩ", "我是谁", "/我是谁？", "/whoami。", " /whoami "]
)
async def test_names_are_case_blind_and_have_chinese_aliases(room: Room, text: str) -> None:
    assert "userid" in await room.ask(text)


@pytest.mark.parametrize("text", ["", "  ", "hello", "你好，在吗", "/", "?!", "🙂"])
async def test_words_that_are_no_command_get_the_help(room: Room, text: str) -> None:
    assert "我能做的事" in await room.ask(text)


async def test_an_unknown_command_is_answered_with_the_nearest_names(room: Room) -> None:
    answer = await room.ask("/statsu")
    assert "没有 /statsu" in answer and answer.count("`/status`") == 1
    assert "`/结束`" in await room.ask("/结术")
    assert "/help" in await room.ask("/qqqqqqq")


async def test_the_nearest_names_are_those_that_the_asker_may_run(tmp_path: Path) -> None:
    async with a_room(tmp_path / "kfbot.db", agents=("LiNa",)) as room:
        assert "`/end`" in await room.ask("/endd", userid="LiNa")
        assert "`/end`" not in await room.ask("/endd", userid="Guest")


async def test_an_unknown_command_cannot_format_the_answer(room: Room) -> None:
    answer = await room.ask("/a`b**<@all>[x](http://y)")
    assert not any(mark in answer for mark in ("<@", "**", "](", "://"))


@pytest.mark.parametrize(
    "text", ["/whoami now", "/status 1 2", "/list human 1 2", "/help end now", "/bind", "/list 0", "/list -1", "/end"]
)
async def test_a_command_with_junk_gets_its_usage_line(room: Room, text: str) -> None:
    await room.open()
    answer = await room.ask(text)
    assert f"用法：`/{text[1:].split()[0]}" in answer
    assert "misused" not in answer and not answer.startswith("\n")
    assert room.kf.moves == []


async def test_a_page_number_may_be_absurd(room: Room) -> None:
    await room.open()
    assert "用法" in await room.ask("/list " + "9" * 4000)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("/end wm7l 已解决，谢谢！", "已解决，谢谢！"),
        ("/end wm7l  two  blanks, kept. ", "two  blanks, kept."),
        ("/end wm7l 第一行\n第二行", "第一行\n第二行"),
        ('/end wm7l "quoted reason"', "quoted reason"),
        ("/end wm7l，已解决", "已解决"),
        ("/end wm7l，已解决。真的 好", "已解决。真的 好"),
        ("/end wm7l已解决", "已解决"),
        ("/end wm7l: done", "done"),
        ("/end #1已解决", "已解决"),
        ("/end 1，已解决", "已解决"),
        ("/end #1。 已解决", "已解决"),
        ("/end wm7lKA…OUPw，已解决", "已解决"),
        ("/结束wm7l 谢谢", "谢谢"),
        ("/end wm7l", None),
        ("/end wm7l。", None),
    ],
)
async def test_a_reason_is_kept_as_it_was_written(room: Room, text: str, reason: str | None) -> None:
    await room.open()
    assert "✅" in await room.ask(text)
    [handoff] = await room.ledger.history(SessionKey(KF, ANN))
    assert handoff.reason == reason


@pytest.mark.parametrize("text", ["/end 1天没回", "/end 1x", "/end 1.5", "/end 1/2"])
async def test_a_number_within_a_word_is_no_customer(room: Room, text: str) -> None:
    await room.open()
    await room.ask(text)
    assert room.kf.moves == []


@pytest.mark.parametrize(
    "word", ["`wm7l`", "「wm7l」", "<wm7l>", "“wm7l”", "wm7l.", "wm7l…", "#1", "1", "＃１", "(#1)"]
)
async def test_marks_around_a_customer_do_not_matter(room: Room, word: str) -> None:
    await room.open()
    assert "✅" in await room.ask(f"/end {word}")


async def test_choices_are_known_in_chinese_too(room: Room) -> None:
    await room.queue(BOB)
    assert "wmQ4Bo" in await room.ask("/list 排队")
    assert "wmQ4Bo" in await room.ask("/列表 QUEUE。")
    assert "`等待` `人工` `排队`" in await room.ask("/list 别的")


# -- quotes


async def test_a_quote_names_the_customer_and_the_words_are_the_reason(room: Room) -> None:
    await room.open(ANN)
    await room.open(BOB)
    assert "#2" in await room.ask("/end 谢谢 再见", quote="⚠️ #2 `wmQ4Bo…0002` 等了 5 分钟")
    [handoff] = await room.ledger.history(SessionKey(KF, BOB))
    assert (handoff.status, handoff.reason) == (HandoffStatus.COMPLETED, "谢谢 再见")
    assert await room.ledger.open_handoff(SessionKey(KF, ANN)) is not None


async def test_a_customer_named_beside_a_quote_of_several_is_the_one(room: Room) -> None:
    await room.open(ANN)
    await room.open(BOB)
    assert "✅" in await room.ask("/end 2", quote="#1 `wm7lKA…OUPw`\n#2 `wmQ4Bo…0002`")
    assert [key.external_userid for key, _ in room.kf.moves] == [BOB]


async def test_a_customer_who_is_not_the_quoted_one_is_asked_about(room: Room) -> None:
    await room.open(ANN)
    await room.open(BOB)
    for word in ("2", "#2", "wmQ4"):
        assert "不是同一位客户" in await room.ask(f"/end {word} 次都没回", quote="⚠️ #1 `wm7lKA…OUPw`")
    assert room.kf.moves == []
    assert "✅" in await room.ask("/end 1", quote="⚠️ #1 `wm7lKA…OUPw`")


async def test_a_quote_of_several_alone_does_nothing(room: Room) -> None:
    await room.open(ANN)
    await room.open(BOB)
    assert "多个会话" in await room.ask("/end", quote="#1 and #2")
    assert room.kf.moves == []


async def test_a_quote_that_names_nobody_is_said(room: Room) -> None:
    await room.open()
    answer = await room.ask("/end 谢谢", quote="大家好")
    assert "没有提到客户" in answer and "用法" in answer
    assert "总览" in await room.ask("/status", quote="大家好")


async def test_quoting_the_bots_own_advice_ends_nobody(room: Room) -> None:
    """Help and usage show examples; an example quoted back must not be taken for a customer."""
    for _ in range(12):
        await room.open()
        await room.ended()
    await room.open()
    advice = [await room.ask(text) for text in ("/end", "/help end", "/help", "/end wm7", "/nonsense")]
    for quote in advice:
        assert "没有提到客户" in await room.ask("/end", quote=quote)
    assert room.kf.moves == []


async def test_one_status_quoted_names_its_customer(room: Room) -> None:
    await room.open(ANN, nickname="小林")
    status = await room.ask("/status wm7l")
    assert "✅" in await room.ask("/end 好了", quote=status)


# -- optional parts


async def test_parameters_are_read_from_left_to_right(tmp_path: Path) -> None:
    async with a_room(tmp_path / "kfbot.db", more=[echo]) as room:
        await room.open()
        assert await room.ask("/echo") == "-|"
        assert await room.ask("/echo 1 a  b") == f"{ANN}|a  b"


async def test_a_customer_whom_only_wecom_knows_is_asked_for(room: Room) -> None:
    stranger = "wmSTUCKSINCE0000000000000000LONG"
    key = SessionKey(KF, stranger)
    room.kf.states[key] = StateReading(ServiceState.HUMAN, "ZhangSan")

    async def locate(external_userid: str, scope: Scope) -> list[SessionKey]:
        assert (external_userid, scope) == (stranger, EVERYTHING)
        return [key]

    assert "没有找到客户" in await room.ask(f"/end {stranger}")
    room.dispatch.locate = locate
    assert "✅" in await room.ask(f"/end {stranger}")
    assert room.kf.moves == [(key, "ZhangSan")]
    assert "没有找到客户" in await room.ask("/end wmSTUCKSINC3")


async def test_groups_paired_in_an_earlier_life_are_still_paired(tmp_path: Path) -> None:
    async with a_room(tmp_path / "kfbot.db", paired=()) as room:
        await room.chats.pair(CHAT, "LiNa", NOW)
    async with a_room(tmp_path / "kfbot.db", paired=()) as room:
        assert "总览" in await room.ask("/status")
