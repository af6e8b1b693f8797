"""Storage, WeCom and the domain put together: what the CLI needs, and what the running bot stands on."""

from __future__ import annotations

import time

from bot.closing import ClosingMessages
from bot.handoffs import Handoffs
from bot.http import Http
from bot.metrics import Metrics
from bot.model import OperatorType
from bot.ports import Clock
from bot.settings import Settings
from bot.wecom.client import KfClient
from bot.wecom.errcodes import meaning_of
from bot.wording import Words
from storage.chats import Chats
from storage.database import Database
from storage.ledger import Ledger
from storage.people import People
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
        self.say = Words(settings.lang, settings.group.aibot.name, meaning_of)
        self.http = Http()
        wecom = settings.wecom
        self.kf = KfClient(
            self.http,
            wecom.corp_id,
            wecom.secret.get_secret_value(),
            wecom.api_base,
            observe=self.metrics.observe_call,
        )
        self.database = Database(settings.storage.path)
        keep = settings.storage.keep_text
        self.ledger = Ledger(self.database, wecom.corp_id, keep)
        self.sync_store = SyncStore(self.database, wecom.corp_id, keep)
        self.people, self.chats = People(self.database), Chats(self.database)
        closing = settings.customer.closing
        texts = {
            OperatorType.USER: closing.user,
            OperatorType.AGENT: closing.agent,
            OperatorType.SYSTEM: closing.system,
        }
        self.closings = ClosingMessages(self.kf, self.ledger, self.clock, texts)
        self.handoffs = Handoffs(self.kf, self.ledger, self.clock, self.closings)

    async def open(self) -> None:
        await self.database.open()

    async def close(self) -> None:
        await self.http.close()
        await self.database.close()
