"""/help [command]"""

from __future__ import annotations

from bot.errors import CommandError
from bot.registry import Command, CommandName, Context, Role, command, unknown


@command("help", "帮助", "?", anywhere=True)
async def help_(ctx: Context, name: CommandName = CommandName("")) -> str:  # noqa: B008  a value type
    """Show what there is, or how to use one command"""
    if not name:
        return _overview(ctx)
    found = ctx.commands.find(name)
    if found is None:
        raise CommandError(unknown(name, ctx.usable(), ctx.say), "unknown")
    if ctx.role < found.role:
        needed = ctx.say(f"role.{found.role.value}")
        raise CommandError(ctx.say("help.not_yours", command=found.name, needed=needed), "forbidden")
    return _one(ctx, found)


def _overview(ctx: Context) -> str:
    usable = ctx.usable()
    rows = [f"> `{each.usage(ctx.say)}` {each.help(ctx.say)}" for each in usable]
    title = ctx.say("help.title", role=ctx.say(f"role.{ctx.role.value}"))
    elsewhere = not ctx.message.is_group and ctx.role is not Role.ADMIN
    foot = ctx.say("help.foot", bot=ctx.say.bot_name, example=usable[0].name)
    return "\n".join([title, *rows, ctx.say("refused.single") if elsewhere else foot])


def _one(ctx: Context, found: Command) -> str:
    lines = [f"`{found.usage(ctx.say)}` {found.help(ctx.say)}"]
    if any(parameter.kind == "target" for parameter in found.parameters):
        lines.append(ctx.say("usage.target"))
    if found.aliases:
        lines.append(ctx.say("help.aliases", aliases=" ".join(f"`{alias}`" for alias in found.aliases)))
    longer = (each for each in ctx.usable() if each.name.startswith(f"{found.name} "))
    lines += [ctx.say("help.longer", usage=each.usage(ctx.say), help=each.help(ctx.say)) for each in longer]
    return "\n".join(lines)
