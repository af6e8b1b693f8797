"""The customer's page `/h/{token}` and the agents' console `/console`: what a browser gets, as files and headers.

A page is one HTML file with its words in it; everything else it needs lies under /assets. What it shows comes from the
API and the live events, for which the cookie speaks that the customer's link, or the agents' login, has bought.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import cache, partial
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from aiohttp import web

from bot.errors import TooManyRequests, Unauthenticated
from bot.ports import Clock
from bot.tokens import CustomerClaims, Tokens
from bot.web.doors import CUSTOMER_COOKIE, Doors, TurnedAway, nobody_told
from bot.web.room import address_of
from bot.wording import HTML_LANG, TEXT, Words

LINK, CUSTOMER, CONSOLE, ASSETS = "/h/{token}", "/h", "/console", "/assets"
STATIC = Path(__file__).parent / "static"
SHARED = "page."
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_HOST = re.compile(r"[\w.:\[\]-]{1,255}", re.ASCII)
# Nothing but our own files, and nothing that anybody typed can become a script. Old iPhones want the socket's name.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' {sockets};"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Pages:
    """`phrase`: what a customer can write in the chat instead; may be empty.

    `login`: whether agents can log in by WeCom. `snooze`: seconds for which the card's button quiets an alert.
    """

    def __init__(
        self,
        tokens: Tokens,
        doors: Doors,
        clock: Clock,
        say: Words,
        phrase: str,
        *,
        login: bool,
        snooze: float,
        turned_away: TurnedAway = nobody_told,
    ) -> None:
        self._tokens, self._doors, self._clock = tokens, doors, clock
        self._turned_away = turned_away
        self._files = {file.name: file for file in STATIC.iterdir() if file.suffix in _TYPES}
        self._customer = partial(_filled, "customer", say.lang, phrase=phrase)
        known = {"login": "wecom" if login else "", "snooze": round(snooze / 60)}
        self._console = partial(_filled, "console", say.lang, **known)

    def add_to(self, app: web.Application) -> None:
        app.router.add_get(LINK, self._link, allow_head=False)
        app.router.add_get(CUSTOMER, self._returned, allow_head=False)
        app.router.add_get(CONSOLE, self._staff, allow_head=False)
        app.router.add_get(f"{ASSETS}/{{name}}", self._asset)

    async def _link(self, request: web.Request) -> web.StreamResponse:
        """The token becomes this browser's cookie; the page takes it out of the address it shows."""
        token = request.match_info["token"]
        try:
            claims = self._let_in(request, token)
        except TooManyRequests as refused:
            return self._page(request, self._customer, 429, refused.retry_after)
        except Unauthenticated as refused:
            await self._turned_away("link", address_of(request.remote, request.headers), type(refused).__name__)
            return self._page(request, self._customer, 401)
        response = self._page(request, self._customer)
        self._doors.let_in(response, CUSTOMER_COOKIE, token, claims.expires_at - self._clock.now())
        return response

    def _let_in(self, request: web.Request, token: str) -> CustomerClaims:
        self._doors.anybody(request)
        return self._doors.opened(request, token, self._tokens.customer)

    async def _returned(self, request: web.Request) -> web.StreamResponse:
        """Loaded anew, after the token has left the address."""
        return self._to_anybody(request, self._customer)

    async def _staff(self, request: web.Request) -> web.StreamResponse:
        return self._to_anybody(request, self._console)

    def _to_anybody(self, request: web.Request, filled: Callable[..., str]) -> web.Response:
        try:
            self._doors.reader(request)
        except TooManyRequests as refused:
            return self._page(request, filled, 429, refused.retry_after)
        return self._page(request, filled)

    def _page(
        self, request: web.Request, filled: Callable[..., str], status: int = 200, retry_after: float = 0.0
    ) -> web.Response:
        """The status is in the page as well, which says what it means."""
        response = web.Response(
            text=filled(status=status), status=status, content_type="text/html", headers=_headers(request, self._doors)
        )
        response.headers["Cache-Control"] = "no-store"
        response.enable_compression()
        if retry_after:
            response.headers.update(_again(retry_after))
        return response

    async def _asset(self, request: web.Request) -> web.StreamResponse:
        try:
            self._doors.reader(request)
        except TooManyRequests as refused:
            raise web.HTTPTooManyRequests(headers=_again(refused.retry_after)) from None
        file = self._files.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound
        headers = {**_HEADERS, "Cache-Control": "no-cache", "Content-Type": f"{_TYPES[file.suffix]}; charset=utf-8"}
        return web.FileResponse(file, headers=headers)


def _again(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(seconds)))}


def _headers(request: web.Request, doors: Doors) -> dict[str, str]:
    host = request.host if _HOST.fullmatch(request.host) else ""
    sockets = f"{'wss' if doors.secure else 'ws'}://{host}" if host else ""
    return {**_HEADERS, "Content-Security-Policy": _POLICY.format(sockets=sockets)}


def _filled(page: str, lang: str, **known: Any) -> str:
    """The page's file, with its words and, as attributes of its body, whatever else it has to know."""
    return _template(page).substitute(
        lang=HTML_LANG[lang],
        title=_escaped(f"{page}.title", lang),
        noscript=_escaped("page.noscript", lang),
        known="".join(f' data-{name}="{escape(str(value))}"' for name, value in known.items()),
        words=_words(page),
    )


def _escaped(key: str, lang: str) -> str:
    return escape(TEXT[key][1 if lang == "en" else 0])


@cache
def _template(page: str) -> Template:
    return Template((STATIC / f"{page}.html").read_text("utf-8"))


@cache
def _words(page: str) -> str:
    """Both languages, as JSON that cannot end the element it stands in."""
    keys = [key for key in TEXT if key.startswith((SHARED, f"{page}."))]
    words = {lang: {key: TEXT[key][index] for key in keys} for index, lang in enumerate(("zh", "en"))}
    return json.dumps(words, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
