"""Who may do what, as one table: every command, button, route, page, socket and verb, by role and by place.

The tables are compared with what there is: what is new and stands in none of them fails here until its right is written
down. Then everybody tries everything.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import commands
from bot import cli, taps
from bot.app import App
from bot.core import Core
from bot.discovery import discover
from bot.errors import Unauthenticated
from bot.model import CardTap, Handoff
from bot.registry import Command, Role
from bot.settings import Settings
from bot.taps import Rights
from bot.web.doors import OURS
from bot.web.gates import gates
from bot.web.site import everything
from storage.audit import AuditLog
from tests.fakes import ANN, KF, TENANT, FakeClock, FakeKf, FakeSleep
from tests.unit.commands.conftest import CHAT, Room, a_room
from tests.unit.conftest import Scene
from tests.unit.test_taps import TEAM, Phone
from tests.unit.web.test_api import Stage, a_stage, settings

VIEWER, AGENT, ADMIN = Role
PEOPLE = {"Guest": VIEWER, "LiNa": AGENT, "Boss": ADMIN}

# -- commands: the least role, and whether anybody may also where there is no paired group around them

COMMANDS = {
    "ack": (AGENT, "1"),
    "alerts": (VIEWER, ""),
    "bind": (VIEWER, "00000000"),
    "confirm": (AGENT, "AAAA"),
    "end": (AGENT, "1"),
    "end all": (AGENT, "idle>1s"),
    "help": (VIEWER, ""),
    "history": (VIEWER, ""),
    "list": (VIEWER, ""),
    "mute": (AGENT, "1h"),
    "parked": (ADMIN, ""),
    "replay": (ADMIN, "all"),
    "servicers": (VIEWER, ""),
    "snooze": (AGENT, "1"),
    "stats": (VIEWER, ""),
    "status": (VIEWER, ""),
    "transfer": (AGENT, "1 WuMing"),
    "whoami": (VIEWER, ""),
}
BEFORE_PAIRING = {"bind", "whoami"}  # whoami tells the userid that the settings want, and nothing else
ALONE = {"bind", "help", "whoami"}  # for whoever is no admin; of these, bind wants a group
BUTTONS = {"end": AGENT, "snooze": AGENT, "ack": AGENT, "refresh": VIEWER, "noop": VIEWER}

# -- everything that HTTP serves: who may

ROUTES = {
    ("POST", "/customer/handoff/end-by-user"): "customer",
    ("GET", "/customer/handoff"): "customer",
    ("POST", "/agent/handoff/complete"): "agent",
    ("POST", "/agent/handoff/snooze"): "agent",
    ("POST", "/agent/handoff/transfer"): "agent",
    ("GET", "/handoffs"): "agent",
    ("GET", "/handoffs/{id}"): "agent",
    ("GET", "/handoffs/{id}/events"): "agent",
    ("GET", "/agent/servicers"): "agent",
    ("GET", "/agent/stats"): "agent",
    ("GET", "/agent/export"): "agent",
    ("GET", "/agent/me"): "agent",
    ("POST", "/agent/session"): "token",  # in the body
    ("DELETE", "/agent/session"): "",
}
BODIES: dict[str, dict[str, Any]] = {
    "/customer/handoff/end-by-user": {"handoffRequestId": 99},
    "/agent/handoff/complete": {"handoffRequestId": 99},
    "/agent/handoff/snooze": {"handoffRequestId": 99, "seconds": 60},
    "/agent/handoff/transfer": {"handoffRequestId": 99, "servicer": "WuMing"},
}
BESIDE_THE_API = {
    "/callback/kf": "WeCom's signature",
    "/healthz": "anybody",
    "/readyz": "anybody",
    "/metrics": "anybody",
    "/api/openapi.json": "anybody",
    "/h/{token}": "the link's token",
    "/h": "anybody: the page alone, which knows nothing",
    "/console": "anybody: the page alone, which knows nothing",
    "/assets/{name}": "anybody",
    "/login": "anybody",
    "/login/callback": "WeCom's code",
    "/ws/customer": "customer",
    "/ws/agent": "agent",
}

# -- verbs: whoever has a shell on the machine may all of it; what is entered in the audit log

VERBS = {
    "run": "what it does by itself",
    "demo": "nothing of ours is touched",
    "sandbox": "nothing of ours is touched",
    "check": "looks",
    "status": "looks",
    "end": "entered",
    "token": "entered",
    "export": "entered",
    "backup": "entered",
    "audit": "entered, but not --verify, which leaves what it checks as it is",
    "forget": "entered",
}


async def entered(room: Room | Scene) -> list[tuple[Any, ...]]:
    """(who, what, outcome) of each row of the audit log."""
    return [(row[4], row[5], row[9]) async for page in AuditLog(room.database).rows() for row in page]


def test_every_command_has_a_right_that_is_written_down() -> None:
    assert {each.name: each.role for each in discover(commands, Command)} == {
        name: role for name, (role, _) in COMMANDS.items()
    }


def test_what_takes_a_role_is_entered_and_of_the_others_what_changes_something() -> None:
    acting = {each.name for each in discover(commands, Command) if each.acts}
    assert acting == {name for name, (role, _) in COMMANDS.items() if role > VIEWER} | {"bind"}


def test_every_button_has_one() -> None:
    assert taps.NEEDS == BUTTONS


def test_every_route_has_one(tmp_path: Path) -> None:
    served = {(each.method, each.path): each.who for each in _app(tmp_path).site.api.routes}
    assert served == {key: "" if who == "token" else who for key, who in ROUTES.items()}


def test_there_is_no_other_way_in(tmp_path: Path) -> None:
    app = _app(tmp_path)._runner.app
    assert app is not None
    served = {route.resource.canonical for route in app.router.routes() if route.resource}
    assert served == {*BESIDE_THE_API, *(f"/api{path}" for _, path in ROUTES)}


def test_every_verb_says_whether_it_is_entered() -> None:
    assert set(cli.cli.commands) == set(VERBS)


def _app(folder: Path) -> App:
    given = {"wecom": {"corp_id": TENANT, "secret": "s"}, "storage": {"url": f"sqlite:///{folder / 'kfbot.db'}"}}
    return App(Core(Settings.model_validate({**given, "group": {"chat_ids": [CHAT]}})))


# -- everybody tries everything


@pytest.fixture
async def strict(tmp_path: Path) -> AsyncIterator[Room]:
    async with a_room(tmp_path / "kfbot.db", agents=("LiNa",)) as room:
        await room.open()
        yield room


async def outcome(room: Room, name: str, userid: str, **where: Any) -> str:
    """In one word; every try is a row of the command log."""
    await room.ask(f"/{name} {COMMANDS[name][1]}".strip(), userid, **where)
    return str((await room.row(await room.rows()))["outcome"])


@pytest.mark.parametrize("userid", PEOPLE)
@pytest.mark.parametrize("name", COMMANDS)
async def test_in_a_paired_group(strict: Room, name: str, userid: str) -> None:
    may = PEOPLE[userid] >= COMMANDS[name][0]
    came = await outcome(strict, name, userid)
    assert (came != "forbidden") is may, came
    rows = await entered(strict)
    assert {row[:2] for row in rows} <= {(userid, name)}
    if not may:
        assert [row[2] for row in rows] == ["refused"]
        assert strict.kf.moves == []


@pytest.mark.parametrize("userid", PEOPLE)
@pytest.mark.parametrize("name", COMMANDS)
async def test_in_a_group_that_is_not_paired(strict: Room, name: str, userid: str) -> None:
    came = await outcome(strict, name, userid, chat="wrOTHER")
    assert (came == "forbidden") is (name not in BEFORE_PAIRING - {"bind"}), "and bind has no code on offer"
    assert strict.kf.moves == []
    if came == "forbidden":
        assert (await entered(strict))[-1] == (userid, name, "refused")


async def test_before_any_group_is_paired_a_code_can_be_tried(tmp_path: Path) -> None:
    async with a_room(tmp_path / "kfbot.db", agents=("LiNa",), paired=()) as room:
        room.desk.offer_code()
        came = {name: await outcome(room, name, "LiNa") for name in COMMANDS}
        assert {name for name, how in came.items() if how != "forbidden"} == BEFORE_PAIRING
        rows = {row[1:] for row in await entered(room)}
        assert ("whoami", "allowed") in rows and {row[0] for row in rows if row[1] == "allowed"} <= BEFORE_PAIRING


@pytest.mark.parametrize("userid", PEOPLE)
@pytest.mark.parametrize("name", COMMANDS)
async def test_in_a_single_chat(strict: Room, name: str, userid: str) -> None:
    came = await outcome(strict, name, userid, single=True)
    assert (came != "forbidden") is (PEOPLE[userid] is ADMIN or name in ALONE), came
    if came == "forbidden":
        assert (await entered(strict))[-1] == (userid, name, "refused")
        assert strict.kf.moves == []


@pytest.mark.parametrize("name", COMMANDS)
async def test_nobody_can_do_nothing_wherever(strict: Room, name: str) -> None:
    for where in ({}, {"single": True}, {"chat": "wrOTHER"}, {"chat": ""}):
        came = await outcome(strict, name, "", **where)
        if COMMANDS[name][0] > VIEWER:
            assert came == "forbidden"
    assert strict.kf.moves == []


async def test_with_no_agents_named_everybody_in_the_paired_group_is_one_and_nobody_elsewhere(tmp_path: Path) -> None:
    async with a_room(tmp_path / "kfbot.db") as room:
        await room.open()
        for name, (role, _) in COMMANDS.items():
            if role is AGENT:
                assert await outcome(room, name, "Guest", single=True) == "forbidden"
                assert await outcome(room, name, "Guest", chat="wrOTHER") == "forbidden"
                assert await outcome(room, name, "Guest") != "forbidden"
            if role is ADMIN:
                assert await outcome(room, name, "Guest") == "forbidden"


# -- buttons


@pytest.fixture
async def alerted(scene: Scene) -> Handoff:
    handoff = await scene.waiting()
    await scene.raised(handoff)
    return handoff


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("button", [*BUTTONS, "list"])
async def test_buttons_by_role(scene: Scene, alerted: Handoff, button: str, role: Role) -> None:
    phone = Phone(scene)
    phone.rights = Rights(role, TEAM, True)
    before = replace(await scene.handoff(alerted.id)), (await scene.watched(alerted)).quiet
    await phone.tap("list:alerts" if button == "list" else f"{button}:{alerted.id}")
    may = role >= BUTTONS.get(button, VIEWER)
    assert (await phone.outcomes() == ["forbidden"]) is not may
    acts = BUTTONS.get(button, VIEWER) > VIEWER
    assert [row[1:] for row in await entered(scene)] == [(button, "allowed" if may else "refused")]
    if not (acts and may):
        assert (await scene.handoff(alerted.id), (await scene.watched(alerted)).quiet) == before
        assert phone.moves == 0


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("button", [*BUTTONS, "list"])
async def test_buttons_in_a_chat_that_is_not_open(scene: Scene, alerted: Handoff, button: str, role: Role) -> None:
    phone = Phone(scene)
    phone.rights = Rights(role, TEAM, False)
    card = await phone.tap("list:alerts" if button == "list" else f"{button}:{alerted.id}")
    assert await phone.outcomes() == ["forbidden"] and phone.moves == 0
    assert "小林" not in f"{card}" and ANN not in f"{card}"
    assert [row[2] for row in await entered(scene)] == ["refused"]


def test_where_a_tap_may_come_from(tmp_path: Path) -> None:
    """A paired group, and a single chat with an admin."""
    app = _app(tmp_path)
    app.dispatch.access = replace(app.dispatch.access, admins=frozenset({"Boss"}), agents=frozenset({"LiNa"}))
    found = {
        (chat, userid): (rights.open, rights.role)
        for chat in (CHAT, "wrOTHER", "")
        for userid in PEOPLE
        if (rights := app._rights(CardTap("fake", "t1", chat or userid, bool(chat), userid, "end:1", "T", "R")))
    }
    assert {where for where, (open_, _) in found.items() if open_} == {
        *((CHAT, userid) for userid in PEOPLE), ("", "Boss"),
    }  # fmt: skip
    assert {userid: found[CHAT, userid][1] for userid in PEOPLE} == PEOPLE


# -- the API, by who asks

ASKERS = ("nobody", "forged", "customer", "another tenant's", "viewer", "agent", "admin")


@pytest.fixture
async def stage(
    tmp_path: Path, fake_kf: FakeKf, fake_clock: FakeClock, fake_sleep: FakeSleep, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    monkeypatch.setattr("bot.core.KfClient", lambda *_, **__: fake_kf)
    given = settings(tmp_path, roles={"agents": ["LiNa"], "admins": ["Boss"]})
    async for ready in a_stage(given, fake_kf, fake_clock, fake_sleep):
        yield ready


def token_of(tokens: Any, asker: str) -> str:
    """A viewer's is one that was an agent's until the settings changed."""
    match asker:
        case "nobody":
            return ""
        case "customer":
            return str(tokens.customer_token(TENANT, KF, ANN))
        case "another tenant's":
            return str(tokens.customer_token("wwOTHER", KF, ANN))
        case "viewer" | "agent" | "admin":
            who = {"viewer": "Guest", "agent": "LiNa", "admin": "Boss"}[asker]
            return str(tokens.agent_token(who, ADMIN if asker == "admin" else AGENT))
    return "forged"


def let_in(who: str, asker: str) -> bool:
    staff = ("agent", "admin")
    return not who or asker in {"customer": ("customer",), "agent": staff, "token": staff}[who]


@pytest.mark.parametrize("asker", ASKERS)
async def test_the_api_by_who_asks(stage: Stage, asker: str) -> None:
    token = token_of(stage.core.tokens, asker)
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    for (method, path), who in ROUTES.items():
        headers = dict([OURS]) if who in ("", "token") else bearer
        body = {"token": token or "x"} if who == "token" else BODIES.get(path)
        url = f"http://127.0.0.1:{stage.port}/api{path.replace('{id}', '99')}"
        async with stage.http.request(method, url, headers=headers, json=body) as said:
            await said.read()
        assert said.status not in (400, 403, 405), (method, path)
        assert (said.status != 401) is let_in(who, asker), (method, path, said.status)
    changing = [(method, path) for method, path in ROUTES if method == "POST" or path.endswith("export")]
    refused = [row async for page in stage.core.audit_log.rows() for row in page if row[9] == "refused"]
    assert len(refused) >= sum(not let_in(ROUTES[key], asker) for key in ROUTES if key in changing)


@pytest.mark.parametrize("asker", ASKERS)
async def test_the_live_events_by_who_asks(stage: Stage, asker: str) -> None:
    token = token_of(stage.core.tokens, asker)
    for gate in gates(stage.core.tokens, everything):
        try:
            gate.admit(token)
            admitted = True
        except Unauthenticated:
            admitted = False
        assert admitted is let_in(gate.name, asker), gate.name
