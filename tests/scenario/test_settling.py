"""Whatever a process leaves half done is found and settled: by the next one at its start, and by a living one that
comes by, for a task may fail and a CLI may be killed beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import ClientSession

from bot import checks
from bot.core import Core
from bot.model import (
    EVERYTHING,
    CardTap,
    GroupMessage,
    HandoffStatus,
    Operator,
    OperatorType,
    ServiceState,
    SessionKey,
    Via,
)
from bot.ports import TAP
from bot.sessions import Session
from tests.receiver import Receiver, receiving
from tests.scenario.conftest import ANN, CHAT, KF, Stage, WecomTime
from tests.scenario.test_webhooks import with_webhook

KEY, ZHANG = SessionKey(KF, ANN), "ZhangSuQuan"
LI = Operator(OperatorType.AGENT, "LiNa")


@dataclass
class Scene:
    stage: Stage
    receiver: Receiver
    number: int = 0
    marks: dict[str, int] = field(default_factory=dict)

    @property
    def now(self) -> float:
        return self.stage.sandbox.now()

    async def status(self) -> HandoffStatus:
        found = await self.stage.bot.core.ledger.handoff(self.number)
        assert found is not None
        return found.status

    async def code(self, given_in: ServiceState) -> str:
        return await self.stage.bot.core.ledger.code_state(self.number, given_in)

    async def outcome(self, msgid: str) -> str | None:
        sql = "SELECT outcome FROM commands WHERE msgid=?"
        read = self.stage.bot.core.database.read
        rows: list[tuple[str | None]] = await read(lambda db: db.execute(sql, (msgid,)).fetchall())
        return rows[0][0]


Step = Callable[[Scene, Core], Awaitable[Any]]
Look = Callable[[Scene], Awaitable[Any]]


@dataclass(frozen=True)
class Leftover:
    """`prepare`: while a bot lives. `leave`: what a process wrote last. `settled`: true in the end, and then `proper`
    has to hold. `later`: seconds after which a living bot takes it up, by its job `job`, where it has not at once."""

    name: str
    prepare: Look
    leave: Step
    settled: Look
    proper: Callable[[Scene], None] = lambda scene: None
    later: float = 0.0
    job: str = ""


# -- what is left, and how


async def human(scene: Scene) -> None:
    scene.number = await scene.stage.with_human(servicer=ZHANG)


async def silent_human(scene: Scene) -> None:
    """With a greeting that nobody has begun to send."""
    mute(scene.stage.bot.core.greetings, "send_all")
    await human(scene)


async def silent_end(scene: Scene) -> None:
    """Ended in the client, with a goodbye that nobody has begun to send."""
    mute(scene.stage.bot.core.closings, "send_all")
    await human(scene)
    scene.stage.sandbox.servicer_ends(KF, ANN)
    await scene.stage.no_handoff()


async def said_goodbye(scene: Scene) -> None:
    await human(scene)
    scene.stage.sandbox.servicer_ends(KF, ANN)

    async def sent() -> bool:
        return await scene.code(ServiceState.ENDED) == "sent"

    await scene.stage.until(sent)


async def nothing(*args: Any) -> None:
    """Instead of what a process would do next."""


def mute(owner: object, name: str) -> None:
    vars(owner)[name] = nothing


def unmute(owner: object, name: str) -> None:
    vars(owner).pop(name, None)


async def intend(scene: Scene, core: Core) -> None:
    notify = (CHAT, True)
    await core.ledger.open_ending(KEY, lambda session: True, LI, Via.COMMAND, "", scene.now, 15.0, notify)


async def move_unrecorded(scene: Scene, core: Core) -> None:
    await intend(scene, core)
    await core.kf.trans(KEY, ServiceState.ENDED, ZHANG)


async def take_greeting(scene: Scene, core: Core) -> None:
    assert await core.ledger.take_code(scene.number, ServiceState.HUMAN)


async def take_goodbye(scene: Scene, core: Core) -> None:
    assert await core.ledger.take_code(scene.number, ServiceState.ENDED)


async def unsettle_goodbye(scene: Scene, core: Core) -> None:
    """It has been sent, and that was not put on record."""
    await core.database.write(lambda db: db.execute("UPDATE codes SET state='sending' WHERE service_state=4"))


async def wish(scene: Scene, core: Core) -> None:
    def ask(session: Session) -> None:
        session.end_asked_at = scene.now

    await core.ledger.change(KEY, ask, scene.now)


async def mark(scene: Scene, core: Core) -> None:
    """The state has to be read, for another program has taken the session into its own hands."""
    scene.stage.sandbox.session_state(KF, ANN, 3, "LiNa")

    def check(session: Session) -> None:
        session.check_at = scene.now

    await core.ledger.change(KEY, check, scene.now)


async def take_delivery(scene: Scene, core: Core) -> None:
    [hook] = scene.stage.settings.webhooks
    await core.outbox.open({hook.id: (hook.host, hook.types)}, scene.now)
    await core.outbox.collect(scene.now)
    while await core.outbox.take(hook.id, scene.now, 60.0):
        pass


async def deaf_webhooks(scene: Scene) -> None:
    mute(scene.stage.bot.webhooks, "look")
    await human(scene)


async def claim_command(scene: Scene, core: Core) -> None:
    lost = GroupMessage("aibot", "m-lost", CHAT, True, "LiNa", "/stats")
    assert await core.chats.claim(lost, "stats", lost.text, scene.now)


async def claim_tap(scene: Scene, core: Core) -> None:
    tap = CardTap("aibot", "m-lost", CHAT, True, "LiNa", f"snooze:{scene.number}")
    assert await core.chats.claim(tap, TAP, tap.key, scene.now)


async def lose_callback(scene: Scene) -> None:
    scene.stage.sandbox.fault("callback", "lose", times=None)


async def write_unheard(scene: Scene, core: Core) -> None:
    scene.stage.sandbox.customer_writes(KF, ANN, "在吗")
    scene.stage.sandbox.servicer_takes(KF, ANN, ZHANG)


async def unsaid_alert(scene: Scene) -> None:
    """On record as sent, but the process died before it was: its repeat comes."""
    await human(scene)
    mute(scene.stage.bot.alerting.speaker, "tell")
    scene.stage.sandbox.clock_advance(301)
    await scene.stage.synced()
    await scene.stage.bot.alerting.watch.tick()
    unmute(scene.stage.bot.alerting.speaker, "tell")
    assert (await scene.stage.bot.core.alerts.watched([scene.number]))[0].alerts


# -- how it looks when it is settled


async def ended(scene: Scene) -> bool:
    return await scene.status() is HandoffStatus.COMPLETED


async def greeted(scene: Scene) -> bool:
    return await scene.code(ServiceState.HUMAN) == "sent"


async def goodbye_settled(scene: Scene) -> bool:
    return await scene.code(ServiceState.ENDED) not in ("pending", "sending")


async def found(scene: Scene) -> Any:
    return await scene.stage.bot.core.ledger.open_handoff(KEY)


async def delivered(scene: Scene) -> bool:
    return (scene.number, "accepted") in scene.receiver.story


async def command_settled(scene: Scene) -> bool:
    return await scene.outcome("m-lost") == "lost"


async def alerted(scene: Scene) -> bool:
    await scene.stage.bot.alerting.watch.tick()
    return any(each.card for each in scene.stage.sandbox.group_messages(CHAT))


def ended_once(scene: Scene) -> None:
    assert len(scene.stage.moves()) == 1


def one_goodbye_at_most(scene: Scene) -> None:
    assert len(scene.stage.goodbyes()) <= 1


def one_goodbye(scene: Scene) -> None:
    assert len(scene.stage.goodbyes()) == 1


LEFTOVERS = [
    Leftover("an end intended", human, intend, ended, ended_once, 16, "settle"),
    Leftover("an end made, unrecorded", human, move_unrecorded, ended, ended_once, 16, "settle"),
    Leftover("an end asked for in the chat", human, wish, ended, ended_once, 0, "leaving"),
    Leftover("a greeting taken", silent_human, take_greeting, greeted, later=1, job="leftovers"),
    Leftover("a goodbye taken", silent_end, take_goodbye, goodbye_settled, one_goodbye_at_most, 60, "leftovers"),
    Leftover("a goodbye unrecorded", said_goodbye, unsettle_goodbye, goodbye_settled, one_goodbye, 60, "leftovers"),
    Leftover("a state to be read", said_goodbye, mark, found),
    Leftover("a webhook's event under way", deaf_webhooks, take_delivery, delivered, later=61),
    Leftover("a command under way", human, claim_command, command_settled, later=601, job="leftovers"),
    Leftover("a tap under way", human, claim_tap, command_settled, later=601, job="leftovers"),
    Leftover("items nobody called for", lose_callback, write_unheard, found, later=301, job="poll"),
    Leftover("an alert claimed, unsaid", unsaid_alert, nothing, alerted, later=901),
]  # fmt: skip
each_kind = pytest.mark.parametrize("left", LEFTOVERS, ids=lambda left: str(left.name))


@pytest.fixture
async def scene(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    monkeypatch.setattr(checks, "RETRY", 1.0)  # the longest it rests
    async with receiving() as receiver:
        stage.settings = with_webhook(stage.settings, receiver)
        await stage.live()
        yield Scene(stage, receiver)
        await stage.stop()


@each_kind
async def test_the_next_process_settles_it_at_its_start(scene: Scene, left: Leftover) -> None:
    await left.prepare(scene)
    await scene.stage.stop()
    dead = Core(scene.stage.settings, WecomTime(scene.stage.sandbox))
    await dead.open()
    await left.leave(scene, dead)
    await dead.close()
    await scene.stage.start()
    if left.settled is alerted or left.job == "settle":  # by its own time, or that of the lease
        scene.stage.sandbox.clock_advance(left.later)
    await scene.stage.until(lambda: left.settled(scene))
    left.proper(scene)


@each_kind
async def test_a_living_process_settles_it_as_well(scene: Scene, left: Leftover) -> None:
    await left.prepare(scene)
    bot = scene.stage.bot
    await left.leave(scene, bot.core)
    for owner, name in ((bot.core.greetings, "send_all"), (bot.core.closings, "send_all"), (bot.webhooks, "look")):
        unmute(owner, name)
    scene.stage.sandbox.clock_advance(left.later)
    if left.job:
        await next(each for each in bot._jobs() if each.name == left.job).run()
    await scene.stage.until(lambda: left.settled(scene))
    left.proper(scene)


# -- what a person has to look at


async def test_a_poisonous_item_is_shown_with_its_error_while_the_account_goes_on(scene: Scene) -> None:
    stage = scene.stage
    stage.sandbox.inject(KF, {"msgid": "odd", "send_time": "soon", "external_userid": ANN, "origin": 3})
    assert await stage.with_human()
    shown = await stage.ask("/parked", "ChenJing")
    assert "time is 'soon'" in shown
    assert "/replay" in shown
    assert "有 1 条消息没能读懂，见 /parked" in await stage.ask("/status")
    async with ClientSession(f"http://127.0.0.1:{stage.bot.port}") as http:
        async with http.get("/readyz") as probe:
            assert (probe.status, (await probe.json())["parked"]) == (200, {"items": 1})
        async with http.get("/metrics") as metrics:
            assert 'kfbot_parked{what="items"} 1.0' in await metrics.text()
    answer = await stage.ask("/replay all", "ChenJing")
    assert "1" in answer
    assert len(await stage.bot.core.sync_store.parked(EVERYTHING, 9)) == 1, "it is as odd as before"
