"""The handoff API on the whole bot: an end over HTTP is an end like any other, whoever asks for it."""

from __future__ import annotations

import asyncio
import csv
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from bot.registry import Role
from tests.scenario.conftest import ANN, KF, Stage

BOT = Path(__file__).parents[2] / "bot.py"
END, COMPLETE = "/api/customer/handoff/end-by-user", "/api/agent/handoff/complete"
ZHANG = "ZhangSuQuan"


async def with_human(stage: Stage) -> int:
    return await stage.with_human(servicer=ZHANG)


def customers(stage: Stage) -> str:
    return stage.bot.core.tokens.customer_token(stage.settings.wecom.corp_id, KF, ANN)


def agents(stage: Stage, userid: str = "ChenJing") -> str:
    return stage.bot.core.tokens.agent_token(userid, Role.AGENT)


async def ask(stage: Stage, token: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """Status, and what stands under `data` or `error`."""
    method, headers = "POST" if body else "GET", {"Authorization": f"Bearer {token}"}
    url = f"http://127.0.0.1:{stage.bot.port}{path}"
    async with ClientSession() as http, http.request(method, url, headers=headers, json=body) as response:
        document = await response.json()
        return response.status, document["data" if response.status == 200 else "error"]


async def test_a_customers_end_reaches_everybody(running: Stage) -> None:
    number = await with_human(running)
    await running.later(6 * 60)
    status, data = await ask(running, customers(running), END, {"handoffRequestId": number})
    assert (status, data["status"], data["endedBy"], data["agentId"]) == (200, "COMPLETED", "USER", ZHANG)
    assert data["accountName"] == "售前咨询"
    assert running.sandbox.world.session(KF, ANN).state == 4
    await running.settled()
    assert len(running.goodbyes()) == 1
    told = await running.sandbox.wait_for_group_message(lambda said: said.card is None and "已结束" in said.text)
    assert f"#{number}" in told.text and "客户本人" in told.text and "接口" in told.text
    assert await ask(running, customers(running), "/api/customer/handoff") == (200, None)


async def test_customer_and_staff_at_once_over_real_sockets(running: Stage) -> None:
    number = await with_human(running)
    body = {"handoffRequestId": number}
    user, agent = await asyncio.gather(
        ask(running, customers(running), END, body), ask(running, agents(running), COMPLETE, body)
    )
    assert sorted([user[0], agent[0]]) == [200, 409]
    _, events = await ask(running, agents(running), f"/api/handoffs/{number}/events")
    [end] = [each for each in events if each["type"] == "COMPLETED"]
    assert end["eventData"]["endedBy"] == ("USER" if user[0] == 200 else "AGENT")
    assert len(running.moves()) == 1


async def test_a_wecom_that_goes_silent_is_settled_when_it_is_back(running: Stage) -> None:
    number = await with_human(running)
    body = {"handoffRequestId": number}
    running.bot.core.handoffs._limit = 2.0
    running.sandbox.fault("kf/service_state/trans", "delay", seconds=4.0)
    status, error = await ask(running, customers(running), END, body)
    assert (status, error["code"]) == (502, "WECOM_ERROR")
    ended = await running.no_handoff()
    assert (ended.ended_by, ended.via) == ("USER", "api")
    assert (await ask(running, customers(running), END, body))[0] == 200


async def test_a_token_from_the_command_line_works_beside_the_running_bot_and_after_it(
    running: Stage, tmp_path: Path
) -> None:
    number = await with_human(running)
    path = tmp_path / "settings.yaml"
    path.write_text(f"storage: {{url: '{running.settings.storage.url}'}}\n")
    token = await _minted(path)
    status, data = await ask(running, token, "/api/agent/me")
    assert (status, data["userId"], data["role"]) == (200, "ChenJing", "agent")
    await running.stop()
    await running.start()
    status, data = await ask(running, token, COMPLETE, {"handoffRequestId": number})
    assert (status, data["operatorId"], data["via"]) == (200, "ChenJing", "api")


async def _minted(path: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(BOT), "token", "--user", "ChenJing", "--settings", str(path),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=path.parent,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == 0 and not err, err.decode()
    return out.decode().strip()


@pytest.mark.parametrize("path", ["/api/agent/stats?period=week", "/api/agent/servicers", "/api/handoffs?status=OPEN"])
async def test_what_the_console_shows(running: Stage, path: str) -> None:
    await with_human(running)
    status, data = await ask(running, agents(running), path)
    assert status == 200 and data


async def test_a_handoff_is_followed_from_the_page_to_the_exported_file(running: Stage) -> None:
    """As the console does it: what has moved since, and at the end of the day the file."""
    number = await with_human(running)
    token, before = agents(running), int(running.sandbox.now())
    await running.later(60)
    moved = f"/api/handoffs?status=OPEN&activeSince={before + 30}"
    assert await ask(running, token, moved) == (200, {"items": [], "nextCursor": None})
    running.sandbox.customer_writes(KF, ANN, "=1+1 还在吗")

    async def heard() -> Any:
        return (await ask(running, token, moved))[1]["items"]

    [row] = await running.until(heard)
    assert (row["id"], row["status"], row["agentId"]) == (number, "ACCEPTED", ZHANG)
    await ask(running, token, COMPLETE, {"handoffRequestId": number, "reason": "=已解决"})
    url = f"http://127.0.0.1:{running.bot.port}/api/agent/export"
    async with ClientSession(headers={"Authorization": f"Bearer {token}"}) as http, http.get(url) as response:
        assert (response.status, response.headers["X-Total-Count"]) == (200, "1")
        [line] = csv.DictReader(StringIO((await response.read()).decode("utf-8-sig"), newline=""), strict=True)
    assert (line["id"], line["endedBy"], line["operatorId"]) == (str(number), "AGENT", "ChenJing")
    assert (line["accountName"], line["reason"]) == ("售前咨询", "'=已解决")
    assert (await ask(running, customers(running), "/api/agent/export"))[0] == 401


async def test_nothing_secret_is_logged(running: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    number = await with_human(running)
    tokens = [customers(running), agents(running)]
    for token, path in zip(tokens, (END, COMPLETE), strict=True):
        await ask(running, token, path, {"handoffRequestId": number})
        await ask(running, token[:-2] + "xx", path, {"handoffRequestId": number})
    key = await running.bot.core.chats.recall("token key")
    assert key and not any(secret in caplog.text for secret in (*tokens, key))


async def test_staff_see_what_the_customer_said_before_a_human_came(running: Stage) -> None:
    number = await with_human(running)
    status, data = await ask(running, agents(running), f"/api/handoffs/{number}")
    assert (status, data["lastText"]) == (200, "在吗")
    await running.ask(f"/end {number}")
    assert (await ask(running, agents(running), f"/api/handoffs/{number}"))[1]["lastText"] is None
