"""The numbers in words and as a drawing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from bot import period
from bot.model import OperatorType, Via
from bot.picture import Bar, Panel
from bot.stats import Longest, Numbers, OpenNow, Spread, Way
from bot.summary import LINES, MOST_SERVICERS, Summary, drawing, markdown
from bot.wecom.errcodes import meaning_of
from bot.wording import Words
from tests.fakes import ANN

ZONE = ZoneInfo("Asia/Shanghai")
ZH, EN = Words("zh", "kfbot", meaning_of, ZONE), Words("en", "kfbot", meaning_of, ZONE)
NOW = datetime(2026, 11, 20, 15, 4, tzinfo=ZONE).timestamp()
USER, AGENT, SYSTEM = OperatorType
NUMBERS = Numbers(
    handled=48,
    cancelled=3,
    ways={(AGENT, Via.CLIENT): 22, (AGENT, Via.BUTTON): 9, (USER, Via.CHAT): 12, (SYSTEM, Via.POLICY): 5},
    enders={"LiNa": 20, "WuMing": 11},
    wait=Spread(62.0, 181.0),
    length=Spread(600.0, 4320.0),
    longest=Longest(123, ANN, 10_930.0),
    servicers={"LiNa": 30, "WuMing": 18},
)
TODAY = Summary(
    period=period.today(NOW, ZONE),
    numbers=NUMBERS,
    before=Numbers(handled=41, wait=Spread(130.0, 300.0), length=Spread(540.0, 3000.0)),
    open=OpenNow(1, 4, 2, {"LiNa": 3, "ChenJing": 1}),
    ratings={"good": 20, "bad": 1},
    accounts=["售前咨询", "售后_服务"],
    nickname="小*林",
)
EMPTY = replace(TODAY, numbers=Numbers(), before=Numbers(), open=OpenNow(), ratings={})
WEEK = replace(
    TODAY, period=period.week(NOW, ZONE), numbers=replace(NUMBERS, per_day=(1, 2, 3, 4, 5, 6, 27), servicers={})
)
DAILY = replace(TODAY, period=period.daily(NOW, ZONE))


def panels(summary: Summary, say: Words = ZH) -> dict[str, Panel]:
    return {panel.title: panel for panel in drawing(say, summary).panels}


# -- words


def test_today_in_chinese() -> None:
    assert markdown(ZH, TODAY).splitlines() == [
        "**今日统计** 11-20 周五 截至 15:04 · 售前咨询、售后＿服务",
        "处理 **48** 个（昨天此时 41） · 排队中取消 3",
        "结束：客户 12（聊天） · 客服 31（企业微信客户端 22、按钮 9） · 系统 5（自动规则）",
        "结束最多：LiNa 20 · WuMing 11",
        "首次回复：中位 **1 分钟**，九成在 4 分钟内（昨天此时 2 分钟）",
        "会话时长：中位 **10 分钟**，九成在 1 小时 12 分钟内（昨天此时 9 分钟）",
        "最长：#123 **小＊林** `wm7lAn…0001`，3 小时 2 分钟",
        "评价：满意 20 · 不满意 1",
        "现在：人工 4 · 排队 1 · 等待回复 2",
        "> LiNa：处理 30 · 手上 3",
        "> WuMing：处理 18 · 手上 0",
        "> ChenJing：处理 0 · 手上 1",
    ]


def test_the_daily_report_in_english() -> None:
    lines = markdown(EN, DAILY).splitlines()
    assert lines[:3] == [
        "**Daily report** 11-19 15:04 – 11-20 15:04 · 售前咨询, 售后＿服务",
        "Handled **48** (41 the day before) · cancelled in the queue 3",
        "Ended by customers 12 (chat) · staff 31 (WeCom client 22, button 9) · the system 5 (policy)",
    ]
    assert "First answer: median **1 min**, nine in ten within 4 min (2 min the day before)" in lines


def test_a_week_names_each_day() -> None:
    lines = markdown(ZH, WEEK).splitlines()
    assert lines[0].startswith("**近 7 天统计** 11-14 – 11-20")
    assert "每天：周六 1 · 周日 2 · 周一 3 · 周二 4 · 周三 5 · 周四 6 · 周五 27" in lines


def test_a_day_without_anything_is_short() -> None:
    assert markdown(ZH, EMPTY).splitlines()[1:] == ["没有结束的会话", "现在：人工 0 · 排队 0 · 等待回复 0"]


def test_a_quiet_day_after_a_busy_one_is_compared_too() -> None:
    quiet = replace(EMPTY, numbers=Numbers(cancelled=2), before=TODAY.before)
    assert markdown(ZH, quiet).splitlines()[1] == "没有结束的会话（昨天此时 41） · 排队中取消 2"


def test_what_nobody_rated_has_no_line() -> None:
    assert "评价" not in markdown(ZH, replace(TODAY, ratings={}))
    assert "客户评价" not in panels(replace(TODAY, ratings={}))


def test_many_accounts_are_counted() -> None:
    title = markdown(ZH, replace(TODAY, accounts=["A", "B", "C", "D", "E"])).splitlines()[0]
    assert title.endswith(" · A、B、C和另外 2 个")
    assert markdown(ZH, replace(TODAY, accounts=[])).splitlines()[0] == "**今日统计** 11-20 周五 截至 15:04"


@pytest.mark.parametrize("summary", [TODAY, WEEK, DAILY], ids=["today", "week", "daily"])
@pytest.mark.parametrize("people", [1, 3, 4, 5, 12, 200])
def test_the_words_fill_one_screen_at_most_and_leave_nobody_out(summary: Summary, people: int) -> None:
    servicers = {f"S{number}": 100 - number % 90 for number in range(people)}
    crowd = replace(summary, numbers=replace(summary.numbers, servicers=servicers), open=OpenNow(0, people, 0))
    lines = markdown(ZH, crowd).splitlines()
    assert len(lines) <= LINES
    told = [line for line in lines if line.startswith("> ")]
    rest = told.pop() if "其余" in told[-1] else ""
    handled = sum(int(line.split("处理 ")[1].split()[0]) for line in (*told, rest) if line)
    assert handled == sum(servicers.values())
    assert not rest or f"其余 {people - len(told)} 人" in rest


def test_within_is_never_too_short() -> None:
    for p90, said in ((59.2, "1 分钟"), (60.0, "1 分钟"), (61.0, "2 分钟"), (86_401.0, "1 天 1 小时"), (4.5, "5 秒")):
        summary = replace(TODAY, numbers=replace(NUMBERS, wait=Spread(1.0, p90)))
        assert f"九成在 {said}内" in markdown(ZH, summary)


def test_what_people_are_called_formats_nothing() -> None:
    rude = replace(
        TODAY, nickname="**[x](http://y)", accounts=["`code`"],
        numbers=replace(NUMBERS, servicers={"<@all>": 48}, enders={"a_b*c": 1}),
    )  # fmt: skip
    told = markdown(ZH, rude)
    assert not any(mark in told for mark in ("[x]", "`code`", "<@", "a_b*c", "://"))


# -- picture


def test_the_picture_has_four_numbers_on_top() -> None:
    shown = [(figure.value, figure.label, figure.note) for figure in drawing(ZH, TODAY).figures]
    assert shown == [
        ("48", "处理会话", "昨天 41"),
        ("1 分钟", "回复中位", "昨天 2 分钟"),
        ("10 分钟", "时长中位", "昨天 9 分钟"),
        ("5", "进行中", "等回复 2"),
    ]


def test_who_ended_is_told_by_colour_and_word() -> None:
    assert [(bar.label, bar.value, bar.tone) for bar in panels(TODAY)["谁结束的"].bars] == [
        ("客户·聊天", 12, "customer"),
        ("客服·企业微信客户端", 22, "staff"),
        ("客服·按钮", 9, "staff"),
        ("系统·自动规则", 5, "system"),
    ]


def test_rare_ways_share_a_bar() -> None:
    ways: dict[Way, int] = {(AGENT, via): 10 + number for number, via in enumerate(Via)}
    bars = panels(replace(TODAY, numbers=replace(NUMBERS, ways=ways)))["谁结束的"].bars
    assert len(bars) == 6 and bars[-1].label == "其他"
    assert sum(bar.value for bar in bars) == sum(ways.values())


def test_a_way_that_this_version_does_not_know_is_named_as_it_is() -> None:
    unknown = replace(TODAY, numbers=replace(NUMBERS, ways={(AGENT, "telepathy"): 1, (SYSTEM, ""): 2}))
    assert [bar.label for bar in panels(unknown)["谁结束的"].bars] == ["客服·telepathy", "系统"]


def test_waits_and_lengths_stand_beside_each_other() -> None:
    waits, lengths = panels(TODAY)["首次回复用时"], panels(TODAY)["会话时长"]
    assert waits.half and lengths.half
    assert [bar.text for bar in (*waits.bars, *lengths.bars)] == ["1 分钟", "4 分钟", "10 分钟", "1小时12分"]


def test_a_week_has_a_bar_for_each_day_and_today_is_not_over() -> None:
    days = panels(WEEK)["每天处理"]
    assert days.upright and [bar.label for bar in days.bars][-2:] == ["周四", "今天"]
    assert [bar.pale for bar in days.bars] == [False] * 6 + [True]
    assert "每天处理" not in panels(TODAY)


def test_servicers_beyond_eight_share_a_bar() -> None:
    team = {f"S{number:02}": 100 - number for number in range(12)}
    crowd = replace(TODAY, numbers=replace(NUMBERS, servicers=team), open=OpenNow(0, 1, 0, {"S11": 1}))
    bars = panels(crowd)["接待人员"].bars
    assert len(bars) == MOST_SERVICERS + 1
    assert bars[-1] == Bar("其余 4 人", 92 + 91 + 90 + 89, "362（手上 1）", pale=True)


def test_the_longest_and_the_cancelled_are_noted() -> None:
    assert drawing(EN, TODAY).notes == ("Longest: #123 小*林, 3h 2m", "Cancelled in the queue: 3")
    nameless = replace(TODAY, nickname="", numbers=replace(NUMBERS, cancelled=0))
    assert drawing(EN, nameless).notes == ("Longest: #123 wm7lAn…0001, 3h 2m",)


def test_the_picture_of_an_empty_day() -> None:
    empty = drawing(ZH, EMPTY)
    assert (empty.panels, empty.notes) == ((), ("没有结束的会话",))
    assert [figure.value for figure in empty.figures] == ["0", "–", "–", "0"]


@pytest.mark.parametrize(
    ("seconds", "zh", "en"),
    [
        (3600.0, "1 小时", "1 h"),
        (5400.0, "1小时30分", "1h 30m"),
        (90_000.0, "1天1小时", "1d 1h"),
        (42.0, "42 秒", "42 s"),
    ],
)
def test_times_in_narrow_places(seconds: float, zh: str, en: str) -> None:
    summary = replace(TODAY, numbers=replace(NUMBERS, length=Spread(seconds, seconds)))
    assert [drawing(say, summary).figures[2].value for say in (ZH, EN)] == [zh, en]
