"""Callback envelopes: the reference's vectors, and everything that is not one."""

from __future__ import annotations

import base64
import hashlib
import string
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import example, given
from hypothesis import strategies as st

from bot.errors import CallbackRejected, SettingsError
from bot.wecom.crypto import FRESH_SECONDS, MAX_BODY_BYTES, CallbackCrypto

TOKEN, AES_KEY, CORP = "QDG6eK", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", "wx5823bf96d3bd56c7"
CRYPTO = CallbackCrypto(TOKEN, AES_KEY, CORP)
KEY = base64.b64decode(AES_KEY + "=")

V1 = {
    "msg_signature": "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3",
    "timestamp": "1409659589",
    "nonce": "263014780",
    "echostr": "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ==",
}
V3_ENCRYPT = (
    "sKqRbbiSUnDhFHOvPjtUMS6ktSYlgqFM1G39JRIeCCupd52AJcx1MtjJxs6skqDq/p0RAGx+oU5TgGcRuwyLXVTqRqCtbGL/0jP/3xePzjiH"
    "IVCDekilQTzqL77p7XSwqUKaJzzn9tJZOK37xRwE97L5mLoBORVRAlYeiVGYHCZbIQuDeXiFElZ/V6kK7JuectKGeYM2Af3HBkRJIMG1D3v/"
    "lN5ec6jjbGOD+canAkzBVHmCplSyzFmtwBeqYAnuczd2B5aklFr8Tgyvyq+QybmPIeJan3nfOcEBxdT4iCs9wZKOqgiwYhWAW5y27CxXb67E"
    "x1uprApiJmJvm7h4p1uND0k/Y4SHWJJv+l8IXuJ0Jh0314tjhLGRoPv5nM1YOuc6SbtwNo7gptnP1b9fsUkSaXidrR6H6g+j+lIEK+Y="
)
V3_SIGNATURE, V3_TIME, V3_NONCE = "b36b492d413f25a49caa11016dfc1a7946397179", "1700000000", "98765"
NOW = 1700000000.0


def envelope(encrypt: str) -> bytes:
    return f"<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><Encrypt><![CDATA[{encrypt}]]></Encrypt></xml>".encode()


def sign(encrypt: str, timestamp: str = V3_TIME, nonce: str = V3_NONCE) -> str:
    parts = sorted(part.encode("utf-8", "replace") for part in (TOKEN, timestamp, nonce, encrypt))
    return hashlib.sha1(b"".join(parts)).hexdigest()


def aes(plain: bytes) -> str:
    encryptor = Cipher(algorithms.AES(KEY), modes.CBC(KEY[:16])).encryptor()
    return base64.b64encode(encryptor.update(plain) + encryptor.finalize()).decode()


def sealed(message: bytes, receiveid: bytes = CORP.encode(), length: int | None = None) -> str:
    plain = b"0123456789abcdef" + (len(message) if length is None else length).to_bytes(4, "big") + message + receiveid
    pad = 32 - len(plain) % 32
    return aes(plain + bytes([pad]) * pad)


def open_signed(encrypt: str) -> str:
    return CRYPTO.open(sign(encrypt), V3_TIME, V3_NONCE, envelope(encrypt), now=NOW)


def reason(caught: pytest.ExceptionInfo[CallbackRejected]) -> tuple[str, int]:
    return caught.value.reason, caught.value.status


def test_v1_url_verification() -> None:
    assert CRYPTO.verify_url(**V1) == b"1616140317555161061"


def test_v3_kf_notification() -> None:
    xml = CRYPTO.open(V3_SIGNATURE, V3_TIME, V3_NONCE, envelope(V3_ENCRYPT), now=NOW)
    assert "<![CDATA[kf_msg_or_event]]>" in xml
    assert "<![CDATA[wkTEST0001]]>" in xml


@pytest.mark.parametrize("length", range(40))
def test_every_padding_of_a_32_byte_block(length: int) -> None:
    message = "é".encode() * (length // 2) + b"x" * (length % 2)
    assert open_signed(sealed(message)) == message.decode()


@pytest.mark.parametrize("name", ["msg_signature", "timestamp", "nonce", "echostr"])
def test_a_changed_part_is_refused_as_badly_signed(name: str) -> None:
    changed = {**V1, name: V1[name].replace("5", "6", 1).replace("P", "Q", 1).replace("2", "3", 1)}
    assert changed != V1
    with pytest.raises(CallbackRejected) as caught:
        CRYPTO.verify_url(**changed)
    assert reason(caught) == ("signature", 403)


@pytest.mark.parametrize("signature", ["", "é" * 40, V3_SIGNATURE.upper(), V3_SIGNATURE[:-1], "\ud800"])
def test_a_signature_that_is_none_is_refused(signature: str) -> None:
    with pytest.raises(CallbackRejected) as caught:
        CRYPTO.open(signature, V3_TIME, V3_NONCE, envelope(V3_ENCRYPT), now=NOW)
    assert reason(caught) == ("signature", 403)


def test_nothing_is_decrypted_before_the_signature_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: CallbackCrypto, encrypted: str) -> str:
        raise AssertionError

    monkeypatch.setattr(CallbackCrypto, "_decrypt", never)
    with pytest.raises(CallbackRejected):
        CRYPTO.open("0" * 40, V3_TIME, V3_NONCE, envelope(V3_ENCRYPT), now=NOW)


@pytest.mark.parametrize("away", [-FRESH_SECONDS, 0, FRESH_SECONDS])
def test_a_fresh_event_is_taken(away: float) -> None:
    CRYPTO.open(V3_SIGNATURE, V3_TIME, V3_NONCE, envelope(V3_ENCRYPT), now=NOW + away)


@pytest.mark.parametrize("away", [-FRESH_SECONDS - 1, FRESH_SECONDS + 1])
def test_a_replayed_event_is_stale(away: float) -> None:
    with pytest.raises(CallbackRejected) as caught:
        CRYPTO.open(V3_SIGNATURE, V3_TIME, V3_NONCE, envelope(V3_ENCRYPT), now=NOW + away)
    assert reason(caught) == ("stale", 400)


@pytest.mark.parametrize(
    "timestamp", ["", "soon", "1e9", "-1700000000", "１７００００００００", "9" * 400, "17000000.0", " 1700000000"]
)
def test_a_timestamp_that_is_no_time_is_refused(timestamp: str) -> None:
    with pytest.raises(CallbackRejected) as caught:
        CRYPTO.open(sign(V3_ENCRYPT, timestamp), timestamp, V3_NONCE, envelope(V3_ENCRYPT), now=NOW)
    assert reason(caught) == ("timestamp", 400)


def test_another_corps_message_is_refused() -> None:
    with pytest.raises(CallbackRejected) as caught:
        open_signed(sealed(b"<xml/>", b"wxsomebodyelse"))
    assert reason(caught) == ("receiveid", 403)


@pytest.mark.parametrize("receiveid", [b"", CORP.encode() + b"x", CORP.encode()[:-1]])
def test_the_corp_must_match_wholly(receiveid: bytes) -> None:
    with pytest.raises(CallbackRejected):
        open_signed(sealed(b"<xml/>", receiveid))


@pytest.mark.parametrize(
    "encrypt",
    [
        "",
        "=",
        "A",
        "AAAA",
        "不是",
        base64.b64encode(b"x" * 15).decode(),
        aes(bytes(16)),  # padding 0
        aes(bytes(31) + b"\xff"),
        aes(b"\x20" * 32),  # nothing but padding
        sealed(b"\xff\xfe"),  # no UTF-8
        sealed(b"x", length=2**32 - 1),
        sealed(b"x", b"\xff"),
    ],
)
def test_signed_junk_is_rejected(encrypt: str) -> None:
    with pytest.raises(CallbackRejected):
        open_signed(encrypt)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        b"<xml>",
        b"<xml/>",
        b"<other><Encrypt>x</Encrypt></other>",
        b"<xml><Encrypt/></xml>",
        b"<xml><Encrypt>x</Encrypt><Encrypt>y</Encrypt></xml>",
        b"<xml><Encrypt><a>x</a></Encrypt></xml>",
        b"<xml>&x;</xml>",
        b"<xml><Encrypt>x</Encrypt></xml>\x00",
        b"<xml><Encrypt>x</Encrypt></xml><xml/>",
        "<xml><Encrypt>x</Encrypt></xml>".encode("utf-16"),
        "<xml><Encrypt>x</Encrypt></xml>".encode("utf-16-le"),
        "<xml><Encrypt>x</Encrypt></xml>".encode("utf-16-be"),
        b"<a>" * 20000,
    ],
)
def test_a_body_that_is_no_envelope_is_rejected(body: bytes) -> None:
    with pytest.raises(CallbackRejected) as caught:
        CRYPTO.open("0" * 40, V3_TIME, V3_NONCE, body, now=NOW)
    assert reason(caught) == ("xml", 400)


BOMB = '<!DOCTYPE xml [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><xml><Encrypt>&b;</Encrypt></xml>'


@pytest.mark.parametrize(
    "body",
    [
        BOMB.encode(),
        BOMB.encode("utf-16"),
        ('<?xml version="1.0" encoding="utf-16"?>' + BOMB).encode("utf-16"),
        b'<!DOCTYPE xml SYSTEM "file:///etc/passwd"><xml><Encrypt>x</Encrypt></xml>',
    ],
)
def test_doctypes_and_entities_are_refused(body: bytes) -> None:
    with pytest.raises(CallbackRejected) as caught:
        CRYPTO.open("0" * 40, V3_TIME, V3_NONCE, body, now=NOW)
    assert caught.value.reason in ("doctype", "xml")


def test_a_body_too_large_is_not_even_read() -> None:
    with pytest.raises(CallbackRejected) as caught:
        CRYPTO.open("0" * 40, V3_TIME, V3_NONCE, b"<" * (MAX_BODY_BYTES + 1), now=NOW)
    assert reason(caught) == ("too_large", 413)


def test_children_in_any_order_and_agentid_missing_or_empty() -> None:
    body = f"<xml><Encrypt>{V3_ENCRYPT}</Encrypt><AgentID/><ToUserName>x</ToUserName></xml>".encode()
    assert CRYPTO.open(V3_SIGNATURE, V3_TIME, V3_NONCE, body, now=NOW).startswith("<xml>")


@given(st.binary(max_size=300), st.text(max_size=50), st.text(max_size=20), st.text(max_size=20))
@example(b"<xml><Encrypt>\xff</Encrypt></xml>", "", "", "")
def test_any_bytes_are_rejected_and_nothing_else_is_raised(body: bytes, sig: str, timestamp: str, nonce: str) -> None:
    with pytest.raises(CallbackRejected):
        CRYPTO.open(sig, timestamp, nonce, body, now=NOW)


def test_an_event_seen_on_its_way_is_not_opened_as_an_echo() -> None:
    """Its signature is made the same way, and would be good for ever."""
    with pytest.raises(CallbackRejected) as caught:
        CRYPTO.verify_url(V3_SIGNATURE, V3_TIME, V3_NONCE, V3_ENCRYPT)
    assert reason(caught) == ("echo", 400)


@given(st.text(st.characters(codec=None), max_size=80))
def test_any_signed_text_is_rejected_by_verify_url(echostr: str) -> None:
    with pytest.raises(CallbackRejected):
        CRYPTO.verify_url(sign(echostr), V3_TIME, V3_NONCE, echostr)


@given(st.binary(max_size=10).map(lambda tail: tail * 16).filter(len))
def test_any_signed_plaintext_gives_a_text_or_a_rejection(plain: bytes) -> None:
    encrypt = aes(plain)
    with suppress(CallbackRejected):
        assert isinstance(open_signed(encrypt), str)


@given(st.text(max_size=200), st.integers(0, 2**32 - 1))
def test_a_lying_length_gives_a_text_or_a_rejection(message: str, length: int) -> None:
    with suppress(CallbackRejected):
        assert isinstance(open_signed(sealed(message.encode(), length=length)), str)


@given(st.text(max_size=200))
def test_whatever_was_sealed_comes_out(message: str) -> None:
    assert open_signed(sealed(message.encode())) == message


def test_the_last_character_of_the_key_may_carry_spare_bits() -> None:
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
    place = alphabet.index(AES_KEY[-1])
    spare = AES_KEY[:-1] + alphabet[place ^ 1]  # another spelling of the same 32 bytes
    assert CallbackCrypto(TOKEN, spare, CORP).verify_url(**V1) == b"1616140317555161061"


@pytest.mark.parametrize("key", ["", AES_KEY[:-1], AES_KEY + "a", AES_KEY[:-1] + "!", AES_KEY[:-1] + "\n", "é" * 43])
def test_a_key_that_is_none_is_a_settings_error_that_does_not_show_it(key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        CallbackCrypto(TOKEN, key, CORP)
    assert caught.value.problems == [("callback.encoding_aes_key", "must be 43 letters and digits")]


def test_no_secret_in_what_can_be_printed() -> None:
    with pytest.raises(CallbackRejected) as caught:
        open_signed("AAAA")
    printed = repr(CRYPTO) + repr(caught.value) + str(caught.getrepr(style="short"))
    assert TOKEN not in printed
    assert AES_KEY not in printed
