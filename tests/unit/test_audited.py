"""Attempts at the doors: what is entered before, what after, and what an attempt without a row may do: nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bot.audit import Door, Entry
from bot.audited import KEPT, MOST, WITHIN, Attempt, Audit, staff
from bot.errors import CommandError, Forbidden, KfbotError, NotFound, StorageError, TooManyRequests
from bot.model import Handoff, HandoffStatus
from tests.fakes import ANN, KF, TENANT, FakeClock, refusal

LI = staff("LiNa")


class Rows:
    """Keeps what is entered; `broken` is raised instead."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.durable: list[bool] = []
        self.broken: Exception | None = None

    async def enter(self, entry: Entry, *, durable: bool = False) -> int:
        if self.broken is not None:
            raise self.broken
        self.entries.append(entry)
        self.durable.append(durable)
        return len(self.entries)

    def said(self) -> list[tuple[str, dict[str, Any]]]:
        return [(each.outcome, dict(each.detail)) for each in self.entries]


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def audit(rows: Rows, fake_clock: FakeClock) -> Audit:
    return Audit(rows, fake_clock)


def handoff(number: int = 12) -> Handoff:
    return Handoff(number, TENANT, KF, ANN, HandoffStatus.ACCEPTED, None, 0.0)


def attempt(audit: Audit, verb: str = "ack", **more: Any) -> Attempt:
    return audit.attempt(Door.API, LI, verb, **more)


async def refuse(audit: Audit, error: Exception, **more: Any) -> None:
    with pytest.raises(type(error)):
        async with attempt(audit, **more):
            raise error


# -- before and after


async def test_who_is_let_is_entered_before_anything_is_done(audit: Audit, rows: Rows, fake_clock: FakeClock) -> None:
    async with attempt(audit, seconds=60) as asking:
        await asking.allowed(handoff(), duration="10m")
        assert rows.said() == [("allowed", {"seconds": 60, "duration": "10m"})]
    [entry] = rows.entries
    assert (entry.at, entry.operator, entry.verb, entry.handoff_id, entry.open_kfid) == (
        fake_clock.now(), LI, "ack", 12, KF,
    )  # fmt: skip


async def test_without_a_row_there_is_no_deed(audit: Audit, rows: Rows) -> None:
    rows.broken, done = StorageError("disk full"), False
    with pytest.raises(StorageError):
        async with attempt(audit) as asking:
            await asking.allowed(handoff())
            done = True
    assert not done


@pytest.mark.parametrize("verb", ["end", "transfer", "ack", "token"])
async def test_on_disk_where_nothing_that_follows_puts_it_there(audit: Audit, rows: Rows, verb: str) -> None:
    await attempt(audit, verb).allowed()
    assert rows.durable == [verb in ("ack", "token")]


@pytest.mark.parametrize(
    ("error", "outcome", "why"),
    [
        (NotFound(), "refused", "NotFound"),
        (Forbidden(), "refused", "Forbidden"),
        (CommandError("?", "ambiguous"), "refused", "ambiguous"),
        (refusal(95016), "failed", "95016"),
        (KfbotError("?"), "failed", "KfbotError"),
        (ValueError("secret"), "failed", "incident"),
    ],
)
async def test_what_is_raised_says_what_came_of_it(
    audit: Audit, rows: Rows, error: Exception, outcome: str, why: str
) -> None:
    await refuse(audit, error, seconds=60)
    assert rows.said() == [(outcome, {"seconds": 60, "why": why})]


async def test_what_fails_later_is_a_row_that_names_the_first(audit: Audit, rows: Rows) -> None:
    with pytest.raises(KfbotError):
        async with attempt(audit) as asking:
            await asking.allowed(handoff())
            raise refusal(95016)
    assert rows.said() == [("allowed", {}), ("failed", {"of": 1, "why": "95016"})]
    assert {each.handoff_id for each in rows.entries} == {12}


async def test_an_error_is_entered_once_however_many_doors_it_passes(audit: Audit, rows: Rows) -> None:
    for error in (NotFound(), ValueError()):
        with pytest.raises(type(error)):
            async with attempt(audit):
                await refuse(audit, error)
                raise error
    assert len(rows.entries) == 2


async def test_somebody_who_leaves_is_no_failure(audit: Audit, rows: Rows) -> None:
    with pytest.raises(asyncio.CancelledError):
        async with attempt(audit):
            raise asyncio.CancelledError
    assert rows.entries == []


async def test_what_is_over_is_entered_once_whatever_is_told(audit: Audit, rows: Rows) -> None:
    with pytest.raises(KfbotError):
        async with attempt(audit) as asking:
            await asking.over(handoff())
            raise KfbotError("it has ended")
    assert rows.said() == [("over", {})]


async def test_where_storage_fails_there_is_nothing_to_enter_it_in(
    audit: Audit, rows: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    await refuse(audit, StorageError("disk full"))
    assert rows.entries == [] and caplog.text == ""


async def test_a_refusal_stays_one_though_it_cannot_be_entered(
    audit: Audit, rows: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    rows.broken = StorageError("disk full")
    await refuse(audit, NotFound())
    assert "not entered" in caplog.text and "disk full" in caplog.text


# -- who, and on whom


async def test_of_somebody_unknown_the_address_is_kept_and_of_nobody_else(audit: Audit, rows: Rows) -> None:
    for who in (None, LI):
        asking = audit.attempt(Door.API, None, "complete")
        with pytest.raises(Forbidden):
            async with asking:
                asking.came(who, "203.0.113.7")
                raise Forbidden
    first, second = rows.entries
    assert (first.operator, first.detail["address"]) == (None, "203.0.113.7")
    assert second.operator == LI and "address" not in second.detail


async def test_a_customer_is_named_only_where_no_handoff_does(audit: Audit, rows: Rows) -> None:
    for known in (None, handoff()):
        await audit.attempt(Door.CLI, LI, "end", customer=ANN, open_kfid=KF).allowed(known)
    assert [(each.handoff_id, each.customer, each.open_kfid) for each in rows.entries] == [
        (None, ANN, KF),
        (12, "", KF),
    ]


# -- to look, and many


STRANGER = "203.0.113.7"


async def look(audit: Audit) -> None:
    await attempt(audit, acts=False).allowed()


async def test_to_look_is_entered_but_waits_for_no_row(audit: Audit, rows: Rows) -> None:
    await look(audit)
    await refuse(audit, CommandError("?", "usage"), acts=False)
    assert rows.said() == [("allowed", {}), ("refused", {"why": "usage"})] and rows.durable == [False, False]
    rows.broken = StorageError("disk full")
    await look(audit)


async def test_of_many_looks_a_few_are_entered_and_the_others_counted(
    audit: Audit, rows: Rows, fake_clock: FakeClock
) -> None:
    for _ in range(MOST + 30):
        await look(audit)
    assert len(rows.entries) == MOST
    for _ in range(2):
        await audit.tell_left_out()
    assert [each.detail.get("left_out") for each in rows.entries[MOST:]] == [30]
    fake_clock.move(WITHIN)
    await look(audit)
    await audit.tell_left_out()
    assert rows.said()[MOST + 1 :] == [("allowed", {})]


async def test_what_staff_may_not_do_is_entered_each_time(audit: Audit, rows: Rows) -> None:
    for _ in range(10 * MOST):
        await refuse(audit, NotFound())
    assert len(rows.entries) == 10 * MOST


async def test_whoever_is_told_to_come_more_slowly_is_entered_as_slowly(audit: Audit, rows: Rows) -> None:
    for _ in range(10 * MOST):
        await refuse(audit, TooManyRequests(1.0))
    assert len(rows.entries) == MOST


async def test_one_strangers_noise_hides_no_other_stranger(audit: Audit, rows: Rows) -> None:
    for _ in range(10 * MOST):
        await audit.turned_away("link", STRANGER, "Unauthenticated")
    await audit.turned_away("link", "203.0.113.8", "Unauthenticated")
    await audit.tell_left_out()
    seen = [(each.detail["address"], each.detail.get("left_out")) for each in rows.entries[MOST:]]
    assert seen == [("203.0.113.8", None), (STRANGER, 9 * MOST)]


async def test_a_clock_that_is_set_back_silences_nobody(audit: Audit, rows: Rows, fake_clock: FakeClock) -> None:
    for _ in range(MOST):
        await look(audit)
    fake_clock.move(-3600)
    await look(audit)
    assert len(rows.entries) == MOST + 1


async def test_memory_stays_small_and_nothing_that_was_counted_is_lost(audit: Audit, rows: Rows) -> None:
    for _ in range(MOST + 5):
        await audit.turned_away("link", STRANGER, "Unauthenticated")
    for number in range(KEPT + 10):
        await audit.turned_away("link", f"2001:db8::{number:x}", "Unauthenticated")
    assert len(audit._idle) == KEPT
    await audit.tell_left_out()
    assert sum(each.detail.get("left_out", 0) for each in rows.entries) == 5


async def test_of_many_strangers_nobody_is_charged_with_what_another_did(audit: Audit, rows: Rows) -> None:
    for _ in range(MOST + 5):
        await audit.turned_away("link", STRANGER, "Unauthenticated")
    for number in range(KEPT - 1):
        await audit.turned_away("link", f"2001:db8::{number:x}", "Unauthenticated")
    for _ in range(MOST + 3):
        await audit.turned_away("link", "203.0.113.8", "Unauthenticated")
    await audit.tell_left_out()
    told = [(each.detail.get("address"), each.detail["left_out"]) for each in rows.entries if "left_out" in each.detail]
    assert told == [("203.0.113.8", 3), (None, 5)]
