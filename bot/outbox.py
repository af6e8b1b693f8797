"""Handoff events to other programs, by signed POST requests; docs/webhooks.md tells receivers what to rely on.

Each delivery is tried until it is accepted, with growing pauses, for about a day; after that it is dead until somebody
replays it. Events of one handoff arrive in their order, those of others need not wait. An event may arrive twice, with
the same `X-Kfbot-Delivery`. A webhook where one try after the other fails is rested and probed, one try at a time.

    X-Kfbot-Signature: sha256=<hex HMAC-SHA256 of "{X-Kfbot-Timestamp}.{body}" with the webhook's secret>
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bot import __version__
from bot.errors import StorageError, WeComUnavailable
from bot.faults import point
from bot.http import encode
from bot.live import LiveEvent, iso, live_event
from bot.ports import Clock, Delivery, Outbox
from bot.settings import OutgoingWebhook

log = logging.getLogger("kfbot.webhooks")

EVERY = 1.0  # seconds between looks while nothing new is heard of
SECONDS = 10.0  # a receiver has for its answer
LEASE = 60.0  # seconds after which a delivery whose outcome could not be recorded is sent again
AT_ONCE = 8  # per webhook
FIRST_PAUSE, PAUSE_GROWS, LONGEST_PAUSE = 5.0, 3.0, 3600.0
TRIES = 30  # take a day: half an hour for the first seven, then one an hour
DOWN_AFTER = 5  # failures without a success between them
LONGEST_REST = 60.0  # between two probes of a webhook that is down
GONE = 410  # the receiver wants no more of this

Post = Callable[[str, bytes, Mapping[str, str], float, str], Awaitable[int]]
"""`bot.http.Http.post`: address, body, headers, seconds, and a name for what goes wrong; the status."""


@dataclass(slots=True)
class _Line:
    """One webhook: how many deliveries are under way, and since how many tries it has accepted none."""

    hook: OutgoingWebhook
    busy: int = 0
    failures: int = 0
    rest_until: float = 0.0
    why: str = ""

    @property
    def down(self) -> bool:
        return self.failures >= DOWN_AFTER

    def room(self, now: float) -> int:
        if not self.down:
            return AT_ONCE
        return 0 if now < self.rest_until else 1


class Webhooks:
    """`open` before `run`. `jitter`: a number from 0 to 1."""

    def __init__(
        self,
        outbox: Outbox,
        post: Post,
        clock: Clock,
        hooks: Iterable[OutgoingWebhook],
        *,
        observe: Callable[[str], None] = lambda outcome: None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._outbox, self._post, self._clock = outbox, post, clock
        self._observe, self._jitter = observe, jitter
        self._lines = {hook.id: _Line(hook) for hook in hooks}
        self._tasks: set[asyncio.Task[None]] = set()
        self._wanted = asyncio.Event()
        self._failing = self._closed = False

    async def open(self) -> None:
        wanted = {name: (line.hook.host, line.hook.types) for name, line in self._lines.items()}
        await self._outbox.open(wanted, self._clock.now())

    async def heard(self, events: Sequence[LiveEvent]) -> None:
        """A listener of the live feed: it says when to look, the record says at what."""
        self.wake()

    def wake(self) -> None:
        self._wanted.set()

    async def run(self) -> None:
        """For ever, if there is anybody to tell."""
        while self._lines:
            self._wanted.clear()
            try:
                await self.look()
                self._failing = False
            except Exception as failed:  # the outermost loop; the next look comes in a moment
                if not self._failing:
                    log.error("webhooks stand still | %s", failed, exc_info=not isinstance(failed, StorageError))
                self._failing = True
            await self._rest()

    async def look(self) -> None:
        """Make deliveries of what is new, and see to it that somebody works on what is due."""
        await self._outbox.collect(self._clock.now())
        point("webhook.collected")
        for name in await self._outbox.due(self._clock.now()):
            self._send_on(self._lines[name])

    async def stop(self, seconds: float) -> None:
        """Let what is under way finish. What takes longer is sent again by the next process."""
        self._closed = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def idle(self) -> None:
        """Until nothing is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def down(self) -> list[tuple[str, str]]:
        """Hosts that accept nothing, each with what it said last."""
        return [(line.hook.host, line.why) for line in self._lines.values() if line.down]

    # -- one webhook

    def _send_on(self, line: _Line) -> None:
        """One more works on it, where there is room."""
        if self._closed or line.busy >= line.room(self._clock.now()):
            return
        line.busy += 1
        task = asyncio.create_task(self._work(line), name=f"webhook {line.hook.host}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, line: _Line) -> None:
        """Deliver one after the other. Who finds something calls another: there may be more than one can do."""
        try:
            while not self._closed and line.busy <= line.room(self._clock.now()):
                delivery = await self._outbox.take(line.hook.id, self._clock.now(), LEASE)
                if delivery is None:
                    return
                point("webhook.taken")
                self._send_on(line)
                await self._deliver(line, delivery)
        except StorageError as broken:
            log.error("webhook outcome not recorded, it will be sent again | to=%s %s", line.hook.host, broken)
        except Exception:  # the outermost loop; the lease brings the delivery back
            log.exception("webhook failed | to=%s", line.hook.host)
        finally:
            line.busy -= 1

    async def _deliver(self, line: _Line, delivery: Delivery) -> None:
        why, gone = await self._send(line.hook, delivery)
        if why:
            await self._failed(line, delivery, why, gone)
        else:
            await self._accepted(line, delivery)

    async def _send(self, hook: OutgoingWebhook, delivery: Delivery) -> tuple[str, bool]:
        """Empty, or why it was not accepted; and whether it is never to be sent again."""
        timestamp = str(int(self._clock.now()))
        event, body = body_of(delivery)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"kfbot/{__version__}",
            "X-Kfbot-Event": event,
            "X-Kfbot-Delivery": delivery.key,
            "X-Kfbot-Timestamp": timestamp,
            "X-Kfbot-Signature": signature(hook.secret.get_secret_value(), timestamp, body),
        }
        try:
            status = await self._post(hook.url, body, headers, SECONDS, hook.host)
        except WeComUnavailable as silent:
            return silent.errmsg, False
        point("webhook.posted")
        return "" if 200 <= status < 300 else f"HTTP {status}", status == GONE

    async def _accepted(self, line: _Line, delivery: Delivery) -> None:
        now, was_down = self._clock.now(), line.down
        line.failures, line.why = 0, ""
        self._observe("accepted")
        await self._outbox.settle(delivery, "done", now)
        point("webhook.settled")
        if was_down:
            log.info("webhook is back | to=%s", line.hook.host)
            await self._outbox.hurry(line.hook.id, now)

    async def _failed(self, line: _Line, delivery: Delivery, why: str, gone: bool) -> None:
        now, host = self._clock.now(), line.hook.host
        if not gone:
            self._count(line, why, now)
        if gone or delivery.attempts >= TRIES:
            self._observe("dead")
            log.error("webhook delivery given up, see /parked | to=%s delivery=%d %s", host, delivery.id, why)
            await self._outbox.settle(delivery, "dead", now, why)
            return
        pause = self._pause(delivery.attempts, LONGEST_PAUSE)
        self._observe("failed")
        log.warning(
            "webhook refused | to=%s delivery=%d try=%d %s, again in %.0f s",
            host, delivery.id, delivery.attempts, why, pause,
        )  # fmt: skip
        await self._outbox.settle(delivery, "pending", now, why, now + pause)

    def _count(self, line: _Line, why: str, now: float) -> None:
        line.why = why
        if line.down and now < line.rest_until:  # it was under way already when the rest began
            return
        line.failures += 1
        if line.down:
            line.rest_until = now + self._pause(line.failures - DOWN_AFTER + 1, LONGEST_REST)
        if line.failures == DOWN_AFTER:
            log.error("webhook is down, probing | to=%s %s", line.hook.host, why)

    def _pause(self, failures: int, longest: float) -> float:
        """5 s, 15 s, 45 s, …, give or take a fifth."""
        grown = FIRST_PAUSE * PAUSE_GROWS ** min(failures - 1, 10)
        return min(grown, longest) * (0.8 + 0.4 * self._jitter())

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(EVERY):
                await self._wanted.wait()
        except TimeoutError:
            pass


def body_of(delivery: Delivery) -> tuple[str, bytes]:
    """Name of the event, and the JSON that is signed and sent."""
    live = live_event(delivery.event, delivery.handoff)
    assert live is not None  # only such events become deliveries
    name = f"handoff.{delivery.event.type.lower()}"
    told = {
        "id": live.id, "event": name, "type": live.type, "createdAt": iso(delivery.event.at), "payload": live.payload
    }  # fmt: skip
    return name, encode(told)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={digest.hexdigest()}"
