"""A group with everything behind it but the network: the real dispatch, domain and database, a WeCom of one dict."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import commands
from bot.attention import Attention
from bot.audited import Audit
from bot.books import Books
from bot.bulk import BulkEnds
from bot.closing import ClosingMessages
from bot.desk import Desk
from bot.discovery import discover
from bot.dispatch import Access, Dispatch
from bot.errors import ChannelError, WeComError
from bot.handing import UNFOLLOWED, Handing
from bot.handoffs import Handoffs
from bot.model import (
    Card,
    CardTap,
    GroupMessage,
    Handoff,
    HandoffStatus,
    KfAccount,
    Message,
    Operator,
    OperatorType,
    Rule,
    Scope,
    Servicer,
    ServiceState,
    SessionKey,
    StateReading,
    SyncPage,
    Via,
)
from bot.ports import MessageHandler, Order, Sending, TapHandler
from bot.registry import Command, Registry
from bot.sessions import Session, customer_wrote, finish, open_handoff, servicer_wrote
from bot.settings import Settings
from bot.teams import Teams
from bot.transfer import Transfers
from bot.wecom.errcodes import meaning_of
from bot.wording import Words
from storage.alerts import Alerts
from storage.audit import AuditLog
from storage.chats import Chats
from storage.database import Database
from storage.ledger import Ledger
from storage.people import People
from storage.sync_store import SyncStore
from tests.fakes import FakeClock, FakeSleep, nothing_more, worked

KF, KF2 = "wkTEST00000000000000000000000001", "wkTEST00000000000000000000000002"
ANN, ANNA = "wm7lKAAnnaaaaaaaaaaaaaaaaaaaOUPw", "wm7lKBAnnaaaaaaaaaaaaaaaaaaaXYZw"
BOB = "wmQ4Bob-_00000000000000000000002"
CHAT, AFTER = "wrTESTGROUP", "wrAFTERSALES"
NOW = 1_795_000_000.0
MSGIDS = itertools.count(1)


@dataclass
class Kf:
    """WeCom as one dict of states. `refuse` holds what the next calls of a name raise, in order."""

    states: dict[SessionKey, StateReading] = field(default_factory=dict)
    moves: list[tuple[SessionKey, str | None]] = field(default_factory=list)
    refuse: dict[str, list[Exception]] = field(default_factory=dict)
    before: Callable[[str], None] = lambda call: None
    staff: list[Servicer] = field(default_factory=list)

    def _enter(self, call: str) -> None:
        self.before(call)
        if self.refuse.get(call):
            raise self.refuse[call].pop(0)

    async def accounts(self) -> list[KfAccount]:
        return []

    async def servicers(self, open_kfid: str) -> list[Servicer]:
        self._enter("servicers")
        return self.staff

    async def nicknames(self, external_userids: Iterable[str]) -> dict[str, str]:
        return {}

    async def state(self, key: SessionKey) -> StateReading:
        self._enter("state")
        return self.states.get(key, StateReading(ServiceState.NEW))

    async def trans(self, key: SessionKey, target: ServiceState, servicer_userid: str | None = None) -> str:
        self._enter("trans")
        self.moves.append((key, servicer_userid))
        self.states[key] = StateReading(target, servicer_userid if target is ServiceState.HUMAN else None)
        return "CODE"

    async def sync(self, open_kfid: str, cursor: str, token: str = "", limit: int = 1000) -> SyncPage:
        return SyncPage([], cursor, False)

    async def send(self, key: SessionKey, message: Message, msgid: str) -> str:
        return msgid

    async def send_on_event(self, code: str, message: Message, msgid: str) -> str:
        self._enter("send_on_event")
        return msgid


@dataclass
class Channel:
    """Keeps what was said. `broken` is raised instead."""

    name: str = "fake"
    said: list[str] = field(default_factory=list)
    broken: Exception | None = None
    ready: bool = True
    problem: str = ""

    async def start(self, on_message: MessageHandler, on_tap: TapHandler) -> None: ...

    async def stop(self) -> None: ...

    async def reply(self, to: GroupMessage, markdown: str) -> None:
        if self.broken is not None:
            raise self.broken
        self.said.append(markdown)

    async def send(self, chat_id: str, is_group: bool, markdown: str, handing: Handing = UNFOLLOWED) -> None:
        raise ChannelError("nothing is pushed here")

    async def send_card(self, chat_id: str, is_group: bool, card: Card, handing: Handing = UNFOLLOWED) -> None: ...

    async def send_image(self, chat_id: str, is_group: bool, png: bytes) -> None: ...

    async def update_card(self, tap: CardTap, card: Card) -> None: ...


@dataclass
class Room:
    """`ask` is what a member types behind the mention; it returns the answer."""

    database: Database
    clock: FakeClock
    kf: Kf
    channel: Channel
    ledger: Ledger
    people: People
    chats: Chats
    desk: Desk
    dispatch: Dispatch
    problems: list[str]

    async def ask(
        self,
        text: str,
        userid: str = "LiNa",
        chat: str = CHAT,
        *,
        single: bool = False,
        quote: str = "",
        msgid: str = "",
    ) -> str:
        before = len(self.channel.said)
        message = GroupMessage(
            "fake", msgid or f"m{next(MSGIDS)}", userid if single else chat, not single, userid, text, quote
        )
        await worked(self.dispatch.hear, message)
        return "\n".join(self.channel.said[before:])

    async def open(
        self, customer: str = ANN, kf: str = KF, *, nickname: str = "", servicer: str = "ZhangSan", waits: float = 0.0
    ) -> Handoff:
        """A customer who wrote `waits` seconds ago, with a servicer who has not answered."""
        key, at = SessionKey(kf, customer), self.clock.time - waits

        def begin(session: Session) -> Handoff:
            customer_wrote(session, at, "在吗", at)
            handoff = open_handoff(session, HandoffStatus.ACCEPTED, servicer, at, Via.EVENT)
            handoff.last_text = "在吗"
            return handoff

        handoff = await self.ledger.change(key, begin, at)
        self.kf.states[key] = StateReading(ServiceState.HUMAN, servicer)
        if nickname:
            await self.people.save_nicknames({customer: nickname}, at)
        return handoff

    async def queue(self, customer: str = ANN, kf: str = KF) -> Handoff:
        key = SessionKey(kf, customer)
        now = self.clock.time
        self.kf.states[key] = StateReading(ServiceState.QUEUED)
        return await self.ledger.change(
            key, lambda session: open_handoff(session, HandoffStatus.PENDING, None, now, Via.EVENT), now
        )

    async def answered(self, customer: str = ANN, kf: str = KF, servicer: str = "ZhangSan") -> None:
        now = self.clock.time
        await self.ledger.change(
            SessionKey(kf, customer), lambda session: servicer_wrote(session, now, servicer, now), now
        )

    async def ended(
        self, customer: str = ANN, kf: str = KF, *, by: str = "LiNa", via: str = Via.COMMAND, reason: str = ""
    ) -> None:
        """End the open handoff on record and with WeCom."""
        key, now = SessionKey(kf, customer), self.clock.time
        types = {"": OperatorType.AGENT, "WeCom": OperatorType.SYSTEM, customer: OperatorType.USER}
        operator = Operator(types.get(by, OperatorType.AGENT), by)
        await self.ledger.change(key, lambda session: finish(session, operator, via, now, reason), now)
        self.kf.states[key] = StateReading(ServiceState.ENDED)

    async def alert(self, handoff: Handoff, rule: Rule = Rule.CUSTOMER_WAITING, sends: int = 1) -> None:
        """As if the group had been told so often, the last time just now."""
        now, alerts = self.clock.time, Alerts(self.database)
        for number in range(1, sends + 1):
            sending = Sending(handoff, rule, now, number, now + 900)
            assert await alerts.record([Order(handoff, now + 9999, {}, (), [sending])], now) == [sending]

    async def row(self, number: int) -> dict[str, Any]:
        """One row of the command log."""
        sql = "SELECT command, outcome, incident, text, userid, seconds FROM commands WHERE id=?"
        row = await self.database.read(lambda db: db.execute(sql, (number,)).fetchone())
        return dict(zip(("command", "outcome", "incident", "text", "userid", "seconds"), row, strict=True))

    async def rows(self) -> int:
        return int(await self.database.read(lambda db: db.execute("SELECT count(*) FROM commands").fetchone()[0]))


@asynccontextmanager
async def a_room(
    file: Path,
    lang: str = "zh",
    *,
    admins: Iterable[str] = ("Boss",),
    agents: Iterable[str] = (),
    paired: Iterable[str] = (CHAT,),
    routes: Mapping[str, str] | None = None,
    more: Iterable[Command] = (),
) -> AsyncIterator[Room]:
    """`more`: commands beside the shipped ones. Two rooms on one file are two lives of one bot."""
    database, clock, kf, channel = Database(file), FakeClock(NOW), Kf(), Channel()
    await database.open()
    ledger, people, chats = Ledger(database, "wwcorp"), People(database), Chats(database)
    await SyncStore(database, "wwcorp", "last").know_accounts([KfAccount(KF, "售前咨询"), KfAccount(KF2, "售后_服务")])
    closings = ClosingMessages(kf, ledger, clock, lambda handoff: "再见")
    handoffs = Handoffs(kf, ledger, clock, closings, FakeSleep(clock))
    handoffs.untold.catch_up = nothing_more
    groups, problems = {*paired, *(routes or {}).values()}, list[str]()
    teams = Teams(routes or {}, tuple(paired), groups)

    async def unwell(scope: Scope) -> tuple[str, ...]:
        return tuple(problems)

    desk = Desk(chats, clock, groups, unwell, channel, "kfbot")
    registry = Registry([*discover(commands, Command), *more])
    access = Access(frozenset(admins), frozenset(agents))
    say = Words(lang, "kfbot", meaning_of)
    audit = Audit(AuditLog(database), clock)
    transfers, bulk = Transfers(kf, ledger, people, handoffs, clock), BulkEnds(handoffs, clock, say, audit)
    dispatch = Dispatch(
        registry,
        access,
        say,
        clock,
        channel,
        chats,
        ledger,
        people,
        handoffs,
        desk,
        transfers,
        bulk,
        attention=Attention(Alerts(database), chats, clock, Books(Settings())),
        teams=teams,
        audit=audit,
        paired=groups,
        sleep=FakeSleep(clock),
    )
    await dispatch.start()
    try:
        yield Room(database, clock, kf, channel, ledger, people, chats, desk, dispatch, problems)
    finally:
        await database.close()


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with a_room(tmp_path / "kfbot.db") as ready:
        yield ready


@pytest.fixture
async def two_groups(tmp_path: Path) -> AsyncIterator[Room]:
    """KF2 is served in AFTER; what no route names, as KF, in CHAT."""
    async with a_room(tmp_path / "kfbot.db", paired=(CHAT, "wrIDLE"), routes={KF2: AFTER}) as ready:
        yield ready


@pytest.fixture
async def english(tmp_path: Path) -> AsyncIterator[Room]:
    async with a_room(tmp_path / "kfbot.db", "en") as ready:
        yield ready


def refusal(errcode: int, errmsg: str = "refused") -> WeComError:
    return WeComError(errcode, errmsg, "kf/service_state/trans")
