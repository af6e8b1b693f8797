"""Verbs and exit codes: 0 done, 1 refused or failed, 2 wrong use or bad settings. Everything else is elsewhere.

Heavy parts are imported by the verb that needs them: `--help` and `end` must not wait for a web server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bot.errors import KfbotError, SettingsError
from bot.settings import Settings, load, missing_for_run, secrets_of

REFUSED, WRONG_USE = 1, 2


def _settings_option(verb: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--settings",
        "path",
        type=click.Path(path_type=Path),
        default=Path("settings.yaml"),
        show_default=True,
        help="The settings file.",
    )(verb)


def _json_option(verb: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")(verb)


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@_settings_option
@click.pass_context
def cli(context: click.Context, path: Path) -> None:
    """kfbot: find WeCom customer sessions stuck with a human, end them, keep the record."""
    if context.invoked_subcommand is None:
        context.invoke(run, path=path)


@cli.command()
@_settings_option
def run(path: Path) -> None:
    """Run the bot (what happens without a verb)."""
    from bot import log
    from bot.app import App, Core

    settings = _load(path, missing_for_run)
    listener = log.start(settings.log.dir, settings.log.level, settings.log.json_lines, secrets_of(settings))
    try:
        asyncio.run(App(Core(settings)).run())
    finally:
        listener.stop()


@cli.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port of the page.")
def demo(port: int) -> None:
    """The bot with a small WeCom to play with: a page with a customer, the group and a servicer."""
    from bot.demo import run_demo

    asyncio.run(run_demo(port))


@cli.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8089, show_default=True)
@click.option("--callback", default="", help="The bot's callback URL, such as http://127.0.0.1:8080/callback/kf.")
def sandbox(port: int, callback: str) -> None:
    """The small WeCom alone; prints the settings with which a bot can use it."""
    from bot.demo import run_sandbox

    asyncio.run(run_sandbox(port, callback))


@cli.command()
@_settings_option
@_json_option
def check(path: Path, as_json: bool) -> None:
    """Test settings, storage, clock, token, accounts, servicers, callback and group, with remedies."""
    from bot.check import run_checks

    settings = _load(path)
    raise SystemExit(asyncio.run(run_checks(settings, as_json)))


@cli.command()
@click.argument("external_userid")
@click.option("--kf", "open_kfid", default="", help="The kf account (wk…); found by itself where it can be.")
@click.option("--reason", default="", help="Kept on record with the end.")
@click.option("--dry-run", is_flag=True, help="Read the state, say what would be done, do nothing.")
@_settings_option
@_json_option
def end(external_userid: str, open_kfid: str, reason: str, dry_run: bool, path: Path, as_json: bool) -> None:
    """End the session of EXTERNAL_USERID (wm…), step by step; the bot may be running or not."""
    from bot.end_script import EndScript

    settings = _load(path, missing_for_run)
    script = EndScript(settings, as_json=as_json, dry_run=dry_run)
    raise SystemExit(asyncio.run(script.run(external_userid, open_kfid, reason)))


@cli.command()
@_settings_option
@_json_option
def status(path: Path, as_json: bool) -> None:
    """Open handoffs by account, as they are on record."""
    from bot.status_script import run_status

    raise SystemExit(asyncio.run(run_status(_load(path), as_json)))


def _load(path: Path, more: Callable[[Settings], list[tuple[str, str]]] | None = None) -> Settings:
    settings = load(path)
    problems = more(settings) if more else []
    if problems:
        raise SettingsError(problems)
    return settings


def main() -> None:
    """The one place where an error becomes an exit code."""
    try:
        cli.main(prog_name="bot.py", standalone_mode=False)
    except SettingsError as wrong:
        for key, what in wrong.problems:
            click.echo(f"{key}: {what}", err=True)
        raise SystemExit(WRONG_USE) from None
    except click.exceptions.Abort:
        raise SystemExit(REFUSED) from None
    except click.ClickException as misused:
        misused.show()
        raise SystemExit(WRONG_USE) from None
    except click.exceptions.Exit as left:
        raise SystemExit(left.exit_code) from None
    except KfbotError as failed:
        click.echo(f"kfbot: {failed}", err=True)
        raise SystemExit(REFUSED) from None
    except OSError as failed:
        click.echo(f"kfbot: {failed.strerror or failed}", err=True)
        raise SystemExit(REFUSED) from None
