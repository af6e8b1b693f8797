"""Somebody takes it, or not now: the first one wins, and it does not hold for ever."""

from __future__ import annotations

import pytest

from bot.attention import Answer, Heard
from bot.model import EVERYTHING, NOTHING, Rule, Scope
from bot.rules import ACK_HOLDS
from tests.fakes import ANN, BOB, KF, KF2
from tests.unit.conftest import AFTER, CHAT, MINUTE, Scene

HOLDS = ACK_HOLDS * 15 * MINUTE


async def ack(scene: Scene, number: int, userid: str = "LiNa") -> Answer:
    answer = await scene.attention.ack(number, userid)
    assert answer is not None
    return answer


async def snooze(
    scene: Scene, number: int, userid: str = "LiNa", seconds: float = 600.0, *, anew: bool = False
) -> Answer:
    answer = await scene.attention.snooze(number, userid, seconds, anew=anew)
    assert answer is not None
    return answer


# -- ack


async def test_who_takes_it_has_it_for_a_time(scene: Scene) -> None:
    handoff = await scene.waiting()
    await scene.raised(handoff)
    answer = await ack(scene, handoff.id)
    assert (answer.heard, answer.watched.quiet.acked_by) == (Heard.DONE, "LiNa")
    assert answer.until == scene.clock.now() + HOLDS
    scene.clock.move(60)
    second = await ack(scene, handoff.id, "WuMing")
    assert (second.heard, second.watched.quiet.acked_by, second.until) == (Heard.ALREADY, "LiNa", answer.until)


async def test_when_it_is_over_somebody_else_may_take_it(scene: Scene) -> None:
    handoff = await scene.waiting()
    await scene.raised(handoff)
    await ack(scene, handoff.id)
    scene.clock.move(HOLDS)
    assert scene.attention.acked_until(await scene.watched(handoff)) == scene.clock.now()
    answer = await ack(scene, handoff.id, "WuMing")
    assert (answer.heard, answer.watched.quiet.acked_by) == (Heard.DONE, "WuMing")


async def test_messages_of_a_customer_who_waits_do_not_prolong_it(scene: Scene) -> None:
    handoff = await scene.waiting()
    await scene.raised(handoff)
    until = (await ack(scene, handoff.id)).until
    scene.clock.move(300)
    await scene.asked(handoff)
    assert scene.attention.until(await scene.watched(handoff)) == until


async def test_of_a_long_session_they_do(scene: Scene) -> None:
    handoff = await scene.silent()
    await scene.raised(handoff, Rule.HUMAN_OPEN)
    until = (await ack(scene, handoff.id)).until
    scene.clock.move(300)
    await scene.answered(handoff)
    assert scene.attention.until(await scene.watched(handoff)) == until + 300


async def test_an_alert_raised_after_an_ack_can_be_taken_anew(scene: Scene) -> None:
    handoff = await scene.waiting()
    await scene.raised(handoff)
    await ack(scene, handoff.id)
    scene.clock.move(60)
    await scene.raised(handoff, Rule.HUMAN_OPEN)
    assert scene.attention.until(await scene.watched(handoff)) == 0.0
    assert (await ack(scene, handoff.id, "WuMing")).watched.quiet.acked_by == "WuMing"


async def test_of_several_alerts_the_first_to_come_back_is_told(scene: Scene) -> None:
    handoff = await scene.waiting()
    await scene.raised(handoff)
    await scene.raised(handoff, Rule.HUMAN_OPEN)
    assert (await ack(scene, handoff.id)).until == scene.clock.now() + HOLDS
    scene.clock.move(HOLDS)
    assert (await ack(scene, handoff.id, "WuMing")).heard is Heard.DONE


async def test_there_is_nothing_to_take_without_an_alert(scene: Scene) -> None:
    handoff = await scene.waiting()
    answer = await ack(scene, handoff.id)
    assert (answer.heard, answer.watched.quiet.acked_by, answer.until) == (Heard.NOTHING, "", 0.0)


# -- snooze


async def test_a_snooze_holds_for_its_time_and_the_first_one_counts(scene: Scene) -> None:
    handoff = await scene.waiting()
    await scene.raised(handoff)
    first = await snooze(scene, handoff.id)
    assert (first.heard, first.until) == (Heard.DONE, scene.clock.now() + 600)
    second = await snooze(scene, handoff.id, "WuMing", 9999)
    assert (second.heard, second.watched.quiet.snoozed_by, second.until) == (Heard.ALREADY, "LiNa", first.until)
    scene.clock.move(600)
    assert scene.attention.until(await scene.watched(handoff)) <= scene.clock.now()
    assert (await snooze(scene, handoff.id, "WuMing")).watched.quiet.snoozed_by == "WuMing"


async def test_a_time_that_somebody_names_counts_in_any_case(scene: Scene) -> None:
    handoff = await scene.waiting()
    await snooze(scene, handoff.id, seconds=3600)
    scene.clock.move(1)
    answer = await snooze(scene, handoff.id, "WuMing", 60, anew=True)
    assert (answer.heard, answer.until) == (Heard.DONE, scene.clock.now() + 60)


async def test_one_may_snooze_before_there_is_an_alert(scene: Scene) -> None:
    handoff = await scene.waiting(seconds=10)
    assert (await snooze(scene, handoff.id)).heard is Heard.DONE


async def test_of_ack_and_snooze_the_longer_one_holds(scene: Scene) -> None:
    handoff = await scene.waiting()
    await scene.raised(handoff)
    acked = await ack(scene, handoff.id)
    assert (await snooze(scene, handoff.id)).until == acked.until
    scene.clock.move(601)
    assert (await snooze(scene, handoff.id, seconds=7200)).until == scene.clock.now() + 7200


# -- both


@pytest.mark.parametrize("say", ["ack", "snooze"])
async def test_two_in_the_same_instant(scene: Scene, say: str, monkeypatch: pytest.MonkeyPatch) -> None:
    handoff = await scene.waiting()
    before = await scene.raised(handoff)
    first = await (ack(scene, handoff.id) if say == "ack" else snooze(scene, handoff.id))

    looks = [before]  # the second one looked before the first had spoken
    look = scene.attention.watched

    async def stale(number: int) -> object:
        return looks.pop() if looks else await look(number)

    monkeypatch.setattr(scene.attention, "watched", stale)
    second = await (ack(scene, handoff.id, "WuMing") if say == "ack" else snooze(scene, handoff.id, "WuMing"))
    assert (first.heard, second.heard) == (Heard.DONE, Heard.ALREADY)
    quiet = second.watched.quiet
    assert (quiet.acked_by if say == "ack" else quiet.snoozed_by) == "LiNa"


@pytest.mark.parametrize("say", ["ack", "snooze"])
async def test_what_is_over_is_only_said(scene: Scene, say: str) -> None:
    handoff = await scene.waiting()
    await scene.raised(handoff)
    await scene.ended(handoff)
    answer = await (ack(scene, handoff.id) if say == "ack" else snooze(scene, handoff.id))
    assert answer.heard is Heard.OVER and answer.watched.quiet.acked_by == answer.watched.quiet.snoozed_by == ""


async def test_nobody_has_heard_of_it(scene: Scene) -> None:
    assert await scene.attention.ack(99, "LiNa") is None
    assert await scene.attention.snooze(99, "LiNa", 60) is None


# -- whole groups


async def test_open_alerts_are_those_of_the_accounts_in_scope(scene: Scene) -> None:
    ours, theirs = await scene.waiting(ANN, KF), await scene.waiting(BOB, KF2)
    for handoff in (ours, theirs):
        await scene.raised(handoff)

    async def seen(scope: Scope) -> list[int]:
        return [each.handoff.id for each in await scene.attention.open(scope)]

    assert await seen(EVERYTHING) == [ours.id, theirs.id]
    assert await seen(Scope(frozenset({KF2}), others=False)) == [theirs.id]
    assert await seen(NOTHING) == []


async def test_a_mute_is_of_one_group_and_ends_by_itself_or_by_hand(scene: Scene) -> None:
    attention, until = scene.attention, scene.clock.now() + 3600
    await attention.mute(CHAT, until)
    assert [await attention.muted_until(each) for each in (CHAT, AFTER, "")] == [until, 0.0, 0.0]
    scene.clock.move(3600)
    assert await attention.muted_until(CHAT) == 0.0
    await attention.mute(CHAT, scene.clock.now() + 60)
    await attention.mute(CHAT, 0.0)
    assert await attention.muted_until(CHAT) == 0.0
