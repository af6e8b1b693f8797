"""Processes beside this one: started, spoken to in JSON lines, and all ended when the bench ends, however it ends."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[1]
HOST = "127.0.0.1"
GRACE = 5.0  # seconds between asking a process to end and killing it
TAIL = 3000  # characters of a failed child's log worth showing


class ChildFailed(Exception):
    """A process of the benchmark ended, or said nothing, when it should not."""


class Child:
    """One process. `log` holds what it wrote to stderr, and for a program also its stdout."""

    def __init__(self, name: str, words: list[str], log: Path) -> None:
        self.name, self.log = name, log
        self._heard = b""
        with log.open("ab") as errors:
            # A session of its own: Ctrl+C reaches the parent only, which ends its children in order.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench.child", str(os.getpid()), *words],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                cwd=ROOT, env=_environment(), start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, seconds: float = 60.0, **order: Any) -> dict[str, Any]:
        """Send one line and wait for the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        return self.hear(seconds)

    def hear(self, seconds: float = 60.0) -> dict[str, Any]:
        """The next line it says."""
        assert self._process.stdout is not None
        source, until = self._process.stdout.fileno(), time.monotonic() + seconds
        while b"\n" not in self._heard:
            if not select.select([source], [], [], max(0.0, until - time.monotonic()))[0]:
                raise self.failed(f"said nothing for {seconds:.0f} s")
            chunk = os.read(source, 1 << 16)
            if not chunk:
                raise self.failed("has ended")
            self._heard += chunk
        line, _, self._heard = self._heard.partition(b"\n")
        news: dict[str, Any] = json.loads(line)
        return news

    def failed(self, why: str) -> ChildFailed:
        said = self.log.read_text("utf-8", "replace")[-TAIL:] if self.log.exists() else ""
        return ChildFailed(f"{self.name} {why}\n{said}".rstrip())

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        """Ask, then insist. Safe to call twice."""
        self._process.terminate()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


class Children:
    """`with Children(folder) as children:`; whatever was started in it has ended after it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._stack, self._count = folder, ExitStack(), 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def call(self, target: str, **arguments: Any) -> Child:
        """A process that calls `module:function` with these arguments."""
        return self._start(target, ["call", target, json.dumps(arguments)])

    def program(self, *words: str) -> tuple[Child, float]:
        """A Python program by its command line, and the monotonic time at which it took over its process."""
        child = self._start(words[0], ["exec", str(self._log()), sys.executable, *words])
        return child, float(child.hear()["at"])

    def _start(self, name: str, words: list[str]) -> Child:
        child = Child(name, words, self._log())
        self._count += 1
        self._stack.callback(child.end)
        return child

    def _log(self) -> Path:
        return self._folder / f"child-{self._count}.log"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def listening(child: Child, port: int, seconds: float = 30.0) -> None:
    """Waits until somebody accepts connections there."""
    until = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((HOST, port)).close()
        except OSError:
            if not child.alive or time.monotonic() > until:
                raise child.failed("does not listen") from None
            time.sleep(0.02)
        else:
            return


def cpu_seconds(pid: int) -> float:
    """Processor time a process has used; 0 where the system does not tell through /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))


def resident_mb(pid: int) -> float:
    """Resident memory in MB of 2**20 bytes, shared pages included."""
    told = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, check=True, text=True)
    return int(told.stdout) / 1024


def _environment() -> dict[str, str]:
    """Ours without settings of a bot that may be meant for somebody else."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith("KFBOT_")}
