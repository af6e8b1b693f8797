"""What people want to know of handoffs, gathered."""

from __future__ import annotations

from bot.model import KfItem, Rule
from bot.sessions import CUSTOMER
from bot.states import SESSION_LIFETIME
from tests.fakes import ANN, BOB, KF, KF2
from tests.unit.conftest import Scene


async def test_names_words_and_the_end_that_wecom_makes_by_itself(scene: Scene) -> None:
    handoff = await scene.waiting(seconds=60, text="订单没到")
    subject = await scene.subjects.one(await scene.watched(handoff))
    assert (subject.handoff, subject.nickname, subject.account) == (handoff, "小林", "售前咨询")
    assert subject.words == "订单没到"
    assert subject.expires_at == scene.clock.now() - 60 + SESSION_LIFETIME


async def test_in_the_order_that_was_asked_for_with_the_rules_that_speak(scene: Scene) -> None:
    first, second = await scene.waiting(ANN, KF), await scene.waiting(BOB, KF2)
    watched = [await scene.watched(each) for each in (second, first)]
    found = await scene.subjects.of(watched, {first.id: [Rule.HUMAN_OPEN]})
    assert [each.handoff.id for each in found] == [second.id, first.id]
    assert [tuple(each.rules) for each in found] == [(), (Rule.HUMAN_OPEN,)]
    assert [each.account for each in found] == ["售后服务", "售前咨询"]


async def test_what_was_written_before_the_handoff_opened_is_known_from_memory(scene: Scene) -> None:
    scene.words.note([KfItem("M1", KF, ANN, 1_700_000_000, CUSTOMER, "text", text="转人工")])
    handoff = await scene.waiting(text="")
    assert (await scene.subjects.one(await scene.watched(handoff))).words == "转人工"


async def test_what_nobody_knows_is_left_out(scene: Scene) -> None:
    stranger = scene.kf.customer_new("", "wmStranger")
    scene.kf.account_new("wkNEW", "", {})
    handoff = await scene.waiting(stranger, "wkNEW", text="")
    subject = await scene.subjects.one(await scene.watched(handoff))
    assert (subject.nickname, subject.account, subject.words) == ("", "wkNEW", "")
    assert await scene.subjects.of([]) == []
