"""What customers say that asks something of us: an end phrase as a whole, however it is written, and taps on menus."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.model import KfItem
from bot.phrases import END, LONGEST, SCORES, EndPhrases, normal, rating, rating_id
from bot.settings import Customer
from bot.wecom.protocol import ITEM_ID_BYTES
from tests.fakes import ANN, KF

PHRASES = EndPhrases(Customer().end_phrases)
NOISE = st.text(st.sampled_from(" \t\n　,.!?~，。！？～、…—“”「」【】()（）👋\u200b\ufe0f"), max_size=20)
CHARACTERS = st.characters(categories=("L", "N", "P", "Z", "S"))


def said(text: str = "", menu_id: str = "", **more: Any) -> KfItem:
    return KfItem("m", KF, ANN, 0, 3, "text", text=text, menu_id=menu_id, **more)


@pytest.mark.parametrize(
    "text",
    [
        "结束对话",
        "结束会话",
        "结束人工",
        "退出人工",
        " 结束 对话 ",
        "結束對話",
        "結束會話！",
        "【結束人工】",
        "结束对话👋",
        "结束、对话。",
    ],
)
def test_what_asks_for_the_end(text: str) -> None:
    assert PHRASES.meant_by(said(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "。",
        "结束",
        "对话结束",
        "先不要结束对话",
        "结束对话吗",
        "结束对话1",
        "怎么结束对话？",
        "结束对话 结束对话",
        "人工",
    ],
)
def test_what_does_not(text: str) -> None:
    assert not PHRASES.meant_by(said(text))


@given(st.sampled_from(Customer().end_phrases), st.lists(NOISE, min_size=5, max_size=5))
def test_blanks_and_punctuation_make_no_difference(phrase: str, noise: list[str]) -> None:
    text = "".join(f"{before}{character}" for before, character in zip(noise, phrase, strict=False)) + noise[-1]
    assert PHRASES.meant_by(said(text)) is (len(text) <= LONGEST)


@given(st.sampled_from(Customer().end_phrases), st.text("不别没请问吗a1", min_size=1, max_size=5), st.booleans())
def test_one_word_more_makes_a_difference(phrase: str, more: str, before: bool) -> None:
    assert not PHRASES.meant_by(said(more + phrase if before else phrase + more))


@given(st.text(CHARACTERS, max_size=30))
def test_what_is_normal_stays_as_it_is(text: str) -> None:
    assert normal(normal(text)) == normal(text)


@pytest.mark.parametrize(
    ("phrase", "text"), [("Bye bye", "ＢＹＥ－ＢＹＥ！"), ("結束", "结束"), ("再见", "再見～"), ("STOP①", "stop1")]
)
def test_phrases_of_ones_own_are_met_as_freely(phrase: str, text: str) -> None:
    assert EndPhrases([phrase]).meant_by(said(text))


def test_a_tap_counts_by_its_id_and_by_its_words() -> None:
    assert PHRASES.meant_by(said("不聊了", END))
    assert PHRASES.meant_by(said("结束对话", "101"))
    assert not PHRASES.meant_by(said("不聊了", "ending"))


def test_without_phrases_no_text_counts() -> None:
    assert not EndPhrases().meant_by(said("结束对话")) and not EndPhrases(["！"]).meant_by(said("？"))


@given(st.integers(0, 10**15 - 1), st.sampled_from(SCORES))
def test_a_rating_comes_back_as_it_went_out(number: int, score: str) -> None:
    written = rating_id(number, score)
    assert len(written.encode()) <= ITEM_ID_BYTES
    assert rating(said("满意", written)) == (number, score)


@pytest.mark.parametrize(
    "menu_id", ["", "rate:", "rate:1", "rate:1:great", "rate:x:good", "rate:1:good ", "end", f"rate:{10**15}:bad"]
)
def test_other_taps_are_no_rating(menu_id: str) -> None:
    assert rating(said("满意", menu_id)) is None
