"""The report's way: once a day to each group, by what is left when the connection is down; on request; the picture."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bot.errors import ChannelError, StorageError
from bot.handing import UNFOLLOWED, Handing
from bot.model import EVERYTHING, GroupMessage, HandoffStatus, KfAccount, Operator, OperatorType, Scope, Via
from bot.model import SessionKey as Key
from bot.picture import Drawing
from bot.report import MOST_PICTURES, Report
from bot.sessions import Session, finish, open_handoff
from bot.wecom.errcodes import meaning_of
from bot.wording import Words
from storage.chats import Chats
from storage.database import Database
from storage.ledger import Ledger
from storage.people import People
from storage.stats import Stats
from storage.sync_store import SyncStore
from tests.fakes import ANN, BOB, KF, KF2, LI, FakeChannel, FakeClock, raising

ZONE = ZoneInfo("Asia/Shanghai")
SIX = datetime(2026, 11, 20, 18, 0, tzinfo=ZONE).timestamp()
FIRST, SECOND = "wrFIRST", "wrSECOND"
PNG = b"\x89PNG"


@dataclass
class Lifeline:
    """The webhook robot of the first group."""

    problem: str = ""
    sent: list[str] = field(default_factory=list)
    images: list[bytes] = field(default_factory=list)

    async def send(self, markdown: str, handing: Handing = UNFOLLOWED) -> None:
        if self.problem:
            raise ChannelError(self.problem)
        self.sent.append(markdown)

    async def send_image(self, png: bytes) -> None:
        self.images.append(png)


@dataclass
class Office:
    """Two groups, one of which sees one account only."""

    database: Database
    channel: FakeChannel = field(default_factory=FakeChannel)
    clock: FakeClock = field(default_factory=lambda: FakeClock(SIX))
    drawn: list[Drawing] = field(default_factory=list)
    png: bytes = PNG

    def report(
        self,
        *,
        at: str = "18:00",
        lifeline: Lifeline | None = None,
        connected: bool = True,
        draw: Callable[[Drawing], Awaitable[bytes]] | None = None,
    ) -> Report:
        groups = [(FIRST, EVERYTHING), (SECOND, Scope(frozenset({KF}), others=False))]
        return Report(
            Stats(self.database),
            People(self.database),
            Chats(self.database),
            self.clock,
            Words("zh", "kfbot", meaning_of, ZONE),
            self.channel if connected else None,
            lambda: groups,
            at,
            lifeline,
            draw or self.draw,
        )

    async def draw(self, drawing: Drawing) -> bytes:
        self.drawn.append(drawing)
        return self.png

    async def handle(self, key: Key, at: float) -> None:
        def live(session: Session) -> None:
            open_handoff(session, HandoffStatus.ACCEPTED, LI, at - 60, Via.EVENT)
            finish(session, Operator(OperatorType.AGENT, LI), Via.BUTTON, at)

        await Ledger(self.database, "ww").change(key, live, at)

    def told(self) -> list[tuple[str, str]]:
        """(chat, the line of the handled), in order."""
        return [(chat, text.splitlines()[1]) for chat, _, text in self.channel.sent]


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    database = Database(tmp_path / "kfbot.db")
    await database.open()
    await SyncStore(database, "ww").know_accounts([KfAccount(KF, "售前咨询"), KfAccount(KF2, "售后服务")])
    office = Office(database)
    await office.handle(Key(KF, ANN), SIX - 3600)
    await office.handle(Key(KF2, BOB), SIX - 86000)
    await office.handle(Key(KF2, ANN), SIX - 90000)
    yield office
    await database.close()


# -- once a day


async def test_each_group_gets_the_numbers_of_its_accounts_then_the_picture(office: Office) -> None:
    await office.report().run(SIX)
    assert office.told() == [(FIRST, "处理 **2** 个（前一天 1）"), (SECOND, "处理 **1** 个")]
    assert office.channel.sent[0][2].startswith("**客服日报** 11-19 18:00 – 11-20 18:00 · 售前咨询、售后服务")
    assert office.channel.images == [(FIRST, True, PNG), (SECOND, True, PNG)]
    assert [drawing.figures[0].value for drawing in office.drawn] == ["2", "1"]


async def test_it_is_sent_once_however_often_it_is_looked_at_and_by_however_many(office: Office) -> None:
    report, other = office.report(), office.report()
    await asyncio.gather(report.run(SIX), other.run(SIX + 1))
    for seconds in (30, 60, 890):
        await report.run(SIX + seconds)
    await office.report().run(SIX + 100)  # a restart
    assert sorted(chat for chat, _ in office.told()) == [FIRST, SECOND]


async def test_the_next_day_has_a_report_of_its_own(office: Office) -> None:
    report = office.report()
    for seconds in (0, 900, 86400):
        await report.run(SIX + seconds)
    assert [chat for chat, _ in office.told()] == [FIRST, SECOND] * 2


@pytest.mark.parametrize("seconds", [-1, 900])
async def test_at_other_times_nothing_is_sent(office: Office, seconds: float) -> None:
    await office.report().run(SIX + seconds)
    assert office.channel.sent == []


async def test_without_a_time_there_is_no_daily_report(office: Office) -> None:
    await office.report(at="").run(SIX)
    assert office.channel.sent == []


async def test_a_group_that_cannot_be_reached_does_not_cost_the_others_theirs(
    office: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    send = office.channel.send

    async def refuse_first(self: FakeChannel, chat_id: str, is_group: bool, markdown: str) -> None:
        if chat_id == FIRST:
            raise ChannelError("the bot is not in this group", 846610)
        await send(chat_id, is_group, markdown)

    monkeypatch.setattr(FakeChannel, "send", refuse_first)
    await office.report().run(SIX)
    assert [chat for chat, _ in office.told()] == [SECOND]
    assert f"daily report not delivered | chat={FIRST} the bot is not in this group" in caplog.text


async def test_a_fault_within_one_report_does_not_cost_the_others_theirs(
    office: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    accounts = Stats.accounts

    async def fail_for_all(self: Stats, scope: Scope) -> list[str]:
        if scope == EVERYTHING:
            raise StorageError("disk I/O error")
        return await accounts(self, scope)

    monkeypatch.setattr(Stats, "accounts", fail_for_all)
    report = office.report()
    await report.run(SIX)
    assert [chat for chat, _ in office.told()] == [SECOND]
    assert f"daily report failed | chat={FIRST}" in caplog.text
    monkeypatch.undo()
    await report.run(SIX + 30)  # nothing was claimed: tried again
    assert [chat for chat, _ in office.told()] == [SECOND, FIRST]


async def test_a_lost_connection_that_comes_back_soon_is_waited_for(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    report = office.report()
    office.channel.problem = "reconnecting"
    await report.run(SIX)
    assert f"daily report waits for a connection | chat={FIRST}" in caplog.text
    office.channel.problem = ""
    await report.run(SIX + 30)
    assert [chat for chat, _ in office.told()] == [FIRST, SECOND]


async def test_what_was_certainly_refused_is_tried_again_within_the_quarter_of_an_hour(office: Office) -> None:
    office.channel.before("send", raising(ChannelError("too many", 45009)), raising(ChannelError("too many", 45009)))
    report = office.report()
    await report.run(SIX)
    assert office.channel.sent == []
    for _ in range(3):
        await report.run(SIX + 60)
    assert [chat for chat, _, _ in office.channel.sent] == [FIRST, SECOND]


async def test_without_a_connection_the_first_groups_webhook_takes_words_and_picture(office: Office) -> None:
    office.channel.problem, lifeline = "reconnecting", Lifeline()
    await office.report(lifeline=lifeline).run(SIX)
    assert [text.splitlines()[1] for text in lifeline.sent] == ["处理 **2** 个（前一天 1）"]
    assert lifeline.images == [PNG]
    assert office.channel.sent == []


async def test_with_a_webhook_alone_there_is_a_daily_report_too(office: Office) -> None:
    lifeline = Lifeline()
    await office.report(lifeline=lifeline, connected=False).run(SIX)
    assert len(lifeline.sent) == len(lifeline.images) == 1


async def test_what_the_channel_refuses_goes_by_webhook(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(self: FakeChannel, chat_id: str, is_group: bool, markdown: str) -> None:
        raise ChannelError("refused", 1)

    monkeypatch.setattr(FakeChannel, "send", refuse)
    lifeline = Lifeline()
    await office.report(lifeline=lifeline).run(SIX)
    assert len(lifeline.sent) == len(lifeline.images) == 1


async def test_what_may_have_arrived_is_not_sent_by_webhook_again(
    office: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def unanswered(self: FakeChannel, chat_id: str, is_group: bool, markdown: str) -> None:
        error = ChannelError("no acknowledgement")
        error.sent = True
        raise error

    monkeypatch.setattr(FakeChannel, "send", unanswered)
    lifeline = Lifeline()
    await office.report(lifeline=lifeline).run(SIX)
    assert lifeline.sent == []
    assert [chat for chat, _, _ in office.channel.images] == [FIRST, SECOND]
    assert "not acknowledged" in caplog.text


async def test_a_webhook_that_fails_too_is_logged(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    office.channel.problem = "reconnecting"
    await office.report(lifeline=Lifeline("webhook: 93000")).run(SIX)
    assert f"daily report not delivered | chat={FIRST} webhook: 93000" in caplog.text


# -- the picture may fail


async def test_without_a_picture_the_words_stand_alone(office: Office) -> None:
    office.png = b""
    await office.report().run(SIX)
    assert len(office.channel.sent) == 2
    assert office.channel.images == []


async def test_a_picture_that_does_not_arrive_is_logged(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    office.png = bytes(3 << 20)
    await office.report().run(SIX)
    assert len(office.channel.sent) == 2
    assert f"picture not delivered | chat={FIRST} the picture is too large" in caplog.text


async def test_a_fault_in_drawing_costs_the_picture_alone(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(drawing: Drawing) -> bytes:
        raise RuntimeError("no pencil")

    await office.report(draw=broken).run(SIX)
    assert len(office.channel.sent) == 2
    assert "no pencil" in caplog.text


# -- on request

ASKED = GroupMessage("fake", "m1", SECOND, True, LI, "/stats")


async def pictures(report: Report) -> None:
    while report._pictures:
        await asyncio.gather(*report._pictures)
        await asyncio.sleep(0)  # those that are done may still stand there


async def test_the_answer_comes_at_once_and_the_picture_to_the_same_chat_after_it(office: Office) -> None:
    pencil = asyncio.Event()

    async def slow(drawing: Drawing) -> bytes:
        await pencil.wait()
        return PNG

    report = office.report(draw=slow)
    answer = await report.stats(ASKED, "", EVERYTHING)
    assert answer.splitlines()[:2] == [
        "**今日统计** 11-20 周五 截至 18:00 · 售前咨询、售后服务",
        "处理 **1** 个（昨天此时 1）",
    ]
    assert office.channel.images == []
    pencil.set()
    await pictures(report)
    assert office.channel.images == [(SECOND, True, PNG)]


async def test_a_week_on_request(office: Office) -> None:
    report = office.report()
    answer = await report.stats(ASKED, "week", Scope(frozenset({KF2}), others=False))
    assert answer.startswith("**近 7 天统计** 11-14 – 11-20 · 售后服务\n处理 **2** 个")
    await pictures(report)
    assert office.drawn[0].panels[0].title == "每天处理"


async def test_the_customer_of_the_longest_is_named(office: Office) -> None:
    await People(office.database).save_nicknames({ANN: "小林"}, SIX)
    report = office.report()
    assert "最长：#1 **小林** `wm7lAn…0001`，1 分钟" in await report.stats(ASKED, "today", EVERYTHING)
    await pictures(report)


async def test_pictures_are_drawn_one_at_a_time(office: Office) -> None:
    at_once: list[str] = []
    most = 0

    async def slow(drawing: Drawing) -> bytes:
        nonlocal most
        at_once.append(drawing.title)
        most = max(most, len(at_once))
        await asyncio.sleep(0)
        at_once.pop()
        return PNG

    report = office.report(draw=slow)
    await asyncio.gather(*(report.stats(ASKED, "", EVERYTHING) for _ in range(3)))
    await pictures(report)
    assert (most, len(office.channel.images)) == (1, 3)


async def test_who_asks_beyond_that_gets_the_words_alone(office: Office) -> None:
    never = asyncio.Event()

    async def stuck(drawing: Drawing) -> bytes:
        await never.wait()
        return PNG

    report = office.report(draw=stuck)
    for _ in range(MOST_PICTURES + 3):
        assert "处理" in await report.stats(ASKED, "", EVERYTHING)
    assert len(report._pictures) == MOST_PICTURES
    await report.stop()


async def test_a_stop_waits_for_no_picture(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)

    async def stuck(drawing: Drawing) -> bytes:
        await asyncio.Event().wait()
        return PNG

    report = office.report(draw=stuck)
    await report.stats(ASKED, "", EVERYTHING)
    await report.stop()
    assert (office.channel.images, caplog.text) == ([], "")
