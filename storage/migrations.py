"""The schema, step by step. Only add steps; a released step never changes.

Times are REAL seconds since the epoch, UTC. JSON columns hold compact UTF-8 text.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlite_utils import Database, Migrations

from bot.errors import StorageError
from bot.faults import point

migrations = Migrations("kfbot")
OPEN = "('PENDING', 'ACCEPTED', 'IN_PROGRESS')"
OVER = "('COMPLETED', 'CANCELLED')"


def refuse_others(db: Database, path: Path) -> None:
    """Raises StorageError for a file written by a newer kfbot or by another program, and leaves it as it is."""
    applied = {step.name for step in migrations.applied(db)}
    newer = sorted(applied - {step.name for step in migrations._migrations})
    if newer:
        what = f"{path} was written by a newer kfbot (it has {newer[-1]}); upgrade kfbot to use it"
        raise StorageError(what, "newer", path=path, step=newer[-1])
    if not applied and set(db.table_names()) - {migrations.migrations_table}:
        raise StorageError(f"{path} is the database of another program", "foreign", path=path)


def refuse_empty(db: Database, path: Path) -> None:
    """Raises StorageError where there is nothing to read yet."""
    if not migrations.applied(db):
        raise StorageError(f"{path} is empty: no kfbot has run on it yet", "empty", path=path)


def is_current(db: sqlite3.Connection) -> bool:
    return not migrations.pending(Database(db, execute_plugins=False))


def migrate(db: Database) -> None:
    """Bring the file up to this version."""
    if migrations.pending(db):
        migrations.apply(db)


def _script(db: Database, *statements: str) -> None:
    for statement in statements:
        db.execute(statement)
    point("schema.applying")


@migrations()
def m001_sync(db: Database) -> None:
    """Accounts with their cursors, and every item of the message stream once."""
    _script(
        db,
        # live_from: items sent before it are history. cold: still reading history. cursor NULL: never read, or lost.
        """CREATE TABLE accounts (
            open_kfid TEXT PRIMARY KEY, name TEXT NOT NULL DEFAULT '', cursor TEXT,
            live_from REAL, cold INTEGER NOT NULL DEFAULT 1, synced_at REAL, error TEXT,
            token TEXT NOT NULL DEFAULT '', token_at REAL NOT NULL DEFAULT 0
        ) WITHOUT ROWID""",
        # state: done, history, parked (error says why). body: events and parked items; messages only if keep_text=all.
        """CREATE TABLE items (
            open_kfid TEXT NOT NULL, msgid TEXT NOT NULL, external_userid TEXT NOT NULL, send_time INTEGER NOT NULL,
            origin INTEGER NOT NULL, msgtype TEXT NOT NULL, event_type TEXT NOT NULL, servicer_userid TEXT NOT NULL,
            state TEXT NOT NULL, body TEXT, error TEXT, PRIMARY KEY (open_kfid, msgid)
        ) WITHOUT ROWID""",
        "CREATE INDEX items_parked ON items (open_kfid, msgid) WHERE state = 'parked'",
    )


@migrations()
def m002_ledger(db: Database) -> None:
    """Sessions, handoffs, the append-only log, intentions to end, messages by single-use codes."""
    _script(
        db,
        """CREATE TABLE sessions (
            open_kfid TEXT NOT NULL, external_userid TEXT NOT NULL, state INTEGER, state_at REAL NOT NULL,
            servicer_userid TEXT, chat_mode TEXT NOT NULL, handoff_id INTEGER, last_handoff_id INTEGER,
            ended_at REAL NOT NULL, last_customer_at REAL NOT NULL, last_servicer_at REAL NOT NULL,
            check_at REAL, version INTEGER NOT NULL, end_asked_at REAL, PRIMARY KEY (open_kfid, external_userid)
        ) WITHOUT ROWID""",
        "CREATE INDEX sessions_customer ON sessions (external_userid)",
        "CREATE INDEX sessions_check ON sessions (check_at) WHERE check_at IS NOT NULL",
        "CREATE INDEX sessions_end_asked ON sessions (end_asked_at) WHERE end_asked_at IS NOT NULL",
        "CREATE INDEX sessions_quiet ON sessions (chat_mode, state_at) WHERE state IS NOT 4",
        """CREATE TABLE handoffs (
            id INTEGER PRIMARY KEY AUTOINCREMENT, tenant_id TEXT NOT NULL, open_kfid TEXT NOT NULL,
            external_userid TEXT NOT NULL, status TEXT NOT NULL, servicer_userid TEXT, requested_at REAL NOT NULL,
            accepted_at REAL, replied_at REAL, completed_at REAL, ended_by TEXT, via TEXT, operator_id TEXT,
            reason TEXT, previous_id INTEGER, waiting_since REAL, active_at REAL NOT NULL, last_text TEXT, watch_at REAL
        )""",
        f"""CREATE UNIQUE INDEX handoffs_one_open ON handoffs (open_kfid, external_userid) WHERE status IN {OPEN}""",
        f"CREATE INDEX handoffs_open_customer ON handoffs (external_userid) WHERE status IN {OPEN}",
        f"""CREATE INDEX handoffs_waiting ON handoffs (coalesce(waiting_since, 9e99), requested_at)
            WHERE status IN {OPEN}""",
        # The times are there to be read without the rows; an index to search by them would cost each message more.
        f"""CREATE INDEX handoffs_counts ON handoffs
            (open_kfid, status, waiting_since, active_at, accepted_at, requested_at) WHERE status IN {OPEN}""",
        "CREATE INDEX handoffs_customer ON handoffs (external_userid, id)",
        # Only for who asks with the same condition: to others it would seem better than the index that is.
        "CREATE INDEX handoffs_account ON handoffs (open_kfid) WHERE id > 0",
        "CREATE INDEX handoffs_watch ON handoffs (watch_at) WHERE watch_at IS NOT NULL",
        "CREATE INDEX handoffs_completed ON handoffs (completed_at) WHERE completed_at IS NOT NULL",
        """CREATE TABLE handoff_events (
            id INTEGER PRIMARY KEY AUTOINCREMENT, handoff_id INTEGER NOT NULL, type TEXT NOT NULL,
            operator_type TEXT NOT NULL, operator_id TEXT NOT NULL, at REAL NOT NULL, event_data TEXT NOT NULL
        )""",
        "CREATE INDEX handoff_events_handoff ON handoff_events (handoff_id, id)",
        "CREATE UNIQUE INDEX handoff_events_one_end ON handoff_events (handoff_id) WHERE type = 'COMPLETED'",
        """CREATE TRIGGER handoff_events_append_only BEFORE UPDATE ON handoff_events
            BEGIN SELECT RAISE(ABORT, 'handoff_events is append-only'); END""",
        # state: pending, done, failed. errcode/outcome: how the last attempt went. overtaken: see bot.sessions.Ending.
        """CREATE TABLE endings (
            id INTEGER PRIMARY KEY AUTOINCREMENT, handoff_id INTEGER NOT NULL, open_kfid TEXT NOT NULL,
            external_userid TEXT NOT NULL, operator_type TEXT NOT NULL, operator_id TEXT NOT NULL, via TEXT NOT NULL,
            reason TEXT NOT NULL, state TEXT NOT NULL, requested_at REAL NOT NULL, attempts INTEGER NOT NULL,
            overtaken INTEGER NOT NULL DEFAULT 0,
            lease_until REAL NOT NULL, settled_at REAL, errcode INTEGER, outcome TEXT, chat_id TEXT, is_group INTEGER
        )""",
        "CREATE UNIQUE INDEX endings_one_pending ON endings (handoff_id) WHERE state = 'pending'",
        "CREATE INDEX endings_handoff ON endings (handoff_id)",
        # Messages by single-use codes, one per handoff and service_state, the one its code was given in: 2 and 3 for a
        # greeting, 4 for the closing message. state: pending, sending, sent, failed, expired, unknown, skipped.
        """CREATE TABLE codes (
            handoff_id INTEGER NOT NULL, service_state INTEGER NOT NULL, code TEXT NOT NULL, state TEXT NOT NULL,
            msgid TEXT NOT NULL, expires_at REAL NOT NULL, created_at REAL NOT NULL, attempts INTEGER NOT NULL,
            errcode INTEGER, error TEXT, PRIMARY KEY (handoff_id, service_state)
        ) WITHOUT ROWID""",
        "CREATE INDEX codes_due ON codes (state) WHERE state IN ('pending', 'sending')",
    )


@migrations()
def m003_people(db: Database) -> None:
    """Names of customers, and servicers with their reception status."""
    _script(
        db,
        """CREATE TABLE customers (external_userid TEXT PRIMARY KEY, nickname TEXT NOT NULL, fetched_at REAL NOT NULL)
            WITHOUT ROWID""",
        """CREATE TABLE servicers (
            open_kfid TEXT NOT NULL, servicer_userid TEXT NOT NULL, receiving INTEGER, suspended INTEGER NOT NULL,
            updated_at REAL NOT NULL, PRIMARY KEY (open_kfid, servicer_userid)
        ) WITHOUT ROWID""",
    )


@migrations()
def m004_chats(db: Database) -> None:
    """Paired groups, and every group message once, with what came of it."""
    _script(
        db,
        "CREATE TABLE paired_chats (chat_id TEXT PRIMARY KEY, userid TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID",
        # outcome NULL: being worked on, or lost in a crash.
        """CREATE TABLE commands (
            id INTEGER PRIMARY KEY AUTOINCREMENT, channel TEXT NOT NULL, msgid TEXT NOT NULL, chat_id TEXT NOT NULL,
            is_group INTEGER NOT NULL, userid TEXT NOT NULL, command TEXT NOT NULL, text TEXT NOT NULL,
            at REAL NOT NULL, outcome TEXT, seconds REAL, incident TEXT
        )""",
        "CREATE UNIQUE INDEX commands_once ON commands (channel, msgid)",
        "CREATE INDEX commands_unsettled ON commands (id) WHERE outcome IS NULL",
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    )


@migrations()
def m005_alerts(db: Database) -> None:
    """Alerts of open handoffs, one per rule, and what staff said of them."""
    _script(
        db,
        # state: open, cleared (its clock stopped), closed (the handoff has ended, and the group was told). next_at:
        # when to look at it again, 0 when its handoff has ended. told: how often it was raised and told to the group.
        # The rule 'ended' is none: by it the group hears of an end that it had no alert of (customer.tell_group).
        """CREATE TABLE alerts (
            handoff_id INTEGER NOT NULL, rule TEXT NOT NULL, state TEXT NOT NULL, raised_at REAL NOT NULL,
            sends INTEGER NOT NULL, sent_at REAL NOT NULL, next_at REAL, told INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (handoff_id, rule)
        ) WITHOUT ROWID""",
        "CREATE INDEX alerts_next ON alerts (next_at) WHERE next_at IS NOT NULL",
        # What each card is about, by its task_id: a handoff's number, or 'alerts' for a list.
        "CREATE TABLE cards (task_id TEXT PRIMARY KEY, chat_id TEXT NOT NULL, about TEXT NOT NULL, at REAL NOT NULL)",
        "CREATE INDEX cards_about ON cards (chat_id, about, at)",
        """CREATE TABLE quiets (
            handoff_id INTEGER PRIMARY KEY, acked_by TEXT NOT NULL DEFAULT '', acked_at REAL NOT NULL DEFAULT 0,
            snoozed_by TEXT NOT NULL DEFAULT '', snoozed_at REAL NOT NULL DEFAULT 0,
            snoozed_until REAL NOT NULL DEFAULT 0
        )""",
    )


@migrations()
def m006_pages(db: Database) -> None:
    """Ended handoffs by account and how they ended, the newest within reach."""
    _script(db, f"CREATE INDEX handoffs_over ON handoffs (open_kfid, status) WHERE status IN {OVER}")


@migrations()
def m007_webhooks(db: Database) -> None:
    """Events of the handoff log on their way to other programs."""
    _script(
        db,
        # By a hash of the address. event_id: up to there the log's events have become deliveries; NULL while the
        # settings do not name the webhook.
        "CREATE TABLE webhooks (id TEXT PRIMARY KEY, host TEXT NOT NULL, event_id INTEGER) WITHOUT ROWID",
        # state: pending, sending, done, dead. next_at: when it may be taken, also out of the hands of one who has been
        # sending for too long; NULL while an earlier one of the same handoff and webhook has to go first.
        """CREATE TABLE deliveries (
            id INTEGER PRIMARY KEY AUTOINCREMENT, webhook TEXT NOT NULL, event_id INTEGER NOT NULL,
            handoff_id INTEGER NOT NULL, key TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
            next_at REAL, settled_at REAL, error TEXT NOT NULL DEFAULT ''
        )""",
        "CREATE UNIQUE INDEX deliveries_once ON deliveries (webhook, event_id)",
        "CREATE INDEX deliveries_handoff ON deliveries (handoff_id, webhook)",
        """CREATE INDEX deliveries_due ON deliveries (webhook, next_at)
            WHERE state IN ('pending', 'sending') AND next_at IS NOT NULL""",
        "CREATE INDEX deliveries_dead ON deliveries (id) WHERE state = 'dead'",
    )


@migrations()
def m008_audit(db: Database) -> None:
    """What anybody tried to do, allowed or refused: one chain, see bot.audit."""
    pruned = "SELECT json_extract(detail, '$.through') FROM audit WHERE verb = 'prune' ORDER BY id DESC LIMIT 1"
    _script(
        db,
        # operator_id: of a customer it is a digest. handoff: it outlives the one it names.
        """CREATE TABLE audit (
            id INTEGER PRIMARY KEY, at REAL NOT NULL, door TEXT NOT NULL, operator_type TEXT NOT NULL,
            operator_id TEXT NOT NULL, verb TEXT NOT NULL, handoff INTEGER, chat_id TEXT NOT NULL,
            open_kfid TEXT NOT NULL, outcome TEXT NOT NULL, detail TEXT NOT NULL, hash BLOB NOT NULL
        )""",
        "CREATE INDEX audit_prunes ON audit (id) WHERE verb = 'prune'",
        """CREATE TRIGGER audit_append_only BEFORE UPDATE ON audit
            BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END""",
        # Or a REPLACE could take the place of a row: it deletes without asking the trigger that guards deletions.
        """CREATE TRIGGER audit_at_the_end BEFORE INSERT ON audit
            WHEN NEW.id IS NOT (SELECT coalesce(max(id), 0) + 1 FROM audit)
            BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END""",
        # A row 'prune' lets those go that are older than what it says is kept, and then they may go.
        """CREATE TRIGGER audit_prune BEFORE INSERT ON audit WHEN NEW.verb = 'prune'
            AND (SELECT at FROM audit WHERE id = json_extract(NEW.detail, '$.through'))
                < NEW.at - json_extract(NEW.detail, '$.keep') IS NOT TRUE
            BEGIN SELECT RAISE(ABORT, 'audit is kept for the whole retention'); END""",
        f"""CREATE TRIGGER audit_kept BEFORE DELETE ON audit WHEN OLD.id <= ({pruned}) IS NOT TRUE
            BEGIN SELECT RAISE(ABORT, 'audit is kept for the whole retention'); END""",
    )


@migrations()
def m009_tenants(db: Database) -> None:
    """Handoffs of one tenant, newest first, in all accounts and in one; and whose they are, where it is told what is
    open."""
    _script(
        db,
        "CREATE INDEX handoffs_tenant ON handoffs (tenant_id)",
        "CREATE INDEX handoffs_tenant_account ON handoffs (tenant_id, open_kfid)",
        "DROP INDEX handoffs_counts",
        f"""CREATE INDEX handoffs_counts ON handoffs
            (open_kfid, status, waiting_since, active_at, accepted_at, requested_at, tenant_id)
            WHERE status IN {OPEN}""",
    )


@migrations()
def m010_found(db: Database) -> None:
    """Of a session: when a reading showed a human of whom no event has told yet."""
    _script(db, "ALTER TABLE sessions ADD COLUMN found_at REAL")


@migrations()
def m011_unsent(db: Database) -> None:
    """Of an alert, or of the last word where that is claimed: certainly not handed over yet, see bot.handing."""
    _script(
        db,
        "ALTER TABLE alerts ADD COLUMN unsent INTEGER NOT NULL DEFAULT 0",
        "CREATE INDEX alerts_unsent ON alerts (state) WHERE unsent = 1",
    )


@migrations()
def m012_owed(db: Database) -> None:
    """Of endings: whether the chat that asked has been told the outcome."""
    _script(
        db,
        # owed: how often the outcome may still go out unacknowledged; 0: the chat has been told, -1: given up. NULL:
        # nobody asked in a chat. command_id: the command or tap whose answer will tell it, NULL when it could not.
        "ALTER TABLE endings ADD COLUMN owed INTEGER",
        "ALTER TABLE endings ADD COLUMN command_id INTEGER",
        "UPDATE endings SET owed = iif(state = 'pending', 2, 0) WHERE chat_id != ''",
        "CREATE INDEX endings_owed ON endings (command_id) WHERE owed > 0",
    )


@migrations()
def m013_parked_ends(db: Database) -> None:
    """Of endings: state parked, for those that cannot be settled."""
    _script(db, "CREATE INDEX endings_parked ON endings (id) WHERE state = 'parked'")
