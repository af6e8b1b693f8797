"""`bot.py status`: open handoffs as they are on record. Reads the database, nothing else; the bot may be up or down."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.table import Table

from bot.errors import StorageError
from bot.model import Handoff, HandoffStatus
from bot.ports import AccountCounts
from bot.settings import Settings
from bot.wecom.errcodes import meaning_of
from bot.wording import Words
from storage.database import Database
from storage.ledger import Ledger
from storage.people import People

MOST, SHOWN = 1000, 20  # open handoffs in the JSON document, and in what people read


@dataclass(frozen=True, slots=True)
class AccountRow:
    open_kfid: str
    name: str
    human: int
    queued: int
    waiting: int
    oldest_wait_seconds: int | None


@dataclass(frozen=True, slots=True)
class OpenRow:
    """`waiting_seconds` is null where a servicer wrote last."""

    handoff: int
    open_kfid: str
    external_userid: str
    status: str
    servicer: str | None
    waiting_seconds: int | None
    requested_at: str


@dataclass(frozen=True, slots=True)
class Overview:
    """The JSON document: the longest waiting first, `total` counts those that are cut off too."""

    accounts: list[AccountRow] = field(default_factory=list)
    open: list[OpenRow] = field(default_factory=list)
    total: int = 0
    nicknames: dict[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, object]:
        return {key: value for key, value in asdict(self).items() if key != "nicknames"}


async def run_status(settings: Settings, as_json: bool) -> int:
    """Exit code: 0, or 1 where there is no database or it cannot be read."""
    say = Words(settings.lang, settings.group.aibot.name, meaning_of)
    try:
        overview = await _overview(settings, say)
    except StorageError as failed:
        _fail(say.storage(failed), as_json)
        return 1
    if as_json:
        click.echo(json.dumps(overview.document(), ensure_ascii=False))
    else:
        _show(overview, say)
    return 0


async def _overview(settings: Settings, say: Words) -> Overview:
    path = settings.storage.path
    if not path.is_file():  # before anything opens it: SQLite would make one
        raise StorageError(say("script.no_database", path=path.absolute()))
    database = Database(path)
    try:
        return await _read(database, settings.wecom.corp_id)
    finally:
        await database.close()


async def _read(database: Database, corp_id: str) -> Overview:
    ledger, now = Ledger(database, corp_id), time.time()
    open_ = [_open(each, now) for each in await ledger.open_handoffs(limit=MOST)]
    accounts = [_account(each, now) for each in await ledger.counts()]
    nicknames = await People(database).nicknames({each.external_userid for each in open_})
    return Overview([*accounts, *_not_listed(accounts, open_)], open_, await ledger.count_open(), nicknames)


def _not_listed(accounts: list[AccountRow], open_: list[OpenRow]) -> Iterator[AccountRow]:
    """`end` records handoffs of accounts that no bot has listed yet."""
    listed = {account.open_kfid for account in accounts}
    for open_kfid in sorted({each.open_kfid for each in open_} - listed):
        rows = [each for each in open_ if each.open_kfid == open_kfid]
        waits = [each.waiting_seconds for each in rows if each.waiting_seconds is not None]
        queued = sum(each.status == HandoffStatus.PENDING for each in rows)
        yield AccountRow(open_kfid, "", len(rows) - queued, queued, len(waits), max(waits, default=None))


def _account(counts: AccountCounts, now: float) -> AccountRow:
    oldest = _since(counts.oldest_wait, now)
    return AccountRow(counts.open_kfid, counts.name, counts.human, counts.queued, counts.waiting, oldest)


def _open(handoff: Handoff, now: float) -> OpenRow:
    return OpenRow(
        handoff.id,
        handoff.key.open_kfid,
        handoff.key.external_userid,
        handoff.status.value,
        handoff.servicer_userid,
        _since(handoff.waiting_since, now),
        datetime.fromtimestamp(handoff.requested_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def _since(moment: float | None, now: float) -> int | None:
    return None if moment is None else max(0, int(now - moment))


def _fail(why: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({**Overview().document(), "error": why}, ensure_ascii=False))
    else:
        click.echo(f"❌ {why}", err=True)


# -- for people


def _show(overview: Overview, say: Words) -> None:
    """Tables on a terminal; elsewhere lines with tabs, for `grep` and `cut`."""
    console = Console()
    show = _table(console) if console.is_terminal else _lines
    shown = overview.open[:SHOWN]
    show(say("script.status_title"), _words(say, "account human queued waiting oldest"), _account_cells(overview, say))
    if shown:
        title = say("script.status_open", shown=len(shown), total=overview.total)
        show(title, _words(say, "handoff customer account status servicer wait"), _open_cells(overview, shown, say))
    else:
        click.echo(say("status.quiet"))


def _words(say: Words, keys: str) -> list[str]:
    return [say(f"script.column_{key}") for key in keys.split()]


def _account_cells(overview: Overview, say: Words) -> Iterable[list[str]]:
    for row in overview.accounts:
        name = say.plain(row.name) or row.open_kfid
        yield [name, str(row.human), str(row.queued), str(row.waiting), _lasted(row.oldest_wait_seconds, say)]


def _open_cells(overview: Overview, shown: list[OpenRow], say: Words) -> Iterable[list[str]]:
    names = {row.open_kfid: say.plain(row.name) for row in overview.accounts}
    for row in shown:
        nickname = say.plain(overview.nicknames.get(row.external_userid, ""), 20)
        yield [
            f"#{row.handoff}",
            f"{nickname} {row.external_userid}".strip(),
            names.get(row.open_kfid) or row.open_kfid,
            say(f"status.{row.status}"),
            row.servicer or "-",
            _lasted(row.waiting_seconds, say),
        ]


def _lasted(seconds: int | None, say: Words) -> str:
    return "-" if seconds is None else say.lasted(seconds)


Show = Callable[[str, list[str], Iterable[list[str]]], None]


def _table(console: Console) -> Show:
    def show(title: str, head: list[str], rows: Iterable[list[str]]) -> None:
        table = Table(title=title, title_justify="left")
        for name in head:
            table.add_column(name, overflow="fold")
        for row in rows:
            table.add_row(*row)
        console.print(table, markup=False)

    return show


def _lines(title: str, head: list[str], rows: Iterable[list[str]]) -> None:
    click.echo(title)
    for row in (head, *rows):
        click.echo("\t".join(row))
