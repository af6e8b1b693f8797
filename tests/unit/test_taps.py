"""Taps on cards: who may, once, and the truth for everybody within the time a card can be changed."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from bot.audited import Audit
from bot.errors import ChannelError, StorageError
from bot.model import EVERYTHING, Card, CardTap, Handoff, OperatorType, Rule, Scope, Via, Watched
from bot.ports import LostCommand
from bot.registry import Role
from bot.taps import Rights, Taps
from storage.audit import AuditLog
from storage.promises import Promises
from tests.fakes import ANN, BOB, KF, KF2, raising, refusal, unavailable, worked
from tests.unit.conftest import CHAT, Scene

TEAM = Scope(frozenset({KF}), others=False)
MSGIDS = itertools.count(1)


class Phone:
    """What members tap, and what they see then. `soon`: seconds until an end counts as slow."""

    def __init__(self, scene: Scene, soon: float = 3.0) -> None:
        self.scene, self.rights = scene, Rights(Role.AGENT, TEAM, True)
        self.viewers: set[str] = set()
        self.woken = 0
        self.observed: list[tuple[str, str]] = []
        self.taps = Taps(
            scene.channel, scene.chats, scene.ledger, scene.handoffs, scene.attention, scene.subjects, scene.clock,
            scene.say, self._rights, lambda role: ["LiNa", "WuMing"], self._wake,
            Audit(AuditLog(scene.database), scene.clock),
            lambda command, outcome, seconds: self.observed.append((command, outcome)), soon,
        )  # fmt: skip

    def _rights(self, tap: CardTap) -> Rights:
        return replace(self.rights, role=Role.VIEWER) if tap.userid in self.viewers else self.rights

    def _wake(self) -> None:
        self.woken += 1

    async def tap(
        self, key: str, userid: str = "LiNa", *, msgid: str = "", task_id: str = "T1", single: bool = False
    ) -> Card:
        """The card as it is after it."""
        chat = userid if single else CHAT
        await worked(
            self.taps.feel, CardTap("fake", msgid or f"t{next(MSGIDS)}", chat, not single, userid, key, task_id, "R")
        )
        return self.scene.channel.updates[-1][1]

    @property
    def said(self) -> list[str]:
        return [text for _, _, text in self.scene.channel.sent]

    @property
    def moves(self) -> int:
        return len(self.scene.kf.called("trans"))

    async def outcomes(self) -> list[str | None]:
        """As the command log has them."""
        sql = "SELECT outcome FROM commands ORDER BY id"
        return [row[0] for row in await self.scene.database.read(lambda db: db.execute(sql).fetchall())]


@pytest.fixture
def phone(scene: Scene) -> Phone:
    return Phone(scene)


@pytest.fixture
def hasty(scene: Scene) -> Phone:
    return Phone(scene, soon=0.02)


@pytest.fixture
async def alerted(scene: Scene) -> Handoff:
    """A customer who waits, of whom the group has been told."""
    handoff = await scene.waiting()
    await scene.raised(handoff)
    return handoff


def shown(card: Card) -> str:
    return "\n".join([card.title, card.desc, card.body, *(f"{name} {value}" for name, value in card.rows)])


def keys(card: Card) -> list[str]:
    return [button.key for button in card.buttons]


ALL = ["end:1", "snooze:1", "ack:1"]


# -- end


async def test_one_tap_ends_and_the_card_says_so(scene: Scene, phone: Phone, alerted: Handoff) -> None:
    card = await phone.tap("end:1")
    assert (card.title, card.task_id, keys(card)) == ("✅ #1 小林 已结束", "T1", ["noop:1"])
    assert "结束人 LiNa" in shown(card)
    handoff = await scene.handoff(alerted.id)
    assert (handoff.ended_by, handoff.via, handoff.operator_id) == (OperatorType.AGENT, "button", "LiNa")
    assert phone.said == [] and phone.woken == 1
    assert (await phone.outcomes(), phone.observed) == (["ended"], [("tap", "ended")])


async def test_a_tap_that_comes_twice_counts_once_also_in_another_life(scene: Scene, phone: Phone) -> None:
    await scene.waiting()
    await phone.tap("snooze:1", msgid="m1")
    until = (await scene.attention.watched(1)).quiet.snoozed_until  # type: ignore[union-attr]
    scene.clock.move(3600)
    for again in (phone, Phone(scene)):
        await again.tap("snooze:1", msgid="m1")
    assert (await scene.attention.watched(1)).quiet.snoozed_until == until  # type: ignore[union-attr]
    assert len(scene.channel.updates) == 1


async def test_two_people_in_the_same_instant_get_the_same_card(scene: Scene, phone: Phone, alerted: Handoff) -> None:
    await asyncio.gather(phone.tap("end:1", "LiNa"), phone.tap("end:1", "WuMing"))
    first, second = (card for _, card in scene.channel.updates)
    assert first == second and "已结束" in first.title
    assert phone.moves == 1 and sorted(await phone.outcomes(), key=str) == ["already", "ended"]


@pytest.mark.parametrize("key", [*ALL, "refresh:1", "noop:1"])
@pytest.mark.parametrize("userid", ["WuMing", "Viewer"])
async def test_a_late_tap_gets_the_truth_whoever_makes_it(
    scene: Scene, phone: Phone, alerted: Handoff, key: str, userid: str
) -> None:
    await scene.ended(alerted, "LiNa", Via.CLIENT)
    scene.clock.move(3600)
    again = await scene.waiting()
    phone.viewers.add("Viewer")
    card = await phone.tap(key, userid)
    assert card.title == "✅ #1 小林 已结束" and "结束人 LiNa" in shown(card)
    assert (await scene.handoff(again.id)).status.is_open and phone.moves == 0


async def test_a_stretch_that_begins_while_the_tap_is_worked_on_is_another(
    scene: Scene, phone: Phone, alerted: Handoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = scene.attention.watched

    async def overtaken(number: int) -> Watched | None:
        watched = await look(number)
        monkeypatch.setattr(scene.attention, "watched", look)
        await scene.ended(alerted, "WuMing")
        scene.clock.move(3600)
        await scene.waiting()
        return watched

    monkeypatch.setattr(scene.attention, "watched", overtaken)
    card = await phone.tap("end:1")
    assert "结束人 WuMing" in shown(card) and phone.moves == 0
    assert (await scene.handoff(2)).status.is_open


async def test_a_session_that_turns_out_to_be_over_is_told_as_it_was(scene: Scene, phone: Phone) -> None:
    await scene.waiting()
    scene.kf.servicer_ends(KF, ANN)
    card = await phone.tap("end:1")
    assert "已结束" in card.title and "某人" in shown(card)
    assert phone.moves == 0


# -- an end that takes long


@dataclass
class Hold:
    """Something that waits until it is let go."""

    def __post_init__(self) -> None:
        self.free, self.reached = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> None:
        self.reached.set()
        await self.free.wait()


async def test_a_slow_end_is_shown_as_such_and_told_when_it_is_done(scene: Scene, hasty: Phone) -> None:
    await scene.waiting()
    hold = Hold()
    scene.kf.before("trans", hold)
    card = await hasty.tap("end:1")
    assert (card.title, keys(card)) == ("⏳ 正在结束 #1 小林", ["refresh:1"])
    await hold.reached.wait()
    assert hasty.said == [] and await hasty.outcomes() == [None]
    assert keys(await hasty.tap("refresh:1", "WuMing")) == ["refresh:1"]

    hold.free.set()
    await hasty.taps.drain(30)
    [text] = hasty.said
    assert text.startswith("✅ 已结束 **小林** #1")
    assert (await hasty.outcomes())[0] == "ended" and hasty.woken == 1
    assert "已结束" in (await hasty.tap("refresh:1", "WuMing")).title


async def test_where_the_last_word_will_say_it_nothing_else_does(scene: Scene, hasty: Phone, alerted: Handoff) -> None:
    hold = Hold()
    scene.kf.before("trans", hold)
    await hasty.tap("end:1")
    hold.free.set()
    await hasty.taps.drain(30)
    assert hasty.said == [] and hasty.woken == 1


async def test_who_tapped_in_a_single_chat_is_told_there(scene: Scene, hasty: Phone, alerted: Handoff) -> None:
    hold = Hold()
    scene.kf.before("trans", hold)
    await hasty.tap("end:1", "Boss", single=True)
    hold.free.set()
    await hasty.taps.drain(30)
    assert [(chat, is_group) for chat, is_group, _ in scene.channel.sent] == [("Boss", False)]


async def test_a_slow_refusal_is_told_with_what_wecom_says(scene: Scene, hasty: Phone, alerted: Handoff) -> None:
    hold = Hold()

    async def refused() -> None:
        await hold()
        raise refusal(95016)

    scene.kf.before("trans", refused)
    await hasty.tap("end:1")
    hold.free.set()
    await hasty.taps.drain(30)
    assert "95016" in hasty.said[0]
    assert keys(await hasty.tap("refresh:1")) == ALL


async def owed(scene: Scene) -> int:
    """How many outcomes some chat has not been told."""
    return len(await Promises(scene.database).due())


async def test_a_slow_end_of_which_the_news_got_lost_stays_owed(scene: Scene, hasty: Phone) -> None:
    await scene.waiting()
    hold = Hold()
    scene.kf.before("trans", hold)
    scene.channel.before("send", raising(ChannelError("not connected")))
    await hasty.tap("end:1")
    assert await owed(scene) == 0, "the message behind the card may still say it"
    hold.free.set()
    await hasty.taps.drain(30)
    assert (hasty.said, await owed(scene)) == ([], 1)


async def test_the_news_of_a_slow_end_are_on_record_when_they_have_arrived(scene: Scene, hasty: Phone) -> None:
    await scene.waiting()
    hold, telling = Hold(), Hold()
    scene.kf.before("trans", hold)
    scene.channel.before("send", telling)
    await hasty.tap("end:1")
    hold.free.set()
    await telling.reached.wait()
    assert await hasty.outcomes() == [None], "a process that dies now leaves it to the next"
    telling.free.set()
    await hasty.taps.drain(30)
    assert (await hasty.outcomes(), await owed(scene)) == (["ended"], 0)


async def test_a_card_that_could_not_be_changed_leaves_the_outcome_owed(
    scene: Scene, phone: Phone, alerted: Handoff
) -> None:
    scene.channel.before("update_card", raising(ChannelError("the connection is gone")))
    await worked(phone.taps.feel, CardTap("fake", "m1", CHAT, True, "LiNa", "end:1", "T1"))
    assert await owed(scene) == 1
    await phone.tap("end:1", "WuMing")
    assert await owed(scene) == 1, "it was another tap"


async def test_a_card_that_says_it_leaves_nothing_owed(scene: Scene, phone: Phone, alerted: Handoff) -> None:
    await phone.tap("end:1")
    assert await owed(scene) == 0


async def test_a_refused_end_keeps_the_buttons_and_says_why(scene: Scene, phone: Phone, alerted: Handoff) -> None:
    scene.kf.before("trans", raising(refusal(95016)))
    card = await phone.tap("end:1")
    assert keys(card) == ALL and card.desc == "未能结束（LiNa 点的）" and "95016" in card.body
    assert len(phone.said) == 1 and "95016" in phone.said[0]
    assert "已结束" in (await phone.tap("end:1", "WuMing")).title


async def test_when_wecom_does_not_answer_the_card_stays_in_progress(
    scene: Scene, phone: Phone, alerted: Handoff
) -> None:
    scene.kf.before("state", lambda: None, raising(unavailable()), raising(unavailable()))
    scene.kf.before("trans", raising(unavailable()))
    card = await phone.tap("end:1")
    assert keys(card) == ["refresh:1"] and phone.said[0].startswith("⏳")
    assert keys(await phone.tap("refresh:1")) == ["refresh:1"]


# -- who may


@pytest.mark.parametrize("key", ALL)
async def test_a_viewer_may_not_and_learns_who_may(scene: Scene, phone: Phone, alerted: Handoff, key: str) -> None:
    phone.viewers.add("ChenJing")
    card = await phone.tap(key, "ChenJing")
    assert card.desc == "ChenJing 没有权限" and "LiNa WuMing" in card.body
    assert keys(card) == ALL and card.title == "#1 小林 等了 6 分钟"
    quiet = (await scene.watched(alerted)).quiet
    assert (phone.moves, quiet.acked_by, quiet.snoozed_by) == (0, "", "")
    assert await phone.outcomes() == ["forbidden"]


async def test_a_viewer_may_look(scene: Scene, phone: Phone, alerted: Handoff) -> None:
    phone.viewers.add("ChenJing")
    assert "小林" in shown(await phone.tap("refresh:1", "ChenJing"))
    assert "1 个会话" in shown(await phone.tap("list:alerts", "ChenJing"))


async def test_each_tap_is_entered_whatever_becomes_of_it(scene: Scene, phone: Phone, alerted: Handoff) -> None:
    phone.viewers.add("ChenJing")
    for key, userid in (
        ("refresh:1", "ChenJing"), ("list:alerts", "ChenJing"), ("ack:1", "ChenJing"), ("kill:1", "LiNa"),
        ("end:99", "LiNa"), ("end:1", "LiNa"), ("end:1", "WuMing"),
    ):  # fmt: skip
        await phone.tap(key, userid)
    rows = [row async for page in AuditLog(scene.database).rows() for row in page]
    assert [(row[4], row[5], row[6], row[9]) for row in rows] == [
        ("ChenJing", "refresh", 1, "allowed"),
        ("ChenJing", "list", None, "allowed"),
        ("ChenJing", "ack", 1, "refused"),
        ("LiNa", "?", None, "refused"),
        ("LiNa", "end", 99, "refused"),
        ("LiNa", "end", 1, "allowed"),
        ("WuMing", "end", 1, "over"),
    ]
    assert {(row[2], row[7]) for row in rows} == {("tap", CHAT)}


async def test_without_a_row_a_tap_does_nothing(scene: Scene, phone: Phone, alerted: Handoff) -> None:
    await scene.database.write(lambda db: db.execute("DROP TABLE audit"))
    for key in ALL:
        await phone.tap(key)
    assert phone.moves == 0 and (await scene.watched(alerted)).quiet.acked_by == ""


FORGED = [
    "",
    "end:",
    "end:x",
    "end:1;",
    "end:1\n",
    " end:1",
    "END:1",
    "end:-1",
    "end:１",
    "kill:1",
    "list:all",
    "end:" + "9" * 13,
]


@pytest.mark.parametrize("key", FORGED)
async def test_a_forged_key_does_nothing_and_says_so(scene: Scene, phone: Phone, alerted: Handoff, key: str) -> None:
    card = await phone.tap(key)
    assert shown(card).split() == ["未执行", "不认识这个按钮。"]
    assert phone.moves == 0 and (await scene.handoff(alerted.id)).status.is_open
    assert await phone.outcomes() == ["unknown"]


async def test_a_key_of_another_card_is_forged_too(scene: Scene, phone: Phone, alerted: Handoff) -> None:
    await scene.chats.keep_card("T2", CHAT, "2", scene.clock.now())
    assert "不认识这个按钮" in shown(await phone.tap("end:1", task_id="T2"))
    assert (await scene.handoff(alerted.id)).status.is_open


@pytest.mark.parametrize("key", ["end:2", "ack:2", "snooze:2", "refresh:2", "noop:2", "end:99"])
async def test_a_handoff_of_others_is_like_one_that_does_not_exist(
    scene: Scene, phone: Phone, alerted: Handoff, key: str
) -> None:
    theirs = await scene.waiting(BOB, KF2)
    card = await phone.tap(key)
    number = key.partition(":")[2]
    assert shown(card).split() == ["未执行", "没有编号为", f"#{number}", "的会话记录。"]
    assert "Bob" not in shown(card) and (await scene.handoff(theirs.id)).status.is_open and phone.moves == 0


@pytest.mark.parametrize("key", [*ALL, "refresh:1", "list:alerts", "junk"])
async def test_a_chat_that_is_not_paired_is_shown_nothing(
    scene: Scene, phone: Phone, alerted: Handoff, key: str
) -> None:
    phone.rights = Rights(Role.ADMIN, EVERYTHING, False)
    card = await phone.tap(key)
    assert shown(card).split() == ["未执行", "本群没有与我配对。"]
    assert phone.said == [] and phone.moves == 0 and await phone.outcomes() == ["forbidden"]


# -- the other buttons


async def test_later_quiets_it_for_the_usual_time_and_shows_who(scene: Scene, phone: Phone, alerted: Handoff) -> None:
    card = await phone.tap("snooze:1")
    assert keys(card) == ["end:1", "ack:1"] and "稍后 22:23 LiNa" in shown(card)
    late = await phone.tap("snooze:1", "WuMing")
    assert late.desc == "LiNa 已经操作过" and "稍后 22:23 LiNa" in shown(late)
    assert await phone.outcomes() == ["ok", "late"]


async def test_taking_it_shows_who_and_the_second_learns_it(scene: Scene, phone: Phone, alerted: Handoff) -> None:
    card = await phone.tap("ack:1")
    assert keys(card) == ["end:1", "snooze:1"] and "跟进 LiNa 22:13" in shown(card)
    late = await phone.tap("ack:1", "WuMing")
    assert late.desc == "LiNa 已经操作过" and "跟进 LiNa" in shown(late)
    assert (await phone.tap("ack:1", "LiNa")).desc == "售前咨询"


async def test_a_reminder_can_be_taken_anew_although_it_is_snoozed(
    scene: Scene, phone: Phone, alerted: Handoff
) -> None:
    await phone.tap("ack:1")
    scene.clock.move(1800)
    card = await phone.tap("snooze:1", "WuMing")
    assert keys(card) == ["end:1", "ack:1"] and "跟进" not in shown(card)


async def test_without_an_alert_there_is_nothing_to_take(scene: Scene, phone: Phone, alerted: Handoff) -> None:
    scene.clock.move(60)
    await scene.answered(alerted)
    await scene.database.write(lambda db: db.execute("UPDATE alerts SET state='cleared', next_at=NULL"))
    card = await phone.tap("ack:1")
    assert card.desc == scene.say("tap.nothing")
    assert (await scene.watched(alerted)).quiet.acked_by == ""


async def test_the_list_shows_what_is_left_of_it_and_all_of_that_in_words(scene: Scene, phone: Phone) -> None:
    handoffs = await scene.crowd(7)
    for each in [*handoffs, await scene.waiting(BOB, KF2)]:
        await scene.raised(each)
    await scene.ended(handoffs[0])
    card = await phone.tap("list:alerts")
    assert card.title == "6 个会话需要处理" and keys(card) == ["list:alerts"]
    [text] = phone.said
    assert all(f"客户{number}" in text for number in range(1, 7))
    assert "客户0" not in text and "Bob" not in text


async def test_an_empty_list_is_said_on_the_card_alone(scene: Scene, phone: Phone) -> None:
    card = await phone.tap("list:alerts")
    assert card.title == "没有待处理的提醒" and len(card.buttons) == 1
    assert phone.said == []


# -- cards have five seconds


async def test_a_chat_whose_messages_wait_for_their_turn_does_not_keep_the_card_waiting(
    scene: Scene, hasty: Phone, alerted: Handoff
) -> None:
    hold = Hold()
    scene.channel.before("send", hold)
    async with asyncio.timeout(30):
        assert keys(await hasty.tap("list:alerts")) == ["list:alerts"]
    assert hasty.said == []
    hold.free.set()
    await hasty.taps.drain(30)
    assert len(hasty.said) == 1


async def test_a_card_that_cannot_be_changed_changes_nothing_of_what_was_done(
    scene: Scene, phone: Phone, alerted: Handoff
) -> None:
    scene.channel.before("update_card", raising(ChannelError("too late", 6001)))
    await worked(phone.taps.feel, CardTap("fake", "m1", CHAT, True, "LiNa", "end:1", "T1"))
    assert not (await scene.handoff(alerted.id)).status.is_open
    assert scene.channel.updates == [] and await phone.outcomes() == ["ended"]


async def test_a_tap_that_does_not_name_its_card_is_of_the_newest_about_it(
    scene: Scene, phone: Phone, alerted: Handoff
) -> None:
    for number, task_id in enumerate(("OLD", "NEW")):
        await scene.chats.keep_card(task_id, CHAT, "1", scene.clock.now() + number)
    await scene.chats.keep_card("OTHER", CHAT, "2", scene.clock.now() + 9)
    assert (await phone.tap("refresh:1", task_id="")).task_id == "NEW"


# -- what goes wrong inside

Break = Callable[[pytest.MonkeyPatch, Scene], None]


def broken(*_: object, **__: object) -> None:
    raise StorageError("disk full")


@pytest.mark.parametrize(
    ("name", "key", "userid"),
    [
        ("attention.watched", "end:1", "LiNa"),
        ("subjects.of", "snooze:1", "LiNa"),
        ("subjects.of", "end:1", "Viewer"),
        ("handoffs.end", "end:1", "LiNa"),
    ],
    ids=["looking", "telling", "refusing", "ending"],
)
async def test_an_incident_has_a_number_on_the_card_and_in_the_log(
    scene: Scene, phone: Phone, alerted: Handoff, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    name: str, key: str, userid: str,
) -> None:  # fmt: skip
    phone.viewers.add("Viewer")
    part, _, method = name.partition(".")
    monkeypatch.setattr(getattr(scene, part), method, broken)
    card = await phone.tap(key, userid)
    assert "内部错误" in shown(card)
    number = card.body.split("`")[1]
    assert f"incident={number}" in caplog.text
    assert await phone.outcomes() == ["incident"]


@pytest.mark.parametrize("task_id", ["T1", ""])
async def test_a_tap_that_cannot_be_recorded_does_nothing(
    scene: Scene, phone: Phone, alerted: Handoff, monkeypatch: pytest.MonkeyPatch, task_id: str
) -> None:
    monkeypatch.setattr(scene.chats, "claim", broken)
    monkeypatch.setattr(scene.chats, "last_card", broken)
    await worked(phone.taps.feel, CardTap("fake", "m1", CHAT, True, "LiNa", "end:1", task_id))
    assert len(scene.channel.updates) == bool(task_id)
    assert phone.moves == 0 and (await scene.handoff(alerted.id)).status.is_open


async def test_a_row_that_cannot_be_settled_costs_nobody_the_card(
    scene: Scene, phone: Phone, alerted: Handoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scene.chats, "settle", broken)
    assert "已结束" in (await phone.tap("end:1")).title


# -- taken up after a crash


def lost(scene: Scene, key: str, userid: str = "LiNa", ago: float = 30.0, *, is_group: bool = True) -> LostCommand:
    return LostCommand(1, "tap", CHAT if is_group else userid, is_group, userid, key, scene.clock.now() - ago)


async def test_an_end_is_carried_out(scene: Scene, phone: Phone, alerted: Handoff) -> None:
    await phone.taps.resume(lost(scene, "end:1"))
    handoff = await scene.handoff(alerted.id)
    assert (handoff.operator_id, handoff.via) == ("LiNa", "button")
    assert phone.said == [] and phone.woken == 1  # the last word says it


async def test_of_a_session_nobody_was_told_of_the_outcome_is_told(scene: Scene, phone: Phone) -> None:
    await scene.waiting()
    await phone.taps.resume(lost(scene, "end:1"))
    assert phone.said[0].startswith("✅ 已结束 **小林** #1")


async def test_but_not_when_the_conversation_went_on_since(scene: Scene, phone: Phone, alerted: Handoff) -> None:
    await scene.asked(alerted)
    await phone.taps.resume(lost(scene, "end:1"))
    assert (await scene.handoff(alerted.id)).status.is_open and phone.moves == 0
    assert "#1" in phone.said[0] and "没有结束" in phone.said[0]


async def test_what_staff_said_counts(scene: Scene, phone: Phone, alerted: Handoff) -> None:
    await phone.taps.resume(lost(scene, "ack:1"))
    await phone.taps.resume(lost(scene, "snooze:1", "WuMing"))
    watched = await scene.watched(alerted)
    assert (watched.quiet.acked_by, watched.quiet.snoozed_by) == ("LiNa", "WuMing")
    assert Rule.CUSTOMER_WAITING in watched.alerts and phone.said == []


@pytest.mark.parametrize(
    ("key", "userid"), [("end:1", "Viewer"), ("end:99", "LiNa"), ("junk", "LiNa"), ("list:alerts", "LiNa")]
)
async def test_what_was_refused_or_only_looked_is_let_go(
    scene: Scene, phone: Phone, alerted: Handoff, key: str, userid: str
) -> None:
    phone.viewers.add("Viewer")
    await phone.taps.resume(lost(scene, key, userid))
    assert (await scene.handoff(alerted.id)).status.is_open
    assert phone.said == [] and scene.channel.updates == []


async def test_what_has_ended_meanwhile_stays_as_it_is(scene: Scene, phone: Phone, alerted: Handoff) -> None:
    await scene.ended(alerted, "WuMing")
    await phone.taps.resume(lost(scene, "end:1"))
    assert (await scene.handoff(alerted.id)).operator_id == "WuMing"
    assert phone.said == [] and phone.moves == 0
