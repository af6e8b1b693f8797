"""aiohttp routes: request in, status out. For WeCom, probes and metrics collectors; nothing is decided here."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from aiohttp import ClientConnectionResetError, web
from aiohttp.http import HttpProcessingError
from aiohttp.typedefs import Handler

from bot.errors import CallbackRejected
from bot.faults import point
from bot.folded import Folded
from bot.metrics import Metrics
from bot.ports import Clock
from bot.replays import Replays
from bot.web.entrance import HANDLER, dressed
from bot.web.errors import failure
from bot.web.limits import Limit
from bot.web.room import address_of
from bot.wecom.crypto import FRESH_SECONDS, MAX_BODY_BYTES, CallbackCrypto
from bot.wecom.events import AccountsChanged, CallbackEvent, KfNotification, parse_event
from bot.wording import Words

log = logging.getLogger("kfbot.server")

CALLBACK = "/callback/kf"
SLOW_CLIENT = 10.0  # seconds a body may take to arrive
REJECTED = (1.0, 60.0)  # callbacks a second and at once, from one address, that are told what is wrong with them
PROBES = (20.0, 200.0)  # each looks into the database
PROBE_SECONDS = 3.0  # what Docker and Kubernetes wait by default is not much more
CUT_OFF = 0.25  # seconds for requests that a stop has to cut off; they have had their time before
COME_AGAIN = 5  # seconds; another process listens by then
TO_THE_END = frozenset({"/healthz", "/readyz", "/metrics"})


@dataclass(frozen=True, slots=True)
class Readiness:
    """`checks`: what was looked at and what is wrong with it, empty for nothing. `lately`: what was, and is over.
    `parked`: how much of what waits for a person, where there is some."""

    ready: bool
    checks: dict[str, str]
    lately: dict[str, str] = field(default_factory=dict)
    parked: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the routes call. Each returns at once or is awaited for an answer; none does WeCom's work in line."""

    wake: Callable[[str, str], None]
    accounts_changed: Callable[[], None]
    readiness: Callable[[], Awaitable[Readiness]]
    broken: Callable[[], bool] = bool
    """Nothing can be recorded now."""


OUTCOMES = ("kf", "accounts", "foreign", "verified", "replayed", "rejected")


class CallbackRoute:
    """`/callback/kf`. https://developer.work.weixin.qq.com/document/path/97712

    Good callbacks are never limited, for WeCom brings any number of them from one address; who brings bad ones is soon
    told no more than that there are too many.
    """

    def __init__(self, crypto: CallbackCrypto | None, hooks: Hooks, clock: Clock, metrics: Metrics) -> None:
        self._crypto, self._hooks, self._clock = crypto, hooks, clock
        self._outcomes = {name: metrics.callbacks.labels(name) for name in OUTCOMES}
        self._replays, self._bad = Replays(FRESH_SECONDS), Limit(*REJECTED)
        self._lines = Folded(log, "callbacks rejected")

    async def verify(self, request: web.Request) -> web.Response:
        """WeCom checks the URL when it is saved in the console: the decrypted echo, within 1 s, bare."""
        crypto = self._ready()
        try:
            echo = crypto.verify_url(*_signed(request), request.query.get("echostr", ""))
        except CallbackRejected as rejected:
            return self._reject(request, rejected)
        self._outcomes["verified"].inc()
        return web.Response(body=echo, content_type="text/plain")

    async def receive(self, request: web.Request) -> web.Response:
        """An event: acknowledged at once, worked on after. What WeCom repeats folds in the sync it wakes; a replay
        wakes none."""
        crypto, (signature, timestamp, nonce) = self._ready(), _signed(request)
        try:
            body = await _bounded(request)
            event = parse_event(crypto.open(signature, timestamp, nonce, body, now=self._clock.now()))
        except CallbackRejected as rejected:
            return self._reject(request, rejected)
        if not self._is_replay(signature):
            self._hand_on(event)
            if self._hooks.broken():  # who was woken has nothing but memory to keep it in: WeCom, too, keeps it then
                return web.Response(status=503, text="no storage\n", headers={"Retry-After": str(COME_AGAIN)})
            self._replays.remember(signature, timestamp, self._clock.now())
        return web.Response(body=b"success", content_type="text/plain")

    def _is_replay(self, signature: str) -> bool:
        if signature not in self._replays:
            return False
        self._outcomes["replayed"].inc()
        return True

    def _hand_on(self, event: CallbackEvent) -> None:
        """Whoever is woken tries until it has succeeded, and the next process does so by itself."""
        if isinstance(event, KfNotification):
            point("callback.opened")
            self._hooks.wake(event.open_kfid, event.token)
            point("callback.woke")
            self._outcomes["kf"].inc()
        elif isinstance(event, AccountsChanged):
            self._hooks.accounts_changed()
            self._outcomes["accounts"].inc()
        else:
            self._outcomes["foreign"].inc()

    def _ready(self) -> CallbackCrypto:
        if self._crypto is None:
            raise web.HTTPNotFound(text="callback.token and callback.encoding_aes_key are not set\n")
        return self._crypto

    def _reject(self, request: web.Request, rejected: CallbackRejected) -> web.Response:
        self._outcomes["rejected"].inc()
        self._lines.warning("callback rejected | reason=%s from=%s", rejected.reason, request.remote)
        wait = self._bad.take(address_of(request.remote, request.headers))
        if not wait:
            response = web.Response(status=rejected.status, text=f"{rejected.reason}\n")
        else:
            response = web.Response(status=429, text="too_many\n", headers={"Retry-After": str(math.ceil(wait))})
        if wait or not request.content.is_eof():
            response.force_close()
        return response


class Turnstile:
    """Who comes in, and how many are inside. Once closed it turns everybody away but probes: WeCom brings a callback
    again that is not answered 200, so it reaches the next process."""

    def __init__(self, say: Words) -> None:
        self._say, self._inside = say, 0
        self._empty = asyncio.Event()
        self._empty.set()
        self.closed = False

    def close(self) -> None:
        self.closed = True

    async def empty(self) -> None:
        """Until everybody has left."""
        await self._empty.wait()

    @web.middleware
    async def admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in TO_THE_END:
            return await handler(request)
        if self.closed:
            return self._turn_away(request)
        self._inside += 1
        self._empty.clear()
        try:
            return await handler(request)
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()

    def _turn_away(self, request: web.Request) -> web.Response:
        if request.path.startswith("/api/"):
            response = failure(self._say, 503, self._say("api.stopping"))
        else:
            response = web.Response(status=503, text=f"{self._say('api.stopping')}\n")
        response.headers["Retry-After"] = str(COME_AGAIN)
        response.force_close()
        return response


class _Brief(logging.Filter):
    """aiohttp's own log: what a client sends wrong is one line, without the request, whose query may hold a secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.msg, record.args = "not HTTP | reason=%s", (type(error).__name__,)
            record.exc_info, record.levelno, record.levelname = None, logging.WARNING, "WARNING"
        # The one has had its answer and its line, and who has hung up misses none.
        return not isinstance(error, (web.RequestPayloadError, ClientConnectionResetError))


_BRIEF = _Brief()


def runner(app: web.Application) -> web.AppRunner:
    return web.AppRunner(app, handle_signals=False, shutdown_timeout=CUT_OFF, **HANDLER)


def build(
    callback: CallbackRoute,
    hooks: Hooks,
    metrics: Metrics,
    parts: Iterable[Callable[[web.Application], None]] = (),
    turnstile: Turnstile | None = None,
) -> web.Application:
    """`parts`: what else the server has to offer; each adds its own routes."""
    logging.getLogger("aiohttp.server").addFilter(_BRIEF)  # again and again the same one
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[turnstile.admit] if turnstile else [])
    app.on_response_prepare.append(dressed)
    probes = Limit(*PROBES)

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "up"})

    async def look() -> Readiness:
        state = await _readiness(hooks)
        metrics.ready.set(state.ready)
        return state

    def spare(request: web.Request) -> None:
        wait = probes.take(address_of(request.remote, request.headers))
        if wait:
            raise web.HTTPTooManyRequests(headers={"Retry-After": str(math.ceil(wait))})

    async def readyz(request: web.Request) -> web.Response:
        spare(request)
        state = await look()
        more = {"lately": state.lately, "parked": state.parked}
        shown = {"ready": state.ready, "checks": state.checks} | {name: each for name, each in more.items() if each}
        return web.json_response(shown, status=200 if state.ready else 503)

    async def show_metrics(request: web.Request) -> web.Response:
        spare(request)
        await look()
        return web.Response(body=metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    app.router.add_get(CALLBACK, callback.verify, allow_head=False)
    app.router.add_post(CALLBACK, callback.receive)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", show_metrics)
    for add in parts:
        add(app)
    return app


async def _readiness(hooks: Hooks) -> Readiness:
    """A probe gets its answer in time and as JSON, whatever is the matter with what it looks at."""
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await hooks.readiness()
    except TimeoutError:
        return Readiness(False, {"probe": f"no answer within {PROBE_SECONDS:.0f} s"})
    except Exception:
        log.exception("readiness cannot be told")
        return Readiness(False, {"probe": "failed; the log has the details"})


async def _bounded(request: web.Request) -> bytes:
    """The body, refused by its announced length before a byte of it is read, and by its real length while reading.

    Who does not finish sending it is told so, and not waited for.
    """
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise CallbackRejected("too_large", 413)
    try:
        if request.content.is_eof():  # all of it came with the head, as WeCom's do
            return await request.read()
        async with asyncio.timeout(SLOW_CLIENT):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise CallbackRejected("too_large", 413) from None
    except TimeoutError:
        raise CallbackRejected("slow", 408) from None
    except (web.RequestPayloadError, ConnectionError):  # packed in no known way, or the client hung up
        raise CallbackRejected("body") from None


def _signed(request: web.Request) -> tuple[str, str, str]:
    query = request.query
    return query.get("msg_signature", ""), query.get("timestamp", ""), query.get("nonce", "")
