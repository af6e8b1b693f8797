"""What a question costs: it may grow with what is open, never with what is over, whoever asks; and whose answers."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from bot.model import EVERYTHING, NOTHING, Handoff, Rule, Scope, SessionKey
from storage.database import Database
from storage.questions import Questions

MINE, THEIRS = "wkMINE", "wkTHEIRS"
OLD, OVER, OPEN = 20, 20_000, 20  # handoffs of mine that are long over, of theirs over since, of both open
MOST = 4000  # steps of SQLite's machine; one look at every row takes more than 60,000
ONE = SessionKey(MINE, "wm00000003")
SCOPES = {
    "everything": EVERYTHING,
    "mine": Scope(frozenset({MINE}), others=False),
    "all but theirs": Scope(frozenset({THEIRS})),
    "all but mine": Scope(frozenset({MINE})),
    "nothing": NOTHING,
}
Ask = Callable[[Questions], Awaitable[object]]
# Each with the index that answers it, where everything is asked for.
QUESTIONS: dict[str, tuple[Ask, str]] = {
    "handoff": (lambda ask: ask.handoff(3), "PRIMARY KEY"),
    "open_handoff": (lambda ask: ask.open_handoff(ONE), "handoffs_one_open"),
    "open_by_prefix": (lambda ask: ask.open_by_prefix("wm0000"), "handoffs_open_customer"),
    "sessions_by_prefix": (lambda ask: ask.sessions_by_prefix("wm0000"), "sessions_customer"),
    "open_handoffs": (lambda ask: ask.open_handoffs(), "handoffs_waiting"),
    "open_handoffs waiting": (lambda ask: ask.open_handoffs("waiting"), "handoffs_waiting"),
    "open_handoffs human": (lambda ask: ask.open_handoffs("human"), "handoffs_waiting"),
    "open_handoffs queue": (lambda ask: ask.open_handoffs("queue"), "handoffs_waiting"),
    "open_matching": (lambda ask: ask.open_matching(Rule.HUMAN_IDLE, 1e9, 10), "handoffs_counts"),
    "count_open": (lambda ask: ask.count_open(), "COVERING INDEX handoffs_counts"),
    "count_open queue": (lambda ask: ask.count_open("queue"), "COVERING INDEX handoffs_counts"),
    "counts": (lambda ask: ask.counts(), "COVERING INDEX handoffs_counts"),
    "history": (lambda ask: ask.history(), "PRIMARY KEY"),
    "history of one": (lambda ask: ask.history(ONE), "handoffs_customer"),
    "page": (lambda ask: ask.page("", "", None, 10), "PRIMARY KEY"),
    "page before": (lambda ask: ask.page("", "", 5000, 10), "PRIMARY KEY"),
    "page of one": (lambda ask: ask.page("", MINE, None, 10), "handoffs_account"),
    "page completed of one": (lambda ask: ask.page("COMPLETED", MINE, None, 10), "handoffs_over"),
    "page cancelled of one": (lambda ask: ask.page("CANCELLED", THEIRS, None, 10), "handoffs_over"),
    "page open": (lambda ask: ask.page("OPEN", "", None, 10), "COVERING INDEX handoffs_counts"),
    "page alive": (lambda ask: ask.page("OPEN", "", None, 10, OLD + OVER + 15), "COVERING INDEX handoffs_counts"),
    "page alive of one": (lambda ask: ask.page("", MINE, None, 10, 1.0), "COVERING INDEX handoffs_counts"),
    "page accepted of one": (lambda ask: ask.page("ACCEPTED", MINE, None, 10), "COVERING INDEX handoffs_counts"),
    "events": (lambda ask: ask.events(3), "handoff_events_handoff"),
}


def _fill(db: sqlite3.Connection) -> None:
    """Most of mine are the oldest, so that they lie behind everything of theirs."""
    db.executemany("INSERT INTO accounts (open_kfid) VALUES (?)", [(MINE,), (THEIRS,)])
    db.executemany(
        """INSERT INTO handoffs (id, tenant_id, open_kfid, external_userid, status, requested_at, active_at)
            VALUES (?1, 'ww', ?2, ?3, ?4, ?1, ?1)""",
        map(_handoff, range(1, OLD + OVER + OPEN + 1)),
    )
    db.execute(
        """INSERT INTO sessions (open_kfid, external_userid, state_at, chat_mode, ended_at, last_customer_at,
            last_servicer_at, version) SELECT open_kfid, external_userid, 0, 'AI', 0, 0, 0, 1 FROM handoffs"""
    )


def _handoff(number: int) -> tuple[int, str, str, str]:
    is_open = number > OLD + OVER
    account = MINE if number <= OLD or (is_open and number % 10 == 0) else THEIRS
    return number, account, f"wm{number:08}", "ACCEPTED" if is_open else "COMPLETED"


async def _steps(database: Database, ask: Awaitable[object]) -> int:
    """Instructions of SQLite's machine that the answer took, to the nearest ten."""
    taken = itertools.count()
    await database.read(lambda db: db.set_progress_handler(lambda: next(taken) < 0, 10))
    await ask
    await database.read(lambda db: db.set_progress_handler(None, 10))
    return next(taken) * 10


async def test_no_question_reads_all_that_ever_was(database: Database) -> None:
    await database.write(_fill)
    costs = {
        (name, seen): await _steps(database, ask(Questions(database, scope)))
        for name, (ask, _) in QUESTIONS.items()
        for seen, scope in SCOPES.items()
    }
    assert {asked: steps for asked, steps in costs.items() if steps > MOST} == {}
    counted = await _steps(database, database.read(lambda db: db.execute("SELECT sum(id) FROM handoffs").fetchone()))
    assert counted > 10 * MOST


@pytest.mark.parametrize(("ask", "index"), QUESTIONS.values(), ids=QUESTIONS)
async def test_each_question_has_its_index(database: Database, ask: Ask, index: str) -> None:
    asked: list[str] = []
    await database.read(lambda db: db.set_trace_callback(asked.append))
    await ask(Questions(database))
    await database.read(lambda db: db.set_trace_callback(None))
    [sql] = asked
    plan = await database.read(lambda db: db.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall())
    assert any(index in row[3] for row in plan), plan


# -- tenants

TENANT, OTHER = "wwOURS", "wwOTHERS"  # the others had this file before, and have it again
OURS = QUESTIONS | {
    "history": (QUESTIONS["history"][0], "handoffs_tenant "),
    "page": (QUESTIONS["page"][0], "handoffs_tenant "),
    "page before": (QUESTIONS["page before"][0], "handoffs_tenant "),
    "page of one": (QUESTIONS["page of one"][0], "handoffs_tenant_account"),
    "page cancelled of one": (QUESTIONS["page cancelled of one"][0], "handoffs_tenant_account"),  # theirs: none is ours
}


def _fill_for_two(db: sqlite3.Connection) -> None:
    """What is mine, of the account's oldest, is ours; all else the others'."""
    _fill(db)
    db.execute("UPDATE handoffs SET tenant_id = iif(open_kfid = ?, ?, ?)", (MINE, TENANT, OTHER))


async def _answers(database: Database, ask: Ask, tenant_id: str = TENANT, scope: Scope = EVERYTHING) -> list[Handoff]:
    found = await ask(Questions(database, scope, tenant_id))
    return [each for each in found if isinstance(each, Handoff)] if isinstance(found, list) else []


@pytest.mark.parametrize("seen", SCOPES)
async def test_nobody_is_told_of_another_tenants_handoffs(database: Database, seen: str) -> None:
    await database.write(_fill_for_two)
    for name, (ask, _) in QUESTIONS.items():
        for tenant_id in (TENANT, OTHER):
            tenants = {each.tenant_id for each in await _answers(database, ask, tenant_id, SCOPES[seen])}
            assert tenants <= {tenant_id}, name


async def test_one_by_number_or_customer_is_none_for_another_tenant(database: Database) -> None:
    await database.write(_fill_for_two)
    last = OLD + OVER + OPEN
    key = SessionKey(MINE, f"wm{last:08}")
    for tenant_id, known in ((TENANT, True), (OTHER, False), ("", True)):
        ask = Questions(database, EVERYTHING, tenant_id)
        found = [await ask.handoff(last), await ask.open_handoff(key), next(iter(await ask.history(key)), None)]
        assert [each is not None for each in found] == [known] * 3, tenant_id


@pytest.mark.parametrize("limit", [7, 10])
@pytest.mark.parametrize("kind", ["", "COMPLETED", "OPEN"])
async def test_every_page_but_the_last_is_full_however_many_others_lie_in_between(
    database: Database, kind: str, limit: int
) -> None:
    await database.write(_fill_for_two)
    ask, before, pages = Questions(database, EVERYTHING, TENANT), None, list[list[int]]()
    while not pages or len(pages[-1]) == limit:
        pages.append([each.id for each in await ask.page(kind, "", before, limit)])
        before = pages[-1][-1] if pages[-1] else before
    expected = {"": OLD + OPEN // 10, "COMPLETED": OLD, "OPEN": OPEN // 10}[kind]
    assert [len(each) for each in pages] == [*[limit] * (expected // limit), expected % limit]
    told = [number for page in pages for number in page]
    assert told == sorted(set(told), reverse=True)


async def test_counts_are_of_one_tenant(database: Database) -> None:
    await database.write(_fill_for_two)
    for tenant_id, mine, theirs in ((TENANT, 2, 0), (OTHER, 0, OPEN - 2), ("", 2, OPEN - 2)):
        ask = Questions(database, EVERYTHING, tenant_id)
        assert await ask.count_open() == mine + theirs
        assert [(each.open_kfid, each.human) for each in await ask.counts()] == [(MINE, mine), (THEIRS, theirs)]


async def test_events_of_another_tenants_handoff_are_none(database: Database) -> None:
    def fill(db: sqlite3.Connection) -> None:
        _fill_for_two(db)
        db.execute("INSERT INTO handoff_events VALUES (1, 3, 'REQUESTED', 'SYSTEM', '', 1.0, '{}')")

    await database.write(fill)
    counts = {whose: len(await Questions(database, EVERYTHING, whose).events(3)) for whose in (TENANT, OTHER, "")}
    assert counts == {TENANT: 1, OTHER: 0, "": 1}


async def test_no_question_reads_what_ever_was_another_tenants(database: Database) -> None:
    await database.write(_fill_for_two)
    costs = {
        (name, seen): await _steps(database, ask(Questions(database, scope, TENANT)))
        for name, (ask, _) in QUESTIONS.items()
        for seen, scope in SCOPES.items()
    }
    assert {asked: steps for asked, steps in costs.items() if steps > MOST} == {}
    named = Scope(frozenset({THEIRS}), others=False)
    assert await _steps(database, Questions(database, named, TENANT).page("COMPLETED", "", None, 10)) <= MOST


@pytest.mark.parametrize(("ask", "index"), OURS.values(), ids=OURS)
async def test_each_question_of_a_tenant_has_its_index(database: Database, ask: Ask, index: str) -> None:
    await database.write(_fill_for_two)
    asked: list[str] = []
    await database.read(lambda db: db.set_trace_callback(asked.append))
    await ask(Questions(database, EVERYTHING, TENANT))
    await database.read(lambda db: db.set_trace_callback(None))
    plan = [row for sql in asked for row in await database.read(partial(_plan, sql=sql))]
    assert any(index in f"{row} " for row in plan), plan


def _plan(db: sqlite3.Connection, sql: str) -> list[str]:
    return [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}")]


# -- pages


async def test_pages_of_ended_ones_are_merged_from_the_accounts(database: Database) -> None:
    """And cost no look at what ended otherwise, however long ago the last one did."""
    await database.write(_fill)
    for seen, scope in SCOPES.items():
        ask = Questions(database, scope)
        for kind in ("COMPLETED", "CANCELLED", "PENDING", ""):
            steps = await _steps(database, ask.page(kind, "", None, 10))
            assert steps <= MOST, (kind, seen)
    newest = await Questions(database).page("COMPLETED", "", None, 3)
    assert [each.id for each in newest] == [OLD + OVER, OLD + OVER - 1, OLD + OVER - 2]
    older = await Questions(database).page("COMPLETED", "", OLD + 2, 3)
    assert [each.id for each in older] == [OLD + 1, OLD, OLD - 1], "the newer one is theirs, the others mine"
    assert [each.id for each in await Questions(database, SCOPES["mine"]).page("COMPLETED", "", None, 2)] == [
        OLD,
        OLD - 1,
    ]
    assert await Questions(database, SCOPES["mine"]).page("", THEIRS, None, 2) == []


# Of a handoff that began at 100: (status, accepted, last message) and its last sign of life.
SIGNS = {
    "began": (("PENDING", None, 0), 100),
    "began with news of old": (("PENDING", None, 90), 100),
    "accepted": (("ACCEPTED", 150, 100), 150),
    "spoke before it was accepted": (("ACCEPTED", 150, 120), 150),
    "spoke": (("IN_PROGRESS", 110, 170), 170),
}


@pytest.mark.parametrize(("lived", "last"), SIGNS.values(), ids=SIGNS)
async def test_a_page_of_those_that_have_shown_a_sign_of_life(
    database: Database, lived: tuple[object, ...], last: float
) -> None:
    await database.write(partial(_alive, lived=lived))
    ask = Questions(database)
    for since, seen in ((0.0, [1]), (last, [1]), (last + 0.5, [])):
        for kind in ("", "OPEN", str(lived[0])):
            assert [each.id for each in await ask.page(kind, "", None, 10, since)] == seen, (kind, since)
        assert await ask.page("COMPLETED", "", None, 10, since) == [], "what has ended shows none"
    assert [each.id for each in await ask.page("", "", None, 10)] == [2, 1]
    assert await ask.page("OPEN", THEIRS, None, 10, last) == []
    assert await Questions(database, SCOPES["all but mine"]).page("OPEN", "", None, 10, last) == []
    assert await ask.page("OPEN", "", 1, 10, last) == []


def _alive(db: sqlite3.Connection, lived: tuple[object, ...]) -> None:
    """And one that has ended after it, this very moment."""
    insert = """INSERT INTO handoffs (tenant_id, open_kfid, external_userid, requested_at, status, accepted_at,
        active_at, completed_at) VALUES ('ww', ?, 'wm1', 100, ?, ?, ?, ?)"""
    db.execute(insert, (MINE, *lived, None))
    db.execute(insert, (MINE, "COMPLETED", 200, 200, 200))
