"""`python -m tests.soak.fuzz.bot SETTINGS`: a bot to be fuzzed, in a process whose memory is its own.

WeCom grants few calls without a token. Junk with a right signature would use them up, and what follows would wait.
"""

from __future__ import annotations

import sys

import bot.app
from bot import cli

if __name__ == "__main__":
    bot.app.TOKEN_LESS = (10**6, 61.0)
    sys.argv = ["bot.py", "run", "--settings", sys.argv[1]]
    cli.main()
