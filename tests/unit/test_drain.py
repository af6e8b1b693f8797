"""The end of a process: what may finish, what is cut off, what is said of it."""

from __future__ import annotations

import asyncio
import logging
import signal

import pytest

from bot import drain as module
from bot.drain import drain


async def forever() -> None:
    await asyncio.Event().wait()


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


async def test_all_are_awaited_at_once(caplog: pytest.LogCaptureFixture) -> None:
    first, second = asyncio.Event(), asyncio.Event()

    async def meet(mine: asyncio.Event, other: asyncio.Event) -> None:
        mine.set()
        await other.wait()

    await drain(30, one=meet(first, second), other=meet(second, first))
    assert said(caplog) == []


async def test_what_hangs_is_cut_off_and_named(caplog: pytest.LogCaptureFixture) -> None:
    ended = asyncio.Event()

    async def hangs() -> None:
        try:
            await forever()
        finally:
            ended.set()

    await drain(0.01, group=hangs(), sync=asyncio.sleep(0))
    assert ended.is_set()
    assert said(caplog) == [("WARNING", "cut off while stopping | group after 0.0 s")]


async def test_what_fails_keeps_nothing_else_from_ending(caplog: pytest.LogCaptureFixture) -> None:
    done = list[str]()

    async def fails() -> None:
        raise RuntimeError("the bug")

    async def ends() -> None:
        await asyncio.sleep(0)
        done.append("sync")

    await drain(30, group=fails(), sync=ends())
    assert done == ["sync"]
    assert said(caplog) == [("ERROR", "failed while stopping | group")]
    assert "the bug" in caplog.text


async def test_what_does_not_let_go_is_left_behind(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CUT", 0.01)
    let_go = asyncio.Event()

    async def clings() -> None:
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                logging.getLogger("test").debug("no")

    async with asyncio.timeout(30):
        await drain(0.01, clings=clings())
    let_go.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)


@pytest.mark.parametrize(("before", "heard"), [(signal.SIG_DFL, True), (signal.SIG_IGN, False)])
async def test_a_closed_terminal_ends_it_unless_it_runs_under_nohup(
    monkeypatch: pytest.MonkeyPatch, before: signal.Handlers, heard: bool
) -> None:
    listened = list[int]()
    monkeypatch.setattr(asyncio.get_running_loop(), "add_signal_handler", lambda number, _: listened.append(number))
    was = signal.signal(signal.SIGHUP, before)
    try:
        module.when_asked(lambda: None)
    finally:
        signal.signal(signal.SIGHUP, was)
    assert (signal.SIGHUP in listened) is heard
    assert {signal.SIGINT, signal.SIGTERM} <= set(listened)
