"""What a customer's words and taps ask of us: the end of the session, or a score for one that is over. Pure.

A text asks for the end only if it is an end phrase as a whole, so that "先不要结束对话" does not. Blanks, punctuation,
full-width forms, case and traditional characters make no difference.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from bot.model import KfItem

END = "end"  # id of a menu item that ends the session, whoever sent the menu
SCORES = ("good", "middling", "bad")
LONGEST = 100  # characters; more is no phrase, however much of it is punctuation

_RATING = re.compile(rf"rate:(\d{{1,15}}):({'|'.join(SCORES)})")
# What people in service chats write in traditional characters; phrases and texts are both put through it.
_SIMPLIFIED = str.maketrans(
    "結對話會談轉機離開關閉終斷線連掛電請幫們與後個這還沒問題謝見號語說聽讀寫單訂貨發費錢價員經過從來時間無為麼點擊選擇銷"
    "繼續應該實現進將讓認識設試調術體驗業產處復複滿評買賣於給聯絡繫係務師當並網頁記錄圖隊靜總數訊嗎",
    "结对话会谈转机离开关闭终断线连挂电请帮们与后个这还没问题谢见号语说听读写单订货发费钱价员经过从来时间无为么点击选择销"
    "继续应该实现进将让认识设试调术体验业产处复复满评买卖于给联络系系务师当并网页记录图队静总数讯吗",
)


def normal(text: str) -> str:
    """What is left when the ways to write the same are taken away: letters, digits and characters."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_SIMPLIFIED)
    return "".join(filter(str.isalnum, folded))


class EndPhrases:
    """The phrases that end a session. A tap on a menu item counts by its id, and by its words."""

    def __init__(self, phrases: Iterable[str] = ()) -> None:
        self._phrases = frozenset(map(normal, phrases)) - {""}

    def meant_by(self, item: KfItem) -> bool:
        if item.menu_id == END:
            return True
        return 0 < len(item.text) <= LONGEST and normal(item.text) in self._phrases


NO_PHRASES = EndPhrases()


def rating_id(handoff_id: int, score: str) -> str:
    """Id of the menu item by which a customer gives a handoff this score."""
    return f"rate:{handoff_id}:{score}"


def rating(item: KfItem) -> tuple[int, str] | None:
    """The handoff and the score, where the item is a tap on a closing message's menu."""
    found = _RATING.fullmatch(item.menu_id) if item.menu_id else None
    return (int(found[1]), found[2]) if found else None
