"""What follows a page: goodbyes, state reads, names, the servicers' reception."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from bot.aftermath import Aftermath
from bot.errors import StorageError
from bot.model import KfItem
from bot.phrases import EndPhrases
from bot.ports import Committed
from bot.sessions import Session, follow
from storage.database import Database
from storage.people import People
from tests.fakes import ANN, KF, LI, FakeClock

NOW = 1_700_000_000


class Spy:
    """Leaving, Greetings, Closings, Checks or Names, as far as the aftermath knows them."""

    def __init__(self) -> None:
        self.sent = self.ended = self.woken = 0
        self.wanted: list[str] = []
        self.error: Exception | None = None
        self.done = asyncio.Event()

    async def send_all(self) -> None:
        self.sent += 1
        self.done.set()
        if self.error is not None:
            raise self.error

    async def end_all(self) -> None:
        self.ended += 1
        self.done.set()

    def wake(self) -> None:
        self.woken += 1

    def want(self, customers: Iterable[str]) -> None:
        self.wanted.extend(customers)


@pytest.fixture
async def spy() -> Spy:
    return Spy()


@pytest.fixture
async def greeter() -> Spy:
    return Spy()


@pytest.fixture
def aftermath(people: People, fake_clock: FakeClock, spy: Spy, greeter: Spy) -> Aftermath:
    any_spy: Any = spy
    any_greeter: Any = greeter
    return Aftermath(people, fake_clock, any_spy, any_greeter, any_spy, any_spy, any_spy)


def event(event_type: str, **fields: Any) -> KfItem:
    return KfItem("m", KF, ANN, NOW, 4, "event", event_type=event_type, event={"event_type": event_type, **fields})


def page(*items: KfItem) -> Committed:
    """As the store would have committed it."""
    session = Session(KF, ANN)
    for item in items:
        follow(session, item, NOW, keep_text=True, phrases=EndPhrases(["结束对话"]))
    return Committed(list(items), [session], 0)


TAKEN = event("session_status_change", change_type=1, new_servicer_userid=LI)
ENDED = event("session_status_change", change_type=3, old_servicer_userid=LI, msg_code="CODE")


async def test_a_code_is_used_at_once(aftermath: Aftermath, spy: Spy) -> None:
    await aftermath.follow(page(TAKEN, ENDED))
    await spy.done.wait()
    await aftermath.follow(page(TAKEN))
    assert spy.sent == 1


async def test_the_code_of_an_accepted_session_is_used_at_once(aftermath: Aftermath, greeter: Spy) -> None:
    await aftermath.follow(page(TAKEN))
    assert greeter.sent == 0
    await aftermath.follow(page(event("session_status_change", change_type=1, new_servicer_userid=LI, msg_code="C")))
    await greeter.done.wait()
    assert greeter.sent == 1


async def test_an_end_phrase_is_taken_up_at_once(aftermath: Aftermath, spy: Spy) -> None:
    await aftermath.follow(page(TAKEN, KfItem("m1", KF, ANN, NOW, 3, "text", text="先不要结束对话")))
    assert not aftermath._tasks
    await aftermath.follow(page(TAKEN, KfItem("m2", KF, ANN, NOW, 3, "text", text="结束对话")))
    await spy.done.wait()
    assert spy.ended == 1


async def test_a_mark_wakes_the_state_reads(aftermath: Aftermath, spy: Spy) -> None:
    await aftermath.follow(page(KfItem("m", KF, ANN, NOW, 3, "text")))
    assert spy.woken == 1


async def test_a_mark_of_the_day_after_tomorrow_wakes_nobody(aftermath: Aftermath, spy: Spy) -> None:
    await aftermath.follow(page(TAKEN))
    assert spy.woken == 0


async def test_the_end_of_history_wakes_them_too(aftermath: Aftermath, spy: Spy) -> None:
    await aftermath.follow(Committed([], [], 0))
    assert spy.woken == 1


async def test_names_are_wanted_of_who_is_with_a_human(aftermath: Aftermath, spy: Spy) -> None:
    await aftermath.follow(page(KfItem("m", KF, ANN, NOW, 3, "text")))
    assert spy.wanted == []
    await aftermath.follow(page(TAKEN))
    assert spy.wanted == [ANN]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"status": 1}, (1, 0)),
        ({"status": 2}, (0, 0)),
        ({"status": 2, "stop_type": 1}, (0, 1)),
    ],
)
async def test_reception_follows_the_event_whose_numbers_are_not_the_lists(
    aftermath: Aftermath, database: Database, fields: dict[str, int], expected: tuple[int, int]
) -> None:
    await aftermath.follow(page(event("servicer_status_change", servicer_userid=LI, **fields)))
    sql = "SELECT receiving, suspended FROM servicers WHERE open_kfid = ? AND servicer_userid = ?"
    assert await database.read(lambda db: db.execute(sql, (KF, LI)).fetchall()) == [expected]


async def test_reception_of_nobody_is_passed_over(aftermath: Aftermath, database: Database) -> None:
    await aftermath.follow(page(event("servicer_status_change", status=1)))
    assert await database.read(lambda db: db.execute("SELECT * FROM servicers").fetchall()) == []


async def test_a_message_not_delivered_is_logged(aftermath: Aftermath, caplog: pytest.LogCaptureFixture) -> None:
    await aftermath.follow(page(event("msg_send_fail", fail_msgid="closing-1-a", fail_type=10)))
    assert "not delivered | msgid=closing-1-a fail_type=10" in caplog.text


@pytest.mark.parametrize("error", [StorageError("busy"), RuntimeError("a bug")])
async def test_trouble_with_a_goodbye_is_logged_and_stays_there(
    aftermath: Aftermath, spy: Spy, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    spy.error = error
    await aftermath.follow(page(TAKEN, ENDED))
    await asyncio.gather(*aftermath._tasks)
    assert "after sync" in caplog.text


async def test_stop_ends_what_is_under_way(aftermath: Aftermath, spy: Spy, monkeypatch: pytest.MonkeyPatch) -> None:
    async def for_ever() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(spy, "send_all", for_ever)
    await aftermath.follow(page(TAKEN, ENDED))
    await aftermath.stop()
    assert not aftermath._tasks
