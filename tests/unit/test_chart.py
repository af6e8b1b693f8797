"""The picture: a PNG of the size it announces, whatever people are called."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.ft2font import FT2Font

from bot import chart
from bot.picture import Bar, Drawing, Figure, Panel
from bot.wording import TEXT

FIGURES = (Figure("128", "处理会话", "前一天 117"), Figure("1小时12分", "时长中位"))
LYING = Panel("谁结束的", (Bar("客服·企业微信客户端", 58, "58", "staff"), Bar("客户·聊天", 0, "0", "customer")))
UPRIGHT = Panel("每天处理", tuple(Bar(day, len(day), str(len(day))) for day in ("周六", "周日", "今天")), upright=True)
HALF = Panel("会话时长", (Bar("半数以内", 660.0, "11 分钟", "length"),), half=True)
DRAWING = Drawing("客服日报", "11-20 · 售前咨询", FIGURES, (LYING, HALF, HALF, UPRIGHT), ("最长：#12 小林",))


def size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def test_the_picture_is_as_wide_as_a_phone_likes_and_as_high_as_it_needs() -> None:
    png = chart.render(DRAWING)
    assert size(png) == (900, chart.height_of(DRAWING))
    assert len(png) < 300_000


def test_a_day_without_anything_has_a_small_picture() -> None:
    empty = replace(DRAWING, panels=(), notes=("没有结束的会话",))
    assert size(chart.render(empty))[1] < 500


def test_two_half_panels_stand_beside_each_other() -> None:
    alone, pair, three = (chart.height_of(replace(DRAWING, panels=(HALF,) * count)) for count in (1, 2, 3))
    assert alone == pair < three


def test_the_same_drawing_gives_the_same_picture() -> None:
    assert chart.render(DRAWING) == chart.render(DRAWING)


def test_every_word_of_the_wording_can_be_shown() -> None:
    font = FT2Font(str(chart.font_files()[0])).get_charmap()
    words = {key: zh + en for key, (zh, en) in TEXT.items() if re.match("stats|picture|brief|rating|weekday|via", key)}
    assert {key: each for key, each in words.items() if any(ord(char) not in font for char in each)} == {}


def test_the_font_comes_from_the_package_and_the_package_is_not_imported() -> None:
    assert all(file.is_file() for file in chart.font_files())
    assert chart.font_files()[0].parts[-3:] == ("zhplot", "fonts", "NotoSansSC-Regular.ttf")


@pytest.mark.parametrize(
    "name",
    [
        "$x$",
        "a$b",
        "a_b\\frac{1}{2}$$",
        "😀",
        "👨‍👩‍👧",
        "",
        "\n\t",
        "x" * 500,
        "很长" * 200,
        "\udc00",
        "{",
        "%s",
        "مرحبا",
        "\0",
    ],
)
def test_no_name_breaks_the_picture(name: str) -> None:
    assert size(chart.render(_all(name)))[0] == 900


@settings(max_examples=20, deadline=None)
@given(st.text(max_size=30), st.floats(0, 1e12))
def test_nothing_that_people_type_breaks_the_picture(name: str, value: float) -> None:
    chart.render(_all(name, value))


def _all(name: str, value: float = 1.0) -> Drawing:
    """Said everywhere."""
    panels = (Panel(name, (Bar(name, value, name, name),), *where) for where in _wheres())
    return Drawing(name, name, (Figure(name, name, name),), tuple(panels), (name,))


def _wheres() -> Iterator[tuple[bool, bool]]:
    yield from ((False, False), (False, True), (True, False))
