"""`/api`: a request is admitted (`doors`), read (`fields`), answered (`calls`); what fails is told by `errors`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from email.utils import formatdate

from aiohttp import web
from aiohttp.typedefs import Handler

from bot.audit import Door
from bot.audited import Audit
from bot.errors import BadRequest, Forbidden, KfbotError, Unauthenticated
from bot.ports import Clock
from bot.tokens import AgentClaims
from bot.web import fields
from bot.web.calls import Route
from bot.web.doors import WHO, Doors
from bot.web.errors import as_json, told
from bot.web.openapi import document
from bot.web.room import address_of
from bot.web.schemas import Json
from bot.wording import Words

LONGEST_BODY = 64 * 1024  # bytes
SLOW_BODY = 10.0  # seconds it may take to arrive

_LAST_EVENT = web.RequestKey("last_event", int)

Observe = Callable[[str, int, float], None]
"""(route, status, seconds) of each request."""


class Api:
    """`last_event`: the id up to which live events are told. Each answer to somebody known has it as `X-Last-Event-Id`,
    read before the answer was looked up: who then listens `after` it misses nothing. And each answer is dated by the
    bot's clock."""

    def __init__(
        self,
        routes: Sequence[Route],
        doors: Doors,
        clock: Clock,
        say: Words,
        observe: Observe,
        last_event: Callable[[], int],
        audit: Audit,
    ) -> None:
        self.routes, self._doors, self._clock, self._say = routes, doors, clock, say
        self._observe, self._last_event, self._audit = observe, last_event, audit
        self._document = document(routes)

    def app(self) -> web.Application:
        """To be mounted at /api."""
        app = web.Application(middlewares=[self._outermost])
        app.on_response_prepare.append(self._sign)
        for route in self.routes:
            path = route.path.replace("{id}", "{id:[0-9]{1,15}}")
            app.router.add_route(route.method, path, self._audited(route))
        app.router.add_get("/openapi.json", self._openapi, allow_head=False)
        return app

    @web.middleware
    async def _outermost(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.perf_counter()
        try:
            self._doors.anybody(request)
            response = await handler(request)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            response = told(self._say, error)
        resource = request.match_info.route.resource
        self._observe(resource.canonical if resource else "", response.status, time.perf_counter() - began)
        return response

    async def _sign(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = formatdate(self._clock.now(), usegmt=True)
        if _LAST_EVENT in request:
            response.headers["X-Last-Event-Id"] = str(request[_LAST_EVENT])

    def _served(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        admit = {"customer": self._doors.customer, "agent": self._doors.agent}.get(route.who, self._stranger)

        async def serve(request: web.Request) -> web.StreamResponse:
            claims = admit(request)
            if route.who:  # it tells how much is going on
                request[_LAST_EVENT] = self._last_event()
            values = await self._read(route, request)
            answer = await route.run(claims, values)
            if route.sends:
                sent: web.StreamResponse = await answer(request)
                return sent
            response = as_json({"data": answer})
            if route.then is not None:
                route.then(response, values)
            return response

        return serve

    def _audited(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Who is turned away at the door is entered in the audit log here; who has come in, by the service, where it
        changes something or hands out a file. Else it is no news what cannot be read or is not there."""
        last = route.path.removesuffix("/{id}").rpartition("/")[2]
        serve, verb = self._served(route), "logout" if route.method == "DELETE" else last
        reads = route.method == "GET" and not route.sends

        async def watched(request: web.Request) -> web.StreamResponse:
            try:
                return await serve(request)
            except KfbotError as error:
                if not reads or isinstance(error, (Unauthenticated, Forbidden)):
                    attempt = self._audit.attempt(Door.API, None, verb)
                    attempt.came(request.get(WHO), address_of(request.remote, request.headers))
                    await attempt.raised(error)
                raise

        return watched

    async def _read(self, route: Route, request: web.Request) -> Json:
        say = self._say
        values = fields.read_all(say, route.takes, "path", request.match_info)
        values |= fields.read_all(say, route.takes, "query", request.query)
        if route.has_body:
            values |= fields.read_all(say, route.takes, "body", fields.as_object(say, await self._body(request)))
        return values

    async def _body(self, request: web.Request) -> bytes:
        """Refused by its announced length before a byte of it is read, and by its real one while reading."""
        if (request.content_length or 0) > LONGEST_BODY:
            raise BadRequest(self._say("api.too_long", most=LONGEST_BODY // 1024))
        try:
            if request.content.is_eof():
                return await request.read()
            async with asyncio.timeout(SLOW_BODY):
                return await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise BadRequest(self._say("api.too_long", most=LONGEST_BODY // 1024)) from None
        except (TimeoutError, web.RequestPayloadError, ConnectionError):
            raise BadRequest(self._say("api.json")) from None

    def _stranger(self, request: web.Request) -> AgentClaims | None:
        """Anybody may look; what changes something comes from our own page."""
        if request.method != "GET":
            self._doors.from_our_page(request)
        return self._doors.whoever(request)

    async def _openapi(self, request: web.Request) -> web.Response:
        return as_json(self._document)
