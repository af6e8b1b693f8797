"""Webhooks against a real receiver: signed, in order, tried again, rested when down; nothing lost, nothing leaked."""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import time_machine
from pydantic import SecretStr

from bot import outbox as module
from bot.errors import StorageError
from bot.http import Http
from bot.model import EVERYTHING, EventType, HandoffStatus, Operator, OperatorType, SessionKey, Via
from bot.outbox import AT_ONCE, DOWN_AFTER, LEASE, TRIES, Webhooks, signature
from bot.sessions import Session, finish, open_handoff, servicer_wrote
from bot.settings import WEBHOOK_EVENTS, OutgoingWebhook
from storage.database import Database
from storage.ledger import Ledger
from storage.outbox import Outbox
from tests.fakes import ANN, BOB, KF, LI, TENANT, FakeClock
from tests.receiver import Receiver, receiving

SECRET = "a-long-random-text"
WHOLE = ["requested", "accepted", "progress", "completed"]
DOCUMENT = Path(__file__).parents[2] / "docs" / "webhooks.md"
DAY = 86400.0


@dataclass
class Post:
    """A bot with one webhook. `settled` works on until nothing is due."""

    webhooks: Webhooks
    receiver: Receiver
    clock: FakeClock
    database: Database
    outcomes: list[str]

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.database, TENANT)

    @property
    def store(self) -> Outbox:
        return Outbox(self.database)

    async def settled(self, seconds: float = 0.0) -> None:
        self.clock.move(seconds)
        await self.webhooks.look()
        await self.webhooks.idle()

    async def begin(self, customer: str = ANN) -> None:
        now, key = self.clock.now(), SessionKey(KF, customer)

        def decide(session: Session) -> None:
            open_handoff(session, HandoffStatus.ACCEPTED, LI, now, Via.EVENT)

        await self.ledger.change(key, decide, now)

    async def answer(self, customer: str = ANN) -> None:
        now = self.clock.now()
        await self.ledger.change(SessionKey(KF, customer), lambda each: servicer_wrote(each, now, LI, now), now)

    async def end(self, customer: str = ANN, by: OperatorType = OperatorType.USER) -> None:
        now, operator = self.clock.now(), Operator(by, customer)

        def decide(session: Session) -> None:
            finish(session, operator, Via.CHAT, now)

        await self.ledger.change(SessionKey(KF, customer), decide, now)

    async def whole(self, customer: str = ANN) -> None:
        """A handoff from its beginning to its end: four events."""
        await self.begin(customer)
        await self.answer(customer)
        await self.end(customer)

    async def next_at(self) -> float | None:
        """When the first event is tried again; None when it is settled."""
        sql = "SELECT next_at FROM deliveries WHERE id=1"
        at: float | None = (await self.database.read(lambda db: db.execute(sql).fetchone()))[0]
        return at

    async def states(self) -> list[str]:
        sql = "SELECT state FROM deliveries ORDER BY id"
        return [row[0] for row in await self.database.read(lambda db: db.execute(sql).fetchall())]


def hook(url: str, **values: Any) -> OutgoingWebhook:
    return OutgoingWebhook(url=url, secret=SecretStr(SECRET), **values)


@asynccontextmanager
async def a_post(database: Database, clock: FakeClock, receiver: Receiver, **values: Any) -> AsyncIterator[Post]:
    """One life of the bot."""
    outcomes: list[str] = []
    async with Http(connections_per_host=64) as http:
        webhooks = Webhooks(
            Outbox(database), http.post, clock, [hook(receiver.url, **values)],
            observe=outcomes.append, jitter=lambda: 0.5,
        )  # fmt: skip
        await webhooks.open()
        try:
            yield Post(webhooks, receiver, clock, database, outcomes)
        finally:
            receiver.open.set()
            await webhooks.stop(1.0)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def post(database: Database, fake_clock: FakeClock, receiver: Receiver) -> AsyncIterator[Post]:
    async with a_post(database, fake_clock, receiver) as ready:
        yield ready


# -- what is sent


async def test_an_event_is_one_signed_request(post: Post, receiver: Receiver) -> None:
    await post.begin()
    await post.settled()
    await post.end(by=OperatorType.AGENT)
    await post.settled(9)
    *_, end = receiver.accepted
    assert end.body == {
        "id": 3,
        "event": "handoff.completed",
        "type": "HANDOFF_COMPLETED",
        "createdAt": "2023-11-14T22:13:20Z",
        "payload": {
            "handoffRequestId": 1,
            "endedBy": "AGENT",
            "completedAt": "2023-11-14T22:13:20Z",
            "openKfid": KF,
            "userId": ANN,
            "agentId": LI,
        },
    }
    assert end.headers["X-Kfbot-Event"] == "handoff.completed"
    assert end.headers["X-Kfbot-Timestamp"] == "1700000009"
    assert end.headers["X-Kfbot-Signature"] == signature(SECRET, "1700000009", end.raw)
    assert end.headers["Content-Type"] == "application/json"
    assert end.headers["User-Agent"].startswith("kfbot/")
    assert len({each.headers["X-Kfbot-Delivery"] for each in receiver.accepted}) == 3
    assert post.outcomes == ["accepted"] * 3


async def test_the_documented_example_tells_true_from_forged(post: Post, receiver: Receiver) -> None:
    """The code of docs/webhooks.md, as it stands there."""
    await post.begin()
    await post.settled()
    [code] = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    verify = names["is_from_kfbot"]
    sent = receiver.accepted[0]
    with time_machine.travel(post.clock.now() + 200, tick=False):
        assert verify(sent.headers, sent.raw, SECRET)
        assert not verify(sent.headers, sent.raw + b" ", SECRET)
        assert not verify(sent.headers, sent.raw, SECRET + "!")
        assert not verify({**sent.headers, "X-Kfbot-Timestamp": "1700000100"}, sent.raw, SECRET)
    with time_machine.travel(post.clock.now() + 400, tick=False):
        assert not verify(sent.headers, sent.raw, SECRET), "a request caught and sent again later"


def test_every_event_is_documented_in_both_languages() -> None:
    english, chinese = DOCUMENT.read_text("utf-8").split("\n## 中文")
    for name in WEBHOOK_EVENTS:
        assert f"| `{name}` |" in english and f"| `{name}` |" in chinese


def test_the_known_answer() -> None:
    """So that nobody changes by accident what receivers have written code for."""
    assert signature("secret", "1700000000", b'{"id":1}') == (
        "sha256=3dd1b9aef568d75f6790a84bd2e5dfa1f44409eef3cbdbd3f10b837376100c11"
    )


async def test_a_whole_handoff_arrives_in_its_order(post: Post, receiver: Receiver) -> None:
    await asyncio.gather(*(post.whole(f"wm{number}") for number in range(20)))
    await post.settled()
    for handoff in range(1, 21):
        assert [event for number, event in receiver.story if number == handoff] == WHOLE


async def test_so_many_are_under_way_at_once_and_no_more(post: Post, receiver: Receiver) -> None:
    receiver.open.clear()
    for number in range(3 * AT_ONCE):
        await post.begin(f"wm{number}")
    for _ in range(3):
        await post.webhooks.look()
    async with asyncio.timeout(30):
        while receiver.busy < AT_ONCE:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.05)
    assert receiver.busy == AT_ONCE
    receiver.open.set()
    await post.webhooks.idle()
    assert (len(receiver.accepted), receiver.most) == (6 * AT_ONCE, AT_ONCE)


async def test_only_the_events_that_are_asked_for(
    database: Database, fake_clock: FakeClock, receiver: Receiver
) -> None:
    async with a_post(database, fake_clock, receiver, events=["handoff.completed", "handoff.progress"]) as post:
        await post.whole()
        await post.settled()
    assert receiver.story == [(1, "progress"), (1, "completed")]


# -- what is not accepted


@pytest.mark.parametrize("status", [500, 503, 400, 401, 404, 429, 302, 307])
async def test_anything_but_2xx_comes_again_the_same(post: Post, receiver: Receiver, status: int) -> None:
    receiver.answers = [status]
    await post.begin()
    await post.settled()
    assert len(receiver.received) == 1, "and no redirect is followed"
    await post.settled(4.9)
    assert len(receiver.received) == 1
    await post.settled(0.1)
    refused, accepted, _ = receiver.received
    assert refused.raw == accepted.raw
    assert refused.headers["X-Kfbot-Delivery"] == accepted.headers["X-Kfbot-Delivery"]
    assert refused.headers["X-Kfbot-Signature"] != accepted.headers["X-Kfbot-Signature"]
    assert (receiver.story, post.outcomes[0]) == ([(1, "requested"), (1, "accepted")], "failed")


async def test_pauses_grow_from_seconds_to_an_hour_and_end_after_a_day(post: Post, receiver: Receiver) -> None:
    receiver.refused = {1}
    await post.begin()
    began, pauses = post.clock.now(), list[float]()
    await post.settled()
    while next_at := await post.next_at():
        pauses.append(round(next_at - post.clock.now()))
        tried = len(receiver.received)
        await post.settled(pauses[-1] - 1)
        assert len(receiver.received) == tried
        await post.settled(1)
        assert len(receiver.received) == tried + 1 or len(pauses) == TRIES - 1
    assert pauses[:6] == [5, 15, 45, 135, 405, 1215]
    assert set(pauses[6:]) == {3600}
    assert len(pauses) == TRIES - 1
    assert 0.9 * DAY < post.clock.now() - began < 1.1 * DAY
    assert post.outcomes.count("failed") == TRIES - 1 and "dead" in post.outcomes


async def test_pauses_of_many_do_not_end_together(database: Database, fake_clock: FakeClock) -> None:
    least, most = (
        Webhooks(Outbox(database), Http().post, fake_clock, [], jitter=lambda each=each: each)._pause(3, 3600.0)  # type: ignore[misc]
        for each in (0.0, 1.0)
    )
    assert (least, most) == pytest.approx((36.0, 54.0))


async def test_gone_is_final_and_the_next_one_follows(post: Post, receiver: Receiver) -> None:
    receiver.answers = [410]
    await post.begin()
    await post.settled()
    assert receiver.story == [(1, "accepted")]
    assert await post.states() == ["dead", "done"]
    [dead] = await post.store.dead(EVERYTHING, 9)
    assert (dead.error, dead.attempts) == ("HTTP 410", 1)


async def test_one_that_is_refused_holds_up_its_own_handoff_only(post: Post, receiver: Receiver) -> None:
    receiver.refused = {1}
    for customer in (ANN, BOB):
        await post.whole(customer)
    await post.settled()
    assert receiver.story == [(2, event) for event in WHOLE]
    receiver.refused = set()
    await post.settled(5)
    assert receiver.story[4:] == [(1, event) for event in WHOLE]


async def test_one_that_is_slow_holds_up_nobody_else(post: Post, receiver: Receiver) -> None:
    receiver.open.clear()
    await post.begin(ANN)
    await post.webhooks.look()
    async with asyncio.timeout(30):
        while not receiver.busy:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        held, receiver.open = receiver.open, asyncio.Event()  # those who come now are let through
        receiver.open.set()
        await post.whole(BOB)
        await post.webhooks.look()
        await receiver.until(4)
    assert receiver.story == [(2, event) for event in WHOLE]
    held.set()


async def test_a_receiver_that_does_not_answer_in_time(
    post: Post, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.05)
    receiver.open.clear()
    await post.begin()
    await post.settled()
    receiver.open.set()
    monkeypatch.setattr(module, "SECONDS", 30.0)
    await post.settled(5)
    assert receiver.story[-2:] == [(1, "requested"), (1, "accepted")]
    assert post.outcomes[0] == "failed"


async def test_nobody_there(post: Post, receiver: Receiver, database: Database, fake_clock: FakeClock) -> None:
    async with receiving() as other:
        pass
    async with a_post(database, fake_clock, other) as lonely:
        await lonely.begin()
        await lonely.settled()
        assert lonely.outcomes == ["failed"] and await lonely.states() == ["pending", "pending"]


# -- a webhook that is down


async def down(post: Post, receiver: Receiver, handoffs: int = 60) -> None:
    receiver.status = 500
    for number in range(handoffs):
        await post.begin(f"wm{number}")
    await post.settled()


async def test_a_webhook_that_is_down_is_probed_and_not_hammered(post: Post, receiver: Receiver) -> None:
    await down(post, receiver)
    at_first = len(receiver.received)
    assert DOWN_AFTER <= at_first < DOWN_AFTER + AT_ONCE
    for _ in range(6 * 60):
        await post.settled(10)
    assert 55 <= len(receiver.received) - at_first <= 65, "one a minute in an hour"
    assert receiver.most <= AT_ONCE
    [(host, why)] = post.webhooks.down()
    assert (host, why) == ("127.0.0.1", "HTTP 500")
    assert len({each.handoff for each in receiver.received}) > 30, "not always the same one"


async def test_when_it_is_back_everything_comes_at_once_in_order(post: Post, receiver: Receiver) -> None:
    await down(post, receiver)
    for _ in range(100):
        await post.settled(60)
    receiver.status = 200
    for number in range(60):
        await post.end(f"wm{number}")
    for _ in range(12):
        await post.settled(10)
    assert len(receiver.accepted) == 180
    for handoff in range(1, 61):
        story = [event for number, event in receiver.story if number == handoff]
        assert story == ["requested", "accepted", "completed"]
    assert post.webhooks.down() == []


async def test_two_webhooks_do_not_wait_for_each_other(
    database: Database, fake_clock: FakeClock, receiver: Receiver
) -> None:
    async with receiving() as other, Http(connections_per_host=64) as http:
        webhooks = Webhooks(Outbox(database), http.post, fake_clock, [hook(receiver.url), hook(other.url)])
        await webhooks.open()
        receiver.open.clear()
        post = Post(webhooks, other, fake_clock, database, [])
        await post.whole()
        await webhooks.look()
        await other.until(4)
        assert [event for _, event in other.story] == WHOLE
        assert receiver.received == []
        receiver.open.set()
        await webhooks.idle()
        assert [event for _, event in receiver.story] == WHOLE


# -- restarts


async def test_a_restart_goes_on_where_the_last_process_stopped(
    database: Database, fake_clock: FakeClock, receiver: Receiver
) -> None:
    receiver.status = 503
    async with a_post(database, fake_clock, receiver) as post:
        await post.begin()
        await post.settled()
    await post.answer()
    await post.end()  # nobody looks at the log now
    receiver.status = 200
    async with a_post(database, fake_clock, receiver) as again:
        await again.settled(5)
    assert receiver.story == [(1, event) for event in WHOLE]


async def test_a_process_that_dies_in_the_middle_sends_the_same_again(
    database: Database, fake_clock: FakeClock, receiver: Receiver
) -> None:
    receiver.open.clear()
    async with a_post(database, fake_clock, receiver) as post:
        await post.begin()
        await post.webhooks.look()
        async with asyncio.timeout(30):
            while not receiver.busy:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        await post.webhooks.stop(0.0)
    async with a_post(database, fake_clock, receiver) as again:
        await again.settled()
    assert [event for _, event in receiver.story][-2:] == ["requested", "accepted"]
    keys = {each.headers["X-Kfbot-Delivery"] for each in receiver.received if each.event == "handoff.requested"}
    assert len(keys) == 1


async def test_at_stop_what_is_under_way_finishes_and_nothing_new_begins(post: Post, receiver: Receiver) -> None:
    receiver.open.clear()
    await post.begin()
    await post.webhooks.look()
    stopping = asyncio.create_task(post.webhooks.stop(30.0))
    await asyncio.sleep(0.05)
    receiver.open.set()
    await stopping
    assert await post.states() == ["done", "pending"]
    await post.settled()
    assert len(receiver.received) == 1


async def test_an_outcome_that_could_not_be_recorded_is_found_out_by_sending_again(
    post: Post, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    original = Outbox.settle

    async def full(*_: Any, **__: Any) -> None:
        raise StorageError("disk is full")

    await post.begin()
    monkeypatch.setattr(Outbox, "settle", full)
    await post.settled()
    assert "disk is full" in caplog.text
    monkeypatch.setattr(Outbox, "settle", original)
    await post.settled(LEASE - 1)
    assert len(receiver.received) == 1
    await post.settled(1)
    assert await post.states() == ["done", "done"]


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_fails_and_whoever_dies_each_event_is_accepted_once_and_in_order(
    database: Database, fake_clock: FakeClock, receiver: Receiver, seed: int
) -> None:
    chance = random.Random(seed)
    customers = [f"wm{number}" for number in range(12)]
    steps = {customer: iter(("begin", "answer", "end")) for customer in customers}
    for _ in range(40):
        async with a_post(database, fake_clock, receiver) as post:
            for customer in chance.sample(customers, 4):
                if step := next(steps[customer], ""):
                    await getattr(post, step)(customer)
            receiver.answers = [chance.choice((200, 500, 404)) for _ in range(chance.randrange(12))]
            await post.settled(chance.choice((0.0, 1.0, 20.0, 200.0)))
            if chance.random() < 0.3:
                await post.webhooks.look()
                await post.webhooks.stop(0.0)
    receiver.answers = []
    for _ in range(60):
        async with a_post(database, fake_clock, receiver) as post:
            await post.settled(600)
    assert set(await post.states()) == {"done"}
    keys: dict[str, tuple[int, str]] = {}
    for each, told in zip(receiver.accepted, receiver.story, strict=True):
        keys.setdefault(each.headers["X-Kfbot-Delivery"], told)
    assert len(keys) == len(await post.states()), "what came twice, after a process died, came with the same key"
    for handoff in {number for number, _ in keys.values()}:
        story = [event for number, event in keys.values() if number == handoff]
        assert story == WHOLE[: len(story)]


# -- the loop


async def test_the_loop_looks_when_something_is_heard(
    post: Post, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVERY", 3600.0)
    running = asyncio.create_task(post.webhooks.run())
    await asyncio.sleep(0.02)
    await post.begin()
    await post.webhooks.heard([])
    await receiver.until(2)
    running.cancel()


async def test_the_loop_looks_by_itself_and_survives_trouble(
    post: Post, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "EVERY", 0.01)
    original, calls = Outbox.collect, list[float]()

    async def broken(self: Outbox, now: float) -> int:
        calls.append(now)
        if len(calls) < 4:
            raise StorageError("database is locked")
        return await original(self, now)

    monkeypatch.setattr(Outbox, "collect", broken)
    await post.begin()
    running = asyncio.create_task(post.webhooks.run())
    await receiver.until(2)
    running.cancel()
    assert caplog.text.count("database is locked") == 1


async def test_without_webhooks_there_is_no_loop(database: Database, fake_clock: FakeClock) -> None:
    async with asyncio.timeout(30), Http() as http:
        webhooks = Webhooks(Outbox(database), http.post, fake_clock, [])
        await webhooks.open()
        await webhooks.run()


# -- what must not leak


async def test_neither_secret_nor_key_nor_path_is_logged(
    post: Post, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "aiohttp.access")  # the receiver's own
    caplog.set_level(logging.DEBUG)
    await down(post, receiver, 8)
    receiver.answers = [410]
    await post.settled(60)
    receiver.status = 200
    await post.settled(120)
    await post.settled(120)
    assert "webhook is down" in caplog.text and "webhook is back" in caplog.text
    for hidden in (SECRET, "S3CRETKEY", "hook?"):
        assert hidden not in caplog.text + repr(post.webhooks) + repr(hook(receiver.url).secret)


async def test_a_private_address_is_refused_and_told_as_such(
    database: Database, fake_clock: FakeClock, receiver: Receiver
) -> None:
    async with Http(public_only=True) as http:
        webhooks = Webhooks(Outbox(database), http.post, fake_clock, [hook(receiver.url)])
        await webhooks.open()
        post = Post(webhooks, receiver, fake_clock, database, [])
        await post.begin()
        await post.settled()
    assert receiver.received == []
    sql = "SELECT error FROM deliveries WHERE attempts=1"
    [(error,)] = await database.read(lambda db: db.execute(sql).fetchall())
    assert "a private address is refused" in error and "S3CRETKEY" not in error


def test_every_live_event_can_be_asked_for() -> None:
    assert WEBHOOK_EVENTS == {
        "handoff.requested": EventType.REQUESTED,
        "handoff.accepted": EventType.ACCEPTED,
        "handoff.progress": EventType.PROGRESS,
        "handoff.transferred": EventType.TRANSFERRED,
        "handoff.completed": EventType.COMPLETED,
    }
