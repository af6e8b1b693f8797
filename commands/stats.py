"""/stats [today|week]"""

from __future__ import annotations

from typing import Literal

from bot.registry import Context, command


@command("stats", "统计")
async def stats(ctx: Context, period: Literal["", "today", "week"] = "") -> str:
    """Numbers: handled, waits and lengths, ended by whom; with a picture"""
    assert ctx.report is not None  # lent by the composition root
    return await ctx.report.stats(ctx.message, period, ctx.scope)
