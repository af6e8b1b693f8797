"""What is done outside, WeCom or the group or another program, is on disk before it is done: power may fail after it.

Each write of the storage is in one of two lists. A new one belongs into one of them too, and the first is the safe one.
What is forced to the disk takes along all that was written before it, by whomever: it is one log.
"""

from __future__ import annotations

import ast
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.audit import Door, Entry
from bot.model import (
    Asker,
    EventType,
    GroupMessage,
    Handoff,
    Operator,
    OperatorType,
    Rule,
    ServiceState,
    SessionKey,
    Via,
)
from bot.ports import Order, Sending
from bot.sessions import ClosingDraft, Session, finish, servicer_wrote
from storage.alerts import Alerts
from storage.audit import AuditLog
from storage.chats import Chats
from storage.database import Database
from storage.forget import Forget
from storage.ledger import Ledger
from storage.outbox import Outbox
from tests.fakes import ANN, KF, LI, TENANT

ROOT = Path(__file__).parents[3]
NOW = 1_700_000_000.0
KEY, AGENT = SessionKey(KF, ANN), Operator(OperatorType.AGENT, LI)

FOLLOWED = {
    "Ledger.open_ending": "service_state/trans to 4",
    "Ledger.take_ending": "the same, taken up again",
    "Ledger.promise": "who asked is told that the outcome will be",
    "Ledger.take_code": "send_msg_on_event, by a code that works once",
    "Ledger.change": "service_state/trans to 3, of which the caller says so",
    "Alerts.record": "cards and messages to the group",
    "Alerts.hand_out": "the same; else they might be sent twice",
    "Alerts.close": "the last word to the group",
    "Alerts.hand_out_words": "the same; else it might be said twice",
    "Chats.pair": "the group is told that it is paired",
    "Chats.keep_card": "a card, which may be tapped",
    "Chats.claim_once": "a daily report, an alarm",
    "Chats.keep_first": "tokens signed with a key",
    "Outbox.take": "a POST, whose key a second try repeats",
    "AuditLog.enter": "what has been allowed, of which the caller says so",
    "Forget.erase": "the customer is told that it was done",
}
NOT_FOLLOWED = {
    "Chats.claim": "what the command or tap does has a record of its own, which takes this along",
    "Ledger.settle_ending": "what has happened; else found out again by reading the state",
    "Ledger.release_ending": "a lease; the intention stays",
    "ParkedEnds.revive": "taken, on disk, before WeCom is asked",
    "Promises._mark": "what has been told; else told once more",
    "Ledger.settle_code": "what has happened; the code works once, however often it is tried",
    "Ledger.recover_codes": "taken again before anything is sent",
    "Ledger.change_all": "what WeCom says of states; it can be asked again",
    "Ledger.check_quiet": "marks; what they are about is marked again",
    "Ledger.check_unserved": "the same",
    "Alerts.give_back": "nothing was sent",
    "Alerts.take_in": "nothing was sent",
    "Alerts.reopen": "nothing was sent",
    "Alerts.take_in_words": "nothing was sent",
    "Alerts.give_back_unsent": "made again at the next start",
    "Alerts._quieten": "alerts that come back ask again",
    "Alerts.watch_all": "marks that the next start makes again",
    "Chats.settle": "what has happened",
    "Chats.lost": "the outcome of what was lost",
    "Chats.keep": "small facts after the deed; else told once more",
    "Chats.give_back": "nothing was done",
    "Outbox.open": "places in the log, made again",
    "Outbox.collect": "deliveries, made again of the log; taking one takes them along",
    "Outbox.settle": "what has happened; else sent again by the same key",
    "Outbox.hurry": "when, not whether",
    "Outbox.revive": "taken before it is sent",
    "People.save_nicknames": "asked again",
    "People.save_servicers": "asked again",
    "People.servicer_changed": "asked again",
    "SyncStore.know_accounts": "asked again",
    "SyncStore.begin": "read again from the same cursor",
    "SyncStore.commit": "read again from the same cursor",
    "SyncStore.unpark": "it stays parked",
    "SyncStore.finish_history": "done again at the end of the next sync",
    "SyncStore.lose_cursor": "lost again",
    "SyncStore.fail": "a message for /status",
    "AuditLog.prune": "deleted again",
    "Retention.prune": "deleted again",
    "Retention._prune_handoffs": "deleted again",
    "Retention._sweep": "deleted again",
    "Database._touch": "a proof of the moment",
}


def writes() -> Iterator[tuple[str, bool]]:
    """(class and method, whether it says `durable`) of every write in storage/."""
    for file in (ROOT / "storage").glob("*.py"):
        for kind in (node for node in ast.parse(file.read_text("utf-8")).body if isinstance(node, ast.ClassDef)):
            for method in (node for node in kind.body if isinstance(node, ast.AsyncFunctionDef)):
                for call in ast.walk(method):
                    if isinstance(call, ast.Call) and ast.unparse(call.func) in ("self._db.write", "self.write"):
                        yield f"{kind.name}.{method.name}", any(each.arg == "durable" for each in call.keywords)


def test_of_every_write_it_is_decided_whether_it_has_to_be_on_disk() -> None:
    found = list(writes())
    assert {name for name, durable in found if durable} == set(FOLLOWED)
    assert {name for name, durable in found if not durable} == set(NOT_FOLLOWED)


# -- and they do say so


@dataclass
class Desk:
    """What the writes are tried on: one open handoff, with all that can hang on it."""

    database: Database
    ledger: Ledger
    alerts: Alerts
    chats: Chats
    outbox: Outbox
    handoff: Handoff

    def sending(self) -> Sending:
        return Sending(self.handoff, Rule.HUMAN_IDLE, NOW, 1, NOW + 60)


@pytest.fixture
async def desk(database: Database, ledger: Ledger) -> Desk:
    def begin(session: Session) -> Handoff:
        servicer_wrote(session, NOW, LI, NOW)
        assert session.handoff is not None
        session.closings.append(ClosingDraft(session.handoff, "CODE", NOW + 20))
        return session.handoff

    outbox = Outbox(database)
    await outbox.open({"one": ("one.example", list(EventType))}, NOW)
    handoff = await ledger.change(KEY, begin, NOW)
    return Desk(database, ledger, Alerts(database), Chats(database), outbox, handoff)


def end(session: Session) -> None:
    finish(session, AGENT, Via.COMMAND, NOW + 1)


async def open_ending(desk: Desk) -> object:
    return await desk.ledger.open_ending(KEY, lambda session: True, AGENT, Via.COMMAND, "", NOW, 15.0, None)


async def take_ending(desk: Desk) -> object:
    await open_ending(desk)
    return await desk.ledger.take_ending(1, NOW + 60, 15.0)


async def promise(desk: Desk) -> object:
    await open_ending(desk)
    await desk.ledger.promise(1, Asker("wrGROUP", True))
    return True


async def take_code(desk: Desk) -> object:
    await desk.ledger.change(KEY, end, NOW)
    return await desk.ledger.take_code(desk.handoff.id, ServiceState.ENDED)


async def mark(desk: Desk) -> object:
    await desk.ledger.change(KEY, lambda session: None, NOW, durable=True)
    return True


async def record(desk: Desk) -> object:
    return await desk.alerts.record([Order(desk.handoff, NOW + 60, {}, (), (desk.sending(),))], NOW)


async def hand_out(desk: Desk) -> object:
    await record(desk)
    return await desk.alerts.hand_out([desk.sending()])


async def close(desk: Desk) -> object:
    await hand_out(desk)
    return await desk.alerts.close([desk.handoff.id])


async def hand_out_words(desk: Desk) -> object:
    await close(desk)
    await desk.alerts.hand_out_words([desk.handoff.id])
    return True


async def pair(desk: Desk) -> object:
    await desk.chats.pair("wrGROUP", LI, NOW)
    return True


async def keep_card(desk: Desk) -> object:
    await desk.chats.keep_card("T1", "wrGROUP", "1", NOW)
    return True


async def take_delivery(desk: Desk) -> object:
    await desk.outbox.collect(NOW)
    return await desk.outbox.take("one", NOW, 60.0)


async def enter(desk: Desk) -> object:
    return await AuditLog(desk.database).enter(Entry(NOW, Door.GROUP, AGENT, "snooze", "allowed"), durable=True)


async def erase(desk: Desk) -> object:
    return await Forget(desk.database, TENANT, ANN).erase("forgotten-1", NOW)


DEEDS: dict[str, Callable[[Desk], Awaitable[object]]] = {
    "Ledger.open_ending": open_ending,
    "Ledger.take_ending": take_ending,
    "Ledger.promise": promise,
    "Ledger.take_code": take_code,
    "Ledger.change": mark,
    "Alerts.record": record,
    "Alerts.hand_out": hand_out,
    "Alerts.close": close,
    "Alerts.hand_out_words": hand_out_words,
    "Chats.pair": pair,
    "Chats.keep_card": keep_card,
    "Chats.claim_once": lambda desk: desk.chats.claim_once("report", NOW),
    "Chats.keep_first": lambda desk: desk.chats.keep_first("key", "value"),
    "Outbox.take": take_delivery,
    "AuditLog.enter": enter,
    "Forget.erase": erase,
}


@pytest.mark.parametrize("name", FOLLOWED)
async def test_what_an_outside_effect_follows_waits_for_the_disk(desk: Desk, name: str) -> None:
    """SQLite forces the log to the disk at the end of a transaction exactly if `synchronous` is full (2) then."""
    said: list[str] = []
    await desk.database.write(lambda db: db.set_trace_callback(said.append))
    assert await DEEDS[name](desk)
    modes = [each for each in said if each.startswith("PRAGMA synchronous")]
    assert modes[-1] == "PRAGMA synchronous=full"
    assert said[-1] == "COMMIT"


async def test_what_only_moves_an_alert_on_need_not_wait(desk: Desk) -> None:
    said: list[str] = []
    await desk.database.write(lambda db: db.set_trace_callback(said.append))
    await desk.alerts.record([Order(desk.handoff, NOW + 60, {}, ())], NOW)
    message = GroupMessage("aibot", "M1", "wrGROUP", True, LI, "/end 1")
    assert await desk.chats.claim(message, "end", "/end 1", NOW)
    assert "PRAGMA synchronous=full" not in said
