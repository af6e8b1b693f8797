"""What the API's routes do: one table, from which they are served and documented."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bot.errors import BadRequest
from bot.export import Form, Selection, What, beginning, end
from bot.live import iso
from bot.model import NOTHING, Handoff, HandoffStatus, Scope, SessionKey
from bot.parsing import DAY
from bot.ports import Alerts, Clock, People, SyncStore
from bot.service import HandoffService
from bot.tokens import ROLES, AgentClaims, CustomerClaims, Tokens
from bot.web import fields, views
from bot.web.doors import AGENT_COOKIE, Doors
from bot.web.extracts import TYPES, Extracts, Send
from bot.web.fields import Field
from bot.web.figures import Figures
from bot.web.schemas import Json
from bot.wording import Words

LAST_ID = 10**15 - 1
LAST_SECOND = 253_402_300_799  # of the year 9999
PAGE, LONGEST_PAGE = 50, 1000
SHORTEST_SNOOZE, LONGEST_SNOOZE = 60, int(30 * DAY)
LONGEST_REASON, LONGEST_ID, LONGEST_TOKEN = 200, 64, 2048
KINDS = ("OPEN", *(each.value for each in HandoffStatus))

HANDOFF_ID = fields.whole("handoffRequestId", "body", 1, LAST_ID, "The handoff's id.")
PATH_ID = fields.whole("id", "path", 0, LAST_ID, "The handoff's id.")  # as many digits as the route takes
_ACTIVE = """Seconds since the epoch: only open ones that began, were accepted, or had a message then or later. Those
are WeCom's times, and it may tell late: ask with some overlap. 0: all, ended ones too."""
_ROLE_NAMES = {role: name for name, role in ROLES.items()}


@dataclass(frozen=True, slots=True)
class Route:
    """`who`: customer, agent, or empty for anybody. `run` takes the claims (of anybody those of their cookie, or None)
    and the values read, and returns the data.

    `shows`: the schema of the data. `fails`: statuses beside those that every route of its kind has. `then`: what else
    an answer to these values does to the browser. `sends`: content types of the file that it answers with; then `run`
    returns what sends it, and `shows` is the schema of the file.
    """

    method: str
    path: str
    who: str
    about: str
    run: Callable[[Any, Json], Awaitable[Any]]
    shows: Json
    takes: tuple[Field, ...] = ()
    fails: tuple[int, ...] = ()
    then: Callable[[web.Response, Json], None] | None = None
    sends: tuple[str, ...] = ()

    @property
    def has_body(self) -> bool:
        return any(each.where == "body" for each in self.takes)


class Calls:
    """`account_name`: of a kf account, its id where it has none. `tenant_id`: whose the bot is.

    `last_words`: the customer's, also from before the handoff; empty where they are not known.
    """

    def __init__(
        self,
        service: HandoffService,
        doors: Doors,
        tokens: Tokens,
        people: People,
        alerts: Alerts,
        accounts: SyncStore,
        figures: Figures,
        extracts: Extracts,
        clock: Clock,
        say: Words,
        tenant_id: str,
        account_name: Callable[[str], str],
        last_words: Callable[[SessionKey], str],
    ) -> None:
        self._service, self._doors, self._tokens = service, doors, tokens
        self._people, self._alerts, self._accounts = people, alerts, accounts
        self._figures, self._extracts, self._clock, self._say = figures, extracts, clock, say
        self._tenant, self._account_name, self._last_words = tenant_id, account_name, last_words

    # -- the customer

    async def _end_by_user(self, claims: CustomerClaims, values: Json) -> Json:
        ended = await self._service.end_by_user(claims, values["handoffRequestId"])
        return views.customers_handoff(ended, self._account_name(ended.open_kfid))

    async def _current(self, claims: CustomerClaims, values: Json) -> Json | None:
        found = await self._service.current(claims)
        return views.customers_handoff(found, self._account_name(found.open_kfid)) if found else None

    # -- staff

    async def _complete(self, claims: AgentClaims, values: Json) -> Json:
        return await self._one(await self._service.complete(claims, values["handoffRequestId"], values["reason"]))

    async def _snooze(self, claims: AgentClaims, values: Json) -> Json:
        return views.snoozed(await self._service.snooze(claims, values["handoffRequestId"], values["seconds"]))

    async def _transfer(self, claims: AgentClaims, values: Json) -> Json:
        return await self._one(await self._service.transfer(claims, values["handoffRequestId"], values["servicer"]))

    async def _handoff(self, claims: AgentClaims, values: Json) -> Json:
        return await self._one(await self._service.handoff(claims, values["id"]))

    async def _events(self, claims: AgentClaims, values: Json) -> list[Json]:
        return [views.event(each) for each in await self._service.events(claims, values["id"])]

    async def _page(self, claims: AgentClaims, values: Json) -> Json:
        limit = values["limit"]
        found = await self._service.page(
            claims, values["status"], values["kf"], values["cursor"], limit, values["activeSince"] or None
        )
        more = len(found) == limit
        return {"items": await self._many(found), "nextCursor": fields.as_cursor(found[-1].id) if more else None}

    async def _servicers(self, claims: AgentClaims, values: Json) -> list[Json]:
        scope, kf = self._service.scope(claims), values["kf"]
        found = [each for each in await self._people.servicers() if each.open_kfid in scope]
        shown = [each for each in found if kf in ("", each.open_kfid)]
        return [views.servicer(each, self._account_name(each.open_kfid)) for each in shown]

    async def _stats(self, claims: AgentClaims, values: Json) -> Json:
        return await self._figures.of(values["period"], self._service.scope(claims))

    async def _export(self, claims: AgentClaims, values: Json) -> Send:
        """Of an account that they may not see, as of one that is none, there is nothing."""
        since, until, kf = values["since"], values["until"], values["kf"]
        if None not in (since, until) and since >= until:
            raise BadRequest(self._say("api.no_span"))
        scope = self._service.scope(claims)
        if kf:
            scope = Scope(frozenset({kf}), others=False) if kf in scope else NOTHING
        selection = Selection(What(values["what"]), since, until, scope, self._tenant)
        await self._service.entered(claims, "export", open_kfid=kf, what=values["what"])
        return self._extracts.of(claims.userid, selection, Form(values["form"]), kf)

    async def _me(self, claims: AgentClaims, values: Json) -> Json:
        scope = self._service.scope(claims)
        accounts = [each for each in await self._accounts.accounts() if each.open_kfid in scope]
        return {
            "userId": claims.userid,
            "role": _ROLE_NAMES[claims.role],
            "expiresAt": iso(claims.expires_at),
            "tenantId": self._tenant,
            "lang": self._say.lang,
            "accounts": [{"openKfid": each.open_kfid, "accountName": each.name or each.open_kfid} for each in accounts],
        }

    async def _open_session(self, _: AgentClaims | None, values: Json) -> Json:
        claims = self._tokens.agent(values["token"])
        await self._service.entered(claims, "session")
        return {"expiresAt": iso(claims.expires_at)}

    async def _close_session(self, claims: AgentClaims | None, values: Json) -> None:
        if claims is not None:
            await self._service.left(claims)

    def _keep_cookie(self, response: web.Response, values: Json) -> None:
        left = self._tokens.agent(values["token"]).expires_at - self._clock.now()
        self._doors.let_in(response, AGENT_COOKIE, values["token"], left)

    def _drop_cookie(self, response: web.Response, values: Json) -> None:
        self._doors.show_out(response, AGENT_COOKIE)

    async def _one(self, found: Handoff) -> Json:
        return (await self._many([found]))[0]

    async def _many(self, found: Sequence[Handoff]) -> list[Json]:
        names = await self._people.nicknames({each.external_userid for each in found})
        open_ = [each.id for each in found if each.status.is_open]
        watched = {each.handoff.id: each for each in await self._alerts.watched(open_)} if open_ else {}
        return [
            views.handoff(
                each, self._account_name(each.open_kfid), names, watched.get(each.id), self._last_words(each.key)
            )
            for each in found
        ]

    # -- the table

    def table(self) -> list[Route]:
        one, both = views.ref("Handoff"), (409, 502)
        kf = fields.text("kf", "query", LONGEST_ID, "Only of this kf account (open_kfid).")
        reason = fields.text("reason", "body", LONGEST_REASON, "Kept on record with the end.")
        servicer = fields.text(
            "servicer", "body", LONGEST_ID, "Userid of a servicer of the account, or how it begins.", required=True
        )
        seconds = fields.whole("seconds", "body", SHORTEST_SNOOZE, LONGEST_SNOOZE, "How long its alerts are quiet.")
        page = (
            fields.choice("status", "query", KINDS, "Only in this status; OPEN: in one of the three that are open."),
            kf,
            fields.cursor("cursor", "`nextCursor` of the page before."),
            fields.whole("limit", "query", 1, LONGEST_PAGE, "How many on a page.", PAGE),
            fields.whole("activeSince", "query", 0, LAST_SECOND, _ACTIVE, 0),
        )
        export = (
            fields.choice("what", "query", tuple(What), "Handoffs by when they began, or events.", What.HANDOFFS),
            fields.choice("form", "query", tuple(Form), "CSV begins with a byte order mark.", Form.CSV),
            fields.moment("since", beginning, "From this day or time on."),
            fields.moment("until", end, "To the end of this day, or to before this time."),
            kf,
        )
        period = fields.choice("period", "query", ("today", "week"), "Days are those of the bot's time zone.", "today")
        token = fields.text("token", "body", LONGEST_TOKEN, "From `python bot.py token`.", required=True)
        return [
            Route("POST", "/customer/handoff/end-by-user", "customer", "The customer ends their own handoff.",
                  self._end_by_user, views.ref("CustomerHandoff"), (HANDOFF_ID,), (404, *both)),
            Route("GET", "/customer/handoff", "customer", "The customer's open handoff, or null.",
                  self._current, views.or_null("CustomerHandoff")),
            Route("POST", "/agent/handoff/complete", "agent", "A member of staff ends a handoff.",
                  self._complete, one, (HANDOFF_ID, reason), (404, *both)),
            Route("POST", "/agent/handoff/snooze", "agent", "Quiet a handoff's alerts for a time.",
                  self._snooze, views.ref("Snoozed"), (HANDOFF_ID, seconds), (404, 409)),
            Route("POST", "/agent/handoff/transfer", "agent", "Give a handoff to another servicer, who is receiving.",
                  self._transfer, one, (HANDOFF_ID, servicer), (404, *both)),
            Route("GET", "/handoffs", "agent", "Handoffs, newest first.",
                  self._page, views.ref("HandoffPage"), page),
            Route("GET", "/handoffs/{id}", "agent", "One handoff.",
                  self._handoff, one, (PATH_ID,), (404,)),
            Route("GET", "/handoffs/{id}/events", "agent", "The log of one handoff, oldest first.",
                  self._events, views.list_of("HandoffEvent"), (PATH_ID,), (404,)),
            Route("GET", "/agent/servicers", "agent", "Servicers by account, with their open handoffs, busiest first.",
                  self._servicers, views.list_of("Servicer"), (kf,)),
            Route("GET", "/agent/stats", "agent", "Numbers of the handoffs that ended in a time.",
                  self._stats, views.ref("Stats"), (period,)),
            Route("GET", "/agent/export", "agent", "Handoffs or events as a file. Days are those of the bot's zone.",
                  self._export, {"type": "string"}, export, sends=tuple(TYPES.values())),
            Route("GET", "/agent/me", "agent", "Whose token this is.",
                  self._me, views.ref("Me")),
            Route("POST", "/agent/session", "", "Exchange an agent token for this browser's cookie.",
                  self._open_session, views.ref("Session"), (token,), (401,), self._keep_cookie),
            Route("DELETE", "/agent/session", "", "Forget this browser's cookie.",
                  self._close_session, {"type": "null"}, (), (), self._drop_cookie),
        ]  # fmt: skip
