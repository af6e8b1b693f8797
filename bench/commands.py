"""From a command's frame to the frame of its reply, with a WeCom that answers at once.

Subject: the real bot, started as `make run` does, on its real long connection; 2,000 handoffs are open and 20,000 are
over. `/status` is the overview; `/end` names a customer in full, and goes all the way: state read, intention on disk,
move, read back, settled, closing message sent. One command at a time, a moment apart: that is how people type.

Floor: an aiohttp WebSocket client in a process of its own, on the same fake WeCom, that answers each message at once
with fixed words; for `/end` after the same four HTTP calls one after the other and one line of a file forced to the
disk before the move: an intention to end must survive a power failure. What such a write takes here is in the detail.

The limit of 15 ms on the 99th percentile is what an operator would call at once. Percentiles are taken in each round;
the row keeps the median of the rounds'. WeCom's calls per `/end` are counted by the fake, all rounds together.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from io import FileIO
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

from bench import records
from bench.bots import BOT_ID, CHATS, Bot, database
from bench.children import HOST
from bench.runner import Goal, Row, Stage, bench, of_rounds, quantile
from bench.wecom import Wecom

ROUNDS, EACH, WARM_UP = 5, 100, 20
OPEN, ENDED = 2000, 20_000
FLOOR_ID = "aib-floor"
P99 = Goal(at_most=15.0)
CALLS = Goal(at_most=3)
CLOSING, REST = "kf/send_msg_on_event", ("kf/service_state/get", "kf/service_state/trans")

Pairs = list[tuple[list[float], list[float]]]

WORDS: dict[str, Any] = {"msgtype": "markdown", "markdown": {"content": "好" * 100}}
CARD: dict[str, Any] = {
    "response_type": "update_template_card",
    "template_card": {"sub_title_text": "好" * 100, "button_list": [{"text": "好", "key": "noop:0"}]},
}


@bench("commands", steps=ROUNDS + 2)
def commands(stage: Stage) -> Iterator[Row]:
    wecom = Wecom(stage.children)
    folder = stage.folder / "bot"
    records.fill(database(folder), sessions=OPEN + ENDED, open_=OPEN, ended=ENDED)
    stage.step("records ready")
    bot = Bot(stage.children, wecom, folder)
    stage.children.call("bench.commands:answer", port=wecom.port, path=str(stage.folder / "floor.txt")).hear()
    talk = _Talk(wecom)
    talk.both("/status", WARM_UP)
    talk.both("/end", WARM_UP)
    stage.step("warm")
    before = wecom.calls()
    status, end = [], []
    for number in range(ROUNDS):
        status.append(talk.both("/status", EACH))
        end.append(talk.both("/end", EACH))
        slowest = max(status[-1][0]), max(end[-1][0])
        stage.step(f"round {number + 1}: slowest /status {slowest[0]:.1f} ms, /end {slowest[1]:.1f} ms")
    made = wecom.calls() - before
    all_ended(bot, database(folder), "command", ROUNDS * EACH + WARM_UP)
    yield from _rows("/status", status)
    yield from _rows("/end", end, f"one small write and fsync here takes {fsync_ms(stage.folder):.2f} ms")
    yield _calls(made)


class _Talk:
    """Commands to the subject and the floor in turn, each in another chat: a chat takes 30 messages a minute."""

    def __init__(self, wecom: Wecom) -> None:
        self._wecom, self._bots = wecom, (BOT_ID, FLOOR_ID)
        self._chats, self._customers = cycle(CHATS), iter(range(OPEN))

    def both(self, command: str, count: int) -> tuple[list[float], list[float]]:
        """Milliseconds of `count` commands to the subject, and of as many to the floor."""
        subject, floor = self._bots
        messages = [(chat, self._text(command)) for chat in islice(self._chats, count)]
        return self._ms(subject, messages), self._ms(floor, messages)

    def _text(self, command: str) -> str:
        return f"{command} {records.customer(next(self._customers))}" if command == "/end" else command

    def _ms(self, bot_id: str, messages: list[tuple[str, str]]) -> list[float]:
        return [seconds * 1000 for seconds in self._wecom.converse(bot_id, messages)]


def _rows(command: str, rounds: Pairs, detail: str = "") -> Iterator[Row]:
    for share, goal in ((0.5, Goal()), (0.99, P99)):
        pairs = [(quantile(subject, share), quantile(floor, share)) for subject, floor in rounds]
        yield of_rounds(f"{command} p{share * 100:.0f}", "ms", pairs, goal, detail)
        detail = f"{ROUNDS} rounds of {EACH}, slowest {max(max(subject) for subject, _ in rounds):.1f} ms"


def _calls(made: dict[str, int]) -> Row:
    """The floor's calls are on paths of its own, so these are the bot's alone."""
    ends = ROUNDS * EACH
    rest = sum(made.get(path, 0) for path in REST) / ends
    others = {path: count for path, count in made.items() if path not in (*REST, CLOSING) and path.startswith("kf/")}
    detail = f"and {made.get(CLOSING, 0) / ends:g} closing message; calls beside: {others or 'none'}"
    return Row("kf calls of one /end", rest, "calls", CALLS, detail=detail)


def all_ended(bot: Bot, path: Path, via: str, wanted: int) -> None:
    """What was timed has really happened."""
    sql = """SELECT count(*) FROM handoffs h JOIN codes c ON c.handoff_id = h.id AND c.service_state = 4
        WHERE h.via = ? AND h.status = 'COMPLETED' AND c.state = 'sent'"""
    with closing(sqlite3.connect(path)) as db:
        ended = int(db.execute(sql, (via,)).fetchone()[0])
    if ended != wanted:
        raise bot.child.failed(f"was asked to end {wanted} sessions; on record as ended and told: {ended}")


def fsync_ms(folder: Path) -> float:
    """Median milliseconds to append 4 KiB and have them on the disk."""
    taken = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(25):
            began = time.perf_counter()
            _append(file)
            taken.append(time.perf_counter() - began)
    return median(taken) * 1000


def _append(file: FileIO) -> None:
    file.write(bytes(4096))
    os.fsync(file.fileno())


# -- the floor's process


def answer(port: int, path: str) -> None:
    with Path(path).open("wb", buffering=0) as file:
        asyncio.run(_answer(port, file))


async def _answer(port: int, file: FileIO) -> None:
    from aiohttp import ClientSession

    from bench.child import say

    async with ClientSession() as http, http.ws_connect(f"ws://{HOST}:{port}/") as socket:
        await socket.send_str(_frame("aibot_subscribe", "floor", {"bot_id": FLOOR_ID, "secret": ""}))
        await socket.receive()
        say(subscribed=FLOOR_ID)
        async for message in socket:
            frame: dict[str, Any] = json.loads(message.data)
            if "cmd" not in frame:
                continue
            req_id, tapped = frame["headers"]["req_id"], "event" in frame["body"]
            if tapped or "/end" in frame["body"]["text"]["content"]:
                await _end(http, f"http://{HOST}:{port}/cgi-bin/floor", file)
            cmd = "aibot_respond_update_msg" if tapped else "aibot_respond_msg"
            await socket.send_str(_frame(cmd, req_id, CARD if tapped else WORDS))


async def _end(http: Any, url: str, file: FileIO) -> None:
    for path in ("state", "trans", "state", "send"):
        if path == "trans":
            await asyncio.to_thread(_append, file)
        async with http.post(f"{url}/{path}?access_token=x", data=b'{"external_userid":"wm"}') as response:
            json.loads(await response.read())


def _frame(cmd: str, req_id: str, body: dict[str, Any]) -> str:
    return json.dumps({"cmd": cmd, "headers": {"req_id": req_id}, "body": body}, ensure_ascii=False)
