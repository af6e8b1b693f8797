"""The first code of every child process: `python -m bench.child PARENT_PID …`. Imports next to nothing.

`call MODULE:FUNCTION JSON` calls a function with these arguments. `exec LOG WORDS…` becomes another program whose
output goes to LOG, after saying at what monotonic time it did so.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
import time
from typing import Any

PR_SET_PDEATHSIG = 1


def main(parent: str, mode: str, *words: str) -> None:
    _die_with(int(parent))
    if mode == "exec":
        _become(*words)
    else:
        _call(*words)


def say(**news: Any) -> None:
    """One line to the parent."""
    print(json.dumps(news), flush=True)


def _die_with(parent: int) -> None:
    """Linux kills this process with its parent, even when that is killed itself; it stays so through exec."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit("the parent is gone already")


def _become(log: str, *words: str) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    say(at=time.monotonic())
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.execv(words[0], words)


def _call(target: str, arguments: str) -> None:
    module, _, function = target.partition(":")
    getattr(importlib.import_module(module), function)(**json.loads(arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
