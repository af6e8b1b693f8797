"""`demo` and `sandbox`: the bot's other side on this machine. The only place that knows both."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import tempfile
from pathlib import Path
from typing import Any

import click

from bot import log
from bot.app import App, Core
from bot.sandbox import Sandbox, SandboxConfig, settings_for
from bot.sandbox import serve_forever as serve_sandbox
from bot.settings import Settings, secrets_of

HOST = "127.0.0.1"


async def run_demo(port: int) -> None:
    """Sandbox and bot in one process until interrupted; the bot's data live in a folder that goes away with it."""
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    callback_port = _free_port()
    config = SandboxConfig(callback_url=f"http://{HOST}:{callback_port}/callback/kf")
    with tempfile.TemporaryDirectory(prefix="kfbot-demo-") as folder:
        async with Sandbox(config, seed=True).serve(HOST, port) as sandbox:
            settings = demo_settings(config, sandbox, Path(folder), callback_port)
            listener = log.start(settings.log.dir, "INFO", False, secrets_of(settings))
            app = App(Core(settings))
            try:
                await app.start()
                click.echo(f"\n  kfbot demo: {sandbox.base_url}/   (Ctrl+C ends it)\n")
                await ended.wait()
            finally:
                await app.stop()
                listener.stop()


async def run_sandbox(port: int, callback: str) -> None:
    """The sandbox alone, until interrupted."""
    config = SandboxConfig(callback_url=callback)

    def announce(sandbox: Sandbox) -> None:
        base = sandbox.base_url
        click.echo(f"WeCom sandbox: {base}/  Settings for a bot (settings.yaml takes JSON):\n")
        click.echo(json.dumps(settings_for(config, base), ensure_ascii=False, indent=2))

    await serve_sandbox(config, HOST, port, announce)


def demo_settings(config: SandboxConfig, sandbox: Sandbox, folder: Path, port: int) -> Settings:
    """The sandbox's own credentials, its group paired, everything written below `folder`."""
    values: dict[str, Any] = settings_for(config, sandbox.base_url)
    values["group"]["chat_ids"] = [group["chatid"] for group in sandbox.state()["groups"] if group["kind"] == "group"]
    values["server"] = {"host": HOST, "port": port}
    values["storage"] = {"url": f"sqlite:///{folder / 'kfbot.db'}"}
    values["log"] = {"dir": str(folder / "logs")}
    return Settings(**values)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
