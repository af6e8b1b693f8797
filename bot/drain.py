"""The end of the process: how it is asked for, and how long work under way may take."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger("kfbot.drain")

ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CUT = 0.25  # seconds that what is cut off has to let go


def when_asked(stop: Callable[[], None]) -> None:
    """Call `stop` at the first signal; the second ends the process at once, even one whose loop hangs."""
    loop = asyncio.get_running_loop()
    # Under nohup the terminal may go.
    asking = [each for each in ASKING if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN]

    def first() -> None:
        for number in asking:
            loop.remove_signal_handler(number)
            # Not the system's own way to die of it: as the first process of a container it would ignore that.
            signal.signal(number, lambda again, _: os._exit(128 + again))
        stop()

    for number in asking:
        loop.add_signal_handler(number, first)


async def drain(seconds: float, **works: Coroutine[Any, Any, object]) -> None:
    """Everything at once, for so long at most. What fails or takes longer is told of, and left; raises nothing."""
    tasks = {asyncio.create_task(work, name=name) for name, work in works.items()}
    done, late = await asyncio.wait(tasks, timeout=max(0.0, seconds))
    for task in done:
        if not task.cancelled() and (failed := task.exception()) is not None:
            log.error("failed while stopping | %s", task.get_name(), exc_info=failed)
    for task in late:
        log.warning("cut off while stopping | %s after %.1f s", task.get_name(), seconds)
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=CUT)
