"""Callback envelope: signature in constant time first, then AES. Pure; wechatpy's only home.

https://developer.work.weixin.qq.com/document/path/91144
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
from xml.parsers.expat import ExpatError

import xmltodict
from wechatpy.work.crypto import InvalidCorpIdException, PrpCrypto

from bot.errors import CallbackRejected, SettingsError

MAX_BODY_BYTES = 64 * 1024
"""The largest callback body worth reading; a kf notification has about 700 bytes."""

FRESH_SECONDS = 600.0
"""A sync token lives ten minutes, so an event older than that has nothing left to say."""

_AES_KEY = re.compile(r"[A-Za-z0-9+/]{43}")
_DIGITS = re.compile(r"[0-9]{1,12}")

# The envelope as WeCom writes it, read without an XML parser, which is a quarter of what a callback costs. Whatever
# does not look exactly so goes the long way, and means the same there.
_ENVELOPE = re.compile(
    rb"<xml>[ \t\r\n]*(?:<(ToUserName|AgentID)><!\[CDATA\[[\w-]*\]\]></\1>[ \t\r\n]*)*"
    rb"<Encrypt><!\[CDATA\[([A-Za-z0-9+/=]+)\]\]></Encrypt>[ \t\r\n]*"
    rb"(?:<(ToUserName|AgentID)><!\[CDATA\[[\w-]*\]\]></\3>[ \t\r\n]*)*</xml>[ \t\r\n]*"
)


# What wechatpy's decrypt raises on junk: bad base64, a length that is no multiple of 16, text that is no UTF-8 (all
# ValueError), too short a content, none at all.
_JUNK = (ValueError, struct.error, IndexError)


class CallbackCrypto:
    """One per app; holds the cipher, so that a callback costs tens of microseconds.

    `receiveid` must be `corp_id`: that is what a self-built app's callbacks carry. Raises `SettingsError` for a key
    that is not 43 letters and digits. `repr` shows nothing of token or key.
    """

    def __init__(self, token: str, encoding_aes_key: str, corp_id: str) -> None:
        if not _AES_KEY.fullmatch(encoding_aes_key):
            raise SettingsError([("callback.encoding_aes_key", "must be 43 letters and digits")])
        # The 43rd character may carry bits beyond the 32 bytes, which Python's decoder, unlike strict ones, lets pass.
        self._aes = PrpCrypto(base64.b64decode(encoding_aes_key + "="))
        self._token = token.encode()
        self._corp_id = corp_id

    def verify_url(self, msg_signature: str, timestamp: str, nonce: str, echostr: str) -> bytes:
        """What to answer to WeCom's GET, bytes as they are, within 1 s. Raises `CallbackRejected`.

        `timestamp` is not compared with the clock: nothing happens here beyond giving back what the holder of the token
        encrypted, and a clock that is wrong must show up in the events' rejections and in `check`, not as a console
        that will not save the URL and cannot say why. But the signature is made as an event's is: an event that
        somebody has seen on its way must not be opened for them here.
        """
        self._check_signature(msg_signature, timestamp, nonce, echostr)
        echo = self._decrypt(echostr)
        if echo.lstrip().startswith("<"):
            raise CallbackRejected("echo")
        return echo.encode()

    def open(self, msg_signature: str, timestamp: str, nonce: str, body: bytes, *, now: float) -> str:
        """The XML inside an event. Raises `CallbackRejected` and nothing else, whatever `body` holds.

        `now`: seconds since the epoch; an event `FRESH_SECONDS` away from it, to either side, is refused.
        """
        if len(body) > MAX_BODY_BYTES:
            raise CallbackRejected("too_large", 413)
        encrypted = _encrypted(body)
        self._check_signature(msg_signature, timestamp, nonce, encrypted)
        _check_fresh(timestamp, now)
        return self._decrypt(encrypted)

    def _check_signature(self, signature: str, timestamp: str, nonce: str, encrypted: str) -> None:
        parts = [self._token, *(part.encode("utf-8", "replace") for part in (timestamp, nonce, encrypted))]
        expected = hashlib.sha1(b"".join(sorted(parts)), usedforsecurity=False).hexdigest()
        if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")):
            raise CallbackRejected("signature", 403)

    def _decrypt(self, encrypted: str) -> str:
        try:
            return str(self._aes.decrypt(encrypted, self._corp_id))
        except InvalidCorpIdException:
            reason = "receiveid"
        except _JUNK:
            reason = "decrypt"
        raise CallbackRejected(reason, 403 if reason == "receiveid" else 400)


def _check_fresh(timestamp: str, now: float) -> None:
    if not _DIGITS.fullmatch(timestamp):
        raise CallbackRejected("timestamp")
    if abs(now - int(timestamp)) > FRESH_SECONDS:
        raise CallbackRejected("stale")


def _encrypted(body: bytes) -> str:
    """The text of `Encrypt`. Only UTF-8 is read: expat follows UTF-16 by itself, which hides a DOCTYPE."""
    if usual := _ENVELOPE.fullmatch(body):
        return usual[2].decode()
    if b"<!DOCTYPE" in body:
        raise CallbackRejected("doctype")
    if b"\0" in body:
        raise CallbackRejected("xml")
    try:
        document = xmltodict.parse(body.decode(), xml_attribs=False)
    except (ExpatError, ValueError):
        document = {}
    envelope = document.get("xml")
    encrypted = envelope.get("Encrypt") if isinstance(envelope, dict) else None
    if not isinstance(encrypted, str):
        raise CallbackRejected("xml")
    return encrypted
