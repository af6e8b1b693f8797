"""What anybody may send to /callback/kf: junk, junk with a right signature, and WeCom's own with something wrong."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_from_bytes, urlencode

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from bot.sandbox import SandboxConfig, notices
from bot.sandbox.crypto import signature
from tests.soak.fuzz.dice import Dice
from tests.soak.fuzz.tally import Case
from tests.soak.fuzz.wire import ADDRESSES, address

PATH = "/callback/kf"
LIMIT = 64 * 1024  # bytes
TOO_LARGE = (413, 429)
LONGEST_ECHO = 4000  # characters that a line of HTTP has room for
KEPT = 50  # that may be replayed
_XML = (
    "<xml>", "</xml>", "<Encrypt>", "</Encrypt>", "<![CDATA[", "]]>", "<!DOCTYPE x [<!ENTITY a 'b'>]>", "&a;", "&lt;",
    "<?xml version='1.0' encoding='gb2312'?>", "<!-- -->", "<a b='c'/>", "<Event>", "<x:y>", "&#0;", "\0", "<![CDATA[x",
    "<!DOCTYPE x SYSTEM 'file:///etc/passwd'>", "<Token>",
)  # fmt: skip
_LAUGHS = "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 10))
_TYPES = (
    "text/xml", "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "",
    "text/xml; charset=utf-16", "text/xml; charset=nonsense", "image/png", "a/b;" + "c" * 500, "//",
)  # fmt: skip


class Callbacks:
    """`now`: seconds since the epoch, for timestamps. `accounts`: those that there are."""

    def __init__(self, dice: Dice, config: SandboxConfig, accounts: tuple[str, ...], now: Callable[[], float]) -> None:
        self._dice, self._config, self._accounts, self._now = dice, config, accounts, now
        key = base64.b64decode(config.encoding_aes_key + "=")
        self._cipher = Cipher(algorithms.AES(key), modes.CBC(key[:16]))
        self._seen: list[bytes] = []
        self._kinds: dict[Callable[[], Case], int] = {
            self._raw: 20, self._signed_junk: 15, self._wrong_news: 30, self._wrong_plain: 10, self._wrong_envelope: 15,
            self._wrong_query: 15, self._stale: 5, self._right: 4,
            self._replayed: 4, self._echo: 6, self._strange_head: 8,
            self._at_the_limit: 2, self._method: 2, self._not_http: 1, self._gone: 1,
        }  # fmt: skip

    def __call__(self) -> Case:
        return self._dice.weighted(self._kinds)

    # -- kinds

    def _raw(self) -> Case:
        """Nothing is right about it."""
        query = urlencode(
            {self._dice.text(12): self._dice.text() for _ in range(self._dice.below(4))}, errors="replace"
        )
        body = self._dice.junk() if self._dice.chance(0.4) else self._scraps().encode("utf-8", "surrogatepass")
        return Case(self._post(query, body), never=(200,))

    def _signed_junk(self) -> Case:
        """What it says is encrypted was never encrypted, or by nobody who can."""
        junk = self._dice.junk(600)
        encrypted = self._dice.one((base64.b64encode(junk).decode(), junk.hex(), self._dice.text(), "=" * 40, ""))
        return Case(self._sealed(encrypted), never=(200,))

    def _wrong_news(self) -> Case:
        """Encrypted and signed as it should be, with something wrong inside."""
        xml = self._news()
        for _ in range(1 + self._dice.below(3)):
            xml = self._wrong(xml)
        return Case(self._sealed(self._encrypted(xml.encode("utf-8", "surrogatepass"))))

    def _wrong_plain(self) -> Case:
        """The cipher is right; lengths, padding, whose it is or the encoding are not."""
        message = self._news().encode(self._dice.one(("utf-8", "utf-16", "gb18030")))
        length = self._dice.one((len(message), 0, len(message) + 1, 2**32 - 1, self._dice.below(400)))
        whose = self._dice.one((b"", b"ww0000000000000001", self._config.corp_id.encode()[::-1], self._dice.junk(40)))
        pad = self._dice.one((None, 0, 33, 255))
        return Case(self._sealed(self._encrypted(message, length, whose, pad)), never=(200,))

    def _wrong_envelope(self) -> Case:
        """The seal is right, but the XML around it is not WeCom's."""
        encrypted = self._encrypted(self._news().encode())
        whole = f"<Encrypt><![CDATA[{encrypted}]]></Encrypt>"
        around = self._dice.one((
            f"<xml>{whole}{whole}</xml>", f"<xml a='b'><Encrypt x='y'>{encrypted}</Encrypt></xml>",
            f"<a><xml>{whole}</xml></a>",
            f"<xml><Encrypt><a>{encrypted}</a></Encrypt></xml>", f"<!DOCTYPE x [{_LAUGHS}]><xml>{whole}&l9;</xml>",
            f"<!DOCTYPE x [<!ENTITY e '{encrypted[:50]}'>]><xml><Encrypt>&e;</Encrypt></xml>", whole,
            f"<?xml version='1.0' encoding='utf-16'?><xml>{whole}</xml>", "<a>" * 9000 + whole,
            f"{{'encrypt':'{encrypted}'}}",
            f"<xml>{whole}<ToUserName>{'x' * 20000}</ToUserName></xml>", f"<xml>{'<b/>' * 5000}{whole}</xml>",
            f"<xml><Encrypt>{encrypted[:9]}<!-- -->{encrypted[9:]}</Encrypt></xml>",
            f"<xml>{self._dice.text()}{whole}</xml>",
        ))  # fmt: skip
        raw = around.encode("utf-8", "surrogatepass")
        return Case(self._post(self._query(encrypted), self._dice.damaged(raw) if self._dice.chance(0.3) else raw))

    def _wrong_query(self) -> Case:
        """WeCom's own body, and a signature that is not of it."""
        encrypted = self._encrypted(self._news().encode())
        asked = dict(self._asked(encrypted))
        name = self._dice.one(tuple(asked))
        right = asked[name]
        match self._dice.below(4):
            case 0:
                del asked[name]
            case 1:
                asked[name] = self._dice.text()
            case 2:
                asked = {each.upper(): value for each, value in asked.items()}
            case _:
                asked[name] = self._dice.scratched(right)
        never = () if asked.get(name) == right else (200,)
        return Case(self._post(urlencode(asked, errors="replace"), self._envelope(encrypted)), never=never)

    def _stale(self) -> Case:
        """Rightly signed for a time that is not now, or is none."""
        now, encrypted = int(self._now()), self._encrypted(self._news().encode())
        far = self._dice.one((-700, 700, -(10**9), 10**9, -now))
        timestamp = self._dice.one(
            (str(now + far), f" {now}", f"{now}.0", f"+{now}", "9" * 400, "１７" + str(now)[2:], "x")
        )
        return Case(self._post(urlencode(self._asked(encrypted, timestamp)), self._envelope(encrypted)), never=(200,))

    def _right(self) -> Case:
        request = self._sealed(self._encrypted(self._news().encode()))
        self._seen = [*self._seen[1 - KEPT :], request]
        return Case(request, only=(200,))

    def _replayed(self) -> Case:
        """Also late ones, which are stale by then."""
        return Case(self._dice.one(self._seen)) if self._seen else self._right()

    def _echo(self) -> Case:
        """The console's question, right or not. It never looks like an event, which is not opened here."""
        text = self._dice.text()
        said = self._encrypted(text.encode("utf-8", "replace"))
        asked = {**self._asked(said), "echostr": said}
        if self._dice.chance(0.2) and len(said) < LONGEST_ECHO:
            return Case(self._get(urlencode(asked)), only=(400 if text.lstrip().startswith("<") else 200,))
        name = self._dice.one(tuple(asked))
        wrong = {**asked, name: self._dice.text() + "!"}
        return Case(self._get(urlencode(wrong, errors="replace")), never=() if name == "timestamp" else (200,))

    def _strange_head(self) -> Case:
        encrypted = self._encrypted(self._news().encode())
        body = self._envelope(encrypted)
        head = self._dice.one((
            {"Content-Type": self._dice.one(_TYPES)},
            {"Content-Encoding": self._dice.one(("gzip", "br", "deflate", "x"))},
            {"Expect": "100-continue"}, {"Connection": "close"}, {"X-Forwarded-For": "1.2.3.4, ::1, nonsense"},
            {"Cookie": "=;;a=\x7f" * 50}, {"Host": "[::1"}, {"Range": "bytes=0-"}, {"X": "y" * 7000},
        ))  # fmt: skip
        if head.get("Content-Encoding") == "gzip" and self._dice.chance(0.5):
            body = gzip.compress(body)
        if self._dice.chance(0.2):
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            return Case(self._request("POST", self._query(encrypted), body, {**head, "Transfer-Encoding": "chunked"}))
        return Case(self._post(self._query(encrypted), body, head))

    def _at_the_limit(self) -> Case:
        """A body round the limit, in one piece, in chunks, or only announced."""
        size = LIMIT + self._dice.one((-1, 0, 1, 2, 5000))
        over = size > LIMIT
        if self._dice.chance(0.3):
            return Case(
                self._request("POST", "", b"x", {"Content-Length": str(10 ** self._dice.below(18) + LIMIT)}),
                alone=True,
                only=TOO_LARGE,
            )
        encrypted = self._encrypted(self._news().encode())
        whole = self._envelope(encrypted)
        body = whole[:5] + b" " * (size - len(whole)) + whole[5:]
        if self._dice.chance(0.3):
            body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[:9], body[9:])) + b"0\r\n\r\n"
            request = self._request("POST", self._query(encrypted), body, {"Transfer-Encoding": "chunked"})
            return Case(request, alone=over, only=TOO_LARGE if over else (200,))
        return Case(self._post(self._query(encrypted), body), alone=over, only=TOO_LARGE if over else (200,))

    def _method(self) -> Case:
        method = self._dice.one(("PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "QUIRK"))
        return Case(self._request(method, "", b"", {}), never=(200,))

    def _not_http(self) -> Case:
        line = self._dice.one((
            b"GET\r\n\r\n", b"POST /callback/kf HTTP/9.9\r\n\r\n", b"\r\n\r\n\r\n\0\r\n\r\n",
            b"GET /callback/kf\xff HTTP/1.1\r\n\r\n",
            b"POST /callback/kf HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
            b"POST /callback/kf HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
            b"POST /callback/kf HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 2000 + b"\r\n",
            b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        ))  # fmt: skip
        return Case(line, alone=True, never=(200,))

    def _gone(self) -> Case:
        """A client that hangs up in the middle."""
        whole = self._right().request
        return Case(whole[: self._dice.below(len(whole))], hang_up=True)

    # -- parts

    def _news(self) -> str:
        """As WeCom writes it."""
        account, token = self._dice.one(self._accounts), f"ENC{self._dice.below(10**9)}"
        match self._dice.below(6):
            case 0:
                return notices.auth_change(self._config, self._now(), [account], [])
            case 1:
                return notices.foreign(self._config, self._now())
            case _:
                return notices.kf_news(self._config, self._now(), token, account)

    def _wrong(self, xml: str) -> str:
        """One thing wrong with a document."""
        names = ("ToUserName", "CreateTime", "MsgType", "Event", "Token", "OpenKfId", "xml", "AuthAddOpenKfId")
        name = self._dice.one(names)
        start, end = xml.find(f"<{name}>"), xml.find(f"</{name}>")
        if start < 0 or end < start or self._dice.chance(0.15):
            place = self._dice.below(len(xml) + 1)
            return xml[:place] + self._dice.one(_XML) + xml[place:]
        inside, node = start + len(name) + 2, xml[start : end + len(name) + 3]
        match self._dice.below(8):
            case 0:
                return xml.replace(node, "")
            case 1:
                return xml.replace(node, node * (1 + self._dice.below(40)))
            case 2:
                return xml.replace(node, f"<{name}>{node}</{name}>")
            case 3:
                return (
                    xml[:inside] + self._dice.one(("<a>b</a>", "<a/>" * 200, "&amp;", "", "<![CDATA[]]>")) + xml[end:]
                )
            case 4:
                return xml[:inside] + str(self._dice.value(1)) + xml[end:]
            case 5:
                return xml[:inside] + f"<![CDATA[{self._dice.text()}]]>" + xml[end:]
            case 6:
                return f"<!DOCTYPE xml [{_LAUGHS}]>" + xml[:inside] + "&l9;" + xml[end:]
            case _:
                return self._dice.scratched(xml)

    def _scraps(self) -> str:
        kind = self._dice.below(3)
        if kind == 0:
            return json.dumps(self._dice.value())
        return "".join(self._dice.one(_XML) + self._dice.text(6) for _ in range(self._dice.below(20)))

    def _encrypted(
        self, message: bytes, length: int | None = None, whose: bytes | None = None, pad: int | None = None
    ) -> str:
        whose = self._config.corp_id.encode() if whose is None else whose
        size = len(message) if length is None else length
        plain = self._dice.junk(0).ljust(16, b"r") + (size % 2**32).to_bytes(4, "big") + message + whose
        missing = 32 - len(plain) % 32
        plain += bytes([missing if pad is None else pad]) * missing
        encryptor = self._cipher.encryptor()
        return base64.b64encode(encryptor.update(plain) + encryptor.finalize()).decode()

    def _sealed(self, encrypted: str) -> bytes:
        """Signed, as of now or of a time that it should not be."""
        return self._post(self._query(encrypted), self._envelope(encrypted))

    def _envelope(self, encrypted: str) -> bytes:
        return notices.envelope(self._config, encrypted).encode("utf-8", "surrogatepass")

    def _asked(self, encrypted: str, timestamp: str = "") -> dict[str, str]:
        timestamp = timestamp or str(int(self._now()))
        nonce = str(self._dice.below(10**10))
        text = encrypted.encode("utf-8", "replace").decode()
        return {
            "msg_signature": signature(self._config.callback_token, timestamp, nonce, text),
            "timestamp": timestamp,
            "nonce": nonce,
        }

    def _query(self, encrypted: str) -> str:
        return urlencode(self._asked(encrypted))

    def _get(self, query: str) -> bytes:
        return self._request("GET", query, b"", {})

    def _post(self, query: str, body: bytes, head: dict[str, Any] | None = None) -> bytes:
        return self._request("POST", query, body, head or {})

    def _request(self, method: str, query: str, body: bytes, head: dict[str, Any]) -> bytes:
        whence = address(self._dice.below(ADDRESSES))
        given = {"Host": "kfbot.example", "X-Forwarded-For": whence, "Content-Length": str(len(body)), **head}
        if "Transfer-Encoding" in given or method in ("GET", "HEAD"):
            del given["Content-Length"]
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        target = f"{PATH}?{quote_from_bytes(query.encode(), safe='%&=+-._~*')}" if query else PATH
        return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1", "replace") + body
