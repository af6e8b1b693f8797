"""What must hold besides after the scenes of `scenes_record`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing

from storage.forget import stands_in
from storage.retention import OF_A_HANDOFF
from tests.soak.kills.house import KF, House
from tests.soak.kills.scenes import ANN, ENDED
from tests.soak.kills.truth import calls, truth_of


@truth_of("rated")
def rated_once(house: House) -> Iterator[str]:
    """By the first tap, where the customer was asked; and the greeting is known to have failed."""
    asked = any(line.menu for line in house.sandbox.session(KF, ANN).lines)
    found = house.record.rows("SELECT event_data FROM handoff_events WHERE type='RATED'")
    scores = [json.loads(data)["score"] for (data,) in found]
    if scores != ["good"] * asked:
        yield f"ratings: {scores}, asked: {asked}"
    greeting = house.record.rows("SELECT state, error FROM codes WHERE service_state=3")
    if greeting != [("failed", "msg_send_fail 4")]:
        yield f"the greeting: {greeting}"


@truth_of("old")
def nothing_old(house: House) -> Iterator[str]:
    """No piece of what has gone is left, and what is young has stayed (which the others see)."""
    for table in OF_A_HANDOFF:
        if count := house.record.one(f"SELECT count(*) FROM {table} WHERE handoff_id NOT IN (SELECT id FROM handoffs)"):
            yield f"{table}: {count} rows of a handoff that has gone"
    moves = calls(house, "trans", service_state=ENDED, external_userid=ANN)
    if [each["errcode"] for each in moves] != [0]:
        yield f"moves to {ENDED}: {moves}"


@truth_of("verbs")
def copied_whole(house: House) -> Iterator[str]:
    """What has the name of a copy is one; nothing half done is left when one has succeeded."""
    folder = house.life.folder
    if left := [each.name for each in folder.iterdir() if each.name.endswith(".part")]:
        yield f"left behind: {left}"
    copies = sorted(folder.glob("copy-*.db"))
    if not copies:
        yield "no copy"
    for copy in copies:
        with closing(sqlite3.connect(copy)) as db:
            found = [db.execute(sql).fetchall() for sql in ("PRAGMA integrity_check", "SELECT status FROM handoffs")]
        if found != [[("ok",)], [("COMPLETED",)]]:
            yield f"{copy.name}: {found}"


@truth_of("verbs")
def forgotten(house: House) -> Iterator[str]:
    """Not a byte of the id in the database's files, and the counts as they were."""
    database = house.life.folder / "kfbot.db"
    for file in (database, *database.parent.glob("kfbot.db-*")):
        if stands_in(file, ANN):
            yield f"the customer stands in {file.name}"
    named = house.record.rows("SELECT external_userid FROM handoffs UNION SELECT external_userid FROM sessions")
    if len(named) != 1 or not named[0][0].startswith("forgotten-"):
        yield f"names: {named}"
