"""The OpenAPI document tells the truth: schemathesis, which takes it at its word, finds nothing against the bot."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from bot.registry import Role
from bot.web.errors import CODES, STATUSES
from bot.web.limits import Limit
from tests.scenario.conftest import ANN, BOB, KF, Stage

SECONDS = 20
CONFIG = """
[auth.openapi.customer]
bearer = "{customer}"

[auth.openapi.agent]
bearer = "{agent}"

# No schema can say that one day must come after another.
[[operations]]
include-name = "GET /api/agent/export"
[operations.checks]
positive_data_acceptance.expected-statuses = ["2xx", "400", "429"]
"""


@pytest.fixture
async def open_house(running: Stage) -> AsyncIterator[Stage]:
    """Two customers are with a human, one has been; nobody is told to wait."""
    doors = running.bot.site.doors
    doors._addresses, doors._callers = Limit(1e6, 1e6), Limit(1e6, 1e6)
    for customer in (ANN, BOB):
        running.sandbox.customer_writes(KF, customer, "<b>在吗</b>")
        running.sandbox.servicer_takes(KF, customer, "LiNa")
        await running.settled()
    yield running


async def document(stage: Stage) -> dict[str, Any]:
    async with ClientSession() as http, http.get(f"http://127.0.0.1:{stage.bot.port}/api/openapi.json") as response:
        assert response.status == 200
        found: dict[str, Any] = await response.json()
        return found


async def test_every_route_is_in_it_and_nothing_else(open_house: Stage) -> None:
    app = open_house.bot.site.api.app()
    served = {
        (route.method, "/api" + route.resource.canonical) for route in app.router.routes() if route.resource is not None
    }
    told = {
        (method.upper(), path) for path, methods in (await document(open_house))["paths"].items() for method in methods
    }
    assert served == told
    promised = {("POST", "/api/customer/handoff/end-by-user"), ("GET", "/api/customer/handoff"),
                ("POST", "/api/agent/handoff/complete"), ("GET", "/api/handoffs"), ("GET", "/api/handoffs/{id}"),
                ("GET", "/api/handoffs/{id}/events"), ("GET", "/api/openapi.json")}  # fmt: skip
    assert promised <= told


async def test_every_code_is_in_it(open_house: Stage) -> None:
    codes = (await document(open_house))["components"]["schemas"]["Error"]["properties"]["error"]["properties"]["code"]
    assert set(codes["enum"]) == set(STATUSES.values()) >= {code for _, code in CODES.values()}


@pytest.mark.timeout(240)
@pytest.mark.skipif(importlib.util.find_spec("schemathesis") is None, reason="schemathesis is not installed")
async def test_schemathesis_finds_nothing(open_house: Stage, tmp_path: Path) -> None:
    tokens, config = open_house.bot.core.tokens, tmp_path / "schemathesis.toml"
    customer = tokens.customer_token(open_house.settings.wecom.corp_id, KF, ANN)
    config.write_text(CONFIG.format(customer=customer, agent=tokens.agent_token("ChenJing", Role.AGENT)))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run",
        f"http://127.0.0.1:{open_house.bot.port}/api/openapi.json", "--max-examples", "25", "--seed", "1",
        "--max-time", str(SECONDS), "--no-color", "--suppress-health-check", "all",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=tmp_path,
        env={**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path)},
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode(errors="replace")
    print(said.decode()[-1500:])
