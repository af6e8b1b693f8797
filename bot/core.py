"""Storage, WeCom and the domain put together: what the CLI needs, and what the running bot stands on."""

from __future__ import annotations

import time

from bot.attention import Attention
from bot.audited import Audit
from bot.books import Books
from bot.closing import ClosingMessages
from bot.dispatch import Access
from bot.greeting import Greetings
from bot.handoffs import Handoffs
from bot.http import Http
from bot.metrics import Metrics
from bot.model import Handoff, OperatorType, ServiceState
from bot.ports import Clock
from bot.rules import Policy
from bot.settings import Settings
from bot.tokens import Tokens, signing_key
from bot.upstream import Upstream
from bot.wecom.client import KfClient
from bot.wecom.errcodes import meaning_of
from bot.wording import Words
from storage.alerts import Alerts
from storage.audit import AuditLog
from storage.chats import Chats
from storage.database import Database
from storage.export import Records
from storage.feed import Feed
from storage.ledger import Ledger
from storage.outbox import Outbox
from storage.parked_ends import ParkedEnds
from storage.people import People
from storage.promises import Promises
from storage.stats import Stats
from storage.sync_store import SyncStore


class SystemClock:
    def now(self) -> float:
        return time.time()


class Core:
    """One of each; `open` before the first use, `close` after the last."""

    def __init__(self, settings: Settings, clock: Clock | None = None, metrics: Metrics | None = None) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.metrics = metrics or Metrics()
        self.say = Words(settings.lang, settings.group.aibot.name, meaning_of, settings.zone)
        self.http = Http()
        self.upstream, self.books = Upstream(), Books(settings)
        wecom = settings.wecom
        self.kf = KfClient(
            self.http,
            wecom.corp_id,
            wecom.secret.get_secret_value(),
            wecom.api_base,
            observe=self._observe_call,
        )
        self.database = Database(settings.storage.path)
        keep = settings.storage.keep_text
        always = settings.customer.tell_group == "always"
        self.ledger = Ledger(self.database, wecom.corp_id, keep, self.books.earliest, tell_ends=always)
        self.sync_store = SyncStore(self.database, wecom.corp_id, keep, self.books.earliest, tell_ends=always)
        self.people, self.chats = People(self.database), Chats(self.database)
        self.alerts, self.stats = Alerts(self.database), Stats(self.database, wecom.corp_id)
        self.feed, self.outbox = Feed(self.database), Outbox(self.database)
        self.parked_ends, self.promises = ParkedEnds(self.database), Promises(self.database)
        self.records = Records(self.database)
        self.access = Access(frozenset(settings.roles.admins), frozenset(settings.roles.agents))
        self.tokens = Tokens(b"", self.clock, self.access.role, wecom.corp_id)
        self.audit_log = AuditLog(self.database)
        self.audit = Audit(self.audit_log, self.clock)
        self.attention = Attention(self.alerts, self.chats, self.clock, self.books, settings.watch.snooze)
        customer = settings.customer
        self.greetings = Greetings(self.kf, self.ledger, self.clock, self._greeting_text, customer.phrase)
        self.closings = ClosingMessages(self.kf, self.ledger, self.clock, self._closing_text, rating=customer.rating)
        self.handoffs = Handoffs(self.kf, self.ledger, self.clock, self.closings)

    async def open(self) -> None:
        await self.database.open()
        self.tokens.use(await signing_key(self.chats))

    async def close(self) -> None:
        await self.http.close()
        await self.database.close()

    def _greeting_text(self, state: ServiceState) -> str:
        customer = self.settings.customer
        return customer.queued if state is ServiceState.QUEUED else customer.greeting

    def _closing_text(self, handoff: Handoff) -> str:
        closing = self.settings.customer.closing
        if handoff.ended_by is OperatorType.SYSTEM and handoff.operator_id == Policy.ON_MESSAGE:
            return closing.for_on_message
        return {OperatorType.USER: closing.user, OperatorType.AGENT: closing.agent}.get(
            handoff.ended_by or OperatorType.SYSTEM, closing.system
        )

    def _observe_call(self, endpoint: str, outcome: str, seconds: float) -> None:
        self.metrics.observe_call(endpoint, outcome, seconds)
        self.upstream.observe(endpoint, outcome, seconds)
