"""What the log says that nobody should ever read."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class Ears(logging.Handler):
    """Keeps what is told of mistakes: with a traceback, or under an incident's number."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.exc_info or "incident" in message:
            trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
            self.heard.append(f"{record.name}: {message}\n{trace}")

    @classmethod
    @contextmanager
    def open(cls) -> Iterator[Ears]:
        ears, loggers = cls(), [logging.getLogger(name) for name in ("kfbot", "asyncio")]
        for each in loggers:
            each.addHandler(ears)
        try:
            yield ears
        finally:
            for each in loggers:
                each.removeHandler(ears)
