"""The log as it grows: nothing is lost, nothing repeated, whoever writes and whenever somebody looks."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence

import pytest

from bot import feed as module
from bot.errors import StorageError
from bot.feed import LiveFeed
from bot.live import LiveEvent
from bot.model import EventType, Handoff, HandoffEvent, HandoffStatus, Operator, OperatorType
from tests.fakes import ANN, KF, LI, TENANT, FakeClock, FakeSleep

WECOM = Operator(OperatorType.SYSTEM, "wecom")


class FakeFeed:
    """A log in memory. `broken` is raised by the next reads."""

    def __init__(self, count: int = 0) -> None:
        self.rows: list[tuple[HandoffEvent, Handoff]] = []
        self.broken: Exception | None = None
        self.reads = 0
        self.write(count)

    def write(self, count: int = 1, type_: EventType = EventType.ACCEPTED) -> None:
        for _ in range(count):
            handoff = Handoff(1, TENANT, KF, ANN, HandoffStatus.ACCEPTED, LI, 0.0)
            self.rows.append((HandoffEvent(len(self.rows) + 1, 1, type_, WECOM, 0.0, {}), handoff))

    async def after(self, event_id: int, limit: int) -> list[tuple[HandoffEvent, Handoff]]:
        self.reads += 1
        await asyncio.sleep(0)
        if self.broken is not None:
            raise self.broken
        return [row for row in self.rows if row[0].id > event_id][:limit]

    async def last(self) -> int:
        return len(self.rows)


class Ears:
    """Remembers the ids it heard, and how they came."""

    def __init__(self, feed: LiveFeed) -> None:
        self.heard: list[int] = []
        self.batches: list[int] = []
        feed.listeners.append(self)

    async def __call__(self, events: Sequence[LiveEvent]) -> None:
        self.heard += [each.id for each in events]
        self.batches.append(len(events))
        await asyncio.sleep(0)


def ids(events: list[LiveEvent] | None) -> list[int] | None:
    return None if events is None else [event.id for event in events]


async def a_feed(source: FakeFeed) -> tuple[LiveFeed, Ears]:
    feed = LiveFeed(source, every=0.01, sleep=FakeSleep(FakeClock()))
    await feed.open()
    return feed, Ears(feed)


async def test_it_begins_at_the_end_of_the_log() -> None:
    source = FakeFeed(3)
    feed, ears = await a_feed(source)
    await feed.look()
    assert (feed.last, ears.heard) == (3, [])
    source.write()
    await feed.look()
    assert (feed.last, ears.heard) == (4, [4])


async def test_every_listener_hears_all_of_it_in_order_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 7)
    source = FakeFeed()
    feed, one = await a_feed(source)
    other = Ears(feed)
    for count in (1, 20, 0, 5):
        source.write(count)
        await feed.look()
    assert one.heard == other.heard == list(range(1, 27))
    assert one.batches == [1, 7, 7, 6, 5]
    assert source.reads < 12


async def test_nothing_is_lost_between_looks_however_writes_fall() -> None:
    source = FakeFeed()
    feed, ears = await a_feed(source)

    async def write() -> None:
        for _ in range(300):
            source.write(random.randrange(3))
            await asyncio.sleep(0)

    writing = asyncio.create_task(write())
    while not writing.done():
        await feed.look()
    await feed.look()
    assert ears.heard == list(range(1, len(source.rows) + 1))


async def test_what_is_not_told_is_passed_over() -> None:
    source = FakeFeed()
    feed, ears = await a_feed(source)
    source.write(3, EventType.ENDING)
    await feed.look()
    assert (ears.heard, feed.last) == ([], 3)
    source.write()
    source.write(2, EventType.CLOSING)
    await feed.look()
    assert (ears.heard, feed.last) == ([4], 6)


async def test_a_whole_page_of_what_is_not_told_does_not_stop_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 3)
    source = FakeFeed()
    feed, ears = await a_feed(source)
    source.write(9, EventType.ENDING)
    source.write()
    await feed.look()
    assert ears.heard == [10]


async def test_who_comes_back_hears_what_was_missed() -> None:
    source = FakeFeed(5)
    feed, _ = await a_feed(source)
    source.write(2)
    await feed.look()
    assert ids(feed.since(0)) == [1, 2, 3, 4, 5, 6, 7]
    assert ids(feed.since(4)) == [5, 6, 7]
    assert ids(feed.since(7)) == []


@pytest.mark.parametrize("kept", [10, 12])
async def test_who_missed_too_much_is_told_so(monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    monkeypatch.setattr(module, "KEPT", 10)
    source = FakeFeed(kept)
    feed, _ = await a_feed(source)
    assert ids(feed.since(kept - 10)) == list(range(kept - 9, kept + 1))
    assert (feed.since(kept - 11) is None) and feed.since(kept + 1) is None
    source.write(3)
    await feed.look()
    assert feed.since(kept - 8) is None
    assert ids(feed.since(kept - 7)) == list(range(kept - 6, kept + 4))


async def test_an_event_that_nobody_is_told_of_is_a_place_to_go_on_from() -> None:
    source = FakeFeed(1)
    feed, _ = await a_feed(source)
    source.write(1, EventType.ENDING)
    source.write(1)
    await feed.look()
    assert ids(feed.since(2)) == [3]


async def test_a_listener_that_fails_takes_nothing_from_the_others(caplog: pytest.LogCaptureFixture) -> None:
    source = FakeFeed()
    feed = LiveFeed(source)

    async def broken(events: Sequence[LiveEvent]) -> None:
        raise RuntimeError("bug")

    feed.listeners.append(broken)
    ears = Ears(feed)
    source.write()
    await feed.look()
    assert ears.heard == [1] and "bug" in caplog.text


async def heard(ears: Ears, count: int) -> None:
    async with asyncio.timeout(30):
        while len(ears.heard) < count:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def turns() -> None:
    """Far more of the loop than a look takes; no time passes here."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_a_wake_is_enough_and_many_are_one_look() -> None:
    source = FakeFeed()
    feed = LiveFeed(source, every=3600.0, sleep=FakeSleep(FakeClock()))
    ears = Ears(feed)
    running = asyncio.create_task(feed.run())
    await turns()
    before = source.reads
    source.write(3)
    for _ in range(100):
        feed.wake()
    await heard(ears, 3)
    await turns()
    assert (ears.heard, source.reads - before) == ([1, 2, 3], 2)
    running.cancel()


async def test_what_others_write_is_found_without_a_wake() -> None:
    source = FakeFeed()
    feed, ears = await a_feed(source)
    running = asyncio.create_task(feed.run())
    await turns()
    source.write(2)
    await heard(ears, 2)
    running.cancel()


async def test_writes_in_a_burst_are_read_together() -> None:
    """Between two looks there is a pause, however often it is woken."""
    source, clock = FakeFeed(), FakeClock()
    sleep = FakeSleep(clock)
    feed = LiveFeed(source, every=3600.0, sleep=sleep)
    running = asyncio.create_task(feed.run())
    for _ in range(50):
        feed.wake()
        await asyncio.sleep(0)
    assert len(sleep.slept) >= source.reads - 1 and set(sleep.slept) == {module.APART}
    running.cancel()


@pytest.mark.parametrize("trouble", [StorageError("disk full"), ValueError("no such type")])
async def test_trouble_is_told_once_and_nothing_is_lost(caplog: pytest.LogCaptureFixture, trouble: Exception) -> None:
    caplog.set_level(logging.INFO)
    source = FakeFeed()
    feed, ears = await a_feed(source)
    source.broken = trouble
    source.write(2)
    running = asyncio.create_task(feed.run())
    while source.reads < 5:
        await asyncio.sleep(0)
        feed.wake()
    source.broken = None
    await heard(ears, 2)
    running.cancel()
    assert ears.heard == [1, 2]
    assert [record.getMessage() for record in caplog.records] == [f"live events stand still | {trouble}"]
    assert ("Traceback" in caplog.text) is isinstance(trouble, ValueError)
