"""What ended in a time, what was rated, what is open: by account, in a real database."""

from __future__ import annotations

import itertools
import sqlite3

import pytest

from bot import stats
from bot.model import EVERYTHING, NOTHING, EventType, HandoffStatus, KfAccount, Operator, OperatorType, Scope, Via
from bot.model import SessionKey as Key
from bot.sessions import Session, finish, open_handoff, servicer_wrote
from storage.database import Database
from storage.ledger import Ledger
from storage.stats import Stats
from storage.sync_store import SyncStore
from tests.fakes import ANN, BOB, KF, KF2, LI, TENANT, WU

NOW = 1_795_000_000.0
ONLY, OTHERS = Scope(frozenset({KF}), others=False), Scope(frozenset({KF}))


@pytest.fixture
def numbers(database: Database) -> Stats:
    return Stats(database)


async def opened(ledger: Ledger, key: Key, at: float, servicer: str | None = LI) -> int:
    status = HandoffStatus.ACCEPTED if servicer else HandoffStatus.PENDING
    handoff = await ledger.change(key, lambda session: open_handoff(session, status, servicer, at, Via.EVENT), at)
    return handoff.id


async def ended(ledger: Ledger, key: Key, at: float, *, answered_after: float = 30.0) -> int:
    """A handoff of ten minutes, answered half a minute after it began."""

    def live(session: Session) -> int:
        open_handoff(session, HandoffStatus.ACCEPTED, LI, at - 600, Via.EVENT)
        servicer_wrote(session, at - 600 + answered_after, LI, at)
        return finish(session, Operator(OperatorType.AGENT, WU), Via.BUTTON, at).id

    await ledger.change(key, live, at)
    return (await ledger.history(key, 1))[0].id


async def rate(database: Database, handoff_id: int, score: str, at: float) -> None:
    sql = """INSERT INTO handoff_events (handoff_id, type, operator_type, operator_id, at, event_data)
        VALUES (?, ?, 'USER', ?, ?, json_object('score', ?))"""
    await database.write(lambda db: db.execute(sql, (handoff_id, EventType.RATED, ANN, at, score)))


async def test_rows_carry_what_numbers_need(ledger: Ledger, numbers: Stats) -> None:
    await ended(ledger, Key(KF, ANN), NOW)
    assert await numbers.ended(EVERYTHING, NOW, NOW + 1, stats.add_up) == stats.Numbers(
        handled=1,
        ways={(OperatorType.AGENT, "button"): 1},
        enders={WU: 1},
        wait=stats.Spread(30.0, 30.0),
        length=stats.Spread(600.0, 600.0),
        longest=stats.Longest(1, ANN, 600.0),
        servicers={LI: 1},
    )


async def test_a_time_holds_its_first_moment_and_not_its_last(ledger: Ledger, numbers: Stats) -> None:
    for at in (NOW - 2000, NOW - 1000, NOW):
        await ended(ledger, Key(KF, ANN), at)
    found = await numbers.ended(EVERYTHING, NOW - 2000, NOW, lambda rows: [row.completed_at for row in rows])
    assert found == [NOW - 2000, NOW - 1000]


@pytest.mark.parametrize(
    ("scope", "seen"), [(EVERYTHING, {ANN, BOB}), (ONLY, {ANN}), (OTHERS, {BOB}), (NOTHING, set())]
)
async def test_a_group_sees_the_numbers_of_its_own_accounts(
    ledger: Ledger, sync_store: SyncStore, database: Database, numbers: Stats, scope: Scope, seen: set[str]
) -> None:
    await sync_store.know_accounts([KfAccount(KF, "售前咨询"), KfAccount(KF2)])
    for account, customer in ((KF, ANN), (KF2, BOB)):
        number = await ended(ledger, Key(account, customer), NOW)
        await rate(database, number, "good", NOW)
        await opened(ledger, Key(account, customer), NOW + 10)
    found = await numbers.ended(scope, NOW, NOW + 1, lambda rows: {row.external_userid for row in rows})
    assert found == seen
    assert sum((await numbers.ratings(scope, NOW, NOW + 1)).values()) == len(seen)
    assert stats.open_now(await numbers.open_now(scope)).human == len(seen)
    names = {ANN: "售前咨询", BOB: KF2}
    assert await numbers.accounts(scope) == [names[customer] for customer in sorted(seen, key=[ANN, BOB].index)]


async def test_of_several_ratings_of_a_handoff_the_last_counts(
    ledger: Ledger, database: Database, numbers: Stats
) -> None:
    first, second = await ended(ledger, Key(KF, ANN), NOW), await ended(ledger, Key(KF, BOB), NOW)
    for number, score in ((first, "bad"), (second, "good"), (first, "good")):
        await rate(database, number, score, NOW + 60)
    assert await numbers.ratings(EVERYTHING, NOW, NOW + 1) == {"good": 2}
    assert await numbers.ratings(EVERYTHING, NOW + 1, NOW + 100) == {}


async def test_what_is_open_is_counted_by_status_and_servicer(ledger: Ledger, numbers: Stats) -> None:
    await opened(ledger, Key(KF, ANN), NOW)
    await opened(ledger, Key(KF, BOB), NOW, servicer=None)
    await opened(ledger, Key(KF2, ANN), NOW)
    assert stats.open_now(await numbers.open_now(EVERYTHING)) == stats.OpenNow(1, 2, 0, {LI: 2})


async def test_numbers_are_of_one_tenant(ledger: Ledger, database: Database, numbers: Stats) -> None:
    for customer, tenant_id in ((ANN, TENANT), (BOB, "ww-before")):
        number = await ended(ledger, Key(KF, customer), NOW)
        await rate(database, number, "good", NOW)
        opened_now = await opened(ledger, Key(KF, customer), NOW + 10)
        sql = "UPDATE handoffs SET tenant_id=? WHERE id IN (?, ?)"
        values = (tenant_id, number, opened_now)
        await database.write(lambda db, sql=sql, values=values: db.execute(sql, values))  # type: ignore[misc]
    for whose, count in ((Stats(database, TENANT), 1), (Stats(database, "ww-before"), 1), (numbers, 2)):
        for scope in (EVERYTHING, ONLY):
            assert (await whose.ended(scope, NOW, NOW + 1, stats.add_up)).handled == count
            assert await whose.ratings(scope, NOW, NOW + 1) == {"good": count}
            assert stats.open_now(await whose.open_now(scope)).human == count


async def test_a_day_is_found_by_the_index_however_many_handoffs_there_are(database: Database, numbers: Stats) -> None:
    asked: list[str] = []

    def plan(db: sqlite3.Connection) -> str:
        return " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {asked[-1]}"))

    await database.read(lambda db: db.set_trace_callback(asked.append))
    ours = Stats(database, TENANT)
    for whose, scope in itertools.product((numbers, ours), (EVERYTHING, ONLY, OTHERS)):
        for ask in (whose.ended(scope, NOW, NOW + 1, list), whose.ratings(scope, NOW, NOW + 1)):
            await ask
            assert "INDEX handoffs_completed" in await database.read(plan)
