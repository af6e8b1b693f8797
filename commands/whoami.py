"""/whoami"""

from __future__ import annotations

from bot.registry import Context, command


@command("whoami", "我是谁", anywhere=True)
async def whoami(ctx: Context) -> str:
    """Show your userid and role"""
    lines = [ctx.say("whoami", userid=ctx.message.userid, role=ctx.say(f"role.{ctx.role.value}"))]
    if ctx.message.is_group:
        lines.append(ctx.say("whoami.chat", chat=ctx.message.chat_id))
    return "\n".join(lines)
