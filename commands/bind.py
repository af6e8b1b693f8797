"""/bind CODE"""

from __future__ import annotations

from bot.errors import CommandError
from bot.registry import Context, Pairing, command


@command("bind", "绑定", anywhere=True, acts=True)
async def bind(ctx: Context, code: str) -> str:
    """Pair this group with me"""
    if not ctx.message.is_group:
        raise CommandError(ctx.say("bind.group"))
    match await ctx.desk.pair(ctx.message, code):
        case Pairing.DONE:
            return ctx.say("bind.done")
        case Pairing.ALREADY:
            return ctx.say("bind.already")
        case Pairing.CLOSED:
            raise CommandError(ctx.say("refused.other", chat=ctx.message.chat_id), "forbidden")
        case Pairing.WRONG:
            raise CommandError(ctx.say("bind.wrong"))
