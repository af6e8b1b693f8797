"""/replay NUMBER|all"""

from __future__ import annotations

from bot.errors import CommandError
from bot.registry import Context, Replayed, Role, command

ALL = ("all", "全部")
LARGEST = 2**63 - 1


@command("replay", "重发", role=Role.ADMIN)
async def replay(ctx: Context, parked: str) -> str:
    """Send dead webhook events again; with `all`, also try again what could not be read or ended"""
    assert ctx.parked is not None  # lent by the composition root
    number = None if parked.casefold() in ALL else _number(ctx, parked)
    done = await ctx.parked.replay(ctx.scope, number)
    if number is not None and not done.sent and not done.unnamed:
        raise CommandError(ctx.say("replay.unknown", number=number))
    return "\n".join(_told(ctx, done)) or ctx.say("parked.none")


def _number(ctx: Context, word: str) -> int:
    digits = word.removeprefix("#")
    if not (digits.isascii() and digits.isdigit() and int(digits) <= LARGEST):
        raise CommandError(ctx.say("usage.number", word=ctx.say.plain(word)), "usage")
    return int(digits)


def _told(ctx: Context, done: Replayed) -> list[str]:
    lines = []
    if done.sent:
        lines.append(ctx.say("replay.sent", count=done.sent))
    if done.unnamed:
        lines.append(ctx.say("replay.unnamed", count=done.unnamed))
    if done.read:
        lines.append(ctx.say("replay.read", count=done.read))
    if done.ends:
        lines.append(ctx.say("replay.ends", count=done.ends))
    if done.unread:
        lines.append(ctx.say("replay.unread", count=done.unread))
    return lines
