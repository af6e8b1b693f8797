"""What anybody may send to the API, the pages and the live sockets: every route, with every kind of token."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from bot.registry import Role
from bot.tokens import Tokens
from bot.web.calls import Calls
from bot.web.doors import AGENT_COOKIE, CUSTOMER_COOKIE, OURS
from tests.soak.fuzz.dice import Dice
from tests.soak.fuzz.tally import Case, Tally
from tests.soak.fuzz.wire import ADDRESSES, BINARY, CLOSE, PING, TEXT, Answer, Wire, address, frame

HANDOFFS = 80  # numbers that are likely to be some
OURS_5XX = ("/agent/handoff/complete", "/agent/handoff/transfer", "/customer/handoff/end-by-user")
PAGES = ("/console", "/h", "/h/{token}", "/login", "/login/callback", "/assets/{name}", "/api/openapi.json", "/healthz",
         "/api/{name}", "/{name}", "/metrics", "/assets/../app.py", "/assets/%2e%2e%2f%2e%2e%2fcore.py")  # fmt: skip
HEADS = (
    {"X-Requested-With": OURS[1]}, {"Origin": "https://evil.example"}, {"Origin": "http://[::1"}, {"Upgrade": "h2c"},
    {"Content-Type": "text/plain"}, {"Content-Type": "multipart/form-data"}, {"Accept-Encoding": "gzip, br;q=nan"},
    {"Host": "evil.example:99999"}, {"Host": "[::1"}, {"Host": ""}, {"X-HTTP-Method-Override": "DELETE"},
    {"If-Modified-Since": "never"}, {"Range": "bytes=5-1"}, {"If-None-Match": '"'}, {"X-A": "b" * 6000},
    {"Expect": "100-continue"}, {"Content-Encoding": "gzip"}, {"Forwarded": "for=_x"}, {"Accept-Language": "," * 999},
    {"Cookie": "a=\xff; =; kfbot_agent; kfbot_customer=\"\\054\""},
)  # fmt: skip
LIVE = ("/ws/customer", "/ws/agent")


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    path: str
    who: str
    takes: tuple[tuple[str, str], ...]  # where, name


def routes() -> list[Route]:
    """From the table that the API is served from."""
    table = Calls.table(_Nobody())  # type: ignore[arg-type]
    return [Route(each.method, each.path, each.who, tuple((f.where, f.name) for f in each.takes)) for each in table]


class _Nobody:
    """The table wants somebody whose methods it names; nobody calls them here."""

    def __getattr__(self, name: str) -> Any:
        return None


@dataclass(frozen=True, slots=True)
class Keyring:
    """Tokens: `good` ones let in by that door, `bad` ones nowhere."""

    customers: tuple[str, ...]
    agents: tuple[str, ...]
    bad: tuple[str, ...]

    @classmethod
    def of(
        cls, tokens: Tokens, tenant: str, customers: Sequence[tuple[str, str]], agents: Sequence[str], admin: str
    ) -> Keyring:
        mine = tuple(tokens.customer_token(tenant, kf, customer) for kf, customer in customers)
        staff = tuple(tokens.agent_token(each, Role.AGENT) for each in agents)
        staff += (tokens.agent_token(admin, Role.ADMIN),)
        strange = Tokens(b"k" * 32, _Now())
        head, claims, signature = mine[0].split(".")
        bad = (
            strange.customer_token(tenant, *customers[0]), strange.agent_token(admin, Role.ADMIN),
            tokens.customer_token(tenant, *customers[0], -5), tokens.agent_token(admin, Role.ADMIN, -5),
            tokens.agent_token("stranger", Role.ADMIN), tokens.login_state("/console", "browser", 600),
            f"{_encoded({'alg': 'none', 'typ': 'JWT'})}.{claims}.", f"{head}.{claims}.", f"{head}..{signature}",
            f"{head}.{_encoded({'aud': 'agent', 'sub': admin, 'role': 'admin', 'exp': 9e12})}.{signature}",
            f"{head}.{_encoded([])}.{signature}", f"{head}.{'!' * 50}.{signature}", "A" * 2049, "null", ".", "..",
        )  # fmt: skip
        return cls(mine, staff, bad)


class _Now:
    def now(self) -> float:
        return 1e9


def _encoded(claims: Any) -> str:
    return urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()


class Requests:
    """`keys`: who may come in, and who may not."""

    def __init__(self, dice: Dice, keys: Keyring) -> None:
        self._dice, self._keys, self._routes = dice, keys, routes()
        self._kinds: dict[Callable[[], Case], int] = {
            self._call: 80,
            self._page: 12,
            self._login: 3,
            self._gone: 1,
            self._ws_junk: 4,
        }

    def __call__(self) -> Case:
        return self._dice.weighted(self._kinds)

    # -- kinds

    def _call(self) -> Case:
        route, dice = self._dice.one(self._routes), self._dice
        head, known = self._who(route)
        path = "/api" + route.path.replace("{id}", self._id())
        query = self._query([name for where, name in route.takes if where == "query"])
        names = [name for where, name in route.takes if where == "body"]
        method = route.method if dice.chance(0.96) else dice.one(("GET", "PUT", "HEAD", "OPTIONS", "QUIRK", "POST"))
        body = self._body(names) if names or dice.chance(0.05) else b""
        if dice.chance(0.1):
            head |= dice.one(HEADS)
        never = () if known or not route.who or method != route.method else (200,)
        return Case(self._written(method, path, query, head, body), never=never, says_502=route.path in OURS_5XX)

    def _page(self) -> Case:
        path = self._dice.one(PAGES).replace("{token}", self._token()).replace("{name}", self._named())
        head = self._dice.one(HEADS) if self._dice.chance(0.5) else {}
        if self._dice.chance(0.3):
            head = {**head, "Cookie": f"{self._dice.one((AGENT_COOKIE, CUSTOMER_COOKIE))}={self._token()}"}
        method = "GET" if self._dice.chance(0.9) else self._dice.one(("POST", "HEAD", "DELETE", "TRACE"))
        ready = path == "/metrics"
        return Case(self._written(method, path, self._query(["next", "state", "code"]), head, b""), says_502=ready)

    def _login(self) -> Case:
        """Somebody comes back from where they never were."""
        asked = {"state": self._token(), "code": self._dice.text()}
        head = {"Cookie": f"kfbot_login={self._dice.one(('browser', '', 'x' * 5000))}"}
        return Case(
            self._written("GET", "/login/callback", urlencode(asked, errors="replace"), head, b""), says_502=True
        )

    def _ws_junk(self) -> Case:
        """A handshake that is none."""
        head = {
            "Connection": "Upgrade", "Upgrade": self._dice.one(("websocket", "h2c", "")),
            "Sec-WebSocket-Version": self._dice.one(("8", "x", "", "99999999999999999999")),
            "Sec-WebSocket-Key": self._dice.one(("", "x", "\xff", "dGhlIHNhbXBsZSBub25jZQ==")),
        }  # fmt: skip
        return Case(self._written("GET", self._dice.one(LIVE), "", head, b""), alone=True, never=(200,))

    def _gone(self) -> Case:
        whole = self._call().request
        return Case(whole[: self._dice.below(len(whole))], hang_up=True)

    # -- parts

    def _who(self, route: Route) -> tuple[dict[str, str], bool]:
        """What says who asks, and whether that is somebody who may."""
        dice = self._dice
        good = {"customer": self._keys.customers, "agent": self._keys.agents}.get(route.who, ())
        if not good or dice.chance(0.3):
            token = dice.one(self._keys.bad) if dice.chance(0.8) else dice.text()
            return self._shown(token, route), False
        token = dice.one(good)
        if dice.chance(0.08):
            return self._shown(token[:-4] + "AAAA", route), False
        if dice.chance(0.1):
            other = self._keys.agents if route.who == "customer" else self._keys.customers
            return self._shown(dice.one(other), route), False
        return self._shown(token, route), True

    def _shown(self, token: str, route: Route) -> dict[str, str]:
        cookie = CUSTOMER_COOKIE if route.who == "customer" else AGENT_COOKIE
        match self._dice.below(10):
            case 0:
                return {"Cookie": f"{cookie}={token}", OURS[0]: OURS[1]}
            case 1:
                return {"Cookie": f"{cookie}={token}"}
            case 2:
                return {"Authorization": f"{self._dice.one(('bearer', 'BEARER ', 'Bearer  '))} {token}"}
            case _:
                return {"Authorization": f"Bearer {token}", OURS[0]: OURS[1]}

    def _id(self) -> str:
        if self._dice.chance(0.7):
            return str(self._dice.below(HANDOFFS))
        return self._dice.one(
            ("0", "-1", "999999999999999", "9999999999999999", "1.0", "１", "%00", "1%2f2", "x", "", "01")
        )

    def _query(self, names: list[str]) -> str:
        dice = self._dice
        if not names and dice.chance(0.8):
            return ""
        asked = [(name if dice.chance(0.9) else dice.text(8), self._value(name)) for name in names if dice.chance(0.6)]
        if dice.chance(0.05):
            asked *= 200
        text = urlencode(asked, errors="replace")
        return dice.one(("%zz", "&&==&", "%ff%fe", text + "%", "a[]=1;b", "%00=%00")) if dice.chance(0.05) else text

    def _value(self, name: str) -> str:
        """Often one that it takes."""
        good = {
            "status": ("OPEN", "PENDING", "COMPLETED"), "limit": ("1", "50", "1000"), "what": ("handoffs", "events"),
            "form": ("csv", "jsonl"), "since": ("2026-01-01", "2026-01-01T00:00:00Z"), "until": ("2027-01-01",),
            "period": ("today", "week"), "cursor": ("a", "zzzz"), "activeSince": ("0", "1700000000"),
            "next": ("/console",),
        }.get(name, ("", "wkFUZZ0000000000000000000000001"))  # fmt: skip
        if self._dice.chance(0.6):
            return self._dice.one(good)
        strange = self._dice.one(
            ("-1", "0", "1e3", "９", "9" * 30, "0001-01-01", "9999-12-31T23:59:59+14:00", "2026-02-30", "\0")
        )
        return strange if self._dice.chance(0.5) else self._dice.text()

    def _body(self, names: list[str]) -> bytes:
        dice = self._dice
        good: dict[str, Any] = {
            "handoffRequestId": dice.below(HANDOFFS), "reason": dice.text(),
            "servicer": dice.one(("agent-", "agent-01", "x")),
            "seconds": dice.one((60, 600, 10**6)), "token": self._token(),
        }  # fmt: skip
        whole = {name: good[name] for name in names if name in good}
        if dice.chance(0.35):
            return dice.written(whole)
        if dice.chance(0.9):
            return dice.written(dice.hurt(whole))
        return dice.one(
            (
                b"",
                dice.junk(),
                b"[" * 50_000,
                b'{"a":' * 9000,
                b" " * 65_536 + b"{}",
                b" " * 65_530 + b"{}",
                dice.written(dice.value()),
            )
        )

    def _token(self) -> str:
        dice = self._dice
        if dice.chance(0.3):
            return dice.one(self._keys.agents)
        return quote(dice.one(self._keys.bad) if dice.chance(0.7) else dice.text(), errors="replace")

    def _named(self) -> str:
        return quote(self._dice.text(), errors="replace")

    def _written(self, method: str, path: str, query: str, head: dict[str, str], body: bytes) -> bytes:
        return written(self._dice, method, f"{path}?{query}" if query else path, head, body)


def written(dice: Dice, method: str, target: str, head: dict[str, str], body: bytes) -> bytes:
    """From one of many addresses."""
    given = {"Host": "127.0.0.1", "X-Forwarded-For": address(dice.below(ADDRESSES)), **head}
    if body or method == "POST":
        given["Content-Length"] = str(len(body))
    lines = "".join(f"{name}: {_in_a_line(value)}\r\n" for name, value in given.items())
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1", "replace") + body


def _in_a_line(value: str) -> str:
    return "".join(each for each in value if each not in "\r\n\0")


# -- live sockets


class Talks:
    """Sessions of a live socket: what is said after the handshake."""

    def __init__(self, dice: Dice, keys: Keyring) -> None:
        self._dice, self._keys = dice, keys

    def __call__(self) -> tuple[bytes, bytes, bool, int]:
        """The handshake, what is said, whether it may be heard, and how many messages that is."""
        dice, gate = self._dice, self._dice.below(2)
        good = (self._keys.customers, self._keys.agents)[gate]
        known = dice.chance(0.5)
        token = dice.one(good) if known else dice.one(self._keys.bad + (self._keys.agents, self._keys.customers)[gate])
        first: Any = {"type": "AUTH", "token": token, "after": dice.one((None, 0, 1, 5, 10**9))}
        hurt = dice.chance(0.6)
        said = [frame(TEXT, dice.written(dice.hurt(first) if hurt else first))]
        said += [self._more() for _ in range(dice.below(8))]
        head = {
            "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Origin": dice.one(("", "http://127.0.0.1", "https://evil.example")),
            "Sec-WebSocket-Extensions": dice.one(("", "permessage-deflate", "x;y=" + "z" * 99)),
        }  # fmt: skip
        shake = written(dice, "GET", LIVE[gate], head, b"")
        return shake, b"".join(said) + frame(CLOSE, b"\x03\xe8"), known, len(said)

    def _more(self) -> bytes:
        dice = self._dice
        match dice.below(9):
            case 0:
                return frame(BINARY, dice.junk())
            case 1:
                return frame(PING, dice.junk(125))
            case 2:
                return frame(TEXT, b"\xff\xfe")
            case 3:
                return frame(TEXT, b"x" * dice.one((4095, 4096, 4097, 70_000)))
            case 4:
                return frame(dice.below(16), dice.junk(130), masked=dice.chance(0.8), final=dice.chance(0.7))
            case 5:
                return frame(CLOSE, dice.one((b"", b"\x03", b"\x03\xe8\xff", b"\xff\xff", b"\x0f\xa0x")))
            case _:
                return frame(TEXT, dice.written(dice.hurt({"type": "PING"}) if dice.chance(0.5) else {"type": "PING"}))


async def talk_all(port: int, new: Talks, count: int, tally: Tally, tell: Callable[[int], None]) -> None:
    """Say `count` messages, several sockets at once."""
    left = count

    async def one() -> None:
        nonlocal left
        async with Wire(port) as wire:
            while left > 0:
                shake, said, may, number = new()
                left -= number
                answer, heard = await wire.socket(shake, said)
                _judge(tally, shake + said, answer, any(b'"READY"' in payload for _, payload in heard), may)
                tally.done += number
                tell(tally.done)

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(one())


def _judge(tally: Tally, said: bytes, answer: Answer, ready: bool, may: bool) -> None:
    tally.take(Case(said), answer)
    if ready:
        tally.answers["READY"] += 1
        if not may:
            tally.fault("READY for a wrong token", said)
