"""Decrypted callback XML to values. Pure.

Not through wechatpy's `parse_message`: it knows neither `OpenKfId` nor `kf_account_auth_change`.
https://developer.work.weixin.qq.com/document/path/97713
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from xml.parsers.expat import ExpatError

import xmltodict

from bot.errors import CallbackRejected


@dataclass(frozen=True, slots=True)
class KfNotification:
    """There is news for an account. `token` serves `sync` for ten minutes and may be empty.

    `open_kfid` is empty in the 2021 edition of the protocol: any account may be meant. `create_time` is 0 if absent.
    """

    open_kfid: str
    token: str
    create_time: int


@dataclass(frozen=True, slots=True)
class AccountsChanged:
    """The accounts this app may serve have changed: open_kfids, each tuple possibly empty."""

    added: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Foreign:
    """Something of the app that is none of ours; answer 200 and forget it. `event` is its name, for a metric."""

    event: str


# A kf notification as WeCom writes it, read without an XML parser; any other shape goes the long way.
_KF_NEWS = re.compile(
    r"<xml>[ \t\r\n]*<ToUserName><!\[CDATA\[[\w-]*\]\]></ToUserName>[ \t\r\n]*"
    r"<CreateTime>([0-9]{1,12})</CreateTime>[ \t\r\n]*<MsgType><!\[CDATA\[event\]\]></MsgType>[ \t\r\n]*"
    r"<Event><!\[CDATA\[kf_msg_or_event\]\]></Event>[ \t\r\n]*<Token><!\[CDATA\[([\w-]+)\]\]></Token>[ \t\r\n]*"
    r"<OpenKfId><!\[CDATA\[([\w-]+)\]\]></OpenKfId>[ \t\r\n]*</xml>[ \t\r\n]*",
    re.ASCII,
)

CallbackEvent = KfNotification | AccountsChanged | Foreign


def parse_event(xml: str) -> CallbackEvent:
    """Raises `CallbackRejected` where `xml` is no XML document with the root `xml`, or declares entities."""
    if news := _KF_NEWS.fullmatch(xml):
        return KfNotification(news[3], news[2], int(news[1]))
    fields = _fields(xml)
    event = _first(fields, "Event") or _first(fields, "MsgType")
    match event.lower():
        case "kf_msg_or_event":
            return KfNotification(
                _first(fields, "OpenKfId"), _first(fields, "Token"), _seconds(_first(fields, "CreateTime"))
            )
        case "kf_account_auth_change":
            return AccountsChanged(_all(fields, "AuthAddOpenKfId"), _all(fields, "AuthDelOpenKfId"))
        case _:
            return Foreign(event)


def _fields(xml: str) -> dict[str, Any]:
    # No test for DOCTYPE here: a colleague may write "<!DOCTYPE" to the app; entities are refused by xmltodict itself.
    try:
        document = xmltodict.parse(xml, xml_attribs=False)
    except (ExpatError, ValueError):
        document = {}
    fields = document.get("xml")
    if not isinstance(fields, dict):
        raise CallbackRejected("event")
    return fields


def _all(fields: dict[str, Any], name: str) -> tuple[str, ...]:
    value = fields.get(name)
    return tuple(entry for entry in (value if isinstance(value, list) else [value]) if isinstance(entry, str))


def _first(fields: dict[str, Any], name: str) -> str:
    return next(iter(_all(fields, name)), "")


def _seconds(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else 0
