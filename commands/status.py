"""/status [customer]"""

from __future__ import annotations

from bot.errors import WeComError
from bot.model import NOTHING, Handoff, HandoffStatus, SessionKey
from bot.registry import Context, Target, command


@command("status", "状态", "st")
async def status(ctx: Context, customer: Target | None = None) -> str:
    """Overview, or one session read live from WeCom"""
    return await (_overview(ctx) if customer is None else _one(ctx, customer))


async def _overview(ctx: Context) -> str:
    accounts = await ctx.ledger.counts()
    lines = [ctx.say("status.title")]
    lines += [
        ctx.say(
            "status.account",
            name=ctx.say.plain(each.name or each.open_kfid),
            human=each.human,
            queued=each.queued,
            waiting=each.waiting,
        )
        for each in accounts
    ] or [ctx.say("status.not_routed" if ctx.scope == NOTHING else "status.no_accounts")]
    longest = await ctx.ledger.open_handoffs("waiting", 1)
    if longest:
        names = await ctx.nicknames(longest)
        lines.append(_longest(ctx, longest[0], names))
    elif not any(each.human or each.queued for each in accounts):
        lines.append(ctx.say("status.quiet"))
    return "\n".join([*lines, *await _health(ctx)])


def _longest(ctx: Context, handoff: Handoff, names: dict[str, str]) -> str:
    who = ctx.say.who(handoff, handoff.external_userid, names.get(handoff.external_userid, ""))
    waited = ctx.now - (handoff.waiting_since or ctx.now)
    return ctx.say("status.oldest", who=who, wait=ctx.say.lasted(waited))


async def _health(ctx: Context) -> list[str]:
    health = await ctx.desk.health(ctx.scope)
    key = "status.unwell" if health.problems else "status.well"
    head = ctx.say(key, uptime=ctx.say.lasted(health.uptime), version=health.version)
    return [head, *(f"> {problem}" for problem in health.problems)]


async def _one(ctx: Context, customer: Target) -> str:
    key = customer.key
    names = {each.open_kfid: each.name for each in await ctx.ledger.counts()}
    account = ctx.say.plain(names.get(key.open_kfid) or key.open_kfid)
    lines = [ctx.say.who(None, key.external_userid, customer.nickname), f"`{key.external_userid}` · {account}"]
    try:
        reading = await ctx.handoffs.read_state(key)
    except WeComError as silent:
        lines += [ctx.say.error(silent), ctx.say("state.no_answer")]
    else:
        lines.append(ctx.say("state.now", state=ctx.say.state(reading.state), number=int(reading.state)))
        if reading.servicer_userid:
            lines.append(ctx.say("state.servicer", servicer=ctx.say.plain(reading.servicer_userid)))
    return "\n".join([*lines, *await _on_record(ctx, key)])


async def _on_record(ctx: Context, key: SessionKey) -> list[str]:
    handoff = await ctx.ledger.open_handoff(key)
    if handoff is None:
        return [_before(ctx, each) for each in await ctx.ledger.history(key, 1)]
    begun = ctx.say.when(handoff.requested_at, ctx.now)
    ago = ctx.say.lasted(ctx.now - handoff.requested_at)
    head = ctx.say("state.begun", number=handoff.id, at=begun, ago=ago)
    lines = [f"{head} · {ctx.say(f'status.{handoff.status}')}", _clock(ctx, handoff)]
    if handoff.last_text:
        lines.append(ctx.say("state.text", text=ctx.say.plain(handoff.last_text)))
    return [*lines, ctx.say("state.how_to_end", number=handoff.id)] if ctx.may("end") else lines


def _clock(ctx: Context, handoff: Handoff) -> str:
    if handoff.waiting_since is not None:
        return ctx.say("state.waiting", wait=ctx.say.lasted(ctx.now - handoff.waiting_since))
    key = "state.answered" if handoff.status is HandoffStatus.IN_PROGRESS else "state.quiet"
    return ctx.say(key, ago=ctx.say.lasted(ctx.now - handoff.active_at))


def _before(ctx: Context, handoff: Handoff) -> str:
    when = ctx.say.when(handoff.completed_at or handoff.requested_at, ctx.now)
    return ctx.say("state.last", number=handoff.id, when=when, by=ctx.say.ended_by(handoff))
