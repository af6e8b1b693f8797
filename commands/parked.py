"""/parked"""

from __future__ import annotations

from bot.registry import Context, DeadDelivery, ParkedItem, Role, command

SHOWN = 10  # of each kind


@command("parked", "积压", role=Role.ADMIN)
async def parked(ctx: Context) -> str:
    """List events that webhooks did not accept, and items from WeCom that could not be read"""
    assert ctx.parked is not None  # lent by the composition root
    dead, deliveries = await ctx.parked.deliveries(ctx.scope, SHOWN)
    unread, items = await ctx.parked.items(ctx.scope, SHOWN)
    if not dead and not unread:
        return ctx.say("parked.none")
    lines = []
    if dead:
        lines += [ctx.say("parked.deliveries", count=dead), *(_delivery(ctx, each) for each in deliveries)]
        lines += _more(ctx, dead - len(deliveries))
    if unread:
        lines += [ctx.say("parked.items", count=unread), *(_item(ctx, each) for each in items)]
        lines += _more(ctx, unread - len(items))
    foot = ctx.say("parked.foot", number=deliveries[0].id) if deliveries else ctx.say("parked.foot.items")
    return "\n".join([*lines, foot])


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


def _item(ctx: Context, item: ParkedItem) -> str:
    return ctx.say(
        "parked.item",
        account=ctx.say.plain(item.open_kfid),
        since=ctx.say.when(item.at, ctx.now) if item.at else ctx.say("parked.lately"),
        why=ctx.say.plain(item.why, 120),
    )
