"""/end all idle>30m"""

from __future__ import annotations

from bot.model import Handoff
from bot.registry import Context, Plan, Rest, Role, command

SHOWN = 10


@command("end all", "结束 全部", "结束全部", role=Role.AGENT)
async def end_all(ctx: Context, condition: Rest) -> str:
    """List the sessions that a condition fits, and end them all after /confirm"""
    plan = await ctx.bulk.plan(ctx.ledger, condition, ctx.message, ctx.now)
    named = ctx.say(f"bulk.condition.{plan.condition.name}", amount=plan.condition.amount)
    if not plan.handoffs:
        return ctx.say("bulk.none", condition=named)
    names = await ctx.nicknames(plan.handoffs[:SHOWN])
    lines = [ctx.say("bulk.title", condition=named, count=len(plan.handoffs))]
    lines += [_row(ctx, plan, handoff, names) for handoff in plan.handoffs[:SHOWN]]
    if len(plan.handoffs) > SHOWN:
        lines.append(ctx.say("bulk.rest", count=len(plan.handoffs) - SHOWN))
    if plan.more:
        lines.append(ctx.say("bulk.more", count=len(plan.handoffs)))
    if plan.waiting:
        lines.append(ctx.say("bulk.waiting", count=plan.waiting))
    return "\n".join([*lines, ctx.say("bulk.confirm", code=plan.code)])


def _row(ctx: Context, plan: Plan, handoff: Handoff, names: dict[str, str]) -> str:
    return ctx.say(
        "bulk.row",
        who=ctx.say.who(handoff, handoff.external_userid, names.get(handoff.external_userid, "")),
        servicer=ctx.say.plain(handoff.servicer_userid or "-"),
        clock=_clock(ctx, plan, handoff),
    )


def _clock(ctx: Context, plan: Plan, handoff: Handoff) -> str:
    """The clock that the condition looks at, and whether a customer is left without an answer."""
    waited = ctx.say.lasted(ctx.now - (handoff.waiting_since or ctx.now))
    match plan.condition.name:
        case "idle":
            clock = ctx.say("list.idle", wait=ctx.say.lasted(ctx.now - handoff.active_at))
        case "open":
            clock = ctx.say("bulk.open", wait=ctx.say.lasted(ctx.now - (handoff.accepted_at or handoff.requested_at)))
        case _:
            return ctx.say("list.waiting", wait=waited)
    return clock if handoff.waiting_since is None else f"{clock} · {ctx.say('list.waiting', wait=waited)}"
