"""One loop per account: what it asks, when it stops, what it folds, and what survives trouble."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from bot import sessions
from bot.errors import KfbotError, RateLimited, StorageError, WeComError
from bot.kf_sync import (
    COLLECT,
    FOUND_WITHIN,
    FRESH,
    IN_FLIGHT,
    LOOK_AGAIN,
    MANY,
    PAUSE_AFTER_LIMIT,
    RETRY,
    RETRY_MOST,
    SEVERAL,
    STUCK,
    TOKEN_LESS_AFTER,
    TOKEN_LIFE,
    KfSync,
    _as_received,
    _Line,
)
from bot.model import EVERYTHING, HandoffStatus, KfItem, SessionKey, SyncPage, Via
from bot.ports import AccountState, Committed
from bot.wecom.protocol import parse_page
from storage.ledger import Ledger
from storage.sync_store import SyncStore
from tests.fakes import ANN, BOB, HUMAN, KF, KF2, LI, FakeClock, FakeKf, FakeSleep, raising, refusal, unavailable

KEY = SessionKey(KF, ANN)
LIMITED = RateLimited(45009, "api freq out of limit", "/cgi-bin/kf/sync_msg")


@dataclass
class Line:
    """A KfSync and what it handed on."""

    kf: FakeKf
    store: SyncStore
    ledger: Ledger
    clock: FakeClock
    sleep: FakeSleep
    sync: KfSync = field(init=False)
    committed: list[Committed] = field(default_factory=list)
    observed: dict[str, int] = field(default_factory=dict)
    unannounced: list[tuple[str, int]] = field(default_factory=list)
    turns: int = 0

    async def follow(self, committed: Committed) -> None:
        self.committed.append(committed)

    async def turn(self) -> None:
        """Every third call without a token costs a minute."""
        self.turns += 1
        if self.turns % 3 == 0:
            self.clock.move(60)

    def observe(self, what: str, count: int) -> None:
        self.observed[what] = self.observed.get(what, 0) + count

    async def idle(self) -> None:
        """Until no loop runs."""
        await asyncio.gather(*(line.task for line in self.sync._lines.values() if line.task), return_exceptions=True)

    async def account(self) -> AccountState:
        return next(each for each in await self.store.accounts() if each.open_kfid == KF)

    @property
    def asked(self) -> list[tuple[str, str]]:
        """(cursor, token) of each call."""
        return [(call.args[1], call.args[2]) for call in self.kf.called("sync")]

    @property
    def texts(self) -> list[str]:
        return [item.text for page in self.committed for item in page.fresh]


@pytest.fixture
async def line(
    fake_kf: FakeKf, sync_store: SyncStore, ledger: Ledger, fake_clock: FakeClock, fake_sleep: FakeSleep
) -> AsyncIterator[Line]:
    line = Line(fake_kf, sync_store, ledger, fake_clock, fake_sleep)
    line.sync = KfSync(
        fake_kf,
        sync_store,
        fake_clock,
        line.follow,
        line.turn,
        keep_text=True,
        sleep=fake_sleep,
        observe=line.observe,
        unannounced=lambda open_kfid, count: line.unannounced.append((open_kfid, count)),
    )
    yield line
    await line.sync.stop()


async def warm(line: Line) -> None:
    """Has started long ago and read everything."""
    await line.sync.sync(KF)
    line.committed.clear()
    line.kf.calls.clear()
    line.turns = 0
    line.clock.move(1)


def words(*texts: str, cursor: str, has_more: bool = False) -> SyncPage:
    items = [KfItem(f"m-{text}", KF, ANN, 1_700_000_001, 3, "text", text=text) for text in texts]
    return SyncPage(items, cursor, has_more)


# -- paging


async def test_it_pages_until_there_is_no_more(line: Line) -> None:
    line.kf.page = 2
    await warm(line)
    for number in range(5):
        line.kf.customer_writes(KF, ANN, str(number))
    await line.sync.sync(KF)
    assert line.texts == ["0", "1", "2", "3", "4"]
    assert len(line.asked) == 3
    await line.sync.sync(KF)
    assert line.asked[-1][0] == (await line.account()).cursor


async def test_an_empty_page_may_still_say_that_there_is_more(line: Line) -> None:
    await warm(line)
    line.kf.pages(SyncPage([], "C1", True), words("在吗", cursor="C2", has_more=True), SyncPage([], "C3", False))
    await line.sync.sync(KF)
    assert (line.texts, (await line.account()).cursor) == (["在吗"], "C3")


@pytest.mark.parametrize("stuck", ["", "C1"])
async def test_a_cursor_that_does_not_move_stops_the_loop_with_an_error(line: Line, stuck: str) -> None:
    line.kf.pages(words("一", cursor="C1", has_more=True), words("二", cursor=stuck, has_more=True))
    with pytest.raises(KfbotError, match="does not move"):
        await line.sync.sync(KF)
    assert [item.text for page in line.committed for item in page.fresh] == ["一", "二"]
    assert (await line.account()).cursor == "C1"


async def test_the_same_page_again_brings_nothing_new(line: Line) -> None:
    await warm(line)
    line.kf.pages(words("在吗", cursor="C1", has_more=True), words("在吗", cursor="C2"))
    await line.sync.sync(KF)
    assert (line.texts, line.observed["items"]) == (["在吗"], 1)


async def test_what_cannot_be_read_is_counted(line: Line) -> None:
    line.kf.pages(SyncPage([], "C1", False, [({"msgid": "1"}, "no msgtype")]))
    await line.sync.sync(KF)
    assert line.observed["parked"] == 1


async def test_a_page_that_cannot_be_written_moves_no_cursor(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.kf.page = 1
    await warm(line)
    before = (await line.account()).cursor
    for number in range(3):
        line.kf.customer_writes(KF, ANN, str(number))

    async def full(*args: Any) -> Committed:
        raise StorageError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(line.store, "commit", full)
        with pytest.raises(StorageError):
            await line.sync.sync(KF)
    assert (await line.account()).cursor == before
    await line.sync.sync(KF)
    assert line.texts == ["0", "1", "2"]


async def test_a_page_before_the_failing_one_is_kept(line: Line) -> None:
    line.kf.page = 1
    await warm(line)
    line.kf.customer_writes(KF, ANN, "一")
    line.kf.customer_writes(KF, ANN, "二")
    line.kf.before("sync", lambda: None, raising(unavailable()))
    with pytest.raises(WeComError):
        await line.sync.sync(KF)
    assert line.texts == ["一"]
    await line.sync.sync(KF)
    assert line.texts == ["一", "二"]


async def test_each_page_is_handed_on_once_even_if_that_fails(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.kf.page = 1
    await warm(line)
    line.kf.customer_writes(KF, ANN, "一")
    line.kf.customer_writes(KF, ANN, "二")
    seen: list[str] = []

    async def failing(committed: Committed) -> None:
        seen.extend(item.text for item in committed.fresh)
        raise StorageError("busy")

    line.sync._follow = failing
    with pytest.raises(StorageError):
        await line.sync.sync(KF)
    assert seen == ["一"]


async def test_trouble_of_what_follows_does_not_stop_the_stream(line: Line) -> None:
    await warm(line)
    line.kf.customer_writes(KF, ANN, "一")

    async def failing(committed: Committed) -> None:
        raise refusal(48002)

    line.sync._follow = failing
    await line.sync.sync(KF)
    assert (await line.account()).error is None


# -- tokens


async def test_the_callbacks_token_is_used_for_every_page_while_it_lives(line: Line) -> None:
    line.kf.page = 1
    await warm(line)
    for number in range(3):
        line.kf.customer_writes(KF, ANN, str(number))
    token = line.kf.sync_token(KF)
    line.sync.wake(KF, token)
    await line.idle()
    assert [used for _, used in line.asked] == [token] * 3
    line.clock.move(TOKEN_LIFE)
    line.sync.wake(KF)
    await line.idle()
    assert line.asked[-1][1] == ""


async def test_a_token_wecom_does_not_take_falls_back_to_none(line: Line) -> None:
    await warm(line)
    line.kf.customer_writes(KF, ANN, "在吗")
    line.sync.wake(KF, "ENC of yesterday")
    await line.idle()
    assert (line.asked[-1][1], line.texts, line.turns) == ("", ["在吗"], 1)
    line.sync.wake(KF)
    await line.idle()
    assert [token for _, token in line.asked] == ["ENC of yesterday", "", ""]


async def test_a_newer_token_is_better_than_none(line: Line) -> None:
    await warm(line)
    fresh = line.kf.sync_token(KF)
    line.kf.before("sync", lambda: line.sync.wake(KF, fresh))
    line.sync.wake(KF, "ENC of yesterday")
    await line.idle()
    assert [token for _, token in line.asked] == ["ENC of yesterday", fresh]


async def test_calls_without_a_token_take_turns(line: Line) -> None:
    """FakeKf refuses the eleventh of a minute."""
    line.kf.page = 1
    for number in range(30):
        line.kf.customer_writes(KF, ANN, str(number))
    line.sync.wake(KF)
    await line.idle()
    assert line.turns == len(line.asked) == 30
    assert "failed" not in line.observed


async def test_accounts_have_their_own_tokens_and_cursors(line: Line) -> None:
    await warm(line)
    line.kf.customer_writes(KF, ANN, "一")
    line.kf.customer_writes(KF2, BOB, "二")
    tokens = {account: line.kf.sync_token(account) for account in (KF, KF2)}
    for account, token in tokens.items():
        line.sync.wake(account, token)
    await line.idle()
    assert {(call.args[0], call.args[2]) for call in line.kf.called("sync")} == set(tokens.items())
    assert sorted(line.texts) == ["一", "二"]


# -- folding


def hang(line: Line) -> tuple[asyncio.Event, asyncio.Event]:
    """The next call of sync hangs: (it does, let it go)."""
    reached, go = asyncio.Event(), asyncio.Event()

    async def hook() -> None:
        reached.set()
        await go.wait()

    line.kf.before("sync", hook)
    return reached, go


async def test_any_number_of_triggers_is_one_running_and_one_waiting(line: Line) -> None:
    await warm(line)
    reached, go = hang(line)
    for _ in range(5):
        line.sync.wake(KF)
    await reached.wait()
    for _ in range(50):
        line.sync.wake(KF)
    go.set()
    await line.idle()
    assert len(line.asked) == 2


@pytest.mark.parametrize("steps", range(12))
async def test_a_trigger_at_the_very_end_of_a_run_is_not_lost(line: Line, steps: int) -> None:
    """Whatever turn of the loop it comes in."""
    await warm(line)

    async def late(committed: Committed) -> None:
        line.committed.append(committed)
        if len(line.committed) == 1:
            asyncio.get_running_loop().call_soon(news, steps)

    def news(left: int) -> None:
        if left:
            asyncio.get_running_loop().call_soon(news, left - 1)
        else:
            line.kf.customer_writes(KF, ANN, "在吗")
            line.sync.wake(KF)
            told.set()

    told = asyncio.Event()
    line.sync._follow = late
    line.sync.wake(KF)
    await told.wait()
    await line.idle()
    assert line.texts == ["在吗"]


async def test_two_accounts_do_not_wait_for_each_other(line: Line) -> None:
    await warm(line)
    reached, go = hang(line)
    line.sync.wake(KF)
    await reached.wait()
    line.kf.customer_writes(KF2, BOB, "二")
    line.sync.wake(KF2)
    await line.sync._lines[KF2].task  # type: ignore[misc]
    assert (await line.store.accounts())[1].synced_at is not None
    go.set()


async def test_a_trigger_before_the_page_is_asked_for_is_answered_by_it(line: Line) -> None:
    await warm(line)
    due, go = asyncio.Event(), asyncio.Event()

    async def turn() -> None:
        due.set()
        await go.wait()

    line.sync._token_less_turn = turn
    line.sync.wake(KF)
    await due.wait()
    line.kf.customer_writes(KF, ANN, "在吗")
    line.sync.wake(KF)
    go.set()
    await line.idle()
    assert (line.texts, len(line.asked)) == (["在吗"], 1)


# -- catching up


PATIENCE = 60.0  # of loop time: no test waits for it


async def test_catching_up_brings_what_stands_in_the_stream(line: Line) -> None:
    await warm(line)
    token = line.kf.sync_token(KF)
    line.sync.wake(KF, token)
    await line.idle()
    line.clock.move(FRESH)
    line.kf.customer_writes(KF, ANN, "在吗")
    assert await line.sync.catch_up(KF, PATIENCE)
    assert (line.texts, line.asked[-1][1], line.turns) == (["在吗"], token, 0)


async def test_an_account_read_to_its_end_a_moment_ago_is_up_to_date(line: Line) -> None:
    await warm(line)
    line.sync.wake(KF)
    await line.idle()
    line.clock.move(FRESH - 0.1)
    assert await line.sync.catch_up(KF, PATIENCE)
    assert len(line.asked) == 1


async def test_who_has_learned_of_something_since_then_has_it_read_anew(line: Line) -> None:
    await warm(line)
    line.sync.wake(KF)
    await line.idle()
    line.kf.customer_writes(KF, ANN, "在吗")
    assert await line.sync.catch_up(KF, PATIENCE, sure=True)
    assert line.texts == []
    assert await line.sync.catch_up(KF, PATIENCE, sure=True, anew=True)
    assert line.texts == ["在吗"]


async def test_news_announced_since_then_are_waited_for(line: Line) -> None:
    await warm(line)
    line.sync.wake(KF)
    await line.idle()
    line.kf.customer_writes(KF, ANN, "在吗")
    line.sync.wake(KF, line.kf.sync_token(KF))
    assert await line.sync.catch_up(KF, PATIENCE)
    assert line.texts == ["在吗"]


async def test_news_still_under_way_are_waited_for(line: Line) -> None:
    await warm(line)
    line.sync.wake(KF)
    await line.idle()
    line.kf.customer_writes(KF, ANN, "在吗")
    reached, go = hang(line)
    line.sync.wake(KF, line.kf.sync_token(KF))
    await reached.wait()
    catching_up = asyncio.create_task(line.sync.catch_up(KF, PATIENCE))
    await asyncio.sleep(0)
    assert not catching_up.done()
    go.set()
    assert await catching_up
    assert line.texts == ["在吗"]


async def test_without_a_token_it_is_asked_for_once_a_minute(line: Line) -> None:
    await warm(line)
    assert await line.sync.catch_up(KF, PATIENCE)
    line.clock.move(TOKEN_LESS_AFTER)
    assert not await line.sync.catch_up(KF, PATIENCE)
    assert len(line.asked) == 1
    line.clock.move(0.1)
    assert await line.sync.catch_up(KF, PATIENCE)
    assert [token for _, token in line.asked] == ["", ""]


async def test_a_page_asked_for_before_is_not_enough(line: Line) -> None:
    await warm(line)
    token = line.kf.sync_token(KF)
    reached, go = hang(line)
    line.sync.wake(KF, token)
    await reached.wait()
    catching_up = asyncio.create_task(line.sync.catch_up(KF, PATIENCE))
    await asyncio.sleep(0)
    line.kf.customer_writes(KF, ANN, "在吗")
    line.kf.pages(SyncPage([], f"{KF}:0", False))  # what was read before she wrote
    go.set()
    assert await catching_up
    assert (line.texts, len(line.asked)) == (["在吗"], 2)


async def one_by_one(line: Line, hints: int) -> None:
    for _ in range(hints):
        line.sync.wake(KF)
        task = line.sync._lines[KF].task
        assert task is not None
        await task


async def test_while_hints_pour_in_they_are_collected(line: Line) -> None:
    await one_by_one(line, MANY - 1)
    assert COLLECT not in line.sleep.slept
    await one_by_one(line, 3)
    assert line.sleep.slept.count(COLLECT) == 3


async def test_who_waits_for_news_is_not_kept_waiting_by_it(line: Line) -> None:
    await one_by_one(line, MANY - 1)
    never = asyncio.Event()

    async def sleep(seconds: float) -> None:
        await never.wait()

    line.sync._sleep = sleep
    line.sync.wake(KF)
    await asyncio.sleep(0)
    assert await line.sync.catch_up(KF, PATIENCE, sure=True)


async def test_before_what_cannot_be_taken_back_a_call_without_a_token_is_never_too_much(line: Line) -> None:
    await warm(line)
    assert await line.sync.catch_up(KF, PATIENCE)
    line.clock.move(FRESH)
    assert not await line.sync.catch_up(KF, PATIENCE)
    assert await line.sync.catch_up(KF, PATIENCE, sure=True)
    assert [token for _, token in line.asked] == ["", ""]


async def test_any_number_catch_up_with_one_call(line: Line) -> None:
    await warm(line)
    assert all(await asyncio.gather(*(line.sync.catch_up(KF, PATIENCE) for _ in range(20))))
    assert len(line.asked) == 1


async def test_nobody_waits_longer_than_he_can(line: Line) -> None:
    await warm(line)
    reached, go = hang(line)
    assert not await line.sync.catch_up(KF, 0)
    await reached.wait()
    go.set()
    await line.idle()
    assert await line.sync.catch_up(KF, 0)


async def test_a_sync_that_fails_is_not_waited_for(line: Line) -> None:
    await warm(line)
    line.kf.before("sync", raising(unavailable()))
    assert not await line.sync.catch_up(KF, PATIENCE)
    await line.idle()
    assert await line.sync.catch_up(KF, PATIENCE)


async def test_who_waits_when_it_stops_is_let_go(line: Line) -> None:
    await warm(line)
    reached, _ = hang(line)
    catching_up = asyncio.create_task(line.sync.catch_up(KF, PATIENCE))
    await reached.wait()
    await line.sync.stop()
    assert not await catching_up
    assert not await line.sync.catch_up(KF, PATIENCE)


# -- callbacks that do not come


async def polled(line: Line, seconds: float) -> list[tuple[str, int]]:
    """Ann writes; a poll comes `seconds` later, and no callback."""
    await warm(line)
    line.kf.customer_writes(KF, ANN, "在吗")
    line.clock.time = int(line.clock.time) + seconds
    line.sync.wake(KF)
    await line.idle()
    assert line.texts == ["在吗"]
    return line.unannounced


async def test_what_a_poll_finds_should_have_been_announced(line: Line) -> None:
    assert await polled(line, IN_FLIGHT + 1) == [(KF, 1)]
    line.sync.wake(KF)
    await line.idle()
    assert line.unannounced == [(KF, 1)]


async def test_a_callback_may_still_be_under_way(line: Line) -> None:
    assert await polled(line, IN_FLIGHT - 1) == []


@pytest.mark.parametrize("trouble", [0, 2], ids=["at once", "at the third try"])
async def test_what_a_callback_has_announced_is_no_find(line: Line, trouble: int) -> None:
    await warm(line)
    line.kf.customer_writes(KF, ANN, "在吗")
    line.clock.move(60)
    line.kf.before("sync", *[raising(unavailable())] * trouble)
    line.sync.wake(KF, line.kf.sync_token(KF))
    await line.idle()
    assert (line.texts, line.unannounced) == (["在吗"], [])


async def test_a_callback_that_comes_during_the_poll_has_come(line: Line) -> None:
    await warm(line)
    line.kf.customer_writes(KF, ANN, "在吗")
    line.clock.move(60)
    line.kf.before("sync", lambda: line.sync.wake(KF, line.kf.sync_token(KF)))
    line.sync.wake(KF)
    await line.idle()
    assert (line.texts, line.unannounced) == (["在吗"], [])


async def test_what_happened_while_the_bot_was_away_is_no_find(line: Line) -> None:
    await warm(line)
    line.kf.customer_writes(KF, ANN, "在吗")
    line.clock.move(60)
    found: list[tuple[str, int]] = []
    again = KfSync(
        line.kf,
        line.store,
        line.clock,
        line.follow,
        line.turn,
        keep_text=True,
        unannounced=lambda *find: found.append(find),
    )
    assert await again.catch_up(KF, PATIENCE)
    await again.stop()
    assert (line.texts, found) == (["在吗"], [])


async def test_history_is_no_find(line: Line) -> None:
    line.clock.move(60)
    line.kf.customer_writes(KF, ANN, "在吗")
    line.clock.move(60)
    line.sync.wake(KF)
    await line.idle()
    assert (line.texts, line.unannounced) == (["在吗"], [])


# -- trouble


async def test_a_failure_is_remembered_and_tried_again_with_growing_pauses(line: Line) -> None:
    await warm(line)
    line.kf.customer_writes(KF, ANN, "在吗")
    line.kf.before("sync", *[raising(unavailable())] * 8)
    line.sync.wake(KF)
    await line.idle()
    assert line.sleep.slept == [min(RETRY * 2**number, RETRY_MOST) for number in range(8)]
    assert (line.texts, line.observed["failed"], (await line.account()).error) == (["在吗"], 8, None)


async def test_an_accounts_trouble_can_be_read(line: Line) -> None:
    await warm(line)
    await line.sync._failed(_Line(KF), refusal(95012))
    assert "95012" in ((await line.account()).error or "")


async def test_an_account_that_cannot_be_read_for_long_is_called_stuck_until_it_can(line: Line) -> None:
    await warm(line)
    found = list[list[tuple[str, float]]]()

    def failing() -> None:
        found.append(line.sync.stuck())
        line.clock.move(STUCK / 2)
        raise unavailable()

    line.kf.before("sync", *[failing] * 4)
    line.sync.wake(KF)
    await line.idle()
    assert found[0] == []
    ((account, seconds),) = found[-1]
    assert account == KF and seconds >= STUCK
    assert line.sync.stuck() == []


async def test_a_hit_limit_costs_its_minute(line: Line) -> None:
    await warm(line)
    line.kf.before("sync", raising(LIMITED))
    line.sync.wake(KF)
    await line.idle()
    assert line.sleep.slept == [PAUSE_AFTER_LIMIT]


async def test_with_a_token_it_is_soon_looked_whether_the_limit_still_holds(line: Line) -> None:
    await warm(line)
    line.kf.before("sync", raising(LIMITED))
    line.sync.wake(KF, line.kf.sync_token(KF))
    await line.idle()
    assert line.sleep.slept == [LOOK_AGAIN]


async def test_a_fresh_token_ends_the_pause(line: Line) -> None:
    await warm(line)
    asleep, forever = asyncio.Event(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        asleep.set()
        await forever.wait()

    line.sync._sleep = sleep
    line.kf.before("sync", raising(LIMITED))
    line.sync.wake(KF)
    await asleep.wait()
    line.sync.wake(KF)
    line.kf.customer_writes(KF, ANN, "在吗")
    line.sync.wake(KF, line.kf.sync_token(KF))
    await line.idle()
    assert line.texts == ["在吗"]


async def test_even_a_fault_of_ours_does_not_end_the_loop(
    line: Line, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await warm(line)
    line.kf.before("sync", raising(RuntimeError("a bug")))
    line.kf.customer_writes(KF, ANN, "在吗")
    line.sync.wake(KF)
    await line.idle()
    assert line.texts == ["在吗"]
    assert any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize("last", [False, True])
async def test_stop_finishes_the_transaction_under_way(line: Line, monkeypatch: pytest.MonkeyPatch, last: bool) -> None:
    line.kf.page = 1
    await warm(line)
    line.kf.customer_writes(KF, ANN, "一")
    if not last:
        line.kf.customer_writes(KF, ANN, "二")
    begun, go, commit = asyncio.Event(), asyncio.Event(), line.store.commit

    async def slow(*args: Any) -> Committed:
        begun.set()
        await go.wait()
        return await commit(*args)

    monkeypatch.setattr(line.store, "commit", slow)
    line.sync.wake(KF)
    await begun.wait()
    stopping = asyncio.create_task(line.sync.stop())
    await asyncio.sleep(0)
    go.set()
    await stopping
    assert line.texts == ["一"]
    line.sync.wake(KF)
    task = line.sync._lines[KF].task
    assert task is not None
    assert task.done()


# -- first start


def before_the_start(line: Line) -> None:
    """Ann is with Li since an hour, Bob was, and has been ended; then the bot starts."""
    line.kf.customer_writes(KF, ANN, "在吗")
    line.kf.servicer_takes(KF, ANN, LI)
    line.kf.customer_writes(KF, BOB, "你好")
    line.kf.servicer_takes(KF, BOB, LI)
    line.kf.servicer_ends(KF, BOB)
    line.clock.move(3600)


async def test_a_first_start_reads_history_and_marks_whom_to_look_at(line: Line) -> None:
    before_the_start(line)
    await line.sync.sync(KF)
    assert await line.ledger.history() == []
    assert sorted(key.external_userid for key in await line.ledger.due_checks(line.clock.now(), 10)) == [ANN, BOB]
    assert line.committed[-1] == Committed([], [], 0)
    assert (await line.account()).cold is False


async def test_what_is_younger_than_the_start_is_acted_on_at_once(line: Line) -> None:
    line.kf.page = 1
    before_the_start(line)
    line.clock.time = float(int(line.clock.time))
    line.kf.before("sync", lambda: line.kf.servicer_writes(KF, ANN, LI, "您好"))
    await line.sync.sync(KF)
    handoff = await line.ledger.open_handoff(KEY)
    assert handoff is not None
    assert handoff.status is HandoffStatus.IN_PROGRESS


async def test_what_is_said_between_the_start_and_the_first_read_is_no_history(line: Line) -> None:
    line.clock.move(1)
    line.kf.customer_writes(KF, ANN, "在吗")
    line.kf.servicer_takes(KF, ANN, LI)
    line.clock.move(5)
    await line.sync.sync(KF)
    assert await line.ledger.open_handoff(KEY) is not None


async def test_the_first_words_to_a_new_account_are_no_history(line: Line) -> None:
    """We hear of the account by their callback, long after the start; what is much older is not for us."""
    line.clock.move(3600)
    line.kf.servicer_takes(KF, BOB, LI)
    line.clock.move(FOUND_WITHIN + 1)
    line.kf.servicer_takes(KF, ANN, LI)
    line.clock.move(5)
    await line.sync.sync(KF)
    assert [each.external_userid for each in await line.ledger.history()] == [ANN]


async def test_a_crash_in_the_middle_of_history_does_not_turn_the_rest_into_news(line: Line) -> None:
    line.kf.page = 2
    before_the_start(line)
    line.kf.before("sync", lambda: None, raising(unavailable()))
    with pytest.raises(WeComError):
        await line.sync.sync(KF)
    assert (await line.account()).cold is True
    line.clock.move(600)
    await line.sync.sync(KF)
    assert await line.ledger.history() == []
    assert len(await line.ledger.due_checks(line.clock.now(), 10)) == 2


@pytest.mark.parametrize("lost", ["by us", "by WeCom"])
async def test_a_lost_cursor_has_all_be_read_and_every_state_looked_at(line: Line, lost: str) -> None:
    await warm(line)
    line.kf.customer_writes(KF, ANN, "在吗")
    line.kf.session_state(KF, ANN, HUMAN, LI)
    line.clock.move(3600)
    if lost == "by us":
        await line.store.lose_cursor(KF)
    else:
        line.kf.before("sync", raising(refusal(40058)))
    line.sync.wake(KF)
    await line.idle()
    assert line.asked[-1][0] == ""
    assert await line.ledger.history() == []
    assert await line.ledger.due_checks(line.clock.now(), 10) == [KEY]


async def test_what_happened_while_the_cursor_was_lost_is_news(line: Line) -> None:
    await warm(line)
    line.clock.move(60)
    line.kf.customer_writes(KF, ANN, "在吗")
    line.kf.servicer_takes(KF, ANN, LI)
    line.kf.servicer_ends(KF, ANN)
    line.clock.move(60)
    line.kf.before("sync", raising(refusal(40058)))
    line.sync.wake(KF)
    await line.idle()
    [handoff] = await line.ledger.history()
    assert (handoff.status, handoff.via) == (HandoffStatus.COMPLETED, Via.CLIENT)


async def test_a_token_that_wecom_calls_malformed_does_not_cost_the_cursor(line: Line) -> None:
    await warm(line)
    cursor = (await line.account()).cursor
    line.kf.before("sync", raising(refusal(40058)))
    line.sync.wake(KF, "x" * 200)
    await line.idle()
    assert line.asked[-2:] == [(cursor, "x" * 200), (cursor, "")]
    assert not (await line.account()).cold


@pytest.mark.parametrize("errcode", [95007, 40097, 12345])
async def test_a_cursor_is_lost_whatever_wecom_calls_it(line: Line, errcode: int) -> None:
    """It stands nowhere what WeCom says of one: where the beginning can be had instead, that was it."""
    await warm(line)
    line.kf.customer_writes(KF, ANN, "在吗")
    line.kf.before("sync", *(raising(refusal(errcode)) for _ in range(SEVERAL)))
    line.sync.wake(KF)
    await line.idle()
    assert [cursor for cursor, _ in line.asked[-2:]] == ["", ""]
    assert (await line.account()).cursor and len(await line.ledger.due_checks(line.clock.now(), 10)) == 1


async def test_an_account_that_cannot_be_read_at_all_keeps_its_cursor(line: Line) -> None:
    await warm(line)
    cursor = (await line.account()).cursor
    line.kf.before("sync", *(raising(refusal(95004)) for _ in range(2 * SEVERAL + 2)))
    line.sync.wake(KF)
    await line.idle()
    assert (await line.account()).cursor == cursor
    assert [asked for asked, _ in line.asked].count("") == 2  # two trials


async def test_a_refused_parameter_without_cursor_is_only_an_error(line: Line) -> None:
    line.kf.before("sync", raising(refusal(40058)))
    with pytest.raises(WeComError):
        await line.sync.sync(KF)
    assert (await line.account()).live_from is not None


async def test_after_history_even_a_wecom_that_is_behind_brings_news(line: Line) -> None:
    await warm(line)
    line.kf.ahead = -30
    line.kf.servicer_writes(KF, ANN, LI, "您好")
    await line.sync.sync(KF)
    assert await line.ledger.open_handoff(KEY) is not None


async def test_all_accounts_can_be_woken(line: Line) -> None:
    line.sync.wake_all([KF, KF2])
    await line.idle()
    assert [call.args[0] for call in line.kf.called("sync")] == [KF, KF2]


async def test_a_restarted_bot_goes_on_with_the_token_it_had(line: Line) -> None:
    await warm(line)
    line.sync.wake(KF, line.kf.sync_token(KF))
    await line.idle()
    after_restart = KfSync(line.kf, line.store, line.clock, line.follow, line.turn, keep_text=True, sleep=line.sleep)
    await after_restart.sync(KF)
    assert line.turns == 0
    line.clock.move(600)
    await after_restart.sync(KF)
    assert line.turns == 1


# -- what could not be read


def parked(*raw: Any) -> SyncPage:
    return SyncPage([], "C9", False, [(each, "no msgtype") for each in raw])


def tolerant(payload: dict[str, Any], open_kfid: str) -> SyncPage:
    """A version that has learned what was unreadable, but for what is of no colour."""
    [raw] = payload["msg_list"]
    if "colour" not in raw:
        return SyncPage([], "", False, [(raw, "no colour")])
    at = raw["send_time"]
    return SyncPage([KfItem(raw["msgid"], open_kfid, ANN, at, 5, "text", servicer_userid=LI)], "", False)


async def test_what_can_be_read_after_an_upgrade_is_news(line: Line) -> None:
    await warm(line)
    now = int(line.clock.now())
    line.kf.pages(parked({"msgid": "p1", "colour": "blue", "send_time": now - 60}, {"msgid": "p2", "send_time": now}))
    await line.sync.sync(KF)
    line.committed.clear()
    assert await line.sync.reread(await line.store.parked(EVERYTHING, 9), tolerant) == (1, 1)
    opened = await line.ledger.open_handoff(KEY)
    assert opened is not None and opened.status is HandoffStatus.IN_PROGRESS
    assert [each.msgid for page in line.committed for each in page.fresh] == ["p1"]
    assert [each.msgid for each in await line.store.parked(EVERYTHING, 9)] == ["p2"]
    assert await line.sync.reread(await line.store.parked(EVERYTHING, 9), tolerant) == (0, 1)


async def test_what_is_read_only_after_its_session_has_expired_is_history(line: Line) -> None:
    await warm(line)
    line.kf.pages(parked({"msgid": "p1", "colour": "blue", "send_time": int(line.clock.now())}))
    await line.sync.sync(KF)
    line.clock.move(49 * 3600.0)
    assert await line.sync.reread(await line.store.parked(EVERYTHING, 9), tolerant) == (1, 0)
    assert await line.ledger.history() == []


# -- what cannot be followed


def poisoned(line: Line, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A mistake of ours meets this text."""
    follow = sessions.follow

    def mistaken(session: sessions.Session, item: KfItem, *args: Any, **options: Any) -> None:
        if item.text == text:
            raise ZeroDivisionError("the bug")
        follow(session, item, *args, **options)

    monkeypatch.setattr(sessions, "follow", mistaken)


async def test_an_item_that_nothing_can_be_made_of_is_parked_and_the_account_goes_on(
    line: Line, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await warm(line)
    poisoned(line, monkeypatch, "毒")
    line.kf.pages(words("一", "毒", "二", cursor="C1", has_more=True), words("三", cursor="C2"))
    await line.sync.sync(KF)
    assert (line.texts, (await line.account()).cursor) == (["一", "二", "三"], "C2")
    [item] = await line.store.parked(EVERYTHING, 9)
    assert (item.msgid, item.why) == ("m-毒", "ZeroDivisionError: the bug")
    assert line.observed["parked"] == 1
    assert "item not followed | account=" in caplog.text and "Traceback" in caplog.text


async def test_it_can_be_read_again_once_the_mistake_is_mended(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    await warm(line)
    with monkeypatch.context() as mistaken:
        poisoned(line, mistaken, "毒")
        at = int(line.clock.now())
        line.kf.pages(SyncPage([KfItem("p1", KF, ANN, at, 3, "text", text="毒")], "C1", False))
        await line.sync.sync(KF)
        assert await line.sync.reread(await line.store.parked(EVERYTHING, 9), parse_page) == (0, 1), "still mistaken"
    assert await line.sync.reread(await line.store.parked(EVERYTHING, 9), parse_page) == (1, 0)
    assert await line.store.parked(EVERYTHING, 9) == []
    assert line.texts[-1:] == ["毒"]


@pytest.mark.parametrize("keep_text", [True, False])
@pytest.mark.parametrize(
    "item",
    [
        KfItem("p1", KF, ANN, 1_700_000_001, 3, "text", text="毒", menu_id="m"),
        KfItem("p2", KF, ANN, 1_700_000_001, 5, "image", servicer_userid=LI),
        KfItem("p3", KF, ANN, 1_700_000_001, 4, "event", event_type="enter_session", event={
            "event_type": "enter_session", "open_kfid": KF, "external_userid": ANN}),
        KfItem("p4", KF, ANN, 1_700_000_001, 3, "hologram", raw={
            "msgid": "p4", "open_kfid": KF, "external_userid": ANN, "send_time": 1_700_000_001, "origin": 3,
            "msgtype": "hologram"}),
    ],
    ids=lambda item: item.msgtype if isinstance(item, KfItem) else str(item),
)  # fmt: skip
def test_it_is_parked_as_it_came_but_for_words_that_are_not_kept(item: KfItem, *, keep_text: bool) -> None:
    [again] = parse_page({"msg_list": [_as_received(item, keep_text)]}, KF).items
    assert again == (item if keep_text else replace(item, text=""))


async def test_a_mistake_of_those_who_are_told_ends_no_loop(line: Line) -> None:
    await warm(line)
    told, mistakes = list[int](), [ZeroDivisionError("the bug")]

    def unannounced(open_kfid: str, count: int) -> None:
        if mistakes:
            raise mistakes.pop()
        told.append(count)

    line.sync._unannounced = unannounced
    line.clock.move(60)
    at = int(line.clock.now() - IN_FLIGHT - 10)
    late = KfItem("late", KF, ANN, at, 3, "text", text="在吗")
    line.kf.pages(SyncPage([late], "C1", False), SyncPage([], "C2", False))
    line.sync.wake(KF)
    await line.idle()
    assert (mistakes, told, line.observed["failed"]) == ([], [1], 1)


async def test_a_full_disk_parks_nothing(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    await warm(line)

    async def full(*args: Any) -> Committed:
        raise StorageError("no room", "full")

    line.kf.pages(words("一", cursor="C1"))
    with monkeypatch.context() as patched:
        patched.setattr(line.store, "commit", full)
        with pytest.raises(StorageError, match="no room"):
            await line.sync.sync(KF)
    assert await line.store.parked(EVERYTHING, 9) == []
