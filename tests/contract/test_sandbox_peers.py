"""Other people's clients against the sandbox: what they understand is WeCom, not a dialect of our own bot.

wechatpy's client and crypto for kf; the official `wecom-aibot-python-sdk` for the long connection. Both blind spots are
known: wechatpy's gettoken address is hard-coded (the token is set by hand) and its sync_msg knows no open_kfid (added
to what it posts); the SDK insists on TLS (so the sandbox listens with a certificate made here, which the SDK's
context is told to trust).
"""

import asyncio
import datetime
import ipaddress
import ssl
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from wechatpy.exceptions import WeChatClientException
from wechatpy.work import WeChatClient, parse_message
from wechatpy.work.crypto import WeChatCrypto

from bot.sandbox import Sandbox, SandboxConfig
from bot.sandbox.seed import CHATID, CUSTOMERS, PRESALES, STUCK

NEWCOMER = list(CUSTOMERS)[1]


# wechatpy


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def listening(post: Handler, get: Handler) -> AsyncIterator[str]:
    """The URL of a callback endpoint made of these two."""
    app = web.Application()
    app.add_routes([web.post("/callback/kf", post), web.get("/callback/kf", get)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/callback/kf"
    await runner.cleanup()


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(SandboxConfig(retry_after=30.0), seed=True).serve() as sandbox:
        yield sandbox


@pytest.fixture
def client(sandbox: Sandbox) -> WeChatClient:
    """Blocking: every call goes through `asyncio.to_thread`."""
    token = sandbox.world.access.issue(sandbox.now())
    client = WeChatClient(sandbox.config.corp_id, sandbox.config.secret, access_token=token)
    client.API_BASE_URL = f"{sandbox.base_url}/cgi-bin/"
    return client


async def test_wechatpy_lists_accounts_and_servicers(client: WeChatClient) -> None:
    accounts = await asyncio.to_thread(client.kf.get_account_list)
    assert [account["name"] for account in accounts["account_list"]] == ["售前咨询", "售后服务"]
    servicers = await asyncio.to_thread(client.kf.get_servicer_list, PRESALES)
    assert [(row["userid"], row["status"]) for row in servicers["servicer_list"]] == [
        ("ZhangSuQuan", 0),
        ("LiNa", 0),
        ("WangWei", 0),
    ]
    customers = await asyncio.to_thread(client.kf.batchget_customer, [STUCK, NEWCOMER])
    assert [customer["nickname"] for customer in customers["customer_list"]] == ["小林"]
    assert customers["invalid_external_userid"] == [NEWCOMER]


async def test_wechatpy_reads_the_stream(
    sandbox: Sandbox, client: WeChatClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = sandbox.world.sync_tokens.issue(PRESALES, sandbox.now())
    with pytest.raises(WeChatClientException) as refused:
        await asyncio.to_thread(client.kf.sync_msg, token)
    assert refused.value.errcode == 40058
    post = client.kf._post

    def with_account(path: str, data: dict[str, Any]) -> Any:
        return post(path, data={**data, "open_kfid": PRESALES})

    monkeypatch.setattr(client.kf, "_post", with_account)
    first = await asyncio.to_thread(client.kf.sync_msg, token, "", 3)
    rest = await asyncio.to_thread(client.kf.sync_msg, token, first["next_cursor"])
    assert (first["has_more"], rest["has_more"]) == (1, 0)
    assert [item["origin"] for item in first["msg_list"] + rest["msg_list"]] == [4, 3, 4, 5, 3]


async def test_wechatpy_moves_and_sends(sandbox: Sandbox, client: WeChatClient) -> None:
    state = await asyncio.to_thread(client.kf.get_service_state, PRESALES, STUCK)
    assert (state["service_state"], state["servicer_userid"]) == (3, "ZhangSuQuan")
    ended = await asyncio.to_thread(client.kf.trans_service_state, PRESALES, STUCK, 4)
    text = {"text": {"content": "再见"}}
    await asyncio.to_thread(client.kf.send_msg_on_event, ended["msg_code"], "text", text)
    with pytest.raises(WeChatClientException) as refused:
        await asyncio.to_thread(client.kf.trans_service_state, PRESALES, STUCK, 1)
    assert refused.value.errcode == 95013
    sandbox.customer_writes(PRESALES, STUCK, "还有一个问题")
    sent = await asyncio.to_thread(client.kf_message.send_text, STUCK, PRESALES, "请讲", "out_1")
    assert sent["msgid"] == "out_1"
    assert [line.text for line in sandbox.session(PRESALES, STUCK).lines][-3:] == [
        "新会话，智能助手接待",
        "还有一个问题",
        "请讲",
    ]


async def test_wechatpy_opens_the_callbacks(sandbox: Sandbox) -> None:
    config = sandbox.config
    crypto = WeChatCrypto(config.callback_token, config.encoding_aes_key, config.corp_id)
    opened: list[Any] = []

    def signed(request: web.Request) -> list[str]:
        return [request.query[name] for name in ("msg_signature", "timestamp", "nonce")]

    async def told(request: web.Request) -> web.Response:
        opened.append(parse_message(crypto.decrypt_message(await request.text(), *signed(request))))
        return web.Response(text="success")

    async def asked(request: web.Request) -> web.Response:
        return web.Response(text=crypto.check_signature(*signed(request), request.query["echostr"]))

    async with listening(told, asked) as url:
        sandbox.callback_url = url
        assert (await sandbox.callback_verify())["verified"] is True
        sandbox.customer_writes(PRESALES, STUCK, "在吗")
        await sandbox.settled()
        await sandbox.callback_auth_change(["wkNew"])
    news, change = opened
    assert (news.event, news._data["OpenKfId"], news.target) == ("kf_msg_or_event", PRESALES, config.corp_id)
    sandbox.world.sync_tokens.check(news.token, PRESALES, sandbox.now())
    assert change._data["AuthAddOpenKfId"] == "wkNew"


# the official SDK


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, good for a day, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    crt, pem = folder / "sandbox.crt", folder / "sandbox.key"
    crt.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret = serialization.NoEncryption()
    pem.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret))
    return crt, pem


@pytest.fixture
async def tls_sandbox(tmp_path: Path) -> AsyncIterator[tuple[Sandbox, ssl.SSLContext]]:
    """A sandbox behind TLS, and a context that trusts it."""
    crt, pem = certificate(tmp_path)
    listening_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    listening_context.load_cert_chain(crt, pem)
    trusting = ssl.create_default_context(cafile=str(crt))
    async with Sandbox(seed=True).serve(tls=listening_context) as sandbox:
        yield sandbox, trusting


class Ears:
    """What the SDK's client emits, awaitable by event name."""

    def __init__(self, client: Any, *names: str) -> None:
        self._queues: dict[str, asyncio.Queue[Any]] = {name: asyncio.Queue() for name in names}
        for name, queue in self._queues.items():
            client.on(name, lambda *args, queue=queue: queue.put_nowait(args[0] if args else None))

    async def hear(self, name: str) -> Any:
        return await asyncio.wait_for(self._queues[name].get(), 30)


class Silent:
    def debug(self, message: str, *args: Any) -> None: ...

    info = warn = error = debug


def official_client(sandbox: Sandbox, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, message="websockets")
        import aibot
        import aibot.ws
    monkeypatch.setattr(aibot.ws, "_SSL_CONTEXT", trusting)
    config = sandbox.config
    return aibot.WSClient(
        aibot.WSClientOptions(bot_id=config.bot_id, secret=config.bot_secret, ws_url=sandbox.ws_url, logger=Silent())
    )


def alert(title: str) -> dict[str, Any]:
    return {
        "card_type": "button_interaction",
        "task_id": "alert-1",
        "main_title": {"title": title},
        "button_list": [{"text": "结束", "style": 2, "key": "end:1"}],
    }


async def test_the_official_sdk_converses(
    tls_sandbox: tuple[Sandbox, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, trusting = tls_sandbox
    client = official_client(sandbox, trusting, monkeypatch)
    ears = Ears(client, "authenticated", "message.text", "event.template_card_event")
    await client.connect()
    await ears.hear("authenticated")

    sandbox.group_message(CHATID, "ChenJing", "@kfbot /status")
    asked = await ears.hear("message.text")
    assert asked["body"]["text"]["content"] == "@kfbot /status"
    reply = {"msgtype": "markdown", "markdown": {"content": "**1** waiting"}}
    assert (await client.reply(asked, reply))["errcode"] == 0
    assert (await client.reply_stream(asked, "s1", "one moment", finish=True))["errcode"] == 0

    await client.send_message(CHATID, {"msgtype": "template_card", "template_card": alert("客户等待")})
    shown = await sandbox.wait_for_group_message(lambda message: message.card)
    sandbox.tap(CHATID, "LiNa", shown.id, "end:1")
    tap = await ears.hear("event.template_card_event")
    assert tap["body"]["event"]["template_card_event"]["event_key"] == "end:1"
    await client.update_template_card(tap, alert("已由李娜结束"))
    assert shown.card is not None
    assert shown.card["main_title"]["title"] == "已由李娜结束"

    with pytest.raises(RuntimeError, match="errcode=42014"):
        await client.send_message(CHATID, {"msgtype": "template_card", "template_card": alert("again")})
    await hang_up(client)


async def test_the_official_sdk_hears_of_bad_credentials(
    tls_sandbox: tuple[Sandbox, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, trusting = tls_sandbox
    client = official_client(sandbox, trusting, monkeypatch)
    client._ws_manager.set_credentials(sandbox.config.bot_id, "wrong")
    ears = Ears(client, "error")
    await client.connect()
    assert "853000" in str(await ears.hear("error"))
    await hang_up(client)


async def hang_up(client: Any) -> None:
    """`disconnect()` leaves tasks behind; its own clean-up, awaited, does not."""
    client._ws_manager._stop_heartbeat()
    client._ws_manager._is_manual_close = True
    await client._ws_manager._cleanup_ws()
