"""Headless Chromium, and the demo as a newcomer starts it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[2]
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
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield started
        started.close()


@contextmanager
def _started(folder: Path, *words: str) -> Iterator[str]:
    """`python bot.py demo` in a process of its own; the address of its page."""
    command = [sys.executable, str(ROOT / "bot.py"), "demo", "--port", "0", *words]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = next(filter(None, (re.search(r"kfbot demo: (http://\S+)", line) for line in process.stdout)))
        yield address[1]
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0


@contextmanager
def _opened(browser: Browser, address: str) -> Iterator[Page]:
    """In Chinese at desktop width; an error in the page fails the test."""
    context = browser.new_context(locale="zh-CN", viewport={"width": 1440, "height": 900})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    yield page
    context.close()
    assert errors == []


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """The demo page."""
    with _started(tmp_path) as address, _opened(browser, address) as page:
        yield page


@pytest.fixture
def scripted(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """The demo page on which a busy afternoon plays by itself."""
    with _started(tmp_path, "--script") as address, _opened(browser, address) as page:
        yield page
