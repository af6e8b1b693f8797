"""Who asks, and whether they may ask now: bearer tokens, the cookies that pages get, and the limits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar

from aiohttp import web

from bot.errors import Forbidden, TooManyRequests, Unauthenticated
from bot.model import Operator, OperatorType
from bot.tokens import AgentClaims, CustomerClaims, Tokens
from bot.web.limits import Limit
from bot.web.room import address_of
from bot.wording import Words

CUSTOMER_COOKIE, AGENT_COOKIE = "kfbot_customer", "kfbot_agent"
OURS = ("X-Requested-With", "kfbot")
"""What our pages send along with a cookie. No other page can: for a header of its own a browser asks us first, and gets
no leave (https://developer.mozilla.org/docs/Web/HTTP/CORS)."""

WHO = web.RequestKey("who", Operator)
"""Of whoever has shown who they are, whatever becomes of them."""

ADDRESS = (100.0, 400.0)  # requests a second and at once: a shop's customers may share one address
CALLER = (10.0, 60.0)  # of one customer or one member
FILES = (200.0, 4000.0)  # pages, and what they consist of: an office of two hundred opens them at nine
HANDSHAKES = (20.0, 600.0)  # live sockets: that office comes back at once when the bot has been restarted
WRONG = 20.0  # requests that one with a wrong token or code counts for

Claims = TypeVar("Claims")
TurnedAway = Callable[[str, str, str], Awaitable[None]]
"""`bot.audited.Audit.turned_away`."""


async def nobody_told(verb: str, address: str, why: str) -> None:
    """Where there is no audit log."""


class Doors:
    """`secure`: cookies go over https alone."""

    def __init__(
        self,
        tokens: Tokens,
        say: Words,
        *,
        secure: bool,
        addresses: Limit | None = None,
        callers: Limit | None = None,
        files: Limit | None = None,
        handshakes: Limit | None = None,
    ) -> None:
        self._tokens, self._say, self.secure = tokens, say, secure
        self._addresses, self._callers = addresses or Limit(*ADDRESS), callers or Limit(*CALLER)
        self._files, self._handshakes = files or Limit(*FILES), handshakes or Limit(*HANDSHAKES)

    def customer(self, request: web.Request) -> CustomerClaims:
        claims = self._known(request, CUSTOMER_COOKIE, self._tokens.customer)
        request[WHO] = Operator(OperatorType.USER, claims.external_userid)
        self._take(self._callers, (claims.open_kfid, claims.external_userid))
        return claims

    def agent(self, request: web.Request) -> AgentClaims:
        claims = self._known(request, AGENT_COOKIE, self._tokens.agent)
        request[WHO] = Operator(OperatorType.AGENT, claims.userid)
        self._take(self._callers, claims.userid)
        return claims

    def whoever(self, request: web.Request) -> AgentClaims | None:
        """For whom this browser's cookie speaks, where nobody has to be anybody."""
        try:
            return self._tokens.agent(request.cookies.get(AGENT_COOKIE, ""))
        except Unauthenticated:
            return None

    def anybody(self, request: web.Request) -> None:
        """Raises TooManyRequests."""
        self._take(self._addresses, address_of(request.remote, request.headers))

    def reader(self, request: web.Request) -> None:
        """Of a page or a file of ours. Raises TooManyRequests."""
        self._take(self._files, address_of(request.remote, request.headers))

    def listener(self, request: web.Request) -> None:
        """Who wants a live socket. Raises TooManyRequests."""
        self._take(self._handshakes, address_of(request.remote, request.headers))

    def from_our_page(self, request: web.Request) -> None:
        """Raises Forbidden where another site's page may have sent it."""
        if request.headers.get(OURS[0]) != OURS[1]:
            raise Forbidden(self._say("api.other_page"))

    def let_in(self, response: web.StreamResponse, cookie: str, token: str, seconds: float) -> None:
        """From now on this browser's cookie speaks for it."""
        response.set_cookie(
            cookie, token, max_age=int(seconds), path="/", httponly=True, samesite="Lax", secure=self.secure
        )

    def show_out(self, response: web.StreamResponse, cookie: str) -> None:
        response.del_cookie(cookie, path="/", httponly=True, samesite="Lax", secure=self.secure)

    def opened(self, request: web.Request, token: str, open_: Callable[[str], Claims]) -> Claims:
        """What it claims. Raises Unauthenticated."""
        try:
            return open_(token)
        except Unauthenticated:
            if token:
                self.wrong(request)
            raise

    def wrong(self, request: web.Request) -> None:
        """Whoever tries many is soon not heard."""
        self._addresses.charge(address_of(request.remote, request.headers), WRONG)

    def _known(self, request: web.Request, cookie: str, open_: Callable[[str], Claims]) -> Claims:
        said = request.headers.get("Authorization")
        token = request.cookies.get(cookie, "") if said is None else _bearer(said)
        claims = self.opened(request, token, open_)
        if said is None and request.method not in ("GET", "HEAD"):
            self.from_our_page(request)
        return claims

    def _take(self, limit: Limit, who: Hashable) -> None:
        wait = limit.take(who)
        if wait:
            raise TooManyRequests(wait)


def _bearer(said: str) -> str:
    kind, _, token = said.partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""
