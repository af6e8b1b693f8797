"""How a bot ends when it is told to: a process of its own, with everything under way that can hang."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout, WSMsgType

from bot.sandbox import Sandbox
from bot.web.frames import Code
from tests.scenario.conftest import ANN, BOB, CHAT, KF, PATIENCE, Stage
from tests.scenario.test_cli_end import BOT, ZHANG, Terminal, terminal_of
from tests.scenario.test_cli_export import add_many

TRANS, STATE, SYNC = "kf/service_state/trans", "kf/service_state/get", "kf/sync_msg"
MANY = 60_000  # rows; more bytes than two sockets hold
FOR_EVER = 3600.0
COMPLETE = "/api/agent/handoff/complete"


@dataclass
class Living:
    """`bot.py run`, and all that it has said."""

    process: asyncio.subprocess.Process
    said: list[str] = field(default_factory=list)
    more: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    async def listen(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.said.append(line.decode().rstrip())
            self.more.set()

    async def says(self, words: str) -> str:
        async with asyncio.timeout(PATIENCE):
            while not (found := [line for line in self.said if words in line]):
                self.more.clear()
                await self.more.wait()
        return found[0]

    def ask_to_end(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Returns when that was."""
        self.process.send_signal(number)
        return time.monotonic()

    async def ended(self) -> int:
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()

    def complaints(self) -> list[str]:
        """What it was unhappy with, and anything that is no line of its log."""
        return [line for line in self.said if any(word in line for word in ("WARNING", "ERROR", "Traceback", "Error:"))]


@dataclass
class House:
    """The sandbox, and bots on one database, one after the other."""

    stage: Stage
    shell: Terminal
    token: str = ""

    @asynccontextmanager
    async def living(self) -> AsyncIterator[Living]:
        environment = {name: value for name, value in os.environ.items() if not name.upper().startswith("KFBOT_")}
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(BOT), "run", cwd=self.shell.folder, env=environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, preexec_fn=_out_of_nohup,
        )  # fmt: skip
        bot = Living(process)
        listening = asyncio.create_task(bot.listen())
        try:
            bot.port = int((await bot.says("listening | http://")).rpartition(":")[2])
            self.stage.sandbox.callback_url = f"http://127.0.0.1:{bot.port}/callback/kf"
            await self.stage.sandbox.wait_connected(PATIENCE)
            yield bot
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await listening

    @asynccontextmanager
    async def api(self, bot: Living) -> AsyncIterator[ClientSession]:
        self.token = self.token or (await self.shell.run("token", "--user", "LiNa")).out.strip()
        async with ClientSession(
            f"http://127.0.0.1:{bot.port}",
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=ClientTimeout(total=PATIENCE),
        ) as http:
            yield http

    async def with_humans(self, http: ClientSession, *customers: str) -> dict[str, int]:
        """They are being served; their handoffs' numbers."""
        for customer in customers:
            self.stage.sandbox.customer_writes(KF, customer, "在吗")
            self.stage.sandbox.servicer_takes(KF, customer, ZHANG)

        async def served() -> dict[str, int]:
            found = {each["userId"]: each["handoffRequestId"] for each in await self.open_handoffs(http)}
            return found if set(customers) <= set(found) else {}

        numbers: dict[str, int] = await self.stage.until(served)
        return numbers

    async def open_handoffs(self, http: ClientSession) -> list[dict[str, Any]]:
        async with http.get("/api/handoffs?status=OPEN") as response:
            items = (await response.json())["data"]["items"]
            return [{**each, "handoffRequestId": each.get("handoffRequestId", each.get("id"))} for each in items]

    async def taken(self, target: str) -> None:
        """Calls have run into all the faults that were made for them."""

        async def all_taken() -> bool:
            return not self.stage.sandbox.faults._active.get(target)

        await self.stage.until(all_taken)


@pytest.fixture
def house(stage: Stage, tmp_path: Path) -> House:
    shell = terminal_of(stage, tmp_path)
    shell.with_settings(group={"chat_ids": [CHAT]})
    return House(stage, shell)


async def refused(http: ClientSession, method: str, path: str) -> tuple[str, str]:
    """Ask until the door is closed. Returns when to come again, and the words."""
    async with asyncio.timeout(PATIENCE):
        while True:
            async with http.request(method, path) as response:
                if response.status == 503:
                    return response.headers["Retry-After"], await response.text()
            await asyncio.sleep(0.01)


def _out_of_nohup() -> None:
    """Whoever runs these tests under nohup has them ignore that signal, and all that they start."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def ends(sandbox: Sandbox) -> int:
    """Moves to the end that WeCom has made."""
    return len([each for each in sandbox.ledger.of("trans") if each["errcode"] == 0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_with_nothing_under_way_it_ends_at_once_and_without_a_complaint(
    house: House, number: signal.Signals
) -> None:
    async with house.living() as bot:
        await bot.says("history read")
        asked = bot.ask_to_end(number)
        assert await bot.ended() == 0
        assert time.monotonic() - asked < 5
        assert not house.stage.sandbox.line.connected
    assert bot.complaints() == []


async def test_a_port_that_is_taken_is_told_with_what_to_do(house: House) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        house.shell.with_settings(server={"port": port})
        ran = await house.shell.run("run")
        assert ran.code == 1
        assert f"kfbot: 不能在 127.0.0.1:{port} 上监听" in ran.err
        assert "server.port" in ran.err and "Traceback" not in ran.err


async def test_pages_are_told_that_the_server_goes(house: House) -> None:
    async with (
        house.living() as bot,
        house.api(bot) as http,
        http.ws_connect("/ws/agent") as page,
    ):
        await page.send_json({"type": "AUTH", "token": house.token})
        assert (await page.receive_json())["type"] == "READY"
        bot.ask_to_end()
        message = await page.receive(PATIENCE)
        assert (message.type, page.close_code) == (WSMsgType.CLOSE, Code.GOING_AWAY)
        assert await bot.ended() == 0


async def test_while_it_ends_callbacks_and_calls_are_sent_to_the_next_process(house: House) -> None:
    sandbox = house.stage.sandbox
    async with house.living() as bot, house.api(bot) as http:
        numbers = await house.with_humans(http, ANN)
        slow = await _half_a_body(bot)  # holds the end up
        sandbox.fault(TRANS, "delay", seconds=1.0)
        complete = http.post(COMPLETE, json={"handoffRequestId": numbers[ANN]})
        ending = asyncio.create_task(complete.__aenter__())
        await house.taken(TRANS)
        bot.ask_to_end()
        callback = await refused(http, "POST", "/callback/kf")
        call = await refused(http, "GET", "/api/handoffs")
        page = await refused(http, "GET", "/console")
        async with http.get("/readyz") as probe:
            assert (probe.status, list((await probe.json())["checks"])) == (503, ["stopping"])
        assert (await ending).status == 200, "what is under way is finished"
        slow.close()
        assert await bot.ended() == 0
    assert [after for after, _ in (callback, call, page)] == ["5", "5", "5"]
    assert json.loads(call[1])["error"] == {"code": "UNAVAILABLE", "message": "机器人正在重启，请几秒后再试"}
    assert ends(sandbox) == 1


async def test_whatever_hangs_it_ends_within_ten_seconds_and_the_next_process_settles(house: House) -> None:
    sandbox, shell = house.stage.sandbox, house.shell
    async with house.living() as bot, house.api(bot) as http:
        first = (await house.with_humans(http, ANN))[ANN]
        async with http.post(COMPLETE, json={"handoffRequestId": first}) as response:
            assert response.status == 200
        add_many(shell.folder / "kfbot.db", MANY)  # like that one
        numbers = await house.with_humans(http, ANN, BOB)
        export = await _stalled_export(bot, house.token)
        page = await _deaf_page(bot, house.token)
        slow = await _half_a_body(bot)
        sandbox.fault(TRANS, "delay", seconds=FOR_EVER, times=2)
        sandbox.fault("aibot_send_msg", "delay", seconds=FOR_EVER, times=None)
        sandbox.group_message(CHAT, "LiNa", f"@kfbot /end {numbers[ANN]}")
        complete = http.post(COMPLETE, json={"handoffRequestId": numbers[BOB]})
        ending = asyncio.create_task(complete.__aenter__())
        await house.taken(TRANS)
        sandbox.fault(STATE, "delay", seconds=FOR_EVER, times=None)
        sandbox.fault(SYNC, "delay", seconds=FOR_EVER, times=None)
        sandbox.customer_writes(KF, sandbox.customer_new("Cat"), "在吗")

        asked = bot.ask_to_end()
        assert await bot.ended() == 0
        took = time.monotonic() - asked
        assert took < 10, took
        with pytest.raises(ClientError):
            await ending
    assert not [line for line in bot.said if "Traceback" in line or "ERROR" in line], bot.complaints()
    for writer in (export, page, slow):
        writer.close()

    sandbox.clear_faults()
    async with house.living() as bot, house.api(bot) as http:

        async def nothing_open() -> bool:
            ours = [each for each in await house.open_handoffs(http) if each["userId"] in (ANN, BOB)]
            return not ours

        await house.stage.until(nothing_open)
        bot.ask_to_end()
        assert await bot.ended() == 0
    assert ends(sandbox) == 3


async def _connected(bot: Living, request: str, rest: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", bot.port, limit=1024)
    writer.write(request.replace("\n", "\r\n").encode() + b"\r\n\r\n" + rest)
    return reader, writer


async def _stalled_export(bot: Living, token: str) -> asyncio.StreamWriter:
    """Somebody downloads, and takes nothing of it but the head."""
    reader, writer = await _connected(bot, f"GET /api/agent/export HTTP/1.1\nHost: bot\nAuthorization: Bearer {token}")
    assert b"200" in await reader.readline()
    return writer


async def _half_a_body(bot: Living) -> asyncio.StreamWriter:
    _, writer = await _connected(bot, "POST /callback/kf?a=b HTTP/1.1\nHost: bot\nContent-Length: 900", b"<xml>")
    return writer


async def _deaf_page(bot: Living, token: str) -> asyncio.StreamWriter:
    """A page that does not answer the server's goodbye."""
    reader, writer = await _connected(
        bot,
        "GET /ws/agent HTTP/1.1\nHost: bot\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    assert b"101" in await reader.readline()
    said = json.dumps({"type": "AUTH", "token": token}).encode()
    writer.write(b"\x81\xfe" + len(said).to_bytes(2) + b"\0\0\0\0" + said)  # a text frame, masked with nothing
    return writer


async def test_a_second_signal_ends_it_at_once(house: House) -> None:
    async with house.living() as bot, house.api(bot) as http:
        numbers = await house.with_humans(http, ANN)
        house.stage.sandbox.fault(TRANS, "delay", seconds=FOR_EVER)
        house.stage.sandbox.group_message(CHAT, "LiNa", f"@kfbot /end {numbers[ANN]}")
        await house.taken(TRANS)
        bot.ask_to_end()
        await bot.says("stopping")
        bot.ask_to_end()
        assert await bot.ended() == 128 + signal.SIGTERM
