"""`bot.py audit`: the audit log as lines or JSON, and whether it still fits together. And how the other verbs get in.

Reads page by page, so memory stays flat; the bot may be up or down.
"""

from __future__ import annotations

import getpass
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import click

from bot.audit import Door, Place, Row
from bot.audited import Attempt, Audit
from bot.errors import StorageError
from bot.export import beginning, end, local_times
from bot.model import Operator, OperatorType
from bot.settings import Settings
from bot.wecom.errcodes import meaning_of
from bot.wording import Words
from storage.audit import AuditLog, Verified
from storage.database import Database

DONE, FAILED, PIPE_CLOSED = 0, 1, 141  # the last is what a shell makes of SIGPIPE
_FIELDS = ("id", "at", "door", "operatorType", "operatorId", "verb", "handoffId", "chatId", "openKfid", "outcome",
           "detail", "hash")  # fmt: skip
_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class _Now:
    now = staticmethod(time.time)


def whoever() -> Operator:
    """Who sits at this machine. A container's user may have no name."""
    try:
        return Operator(OperatorType.AGENT, getpass.getuser())
    except (KeyError, OSError):
        return Operator(OperatorType.AGENT, f"uid{os.getuid()}")


def attempt(database: Database, verb: str, *, customer: str = "", **detail: Any) -> Attempt:
    """By whoever sits here, on this database."""
    return Audit(AuditLog(database), _Now()).attempt(Door.CLI, whoever(), verb, customer=customer, **detail)


async def entered(
    settings: Settings, verb: str, run: Callable[[], Awaitable[int]], *, customer: str = "", **detail: Any
) -> int:
    """Run it, once it is on record who does. Where there is no database yet, there is nothing to be done to it."""
    if not settings.storage.path.is_file():
        return await run()
    database = Database(settings.storage.path)
    try:
        async with attempt(database, verb, customer=customer, **detail) as asking:
            await asking.allowed()
            code = await run()
            if code == FAILED:
                await asking.failed(f"exit {code}")
            return code
    finally:
        await database.close()


class AuditScript:
    def __init__(self, settings: Settings, *, as_json: bool) -> None:
        self._path, self._as_json = settings.storage.path, as_json
        self._say = Words(settings.lang, settings.group.aibot.name, meaning_of, settings.zone)
        self._iso = local_times(settings.zone)

    async def show(self, since: str | None, until: str | None) -> int:
        """Exit code. Raises click.UsageError for what is no time."""
        start, stop = self._moment(since, beginning, "--since"), self._moment(until, end, "--until")
        return await self._with_log(lambda database: self._show(database, start, stop))

    async def verify(self, head: str | None) -> int:
        """Exit code: 0 if every row fits, and `head`, noted elsewhere, is still among them. What is verified is left
        as it is, so this is not entered."""
        noted = self._noted(head)
        return await self._with_log(lambda database: self._verify(AuditLog(database), noted))

    async def _with_log(self, work: Callable[[Database], Awaitable[int]]) -> int:
        if not self._path.is_file():  # before anything opens it: SQLite would make one
            return self._fail(self._say("script.no_database", path=self._path.absolute()))
        database = Database(self._path)
        try:
            return await work(database)
        except StorageError as failed:
            return self._fail(self._say.storage(failed))
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python would complain at its end
            return PIPE_CLOSED
        finally:
            await database.close()

    def _fail(self, why: str) -> int:
        if self._as_json:
            click.echo(_ENCODE({"ok": False, "error": why}))
        else:
            click.echo(f"❌ {why}", err=True)
        return FAILED

    def _moment(self, words: str | None, read: Callable[..., float], option: str) -> float | None:
        try:
            return None if words is None else read(words, self._say.zone)
        except ValueError:
            raise click.BadParameter(self._say("export.no_time", words=words), param_hint=option) from None

    def _noted(self, head: str | None) -> Place | None:
        try:
            return None if head is None else Place.parse(head)
        except ValueError:
            raise click.BadParameter(self._say("audit.no_head"), param_hint="--head") from None

    # -- rows

    async def _show(self, database: Database, since: float | None, until: float | None) -> int:
        """As it was before somebody asked; that they did stands in it from then on, if it can be written to at all."""
        rows = AuditLog(database)
        head = await rows.head()
        await attempt(database, "audit").harmless()
        return await self._print(rows.rows(since, until, head.number))

    async def _print(self, pages: AsyncIterator[list[Row]]) -> int:
        line, between, end_ = (self._document, ",\n", "\n]\n") if self._as_json else (self._line, "\n", "\n")
        head = "[\n" if self._as_json else "\t".join(self._heads()) + "\n"
        async for page in pages:
            click.echo(head + between.join(map(line, page)), nl=False)
            head = between
        shown = head == between
        click.echo(end_ if shown else "[]\n" if self._as_json else f"{self._say('audit.none')}\n", nl=False)
        return DONE

    def _heads(self) -> Iterator[str]:
        for column in ("number", "at", "door", "who", "verb", "on", "outcome", "detail"):
            yield self._say(f"audit.column_{column}")

    def _line(self, row: Row) -> str:
        number, at, door, type_, id_, verb, handoff, chat_id, open_kfid, outcome, detail = row[:11]
        when = self._iso(at)[:19].replace("T", " ")
        on = " ".join(filter(None, (f"#{handoff}" if handoff is not None else "", open_kfid, chat_id)))
        who = f"{type_} {id_}".strip() or "?"
        return "\t".join(map(_shown, (str(number), when, door, who, verb, on or "-", outcome, detail)))

    def _document(self, row: Row) -> str:
        document = dict(zip(_FIELDS, row, strict=True))
        document |= {"at": self._iso(row[1]), "detail": json.loads(row[10]), "hash": row[11].hex()}
        return _ENCODE(document)

    # -- the chain

    async def _verify(self, rows: AuditLog, noted: Place | None) -> int:
        found = await rows.verify(noted)
        good = found.misfit is None and (noted is None or found.known is True)
        if self._as_json:
            click.echo(_ENCODE(self._verdict(found, good)))
        else:
            click.echo("\n".join(self._told(found, noted)), err=not good)
        return DONE if good else FAILED

    def _verdict(self, found: Verified, good: bool) -> dict[str, Any]:
        first, last = (None if at is None else self._iso(at) for at in (found.first_at, found.last_at))
        misfit = found.misfit
        return {
            "ok": good,
            "count": found.count,
            "first": first,
            "last": last,
            "head": str(found.head) if misfit is None else None,
            "prunedThrough": found.after.number or None,
            "misfit": None if misfit is None else {"id": misfit.number, "missing": misfit.missing},
            "headKnown": found.known,
        }

    def _told(self, found: Verified, noted: Place | None) -> Iterator[str]:
        say, misfit = self._say, found.misfit
        if misfit is not None:
            yield say(f"audit.{'missing' if misfit.missing else 'changed'}", number=misfit.number, count=found.count)
            return
        first, last = ("-" if at is None else self._iso(at) for at in (found.first_at, found.last_at))
        yield say("audit.fits", count=found.count, first=first, last=last)
        yield say("audit.head", head=found.head)
        if found.after.number:
            yield say("audit.pruned", number=found.after.number)
        if noted is None:
            yield say("audit.tail")
        elif found.known is None:
            yield say("audit.head_gone", number=noted.number)
        else:
            yield say("audit.head_known" if found.known else "audit.head_other", number=noted.number)


def _shown(text: str) -> str:
    """On one line, and nothing in it that a terminal would obey."""
    return "".join(each if each.isprintable() else " " for each in text)
