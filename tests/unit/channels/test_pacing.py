"""Turns: no window ever too full, the urgent first, time order inside a rank."""

import asyncio
import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.channels.pacing import Pace, Paces, Rank
from bot.channels.timing import Timing
from bot.errors import ChannelError

from .conftest import MovedTime, settle


def fullest(times: list[float], span: float) -> int:
    """The most of them that any window of `span` seconds holds."""
    return max((sum(start <= at < start + span for at in times) for start in times), default=0)


async def run(time: MovedTime, pace: Pace, ranks: list[Rank]) -> list[tuple[float, Rank, int]]:
    """All ask at once; returns who went when, as quickly as the pace allows."""
    gone: list[tuple[float, Rank, int]] = []

    async def one(rank: Rank, number: int) -> None:
        await pace.turn(rank)
        gone.append((time.now, rank, number))

    tasks = [asyncio.create_task(one(rank, number)) for number, rank in enumerate(ranks)]
    await settle()
    while not all(task.done() for task in tasks):
        await time.move_to_next()
    return gone


async def test_no_window_of_60_seconds_holds_more_than_30(time: MovedTime) -> None:
    pace = Pace(Timing(time.clock, time.sleep))
    gone = await run(time, pace, [Rank.UPDATE] * 100)
    times = [at for at, _, _ in gone]
    assert fullest(times, 60) == 30
    assert times[-1] - times[0] == pytest.approx(3 * 61)


async def test_no_hour_holds_more_than_1000(time: MovedTime) -> None:
    pace = Pace(Timing(time.clock, time.sleep))
    times = [at for at, _, _ in await run(time, pace, [Rank.UPDATE] * 1100)]
    assert fullest(times[950:], 60) == 30
    by_hour = [at - start for start, at in zip(times, times[1000:], strict=False)]
    assert min(by_hour) >= 3600


async def test_a_full_window_is_followed_by_no_second_at_once(time: MovedTime) -> None:
    """A leaky bucket would let one through every two seconds here."""
    pace = Pace(Timing(time.clock, time.sleep))
    await run(time, pace, [Rank.UPDATE] * 30)
    await time.move(10)
    late = asyncio.create_task(pace.turn(Rank.UPDATE))
    await time.move(50.9)
    assert not late.done()
    await time.move(0.1)
    assert late.done()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(Rank), st.floats(0, 9)), max_size=40))
def test_any_mix_keeps_the_windows_and_the_order(asks: list[tuple[Rank, float]]) -> None:
    async def check() -> None:
        time = MovedTime()
        limits = ((5, 10.0), (12, 60.0))
        pace = Pace(Timing(time.clock, time.sleep), limits, {Rank.UPDATE: 0, Rank.REPLY: 1, Rank.PUSH: 2})
        gone: list[tuple[float, Rank, int]] = []

        async def one(rank: Rank, number: int) -> None:
            await pace.turn(rank)
            gone.append((time.now, rank, number))

        tasks = []
        for number, (rank, pause) in enumerate(asks):
            tasks.append(asyncio.create_task(one(rank, number)))
            await settle()
            await time.move(pause)
        while not all(task.done() for task in tasks):
            await time.move_to_next()
        for count, span in limits:
            assert fullest([at for at, _, _ in gone], span - 0.001) <= count
        for rank in Rank:
            numbers = [number for _, its, number in gone if its is rank]
            assert numbers == sorted(numbers)
        await settle()
        assert not time.naps()

    asyncio.run(check())


async def test_updates_before_replies_before_pushes(time: MovedTime) -> None:
    pace = Pace(Timing(time.clock, time.sleep), ((1, 10.0),), reserve={})
    await pace.turn(Rank.PUSH)
    gone = await run(time, pace, [Rank.PUSH, Rank.REPLY, Rank.PUSH, Rank.UPDATE, Rank.REPLY, Rank.UPDATE])
    assert [number for _, _, number in gone] == [3, 5, 1, 4, 0, 2]


async def test_the_last_turns_are_kept_for_the_urgent(time: MovedTime) -> None:
    pace = Pace(Timing(time.clock, time.sleep))
    asks = {rank: [asyncio.create_task(pace.turn(rank)) for _ in range(30)] for rank in reversed(Rank)}
    await settle()
    done = {rank: sum(task.done() for task in tasks) for rank, tasks in asks.items()}
    assert done == {Rank.PUSH: 24, Rank.REPLY: 3, Rank.UPDATE: 3}
    for task in itertools.chain(*asks.values()):
        task.cancel()


async def test_an_urgent_one_does_not_wait_for_the_pause_of_another(time: MovedTime) -> None:
    pace = Pace(Timing(time.clock, time.sleep))
    await run(time, pace, [Rank.PUSH] * 24)
    push = asyncio.create_task(pace.turn(Rank.PUSH))
    await time.asleep(61)
    await pace.turn(Rank.UPDATE)
    assert not push.done()
    await time.move(61)
    await push


async def test_a_place_kept_through_a_refusal(time: MovedTime) -> None:
    pace = Pace(Timing(time.clock, time.sleep), ((1, 10.0),), reserve={})
    ticket = pace.ticket()
    await pace.turn(Rank.PUSH, ticket)
    later = asyncio.create_task(pace.turn(Rank.PUSH))
    await settle()
    pace.hold(15)
    again = asyncio.create_task(pace.turn(Rank.PUSH, ticket))
    await time.move(14.9)
    assert not again.done()
    await time.move(0.1)
    assert again.done()
    assert not later.done()
    await time.move(10)
    assert later.done()


async def test_updates_are_not_held(time: MovedTime) -> None:
    pace = Pace(Timing(time.clock, time.sleep))
    pace.hold(60)
    await pace.turn(Rank.UPDATE)


async def test_who_gives_up_leaves_nothing(time: MovedTime) -> None:
    pace = Pace(Timing(time.clock, time.sleep), ((1, 10.0),), reserve={})
    await pace.turn(Rank.PUSH)
    waiting = [asyncio.create_task(pace.turn(Rank.PUSH)) for _ in range(3)]
    await settle()
    waiting[0].cancel()
    await settle()
    await time.move(10)
    assert [task.done() for task in waiting] == [True, True, False]
    waiting[2].cancel()
    await settle()
    assert not time.naps()
    assert not pace.idle
    await time.move(10)
    assert pace.idle


async def test_close_tells_those_who_wait(time: MovedTime) -> None:
    pace = Pace(Timing(time.clock, time.sleep), ((1, 10.0),), reserve={})
    await pace.turn(Rank.PUSH)
    waiting = asyncio.create_task(pace.turn(Rank.PUSH))
    await settle()
    await pace.close()
    with pytest.raises(ChannelError, match="stopped"):
        await waiting
    assert not time.naps()


async def test_paces_of_quiet_chats_are_forgotten(time: MovedTime) -> None:
    paces = Paces(Timing(time.clock, time.sleep))
    busy = paces.of("busy")
    assert paces.of("busy") is busy
    for number in range(2000):
        paces.of(f"quiet {number}")
        await busy.turn(Rank.UPDATE) if number == 0 else None
    assert len(paces._paces) <= 1001
    assert paces.of("busy") is busy
    await paces.close()
