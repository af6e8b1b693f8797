"""The outgoing sessions of the process, one for WeCom and one for webhooks: a time limit on every call, nothing secret
in any failure.

Tokens, secrets and webhook keys travel in query strings. aiohttp puts whole URLs into its exceptions, so its words are
never passed on: every failure is told again in words chosen here, and raised with no cause and no context.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Self

from aiohttp import (
    AddrInfoType,
    ClientConnectorError,
    ClientError,
    ClientSession,
    ClientTimeout,
    ClientWebSocketResponse,
    ConnectionTimeoutError,
    DummyCookieJar,
    InvalidURL,
    TCPConnector,
)
from yarl import URL

from bot.addresses import is_public
from bot.errors import WeComUnavailable

CALL_SECONDS = 5.0
CONNECT_SECONDS = 3.0
CONNECTIONS = 64
CONNECTIONS_PER_HOST = 16  # WeCom answers 45033 to too many calls at once; waiting for a turn here is cheaper
# Idle connections are closed by us before the server does it. A POST written to a connection that the server has just
# closed fails with an unknown outcome, and aiohttp repeats only GET by itself.
KEEP_ALIVE_SECONDS = 15.0
STRANGER_BYTES = 1 << 16  # of an answer; a longer one costs its connection, and is not read on

_ENCODER, _DECODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")), json.JSONDecoder(strict=False)
_NOT_SENT = (ClientConnectorError, ConnectionTimeoutError, InvalidURL)


class Http:
    """Owns the session: opened in the running loop by the first call, closed once by `close` or `async with`.

    `public_only`: connect to no address inside the own network, whatever name leads there.
    """

    def __init__(self, *, connections_per_host: int = CONNECTIONS_PER_HOST, public_only: bool = False) -> None:
        self._connections_per_host, self._public_only = connections_per_host, public_only
        self._session: ClientSession | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Break what is still under way. Idempotent; a call made afterwards raises `WeComUnavailable`."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def json(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        seconds: float = CALL_SECONDS,
        endpoint: str = "",
    ) -> dict[str, Any]:
        """The JSON object a server answers with; secrets belong in `query`, never in `url`.

        Raises `WeComUnavailable` on any network failure, when `seconds` have passed in total, on HTTP 5xx, and when
        the answer is no JSON object. `endpoint` names the call in the exception; the path of `url` if not given.
        """
        data = None if body is None else encode(body)
        headers = None if data is None else {"Content-Type": "application/json"}
        endpoint = endpoint or _path(url)
        status, answer, _ = await self._exchange(method, url, query, data, headers, seconds, endpoint)
        if status >= 500:
            raise WeComUnavailable(endpoint, f"HTTP {status}")
        payload = decode(answer)
        if not isinstance(payload, dict):
            raise WeComUnavailable(endpoint, f"HTTP {status} with an answer that is no JSON object")
        return payload

    async def request(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str] | None = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = CALL_SECONDS,
        endpoint: str = "",
    ) -> tuple[int, bytes]:
        """Status and body, whatever they are; redirects are not followed, they would carry the query elsewhere.

        Raises `WeComUnavailable` on network failures and when `seconds` have passed.
        """
        status, answer, _ = await self._exchange(method, url, query, data, headers, seconds, endpoint or _path(url))
        return status, answer

    async def post(self, url: str, data: bytes, headers: Mapping[str, str], seconds: float, endpoint: str) -> int:
        """The status alone, for strangers: no more than the beginning of what they answer is read. Raises likewise."""
        status, _, _ = await self._exchange("POST", url, None, data, headers, seconds, endpoint, STRANGER_BYTES)
        return status

    async def server_time(self, url: str, seconds: float = CALL_SECONDS) -> float | None:
        """The server's own clock, in whole seconds since the epoch; None where it does not tell. Raises like `request`.

        Whatever it answers will do: the Date header stands on refusals too.
        """
        _, _, headers = await self._exchange("GET", url, None, None, None, seconds, _path(url))
        try:
            return parsedate_to_datetime(headers.get("Date", "")).timestamp()
        except ValueError:
            return None

    async def _exchange(
        self,
        method: str,
        url: str,
        query: Mapping[str, str] | None,
        data: bytes | None,
        headers: Mapping[str, str] | None,
        seconds: float,
        endpoint: str,
        most: int = -1,
    ) -> tuple[int, bytes, Mapping[str, str]]:
        timeout = ClientTimeout(total=seconds, connect=min(CONNECT_SECONDS, seconds * 0.75))
        session = self._open(endpoint)
        try:
            address = _address(url, *(query or {}).items())
            async with session.request(
                method, address, data=data, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                answer = await response.read() if most < 0 else await response.content.read(most)
                return response.status, answer, response.headers
        except (ClientError, TimeoutError, OSError, ValueError) as error:
            failure = WeComUnavailable(endpoint, _why(error, seconds), sent=not isinstance(error, _NOT_SENT))
        # Outside the except clause: a context would keep aiohttp's exception, and with it the URL, reachable.
        raise failure

    async def ws_connect(self, url: str, **options: Any) -> ClientWebSocketResponse:
        """`ClientSession.ws_connect` on the shared session; aiohttp's exceptions come through as they are."""
        socket: ClientWebSocketResponse = await self._open(_path(url)).ws_connect(url, **options)
        return socket

    def _open(self, endpoint: str) -> ClientSession:
        if self._closed:
            raise WeComUnavailable(endpoint, "the bot is stopping", sent=False)
        if self._session is None:
            self._session = ClientSession(
                connector=TCPConnector(
                    limit=CONNECTIONS,
                    limit_per_host=self._connections_per_host,
                    keepalive_timeout=KEEP_ALIVE_SECONDS,
                    socket_factory=_public_socket if self._public_only else None,
                ),
                timeout=ClientTimeout(total=2 * CALL_SECONDS, connect=CONNECT_SECONDS),
                cookie_jar=DummyCookieJar(),
            )
        return self._session


def _public_socket(resolved: AddrInfoType) -> socket.socket:
    """Asked for the very address that is connected to next: no name can change its mind in between."""
    family, kind, protocol, _, address = resolved
    if not is_public(str(address[0])):
        raise OSError("a private address is refused; see webhooks_allow_private")
    return socket.socket(family, kind, protocol)


@lru_cache(100)
def _address(url: str, *query: tuple[str, str]) -> URL:
    """The same few, again and again."""
    return URL(url).update_query(query) if query else URL(url)


def encode(body: Any) -> bytes:
    """JSON as UTF-8; half a surrogate pair, which phones do send, becomes a question mark."""
    return _ENCODER.encode(body).encode("utf-8", "replace")


def decode(answer: bytes) -> Any:
    """JSON, or None. One odd character in one customer's message must not make a whole page unreadable.

    So bad UTF-8 is replaced, control characters are let through, and lone surrogates (as `\\ud83d` escapes, which no
    database takes) become question marks.
    """
    try:
        value = _DECODER.decode(answer.decode("utf-8", "replace"))
        if b"\\ud" in answer or b"\\uD" in answer:
            value = json.loads(encode(value))
    except (ValueError, RecursionError):
        return None
    return value


def _path(url: str) -> str:
    try:
        return URL(url).path
    except ValueError:
        return "?"


def _why(error: Exception, seconds: float) -> str:
    match error:
        case ClientConnectorError():
            return f"cannot connect to {error.host}: {error.os_error or type(error).__name__}"
        case ConnectionTimeoutError():
            return "no connection in time"
        case TimeoutError():
            return f"no answer within {seconds:g} s"
        case _:
            return f"the connection broke ({type(error).__name__})"
