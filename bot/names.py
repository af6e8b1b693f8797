"""Nicknames for the customers that staff see, asked for in batches, once each. A courtesy: failure costs nothing.

https://developer.work.weixin.qq.com/document/path/95159
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from bot.errors import KfbotError
from bot.ports import Clock, KfApi, People

log = logging.getLogger("kfbot.names")
BATCH = 100  # ids in one call


class Names:
    def __init__(self, kf: KfApi, people: People, clock: Clock) -> None:
        self._kf, self._people, self._clock = kf, people, clock
        self._wanted: set[str] = set()
        self._some = asyncio.Event()

    def want(self, customers: Iterable[str]) -> None:
        """Returns at once; names known already are not asked for."""
        self._wanted.update(customers)
        self._some.set()

    async def run(self) -> None:
        """For ever. What fails is forgotten: the customer's next handoff asks again."""
        while True:
            await self._some.wait()
            self._some.clear()
            while self._wanted:
                batch = [self._wanted.pop() for _ in range(min(BATCH, len(self._wanted)))]
                try:
                    await self.learn(batch)
                except KfbotError as failed:
                    log.info("names not learned | %s", failed)
                except Exception:  # the outermost loop
                    log.exception("names not learned")

    async def learn(self, customers: list[str]) -> None:
        """Ask for names not on record. WeCom tells only those of the last 48 h; the others are kept as nameless."""
        known = await self._people.nicknames(customers)
        missing = [customer for customer in customers if customer not in known]
        if missing:
            names = await self._kf.nicknames(missing)
            found = {customer: names.get(customer, "") for customer in missing}
            await self._people.save_nicknames(found, self._clock.now())
