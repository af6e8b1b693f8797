"""Scenes in the group: many ends at once, alerts that are put off, the daily report, no connection, a new group."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from itertools import chain
from typing import Any

from bot.sandbox import SandboxConfig
from tests.soak.kills.house import CHAT, House, Scenery
from tests.soak.kills.scenes import (
    ALERT_HANDED,
    ANN,
    BEN,
    REPEATS,
    WAITS,
    again,
    alerted,
    cards_with,
    commanded,
    ended_in_client,
    is_over,
    say,
    scene,
    tap,
    with_human,
)

SILENT = 61.0  # seconds after which `idle>1m` fits
ROBOT_HANDED = ("alert.handing", "lifeline.sent")
SNOOZED = 20 * 60.0
_OFFERED = re.compile(r"/confirm (\w{4})")
_PAIRS = re.compile(r"/bind ([0-9a-f]{8})")


@scene()
async def many(house: House) -> None:
    """A member ends all that are silent, by a list and the code below it."""
    numbers = {customer: await with_human(house, customer) for customer in (ANN, BEN)}
    house.move(SILENT)
    while not all(is_over(house, number, customer) for customer, number in numbers.items()):
        if await commanded(house, "/end all idle>1m") == "ok" and (code := _offered(house)):
            await commanded(house, f"/confirm {code}")
        await house.settled()


def _offered(house: House) -> str:
    """The newest code; empty where nothing was left to be listed."""
    answer = next(each for each in reversed(house.sandbox.group_messages(CHAT)) if each.source == "bot")
    found = _OFFERED.search(answer.text)
    return found[1] if found else ""


@scene()
async def snooze(house: House) -> None:
    """The group hears of a customer who waits; that is put off by the card, then by a command, then heard again."""
    number = await with_human(house)
    await alerted(house, number)
    snoozed = "SELECT 1 FROM quiets WHERE handoff_id=? AND snoozed_at > 0"
    press = f"snooze:{number}"
    await house.asked(lambda: tap(house, "LiNa", press), lambda: house.record.one(snoozed, number), "the snooze")
    await house.settled()
    while await commanded(house, f"/snooze {number} 20m") == "lost":
        await house.settled()
    shown, waits = len(cards_with(house, press)), chain([SNOOZED + 1], again(house, ALERT_HANDED, 2 * REPEATS))
    await house.asked(lambda: house.move(next(waits)), lambda: len(cards_with(house, press)) > shown, "the repeat")
    await house.settled()
    await ended_in_client(house, number)


def _with_robot(settings: dict[str, Any]) -> None:
    robot = f"{settings['wecom']['api_base']}/cgi-bin/webhook/send?key={SandboxConfig().webhook_key}"
    settings["group"]["webhook"] = {"url": robot}


@scene(Scenery(_with_robot))
async def cut_off(house: House) -> None:
    """The long connection is gone for good: the group hears of a customer who waits, and of the end, by its robot."""
    number = await with_human(house)
    house.cut_off = True
    house.sandbox.fault("aibot_subscribe", "reset_before", times=None)
    house.sandbox.line.drop()
    waits: Iterator[float] = chain([WAITS], again(house, ROBOT_HANDED))
    await house.asked(lambda: house.move(next(waits)), lambda: _heard_in_time(house), "the alert")
    await house.settled()
    await ended_in_client(house, number)


def _heard_in_time(house: House) -> bool:
    """A connection that has just been lost is waited for: for that time has to pass."""
    heard = bool(by_robot(house))
    if not heard:
        house.move(0.1)
    return heard


def by_robot(house: House) -> list[str]:
    return [each.text for each in house.sandbox.group_messages(CHAT) if each.source == "webhook"]


def _report_later(settings: dict[str, Any]) -> None:
    """In some hours, so that no life begins while it is due."""
    settings["report"] = {"at": f"{datetime.now().astimezone() + timedelta(hours=6):%H:%M}"}


@scene(Scenery(_report_later))
async def report(house: House) -> None:
    """The day's numbers, and their picture."""
    await house.settled()
    house.move(_until(house, time.fromisoformat(house.settings["report"]["at"])))
    claimed = "SELECT 1 FROM meta WHERE key GLOB 'report *'"
    await house.until(lambda: house.record.one(claimed), "the claim on the report")
    await house.until(lambda: house.killed or house.life.passed["picture.sent"], "the report and its picture")


def _until(house: House, at: time) -> float:
    now = datetime.fromtimestamp(house.clock.now()).astimezone()
    slot = datetime.combine(now.date(), at, now.tzinfo)
    return ((slot if slot > now else slot + timedelta(days=1)) - now).total_seconds() + 1


@scene(Scenery(lambda settings: settings["group"].update(chat_ids=[])))
async def pairing(house: House) -> None:
    """A group is paired by the code in the log."""
    await house.settled()
    paired = "SELECT 1 FROM paired_chats"
    await house.asked(lambda: say(house, f"/bind {_code(house)}"), lambda: house.record.one(paired), "/bind")


def _code(house: House) -> str:
    return str(_PAIRS.findall(house.life.said(100_000))[-1])
