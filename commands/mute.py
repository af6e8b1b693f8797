"""/mute 1h"""

from __future__ import annotations

from bot.errors import CommandError
from bot.registry import Context, Role, command, read_duration

OFF = frozenset({"off", "0", "取消", "关闭"})


@command("mute", "静音", role=Role.AGENT)
async def mute(ctx: Context, duration: str = "") -> str:
    """Have no alerts in this group for a time; `off` takes it back"""
    chat_id = ctx.message.chat_id
    if not ctx.message.is_group:
        raise CommandError(ctx.say("mute.group"))
    if not duration:
        until = await ctx.attention.muted_until(chat_id)
        return ctx.say("mute.until", until=ctx.say.when(until, ctx.now)) if until else ctx.say("mute.not")
    if duration.casefold() in OFF:
        await ctx.attention.mute(chat_id, 0.0)
        return ctx.say("mute.off")
    until = ctx.now + read_duration(duration, ctx.say)
    await ctx.attention.mute(chat_id, until)
    return ctx.say("mute.done", until=ctx.say.when(until, ctx.now))
