"""/bind CODE"""

from __future__ import annotations

from bot.errors import CommandError
from bot.registry import Context, command


@command("bind", "绑定", anywhere=True)
async def bind(ctx: Context, code: str) -> str:
    """Pair this group with me"""
    if not ctx.message.is_group:
        raise CommandError(ctx.say("bind.group"))
    if await ctx.desk.pair(ctx.message, code):
        return ctx.say("bind.done")
    raise CommandError(ctx.say("bind.wrong"))
