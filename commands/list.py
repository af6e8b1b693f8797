"""/list [waiting|human|queue] [page]"""

from __future__ import annotations

from typing import Literal

from bot.errors import CommandError
from bot.model import Handoff
from bot.registry import Context, command

PAGE = 10


@command("list", "列表", "ls")
async def list_(ctx: Context, kind: Literal["", "waiting", "human", "queue"] = "", page: int = 1) -> str:
    """List open sessions, longest wait first"""
    total = await ctx.ledger.count_open(kind)
    if not total:
        return ctx.say("list.none")
    pages = -(-total // PAGE)
    if page > pages:
        raise CommandError(ctx.say("list.no_page", page=page, pages=pages), "usage")
    first = (page - 1) * PAGE
    found = await ctx.ledger.open_handoffs(kind, PAGE, first)
    names = await ctx.nicknames(found)
    rows = [_row(ctx, first + index + 1, handoff, names) for index, handoff in enumerate(found)]
    title = ctx.say("list.title", shown=f"{first + 1}–{first + len(found)}", total=total)
    foot = [ctx.say("list.act", number=found[0].id)] if found else []
    if page < pages:
        foot.append(ctx.say("list.more", kind=f"{kind} " if kind else "", page=page + 1))
    return "\n".join([title, *rows, *foot])


def _row(ctx: Context, number: int, handoff: Handoff, names: dict[str, str]) -> str:
    waiting = handoff.waiting_since is not None
    since = handoff.waiting_since if handoff.waiting_since is not None else handoff.active_at
    return ctx.say(
        "list.row",
        number=number,
        who=ctx.say.who(handoff, handoff.external_userid, names.get(handoff.external_userid, "")),
        status=ctx.say(f"status.{handoff.status}"),
        servicer=f" {handoff.servicer_userid}" if handoff.servicer_userid else "",
        clock=ctx.say("list.waiting" if waiting else "list.idle", wait=ctx.say.lasted(ctx.now - since)),
    )
