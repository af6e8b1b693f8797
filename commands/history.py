"""/history [customer]"""

from __future__ import annotations

from bot.model import Handoff, HandoffStatus, Via
from bot.registry import Context, Target, command

LAST = 10


@command("history", "记录", "历史")
async def history(ctx: Context, customer: Target | None = None) -> str:
    """The last handoffs: who ended them, how long they took"""
    found = await ctx.ledger.history(customer.key if customer else None, LAST)
    if customer is not None:
        return _of_one(ctx, customer, found)
    if not found:
        return ctx.say("history.none")
    names = await ctx.nicknames(found)
    rows = (
        _row(ctx, "history.row", each, who=ctx.say.who(each, each.external_userid, names.get(each.external_userid, "")))
        for each in found
    )
    return "\n".join([ctx.say("history.title"), *rows])


def _of_one(ctx: Context, customer: Target, found: list[Handoff]) -> str:
    who = ctx.say.who(None, customer.key.external_userid, customer.nickname)
    if not found:
        return ctx.say("history.none_of", who=who)
    return "\n".join(
        [ctx.say("history.one", who=who), *(_row(ctx, "history.one_row", each, number=each.id) for each in found)]
    )


def _row(ctx: Context, key: str, handoff: Handoff, **named: object) -> str:
    until = handoff.completed_at if handoff.completed_at is not None else ctx.now
    begun, took = ctx.say.when(handoff.requested_at, ctx.now), ctx.say.lasted(until - handoff.requested_at)
    row = ctx.say(key, begun=begun, took=took, how=_how(ctx, handoff), **named)
    return row + (ctx.say("history.reopened", number=handoff.previous_id) if handoff.previous_id else "")


def _how(ctx: Context, handoff: Handoff) -> str:
    if handoff.status.is_open:
        return ctx.say(f"status.{handoff.status}")
    key = "history.cancelled" if handoff.status is HandoffStatus.CANCELLED else "history.ended"
    reason = ctx.say("history.reason", reason=ctx.say.plain(handoff.reason)) if handoff.reason else ""
    known = handoff.via in (None, Via.EXPIRED, Via.ELSEWHERE)  # then `by` has said it
    via = "" if known else ctx.say("history.via", via=ctx.say(f"via.{handoff.via}"))
    return ctx.say(key, by=ctx.say.ended_by(handoff), via=via, reason=reason)
