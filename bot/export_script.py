"""`bot.py export`: reads the database, nothing else; the bot may be up or down. Page by page, so memory stays flat."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import tzinfo
from pathlib import Path
from typing import BinaryIO

import click

from bot.errors import StorageError
from bot.export import BOM, Extract, Form, Selection, Sheet, What, beginning, end
from bot.model import EVERYTHING, Scope
from bot.settings import Settings
from bot.wecom.errcodes import meaning_of
from bot.wording import Words
from storage.database import Database
from storage.export import Records

DONE, FAILED, PIPE_CLOSED = 0, 1, 141  # the last is what a shell makes of SIGPIPE
STDOUT = Path("-")

Advance = Callable[[int], None]


class ExportScript:
    """`output` None: stdout. `bom` None: for CSV in a file. Raises click.UsageError for what makes no sense."""

    def __init__(
        self,
        settings: Settings,
        what: str,
        form: str,
        since: str | None,
        until: str | None,
        accounts: tuple[str, ...],
        output: Path | None,
        bom: bool | None,
    ) -> None:
        self._database, self._accounts = settings.storage.path, accounts
        self._say = Words(settings.lang, settings.group.aibot.name, meaning_of, settings.zone)
        self._selection = self._selected(What(what), since, until)
        self._sheet = Sheet(self._selection.what, Form(form), settings.zone)
        self._output = None if output == STDOUT else output
        self._bom = (self._output is not None and form == Form.CSV) if bom is None else bom
        if self._bom and form != Form.CSV:
            raise click.UsageError(self._say("export.no_bom"))

    async def run(self) -> int:
        """Exit code. Stdout is the export's; what there is to say goes to stderr."""
        if refusal := self._refusal():
            return self._fail(refusal)
        try:
            return await self._run()
        except StorageError as failed:
            return self._fail(self._say("export.unreadable", why=self._say.storage(failed)))
        except BrokenPipeError:
            return PIPE_CLOSED
        except OSError as failed:
            why = failed.strerror or failed
            return self._fail(self._say("export.unwritable", path=self._output or "stdout", why=why))
        except asyncio.CancelledError:
            return self._fail(self._say("export.broken_off"))

    async def _run(self) -> int:
        database = Database(self._database)
        try:
            records = Records(database)
            if unknown := await records.unknown(self._accounts):
                return self._fail(self._say("export.no_account", accounts=" ".join(unknown)))
            await self._write(await records.find(self._selection))
        finally:
            await database.close()
        return DONE

    async def _write(self, extract: Extract) -> None:
        watched = sys.stderr.isatty() and (self._output is not None or not sys.stdout.isatty())
        count = 0
        with self._opened() as out, self._bar(extract.count, watched) as advance:
            out.write(f"{BOM if self._bom else ''}{self._sheet.head}".encode())
            async for page in extract.pages:
                out.write(self._sheet.text(page).encode(errors="replace"))
                advance(len(page))
                count += len(page)
        if watched and self._output is not None:
            click.echo(self._say("export.done", path=self._output, count=f"{count:,}"), err=True)

    def _opened(self) -> AbstractContextManager[BinaryIO]:
        return _stdout() if self._output is None else _file(self._output)

    @contextmanager
    def _bar(self, total: int, watched: bool) -> Iterator[Advance]:
        if not watched:
            yield lambda count: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task(self._say(f"export.{self._selection.what}"), total=total)
            yield lambda count: progress.advance(task, count)

    # -- what was asked for

    def _selected(self, what: What, since: str | None, until: str | None) -> Selection:
        start = self._moment(since, beginning, "--since")
        stop = self._moment(until, end, "--until")
        if start is not None and stop is not None and start >= stop:
            raise click.UsageError(self._say("export.no_span"))
        scope = Scope(frozenset(self._accounts), others=False) if self._accounts else EVERYTHING
        return Selection(what, start, stop, scope)

    def _moment(self, words: str | None, read: Callable[[str, tzinfo | None], float], option: str) -> float | None:
        try:
            return None if words is None else read(words, self._say.zone)
        except ValueError:
            raise click.BadParameter(self._say("export.no_time", words=words), param_hint=option) from None

    def _refusal(self) -> str:
        if not self._database.is_file():  # before anything opens it: SQLite would make one
            return self._say("script.no_database", path=self._database.absolute())
        own = {Path(f"{self._database.resolve()}{ending}") for ending in ("", "-wal", "-shm")}
        if self._output is not None and self._output.resolve() in own:
            return self._say("export.database", path=self._output)
        return ""

    def _fail(self, why: str) -> int:
        click.echo(f"❌ {why}", err=True)
        return FAILED


# -- where it goes


@contextmanager
def _stdout() -> Iterator[BinaryIO]:
    out = sys.stdout.buffer
    try:
        yield out
        out.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())  # or Python would try again, and complain, at its end
        raise


@contextmanager
def _file(path: Path) -> Iterator[BinaryIO]:
    """Under another name until all of it is on disk; a pipe or a device is written to as it is."""
    target = path.resolve()
    if target.exists() and not target.is_file():
        with target.open("wb") as out:
            yield out
        return
    clean_up_when_terminated()
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        if target.exists():
            shutil.copymode(target, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def clean_up_when_terminated() -> None:
    """SIGTERM ends it as Ctrl+C does, with what is half written."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
