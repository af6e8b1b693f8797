"""What the watch has put on record, said: to the right group, folded when many, and each end once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace

import pytest

from bot.channels.connection import Unacknowledged
from bot.ending import EndResult, Outcome
from bot.errors import ChannelError
from bot.handing import Handing
from bot.model import Card, Handoff, Operator, OperatorType, Rule, Via, Watched
from bot.ports import Order, Sending
from bot.rules import next_send
from bot.speaker import FOLD, RETRY, STALE, THIRD_REPEAT, Speaker
from storage.promises import Promises
from tests.fakes import ANN, BOB, KF, KF2, FakeChannel, raising, refusal
from tests.unit.conftest import AFTER, CHAT, MINUTE, Scene

ADMIN = "Boss"
WAITING, OPEN = Rule.CUSTOMER_WAITING, Rule.HUMAN_OPEN


async def tell(
    scene: Scene, handoffs: Iterable[Handoff], speaker: Speaker | None = None, *rules: Rule, sends: int = 1
) -> None:
    """The watch has decided so; `sends` of the last message."""
    now, watched, ours = scene.clock.now(), list[Watched](), list[Sending]()
    for handoff in handoffs:
        each = await scene.watched(handoff)
        if sends > 1 and not each.alerts:
            each = await scene.raised(handoff, sends=sends - 1)
        sendings = [
            Sending(handoff, rule, now, sends, next_send(scene.book, rule, sends, now)) for rule in rules or (WAITING,)
        ]
        ours += await scene.alerts.record([Order(handoff, now + 9999, {}, (), sendings)], now)
        watched.append(each)
    await (speaker or scene.speaker()).tell(ours, watched)


def titles(scene: Scene, chat: str = CHAT) -> list[str]:
    return [card.title for to, _, card in scene.channel.cards if to == chat]


def texts(scene: Scene, chat: str = CHAT) -> list[str]:
    return [text for to, _, text in scene.channel.sent if to == chat]


async def due(scene: Scene, seconds: float) -> list[int]:
    return [each.handoff.id for each in await scene.alerts.due(scene.clock.now() + seconds, 100)]


# -- alerts


async def test_a_card_to_the_group_of_the_account(scene: Scene) -> None:
    await tell(scene, [await scene.waiting(ANN, KF), await scene.waiting(BOB, KF2)])
    assert titles(scene, CHAT) == ["#1 小林 等了 6 分钟"]
    assert titles(scene, AFTER) == ["#2 Bob 等了 6 分钟"]


async def test_two_rules_of_one_handoff_are_one_card_about_the_graver(scene: Scene) -> None:
    handoff = await scene.waiting(seconds=5 * 3600)
    await tell(scene, [handoff], None, WAITING, OPEN)
    assert titles(scene) == ["#1 小林 等了 5 小时"]


async def test_the_alert_says_what_is_known_of_the_customer(scene: Scene) -> None:
    await tell(scene, [await scene.waiting(text="订单没到")])
    [(_, is_group, card)] = scene.channel.cards
    assert is_group and "「订单没到」" in card.body and card.desc == "售前咨询"
    assert "自动结束" in [name for name, _ in card.rows]


async def test_up_to_five_are_cards_of_their_own_longest_wait_first(scene: Scene) -> None:
    handoffs = await scene.crowd(FOLD)
    await tell(scene, reversed(handoffs))
    assert [each.split()[0] for each in titles(scene)] == [f"#{each.id}" for each in handoffs]


async def test_more_fold_into_one_list(scene: Scene) -> None:
    handoffs = await scene.crowd(FOLD + 1)
    await tell(scene, handoffs)
    [(_, _, card)] = scene.channel.cards
    assert card.title == "6 个会话需要处理"
    assert [name for name, _ in card.rows] == [f"#{each.id}" for each in handoffs]
    assert [button.key for button in card.buttons] == ["list:alerts"]
    assert scene.channel.sent == []


async def test_each_group_folds_for_itself(scene: Scene) -> None:
    await tell(scene, [*await scene.crowd(FOLD + 1), await scene.waiting(BOB, KF2)])
    assert (titles(scene, CHAT), len(titles(scene, AFTER))) == (["6 个会话需要处理"], 1)


async def test_where_cards_are_refused_it_is_markdown(scene: Scene) -> None:
    scene.channel.takes_cards = False
    await tell(scene, [await scene.waiting()])
    assert "`@kfbot /end 1`" in texts(scene)[0]


# -- what does not arrive


async def test_what_certainly_did_not_arrive_falls_due_again(scene: Scene) -> None:
    handoff = await scene.waiting()
    scene.channel.before("send_card", raising(ChannelError("no")))
    await tell(scene, [handoff])
    assert (await scene.watched(handoff)).alerts == {}
    assert (await due(scene, RETRY - 1), await due(scene, RETRY)) == ([], [handoff.id])


async def test_of_several_only_what_failed_is_given_back(scene: Scene) -> None:
    first, second = await scene.crowd(2)
    scene.channel.before("send_card", raising(ChannelError("no")))
    await tell(scene, [first, second])
    assert await due(scene, RETRY) == [first.id]
    assert titles(scene) == [f"#{second.id} 客户1 等了 6 分钟"]


async def test_a_list_that_failed_is_given_back_whole(scene: Scene) -> None:
    handoffs = await scene.crowd(FOLD + 1)
    scene.channel.before("send_card", raising(ChannelError("no")))
    await tell(scene, handoffs)
    assert sorted(await due(scene, RETRY)) == [each.id for each in handoffs]


async def test_what_may_have_arrived_is_not_sent_again(scene: Scene) -> None:
    handoff = await scene.waiting()
    scene.channel.before("send_card", raising(Unacknowledged("?")))
    await tell(scene, [handoff])
    assert await due(scene, RETRY) == []
    assert (await scene.watched(handoff)).told


async def test_one_group_in_trouble_is_not_anothers(scene: Scene) -> None:
    scene.channel.before("send_card", raising(ChannelError("no")))
    await tell(scene, [await scene.waiting(ANN, KF), await scene.waiting(BOB, KF2)])
    assert len(scene.channel.cards) == 1


@pytest.mark.parametrize("lifeline", [False, True])
async def test_deaf_are_muted_groups_and_those_that_cannot_be_reached(scene: Scene, lifeline: bool) -> None:
    speaker, now = scene.speaker(scene.lifeline if lifeline else None), scene.clock.now()
    assert await speaker.deaf_until([KF, KF2]) == {}
    await scene.attention.mute(AFTER, now + 3600)
    assert await speaker.deaf_until([KF, KF2]) == {KF2: now + 3600}
    scene.channel.problem = "down"
    await speaker.deaf_until([KF])
    scene.clock.move(60)
    deaf = await speaker.deaf_until([KF, KF2])
    assert (KF in deaf, deaf[KF2]) == (not lifeline, now + 3600)


# -- a chat that has used up its messages of the minute


@pytest.fixture
async def held(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[asyncio.Event]:
    """The next card waits for its turn until this is set."""
    monkeypatch.setattr("bot.speaker.HURRY", 0.02)
    turn = asyncio.Event()
    scene.channel.before("send_card", turn.wait)
    yield turn
    turn.set()


async def heard(speaker: Speaker, chat_id: str) -> None:
    """Until all is said there."""
    await asyncio.gather(*speaker._talks[chat_id])


async def test_a_slow_chat_keeps_neither_the_watch_nor_other_groups_waiting(scene: Scene, held: asyncio.Event) -> None:
    speaker = scene.speaker()
    await tell(scene, [await scene.waiting(ANN, KF), await scene.waiting(BOB, KF2)], speaker)
    await heard(speaker, AFTER)
    assert (titles(scene, CHAT), len(titles(scene, AFTER))) == ([], 1)
    held.set()
    await heard(speaker, CHAT)
    assert len(titles(scene, CHAT)) == 1


async def test_it_hears_nothing_new_before_it_has_heard_that(scene: Scene, held: asyncio.Event) -> None:
    speaker = scene.speaker()
    await tell(scene, [await scene.waiting(ANN, KF)], speaker)
    assert list(await speaker.deaf_until([KF, KF2])) == [KF]
    held.set()
    await heard(speaker, CHAT)
    assert await speaker.deaf_until([KF, KF2]) == {}


async def test_at_stop_nothing_is_waited_for(scene: Scene, held: asyncio.Event) -> None:
    handoff, speaker = await scene.waiting(), scene.speaker()
    await tell(scene, [handoff], speaker)
    async with asyncio.timeout(30):
        await speaker.stop()
    assert scene.channel.cards == []


# -- a life that ends before what it has claimed is out


async def test_an_alert_that_waits_for_its_turn_at_stop_is_the_next_lifes(scene: Scene, held: asyncio.Event) -> None:
    handoff, speaker = await scene.waiting(), scene.speaker()
    await tell(scene, [handoff], speaker)
    await speaker.stop()
    await scene.speaker().take_up()
    assert await due(scene, 0) == [handoff.id]
    assert not (await scene.watched(handoff)).told


@pytest.mark.parametrize("count", [3, FOLD + 1], ids=["those behind it", "a list with all that are on it"])
async def test_so_are(scene: Scene, held: asyncio.Event, count: int) -> None:
    handoffs, speaker = await scene.crowd(count), scene.speaker()
    await tell(scene, handoffs, speaker)
    await speaker.stop()
    await scene.speaker().take_up()
    assert sorted(await due(scene, 0)) == [each.id for each in handoffs]


async def test_a_repeat_is_the_next_lifes_with_its_number(scene: Scene, held: asyncio.Event) -> None:
    handoff, speaker = await scene.waiting(), scene.speaker()
    await tell(scene, [handoff], speaker, sends=3)
    await speaker.stop()
    await scene.speaker().take_up()
    assert await due(scene, 0) == [handoff.id]
    assert (await scene.watched(handoff)).alerts[WAITING].sends == 2


async def test_what_may_have_gone_out_is_not(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.speaker.HURRY", 0.02)
    handoff, speaker, said = await scene.waiting(), scene.speaker(), asyncio.Event()

    async def unacknowledged(channel: FakeChannel, chat: str, is_group: bool, card: Card, handing: Handing) -> None:
        await handing.out()
        said.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(FakeChannel, "send_card", unacknowledged)
    await tell(scene, [handoff], speaker)
    await said.wait()
    await speaker.stop()
    await scene.speaker().take_up()
    assert await due(scene, 14 * MINUTE) == []
    assert (await scene.watched(handoff)).told


async def test_a_stop_while_that_is_put_on_record_leaves_it_to_the_next_life(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.speaker.HURRY", 0.02)
    handoff, speaker, written = await scene.waiting(), scene.speaker(), asyncio.Event()
    hand_out = scene.alerts.hand_out

    async def slowly(sendings: list[Sending]) -> bool:
        await hand_out(sendings)
        written.set()
        await asyncio.Event().wait()
        return True

    monkeypatch.setattr(scene.alerts, "hand_out", slowly)
    await tell(scene, [handoff], speaker)
    await written.wait()
    await speaker.stop()
    assert scene.channel.cards == []
    await scene.speaker().take_up()
    assert await due(scene, 0) == [handoff.id]


@pytest.mark.parametrize("over", ["answered", "ended"])
async def test_what_is_over_before_its_turn_is_not_sent(scene: Scene, held: asyncio.Event, over: str) -> None:
    handoff, speaker = await scene.waiting(), scene.speaker()
    await tell(scene, [handoff], speaker)
    if over == "ended":
        await scene.ended(handoff)
        await speaker.last_words([await scene.watched(handoff)])
    else:
        answered, now = await scene.answered(handoff), scene.clock.now()
        await scene.alerts.record([Order(answered, now + 9999, {}, [WAITING])], now)
    held.set()
    await heard(speaker, CHAT)
    assert (scene.channel.cards, scene.channel.sent) == ([], [])
    assert not (await scene.watched(handoff)).told


async def test_a_list_goes_as_long_as_one_on_it_still_waits(scene: Scene, held: asyncio.Event) -> None:
    handoffs, speaker = await scene.crowd(FOLD + 1), scene.speaker()
    await tell(scene, handoffs, speaker)
    for each in handoffs[1:]:
        await scene.ended(each)
    held.set()
    await heard(speaker, CHAT)
    assert len(titles(scene)) == 1


async def test_the_end_of_what_the_group_never_heard_of_is_no_news_after_a_restart(
    scene: Scene, held: asyncio.Event
) -> None:
    handoff, speaker = await scene.waiting(), scene.speaker()
    await tell(scene, [handoff], speaker)
    await speaker.stop()
    await scene.ended(handoff)
    await scene.speaker().take_up()
    await scene.speaker().last_words(await scene.alerts.due(scene.clock.now(), 10))
    assert scene.channel.sent == []


# -- admins


async def test_from_the_third_repeat_on_the_admins_hear_of_it_too(scene: Scene) -> None:
    handoff = await scene.waiting()
    for number in range(1, THIRD_REPEAT + 2):
        await tell(scene, [handoff], scene.speaker(None, ADMIN), sends=number)
        assert len(titles(scene, ADMIN)) == max(0, number - THIRD_REPEAT + 1)
        assert len(titles(scene)) == number
    assert {is_group for to, is_group, _ in scene.channel.cards if to == ADMIN} == {False}


async def test_admins_are_not_told_again_and_again_while_the_group_refuses(scene: Scene) -> None:
    handoff, speaker = await scene.waiting(), scene.speaker(None, ADMIN)
    for _ in range(3):
        scene.channel.before("send_card", raising(ChannelError("not in that chat")))
        await tell(scene, [handoff], speaker, sends=THIRD_REPEAT)
    assert titles(scene, ADMIN) == []
    await tell(scene, [handoff], speaker, sends=THIRD_REPEAT)
    assert len(titles(scene, ADMIN)) == 1


async def test_an_admin_who_cannot_be_told_costs_nobody_else_anything(scene: Scene) -> None:
    handoff = await scene.waiting()
    scene.channel.before("send_card", lambda: None, raising(ChannelError("has to write first")))
    await tell(scene, [handoff], scene.speaker(None, "Absent", ADMIN), sends=THIRD_REPEAT)
    assert (len(titles(scene)), len(titles(scene, ADMIN))) == (1, 1)
    assert await due(scene, RETRY) == []


async def test_many_are_one_list_to_an_admin_too(scene: Scene) -> None:
    await tell(scene, await scene.crowd(FOLD + 1), scene.speaker(None, ADMIN), sends=THIRD_REPEAT)
    assert titles(scene, ADMIN) == ["6 个会话需要处理"]


# -- the last word


async def ended(scene: Scene, handoffs: Iterable[Handoff]) -> list[Watched]:
    """Handoffs that the group was told of."""
    for each in handoffs:
        await scene.raised(each)
        await scene.ended(each)
    return await scene.alerts.watched([each.id for each in handoffs])


async def test_the_end_is_one_line_once(scene: Scene) -> None:
    over = await ended(scene, [await scene.waiting()])
    for _ in range(3):
        await scene.speaker().last_words(over)
    assert texts(scene) == ["✅ **小林** #1 `wm7lAn…0001` 已结束：LiNa（企业微信客户端），22:13，历时 6 分钟"]
    assert await due(scene, 9e9) == []


async def test_whoever_was_never_told_of_is_not_told_of(scene: Scene) -> None:
    handoff = await scene.waiting()
    await scene.ended(handoff)
    await scene.speaker().last_words([await scene.watched(handoff)])
    assert scene.channel.sent == []


@pytest.mark.parametrize(
    ("chat", "is_group", "via", "told"),
    [(CHAT, True, "command", False), (ADMIN, False, "command", True), (CHAT, True, "button", True)],
    ids=["a command here", "a command elsewhere", "a tap here"],
)
async def test_a_command_in_that_group_has_just_said_so(
    scene: Scene, chat: str, is_group: bool, via: str, told: bool
) -> None:
    handoff = await scene.waiting()
    await scene.raised(handoff)
    operator = Operator(OperatorType.AGENT, "WuMing")
    result = await scene.handoffs.end(handoff.key, operator, Via(via), notify=(chat, is_group))
    assert result.outcome is Outcome.ENDED
    promises = Promises(scene.database)
    if via == "command":
        await scene.speaker().last_words([await scene.watched(handoff)])
        assert texts(scene) == [], "its answer is still under way"
    await promises.told(await promises.due())
    await scene.speaker().last_words([await scene.watched(handoff)])
    assert bool(texts(scene)) is told
    assert await due(scene, 9e9) == []


async def test_many_ends_are_one_message(scene: Scene) -> None:
    await scene.speaker().last_words(await ended(scene, await scene.crowd(FOLD + 1)))
    [text] = texts(scene)
    assert text.startswith("6 个会话已结束：") and len(text.splitlines()) == 7


async def test_a_muted_group_hears_no_last_words_either(scene: Scene) -> None:
    over = await ended(scene, [await scene.waiting()])
    await scene.attention.mute(CHAT, scene.clock.now() + 60)
    await scene.speaker().last_words(over)
    scene.clock.move(61)
    await scene.speaker().last_words(over)
    assert texts(scene) == []


async def test_a_last_word_that_did_not_arrive_is_said_later_and_those_that_did_are_not_repeated(scene: Scene) -> None:
    over = await ended(scene, await scene.crowd(3))
    scene.channel.before("send", lambda: None, raising(ChannelError("no")))
    await scene.speaker().last_words(over)
    assert len(texts(scene)) == 1
    left = await scene.alerts.due(scene.clock.now() + RETRY, 10)
    assert [each.handoff.id for each in left] == [each.handoff.id for each in over[1:]]
    await scene.speaker().last_words(left)
    assert len(texts(scene)) == 3 and len(set(texts(scene))) == 3


async def test_a_folded_one_comes_again_whole(scene: Scene) -> None:
    over = await ended(scene, await scene.crowd(FOLD + 1))
    scene.channel.before("send", raising(ChannelError("no")))
    await scene.speaker().last_words(over)
    assert sorted(await due(scene, RETRY)) == [each.handoff.id for each in over]


async def test_a_last_word_that_waits_for_its_turn_at_stop_is_said_by_the_next_life(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.speaker.HURRY", 0.02)
    over, speaker, reached = await ended(scene, [await scene.waiting()]), scene.speaker(), asyncio.Event()

    async def turn() -> None:
        reached.set()
        await asyncio.Event().wait()

    scene.channel.before("send", turn)
    await speaker.last_words(over)
    await reached.wait()
    await speaker.stop()
    await said_by_the_next_life(scene)


async def said_by_the_next_life(scene: Scene) -> None:
    speaker = scene.speaker()
    await speaker.take_up()
    await speaker.last_words(await scene.alerts.due(scene.clock.now(), 10))
    await heard(speaker, CHAT)
    assert len(texts(scene)) == 1


async def test_a_last_word_that_is_looked_up_at_stop_is_said_by_the_next_life_too(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forever(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("bot.speaker.HURRY", 0.02)
    over, speaker = await ended(scene, [await scene.waiting()]), scene.speaker()
    with monkeypatch.context() as patch:
        patch.setattr(scene.subjects, "of", forever)
        await speaker.last_words(over)
        await speaker.stop()
    await said_by_the_next_life(scene)


async def test_after_a_crash_it_is_said_unless_it_is_no_news_any_more(scene: Scene) -> None:
    [old] = await ended(scene, [await scene.waiting()])
    await scene.alerts.close([old.handoff.id])
    scene.clock.move(STALE)
    await scene.speaker().take_up()
    assert await due(scene, 9e9) == []
    [young] = await ended(scene, [await scene.waiting(BOB)])
    await scene.alerts.close([young.handoff.id])
    await said_by_the_next_life(scene)


@pytest.mark.parametrize("why", ["muted", "answered"])
async def test_one_that_is_not_to_be_said_is_not_said_after_a_restart_either(scene: Scene, why: str) -> None:
    handoff = await scene.waiting()
    await scene.raised(handoff)
    operator, asked_in = Operator(OperatorType.AGENT, "WuMing"), CHAT if why == "answered" else ADMIN
    await scene.handoffs.end(handoff.key, operator, Via.COMMAND, notify=(asked_in, True))
    promises = Promises(scene.database)
    await promises.told(await promises.due())
    if why == "muted":
        await scene.attention.mute(CHAT, scene.clock.now() + 60)
    speaker = scene.speaker()
    await speaker.last_words([await scene.watched(handoff)])
    await speaker.take_up()
    assert await due(scene, 9e9) == []


async def test_the_webhook_says_last_words_while_the_connection_is_down(scene: Scene) -> None:
    over, speaker = await ended(scene, [await scene.waiting()]), scene.speaker(scene.lifeline)
    scene.channel.problem = "down"
    await speaker.last_words(over)
    scene.clock.move(RETRY)
    await speaker.last_words(await scene.alerts.due(scene.clock.now(), 10))
    assert len(scene.lifeline.sent) == 1 and "已结束" in scene.lifeline.sent[0]


async def test_after_an_hour_it_is_no_news_any_more(scene: Scene) -> None:
    over = await ended(scene, [await scene.waiting()])
    scene.channel.problem = "down"
    speaker = scene.speaker()
    await speaker.last_words(over)
    scene.clock.move(STALE)
    await speaker.last_words(await scene.alerts.due(scene.clock.now(), 10))
    assert await due(scene, 9e9) == []


# -- refused automatic ends


async def test_a_refused_automatic_end_is_told_with_what_wecom_says(scene: Scene) -> None:
    watched = await scene.watched(await scene.silent())
    result = EndResult(Outcome.FAILED, watched.handoff.key, handoff=watched.handoff, error=refusal(95016))
    await scene.speaker().refused(watched, result)
    [text] = texts(scene)
    assert "自动结束没有成功" in text and "小林" in text and "95016" in text


async def test_and_where_nobody_can_be_told_nothing_breaks(scene: Scene) -> None:
    watched = await scene.watched(await scene.silent(seconds=31 * MINUTE))
    scene.channel.problem = "down"
    result = EndResult(Outcome.FAILED, watched.handoff.key, handoff=replace(watched.handoff), error=refusal(95016))
    await scene.speaker().refused(watched, result)
    scene.channel.problem = ""
    scene.channel.before("send", raising(ChannelError("no")))
    await scene.speaker().refused(watched, result)
    assert texts(scene) == []
