"""One loop per kf account: page, store with the cursor in one transaction, hand on what follows from it.

A callback is only a hint that an account has news. Any number of hints while a sync runs fold into one more run, with
the newest token. https://developer.work.weixin.qq.com/document/path/94670
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

from bot import sessions
from bot.errors import KfbotError, RateLimited, StorageError, SyncTokenExpired, WeComError
from bot.faults import point
from bot.model import KfItem, SyncPage
from bot.phrases import NO_PHRASES, EndPhrases
from bot.ports import AccountState, Clock, Committed, Decide, KfApi, ParkedItem, SyncStore
from bot.sessions import CUSTOMER, EVENT, SERVICER, Session
from bot.states import SESSION_LIFETIME

log = logging.getLogger("kfbot.sync")

TOKEN_LIFE = 590.0  # seconds; WeCom says ten minutes
PAUSE_AFTER_LIMIT = 60.0  # seconds WeCom blocks after 45009
LOOK_AGAIN = 5.0  # the same while there is a token: then the client finds out whether it still does
RETRY = 1.0  # seconds until a failed sync is tried again, doubled up to RETRY_MOST
RETRY_MOST = 15.0
INVALID_PARAMETER = 40058  # also said of a cursor that WeCom does not know
SEVERAL = 3
FRESH = 2.0  # seconds an account counts as read to its end
LATELY = 5.0  # and where nothing but a lost callback speaks for news
GLANCE = 1.5  # seconds that somebody who waits for an end may be kept waiting for those
TOKEN_LESS_AFTER = 60.0  # seconds after which catching up is worth one of the few calls without a token
IN_FLIGHT = 5.0  # seconds in which the callback that announces an item may still be under way
FOUND_WITHIN = 60.0  # seconds after its first message in which we learn of an account that is new at WeCom

MANY, MANY_SECONDS = 10, 10.0  # runs in so many seconds: from then on hints are collected
COLLECT = 1.0  # seconds
STUCK = 90.0  # seconds without a good run after a bad one; longer than WeCom's own pause

ANNOUNCED = (CUSTOMER, EVENT, SERVICER)  # origins of items that WeCom sends a callback for

# What follows a page, given what it brought; runs in the account's own loop, so it must not wait long.
Follow = Callable[[Committed], Awaitable[None]]
TokenLess = Callable[[], Awaitable[None]]
Parse = Callable[[dict[str, Any], str], SyncPage]


@dataclass(slots=True)
class _Line:
    """One account's loop. `wanted` grows with each hint, `called` with each that is a callback's.

    `asked` and `heard` are what these were when the newest page was asked for, at `asked_at`: it answers all hints up
    to there, so a run that asked after the newest may stop.
    """

    open_kfid: str
    wanted: int = 0
    called: int = 0
    asked: int = 0
    heard: int = 0
    asked_at: float = -inf
    read: int = 0  # `asked` of the last page of the last run that came to its end
    read_at: float = -inf  # `asked_at` of the same
    answered: int = 0  # and `heard`
    overdue: int = 0  # items since then that a callback should have announced
    waiting: list[tuple[int, asyncio.Future[bool]]] = field(default_factory=list)  # for a page that answers this hint
    token: str = ""
    token_at: float = 0.0
    failing_since: float | None = None  # the first bad run since the last good one
    refused: int = 0  # bad runs in a row in which WeCom would not read on
    recalled: bool = False  # the token an earlier process left has been looked for, once
    awake: asyncio.Event = field(default_factory=asyncio.Event)
    runs: deque[float] = field(default_factory=lambda: deque(maxlen=MANY))  # when the last ones began, loop time
    hurry: asyncio.Event = field(default_factory=asyncio.Event)  # somebody waits for the next run
    task: asyncio.Task[None] | None = None

    def tell(self, good: bool) -> None:
        """How the run went, to all who waited for the page it asked for last."""
        for number, done in self.waiting:
            if number <= self.asked and not done.done():
                done.set_result(good)
        self.waiting = [each for each in self.waiting if not each[1].done()]


class KfSync:
    def __init__(
        self,
        kf: KfApi,
        store: SyncStore,
        clock: Clock,
        follow: Follow,
        token_less_turn: TokenLess,
        *,
        keep_text: bool,
        phrases: EndPhrases = NO_PHRASES,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        observe: Callable[[str, int], None] = lambda what, count: None,
        unannounced: Callable[[str, int], None] = lambda open_kfid, count: None,
    ) -> None:
        """`token_less_turn` waits until a call without a token keeps WeCom's limit (about 10 a minute for all).

        `unannounced` hears of each run that no callback asked for and that found items (how many) old enough for their
        callback to have come: the evidence that callbacks do not reach us.
        """
        self._kf, self._store, self._clock = kf, store, clock
        self._follow, self._token_less_turn = follow, token_less_turn
        self._keep_text, self._phrases = keep_text, phrases
        self._sleep, self._observe = sleep, observe
        self._unannounced, self._since = unannounced, clock.now()
        self._lines: dict[str, _Line] = {}
        self._writing: set[asyncio.Task[None]] = set()
        self._closed = False
        self.collect = COLLECT

    def wake(self, open_kfid: str, token: str = "") -> None:
        """There may be news. Returns at once; safe to call any number of times. With a `token` it is a callback."""
        if self._closed:
            return
        line = self._lines.setdefault(open_kfid, _Line(open_kfid))
        line.wanted += 1
        if token:
            line.called += 1
            line.token, line.token_at = token, self._clock.now()
        line.awake.set()
        if line.task is None or line.task.done():
            line.task = asyncio.create_task(self._run(line), name=f"sync {open_kfid}")

    def is_behind(self, open_kfid: str) -> bool:
        """Not read to its end yet, or not since a run failed: a state may show what the stream has still to tell."""
        line = self._lines.get(open_kfid)
        return line is None or line.read_at == -inf or line.failing_since is not None

    def has_read(self, open_kfid: str) -> bool:
        """This account, or has begun to."""
        return open_kfid in self._lines

    def wake_all(self, accounts: Iterable[str]) -> None:
        for open_kfid in accounts:
            self.wake(open_kfid)

    async def catch_up(self, open_kfid: str, patience: float, *, sure: bool = False, anew: bool = False) -> bool:
        """Know what stands in WeCom's stream now, before acting upon a session. True if the account has been read to
        its end just now (with `anew`: since this call), or is within `patience` seconds of loop time.

        False at once where that would waste a call without a token: there are few of them a minute, for all accounts.
        Not so with `sure`, for what cannot be taken back.
        """
        line, now = self._lines.setdefault(open_kfid, _Line(open_kfid)), self._clock.now()
        if not anew and line.wanted == line.read and 0 <= now - line.read_at < FRESH:
            return True
        if self._closed or not (sure or self._has_token(line) or abs(now - line.read_at) > TOKEN_LESS_AFTER):
            return False
        self.wake(open_kfid)
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        line.waiting.append((line.wanted, done))
        line.hurry.set()
        try:
            async with asyncio.timeout(patience):
                return await done
        except TimeoutError:
            return False

    def news(self, open_kfid: str) -> Coroutine[Any, Any, bool] | None:
        """As `catch_up`, for what may be over although no callback has told of it; None where there is nothing to wait
        for. A lost callback is rare: an account that has been read a moment ago is not read again for its sake."""
        line = self._lines.get(open_kfid)
        if line is not None and 0 <= self._clock.now() - line.read_at < LATELY:
            return None
        return self.catch_up(open_kfid, GLANCE)

    def stuck(self) -> list[tuple[str, float]]:
        """Accounts that cannot be read, each with the seconds since when; what is wrong stands on record."""
        now = self._clock.now()
        since = [(each.open_kfid, now - each.failing_since) for each in self._lines.values() if each.failing_since]
        return [each for each in since if each[1] >= STUCK]

    async def stop(self) -> None:
        """Finish the transaction under way, then end every loop."""
        self._closed = True
        tasks = [line.task for line in self._lines.values() if line.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *self._writing, return_exceptions=True)
        for line in self._lines.values():
            line.asked = line.wanted
            line.tell(False)

    async def _run(self, line: _Line) -> None:
        """Sync until no hint is newer than the last run, with growing pauses after failures."""
        pause = RETRY
        while not self._closed:
            await self._collect(line)
            line.awake.clear()
            try:
                await self.sync(line.open_kfid, line)
                pause = RETRY
                self._at_the_end(line)
            except asyncio.CancelledError:
                raise
            except Exception as failed:
                line.tell(False)
                line.failing_since = line.failing_since or self._clock.now()
                await self._failed(line, failed)
                await self._rest(line, self._limited(line) if isinstance(failed, RateLimited) else pause)
                pause = min(pause * 2, RETRY_MOST)
                continue
            if line.wanted == line.asked:
                return

    async def _collect(self, line: _Line) -> None:
        """While hints pour in, one run a second answers them all, unless somebody waits for it."""
        now = asyncio.get_running_loop().time()
        line.runs.append(now)
        line.hurry.clear()
        if len(line.runs) == MANY and now - line.runs[0] < MANY_SECONDS and not line.waiting:
            await self._until(line.hurry.wait(), self.collect)

    async def _until(self, sooner: Coroutine[Any, Any, object], seconds: float) -> None:
        tasks = [asyncio.ensure_future(self._sleep(seconds)), asyncio.ensure_future(sooner)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    def _at_the_end(self, line: _Line) -> None:
        if line.overdue and line.called == line.answered:
            self._unannounced(line.open_kfid, line.overdue)
        line.read, line.read_at, line.answered = line.asked, line.asked_at, line.heard
        line.overdue, line.failing_since = 0, None
        line.tell(True)

    def _limited(self, line: _Line) -> float:
        return LOOK_AGAIN if self._has_token(line) else PAUSE_AFTER_LIMIT

    async def _rest(self, line: _Line, seconds: float) -> None:
        """Pause after a failure; a fresh callback token is a good reason to try at once."""
        await self._until(self._new_token(line, line.token), seconds)

    @staticmethod
    async def _new_token(line: _Line, had: str) -> None:
        while line.token in ("", had):
            line.awake.clear()
            await line.awake.wait()

    async def _failed(self, line: _Line, failed: Exception) -> None:
        if isinstance(failed, KfbotError):
            log.warning("sync failed | account=%s %s", line.open_kfid, failed)
        else:
            log.error("sync failed | account=%s", line.open_kfid, exc_info=failed)
        self._observe("failed", 1)
        with contextlib.suppress(StorageError):
            await self._store.fail(line.open_kfid, str(failed) or type(failed).__name__)

    async def sync(self, open_kfid: str, line: _Line | None = None) -> None:
        """Read to the end. Raises WeComError, StorageError, or KfbotError for a cursor that does not move."""
        line = line or _Line(open_kfid)
        account = await self._store.begin(open_kfid, self._live_from(), line.token, line.token_at)
        if not line.token and not line.recalled:
            line.token, line.token_at = account.token, account.token_at
        line.recalled = True
        if account.cold:
            point("history.begun")
        try:
            await self._read_on(line, account)
        except WeComError as refused:
            if account.cursor and await self._is_the_cursors_fault(line, refused):
                log.error("WeCom does not know the cursor, starting afresh | account=%s", open_kfid)
                await self._store.lose_cursor(open_kfid)
            raise
        line.refused = 0
        if account.cold:
            await self._finish_history(open_kfid)

    def _live_from(self) -> float:
        """Where news begin for an account that has never been read: with this process, but not long before now."""
        return max(self._since, self._clock.now() - FOUND_WITHIN)

    async def _is_the_cursors_fault(self, line: _Line, refused: WeComError) -> bool:
        """What WeCom says of a cursor that it does not know any more stands nowhere. Where the oldest item can be had,
        and several times not what comes after the cursor, that was it."""
        if refused.errcode == INVALID_PARAMETER:
            return True
        if type(refused) not in (WeComError, SyncTokenExpired):
            return False
        line.refused += 1
        if line.refused < SEVERAL:
            return False
        line.refused = 0
        await self._token_less_turn()
        try:
            await self._kf.sync(line.open_kfid, "", "", 1)
        except WeComError:
            return False
        return True

    async def _read_on(self, line: _Line, account: AccountState) -> None:
        cursor = account.cursor or ""
        writing: asyncio.Task[None] | None = None
        try:
            while True:
                page = await self._page(line, cursor)
                point("page.fetched")
                if writing is not None:  # the page before is written while this one travels
                    await asyncio.shield(writing)
                stuck = page.has_more and page.next_cursor in ("", cursor)
                writing = self._begin_to_write(line, account, page)
                cursor = page.next_cursor or cursor
                if stuck:
                    raise KfbotError(f"the cursor of {line.open_kfid} does not move although WeCom says there is more")
                if not page.has_more:
                    return
        finally:
            if writing is not None:
                await asyncio.shield(writing)

    async def _page(self, line: _Line, cursor: str) -> SyncPage:
        """With the newest token while it lives, else without one, in turn with every other such call."""
        if self._has_token(line):
            token = line.token
            try:
                return await self._ask(line, cursor, token)
            except WeComError as refused:
                if not _may_be_the_tokens_fault(refused):
                    raise
                if line.token == token:
                    line.token = ""
                if line.token:
                    return await self._page(line, cursor)
        await self._token_less_turn()
        return await self._ask(line, cursor, "")

    def _has_token(self, line: _Line) -> bool:
        return bool(line.token) and self._clock.now() - line.token_at < TOKEN_LIFE

    async def _ask(self, line: _Line, cursor: str, token: str) -> SyncPage:
        line.asked, line.heard, line.asked_at = line.wanted, line.called, self._clock.now()
        return await self._kf.sync(line.open_kfid, cursor, token)

    def _begin_to_write(self, line: _Line, account: AccountState, page: SyncPage) -> asyncio.Task[None]:
        """What has begun outlives a loop that is cancelled: `stop` waits for both."""
        writing = asyncio.create_task(self._write(line, account, page))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)
        return writing

    async def _write(self, line: _Line, account: AccountState, page: SyncPage) -> None:
        """Not to be cancelled half-way: what a page asks for is handed on once, when it is on record."""
        committed = await self._commit(account, page)
        point("page.committed")
        if line.called == line.answered and not account.cold:
            line.overdue += self._overdue(committed.fresh, line.asked_at - IN_FLIGHT)
        await self._hand_on(committed)
        point("page.followed")

    async def _hand_on(self, committed: Committed) -> None:
        try:
            await self._follow(committed)
        except WeComError as passing:
            log.warning("after sync: %s", passing)

    def _overdue(self, fresh: list[KfItem], before: float) -> int:
        """How many of these a callback should have announced by now: not those from before we could be called."""
        return sum(item.origin in ANNOUNCED and self._since <= item.send_time <= before for item in fresh)

    async def reread(self, parked: Iterable[ParkedItem], parse: Parse) -> tuple[int, int]:
        """Try again what could not be read when it came. Returns how many items were read, and how many were not.

        What is so old that its session has expired is history by now.
        """
        read = unread = 0
        for item in parked:
            page, now = parse({"msg_list": [item.raw]}, item.open_kfid), self._clock.now()
            if page.broken or not page.items:
                unread += 1
                continue
            try:
                committed = await self._store.unpark(item, page, self._decide(now - SESSION_LIFETIME, now), now)
            except Exception as failed:
                if _is_of_the_disk(failed):
                    raise
                log.error("item not followed | account=%s msgid=%s", item.open_kfid, item.msgid, exc_info=failed)
                unread += 1
                continue
            if committed is not None:
                read += 1
                await self._hand_on(committed)
        return read, unread

    async def _commit(self, account: AccountState, page: SyncPage) -> Committed:
        now = self._clock.now()
        # Once the history has been read to its end, whatever comes is news, however our clock stands to WeCom's.
        live_from = account.live_from if account.cold and account.live_from is not None else 0.0
        decide = self._decide(live_from, now)
        try:
            committed = await self._store.commit(account.open_kfid, page, decide, now)
        except Exception as failed:
            if not page.items or _is_of_the_disk(failed):
                raise
            committed = await self._commit_singly(account.open_kfid, page, decide, now)
        self._observe("items", len(committed.fresh))
        if committed.parked:
            log.error("items parked | account=%s count=%d", account.open_kfid, committed.parked)
            self._observe("parked", committed.parked)
        return committed

    async def _commit_singly(self, open_kfid: str, page: SyncPage, decide: Decide, now: float) -> Committed:
        """An item of which nothing can be made is parked with the error, or it would keep back all that come after it,
        for ever. The cursor moves last: what stands before it may come again."""
        done, broken = list[Committed](), list(page.broken)
        for item in page.items:
            try:
                done.append(await self._store.commit(open_kfid, SyncPage([item], "", False), decide, now))
            except Exception as failed:
                if _is_of_the_disk(failed):
                    raise
                log.error("item not followed | account=%s msgid=%s", open_kfid, item.msgid, exc_info=failed)
                broken.append((_as_received(item, self._keep_text), _named(failed)))
        rest = await self._store.commit(open_kfid, replace(page, items=[], broken=broken), decide, now)
        fresh = [item for each in done for item in each.fresh]
        return Committed(fresh, [session for each in done for session in each.sessions], rest.parked)

    def _decide(self, live_from: float, now: float) -> Decide:
        def decide(loaded: dict[str, Session], items: list[KfItem]) -> None:
            for item in items:
                session = loaded.get(item.external_userid)
                if session is None:
                    continue
                if item.send_time < live_from:
                    sessions.remember(session, item)
                else:
                    sessions.follow(session, item, now, keep_text=self._keep_text, phrases=self._phrases)

        return decide

    async def _finish_history(self, open_kfid: str) -> None:
        now = self._clock.now()
        marked = await self._store.finish_history(open_kfid, now - SESSION_LIFETIME, now)
        point("history.read")
        log.info("history read | account=%s sessions to look at: %d", open_kfid, marked)
        await self._follow(Committed([], [], 0))


def _may_be_the_tokens_fault(refused: WeComError) -> bool:
    """What is called malformed may be the cursor as well: without a token it will show."""
    return isinstance(refused, SyncTokenExpired) or refused.errcode == INVALID_PARAMETER


def _is_of_the_disk(failed: Exception) -> bool:
    """Trouble that has nothing to do with what is written."""
    return isinstance(failed, StorageError) and bool(failed.kind)


def _named(failed: Exception) -> str:
    return f"{type(failed).__name__}: {failed}"


def _as_received(item: KfItem, keep_text: bool) -> dict[str, Any]:
    """As WeCom has sent it, so that it can be read again."""
    if item.raw is not None:
        return item.raw
    names = ("msgid", "open_kfid", "external_userid", "send_time", "origin", "msgtype", "servicer_userid")
    raw: dict[str, Any] = {name: getattr(item, name) for name in names}
    if item.event is not None:
        raw["event"] = item.event
    elif item.msgtype == "text":
        menu = {"menu_id": item.menu_id} if item.menu_id else {}
        raw["text"] = {"content": item.text if keep_text else "", **menu}
    return raw
