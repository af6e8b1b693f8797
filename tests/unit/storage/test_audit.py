"""The audit log on disk: nothing but additions at its end, until the retention lets the oldest go."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bot.audit import PRUNE, Door, Entry, Place, Row
from bot.errors import StorageError
from bot.model import HandoffStatus, Operator, OperatorType, SessionKey, Via
from bot.sessions import SYSTEM, Session, open_handoff
from storage import audit
from storage.audit import DAY, AuditLog, append, digest
from storage.database import Database
from storage.ledger import Ledger
from storage.retention import Retention
from tests.fakes import ANN, BOB, KF, TENANT

NOW = 1_800_000_000.0
KEEP = 90 * DAY
LI, ANN_HERSELF = Operator(OperatorType.AGENT, "LiNa"), Operator(OperatorType.USER, ANN)


@pytest.fixture
def log(database: Database) -> AuditLog:
    return AuditLog(database)


def entry(verb: str = "end", at: float = NOW, who: Operator = LI, **more: Any) -> Entry:
    return Entry(at, Door.GROUP, who, verb, "allowed", **more)


async def enter(log: AuditLog, *verbs: str, at: float = NOW) -> None:
    for verb in verbs:
        await log.enter(entry(verb, at))


async def rows(log: AuditLog, since: float | None = None, until: float | None = None) -> list[Row]:
    return [row async for page in log.rows(since, until) for row in page]


def tampered(path: Path, *statements: str) -> None:
    """By somebody with the file and a SQLite of their own."""
    sql = "SELECT name FROM sqlite_master WHERE type='trigger' AND tbl_name='audit'"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for (name,) in db.execute(sql).fetchall():
            db.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            db.execute(statement)


# -- added, and nothing else


async def test_rows_are_numbered_and_come_in_order(log: AuditLog) -> None:
    assert await log.head() == Place()
    assert [await log.enter(entry(verb)) for verb in ("end", "ack")] == [1, 2]
    assert [row[5] for row in await rows(log)] == ["end", "ack"]
    found = await log.verify()
    assert (found.count, found.misfit, found.head, found.first_at) == (2, None, await log.head(), NOW)


async def test_an_empty_log_fits(log: AuditLog) -> None:
    found = await log.verify()
    assert (found.count, found.first_at, found.misfit, found.head) == (0, None, None, Place())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET outcome='refused' WHERE id=1",
        "UPDATE audit SET id=9 WHERE id=2",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE id=2",
        "REPLACE INTO audit SELECT id, at, door, operator_type, 'Boss', verb, handoff, chat_id, open_kfid, outcome,"
        " detail, hash FROM audit WHERE id=1",
        "INSERT INTO audit SELECT 7, at, door, operator_type, operator_id, verb, handoff, chat_id, open_kfid, outcome,"
        " detail, hash FROM audit WHERE id=1",
        "INSERT INTO audit SELECT * FROM audit WHERE id=1 ON CONFLICT (id) DO UPDATE SET outcome='refused'",
    ],
)
async def test_no_code_can_change_or_remove_a_row(log: AuditLog, database: Database, statement: str) -> None:
    await enter(log, "end", "ack")
    before = await rows(log)
    with pytest.raises(StorageError, match=r"append-only|whole retention"):
        await database.write(lambda db: db.execute(statement))
    assert await rows(log) == before


async def test_a_row_shares_the_fate_of_its_transaction(log: AuditLog, database: Database) -> None:
    def work(db: sqlite3.Connection) -> None:
        append(db, entry())
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await database.write(work)
    assert await rows(log) == []


async def test_two_processes_make_one_chain(log: AuditLog, database: Database) -> None:
    beside = Database(database.path)
    other = AuditLog(beside)
    for verb in ("a", "b", "c"):
        await enter(log, verb)
        await enter(other, verb.upper())
    await beside.close()
    assert "".join(row[5] for row in await rows(log)) == "aAbBcC"
    assert (await log.verify()).misfit is None


async def test_rows_of_a_time(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "PAGE", 2)
    for number in range(5):
        await enter(log, str(number), at=NOW + number)
    assert [row[5] for row in await rows(log, NOW + 1, NOW + 4)] == ["1", "2", "3"]
    assert len(await rows(log)) == 5


# -- customers


async def test_a_customer_has_one_digest_and_no_id(log: AuditLog, database: Database) -> None:
    for who in (ANN_HERSELF, ANN_HERSELF, Operator(OperatorType.USER, BOB)):
        await log.enter(entry(who=who))
    first, second, other = (row[4] for row in await rows(log))
    assert first == second != other and ANN not in database.path.read_bytes().decode("latin-1")
    assert first == await database.read(lambda db: digest(db, ANN))


async def test_another_database_has_another_digest(log: AuditLog, database: Database, tmp_path: Path) -> None:
    beside = Database(tmp_path / "other.db")
    digests = [await each.write(lambda db: digest(db, ANN)) for each in (database, beside)]
    await beside.close()
    assert len(set(digests)) == 2


async def test_a_key_that_was_not_kept_is_not_used(log: AuditLog, database: Database) -> None:
    def work(db: sqlite3.Connection) -> None:
        append(db, entry(who=ANN_HERSELF))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await database.write(work)
    await log.enter(entry(who=ANN_HERSELF))
    assert (await rows(log))[0][4] == await database.read(lambda db: digest(db, ANN))


# -- tampered with


@pytest.mark.parametrize(
    ("statement", "number", "missing"),
    [
        ("UPDATE audit SET operator_id='Boss' WHERE id=2", 2, False),
        ("UPDATE audit SET at=at+1 WHERE id=3", 3, False),
        ("UPDATE audit SET hash=zeroblob(32) WHERE id=1", 1, False),
        ("UPDATE audit SET verb=CAST(x'ff41' AS TEXT) WHERE id=4", 4, False),
        ("UPDATE audit SET detail='no json' WHERE id=4", 4, False),
        ("DELETE FROM audit WHERE id=2", 2, True),
        ("DELETE FROM audit WHERE id<3", 1, True),
    ],
)
async def test_the_first_row_that_does_not_fit_is_named(
    log: AuditLog, database: Database, monkeypatch: pytest.MonkeyPatch, statement: str, number: int, missing: bool
) -> None:
    monkeypatch.setattr(audit, "PAGE", 2)
    await enter(log, "a", "b", "c", "d", "e")
    tampered(database.path, statement)
    found = await log.verify()
    assert found.misfit is not None
    assert (found.misfit.number, found.misfit.missing, found.count) == (number, missing, number - 1)


async def test_rows_that_changed_places_do_not_fit(log: AuditLog, database: Database) -> None:
    await enter(log, "a", "b", "c")
    moves = [f"UPDATE audit SET id={new} WHERE id={old}" for old, new in ((2, 99), (3, 2), (99, 3))]
    tampered(database.path, *moves)
    found = await log.verify()
    assert found.misfit is not None and found.misfit.number == 2


async def test_a_cut_tail_shows_against_a_head_that_was_noted(log: AuditLog, database: Database) -> None:
    await enter(log, "a", "b", "c")
    noted = await log.head()
    tampered(database.path, "DELETE FROM audit WHERE id=3")
    found = await log.verify(noted)
    assert (found.misfit, found.known) == (None, False)
    await enter(log, "forged")
    assert (await log.verify(noted)).known is False
    assert (await log.verify()).known is None


async def test_a_noted_head_is_known_as_long_as_it_is_there(log: AuditLog) -> None:
    await enter(log, "a", "b")
    noted = await log.head()
    await enter(log, "c")
    assert (await log.verify(noted)).known is True
    assert (await log.verify(Place(1, noted.hash))).known is False


# -- retention


async def aged(log: AuditLog) -> Place:
    """Two rows that are too old by a day and more, one by an hour, one of today. The last of those that may go."""
    await enter(log, "a", "b", at=NOW - KEEP - DAY - 1)
    await enter(log, "c", at=NOW - KEEP - 3600)
    last = await log.head()
    await enter(log, "d", at=NOW - 3600)
    return last


async def test_what_is_older_than_the_retention_goes_and_the_rest_still_fits(log: AuditLog) -> None:
    last = await aged(log)
    assert await log.prune(NOW, KEEP) == 3
    kept, cut = await rows(log)
    assert (kept[5], cut[5], cut[2]) == ("d", PRUNE, "policy")
    found = await log.verify()
    assert (found.misfit, found.count, found.after) == (None, 2, last)
    assert (await log.verify(last)).known is True and (await log.verify(Place(2, last.hash))).known is None


async def test_the_retention_does_it(log: AuditLog, database: Database) -> None:
    await aged(log)
    assert (await Retention(database, KEEP).prune(NOW))["audit"] == 3
    assert await Retention(database, KEEP).prune(NOW) == {}


async def test_an_intention_and_its_row_are_one_transaction(
    log: AuditLog, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An end by a policy or over the API is entered, or not intended at all."""
    ledger, key = Ledger(database, TENANT), SessionKey(KF, ANN)

    def begin(session: Session) -> None:
        open_handoff(session, HandoffStatus.ACCEPTED, "LiNa", NOW, Via.EVENT)

    async def intend() -> None:
        await ledger.open_ending(key, lambda session: True, SYSTEM, Via.POLICY, "", NOW, 15.0, None)

    def broken(*_: object) -> int:
        raise StorageError("disk full")

    await ledger.change(key, begin, NOW)
    with monkeypatch.context() as patch:
        patch.setattr("storage.ledger.append", broken)
        with pytest.raises(StorageError):
            await intend()
    assert (await ledger.session(key)).ending is None and await rows(log) == []
    await intend()
    assert (await ledger.session(key)).ending is not None
    assert [row[2:7] for row in await rows(log)] == [("policy", "SYSTEM", "kfbot", "end", 1)]


async def test_it_is_done_by_the_day(log: AuditLog) -> None:
    await enter(log, "a", at=NOW - KEEP - DAY + 1)
    assert await log.prune(NOW, KEEP) == 0 and len(await rows(log)) == 1
    assert await log.prune(NOW + 2, KEEP) == 1
    assert await log.prune(NOW + 2, KEEP) == 0 and [row[5] for row in await rows(log)] == [PRUNE]


async def test_the_chain_goes_on_though_all_of_it_was_pruned_again_and_again(log: AuditLog) -> None:
    for year in range(3):
        now = NOW + year * 365 * DAY
        await enter(log, "a", "b", at=now)
        await log.prune(now + KEEP + 2 * DAY, KEEP)
        assert (await log.verify()).misfit is None
    assert [row[0] for row in await rows(log)] == [9]


async def test_pruning_that_was_interrupted_still_fits_and_is_finished(
    log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "DELETED", 1)
    monkeypatch.setattr(audit, "ROUNDS", 1)
    await aged(log)
    assert await log.prune(NOW, KEEP) == 1
    found = await log.verify()
    assert (found.misfit, found.count, len(await rows(log))) == (None, 2, 4)
    assert [await log.prune(NOW, KEEP) for _ in range(3)] == [1, 1, 0]


async def test_nothing_inside_the_retention_can_be_let_go(log: AuditLog, database: Database) -> None:
    await enter(log, "a", at=NOW - KEEP + 1)
    head = await log.head()
    for number, keep in ((1, KEEP), (9, 0.0)):
        detail = {"through": number, "hash": head.hash.hex(), "keep": keep}
        with pytest.raises(StorageError, match="whole retention"):
            await log.enter(entry(PRUNE, detail=detail))
    with pytest.raises(StorageError, match="whole retention"):
        await log.enter(entry(PRUNE))
    assert len(await rows(log)) == 1


async def test_pruned_rows_cannot_be_more_than_was_said(log: AuditLog, database: Database) -> None:
    await aged(log)
    await log.prune(NOW, KEEP)
    with pytest.raises(StorageError, match="whole retention"):
        await database.write(lambda db: db.execute("DELETE FROM audit"))
    assert len(await rows(log)) == 2


@pytest.mark.parametrize(
    "change",
    [
        "detail=json_set(detail, '$.through', 4)",
        "detail=json_set(detail, '$.through', 99)",
        "detail=json_set(detail, '$.hash', '00')",
        "detail='{}'",
        "detail='no json'",
    ],
)
async def test_a_forged_beginning_is_found(log: AuditLog, database: Database, change: str) -> None:
    await aged(log)
    await log.prune(NOW, KEEP)
    tampered(database.path, f"UPDATE audit SET {change} WHERE verb='{PRUNE}'")
    assert (await log.verify()).misfit is not None
