"""What keeps the bot from its work: for `/readyz` and the metrics, and in sentences for `/status`."""

from __future__ import annotations

from collections.abc import Callable, Container

from bot.channels.aibot import AibotChannel
from bot.core import Core
from bot.errors import StorageError
from bot.kf_sync import KfSync
from bot.model import EVERYTHING, Scope
from bot.outbox import Webhooks
from bot.server import Readiness
from bot.settings import Settings
from bot.supervisor import Supervisor
from bot.watchdog import Stall, Watchdog

LATELY = 900.0  # seconds for which a loop that stood still is news


class Health:
    """`closing`: whether the process is about to end. `accounts`: those that are watched now."""

    def __init__(
        self,
        core: Core,
        sync: KfSync,
        channel: AibotChannel | None,
        webhooks: Webhooks,
        supervisor: Supervisor,
        watchdog: Watchdog,
        closing: Callable[[], bool],
        accounts: Callable[[], Container[str]],
    ) -> None:
        self._core, self._sync, self._channel, self._webhooks = core, sync, channel, webhooks
        self._supervisor, self._watchdog = supervisor, watchdog
        self._closing, self._accounts = closing, accounts

    async def readiness(self) -> Readiness:
        if self._closing():
            return Readiness(False, {"stopping": "this process is about to end"})
        checks = {
            "storage": await self._storage_problem(),
            "token": self._token_problem(),
            "group": self._group_problem(),
            "tasks": self._tasks_problem(),
            "sync": self._sync_problem(),
        }
        for status, count in (await self._counts()).items():
            self._core.metrics.open.labels(status).set(count)
        parked = await self._parked()
        for what, count in parked.items():
            self._core.metrics.parked.labels(what).set(count)
        waiting = {what: count for what, count in parked.items() if count}
        return Readiness(not any(checks.values()), checks, self._lately(), waiting)

    async def problems(self, scope: Scope) -> tuple[str, ...]:
        """Ready sentences for `/status`; of kf accounts, only about those in scope."""
        found = [*self._own_problems(), *self._parts_problems()]
        say = self._core.say
        if parked := await self._core.outbox.count_dead(scope):
            found.append(say("problem.parked", count=parked))
        if unread := await self._core.sync_store.count_parked(scope):
            found.append(say("problem.unread", count=unread))
        if unsettled := await self._core.parked_ends.count(scope):
            found.append(say("problem.unsettled", count=unsettled))
        for account in await self._core.sync_store.accounts():
            if account.error and account.open_kfid in scope:
                name = say.plain(account.name or account.open_kfid)
                found.append(say("problem.account", account=name, why=say.plain(account.error, 120)))
        return tuple(found)

    def _own_problems(self) -> list[str]:
        say, found = self._core.say, []
        if not has_callback(self._core.settings):
            found.append(say("problem.callback"))
        if broken := self._core.database.trouble:
            found.append(say("problem.storage", why=say.plain(say.storage(broken), 300)))
        for key, why in (("token", self._token_problem()), ("channel", self._group_problem())):
            if why:
                found.append(say(f"problem.{key}", why=why))
        return found

    def _parts_problems(self) -> list[str]:
        say = self._core.say
        found = [
            say("problem.task", task=each.task, incident=each.incident, seconds=round(each.seconds))
            for each in self._supervisor.dead()
        ]
        if stall := self._stall():
            found.append(say("problem.loop", seconds=round(stall.seconds), ago=say.lasted(self._watchdog.ago())))
        for host, why in self._webhooks.down():
            found.append(say("problem.webhook", host=say.plain(host), why=say.plain(why, 120)))
        return found

    async def _storage_problem(self) -> str:
        try:
            await self._core.database.prove()
        except StorageError as broken:
            return str(broken)
        return ""

    def _token_problem(self) -> str:
        if self._core.kf.ready:
            return ""
        return str(self._core.kf.last_error or "no token yet")

    def _group_problem(self) -> str:
        return "" if self._channel is None or self._channel.ready else self._channel.problem

    def _tasks_problem(self) -> str:
        return ", ".join(
            f"{each.task} died of {each.why} (incident {each.incident}), back in {each.seconds:.0f} s"
            for each in self._supervisor.dead()
        )

    def _sync_problem(self) -> str:
        """Why each cannot be read stands in the log and in /status."""
        stuck = ((account, seconds) for account, seconds in self._sync.stuck() if account in self._accounts())
        return ", ".join(f"{account} not read for {seconds:.0f} s" for account, seconds in stuck)

    async def _parked(self) -> dict[str, int]:
        try:
            return {
                "deliveries": await self._core.outbox.count_dead(EVERYTHING),
                "items": await self._core.sync_store.count_parked(EVERYTHING),
                "ends": await self._core.parked_ends.count(EVERYTHING),
            }
        except StorageError:
            return {}

    def _stall(self) -> Stall | None:
        return self._watchdog.last if self._watchdog.ago() < LATELY else None

    def _lately(self) -> dict[str, str]:
        """The loop answers this, so it can tell of its own stalls only afterwards."""
        stall = self._stall()
        return {"loop": f"stood still for {stall.seconds:.1f} s, {self._watchdog.ago():.0f} s ago"} if stall else {}

    async def _counts(self) -> dict[str, int]:
        try:
            return {kind: await self._core.ledger.count_open(kind) for kind in ("human", "queue", "waiting")}
        except StorageError:
            return {}


def has_callback(settings: Settings) -> bool:
    return bool(settings.callback.token.get_secret_value())
