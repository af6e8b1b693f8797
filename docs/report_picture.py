"""Draw docs/report.png and report.en.png anew, the report of a made-up busy day: `python -m docs.report_picture`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from bot import period
from bot.chart import render
from bot.model import OperatorType, Via
from bot.stats import Longest, Numbers, OpenNow, Spread, Way
from bot.summary import Summary, drawing
from bot.wecom.errcodes import meaning_of
from bot.wording import Words

ZONE = ZoneInfo("Asia/Shanghai")
USER, AGENT, SYSTEM = OperatorType
NAMES = {"zh": ("小林", "售前咨询", "售后服务"), "en": ("Alice", "Sales", "Support")}  # a customer, the accounts


def busy_day(lang: str) -> Summary:
    slot = datetime(2026, 11, 20, 18, 0, tzinfo=ZONE).timestamp()
    ways: dict[Way, int] = {
        (USER, Via.CHAT): 24,
        (USER, Via.API): 8,
        (AGENT, Via.CLIENT): 41,
        (AGENT, Via.BUTTON): 27,
        (AGENT, Via.COMMAND): 7,
        (SYSTEM, Via.POLICY): 6,
    }
    numbers = Numbers(
        handled=113,
        cancelled=3,
        ways=ways,
        enders={"ZhangSuQuan": 34, "LiNa": 25, "WuMing": 16},
        wait=Spread(48.0, 215.0),
        length=Spread(11 * 60.0, 42 * 60.0),
        longest=Longest(1274, "wm7lKAAnnaaaaaaaaaaaaaaaaaaaOUPw", 3 * 3600 + 12 * 60.0),
        servicers={"ZhangSuQuan": 42, "LiNa": 33, "WuMing": 24, "ChenJing": 14},
    )
    nickname, *accounts = NAMES[lang]
    return Summary(
        period=period.daily(slot, ZONE),
        numbers=numbers,
        before=Numbers(handled=117, wait=Spread(65.0, 300.0), length=Spread(12 * 60.0, 50 * 60.0)),
        open=OpenNow(1, 6, 2, {"LiNa": 3, "ZhangSuQuan": 2, "ChenJing": 1}),
        ratings={"good": 38, "middling": 6, "bad": 3},
        accounts=accounts,
        nickname=nickname,
    )


def main() -> None:
    for lang, name in (("zh", "report.png"), ("en", "report.en.png")):
        say = Words(lang, "kfbot", meaning_of, ZONE)
        Path(__file__).with_name(name).write_bytes(render(drawing(say, busy_day(lang))))


if __name__ == "__main__":
    main()
