"""What the long connection says unasked: messages and events for the bot (wecom-group.md 3.3, 3.4, 4.3). Pure."""

from typing import Any

from . import cards
from .config import SandboxConfig
from .groups import Group, GroupMessage
from .ids import fresh

Frame = dict[str, Any]


def message(
    config: SandboxConfig, group: Group, said: GroupMessage, quoted: GroupMessage | None, response_url: str
) -> Frame:
    """A text a member wrote; the quote carries content only, never the id of what is quoted."""
    body = {"msgid": said.id, **_where(config, group, said.by), "response_url": response_url}
    body |= {"msgtype": "text", "text": {"content": said.text}}
    if quoted is not None:
        body["quote"] = _quote(config, quoted)
    return _frame("aibot_msg_callback", body)


def event(
    config: SandboxConfig,
    now: float,
    eventtype: str,
    group: Group | None = None,
    userid: str = "",
    response_url: str = "",
    **detail: str,
) -> Frame:
    """An event; `detail` goes under the event's own name, as in event.template_card_event.event_key."""
    body: dict[str, Any] = {"msgid": fresh(), "create_time": int(now)}
    body |= _where(config, group, userid) if group else {"aibotid": config.bot_id}
    if response_url:
        body["response_url"] = response_url
    inner: dict[str, Any] = {"eventtype": eventtype}
    if detail:
        inner[eventtype] = detail
    return _frame("aibot_event_callback", {**body, "msgtype": "event", "event": inner})


def _where(config: SandboxConfig, group: Group, userid: str) -> dict[str, Any]:
    place: dict[str, Any] = {"aibotid": config.bot_id, "chattype": group.kind, "from": {"userid": userid}}
    if group.kind == "group":
        place["chatid"] = group.chatid
    return place


def _quote(config: SandboxConfig, quoted: GroupMessage) -> dict[str, Any]:
    if quoted.card is not None:
        text = cards.words(quoted.card) if config.quoted_cards_have_text else ""
    elif quoted.msgtype == "image":
        return {"msgtype": "image", "image": {"url": quoted.image}}
    else:
        text = quoted.text
    return {"msgtype": "text", "text": {"content": text}}


def _frame(cmd: str, body: dict[str, Any]) -> Frame:
    return {"cmd": cmd, "headers": {"req_id": fresh()}, "body": body}
