"""Take the pictures of the pages anew, in Chinese and in English: a story played by hand on the demo page (demo.png),
the rush hour of `demo --script` there (afternoon.png) and in the agents' console (console.png), an alert's card
(alert.png), the customer's page on a phone (customer.png)."""

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
def demo(story: dict[str, str], *words: str) -> Iterator[tuple[str, str]]:
    """The demo in a process of its own; the addresses of its page and of the console."""
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
        told = re.compile(r"kfbot demo: (http://\S+) +console: (http://\S+)")
        addresses = next(filter(None, map(told.search, process.stdout)))
        yield addresses[1], addresses[2]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)


def say(page: Page, pane: str, text: str) -> None:
    page.get_by_test_id(f"{pane}-input").fill(text)
    page.get_by_test_id(f"{pane}-send").click()
    page.wait_for_timeout(1500)  # the bot follows, so that every step is on record before the next


def begin(page: Page, story: dict[str, str]) -> None:
    """Somebody new has written, and a servicer has the session."""
    expect(page.get_by_test_id("bot-connected")).to_have_attribute("data-connected", "true")
    page.wait_for_timeout(2000)  # what was there at the start gets no greeting
    page.get_by_test_id("customer-new").click()
    page.get_by_test_id("customer-new-name").fill(story["name"])
    page.get_by_test_id("customer-new-create").click()
    say(page, "customer", story["asks"])
    page.get_by_test_id("session-row").filter(has_text=story["name"]).click()
    page.get_by_test_id("servicer-take").click()


def play(page: Page, story: dict[str, str]) -> None:
    begin(page, story)
    say(page, "servicer", story["answers"])
    say(page, "customer", story["thanks"])
    say(page, "group", "@kfbot /status")
    say(page, "group", f"@kfbot /end #2 {story['reason']}")
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


@contextmanager
def shown(browser: Browser, story: dict[str, str], width: int = 1440, height: int = 900) -> Iterator[Page]:
    context = browser.new_context(
        locale=story["locale"],
        viewport={"width": width, "height": height},
        device_scale_factor=2,
        color_scheme="light",
        timezone_id=ZONE,
    )
    yield context.new_page()
    context.close()


def take_card(browser: Browser, name: str, story: dict[str, str]) -> None:
    """The alert of the first minute, as a phone shows it."""
    with demo(story) as (address, _), shown(browser, story) as page:
        page.goto(address)
        alert = page.get_by_test_id("group-message").filter(has=page.locator('[data-key^="end:"]')).first
        expect(alert).to_be_visible(timeout=30_000)
        page.wait_for_timeout(800)
        alert.screenshot(path=ROOT / "docs" / name)


def take_console(browser: Browser, name: str, story: dict[str, str]) -> None:
    """In the rush hour, by an agent who has come in through WeCom's login."""
    with demo(story, "--script") as (address, console), shown(browser, story) as page:
        page.goto(address)
        wait_for_rush_hour(page, story)
        page.goto(console)
        page.get_by_test_id("login").click()
        page.get_by_role("link", name="李娜", exact=True).click()
        expect(page.get_by_test_id("handoff-row").nth(7)).to_be_visible(timeout=30_000)
        page.wait_for_timeout(2500)  # the charts come after the rows
        page.screenshot(path=ROOT / "docs" / name)


def take_customer(browser: Browser, name: str, story: dict[str, str]) -> None:
    """The page behind the link of the greeting."""
    with demo(story) as (address, _), shown(browser, story) as page, shown(browser, story, 390, 620) as phone:
        page.goto(address)
        begin(page, story)
        link = page.locator("#pane-customer a.address")
        expect(link).to_be_visible(timeout=30_000)
        say(page, "servicer", story["answers"])
        phone.goto(str(link.get_attribute("href")))
        expect(phone.get_by_test_id("end")).to_be_visible()
        phone.wait_for_timeout(800)
        phone.screenshot(path=ROOT / "docs" / name)


def take(browser: Browser, name: str, story: dict[str, str], play: Play, *words: str) -> None:
    with demo(story, *words) as (address, _), shown(browser, story) as page:
        page.goto(address)
        play(page, story)
        page.screenshot(path=ROOT / "docs" / name)


def main() -> None:
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        for name, story in STORIES.items():
            take(browser, name, story, play)
        for name, story in zip(("alert.png", "alert.en.png"), STORIES.values(), strict=True):
            take_card(browser, name, story)
        for name, story in zip(("customer.png", "customer.en.png"), STORIES.values(), strict=True):
            take_customer(browser, name, story)
        for name, story in AFTERNOONS.items():
            take(browser, name, story, wait_for_rush_hour, "--script")
            take_console(browser, name.replace("afternoon", "console"), story)
        browser.close()


if __name__ == "__main__":
    main()
