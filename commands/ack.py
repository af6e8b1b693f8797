"""/ack customer"""

from __future__ import annotations

from bot.errors import CommandError
from bot.registry import Context, Heard, Role, Target, command


@command("ack", "跟进", role=Role.AGENT)
async def ack(ctx: Context, customer: Target) -> str:
    """Say that you follow it up: its alert is not repeated while you do"""
    who = ctx.say.who(customer.handoff, customer.key.external_userid, customer.nickname)
    answer = await ctx.attention.ack(customer.handoff.id, ctx.operator.id) if customer.handoff else None
    if answer is None or answer.heard is Heard.OVER:
        raise CommandError(ctx.say("quiet.over", who=who), "over")
    quiet = answer.watched.quiet
    match answer.heard:
        case Heard.NOTHING:
            return ctx.say("quiet.nothing", who=who)
        case Heard.ALREADY:
            by, when = ctx.say.plain(quiet.acked_by), ctx.say.when(quiet.acked_at, ctx.now)
            return ctx.say("ack.already", who=who, by=by, when=when)
        case _:
            return ctx.say(
                "ack.done", who=who, by=ctx.say.plain(quiet.acked_by), until=ctx.say.when(answer.until, ctx.now)
            )
