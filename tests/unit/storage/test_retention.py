"""What is older than the retention goes, in small pieces; open handoffs and what tells news from repetitions stay."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from bot.model import CardTap, Handoff, KfItem, Operator, OperatorType, SessionKey, SyncPage, Via
from bot.sessions import ClosingDraft, Session, customer_wrote, finish, follow, servicer_wrote
from storage import retention
from storage.chats import Chats
from storage.database import Database
from storage.ledger import Ledger
from storage.people import People
from storage.retention import DAY, OF_A_HANDOFF, SWEEPS, Retention
from storage.sync_store import SyncStore
from tests.fakes import ANN, BOB, KF, LI, TENANT

NOW = 1_700_000_000.0
KEEP = 90 * DAY
AGENT = Operator(OperatorType.AGENT, LI)


@pytest.fixture
def old(database: Database) -> Retention:
    return Retention(database, KEEP)


async def left(database: Database, table: str, column: str = "count(*)") -> list[Any]:
    sql = f"SELECT {column} FROM {table} ORDER BY 1"
    return [row[0] for row in await database.read(lambda db: db.execute(sql).fetchall())]


# -- items


async def keep_items(database: Database, keep_text: str, *items: KfItem, broken: tuple[Any, ...] = ()) -> None:
    page = SyncPage(list(items), "C1", False, [(each, "no msgtype") for each in broken])
    await SyncStore(database, TENANT, keep_text).commit(KF, page, lambda loaded, items: None, NOW)


async def pruned_items(old: Retention, now: float = NOW) -> int:
    return (await old.prune(now)).get("items", 0)


def said(days_ago: float, text: str = "在吗") -> KfItem:
    return KfItem(f"m{days_ago:05.1f}", KF, ANN, int(NOW - days_ago * DAY), 3, "text", text=text)


def event(days_ago: float) -> KfItem:
    happened = {"change_type": 1, "new_servicer_userid": LI}
    at = int(NOW - days_ago * DAY)
    return KfItem(
        f"e{days_ago:05.1f}", KF, ANN, at, 4, "event", event_type="session_status_change", event=happened
    )  # fmt: skip


async def test_items_wecom_cannot_repeat_any_more_go(database: Database, old: Retention) -> None:
    await keep_items(database, "last", said(3), said(14.9), said(15.1), event(14), event(16))
    assert await pruned_items(old) == 2
    assert await left(database, "items", "msgid") == ["e014.0", "m003.0", "m014.9"]


async def test_words_that_are_to_be_kept_stay_for_the_whole_retention(database: Database, old: Retention) -> None:
    await keep_items(database, "all", said(16), said(89), said(91), event(16))
    await old.prune(NOW)
    assert await left(database, "items", "msgid") == ["m016.0", "m089.0"]


@pytest.mark.parametrize(("keep_days", "stay"), [(10, ["m003.0", "m009.0"]), (1, ["m003.0"])])
async def test_a_short_retention_holds_for_items_too_but_not_for_those_that_may_come_again(
    database: Database, keep_days: float, stay: list[str]
) -> None:
    await keep_items(database, "all", said(3), said(9), said(11))
    await Retention(database, keep_days * DAY).prune(NOW)
    assert await left(database, "items", "msgid") == stay


async def test_what_could_not_be_read_stays_for_the_whole_retention(database: Database, old: Retention) -> None:
    await keep_items(database, "last", said(16), broken=({"msgid": "p1"},))
    assert await pruned_items(old) == 1
    assert await pruned_items(old, NOW + KEEP - 60) == 0
    assert await pruned_items(old, NOW + KEEP + 60) == 1


# -- handoffs


def served(at: float, *, ends: bool) -> Callable[[Session], Handoff]:
    """Customer and servicer wrote at `at`; it ended a minute later, or is open to this day."""

    def decide(session: Session) -> Handoff:
        customer_wrote(session, at - 9, "在吗", at)
        servicer_wrote(session, at, LI, at)
        assert session.handoff is not None
        handoff = session.handoff
        session.closings.append(ClosingDraft(handoff, "CODE", at + 20))
        session.check_at = None
        if ends:
            finish(session, AGENT, Via.COMMAND, at + 60)
        return handoff

    return decide


def keep_delivery(db: sqlite3.Connection, handoff: int, state: str, settled_at: float | None) -> None:
    db.execute(
        """INSERT INTO deliveries (webhook, event_id, handoff_id, key, state, settled_at)
            SELECT 'one', 1 + (SELECT count(*) FROM deliveries), ?, 'key', ?, ?""",
        (handoff, state, settled_at),
    )


async def begun(ledger: Ledger, database: Database, customer: str, at: float, *, ends: bool) -> int:
    """With one row more in each table that knows of handoffs."""
    key = SessionKey(KF, customer)
    handoff = (await ledger.change(key, served(at, ends=False), at)).id
    await ledger.open_ending(key, lambda session: True, AGENT, Via.COMMAND, "", at, 15.0, None)

    def tell(db: sqlite3.Connection) -> None:
        db.execute(
            """INSERT INTO alerts (handoff_id, rule, state, raised_at, sends, sent_at)
                VALUES (?, 'human_idle', 'open', ?, 1, ?)""",
            (handoff, at, at),
        )
        db.execute("INSERT INTO quiets (handoff_id, acked_by, acked_at) VALUES (?, ?, ?)", (handoff, LI, at))
        keep_delivery(db, handoff, "pending", None)

    await database.write(tell)
    if ends:
        await ledger.change(key, lambda session: finish(session, AGENT, Via.COMMAND, at + 60), at)
    return handoff


async def test_an_ended_handoff_goes_with_all_that_belongs_to_it(
    database: Database, ledger: Ledger, old: Retention
) -> None:
    await begun(ledger, database, "wmLongAgo", NOW - KEEP - 120, ends=True)
    lately = await begun(ledger, database, BOB, NOW - KEEP, ends=True)
    deleted = await old.prune(NOW)
    assert deleted == {
        "handoffs": 1, "handoff_events": 4, "endings": 1, "codes": 1, "alerts": 1, "quiets": 1, "deliveries": 1,
        "sessions": 1,
    }  # fmt: skip
    assert await left(database, "handoffs", "id") == [lately]
    for table in OF_A_HANDOFF:
        assert set(await left(database, table, "handoff_id")) == {lately}, table


async def test_a_handoff_that_is_open_stays_however_old_it_is(
    database: Database, ledger: Ledger, people: People, old: Retention
) -> None:
    handoff = await begun(ledger, database, ANN, NOW - 2 * KEEP, ends=False)
    await people.save_nicknames({ANN: "小林"}, NOW - 2 * KEEP)
    assert await old.prune(NOW) == {}
    open_ = await ledger.open_handoff(SessionKey(KF, ANN))
    assert open_ is not None
    assert open_.id == handoff
    assert len(await ledger.events(handoff)) == 3
    assert await people.nicknames([ANN]) == {ANN: "小林"}


async def test_numbers_of_deleted_handoffs_are_not_used_again(
    database: Database, ledger: Ledger, old: Retention
) -> None:
    number = await begun(ledger, database, ANN, NOW - KEEP - 120, ends=True)
    await old.prune(NOW)
    assert await begun(ledger, database, BOB, NOW, ends=False) > number


async def test_no_table_that_knows_of_handoffs_is_forgotten(database: Database) -> None:
    def knowing(db: sqlite3.Connection) -> set[str]:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        columns = {table: {row[1] for row in db.execute(f"PRAGMA table_info({table})")} for table in tables}
        return {table for table in tables if "handoff_id" in columns[table]}

    assert await database.read(knowing) == {*OF_A_HANDOFF, "sessions"}


# -- sessions, customers, commands


@pytest.mark.parametrize("sign", ["state_at", "ended_at", "last_customer_at", "last_servicer_at"])
async def test_a_session_stays_for_the_retention_after_its_last_sign_of_life(
    database: Database, ledger: Ledger, old: Retention, sign: str
) -> None:
    for customer, at in ((ANN, NOW - KEEP + 1), (BOB, NOW - KEEP - 1)):
        await ledger.change(SessionKey(KF, customer), lambda session, at=at: setattr(session, sign, at), NOW)  # type: ignore[misc]
    assert await old.prune(NOW) == {"sessions": 1}
    assert await left(database, "sessions", "external_userid") == [ANN]


async def test_a_session_that_is_to_be_looked_at_stays(database: Database, ledger: Ledger, old: Retention) -> None:
    await ledger.change(SessionKey(KF, ANN), lambda session: setattr(session, "check_at", 1.0), NOW)
    assert await old.prune(NOW) == {}


async def test_names_are_forgotten(people: People, old: Retention) -> None:
    await people.save_nicknames({ANN: "小林"}, NOW - KEEP - 1)
    await people.save_nicknames({BOB: "Bob"}, NOW - KEEP + 1)
    assert await old.prune(NOW) == {"customers": 1}
    assert await people.nicknames([ANN, BOB]) == {BOB: "Bob"}


async def test_commands_are_forgotten(database: Database, old: Retention) -> None:
    chats = Chats(database)
    for days in (91, 89):
        tap = CardTap("aibot", f"msg{days}", "wrGROUP", True, LI, "end:1")
        await chats.claim(tap, "end", "", NOW - days * DAY)
    assert await old.prune(NOW) == {"commands": 1}
    assert await left(database, "commands", "msgid") == ["msg89"]


async def test_what_webhooks_accepted_is_forgotten_after_days_and_what_they_did_not_is_kept(
    database: Database, old: Retention
) -> None:
    def fill(db: sqlite3.Connection) -> None:
        for state, days in (("done", 3.1), ("done", 2.9), ("dead", 30.0)):
            keep_delivery(db, 1, state, NOW - days * DAY)
        keep_delivery(db, 1, "pending", None)

    await database.write(fill)
    assert await old.prune(NOW) == {"deliveries": 1}
    assert await left(database, "deliveries", "id") == [2, 3, 4]


async def test_what_was_claimed_for_a_day_is_forgotten_and_other_small_facts_are_not(
    database: Database, old: Retention
) -> None:
    chats = Chats(database)
    for key in ("report 2023-01-01 wrG", f"human first: {KF} 19000"):
        await chats.claim_once(key, NOW - KEEP - 1)
        await chats.claim_once(f"{key} later", NOW - KEEP + 1)
    await chats.keep([("token key", "00ff"), ("muted until: wrG", repr(NOW - KEEP - 1)), ("alarm: wecom", "")])
    assert await old.prune(NOW) == {"meta": 2}
    kept = {key for key in await left(database, "meta", "key") if not key.startswith("swept.")}
    assert kept == {
        "report 2023-01-01 wrG later", f"human first: {KF} 19000 later", "token key", "muted until: wrG", "alarm: wecom"
    }  # fmt: skip


KEPT_FOR_GOOD = {
    "accounts": "one row each",
    "servicers": "the list as WeCom tells it, replaced as a whole",
    "paired_chats": "until somebody takes them out of the settings",
    "webhooks": "one row for each address there has been",
    "_sqlite_migrations": "the schema's own",
    "audit": "by triggers of its own, see storage.audit",
}


async def test_every_table_has_its_time(database: Database) -> None:
    """A new one has to be thought of: here, among what belongs to a handoff, or in a sweep of its own."""
    tables = await left(database, "sqlite_schema", "CASE type WHEN 'table' THEN name END")
    known = {*KEPT_FOR_GOOD, *OF_A_HANDOFF, *(each.table for each in SWEEPS)}
    assert {each for each in tables if each and not each.startswith("sqlite_")} == known


# -- words that are kept no more


def waiting(session: Session) -> None:
    customer_wrote(session, NOW - 20, "", NOW)
    servicer_wrote(session, NOW - 10, LI, NOW)
    customer_wrote(session, NOW, "在吗", NOW)


@pytest.mark.parametrize(
    ("keep_text", "bodies", "texts"),
    [("all", 2, ["在吗", "在吗"]), ("last", 1, [None, "在吗"]), ("none", 1, [None, None])],
)
async def test_when_less_is_to_be_kept_than_before_the_rest_is_erased(
    database: Database, keep_text: str, bodies: int, texts: list[str | None]
) -> None:
    """`keep_text` was all until this start."""
    await keep_items(database, "all", said(1), event(1))
    ledger = Ledger(database, TENANT, "all")
    await ledger.change(SessionKey(KF, ANN), waiting, NOW)
    await ledger.change(SessionKey(KF, BOB), waiting, NOW)
    await ledger.change(SessionKey(KF, ANN), lambda session: finish(session, AGENT, Via.COMMAND, NOW), NOW)
    deleted = await Retention(database, KEEP, keep_text).prune(NOW)
    assert deleted == ({} if keep_text == "all" else {"texts": 2 - bodies + texts.count(None)})
    assert await left(database, "items", "count(body)") == [bodies]
    assert await left(database, "handoffs", "last_text") == texts


async def test_what_could_not_be_read_is_kept_whatever_is_to_be_kept_of_words(database: Database) -> None:
    await keep_items(database, "none", broken=({"msgid": "p1", "text": "在吗"},))
    assert await Retention(database, KEEP, "none").prune(NOW) == {}
    assert "在吗" in (await left(database, "items", "body"))[0]


# -- a little at a time


async def test_a_run_goes_on_where_the_last_one_stopped_and_begins_again_at_the_end(
    database: Database, old: Retention, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = [retention.Sweep(each.table, each.columns, each.first, each.old, 10) for each in SWEEPS]
    monkeypatch.setattr(retention, "SWEEPS", small)
    monkeypatch.setattr(retention, "WINDOW", 5)
    await keep_items(database, "last", *(said(20 + number / 10) for number in range(25)))
    counts = [await pruned_items(old) for _ in range(3)]
    assert (counts, await left(database, "items")) == ([10, 10, 5], [0])
    await keep_items(database, "last", said(17), said(2))
    assert await pruned_items(Retention(database, KEEP)) == 1


@pytest.mark.parametrize("count", [4, 5, 6, 10])
async def test_no_row_at_an_edge_is_passed_over(
    database: Database, old: Retention, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(retention, "WINDOW", 5)
    await keep_items(database, "last", *(said(20 + number) for number in range(count)), said(1))
    assert await pruned_items(old) == count
    assert await left(database, "items", "msgid") == ["m001.0"]


async def test_many_handoffs_go_in_several_transactions_and_runs(
    database: Database, ledger: Ledger, old: Retention, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "HANDOFFS", 2)
    monkeypatch.setattr(retention, "ROUNDS", 2)
    for number in range(5):
        await ledger.change(SessionKey(KF, f"wm{number}"), served(NOW - KEEP - 120 - number, ends=True), NOW)
    assert [(await old.prune(NOW)).get("handoffs", 0) for _ in range(3)] == [4, 1, 0]


async def test_others_write_in_between(database: Database, ledger: Ledger, sync_store: SyncStore) -> None:
    """News come in while old records go: nothing young is lost, and nothing old stays."""
    await keep_items(database, "last", *(said(16 + number / 10) for number in range(500)))

    async def news(number: int) -> None:
        fresh = KfItem(f"n{number}", KF, f"wm{number}", int(NOW), 5, "text", LI)

        def decide(loaded: dict[str, Session], items: list[KfItem]) -> None:
            for each in items:
                follow(loaded[each.external_userid], each, NOW, keep_text=True)

        await sync_store.commit(KF, SyncPage([fresh], f"C{number}", False), decide, NOW)

    await asyncio.gather(*(news(number) for number in range(50)), *(Retention(database, KEEP).prune(NOW) for _ in "ab"))
    assert await left(database, "items") == [50]
    assert await ledger.count_open() == 50


async def test_it_can_be_done_again(database: Database, ledger: Ledger, old: Retention) -> None:
    await begun(ledger, database, ANN, NOW - KEEP - 120, ends=True)
    await old.prune(NOW)
    assert await old.prune(NOW) == {}


async def test_every_row_is_found_by_a_key(database: Database, old: Retention) -> None:
    asked: list[str] = []
    await database.write(lambda db: db.set_trace_callback(asked.append))
    await old.prune(NOW)

    def plans(db: sqlite3.Connection) -> list[str]:
        wanted = [each for each in asked if each.startswith(("SELECT", "DELETE", "UPDATE"))]
        return [row[3] for each in wanted for row in db.execute(f"EXPLAIN QUERY PLAN {each}")]

    steps = await database.read(plans)
    assert len(steps) > len(SWEEPS) + len(OF_A_HANDOFF)
    allowed = ("json_each", "items_parked")
    assert [step for step in steps if step.startswith("SCAN") and not any(each in step for each in allowed)] == []
