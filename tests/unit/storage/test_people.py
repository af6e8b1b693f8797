"""Names and servicers as WeCom last told them."""

from __future__ import annotations

from typing import Any

from bot.model import Servicer, SessionKey, StateReading, Via
from bot.ports import Reception
from bot.sessions import SYSTEM, Session, finish, servicer_wrote, state_read
from storage.database import Database
from storage.ledger import Ledger
from storage.people import People
from tests.fakes import ANN, BOB, KF, KF2, LI, QUEUED, WU

NOW = 1_700_000_000.0


async def servicers(database: Database) -> list[tuple[Any, ...]]:
    sql = "SELECT open_kfid, servicer_userid, receiving, suspended FROM servicers ORDER BY open_kfid, servicer_userid"
    return await database.read(lambda db: db.execute(sql).fetchall())


async def test_names_are_kept_and_renewed(people: People) -> None:
    await people.save_nicknames({ANN: "小林", BOB: ""}, NOW)
    await people.save_nicknames({ANN: "大林"}, NOW)
    assert await people.nicknames([ANN, BOB, "wmNobody"]) == {ANN: "大林", BOB: ""}


async def test_a_list_of_servicers_replaces_the_accounts_last(people: People, database: Database) -> None:
    await people.save_servicers(KF2, [Servicer(LI, True)], NOW)
    await people.save_servicers(KF, [Servicer(LI, True), Servicer(WU, False, True)], NOW)
    await people.save_servicers(KF, [Servicer(WU, None), Servicer("", department_id=3)], NOW)
    assert await servicers(database) == [(KF, WU, None, 0), (KF2, LI, 1, 0)]


async def test_one_servicers_change_touches_nobody_else(people: People, database: Database) -> None:
    await people.save_servicers(KF, [Servicer(LI, True), Servicer(WU, True)], NOW)
    await people.servicer_changed(KF, WU, False, True, NOW)
    assert await servicers(database) == [(KF, LI, 1, 0), (KF, WU, 0, 1)]


async def test_servicers_come_with_their_load_busiest_first(people: People, ledger: Ledger) -> None:
    await people.save_servicers(KF, [Servicer(LI, True), Servicer(WU, False, True), Servicer("New")], NOW)
    await people.save_servicers(KF2, [Servicer(LI, True)], NOW - 9)
    for customer, servicer in ((ANN, WU), (BOB, WU), ("wmC", "Gone"), ("wmEnded", LI)):

        def write(session: Session, by: str = servicer) -> None:
            servicer_wrote(session, NOW, by, NOW)

        await ledger.change(SessionKey(KF, customer), write, NOW)
    await ledger.change(SessionKey(KF, "wmEnded"), lambda session: finish(session, SYSTEM, Via.POLICY, NOW), NOW)
    await ledger.change(SessionKey(KF, "wmQ"), lambda session: state_read(session, StateReading(QUEUED), NOW), NOW)
    assert await people.servicers() == [
        Reception(KF, WU, False, True, NOW, 2),
        Reception(KF, "Gone", None, False, None, 1),
        Reception(KF, LI, True, False, NOW, 0),
        Reception(KF, "New", None, False, NOW, 0),
        Reception(KF2, LI, True, False, NOW - 9, 0),
    ]
