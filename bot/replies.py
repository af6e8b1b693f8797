"""An end, told in words: in the group, as the answer to a command or later when the outcome became known. Pure."""

from __future__ import annotations

from bot.ending import NOT_ALLOWED, EndResult, Outcome
from bot.model import Handoff, ServiceState
from bot.wording import Words


def end_result(say: Words, result: EndResult, nickname: str, now: float) -> str:
    """Markdown: the customer, the outcome, and on failure WeCom's code, what it means and what to do."""
    who = say.who(result.handoff, result.key.external_userid, nickname)
    match result.outcome:
        case Outcome.ENDED:
            return _ended(say, result, who)
        case Outcome.ALREADY:
            return _already(say, result.handoff, who, now)
        case Outcome.NOT_HUMAN:
            state = result.before.state if result.before else ServiceState.NEW
            return say("end.not_human", who=who, state=int(state))
        case Outcome.UNKNOWN:
            return _with_error(say, say("end.unknown", who=who), result)
        case Outcome.FAILED:
            return _failed(say, result, who)


def _ended(say: Words, result: EndResult, who: str) -> str:
    handoff = result.handoff
    took = (handoff.completed_at or handoff.requested_at) - handoff.requested_at if handoff else 0.0
    closing = f"{say(f'closing.{result.closing}')}。" if result.closing else ""
    if say.lang == "en":
        closing = closing.replace("。", ".").capitalize()
    lines = [say("end.ended", who=who, took=say.lasted(took), closing=closing).rstrip()]
    return "\n".join([*lines, say("end.new_session")])


def _already(say: Words, handoff: Handoff | None, who: str, now: float) -> str:
    if handoff is None or handoff.completed_at is None:
        return say("end.already_unknown", who=who)
    return say("end.already", who=who, by=say.ended_by(handoff), when=say.when(handoff.completed_at, now))


def _failed(say: Words, result: EndResult, who: str) -> str:
    text = _with_error(say, say("end.failed", who=who), result)
    queued = result.before is not None and result.before.state is ServiceState.QUEUED
    if result.error is None:
        return f"{text}\n{say('end.still' if result.after else 'end.busy')}"
    return f"{text}\n{say('end.queue')}" if queued and result.error.errcode == NOT_ALLOWED else text


def _with_error(say: Words, text: str, result: EndResult) -> str:
    return text if result.error is None else f"{text}\n{say.error(result.error)}"
