"""`bot.py forget`: erase one customer from the record, bytes and all, and tell what is out of reach.

The bot may be up or down.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

import click

from bot.audit_script import attempt, entered
from bot.errors import StorageError
from bot.settings import Settings
from bot.wecom.errcodes import meaning_of
from bot.wording import Words
from storage.database import Database
from storage.forget import Forget, Traces, Wiped, copies_with, pseudonym

DONE, FAILED = 0, 1
COUNTED = ("handoffs", "items", "commands")


class ForgetScript:
    """`yes`: do not ask. `force`: also while a session is open."""

    def __init__(self, settings: Settings, external_userid: str, *, yes: bool, force: bool) -> None:
        self._settings, self._customer, self._yes, self._force = settings, external_userid, yes, force
        self._say = Words(settings.lang, settings.group.aibot.name, meaning_of, settings.zone)
        self._database = Database(settings.storage.path)
        self._forget = Forget(self._database, settings.wecom.corp_id, external_userid)

    async def run(self) -> int:
        """Exit code: 0 when nothing of the customer is left. Raises click.Abort where the answer is no."""
        path = self._settings.storage.path
        if not path.is_file():  # before anything opens it: SQLite would make one
            return self._fail(self._say("script.no_database", path=path.absolute()))
        try:
            return await self._run()
        except StorageError as failed:
            return self._fail(self._say.storage(failed))
        finally:
            await self._database.close()

    async def _run(self) -> int:
        await self._database.open()
        found = await self._forget.find()
        if not found.rows and not await self._forget.leaves_pieces():
            return await self._refuse("unknown", self._say("forget.nobody", customer=self._customer))
        if found.rows:
            self._show(found)
        if found.open and not self._force:
            numbers = " ".join(f"#{number}" for number in found.open)
            return await self._refuse("open", self._say("forget.open", numbers=numbers, customer=self._customer))
        if found.rows and not self._yes:
            click.confirm(self._say("forget.ask"), abort=True, err=True)
        return await entered(self._settings, "forget", self._erase, customer=self._customer)

    async def _refuse(self, why: str, told: str) -> int:
        await attempt(self._database, "forget", customer=self._customer).refused(why)
        return self._fail(told)

    async def _erase(self) -> int:
        name = pseudonym()
        if await self._forget.erase(name, time.time()):
            click.echo(self._say("forget.done", name=name))
        wiped = await self._forget.wipe()
        self._tell(wiped)
        return FAILED if wiped.left else DONE

    # -- what is told

    def _show(self, found: Traces) -> None:
        click.echo(self._say("forget.found", customer=self._customer))
        if found.nickname:
            click.echo(self._say("forget.nickname", name=self._say.plain(found.nickname)))
        for line in self._counts(found.rows):
            click.echo(line)

    def _counts(self, rows: Mapping[str, int]) -> list[str]:
        lines = [self._say(f"forget.{table}", count=rows[table]) for table in COUNTED if table in rows]
        others = sum(count for table, count in rows.items() if table not in COUNTED)
        return [*lines, self._say("forget.others", count=others)] if others else lines

    def _tell(self, wiped: Wiped) -> None:
        if wiped.running:
            click.echo(self._say("forget.running"))
        if not wiped.room:
            click.echo(self._say("forget.no_room"))
        if wiped.left:
            click.echo(self._say("forget.left", files=" ".join(map(str, wiped.left))))
        else:
            click.echo(self._say("forget.wiped"))
        self._tell_what_is_beyond()

    def _tell_what_is_beyond(self) -> None:
        say, copies = self._say, copies_with(self._settings.storage.path, self._customer)
        click.echo(say("forget.beyond"))
        if copies:
            click.echo(say("forget.backups", files=" ".join(map(str, copies))))
        click.echo(say("forget.other_backups"))
        click.echo(say("forget.logs", folder=self._settings.log.dir))
        click.echo(say("forget.outside"))
        click.echo(say("forget.memory"))

    def _fail(self, why: str) -> int:
        sys.stdout.flush()
        click.echo(f"❌ {why}", err=True)
        return FAILED
