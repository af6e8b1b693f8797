"""The customers' last words: the youngest of each, of not too many, and none where none may be kept."""

from __future__ import annotations

from typing import Any

from bot.last_words import LastWords
from bot.model import KfItem, SessionKey
from bot.sessions import CUSTOMER, EVENT, SERVICER
from tests.fakes import ANN, BOB, KF, KF2

ANNS, BOBS = SessionKey(KF, ANN), SessionKey(KF, BOB)


def item(text: str, at: int = 1000, customer: str = ANN, origin: int = CUSTOMER, **more: Any) -> KfItem:
    return KfItem(f"M{at}{text}", KF, customer, at, origin, "text", text=text, **more)


def test_the_youngest_words_of_each_customer_in_each_account() -> None:
    words = LastWords(True)
    words.note([item("在吗", 1000), item("我是Bob", 1001, BOB), item("有人吗", 1002), item("迟到的话", 999)])
    assert (words.of(ANNS), words.of(BOBS)) == ("有人吗", "我是Bob")
    assert words.of(SessionKey(KF2, ANN)) == ""


def test_of_the_same_second_the_later_in_the_stream_wins() -> None:
    words = LastWords(True)
    words.note([item("一", 1000), item("二", 1000)])
    assert words.of(ANNS) == "二"


def test_only_what_customers_wrote() -> None:
    words = LastWords(True)
    words.note([item("在吗"), item("您好", 1001, origin=SERVICER), item("x", 1002, origin=EVENT), item("", 1003)])
    assert words.of(ANNS) == "在吗"


def test_a_tap_on_a_rating_is_no_word() -> None:
    words = LastWords(True)
    words.note([item("在吗"), item("满意", 1001, menu_id="rate:1:good"), item("101", 999, menu_id="101")])
    assert words.of(ANNS) == "在吗"


def test_nothing_where_no_text_may_be_kept() -> None:
    words = LastWords(False)
    words.note([item("在吗")])
    assert words.of(ANNS) == ""


def test_memory_is_bounded_and_who_wrote_last_stays() -> None:
    words = LastWords(True, most=2)
    words.note([item("一", 1, ANN), item("二", 2, BOB), item("三", 3, ANN), item("四", 4, "wmThird")])
    assert [words.of(SessionKey(KF, each)) for each in (ANN, BOB, "wmThird")] == ["三", "", "四"]
