"""`bot.py backup`: a copy of the database to put back one day; the bot may be up or down. Prints where it is."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import click

from bot.audit_script import attempt
from bot.errors import StorageError
from bot.export_script import clean_up_when_terminated
from bot.settings import Settings
from bot.wecom.errcodes import meaning_of
from bot.wording import Words
from storage.backup import Advance, NoRoom, back_up
from storage.database import Database
from storage.migrations import is_current

DONE, FAILED = 0, 1
MB = 1_000_000


class BackupScript:
    """`to`: a file that is not there yet, or a folder; what ends in `/` is one, and made if need be. None: the
    database's own folder."""

    def __init__(self, settings: Settings, to: str | None) -> None:
        self._database = settings.storage.path
        self._say = Words(settings.lang, settings.group.aibot.name, meaning_of, settings.zone)
        self._target = self._chosen(to)
        self._makes_folder = to is not None and _names_folder(to)

    async def run(self) -> int:
        """Exit code. Stdout has the name of the file; what else there is to say goes to stderr."""
        if not self._database.is_file():  # before anything opens it: SQLite would make one
            return self._fail(self._say("script.no_database", path=self._database.absolute()))
        clean_up_when_terminated()
        try:
            return await self._run()
        except NoRoom as full:
            needed, free = (f"{amount / MB:,.1f}" for amount in (full.needed, full.free))
            return self._fail(self._say("backup.no_room", folder=self._target.parent, needed=needed, free=free))
        except StorageError as failed:
            return self._fail(self._say.storage(failed))
        except FileExistsError as there:  # the file, or one where the folder should be
            return self._fail(self._say("backup.exists", path=there.filename or self._target))
        except OSError as failed:
            why = failed.strerror or failed
            return self._fail(self._say("backup.unwritable", path=self._target, why=why))
        except asyncio.CancelledError:
            return self._fail(self._say("backup.broken_off"))

    async def _run(self) -> int:
        watched = sys.stderr.isatty()
        if self._makes_folder:
            self._target.parent.mkdir(mode=0o700, exist_ok=True)
        with self._bar(watched) as advance:
            size = await back_up(self._database, self._target, advance)
        await self._enter()
        click.echo(str(self._target))
        if watched:
            click.echo(self._say("backup.done", size=f"{size / MB:,.1f}", database=self._database), err=True)
        return DONE

    async def _enter(self) -> None:
        """Who took it, in the audit log: afterwards, for a backup has to be possible where nothing can be written, and
        before a new version changes the schema. Who got none has nothing."""
        database = Database(self._database)
        try:
            if await database.read(is_current):
                await attempt(database, "backup").allowed()
        except StorageError as failed:
            click.echo(f"⚠️ {self._say.storage(failed)}", err=True)
        finally:
            await database.close()

    def _chosen(self, to: str | None) -> Path:
        moment = datetime.now(self._say.zone).strftime("%Y%m%d-%H%M%S")
        name = f"{self._database.stem}-{moment}{self._database.suffix}"
        if to is None:
            return self._database.with_name(name)
        return Path(to, name) if _names_folder(to) or Path(to).is_dir() else Path(to)

    @contextmanager
    def _bar(self, watched: bool) -> Iterator[Advance]:
        if not watched:
            yield lambda done, total: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task(self._say("backup.copying"), total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)

    def _fail(self, why: str) -> int:
        click.echo(f"❌ {why}", err=True)
        return FAILED


def _names_folder(to: str) -> bool:
    """Path would drop the slash, and the nightly line of a folder that is not there would make a file of its name."""
    return to.endswith("/")
