"""Outcomes that a chat is owed: told until they have arrived, hardly ever twice, and not for ever."""

from __future__ import annotations

import asyncio
import logging

import pytest

from bot.ending import Outcome
from bot.errors import ChannelError
from bot.model import Asker, GroupMessage, Handoff, Operator, OperatorType, Via
from bot.outcomes import ANSWERABLE, FOLD, Outcomes
from bot.ports import Owed
from storage.promises import Promises
from tests.fakes import ANN, BOB, KF, KF2, raising, refusal, unavailable
from tests.unit.conftest import AFTER, CHAT, Scene

LI = Operator(OperatorType.AGENT, "LiNa")


class Teller:
    def __init__(self, scene: Scene) -> None:
        self.scene, self.promises = scene, Promises(scene.database)
        self.heard_otherwise = False
        self.outcomes = Outcomes(
            self.promises, scene.ledger, scene.people, scene.channel, scene.clock, scene.say, self._otherwise
        )

    async def _otherwise(self, owed: Owed) -> bool:
        return self.heard_otherwise

    async def tell(self) -> list[str]:
        """All that is told in one run."""
        before = len(self.scene.channel.sent)
        await self.outcomes.tell_all()
        await asyncio.gather(*self.outcomes._talks.values())
        return [text for _, _, text in self.scene.channel.sent[before:]]

    async def claimed(self, msgid: str = "m1", text: str = "/end 1") -> int:
        message = GroupMessage("fake", msgid, CHAT, True, "LiNa", text)
        row = await self.scene.chats.claim(message, "end", text, self.scene.clock.now())
        assert row is not None
        return row

    async def end(self, handoff: Handoff, chat: str = CHAT, command: int | None = None) -> Outcome:
        asker = Asker(chat, True, command)
        return (await self.scene.handoffs.end(handoff.key, LI, Via.COMMAND, notify=asker)).outcome

    async def settle(self) -> None:
        async def known(*_: object) -> None:
            """It is told from the record."""

        self.scene.clock.move(20)
        await self.scene.handoffs.settle_pending(known)


@pytest.fixture
def teller(scene: Scene) -> Teller:
    return Teller(scene)


def silent(scene: Scene) -> None:
    """WeCom carries the move out and says nothing more."""
    scene.kf.after("trans", raising(unavailable()))
    scene.kf.before("state", lambda: None, raising(unavailable()))


def unacknowledged() -> ChannelError:
    lost = ChannelError("no acknowledgement")
    lost.sent = True
    return lost


async def test_an_answer_that_arrived_is_all_there_is(scene: Scene, teller: Teller) -> None:
    row = await teller.claimed()
    assert await teller.end(await scene.waiting(), command=row) is Outcome.ENDED
    assert await teller.tell() == [], "the answer is still under way"
    await scene.chats.settle(row, "ok", 0.1, told=True)
    assert await teller.tell() == []


async def test_an_answer_that_was_lost_is_told_once(scene: Scene, teller: Teller) -> None:
    row = await teller.claimed()
    await teller.end(await scene.waiting(), command=row)
    await scene.chats.settle(row, "ok", 0.1)
    [told] = await teller.tell()
    assert told.startswith("先前请求结束 **小林** #1") and "✅ 已结束 **小林** #1" in told
    assert await teller.tell() == []


async def test_the_answer_that_it_is_not_known_yet_is_not_the_outcome(scene: Scene, teller: Teller) -> None:
    silent(scene)
    row = await teller.claimed()
    assert await teller.end(await scene.waiting(), command=row) is Outcome.UNKNOWN
    await teller.settle()
    [told] = await teller.tell()
    await scene.chats.settle(row, "ok", 9.0, told=True)
    assert "✅ 已结束" in told and await teller.tell() == []


async def test_nor_does_it_arrive_with_the_outcome_where_that_came_in_between(scene: Scene, teller: Teller) -> None:
    silent(scene)
    row = await teller.claimed()
    await teller.end(await scene.waiting(), command=row)
    await teller.settle()
    await scene.chats.settle(row, "ok", 9.0, told=True)
    assert len(await teller.tell()) == 1


async def test_it_waits_for_the_connection(scene: Scene, teller: Teller) -> None:
    await teller.end(await scene.waiting())
    scene.channel.problem = "not connected"
    for _ in range(5):
        assert await teller.tell() == []
    scene.channel.problem = ""
    assert len(await teller.tell()) == 1


async def test_what_certainly_did_not_arrive_is_told_again(scene: Scene, teller: Teller) -> None:
    await teller.end(await scene.waiting())
    scene.channel.before("send", *[raising(ChannelError("not connected"))] * 4)
    assert [await teller.tell() for _ in range(4)] == [[]] * 4
    assert len(await teller.tell()) == 1


@pytest.mark.parametrize("why", [unacknowledged(), ChannelError("the bot is not in that chat", 600039)])
async def test_what_may_have_arrived_or_is_refused_is_told_twice_at_most(
    scene: Scene, teller: Teller, caplog: pytest.LogCaptureFixture, why: ChannelError
) -> None:
    await teller.end(await scene.waiting())
    scene.channel.before("send", *[raising(why)] * 2)
    for _ in range(4):
        assert await teller.tell() == []
    assert "given_up=[1]" in caplog.text and caplog.text.count("outcome not delivered") == 2


async def test_after_ten_minutes_nobody_waits_any_more(
    scene: Scene, teller: Teller, caplog: pytest.LogCaptureFixture
) -> None:
    await teller.end(await scene.waiting())
    scene.channel.problem = "not connected"
    scene.clock.move(ANSWERABLE + 1)
    assert await teller.tell() == []
    assert f"nobody waits any more | chat={CHAT} handoff=1" in caplog.text
    scene.channel.problem = ""
    assert await teller.tell() == []


async def test_many_in_one_chat_are_one_message(scene: Scene, teller: Teller) -> None:
    row = await teller.claimed()
    for handoff in await scene.crowd(FOLD + 1):
        await teller.end(handoff, command=row)
    await scene.chats.settle(row, "lost", 0.0)
    [told] = await teller.tell()
    assert told.startswith("先前请求结束的 6 个会话，结果：\n> ✅ 已结束") and len(told.splitlines()) == 7
    assert await teller.tell() == []


async def test_a_chat_that_makes_wait_holds_up_no_other(scene: Scene, teller: Teller) -> None:
    await teller.end(await scene.waiting(ANN, KF))
    await teller.end(await scene.waiting(BOB, KF2), AFTER)
    free = asyncio.Event()
    scene.channel.before("send", free.wait)
    await teller.outcomes.tell_all()
    while not scene.channel.sent:  # noqa: ASYNC110  there is nothing to wait for
        await asyncio.sleep(0)
    await teller.outcomes.tell_all()
    free.set()
    await asyncio.gather(*teller.outcomes._talks.values())
    assert len(scene.channel.sent) == 2
    assert await teller.tell() == []


async def test_what_is_cut_off_at_the_stop_is_told_by_the_next_process(scene: Scene, teller: Teller) -> None:
    await teller.end(await scene.waiting())
    scene.channel.before("send", asyncio.Event().wait)
    await teller.outcomes.tell_all()
    await teller.outcomes.stop()
    assert len(await Teller(scene).tell()) == 1


async def test_what_the_last_word_says_is_not_told(scene: Scene, teller: Teller) -> None:
    await teller.end(await scene.waiting())
    teller.heard_otherwise = True
    assert await teller.tell() == []
    teller.heard_otherwise = False
    assert await teller.tell() == []


async def test_a_refusal_is_told_with_its_code(scene: Scene, teller: Teller) -> None:
    scene.kf.before("trans", raising(refusal(95016)))
    await teller.end(await scene.waiting())
    [told] = await teller.tell()
    assert "未能结束" in told and "95016" in told


async def test_what_is_outdated_is_told_as_such(scene: Scene, teller: Teller) -> None:
    scene.kf.before("trans", raising(unavailable()))
    scene.kf.before("state", lambda: None, raising(unavailable()))
    handoff = await scene.waiting()
    assert await teller.end(handoff) is Outcome.UNKNOWN
    await scene.asked(handoff)
    for _ in range(10):
        await teller.settle()
    [told] = await teller.tell()
    assert "会话在此期间有了新消息" in told


async def test_an_end_that_nobody_asked_for_in_a_chat_is_owed_to_nobody(scene: Scene, teller: Teller) -> None:
    handoff = await scene.waiting()
    await scene.handoffs.end(handoff.key, LI, Via.API)
    assert await teller.tell() == []


async def test_who_asks_for_the_end_that_an_agent_began_elsewhere_is_told_too(scene: Scene, teller: Teller) -> None:
    handoff = await scene.waiting()
    now = scene.clock.now()
    await scene.ledger.open_ending(handoff.key, lambda session: True, LI, Via.API, "", now, 15.0, None)
    assert await teller.end(handoff) is Outcome.UNKNOWN
    await teller.settle()
    assert len(await teller.tell()) == 1


async def test_who_takes_an_end_over_takes_the_promise_over(scene: Scene, teller: Teller) -> None:
    silent(scene)
    handoff = await scene.waiting()
    await teller.end(handoff)
    scene.kf.before("state", raising(unavailable()))
    scene.clock.move(20)
    await scene.handoffs.end(handoff.key, LI, Via.API)
    await teller.settle()
    await scene.handoffs.end(handoff.key, LI, Via.API)
    assert len(await teller.tell()) == 1


async def test_failures_are_logged_and_it_stays_owed(
    scene: Scene, teller: Teller, caplog: pytest.LogCaptureFixture
) -> None:
    await teller.end(await scene.waiting())
    scene.channel.before("send", raising(RuntimeError("a mistake")))
    with caplog.at_level(logging.ERROR):
        assert await teller.tell() == []
    assert f"outcomes not told | chat={CHAT}" in caplog.text
    assert len(await teller.tell()) == 1
