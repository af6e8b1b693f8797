"""Everything that watches and alerts, put together from its parts for `app`."""

from __future__ import annotations

from collections.abc import Callable

from bot.alarms import Alarms
from bot.core import Core
from bot.last_words import LastWords
from bot.model import EventType
from bot.notices import Notices
from bot.policies import Policies
from bot.ports import Committed, GroupChannel, Lifeline
from bot.sessions import Session
from bot.silence import Silence
from bot.skew import Skew
from bot.speaker import Speaker
from bot.subjects import Subjects
from bot.teams import Teams
from bot.upstream import STATE_GET
from bot.watch import CatchUp, Watch


class Alerting:
    """One of each. `name_of`: the name of a kf account."""

    def __init__(
        self,
        core: Core,
        channel: GroupChannel | None,
        lifeline: Lifeline | None,
        teams: Teams,
        catch_up: CatchUp,
        name_of: Callable[[str], str],
    ) -> None:
        settings, say, clock = core.settings, core.say, core.clock
        self._core = core
        self.words = LastWords(core.ledger.keep_text)
        self.subjects = Subjects(core.ledger, core.people, core.sync_store, self.words)
        self.notices = Notices(channel, lifeline, core.chats, clock, say, lambda: teams.first)
        has_callback = bool(settings.callback.token.get_secret_value())
        self.silence = Silence(settings.kf.poll, clock.now()) if has_callback else None
        self.skew = Skew(lambda: core.http.server_time(f"{settings.wecom.api_base}/"), clock)
        self.alarms = Alarms(
            core.kf, core.upstream, self.silence, self.skew, core.chats, clock, self.notices, say,
            lambda: teams.first, teams.chat_of, name_of, self._read_any, core.database.prove,
        )  # fmt: skip
        admins = sorted(settings.roles.admins)
        self.speaker = Speaker(
            core.alerts, core.attention, clock, self.notices, self.subjects, say, teams.chat_of, admins,
            core.metrics.observe_alert,
        )  # fmt: skip
        policies = Policies(core.handoffs, clock, core.books, self.speaker.refused)
        self.watch = Watch(
            core.alerts, clock, core.books, catch_up, core.handoffs.read_states, self.alarms.trustworthy, policies,
            self.speaker,
        )  # fmt: skip

    async def take_up(self) -> None:
        """At start: what earlier lives left, and open handoffs under rules that have changed since."""
        await self.learn()
        if await self._core.chats.recall("rules") != self._core.books.fingerprint:
            await self._core.alerts.watch_all()
            await self._core.chats.keep([("rules", self._core.books.fingerprint)])

    async def _read_any(self) -> None:
        found = await self._core.ledger.open_handoffs(limit=1)
        if not found:
            self._core.upstream.forget(STATE_GET)
        for handoff in found:
            await self._core.handoffs.read_state(handoff.key)

    async def learn(self) -> None:
        self._core.books.learn(await self._core.sync_store.accounts())

    def committed(self, committed: Committed) -> list[Session]:
        """A sync page is on record. Returns the sessions in which it has opened a handoff."""
        self.words.note(committed.fresh)
        self.watch.news(committed.sessions)
        return [session for session in committed.sessions if _opened(session)]


def _opened(session: Session) -> bool:
    return any(draft.type is EventType.REQUESTED and draft.handoff is session.handoff for draft in session.drafts)
