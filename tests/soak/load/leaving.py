"""Those who leave by the customer's page, and those whose session a member ends in the console: over the bot's API."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable

import aiohttp

from bench.children import HOST
from bot.core import SystemClock
from bot.registry import Role
from bot.tokens import Tokens
from tests.soak.load.shape import Customer
from tests.soak.record import Record

ASKS_AGAIN = 1.0  # seconds after an answer that is none
AT_ONCE = 2  # impatient fingers
DONE = 200


class Leaving:
    """`answers`: with which status, how often. People ask until it is done."""

    def __init__(self, http: aiohttp.ClientSession, port: int, record: Record, tenant_id: str, member: str) -> None:
        key = bytes.fromhex(record.one("SELECT value FROM meta WHERE key='token key'"))
        self._tokens = Tokens(key, SystemClock())
        self._http, self._port, self._record = http, port, record
        self._tenant_id, self._member = tenant_id, member
        self.answers: Counter[int] = Counter()

    async def all(self, customers: Iterable[Customer]) -> None:
        began = time.monotonic()
        await asyncio.gather(*(self._leave(each, began) for each in customers if each.leaves in ("page", "console")))

    async def _leave(self, each: Customer, began: float) -> None:
        await asyncio.sleep(max(0.0, began + each.at - time.monotonic()))
        await asyncio.gather(*(self._ask_until_done(each) for _ in range(AT_ONCE)))

    async def _ask_until_done(self, each: Customer) -> None:
        number = self._record.handoff(each.external_userid)
        while await self._ask(each, number) != DONE:  # noqa: ASYNC110  it is no event, but an answer
            await asyncio.sleep(ASKS_AGAIN)

    async def _ask(self, each: Customer, number: int) -> int:
        if each.leaves == "page":
            path = "customer/handoff/end-by-user"
            token = self._tokens.customer_token(self._tenant_id, each.open_kfid, each.external_userid)
        else:
            path, token = "agent/handoff/complete", self._tokens.agent_token(self._member, Role.AGENT)
        address, headers = f"http://{HOST}:{self._port}/api/{path}", {"Authorization": f"Bearer {token}"}
        async with self._http.post(address, headers=headers, json={"handoffRequestId": number}) as answer:
            await answer.read()
            self.answers[answer.status] += 1
            return answer.status
