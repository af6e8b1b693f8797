"""Accounts that a callback names and that nobody has told us of."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from bot.errors import WeComUnavailable
from bot.newcomers import FORGOTTEN, MOST, Newcomers, Run
from tests.fakes import KF, KF2
from tests.fakes_http import Ticks


@dataclass
class House:
    """`known` is what WeCom tells at the next look, which lasts until `go_on`."""

    known: set[str] = field(default_factory=set)
    woken: list[tuple[str, str]] = field(default_factory=list)
    looks: int = 0
    failure: Exception | None = None
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    clock: Ticks = field(default_factory=Ticks)

    def __post_init__(self) -> None:
        self.newcomers = Newcomers(self.begin, self.look, lambda: self.known, self.wake, self.clock, self.rest)

    def wake(self, open_kfid: str, token: str) -> None:
        self.woken.append((open_kfid, token))

    def begin(self, run: Run) -> None:
        self.tasks.append(asyncio.ensure_future(run()))

    async def look(self) -> None:
        self.looks += 1
        await self.go_on.wait()
        if self.failure is not None:
            raise self.failure

    async def rest(self, seconds: float) -> None:
        self.clock.move(seconds)

    async def ended(self) -> None:
        self.go_on.set()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@pytest.fixture
async def house() -> House:
    return House()


async def test_a_new_account_is_read_with_the_token_of_its_callback(house: House) -> None:
    house.newcomers.named(KF, "t1")
    house.known.add(KF)
    await house.ended()
    assert house.woken == [(KF, "t1")]


async def test_what_wecom_does_not_know_is_not_asked_about_again_and_again(house: House) -> None:
    for number in range(10_000):
        house.newcomers.named(f"wk{number}", "t")
    assert len(house.newcomers._waiting) == MOST
    await house.ended()
    assert house.looks == 1 and house.woken == [] and not house.newcomers._waiting
    house.newcomers.named("wk7", "t")
    await house.ended()
    assert house.looks == 1
    house.clock.move(FORGOTTEN)
    house.newcomers.named("wk7", "t")
    await house.ended()
    assert house.looks == 2


async def test_a_second_new_account_need_not_wait_for_the_first_to_be_forgotten(house: House) -> None:
    house.newcomers.named("wkNobody", "t")
    await house.ended()
    house.known.add(KF)
    house.newcomers.named(KF, "t1")
    await house.ended()
    assert house.woken == [(KF, "t1")]


async def test_while_wecom_does_not_say_which_accounts_there_are_a_callback_is_believed(house: House) -> None:
    house.failure = WeComUnavailable("kf/account/list", "busy")
    house.newcomers.named(KF, "t1")
    await house.ended()
    assert house.woken == [(KF, "t1")]


async def test_however_often_it_is_said_one_look_is_taken_and_one_more_for_what_came_during_it(house: House) -> None:
    for _ in range(50):
        house.newcomers.changed()
    await asyncio.sleep(0)
    for _ in range(50):
        house.newcomers.changed()
    house.newcomers.named(KF2, "t2")
    house.known.add(KF2)
    await house.ended()
    assert house.looks == 2 and house.woken == [(KF2, "t2")]


async def test_a_look_that_failed_keeps_nobody_from_the_next(house: House) -> None:
    house.failure = OSError("WeCom is away")
    house.newcomers.named(KF, "t1")
    await house.ended()
    house.failure = None
    house.known.add(KF)
    house.newcomers.named(KF, "t2")
    await house.ended()
    assert house.woken == [(KF, "t2")]
