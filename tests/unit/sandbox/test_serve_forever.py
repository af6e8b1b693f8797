"""The stand-alone server that `python bot.py sandbox` runs, and the package's independence."""

import ast
import asyncio
import sys
from pathlib import Path

import aiohttp

import bot.sandbox
from bot.sandbox import Sandbox, SandboxConfig, serve_forever
from bot.sandbox.seed import PRESALES, STUCK


async def test_it_serves_a_seeded_corp_until_cancelled() -> None:
    ready: asyncio.Future[Sandbox] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve_forever(SandboxConfig(), "127.0.0.1", 0, ready.set_result))
    sandbox = await asyncio.wait_for(ready, 30)
    assert sandbox.session(PRESALES, STUCK).state == 3
    async with aiohttp.ClientSession() as http:
        async with http.get(sandbox.base_url + "/sandbox/api/state") as response:
            assert response.status == 200
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        with_nobody = http.get(sandbox.base_url)
        assert isinstance((await asyncio.gather(with_nobody, return_exceptions=True))[0], aiohttp.ClientError)


def test_it_imports_nothing_of_the_bot() -> None:
    allowed = {"aiohttp", "cryptography"}
    folder = Path(bot.sandbox.__path__[0])
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level <= 1, path.name
                names = [node.module or ""] if node.level == 0 else []
            for name in names:
                root = name.split(".")[0]
                assert root in allowed or root in sys.stdlib_module_names, f"{path.name} imports {name}"
