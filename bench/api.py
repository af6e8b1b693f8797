"""How many customers a second can end their handoffs over HTTP, and how long each one waits.

Subject: the real bot, started as `make run` does, held to one core, with a WeCom that answers at once. Each request is
`POST /api/customer/handoff/end-by-user` of another customer, with their own token, and goes all the way: token,
state read, intention on disk, move, read back, settled, closing message sent, answer. Every one comes from an address
of its own, as a proxy tells it.

Load: a third process keeps 16 connections busy, the next request on each as soon as the answer is there. WeCom and the
load share the other core; the detail says how much of it they took, for a rate is the bot's while that is not all.

Floor: a bare aiohttp server in a process of its own on that same core that makes the same four calls to WeCom one after
the other, forces one line of a file to the disk before the second, and answers. What a write and fsync takes is in the
detail.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from bench import records
from bench.bots import Bot, database, signing_key
from bench.child import say
from bench.children import HOST, Child, ChildFailed, cpu_seconds, free_port, listening
from bench.runner import Goal, Row, Stage, bench, of_rounds, quantile
from bench.wecom import ACCOUNTS, CORP, Wecom

CONNECTIONS = 16
ROUNDS, EACH, WARM_UP = 5, 1500, 300
OPEN, ENDED = ROUNDS * EACH + WARM_UP, 20_000
RATE, P99 = Goal(at_least=500.0), Goal(at_most=50.0)
TARGET = "/api/customer/handoff/end-by-user"


@bench("api", steps=ROUNDS + 2)
def api(stage: Stage) -> Iterator[Row]:
    wecom, folder = Wecom(stage.children), stage.folder / "bot"
    records.fill(database(folder), sessions=OPEN + ENDED, open_=OPEN, ended=ENDED)
    _calm(database(folder))
    key = asyncio.run(signing_key(database(folder)))
    stage.step("records ready")
    bot = Bot(stage.children, wecom, folder)
    port = free_port()
    floor = stage.children.call("bench.api:answer", port=port, wecom=wecom.port, path=str(stage.folder / "floor.txt"))
    listening(floor, port)
    load = stage.children.call("bench.api:load", key=key.hex(), count=OPEN)
    load.hear()
    _share_cores(subjects=(bot.child, floor), others=(wecom.child, load))
    measured = _Measured(load, wecom)
    for child, at in ((bot.child, bot.port), (floor, port)):
        measured.round(child, at, WARM_UP)
    stage.step("warm")
    rounds = []
    for number in range(ROUNDS):
        rounds.append((measured.round(bot.child, bot.port, EACH), measured.round(floor, port, EACH)))
        subject = rounds[-1][0]
        stage.step(f"round {number + 1}: {subject['rate']:.0f}/s, p99 {subject['p99']:.1f} ms")
    _all_ended(bot, database(folder))
    for name, unit, goal in (("rate", "/s", RATE), ("p50", "ms", Goal()), ("p99", "ms", P99)):
        pairs = [(subject[name], floor[name]) for subject, floor in rounds]
        yield of_rounds(f"end-by-user {name}", unit, pairs, goal, _detail(rounds) if name == "rate" else "")


def _detail(rounds: list[tuple[dict[str, float], dict[str, float]]]) -> str:
    cost, floor = (sum(pair[side]["cost"] for pair in rounds) / len(rounds) for side in (0, 1))
    others = max(pair[0]["others"] for pair in rounds)
    spent = f"{cost * 1e3:.2f} ms of processor an end, {1 / cost:.0f}/s of a whole core (floor {floor * 1e3:.2f})"
    return f"{CONNECTIONS} at once; {spent}; WeCom and the load took at most {others:.0%} of the other core"


class _Measured:
    """Rounds of load. `cost`: processor seconds an end; `others`: what WeCom and the load themselves took of a core."""

    def __init__(self, load: Child, wecom: Wecom) -> None:
        self._load, self._others = load, (load, wecom.child)

    def round(self, child: Child, port: int, count: int) -> dict[str, float]:
        before, others = cpu_seconds(child.pid), self._spent()
        told = self._load.ask(port=port, count=count)
        if told["bad"]:
            raise ChildFailed(f"{child.name}: {told['bad']} wrong answers, such as {told['such']}")
        return {
            "rate": count / told["seconds"],
            "p50": quantile(told["ms"], 0.5),
            "p99": quantile(told["ms"], 0.99),
            "cost": (cpu_seconds(child.pid) - before) / count,
            "others": (self._spent() - others) / told["seconds"],
        }

    def _spent(self) -> float:
        return sum(cpu_seconds(each.pid) for each in self._others)


def _share_cores(subjects: tuple[Child, ...], others: tuple[Child, ...]) -> None:
    """The subjects on one core, which run one at a time; everybody else on the next."""
    cores = sorted(os.sched_getaffinity(0))
    for children, core in ((subjects, cores[0]), (others, cores[-1])):
        for child in children:
            for thread in Path(f"/proc/{child.pid}/task").iterdir():
                with suppress(ProcessLookupError):
                    os.sched_setaffinity(int(thread.name), {core})


def _calm(path: Path) -> None:
    """All have been answered just now: what alerts cost is not what this bench measures."""
    sql = """UPDATE handoffs SET waiting_since=NULL, requested_at=?1, accepted_at=?1, replied_at=?1, active_at=?1
        WHERE completed_at IS NULL"""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(sql, (time.time(),))


def _all_ended(bot: Bot, path: Path) -> None:
    """What was timed has really happened."""
    sql = "SELECT count(*) FROM handoffs WHERE via = 'api' AND status = 'COMPLETED' AND ended_by = 'USER'"
    with closing(sqlite3.connect(path)) as db:
        ended = int(db.execute(sql).fetchone()[0])
    if ended != OPEN:
        raise bot.child.failed(f"was asked to end {OPEN} handoffs; on record as ended: {ended}")


# -- the load's process


def load(key: str, count: int) -> None:
    """Builds requests; for each line on stdin sends some to a port and tells how it went. Each server gets them all."""
    built = [_request(bytes.fromhex(key), number) for number in range(count)]
    given: dict[int, int] = {}
    say(built=len(built))
    for line in sys.stdin:
        order = json.loads(line)
        began = given.get(order["port"], 0)
        given[order["port"]] = began + order["count"]
        say(**asyncio.run(_load(order["port"], iter(built[began : given[order["port"]]]))))


def _request(key: bytes, number: int) -> bytes:
    from bot.core import SystemClock
    from bot.tokens import Tokens

    account = ACCOUNTS[number % len(ACCOUNTS)]
    token = Tokens(key, SystemClock()).customer_token(CORP, account, records.customer(number))
    body = json.dumps({"handoffRequestId": number + 1}).encode()
    address = f"11.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    head = (
        f"POST {TARGET} HTTP/1.1\r\nHost: {HOST}\r\nAccept: */*\r\nAuthorization: Bearer {token}\r\n"
        f"X-Forwarded-For: {address}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _load(port: int, requests: Iterator[bytes]) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    taken: list[float] = []
    wrong: list[str] = []
    clients = [_Client(requests, taken, wrong) for _ in range(CONNECTIONS)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, HOST, port)  # type: ignore[misc]
    began = time.perf_counter()
    for client in clients:
        client.next()
    await asyncio.gather(*(client.done for client in clients))
    seconds = time.perf_counter() - began
    return {"ms": taken, "bad": len(wrong), "such": wrong[:1], "seconds": seconds}


class _Client(asyncio.Protocol):
    """One connection; an answer is whole when its announced length is there."""

    def __init__(self, requests: Iterator[bytes], taken: list[float], wrong: list[str]) -> None:
        self._requests, self._taken, self._wrong = requests, taken, wrong
        self._transport, self._heard, self._asked_at = asyncio.Transport(), b"", 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._heard += data
        head, _, body = self._heard.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if not length or len(body) < int(length):
            return
        self._taken.append((time.perf_counter() - self._asked_at) * 1000)
        if not head.startswith(b"HTTP/1.1 200 ") or b'"data"' not in body:
            self._wrong.append(self._heard.decode(errors="replace"))
        self._heard = b""
        self.next()

    def next(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self._transport.close()
            return
        self._asked_at = time.perf_counter()
        self._transport.write(request)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


# -- the floor's process


def answer(port: int, wecom: int, path: str) -> None:
    asyncio.run(_answer(port, f"http://{HOST}:{wecom}/cgi-bin/floor", Path(path)))


async def _answer(port: int, url: str, path: Path) -> None:
    from aiohttp import ClientSession, web

    with path.open("wb", buffering=0) as file:
        async with ClientSession() as http:

            async def end(request: web.Request) -> web.Response:
                json.loads(await request.read())
                for call in ("state", "trans", "state", "send"):
                    if call == "trans":
                        await asyncio.to_thread(_keep, file)
                    body = b'{"external_userid":"wm"}'
                    async with http.post(f"{url}/{call}?access_token=x", data=body) as response:
                        json.loads(await response.read())
                return web.json_response({"data": {"status": "COMPLETED"}})

            app = web.Application()
            app.router.add_post(TARGET, end)
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            await web.TCPSite(runner, HOST, port).start()
            await asyncio.Event().wait()


def _keep(file: Any) -> None:
    file.write(bytes(4096))
    os.fsync(file.fileno())
