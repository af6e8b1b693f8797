"""`bot.py end`: the one-off script of old, on the bot's own path: the same steps, the same records, bot up or down."""

from __future__ import annotations

import getpass
import json
from dataclasses import asdict, dataclass

import click

from bot import log
from bot.app import Core
from bot.ending import EndResult, Move, Outcome, StateRead
from bot.errors import KfbotError, WeComError
from bot.locate import locate
from bot.model import Operator, OperatorType, ServiceState, SessionKey, StateReading, Via
from bot.settings import Settings, secrets_of
from bot.states import has_human

WIDE, UNREAD = 70, -1


@dataclass(frozen=True, slots=True)
class Report:
    """The JSON document. `before` and `after` are -1 where the state could not be read."""

    ok: bool
    open_kfid: str
    external_userid: str
    before: int
    after: int
    servicer: str | None
    errcode: int
    hint: str | None
    handoff: int | None


class EndScript:
    def __init__(self, settings: Settings, *, as_json: bool, dry_run: bool) -> None:
        self._core = Core(settings)
        self._say = self._core.say
        self._as_json, self._dry_run = as_json, dry_run
        self._moved = False

    async def run(self, external_userid: str, open_kfid: str, reason: str) -> int:
        """Exit code: 0 when the session is over, whoever ended it; 1 when it is not, or may not be."""
        settings = self._core.settings
        listener = log.start(
            settings.log.dir, settings.log.level, settings.log.json_lines, secrets_of(settings), to_stdout=False
        )
        try:
            report = await self._run(external_userid, open_kfid, reason)
        finally:
            await self._core.close()
            listener.stop()
        if self._as_json:
            click.echo(json.dumps(asdict(report), ensure_ascii=False))
        return 0 if report.ok else 1

    async def _run(self, external_userid: str, open_kfid: str, reason: str) -> Report:
        self._line(self._say("script.title"), "═" * WIDE)
        try:
            await self._core.open()
            await self._core.kf.check_token()
            self._line(self._say("script.token"), "")
            key = await self._find(external_userid, open_kfid)
            self._line(
                self._say("script.target"),
                f"   open_kfid: {key.open_kfid}",
                f"   external_userid: {key.external_userid}",
            )
            if self._dry_run:
                return await self._look(key)
            return await self._end(key, reason)
        except WeComError as failed:
            return self._refused(external_userid, open_kfid, self._say.error(failed), failed.errcode)
        except KfbotError as failed:
            return self._refused(external_userid, open_kfid, str(failed), 0)

    async def _find(self, external_userid: str, open_kfid: str) -> SessionKey:
        if open_kfid:
            return SessionKey(open_kfid, external_userid)
        found = await locate(self._core.kf, self._core.ledger, external_userid)
        if len(found) == 1:
            return found[0]
        if found:
            raise KfbotError(self._say("script.several", accounts=" ".join(key.open_kfid for key in found)))
        raise KfbotError(self._say("script.nobody", customer=external_userid))

    async def _look(self, key: SessionKey) -> Report:
        reading = await self._core.kf.state(key)
        self._step(StateRead(reading))
        would = has_human(reading.state)
        hint = self._say("script.would" if would else "script.would_not")
        self._line("", hint)
        handoff = await self._core.ledger.open_handoff(key)
        state = int(reading.state)
        return Report(
            True, *_pair(key), state, state, reading.servicer_userid, 0, hint, handoff.id if handoff else None
        )

    async def _end(self, key: SessionKey, reason: str) -> Report:
        operator = Operator(OperatorType.AGENT, getpass.getuser())
        result = await self._core.handoffs.end(key, operator, Via.CLI, reason, watch=self._step)
        hint = self._hint(result)
        ok = result.outcome in (Outcome.ENDED, Outcome.ALREADY)
        self._line("", self._say(f"script.{result.outcome}"), *([hint] if hint else []))
        return Report(
            ok,
            *_pair(key),
            _number(result.before),
            _number(result.after or (result.before if not self._moved else None)),
            result.before.servicer_userid if result.before else None,
            result.error.errcode if result.error else 0,
            hint,
            result.handoff.id if result.handoff else None,
        )

    def _hint(self, result: EndResult) -> str | None:
        if result.error is not None:
            return self._say.error(result.error)
        return self._say("end.new_session") if result.outcome is Outcome.ENDED else None

    def _refused(self, external_userid: str, open_kfid: str, hint: str, errcode: int) -> Report:
        self._line("", f"❌ {hint}")
        return Report(False, open_kfid, external_userid, UNREAD, UNREAD, None, errcode, hint, None)

    def _step(self, step: StateRead | Move) -> None:
        if isinstance(step, Move):
            self._moved = True
            self._line(*self._move_lines(step))
        else:
            self._line(*self._state_lines(step))

    def _state_lines(self, step: StateRead) -> list[str]:
        reading = step.reading
        head = self._say("script.step3" if step.confirming else "script.step1")
        state = self._say("script.state", state=self._say.state(reading.state), number=int(reading.state))
        lines = ["", head, "─" * WIDE, state]
        if reading.servicer_userid:
            lines.append(self._say("script.servicer", servicer=reading.servicer_userid))
        return lines

    def _move_lines(self, move: Move) -> list[str]:
        head = [] if self._moved and move.servicer_userid is None else [""]
        lines = [*head, self._say("script.step2"), "─" * WIDE]
        body = {"service_state": int(ServiceState.ENDED)}
        request = {**body, "servicer_userid": move.servicer_userid} if move.servicer_userid else body
        if move.servicer_userid:
            lines.append(self._say("script.with_servicer", servicer=move.servicer_userid))
        answer = {"errcode": move.errcode, "errmsg": move.error.errmsg if move.error else "ok"}
        lines += [self._say("script.request", body=request), self._say("script.response", body=answer)]
        return lines if move.error else [*lines, "", self._say("script.moved")]

    def _line(self, *lines: str) -> None:
        if not self._as_json:
            for line in lines:
                click.echo(line)


def _pair(key: SessionKey) -> tuple[str, str]:
    return key.open_kfid, key.external_userid


def _number(reading: StateReading | None) -> int:
    return UNREAD if reading is None else int(reading.state)
