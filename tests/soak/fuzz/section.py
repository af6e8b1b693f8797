"""Section: junk by the hundred thousand at each of the three doors, the bot behind them in a process of its own."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.children import ROOT
from tests.soak.fuzz.calls import talk_all
from tests.soak.fuzz.dice import Dice
from tests.soak.fuzz.frames import say_all
from tests.soak.fuzz.house import PATIENCE, House
from tests.soak.fuzz.tally import LONGEST_SHOWN, MOST_SHOWN, Tally, ask_all
from tests.soak.runner import Stage, Told, section

COUNT = int(os.environ.get("KFBOT_FUZZ_COUNT", 100_000))
SEED = os.environ.get("KFBOT_FUZZ_SEED") or secrets.token_hex(4)  # of a run that is to be run again
STEPS = 10  # parts of a run; after the first memory is warm; between them customers come again who were ended
SOCKETS = 0.1  # of the third run is said over live sockets
FLAT = 8 << 20  # bytes: what the allocator, and caches that are full later (addresses, paces, pages), may take
ACKS = 0.1  # of what the bot says is answered strangely
_LISTENS = re.compile(rb"listening \| http://127\.0\.0\.1:(\d+)")
_BAD = re.compile(r"^\S+ \S+ (?:ERROR|CRITICAL)\b.*$|^Traceback.*$", re.MULTILINE)
_GIVEN_UP = re.compile(r"never retrieved|was never awaited|Unclosed ")

Run = Callable[[Tally, int, Callable[[int], None]], Awaitable[None]]


@dataclass
class Done:
    """One run."""

    tally: Tally = field(default_factory=Tally)
    memory: list[int] = field(default_factory=list)  # of the bot after each step, the first of which warms it up
    seconds: float = 0.0

    @property
    def grown(self) -> int:
        return self.memory[-1] - self.memory[0]

    @property
    def ok(self) -> bool:
        return not self.tally.wrong and self.tally.done >= COUNT and self.grown <= FLAT

    def figures(self) -> dict[str, Any]:
        return {
            "cases": self.tally.done, "answers": dict(self.tally.answers.most_common()), "wrong": self.tally.wrong,
            "server_errors": sum(n for status, n in self.tally.answers.items() if status in ("500", "501", "504")),
            "rss": self.memory, "rss_grown": self.grown, "seconds": round(self.seconds, 1),
        }  # fmt: skip


class Bot:
    """The process."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process, self._log = process, log

    def port(self) -> int:
        """0 until it listens."""
        found = _LISTENS.search(self._log.read_bytes())
        return int(found[1]) if found else 0

    def memory(self) -> int:
        """Bytes of it that are in memory."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def alive(self) -> bool:
        return self._process.poll() is None

    def complaints(self) -> list[str]:
        """Lines of its log that nobody should have to read."""
        said = self._log.read_text("utf-8", "replace")
        return [found[0][:400] for pattern in (_BAD, _GIVEN_UP) for found in pattern.finditer(said)]

    @classmethod
    @asynccontextmanager
    async def living(cls, house: House, folder: Path) -> AsyncIterator[Bot]:
        environment = {name: value for name, value in os.environ.items() if not name.upper().startswith("KFBOT_")}
        log = folder / "said"
        with log.open("wb") as said:
            process = subprocess.Popen(  # noqa: ASYNC220
                [sys.executable, "-m", "tests.soak.fuzz.bot", str(house.settings)],
                stdout=said, stderr=said, stdin=subprocess.DEVNULL, cwd=ROOT, env=environment,
            )  # fmt: skip
        bot = cls(process, log)
        try:
            await house.until(lambda: bot.port() or not bot.alive(), "the bot listens")
            yield bot
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, PATIENCE)


@section("fuzz")
def fuzz(stage: Stage) -> Told:
    done, wrongs = asyncio.run(_fuzz(stage))
    return _told(done, wrongs)


async def _fuzz(stage: Stage) -> tuple[dict[str, Done], list[str]]:
    done: dict[str, Done] = {}
    async with House.opened(stage.folder, Dice(f"{SEED} line")) as house, Bot.living(house, stage.folder) as bot:
        await house.move_in(bot.port())
        for name, run in _runs(house).items():
            done[name] = await _one(stage, house, bot, name, run)
            if not bot.alive():
                return done, ["the bot has ended", *bot.complaints()]
        return done, [*bot.complaints(), *await house.wrongs()]


def _runs(house: House) -> dict[str, Run]:
    callbacks, frames = house.callbacks(Dice(f"{SEED} callbacks")), house.frames(Dice(f"{SEED} frames"))
    requests, talks = house.requests(Dice(f"{SEED} requests")), house.talks(Dice(f"{SEED} talks"))

    async def call_back(tally: Tally, count: int, tell: Callable[[int], None]) -> None:
        await ask_all(house.port, callbacks, count, tally, tell)

    async def say(tally: Tally, count: int, tell: Callable[[int], None]) -> None:
        house.line.chance = ACKS
        await say_all(house.line, frames, count, tally, tell)
        house.line.chance = 0.0

    async def request(tally: Tally, count: int, tell: Callable[[int], None]) -> None:
        talked = round(count * SOCKETS)
        await ask_all(house.port, requests, count - talked, tally, tell)
        await talk_all(house.port, talks, talked, tally, tell)

    return {"callbacks": call_back, "frames": say, "requests": request}


async def _one(stage: Stage, house: House, bot: Bot, name: str, run: Run) -> Done:
    done, began = Done(), time.monotonic()

    def tell(number: int) -> None:
        if number % 1000 == 0:
            stage.tell(number, COUNT, f"{name}, seed {SEED}")

    for step in range(STEPS):
        if step == STEPS // 2:
            await house.line.cut()
        await run(done.tally, COUNT // STEPS, tell)
        if not bot.alive():
            done.memory.append(0)
            break
        await house.refill()
        done.memory.append(bot.memory())
    done.seconds = time.monotonic() - began
    return done


def _told(done: dict[str, Done], wrongs: list[str]) -> Told:
    ok = len(done) == 3 and not wrongs and all(each.ok for each in done.values())
    figures = {
        "ok": ok, "seed": SEED, "flat_below": FLAT, "wrong": wrongs,
        **{name: each.figures() for name, each in done.items()},
    }  # fmt: skip
    rows = {"seed": SEED} | {f"fuzzed {name}": _row(each) for name, each in done.items()}
    faults = [*wrongs, *(fault for each in done.values() for fault in each.tally.wrong)]
    shown = {f"wrong {number}": each[:LONGEST_SHOWN] for number, each in enumerate(faults[:MOST_SHOWN])}
    return Told(ok, figures, rows | shown)


def _row(done: Done) -> str:
    memory = f"{done.memory[0] / 2**20:.0f} → {done.memory[-1] / 2**20:.0f} MB"
    return f"{done.tally.done} in {done.seconds:.0f} s, wrong {len(done.tally.wrong)}, memory {memory}"
