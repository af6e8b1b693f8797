"""Every tick: judged, looked at again, put on record, told or ended. Nothing twice, nothing about what has moved on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bot.errors import ChannelError, StorageError
from bot.model import Handoff, Rule, SessionKey, Via
from bot.policies import Policies
from bot.rules import HOUR, Policy
from bot.watch import LATER, RETRY, Watch
from storage.database import Database
from tests.fakes import (
    ANN,
    BOB,
    ENDED,
    KF,
    KF2,
    FakeClock,
    FakeKf,
    FakeSleep,
    raising,
    refusal,
    unavailable,
)
from tests.unit.conftest import AFTER, CHAT, MINUTE, Scene


class Guard:
    """The watch of one process. `fresh`: whether the stream can be read to its end now; `news` come to light then."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.fresh, self.trusted = scene, True, True
        self.news: list[Callable[[], Awaitable[Any]]] = []
        self.caught_up: list[str] = []
        self.sure: set[str] = set()
        speaker = scene.speaker()
        self.policies = Policies(scene.handoffs, scene.clock, lambda account: scene.book, speaker.refused)
        self.watch = Watch(
            scene.alerts, scene.clock, lambda account: scene.book, self._catch_up, scene.handoffs.read_states,
            self._trustworthy, self.policies, speaker,
        )  # fmt: skip

    async def _catch_up(self, open_kfid: str, patience: float, *, sure: bool = False) -> bool:
        self.caught_up.append(open_kfid)
        self.sure |= {open_kfid} if sure else set()
        if self.news:
            await self.news.pop(0)()
        return self.fresh

    async def _trustworthy(self) -> bool:
        return self.trusted

    async def tick(self, after: float = 0.0) -> None:
        self.scene.clock.move(after)
        await self.watch.tick()

    @property
    def cards(self) -> list[str]:
        return [card.title for _, _, card in self.scene.channel.cards]

    @property
    def texts(self) -> list[str]:
        return [text for _, _, text in self.scene.channel.sent]


@pytest.fixture
def guard(scene: Scene) -> Guard:
    return Guard(scene)


@pytest.fixture
async def rival(
    tmp_path: Path, scene: Scene, fake_clock: FakeClock, fake_sleep: FakeSleep, fake_kf: FakeKf
) -> AsyncIterator[Guard]:
    """Another process on the same file; it speaks through the same channel."""
    database = Database(tmp_path / "kfbot.db")
    await database.open()
    second = Scene(database, fake_clock, fake_sleep, fake_kf)
    second.channel = scene.channel
    yield Guard(second)
    await database.close()


# -- told


async def test_a_waiting_customer_is_told_once_and_repeated_with_growing_pauses(scene: Scene, guard: Guard) -> None:
    await scene.waiting()
    for _ in range(5):
        await guard.tick(1)
    assert guard.cards == ["#1 小林 等了 6 分钟"]
    counts = []
    for _ in range(8):
        await guard.tick(15 * MINUTE)
        counts.append(len(guard.cards))
    assert counts == [2, 2, 3, 3, 3, 3, 4, 4]


async def test_before_its_time_nothing_is_asked_of_anybody(scene: Scene, guard: Guard) -> None:
    await scene.waiting(seconds=4 * MINUTE)
    await guard.tick()
    assert (guard.cards, guard.caught_up, scene.kf.names) == ([], [], [])


async def test_every_clock_has_its_alert(scene: Scene, guard: Guard) -> None:
    await scene.queued(ANN)
    await scene.silent(BOB)
    await guard.tick()
    assert sorted(guard.cards) == ["#1 小林 排队 4 分钟", "#2 Bob 31 分钟无人发言"]
    await guard.tick(4 * HOUR)
    assert "#2 Bob 4 小时 31 分钟无人发言" in guard.cards


async def test_an_answer_clears_it_and_the_next_wait_is_a_new_alert(scene: Scene, guard: Guard) -> None:
    handoff = await scene.waiting()
    await guard.tick()
    scene.clock.move(60)
    await scene.answered(handoff)
    await guard.tick(20 * MINUTE)
    assert len(guard.cards) == 1 and (await scene.watched(handoff)).alerts == {}
    await scene.asked(handoff)
    await guard.tick(5 * MINUTE)
    assert guard.cards[1:] == ["#1 小林 等了 5 分钟"]
    assert (await scene.watched(handoff)).alerts[Rule.CUSTOMER_WAITING].sends == 1


async def test_many_at_once_are_one_list(scene: Scene, guard: Guard) -> None:
    await scene.crowd(7)
    await guard.tick()
    assert guard.cards == ["7 个会话需要处理"]


async def test_more_than_one_batch_is_done_in_one_tick(
    scene: Scene, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.watch.BATCH", 2)
    await scene.crowd(5)
    await guard.tick()
    assert len(guard.cards) == 5


# -- looked at again

Late = Callable[[Scene, Handoff], Awaitable[Any]]
LATE: dict[str, Late] = {
    "answered": lambda scene, handoff: scene.answered(handoff),
    "ended": lambda scene, handoff: scene.ended(handoff),
}


@pytest.mark.parametrize("news", LATE)
async def test_news_that_lay_in_the_stream_come_first(scene: Scene, guard: Guard, news: str) -> None:
    handoff = await scene.waiting()
    guard.news.append(lambda: LATE[news](scene, handoff))
    await guard.tick()
    assert (guard.cards, guard.texts, guard.caught_up) == ([], [], [KF])


@pytest.mark.parametrize("news", LATE)
async def test_so_do_news_that_come_while_the_state_is_read(scene: Scene, guard: Guard, news: str) -> None:
    handoff = await scene.waiting()
    scene.kf.before("state", lambda: LATE[news](scene, handoff))
    await guard.tick()
    assert (guard.cards, guard.texts) == ([], [])


async def test_an_end_that_no_event_told_is_found_instead_of_an_alert(scene: Scene, guard: Guard) -> None:
    handoff = await scene.waiting()
    scene.kf.session_state(KF, ANN, ENDED)
    await guard.tick()
    assert (guard.cards, guard.texts) == ([], [])
    assert (await scene.handoff(handoff.id)).via == Via.ELSEWHERE


async def test_nothing_is_said_of_a_session_that_is_over_while_nobody_can_tell_how(scene: Scene, guard: Guard) -> None:
    async def deaf(open_kfid: str) -> bool:
        return False

    handoff = await scene.waiting()
    scene.kf.session_state(KF, ANN, ENDED)
    scene.handoffs.untold.catch_up = deaf
    await guard.tick()
    assert (guard.cards, guard.texts, (await scene.handoff(handoff.id)).status.is_open) == ([], [], True)
    await guard.tick(RETRY)
    await guard.tick(RETRY)
    assert (guard.cards, guard.texts, (await scene.handoff(handoff.id)).via) == ([], [], Via.ELSEWHERE)


async def test_one_look_into_the_stream_serves_a_whole_account(scene: Scene, guard: Guard) -> None:
    await scene.crowd(3, KF)
    await scene.waiting(BOB, KF2)
    await guard.tick()
    assert sorted(guard.caught_up) == [KF, KF2]
    assert len(scene.kf.called("state")) == 4


async def test_alerts_do_not_wait_for_a_stream_that_cannot_be_read(scene: Scene, guard: Guard) -> None:
    guard.fresh = False
    await scene.waiting()
    await guard.tick()
    assert len(guard.cards) == 1


@pytest.mark.parametrize(("error", "pause"), [(unavailable(), RETRY), (refusal(95004), LATER)])
async def test_a_state_that_cannot_be_read_holds_that_one_back(
    scene: Scene, guard: Guard, error: Exception, pause: float
) -> None:
    await scene.waiting(ANN)
    await scene.waiting(BOB)
    scene.kf.before("state", raising(error))
    await guard.tick()
    await guard.tick(pause - 1)
    assert {each.split()[1] for each in guard.cards} == {"Bob"}
    await guard.tick(1)
    assert {each.split()[1] for each in guard.cards} == {"Bob", "小林"}


# -- nothing is done


async def test_while_times_cannot_be_trusted(scene: Scene, guard: Guard) -> None:
    scene.policy(policy=Policy.IDLE, idle_after=30 * MINUTE)
    await scene.waiting(ANN)
    await scene.silent(BOB)
    guard.trusted = False
    await guard.tick()
    await guard.tick(RETRY)
    assert (guard.cards, guard.caught_up, scene.kf.names) == ([], [], [])
    guard.trusted = True
    await guard.tick(RETRY)
    assert guard.cards == ["#1 小林 等了 6 分钟"]
    assert await scene.ledger.count_open() == 1


async def test_for_a_group_that_is_muted(scene: Scene, guard: Guard) -> None:
    await scene.waiting(ANN, KF)
    await scene.waiting(BOB, KF2)
    await scene.attention.mute(CHAT, scene.clock.now() + 600)
    await guard.tick()
    assert [chat for chat, _, _ in scene.channel.cards] == [AFTER]
    assert [each.args[0].open_kfid for each in scene.kf.called("state")] == [KF2]
    await guard.tick(599)
    assert len(guard.cards) == 1
    await guard.tick(1)
    assert [chat for chat, _, _ in scene.channel.cards] == [AFTER, CHAT]


async def test_for_a_group_that_cannot_be_reached(scene: Scene, guard: Guard) -> None:
    await scene.waiting()
    scene.channel.problem = "down"
    await guard.tick()
    await guard.tick(RETRY)
    assert scene.kf.names == []
    scene.channel.problem = ""
    await guard.tick(RETRY)
    assert len(guard.cards) == 1


async def test_but_policies_go_on_there(scene: Scene, guard: Guard) -> None:
    scene.policy(policy=Policy.IDLE, idle_after=30 * MINUTE)
    await scene.attention.mute(CHAT, scene.clock.now() + 3600)
    await scene.silent()
    await guard.tick()
    assert await scene.ledger.count_open() == 0


async def test_what_did_not_arrive_is_tried_again(scene: Scene, guard: Guard) -> None:
    await scene.waiting()
    scene.channel.before("send_card", raising(ChannelError("no")))
    await guard.tick()
    await guard.tick(RETRY)
    assert len(guard.cards) == 1


# -- what staff said


async def test_an_ack_quiets_it_and_if_nothing_follows_it_reminds(scene: Scene, guard: Guard) -> None:
    handoff = await scene.waiting()
    await guard.tick()
    await scene.attention.ack(handoff.id, "LiNa")
    await guard.tick(30 * MINUTE - 1)
    assert len(guard.cards) == 1
    await guard.tick(1)
    assert len(guard.cards) == 2


async def test_a_snooze_quiets_it_until_then(scene: Scene, guard: Guard) -> None:
    handoff = await scene.waiting()
    await guard.tick()
    await scene.attention.snooze(handoff.id, "LiNa", 600)
    await guard.tick(599)
    assert len(guard.cards) == 1
    await guard.tick(1)
    assert len(guard.cards) == 2


async def test_a_snooze_holds_for_alerts_to_come_as_well(scene: Scene, guard: Guard) -> None:
    handoff = await scene.waiting(seconds=10)
    await scene.attention.snooze(handoff.id, "LiNa", 3600)
    await guard.tick(3599)
    assert guard.cards == []
    await guard.tick(1)
    assert guard.cards == ["#1 小林 等了 1 小时"]


# -- the last word


@pytest.mark.parametrize("via", [Via.CLIENT, Via.CLI, Via.API, Via.CHAT, Via.ELSEWHERE, Via.POLICY, Via.EXPIRED])
async def test_the_end_in_whatever_way_is_told_once(scene: Scene, guard: Guard, via: Via) -> None:
    handoff = await scene.waiting()
    await guard.tick()
    await scene.ended(handoff, via=via)
    for _ in range(3):
        await guard.tick(RETRY)
    assert len(guard.texts) == 1 and "已结束" in guard.texts[0]
    assert len(guard.cards) == 1


async def test_after_it_nothing_more_is_told_of_that_one_but_of_the_next(scene: Scene, guard: Guard) -> None:
    first = await scene.waiting()
    await guard.tick()
    await scene.ended(first)
    scene.clock.move(10 * MINUTE)
    second = await scene.waiting()
    await guard.tick()
    assert guard.cards == ["#1 小林 等了 6 分钟", f"#{second.id} 小林 等了 6 分钟"]
    await guard.tick(15 * MINUTE)
    assert len(guard.texts) == 1 and guard.cards[2] == f"#{second.id} 小林 等了 21 分钟"


# -- automatic ends


async def test_an_idle_session_is_ended_and_one_who_waits_never(scene: Scene, guard: Guard) -> None:
    scene.policy(policy=Policy.IDLE, idle_after=30 * MINUTE)
    idle, waiting = await scene.silent(ANN), await scene.waiting(BOB, seconds=9 * HOUR)
    await guard.tick()
    assert not (await scene.handoff(idle.id)).status.is_open
    assert (await scene.handoff(waiting.id)).status.is_open
    assert len(guard.cards) == 1 and "Bob" in guard.cards[0] and guard.texts == []


async def test_what_the_group_was_told_of_gets_its_last_word_in_the_same_tick(scene: Scene, guard: Guard) -> None:
    handoff = await scene.silent()
    await guard.tick()
    scene.policy(policy=Policy.IDLE, idle_after=40 * MINUTE)
    await scene.alerts.watch_all()
    await guard.tick(10 * MINUTE)
    assert not (await scene.handoff(handoff.id)).status.is_open
    assert "系统（自动规则）" in guard.texts[0]


async def test_on_message_ends_a_session_whose_customer_writes_to_a_human(scene: Scene, guard: Guard) -> None:
    scene.policy(policy=Policy.ON_MESSAGE)
    handoff = await scene.waiting(seconds=1)
    await guard.tick()
    ended = await scene.handoff(handoff.id)
    assert (ended.ended_by, ended.via, ended.operator_id) == ("SYSTEM", "policy", "on_message")
    assert (guard.cards, guard.texts) == ([], [])


async def test_what_cannot_be_taken_back_wants_to_be_sure(scene: Scene, guard: Guard) -> None:
    scene.policy(policy=Policy.IDLE, idle_after=30 * MINUTE)
    await scene.silent(ANN, KF)
    await scene.waiting(BOB, KF2)
    await guard.tick()
    assert (sorted(guard.caught_up), guard.sure) == ([KF, KF2], {KF})


async def test_no_end_is_made_before_the_stream_has_been_read(scene: Scene, guard: Guard) -> None:
    scene.policy(policy=Policy.IDLE, idle_after=30 * MINUTE)
    await scene.silent()
    guard.fresh = False
    await guard.tick()
    await guard.tick(RETRY - 1)
    assert scene.kf.called("trans") == [] and len(guard.caught_up) == 1
    guard.fresh = True
    await guard.tick(1)
    assert await scene.ledger.count_open() == 0


async def test_a_message_that_lay_in_the_stream_saves_the_session(scene: Scene, guard: Guard) -> None:
    scene.policy(policy=Policy.IDLE, idle_after=30 * MINUTE)
    handoff = await scene.silent()
    guard.news.append(lambda: scene.asked(handoff))
    await guard.tick()
    assert scene.kf.called("trans") == [] and (await scene.handoff(handoff.id)).status.is_open


async def test_a_refused_end_is_told_once_rests_and_leaves_the_alerts_to_people(scene: Scene, guard: Guard) -> None:
    scene.policy(policy=Policy.IDLE, idle_after=30 * MINUTE)
    await scene.silent()
    scene.kf.before("trans", *[raising(refusal(95016))] * 9)
    for _ in range(10):
        await guard.tick(RETRY)
    assert len(scene.kf.called("trans")) == 1
    assert [each.splitlines()[0] for each in guard.texts] == [scene.say("policy.refused")]
    assert len(guard.cards) == 1
    await guard.tick(300)
    assert len(scene.kf.called("trans")) == 2 and len(guard.texts) == 1


# -- two processes


async def test_two_processes_tell_everything_once(scene: Scene, guard: Guard, rival: Guard) -> None:
    handoffs = await scene.crowd(4)
    await asyncio.gather(guard.tick(), rival.tick())
    assert len(guard.cards) == 4
    await asyncio.gather(guard.tick(15 * MINUTE), rival.tick())
    assert len(guard.cards) == 8
    for each in handoffs:
        await scene.ended(each)
    await asyncio.gather(guard.tick(), rival.tick())
    assert len(guard.texts) == 4 and len(set(guard.texts)) == 4


async def test_two_processes_end_once(scene: Scene, guard: Guard, rival: Guard) -> None:
    scene.policy(policy=Policy.IDLE, idle_after=30 * MINUTE)
    rival.scene.book = scene.book
    await scene.silent()
    await asyncio.gather(guard.tick(), rival.tick())
    assert len(scene.kf.called("trans")) == 1 and await scene.ledger.count_open() == 0


# -- when it looks


async def test_a_tick_during_a_tick_has_it_look_once_more(scene: Scene, guard: Guard) -> None:
    await scene.waiting(ANN)

    async def meanwhile() -> None:
        await scene.waiting(BOB)
        await guard.watch.tick()
        assert guard.cards == []

    guard.news.append(meanwhile)
    await guard.tick()
    assert len(guard.cards) == 2


@pytest.fixture
async def running(guard: Guard) -> AsyncIterator[Guard]:
    task = asyncio.create_task(guard.watch.run())
    yield guard
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  the threads of the database have no event to wait for
            await asyncio.sleep(0.001)


async def test_news_that_are_due_at_once_do_not_wait_for_the_tick(scene: Scene, running: Guard) -> None:
    handoff = await scene.waiting()
    running.watch.news([await scene.ledger.session(handoff.key)])
    await until(lambda: running.cards)


async def test_other_news_do(scene: Scene, running: Guard) -> None:
    calm = await scene.waiting(ANN, seconds=10)
    unknown = await scene.ledger.session(SessionKey(KF, BOB))
    running.watch.news([await scene.ledger.session(calm.key), unknown])
    assert not running.watch._wanted.is_set()


async def test_a_tick_that_fails_is_not_the_last_one(
    scene: Scene, running: Guard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await scene.waiting()

    async def broken(now: float, limit: int) -> None:
        raise StorageError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(scene.alerts, "due", broken)
        running.watch.wake()
        await until(lambda: "watch failed" in caplog.text)
    running.watch.wake()
    await until(lambda: running.cards)
