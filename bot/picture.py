"""What a picture shows, and having it drawn by a process of its own: the bot neither waits for the plotting library
nor keeps it in memory."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

log = logging.getLogger("kfbot.picture")
LONGEST = 20.0  # seconds that drawing may take; about two are usual
DRAWER = (sys.executable, "-m", "bot.chart")
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Figure:
    """A big number. `note` stands small below it, and may be empty."""

    value: str
    label: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """`value` is its length, `text` stands at its end. `tone` names a colour of `bot.chart`; `pale` lightens it."""

    label: str
    value: float
    text: str
    tone: str = "plain"
    pale: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars with one scale: lying, or `upright` beside each other with short labels. Two `half` ones share a width."""

    title: str
    bars: tuple[Bar, ...]
    upright: bool = False
    half: bool = False


@dataclass(frozen=True, slots=True)
class Drawing:
    """All words are ready to be read; whatever the fonts cannot show is left out."""

    title: str
    subtitle: str
    figures: tuple[Figure, ...]
    panels: tuple[Panel, ...]
    notes: tuple[str, ...] = ()

    def dump(self) -> bytes:
        return json.dumps(asdict(self)).encode()


def load(document: bytes) -> Drawing:
    """The inverse of `Drawing.dump`."""
    data: dict[str, Any] = json.loads(document)
    figures = tuple(Figure(**each) for each in data.pop("figures"))
    panels = tuple(Panel(**{**each, "bars": tuple(Bar(**bar) for bar in each["bars"])}) for each in data.pop("panels"))
    return Drawing(figures=figures, panels=panels, notes=tuple(data.pop("notes")), **data)


async def draw(drawing: Drawing, drawer: Sequence[str] = DRAWER, longest: float = LONGEST) -> bytes:
    """A PNG; empty when it could not be drawn, and the log says why."""
    try:
        async with asyncio.timeout(longest):
            return await _drawn(drawing, drawer)
    except TimeoutError:
        log.warning("picture not drawn | not ready after %.0f s", longest)
    except OSError as failed:
        log.warning("picture not drawn | %s", failed)
    return b""


async def _drawn(drawing: Drawing, drawer: Sequence[str]) -> bytes:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *drawer, stdin=pipe, stdout=pipe, stderr=pipe, cwd=ROOT, env=_environment()
    )
    try:
        png, said = await process.communicate(drawing.dump())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        log.warning("picture not drawn | exit %d: %s", process.returncode, last[:300])
        return b""
    return png


def _environment() -> dict[str, str]:
    """The bot's own, without its settings: whoever only draws needs no secrets. One thread is enough, too."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KFBOT_")}
    return {**kept, "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "agg"}
