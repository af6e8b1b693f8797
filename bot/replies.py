"""An end, told in words: in the group, as the answer to a command or later when the outcome became known. Pure."""

from __future__ import annotations

from bot.ending import NOT_ALLOWED, EndResult, Outcome
from bot.errors import WeComUnavailable
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
            return say("end.not_human", who=who, state=say.state(state), number=int(state))
        case Outcome.UNKNOWN:
            if result.error is None:  # somebody else is at it, or was when their process died
                return say("end.under_way", who=who)
            told = say("end.unknown", who=who)
            return told if isinstance(result.error, WeComUnavailable) else _with_error(say, told, result)
        case Outcome.SKIPPED:
            return say("end.skipped", who=who)
        case Outcome.FAILED:
            return _failed(say, result, who)


def end_result_later(say: Words, result: EndResult, nickname: str, now: float) -> str:
    """The outcome of an end whose caller was told that it is not known yet, and may have forgotten it since."""
    head = say("end.later", who=say.who(result.handoff, result.key.external_userid, nickname))
    if result.outcome is Outcome.FAILED and result.error is None and result.after is None:
        return f"{head}\n{say('end.outdated')}"
    return f"{head}\n{end_result(say, result, nickname, now)}"


def _ended(say: Words, result: EndResult, who: str) -> str:
    handoff = result.handoff
    took = (handoff.completed_at or handoff.requested_at) - handoff.requested_at if handoff else 0.0
    closing = say("end.closing", closing=say(f"closing.{result.closing}")) if result.closing else ""
    return f"{say('end.ended', who=who, took=say.lasted(took), closing=closing)}\n{say('end.new_session')}"


def _already(say: Words, handoff: Handoff | None, who: str, now: float) -> str:
    if handoff is None or handoff.completed_at is None:
        return say("end.already_unknown", who=who)
    return say("end.already", who=who, by=say.ended_by(handoff), when=say.when(handoff.completed_at, now))


def _failed(say: Words, result: EndResult, who: str) -> str:
    """Only what is known: without an answer from WeCom nobody can say that the session is still open."""
    silent = isinstance(result.error, WeComUnavailable)
    head = (
        say("end.unread", who=who) if result.before is None else say("end.unsure" if silent else "end.failed", who=who)
    )
    lines = [head]
    queued = result.before is not None and result.before.state is ServiceState.QUEUED
    if result.error is None:
        lines.append(say("end.still" if result.after else "end.busy"))
    elif queued and result.error.errcode == NOT_ALLOWED:
        lines.append(say("end.queue"))
    return _with_error(say, "\n".join(lines), result)


def _with_error(say: Words, text: str, result: EndResult) -> str:
    return text if result.error is None else f"{text}\n{say.error(result.error)}"
