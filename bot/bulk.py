"""Ending many sessions at once: a condition, a plan that its author confirms, and carrying it out.

Plans live in memory, one for each person and chat: after a restart people ask anew.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import unicodedata
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bot import rules
from bot.audit import Door
from bot.audited import Audit
from bot.ending import EndResult, Outcome
from bot.errors import CommandError
from bot.faults import point
from bot.handoffs import Handoffs
from bot.model import GroupMessage, Handoff, Notify, Operator, Rule, Via
from bot.parsing import DAY, parse_duration
from bot.ports import Clock, Questions
from bot.sessions import Session
from bot.wording import Words

MOST = 200  # sessions in one plan
AT_ONCE = 4
CONFIRM_WITHIN = 60.0  # seconds, by the times of the two messages
TELL_EVERY = 10.0
LONGEST = 30 * DAY
FORGOTTEN = 3600.0  # seconds after which nobody is told any more what became of a code
CODE_LENGTH = 4
ALPHABET = "3479CFHJKMNPRTWXY"  # none is taken for another, and no words come of them

_NAMES = {Rule.HUMAN_IDLE: "idle", Rule.CUSTOMER_WAITING: "waiting", Rule.HUMAN_OPEN: "open"}
_RULES = {name: rule for rule, name in _NAMES.items()}
_RULES |= {"空闲": Rule.HUMAN_IDLE, "等待": Rule.CUSTOMER_WAITING, "接待": Rule.HUMAN_OPEN}
_MORE = ">》〉"  # a Chinese keyboard writes the latter two with the key of the first
_CONDITION = re.compile(rf"([^\s{_MORE}]+)\s*[{_MORE}](.+)", re.DOTALL)
_AROUND = " `'\"“”‘’「」()（）。，；！.,;!"

End = Callable[[Handoff], Awaitable[EndResult]]


@dataclass(frozen=True, slots=True)
class Condition:
    """`rule` names the clock that has run for more than `seconds`, in working hours or not. `amount`: as written."""

    rule: Rule
    seconds: float
    amount: str

    @property
    def name(self) -> str:
        return _NAMES[self.rule]

    def __str__(self) -> str:
        return f"{self.name}>{self.amount}"

    def fits(self, handoff: Handoff, now: float) -> bool:
        """Only where a servicer has the session."""
        began = rules.clock(handoff, self.rule)
        return handoff.status.is_open and began is not None and now - began > self.seconds


def parse_condition(text: str, say: Words) -> Condition:
    """Raises CommandError with the ways to write one."""
    plain = unicodedata.normalize("NFKC", text).casefold().strip(_AROUND)
    if not plain:
        raise CommandError(say("bulk.usage"), "usage")
    if sum(plain.count(mark) for mark in _MORE) > 1:
        raise _misused(say, say("bulk.one"))
    found = _CONDITION.fullmatch(plain)
    rule = _RULES.get(found[1]) if found else None
    if found is None or rule is None:
        raise _misused(say, say("bulk.unknown", condition=say.plain(text)))
    amount = "".join(found[2].split())
    try:
        return Condition(rule, parse_duration(amount, LONGEST), amount)
    except ValueError:
        raise _misused(say, say("usage.duration", word=say.plain(amount))) from None


def _misused(say: Words, why: str) -> CommandError:
    return CommandError(f"{why}\n{say('bulk.usage')}", "usage")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a condition fitted when somebody asked. `more`: it fits others too, which are left for the next plan."""

    condition: Condition
    handoffs: tuple[Handoff, ...]
    more: bool
    code: str

    @property
    def waiting(self) -> int:
        """Customers among them who wait for an answer."""
        return sum(handoff.waiting_since is not None for handoff in self.handoffs)


@dataclass(slots=True)
class Tally:
    """How far a plan is. `failures` as they stand with WeCom, `unknown` is settled and told later."""

    total: int
    ended: int = 0
    already: int = 0
    skipped: int = 0
    unknown: int = 0
    failures: list[EndResult] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)  # of the handoffs that were ended

    @property
    def done(self) -> int:
        return self.ended + self.already + self.skipped + self.unknown + len(self.failures)

    def count(self, result: EndResult) -> None:
        match result.outcome:
            case Outcome.ENDED:
                self.ended += 1
                if result.handoff is not None:
                    self.numbers.append(result.handoff.id)
            case Outcome.UNKNOWN:
                self.unknown += 1
            case Outcome.FAILED:
                self.failures.append(result)
            case Outcome.SKIPPED:
                self.skipped += 1
            case _:
                self.already += 1


@dataclass(slots=True)
class _Offer:
    plan: Plan
    at: float
    used: bool = False


class BulkEnds:
    """One instance a process."""

    def __init__(
        self,
        handoffs: Handoffs,
        clock: Clock,
        say: Words,
        audit: Audit,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._handoffs, self._clock, self._say, self._audit, self._sleep = handoffs, clock, say, audit, sleep
        self._offers: dict[tuple[str, str], _Offer] = {}

    async def plan(self, ledger: Questions, condition: str, message: GroupMessage, now: float) -> Plan:
        """What `condition` fits now. Takes the place of what the same person planned here before."""
        wanted = parse_condition(condition, self._say)
        found = await ledger.open_matching(wanted.rule, now - wanted.seconds, MOST + 1)
        code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
        plan = Plan(wanted, tuple(found[:MOST]), len(found) > MOST, code)
        self._offers = {place: offer for place, offer in self._offers.items() if now - offer.at < FORGOTTEN}
        self._offers.pop(_place(message), None)
        if plan.handoffs:
            self._offers[_place(message)] = _Offer(plan, now)
        return plan

    def take(self, message: GroupMessage, code: str, now: float) -> Plan:
        """The plan that its author confirms, once. Raises CommandError, and nothing is done, for everybody else."""
        code = code.upper()
        offer = self._offers.get(_place(message))
        if offer is None or offer.plan.code != code:
            raise self._not_theirs(message, code)
        if offer.used:
            raise CommandError(self._say("confirm.used", code=code))
        if now - offer.at > CONFIRM_WITHIN:
            raise CommandError(self._say("confirm.late", condition=str(offer.plan.condition)))
        offer.used = True
        return offer.plan

    def _not_theirs(self, message: GroupMessage, code: str) -> CommandError:
        for (chat_id, userid), offer in self._offers.items():
            if offer.plan.code == code and chat_id == message.chat_id:
                return CommandError(self._say("confirm.others", who=self._say.plain(userid)), "forbidden")
            if offer.plan.code == code and userid == message.userid:
                return CommandError(self._say("confirm.elsewhere"), "forbidden")
        return CommandError(self._say("confirm.none", code=self._say.plain(code, 16)), "unknown")

    async def run(
        self,
        plan: Plan,
        ledger: Questions,
        operator: Operator,
        notify: Notify,
        tell: Callable[[Tally], Awaitable[None]],
    ) -> Tally:
        """End what still fits. `tell` hears every 10 s how far it is; `notify` as in `Handoffs.end`."""
        tally, left = Tally(len(plan.handoffs)), iter(plan.handoffs)

        def still(session: Session) -> bool:
            return session.handoff is not None and plan.condition.fits(session.handoff, self._clock.now())

        async def end(handoff: Handoff) -> EndResult:
            reason, chat = str(plan.condition), notify[0]
            await self._audit.attempt(Door.GROUP, operator, "end", chat_id=chat, condition=reason).allowed(handoff)
            point("bulk.asked")
            result = await self._handoffs.end(
                handoff.key, operator, Via.COMMAND, reason, handoff_id=handoff.id, notify=notify, still=still
            )
            point("bulk.answered")
            return result

        async def work() -> None:
            for planned in left:
                await self._one(planned, plan.condition, ledger, tally, end)

        telling = asyncio.create_task(self._keep_telling(tally, tell))
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(AT_ONCE):
                    workers.create_task(work())
        finally:
            telling.cancel()
            await asyncio.wait({telling})
        return tally

    async def _one(self, planned: Handoff, condition: Condition, ledger: Questions, tally: Tally, end: End) -> None:
        """Looked at again, because somebody may have written since the plan was shown."""
        handoff = await ledger.handoff(planned.id)
        if handoff is not None and not handoff.status.is_open:
            tally.already += 1
        elif handoff is None or not condition.fits(handoff, self._clock.now()):
            tally.skipped += 1
        else:
            tally.count(await end(handoff))

    async def _keep_telling(self, tally: Tally, tell: Callable[[Tally], Awaitable[None]]) -> None:
        while True:
            await self._sleep(TELL_EVERY)
            await tell(tally)


def _place(message: GroupMessage) -> tuple[str, str]:
    return message.chat_id, message.userid
