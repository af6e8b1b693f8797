"""Which rows an export holds, from a real database that others write to."""

from __future__ import annotations

import json
import sqlite3
from functools import partial
from typing import Any

import pytest

from bot.export import HANDOFF_COLUMNS, Row, Selection, What
from bot.model import EVERYTHING, NOTHING, KfAccount, Operator, OperatorType, Scope, SessionKey, Via
from bot.model import HandoffStatus as Status
from bot.sessions import Session, finish, open_handoff
from storage import export
from storage.database import Database
from storage.export import Records
from storage.ledger import Ledger
from storage.people import People
from storage.sync_store import SyncStore
from tests.fakes import ANN, BOB, KF, KF2, LI, TENANT

NOW = 1_795_000_000.0
ONLY, OTHERS = Scope(frozenset({KF}), others=False), Scope(frozenset({KF}))


@pytest.fixture
def records(database: Database) -> Records:
    return Records(database)


async def lived(ledger: Ledger, at: float = NOW, customer: str = ANN, kf: str = KF) -> int:
    """A handoff that was over after ten minutes; its number."""

    def live(session: Session) -> None:
        open_handoff(session, Status.ACCEPTED, LI, at, Via.EVENT)
        finish(session, Operator(OperatorType.AGENT, LI), Via.BUTTON, at + 600, reason="好了")

    key = SessionKey(kf, customer)
    await ledger.change(key, live, at)
    return (await ledger.history(key, 1))[0].id


async def rows(records: Records, **asked: Any) -> list[Row]:
    """All of them; as many as were announced."""
    extract = await records.find(Selection(**asked))
    found = [row async for page in extract.pages for row in page]
    assert len(found) == extract.count
    return found


async def numbers(records: Records, **asked: Any) -> list[int]:
    return [row[0] for row in await rows(records, **asked)]


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few ids at a time, so that a handful of rows are many pages."""
    monkeypatch.setattr(export, "PAGE", 2)
    monkeypatch.setattr(export, "COUNTED", 3)


async def test_a_handoff_with_the_names_of_its_account_and_customer(
    ledger: Ledger, records: Records, people: People, sync_store: SyncStore
) -> None:
    await sync_store.know_accounts([KfAccount(KF, "售前咨询")])
    await people.save_nicknames({ANN: "小林"}, NOW)
    await lived(ledger)
    [row] = await rows(records)
    assert dict(zip(HANDOFF_COLUMNS, row, strict=True)) == {
        "id": 1, "tenant_id": TENANT, "open_kfid": KF, "account_name": "售前咨询", "external_userid": ANN,
        "nickname": "小林", "status": "COMPLETED", "servicer_userid": LI, "requested_at": NOW, "accepted_at": NOW,
        "replied_at": None, "completed_at": NOW + 600, "ended_by": "AGENT", "via": "button", "operator_id": LI,
        "reason": "好了", "previous_id": None,
    }  # fmt: skip


async def test_names_that_nobody_knows_are_empty(ledger: Ledger, records: Records) -> None:
    await lived(ledger)
    [row] = await rows(records)
    assert (row[HANDOFF_COLUMNS.index("account_name")], row[HANDOFF_COLUMNS.index("nickname")]) == ("", "")


async def test_events_in_the_order_of_the_log(ledger: Ledger, records: Records) -> None:
    await lived(ledger)
    found = await rows(records, what=What.EVENTS)
    logged = await ledger.events(1)
    assert [(*row[:6], json.loads(row[6])) for row in found] == [
        (each.id, 1, each.type, each.operator.type, each.operator.id, each.at, each.data) for each in logged
    ]


async def test_an_empty_record_has_no_rows(records: Records) -> None:
    assert await rows(records) == await rows(records, what=What.EVENTS) == []


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7])
async def test_no_row_is_left_out_or_told_twice(ledger: Ledger, records: Records, count: int) -> None:
    made = [await lived(ledger, customer=f"wm{number}") for number in range(count)]
    assert await numbers(records) == made


@pytest.mark.usefixtures("narrow")
async def test_what_retention_has_left_empty_is_passed_over(
    database: Database, ledger: Ledger, records: Records
) -> None:
    for number in range(12):
        await lived(ledger, customer=f"wm{number}")
    await database.write(lambda db: db.execute("DELETE FROM handoffs WHERE id NOT IN (5, 11, 12)"))
    await database.write(lambda db: db.execute("UPDATE handoffs SET id = 9000000000000 WHERE id = 12"))
    assert await numbers(records) == [5, 11, 9000000000000]


@pytest.mark.usefixtures("narrow")
async def test_what_begins_meanwhile_belongs_to_the_next_export(ledger: Ledger, records: Records) -> None:
    for number in range(5):
        await lived(ledger, customer=f"wm{number}")
    extract, seen = await records.find(Selection()), []
    async for page in extract.pages:
        seen += [row[0] for row in page]
        await lived(ledger, customer=f"wmLate{page[0][0]}")  # the writer is not held up either
    assert seen == [1, 2, 3, 4, 5]
    assert extract.count == 5


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("what", What)
async def test_a_time_holds_its_first_moment_and_not_its_last(ledger: Ledger, records: Records, what: What) -> None:
    """Ids do not follow the times: late news makes handoffs of long ago."""
    for at in (NOW + 600, NOW - 1000, NOW, NOW + 300, NOW - 0.5):
        await lived(ledger, at, customer=f"wm{at}")
    found = await rows(records, what=what, since=NOW, until=NOW + 600)
    if what is What.HANDOFFS:
        assert [row[8] for row in found] == [NOW, NOW + 300]
    else:  # the end of one that began before, too
        assert sorted({row[5] for row in found}) == [NOW, NOW + 300, NOW + 599.5]
    assert await rows(records, what=what, since=NOW + 9000) == []


@pytest.mark.parametrize(("scope", "seen"), [(EVERYTHING, [1, 2]), (ONLY, [1]), (OTHERS, [2]), (NOTHING, [])])
async def test_only_the_accounts_that_are_asked_for(
    ledger: Ledger, records: Records, scope: Scope, seen: list[int]
) -> None:
    await lived(ledger)
    await lived(ledger, customer=BOB, kf=KF2)
    assert await numbers(records, scope=scope) == seen
    assert {row[1] for row in await rows(records, what=What.EVENTS, scope=scope)} == set(seen)


async def test_only_the_tenant_that_is_asked_for(database: Database, ledger: Ledger, records: Records) -> None:
    await lived(ledger)
    await lived(Ledger(database, "wwOther"), customer=BOB)
    assert await numbers(records) == [1, 2]
    assert await numbers(records, tenant_id="wwOther") == [2]
    assert {row[1] for row in await rows(records, what=What.EVENTS, tenant_id="wwOther")} == {2}


async def test_accounts_of_which_nothing_is_on_record(ledger: Ledger, records: Records, sync_store: SyncStore) -> None:
    """An account is known from WeCom's list, or from a handoff."""
    await sync_store.know_accounts([KfAccount(KF2)])
    await lived(ledger, kf=KF)
    assert await records.unknown([KF, "wkNone", KF2]) == ["wkNone"]
    assert await records.unknown([]) == []


@pytest.mark.parametrize("what", What)
@pytest.mark.parametrize("scope", [EVERYTHING, ONLY])
async def test_pages_are_found_by_their_ids(database: Database, what: What, scope: Scope) -> None:
    asked = export._Asked(Selection(what, 1.0, 2.0, scope, TENANT))
    for sql in (asked.count, asked.rows):
        plan = await database.read(partial(_plan, sql=sql, values=(1, 2, *asked._values)))
        steps = [step[3] for step in plan]
        assert steps[0].endswith("USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"), steps
        assert not any("TEMP B-TREE" in step or step.startswith("SCAN h") for step in steps), steps


def _plan(db: sqlite3.Connection, sql: str, values: tuple[Any, ...]) -> list[Any]:
    return db.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall()
