"""Agents log in by WeCom: `/login` sends the browser there, `/login/callback` gets the code that says who it is.

https://developer.work.weixin.qq.com/document/path/91022
"""

from __future__ import annotations

import logging
import re
import secrets
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode

from aiohttp import web

from bot.audit import Door
from bot.audited import Audit, staff
from bot.dispatch import Access
from bot.errors import KfbotError, TooManyRequests, Unauthenticated, WeComError, WeComUnavailable
from bot.ports import People
from bot.registry import Role
from bot.tokens import AGENT_TTL, Tokens
from bot.web.doors import AGENT_COOKIE, Doors
from bot.web.errors import HEADERS
from bot.web.notice import notice
from bot.web.room import address_of
from bot.wording import Words

log = logging.getLogger("kfbot.login")

LOGIN, BACK = "/login", "/login/callback"
HOME = "/console"
RETRY = ("login.retry", LOGIN)
BROWSER_COOKIE = "kfbot_login"
PATIENCE = 600.0  # seconds somebody may take at WeCom
WECOM, OPEN = "https://qyapi.weixin.qq.com", "https://open.weixin.qq.com"
_OURS = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,500}")  # a path here, and no way to read it as another host's


class Members(Protocol):
    async def member(self, code: str) -> str:
        """A userid, or empty for somebody outside the corp. Raises WeComError."""


@dataclass(frozen=True, slots=True)
class Corp:
    """`public_url`: where browsers find us; empty for no login."""

    corp_id: str
    api_base: str
    public_url: str

    def authorize(self, state: str) -> str:
        """A private deployment has its login beside its API."""
        base = OPEN if self.api_base.rstrip("/") == WECOM else self.api_base.rstrip("/")
        back = self.public_url.rstrip("/") + BACK
        query = {"appid": self.corp_id, "redirect_uri": back, "response_type": "code", "scope": "snsapi_base"}
        return f"{base}/connect/oauth2/authorize?{urlencode({**query, 'state': state})}#wechat_redirect"


class Login:
    def __init__(
        self,
        corp: Corp,
        doors: Doors,
        tokens: Tokens,
        members: Members,
        people: People,
        access: Access,
        say: Words,
        audit: Audit,
    ) -> None:
        self._corp, self._doors, self._tokens = corp, doors, tokens
        self._members, self._people, self._access, self._say = members, people, access, say
        self._audit = audit

    def add_to(self, app: web.Application) -> None:
        app.router.add_get(LOGIN, self._begin, allow_head=False)
        app.router.add_get(BACK, self._back, allow_head=False)

    async def _begin(self, request: web.Request) -> web.StreamResponse:
        if not self._corp.public_url:
            return self._told(404, self._say("login.off"), ("login.token", HOME))
        try:
            self._doors.anybody(request)
        except TooManyRequests as refused:
            return self._again(refused)
        wanted = request.query.get("next", HOME)
        browser = secrets.token_urlsafe(16)
        state = self._tokens.login_state(wanted if _OURS.fullmatch(wanted) else HOME, browser, PATIENCE)
        response = web.Response(status=302, headers={**HEADERS, "Location": self._corp.authorize(state)})
        self._doors.let_in(response, BROWSER_COOKIE, browser, PATIENCE)
        return response

    async def _back(self, request: web.Request) -> web.StreamResponse:
        try:
            async with self._audit.attempt(Door.LOGIN, None, "login") as attempt:
                attempt.came(None, address_of(request.remote, request.headers))
                self._doors.anybody(request)
                goal = self._tokens.login(request.query.get("state", ""), request.cookies.get(BROWSER_COOKIE, ""))
                userid = await self._members.member(request.query.get("code", ""))
        except (Unauthenticated, TooManyRequests) as refused:
            return self._again(refused)
        except WeComError as failed:
            if not isinstance(failed, WeComUnavailable):
                self._doors.wrong(request)
            return self._told(502, self._say.error(failed), RETRY)
        return await self._let_in(userid, goal)

    def _again(self, refused: KfbotError) -> web.Response:
        if isinstance(refused, TooManyRequests):
            return self._told(429, self._say("api.TOO_MANY_REQUESTS"), RETRY)
        return self._told(401, self._say("login.again"), RETRY)

    async def _let_in(self, userid: str, goal: str) -> web.StreamResponse:
        attempt = self._audit.attempt(Door.LOGIN, staff(userid), "login")
        if not userid:
            await attempt.refused("outsider")
            return self._told(403, self._say("login.outsider"))
        role = await self._role(userid)
        if role < Role.AGENT:
            log.info("login refused | userid=%s", userid)
            await attempt.refused("stranger")
            return self._told(403, self._say("login.stranger", userid=self._say.plain(userid)))
        await attempt.allowed(role=role.name.lower())
        log.info("login | userid=%s role=%s", userid, role.name.lower())
        response = web.Response(status=302, headers={**HEADERS, "Location": goal})
        self._doors.let_in(response, AGENT_COOKIE, self._tokens.agent_token(userid, role), AGENT_TTL)
        self._doors.show_out(response, BROWSER_COOKIE)
        return response

    async def _role(self, userid: str) -> Role:
        """Where no agents are named, everyone in a paired group is one; but nobody tells us who is in a group, and this
        door stands open to the whole corp. So there it takes a servicer of some account."""
        role = self._access.role(userid)
        if role is not Role.AGENT or self._access.agents:
            return role
        return role if any(each.userid == userid for each in await self._people.servicers()) else Role.VIEWER

    def _told(self, status: int, text: str, way: tuple[str, str] | None = None) -> web.Response:
        """`way`: the key of the button's words, and where it leads."""
        return notice(self._say, status, self._say("login.title"), text, way and (self._say(way[0]), way[1]))
