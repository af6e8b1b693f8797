"""From the log to deliveries: each event once per webhook, in line behind its elders, whatever crashes in between."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from bot.errors import StorageError
from bot.model import EVERYTHING, EventType, HandoffStatus, Operator, OperatorType, Scope, SessionKey, Via
from bot.ports import Delivery
from bot.sessions import Session, finish, open_handoff, servicer_wrote
from storage import outbox as module
from storage.database import Database
from storage.ledger import Ledger
from storage.outbox import Outbox
from tests.fakes import ANN, BOB, KF, KF2, LI, TENANT

NOW = 1_795_000_000.0
ALL = tuple(EventType)
LEASE = 60.0
ENDS = (EventType.COMPLETED,)


@pytest.fixture
async def outbox(database: Database) -> Outbox:
    outbox = Outbox(database)
    await outbox.open(named("one"), NOW)
    return outbox


def named(*webhooks: str, types: Iterable[EventType] = ALL) -> dict[str, tuple[str, Iterable[EventType]]]:
    return {each: (f"{each}.example", types) for each in webhooks}


async def begin(ledger: Ledger, customer: str = ANN, kf: str = KF) -> int:
    """Two events: requested, accepted."""
    key = SessionKey(kf, customer)
    handoff = await ledger.change(
        key, lambda session: open_handoff(session, HandoffStatus.ACCEPTED, LI, NOW, Via.EVENT), NOW
    )
    return handoff.id


async def answer(ledger: Ledger, customer: str = ANN) -> None:
    await ledger.change(SessionKey(KF, customer), lambda session: servicer_wrote(session, NOW + 1, LI, NOW + 1), NOW)


async def end(ledger: Ledger, customer: str = ANN) -> None:
    def decide(session: Session) -> None:
        finish(session, Operator(OperatorType.USER, customer), Via.CHAT, NOW + 2)

    await ledger.change(SessionKey(KF, customer), decide, NOW)


async def take(outbox: Outbox, now: float = NOW, webhook: str = "one") -> Delivery:
    delivery = await outbox.take(webhook, now, LEASE)
    assert delivery is not None
    return delivery


async def drain(outbox: Outbox, now: float = NOW, webhook: str = "one") -> list[tuple[int, str]]:
    """Deliver all that may go; (handoff, event) in order."""
    found = []
    while delivery := await outbox.take(webhook, now, LEASE):
        found.append((delivery.handoff.id, delivery.event.type.value))
        await outbox.settle(delivery, "done", now)
    return found


async def rows(database: Database, columns: str, table: str = "deliveries") -> list[Any]:
    return await database.read(lambda db: db.execute(f"SELECT {columns} FROM {table} ORDER BY id").fetchall())


# -- from the log


async def test_each_event_becomes_one_delivery_per_webhook(ledger: Ledger, database: Database) -> None:
    outbox = Outbox(database)
    await outbox.open(named("one", "two"), NOW)
    handoff = await begin(ledger)
    assert await outbox.collect(NOW) == 4
    assert await outbox.collect(NOW) == 0
    assert await outbox.due(NOW) == ["one", "two"]
    for webhook in ("one", "two"):
        assert await drain(outbox, webhook=webhook) == [(handoff, "REQUESTED"), (handoff, "ACCEPTED")]
    assert await outbox.due(NOW) == []
    keys = {row[0] for row in await rows(database, "key")}
    assert len(keys) == 4 and all(len(key) == 32 for key in keys)


async def test_only_what_a_webhook_wants(ledger: Ledger, database: Database) -> None:
    outbox = Outbox(database)
    await outbox.open({**named("one", types=ENDS), **named("two")}, NOW)
    await begin(ledger)
    await end(ledger)
    assert await outbox.collect(NOW) == 4
    assert await drain(outbox) == [(1, "COMPLETED")]


async def test_what_happened_before_is_not_told(ledger: Ledger, database: Database) -> None:
    await begin(ledger)
    outbox = Outbox(database)
    await outbox.open(named("one"), NOW)
    assert await outbox.collect(NOW) == 0
    await end(ledger)
    assert await outbox.collect(NOW) == 1
    later = Outbox(database)
    await later.open(named("one", "two"), NOW)
    await begin(ledger, BOB)
    assert await later.collect(NOW) == 4
    assert [handoff for handoff, _ in await drain(later, webhook="two")] == [2, 2]


async def test_what_happened_while_it_was_down_is_told_after_a_restart(
    outbox: Outbox, ledger: Ledger, database: Database
) -> None:
    await begin(ledger)
    again = Outbox(database)
    await again.open(named("one"), NOW)
    assert await again.collect(NOW) == 2


async def test_a_place_in_a_log_that_retention_has_emptied(outbox: Outbox, ledger: Ledger, database: Database) -> None:
    await begin(ledger)
    await database.write(lambda db: db.execute("DELETE FROM handoff_events"))
    assert await outbox.collect(NOW) == 0
    await end(ledger)
    assert await outbox.collect(NOW) == 1


async def test_a_crash_between_deliveries_and_place_leaves_neither(
    outbox: Outbox, ledger: Ledger, database: Database
) -> None:
    await begin(ledger)
    fails = "CREATE TRIGGER fails BEFORE UPDATE ON webhooks BEGIN SELECT RAISE(ABORT, 'power is gone'); END"
    await database.write(lambda db: db.execute(fails))
    with pytest.raises(StorageError):
        await outbox.collect(NOW)
    assert await rows(database, "id") == []
    await database.write(lambda db: db.execute("DROP TRIGGER fails"))
    assert await outbox.collect(NOW) == 2


async def test_a_long_log_comes_in_batches(
    outbox: Outbox, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    monkeypatch.setattr(module, "BATCH", 3)
    for number in range(5):
        await begin(ledger, f"wm{number}")
    transactions: list[None] = []
    database.on_write = lambda: transactions.append(None)
    assert (await outbox.collect(NOW), len(transactions)) == (10, 4)


async def test_a_look_at_nothing_new_writes_nothing(outbox: Outbox, ledger: Ledger, database: Database) -> None:
    await begin(ledger)
    await outbox.collect(NOW)
    transactions: list[None] = []
    database.on_write = lambda: transactions.append(None)
    await outbox.collect(NOW)
    await outbox.due(NOW)
    assert transactions == []


# -- in line


async def test_a_later_event_of_the_same_handoff_waits_and_other_handoffs_do_not(
    outbox: Outbox, ledger: Ledger
) -> None:
    await begin(ledger, ANN)
    await begin(ledger, BOB)
    await outbox.collect(NOW)
    ann, bob = await take(outbox), await take(outbox)
    assert [(each.handoff.id, each.event.type) for each in (ann, bob)] == [(1, "REQUESTED"), (2, "REQUESTED")]
    assert await outbox.take("one", NOW, LEASE) is None
    await outbox.settle(bob, "done", NOW)
    assert await drain(outbox) == [(2, "ACCEPTED")]
    await outbox.settle(ann, "pending", NOW, "HTTP 500", NOW + 5)
    assert await drain(outbox, NOW + 4) == []
    again = await take(outbox, NOW + 5)
    assert (again.id, again.key, again.attempts) == (ann.id, ann.key, 2)
    await outbox.settle(again, "dead", NOW + 5, "HTTP 410")
    assert await drain(outbox, NOW + 5) == [(1, "ACCEPTED")]


async def test_an_event_that_comes_while_an_elder_is_on_its_way_waits(outbox: Outbox, ledger: Ledger) -> None:
    await begin(ledger)
    await outbox.collect(NOW)
    first = await take(outbox)
    await answer(ledger)
    await end(ledger)
    await outbox.collect(NOW)
    assert await outbox.take("one", NOW, LEASE) is None
    await outbox.settle(first, "done", NOW)
    assert await drain(outbox) == [(1, "ACCEPTED"), (1, "PROGRESS"), (1, "COMPLETED")]


async def test_who_is_put_off_is_due_at_once_when_there_is_hurry(outbox: Outbox, ledger: Ledger) -> None:
    await begin(ledger)
    await outbox.collect(NOW)
    await outbox.settle(await take(outbox), "pending", NOW, "HTTP 500", NOW + 3600)
    assert await outbox.due(NOW + 1) == []
    await outbox.hurry("two", NOW + 1)
    assert await outbox.due(NOW + 1) == []
    await outbox.hurry("one", NOW + 1)
    assert len(await drain(outbox, NOW + 1)) == 2


async def test_the_longest_due_goes_first(outbox: Outbox, ledger: Ledger) -> None:
    """So that one that is always refused is not the only one ever tried."""
    for customer in (ANN, BOB):
        await begin(ledger, customer)
    await outbox.collect(NOW)
    await outbox.settle(await take(outbox), "pending", NOW, "HTTP 500", NOW + 5)
    assert (await take(outbox, NOW + 99)).handoff.id == 2


# -- claims


async def test_one_delivery_is_taken_by_one(outbox: Outbox, ledger: Ledger, database: Database) -> None:
    await begin(ledger)
    await outbox.collect(NOW)
    other = Database(database.path)
    await other.open()
    found = [await each.take("one", NOW, LEASE) for each in (outbox, Outbox(other))]
    await other.close()
    assert [each is not None for each in found] == [True, False]


async def test_what_nobody_settles_may_be_taken_again(outbox: Outbox, ledger: Ledger) -> None:
    await begin(ledger)
    await outbox.collect(NOW)
    first = await take(outbox)
    assert await outbox.due(NOW + LEASE - 1) == []
    second = await take(outbox, NOW + LEASE)
    assert (second.id, second.key, second.attempts) == (first.id, first.key, 2)
    await outbox.settle(first, "pending", NOW + LEASE, "too late", NOW + 9999)
    await outbox.settle(second, "done", NOW + LEASE)
    assert await drain(outbox, NOW + LEASE) == [(1, "ACCEPTED")]


async def test_what_a_dead_process_was_sending_is_sent_again(
    outbox: Outbox, ledger: Ledger, database: Database
) -> None:
    await begin(ledger)
    await outbox.collect(NOW)
    lost = await take(outbox)
    again = Outbox(database)
    await again.open(named("one"), NOW + 1)
    found = await take(again, NOW + 1)
    assert (found.key, found.attempts) == (lost.key, 2)


async def test_the_outcome_is_on_record(outbox: Outbox, ledger: Ledger, database: Database) -> None:
    await begin(ledger)
    await outbox.collect(NOW)
    await outbox.settle(await take(outbox), "done", NOW + 1)
    await outbox.settle(await take(outbox, NOW + 1), "dead", NOW + 2, "HTTP 410")
    assert await rows(database, "state, attempts, next_at, settled_at, error") == [
        ("done", 1, None, NOW + 1, ""),
        ("dead", 1, None, NOW + 2, "HTTP 410"),
    ]


# -- webhooks that come and go


async def test_a_webhook_that_is_named_no_more_gets_nothing_and_what_waited_is_dead(
    outbox: Outbox, ledger: Ledger, database: Database
) -> None:
    await begin(ledger)
    await outbox.collect(NOW)
    other = Outbox(database)
    await other.open(named("two"), NOW)
    await end(ledger)
    assert await other.collect(NOW) == 1
    assert [(each.host, each.error) for each in await other.dead(EVERYTHING, 9)] == [
        ("one.example", module.NOT_NAMED),
        ("one.example", module.NOT_NAMED),
    ]
    assert await other.revive(EVERYTHING, None, NOW) == (0, 2)
    back = Outbox(database)
    await back.open(named("one", "two"), NOW)
    assert await back.collect(NOW) == 0, "what happened in the meantime is not for it"
    assert await back.revive(EVERYTHING, None, NOW) == (2, 0)
    assert await drain(back) == [(1, "REQUESTED"), (1, "ACCEPTED")]


# -- what was given up


async def test_dead_ones_are_listed_with_their_handoff(outbox: Outbox, ledger: Ledger) -> None:
    await begin(ledger)
    await outbox.collect(NOW)
    await outbox.settle(await take(outbox), "dead", NOW + 9, "HTTP 410")
    [dead] = await outbox.dead(EVERYTHING, 9)
    assert (dead.id, dead.host, dead.attempts, dead.at, dead.error) == (1, "one.example", 1, NOW + 9, "HTTP 410")
    assert (dead.type, dead.handoff.external_userid) == (EventType.REQUESTED, ANN)


async def test_each_sees_and_revives_those_of_its_accounts(outbox: Outbox, ledger: Ledger) -> None:
    await begin(ledger, ANN, KF)
    await begin(ledger, BOB, KF2)
    await outbox.collect(NOW)
    while delivery := await outbox.take("one", NOW, LEASE):
        await outbox.settle(delivery, "dead", NOW)
    mine = Scope(frozenset({KF2}), others=False)
    assert await outbox.count_dead(EVERYTHING) == 4
    assert await outbox.count_dead(mine) == 2
    assert [each.handoff.open_kfid for each in await outbox.dead(mine, 1)] == [KF2]
    assert await outbox.revive(mine, 1, NOW) == (0, 0)
    assert await outbox.revive(mine, None, NOW) == (2, 0)
    assert await outbox.count_dead(EVERYTHING) == 2
    assert await drain(outbox) == [(2, "REQUESTED"), (2, "ACCEPTED")]


async def test_a_revived_one_begins_anew_and_goes_before_its_younger_ones(outbox: Outbox, ledger: Ledger) -> None:
    await begin(ledger)
    await end(ledger)
    await outbox.collect(NOW)
    first = await take(outbox)
    await outbox.settle(first, "dead", NOW)
    await outbox.settle(await take(outbox), "pending", NOW, "HTTP 500", NOW + 3600)
    assert await outbox.revive(EVERYTHING, first.id, NOW) == (1, 0)
    assert await outbox.revive(EVERYTHING, first.id, NOW) == (0, 0)
    again = await take(outbox)
    assert (again.key, again.attempts) == (first.key, 1)
    await outbox.settle(again, "done", NOW)
    assert await drain(outbox) == [(1, "ACCEPTED"), (1, "COMPLETED")]


async def test_a_revived_one_waits_for_what_is_on_its_way(outbox: Outbox, ledger: Ledger) -> None:
    await begin(ledger)
    await outbox.collect(NOW)
    first = await take(outbox)
    await outbox.settle(first, "dead", NOW)
    second = await take(outbox)
    await outbox.revive(EVERYTHING, first.id, NOW)
    assert await outbox.take("one", NOW, LEASE) is None
    await outbox.settle(second, "pending", NOW, "HTTP 500", NOW + 5)
    assert await drain(outbox) == [(1, "REQUESTED"), (1, "ACCEPTED")]


async def test_many_are_revived_in_several_transactions(
    outbox: Outbox, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        await begin(ledger, f"wm{number}")
    await outbox.collect(NOW)
    while delivery := await outbox.take("one", NOW, LEASE):
        await outbox.settle(delivery, "dead", NOW)
    monkeypatch.setattr(module, "BATCH", 3)
    assert await outbox.revive(EVERYTHING, None, NOW) == (10, 0)
    assert len(await drain(outbox)) == 10


# -- cost


async def test_a_long_queue_behind_a_webhook_that_is_down_costs_nothing(
    outbox: Outbox, database: Database, ledger: Ledger
) -> None:
    """Neither what waits in line nor what is done or put off is looked at."""

    def fill(db: sqlite3.Connection) -> None:
        db.executemany(
            """INSERT INTO handoffs (id, tenant_id, open_kfid, external_userid, status, requested_at, active_at)
                VALUES (?1, ?2, 'wk', 'wm' || ?1, 'COMPLETED', 0, 0)""",
            [(number, TENANT) for number in range(1, 2001)],
        )
        db.execute(
            """INSERT INTO handoff_events (handoff_id, type, operator_type, operator_id, at, event_data)
                SELECT id, 'REQUESTED', 'SYSTEM', 'wecom', 0, '{}' FROM handoffs"""
        )
        db.execute(
            """INSERT INTO handoff_events (handoff_id, type, operator_type, operator_id, at, event_data)
                SELECT id, 'COMPLETED', 'SYSTEM', 'wecom', 0, '{}' FROM handoffs"""
        )

    await database.write(fill)
    assert await outbox.collect(NOW) == 4000
    await database.write(lambda db: db.execute("UPDATE deliveries SET next_at=next_at+60"))
    asked: list[str] = []
    steps: list[None] = []
    await database.write(lambda db: _watch(db, asked.append, lambda: steps.append(None)))
    assert await outbox.take("one", NOW + 1, LEASE) is None
    delivery = await take(outbox, NOW + 61)
    await outbox.settle(delivery, "pending", NOW + 61, "HTTP 500", NOW + 99)
    await database.write(lambda db: _watch(db, None, None))
    assert len(steps) * 10 < 2500

    def plans(db: sqlite3.Connection) -> list[str]:
        wanted = [each for each in asked if each.startswith(("SELECT", "UPDATE"))]
        return [row[3] for each in wanted for row in db.execute(f"EXPLAIN QUERY PLAN {each}")]

    found = await database.read(plans)
    assert found and not [step for step in found if step.startswith("SCAN") or "TEMP B-TREE FOR ORDER" in step]


def _watch(db: sqlite3.Connection, tell: Callable[[str], object] | None, step: Callable[[], None] | None) -> None:
    db.set_trace_callback(tell)
    db.set_progress_handler(step, 10)
