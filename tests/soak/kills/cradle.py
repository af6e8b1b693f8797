"""`python -m tests.soak.kills.cradle`: forks bots for `nursery`, and tells how each life has ended.

What is forked here is `bot.py` in a process of its own, which need not import everything anew. Only its time is
another's, and it looks after what it has left undone more often.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bot.app
import bot.backup_script
import bot.checks
import bot.core
import bot.end_script
import bot.forget_script
import bot.log  # as the next but one, what the verb would import in each life anew
import bot.outbox
import bot.settings_file
from bot import cli, faults
from tests.soak.kills.moved import MovedClock

OFTEN = 0.25  # seconds between looks that are further apart elsewhere: time is moved here, and not waited for

Order = dict[str, Any]


def main() -> None:
    """An order is a line of JSON; with the last one this process and all its bots end."""
    living: dict[int, Order] = {}

    def bury(*_: object) -> None:
        while living:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            _tell(living.pop(pid), status)

    signal.signal(signal.SIGCHLD, bury)
    gc.freeze()
    for line in sys.stdin:
        _take(json.loads(line), living)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for pid in living:
        os.kill(pid, signal.SIGKILL)


def _take(order: Order, living: dict[int, Order]) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    pid = os.fork()
    if pid == 0:
        _live(order)
    living[pid] = order
    Path(order["pid"]).write_text(str(pid))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])


def _tell(order: Order, status: int) -> None:
    """In one piece: whoever looks sees all of it or nothing."""
    unfinished = Path(f"{order['ended']}-")
    unfinished.write_text(str(os.waitstatus_to_exitcode(status)))
    unfinished.rename(order["ended"])


def _live(order: Order) -> None:
    """Never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
    _redirect(order["log"])
    code: object = 70
    try:
        _prepare(order)
        sys.argv = ["bot.py", *order["words"], "--settings", order["settings"]]
        cli.main()
        code = 0
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0)


def _redirect(log: str) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)


def _prepare(order: Order) -> None:
    clock = MovedClock(Path(order["clock"]))
    bot.core.SystemClock.now = lambda self: clock.now()  # type: ignore[method-assign]
    bot.app.SETTLE_EVERY = bot.checks.NAP = bot.checks.RETRY = bot.outbox.EVERY = OFTEN
    for name in order["hurried"]:
        setattr(bot.app, name, OFTEN)
    faults.passed = _noting(order["passed"], faults.dies_at(order["fault"]))


def _noting(path: str, die: Callable[[str], None] | None) -> Callable[[str], None]:
    """Each passing as a line of a file, also that of the death."""
    notes = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(name: str) -> None:
        os.write(notes, f"{name}\n".encode())
        if die is not None:
            die(name)

    return note


if __name__ == "__main__":
    main()
