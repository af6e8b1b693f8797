"""Cards and texts within the vendor's limits."""

from hypothesis import given
from hypothesis import strategies as st

from bot.channels.cards import template_card
from bot.channels.cutting import clean, cut, cut_bytes
from bot.model import Button, Card

TEXTS = st.text(st.characters(), max_size=300)


def test_a_whole_card() -> None:
    card = Card(
        task_id="al-12-x",
        title="wm7l 等待",
        desc="18 分钟",
        body="@kfbot /end 12",
        rows=(("接待人", "李娜"),),
        buttons=(Button("结束", "end:12", 2), Button("跟进", "ack:12")),
    )
    assert template_card(card) == {
        "card_type": "button_interaction",
        "task_id": "al-12-x",
        "main_title": {"title": "wm7l 等待", "desc": "18 分钟"},
        "sub_title_text": "@kfbot /end 12",
        "horizontal_content_list": [{"keyname": "接待人", "value": "李娜"}],
        "button_list": [
            {"text": "结束", "style": 2, "key": "end:12"},
            {"text": "跟进", "style": 1, "key": "ack:12"},
        ],
    }


def test_what_is_empty_is_left_out() -> None:
    assert template_card(Card("t", "title")) == {
        "card_type": "button_interaction",
        "task_id": "t",
        "main_title": {"title": "title"},
    }


@given(
    st.builds(
        Card,
        task_id=st.text(max_size=10),
        title=TEXTS,
        desc=TEXTS,
        body=TEXTS,
        rows=st.lists(st.tuples(TEXTS, TEXTS), max_size=9).map(tuple),
        buttons=st.lists(st.builds(Button, TEXTS, TEXTS), max_size=9).map(tuple),
    )
)
def test_no_limit_is_passed(card: Card) -> None:
    shown = template_card(card)
    assert len(shown["main_title"]["title"]) <= 26
    assert len(shown["main_title"].get("desc", "")) <= 30
    assert len(shown.get("sub_title_text", "")) <= 112
    assert len(shown.get("horizontal_content_list", ())) == min(len(card.rows), 6)
    for row in shown.get("horizontal_content_list", ()):
        assert len(row["keyname"]) <= 5
        assert len(row["value"]) <= 26
    assert len(shown.get("button_list", ())) == min(len(card.buttons), 6)
    for button, given_ in zip(shown.get("button_list", ()), card.buttons, strict=False):
        assert len(button["text"]) <= 10
        assert button["key"] == clean(given_.key)


def test_a_cut_text_says_so() -> None:
    assert cut("abcdef", 5) == "abcd…"
    assert cut("abcde", 5) == "abcde"
    assert cut("ab cdef", 4) == "ab…"
    assert cut_bytes("急急急", 8) == "急…"
    assert cut_bytes("急急急", 9) == "急急急"


def test_visible_characters_stay_whole() -> None:
    family, wave, accented = "👨‍👩‍👧", "👋🏽", "e\u0301"
    assert cut("ab" + family + "cd", 6) == "ab…"
    assert cut("ab" + wave + "cd", 4) == "ab…"
    assert cut("ab" + accented + "cd", 4) == "ab…"
    assert cut("\u0301" * 100, 50) == "\u0301" * 49 + "…"
    assert cut_bytes("ab" + family + "cd", 18) == "ab…"


@given(TEXTS, st.integers(3, 400))
def test_cut_is_a_beginning(text: str, limit: int) -> None:
    for shorter, size in ((cut(text, limit), len), (cut_bytes(text, limit), lambda kept: len(kept.encode()))):
        assert size(shorter) <= limit
        assert shorter == clean(text) or clean(text).startswith(shorter.removesuffix("…"))
