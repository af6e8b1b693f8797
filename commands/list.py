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
    total, of = await ctx.ledger.count_open(kind), f".{kind}" if kind else ""
    if not total:
        return ctx.say(f"list.none{of}")
    pages = -(-total // PAGE)
    if page > pages:
        raise CommandError(ctx.say("list.no_page", page=page, pages=pages), "usage")
    first = (page - 1) * PAGE
    found = await ctx.ledger.open_handoffs(kind, PAGE, first)
    names = await ctx.nicknames(found)
    rows = [_row(ctx, handoff, names) for handoff in found]
    title = ctx.say(f"list.title{of}", shown=f"{first + 1}–{first + len(found)}", total=total)
    return "\n".join([title, *rows, *_foot(ctx, kind, found, page + 1 if page < pages else 0)])


def _foot(ctx: Context, kind: str, found: list[Handoff], next_page: int) -> list[str]:
    lines = []
    if found and ctx.may("end"):
        lines.append(ctx.say("list.act", number=found[0].id))
    if next_page:
        name = f"{ctx.say(f'choice.{kind}')} " if kind else ""
        lines.append(ctx.say("list.more", kind=name, page=next_page))
    return lines


def _row(ctx: Context, handoff: Handoff, names: dict[str, str]) -> str:
    """Led by the number that commands take; a running number beside it would be typed by mistake."""
    waiting = handoff.waiting_since is not None
    since = handoff.waiting_since if handoff.waiting_since is not None else handoff.active_at
    return ctx.say(
        "list.row",
        who=ctx.say.who(handoff, handoff.external_userid, names.get(handoff.external_userid, "")),
        status=ctx.say(f"status.{handoff.status}"),
        servicer=f"{ctx.say.plain(handoff.servicer_userid)} · " if handoff.servicer_userid else "",
        clock=ctx.say("list.waiting" if waiting else "list.idle", wait=ctx.say.lasted(ctx.now - since)),
    )
