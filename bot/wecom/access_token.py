"""The app's access_token: kept until shortly before it expires, fetched once for everybody who waits.

https://developer.work.weixin.qq.com/document/path/91039
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bot.errors import CredentialRejected, WeComError, WeComUnavailable
from bot.wecom.protocol import GETTOKEN

REFUSAL_SECONDS = 30.0  # WeCom blocks the IP of whoever keeps asking with a wrong secret
MARGIN_SECONDS = 300.0  # a token is not used in the last minutes of its life, at most a tenth of it

Fetch = Callable[[], Awaitable[tuple[str, float]]]
"""Asks WeCom; returns the token and its lifetime in seconds."""


@dataclass(frozen=True, slots=True, eq=False)
class Granted:
    """One answer of gettoken. Two with the same value are still two: WeCom may grant the same token again."""

    value: str = field(repr=False)
    expires_at: float


class AccessToken:
    def __init__(self, fetch: Fetch, monotonic: Callable[[], float]) -> None:
        self._fetch = fetch
        self._monotonic = monotonic
        self._granted: Granted | None = None
        self._refresh: asyncio.Task[Granted] | None = None
        self._refusal: WeComError | None = None
        self._refused_until = 0.0

    async def get(self, seconds: float) -> Granted:
        """The token held, or a new one; waits at most `seconds`.

        Cancelling one waiter leaves the fetch to the others. Raises `WeComError` or a kind of it, always a new
        instance and, when it is `WeComUnavailable`, with `sent=False`: what the token was wanted for was never sent.
        """
        if self._granted is not None and self._monotonic() < self._granted.expires_at:
            return self._granted
        self._raise_if_refused()
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(self._refresh or self._start())
        except TimeoutError:
            failure: WeComError = WeComUnavailable(GETTOKEN, f"no token within {seconds:.1f} s", sent=False)
        except WeComError as error:
            failure = afresh(error)
        raise failure

    def reject(self, granted: Granted) -> None:
        """WeCom did not take it. Of no effect when a newer one has been granted meanwhile."""
        if self._granted is granted:
            self._granted = None

    def _raise_if_refused(self) -> None:
        if self._refusal is not None and self._monotonic() < self._refused_until:
            raise afresh(self._refusal)

    def _start(self) -> asyncio.Task[Granted]:
        self._refresh = asyncio.create_task(self._renew(), name="wecom access_token")
        self._refresh.add_done_callback(self._finished)
        return self._refresh

    async def _renew(self) -> Granted:
        asked_at = self._monotonic()
        value, lifetime = await self._fetch()
        self._granted = Granted(value, asked_at + lifetime - min(MARGIN_SECONDS, lifetime / 10))
        return self._granted

    def _finished(self, refresh: asyncio.Task[Granted]) -> None:
        self._refresh = None
        # Looking at the exception also keeps asyncio from complaining when every waiter has been cancelled.
        error = None if refresh.cancelled() else refresh.exception()
        self._refusal = afresh(error) if isinstance(error, CredentialRejected) else None
        self._refused_until = self._monotonic() + REFUSAL_SECONDS


def afresh(error: WeComError) -> WeComError:
    """The same news in a new object, `sent` false: a shared one collects the tracebacks of all who raise it."""
    if isinstance(error, WeComUnavailable):
        return WeComUnavailable(error.endpoint, error.errmsg, sent=False)
    return type(error)(error.errcode, error.errmsg, error.endpoint)
