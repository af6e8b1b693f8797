"""`button_interaction` cards as JSON. Pure. https://developer.work.weixin.qq.com/document/path/101032"""

from __future__ import annotations

from typing import Any

from bot.channels.cutting import clean, cut
from bot.model import Button, Card

TITLE, DESC, BODY = 26, 30, 112
ROWS, KEYNAME, VALUE = 6, 5, 26
BUTTONS, BUTTON_TEXT = 6, 10


def template_card(card: Card) -> dict[str, Any]:
    """Texts are cut to the recommended lengths; ids and keys never are, for a cut one means something else.

    The vendor wants at least one button and a fresh `task_id` per send; both are the caller's.
    """
    parts: dict[str, Any] = {
        "card_type": "button_interaction",
        "task_id": clean(card.task_id),
        "main_title": _title(card),
        "sub_title_text": cut(card.body, BODY),
        "horizontal_content_list": [_row(*row) for row in card.rows[:ROWS]],
        "button_list": [_button(button) for button in card.buttons[:BUTTONS]],
    }
    return {name: part for name, part in parts.items() if part}


def _title(card: Card) -> dict[str, str]:
    title = {"title": cut(card.title, TITLE)}
    return title | {"desc": cut(card.desc, DESC)} if card.desc else title


def _row(keyname: str, value: str) -> dict[str, str]:
    return {"keyname": cut(keyname, KEYNAME), "value": cut(value, VALUE)}


def _button(button: Button) -> dict[str, Any]:
    return {"text": cut(button.text, BUTTON_TEXT), "style": button.style, "key": clean(button.key)}
