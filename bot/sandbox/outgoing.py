"""Checks what a bot wants to send to a customer: types, counts and byte lengths (wecom-kf.md 5.2). Pure."""

from collections.abc import Callable
from typing import Any

from .fields import Body, part, text
from .refusals import Refused

_PICTURED = ("image", "voice", "video", "file")
_PLAIN = ("link", "miniprogram", "location", "business_card", "ca_link")
_ITEM_LIMITS = {
    "click": {"id": 128, "content": 128},
    "view": {"url": 2048, "content": 1024},
    "miniprogram": {"appid": 32, "pagepath": 1024, "content": 1024},
    "text": {"content": 256},
}


def check(body: Body, has_media: Callable[[object], object]) -> tuple[str, dict[str, Any]]:
    """(msgtype, its part) of a sendable message; `has_media` raises for an unknown media_id."""
    msgtype = text(body, "msgtype")
    if msgtype == "text":
        return msgtype, _checked_text(part(body, "text"))
    if msgtype == "msgmenu":
        return msgtype, _checked_menu(part(body, "msgmenu"))
    if msgtype in _PICTURED:
        has_media(part(body, msgtype).get("media_id"))
    elif msgtype not in _PLAIN:
        raise Refused(40008)
    return msgtype, part(body, msgtype)


def _checked_text(content: dict[str, Any]) -> dict[str, Any]:
    if len(text(content, "content").encode()) > 2048:
        raise Refused(45002)
    return content


def _checked_menu(menu: dict[str, Any]) -> dict[str, Any]:
    for name in ("head_content", "tail_content"):
        if len(str(menu.get(name, "")).encode()) > 1024:
            raise Refused(45002)
    items = menu.get("list", [])
    if not isinstance(items, list):
        raise Refused(40058, "list is not a list")
    if len(items) > 10:
        raise Refused(95008)
    for item in items:
        _check_item(item)
    return menu


def _check_item(item: Any) -> None:
    if not isinstance(item, dict) or item.get("type") not in _ITEM_LIMITS:
        raise Refused(95009)
    content = part(item, item["type"])
    for name, limit in _ITEM_LIMITS[item["type"]].items():
        if name == "id" and name not in content:
            continue
        text(content, name, limit)


def as_read(msgtype: str, content: dict[str, Any]) -> str:
    """The words a customer would see first; for lists and logs."""
    if msgtype == "text":
        return str(content["content"])
    if msgtype == "msgmenu":
        return str(content.get("head_content", ""))
    return f"[{msgtype}]"


def menu_shown(content: dict[str, Any]) -> dict[str, Any]:
    """The menu as the page draws it; only `click` items keep an id to tap."""
    items = []
    for item in content.get("list", []):
        inner = item[item["type"]]
        tap = inner.get("id", inner["content"]) if item["type"] == "click" else ""
        items.append({"id": tap, "content": inner["content"], "type": item["type"]})
    return {"head": content.get("head_content", ""), "items": items, "tail": content.get("tail_content", "")}
