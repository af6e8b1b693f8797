"""The composition root: builds everything, owns start and stop. Knows everybody, is known by `cli` alone."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from aiolimiter import AsyncLimiter

import commands
from bot import report, server
from bot.aftermath import Aftermath
from bot.alerting import Alerting
from bot.bulk import BulkEnds
from bot.channels.aibot import AibotChannel
from bot.channels.posting import PostJson
from bot.channels.webhook import WebhookChannel
from bot.checks import QUIET_EVERY, Checks
from bot.core import Core
from bot.desk import Desk
from bot.discovery import discover
from bot.dispatch import Access, Dispatch
from bot.drain import drain, when_asked
from bot.ending import EndResult, Outcome
from bot.errors import KfbotError, SettingsError, WeComError
from bot.faults import point
from bot.feed import LiveFeed
from bot.health import Health, has_callback
from bot.http import CONNECTIONS, Http
from bot.kf_sync import KfSync
from bot.leaving import Leaving
from bot.locate import locate
from bot.model import CardTap, Handoff, Scope, Via
from bot.names import Names
from bot.newcomers import Newcomers
from bot.outbox import Webhooks
from bot.outcomes import Outcomes
from bot.parked import Parked
from bot.phrases import EndPhrases
from bot.ports import Committed, Owed, PendingEnding
from bot.registry import Command, Registry, Role
from bot.report import Report
from bot.scheduler import Job, Scheduler
from bot.sessions import Session
from bot.settings import Settings
from bot.supervisor import Run, Supervisor
from bot.taps import SOON, Rights, Taps
from bot.teams import Teams
from bot.tokens import AgentClaims
from bot.transfer import Transfers
from bot.watch import PATIENCE
from bot.watchdog import Watchdog
from bot.web.entrance import Entrance, Lobby
from bot.web.gates import gates
from bot.web.pages import LINK
from bot.web.site import Site
from bot.web.sockets import Sockets
from bot.wecom.crypto import CallbackCrypto
from bot.wecom.protocol import parse_page
from bot.window import Window
from storage.forget import FORGOTTEN
from storage.lock import Lock
from storage.retention import Retention

log = logging.getLogger("kfbot.app")

TOKEN_LESS = (8, 61.0)  # sync_msg without a token: WeCom blocks for a minute at about 10 a minute
STATE_READS = (1500, 60.0)  # of 10,000 a minute and 150,000 an hour that WeCom grants a corp
SETTLE_EVERY = 2.0
ACCOUNTS_EVERY = 300.0
PRUNE_EVERY = 600.0
SWEEP_EVERY = 60.0
LEFT_BEHIND = 30.0  # seconds a closing message's code has been dead for when nobody can be sending it any more
NOTED_EVERY = 86400.0
ALARMS_EVERY = 5.0
DRAIN = 7.0  # seconds that work under way may take at stop
CLOSE = 1.0  # and closing what it stands on
LEAVE = 9.5  # after which the process ends, whatever hangs


class App:
    """The running bot. `start` returns when the server listens; everything slow goes on behind it."""

    def __init__(self, core: Core) -> None:
        self.core, settings = core, core.settings
        self.supervisor = Supervisor(core.metrics.observe_restart)
        self.watchdog = Watchdog(core.metrics.stalls.inc)
        token_less, reads = Window(*TOKEN_LESS), AsyncLimiter(*STATE_READS)
        self.checks = Checks(core.ledger, core.clock, core.handoffs.read_state, reads.acquire, hear=self._catch_up_with)
        self.names = Names(core.kf, core.people, core.clock)
        core.handoffs.on_open = self._opened
        core.handoffs.untold.catch_up = self._hear_out
        self.leaving = Leaving(core.handoffs, core.ledger, core.clock, self._catch_up, self._customer_left)
        self.aftermath = Aftermath(
            core.people, core.clock, self.leaving, core.greetings, core.closings, self.checks, self.names
        )
        self.sync = KfSync(
            core.kf,
            core.sync_store,
            core.clock,
            self.aftermath.follow,
            token_less.turn,
            unannounced=self._unannounced,
            keep_text=core.ledger.keep_text,
            phrases=EndPhrases(settings.customer.end_phrases),
            observe=core.metrics.observe_sync,
        )
        core.handoffs.news = self.sync.news
        self.channel = _channel(core, self._alarm)
        self.lifeline = _lifeline(core)
        self.retention = Retention(core.database, settings.storage.retention, settings.storage.keep_text)
        self.dispatch = self._dispatch()
        self.alerting = Alerting(core, self.channel, self.lifeline, self.teams, self.sync.catch_up, self._name_of)
        self.aftermath.on_committed = self._committed
        self.taps = None if self.channel is None else self._taps(self.channel)
        self.outcomes = None if self.channel is None else self._outcomes(self.channel)
        if self.taps is not None:
            self.dispatch.resume = self.taps.resume
        self.accounts: list[str] = []
        self._forgotten = ""
        self._names: dict[str, str] = {}
        self.newcomers = Newcomers(
            self._look_for_accounts, self._refresh_accounts, lambda: self.accounts, self.sync.wake
        )
        self._hooks = server.Hooks(
            self._wake,
            self.newcomers.changed,
            lambda: self.health.readiness(),
            lambda: core.database.trouble is not None,
        )
        callback = server.CallbackRoute(_crypto(settings), self._hooks, core.clock, core.metrics)
        self.live = LiveFeed(core.feed)
        self.site = Site(
            core,
            self._name_of,
            self.alerting.watch.wake,
            lambda: self.live.last,
            self._scope_of,
            self.alerting.words.of,
        )
        core.greetings.link = self._page_of
        core.database.on_write = self.live.wake
        pass_by = gates(core.tokens, self._scope_of)
        host = urlsplit(settings.server.public_url).netloc
        self.sockets = Sockets(
            self.live, pass_by, core.say, core.metrics.observe_socket, host, self.site.doors.listener,
            core.audit.turned_away,
        )  # fmt: skip
        self.outside = Http(connections_per_host=CONNECTIONS, public_only=not settings.webhooks_allow_private)
        self.webhooks = Webhooks(
            core.outbox, self.outside.post, core.clock, settings.webhooks, observe=core.metrics.observe_webhook
        )
        self.live.listeners.append(self.webhooks.heard)
        self.dispatch.parked = Parked(
            core.outbox, core.sync_store, core.parked_ends, self.webhooks, self.sync, core.clock, parse_page
        )
        parts = [self.site.add_to, self.sockets.add_to]
        self.turnstile = server.Turnstile(core.say)
        self.health = Health(
            core,
            self.sync,
            self.channel,
            self.webhooks,
            self.supervisor,
            self.watchdog,
            lambda: self.turnstile.closed,
            lambda: self.accounts,
        )
        self._runner = server.runner(server.build(callback, self._hooks, core.metrics, parts, self.turnstile))
        self.scheduler = Scheduler(self._jobs(), core.metrics.observe_job)

    # -- life

    async def start(self) -> None:
        if not await self.core.database.integrity.check():
            log.info("the database is still being looked through")
        point("start.looked")
        await self.core.open()
        point("start.opened")
        self._forgotten = await self.core.chats.recall(FORGOTTEN)
        await self.core.ledger.recover_codes()
        await self.alerting.speaker.take_up()
        point("start.recovered")
        await self.live.open()
        await self.webhooks.open()
        await self.dispatch.start()
        await self._take_up_servicers()
        host, port = self.core.settings.server.host, self.core.settings.server.port
        await self._runner.setup()
        lobby = Lobby(refused=lambda: self.core.metrics.observe_socket("connection", "refused"))
        try:
            await Entrance(self._runner, host, port, lobby).start()
        except OSError as refused:
            why = refused.strerror or str(refused)
            raise KfbotError(self.core.say("server.refused", host=host, port=port, why=why)) from None
        point("start.listening")
        log.info("listening | http://%s:%d", host, self.port)
        self.desk.offer_code()
        if self.channel is not None and self.taps is not None:
            await self.channel.start(self.dispatch.hear, self.taps.feel)
        self.scheduler.start()
        for name, run in self._duties().items():
            self.supervisor.keep(name, run)
        # What start-up built lives as long as the process: a full collection need not walk it, 50 ms at a time.
        gc.collect()
        gc.freeze()

    async def stop(self) -> None:
        """Take on nothing new, let work under way finish, then close what it stands on. Until then the server listens,
        to turn callbacks away. What hangs is cut off: its beginning is on record, and the next start settles it."""
        until = asyncio.get_running_loop().time() + DRAIN
        self.turnstile.close()
        await drain(
            DRAIN,
            pages=self._send_pages_away(),
            requests=self.turnstile.empty(),
            tasks=self.supervisor.stop(),
            jobs=self.scheduler.stop(),
            sync=self.sync.stop(),
            report=self.report.stop(),
            group=self._leave_group(),
            webhooks=self.webhooks.stop(DRAIN / 4),
        )
        await drain(CLOSE, aftermath=self.aftermath.stop(), greetings=self.core.greetings.stop())
        left = max(CLOSE / 4, until - asyncio.get_running_loop().time())
        await drain(left, goodbyes=self.core.handoffs.drain(left))
        await drain(
            CLOSE, server=self._runner.cleanup(), outside=self.outside.close(), audit=self.core.audit.tell_left_out()
        )
        await drain(CLOSE, core=self.core.close())

    async def run(self) -> None:
        """Until SIGINT or SIGTERM. Raises StorageError where another process runs on the same database."""
        with Lock(self.core.settings.storage.path):
            await self._run()

    async def _run(self) -> None:
        self.watchdog.start()
        starting, asked = asyncio.create_task(self.start(), name="start"), asyncio.Event()

        def ask() -> None:
            self.watchdog.leave_within(LEAVE)
            starting.cancel()
            asked.set()

        when_asked(ask)
        try:
            await asyncio.wait({starting})
            if not starting.cancelled():
                starting.result()
            await asked.wait()
            log.info("stopping")
        finally:
            await self.stop()
            if not asked.is_set():  # it ends by a failure, and nobody waits for that
                self.watchdog.stop()

    async def _send_pages_away(self) -> None:
        if self._runner.server is not None:
            await self._runner.shutdown()

    async def _leave_group(self) -> None:
        """Ends behind cards first: their outcomes go by the connection."""
        if self.taps is not None:
            await self.taps.drain(DRAIN / 4)
        await self.alerting.speaker.stop()
        if self.outcomes is not None:
            await self.outcomes.stop()
        if self.channel is not None:
            await self.channel.stop()
        await self.dispatch.drain(CLOSE / 4)
        if self.lifeline is not None:
            await self.lifeline.stop()

    @property
    def port(self) -> int:
        """The port it listens on; differs from the setting where that is 0."""
        address: Any = self._runner.addresses[0] if self._runner.addresses else ("", 0)
        return int(address[1])

    # -- what the parts ask of each other

    def _wake(self, open_kfid: str, token: str) -> None:
        """A callback has come."""
        if self.alerting.silence is not None:
            self.alerting.silence.callback(self.core.clock.now())
        wanted = self.core.settings.kf.accounts
        if not open_kfid:
            self.sync.wake_all(self.accounts)
        elif open_kfid in wanted or (not wanted and self._knows(open_kfid)):
            self.sync.wake(open_kfid, token)
        elif not wanted:
            self.newcomers.named(open_kfid, token)

    def _knows(self, open_kfid: str) -> bool:
        """Also one that WeCom does not list for once."""
        return open_kfid in self.accounts or self.sync.has_read(open_kfid)

    def _look_for_accounts(self, look: Run) -> None:
        self.supervisor.once("accounts changed", look)

    def _unannounced(self, open_kfid: str, count: int) -> None:
        """A poll has found what a callback should have brought."""
        log.warning("found without a callback | account=%s items=%d", open_kfid, count)
        if self.alerting.silence is not None:
            self.alerting.silence.found(self.core.clock.now())

    def _scope_of(self, claims: AgentClaims) -> Scope:
        """By who it is, not by what the token may do: an admin sees all."""
        return self.teams.of_member(claims.userid, self.core.access.role(claims.userid) is Role.ADMIN)

    async def _take_up_servicers(self) -> None:
        self.teams.serve((each.userid, each.open_kfid) for each in await self.core.people.servicers())

    def _page_of(self, handoff: Handoff) -> str:
        """Where its customer can end it; empty while nobody outside can reach us."""
        base = self.core.settings.server.public_url
        if not base:
            return ""
        token = self.core.tokens.customer_token(handoff.tenant_id, handoff.open_kfid, handoff.external_userid)
        return base.rstrip("/") + LINK.format(token=token)

    def _opened(self, sessions: list[Session]) -> None:
        """Handoffs that a state read has opened."""
        self.names.want([each.external_userid for each in sessions])
        self.alerting.watch.news(sessions)
        self.supervisor.once("landed", lambda: self.alerting.alarms.landed(sessions))

    def _committed(self, committed: Committed) -> None:
        if opened := self.alerting.committed(committed):
            self.supervisor.once("landed", lambda: self.alerting.alarms.landed(opened))
        if not committed.fresh:  # an account's history has been read to its end
            self.supervisor.once("live", self.alerting.learn)

    async def _catch_up(self, open_kfid: str, patience: float, *, sure: bool = False) -> bool:
        return await self.sync.catch_up(open_kfid, patience, sure=sure)

    async def _catch_up_with(self, accounts: Iterable[str]) -> None:
        watched = set(self.accounts or accounts)  # none yet: this process has just begun
        behind = [each for each in accounts if each in watched and self.sync.is_behind(each)]
        await asyncio.gather(*(self.sync.catch_up(each, PATIENCE, sure=True) for each in behind))

    async def _hear_out(self, open_kfid: str) -> bool:
        return await self.sync.catch_up(open_kfid, PATIENCE, sure=True, anew=True)

    async def _customer_left(self, result: EndResult) -> None:
        """What came of an end that a customer asked for in the chat. That it has ended is the watch's last word."""
        if result.outcome is Outcome.ENDED:
            self.alerting.watch.wake()
        watched = await self.core.attention.watched(result.handoff.id) if result.handoff else None
        if result.outcome is Outcome.FAILED and watched is not None:
            await self.alerting.speaker.refused(watched, result, "chat.refused")

    def _name_of(self, open_kfid: str) -> str:
        return self._names.get(open_kfid) or open_kfid

    def _alarm(self, kind: str, why: str) -> None:
        """The channel has stopped for good: only a person can mend that, so tell by whatever way is left."""
        log.critical("group channel stopped | %s: %s", kind, why)
        lifeline = self.lifeline
        if lifeline is not None:
            text = self.core.say(f"alarm.{kind}", why=why)
            self.supervisor.once("alarm", lambda: lifeline.send(text))

    # -- tasks and jobs

    def _duties(self) -> dict[str, Run]:
        """What runs as long as the bot does, or until it has succeeded once."""
        return {
            "watch": self.alerting.watch.run,
            "rules": self.alerting.take_up,
            "live events": self.live.run,
            "webhooks": self.webhooks.run,
            "checks": self.checks.run,
            "names": self.names.run,
            "settle": self._settle,
            "audit": self._note_head,
            "lost commands": self.dispatch.own_up,
            "accounts": self._find_accounts,
        }

    def _jobs(self) -> list[Job]:
        return [
            Job("poll", self.core.settings.kf.poll, self._poll),
            Job("settle", SETTLE_EVERY, self._settle),
            Job("outcomes", SETTLE_EVERY, self._tell_outcomes),
            Job("leaving", SETTLE_EVERY, self.leaving.end_all),
            Job("accounts", ACCOUNTS_EVERY, self._refresh_accounts),
            Job("watch", self.core.settings.watch.tick, self.alerting.watch.tick, exact=True),
            Job("alarms", min(self.core.settings.watch.tick, ALARMS_EVERY), self.alerting.alarms.look),
            Job("reconcile", QUIET_EVERY, self.checks.look_after_quiet_ones),
            Job("retention", PRUNE_EVERY, self._prune),
            Job("sockets", SWEEP_EVERY, self.sockets.sweep),
            Job("leftovers", SWEEP_EVERY, self._take_up_leftovers),
            Job("audit", NOTED_EVERY, self._note_head),
            Job("attempts", SWEEP_EVERY, self.core.audit.tell_left_out),
            Job(
                "report",
                min(self.core.settings.watch.tick, report.EVERY),
                lambda: self.report.run(self.core.clock.now()),
            ),
        ]

    async def _poll(self) -> None:
        """The safety net for lost callbacks; calls without a token take turns inside WeCom's limit."""
        self.sync.wake_all(self.accounts)

    async def _prune(self) -> None:
        await self._forget()
        if not await self.alerting.skew.agrees():  # what a clock that runs ahead has deleted does not come back
            log.warning("old records stay: it is not known that the clock is right")
            return
        deleted = await self.retention.prune(self.core.clock.now())
        if deleted:
            log.info("old records deleted | %s", " ".join(f"{table}={count}" for table, count in deleted.items()))

    async def _forget(self) -> None:
        """What `bot.py forget` has erased from the record is let go of in memory as well, whoever it was about."""
        forgotten = await self.core.chats.recall(FORGOTTEN)
        if forgotten != self._forgotten:
            self._forgotten = forgotten
            self.alerting.words.clear()
            self.live.clear()

    async def _note_head(self) -> None:
        """For a copy elsewhere: `bot.py audit --verify` shows against it what was cut off or written anew."""
        log.info("audit | head=%s", await self.core.audit_log.head())

    async def _settle(self) -> None:
        await self.core.handoffs.settle_pending(self._known)
        await self.core.closings.send_all()
        await self.core.greetings.send_all()

    async def _take_up_leftovers(self) -> None:
        """What a failed task has left behind, or a CLI that was killed. What a dead bot has, is taken up at start."""
        busy = [*self.core.greetings.busy, *self.core.closings.busy]
        await self.core.ledger.recover_codes(busy, self.core.clock.now() - LEFT_BEHIND)
        await self.dispatch.forget_old()

    async def _refresh_accounts(self) -> None:
        """Which accounts to watch, with their names and servicers. What WeCom does not say now, it said before."""
        wanted = self.core.settings.kf.accounts
        managed = [each for each in await self.core.kf.accounts() if each.manage_privilege]
        watched = [each for each in managed if not wanted or each.open_kfid in wanted]
        await self.core.sync_store.know_accounts(watched)
        fresh = [each.open_kfid for each in watched if each.open_kfid not in self.accounts]
        self.accounts = [each.open_kfid for each in watched]
        self._names = {each.open_kfid: each.name for each in watched}
        self.sync.wake_all(fresh)
        for account in self.accounts:
            await self._refresh_servicers(account)
        await self._take_up_servicers()

    async def _refresh_servicers(self, account: str) -> None:
        try:
            servicers = await self.core.kf.servicers(account)
        except WeComError as failed:
            log.warning("servicers not read | account=%s %s", account, failed)
        else:
            await self.core.people.save_servicers(account, servicers, self.core.clock.now())

    async def _find_accounts(self) -> None:
        """At start: begin with the accounts on record, then ask WeCom until it answers."""
        known = [each.open_kfid for each in await self.core.sync_store.accounts()]
        self.accounts = self.core.settings.kf.accounts or known
        self.sync.wake_all(self.accounts)
        pause = 1.0
        while True:
            try:
                await self._refresh_accounts()
                return
            except WeComError as failed:
                log.warning("accounts not read yet | %s", self.core.say.error(failed))
            await asyncio.sleep(pause)
            pause = min(pause * 2, 60.0)

    async def _known(self, pending: PendingEnding, result: EndResult) -> None:
        """The outcome of an end whose caller could not wait for it."""
        await self._tell_outcomes()

    async def _tell_outcomes(self) -> None:
        if self.outcomes is not None:
            await self.outcomes.tell_all()

    async def _told_otherwise(self, owed: Owed) -> bool:
        """A tapped end of which the group hears by the last word on its alert."""
        if owed.ending.via != Via.BUTTON or not owed.is_group or owed.state != "done":
            return False
        self.alerting.watch.wake()
        watched = await self.core.attention.watched(owed.ending.handoff_id)
        return watched is not None and watched.told

    # -- building

    def _taps(self, channel: AibotChannel) -> Taps:
        core = self.core
        return Taps(
            channel, core.chats, core.ledger, core.handoffs, core.attention, self.alerting.subjects, core.clock,
            core.say, self._rights, self.dispatch.access.who_may, self.alerting.watch.wake, core.audit,
            core.metrics.observe_command, SOON,
        )  # fmt: skip

    def _outcomes(self, channel: AibotChannel) -> Outcomes:
        core = self.core
        return Outcomes(core.promises, core.ledger, core.people, channel, core.clock, core.say, self._told_otherwise)

    def _rights(self, tap: CardTap) -> Rights:
        role = self.dispatch.role_of(tap)
        admin = role is Role.ADMIN
        inside = tap.is_group and tap.chat_id in self.dispatch.paired
        return Rights(role, self.teams.scope(tap.chat_id, tap.is_group, admin), inside or (admin and not tap.is_group))

    def _dispatch(self) -> Dispatch:
        core, settings = self.core, self.core.settings
        paired: set[str] = set(settings.group.chat_ids) | set(settings.group.routes.values())
        self.desk = Desk(
            core.chats,
            core.clock,
            paired,
            lambda scope: self.health.problems(scope),
            self.channel,
            settings.group.aibot.name,
        )
        self.teams = Teams(settings.group.routes, settings.group.chat_ids, paired)
        self.report = Report(
            core.stats, core.people, core.chats, core.clock, core.say, self.channel, self.teams.groups,
            settings.report.at, self.lifeline,
        )  # fmt: skip
        roles = settings.roles
        return Dispatch(
            registry=Registry(discover(commands, Command)),
            access=Access(frozenset(roles.admins), frozenset(roles.agents)),
            say=core.say,
            clock=core.clock,
            channel=self.channel,
            chats=core.chats,
            ledger=core.ledger,
            people=core.people,
            handoffs=core.handoffs,
            desk=self.desk,
            transfers=Transfers(core.kf, core.ledger, core.people, core.handoffs, core.clock),
            bulk=BulkEnds(core.handoffs, core.clock, core.say, core.audit),
            attention=core.attention,
            teams=self.teams,
            audit=core.audit,
            paired=paired,
            observe=core.metrics.observe_command,
            locate=lambda customer, scope: locate(core.kf, core.ledger, customer, scope),
            report=self.report,
        )


def _lifeline(core: Core) -> WebhookChannel | None:
    url = core.settings.group.webhook.url
    return WebhookChannel(url, _poster(core, "webhook/send")) if url else None


def _poster(core: Core, endpoint: str) -> PostJson:
    """POST to an address that is a secret itself; `endpoint` stands for it in whatever goes wrong."""
    return lambda url, body: core.http.json("POST", url, body=body, endpoint=endpoint)


def _crypto(settings: Settings) -> CallbackCrypto | None:
    if not has_callback(settings):
        return None
    token, key = settings.callback.token.get_secret_value(), settings.callback.encoding_aes_key.get_secret_value()
    return CallbackCrypto(token, key, settings.wecom.corp_id)


def _channel(core: Core, on_alarm: Callable[[str, str], None]) -> AibotChannel | None:
    group = core.settings.group
    if group.channel != "aibot":
        raise SettingsError([("group.channel", f"there is no channel {group.channel!r} in bot/channels/")])
    if not group.aibot.bot_id:
        return None

    return AibotChannel(
        bot_id=group.aibot.bot_id,
        secret=group.aibot.secret.get_secret_value(),
        name=group.aibot.name,
        url=group.aibot.url,
        connect=core.http.ws_connect,
        on_alarm=on_alarm,
        post_json=_poster(core, "aibot/response"),
        observe=core.metrics.observe_channel,
    )
