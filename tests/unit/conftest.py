"""What alerting stands on: real stores and domain around one group, WeCom and the channel in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC

import pytest

from bot.attention import Attention
from bot.closing import ClosingMessages
from bot.handoffs import Handoffs
from bot.last_words import LastWords
from bot.model import (
    Handoff,
    HandoffStatus,
    KfAccount,
    Operator,
    OperatorType,
    Rule,
    SessionKey,
    Via,
    Watched,
)
from bot.notices import Notices
from bot.ports import Order, Sending
from bot.rules import HOUR, Limit, RuleBook, earliest, next_send
from bot.sessions import Session, customer_wrote, finish, open_handoff, servicer_wrote
from bot.speaker import Speaker
from bot.subjects import Subjects
from bot.wecom.errcodes import meaning_of
from bot.wording import Words
from storage.alerts import Alerts
from storage.chats import Chats
from storage.database import Database
from storage.ledger import Ledger
from storage.people import People
from storage.sync_store import SyncStore
from tests.fakes import (
    ANN,
    BOB,
    HUMAN,
    KF,
    KF2,
    LI,
    QUEUED,
    TENANT,
    FakeChannel,
    FakeClock,
    FakeKf,
    FakeLifeline,
    FakeSleep,
    nothing_more,
)

CHAT, AFTER = "wrSALES", "wrAFTER"
MINUTE = 60.0
BOOK = RuleBook(
    {
        Rule.CUSTOMER_WAITING: Limit(5 * MINUTE, 15 * MINUTE),
        Rule.QUEUE_WAITING: Limit(3 * MINUTE, 10 * MINUTE),
        Rule.HUMAN_IDLE: Limit(30 * MINUTE, HOUR),
        Rule.HUMAN_OPEN: Limit(4 * HOUR, 4 * HOUR),
    },
)


class Scene:
    """CHAT serves KF, AFTER serves KF2. `book` holds for both accounts and may be exchanged."""

    def __init__(self, database: Database, clock: FakeClock, sleep: FakeSleep, kf: FakeKf) -> None:
        self.database, self.clock, self.kf, self.book = database, clock, kf, BOOK
        self.ledger = Ledger(database, TENANT, "last", lambda handoff: earliest(handoff, self.book))
        self.people, self.chats = People(database), Chats(database)
        self.alerts, self.sync_store = Alerts(database), SyncStore(database, TENANT)
        self.channel, self.lifeline = FakeChannel(), FakeLifeline()
        self.say = Words("zh", "kfbot", meaning_of, UTC)
        self.attention = Attention(self.alerts, self.chats, clock, lambda account: self.book)
        closings = ClosingMessages(kf, self.ledger, clock, lambda handoff: "", sleep)
        self.handoffs = Handoffs(kf, self.ledger, clock, closings, sleep)
        self.handoffs.untold.catch_up = nothing_more
        self.words = LastWords(True)
        self.subjects = Subjects(self.ledger, self.people, self.sync_store, self.words)

    def notices(self, lifeline: FakeLifeline | None = None) -> Notices:
        return Notices(self.channel, lifeline, self.chats, self.clock, self.say, lambda: CHAT)

    def speaker(self, lifeline: FakeLifeline | None = None, *admins: str) -> Speaker:
        return Speaker(
            self.alerts, self.attention, self.clock, self.notices(lifeline), self.subjects, self.say,
            {KF: CHAT, KF2: AFTER}.__getitem__, admins,
        )  # fmt: skip

    # -- what happens to sessions, in WeCom and on record

    async def waiting(
        self, customer: str = ANN, kf: str = KF, seconds: float = 6 * MINUTE, text: str = "在吗"
    ) -> Handoff:
        """Wrote so long ago, and the servicer has not answered."""
        at = self.clock.now() - seconds

        def begin(session: Session) -> None:
            customer_wrote(session, at, text, at)
            open_handoff(session, HandoffStatus.ACCEPTED, LI, at, Via.EVENT).last_text = text

        self.kf.session_state(kf, customer, HUMAN, LI)
        return await self._changed(customer, kf, begin)

    async def silent(self, customer: str = ANN, kf: str = KF, seconds: float = 31 * MINUTE) -> Handoff:
        """The servicer answered so long ago, and nobody has written since."""
        handoff = await self.waiting(customer, kf, seconds + MINUTE)
        return await self.answered(handoff, seconds)

    async def queued(self, customer: str = ANN, kf: str = KF, seconds: float = 4 * MINUTE) -> Handoff:
        at = self.clock.now() - seconds

        def begin(session: Session) -> None:
            customer_wrote(session, at, "人工", at)
            open_handoff(session, HandoffStatus.PENDING, None, at, Via.EVENT)

        self.kf.session_state(kf, customer, QUEUED)
        return await self._changed(customer, kf, begin)

    async def answered(self, handoff: Handoff, ago: float = 0.0) -> Handoff:
        at = self.clock.now() - ago
        return await self._changed(
            handoff.external_userid, handoff.open_kfid, lambda session: servicer_wrote(session, at, LI, at)
        )

    async def asked(self, handoff: Handoff, text: str = "？") -> Handoff:
        """The customer writes again."""
        at = self.clock.now()
        return await self._changed(
            handoff.external_userid, handoff.open_kfid, lambda session: customer_wrote(session, at, text, at)
        )

    async def ended(self, handoff: Handoff, by: str = LI, via: str = Via.CLIENT) -> Handoff:
        """On record only: WeCom has ended it, and the news has just come in."""
        now, operator = self.clock.now(), Operator(OperatorType.AGENT, by)
        await self.ledger.change(handoff.key, lambda session: finish(session, operator, via, now), now)
        return await self.handoff(handoff.id)

    async def _changed(self, customer: str, kf: str, decide: Callable[[Session], object]) -> Handoff:
        key = SessionKey(kf, customer)
        await self.ledger.change(key, decide, self.clock.now())
        handoff = await self.ledger.open_handoff(key)
        assert handoff is not None
        return handoff

    async def crowd(self, count: int, kf: str = KF) -> list[Handoff]:
        """Customers who wait, the first one longest."""
        names = [self.kf.customer_new(f"客户{number}", f"wmCrowd{number:025}") for number in range(count)]
        await self.people.save_nicknames({each: f"客户{number}" for number, each in enumerate(names)}, 0.0)
        return [await self.waiting(each, kf, 6 * MINUTE + count - number) for number, each in enumerate(names)]

    # -- what is on record

    async def handoff(self, number: int) -> Handoff:
        found = await self.ledger.handoff(number)
        assert found is not None
        return found

    async def watched(self, handoff: Handoff) -> Watched:
        [found] = await self.alerts.watched([handoff.id])
        return found

    async def raised(self, handoff: Handoff, rule: Rule = Rule.CUSTOMER_WAITING, sends: int = 1) -> Watched:
        """As if the group had been told so often, the last time just now."""
        now = self.clock.now()
        for number in range(1, sends + 1):
            sending = Sending(handoff, rule, now, number, next_send(self.book, rule, number, now))
            assert await self.alerts.record([Order(handoff, now + 9 * HOUR, {}, (), [sending])], now) == [sending]
            assert await self.alerts.hand_out([sending])
        return await self.watched(handoff)

    def policy(self, **changes: object) -> None:
        self.book = replace(self.book, **changes)  # type: ignore[arg-type]


@pytest.fixture
async def scene(database: Database, fake_clock: FakeClock, fake_sleep: FakeSleep, fake_kf: FakeKf) -> Scene:
    made = Scene(database, fake_clock, fake_sleep, fake_kf)
    await made.sync_store.know_accounts([KfAccount(KF, "售前咨询"), KfAccount(KF2, "售后服务")])
    await made.people.save_nicknames({ANN: "小林", BOB: "Bob"}, 0.0)
    return made
