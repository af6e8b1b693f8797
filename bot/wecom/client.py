"""`KfClient`: the kf API over the wire. Tokens, repetitions and limits are decided here, everything else is pure.

What is repeated, at most three times and never past the call's time limit:

* reads: on network failures, on -1 (busy) and on 45033 (too many at once);
* `trans` and the sends: on -1 and 45033, which are refusals, and on failures that certainly came before the request
  was sent. Should a -1 have taken effect after all, the repetition meets 95013/95016, a spent code or a known msgid:
  refused once more, and the caller reads the state back. Any other failure of theirs is unknown until read back.

45009 is not repeated: its block lasts a minute, so the call is refused here until the minute is over. But one every few
seconds goes out to see whether that is so, and what it finds holds for all: a whole minute of silence is a high price
for a single answer. Reading without a token is left alone, for each such call is one of ten a minute. A stale token is
renewed once and the call made once more; WeCom refused it before looking at it, so that is safe for all calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import inf
from typing import Any

import stamina

from bot.errors import RateLimited, WeComBusy, WeComError, WeComUnavailable
from bot.http import CALL_SECONDS, Http
from bot.model import KfAccount, Message, Servicer, ServiceState, SessionKey, StateReading, SyncPage
from bot.wecom import protocol
from bot.wecom.access_token import AccessToken, afresh
from bot.wecom.errcodes import WHOLE_APP

API_BASE = "https://qyapi.weixin.qq.com"

LIMIT_SECONDS = 8.0  # of one call with its repetitions, so that a command can answer within 10 s
SYNC_SECONDS = 15.0  # one try for a page of up to 1000 items
SYNC_LIMIT_SECONDS = 20.0
BLOCK_SECONDS = 60.0  # how long WeCom refuses after a limit per minute was hit
LOOK_SECONDS = 5.0  # between two calls that find out whether it still does; of 10,000 a minute that is nothing
ATTEMPTS = 3
WAIT_INITIAL, WAIT_MAX, WAIT_JITTER = 0.2, 1.0, 0.2
LEAST_SECONDS = WAIT_MAX + 0.5  # with less than this left, a repetition could not be answered in time

PAGE = 100  # entries of account/list and ids of customer/batchget in one call
MOST_ACCOUNTS = 5000

_WITHOUT_TOKEN = f"{protocol.SYNC_MSG} without token"  # about ten such calls a minute are let through
_RATE_LIMIT = 45009
_REFUSED_FOR_NOW = frozenset({-1, 45033})
_STALE_TOKEN = frozenset({40001, 40014, 42001})  # 40001 from gettoken is the secret, from other calls the token

# `observe` counts every exchange. The library's own hooks would print repetitions and count them a second time.
stamina.instrumentation.set_on_retry_hooks([])

Observe = Callable[[str, str, float], None]
"""(endpoint, outcome, seconds) of each exchange. Outcome: `ok`, an errcode, `unavailable`, `cancelled`, or `blocked`
for a call that was refused here without asking WeCom."""


def _unobserved(endpoint: str, outcome: str, seconds: float) -> None:
    pass


@dataclass(frozen=True, slots=True)
class _Call:
    """One request, to be made as often as it takes. A GET where there is no body."""

    path: str
    body: dict[str, Any] | None = field(default=None, repr=False)
    query: dict[str, str] = field(default_factory=dict, repr=False)
    is_read: bool = True
    seconds: float = CALL_SECONDS
    quota: str = ""  # names what a 45009 exhausts where that is less than the whole path


@dataclass(slots=True)
class _Block:
    """`until` when WeCom is taken at its word, and from when on one call may see whether it is over."""

    until: float
    look_at: float


class KfClient:
    """Implements `bot.ports.KfApi`; see there for what each method promises.

    `api_base` is scheme, host and an optional path prefix. `observe` sees every exchange. `monotonic` is the clock of
    all durations here; no wall clock is needed.
    """

    def __init__(
        self,
        http: Http,
        corp_id: str,
        secret: str,
        api_base: str = API_BASE,
        *,
        observe: Observe = _unobserved,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = http
        self._credential = {"corpid": corp_id, "corpsecret": secret}
        self._api_base = api_base.rstrip("/")
        self._observe = observe
        self._monotonic = monotonic
        self._token = AccessToken(self._fetch_token, monotonic)
        self._blocks: dict[str, _Block] = {}
        self._granted_once = False
        self.last_error: WeComError | None = None
        """Why the app as a whole cannot work: the last gettoken failed, or WeCom refuses every call of this app."""

    @property
    def ready(self) -> bool:
        """A token has been granted, and the last thing WeCom said about this app was not a refusal."""
        return self._granted_once and self.last_error is None

    async def check_token(self) -> None:
        """Get a token unless one is held. Raises `WeComError`; `CredentialRejected` means the settings are wrong."""
        await self._token.get(LIMIT_SECONDS)

    # --- bot.ports.KfApi

    async def accounts(self) -> list[KfAccount]:
        found: dict[str, KfAccount] = {}
        until = self._until(LIMIT_SECONDS)
        for offset in range(0, MOST_ACCOUNTS, PAGE):
            payload = await self._call(_Call(protocol.ACCOUNT_LIST, {"offset": offset, "limit": PAGE}), until)
            known = len(found)
            found.update((account.open_kfid, account) for account in protocol.parse_accounts(payload))
            listed = payload.get("account_list")
            if not isinstance(listed, list) or len(listed) < PAGE or len(found) == known:
                break
        return list(found.values())

    async def servicers(self, open_kfid: str) -> list[Servicer]:
        call = _Call(protocol.SERVICER_LIST, query={"open_kfid": open_kfid})
        return protocol.parse_servicers(await self._call(call))

    async def nicknames(self, external_userids: Iterable[str]) -> dict[str, str]:
        ids = list(dict.fromkeys(external_userids))
        until = self._until(LIMIT_SECONDS)
        found: dict[str, str] = {}
        for start in range(0, len(ids), PAGE):
            body = {"external_userid_list": ids[start : start + PAGE], "need_enter_session_context": 0}
            found |= protocol.parse_nicknames(await self._call(_Call(protocol.CUSTOMER_BATCHGET, body), until))
        return found

    async def state(self, key: SessionKey) -> StateReading:
        return protocol.parse_state(await self._call(_Call(protocol.STATE_GET, protocol.session_body(key))))

    async def trans(self, key: SessionKey, target: ServiceState, servicer_userid: str | None = None) -> str:
        body = {**protocol.session_body(key), "service_state": int(target)}
        if servicer_userid:
            body["servicer_userid"] = servicer_userid
        payload = await self._call(_Call(protocol.STATE_TRANS, body, is_read=False))
        return _string(payload, "msg_code")

    async def sync(self, open_kfid: str, cursor: str, token: str = "", limit: int = 1000) -> SyncPage:
        """`next_cursor` is `cursor` itself where WeCom gives none. A hit limit of token-less reading does not stop
        reading with a token."""
        body: dict[str, Any] = {"open_kfid": open_kfid, "limit": max(1, min(limit, 1000)), "voice_format": 0}
        body |= {name: value for name, value in (("cursor", cursor), ("token", token)) if value}
        call = _Call(protocol.SYNC_MSG, body, seconds=SYNC_SECONDS, quota="" if token else _WITHOUT_TOKEN)
        page = protocol.parse_page(await self._call(call, self._until(SYNC_LIMIT_SECONDS)), open_kfid)
        return page if page.next_cursor else SyncPage(page.items, cursor, page.has_more, page.broken)

    async def send(self, key: SessionKey, message: Message, msgid: str) -> str:
        target = {"touser": key.external_userid, "open_kfid": key.open_kfid}
        return await self._send(protocol.SEND_MSG, target, message, msgid)

    async def send_on_event(self, code: str, message: Message, msgid: str) -> str:
        return await self._send(protocol.SEND_MSG_ON_EVENT, {"code": code}, message, msgid)

    async def _send(self, path: str, target: dict[str, str], message: Message, msgid: str) -> str:
        body = {**target, **protocol.content_body(message, msgid)}
        payload = await self._call(_Call(path, body, is_read=False))
        return _string(payload, "msgid") or msgid

    async def member(self, code: str) -> str:
        """Who comes back from WeCom's login with this single-use code; empty for somebody outside the corp.

        https://developer.work.weixin.qq.com/document/path/91023
        """
        call = _Call(protocol.GETUSERINFO, query={"code": code}, is_read=False)
        return protocol.parse_member(await self._call(call))

    # --- one call

    async def _call(self, call: _Call, until: float | None = None) -> dict[str, Any]:
        """`until` by the monotonic clock; the pages of one call share it."""
        until = self._until(LIMIT_SECONDS) if until is None else until
        granted = await self._token.get(until - self._monotonic())
        try:
            return await self._repeated(call, {"access_token": granted.value}, until)
        except WeComError as error:
            if error.errcode not in _STALE_TOKEN:
                raise
        self._token.reject(granted)
        granted = await self._token.get(until - self._monotonic())
        return await self._repeated(call, {"access_token": granted.value}, until)

    async def _fetch_token(self) -> tuple[str, float]:
        until = self._until(LIMIT_SECONDS)
        try:
            granted = protocol.parse_token(await self._repeated(_Call(protocol.GETTOKEN), self._credential, until))
        except WeComError as error:
            self.last_error = afresh(error)
            raise
        self._granted_once, self.last_error = True, None
        return granted

    async def _repeated(self, call: _Call, secrets: dict[str, str], until: float) -> dict[str, Any]:
        doubtful = False

        def may_repeat(error: Exception) -> bool:
            nonlocal doubtful
            if isinstance(error, WeComError):
                doubtful = error.doubtful = doubtful or (isinstance(error, WeComBusy) and not call.is_read)
            return self._may_repeat(error, call, until)

        first: WeComError | None = None
        try:
            return await self._exchange(call, secrets, until)  # mostly all that there is to do
        except WeComError as failed:
            if not may_repeat(failed):
                raise
            first = failed
        async for attempt in stamina.retry_context(
            may_repeat, ATTEMPTS, None, wait_initial=WAIT_INITIAL, wait_max=WAIT_MAX, wait_jitter=WAIT_JITTER
        ):
            with attempt:
                if attempt.num == 1:
                    raise first
                return await self._exchange(call, secrets, until)
        raise AssertionError("stamina ends by an answer or by the last error")

    def _may_repeat(self, error: Exception, call: _Call, until: float) -> bool:
        if until - self._monotonic() < LEAST_SECONDS:
            return False
        if isinstance(error, WeComUnavailable):
            return call.is_read or not error.sent
        return isinstance(error, WeComError) and error.errcode in _REFUSED_FOR_NOW

    async def _exchange(self, call: _Call, secrets: dict[str, str], until: float) -> dict[str, Any]:
        """One request and its answer; the only place that talks to WeCom."""
        self._refuse_if_blocked(call)
        left = until - self._monotonic()
        if left <= 0:
            raise WeComUnavailable(call.path, "the time for this call is over", sent=False)
        started, outcome = self._monotonic(), "cancelled"
        try:
            payload = await self._http.json(
                "GET" if call.body is None else "POST",
                self._api_base + call.path,
                query={**call.query, **secrets},
                body=call.body,
                seconds=min(call.seconds, left),
                endpoint=call.path,
            )
            protocol.raise_for(payload, call.path)
            outcome = "ok"
        except WeComError as error:
            outcome = "unavailable" if isinstance(error, WeComUnavailable) else str(error.errcode)
            self._learn(error, call)
            raise
        finally:
            self._observe(call.path, outcome, self._monotonic() - started)
        self.last_error = None
        self._unblock(call)
        return payload

    def _refuse_if_blocked(self, call: _Call) -> None:
        now = self._monotonic()
        blocks = [block for name in (call.path, call.quota) if (block := self._blocks.get(name)) and block.until > now]
        if all(block.look_at <= now for block in blocks):
            for block in blocks:
                block.look_at = now + LOOK_SECONDS
            return
        left = max(block.until for block in blocks) - now
        self._observe(call.path, "blocked", 0.0)
        raise RateLimited(_RATE_LIMIT, f"calls are over the limit, for up to {left:.0f} s more", call.path)

    def _learn(self, error: WeComError, call: _Call) -> None:
        if error.errcode == _RATE_LIMIT:
            look_at = inf if call.quota else self._until(LOOK_SECONDS)
            self._blocks[call.quota or call.path] = _Block(self._until(BLOCK_SECONDS), look_at)
        elif not isinstance(error, WeComUnavailable):
            self._unblock(call)
        if error.errcode in WHOLE_APP:
            self.last_error = afresh(error)

    def _unblock(self, call: _Call) -> None:
        """Its answer shows that calls are let through."""
        if self._blocks:
            self._blocks.pop(call.path, None)
            self._blocks.pop(call.quota, None)

    def _until(self, seconds: float) -> float:
        return self._monotonic() + seconds


def _string(payload: dict[str, Any], name: str) -> str:
    value = payload.get(name)
    return value if isinstance(value, str) else ""
