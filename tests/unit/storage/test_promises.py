"""Who is owed an outcome; what that means stands in tests/unit/test_outcomes.py."""

from __future__ import annotations

import pytest

from bot.model import Asker, GroupMessage, Handoff, HandoffStatus, Operator, OperatorType, SessionKey, Via
from bot.sessions import Session, finish, open_handoff
from storage import promises as module
from storage.chats import Chats
from storage.database import Database
from storage.forget import Forget
from storage.ledger import Ledger
from storage.promises import Promises
from tests.fakes import ANN, KF, LI, TENANT

NOW = 1_700_000_000.0
KEY, AGENT = SessionKey(KF, ANN), Operator(OperatorType.AGENT, LI)


@pytest.fixture
def promises(database: Database) -> Promises:
    return Promises(database)


async def asked(ledger: Ledger, asker: Asker) -> int:
    """An end that is pending."""

    def begin(session: Session) -> Handoff:
        return session.handoff or open_handoff(session, HandoffStatus.ACCEPTED, LI, NOW, Via.EVENT)

    await ledger.change(KEY, begin, NOW)
    _, ending, _ = await ledger.open_ending(KEY, lambda session: True, AGENT, Via.COMMAND, "", NOW, 15.0, asker)
    assert ending is not None
    return ending.id


async def settled(ledger: Ledger, ending_id: int) -> None:
    await ledger.settle_ending(
        KEY, ending_id, "done", "ended", 0, NOW + 1, lambda each: finish(each, AGENT, "", NOW + 1)
    )


async def test_what_is_pending_or_in_an_answer_under_way_is_not_due(
    promises: Promises, ledger: Ledger, database: Database
) -> None:
    chats = Chats(database)
    row = await chats.claim(GroupMessage("fake", "m", "wr1", True, LI, "/end 1"), "end", "/end 1", NOW)
    ending = await asked(ledger, Asker("wr1", True, row))
    assert await promises.due() == []
    await settled(ledger, ending)
    assert await promises.due() == []
    assert row is not None
    await chats.settle(row, "ok", 0.1)
    assert [(each.chat_id, each.is_group, each.state, each.tries) for each in await promises.due()] == [
        ("wr1", True, "done", 2)
    ]


async def test_an_answer_does_not_clear_what_was_still_pending(
    promises: Promises, ledger: Ledger, database: Database
) -> None:
    chats = Chats(database)
    row = await chats.claim(GroupMessage("fake", "m", "wr1", True, LI, "/end 1"), "end", "/end 1", NOW)
    assert row is not None
    ending = await asked(ledger, Asker("wr1", True, row))
    await chats.settle(row, "ok", 0.1, told=True)
    await settled(ledger, ending)
    assert len(await promises.due()) == 1


async def test_of_a_forgotten_customer_nobody_is_told(promises: Promises, ledger: Ledger, database: Database) -> None:
    await settled(ledger, await asked(ledger, Asker("wr1", True)))
    await Forget(database, TENANT, ANN).erase("forgotten-1", NOW + 2)
    assert await promises.due() == []


async def test_it_is_found_by_its_index(database: Database) -> None:
    plan = await database.read(lambda db: db.execute(f"EXPLAIN QUERY PLAN {module._DUE}", (9,)).fetchall())
    assert "SCAN e USING INDEX endings_owed" in [row[3] for row in plan]
