"""SQLite behind `bot.ports`: the only place with SQL.

`database` owns the threads and transactions, `migrations` the schema; one file per table family: `ledger` (sessions,
handoffs, their events, endings, closing messages), `sync_store` (accounts, cursors, items), `people` (customers and
servicers), `chats` (pairing, group messages, the command log).
"""
