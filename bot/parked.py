"""What did not go its way and waits for a person: events no webhook accepted, items of the stream nobody could read,
ends that could not be settled."""

from __future__ import annotations

from bot.kf_sync import KfSync, Parse
from bot.model import Scope
from bot.outbox import Webhooks
from bot.ports import Clock, DeadDelivery, Outbox, ParkedEnd, ParkedEnds, ParkedItem, SyncStore
from bot.registry import Replayed

MOST = 1000  # items read again by one command


class Parked:
    """Implements `bot.registry.Parked`."""

    def __init__(
        self,
        outbox: Outbox,
        store: SyncStore,
        ends: ParkedEnds,
        webhooks: Webhooks,
        sync: KfSync,
        clock: Clock,
        parse: Parse,
    ) -> None:
        self._outbox, self._store, self._ends = outbox, store, ends
        self._webhooks, self._sync, self._clock, self._parse = webhooks, sync, clock, parse

    async def deliveries(self, scope: Scope, limit: int) -> tuple[int, list[DeadDelivery]]:
        return await self._outbox.count_dead(scope), await self._outbox.dead(scope, limit)

    async def items(self, scope: Scope, limit: int) -> tuple[int, list[ParkedItem]]:
        return await self._store.count_parked(scope), await self._store.parked(scope, limit)

    async def ends(self, scope: Scope, limit: int) -> tuple[int, list[ParkedEnd]]:
        return await self._ends.count(scope), await self._ends.first(scope, limit)

    async def replay(self, scope: Scope, number: int | None) -> Replayed:
        sent, unnamed = await self._outbox.revive(scope, number, self._clock.now())
        self._webhooks.wake()
        if number is not None:
            return Replayed(sent, unnamed)
        read, unread = await self._sync.reread(await self._store.parked(scope, MOST), self._parse)
        return Replayed(sent, unnamed, read, unread, await self._ends.revive(scope))
