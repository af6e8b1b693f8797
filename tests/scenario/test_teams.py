"""Two groups, each with its own kf accounts: what one team does not serve, it does not see."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from bot.registry import Role
from tests.scenario.conftest import ANN, BOB, CHAT, KF, KF2, Stage, a_stage

AFTER = "wrAFTERSALES"
PEOPLE = {"LiNa": "李娜", "ChenJing": "陈静"}


async def _with_human(stage: Stage, customer: str, kf: str) -> int:
    return await stage.with_human(customer, kf)


async def _in_single_chat(stage: Stage, text: str, userid: str) -> str:
    mark = stage.sandbox.mark
    stage.sandbox.group_message(userid, userid, text)  # nobody mentions a bot in its own chat
    said = await stage.sandbox.wait_for_group_message(lambda message: message.source == "bot", after=mark)
    return said.text


@pytest.fixture
async def teams(tmp_path: Path) -> AsyncIterator[Stage]:
    """KF2 is served in AFTER; CHAT is the first group. Ann is with KF, Bob with KF2, both with a human."""
    roles = {"admins": ["ChenJing"]}
    async with a_stage(tmp_path, group={"routes": {KF2: AFTER}}, roles=roles) as stage:
        stage.sandbox.group_new("售后群", PEOPLE, AFTER)
        await stage.live()
        await _with_human(stage, ANN, KF)
        await _with_human(stage, BOB, KF2)
        yield stage


async def test_a_customer_of_the_other_group_is_unknown(teams: Stage) -> None:
    nobody = "wmNOBODY000000000000000000000000"
    for chat, customer, number in ((CHAT, BOB, 2), (AFTER, ANN, 1)):
        for command in ("end", "status", "history"):
            by_id = (
                await teams.ask(f"/{command} {nobody}", chat=chat),
                await teams.ask(f"/{command} {customer}", chat=chat),
            )
            assert by_id[1] == by_id[0].replace(nobody, customer)
            by_number = await teams.ask(f"/{command} 99", chat=chat), await teams.ask(f"/{command} {number}", chat=chat)
            assert by_number[1] == by_number[0].replace("99", str(number))
    assert teams.moves() == []


async def test_each_group_sees_and_ends_its_own(teams: Stage) -> None:
    for chat, mine, theirs in ((CHAT, 1, 2), (AFTER, 2, 1)):
        for text in ("/list", "/history"):
            answer = await teams.ask(text, chat=chat)
            assert f"#{mine}" in answer and f"#{theirs}" not in answer
    assert "售前咨询" in (here := await teams.ask("/status")) and "售后服务" not in here
    assert "售后服务" in (there := await teams.ask("/status", chat=AFTER)) and "售前咨询" not in there
    assert "✅" in await teams.ask("/end 2", chat=AFTER)
    assert teams.sandbox.session(KF2, BOB).state == 4 and teams.sandbox.session(KF, ANN).state == 3


async def test_a_customer_of_both_is_to_each_group_only_theirs(teams: Stage) -> None:
    await _with_human(teams, ANN, KF2)
    assert "✅" in await teams.ask(f"/end {ANN}", chat=AFTER)
    assert teams.sandbox.session(KF2, ANN).state == 4 and teams.sandbox.session(KF, ANN).state == 3


async def test_a_session_that_only_wecom_knows_is_found_by_the_group_that_serves_it(teams: Stage) -> None:
    stuck = teams.sandbox.customer_new("老客户", "wmSTUCK0000000000000000000000003")
    teams.sandbox.session_state(KF2, stuck, 3, "LiNa")
    assert "✅" in await teams.ask(f"/end {stuck}", chat=AFTER)
    assert "没有找到客户" in await teams.ask(f"/end {stuck}")


async def test_an_admin_sees_all_in_either_group_and_alone(teams: Stage) -> None:
    for chat in (CHAT, AFTER):
        answer = await teams.ask("/list", userid="ChenJing", chat=chat)
        assert "#1" in answer and "#2" in answer
    assert "✅" in await teams.ask("/end 1", userid="ChenJing", chat=AFTER)
    assert "#2" in await _in_single_chat(teams, "/list", "ChenJing")
    assert "✅" in await _in_single_chat(teams, "/end 2", "ChenJing")
    assert "单聊只对管理员开放" in await _in_single_chat(teams, "/list", "LiNa")


async def _reads(stage: Stage, userid: str, path: str, body: dict[str, int] | None = None) -> Any:
    """The data, or the status of a refusal."""
    token = stage.bot.core.tokens.agent_token(userid, Role.AGENT)
    url, headers = f"http://127.0.0.1:{stage.bot.port}{path}", {"Authorization": f"Bearer {token}"}
    async with ClientSession(headers=headers) as http, http.request("POST" if body else "GET", url, json=body) as reply:
        return (await reply.json())["data"] if reply.status == 200 else reply.status


async def test_over_the_api_whoever_serves_an_account_sees_what_its_team_sees(teams: Stage) -> None:
    teams.sandbox.account_new("wkTHIRD", "企业客户", {"WangWu": "王五"})
    await teams.bot._refresh_accounts()
    for userid, seen in (("WangWu", {1}), ("LiNa", {1, 2}), ("ChenJing", {1, 2}), ("Stranger", set())):
        assert {each["id"] for each in (await _reads(teams, userid, "/api/handoffs"))["items"]} == seen
    body = {"handoffRequestId": 2}
    for path, asked in (
        ("/api/handoffs/2", None),
        ("/api/handoffs/2/events", None),
        ("/api/agent/handoff/complete", body),
    ):
        assert await _reads(teams, "WangWu", path, asked) == 404
    assert len((await _reads(teams, "WangWu", "/api/agent/me"))["accounts"]) == 2
    assert teams.moves() == []


async def test_a_group_hears_only_of_the_troubles_of_its_accounts(teams: Stage) -> None:
    await teams.bot.core.sync_store.fail(KF2, "the disk is on fire")
    assert "on fire" in await teams.ask("/status", chat=AFTER)
    assert "on fire" not in await teams.ask("/status")
    assert "on fire" in await teams.ask("/status", userid="ChenJing")


async def test_the_group_paired_first_gets_what_no_route_names(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_stage(tmp_path, group={"chat_ids": []}) as stage:
        stage.sandbox.group_new("售后群", PEOPLE, AFTER)
        with caplog.at_level(logging.WARNING, "kfbot.desk"):
            await stage.start()
        code = re.findall(r"/bind ([0-9a-f]{8})", caplog.text)[0]
        assert "✅" in await stage.ask(f"/bind {code}")
        assert stage.bot.teams.chat_of(KF2) == CHAT
        await stage.stop()
        group = stage.settings.group.model_copy(update={"routes": {KF2: AFTER}})
        stage.settings = stage.settings.model_copy(update={"group": group})
        await stage.start()
        assert [stage.bot.teams.chat_of(each) for each in (KF, KF2)] == [CHAT, AFTER]
        await _with_human(stage, ANN, KF)
        assert "#1" in await stage.ask("/list") and "#1" not in await stage.ask("/list", chat=AFTER)
