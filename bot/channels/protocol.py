"""Frames of the AI bot's long connection: text in, values out, and back. No sockets, no clock.

Every frame is JSON `{"cmd", "headers": {"req_id"}, "body"}`; an acknowledgement has an `errcode` instead of a `cmd`.
Our own commands carry a fresh req_id; answers to a callback carry the callback's.
https://developer.work.weixin.qq.com/document/path/101463 (frames), …/101027 (taps), …/101031 (card updates)
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bot.channels.cards import template_card
from bot.channels.cutting import clean, cut, cut_bytes
from bot.channels.mention import strip_mention
from bot.model import Card, CardTap, GroupMessage

CHANNEL = "aibot"
FRAME_LIMIT = 1 << 20  # characters; a callback is a text and its quote, far below
TEXT_LIMIT = 8192  # characters of a message, and of a quote
MARKDOWN_LIMIT = 20480  # bytes
SINGLE, GROUP = 1, 2  # chat_type
PICTURE_NAME = "picture.png"  # shown nowhere, but compulsory

BAD_CREDENTIALS = frozenset({853000, 40001, 40013})
THROTTLED = frozenset({-1, 45009, 45033})  # nothing was done; the same again later may go through
USE_SEND = frozenset({846604, 846605, 846608})  # the callback's req_id takes no reply (any more)
NOT_SUBSCRIBED = 846609
TASK_ID_USED = 42014
UNOPENED = frozenset({86001, 93006})  # nobody in that chat has written to the bot yet

_WORDS = ("text", "markdown", "voice", "stream")

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ack:
    req_id: str
    errcode: int
    errmsg: str = ""
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kicked:
    """Another connection has subscribed with this bot_id. This one looks healthy and is deaf."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """`why` never holds text of the frame beyond a type's name."""

    why: str


Inbound = Ack | GroupMessage | CardTap | Kicked | Ignored


# -- out


def subscribe(req_id: str, bot_id: str, secret: str) -> str:
    """Holds the secret: never log it."""
    return _frame("aibot_subscribe", req_id, {"bot_id": bot_id, "secret": secret})


def ping(req_id: str) -> str:
    return _frame("ping", req_id)


def markdown(content: str) -> Payload:
    return {"msgtype": "markdown", "markdown": {"content": cut_bytes(content, MARKDOWN_LIMIT)}}


def card(value: Card) -> Payload:
    return {"msgtype": "template_card", "template_card": template_card(value)}


def image(media_id: str) -> Payload:
    return {"msgtype": "image", "image": {"media_id": media_id}}


def respond_msg(req_id: str, payload: Payload) -> str:
    """Answers the callback with this req_id, within 24 h; any number of times."""
    return _frame("aibot_respond_msg", req_id, payload)


def send_msg(req_id: str, chat_id: str, is_group: bool, payload: Payload) -> str:
    """`chat_id` of a single chat is the member's userid."""
    body = {"chatid": chat_id, "chat_type": GROUP if is_group else SINGLE, **payload}
    return _frame("aibot_send_msg", req_id, body)


def respond_update(req_id: str, value: Card) -> str:
    """Answers the tap with this req_id, within 5 s; `task_id` must be the tapped card's. Changes it for everybody."""
    body = {"response_type": "update_template_card", "template_card": template_card(value)}
    return _frame("aibot_respond_update_msg", req_id, body)


def upload_init(req_id: str, png: bytes, chunks: int) -> str:
    """Its acknowledgement holds the `upload_id`."""
    md5 = hashlib.md5(png, usedforsecurity=False).hexdigest()
    body = {"type": "image", "filename": PICTURE_NAME, "total_size": len(png), "total_chunks": chunks, "md5": md5}
    return _frame("aibot_upload_media_init", req_id, body)


def upload_chunk(req_id: str, upload_id: str, number: int, chunk: bytes) -> str:
    data = base64.b64encode(chunk).decode()
    body = {"upload_id": upload_id, "chunk_index": number, "base64_data": data}
    return _frame("aibot_upload_media_chunk", req_id, body)


def upload_finish(req_id: str, upload_id: str) -> str:
    """Its acknowledgement holds the `media_id`."""
    return _frame("aibot_upload_media_finish", req_id, {"upload_id": upload_id})


def _frame(cmd: str, req_id: str, body: Payload | None = None) -> str:
    frame: dict[str, Any] = {"cmd": cmd, "headers": {"req_id": req_id}}
    if body is not None:
        frame["body"] = body
    return clean(json.dumps(frame, ensure_ascii=False))


# -- in


def parse(raw: str | bytes, bot_name: str) -> Inbound:
    """Never raises. `reply_to` of what it returns is the callback's bare req_id."""
    frame = _load(raw)
    if not frame:
        return Ignored("no JSON object of a sensible size")
    req_id = _str(_dict(frame.get("headers")).get("req_id"))
    body = _dict(frame.get("body"))
    match frame.get("cmd"):
        case "aibot_msg_callback":
            return _message(req_id, body, bot_name)
        case "aibot_event_callback":
            return _event(req_id, body)
    return _ack(req_id, frame, body)


def _load(raw: str | bytes) -> dict[str, Any]:
    if len(raw) > FRAME_LIMIT:
        return {}
    try:
        return _dict(json.loads(raw))
    except (ValueError, RecursionError):
        return {}


def _ack(req_id: str, frame: dict[str, Any], body: dict[str, Any]) -> Inbound:
    errcode = frame.get("errcode")
    if not req_id or isinstance(errcode, bool) or not isinstance(errcode, int):
        return Ignored(f"cmd {_name(frame.get('cmd'))}")
    return Ack(req_id, errcode, _str(frame.get("errmsg")), body)


def _message(req_id: str, body: dict[str, Any], bot_name: str) -> Inbound:
    chat_id, is_group, userid = _whence(body)
    kind = body.get("msgtype")
    if not chat_id or not userid:
        return Ignored("message without chat or sender")
    if kind not in (*_WORDS, "mixed"):
        return Ignored(f"msgtype {_name(kind)}")
    text = _words(body, (kind,))[:TEXT_LIMIT]
    return GroupMessage(
        channel=CHANNEL,
        msgid=_msgid(body, req_id),
        chat_id=chat_id,
        is_group=is_group,
        userid=userid,
        text=strip_mention(text, bot_name) if is_group or text.lstrip()[:1] in ("@", "＠") else text.strip(),
        quote=_quote(_dict(body.get("quote"))),
        reply_to=req_id,
        response_url=_url(body.get("response_url")),
    )


def _event(req_id: str, body: dict[str, Any]) -> Inbound:
    event = _dict(body.get("event"))
    match event.get("eventtype"):
        case "disconnected_event":
            return Kicked()
        case "template_card_event":
            return _tap(req_id, body, event)
    return Ignored(f"event {_name(event.get('eventtype'))}")


def _tap(req_id: str, body: dict[str, Any], event: dict[str, Any]) -> Inbound:
    """Live frames nest the keys; the Node SDK's types have them on the event itself."""
    chat_id, is_group, userid = _whence(body)
    detail = event | _dict(event.get("template_card_event"))
    key = _str(detail.get("event_key"))
    if not chat_id or not userid or not key:
        return Ignored("tap without chat, sender or key")
    msgid, task_id = _msgid(body, req_id), _str(detail.get("task_id"))
    return CardTap(CHANNEL, msgid, chat_id, is_group, userid, key, task_id, req_id)


def _whence(body: dict[str, Any]) -> tuple[str, bool, str]:
    userid = _str(_dict(body.get("from")).get("userid"))
    chat_id = _str(body.get("chatid"))
    is_group = body.get("chattype") == "group" or (bool(chat_id) and body.get("chattype") != "single")
    return (chat_id if is_group else userid), is_group, userid


def _msgid(body: dict[str, Any], req_id: str) -> str:
    return _str(body.get("msgid")) or f"x-{req_id}"


def _words(holder: dict[str, Any], kinds: Iterable[str]) -> str:
    """The first of these kinds that has words."""
    for kind in kinds:
        part = _dict(holder.get(kind))
        words = _mixed(part) if kind == "mixed" else _str(part.get("content"))
        if words:
            return words
    return ""


def _mixed(part: dict[str, Any]) -> str:
    items = part.get("msg_item")
    texts = (_words(_dict(item), ("text",)) for item in (items if isinstance(items, list) else ()))
    return "\n".join(text for text in texts if text)


def _quote(quote: dict[str, Any]) -> str:
    return cut(_words(quote, (*_WORDS, "mixed")) or _card_words(_dict(quote.get("template_card"))), TEXT_LIMIT)


def _card_words(shown: dict[str, Any]) -> str:
    """What a quoted card says, if it comes at all; no document promises it."""
    title = _dict(shown.get("main_title"))
    rows = shown.get("horizontal_content_list")
    values = [_dict(row).get("value") for row in (rows if isinstance(rows, list) else ())]
    words = (title.get("title"), title.get("desc"), shown.get("sub_title_text"), *values)
    return "\n".join(text for text in map(_str, words) if text)


def _url(value: Any) -> str:
    url = _str(value)
    return url if url.startswith(("https://", "http://")) else ""


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _str(value: Any) -> str:
    """Ids are strings, but a number is as good; anything else is nothing."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return clean(value) if isinstance(value, str) else ""


def _name(value: Any) -> str:
    return cut(value, 40) if isinstance(value, str) else "of no name"
