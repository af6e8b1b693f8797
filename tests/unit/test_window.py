"""No window ever holds more turns than it may."""

from __future__ import annotations

import asyncio

from bot.window import Window


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


async def _granted(count: int, turns: int) -> list[float]:
    time = Time()
    window = Window(count, 60.0, time, time.sleep)
    granted = []
    for _ in range(turns):
        await window.turn()
        granted.append(time.now)
        time.now += 0.5
    return granted


async def test_the_first_turns_come_at_once() -> None:
    assert await _granted(8, 8) == [1000.0 + 0.5 * index for index in range(8)]


async def test_no_sixty_seconds_hold_more_than_the_limit() -> None:
    granted = await _granted(8, 50)
    for first, ninth in zip(granted, granted[8:], strict=False):
        assert ninth - first >= 60.0


async def test_turns_are_granted_in_the_order_asked() -> None:
    time = Time()
    window = Window(2, 60.0, time, time.sleep)
    order: list[int] = []

    async def take(number: int) -> None:
        await window.turn()
        order.append(number)

    await asyncio.gather(*(take(number) for number in range(6)))
    assert order == list(range(6))


async def test_one_who_gives_up_waiting_takes_no_turn() -> None:
    never = asyncio.Event()

    async def forever(_: float) -> None:
        await never.wait()

    time = Time()
    window = Window(1, 60.0, time, forever)
    await window.turn()
    waiting = asyncio.create_task(window.turn())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    time.now += 60.0
    async with asyncio.timeout(30):
        await window.turn()
