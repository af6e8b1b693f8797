"""The newcomer's ten minutes: play all three parts on the demo page."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


def _connected(page: Page) -> None:
    """What is said to a bot that is not there is lost."""
    expect(page.get_by_test_id("bot-connected")).to_have_attribute("data-connected", "true")


def _say(page: Page, pane: str, text: str) -> None:
    page.get_by_test_id(f"{pane}-input").fill(text)
    page.get_by_test_id(f"{pane}-send").click()


def _new_customer(page: Page, name: str) -> str:
    """A customer nobody has talked to; returns the external_userid."""
    page.get_by_test_id("customer-new").click()
    page.get_by_test_id("customer-new-name").fill(name)
    page.get_by_test_id("customer-new-create").click()
    _say(page, "customer", "你好，我的订单没有发货")
    row = page.get_by_test_id("session-row").filter(has_text=name)
    row.click()
    return str(row.get_attribute("data-external-userid"))


def test_a_session_goes_from_the_customer_to_the_servicer_and_is_ended_in_the_group(page: Page) -> None:
    _connected(page)
    customer = _new_customer(page, "测试客户")
    page.get_by_test_id("servicer-take").click()
    _say(page, "servicer", "您好，我来帮您看一下")
    answers = page.get_by_test_id("group-message")
    expect(page.get_by_test_id("customer-message").filter(has_text="我来帮您看一下")).to_be_visible()

    _say(page, "group", "@kfbot /status")
    expect(answers.filter(has_text="客服会话总览")).to_be_visible()
    _say(page, "group", f"@kfbot /end {customer} 已处理")
    expect(answers.filter(has_text="✅ 已结束")).to_be_visible()
    expect(answers.filter(has_text="结束语已发送")).to_be_visible()

    goodbye = page.get_by_test_id("customer-message").filter(has_text="客服已结束本次对话")
    expect(goodbye).to_be_visible()
    _say(page, "group", f"@kfbot /history {customer}")
    record = answers.filter(has_text="会话记录")
    expect(record).to_contain_text("已处理")
    expect(record).to_contain_text("群命令")


def test_the_stuck_session_of_the_seed_is_listed_from_the_first_minute(page: Page) -> None:
    """The bot is asked until it has read so far."""
    _connected(page)
    answers = page.get_by_test_id("group-message").filter(has_text="进行中的会话")  # or that there are none
    for asked in range(1, 21):
        _say(page, "group", "@kfbot /list")
        expect(answers).to_have_count(asked)
        if "没有" not in answers.last.inner_text():
            break
    expect(answers.last).to_contain_text("ZhangSuQuan")


def test_five_minutes_are_a_tap_away(page: Page) -> None:
    """Time is the sandbox's, for the bot too: an alert need not be waited for."""
    page.get_by_test_id("clock").click()
    page.locator('[data-testid="clock-speed"][data-speed="60"]').click()
    expect(page.get_by_test_id("clock")).to_contain_text("60×")
    page.locator('[data-testid="clock-speed"][data-speed="1"]').click()
    expect(page.get_by_test_id("clock")).not_to_contain_text("×")
    _new_customer(page, "测试客户")
    page.get_by_test_id("servicer-take").click()
    expect(page.get_by_test_id("servicer-end")).to_be_enabled()
    page.get_by_test_id("clock").click()
    page.get_by_test_id("clock-leap").click()
    page.get_by_test_id("clock-leap").click()
    alert = page.get_by_test_id("group-message").filter(has_text="测试客户")
    expect(alert.locator('[data-testid="card-button"][data-key^="end:"]')).to_be_visible(timeout=60_000)


def test_the_page_switches_between_the_group_and_a_chat_with_the_bot_alone(page: Page) -> None:
    _connected(page)
    page.get_by_test_id("group-member").select_option("LiNa")
    page.get_by_test_id("group-picker").select_option("LiNa")
    _say(page, "group", "/whoami")
    expect(page.get_by_test_id("group-message").filter(has_text="LiNa")).to_be_visible()
    page.get_by_test_id("group-picker").select_option(label="客服值班群")
    expect(page.get_by_test_id("group-message").filter(has_text="/whoami")).to_have_count(0)
    expect(page.get_by_test_id("group-member")).to_have_value("LiNa")
