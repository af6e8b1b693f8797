"""/confirm CODE"""

from __future__ import annotations

from bot.registry import Context, Role, Tally, command

REASONS = 3  # kinds of failure that are told
NAMED = 5  # sessions named of each
LISTED = 40  # numbers of what was ended


@command("confirm", "确认", role=Role.AGENT)
async def confirm(ctx: Context, confirmation: str) -> str:
    """Carry out what /end all has listed"""
    plan = ctx.bulk.take(ctx.message, confirmation, ctx.now)

    async def tell(tally: Tally) -> None:
        await ctx.desk.tell(ctx.message, ctx.say("confirm.progress", done=tally.done, total=tally.total))

    tally = await ctx.bulk.run(plan, ctx.ledger, ctx.operator, ctx.asker, tell)
    return _result(ctx, tally)


def _result(ctx: Context, tally: Tally) -> str:
    failed = len(tally.failures)
    lines = [
        ctx.say(
            "confirm.result",
            mark="⚠️" if failed or tally.unknown else "✅",
            ended=tally.ended,
            already=tally.already,
            skipped=tally.skipped,
            failed=failed,
            unknown=tally.unknown,
        )
    ]
    if tally.numbers:
        numbers = " ".join(f"#{number}" for number in sorted(tally.numbers)[:LISTED])
        lines.append(ctx.say("confirm.ended", numbers=numbers + (" …" if len(tally.numbers) > LISTED else "")))
    if tally.skipped:
        lines.append(ctx.say("confirm.skipped"))
    if tally.unknown:
        lines.append(ctx.say("confirm.unknown"))
    return "\n".join([*lines, *_failures(ctx, tally)])


def _failures(ctx: Context, tally: Tally) -> list[str]:
    """By reason, because mostly one reason fails them all."""
    reasons: dict[str, list[str]] = {}
    for each in tally.failures:
        silent = "end.still" if each.after else "end.busy"
        why = ctx.say(silent) if each.error is None else ctx.say.error(each.error)
        reasons.setdefault(why, []).append(ctx.say.who(each.handoff, each.key.external_userid))
    return [
        ctx.say("confirm.failed", who=" ".join(who[:NAMED]) + (" …" if len(who) > NAMED else ""), why=why)
        for why, who in list(reasons.items())[:REASONS]
    ]
