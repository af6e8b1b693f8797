"""Logs: `logs/app_YYYYMMDD.log` and stdout, one event a line, written by a thread of their own, secrets blacked out."""

from __future__ import annotations

import json
import logging
import os
import queue
import re
import sys
import time
from collections.abc import Iterable
from datetime import datetime
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import structlog

BLACK = "***"
BURST = 0.01  # seconds the writer waits for more, when a line has come
_LINE = "kfbot_line"
QUIET = ("aiohttp.access", "apscheduler", "asyncio", "urllib3", "stamina")

# Short names mean a secret only inside an address: `errcode=95016` and `key=end:12` are what people grep for.
_IN_ADDRESS = re.compile(r"([?&](?:access_token|corpsecret|secret|key|response_code|code|token)=)[^&\s\"'\\]+")
_ANYWHERE = re.compile(r"((?:access_token|corpsecret)[\"'\\\s]*[:=][\"'\\\s]*)[\w.~-]+")
_BEARER = re.compile(r"(Bearer\s+|/h/)[\w.~+/=-]{8,}")  # also the customer's page, whose address is the token
_NO_TEXT = (bool, int, float, type(None), logging.LogRecord)
# Line ends, what a terminal would obey, and what makes it show the words of a line in another order, or none of them.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


class DailyFile(logging.StreamHandler[IO[str]]):
    """`app_YYYYMMDD.log`, a new file for each local day."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(0o700, parents=True, exist_ok=True)
        self._folder, self._day = folder, _day(time.time())
        super().__init__(self._open(self._day))

    def emit(self, record: logging.LogRecord) -> None:
        """Never raises: the thread that writes has to live on when a disk is full for a while."""
        try:
            self._turn(_day(record.created))
        except OSError:
            self.handleError(record)
        super().emit(record)

    def _turn(self, day: str) -> None:
        """Only forward: a record that waited over midnight must not reopen yesterday for the next one."""
        if day > self._day:
            yesterday = self.setStream(self._open(day))
            self._day = day
            if yesterday is not None:
                yesterday.close()

    def close(self) -> None:
        self.stream.close()
        super().close()

    def _open(self, day: str) -> IO[str]:
        """Nobody else's to read: there are names in it, and the code that pairs a group."""
        return open(self._folder / f"app_{day}.log", "a", encoding="utf-8", errors="replace", opener=_ours)


def _ours(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class Redaction:
    """Blacks out the configured secrets and anything that looks like a token."""

    def __init__(self, secrets: Iterable[str]) -> None:
        long_enough = {secret for secret in secrets if len(secret) >= 6}
        known = sorted(long_enough | {quote(secret, safe="") for secret in long_enough}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def text(self, text: str) -> str:
        for pattern in (_IN_ADDRESS, _ANYWHERE, _BEARER):
            text = pattern.sub(rf"\1{BLACK}", text)
        if self._known is not None:
            text = self._known.sub(BLACK, text)
        return text

    def __call__(self, _: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        """A value that is no text becomes one: a mapping or an exception may hold a secret too."""
        return {name: value if isinstance(value, _NO_TEXT) else self.text(str(value)) for name, value in event.items()}


class Listener(QueueListener):
    """Writes what is queued; `stop` writes the rest, closes the files, and leaves logging as it was found."""

    def __init__(self, waiting: queue.SimpleQueue[logging.LogRecord], *handlers: logging.Handler) -> None:
        super().__init__(waiting, *handlers)
        self._waiting = waiting
        root = logging.getLogger()
        self._before = root.handlers[:], root.level

    def dequeue(self, block: bool) -> logging.LogRecord:
        """Lines come in bursts, and to wake up for each costs more than to write it."""
        quiet, record = self._waiting.empty(), self._waiting.get(block)
        if quiet:
            time.sleep(BURST)
        return record

    def stop(self) -> None:
        super().stop()
        root = logging.getLogger()
        root.handlers[:], level = self._before
        root.setLevel(level)
        for handler in self.handlers:
            handler.flush()
            if isinstance(handler, DailyFile):
                handler.close()


def start(
    folder: Path | None, level: str, json_lines: bool, secrets: Iterable[str], *, to_stdout: bool = True
) -> Listener:
    """Route the standard logging of every library, and structlog's, through one formatter. `folder` None: no file.

    The caller stops the listener; records wait in memory for its thread, so that the event loop never writes.
    Raises OSError where the folder cannot be written.
    """
    formatter = _formatter(json_lines, Redaction(secrets))
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)] if to_stdout else []
    if folder is not None:
        handlers.append(DailyFile(folder))
    for handler in handlers:
        handler.setFormatter(formatter)
    waiting: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    listener = Listener(waiting, *handlers)
    root = logging.getLogger()
    root.handlers[:] = [_Passing(waiting)]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    _structlog_too()
    listener.start()
    return listener


def expose(files: Iterable[Path]) -> None:
    """Say it at every start, until it is mended: whoever reads one of these is the bot."""
    for file in files:
        logging.getLogger("kfbot.secrets").critical(
            "⚠️ 任何人都能读取 %s，其中有密钥 | everybody on this machine can read it: chmod 600 %s", file, file
        )


class _Passing(QueueHandler):
    """Records travel whole: the formatter on the other side wants the traceback, and structlog's own events."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        if isinstance(record.msg, dict):
            record.msg = dict(record.msg)
        else:
            record.message = record.getMessage()
            record.msg, record.args = record.message, None
        return record


def _structlog_too() -> None:
    """Without this, structlog prints to stdout by itself, past the file and past the redaction."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


class _Once(structlog.stdlib.ProcessorFormatter):
    """Makes the line of a record for the first handler, and remembers it for the others."""

    def format(self, record: logging.LogRecord) -> str:
        line: str | None = vars(record).get(_LINE)
        if line is None:
            line = vars(record)[_LINE] = super().format(record)
        return line


def _formatter(json_lines: bool, redaction: Redaction) -> logging.Formatter:
    return _Once(
        foreign_pre_chain=[structlog.processors.format_exc_info],
        processors=[
            redaction,
            _head,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _json_line if json_lines else _line,
        ],
    )


def _head(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """When it happened, not when this thread came to write it."""
    record: logging.LogRecord = event["_record"]
    moment = datetime.fromtimestamp(record.created).astimezone()
    return {
        "timestamp": moment.strftime("%Y-%m-%d %H:%M:%S.%f"),
        "level": record.levelname.lower(),
        "logger": record.name.removeprefix("kfbot.").removeprefix("bot."),
        **event,
    }


def _line(_: Any, __: str, event: structlog.typing.EventDict) -> str:
    """`2026-11-21 10:00:00.123456 INFO    handoffs | …`; grep finds the words of the message as they were written."""
    head = f"{event.pop('timestamp')} {str(event.pop('level')).upper():<7} {event.pop('logger')} | "
    words = [str(event.pop("event", "")), *(f"{key}={value}" for key, value in event.items())]
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], head + " ".join(words)).rstrip()


def _json_line(_: Any, __: str, event: structlog.typing.EventDict) -> str:
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(event, ensure_ascii=False))


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment).astimezone().strftime("%Y%m%d")
