"""`bot.py end`: the one-off script of old, on the bot's own path: the same steps, the same records, bot up or down."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import asdict, dataclass
from typing import Any

import click

from bot import log
from bot.audit import Door
from bot.audit_script import whoever
from bot.audited import Attempt
from bot.core import Core
from bot.ending import EndResult, Move, Outcome, StateRead
from bot.errors import KfbotError, StorageError, WeComError, WeComUnavailable
from bot.locate import locate
from bot.model import ServiceState, SessionKey, StateReading, Via
from bot.settings import Settings, secrets_of
from bot.states import has_human

WIDE, UNREAD = 70, -1
LIMIT = 8.0  # seconds for everything that asks WeCom: starting and closing included, there is an answer within 10
LAST_WORDS = 1.0  # seconds more for a goodbye that is still on its way

_log = logging.getLogger("kfbot.end")


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
    """For one run. What has been learned so far is kept here: it outlives a time-out and an error."""

    def __init__(self, settings: Settings, *, as_json: bool, dry_run: bool) -> None:
        self._core = Core(settings)
        self._say = self._core.say
        self._as_json, self._dry_run = as_json, dry_run
        self._key = SessionKey("", "")
        self._before: StateReading | None = None
        self._after: StateReading | None = None
        self._moves, self._agreed = 0, False

    async def run(self, external_userid: str, open_kfid: str, reason: str) -> int:
        """Exit code: 0 when the session is over, whoever ended it; 1 when it is not, or may not be."""
        self._key = SessionKey(open_kfid, external_userid)
        try:
            report = await self._logged(reason)
        except OSError as refused:
            report = self._stopped(str(refused))
        if self._as_json:
            click.echo(json.dumps(asdict(report), ensure_ascii=False))
        return 0 if report.ok else 1

    async def _logged(self, reason: str) -> Report:
        """Into the bot's own log file, never to stdout."""
        settings = self._core.settings
        listener = log.start(
            settings.log.dir, settings.log.level, settings.log.json_lines, secrets_of(settings), to_stdout=False
        )
        try:
            return await self._bounded(reason)
        finally:
            await self._core.handoffs.drain(LAST_WORDS)
            await self._core.close()
            listener.stop()

    async def _bounded(self, reason: str) -> Report:
        """Whatever happens becomes a report, in time."""
        try:
            async with asyncio.timeout(LIMIT):
                return await self._steps(reason)
        except TimeoutError:
            return await self._out_of_time()
        except WeComError as failed:
            return self._stopped(self._say.error(failed), failed.errcode)
        except StorageError as failed:
            return self._stopped(self._say.storage(failed))
        except KfbotError as failed:
            return self._stopped(str(failed))
        except Exception:
            _log.exception("❌ 结束会话失败 | internal error")
            return self._stopped(self._say("script.internal", folder=self._core.settings.log.dir))

    async def _steps(self, reason: str) -> Report:
        self._print(self._say("script.title"), "═" * WIDE)
        await self._core.open()
        if self._dry_run:
            await self._identify()
            return await self._look()
        account, customer = self._key.open_kfid, self._key.external_userid
        async with self._core.audit.attempt(
            Door.CLI, whoever(), "end", open_kfid=account, customer=customer
        ) as attempt:
            await self._identify()
            return await self._end(attempt, reason)

    async def _identify(self) -> None:
        await self._core.kf.check_token()
        self._print(self._say("script.token"), "")
        self._key = await self._find()
        self._print(
            self._say("script.target"),
            f"   open_kfid: {self._key.open_kfid}",
            f"   external_userid: {self._key.external_userid}",
        )

    async def _find(self) -> SessionKey:
        if self._key.open_kfid:
            return self._key
        customer = self._key.external_userid
        found = await locate(self._core.kf, self._core.ledger, customer)
        if len(found) > 1:
            found = await self._met(found)
        if len(found) == 1:
            return found[0]
        if found:
            raise KfbotError(self._say("script.several", accounts=" ".join(key.open_kfid for key in found)))
        raise KfbotError(self._say("script.nobody", customer=customer))

    async def _met(self, found: list[SessionKey]) -> list[SessionKey]:
        """WeCom tells a state of any account and customer; those on record have really met."""
        on_record = await self._core.ledger.sessions_by_prefix(self._key.external_userid)
        return [key for key in found if key in on_record] or found

    async def _look(self) -> Report:
        """The state goes into no record: a dry run leaves everything as it was."""
        reading = await self._core.kf.state(self._key)
        self._see(StateRead(reading))
        hint = self._say("script.would" if has_human(reading.state) else "script.would_not")
        self._print("", hint)
        handoff = await self._core.ledger.open_handoff(self._key)
        return self._report(True, after=reading, hint=hint, handoff=handoff.id if handoff else None)

    async def _end(self, attempt: Attempt, reason: str) -> Report:
        await attempt.allowed(await self._core.ledger.open_handoff(self._key), open_kfid=self._key.open_kfid)
        result = await self._core.handoffs.end(self._key, whoever(), Via.CLI, reason, watch=self._see)
        if result.outcome in (Outcome.FAILED, Outcome.UNKNOWN):
            await attempt.failed(str(result.error.errcode) if result.error else result.outcome)
        hint = self._hint(result)
        self._print("", self._outcome(result), *(["", f"💡 {hint}"] if hint else []))
        return self._report(
            result.outcome in (Outcome.ENDED, Outcome.ALREADY),
            after=result.after or (None if self._moves else result.before),
            errcode=result.error.errcode if result.error else 0,
            hint=hint or (self._outcome(result) if result.outcome is Outcome.NOT_HUMAN else None),
            handoff=result.handoff.id if result.handoff else None,
        )

    def _outcome(self, result: EndResult) -> str:
        unread = result.outcome is Outcome.FAILED and result.before is None
        return self._say("script.unread" if unread else f"script.{result.outcome}")

    def _hint(self, result: EndResult) -> str | None:
        """What to do next."""
        if result.error is not None:
            return self._say.error(result.error)
        if result.outcome is Outcome.FAILED:
            return self._say("end.still" if self._moves else "end.busy")
        return self._say("end.new_session") if result.outcome is Outcome.ENDED else None

    # -- when it does not come to an end

    async def _out_of_time(self) -> Report:
        """Beyond the first state read the intention may be on record: then a running bot settles it."""
        if self._agreed or (self._after is not None and not has_human(self._after.state)):
            hint = self._say("end.new_session")
            self._print("", self._say("script.ended"), "", f"💡 {hint}")
            return self._report(True, after=self._after, hint=hint)
        late = WeComUnavailable("", f"no answer within {LIMIT:g} s")
        if self._before is None or self._dry_run:
            return self._stopped(self._say.error(late), late.errcode)
        handoff = await self._core.ledger.open_handoff(self._key)
        return self._stopped(self._say("script.unknown"), late.errcode, handoff.id if handoff else None)

    def _stopped(self, hint: str, errcode: int = 0, handoff: int | None = None) -> Report:
        self._print("", hint if hint[:1] in "❌⏳" else f"❌ {hint}")
        return self._report(False, after=self._after, errcode=errcode, hint=hint, handoff=handoff)

    def _report(
        self,
        ok: bool,
        *,
        after: StateReading | None,
        errcode: int = 0,
        hint: str | None = None,
        handoff: int | None = None,
    ) -> Report:
        servicer = self._before.servicer_userid if self._before else None
        pair = self._key.open_kfid, self._key.external_userid
        return Report(ok, *pair, _number(self._before), _number(after), servicer, errcode, hint, handoff)

    # -- the steps as they are seen

    def _see(self, step: StateRead | Move) -> None:
        if isinstance(step, Move):
            self._moves += 1
            self._agreed = bool(step.code)  # which is given for an end alone
            self._print(*self._move_lines(step))
        elif step.confirming:
            self._after = step.reading
            self._print(*self._state_lines("script.step3", step.reading))
        else:
            self._before = self._before or step.reading
            self._print(*self._state_lines("script.step1", step.reading))

    def _state_lines(self, head: str, reading: StateReading) -> list[str]:
        state = self._say("script.state", state=self._say.state(reading.state), number=int(reading.state))
        lines = ["", self._say(head), "─" * WIDE, state]
        if reading.servicer_userid:
            lines.append(self._say("script.servicer", servicer=reading.servicer_userid))
        return lines

    def _move_lines(self, move: Move) -> list[str]:
        lines = [*self._move_head(move), self._say("script.request", body=self._request(move))]
        lines.append(self._say("script.response", body=self._response(move)))
        return lines if move.error else [*lines, "", self._say("script.moved")]

    def _move_head(self, move: Move) -> list[str]:
        if self._moves > 1:
            again = "script.again" if move.servicer_userid else "script.without_servicer"
            return ["", self._say(again, servicer=move.servicer_userid)]
        before = int(self._before.state) if self._before else UNREAD
        lines = ["", self._say("script.step2", before=before), "─" * WIDE]
        if move.servicer_userid:
            lines.append(self._say("script.with_servicer", servicer=move.servicer_userid))
        return lines

    def _request(self, move: Move) -> dict[str, Any]:
        body = {
            "open_kfid": self._key.open_kfid,
            "external_userid": self._key.external_userid,
            "service_state": int(ServiceState.ENDED),
        }
        return {**body, "servicer_userid": move.servicer_userid} if move.servicer_userid else body

    def _response(self, move: Move) -> dict[str, Any] | str:
        """Without the msg_code: whoever has it could write to the customer."""
        if isinstance(move.error, WeComUnavailable):
            return self._say("script.no_response", why=move.error.errmsg)
        return {"errcode": move.errcode, "errmsg": move.error.errmsg if move.error else "ok"}

    def _print(self, *lines: str) -> None:
        if not self._as_json:
            for line in lines:
                click.echo(line)


def _number(reading: StateReading | None) -> int:
    return UNREAD if reading is None else int(reading.state)
