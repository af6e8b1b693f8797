"""Take the pictures of the demo page anew, in Chinese and in English: a story played by hand (demo.png), and the rush
hour of `demo --script` (afternoon.png)."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

Play = Callable[[Page, dict[str, str]], None]

ROOT = Path(__file__).parents[1]
ZONE = "Asia/Shanghai"  # of the page and of the bot
ENGLISH = {
    "locale": "en-US",
    "KFBOT_LANG": "en",
    "KFBOT_CUSTOMER__CLOSING__AGENT": "The agent has ended this conversation. Write again any time to continue.",
}
AFTERNOONS = {"afternoon.png": {"locale": "zh-CN"}, "afternoon.en.png": ENGLISH}
STORIES: dict[str, dict[str, str]] = {
    "demo.png": {
        "locale": "zh-CN",
        "name": "阿宁",
        "asks": "你好，我上周买的耳机什么时候发货？",
        "answers": "您好，我是素泉。仓库已经打包，今天下午寄出。",
        "thanks": "好的，谢谢！",
        "reason": "已答复发货时间",
    },
    "demo.en.png": {
        **ENGLISH,
        "name": "Alice",
        "asks": "Hi, when will the headphones I ordered ship?",
        "answers": "Hello, this is Suquan. They leave this afternoon.",
        "thanks": "Great, thank you!",
        "reason": "shipping date given",
    },
}


@contextmanager
def demo(story: dict[str, str], *words: str) -> Iterator[str]:
    """The demo in a process of its own; the address of its page."""
    variables = {name: value for name, value in story.items() if name.startswith("KFBOT_")}
    process = subprocess.Popen(  # noqa: S603  our own program
        [sys.executable, str(ROOT / "bot.py"), "demo", "--port", "0", *words],
        cwd="/",  # no .env has a say
        env={**os.environ, **variables, "KFBOT_TIMEZONE": ZONE, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield next(found[1] for line in process.stdout if (found := re.search(r"kfbot demo: (http://\S+)", line)))
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)


def play(page: Page, story: dict[str, str]) -> None:
    def say(pane: str, text: str) -> None:
        page.get_by_test_id(f"{pane}-input").fill(text)
        page.get_by_test_id(f"{pane}-send").click()
        page.wait_for_timeout(1500)  # the bot follows, so that every step is on record before the next

    expect(page.get_by_test_id("bot-connected")).to_have_attribute("data-connected", "true")
    page.get_by_test_id("customer-new").click()
    page.get_by_test_id("customer-new-name").fill(story["name"])
    page.get_by_test_id("customer-new-create").click()
    say("customer", story["asks"])
    page.get_by_test_id("session-row").filter(has_text=story["name"]).click()
    page.get_by_test_id("servicer-take").click()
    say("servicer", story["answers"])
    say("customer", story["thanks"])
    say("group", "@kfbot /status")
    say("group", f"@kfbot /end #2 {story['reason']}")
    expect(page.get_by_test_id("group-message").filter(has_text="✅")).to_be_visible()
    page.locator("h1").click()
    page.wait_for_timeout(1500)


def wait_for_rush_hour(page: Page, _: dict[str, str]) -> None:
    """The one card for many customers has come, and nothing after it."""
    expect(page.get_by_test_id("script")).to_contain_text("6/", timeout=90_000)
    group = page.get_by_test_id("pane-group")
    last = group.get_by_test_id("group-message").last
    expect(last.locator('[data-testid="card-button"][data-key^="list"]')).to_be_visible(timeout=30_000)
    page.wait_for_timeout(800)


def take_card(browser: Browser, name: str, story: dict[str, str]) -> None:
    """The alert of the first minute, as a phone shows it."""
    with demo(story) as address:
        context = browser.new_context(
            locale=story["locale"],
            viewport={"width": 1440, "height": 900},
            device_scale_factor=2,
            color_scheme="light",
            timezone_id=ZONE,
        )
        page = context.new_page()
        page.goto(address)
        alert = page.get_by_test_id("group-message").filter(has=page.locator('[data-key^="end:"]')).first
        expect(alert).to_be_visible(timeout=30_000)
        page.wait_for_timeout(800)
        alert.screenshot(path=ROOT / "docs" / name)
        context.close()


def take(browser: Browser, name: str, story: dict[str, str], play: Play, *words: str) -> None:
    with demo(story, *words) as address:
        context = browser.new_context(
            locale=story["locale"],
            viewport={"width": 1440, "height": 900},
            device_scale_factor=2,
            color_scheme="light",
            timezone_id=ZONE,
        )
        page = context.new_page()
        page.goto(address)
        play(page, story)
        page.screenshot(path=ROOT / "docs" / name)
        context.close()


def main() -> None:
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        for name, story in STORIES.items():
            take(browser, name, story, play)
        for name, story in zip(("alert.png", "alert.en.png"), STORIES.values(), strict=True):
            take_card(browser, name, story)
        for name, story in AFTERNOONS.items():
            take(browser, name, story, wait_for_rush_hour, "--script")
        browser.close()


if __name__ == "__main__":
    main()
