"""A program that takes over after a human hears of every handoff, also when it or the bot was down in between."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from bot.model import EVERYTHING
from bot.outbox import signature
from bot.settings import OutgoingWebhook, Settings
from tests.receiver import Receiver, receiving
from tests.scenario.conftest import ANN, BOB, KF, KF2, Stage

SERVICER = "ZhangSuQuan"
SECRET = "a-long-random-text"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def telling(stage: Stage, receiver: Receiver) -> Stage:
    """A bot with a webhook."""
    stage.settings = with_webhook(stage.settings, receiver)
    await stage.live()
    return stage


def with_webhook(settings: Settings, receiver: Receiver, *, private: bool = True) -> Settings:
    hook = OutgoingWebhook(url=receiver.url, secret=SecretStr(SECRET))
    admins = settings.roles.model_copy(update={"admins": ["ChenJing"]})
    return settings.model_copy(update={"webhooks": [hook], "webhooks_allow_private": private, "roles": admins})


async def serve(stage: Stage, customer: str = ANN, kf: str = KF) -> int:
    stage.sandbox.customer_writes(kf, customer, "在吗")
    stage.sandbox.servicer_takes(kf, customer, SERVICER)
    stage.sandbox.servicer_writes(kf, customer, SERVICER, "您好")
    await stage.settled()
    return (await stage.open_handoff(customer, kf)).id


async def until(stage: Stage, receiver: Receiver, handoff: int, *events: str) -> None:
    """These events of the handoff have been accepted, in this order."""

    async def came() -> bool:
        return [event for number, event in receiver.story if number == handoff] == list(events)

    await stage.until(came)


async def test_an_end_in_the_client_arrives_at_once_and_signed(telling: Stage, receiver: Receiver) -> None:
    handoff = await serve(telling)
    telling.sandbox.servicer_ends(KF, ANN)
    await until(telling, receiver, handoff, "requested", "accepted", "progress", "completed")
    end = receiver.accepted[-1]
    assert end.body["payload"]["endedBy"] == "AGENT" and end.body["payload"]["userId"] == ANN
    assert end.headers["X-Kfbot-Signature"] == signature(SECRET, end.headers["X-Kfbot-Timestamp"], end.raw)


async def test_each_way_of_ending_is_told_as_what_it_was(telling: Stage, receiver: Receiver) -> None:
    by_command = await serve(telling)
    assert (await telling.ask(f"/end {by_command}")).startswith("✅")
    by_customer = await serve(telling, BOB, KF2)
    telling.sandbox.customer_writes(KF2, BOB, "结束对话")
    for handoff in (by_command, by_customer):
        await until(telling, receiver, handoff, "requested", "accepted", "progress", "completed")
    ends = [each for each in receiver.accepted if each.event == "handoff.completed"]
    told = {each.handoff: each.body["payload"]["endedBy"] for each in ends}
    assert told == {by_command: "AGENT", by_customer: "USER"}


async def test_what_a_receiver_missed_comes_in_order_when_it_is_back_also_after_a_restart(
    telling: Stage, receiver: Receiver
) -> None:
    receiver.status = 503
    handoff = await serve(telling)
    await receiver.until(1)
    telling.sandbox.servicer_ends(KF, ANN)
    await telling.no_handoff()
    await telling.stop()
    assert receiver.story == []

    receiver.status = 200
    telling.sandbox.clock_advance(6)
    await telling.start()
    await until(telling, receiver, handoff, "requested", "accepted", "progress", "completed")
    first, *_ = receiver.received
    assert first.headers["X-Kfbot-Delivery"] == receiver.accepted[0].headers["X-Kfbot-Delivery"]


async def test_what_ends_while_the_bot_is_down_is_told_when_it_is_up(telling: Stage, receiver: Receiver) -> None:
    handoff = await serve(telling)
    await until(telling, receiver, handoff, "requested", "accepted", "progress")
    await telling.stop()
    telling.sandbox.servicer_ends(KF, ANN)
    await telling.start()
    await until(telling, receiver, handoff, "requested", "accepted", "progress", "completed")


async def test_a_webhook_that_is_added_later_hears_nothing_of_the_past(stage: Stage, receiver: Receiver) -> None:
    await stage.live()
    await serve(stage)
    await stage.stop()
    stage.settings = with_webhook(stage.settings, receiver)
    await stage.start()
    stage.sandbox.servicer_ends(KF, ANN)
    await until(stage, receiver, 1, "completed")


async def test_dead_ones_are_listed_and_replayed_from_the_group(telling: Stage, receiver: Receiver) -> None:
    receiver.status = 410
    handoff = await serve(telling)
    await telling.until(lambda: _dead(telling, 3))
    receiver.status = 200
    problems = await telling.ask("/status")
    assert "有 3 个事件没能送达，见 /parked" in problems
    listed = await telling.ask("/parked", "ChenJing")
    assert "**没能送达的事件** 3 个" in listed and "HTTP 410" in listed and "S3CRETKEY" not in listed
    assert "3 个事件重新发送中" in await telling.ask("/replay all", "ChenJing")
    await until(telling, receiver, handoff, "requested", "accepted", "progress")
    assert await telling.ask("/parked", "ChenJing") == "没有积压。"


async def _dead(stage: Stage, count: int) -> bool:
    return await stage.bot.core.outbox.count_dead(EVERYTHING) == count


async def test_the_own_network_is_out_of_reach_unless_it_is_meant(stage: Stage, receiver: Receiver) -> None:
    stage.settings = with_webhook(stage.settings, receiver, private=False)
    await stage.live()
    handoff = await serve(stage)

    async def tried() -> bool:
        sql = "SELECT error FROM deliveries WHERE handoff_id=? AND error != ''"
        found = await stage.bot.core.database.read(lambda db: db.execute(sql, (handoff,)).fetchall())
        return bool(found) and "a private address is refused" in found[0][0]

    await stage.until(tried)
    assert receiver.received == []
