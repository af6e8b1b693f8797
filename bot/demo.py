"""`demo` and `sandbox`: the bot's other side on this machine. The only place that knows both."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from bot import log
from bot.app import App
from bot.core import Core
from bot.errors import KfbotError
from bot.sandbox import SCRIPT_MINUTES, Sandbox, SandboxConfig, settings_for
from bot.settings import Settings, secrets_of
from bot.settings_file import load
from bot.web.pages import CONSOLE
from bot.wecom.errcodes import meaning_of
from bot.wording import Words

HOST = "127.0.0.1"


async def run_demo(port: int, path: Path | None = None, *, script: bool = False) -> None:
    """Sandbox and bot in one process until interrupted; the bot's data live in a folder that goes away with it.

    The bot lives in the sandbox's time. `path`: settings whose language, rules and texts to try. `script`: a busy
    afternoon plays by itself. Raises SettingsError before anything is started, KfbotError where the port is taken.
    """
    given = load(path)
    now = afternoon(given) if script else time.time
    callback_port = _free_port()
    console = f"http://{HOST}:{callback_port}{CONSOLE}"
    config = SandboxConfig(callback_url=f"http://{HOST}:{callback_port}/callback/kf", bot_page=console)
    ended = _interrupted()
    with tempfile.TemporaryDirectory(prefix="kfbot-demo-") as folder:
        async with _served(Sandbox(config, now=now, seed=True), port, _words(given)) as sandbox:
            settings = demo_settings(config, sandbox, Path(folder), callback_port, path)
            listener = log.start(settings.log.dir, settings.log.level, settings.log.json_lines, secrets_of(settings))
            app = App(Core(settings, sandbox))
            try:
                await app.start()
                if script:
                    sandbox.player.start()
                click.echo(f"\n  kfbot demo: {sandbox.base_url}/   console: {console}   (Ctrl+C ends it)\n")
                await ended.wait()
            finally:
                await app.stop()
                listener.stop()


def afternoon(settings: Settings) -> Callable[[], float]:
    """A clock of today, so far from the time of the daily report that the script ends with it."""
    hour, minute = map(int, (settings.report.at or "18:00").split(":"))
    real = datetime.now(settings.zone)
    closing = real.replace(hour=hour, minute=minute, second=0, microsecond=0)
    ahead = (closing - real).total_seconds() - SCRIPT_MINUTES * 60
    return lambda: time.time() + ahead


async def run_sandbox(port: int, callback: str, path: Path | None = None) -> None:
    """The sandbox alone, until interrupted. `path`: settings of a bot whose credentials it shall know."""
    given = load(path)
    say = _words(given)
    config = _sandbox_for(given, callback) if path else SandboxConfig(callback_url=callback)
    ended = _interrupted()
    async with _served(Sandbox(config, seed=True), port, say) as sandbox:
        base = sandbox.base_url
        click.echo(f"WeCom sandbox: {base}/  Settings for a bot (settings.yaml takes JSON):\n")
        click.echo(json.dumps(_told(config, base, path), ensure_ascii=False, indent=2))
        click.echo("\n" + (say("sandbox.theirs", path=path) if path else say("sandbox.next")))
        if not callback:
            click.echo(say("sandbox.callback", url=f"http://{HOST}:{given.server.port}/callback/kf"))
        await ended.wait()


@asynccontextmanager
async def _served(sandbox: Sandbox, port: int, say: Words) -> AsyncIterator[Sandbox]:
    """Raises KfbotError where the port is not to be had."""
    try:
        try:
            await sandbox.start(HOST, port)
        except OSError as refused:
            why = os.strerror(refused.errno) if refused.errno else refused
            raise KfbotError(say("sandbox.refused", host=HOST, port=port, why=why)) from None
        yield sandbox
    finally:
        await sandbox.stop()


def _words(settings: Settings) -> Words:
    return Words(settings.lang, settings.group.aibot.name, meaning_of)


def demo_settings(
    config: SandboxConfig, sandbox: Sandbox, folder: Path, port: int, path: Path | None = None
) -> Settings:
    """The sandbox's own credentials, its group paired, everything written below `folder`; the rest from `path`."""
    values: dict[str, Any] = settings_for(config, sandbox.base_url)
    chats = [group["chatid"] for group in sandbox.state()["groups"] if group["kind"] == "group"]
    values["group"]["chat_ids"] = chats
    values["webhooks"] = []
    values["watch"] = {"tick": "1s"}  # the page moves the clock, and nobody wants to wait for what follows
    values["kf"] = {"accounts": []}
    values["server"] = {"host": HOST, "port": port, "public_url": f"http://{HOST}:{port}"}
    values["storage"] = {"url": f"sqlite:///{folder / 'kfbot.db'}"}
    values["log"] = {"dir": str(folder / "logs")}
    settings = load(path, values)
    # Mappings are merged with those of the file, lists replaced: the file's routes lead to groups that are not here.
    return settings.model_copy(update={"group": settings.group.model_copy(update={"routes": {}})})


def _sandbox_for(settings: Settings, callback: str) -> SandboxConfig:
    """A sandbox that lets this bot in; what its settings leave empty stays the sandbox's own."""
    bot, keys = settings.group.aibot, settings.callback
    wanted: dict[str, Any] = {
        "corp_id": settings.wecom.corp_id,
        "secret": settings.wecom.secret.get_secret_value(),
        "callback_token": keys.token.get_secret_value(),
        "encoding_aes_key": keys.encoding_aes_key.get_secret_value(),
        "bot_id": bot.bot_id,
        "bot_secret": bot.secret.get_secret_value(),
        "bot_name": bot.name,
    }
    return SandboxConfig(callback_url=callback, **{name: value for name, value in wanted.items() if value})


def _told(config: SandboxConfig, base: str, path: Path | None) -> dict[str, Any]:
    """Whole settings, or only where the sandbox is: the bot that was let in has the rest, and it is secret."""
    whole = settings_for(config, base)
    if path is None:
        return whole
    return {
        "wecom": {"api_base": whole["wecom"]["api_base"]},
        "group": {"aibot": {"url": whole["group"]["aibot"]["url"]}},
    }


def _interrupted() -> asyncio.Event:
    """Set by Ctrl+C or SIGTERM."""
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    return ended


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
