"""Named points of the code at which the process can be made to die, for the crash sweep in `tests/soak/kills`.

    KFBOT_FAULT_POINT=ending.recorded:2    the process kills itself at the second passing of that point

Each name is a literal and stands in the code once: the sweep reads the list of points from the source. In production
nobody sets the variable, and a point costs one look at another.
"""

from __future__ import annotations

import os
from collections.abc import Callable

VARIABLE = "KFBOT_FAULT_POINT"
KILL = 9  # SIGKILL, which nothing can catch: no `finally`, no commit, no farewell


def point(name: str) -> None:
    """Here a process may die: before or after a step that outlives it. May be called in any thread."""
    if passed is not None:
        passed(name)


def dies_at(where: str) -> Callable[[str], None] | None:
    """What to make of the variable's value: `name`, or `name:n` for the n-th passing."""
    meant, _, number = where.partition(":")
    left = int(number or 1)

    def pass_by(name: str) -> None:
        nonlocal left
        if name == meant:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), KILL)

    return pass_by if meant else None


passed: Callable[[str], None] | None = dies_at(os.environ.get(VARIABLE, ""))
"""Told of each passing."""
