"""The kf API without its wire: paths, request bodies, parsers of answers. Pure.

https://developer.work.weixin.qq.com/document/path/94670 and its neighbours.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from bot.errors import WeComUnavailable
from bot.model import KfAccount, KfItem, Message, Servicer, ServiceState, SessionKey, StateReading, SyncPage
from bot.wecom.errcodes import MEANINGS, Meaning, meaning_of, raise_for

__all__ = [
    "ACCOUNT_LIST",
    "CUSTOMER_BATCHGET",
    "GETTOKEN",
    "GETUSERINFO",
    "MEANINGS",
    "SEND_MSG",
    "SEND_MSG_ON_EVENT",
    "SERVICER_LIST",
    "STATE_GET",
    "STATE_TRANS",
    "SYNC_MSG",
    "Meaning",
    "content_body",
    "cut",
    "meaning_of",
    "parse_accounts",
    "parse_member",
    "parse_nicknames",
    "parse_page",
    "parse_servicers",
    "parse_state",
    "parse_token",
    "raise_for",
    "session_body",
]

GETTOKEN = "/cgi-bin/gettoken"
GETUSERINFO = "/cgi-bin/auth/getuserinfo"
ACCOUNT_LIST = "/cgi-bin/kf/account/list"
SERVICER_LIST = "/cgi-bin/kf/servicer/list"
CUSTOMER_BATCHGET = "/cgi-bin/kf/customer/batchget"
STATE_GET = "/cgi-bin/kf/service_state/get"
STATE_TRANS = "/cgi-bin/kf/service_state/trans"
SYNC_MSG = "/cgi-bin/kf/sync_msg"
SEND_MSG = "/cgi-bin/kf/send_msg"
SEND_MSG_ON_EVENT = "/cgi-bin/kf/send_msg_on_event"

# Limits of one message in UTF-8 bytes, https://developer.work.weixin.qq.com/document/path/94677
TEXT_BYTES = 2048
HEAD_BYTES = TAIL_BYTES = 1024
ITEM_ID_BYTES = ITEM_WORDS_BYTES = 128
MENU_ITEMS = 10

TOKEN_SECONDS = 7200.0

MESSAGE_TYPES = frozenset(
    {"text", "image", "voice", "video", "file", "location", "link", "business_card", "miniprogram", "msgmenu"}
    | {"channels_shop_product", "channels_shop_order", "merged_msg", "channels", "note"}
)
CUSTOMER_EVENTS = frozenset(
    {"enter_session", "session_status_change", "msg_send_fail", "user_recall_msg", "servicer_recall_msg"}
    | {"reject_customer_msg_switch_change"}
)
KNOWN_EVENTS = CUSTOMER_EVENTS | {"servicer_status_change"}

_SYSTEM = 4
_LATEST = 10**11  # seconds; beyond it stands no time but milliseconds or junk


# --- requests


def session_body(key: SessionKey) -> dict[str, Any]:
    return {"open_kfid": key.open_kfid, "external_userid": key.external_userid}


def content_body(message: Message, msgid: str) -> dict[str, Any]:
    """What `send_msg` and `send_msg_on_event` have in common; everything is cut to WeCom's limits.

    An empty `msgid` is left out: WeCom refuses it, and makes one of its own when there is none.
    """
    content = _menu(message) if message.items else {"content": cut(message.text, TEXT_BYTES)}
    msgtype = "msgmenu" if message.items else "text"
    body: dict[str, Any] = {"msgtype": msgtype, msgtype: content}
    return {"msgid": msgid, **body} if msgid else body


def _menu(message: Message) -> dict[str, Any]:
    menu: dict[str, Any] = {"list": [_click(*item) for item in message.items[:MENU_ITEMS]]}
    if message.text:
        menu["head_content"] = cut(message.text, HEAD_BYTES)
    if message.tail:
        menu["tail_content"] = cut(message.tail, TAIL_BYTES)
    return menu


def _click(item_id: str, words: str) -> dict[str, Any]:
    return {"type": "click", "click": {"id": cut(item_id, ITEM_ID_BYTES), "content": cut(words, ITEM_WORDS_BYTES)}}


def cut(text: str, limit: int) -> str:
    """The longest beginning of `text` that has at most `limit` UTF-8 bytes and no half character."""
    return text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")


# --- answers


def parse_token(payload: dict[str, Any]) -> tuple[str, float]:
    """The token and its lifetime in seconds. Raises `WeComUnavailable` where there is none."""
    token = _words(payload.get("access_token"))
    if not token:
        raise WeComUnavailable(GETTOKEN, "an answer without access_token")
    lifetime = payload.get("expires_in")
    return token, float(lifetime) if isinstance(lifetime, int) and 0 < lifetime < _LATEST else TOKEN_SECONDS


def parse_member(payload: dict[str, Any]) -> str:
    """The member's userid; empty for somebody outside the corp, who has an openid or an external_userid instead."""
    return _words(payload.get("userid")) or _words(payload.get("UserId"))


def parse_state(payload: dict[str, Any]) -> StateReading:
    """Raises `WeComUnavailable` for a state this version does not know: nobody may act on a guess."""
    value: Any = payload.get("service_state")
    try:
        state = ServiceState(value)
    except ValueError:
        raise WeComUnavailable(STATE_GET, f"service_state is {value!r:.40}") from None
    servicer = payload.get("servicer_userid")
    return StateReading(state, servicer if isinstance(servicer, str) and servicer else None)


def parse_accounts(payload: dict[str, Any]) -> list[KfAccount]:
    return [
        KfAccount(entry["open_kfid"], _words(entry.get("name")), entry.get("manage_privilege", True) is not False)
        for entry in _objects(payload, "account_list")
        if _words(entry.get("open_kfid"))
    ]


def parse_servicers(payload: dict[str, Any]) -> list[Servicer]:
    """Members with their userid, departments with `department_id` and an empty userid."""
    return [
        _servicer(entry)
        for entry in _objects(payload, "servicer_list")
        if _words(entry.get("userid")) or isinstance(entry.get("department_id"), int)
    ]


def _servicer(entry: dict[str, Any]) -> Servicer:
    userid, status = _words(entry.get("userid")), entry.get("status")
    if not userid:
        return Servicer("", department_id=entry["department_id"])
    # 0 is receiving here, while the event servicer_status_change says 1 for it.
    receiving = status == 0 if isinstance(status, int) else None
    return Servicer(userid, receiving, suspended=receiving is False and entry.get("stop_type") == 1)


def parse_nicknames(payload: dict[str, Any]) -> dict[str, str]:
    """Nicknames by external_userid; customers without one are left out."""
    return {
        entry["external_userid"]: entry["nickname"]
        for entry in _objects(payload, "customer_list")
        if _words(entry.get("external_userid")) and _words(entry.get("nickname"))
    }


def _objects(payload: dict[str, Any], name: str) -> list[dict[str, Any]]:
    value = payload.get(name)
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _words(value: Any) -> str:
    return value if isinstance(value, str) else ""


# --- the page of sync_msg


class _Unreadable(Exception):
    """Why an item cannot be filed; stays in this file."""


def parse_page(payload: dict[str, Any], open_kfid: str) -> SyncPage:
    """Never raises: an item that cannot be read goes to `broken` and the page goes on.

    An item is filed under the account it names, `open_kfid` where it names none. `next_cursor` is empty where WeCom
    gives none, which means: keep the old one. https://developer.work.weixin.qq.com/document/path/94670
    """
    items: list[KfItem] = []
    broken: list[tuple[Any, str]] = []
    entries = payload.get("msg_list") or ()
    if not isinstance(entries, (list, tuple)):
        entries, broken = (), [(entries, "msg_list is no list")]
    for entry in entries:
        try:
            items.append(_item(entry, open_kfid))
        except (_Unreadable, RecursionError) as error:
            broken.append((entry, str(error)))
    return SyncPage(items, _words(payload.get("next_cursor")), payload.get("has_more") in (1, "1"), broken)


# Called a thousand times a page: one test for what nearly every item is, and the slow way only for the rest.
def _item(entry: Any, open_kfid: str) -> KfItem:
    if type(entry) is not dict:
        raise _Unreadable("not an object")
    get = entry.get
    msgtype = get("msgtype")
    if msgtype == "event":
        return _event(entry, open_kfid)
    msgid, account, customer = get("msgid"), get("open_kfid"), get("external_userid")
    servicer, send_time, origin = get("servicer_userid", ""), get("send_time"), get("origin")
    if not (
        type(msgid) is type(account) is type(customer) is type(servicer) is str
        and (msgid and account and customer)
        and type(send_time) is type(origin) is int
        and 0 <= send_time < _LATEST
        and 0 <= origin < 10
    ):
        msgid, account, customer = _msgid(entry), _identifier(account) or open_kfid, _identifier(customer)
        servicer, send_time, origin = _identifier(servicer), _seconds(send_time), _origin(origin, 0)
        if not customer:
            raise _Unreadable("no external_userid")
    if msgtype == "text":
        text, menu_id = _text(get("text"))
        return KfItem(msgid, account, customer, send_time, origin, "text", servicer, text, menu_id)
    if type(msgtype) is not str or not msgtype:
        raise _Unreadable("no msgtype")
    raw = None if msgtype in MESSAGE_TYPES else entry
    return KfItem(msgid, account, customer, send_time, origin, msgtype, servicer, raw=raw)


def _event(entry: dict[str, Any], open_kfid: str) -> KfItem:
    """Ids stand inside `event`, and only there in the vendor's samples."""
    event = entry.get("event")
    if type(event) is not dict:
        raise _Unreadable("event is no object")
    event_type = event.get("event_type")
    if type(event_type) is not str or not event_type:
        raise _Unreadable("no event_type")
    customer = _identifier(event.get("external_userid")) or _identifier(entry.get("external_userid"))
    if not customer and event_type in CUSTOMER_EVENTS:
        raise _Unreadable(f"{event_type} without external_userid")
    return KfItem(
        _msgid(entry),
        _identifier(event.get("open_kfid")) or _identifier(entry.get("open_kfid")) or open_kfid,
        customer,
        _seconds(entry.get("send_time")),
        _origin(entry.get("origin"), _SYSTEM),
        "event",
        _identifier(event.get("servicer_userid")) or _identifier(entry.get("servicer_userid")),
        event_type=event_type,
        event=event,
        raw=None if event_type in KNOWN_EVENTS else entry,
    )


def _text(body: Any) -> tuple[str, str]:
    if type(body) is not dict:
        return "", ""
    return _words(body.get("content")), _words(body.get("menu_id"))


def _msgid(entry: dict[str, Any]) -> str:
    """WeCom's, or one that the same item gets again whenever it is read: 32 characters, as WeCom's own limit is."""
    msgid = entry.get("msgid")
    if type(msgid) is str and msgid:
        return msgid
    canonical = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()
    return f"x-{hashlib.sha256(canonical).hexdigest()[:30]}"


def _identifier(value: Any) -> str:
    if type(value) is str:
        return value
    if value is None:
        return ""
    if type(value) is int:
        return str(value)
    raise _Unreadable(f"an id is {value!r:.40}")


def _seconds(value: Any) -> int:
    seconds = _integer(value)
    if seconds is None or not 0 <= seconds < _LATEST:
        raise _Unreadable(f"send_time is {value!r:.40}")
    return seconds


def _origin(value: Any, default: int) -> int:
    origin = default if value is None else _integer(value)
    if origin is None or not 0 <= origin < _LATEST:
        raise _Unreadable(f"origin is {value!r:.40}")
    return origin


def _integer(value: Any) -> int | None:
    if type(value) is str and value.isascii() and value.isdigit() and len(value) <= 12:
        return int(value)
    return value if type(value) is int else None
