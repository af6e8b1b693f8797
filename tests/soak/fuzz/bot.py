"""`python -m tests.soak.fuzz.bot SETTINGS`: a bot to be fuzzed, in a process whose memory is its own.

WeCom grants few calls without a token. Junk with a right signature would use them up, and what follows would wait. And
SQLite's caches, which grow with the file until they are full, are full from the start: what grows then is a leak.
"""

from __future__ import annotations

import sys

import bot.app
from bot import cli
from storage import database

if __name__ == "__main__":
    bot.app.TOKEN_LESS = (10**6, 61.0)
    database.CACHE_KIB = 256
    sys.argv = ["bot.py", "run", "--settings", sys.argv[1]]
    cli.main()
