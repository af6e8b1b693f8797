"""SQLite behind `bot.ports`: the only place with SQL.

`database` owns the threads and transactions, `migrations` the schema; one file per table family: `ledger` (sessions,
handoffs, their events, endings, closing messages), `promises` (outcomes that chats are owed), `parked_ends` (what could
not be settled), `questions` (what is asked of them, within a scope), `alerts` (and what staff said of them), `stats`
(rows to add up), `sync_store` (accounts, cursors, items), `people` (customers and servicers), `chats` (pairing, group
messages, the command log, cards, small facts), `outbox` (events on their way to webhooks), `feed` (the log as live
events), `export`, `audit` (who tried what).
`retention` deletes what is old, `forget` (with `mentions`) one customer; `backup` copies the whole. `lock` lets one bot
at a time have it, `integrity` looks through the file, `trouble` says what SQLite refuses.
"""

from __future__ import annotations

import importlib
import sys


def _import_without(library: str, optional: str) -> None:
    """sqlite_utils loads numpy, where the picture has brought it, for column types that nobody has here: 11 MB."""
    absent = optional not in sys.modules
    if absent:
        sys.modules[optional] = None  # type: ignore[assignment]  # an import of it now fails as if it were not there
    try:
        importlib.import_module(library)
    finally:
        if absent:
            del sys.modules[optional]


_import_without("sqlite_utils", "numpy")
