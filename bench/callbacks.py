"""How many callbacks a second the bot answers.

Subject: the routes of `bot.server.build` in a process of their own, with the real crypto (parse, verify, decrypt,
parse) and a real `KfSync` that folds the hints. Its sync stands still (100 ms a run, as long as a call to WeCom takes,
and nothing read): WeCom is answered before any work is done, and that answer is what is measured.

Floor: a bare aiohttp handler returning the same bytes, in a process of its own, under the same load: what aiohttp
itself costs, so the rest is ours.

Load: a third process writes prebuilt requests on 32 keep-alive connections, the next on each as soon as the answer is
there. Requests are distinct, fresh and validly signed. It must not be the bottleneck: its share of a core is in the
detail, beside the servers', which should be near 100 %.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

from bench.bots import AES_KEY, CALLBACK_TOKEN, Bot, request
from bench.child import say
from bench.children import HOST, Child, ChildFailed, Children, cpu_seconds, free_port, listening
from bench.runner import Goal, Row, Stage, bench, of_rounds

CONNECTIONS = 32
ACCOUNTS = 8
DISTINCT = 24_000  # requests built before the first round; a round goes on where the one before ended
ROUNDS, SECONDS, WARM_UP = 16, 0.4, 0.4
SYNC_SECONDS = 0.1
GOAL = Goal(ratio_at_least=0.40)
TARGET = "/callback/kf"


@bench("callbacks", steps=ROUNDS + 2)
def callbacks(stage: Stage) -> Iterator[Row]:
    bare = _server(stage.children, "bench.floors:bare_server", path=TARGET, text="success")
    real = _server(stage.children, "bench.callbacks:serve")
    load = stage.children.call("bench.callbacks:load", ports=[bare[1], real[1]])
    load.hear()
    stage.step("requests built")
    for server in (bare, real):
        _round(load, server, WARM_UP)
    stage.step("warm")
    pairs, shares = [], []
    for number in range(ROUNDS):
        floor, subject = _round(load, bare, SECONDS), _round(load, real, SECONDS)
        pairs.append((subject["rate"], floor["rate"]))
        shares.append((floor, subject))
        stage.step(f"round {number + 1}: {subject['rate']:.0f}/s, floor {floor['rate']:.0f}/s")
    yield of_rounds("callbacks answered", "/s", pairs, GOAL, _shares(shares))


def _server(children: Children, target: str, **more: str) -> tuple[Child, int]:
    port = free_port()
    child = children.call(target, port=port, **more)
    listening(child, port)
    return child, port


def _round(load: Child, server: tuple[Child, int], seconds: float) -> dict[str, float]:
    child, port = server
    before = cpu_seconds(child.pid)
    told = load.ask(port=port, during=seconds)
    if told["bad"] or not told["answered"]:
        raise ChildFailed(f"{child.name}: {told['bad']} wrong answers, {told['answered']} right ones")
    used = cpu_seconds(child.pid) - before
    return {
        "rate": told["answered"] / told["seconds"],
        "server": used / told["seconds"],
        "load": told["cpu"] / told["seconds"],
        "cost": used / told["answered"],
    }


def _shares(rounds: list[tuple[dict[str, float], dict[str, float]]]) -> str:
    floor, subject = ({key: sum(pair[side][key] for pair in rounds) / len(rounds) for key in rounds[0][side]}
                      for side in (0, 1))  # fmt: skip
    return (
        f"server {subject['server']:.0%} of a core (floor {floor['server']:.0%}), "
        f"load {subject['load']:.0%} (floor {floor['load']:.0%}), "
        f"{subject['cost'] * 1e6:.0f} µs of processor a callback (floor {floor['cost'] * 1e6:.0f})"
    )


# -- the subject's process


def serve(port: int) -> None:
    asyncio.run(_serve(port))


async def _serve(port: int) -> None:
    from aiohttp import web

    from bench.wecom import CORP
    from bot import server
    from bot.core import SystemClock
    from bot.kf_sync import KfSync
    from bot.metrics import Metrics
    from bot.wecom.crypto import CallbackCrypto

    async def nothing(*_: Any) -> None: ...

    async def readiness() -> server.Readiness:
        return server.Readiness(True, {})

    still, clock, metrics = _Still(), SystemClock(), Metrics()
    sync = KfSync(still, still, clock, nothing, nothing, keep_text=True)
    hooks = server.Hooks(sync.wake, lambda: None, readiness)
    route = server.CallbackRoute(CallbackCrypto(CALLBACK_TOKEN, AES_KEY, CORP), hooks, clock, metrics)
    app = server.build(route, hooks, metrics)
    runner = server.runner(app)
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    await asyncio.Event().wait()


class _Still:
    """WeCom and storage for a sync that finds nothing new, after a while."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} is not what this bench measures")

    async def begin(self, open_kfid: str, live_from: float, token: str = "", token_at: float = 0.0) -> Any:
        from bot.ports import AccountState

        return AccountState(open_kfid, "", "0", 0.0, False, None, None)

    async def sync(self, open_kfid: str, cursor: str, token: str = "", limit: int = 1000) -> Any:
        from bot.model import SyncPage

        await asyncio.sleep(SYNC_SECONDS)
        return SyncPage([], cursor, False)

    async def commit(self, *_: Any) -> Any:
        from bot.ports import Committed

        return Committed([], [], 0)


# -- the load's process


def load(ports: list[int]) -> None:
    """Builds requests, then for each line on stdin loads a port for some seconds and tells how it went."""
    built = [sealed(ports[0], number) for number in range(DISTINCT)]
    pools = {port: itertools.cycle(built) for port in ports}
    say(built=len(built))
    for line in sys.stdin:
        order = json.loads(line)
        say(**asyncio.run(_load(order["port"], pools[order["port"]], order["during"])))


def sealed(port: int, number: int, open_kfid: str = "") -> bytes:
    """One HTTP request as WeCom sends it; bytes made by the sandbox's half of the crypto, not by the bot's."""
    from urllib.parse import urlencode

    from bench.wecom import CORP
    from bot.sandbox import SandboxConfig
    from bot.sandbox.crypto import MessageCrypto, signature
    from bot.sandbox.notices import envelope, kf_news

    config, now = SandboxConfig(corp_id=CORP), time.time()
    account = open_kfid or f"wkBenchCallback{number % ACCOUNTS:016d}"
    news = kf_news(config, now, f"ENCToken{number:020d}", account)
    encrypted = MessageCrypto(AES_KEY, CORP).encrypt(news)
    timestamp, nonce = str(int(now)), str(10**9 + number)
    signed = signature(CALLBACK_TOKEN, timestamp, nonce, encrypted)
    query = urlencode({"msg_signature": signed, "timestamp": timestamp, "nonce": nonce})
    body = envelope(config, encrypted).encode()
    head = (
        f"POST {TARGET}?{query} HTTP/1.1\r\nUser-Agent: Mozilla/4.0\r\nAccept: */*\r\nHost: {HOST}:{port}\r\n"
        f"Content-Type: text/xml; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def call_back(bot: Bot, number: int, open_kfid: str) -> None:
    """One callback to a running bot."""
    head, _, body = sealed(bot.port, number, open_kfid).partition(b"\r\n\r\n")
    status, _ = request(bot.port, "POST", head.split(b" ")[1].decode(), body)
    if status != 200:
        raise bot.child.failed(f"answered a callback with {status}")


async def _load(port: int, requests: Iterator[bytes], seconds: float) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    count = _Count(requests)
    clients = [(await loop.create_connection(lambda: _Client(count), HOST, port))[1] for _ in range(CONNECTIONS)]
    cpu, began = time.process_time(), time.perf_counter()
    for client in clients:
        client.next()
    await asyncio.sleep(seconds)
    answered, took, used = count.answered, time.perf_counter() - began, time.process_time() - cpu
    count.requests = iter(())
    await asyncio.sleep(0.05)  # the last answers, which are not counted
    for client in clients:
        client.close()
    return {"answered": answered, "bad": count.bad, "seconds": took, "cpu": used}


class _Count:
    def __init__(self, requests: Iterator[bytes]) -> None:
        self.requests, self.answered, self.bad = requests, 0, 0


class _Client(asyncio.Protocol):
    """One connection. An answer is whole when it ends in the word that ends every right one."""

    def __init__(self, count: _Count) -> None:
        self._count, self._transport, self._heard = count, asyncio.Transport(), b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._heard += data
        if self._heard.startswith(b"HTTP/1.1 200 ") and self._heard.endswith(b"\r\n\r\nsuccess"):
            self._count.answered += 1
            self._heard = b""
            self.next()
        elif not self._heard.startswith(b"HTTP/1.1 200 "):
            self._count.bad += 1

    def next(self) -> None:
        request = next(self._count.requests, None)
        if request is not None:
            self._transport.write(request)

    def close(self) -> None:
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if next(self._count.requests, None) is not None:
            self._count.bad += 1
