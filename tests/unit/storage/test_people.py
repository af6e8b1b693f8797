"""Names and servicers as WeCom last told them."""

from __future__ import annotations

from typing import Any

from bot.model import Servicer
from storage.database import Database
from storage.people import People
from tests.fakes import ANN, BOB, KF, KF2, LI, WU

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
