"""Template cards: what the server would refuse, and what a card says in plain words (wecom-group.md 7). Pure."""

import re
from typing import Any

from .refusals import Refused

KINDS = ("button_interaction", "text_notice", "news_notice", "vote_interaction", "multiple_interaction")
NOTICES = ("text_notice", "news_notice")
_NEEDS_TASK = ("button_interaction", "vote_interaction", "multiple_interaction")
_TASK_ID = re.compile(r"[0-9A-Za-z_\-@]{1,128}")
_KEY_LIMIT = 1024

Card = dict[str, Any]


def check(card: Any) -> Card:
    """40058 for a card no client could draw, 42014 for a task_id outside its alphabet or missing."""
    if not isinstance(card, dict) or card.get("card_type") not in KINDS:
        raise Refused(40058, "card_type")
    if not (_title(card) or card.get("sub_title_text")):
        raise Refused(40058, "main_title or sub_title_text")
    if card["card_type"] in _NEEDS_TASK or card.get("action_menu"):
        _check_task_id(card.get("task_id"))
    if card["card_type"] == "button_interaction":
        _check_buttons(card.get("button_list"))
    if card["card_type"] in NOTICES and not isinstance(card.get("card_action"), dict):
        raise Refused(40058, "card_action")
    if len(card.get("horizontal_content_list") or []) > 6:
        raise Refused(40058, "horizontal_content_list")
    return card


def _check_task_id(task_id: object) -> None:
    if not isinstance(task_id, str) or not _TASK_ID.fullmatch(task_id):
        raise Refused(42014)


def _check_buttons(buttons: Any) -> None:
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= 6:
        raise Refused(40058, "button_list")
    keys = [button.get("key") for button in buttons if isinstance(button, dict) and button.get("text")]
    for key in keys:
        if not isinstance(key, str) or not 1 <= len(key.encode()) <= _KEY_LIMIT:
            raise Refused(40058, "button key")
    if len(set(keys)) != len(buttons):
        raise Refused(40058, "button_list")


def _title(card: Card) -> str:
    title = card.get("main_title")
    return str(title.get("title") or title.get("desc") or "") if isinstance(title, dict) else ""


def has_key(card: Card, key: str) -> bool:
    """Whether a button or menu entry of the card carries this key."""
    buttons = [*card.get("button_list", []), *(card.get("action_menu") or {}).get("action_list", [])]
    return any(button.get("key") == key for button in buttons)


def words(card: Card) -> str:
    """Title, description, rows and buttons, a line each."""
    title = card.get("main_title") or {}
    rows = [f"{row.get('keyname')}: {row.get('value', '')}" for row in card.get("horizontal_content_list") or []]
    lines = [title.get("title"), title.get("desc"), card.get("sub_title_text"), *rows]
    return "\n".join(str(line) for line in lines if line)
