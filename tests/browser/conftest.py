"""Headless Chromium, and the demo as a newcomer starts it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

LIMIT = 20.0  # seconds that anything may take on a slow machine
T = TypeVar("T")
ROOT = Path(__file__).parents[2]
PATIENCE = 30_000  # ms; nothing takes as long, except on a machine with too much to do
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-sync"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. Where it must be there (REQUIRE_BROWSER) its absence is a failure, elsewhere a skip.

    For one module: while it runs, its driver holds the thread's event loop.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        lacking = "needs Debian's chromium: apt-get install chromium fonts-noto-cjk"
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(lacking)
        pytest.skip(lacking)
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield started
        started.close()


@dataclass(frozen=True, slots=True)
class Demo:
    """`python bot.py demo`: the addresses of the sandbox's page and of the bot."""

    sandbox: str
    bot: str

    def act(self, action: str, **body: Any) -> dict[str, Any]:
        """What somebody does, as `bot.sandbox.control` takes it: `customer/message`, `servicer/take`…"""
        request = Request(f"{self.sandbox}sandbox/api/{action}", json.dumps(body).encode())
        with urlopen(request, timeout=60) as reply:
            answer: dict[str, Any] = json.load(reply)
        assert answer["ok"], answer
        return answer

    def state(self) -> dict[str, Any]:
        with urlopen(f"{self.sandbox}sandbox/api/state", timeout=60) as reply:
            state: dict[str, Any] = json.load(reply)
        return state


def until(look: Callable[[], T]) -> T:
    """What it says as soon as it says something."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError("it has not happened")


@contextmanager
def _started(folder: Path, *words: str) -> Iterator[Demo]:
    """In a process of its own."""
    command = [sys.executable, str(ROOT / "bot.py"), "demo", "--port", "0", *words]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        told = re.compile(r"kfbot demo: (http://\S+) +console: (http://\S+)/console")
        addresses = next(filter(None, map(told.search, process.stdout)))
        yield Demo(addresses[1], addresses[2])
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 0


@contextmanager
def opened(browser: Browser, address: str, width: int = 1440, height: int = 900, **options: Any) -> Iterator[Page]:
    """In Chinese at desktop width; an error in the page fails the test."""
    options = {"locale": "zh-CN", "viewport": {"width": width, "height": height}, **options}
    context = browser.new_context(**options)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    yield page
    context.close()
    assert errors == []


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    with _started(tmp_path) as demo:
        yield demo


@pytest.fixture(scope="module")
def shared_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One for a module, where its tests do not meet: each with a customer of its own, no leap of the clock."""
    with _started(tmp_path_factory.mktemp("demo")) as demo:
        yield demo


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """The demo page."""
    with _started(tmp_path) as demo, opened(browser, demo.sandbox) as page:
        yield page


@pytest.fixture
def scripted(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """The demo page on which a busy afternoon plays by itself."""
    with _started(tmp_path, "--script") as demo, opened(browser, demo.sandbox) as page:
        yield page
