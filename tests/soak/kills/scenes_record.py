"""Scenes of what is kept: a first start with a history, ratings, old records that go, and the verbs beside the bot."""

from __future__ import annotations

from bot.phrases import SCORES, rating_id
from bot.sandbox import Sandbox
from tests.soak.kills.house import KF, House, Scenery
from tests.soak.kills.scenes import ANN, BEN, is_over, say, scene, with_human

KEPT = 92 * 86400.0  # seconds after which nothing is kept any more: a day more than the retention, for the audit log
OLD = ("handoffs", "items", "commands", "customers", "cards")
AUDIT_OLD = "SELECT 1 FROM audit WHERE at < ?"


def _history(sandbox: Sandbox) -> None:
    sandbox.customer_new("小林", ANN)
    for words in ("在吗", "有人吗", "请问"):
        sandbox.customer_writes(KF, ANN, words)
    sandbox.servicer_takes(KF, ANN, "ZhangSuQuan")
    sandbox.servicer_writes(KF, ANN, "ZhangSuQuan", "您好")


@scene(Scenery(wecom={"page_limit": 2}, before=_history))
async def first(house: House) -> None:
    """The bot comes to an account where a servicer has a session already."""
    await house.until(lambda: house.record.handoff(ANN), "the handoff")
    await house.settled()
    number = house.record.handoff(ANN)
    await house.asked(lambda: say(house, f"/end {number}"), lambda: is_over(house, number), "/end")


@scene()
async def rated(house: House) -> None:
    """The customer rates what is over, thinks better of it, and WeCom could not deliver the greeting after all."""
    number = await with_human(house)
    await house.asked(lambda: say(house, f"/end {number}"), lambda: is_over(house, number), "/end")
    await house.settled()
    lines = house.sandbox.session(KF, ANN).lines
    (greeting,) = (line.id for line in lines if line.id.startswith("greet3-"))
    if any(line.menu for line in lines):
        for score in SCORES[:2]:
            house.sandbox.customer_writes(KF, ANN, score, menu_id=rating_id(number, score))
    house.sandbox.delivery_fails(KF, ANN, greeting, 4)


@scene(Scenery(hurried=["PRUNE_EVERY"]))
async def old(house: House) -> None:
    """What has long been over goes; what comes then stays."""
    number = await with_human(house)
    await house.asked(lambda: say(house, f"/end {number}"), lambda: is_over(house, number), "/end")
    await house.settled()
    house.move(KEPT)
    await house.until(lambda: not _kept(house), "the retention")
    number = await with_human(house, BEN)
    house.sandbox.servicer_ends(KF, BEN)
    await house.until(lambda: is_over(house, number, BEN), "the end in the client")


def _kept(house: House) -> list[str]:
    """Tables in which there is something old."""
    before = house.clock.now() - KEPT / 2
    found = [table for table in OLD if house.record.one(f"SELECT 1 FROM {table}")]
    return [*found, *(["audit"] if house.record.one(AUDIT_OLD, before) else [])]


@scene(Scenery(hurried=["SWEEP_EVERY"]))
async def verbs(house: House) -> None:
    """Beside the running bot somebody ends the session, takes a backup, and has the customer forgotten."""
    number = await with_human(house)
    await house.errand("end", ANN, "--kf", KF)
    await house.until(lambda: is_over(house, number), "the end by the script")
    await house.settled()
    await house.errand("backup", "--to", str(house.life.folder / "copy-{number}.db"))
    await house.errand("forget", ANN, "--yes", idle=1)
