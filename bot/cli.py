"""Verbs and exit codes: 0 done, 1 refused or failed, 2 wrong use or bad settings. Everything else is elsewhere.

Heavy parts are imported by the verb that needs them: `--help` waits for none of them, `end` for no more than it uses.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.errors import KfbotError, SettingsError, StorageError

if TYPE_CHECKING:
    from bot.settings import Settings

NAME = "bot.py"
REFUSED, WRONG_USE = 1, 2
DEFAULT = Path("settings.yaml")


def _or_the_one_before(context: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
    """`--settings` may stand before the verb as well."""
    return path or (context.parent.params.get("path") if context.parent else None)


def _settings_option(verb: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--settings",
        "path",
        type=click.Path(path_type=Path),
        callback=lambda context, option, path: _or_the_one_before(context, option, path) or DEFAULT,
        help=f"The settings file.  [default: {DEFAULT}]",
    )(verb)


def _optional_settings(says: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """For verbs that need no file and read none unless it is named."""
    return click.option("--settings", "path", type=click.Path(path_type=Path), callback=_or_the_one_before, help=says)


def _json_option(verb: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")(verb)


def _not_blank(_: click.Context, __: click.Parameter, text: str) -> str:
    if not text.strip():
        raise click.BadParameter("is empty")
    return text.strip()


def _whole_id(_: click.Context, __: click.Parameter, text: str) -> str:
    if not re.fullmatch(r"w[mo][0-9A-Za-z_-]{4,62}", text):
        raise click.BadParameter("is no external_userid; it must be the whole one, such as wm7lKA…")
    return text


def _ttl(_: click.Context, __: click.Parameter, text: str) -> float:
    from bot.parsing import DAY, parse_duration

    try:
        return parse_duration(text, 30 * DAY)
    except ValueError as wrong:
        raise click.BadParameter(str(wrong)) from None


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@_optional_settings(f"The settings file.  [default: {DEFAULT}]")
@click.pass_context
def cli(context: click.Context, path: Path | None) -> None:
    """kfbot: find WeCom customer sessions stuck with a human, end them, keep the record."""
    if context.invoked_subcommand is None:
        context.invoke(run, path=path or DEFAULT)


@cli.command()
@_settings_option
def run(path: Path) -> None:
    """Run the bot (what happens without a verb)."""
    settings = _load(path, for_run=True)
    import asyncio

    from bot import log
    from bot.app import App
    from bot.core import Core
    from bot.settings import exposed_files, secrets_of

    app = App(Core(settings))  # before the log: what it finds wrong with the settings must leave nothing behind
    listener = log.start(settings.log.dir, settings.log.level, settings.log.json_lines, secrets_of(settings))
    log.expose(exposed_files(settings, path))
    try:
        asyncio.run(app.run())
    finally:
        listener.stop()


@cli.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port of the page.")
@click.option("--script", is_flag=True, help="A busy afternoon plays by itself, in under two minutes.")
@_optional_settings("Language, rules, texts and roles to try; accounts, group and storage are the demo's own.")
def demo(port: int, script: bool, path: Path | None) -> None:
    """The bot with a small WeCom to play with: a page with a customer, the group and a servicer."""
    import asyncio

    from bot.demo import run_demo

    asyncio.run(run_demo(port, path, script=script))


@cli.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8089, show_default=True, help="Port to serve on.")
@click.option("--callback", default="", help="The bot's callback URL, such as http://127.0.0.1:8080/callback/kf.")
@_optional_settings("Let the bot of this file in: its corp_id, secrets, callback keys and bot_id are taken over.")
def sandbox(port: int, callback: str, path: Path | None) -> None:
    """The small WeCom alone; prints the settings with which a bot can use it."""
    import asyncio

    from bot.demo import run_sandbox

    asyncio.run(run_sandbox(port, callback, path))


@cli.command()
@_settings_option
@_json_option
def check(path: Path, as_json: bool) -> None:
    """Test settings, storage, clock, token, trusted IP, accounts, servicers, callback and group, with remedies."""
    settings = _load(path)
    import asyncio

    from bot.check import run_checks

    raise SystemExit(asyncio.run(run_checks(settings, as_json, path)))


@cli.command()
@click.argument("external_userid")
@click.option("--kf", "open_kfid", default="", help="The kf account (wk…); found by itself where it can be.")
@click.option("--reason", default="", help="Kept on record with the end.")
@click.option("--dry-run", is_flag=True, help="Read the state, say what would be done, do nothing.")
@_settings_option
@_json_option
def end(external_userid: str, open_kfid: str, reason: str, dry_run: bool, path: Path, as_json: bool) -> None:
    """End the session of EXTERNAL_USERID (wm…), step by step; the bot may be running or not."""
    settings = _load(path, for_run=True)
    import asyncio

    from bot.end_script import EndScript

    script = EndScript(settings, as_json=as_json, dry_run=dry_run)
    raise SystemExit(asyncio.run(script.run(external_userid, open_kfid, reason)))


@cli.command()
@_settings_option
@_json_option
def status(path: Path, as_json: bool) -> None:
    """Open handoffs by account, as they are on record."""
    settings = _load(path)
    import asyncio

    from bot.status_script import run_status

    raise SystemExit(asyncio.run(run_status(settings, as_json)))


@cli.command()
@click.argument("what", type=click.Choice(["handoffs", "events"]), default="handoffs")
@click.option(
    "--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True, help="CSV or JSON lines."
)
@click.option("--since", metavar="DAY", help="From this day on (2026-11-01), or from this time (RFC 3339).")
@click.option("--until", metavar="DAY", help="To this day, all of it, or to before this time.")
@click.option("--kf", "accounts", metavar="wk…", multiple=True, help="Only this kf account; may be given again.")
@click.option("--output", type=click.Path(path_type=Path), help="A file instead of stdout; there once it is complete.")
@click.option("--bom/--no-bom", default=None, help="The mark by which Excel knows UTF-8.  [default: in CSV files]")
@_settings_option
def export(
    what: str,
    form: str,
    since: str | None,
    until: str | None,
    accounts: tuple[str, ...],
    output: Path | None,
    bom: bool | None,
    path: Path,
) -> None:
    """Handoffs by when they were requested, or their events by when they happened, for spreadsheets and scripts.

    Days are those of `timezone` in the settings. The bot may be running or not.
    """
    settings = _load(path)
    import asyncio

    from bot.audit_script import entered
    from bot.export_script import ExportScript

    script = ExportScript(settings, what, form, since, until, accounts, output, bom)
    raise SystemExit(asyncio.run(entered(settings, "export", script.run, what=what)))


@cli.command()
@click.option("--user", "userid", required=True, callback=_not_blank, help="Userid of the member it stands for.")
@click.option("--role", type=click.Choice(["agent", "admin"]), default="agent", show_default=True, help="What it may.")
@click.option("--ttl", default="8h", show_default=True, callback=_ttl, help="How long it is good, at most 30d.")
@_settings_option
def token(userid: str, role: str, ttl: float, path: Path) -> None:
    """Print an agent token for the API and the console; whoever has it is that member."""
    settings = _load(path)
    import asyncio

    from bot.token_script import agent_token

    click.echo(asyncio.run(agent_token(settings, userid, role, ttl)))


@cli.command()
@click.option("--verify", is_flag=True, help="Check that no row was changed, removed, added or moved.")
@click.option("--head", metavar="N:HASH", help="With --verify: a head noted elsewhere; it must still be there.")
@click.option("--since", metavar="DAY", help="From this day on (2026-11-01), or from this time (RFC 3339).")
@click.option("--until", metavar="DAY", help="To this day, all of it, or to before this time.")
@_settings_option
@_json_option
def audit(verify: bool, head: str | None, since: str | None, until: str | None, path: Path, as_json: bool) -> None:
    """Who tried to do what, by which door, and whether they were let; or check that nobody changed that record."""
    if (since or until) if verify else head:
        raise click.UsageError("--verify walks the whole log, and --head goes with it.")
    settings = _load(path)
    import asyncio

    from bot.audit_script import AuditScript

    script = AuditScript(settings, as_json=as_json)
    raise SystemExit(asyncio.run(script.verify(head) if verify else script.show(since, until)))


@cli.command()
@click.option(
    "--to", type=click.Path(), help="A new file, or a folder; NAME/ is made if missing.  [default: beside the database]"
)
@_settings_option
def backup(to: str | None, path: Path) -> None:
    """Copy the database to a file that can be put in its place, and print its name; the bot may be running or not."""
    settings = _load(path)
    import asyncio

    from bot.backup_script import BackupScript

    raise SystemExit(asyncio.run(BackupScript(settings, to).run()))


@cli.command()
@click.argument("external_userid", callback=_whole_id)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Even while a session is open: it is put down as ended, WeCom is not told.")
@_settings_option
def forget(external_userid: str, yes: bool, force: bool, path: Path) -> None:
    """Erase one customer (wm…) from the record and leave nameless handoffs; the bot may be running or not."""
    settings = _load(path)
    import asyncio

    from bot.forget_script import ForgetScript

    raise SystemExit(asyncio.run(ForgetScript(settings, external_userid, yes=yes, force=force).run()))


def _load(path: Path, *, for_run: bool = False) -> Settings:
    from bot.settings import missing_for_run
    from bot.settings_file import load

    settings = load(path)
    click.get_current_context().obj["lang"] = settings.lang
    problems = missing_for_run(settings) if for_run else []
    if problems:
        raise SettingsError(problems)
    return settings


def main() -> None:
    """The one place where an error becomes an exit code."""
    _print_what_can_be_printed()
    spoken: dict[str, str] = {}
    try:
        code = cli.main(prog_name=NAME, standalone_mode=False, obj=spoken)
    except SettingsError as wrong:
        for key, what in wrong.problems:
            click.echo(f"{key}: {what}", err=True)
        raise SystemExit(WRONG_USE) from None
    except click.exceptions.Abort:
        raise SystemExit(REFUSED) from None
    except click.UsageError as misused:
        misused.ctx = misused.ctx or click.Context(cli, info_name=NAME)  # without one, click shows no usage
        misused.show()
        raise SystemExit(WRONG_USE) from None
    except click.ClickException as failed:
        failed.show()
        raise SystemExit(REFUSED) from None
    except StorageError as failed:
        click.echo(f"kfbot: {_in_words(failed, spoken.get('lang', 'zh'))}", err=True)
        raise SystemExit(REFUSED) from None
    except (KfbotError, OSError) as failed:
        click.echo(f"kfbot: {failed}", err=True)
        raise SystemExit(REFUSED) from None
    raise SystemExit(code if isinstance(code, int) else 0)


def _in_words(failed: StorageError, lang: str) -> str:
    from bot.wecom.errcodes import meaning_of
    from bot.wording import Words

    return Words(lang, "kfbot", meaning_of).storage(failed)


def _print_what_can_be_printed() -> None:
    """A terminal that knows no Chinese shows question marks, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
