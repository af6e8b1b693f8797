"""Logs: `logs/app_YYYYMMDD.log` and stdout, one event a line, written by a thread of their own, secrets blacked out."""

from __future__ import annotations

import logging
import queue
import re
import sys
from collections.abc import Iterable
from datetime import datetime
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from typing import IO, Any

import structlog

_TOKEN_IN_URL = re.compile(
    r"((?:access_token|corpsecret|suite_access_token|secret|key|response_code|code)=)[^&\s\"'\\]+"
)
BLACK = "***"
QUIET = ("aiohttp.access", "apscheduler", "asyncio", "urllib3", "stamina")


class DailyFile(logging.StreamHandler[IO[str]]):
    """`app_YYYYMMDD.log`, a new file for each local day."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._day = folder, ""
        super().__init__(self._open(datetime.now().astimezone()))

    def emit(self, record: logging.LogRecord) -> None:
        moment = datetime.fromtimestamp(record.created).astimezone()
        if moment.strftime("%Y%m%d") != self._day:
            self.stream.close()
            self.setStream(self._open(moment))
        super().emit(record)

    def close(self) -> None:
        self.stream.close()
        super().close()

    def _open(self, moment: datetime) -> IO[str]:
        self._day = moment.strftime("%Y%m%d")
        return (self._folder / f"app_{self._day}.log").open("a", encoding="utf-8")


class Redaction:
    """Blacks out the configured secrets and anything that looks like a token in a URL; keeps an event on one line."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = sorted({secret for secret in secrets if len(secret) >= 6}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def text(self, text: str) -> str:
        text = _TOKEN_IN_URL.sub(rf"\1{BLACK}", text)
        if self._known is not None:
            text = self._known.sub(BLACK, text)
        return text.replace("\r", "\\r").replace("\n", "\\n")

    def __call__(self, _: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {name: self.text(value) if isinstance(value, str) else value for name, value in event.items()}


def start(
    folder: Path | None, level: str, json_lines: bool, secrets: Iterable[str], *, to_stdout: bool = True
) -> QueueListener:
    """Route the standard logging of every library through one formatter. `folder` None: no file.

    The caller stops the listener; records wait in memory for its thread, so that the event loop never writes.
    """
    formatter = _formatter(json_lines, Redaction(secrets))
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)] if to_stdout else []
    if folder is not None:
        handlers.append(DailyFile(folder))
    for handler in handlers:
        handler.setFormatter(formatter)
    waiting: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    root = logging.getLogger()
    root.handlers[:] = [_Passing(waiting)]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    listener = QueueListener(waiting, *handlers)
    listener.start()
    return listener


class _Passing(QueueHandler):
    """Records travel whole: the formatter on the other side wants the traceback."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        record.message = record.getMessage()
        record.msg, record.args = record.message, None
        return record


def _formatter(json_lines: bool, redaction: Redaction) -> logging.Formatter:
    shared: list[Any] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S.%f", utc=False),
        structlog.processors.format_exc_info,
        redaction,
    ]
    last: list[Any] = [structlog.processors.JSONRenderer(ensure_ascii=False)] if json_lines else [_line]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
    )


def _line(_: Any, __: str, event: structlog.typing.EventDict) -> str:
    """`2026-11-21 10:00:00.123456 INFO    handoffs | …`; grep finds the words of the message as they were written."""
    name = str(event.pop("logger", "")).removeprefix("kfbot.")
    head = f"{event.pop('timestamp', '')} {str(event.pop('level', '')).upper():<7} {name} | {event.pop('event', '')}"
    extra = " ".join(f"{key}={value}" for key, value in event.items())
    return f"{head} {extra}".rstrip()
