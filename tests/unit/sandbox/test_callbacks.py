"""Pushes to the bot's callback URL: sealed, folded, repeated, lost."""

import asyncio
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from bot.sandbox.changes import Changes
from bot.sandbox.crypto import MessageCrypto, signature

from .conftest import KF, WM, Corp, make_corp


class Bot:
    """A callback URL that opens what arrives; `statuses` are answered in order, then 200."""

    def __init__(self, corp: Corp) -> None:
        self.corp = corp
        self.crypto = MessageCrypto(corp.config.encoding_aes_key, corp.config.corp_id)
        self.notices: list[dict[str, str]] = []
        self.statuses: list[int] = []
        self.hold: asyncio.Event | None = None
        self.echo_prefix = ""
        self.heard = Changes()

    async def post(self, request: web.Request) -> web.Response:
        envelope = ET.fromstring(await request.text())
        sealed = envelope.findtext("Encrypt", "")
        assert envelope.findtext("ToUserName") == self.corp.config.corp_id
        assert self._signed(request, sealed)
        message, receiver = self.crypto.decrypt(sealed)
        assert receiver == self.corp.config.corp_id
        self.notices.append({node.tag: node.text or "" for node in ET.fromstring(message)})
        self.heard.bump()
        if self.hold is not None:
            await self.hold.wait()
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)

    async def get(self, request: web.Request) -> web.Response:
        echo = request.query["echostr"]
        assert self._signed(request, echo)
        return web.Response(text=self.echo_prefix + self.crypto.decrypt(echo)[0])

    def _signed(self, request: web.Request, sealed: str) -> bool:
        query, token = request.query, self.corp.config.callback_token
        return signature(token, query["timestamp"], query["nonce"], sealed) == query["msg_signature"]

    @property
    def events(self) -> list[str]:
        return [notice["Event"] for notice in self.notices]


@pytest.fixture
async def bot() -> AsyncIterator[Bot]:
    async for ready in a_bot(30.0):
        yield ready


@pytest.fixture
async def hasty() -> AsyncIterator[Bot]:
    """Who does not answer it in time is asked again soon."""
    async for ready in a_bot(0.5):
        yield ready


async def a_bot(retry_after: float) -> AsyncIterator[Bot]:
    bot = Bot(make_corp(retry_after=retry_after))
    app = web.Application()
    app.add_routes([web.post("/callback/kf", bot.post), web.get("/callback/kf", bot.get)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    bot.corp.callback_url = f"http://127.0.0.1:{runner.addresses[0][1]}/callback/kf"
    async with bot.corp.serve():
        yield bot
    await runner.cleanup()


async def test_news_is_told_with_a_token_for_its_account(bot: Bot) -> None:
    bot.corp.customer_writes(KF, WM, "hello")
    await bot.corp.settled()
    [notice] = bot.notices
    assert (notice["Event"], notice["OpenKfId"]) == ("kf_msg_or_event", KF)
    assert bot.corp.call("kf/sync_msg", open_kfid=KF, token=notice["Token"])["errcode"] == 0
    assert "FromUserName" not in notice


async def test_a_burst_is_folded_but_its_end_is_always_told(bot: Bot) -> None:
    bot.hold = asyncio.Event()
    bot.corp.customer_writes(KF, WM, "1")
    await bot.heard.until(lambda: bot.notices)
    for number in range(20):
        bot.corp.customer_writes(KF, WM, str(number))
    bot.hold.set()
    await bot.corp.settled()
    assert len(bot.notices) == 2


async def test_what_is_not_answered_200_comes_again_three_times(hasty: Bot) -> None:
    hasty.statuses = [500] * 10
    hasty.corp.customer_writes(KF, WM, "hello")
    await hasty.corp.settled()
    assert len(hasty.notices) == 4
    assert len({notice["Token"] for notice in hasty.notices}) == 1


async def test_one_failure_is_made_good(hasty: Bot) -> None:
    hasty.statuses = [502]
    hasty.corp.customer_writes(KF, WM, "hello")
    await hasty.corp.settled()
    assert len(hasty.notices) == 2


async def test_a_slow_answer_counts_as_none(hasty: Bot) -> None:
    hasty.hold = asyncio.Event()
    hasty.corp.customer_writes(KF, WM, "hello")
    await hasty.heard.until(lambda: len(hasty.notices) == 2)
    hasty.hold.set()
    await hasty.corp.settled()
    assert len(hasty.notices) == 2


async def test_lost_and_doubled(bot: Bot) -> None:
    bot.corp.fault("callback", "lose")
    bot.corp.customer_writes(KF, WM, "lost")
    await bot.corp.settled()
    assert bot.notices == []
    bot.corp.fault("callback", "duplicate")
    bot.corp.customer_writes(KF, WM, "twice")
    await bot.corp.settled()
    assert len(bot.notices) == 2


async def test_other_events_on_the_same_url(bot: Bot) -> None:
    await bot.corp.callback_foreign()
    await bot.corp.callback_auth_change(["wkNew"], [KF])
    await bot.corp.callback_duplicate()
    await bot.corp.settled()
    assert bot.events == ["change_external_contact", "kf_account_auth_change", "kf_account_auth_change"]
    assert (bot.notices[1]["AuthAddOpenKfId"], bot.notices[1]["AuthDelOpenKfId"]) == ("wkNew", KF)


async def test_verification_wants_the_bare_word(bot: Bot) -> None:
    assert (await bot.corp.callback_verify())["verified"] is True
    bot.echo_prefix = "\ufeff"
    assert (await bot.corp.callback_verify())["verified"] is False


async def test_nobody_at_the_url(hasty: Bot) -> None:
    hasty.corp.callback_url = "http://127.0.0.1:9/nobody"
    hasty.corp.customer_writes(KF, WM, "hello")
    await hasty.corp.settled()
    assert hasty.corp.callbacks.sent == 4
    assert (await hasty.corp.callback_verify())["verified"] is False
