"""Items, sessions and the cursor move together, and every item counts once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.errors import StorageError
from bot.model import (
    EVERYTHING,
    Handoff,
    KfAccount,
    KfItem,
    Scope,
    ServiceState,
    SessionKey,
    StateReading,
    SyncPage,
)
from bot.ports import AccountCounts, AccountState, Committed
from bot.sessions import Session, follow, state_read
from storage.database import Database
from storage.ledger import Ledger
from storage.sync_store import SyncStore
from tests.fakes import ANN, BOB, KF, KF2, LI, TENANT, WU

NOW = 1_700_000_000.0
KEY = SessionKey(KF, ANN)


def item(msgid: str, origin: int = 3, at: float = NOW, customer: str = ANN, **fields: Any) -> KfItem:
    return KfItem(msgid, KF, customer, int(at), origin, **{"msgtype": "text", **fields})


def change(msgid: str, change_type: int, at: float = NOW, servicer: str = LI, customer: str = ANN) -> KfItem:
    event = {"change_type": change_type, "new_servicer_userid": servicer, "old_servicer_userid": servicer}
    fields: dict[str, Any] = {"msgtype": "event", "event_type": "session_status_change", "event": event}
    return item(msgid, 4, at, customer, **fields)


def page(*items: KfItem, cursor: str = "C1", broken: list[tuple[Any, str]] | None = None) -> SyncPage:
    return SyncPage(list(items), cursor, False, broken or [])


def following(loaded: dict[str, Session], items: list[KfItem]) -> None:
    for each in items:
        if each.external_userid:
            follow(loaded[each.external_userid], each, NOW, keep_text=True)


async def commit(store: SyncStore, page: SyncPage) -> Committed:
    return await store.commit(KF, page, following, NOW)


async def account(store: SyncStore) -> AccountState:
    return next(each for each in await store.accounts() if each.open_kfid == KF)


async def rows(database: Database, sql: str) -> list[tuple[Any, ...]]:
    return await database.read(lambda db: db.execute(sql).fetchall())


async def test_items_what_they_change_and_the_cursor_are_written_together(
    sync_store: SyncStore, ledger: Ledger
) -> None:
    await sync_store.begin(KF, NOW)
    committed = await commit(sync_store, page(item("1", text="在吗"), change("2", 1)))
    assert [each.msgid for each in committed.fresh] == ["1", "2"]
    assert (await account(sync_store)).cursor == "C1"
    handoff = await ledger.open_handoff(KEY)
    assert handoff is not None
    assert (handoff.status, handoff.tenant_id, handoff.id) == ("ACCEPTED", TENANT, 1)
    assert [session.handoff.id for session in committed.sessions if session.handoff] == [1]


async def test_a_failure_writes_nothing_at_all(sync_store: SyncStore, database: Database) -> None:
    await sync_store.begin(KF, NOW)

    def broken(loaded: dict[str, Session], items: list[KfItem]) -> None:
        following(loaded, items)
        raise RuntimeError("half-way")

    with pytest.raises(RuntimeError):
        await sync_store.commit(KF, page(item("1"), change("2", 1)), broken, NOW)
    assert (await account(sync_store)).cursor is None
    assert await rows(database, "SELECT (SELECT count(*) FROM items) + (SELECT count(*) FROM sessions)") == [(0,)]
    assert len((await commit(sync_store, page(item("1"), change("2", 1)))).fresh) == 2


async def test_an_item_counts_once_in_a_page_and_across_pages(sync_store: SyncStore) -> None:
    await sync_store.begin(KF, NOW)
    assert len((await commit(sync_store, page(item("1"), item("1"), item("2")))).fresh) == 2
    assert (await commit(sync_store, page(item("2"), item("1")))).fresh == []


async def test_accounts_number_their_items_each_for_itself(sync_store: SyncStore) -> None:
    other = replace(item("1"), open_kfid=KF2)
    assert len((await commit(sync_store, page(item("1"), other))).fresh) == 2


async def test_items_are_taken_in_the_order_they_came(sync_store: SyncStore) -> None:
    seen: list[str] = []

    def watch(loaded: dict[str, Session], items: list[KfItem]) -> None:
        seen.extend(each.msgid for each in items)

    await sync_store.commit(KF, page(item("b"), item("a"), item("c")), watch, NOW)
    assert seen == ["b", "a", "c"]


async def test_types_nobody_knows_are_kept(sync_store: SyncStore, database: Database) -> None:
    strange = item("1", msgtype="hologram", raw={"msgtype": "hologram"})
    await commit(
        sync_store, page(strange, item("2", 4, customer="", msgtype="event", event_type="new", event={"a": 1}))
    )
    assert await rows(database, "SELECT msgtype, event_type, body FROM items ORDER BY msgid") == [
        ("hologram", "", None),
        ("event", "new", '{"a":1}'),
    ]


async def test_words_are_stored_only_where_all_text_is_kept(database: Database) -> None:
    for number, keep in enumerate(("none", "last", "all")):
        store = SyncStore(database, TENANT, keep)
        await store.commit(KF, page(item(str(number), text="秘密")), following, NOW)
    bodies = await rows(database, "SELECT body FROM items ORDER BY msgid")
    assert bodies == [(None,), (None,), ('{"text":"秘密","menu_id":""}',)]


async def test_what_cannot_be_read_is_parked_with_the_reason_and_the_page_goes_on(
    sync_store: SyncStore, database: Database
) -> None:
    await sync_store.begin(KF, NOW)
    broken = [({"msgid": "1", "send_time": []}, "send_time is []"), ("junk", "not an object"), ("junk", "again")]
    committed = await commit(sync_store, page(item("2"), broken=broken))
    assert (len(committed.fresh), committed.parked) == (1, 3)
    found = await rows(database, "SELECT msgid, error FROM items WHERE state = 'parked' ORDER BY error DESC")
    assert [error for _, error in found] == ["send_time is []", "not an object"]
    assert found[0][0] == "1"


async def test_a_page_without_a_cursor_keeps_the_old_one(sync_store: SyncStore) -> None:
    await sync_store.begin(KF, NOW)
    await commit(sync_store, page(item("1")))
    await commit(sync_store, page(item("2"), cursor=""))
    assert (await account(sync_store)).cursor == "C1"


# -- starting


async def test_a_first_start_lives_from_now_on_however_often_it_is_interrupted(sync_store: SyncStore) -> None:
    first = await sync_store.begin(KF, NOW)
    assert (first.cursor, first.live_from, first.cold) == (None, NOW, True)
    assert (await sync_store.begin(KF, NOW + 60)).live_from == NOW
    await commit(sync_store, page(item("1")))
    again = await sync_store.begin(KF, NOW + 90)
    assert (again.cursor, again.live_from, again.cold) == ("C1", NOW, True)


async def test_history_read_to_its_end_warms_the_account(sync_store: SyncStore) -> None:
    await sync_store.begin(KF, NOW)
    await sync_store.finish_history(KF, NOW - 100, NOW)
    await commit(sync_store, page(item("1")))
    assert (await sync_store.begin(KF, NOW + 60)).cold is False


async def test_a_lost_cursor_is_no_first_start(sync_store: SyncStore) -> None:
    await sync_store.begin(KF, NOW)
    await commit(sync_store, page(item("1")))
    await sync_store.finish_history(KF, NOW - 100, NOW)
    await sync_store.lose_cursor(KF)
    again = await sync_store.begin(KF, NOW + 60)
    assert (again.cursor, again.live_from, again.cold) == (None, NOW, True)


async def test_after_history_the_lately_seen_and_the_open_are_looked_at(sync_store: SyncStore, ledger: Ledger) -> None:
    customers = {"wmOld": NOW - 200, "wmNew": NOW - 50, "wmOpen": NOW - 200}
    for customer, at in customers.items():
        await commit(sync_store, page(item(f"m{customer}", at=at, customer=customer)))
    await commit(sync_store, page(change("taken", 1, NOW - 190, customer="wmOpen")))
    for customer in customers:
        await ledger.change(SessionKey(KF, customer), _in_two_days if customer == "wmOpen" else _unmarked, NOW)
    assert await sync_store.finish_history(KF, NOW - 100, NOW) == 2
    assert await ledger.due_checks(NOW, 10) == [SessionKey(KF, "wmNew"), SessionKey(KF, "wmOpen")]


def _unmarked(session: Session) -> None:
    session.check_at = None


def _in_two_days(session: Session) -> None:
    """An open handoff has its state read when WeCom would end it; history must not wait for that."""
    session.check_at = NOW + 2 * 86_400


async def test_marks_already_due_are_not_put_off(sync_store: SyncStore, ledger: Ledger) -> None:
    await commit(sync_store, page(item("1", at=NOW - 50)))
    before = await ledger.next_check()
    await sync_store.finish_history(KF, NOW - 100, NOW + 500)
    assert await ledger.next_check() == before


async def test_accounts_are_known_by_name_and_never_forgotten(sync_store: SyncStore) -> None:
    await sync_store.know_accounts([KfAccount(KF, "售前"), KfAccount(KF2)])
    await sync_store.know_accounts([KfAccount(KF, ""), KfAccount(KF2, "售后")])
    assert [(each.open_kfid, each.name) for each in await sync_store.accounts()] == [(KF, "售前"), (KF2, "售后")]


async def test_open_handoffs_are_counted_by_account_and_state(sync_store: SyncStore, ledger: Ledger) -> None:
    await sync_store.know_accounts([KfAccount(KF, "售前"), KfAccount(KF2, "售后")])
    await commit(sync_store, page(change("1", 1), change("2", 1, customer=BOB), item("3", at=NOW + 9, customer=BOB)))

    def queued(session: Session) -> None:
        session.last_customer_at = NOW + 4
        state_read(session, StateReading(ServiceState.QUEUED), NOW + 5)

    await ledger.change(SessionKey(KF, "wmThird"), queued, NOW)
    assert await ledger.counts() == [
        AccountCounts(KF, "售前", queued=1, human=2, waiting=2, oldest_wait=NOW + 4),
        AccountCounts(KF2, "售后", queued=0, human=0, waiting=0, oldest_wait=None),
    ]


async def test_an_accounts_trouble_is_remembered_until_a_page_comes_in(sync_store: SyncStore) -> None:
    await sync_store.begin(KF, NOW)
    await sync_store.fail(KF, "95012 not allowed")
    assert (await account(sync_store)).error == "95012 not allowed"
    await commit(sync_store, page())
    assert ((await account(sync_store)).error, (await account(sync_store)).synced_at) == (None, NOW)


async def test_a_database_that_is_not_there_says_so(sync_store: SyncStore, database: Database) -> None:
    await database.write(lambda db: db.execute("DROP TABLE items"))
    with pytest.raises(StorageError, match="items"):
        await commit(sync_store, page(item("1")))


# -- several stretches in one page


async def told(ledger: Ledger, customer: str) -> list[Handoff]:
    return [
        replace(handoff, id=0, previous_id=None) for handoff in await ledger.history(SessionKey(KF, customer), limit=50)
    ]


async def links(ledger: Ledger, customer: str) -> list[int | None]:
    """For each handoff, oldest first, how many handoffs ago its `previous_id` was."""
    handoffs = list(reversed(await ledger.history(SessionKey(KF, customer), limit=50)))
    ids = [handoff.id for handoff in handoffs]
    return [
        number - ids.index(handoff.previous_id) if handoff.previous_id else None
        for number, handoff in enumerate(handoffs)
    ]


async def test_stretches_of_one_page_name_each_other(sync_store: SyncStore, ledger: Ledger) -> None:
    story = [change("1", 1, NOW), change("2", 3, NOW + 9), change("3", 4, NOW + 60), change("4", 3, NOW + 99)]
    await commit(sync_store, page(*story))
    await commit(sync_store, page(change("5", 4, NOW + 200)))
    assert await links(ledger, ANN) == [None, 1, 1]
    assert len([each for each in await ledger.history(KEY) if each.status.is_open]) == 1


# -- what could not be read


RAW = {"msgid": "p1", "open_kfid": KF, "colour": "blue"}


async def test_what_could_not_be_read_is_listed_as_it_came(sync_store: SyncStore) -> None:
    await commit(sync_store, page(item("m1"), broken=[(RAW, "no msgtype"), ([1], "not an object")]))
    found = await sync_store.parked(EVERYTHING, 9)
    assert [(each.open_kfid, each.raw, each.why) for each in found] == [
        (KF, RAW, "no msgtype"),
        (KF, [1], "not an object"),
    ]
    assert await sync_store.count_parked(EVERYTHING) == 2
    assert len(await sync_store.parked(EVERYTHING, 1)) == 1
    others = Scope(frozenset({KF}))
    assert (await sync_store.parked(others, 9), await sync_store.count_parked(others)) == ([], 0)


async def test_what_can_be_read_now_takes_its_place(sync_store: SyncStore, ledger: Ledger, database: Database) -> None:
    await sync_store.begin(KF, NOW)
    await commit(sync_store, page(broken=[(RAW, "no msgtype")], cursor="C7"))
    [parked] = await sync_store.parked(EVERYTHING, 9)
    committed = await sync_store.unpark(parked, page(change("p1", 1), cursor=""), following, NOW)
    assert committed is not None and [each.msgid for each in committed.fresh] == ["p1"]
    assert await rows(database, "SELECT msgid, state FROM items") == [("p1", "done")]
    assert len(await ledger.open_handoffs()) == 1
    assert (await account(sync_store)).cursor == "C7"
    assert await sync_store.unpark(parked, page(change("p1", 1)), following, NOW) is None, "somebody was faster"


async def test_what_came_again_in_the_meantime_counts_once(sync_store: SyncStore, database: Database) -> None:
    await commit(sync_store, page(broken=[({"colour": "blue"}, "no msgtype")]))
    await commit(sync_store, page(item("m1")))
    [parked] = await sync_store.parked(EVERYTHING, 9)
    committed = await sync_store.unpark(parked, page(item("m1"), cursor=""), following, NOW)
    assert committed is not None and committed.fresh == []
    assert await rows(database, "SELECT msgid FROM items") == [("m1",)]


KINDS = st.sampled_from(["customer", LI, WU, "1", "2", "3", "4"])
STORY = st.lists(st.tuples(KINDS, st.integers(0, 3)), max_size=12)


def tell(story: list[tuple[str, int]], customer: str) -> list[KfItem]:
    """Each step some seconds after the one before; the same second happens often."""
    items, at = [], NOW
    for number, (kind, seconds) in enumerate(story):
        at += seconds * seconds
        msgid = f"{customer}-{number}"
        if kind == "customer":
            items.append(item(msgid, 3, at, customer, text=str(number)))
        elif kind.isdigit():
            items.append(change(msgid, int(kind), at, LI if number % 2 else WU, customer))
        else:
            items.append(item(msgid, 5, at, customer, servicer_userid=kind))
    return items


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=STORY, cut=st.integers(0, 12), number=st.integers(0, 10**12))
async def test_a_page_in_one_piece_says_the_same_as_in_several(
    sync_store: SyncStore, ledger: Ledger, story: list[tuple[str, int]], cut: int, number: int
) -> None:
    whole, pieces = f"wmW{number}-{len(story)}-{cut}", f"wmP{number}-{len(story)}-{cut}"
    await commit(sync_store, page(*tell(story, whole)))
    parts = tell(story, pieces)
    for part in (parts[:cut], parts[cut:], parts[: cut + 1]):
        await commit(sync_store, page(*part))
    assert await links(ledger, whole) == await links(ledger, pieces)
    expected = [replace(handoff, external_userid=pieces) for handoff in await told(ledger, whole)]
    assert await told(ledger, pieces) == expected


async def test_customers_of_one_page_do_not_touch_each_other(sync_store: SyncStore, ledger: Ledger) -> None:
    await commit(sync_store, page(change("1", 1), change("2", 1, customer=BOB), change("3", 3, customer=BOB)))
    assert [each.external_userid for each in await ledger.open_handoffs()] == [ANN]
