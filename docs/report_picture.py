"""Draw docs/report.png anew, the report of a made-up busy day: `python -m docs.report_picture`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from bot import period
from bot.chart import render
from bot.model import OperatorType, Via
from bot.stats import Longest, Numbers, OpenNow, Spread
from bot.summary import Summary, drawing
from bot.wecom.errcodes import meaning_of
from bot.wording import Words

ZONE = ZoneInfo("Asia/Shanghai")
_, AGENT, SYSTEM = OperatorType


def busy_day() -> Summary:
    slot = datetime(2026, 11, 20, 18, 0, tzinfo=ZONE).timestamp()
    ways = {
        (AGENT, Via.CLIENT): 58,
        (AGENT, Via.BUTTON): 31,
        (AGENT, Via.COMMAND): 12,
        (SYSTEM, Via.POLICY): 9,
        (SYSTEM, Via.EXPIRED): 1,
    }
    servicers = {"ZhangSuQuan": 46, "LiNa": 38, "WuMing": 27, "ChenJing": 17}
    numbers = Numbers(
        handled=sum(ways.values()),
        cancelled=3,
        ways=ways,
        enders={"ZhangSuQuan": 41, "LiNa": 33, "WuMing": 20},
        wait=Spread(48.0, 215.0),
        length=Spread(11 * 60.0, 42 * 60.0),
        longest=Longest(1274, "wm7lKAAnnaaaaaaaaaaaaaaaaaaaOUPw", 3 * 3600 + 12 * 60.0),
        servicers=servicers,
    )
    return Summary(
        period=period.daily(slot, ZONE),
        numbers=numbers,
        before=Numbers(handled=117, wait=Spread(65.0, 300.0), length=Spread(12 * 60.0, 50 * 60.0)),
        open=OpenNow(1, 6, 2, {"LiNa": 3, "ZhangSuQuan": 2, "ChenJing": 1}),
        accounts=["售前咨询", "售后服务"],
        nickname="小林",
    )


def main() -> None:
    say = Words("zh", "kfbot", meaning_of, ZONE)
    Path(__file__).with_name("report.png").write_bytes(render(drawing(say, busy_day())))


if __name__ == "__main__":
    main()
