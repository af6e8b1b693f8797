"""Nicknames are asked for once, in batches; failure costs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from bot.names import BATCH, Names
from storage.people import People
from tests.fakes import ANN, BOB, KF, FakeClock, FakeKf, unavailable


@pytest.fixture
def names(fake_kf: FakeKf, people: People, fake_clock: FakeClock) -> Names:
    fake_kf.customer_writes(KF, ANN, "在吗")
    return Names(fake_kf, people, fake_clock)


@pytest.fixture
async def running(names: Names) -> AsyncIterator[Names]:
    task = asyncio.create_task(names.run())
    yield names
    assert not task.done()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def learned(people: People, *customers: str) -> dict[str, str]:
    async with asyncio.timeout(30):
        while not (found := await people.nicknames(customers)):
            pass
    return found


async def test_names_are_learned(running: Names, people: People) -> None:
    running.want([ANN])
    assert await learned(people, ANN) == {ANN: "小林"}


async def test_a_name_is_asked_for_once(names: Names, fake_kf: FakeKf) -> None:
    await names.learn([ANN])
    await names.learn([ANN])
    assert len(fake_kf.called("nicknames")) == 1


async def test_who_has_no_name_is_remembered_as_nameless(names: Names, people: People, fake_kf: FakeKf) -> None:
    await names.learn([ANN, BOB])
    assert await people.nicknames([ANN, BOB]) == {ANN: "小林", BOB: ""}
    await names.learn([BOB])
    assert len(fake_kf.called("nicknames")) == 1


async def test_many_are_asked_for_in_batches(running: Names, people: People, fake_kf: FakeKf) -> None:
    customers = [f"wm{number:03}" for number in range(BATCH + 1)]
    running.want(customers)
    async with asyncio.timeout(30):
        while len(await people.nicknames(customers)) < len(customers):
            pass
    assert [len(call.args) for call in fake_kf.called("nicknames")] == [BATCH, 1]


@pytest.mark.parametrize("error", [unavailable(), RuntimeError("a bug")])
async def test_failure_is_forgotten_and_the_next_handoff_asks_again(
    running: Names, people: People, fake_kf: FakeKf, error: Exception
) -> None:
    asked = asyncio.Event()

    def fail() -> None:
        asked.set()
        raise error

    fake_kf.before("nicknames", fail)
    running.want([ANN])
    await asked.wait()
    running.want([ANN])
    assert await learned(people, ANN) == {ANN: "小林"}
