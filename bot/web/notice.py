"""A page that says one thing and has at most one way on: for whoever a browser was turned away from."""

from __future__ import annotations

from functools import cache
from html import escape
from pathlib import Path
from string import Template

from aiohttp import web

from bot.web.errors import HEADERS
from bot.wording import HTML_LANG, Words

_FILE = Path(__file__).parent / "static" / "notice.html"
_POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"


def notice(say: Words, status: int, title: str, text: str, way: tuple[str, str] | None = None) -> web.Response:
    """`way`: the words on the button, and a path of ours to which it leads."""
    button = f'<a class="button button-main wide" href="{escape(way[1])}">{escape(way[0])}</a>' if way else ""
    page = _template().substitute(lang=HTML_LANG[say.lang], title=escape(title), text=escape(text), way=button)
    headers = {**HEADERS, "Content-Security-Policy": _POLICY}
    return web.Response(text=page, status=status, content_type="text/html", headers=headers)


@cache
def _template() -> Template:
    return Template(_FILE.read_text("utf-8"))
