"""/alerts"""

from __future__ import annotations

from bot.model import Watched
from bot.registry import Context, command

SHOWN = 20


@command("alerts", "提醒")
async def alerts(ctx: Context) -> str:
    """List the alerts that are open, and who takes care of them"""
    muted_until = await ctx.attention.muted_until(ctx.message.chat_id) if ctx.message.is_group else 0.0
    head = [ctx.say("mute.until", until=ctx.say.when(muted_until, ctx.now))] if muted_until else []
    found = await ctx.attention.open(ctx.scope)
    if not found:
        return "\n".join([*head, ctx.say("alerts.none")])
    names = await ctx.nicknames([each.handoff for each in found[:SHOWN]])
    rows = [_row(ctx, each, names) for each in found[:SHOWN]]
    more = [ctx.say("alerts.and", count=len(found) - SHOWN)] if len(found) > SHOWN else []
    return "\n".join([*head, ctx.say("alerts.open", count=len(found)), *rows, *more])


def _row(ctx: Context, watched: Watched, names: dict[str, str]) -> str:
    handoff, quiet, say = watched.handoff, watched.quiet, ctx.say
    what = " · ".join(say(f"alerts.{rule.value}") for rule in watched.alerts)
    first = min(alert.raised_at for alert in watched.alerts.values())
    row = say(
        "alerts.row",
        who=say.who(handoff, handoff.external_userid, names.get(handoff.external_userid, "")),
        what=what,
        since=say.when(first, ctx.now),
        sends=max(alert.sends for alert in watched.alerts.values()),
    )
    if quiet.snoozed_until > ctx.now:
        return row + say("alerts.snoozed", until=say.when(quiet.snoozed_until, ctx.now))
    acked = quiet.acked_by and ctx.attention.until(watched) > ctx.now
    return row + say("alerts.acked", by=say.plain(quiet.acked_by)) if acked else row
