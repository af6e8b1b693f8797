"""/servicers"""

from __future__ import annotations

from itertools import groupby

from bot.registry import Context, Reception, command

SHOWN = 20  # of one account
OLD = 600.0  # seconds; WeCom is asked every 5 minutes


@command("servicers", "接待")
async def servicers(ctx: Context) -> str:
    """Who is receiving in each account, and how many sessions they have"""
    accounts = {each.open_kfid: each.name for each in await ctx.ledger.counts()}
    found = [each for each in await ctx.people.servicers() if each.open_kfid in accounts]
    if not found:
        return ctx.say("servicers.none")
    lines = [ctx.say("servicers.title")]
    for open_kfid, staff in groupby(found, lambda each: each.open_kfid):
        lines += _account(ctx, accounts[open_kfid] or open_kfid, list(staff))
    return "\n".join(lines)


def _account(ctx: Context, name: str, staff: list[Reception]) -> list[str]:
    listed = [each for each in staff if each.told_at is not None]
    receiving = sum(each.receiving is True for each in listed)
    lines = [ctx.say("servicers.account", account=ctx.say.plain(name), receiving=receiving, total=len(listed))]
    lines += [_row(ctx, each) for each in staff[:SHOWN]]
    if len(staff) > SHOWN:
        lines.append(ctx.say("servicers.more", count=len(staff) - SHOWN))
    age = ctx.now - min((each.told_at for each in listed if each.told_at is not None), default=ctx.now)
    if age > OLD:
        lines.append(ctx.say("servicers.old", ago=ctx.say.lasted(age)))
    return lines


def _row(ctx: Context, servicer: Reception) -> str:
    return ctx.say(
        "servicers.row",
        mark="🟢" if servicer.receiving else "⚪",
        servicer=ctx.say.plain(servicer.userid),
        reception=ctx.say(f"servicers.{_reception(servicer)}"),
        load=servicer.load,
    )


def _reception(servicer: Reception) -> str:
    if servicer.told_at is None:
        return "unlisted"
    if servicer.receiving is None:
        return "untold"
    if servicer.receiving:
        return "receiving"
    return "suspended" if servicer.suspended else "stopped"
