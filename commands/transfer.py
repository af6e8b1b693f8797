"""/transfer customer servicer"""

from __future__ import annotations

from bot.model import Via
from bot.registry import Context, Role, Target, TransferResult, command

NAMED = 10  # people in a list


@command("transfer", "转接", role=Role.AGENT)
async def transfer(ctx: Context, customer: Target, servicer: str) -> str:
    """Hand a session to another servicer who is receiving"""
    named = customer.handoff
    result = await ctx.transfers.give(
        customer.key, servicer, ctx.operator, Via.COMMAND, handoff_id=named.id if named else None
    )
    match result.outcome:
        case "over":
            return await _over(ctx, customer, result)
        case "refused":
            return _refused(ctx, customer, result)
        case "nobody" | "away":
            return f"{_told(ctx, customer, result)}\n{_receiving(ctx, result)}"
        case _:
            return _told(ctx, customer, result)


def _told(ctx: Context, customer: Target, result: TransferResult, key: str = "") -> str:
    return ctx.say(
        f"transfer.{key or result.outcome}",
        who=ctx.say.who(result.handoff or customer.handoff, customer.key.external_userid, customer.nickname),
        servicer=ctx.say.plain(result.servicer),
        before=ctx.say.plain(result.before.servicer_userid or ctx.say("transfer.queue")),
        state=ctx.say.state(result.before.state),
        number=int(result.before.state),
        fits=" ".join(f"`{userid}`" for userid in result.fits[:NAMED]),
    )


async def _over(ctx: Context, customer: Target, result: TransferResult) -> str:
    lines = [_told(ctx, customer, result)]
    handoff = result.handoff
    if handoff is not None and handoff.completed_at is not None:
        when = ctx.say.when(handoff.completed_at, ctx.now)
        lines.append(ctx.say("state.last", number=handoff.id, when=when, by=ctx.say.ended_by(handoff)))
    current = await ctx.ledger.open_handoff(customer.key)
    if current is not None and customer.handoff is not None and current.id != customer.handoff.id:
        lines.append(ctx.say("end.next", number=current.id))
    return "\n".join(lines)


def _refused(ctx: Context, customer: Target, result: TransferResult) -> str:
    """What WeCom's codes mean for a transfer; the rest is worded as everywhere."""
    assert result.error is not None
    head = _told(ctx, customer, result)
    match result.error.errcode:
        case 95014 | 95016 | 95019 as errcode:
            return f"{head}\n{_told(ctx, customer, result, str(errcode))}\n{_receiving(ctx, result)}"
        case _:
            return f"{head}\n{ctx.say.error(result.error)}"


def _receiving(ctx: Context, result: TransferResult) -> str:
    if not result.receiving:
        return ctx.say("transfer.nobody_receiving")
    people = [ctx.say("transfer.colleague", userid=each.userid, load=each.load) for each in result.receiving[:NAMED]]
    return ctx.say("transfer.receiving", people=" · ".join(people))
