"""/snooze customer 10m"""

from __future__ import annotations

from bot.errors import CommandError
from bot.registry import Context, Heard, Role, Target, command, read_duration


@command("snooze", "稍后", role=Role.AGENT)
async def snooze(ctx: Context, customer: Target, duration: str = "") -> str:
    """Quiet a customer's alert for a time"""
    seconds = read_duration(duration, ctx.say) if duration else ctx.attention.pause
    who = ctx.say.who(customer.handoff, customer.key.external_userid, customer.nickname)
    handoff = customer.handoff
    answer = await ctx.attention.snooze(handoff.id, ctx.operator.id, seconds, anew=True) if handoff else None
    if answer is None or answer.heard is Heard.OVER:
        raise CommandError(ctx.say("quiet.over", who=who), "over")
    quiet = answer.watched.quiet
    key = "snooze.done" if answer.heard is Heard.DONE else "snooze.already"
    return ctx.say(key, who=who, by=ctx.say.plain(quiet.snoozed_by), until=ctx.say.when(quiet.snoozed_until, ctx.now))
