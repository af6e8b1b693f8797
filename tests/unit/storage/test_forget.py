"""A customer who is forgotten is nowhere any more, in no row and in no byte; all the others, and all numbers, stay."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bot import stats
from bot.audit import Door, Entry
from bot.model import (
    EVERYTHING,
    EventType,
    GroupMessage,
    Handoff,
    HandoffStatus,
    KfAccount,
    KfItem,
    Operator,
    OperatorType,
    SessionKey,
    SyncPage,
    Via,
)
from bot.sessions import RatingDraft, Session, customer_wrote, finish, follow, open_handoff, servicer_wrote
from storage import forget as module
from storage.audit import AuditLog, digest
from storage.chats import Chats
from storage.database import Database
from storage.forget import Forget, copies_with, pseudonym, stands_in
from storage.ledger import Ledger
from storage.lock import Lock
from storage.outbox import Outbox
from storage.people import People
from storage.stats import Stats
from storage.sync_store import SyncStore
from tests.fakes import ANN, BOB, KF, KF2, LI, TENANT

NOW = 1_700_000_000.0
NAME = "forgotten-0123456789ab"
STRANGER = "wm7lStranger00000000000000000003"
LONGER = f"{ANN}9"  # begins as ANN's does
AGENT = Operator(OperatorType.AGENT, LI)
WORDS = ("小林同学的订单", "退款给小林", "手机号138", "还有人吗请回复")  # of and about ANN, by everybody


class Bot:
    """What a bot has put on record in a day, with `keep_text: all`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.ledger = Ledger(database, TENANT, "all")
        self.store, self.people = SyncStore(database, TENANT, "all"), People(database)
        self.chats, self.outbox, self.audit = Chats(database), Outbox(database), AuditLog(database)

    async def says(self, customer: str, text: str, msgid: str, kf: str = KF, at: float = NOW) -> None:
        raw = {"msgid": msgid, "external_userid": customer, "text": {"content": text}}
        item = KfItem(msgid, kf, customer, int(at), 3, "text", text=text, raw=raw)

        def decide(loaded: dict[str, Session], items: list[KfItem]) -> None:
            for each in items:
                follow(loaded[each.external_userid], each, at, keep_text=True)

        await self.store.commit(kf, SyncPage([item], "C", False, []), decide, at)

    async def serves(self, customer: str, kf: str = KF, reason: str = "", *, ends: bool = True) -> Handoff:
        """A stretch of human service that the customer has rated, in every table that knows of such things."""
        key = SessionKey(kf, customer)
        await self.ledger.change(key, _begin, NOW)
        await self.says(customer, WORDS[3] if customer == ANN else "在吗", f"m-{customer[2:6]}-{kf[-1]}", kf)
        handoff = await self.ledger.change(key, _last_words, NOW)
        if ends:
            await self.ledger.open_ending(key, lambda session: True, AGENT, Via.COMMAND, reason, NOW, 15.0, None)

            def end(session: Session) -> Handoff:
                return finish(session, Operator(OperatorType.USER, customer), Via.CHAT, NOW, reason)

            await self.ledger.settle_ending(key, handoff.id, "done", "ended", 0, NOW, end)
            await self.ledger.change(
                key, lambda session: session.ratings.append(RatingDraft(handoff.id, "good", NOW)), NOW
            )
        return handoff

    async def hears(self, text: str, msgid: str, at: float = NOW - 1) -> None:
        name = text.split()[0].removeprefix("/")
        claimed = await self.chats.claim(GroupMessage("aibot", msgid, "wrG", True, LI, text), name, text, at)
        assert claimed is not None
        await self.chats.settle(claimed, "ok", 0.1)


def _begin(session: Session) -> None:
    customer_wrote(session, NOW - 20, "", NOW)
    open_handoff(session, HandoffStatus.ACCEPTED, LI, NOW - 10, Via.EVENT)
    servicer_wrote(session, NOW - 5, LI, NOW)


def _last_words(session: Session) -> Handoff:
    customer_wrote(session, NOW, WORDS[0] if session.external_userid == ANN else "你好", NOW)
    assert session.handoff is not None
    return session.handoff


@pytest.fixture
async def bot(database: Database) -> Bot:
    """ANN with two accounts, BOB beside her; staff have written of both."""
    bot = Bot(database)
    await bot.outbox.open({"one": ("one.example", list(EventType))}, NOW)
    await bot.people.save_nicknames({ANN: "小林同学", BOB: "Bob"}, NOW)
    await bot.serves(ANN, reason=WORDS[1])
    await bot.serves(BOB, reason="已解决")
    await bot.serves(ANN, KF2)
    await bot.hears(f"/end {ANN} {WORDS[1]}", "c1")
    await bot.hears(f"/end wm7l {WORDS[2]}", "c2")
    await bot.hears(f"/end 1 {WORDS[2]}", "c3")
    await bot.hears(f"/end {WORDS[2]}", "c4")  # quoted her alert
    await bot.hears(f"/end {BOB} 已解决", "c5", NOW - 900)
    await bot.hears("/help", "c6", NOW - 900)
    await bot.store.commit(
        KF, SyncPage([], "C2", False, [({"msgid": "p1", "odd": [ANN, WORDS[0]]}, "no type")]), _nothing, NOW
    )
    await bot.store.know_accounts([KfAccount(KF, "售前咨询")])
    await bot.store.fail(KF, f"95000 for {ANN}")
    await bot.audit.enter(Entry(NOW, Door.CHAT, Operator(OperatorType.USER, ANN), "end", "allowed", 1))
    await bot.outbox.collect(NOW)
    return bot


def _nothing(loaded: dict[str, Session], items: list[KfItem]) -> None:
    """No session is changed."""


@pytest.fixture
def forget(database: Database) -> Forget:
    return Forget(database, TENANT, ANN)


async def everything(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    def work(db: sqlite3.Connection) -> dict[str, list[tuple[Any, ...]]]:
        tables = db.execute("SELECT name FROM sqlite_schema WHERE type='table' AND name NOT LIKE 'sqlite_%'").fetchall()
        return {table: db.execute(f"SELECT * FROM {table}").fetchall() for (table,) in tables}

    return await database.read(work)


async def said(database: Database) -> str:
    return repr(await everything(database))


# -- the record


async def test_nothing_of_the_customer_is_on_record_any_more(bot: Bot, forget: Forget) -> None:
    before = await said(bot.database)
    assert all(words in before for words in (ANN, "小林同学", *WORDS))
    await forget.erase(NAME, NOW)
    after = await said(bot.database)
    for words in (ANN, "小林", "wm7l", *WORDS[:3]):
        assert words not in after, words
    assert (await forget.find()).rows == {}


async def test_what_there_is_is_told_first(bot: Bot, forget: Forget) -> None:
    found = await forget.find()
    assert (found.nickname, found.open) == ("小林同学", ())
    assert found.rows == {
        "accounts": 1, "commands": 4, "customers": 1, "endings": 2, "handoffs": 2, "handoff_events": 4, "items": 3,
        "sessions": 2,
    }  # fmt: skip


async def test_not_even_who_knows_the_id_finds_it_in_the_audit_log(bot: Bot, forget: Forget) -> None:
    """What digests are made with lies in the same file."""
    log = AuditLog(bot.database)
    await log.enter(Entry(NOW, Door.CHAT, Operator(OperatorType.USER, ANN), "end", "allowed"))

    async def stands(customer: str) -> bool:
        known = await bot.database.write(lambda db: digest(db, customer))
        return known in str([row async for page in log.rows() for row in page])

    assert await stands(ANN)
    await forget.erase(NAME, NOW)
    assert not await stands(ANN)
    assert (await log.verify()).misfit is None


async def test_of_all_others_everything_stays(bot: Bot, forget: Forget) -> None:
    await bot.says(LONGER, f"我不是 {ANN}", "mLonger")
    before = await everything(bot.database)
    await forget.erase(NAME, NOW)
    after = await everything(bot.database)
    for table, rows in before.items():
        assert len(after[table]) == len(rows) - (table == "customers") + (table == "meta"), table  # that it was done
        others = [row for row in rows if BOB in row or LONGER in row]
        as_before = [row for row in after[table] if BOB in row or LONGER in row]
        assert repr(as_before) == repr(others).replace(f"不是 {ANN}", f"不是 {NAME}"), table
    texts = [row[7] for row in after["commands"]]
    assert texts == [f"/end {NAME}"] * 4 + [f"/end {BOB} 已解决", "/help"]


async def test_numbers_and_histories_are_as_before(bot: Bot, forget: Forget) -> None:
    numbers = Stats(bot.database)

    async def counted() -> tuple[object, ...]:
        ended = await numbers.ended(EVERYTHING, 0, NOW + 9, stats.add_up)
        return ended.handled, ended.ways, ended.length, await numbers.ratings(EVERYTHING, 0, NOW + 9)

    def shape(handoffs: list[Handoff]) -> list[tuple[object, ...]]:
        return [(each.id, each.status, each.open_kfid, each.requested_at, each.completed_at) for each in handoffs]

    before, events = await counted(), [await bot.ledger.events(number) for number in (1, 2, 3)]
    history = [*await bot.ledger.history(SessionKey(KF, ANN)), *await bot.ledger.history(SessionKey(KF2, ANN))]
    await forget.erase(NAME, NOW)
    nameless = [*await bot.ledger.history(SessionKey(KF, NAME)), *await bot.ledger.history(SessionKey(KF2, NAME))]
    assert await counted() == before
    assert shape(nameless) == shape(history)
    assert [[(each.id, each.type, each.at) for each in await bot.ledger.events(number)] for number in (1, 2, 3)] == [
        [(each.id, each.type, each.at) for each in of] for of in events
    ]
    ending = (await bot.ledger.events(1))[-2]
    assert ending.operator in (Operator(OperatorType.USER, NAME), Operator(OperatorType.SYSTEM, "kfbot"))


async def test_the_audit_log_has_never_had_the_id_and_still_fits(bot: Bot, forget: Forget) -> None:
    before = (await everything(bot.database))["audit"]
    await forget.erase(NAME, NOW)
    assert (await everything(bot.database))["audit"] == before
    assert ANN not in repr(before)
    assert (await bot.audit.verify()).misfit is None


async def test_events_on_their_way_to_a_webhook_arrive_nameless(bot: Bot, forget: Forget) -> None:
    await forget.erase(NAME, NOW)
    delivery = await bot.outbox.take("one", NOW, 60.0)
    assert delivery is not None
    assert (delivery.handoff.id, delivery.handoff.external_userid) == (1, NAME)


async def test_nobody_asks_wecom_for_the_pseudonym(bot: Bot, forget: Forget) -> None:
    await bot.ledger.change(SessionKey(KF, ANN), lambda session: setattr(session, "check_at", NOW - 9), NOW)
    await forget.erase(NAME, NOW)
    later = NOW + 90 * 86400
    assert await bot.ledger.check_quiet(later, later, 100) == 0
    await bot.ledger.check_unserved(later, 0.0, later, 100)
    assert NAME not in {key.external_userid for key in await bot.ledger.due_checks(later, 100)}


async def test_what_is_written_while_the_customer_is_looked_for_is_found_as_well(
    bot: Bot, forget: Forget, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, replace = iter([True]), Forget._replace

    def with_news(self: Forget, db: sqlite3.Connection, **rest: Any) -> Any:
        if next(late, False):
            db.execute(
                "INSERT INTO items VALUES (?, 'late', ?, 1, 3, 'text', '', '', 'done', ?, NULL)", (KF, ANN, WORDS[0])
            )
        return replace(self, db, **rest)

    monkeypatch.setattr(Forget, "_replace", with_news)
    await forget.erase(NAME, NOW)
    assert (await forget.find()).rows == {}


async def test_a_table_of_tomorrow_is_not_forgotten(bot: Bot, forget: Forget) -> None:
    def tomorrow(db: sqlite3.Connection) -> None:
        db.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, who TEXT, note TEXT)")
        db.execute("CREATE TABLE tags (word TEXT)")
        db.execute("INSERT INTO notes VALUES (7, ?, ?)", (ANN, f"see {ANN}, not {LONGER}"))
        db.execute("INSERT INTO tags VALUES (?)", (ANN,))

    await bot.database.write(tomorrow)
    await forget.erase(NAME, NOW)
    rows = await everything(bot.database)
    assert rows["notes"] == [(7, NAME, f"see {NAME}, not {LONGER}")]
    assert rows["tags"] == [(NAME,)]


async def test_who_writes_again_is_simply_new(bot: Bot, forget: Forget) -> None:
    await forget.erase(NAME, NOW)
    await bot.says(ANN, "又来了", f"m-{ANN[2:6]}-{KF[-1]}", at=NOW + 50)  # WeCom repeats what is on record
    assert (await bot.ledger.session(SessionKey(KF, ANN))).last_customer_at == 0
    await bot.says(ANN, "又来了", "m-new", at=NOW + 60)
    session = await bot.ledger.session(SessionKey(KF, ANN))
    assert (session.last_customer_at, session.last_handoff_id, session.ended_at) == (NOW + 60, None, 0.0)
    assert await bot.ledger.history(SessionKey(KF, ANN)) == []


# -- an open session


async def test_what_is_open_is_told(bot: Bot, forget: Forget) -> None:
    handoff = await bot.serves(ANN, ends=False)
    assert (await forget.find()).open == (handoff.id,)


async def test_what_is_open_is_put_down_as_ended(bot: Bot, forget: Forget) -> None:
    handoff = await bot.serves(ANN, ends=False)
    await bot.ledger.open_ending(
        SessionKey(KF, ANN), lambda session: True, AGENT, Via.COMMAND, WORDS[1], NOW, 15.0, None
    )
    await forget.erase(NAME, NOW + 5)
    ended = await bot.ledger.handoff(handoff.id)
    assert ended is not None
    assert (ended.status, ended.completed_at, ended.ended_by) == (
        HandoffStatus.COMPLETED, NOW + 5, OperatorType.SYSTEM
    )  # fmt: skip
    assert (ended.external_userid, ended.last_text, ended.reason) == (NAME, None, None)
    assert await bot.ledger.due_endings(NOW + 900) == []
    assert await bot.ledger.open_handoffs() == []
    after = await said(bot.database)
    assert [words for words in WORDS[:3] if words in after] == []


# -- the bytes


def files(database: Database) -> list[Path]:
    return sorted(database.path.parent.glob("kfbot.db*"))


async def test_no_byte_is_left_beside_a_running_bot(bot: Bot, forget: Forget) -> None:
    with Lock(bot.database.path):
        assert any(stands_in(each, ANN) for each in files(bot.database))
        await forget.erase(NAME, NOW)
        wiped = await forget.wipe()
        assert (wiped.left, wiped.running, wiped.room) == ((), False, True)
        for words in ("小林", *WORDS[:3]):
            assert not any(stands_in(each, words) for each in files(bot.database)), words
        await bot.says(BOB, "我还在", "m-after", at=NOW + 9)  # the bot has noticed nothing


async def test_nor_with_the_bot_stopped(bot: Bot, forget: Forget) -> None:
    await forget.erase(NAME, NOW)
    assert (await forget.wipe()).left == ()
    with Lock(bot.database.path):
        pass  # it has let go


async def test_a_large_file_is_not_written_anew_beside_a_running_bot(
    bot: Bot, forget: Forget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SMALL", 0)
    said: list[str] = []

    def write_anew(db: sqlite3.Connection, path: Path) -> bool:
        said.append("anew")
        return True

    monkeypatch.setattr(module, "_write_anew", write_anew)
    with Lock(bot.database.path):
        assert (await forget.wipe()).running
    assert said == []
    assert not (await forget.wipe()).running
    assert said == ["anew"]


async def test_nor_without_room(bot: Bot, forget: Forget, monkeypatch: pytest.MonkeyPatch) -> None:
    await forget.erase(NAME, NOW)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    wiped = await forget.wipe()
    assert (wiped.running, wiped.room) == (False, False)


async def test_of_pieces_that_an_earlier_run_has_left_the_next_one_knows(
    bot: Bot, forget: Forget, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not await Forget(bot.database, TENANT, STRANGER).leaves_pieces()
    await forget.erase(NAME, NOW)
    assert await forget.leaves_pieces()  # in the write-ahead log
    await forget.wipe()
    assert not await forget.leaves_pieces()


async def test_many_in_one_file(database: Database) -> None:
    """Pages that were made up anew keep pieces of rows that have long moved on; writing the file anew leaves them."""
    bot = Bot(database)
    customers = [f"wm{number:04d}{'x' * 26}" for number in range(60)]
    for number, customer in enumerate(customers * 3):
        await bot.says(customer, "词" * (number % 7 * 60), f"{(number * 7919) % 1000:04d}-{number}")
    gone = customers[::5]
    for number, customer in enumerate(gone):
        await Forget(database, TENANT, customer).erase(f"forgotten-{number}", NOW)
    await Forget(database, TENANT, gone[0]).wipe()
    raw = b"".join(each.read_bytes() for each in files(database))
    assert [customer for customer in gone if customer.encode() in raw] == []
    assert all(customer.encode() in raw for customer in set(customers) - set(gone))


async def test_copies_beside_it_are_named(bot: Bot, forget: Forget, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "kfbot-old.db")) as db:
        db.execute("CREATE TABLE a (b TEXT)")
        db.execute("INSERT INTO a VALUES (?)", (ANN,))
        db.commit()
    (tmp_path / "notes.txt").write_text(ANN)
    assert copies_with(bot.database.path, ANN) == [tmp_path / "kfbot-old.db"]
    assert copies_with(bot.database.path, BOB) == []


def test_no_two_pseudonyms_are_the_same() -> None:
    names = {pseudonym() for _ in range(100)}
    assert len(names) == 100 and not any(name.startswith(("wm", "wo")) for name in names)
