"""/history [customer]"""

from __future__ import annotations

from bot.model import Handoff
from bot.registry import Context, Target, command

LAST = 10


@command("history", "记录", "历史")
async def history(ctx: Context, customer: Target | None = None) -> str:
    """The last handoffs: who ended them, how long they took"""
    found = await ctx.ledger.history(customer.key if customer else None, LAST)
    if not found:
        return ctx.say("history.none")
    names = await ctx.nicknames(found)
    title = ctx.say("history.title")
    if customer is not None:
        title = ctx.say("history.one", who=ctx.say.who(None, customer.key.external_userid, customer.nickname))
    return "\n".join([title, *(_row(ctx, handoff, names) for handoff in found)])


def _row(ctx: Context, handoff: Handoff, names: dict[str, str]) -> str:
    over = handoff.completed_at is not None
    until = handoff.completed_at if handoff.completed_at is not None else ctx.now
    row = ctx.say(
        "history.row",
        number=handoff.id,
        who=ctx.say.who(None, handoff.external_userid, names.get(handoff.external_userid, "")),
        begun=ctx.say.when(handoff.requested_at, ctx.now),
        status=ctx.say(f"status.{handoff.status}"),
        by=_how(ctx, handoff) if over else ctx.say("history.open"),
        took=ctx.say.lasted(until - handoff.requested_at),
    )
    return row + (ctx.say("history.reopened", number=handoff.previous_id) if handoff.previous_id else "")


def _how(ctx: Context, handoff: Handoff) -> str:
    reason = ctx.say("history.reason", reason=ctx.say.plain(handoff.reason)) if handoff.reason else ""
    via = ctx.say(f"via.{handoff.via}")
    return ctx.say("history.ended", by=ctx.say.ended_by(handoff), via=via, reason=reason)
