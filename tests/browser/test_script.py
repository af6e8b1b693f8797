"""`demo --script`: the busy afternoon plays by itself, and the viewer may join in."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

SOON = 30_000  # ms: the script waits for the page, then the first alert comes within seconds
ENDS = '[data-testid="card-button"][data-key^="end:"]'


def _message_with(page: Page, selector: str) -> Locator:
    """The first message of the group with such an element, found again by its id whatever becomes of it."""
    messages = page.get_by_test_id("group-message")
    message = messages.filter(has=page.locator(selector)).first
    expect(message).to_be_visible(timeout=SOON)
    return page.locator(f'[data-testid="group-message"][data-id="{message.get_attribute("data-id")}"]')


def test_an_alert_of_the_script_is_ended_by_the_viewer(scripted: Page) -> None:
    """The first card is about 小林, whom nobody of the script touches."""
    card = _message_with(scripted, ENDS)
    expect(card).to_contain_text("小林")
    card.locator(ENDS).click()
    expect(card.locator(ENDS)).to_have_count(0)
    expect(card).to_contain_text("已结束")


def test_the_page_says_what_plays_until_the_viewer_stops_it(scripted: Page) -> None:
    script = scripted.get_by_test_id("script")
    expect(script).to_contain_text("自动演示 1/", timeout=SOON)
    expect(script).to_contain_text("自动演示 2/", timeout=SOON)
    expect(scripted.get_by_test_id("clock")).to_contain_text("10×")
    expect(scripted.get_by_test_id("customer-message").filter(has_text="昨天下的单")).to_be_visible()
    scripted.get_by_test_id("script-stop").click()
    expect(script).to_be_hidden()
    expect(scripted.get_by_test_id("coach-step").first).to_be_visible()
    expect(scripted.get_by_test_id("clock")).not_to_contain_text("×")
