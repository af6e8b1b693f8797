"""WeCom's web login: who sits before the browser, and the single-use code that says so to the corp's own server."""

import html
from urllib.parse import parse_qsl, urlencode, urlsplit

from aiohttp import web

from .groups import Groups
from .login_codes import CODE_LIFE
from .world import World

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'",
}
_PAGE = (
    "<!doctype html><html lang=zh-CN><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    "<title>WeCom sandbox</title><link rel=stylesheet href=/sandbox/static/login.css>"
    "<body data-ready><main>{body}</main>"
)
_WHO = (
    "<h1>企业微信登录（沙箱）</h1><p>您是谁？{minutes:.0f} 分钟内有效。</p>"
    "<p lang=en>WeCom login (sandbox). Who are you? Good for {minutes:.0f} minutes.</p><ul>{rows}</ul>"
)


class LoginPage:
    """`/connect/oauth2/authorize`. The live one knows who holds the phone; here a page asks, or `userid` tells."""

    def __init__(self, world: World, groups: Groups) -> None:
        self._world, self._groups = world, groups

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/connect/oauth2/authorize", self._serve)]

    async def _serve(self, request: web.Request) -> web.Response:
        query = request.query
        back = urlsplit(query.get("redirect_uri", ""))
        if query.get("appid") != self._world.config.corp_id or query.get("response_type") != "code":
            return _shown("invalid appid or response_type", 400)
        if back.scheme not in ("http", "https") or not back.netloc:
            return _shown("invalid redirect_uri", 400)
        userid = query.get("userid")
        if userid is None:
            return self._ask(request)
        code = self._world.logins.issue(userid, userid in self._members(), self._world.now())
        carried = [*parse_qsl(back.query), ("code", code), ("state", query.get("state", ""))]
        raise web.HTTPFound(back._replace(query=urlencode(carried)).geturl(), headers=_HEADERS)

    def _ask(self, request: web.Request) -> web.Response:
        rows = (
            f"<li><a href='?{html.escape(urlencode([*request.query.items(), ('userid', userid)]))}'>"
            f"{html.escape(name)}</a> <span>{html.escape(userid)}</span></li>"
            for userid, name in sorted(self._members().items())
        )
        return _shown(_WHO.format(minutes=CODE_LIFE / 60, rows="".join(rows)))

    def _members(self) -> dict[str, str]:
        return {**self._groups.people, **self._world.members}


def _shown(body: str, status: int = 200) -> web.Response:
    text = _PAGE.format(body=body)
    return web.Response(text=text, status=status, content_type="text/html", headers=_HEADERS)
