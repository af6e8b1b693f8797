"""/parked"""

from __future__ import annotations

from bot.errors import WeComError
from bot.registry import Context, DeadDelivery, ParkedEnd, ParkedItem, Role, command

SHOWN = 10  # of each kind


@command("parked", "积压", role=Role.ADMIN)
async def parked(ctx: Context) -> str:
    """List events that webhooks did not accept, items from WeCom that could not be read, and ends that failed"""
    assert ctx.parked is not None  # lent by the composition root
    dead, deliveries = await ctx.parked.deliveries(ctx.scope, SHOWN)
    unread, items = await ctx.parked.items(ctx.scope, SHOWN)
    unsettled, ends = await ctx.parked.ends(ctx.scope, SHOWN)
    if not dead and not unread and not unsettled:
        return ctx.say("parked.none")
    lines = []
    if dead:
        lines += [ctx.say("parked.deliveries", count=dead), *(_delivery(ctx, each) for each in deliveries)]
        lines += _more(ctx, dead - len(deliveries))
    if unread:
        lines += [ctx.say("parked.items", count=unread), *(_item(ctx, each) for each in items)]
        lines += _more(ctx, unread - len(items))
    if unsettled:
        lines += [ctx.say("parked.ends", count=unsettled), *(_end(ctx, each) for each in ends)]
        lines += _more(ctx, unsettled - len(ends))
    if deliveries:
        return "\n".join([*lines, ctx.say("parked.foot", number=deliveries[0].id)])
    return "\n".join([*lines, ctx.say("parked.foot.items" if items else "parked.foot.ends")])


def _more(ctx: Context, count: int) -> list[str]:
    return [ctx.say("alerts.and", count=count)] if count else []


def _delivery(ctx: Context, dead: DeadDelivery) -> str:
    return ctx.say(
        "parked.delivery",
        number=dead.id,
        host=ctx.say.plain(dead.host),
        event=dead.type.lower(),
        who=ctx.say.who(dead.handoff, dead.handoff.external_userid),
        at=ctx.say.when(dead.at, ctx.now),
        tries=dead.attempts,
        why=ctx.say.plain(dead.error, 120),
    )


def _end(ctx: Context, end: ParkedEnd) -> str:
    return ctx.say(
        "parked.end",
        who=ctx.say.who(end.handoff, end.handoff.external_userid),
        by=ctx.say.plain(end.operator_id or "-"),
        at=ctx.say.when(end.asked_at, ctx.now),
        why=ctx.say.error(WeComError(end.errcode, "", "")),
    )


def _item(ctx: Context, item: ParkedItem) -> str:
    return ctx.say(
        "parked.item",
        account=ctx.say.plain(item.open_kfid),
        since=ctx.say.when(item.at, ctx.now) if item.at else ctx.say("parked.lately"),
        why=ctx.say.plain(item.why, 120),
    )
