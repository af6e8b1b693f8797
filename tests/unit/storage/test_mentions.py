"""How staff name a customer in the group, and what is not meant by it."""

from __future__ import annotations

import pytest

from storage.mentions import Mentions, standing_alone

ANN = "wm7lKAAnnaaaaaaaaaaaaaaaaaaaOUPw"
MENTIONS = Mentions(ANN, [12, 345], [("LiNa", 1000.0)])


@pytest.mark.parametrize(
    "text",
    [
        f"/end {ANN} 已解决",
        "/end wm7l",
        "/END WM7lKA 已解决",
        "/end wm7l，已解决",
        "/status wm7lKA…OUPw",
        "/status wm7lKA...OUPw",
        "/end 12 退款给小林",
        "/end #12",
        "/结束 345",
        "看看 #345 的情况",
        f"`{ANN}`",
    ],
)
def test_the_customer_is_meant(text: str) -> None:
    assert MENTIONS.stand_in(text, "WangWei", 0.0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/help",
        "/end wm8x",
        "/end wm7lKAAnnaaaaaaaaaaaaaaaaaaaOUPwX",
        "/status wm7lKA…OUPx",
        "/end 1",
        "/end 123 超过12天",
        "/snooze 7 12m",
        "/list 12x",
        "swm7l",
    ],
)
def test_somebody_else_is_meant_or_nobody(text: str) -> None:
    assert not MENTIONS.stand_in(text, "WangWei", 0.0)


def test_the_words_of_an_end_that_quoted_an_alert() -> None:
    assert MENTIONS.stand_in("/end 客户要退款", "LiNa", 990.0)
    assert not MENTIONS.stand_in("/end 客户要退款", "LiNa", 900.0)
    assert not MENTIONS.stand_in("/end 客户要退款", "LiNa", 1001.0)
    assert not MENTIONS.stand_in("/end 客户要退款", "WangWei", 990.0)


def test_an_id_is_not_found_in_a_longer_one() -> None:
    alone = standing_alone("wm7lAnn")
    assert alone.sub("X", '{"a":"wm7lAnn","b":"wm7lAnna","c":"awm7lAnn","d":"wm7lAnn-1"}') == (
        '{"a":"X","b":"wm7lAnna","c":"awm7lAnn","d":"wm7lAnn-1"}'
    )
