"""The OpenAPI document, made from the table of routes that serves them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from bot import __version__
from bot.web.doors import AGENT_COOKIE, CUSTOMER_COOKIE, OURS
from bot.web.errors import STATUSES
from bot.web.extracts import TOTAL
from bot.web.figures import SCHEMA as STATS
from bot.web.schemas import Json, closed
from bot.web.views import SCHEMAS

if TYPE_CHECKING:
    from bot.web.calls import Route

PREFIX = "/api"
ABOUT = """Handoffs of WeCom customer service: ended by the customer, or by staff.

Success is `{"data": …}`, failure `{"error": {"code", "message"}}`. Customers bring the token of their link, staff one
of `python bot.py token` or of WeCom's login. A page may use its cookie instead, and then sends the header
`X-Requested-With: kfbot` with everything that changes something. Names that this document does not know are ignored."""
MEANINGS = {
    400: "The request cannot be understood.",
    401: "No valid token.",
    403: "Not allowed: a cookie without our page's own header.",
    404: "No such handoff, or none that the caller may know of.",
    409: "Somebody else has ended it, or it is not with a human.",
    429: "Too many requests; `Retry-After` says in how many seconds.",
    502: "WeCom refused, or did not answer: then it is settled later.",
    503: "The database cannot be used.",
}
_ERROR: Json = closed(
    error=closed(
        code={"type": "string", "enum": sorted(set(STATUSES.values()))},
        message={"type": "string", "description": "For people, in the bot's language."},
    )
)


def document(routes: Iterable[Route]) -> Json:
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(PREFIX + route.path, {})[route.method.lower()] = _operation(route)
    paths[f"{PREFIX}/openapi.json"] = {"get": _itself()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "kfbot", "version": __version__, "description": ABOUT},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": {**SCHEMAS, "Stats": STATS, "Error": _ERROR},
            "securitySchemes": {
                "customer": {"type": "http", "scheme": "bearer", "description": "The token of a customer's link."},
                "agent": {"type": "http", "scheme": "bearer", "description": "An agent token."},
                "customerCookie": {"type": "apiKey", "in": "cookie", "name": CUSTOMER_COOKIE},
                "agentCookie": {"type": "apiKey", "in": "cookie", "name": AGENT_COOKIE},
            },
        },
    }


def _operation(route: Route) -> Json:
    operation: Json = {
        "summary": route.about,
        "operationId": _name(route),
        "security": [{route.who: []}, {f"{route.who}Cookie": []}] if route.who else [],
        "responses": {"200": _success(route), **_failures(route)},
    }
    if parameters := _parameters(route):
        operation["parameters"] = parameters
    if route.has_body:
        operation["requestBody"] = _body(route)
    return operation


def _name(route: Route) -> str:
    words = [word.strip("{}") for part in route.path.split("/") for word in part.split("-")]
    return route.method.lower() + "".join(word.capitalize() for word in words)


def _parameters(route: Route) -> Sequence[Json]:
    found = [
        {"name": each.name, "in": each.where, "required": each.required, "schema": each.schema}
        for each in route.takes
        if each.where != "body"
    ]
    if not route.who:
        found.append(
            {"name": OURS[0], "in": "header", "required": True, "schema": {"type": "string", "enum": [OURS[1]]}}
        )
    return found


def _body(route: Route) -> Json:
    body = [each for each in route.takes if each.where == "body"]
    schema = {
        "type": "object",
        "properties": {each.name: each.schema for each in body},
        "required": [each.name for each in body if each.required],
    }
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _success(route: Route) -> Json:
    if route.sends:
        return _file(route)
    return {"description": "Done.", "content": {"application/json": {"schema": closed(data=route.shows)}}}


def _file(route: Route) -> Json:
    return {
        "description": "The file, as it is made. What breaks in between cuts the connection.",
        "content": {kind: {"schema": route.shows} for kind in route.sends},
        "headers": {
            TOTAL: {"description": "Rows to come.", "required": True, "schema": {"type": "integer", "minimum": 0}},
            "Content-Disposition": {"required": True, "schema": {"type": "string"}},
        },
    }


def _failures(route: Route) -> Json:
    statuses = {429, 503, *route.fails}
    statuses |= {401} if route.who else {403}
    statuses |= {403} if route.method != "GET" else set()
    statuses |= {400} if any(each.where != "path" for each in route.takes) else set()
    return {str(status): _failure(status) for status in sorted(statuses)}


def _failure(status: int) -> Json:
    shown: Json = {
        "description": MEANINGS[status],
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    if status == 429:
        shown["headers"] = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}}}
    return shown


def _itself() -> Json:
    return {
        "summary": "This document.",
        "operationId": "getOpenapi",
        "security": [],
        "responses": {
            "200": {"description": "Done.", "content": {"application/json": {"schema": {"type": "object"}}}},
            "429": _failure(429),
        },
    }
