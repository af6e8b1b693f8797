"""The encryption of callbacks, against the published vectors of wecom-kf.md 2.5."""

import pytest

from bot.sandbox.crypto import MessageCrypto, signature

TOKEN, CORP = "QDG6eK", "wx5823bf96d3bd56c7"
CRYPTO = MessageCrypto("jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", CORP)

V1 = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ=="
V2 = (
    "RypEvHKD8QQKFhvQ6QleEB4J58tiPdvo+rtK1I9qca6aM/wvqnLSV5zEPeusUiX5L5X/0lWfrf0QADHHhGd3QczcdCUpj911"
    "L3vg3W/sYYvuJTs3TUUkSUXxaccAS0qhxchrRYt66wiSpGLYL42aM6A8dTT+6k4aSknmPj48kzJs8qLjvd4Xgpue06DOdnLx"
    "AUHzM6+kDZ+HMZfJYuR+LtwGc2hgf5gsijff0ekUNXZiqATP7PF5mZxZ3Izoun1s4zG4LUMnvw2r+KqCKIw+3IQH03v+BCA9"
    "nMELNqbSf6tiWSrXJB3LAVGUcallcrw8V2t9EL4EhzJWrQUax5wLVMNS0+rUPA3k22Ncx4XXZS9o0MBH27Bo6BpNelZpS+/u"
    "h9KsNlY6bHCmJU9p8g7m3fVKn28H3KDYA5Pl/T8Z1ptDAVe0lXdQ2YoyyH2uyPIGHBZZIs2pDBS8R07+qN+E7Q=="
)
V3 = (
    "sKqRbbiSUnDhFHOvPjtUMS6ktSYlgqFM1G39JRIeCCupd52AJcx1MtjJxs6skqDq/p0RAGx+oU5TgGcRuwyLXVTqRqCtbGL/"
    "0jP/3xePzjiHIVCDekilQTzqL77p7XSwqUKaJzzn9tJZOK37xRwE97L5mLoBORVRAlYeiVGYHCZbIQuDeXiFElZ/V6kK7Jue"
    "ctKGeYM2Af3HBkRJIMG1D3v/lN5ec6jjbGOD+canAkzBVHmCplSyzFmtwBeqYAnuczd2B5aklFr8Tgyvyq+QybmPIeJan3nf"
    "OcEBxdT4iCs9wZKOqgiwYhWAW5y27CxXb67Ex1uprApiJmJvm7h4p1uND0k/Y4SHWJJv+l8IXuJ0Jh0314tjhLGRoPv5nM1Y"
    "Ouc6SbtwNo7gptnP1b9fsUkSaXidrR6H6g+j+lIEK+Y="
)
SIGNED = [
    (V1, "1409659589", "263014780", "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3"),
    (V2, "1409659813", "1372623149", "477715d11cdb4164915debcba66cb864d751f3e6"),
    (V3, "1700000000", "98765", "b36b492d413f25a49caa11016dfc1a7946397179"),
]


@pytest.mark.parametrize(("sealed", "timestamp", "nonce", "expected"), SIGNED, ids=["V1", "V2", "V3"])
def test_signatures(sealed: str, timestamp: str, nonce: str, expected: str) -> None:
    assert signature(TOKEN, timestamp, nonce, sealed) == expected


def test_v1_holds_the_echo() -> None:
    assert CRYPTO.decrypt(V1) == ("1616140317555161061", CORP)


def test_v2_is_padded_beyond_16_bytes() -> None:
    message, receiver = CRYPTO.decrypt(V2)
    assert message.endswith("<AgentID>218</AgentID>\n</xml>")
    assert receiver == CORP


def test_v3_is_made_again_byte_for_byte() -> None:
    message, receiver = CRYPTO.decrypt(V3)
    assert "<OpenKfId><![CDATA[wkTEST0001]]></OpenKfId>" in message
    assert receiver == CORP
    assert CRYPTO.encrypt(message, b"0123456789abcdef") == V3


def test_the_vector_of_the_group_document() -> None:
    crypto = MessageCrypto("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", "ww0000000000000001")
    sealed = crypto.encrypt('{"msgtype":"text"}', b"0123456789abcdef")
    assert sealed.startswith("Q3stYC6hdFzMh9T8HCvyDD712uX8onmHUva9KNYQqhEt61cbMT54")
    assert signature(TOKEN, "1700000000", "n0nce", sealed) == "a0350334a5d94e0af0c370546a169b59db288e74"


@pytest.mark.parametrize("length", range(70))
def test_every_length_comes_back(length: int) -> None:
    assert CRYPTO.decrypt(CRYPTO.encrypt("x" * length)) == ("x" * length, CORP)
