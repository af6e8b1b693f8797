"""What a question costs: it may grow with what is open, never with what is over, whoever asks."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from bot.model import EVERYTHING, NOTHING, Rule, Scope, SessionKey
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
