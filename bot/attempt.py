"""One run through an end: what it has learned so far, how its outcome is put on record, and the lines it logs.

The lines keep the words that people already grep for: 会话状态 and 结束会话.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from bot.ending import EndResult, Move, Outcome, StateRead
from bot.model import EventType, Handoff, Notify, Operator, OperatorType, ServiceState, SessionKey, StateReading, Via
from bot.sessions import ClosingDraft, Ending, Session, finish
from bot.states import ENDING_CODE_LIFETIME
from bot.wording import STATE_NAMES

log = logging.getLogger("kfbot.handoffs")

Watch = Callable[[StateRead | Move], None]


def unwatched(step: StateRead | Move) -> None:
    """Nobody follows the steps."""


def always(session: Session) -> bool:
    """Somebody asked for the end, so it is wanted however the conversation goes."""
    return True


class Attempt:
    """What one run through an end has learned so far. `until`: by the loop's time, how long WeCom is waited for."""

    def __init__(
        self,
        key: SessionKey,
        operator: Operator,
        via: Via,
        reason: str,
        notify: Notify | None,
        watch: Watch,
        until: float,
        still: Callable[[Session], bool] = always,
    ) -> None:
        self.key, self.operator, self.via, self.reason = key, operator, via, reason
        self.notify, self.watch, self.until = notify, watch, until
        self.still, self.unwanted = still, False
        self.first: StateReading | None = None
        self.before = StateReading(ServiceState.NEW)
        self.after: StateReading | None = None
        self.handoff: Handoff | None = None
        self.ending: Ending | None = None
        self.code, self.moved_at = "", 0.0
        self.lost = False  # a move went unanswered: an end that shows later may be its effect

    def see(self, reading: StateReading) -> None:
        self.before = reading
        self.first = self.first or reading
        self.watch(StateRead(reading))
        name = STATE_NAMES[reading.state][0]
        log.info(
            "📊 当前会话状态: %s (state=%d) | 接待人: %s | %s",
            name,
            reading.state,
            reading.servicer_userid or "-",
            self.key,
        )

    def __str__(self) -> str:
        return f"{self.key} via={self.via} by={self.operator.id or '-'}"

    def finish_ours(self, session: Session, now: float) -> Handoff:
        confirmed = {} if self.code or self.after is not None else {"confirmed": False}
        handoff = finish(session, self.operator, self.via, now, self.reason, **confirmed)
        if self.code:
            session.closings.append(ClosingDraft(handoff, self.code, self.moved_at + ENDING_CODE_LIFETIME))
        return handoff

    def log_failure(self, session: Session, handoff: Handoff, move: Move, now: float) -> None:
        """The handoff stays open; a note of its end, left by an event, has been disproved."""
        handoff.via = handoff.operator_id = None
        session.touch(handoff)
        session.log(handoff, EventType.END_FAILED, self.operator, now, errcode=move.errcode, via=self.via)

    def log_result(self, result: EndResult) -> None:
        if result.outcome is Outcome.ENDED:
            log.info("✅ 成功结束会话！用户重新发送消息将创建新会话 | %s", self)
            log.info("💡 提示: 确保企业微信后台配置为「智能助手接待」")
        elif result.outcome is Outcome.ALREADY:
            log.info("✅ 成功结束会话！会话此前已结束 | %s", self)
        elif result.outcome is Outcome.SKIPPED:
            log.info("📊 当前会话状态: 又有新消息，不自动结束会话 | %s", self)
        elif result.outcome is Outcome.NOT_HUMAN:
            log.info("📊 当前会话状态: 无需结束会话 | %s", self)
        else:
            code = result.error.errcode if result.error else 0
            log.warning(
                "❌ 结束会话失败 | outcome=%s errcode=%d | %s | %s", result.outcome, code, result.error or "", self
            )


def settle_theirs(session: Session, now: float) -> Handoff | None:
    """It was over before our move. If the servicer's own event came in meanwhile, it named the servicer; else that is
    still to be found out, and the handoff stays open until then."""
    session.ending = None
    handoff = session.handoff
    if handoff is not None and handoff.via == Via.CLIENT:
        return finish(session, Operator(OperatorType.AGENT, handoff.operator_id or ""), Via.CLIENT, now)
    session.check_at = now
    return handoff
