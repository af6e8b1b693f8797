"""/end customer [reason]"""

from __future__ import annotations

from bot.model import Handoff, Via
from bot.registry import Context, Rest, Role, Target, command


@command("end", "结束", role=Role.AGENT)
async def end(ctx: Context, customer: Target, reason: Rest = Rest("")) -> str:  # noqa: B008  a value type
    """End a session with a human; the customer gets the closing message"""
    named = customer.handoff
    if named is not None and not named.status.is_open:
        return await _over(ctx, customer, named)
    result = await ctx.handoffs.end(
        customer.key, ctx.operator, Via.COMMAND, reason, notify=ctx.asker, handoff_id=named.id if named else None
    )
    return ctx.tell_end(result, customer)


async def _over(ctx: Context, customer: Target, named: Handoff) -> str:
    """A number names one stretch. It must not end the customer's next one."""
    who = ctx.say.who(named, named.external_userid, customer.nickname)
    when = ctx.say.when(named.completed_at or named.requested_at, ctx.now)
    lines = [ctx.say("end.already", who=who, by=ctx.say.ended_by(named), when=when)]
    current = await ctx.ledger.open_handoff(named.key)
    if current is not None:
        lines.append(ctx.say("end.next", number=current.id))
    return "\n".join(lines)
