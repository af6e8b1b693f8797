"""`/ws/customer` and `/ws/agent`: a page says who it is, then hears every event it may hear, as it happens.

    page    {"type": "AUTH", "token": "…", "after": 41}     within 5 s; without a token its cookie speaks, `after` if it
    server  {"type": "READY", "lastEventId": 41}             wants to catch up
    server  {"id": 42, "type": "HANDOFF_COMPLETED", "payload": {…}}, …          every event after `lastEventId`
    server  {"type": "RESET"}                                after READY: too much was missed, load anew
    page    {"type": "PING"}       server  {"type": "PONG"}   as often as it likes to know

What closes a socket says so by its code, see `frames.Code`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web

from bot.errors import KfbotError, TooManyRequests
from bot.feed import LiveFeed
from bot.live import LiveEvent
from bot.model import Scope, SessionKey
from bot.web import frames
from bot.web.doors import TurnedAway, nobody_told
from bot.web.errors import told
from bot.web.frames import Auth, Code
from bot.web.gates import Gate
from bot.web.peer import GRACE, Audience, Flooded, Peer
from bot.web.room import Room, address_of
from bot.wording import Words

log = logging.getLogger("kfbot.sockets")

AUTH_WITHIN = 5.0  # seconds
HEARTBEAT = 25.0  # seconds between two pings; a dead peer is gone after half as many more
LONGEST = 4096  # bytes of what a page may say
RETRY_AFTER = 60.0  # seconds, for who finds no place
SLICE = 100  # sockets written to without a break

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
# `bot.metrics.Metrics.observe_socket`: at which gate; opened, closed, sent, or why one was turned away; how many.
Count = Callable[[str, str, int], None]


class Sockets:
    """`host`: under which name the server is known outside, where a proxy does not tell it. `admit` raises
    TooManyRequests for who comes too often."""

    def __init__(
        self,
        feed: LiveFeed,
        gates: Sequence[Gate],
        say: Words,
        count: Count,
        host: str = "",
        admit: Callable[[web.Request], None] = lambda request: None,
        turned_away: TurnedAway = nobody_told,
    ) -> None:
        self._feed, self._say, self._count, self._host = feed, say, count, host.lower()
        self._admit, self._turned_away = admit, turned_away
        self._gates = {gate: Room(gate.most, gate.per_address) for gate in gates}
        self._connected: dict[Peer, Gate] = {}
        self._hearing: dict[Audience, set[Peer]] = {}
        self._stopping, self._emptied = False, asyncio.Event()
        feed.listeners.append(self.publish)

    def add_to(self, app: web.Application) -> None:
        for gate in self._gates:
            app.router.add_get(f"/ws/{gate.name}", self._route(gate), allow_head=False)
        app.on_shutdown.append(self.close)

    # -- what they hear

    async def publish(self, events: Sequence[LiveEvent]) -> None:
        """To all who may hear it; who comes in meanwhile has been told already."""
        last, sent = events[-1].id, Counter[str]()
        for number, (peer, count, news) in enumerate(self._shares(events), 1):
            if peer.position < last and peer in self._connected:
                peer.position = last
                sent[self._connected[peer].name] += count if self._tell(peer, news) else 0
            if number % SLICE == 0:
                await asyncio.sleep(0)
        for gate, count in sent.items():
            self._count(gate, "sent", count)

    def _shares(self, events: Sequence[LiveEvent]) -> list[tuple[Peer, int, bytes]]:
        shares = []
        framed = [(event.handoff.key, frames.text_frame(event.text)) for event in events]
        for audience in self._audiences(key for key, _ in framed):
            heard = [frame for key, frame in framed if _hears(audience, key)]
            if heard:
                news = b"".join(heard)
                shares += [(peer, len(heard), news) for peer in self._hearing[audience]]
        return shares

    def _audiences(self, keys: Iterable[SessionKey]) -> list[Audience]:
        """Customers are found by their session, agents by looking through the scopes, which are few."""
        customers: list[Audience] = [key for key in dict.fromkeys(keys) if key in self._hearing]
        return customers + [each for each in self._hearing if isinstance(each, Scope)]

    def _tell(self, peer: Peer, news: bytes) -> bool:
        if peer.write(news):
            return True
        self._refuse(peer, _Refused(Code.TOO_SLOW, "slow", "too slow: come back with the last id as after"))
        return False

    # -- one of them

    def _route(self, gate: Gate) -> Handler:
        async def serve(request: web.Request) -> web.StreamResponse:
            room, address = self._gates[gate], address_of(request.remote, request.headers)
            if self._stopping:
                raise web.HTTPServiceUnavailable
            try:
                self._admit(request)
                if not room.enter(address):
                    raise TooManyRequests(RETRY_AFTER)
            except TooManyRequests as refused:
                self._count(gate.name, "refused", 1)
                return told(self._say, refused)
            try:
                return await self._serve(request, gate)
            except web.HTTPBadRequest as no_handshake:
                return told(self._say, no_handshake)
            finally:
                room.leave(address)

        return serve

    async def _serve(self, request: web.Request, gate: Gate) -> web.StreamResponse:
        socket = web.WebSocketResponse(
            timeout=GRACE, autoclose=False, autoping=False, heartbeat=HEARTBEAT, compress=False, max_msg_size=LONGEST
        )
        try:
            await socket.prepare(request)
        except ValueError:  # a key that is not even ASCII
            raise web.HTTPBadRequest from None
        if request.transport is None:
            return socket
        peer = Peer(socket, request.transport)
        self._connected[peer] = gate
        self._count(gate.name, "opened", 1)
        if self._stopping:
            self._send_away(peer)
        try:
            await self._talk(peer, request, gate)
            self._part(peer)
            await peer.gone()
        finally:
            self._part(peer)
            del self._connected[peer]
            self._count(gate.name, "closed", 1)
            if not self._connected:
                self._emptied.set()
        return socket

    async def _talk(self, peer: Peer, request: web.Request, gate: Gate) -> None:
        try:
            said = await _first_frame(peer)
            if said is None:
                return
            peer.token = said.token or (request.cookies.get(gate.cookie, "") if self._is_own_page(request) else "")
            self._join(peer, await self._let_in(request, gate, peer.token), said.after)
            while (message := await peer.read()) is not None:
                if message.type is not WSMsgType.TEXT or not frames.is_ping(message.data):
                    raise _Refused(Code.BAD_FRAME, "garbage", "only PING is expected here")
                self._tell(peer, frames.PONG)
        except _Refused as refused:
            self._refuse(peer, refused)
        except Flooded:
            self._refuse(peer, _Refused(Code.TOO_MANY, "flood", "too much is said at once"))

    async def _let_in(self, request: web.Request, gate: Gate, token: str) -> Audience:
        try:
            return _admitted(gate, token)
        except _Refused as refused:
            await self._turned_away(f"ws/{gate.name}", address_of(request.remote, request.headers), refused.why)
            raise

    def _refuse(self, peer: Peer, refused: _Refused) -> None:
        gate = self._connected[peer].name
        self._part(peer)
        self._count(gate, refused.why, 1)
        log.debug("socket dropped | door=%s why=%s", gate, refused.why)
        peer.leave(refused.code, refused.reason)

    def _is_own_page(self, request: web.Request) -> bool:
        """A cookie comes along whoever wrote the page: the browser's word for whose page it is keeps others out."""
        try:
            host = urlsplit(request.headers.get("Origin", "")).netloc.lower()
        except ValueError:
            return False
        return bool(host) and host in (request.host.lower(), self._host)

    def _join(self, peer: Peer, audience: Audience, after: int | None) -> None:
        """Without a pause between what is told now and what `publish` tells next."""
        missed = [] if after is None else self._feed.since(after)
        caught_up = after is None or missed is None
        news = [frames.ready(self._feed.last if caught_up else after or 0)]
        if missed is None:
            news.append(frames.RESET)
        else:
            news += [frames.text_frame(event.text) for event in missed if _hears(audience, event.handoff.key)]
        peer.position = self._feed.last
        self._hear(peer, audience)
        self._tell(peer, b"".join(news))

    def _hear(self, peer: Peer, audience: Audience) -> None:
        peer.audience = audience
        self._hearing.setdefault(audience, set()).add(peer)

    def _part(self, peer: Peer) -> None:
        """It hears nothing more. Safe to call twice."""
        audience, peer.audience = peer.audience, None
        if audience is not None:
            self._hearing[audience].discard(peer)
            if not self._hearing[audience]:
                del self._hearing[audience]

    # -- all of them

    async def sweep(self) -> None:
        """Who was admitted may have lost the right since, by time or otherwise, or gained another."""
        for number, (peer, gate) in enumerate(list(self._connected.items()), 1):
            if peer.audience is not None:
                self._admit_again(peer, gate)
            if number % SLICE == 0:
                await asyncio.sleep(0)

    def _admit_again(self, peer: Peer, gate: Gate) -> None:
        try:
            audience = _admitted(gate, peer.token)
        except _Refused as refused:
            self._refuse(peer, refused)
            return
        if audience != peer.audience:
            self._part(peer)
            self._hear(peer, audience)

    def _send_away(self, peer: Peer) -> None:
        self._part(peer)
        peer.leave(Code.GOING_AWAY, "the server stops")

    async def close(self, _: web.Application | None = None) -> None:
        """At stop: nobody comes in any more, and who is there is sent away."""
        self._stopping = True
        for peer in list(self._connected):
            self._send_away(peer)
        self._emptied.clear()
        if self._connected:
            await self._emptied.wait()


class _Refused(Exception):
    """Why a socket is closed: for the page, and in one word for the metrics."""

    def __init__(self, code: Code, why: str, reason: str) -> None:
        self.code, self.why, self.reason = code, why, reason
        super().__init__(reason)


async def _first_frame(peer: Peer) -> Auth | None:
    """None where the page has gone again."""
    try:
        async with asyncio.timeout(AUTH_WITHIN):
            message = await peer.read()
    except TimeoutError:
        raise _Refused(Code.UNAUTHENTICATED, "silent", "no AUTH frame in time") from None
    if message is None:
        return None
    if message.type is WSMsgType.TEXT:
        with contextlib.suppress(ValueError):
            return frames.auth(message.data)
    raise _Refused(Code.BAD_FRAME, "garbage", "the first frame must be AUTH")


def _admitted(gate: Gate, token: str) -> Audience:
    try:
        return gate.admit(token)
    except KfbotError:
        raise _Refused(Code.UNAUTHENTICATED, "unauthenticated", "the token is not valid, or has expired") from None


def _hears(audience: Audience, key: SessionKey) -> bool:
    return key.open_kfid in audience if isinstance(audience, Scope) else key == audience
