"""Turns what a bot wants to say into what the group shows, or refuses it (wecom-group.md 4.5-4.7). Pure."""

from typing import Any

from . import cards
from .fields import Body, part, text
from .groups import Group, GroupMessage, Groups
from .media import image_url
from .refusals import Refused

_LONGEST = 20480
_FILES = ("image", "file", "voice", "video")


def shown(groups: Groups, group: Group, body: Body, source: str = "bot") -> GroupMessage:
    """Post a markdown, card or media message; 40008 for any other type, 45009 over the quota."""
    msgtype = text(body, "msgtype")
    if msgtype == "markdown":
        parts: dict[str, Any] = {"text": written(part(body, "markdown"))}
    elif msgtype == "template_card":
        parts = {"card": _new_card(groups, group, body.get("template_card"))}
    elif msgtype in _FILES:
        parts = _file(groups, msgtype, part(body, msgtype))
    else:
        raise Refused(40008)
    spend(groups, group)
    if card := parts.get("card"):
        groups.task_ids.add(card.get("task_id", ""))
    return groups.post(group, source, groups.config.bot_name, msgtype, **parts)


def spend(groups: Groups, group: Group) -> None:
    """One message of the conversation's quota; stream snapshots and card updates are free (measured: 4.5)."""
    now = groups.now()
    if not (group.minute.spend(now) and group.hour.spend(now)):
        raise Refused(45009)


def _new_card(groups: Groups, group: Group, card: Any) -> cards.Card:
    if group.kind == "group" and not groups.cards_in_groups:
        raise Refused(40008)
    checked = cards.check(card)
    task_id = checked.get("task_id")
    if task_id and task_id in groups.task_ids:
        raise Refused(42014)
    return checked


def _file(groups: Groups, msgtype: str, content: dict[str, Any]) -> dict[str, Any]:
    media = groups.media.get(content.get("media_id"), groups.now())
    if media.kind != msgtype:
        raise Refused(40007)
    return {"text": media.filename, "image": image_url(media.data) if msgtype == "image" else None}


def written(content: dict[str, Any], limit: int = _LONGEST) -> str:
    """The words of a text or markdown message; 44004 when there are none."""
    if content.get("content") == "":
        raise Refused(44004)
    return bounded(text(content, "content"), limit)


def bounded(content: str, limit: int = _LONGEST) -> str:
    if len(content.encode()) > limit:
        raise Refused(45002)
    return content
