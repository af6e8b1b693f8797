"""The live events of a whole bot: what happens in WeCom reaches the customer's page and the agents' console."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from bot.model import Handoff, Operator, OperatorType, SessionKey, Via
from bot.registry import Role
from bot.sessions import Session, finish
from bot.web import peer
from storage.database import Database
from storage.ledger import Ledger
from tests.scenario.conftest import ANN, KF, PATIENCE, Stage

STEPS = ["HANDOFF_REQUESTED", "HANDOFF_ACCEPTED", "HANDOFF_PROGRESS", "HANDOFF_TRANSFERRED", "HANDOFF_COMPLETED"]
Frame = dict[str, Any]


class Page:
    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket

    async def hear(self) -> Frame:
        message = await self.socket.receive(PATIENCE)
        assert message.type is WSMsgType.TEXT, (message, self.socket.close_code)
        frame: Frame = json.loads(message.data)
        return frame

    async def hear_until(self, type_: str) -> list[Frame]:
        heard = [await self.hear()]
        while heard[-1]["type"] != type_:
            heard.append(await self.hear())
        return heard


@asynccontextmanager
async def a_page(stage: Stage, door: str, after: int | None = None) -> AsyncIterator[Page]:
    tokens, tenant_id = stage.bot.core.tokens, stage.settings.wecom.corp_id
    token = tokens.customer_token(tenant_id, KF, ANN) if door == "customer" else tokens.agent_token("LiNa", Role.AGENT)
    async with ClientSession() as http, http.ws_connect(f"http://127.0.0.1:{stage.bot.port}/ws/{door}") as socket:
        page = Page(socket)
        await socket.send_json({"type": "AUTH", "token": token, "after": after})
        assert (await page.hear())["type"] == "READY"
        yield page


async def served(stage: Stage) -> Handoff:
    """Ann writes, and is served."""
    await stage.with_human()
    return await stage.open_handoff()


@pytest.mark.parametrize("door", ["customer", "agent"])
async def test_a_page_follows_a_session_from_the_queue_to_its_end(running: Stage, door: str) -> None:
    box = running.sandbox
    box.account_routing(KF, "queue")
    async with a_page(running, door) as page:
        box.customer_writes(KF, ANN, "你好")
        heard = await page.hear_until("HANDOFF_REQUESTED")
        box.servicer_takes(KF, ANN, "ZhangSuQuan")
        box.servicer_writes(KF, ANN, "ZhangSuQuan", "您好")
        heard += await page.hear_until("HANDOFF_PROGRESS")
        box.servicer_transfers(KF, ANN, "LiNa")
        heard += await page.hear_until("HANDOFF_TRANSFERRED")
        box.servicer_ends(KF, ANN)
        heard += await page.hear_until("HANDOFF_COMPLETED")
    assert [each["type"] for each in heard] == STEPS
    handoff = await running.no_handoff()
    last = heard[-1]["payload"]
    assert (last["handoffRequestId"], last["endedBy"], last["agentId"]) == (handoff.id, "AGENT", "LiNa")


async def test_an_end_in_the_group_is_heard(running: Stage) -> None:
    await served(running)
    async with a_page(running, "customer") as page:
        await running.ask("/end wm7l")
        end = (await page.hear_until("HANDOFF_COMPLETED"))[-1]
        assert end["payload"]["endedBy"] == "AGENT"


async def test_an_end_by_another_process_is_heard_within_a_moment(running: Stage) -> None:
    """As `bot.py end` beside the running bot makes one: nobody tells, the log is looked at."""
    handoff = await served(running)
    running.bot.live._every = 0.05
    other = Database(running.settings.storage.path)
    await other.open()
    ledger, operator = Ledger(other, running.settings.wecom.corp_id), Operator(OperatorType.AGENT, "root")

    def end(session: Session) -> None:
        finish(session, operator, Via.CLI, handoff.requested_at + 60)

    async with a_page(running, "customer") as page:
        await ledger.change(SessionKey(KF, ANN), end, handoff.requested_at + 60)
        heard = (await page.hear_until("HANDOFF_COMPLETED"))[-1]
        assert heard["payload"]["handoffRequestId"] == handoff.id
    await other.close()


async def test_a_page_that_was_away_during_a_restart_catches_up(running: Stage) -> None:
    await served(running)
    async with a_page(running, "customer", after=0) as page:
        seen = (await page.hear_until("HANDOFF_ACCEPTED"))[-1]["id"]
        leaving = asyncio.create_task(running.stop())
        assert (await page.socket.receive(PATIENCE)).data == 1001
        await leaving
    running.sandbox.servicer_ends(KF, ANN)
    await running.start()
    await running.no_handoff()
    async with a_page(running, "customer", after=seen) as page:
        assert [each["type"] for each in await page.hear_until("HANDOFF_COMPLETED")] == ["HANDOFF_COMPLETED"]


async def test_open_sockets_do_not_hold_up_a_stop(running: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """This page reads nothing more, so that it does not answer the goodbye."""
    monkeypatch.setattr(peer, "GRACE", 0.1)
    async with a_page(running, "agent"), asyncio.timeout(9):  # without the patience for it, ten
        await running.stop()


async def test_sockets_are_in_the_metrics(running: Stage) -> None:
    url = f"http://127.0.0.1:{running.bot.port}/metrics"
    async with a_page(running, "agent"), ClientSession() as http, http.get(url) as answer:
        assert 'kfbot_sockets{door="agent"} 1.0' in await answer.text()
