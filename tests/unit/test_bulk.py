"""Ending many: what a condition means, who may confirm a plan and when, and what becomes of each session."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from bot.audited import Audit
from bot.bulk import (
    ALPHABET,
    AT_ONCE,
    CODE_LENGTH,
    CONFIRM_WITHIN,
    MOST,
    BulkEnds,
    Plan,
    Tally,
    parse_condition,
)
from bot.closing import ClosingMessages
from bot.errors import CommandError
from bot.handoffs import Handoffs
from bot.model import GroupMessage, Handoff, HandoffStatus, Operator, OperatorType, Rule, SessionKey
from bot.sessions import customer_wrote, servicer_wrote
from bot.wecom.errcodes import meaning_of
from bot.wording import Words
from storage.audit import AuditLog
from storage.database import Database
from storage.ledger import Ledger
from tests.fakes import ANN, BOB, HUMAN, KF, KF2, LI, QUEUED, FakeClock, FakeKf, raising, refusal, unavailable

ZH = Words("zh", "kfbot", meaning_of)
NOW = 1_700_000_000.25
ASKER = Operator(OperatorType.AGENT, "ChenJing")
MINUTE, HOUR = 60.0, 3600.0


def message(userid: str = "ChenJing", chat: str = "wrA") -> GroupMessage:
    return GroupMessage("fake", "m", chat, True, userid, "")


def handoff(
    status: HandoffStatus = HandoffStatus.IN_PROGRESS,
    *,
    accepted_at: float = NOW - 2 * HOUR,
    active_at: float = NOW - 2 * HOUR,
    waiting_since: float | None = None,
) -> Handoff:
    """Accepted, answered and silent for two hours, unless said otherwise."""
    value = Handoff(1, "ww", KF, ANN, status, LI, NOW - 2 * HOUR, accepted_at)
    value.active_at, value.waiting_since = active_at, waiting_since
    return value


# -- conditions


@pytest.mark.parametrize(
    ("text", "rule", "seconds"),
    [
        ("idle>30m", Rule.HUMAN_IDLE, 30 * MINUTE),
        ("waiting>10m", Rule.CUSTOMER_WAITING, 10 * MINUTE),
        ("open>4h", Rule.HUMAN_OPEN, 4 * HOUR),
        ("IDLE > 30M", Rule.HUMAN_IDLE, 30 * MINUTE),
        ("空闲＞30分钟", Rule.HUMAN_IDLE, 30 * MINUTE),
        ("空闲》30m。", Rule.HUMAN_IDLE, 30 * MINUTE),
        ("等待 > 10 分钟", Rule.CUSTOMER_WAITING, 10 * MINUTE),
        ("接待>4小时", Rule.HUMAN_OPEN, 4 * HOUR),
        ("`open>30d`", Rule.HUMAN_OPEN, 30 * 24 * HOUR),
        ("ｉｄｌｅ＞９０ｓ", Rule.HUMAN_IDLE, 90.0),
    ],
)
def test_a_condition_as_people_write_it(text: str, rule: Rule, seconds: float) -> None:
    condition = parse_condition(text, ZH)
    assert (condition.rule, condition.seconds) == (rule, seconds)


def test_a_condition_is_told_so_that_it_can_be_typed_again() -> None:
    condition = parse_condition("空闲 ＞ 30 分钟", ZH)
    assert str(condition) == "idle>30分钟"
    assert parse_condition(str(condition), ZH) == condition


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("idle>10", "`10` 不是有效的时长"),
        ("idle>-5m", "`-5m` 不是有效的时长"),
        ("idle>0m", "`0m` 不是有效的时长"),
        ("open>1000d", "`1000d` 不是有效的时长"),
        ("open>31d", "`31d` 不是有效的时长"),
        ("idle>30m 下班了", "`30m下班了` 不是有效的时长"),
        ("idle", "看不懂条件 `idle`"),
        ("idle>", "看不懂条件"),
        (">30m", "看不懂条件"),
        ("30m", "看不懂条件 `30m`"),
        ("idle<30m", "看不懂条件"),
        ("age>30m", "看不懂条件"),
        ("idle>30m waiting>10m", "一次只能写一个条件"),
        ("", "用法"),
        ("。", "用法"),
        ("x" * 4000, "看不懂条件"),
    ],
)
def test_anything_else_gets_a_sentence_and_the_ways_to_write_one(text: str, why: str) -> None:
    with pytest.raises(CommandError) as refused:
        parse_condition(text, ZH)
    assert why in str(refused.value) and "`idle>30m`" in str(refused.value)
    assert refused.value.outcome == "usage"


@pytest.mark.parametrize(
    ("text", "which", "fits"),
    [
        ("idle>119m", handoff(), True),
        ("idle>2h", handoff(), False),  # more than, not as much as
        ("idle>30m", handoff(active_at=NOW - 29 * MINUTE), False),
        ("idle>30m", handoff(HandoffStatus.ACCEPTED), True),
        ("idle>30m", handoff(accepted_at=NOW - 29 * MINUTE), False),  # what was waited in the queue is the queue's
        ("idle>30m", handoff(HandoffStatus.PENDING), False),
        ("idle>30m", handoff(HandoffStatus.COMPLETED), False),
        ("waiting>10m", handoff(), False),
        ("waiting>10m", handoff(waiting_since=NOW - 11 * MINUTE), True),
        ("waiting>10m", handoff(waiting_since=NOW - 9 * MINUTE), False),
        ("open>1h", handoff(active_at=NOW), True),
        ("open>3h", handoff(), False),
        ("open>1h", handoff(HandoffStatus.PENDING), False),
    ],
)
def test_what_a_condition_fits(text: str, which: Handoff, fits: bool) -> None:
    assert parse_condition(text, ZH).fits(which, NOW) is fits


# -- plans


@dataclass
class Bot:
    bulk: BulkEnds
    handoffs: Handoffs
    ledger: Ledger
    kf: FakeKf
    clock: FakeClock
    tick: asyncio.Event

    async def open(self, customer: str = ANN, kf: str = KF, *, answered: bool = True) -> Handoff:
        """With a human since now."""
        key, now = SessionKey(kf, customer), self.clock.now()
        self.kf.customer_new(customer, customer)
        self.kf.customer_writes(kf, customer, "在吗")
        self.kf.session_state(kf, customer, HUMAN, LI)
        await self.ledger.change(key, lambda session: customer_wrote(session, now, "在吗", now), now)
        await self.handoffs.read_state(key)
        if answered:
            await self.ledger.change(key, lambda session: servicer_wrote(session, now, LI, now), now)
        found = await self.ledger.open_handoff(key)
        assert found is not None
        return found

    async def plan(self, condition: str = "idle>30m", **where: str) -> Plan:
        return await self.bulk.plan(self.ledger, condition, message(**where), self.clock.now())

    def take(self, code: str, **where: str) -> Plan:
        return self.bulk.take(message(**where), code, self.clock.now())

    def refusal(self, code: str, **where: str) -> str:
        with pytest.raises(CommandError) as refused:
            self.take(code, **where)
        return str(refused.value)

    async def run(self, plan: Plan, told: list[int] | None = None) -> Tally:
        async def tell(tally: Tally) -> None:
            if told is not None:
                told.append(tally.done)

        return await self.bulk.run(plan, self.ledger, ASKER, ("wrA", True), tell)


@pytest.fixture
def bot(fake_kf: FakeKf, ledger: Ledger, fake_clock: FakeClock, database: Database) -> Bot:
    """Its sleep lasts until `tick` is set."""
    tick = asyncio.Event()

    async def sleep(seconds: float) -> None:
        await tick.wait()
        tick.clear()

    closings = ClosingMessages(fake_kf, ledger, fake_clock, lambda handoff: "")
    handoffs = Handoffs(fake_kf, ledger, fake_clock, closings)
    audit = Audit(AuditLog(database), fake_clock)
    return Bot(BulkEnds(handoffs, fake_clock, ZH, audit, sleep), handoffs, ledger, fake_kf, fake_clock, tick)


async def test_a_plan_holds_what_fits_longest_first(bot: Bot) -> None:
    await bot.open(ANN, answered=False)
    bot.clock.move(600)
    await bot.open(BOB)
    bot.clock.move(31 * MINUTE)
    await bot.open(ANN, KF2)
    plan = await bot.plan()
    assert ([each.id for each in plan.handoffs], plan.waiting, plan.more) == ([1, 2], 1, False)
    assert [each.id for each in (await bot.plan("waiting>10m")).handoffs] == [1]
    assert [each.id for each in (await bot.plan("open>40m")).handoffs] == [1]
    assert len(plan.code) == CODE_LENGTH and set(plan.code) <= set(ALPHABET)


async def test_a_plan_takes_so_many_at_once_and_says_when_there_are_more(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST == 200
    monkeypatch.setattr("bot.bulk.MOST", 2)
    for number in range(3):
        await bot.open(f"wmMANY{number:026}")
    bot.clock.move(HOUR)
    plan = await bot.plan()
    assert (len(plan.handoffs), plan.more) == (2, True)


async def test_only_its_author_confirms_a_plan_here_and_once(bot: Bot) -> None:
    await bot.open()
    bot.clock.move(HOUR)
    plan = await bot.plan()
    assert "ChenJing" in bot.refusal(plan.code, userid="LiNa")
    assert "列出计划的地方" in bot.refusal(plan.code, chat="wrB")
    assert "没有等您确认" in bot.refusal(plan.code, userid="LiNa", chat="wrB")
    assert "没有等您确认" in bot.refusal("WRONG")
    assert bot.take(plan.code.lower()) == plan
    assert "已经用过" in bot.refusal(plan.code)


async def test_a_plan_is_good_for_a_minute(bot: Bot) -> None:
    await bot.open()
    bot.clock.move(HOUR)
    plan = await bot.plan()
    bot.clock.move(CONFIRM_WITHIN + 0.1)
    assert "超过 60 秒" in bot.refusal(plan.code) and "/end all idle>30m" in bot.refusal(plan.code)
    plan = await bot.plan()
    bot.clock.move(CONFIRM_WITHIN)
    assert bot.take(plan.code) == plan


async def test_a_new_plan_takes_the_place_of_the_old_even_an_empty_one(bot: Bot) -> None:
    await bot.open()
    bot.clock.move(HOUR)
    first, other = await bot.plan(), await bot.plan(userid="LiNa")
    second = await bot.plan("open>30m")
    assert "没有等您确认" in bot.refusal(first.code)
    assert (await bot.plan("waiting>30m")).handoffs == ()
    assert "没有等您确认" in bot.refusal(second.code)
    assert bot.take(other.code, userid="LiNa") == other


# -- carrying out


async def test_all_that_fits_is_ended_by_the_one_who_confirmed(bot: Bot) -> None:
    for number in range(AT_ONCE * 2 + 1):
        await bot.open(f"wmMANY{number:026}")
    bot.clock.move(HOUR)
    tally = await bot.run(await bot.plan())
    assert (tally.ended, tally.done, tally.total) == (9, 9, 9)
    for each in await bot.ledger.history():
        assert (each.ended_by, each.operator_id, each.via) == (OperatorType.AGENT, "ChenJing", "command")
        assert each.reason == "idle>30m"


async def test_so_many_are_ended_at_once_and_no_more(bot: Bot) -> None:
    for number in range(AT_ONCE * 3):
        await bot.open(f"wmMANY{number:026}")
    bot.clock.move(HOUR)
    plan, running, most, full = await bot.plan(), 0, 0, asyncio.Event()

    async def begin() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == AT_ONCE:
            full.set()
        await full.wait()

    def over() -> None:
        nonlocal running
        running -= 1

    bot.kf.before("trans", *[begin] * 12)
    bot.kf.after("trans", *[over] * 12)
    assert (await bot.run(plan)).ended == 12
    assert most == AT_ONCE


async def test_who_wrote_since_is_skipped_and_who_has_ended_is_not_ended_again(bot: Bot) -> None:
    for customer in (ANN, BOB):
        await bot.open(customer)
    await bot.open(ANN, KF2)
    bot.clock.move(HOUR)
    plan, now = await bot.plan(), bot.clock.now()
    await bot.ledger.change(SessionKey(KF, ANN), lambda session: customer_wrote(session, now, "还在", now), now)
    bot.kf.session_state(KF, BOB, 4)
    await bot.handoffs.read_state(SessionKey(KF, BOB))
    bot.kf.session_state(KF2, ANN, 4)  # nobody has noticed yet
    tally = await bot.run(plan)
    assert (tally.skipped, tally.already, tally.ended) == (1, 2, 0)
    assert bot.kf.called("trans") == []


async def test_who_writes_at_the_last_moment_is_skipped(bot: Bot) -> None:
    await bot.open()
    bot.clock.move(HOUR)
    plan = await bot.plan()

    async def write() -> None:
        now = bot.clock.now()
        await bot.ledger.change(SessionKey(KF, ANN), lambda session: customer_wrote(session, now, "还在", now), now)

    bot.kf.before("state", write)
    tally = await bot.run(plan)
    assert (tally.skipped, tally.ended) == (1, 0)
    assert bot.kf.called("trans") == []


async def test_what_is_refused_is_counted_with_the_reason(bot: Bot) -> None:
    for customer in (ANN, BOB):
        await bot.open(customer)
    bot.clock.move(HOUR)
    bot.kf.before("trans", raising(refusal(95016)), raising(refusal(95016)))
    tally = await bot.run(await bot.plan())
    assert [each.error.errcode for each in tally.failures if each.error] == [95016, 95016]
    assert tally.done == 2


async def test_what_is_unanswered_is_told_later_where_it_was_asked(bot: Bot) -> None:
    await bot.open()
    bot.clock.move(HOUR)

    def silent() -> None:
        bot.kf.down = unavailable()
        raise bot.kf.down

    bot.kf.after("trans", silent)
    tally = await bot.run(await bot.plan())
    assert (tally.unknown, tally.done) == (1, 1)
    (pending,) = await bot.ledger.due_endings(bot.clock.now() + 60)
    assert (pending.chat_id, pending.is_group) == ("wrA", True)


async def test_a_handoff_in_the_queue_is_never_part_of_it(bot: Bot) -> None:
    bot.kf.customer_writes(KF, ANN, "在吗")
    bot.kf.session_state(KF, ANN, QUEUED)
    await bot.handoffs.read_state(SessionKey(KF, ANN))
    bot.clock.move(5 * HOUR)
    for condition in ("idle>1m", "waiting>1m", "open>1m"):
        assert (await bot.plan(condition)).handoffs == ()


async def test_progress_is_told_while_it_takes_long_and_never_afterwards(bot: Bot) -> None:
    await bot.open()
    bot.clock.move(HOUR)
    plan, told, go_on = await bot.plan(), list[int](), asyncio.Event()
    bot.kf.before("trans", go_on.wait)
    running = asyncio.create_task(bot.run(plan, told))
    for count in (1, 2):
        bot.tick.set()
        async with asyncio.timeout(30):
            while len(told) < count:  # noqa: ASYNC110  a turn for everybody else is all that is waited for
                await asyncio.sleep(0)
    go_on.set()
    assert (await running).ended == 1
    bot.tick.set()
    await asyncio.sleep(0)
    assert told == [0, 0]


async def test_nothing_is_told_of_a_short_run(bot: Bot) -> None:
    await bot.open()
    bot.clock.move(HOUR)
    told: list[int] = []
    await bot.run(await bot.plan(), told)
    assert told == []
