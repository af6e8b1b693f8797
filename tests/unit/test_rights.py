"""Who may do what, and that nobody may where something is broken: settings, ids, groups, tokens."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.core import Core
from bot.dispatch import Access
from bot.errors import SettingsError, Unauthenticated
from bot.model import GroupMessage
from bot.registry import Role
from bot.settings import Settings
from bot.settings_file import load
from storage.audit import AuditLog
from tests.unit.commands.conftest import ANN, BOB, CHAT, Room, a_room

ENCRYPTED = "woAJ2GCAAAXtWyujaWJHDDGi0mACas1w"  # what WeCom calls a member whose userid the bot may not see
ACTING = ["/end 1", "/end all idle>1s", "/confirm AAAA", "/transfer 1 WuMing", "/snooze 1", "/ack 1", "/mute 1h",
          "/parked", "/replay all"]  # fmt: skip


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.upper().startswith("KFBOT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


async def entered(room: Room) -> list[tuple[Any, ...]]:
    """(who, what, outcome) of each row of the audit log."""
    return [(row[4], row[5], row[9]) async for page in AuditLog(room.database).rows() for row in page]


# -- settings


@pytest.mark.parametrize(
    "roles",
    [
        "{agent: [LiNa]}",
        "{agents: {LiNa: true}}",
        "{agents: ['']}",
        "{agents: [' ']}",
        "{agents: ' , '}",
        "{agents: [LiNa, ' WuMing']}",
        "{agents: [[LiNa]]}",
        "{agents: off}\n  extra: 1",
        "[LiNa]",
    ],
)
def test_roles_that_say_nothing_stop_the_bot_instead_of_letting_everybody_in(tmp_path: Path, roles: str) -> None:
    (tmp_path / "settings.yaml").write_text(f"roles: {roles}\n")
    with pytest.raises(SettingsError) as refused:
        load(tmp_path / "settings.yaml")
    assert any("roles" in key or "yaml" in f"{key} {what}" for key, what in refused.value.problems)


@pytest.mark.parametrize("value", ["", " ", ",", " , ,", '[""]', '["LiNa"', "[LiNa]"])
def test_nor_does_an_environment_that_was_filled_with_nothing(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("KFBOT_ROLES__AGENTS", value)
    with pytest.raises(SettingsError):
        load(None)


def test_settings_are_read_once_so_that_nothing_opens_while_they_are_being_written(tmp_path: Path) -> None:
    """There is no reload that could fail: a change counts from the next start, and a broken file stops that."""
    file = tmp_path / "settings.yaml"
    file.write_text("roles: {agents: [LiNa]}\n")
    settings = load(file)
    file.write_text("roles: {agents: [")
    assert settings.roles.agents == ["LiNa"]
    with pytest.raises(SettingsError):
        load(file)


@pytest.mark.parametrize(
    "roles", ["{agents: [~]}", "{agents: ['', ~]}", "{agents: [[]]}", "{agents: [{LiNa: 1}]}", "{admins: {}}"]
)
def test_what_is_no_name_is_nobodys(tmp_path: Path, roles: str) -> None:
    (tmp_path / "settings.yaml").write_text(f"roles: {roles}\n")
    with pytest.raises(SettingsError) as refused:
        load(tmp_path / "settings.yaml")
    assert {key.split(".")[0] for key, _ in refused.value.problems} == {"roles"}


@pytest.mark.parametrize(("agents", "userid"), [("[1001]", "1001"), ("1001", "1001"), ("[1.5]", "1.5")])
def test_a_number_is_somebodys_name_and_does_not_let_in_the_others(tmp_path: Path, agents: str, userid: str) -> None:
    """YAML reads such a userid as a number; what it makes of other words names nobody, and lets nobody in either."""
    (tmp_path / "settings.yaml").write_text(f"roles: {{agents: {agents}, admins: [true]}}\n")
    core = Core(load(tmp_path / "settings.yaml"))
    assert core.access.role(userid) is Role.AGENT
    assert core.access.role("LiNa") is Role.VIEWER


@pytest.mark.parametrize(
    "group",
    ["{chat_ids: ['']}", "{chat_ids: ['wrA', ' ']}", "{chat_ids: [' wrA']}", "{chat_ids: [~]}",
     "{routes: {wkA: ''}}", "{routes: {wkA: ' '}}", "{routes: {wkA: ~}}"],
)  # fmt: skip
def test_a_group_without_an_id_is_not_paired(tmp_path: Path, group: str) -> None:
    (tmp_path / "settings.yaml").write_text(f"group: {group}\n")
    with pytest.raises(SettingsError) as refused:
        load(tmp_path / "settings.yaml")
    assert {key.split(".")[0] for key, _ in refused.value.problems} == {"group"}


# -- who


def test_nobody_is_no_agent_and_no_admin() -> None:
    for access in (Access(), Access(frozenset({""}), frozenset({""})), Access(frozenset({"Boss"}))):
        assert access.role("") is Role.VIEWER


@pytest.mark.parametrize("userid", [ENCRYPTED, "LiNa ", " LiNa", "LiNa\n", "ＬｉＮａ", "LiNа", "LıNa", "LiN"])
def test_who_only_looks_like_an_agent_is_none(userid: str) -> None:
    """Encrypted, with a blank, full-width, with a Cyrillic а, without a dot, cut short."""
    access = Access(frozenset({"Boss"}), frozenset({"LiNa"}))
    assert access.role(userid) is Role.VIEWER and not access.names(userid)


@pytest.mark.parametrize(
    ("named", "came"), [("lina", "LiNa"), ("LiNa", "lina"), ("LINA", "LiNa"), ("Zhang.S@x", "zhang.s@X")]
)
def test_case_tells_no_two_members_apart(named: str, came: str) -> None:
    """As WeCom has it: userids are unique in whatever case, and settings are written by hand."""
    assert Access(frozenset(), frozenset({named})).role(came) is Role.AGENT
    access = Access(frozenset({named}), frozenset({"Other"}))
    assert access.role(came) is Role.ADMIN and access.names(came)


def test_letters_that_only_fold_to_the_same_are_somebody_elses() -> None:
    access = Access(frozenset({"Kim"}), frozenset({"张三"}))
    assert access.role("\u212aim") is Role.VIEWER, "a Kelvin sign"
    assert access.role("张三") is Role.AGENT, "as it is written"


def test_an_encrypted_id_can_be_named_like_any_other() -> None:
    assert Access(frozenset({ENCRYPTED}), frozenset({"LiNa"})).role(ENCRYPTED) is Role.ADMIN


# -- commands


@pytest.mark.parametrize("userid", ["Guest", ENCRYPTED, ""])
async def test_a_viewer_can_do_nothing_and_each_try_is_entered(tmp_path: Path, userid: str) -> None:
    async with a_room(tmp_path / "kfbot.db", agents=("LiNa",)) as room:
        await room.open()
        for text in ACTING:
            await room.ask(text, userid=userid)
        assert room.kf.moves == []
        assert [outcome for *_, outcome in await entered(room)] == ["refused"] * len(ACTING)
        assert "1" in await room.ask("/list", userid=userid)


async def test_nobody_is_kept_out_where_everybody_else_is_an_agent(tmp_path: Path) -> None:
    async with a_room(tmp_path / "kfbot.db") as room:
        await room.open()
        assert "不能执行 /end" in await room.ask("/end 1", userid="")
        assert room.kf.moves == []


async def test_an_agent_is_no_admin(tmp_path: Path) -> None:
    async with a_room(tmp_path / "kfbot.db", agents=("LiNa",)) as room:
        for text in ("/parked", "/replay all"):
            assert "`Boss`" in await room.ask(text)
        assert await entered(room) == [("LiNa", "parked", "refused"), ("LiNa", "replay", "refused")]


@pytest.mark.parametrize("userid", ["LiNa", "Boss"])
async def test_a_group_that_is_not_paired_can_do_nothing_whoever_asks(tmp_path: Path, userid: str) -> None:
    async with a_room(tmp_path / "kfbot.db", agents=("LiNa",)) as room:
        await room.open()
        for text in (*ACTING, "/list", "/status"):
            assert (
                "没有与我配对" in await room.ask(text, userid=userid, chat="wrOTHER") or "配对" in room.channel.said[-1]
            )
        assert room.kf.moves == []
        rows = await entered(room)
        assert {outcome for *_, outcome in rows} == {"refused"} and len(rows) == len(ACTING) + 2


async def test_a_group_that_is_unpaired_while_the_bot_runs_can_do_nothing_from_then_on(tmp_path: Path) -> None:
    async with a_room(tmp_path / "kfbot.db", agents=("LiNa",)) as room:
        await room.open()
        assert "总览" in await room.ask("/status")
        room.dispatch.paired.discard(CHAT)
        for userid in ("LiNa", "Boss", "Guest"):
            assert "总览" not in await room.ask("/status", userid=userid)
            await room.ask("/end 1", userid=userid)
        assert room.kf.moves == []
        assert room.dispatch.teams.scope(CHAT, True, False) == room.dispatch.teams.scope("wrOTHER", True, False)
        assert room.dispatch.role_of(GroupMessage("fake", "m", CHAT, True, "Guest", "")) is Role.VIEWER


async def test_in_a_single_chat_an_agent_can_do_nothing(tmp_path: Path) -> None:
    async with a_room(tmp_path / "kfbot.db", agents=("LiNa",)) as room:
        await room.open()
        for text in ACTING:
            assert "单聊只对管理员开放" in await room.ask(text, single=True)
        assert room.kf.moves == [] and {each[2] for each in await entered(room)} == {"refused"}


# -- what is entered of a command


async def test_who_acts_is_entered_with_whom_and_what(tmp_path: Path) -> None:
    async with a_room(tmp_path / "kfbot.db") as room:
        first = await room.open()
        await room.ask("/snooze 1 10m")
        await room.ask("/end 1 王先生的订单已解决")
        found = [row async for page in AuditLog(room.database).rows() for row in page]
        assert [row[5:11] for row in found] == [
            ("snooze", first.id, CHAT, first.open_kfid, "allowed", '{"duration":"10m"}'),
            ("end", first.id, CHAT, first.open_kfid, "allowed", "{}"),
        ]
        assert "王先生" not in str(found), "a reason is what somebody wrote"


async def test_who_only_looks_is_entered_as_well(tmp_path: Path) -> None:
    async with a_room(tmp_path / "kfbot.db") as room:
        for text in ("/status", "/list", "/help", "/whoami", "/nonsense", "/list foo"):
            await room.ask(text)
        assert [(what, outcome) for _, what, outcome in await entered(room)] == [
            ("status", "allowed"), ("list", "allowed"), ("help", "allowed"), ("whoami", "allowed"), ("?", "refused"),
            ("list", "refused"),
        ]  # fmt: skip


async def test_a_customers_id_in_the_place_of_something_else_is_not_entered(tmp_path: Path) -> None:
    """Nobody could ever be forgotten whose id stands there: its rows stay as they are."""
    async with a_room(tmp_path / "kfbot.db", admins=("LiNa",)) as room:
        await room.open()
        for text in ("/mute", "/snooze 1", "/transfer 1", "/transfer 1 @"):
            await room.ask(f"{text} {ANN}".replace("@ ", "@"))
        found = [row async for page in AuditLog(room.database).rows() for row in page]
        assert len(found) >= 4 and ANN not in str(found)
        assert len({json.loads(row[10]).get("servicer") for row in found if row[5] == "transfer"}) == 1


@pytest.mark.parametrize(
    ("text", "why"), [("/end", "usage"), ("/end 99", "unknown"), ("/snooze 1 soon", "usage"), ("/confirm AAAA", "")]
)
async def test_what_could_not_be_done_is_entered_with_why(tmp_path: Path, text: str, why: str) -> None:
    async with a_room(tmp_path / "kfbot.db") as room:
        await room.open()
        await room.ask(text)
        found = [row async for page in AuditLog(room.database).rows() for row in page]
        assert found[-1][9] == "refused" and f'"why":"{why or "unknown"}"' in found[-1][10]
        assert room.kf.moves == []


async def test_a_pairing_code_is_not_entered_but_that_it_was_wrong(tmp_path: Path) -> None:
    async with a_room(tmp_path / "kfbot.db", paired=()) as room:
        room.desk.offer_code()
        await room.ask("/bind 12345678")
        found = [row async for page in AuditLog(room.database).rows() for row in page]
        assert [(row[5], row[9]) for row in found] == [("bind", "allowed"), ("bind", "refused")]
        assert "12345678" not in str(found)


async def test_every_session_that_a_plan_ends_is_entered(tmp_path: Path) -> None:
    async with a_room(tmp_path / "kfbot.db") as room:
        await room.open(waits=3600)
        await room.open(BOB, waits=3600)
        plan = await room.ask("/end all waiting>1m")
        code = plan.rpartition("/confirm ")[2][:4]
        await room.ask(f"/confirm {code}")
        found = [row async for page in AuditLog(room.database).rows() for row in page]
        assert [row[5] for row in found] == ["end all", "confirm", "end", "end"]
        assert {row[6] for row in found[2:]} == {1, 2}
        assert code not in str(found) and "waiting>1m" in found[2][10]


async def test_without_a_row_a_command_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_room(tmp_path / "kfbot.db") as room:
        await room.open()
        await room.database.write(lambda db: db.execute("DROP TABLE audit"))
        for text in ("/end 1", "/ack 1", "/mute 1h"):
            await room.ask(text)
        assert room.kf.moves == []
        assert await room.chats.recall(f"muted until: {CHAT}") == ""


# -- tokens, when the settings change


@asynccontextmanager
async def a_core(folder: Path, **roles: list[str]) -> AsyncIterator[Core]:
    """A process on the same database, with other settings."""
    storage = {"url": f"sqlite:///{folder / 'kfbot.db'}"}
    core = Core(Settings.model_validate({"wecom": {"corp_id": "ww1"}, "storage": storage, "roles": roles}))
    await core.open()
    try:
        yield core
    finally:
        await core.close()


async def test_an_admin_who_is_taken_off_the_settings_keeps_a_token_for_nothing(tmp_path: Path) -> None:
    async with a_core(tmp_path, admins=["Boss"], agents=["LiNa"]) as core:
        token = core.tokens.agent_token("Boss", Role.ADMIN)
        assert core.tokens.agent(token).role is Role.ADMIN
    async with a_core(tmp_path, admins=[], agents=["LiNa"]) as core:
        with pytest.raises(Unauthenticated):
            core.tokens.agent(token)
    async with a_core(tmp_path, admins=[], agents=["LiNa", "Boss"]) as core:
        assert core.tokens.agent(token).role is Role.AGENT
    async with a_core(tmp_path, admins=["Boss"], agents=["LiNa"]) as core:
        assert core.tokens.agent(token).role is Role.ADMIN


async def test_where_no_agents_are_named_such_a_token_is_an_agents_until_its_end(tmp_path: Path) -> None:
    """Somebody has vouched for its owner, and then everybody in the group is one."""
    async with a_core(tmp_path, admins=["Boss"]) as core:
        token = core.tokens.agent_token("Boss", Role.ADMIN)
    async with a_core(tmp_path) as core:
        assert core.tokens.agent(token).role is Role.AGENT
