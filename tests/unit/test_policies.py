"""Ends that nobody asked for: on record as the policy's, never against younger news, and rarely where refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from bot.ending import EndResult, Outcome
from bot.errors import RateLimited
from bot.model import Handoff, OperatorType, Watched
from bot.policies import AT_ONCE, MOST_REST, REST, SHORT_REST, Policies
from bot.rules import HOUR, Policy
from bot.sessions import Session
from tests.fakes import raising, refusal, unavailable
from tests.unit.conftest import MINUTE, Scene

Told = list[tuple[Watched, EndResult]]


class Job:
    """The policies of a scene, and what people were told of refusals."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.told, self.deaf = scene, Told(), False
        self.policies = Policies(scene.handoffs, scene.clock, lambda account: scene.book, self._hear)

    async def _hear(self, watched: Watched, result: EndResult) -> bool:
        self.told += [] if self.deaf else [(watched, result)]
        return not self.deaf

    async def end(self, *handoffs: Handoff, policy: Policy = Policy.IDLE) -> None:
        await self.policies.end([(await self.scene.watched(each), policy) for each in handoffs])

    @property
    def moves(self) -> int:
        return len(self.scene.kf.called("trans"))


@pytest.fixture
def job(scene: Scene) -> Job:
    scene.policy(policy=Policy.IDLE, idle_after=30 * MINUTE)
    return Job(scene)


async def test_the_end_is_the_systems_and_names_the_rule(scene: Scene, job: Job) -> None:
    handoff = await scene.silent()
    await job.end(handoff)
    ended = await scene.handoff(handoff.id)
    assert (ended.ended_by, ended.via, ended.operator_id) == (OperatorType.SYSTEM, "policy", "idle")
    assert job.told == [] and job.policies.not_before(handoff.id) == 0.0


Late = Callable[[Scene, Handoff], Any]


@pytest.mark.parametrize(
    "news",
    [lambda scene, handoff: scene.asked(handoff), lambda scene, handoff: scene.answered(handoff)],
    ids=["the customer writes", "the servicer writes"],
)
async def test_who_writes_at_the_last_moment_is_not_cut_off(scene: Scene, job: Job, news: Late) -> None:
    handoff = await scene.silent()
    scene.kf.before("state", lambda: news(scene, handoff))
    await job.end(handoff)
    assert (await scene.handoff(handoff.id)).status.is_open
    assert job.moves == 0 and job.told == [] and job.policies.not_before(handoff.id) == 0.0


async def test_who_asks_for_the_end_is_left_to_make_it(scene: Scene, job: Job) -> None:
    handoff = await scene.silent()

    def ask(session: Session) -> None:
        session.end_asked_at = scene.clock.now()

    await scene.ledger.change(handoff.key, ask, scene.clock.now())
    await job.end(handoff)
    assert (await scene.handoff(handoff.id)).status.is_open and job.moves == 0


async def test_a_customer_who_waits_is_never_ended_for_being_idle(scene: Scene, job: Job) -> None:
    handoff = await scene.waiting(seconds=9 * 3600)
    await job.end(handoff)
    assert (await scene.handoff(handoff.id)).status.is_open and job.moves == 0


async def test_the_stretch_that_is_meant_and_no_later_one(scene: Scene, job: Job) -> None:
    old = await scene.silent()
    watched = await scene.watched(old)
    await scene.ended(old)
    scene.clock.move(HOUR)
    new = await scene.silent()
    await job.policies.end([(watched, Policy.IDLE)])
    assert new.id != old.id and (await scene.handoff(new.id)).status.is_open and job.moves == 0


async def test_on_message_ends_what_the_customer_has_just_written(scene: Scene, job: Job) -> None:
    scene.policy(policy=Policy.ON_MESSAGE)
    handoff = await scene.waiting(seconds=5)
    await job.end(handoff, policy=Policy.ON_MESSAGE)
    assert (await scene.handoff(handoff.id)).operator_id == "on_message"


# -- refused


async def refuse(scene: Scene, job: Job, handoff: Handoff, error: Exception) -> float:
    """One try that WeCom does not grant; returns the seconds it rests."""
    scene.kf.before("trans", raising(error))
    await job.end(handoff)
    return job.policies.not_before(handoff.id) - scene.clock.now()


async def test_a_refused_end_rests_longer_each_time_and_is_told_once(scene: Scene, job: Job) -> None:
    handoff, rests = await scene.silent(), []
    for _ in range(6):
        rests.append(await refuse(scene, job, handoff, refusal(95016)))
        scene.clock.move(rests[-1])
    assert rests == pytest.approx([REST, 2 * REST, 4 * REST, 8 * REST, MOST_REST, MOST_REST], abs=1)
    [(watched, result)] = job.told
    assert watched.handoff.id == handoff.id
    assert result.outcome is Outcome.FAILED and result.error is not None and result.error.errcode == 95016


async def test_a_success_forgets_the_rest(scene: Scene, job: Job) -> None:
    handoff = await scene.silent()
    await refuse(scene, job, handoff, refusal(95016))
    await job.end(handoff)
    assert not (await scene.handoff(handoff.id)).status.is_open
    assert job.policies.not_before(handoff.id) == 0.0


async def test_silence_of_wecom_rests_too_but_is_no_refusal(scene: Scene, job: Job) -> None:
    handoff = await scene.silent()
    scene.kf.before("state", lambda: None, raising(unavailable()))
    assert await refuse(scene, job, handoff, unavailable()) == pytest.approx(REST, abs=1)
    assert job.told == []


async def test_a_first_refusal_that_passes_rests_shortly_and_is_not_told(scene: Scene, job: Job) -> None:
    handoff, rests = await scene.silent(), []
    for _ in range(3):
        rests.append(await refuse(scene, job, handoff, RateLimited(45009, "api freq out of limit", "/trans")))
        scene.clock.move(rests[-1])
    assert rests == pytest.approx([SHORT_REST, 2 * SHORT_REST, 4 * SHORT_REST], abs=1)
    assert len(job.told) == 1


async def test_who_could_not_be_told_is_told_with_the_next_refusal(scene: Scene, job: Job) -> None:
    handoff = await scene.silent()
    scene.kf.before("trans", *[raising(refusal(95016))] * 6)
    job.deaf = True
    await job.end(handoff)
    job.deaf = False
    await job.end(handoff)
    await job.end(handoff)
    assert len(job.told) == 1


async def test_the_first_refusal_is_told_also_after_a_silence(scene: Scene, job: Job) -> None:
    handoff = await scene.silent()
    scene.kf.before("state", lambda: None, raising(unavailable()))
    await refuse(scene, job, handoff, unavailable())
    scene.clock.move(REST)
    for _ in range(2):
        await refuse(scene, job, handoff, refusal(95016))
        scene.clock.move(MOST_REST)
    assert [result.outcome for _, result in job.told] == [Outcome.FAILED]


async def test_and_not_again_after_another(scene: Scene, job: Job) -> None:
    handoff = await scene.silent()
    for error in (refusal(95016), unavailable(), refusal(95016)):
        if error.errcode != 95016:
            scene.kf.before("state", lambda: None, raising(unavailable()))
        await refuse(scene, job, handoff, error)
        scene.clock.move(MOST_REST)
    assert len(job.told) == 1


async def test_rests_are_forgotten_before_they_fill_the_memory(
    scene: Scene, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.policies.KEPT", 1)
    first = await scene.silent()
    await refuse(scene, job, first, refusal(95016))
    second = await scene.silent(scene.kf.customer_new("乙", "wmSecond"))
    await refuse(scene, job, second, refusal(95016))
    assert job.policies.not_before(first.id) == 0.0 < job.policies.not_before(second.id)


async def test_many_are_ended_a_few_at_a_time(scene: Scene, job: Job) -> None:
    handoffs = [await scene.silent(scene.kf.customer_new("客户", f"wmEach{each:026}")) for each in range(10)]
    at_once: list[int] = []
    running = 0

    async def slow() -> None:
        nonlocal running
        running += 1
        at_once.append(running)
        await asyncio.sleep(0.001)
        running -= 1

    scene.kf.before("trans", *[slow] * 10)
    await job.end(*handoffs)
    assert job.moves == 10 and max(at_once) <= AT_ONCE
    assert await scene.ledger.count_open() == 0
