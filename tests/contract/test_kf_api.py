"""FakeKf, and the real client against the sandbox: whatever tests rely on holds for both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import stamina

from bot.errors import RateLimited, SyncTokenExpired, WeComError, WeComUnavailable
from bot.http import Http
from bot.model import KfAccount, KfItem, Message, Servicer, ServiceState, SessionKey, StateReading
from bot.ports import KfApi
from bot.sandbox import Sandbox, SandboxConfig
from bot.wecom.client import KfClient
from tests.fakes import (
    ALLOWED,
    ANN,
    ASSISTANT,
    BOB,
    ENDED,
    HUMAN,
    KF,
    KF2,
    LI,
    NEW,
    QUEUED,
    WU,
    FakeClock,
    FakeKf,
    raising,
    refusal,
    unavailable,
)

KEY = SessionKey(KF, ANN)
HI = Message("您好")
PATHS = {"trans": "kf/service_state/trans", "state": "kf/service_state/get", "sync": "kf/sync_msg"}


@dataclass
class World:
    """A WeCom, the people in it, and the kf API to it."""

    people: FakeKf | Sandbox
    kf: KfApi
    clock: FakeClock

    def token(self) -> str:
        if isinstance(self.people, FakeKf):
            return self.people.sync_token(KF)
        return self.people.world.sync_tokens.issue(KF, self.people.now())

    def refuses(self, name: str, errcode: int) -> None:
        """The next call of that name is refused and has no effect."""
        if isinstance(self.people, FakeKf):
            self.people.before(name, raising(refusal(errcode)))
        else:
            self.people.fault(PATHS[name], "errcode", errcode=errcode)

    def breaks(self, name: str, *, effect: bool) -> None:
        """The next call of that name gets no answer, with or without its effect."""
        if isinstance(self.people, FakeKf):
            (self.people.after if effect else self.people.before)(name, raising(unavailable()))
        else:
            self.people.fault(PATHS[name], "reset_after" if effect else "reset_before")


@asynccontextmanager
async def fake(clock: FakeClock) -> AsyncIterator[World]:
    kf = FakeKf(clock, page=3)
    yield World(kf, kf, clock)


@asynccontextmanager
async def real(clock: FakeClock) -> AsyncIterator[World]:
    """The token of the real client outlives the two days that these tests let pass."""
    config = SandboxConfig(page_limit=3, token_ttl=10 * 86_400)
    async with Sandbox(config, now=clock.now).serve() as sandbox, Http() as http:
        client = KfClient(http, config.corp_id, config.secret, sandbox.base_url)
        yield World(sandbox, client, clock)


@pytest.fixture(params=[fake, real], ids=["fake", "real"])
async def world(request: pytest.FixtureRequest, fake_clock: FakeClock) -> AsyncIterator[World]:
    async with request.param(fake_clock) as world:
        world.people.account_new(KF, "售前咨询", {LI: "李娜", WU: "吴明"})
        world.people.account_new(KF2, "售后服务", {LI: "李娜"})
        world.people.customer_new("小林", ANN)
        world.people.customer_new("Bob", BOB)
        yield world


@pytest.fixture(autouse=True)
def _no_waiting_between_attempts() -> Iterator[None]:
    with stamina.set_testing(True, attempts=1):
        yield


async def errcode(awaitable: object) -> int:
    with pytest.raises(WeComError) as refused:
        await awaitable  # type: ignore[misc]
    return refused.value.errcode


async def reading(world: World) -> tuple[ServiceState, str | None]:
    found = await world.kf.state(KEY)
    return found.state, found.servicer_userid


def facts(item: KfItem) -> tuple[object, ...]:
    """What both must agree on; msgids and codes are made up by each."""
    event = {name: value for name, value in (item.event or {}).items() if name not in ("msg_code", "stop_type")}
    return item.external_userid, item.send_time, item.origin, item.servicer_userid, item.text, event


# -- reads


async def test_accounts_and_servicers_are_listed(world: World) -> None:
    assert await world.kf.accounts() == [KfAccount(KF, "售前咨询"), KfAccount(KF2, "售后服务")]
    world.people.servicer_status(KF, WU, 1)
    assert await world.kf.servicers(KF) == [Servicer(LI, True), Servicer(WU, False)]


async def test_only_customers_of_the_last_two_days_have_names(world: World) -> None:
    world.people.customer_writes(KF, ANN, "在吗")
    assert await world.kf.nicknames([ANN, BOB]) == {ANN: "小林"}


async def test_a_session_nobody_has_begun_is_ended(world: World) -> None:
    assert await world.kf.state(KEY) == StateReading(ENDED)


async def test_strangers_are_refused(world: World) -> None:
    assert await errcode(world.kf.state(SessionKey(KF, "wmStranger"))) == 40096
    assert await errcode(world.kf.state(SessionKey("wkElsewhere", ANN))) == 95004


@pytest.mark.parametrize(
    ("routing", "expected"), [("assistant", (NEW, None)), ("queue", (QUEUED, None)), ("human", (HUMAN, LI))]
)
async def test_routing_decides_where_a_session_begins(
    world: World, routing: str, expected: tuple[ServiceState, str | None]
) -> None:
    world.people.servicer_status(KF, WU, 1)
    world.people.account_routing(KF, routing)
    world.people.customer_writes(KF, ANN, "在吗")
    assert await reading(world) == expected


async def test_a_session_ends_by_itself_two_days_after_the_customer_wrote(world: World) -> None:
    world.people.customer_writes(KF, ANN, "在吗")
    world.people.servicer_takes(KF, ANN, LI)
    world.clock.move(48 * 3600 + 1)
    assert await reading(world) == (ENDED, None)


# -- moves


@pytest.mark.parametrize("target", ServiceState)
@pytest.mark.parametrize("state", ServiceState)
async def test_only_some_moves_are_allowed(world: World, state: ServiceState, target: ServiceState) -> None:
    world.people.customer_writes(KF, ANN, "在吗")
    world.people.session_state(KF, ANN, state, LI if state is HUMAN else "")
    move = world.kf.trans(KEY, target, WU if target is HUMAN else None)
    if target in ALLOWED[state]:
        await move
        assert await reading(world) == (target, WU if target is HUMAN else None)
    else:
        assert await errcode(move) == (95013 if state is ENDED else 95016)
        assert await reading(world) == (state, LI if state is HUMAN else None)


async def with_human(world: World) -> None:
    world.people.customer_writes(KF, ANN, "在吗")
    world.people.session_state(KF, ANN, HUMAN, LI)


@pytest.mark.parametrize("servicer", [LI, WU, None])
async def test_an_end_needs_no_servicer_but_a_known_one_if_any(world: World, servicer: str | None) -> None:
    await with_human(world)
    assert await world.kf.trans(KEY, ENDED, servicer)
    assert await reading(world) == (ENDED, None)


async def test_who_does_not_serve_the_account_cannot_be_named(world: World) -> None:
    await with_human(world)
    assert await errcode(world.kf.trans(KEY, ENDED, "Nobody")) == 95014
    assert await reading(world) == (HUMAN, LI)


async def test_who_has_stopped_receiving_gets_no_session(world: World) -> None:
    world.people.servicer_status(KF, WU, 1)
    await with_human(world)
    assert await errcode(world.kf.trans(KEY, HUMAN, WU)) == 95019


async def test_a_reply_code_comes_the_first_time_only(world: World) -> None:
    world.people.customer_writes(KF, ANN, "在吗")
    assert await world.kf.trans(KEY, HUMAN, LI)
    assert await world.kf.trans(KEY, HUMAN, WU) == ""


async def test_a_move_by_api_makes_no_event(world: World) -> None:
    await with_human(world)
    before = len((await world.kf.sync(KF, "", world.token())).items)
    await world.kf.trans(KEY, ENDED)
    assert len((await world.kf.sync(KF, "", world.token())).items) == before


async def test_a_refused_move_has_no_effect(world: World) -> None:
    await with_human(world)
    world.refuses("trans", 95016)
    assert await errcode(world.kf.trans(KEY, ENDED)) == 95016
    assert await reading(world) == (HUMAN, LI)


@pytest.mark.parametrize("effect", [False, True])
async def test_a_move_without_an_answer_may_have_happened(world: World, effect: bool) -> None:
    await with_human(world)
    world.breaks("trans", effect=effect)
    with pytest.raises(WeComUnavailable) as lost:
        await world.kf.trans(KEY, ENDED)
    assert lost.value.sent
    assert await reading(world) == ((ENDED, None) if effect else (HUMAN, LI))


# -- the message stream


async def test_the_stream_tells_what_people_do(world: World) -> None:
    at, people = int(world.clock.now()), world.people
    people.account_routing(KF, "queue")
    people.customer_writes(KF, ANN, "在吗")
    people.servicer_takes(KF, ANN, LI)
    people.servicer_writes(KF, ANN, LI, "您好")
    people.servicer_transfers(KF, ANN, WU)
    people.servicer_ends(KF, ANN)
    people.servicer_writes(KF, ANN, WU, "还有一点")
    told = [facts(item) for item in await read_all(world)]
    change = {"event_type": "session_status_change", "open_kfid": KF, "external_userid": ANN}
    assert told == [
        (ANN, at, 3, "", "在吗", {}),
        (ANN, at, 4, "", "", change | {"change_type": 1, "new_servicer_userid": LI}),
        (ANN, at, 5, LI, "您好", {}),
        (ANN, at, 4, "", "", change | {"change_type": 2, "old_servicer_userid": LI, "new_servicer_userid": WU}),
        (ANN, at, 4, "", "", change | {"change_type": 3, "old_servicer_userid": WU}),
        (ANN, at, 4, "", "", change | {"change_type": 4, "old_servicer_userid": WU, "new_servicer_userid": WU}),
        (ANN, at, 5, WU, "还有一点", {}),
    ]


async def read_all(world: World) -> list[KfItem]:
    items, cursor, token = [], "", world.token()
    while True:
        page = await world.kf.sync(KF, cursor, token)
        items += page.items
        if not page.has_more:
            return items
        assert page.next_cursor != cursor
        cursor = page.next_cursor


async def test_a_change_of_reception_names_no_customer(world: World) -> None:
    world.people.servicer_status(KF, WU, 1)
    (item,) = await read_all(world)
    event = {"event_type": "servicer_status_change", "open_kfid": KF, "servicer_userid": WU, "status": 2}
    assert facts(item) == ("", int(world.clock.now()), 4, WU, "", event)


async def test_pages_end_where_has_more_says_so_and_cursors_go_on_from_there(world: World) -> None:
    for number in range(4):
        world.people.customer_writes(KF, ANN, str(number))
    first = await world.kf.sync(KF, "", world.token())
    rest = await world.kf.sync(KF, first.next_cursor, world.token())
    assert (len(first.items), first.has_more, len(rest.items), rest.has_more) == (3, True, 1, False)
    nothing = await world.kf.sync(KF, rest.next_cursor, world.token())
    assert (nothing.items, nothing.next_cursor, nothing.has_more) == ([], rest.next_cursor, False)


async def test_a_cursor_of_somewhere_else_is_refused(world: World) -> None:
    assert await errcode(world.kf.sync(KF, "of another life", world.token())) == 40058


async def test_a_token_lives_ten_minutes(world: World) -> None:
    token = world.token()
    await world.kf.sync(KF, "", token)
    world.clock.move(601)
    with pytest.raises(SyncTokenExpired):
        await world.kf.sync(KF, "", token)


async def test_ten_calls_a_minute_go_without_a_token(world: World) -> None:
    for _ in range(10):
        await world.kf.sync(KF, "")
    with pytest.raises(RateLimited):
        await world.kf.sync(KF, "")


# -- sending


async def test_the_assistant_may_write(world: World) -> None:
    world.people.customer_writes(KF, ANN, "在吗")
    assert await world.kf.send(KEY, HI, "out-1") == "out-1"
    assert await reading(world) == (ASSISTANT, None)
    assert await errcode(world.kf.send(KEY, HI, "out-1")) == 40058


@pytest.mark.parametrize("state", [QUEUED, HUMAN, ENDED])
async def test_nobody_writes_by_api_into_a_session_with_a_human(world: World, state: ServiceState) -> None:
    world.people.customer_writes(KF, ANN, "在吗")
    world.people.session_state(KF, ANN, state, LI if state is HUMAN else "")
    assert await errcode(world.kf.send(KEY, HI, "out-1")) == 95018


async def ending_code(world: World) -> str:
    await with_human(world)
    return await world.kf.trans(KEY, ENDED)


async def test_a_code_works_once(world: World) -> None:
    code = await ending_code(world)
    await world.kf.send_on_event(code, HI, "closing-1")
    assert await errcode(world.kf.send_on_event(code, HI, "closing-2")) == 40058


async def test_a_code_of_an_end_in_the_client_works_as_well(world: World) -> None:
    await with_human(world)
    code = world.people.servicer_ends(KF, ANN)
    await world.kf.send_on_event(code, HI, "closing-1")


async def test_an_ending_code_lives_twenty_seconds(world: World) -> None:
    code = await ending_code(world)
    world.clock.move(20.5)
    assert await errcode(world.kf.send_on_event(code, HI, "closing-1")) == 40058


async def test_a_code_dies_with_the_state_it_was_given_in(world: World) -> None:
    code = await ending_code(world)
    world.people.customer_writes(KF, ANN, "等等")
    assert await errcode(world.kf.send_on_event(code, HI, "closing-1")) == 95018
