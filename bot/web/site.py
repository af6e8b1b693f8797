"""The API, the pages and the login, put together on a bot's core."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from bot.core import Core
from bot.model import EVERYTHING, Scope, SessionKey
from bot.service import HandoffService
from bot.tokens import AgentClaims
from bot.transfer import Transfers
from bot.web.api import Api
from bot.web.calls import Calls
from bot.web.doors import Doors
from bot.web.extracts import Extracts
from bot.web.figures import Figures
from bot.web.limits import Limit
from bot.web.login import Corp, Login
from bot.web.pages import Pages

TOLD_WITHIN = 0.5  # seconds


def everything(claims: AgentClaims) -> Scope:
    """Where there is one team."""
    return EVERYTHING


class Site:
    """`account_name`: of a kf account, its id where it has none. `on_end`: called soon after ends made by the API.

    `last_event`: the id up to which live events are told. `scope_of`: the accounts that a member may see. `last_words`:
    a customer's, also from before the handoff.

    `addresses`, `callers`: how often they may ask, where that is not as usual.
    """

    def __init__(
        self,
        core: Core,
        account_name: Callable[[str], str],
        on_end: Callable[[], None],
        last_event: Callable[[], int] = lambda: 0,
        scope_of: Callable[[AgentClaims], Scope] = everything,
        last_words: Callable[[SessionKey], str] = lambda key: "",
        addresses: Limit | None = None,
        callers: Limit | None = None,
    ) -> None:
        secure = core.settings.server.public_url.startswith("https:")
        tenant_id = core.settings.wecom.corp_id
        self.doors = Doors(core.tokens, core.say, secure=secure, addresses=addresses, callers=callers)
        transfers = Transfers(core.kf, core.ledger, core.people, core.handoffs, core.clock)
        self._on_end, self._soon = on_end, False
        self.service = HandoffService(
            core.handoffs, core.ledger, transfers, core.attention, core.clock, core.say, scope_of,
            core.audit, self._ended,
        )  # fmt: skip
        figures = Figures(core.stats, core.clock, core.say)
        self._extracts = Extracts(core.records, core.clock, core.say.zone)
        calls = Calls(
            self.service, self.doors, core.tokens, core.people, core.alerts, core.sync_store, figures, self._extracts,
            core.clock, core.say, tenant_id, account_name, last_words,
        )  # fmt: skip
        self.api = Api(
            calls.table(), self.doors, core.clock, core.say, core.metrics.observe_api, last_event, core.audit
        )
        corp = Corp(tenant_id, core.settings.wecom.api_base, core.settings.server.public_url)
        self.login = Login(corp, self.doors, core.tokens, core.kf, core.people, core.access, core.say, core.audit)
        phrase, login = core.settings.customer.phrase, bool(corp.public_url)
        self.pages = Pages(
            core.tokens, self.doors, core.clock, core.say, phrase,
            login=login, snooze=core.settings.watch.snooze, turned_away=core.audit.turned_away,
        )  # fmt: skip

    def add_to(self, app: web.Application) -> None:
        app.add_subapp("/api", self.api.app())
        app.on_shutdown.append(self._extracts.stop)
        self.login.add_to(app)
        self.pages.add_to(app)

    def _ended(self) -> None:
        """Many at once are told once."""
        if not self._soon:
            self._soon = True
            asyncio.get_running_loop().call_later(TOLD_WITHIN, self._tell)

    def _tell(self) -> None:
        self._soon = False
        self._on_end()
