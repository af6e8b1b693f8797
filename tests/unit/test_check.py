"""The parts of `bot.py check` that need no WeCom; the whole stands in tests/scenario/test_cli_check.py."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot import check
from bot.check import CHECKS, Bench, Check, Echo, Finding
from bot.core import Core
from bot.errors import WeComError, WeComUnavailable
from bot.http import Http
from bot.model import KfAccount
from bot.settings import Settings
from bot.wecom.crypto import CallbackCrypto
from bot.wording import TEXT

TOKEN, KEY, CORP = "QDG6eK", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", "wx5823bf96d3bd56c7"
MONDAY = "Mon, 16 Nov 2026 08:00:00 GMT"
MONDAY_AT = 1794816000.0

Serve = Callable[[web.Response], str]


def settings(**changes: Any) -> Settings:
    values: dict[str, Any] = {
        "wecom": {"corp_id": CORP, "secret": "sss", "api_base": "http://127.0.0.1:9"},
        "callback": {"token": TOKEN, "encoding_aes_key": KEY},
    }
    return Settings(**values, **changes)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    core = Core(settings(storage={"url": f"sqlite:///{tmp_path}/none/kfbot.db"}))
    yield Bench(core)
    await core.close()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Sets the answer to everything; returns the address."""
    answers: list[web.Response] = []

    async def answer(request: web.Request) -> web.Response:
        response = answers[-1]
        return web.Response(body=response.body, status=response.status, headers=response.headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:

        def set_answer(response: web.Response) -> str:
            answers.append(response)
            return str(server.make_url("")).rstrip("/")

        yield set_answer


# -- the list


def test_a_check_needs_only_what_stands_before_it() -> None:
    names = [each.name for each in CHECKS]
    assert len(set(names)) == len(names)
    assert all(each.needs in ["", *names[: names.index(each.name)]] for each in CHECKS)


def test_every_check_has_a_title_and_every_warning_a_remedy() -> None:
    for each in CHECKS:
        assert f"check.name.{each.name}" in TEXT
    spoken = {key for key in TEXT if key.startswith("check.")}
    source = Path(check.__file__).read_text("utf-8")
    for key in spoken:
        text = key.removeprefix("check.").removesuffix(".remedy")
        assert text.startswith("name.") or f'"{text}"' in source or f'"{key}"' in source, key


@pytest.mark.parametrize(
    ("ok", "remedy", "mark"), [(True, None, "✅"), (False, "do", "❌"), (None, "do", "⚠️"), (None, None, "➖")]
)
def test_marks(ok: bool | None, remedy: str | None, mark: str) -> None:
    assert Finding("x", ok, "detail", remedy).mark == mark


async def test_what_stands_on_a_failure_is_skipped_and_names_the_first_cause(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(bench: Bench) -> list[Finding]:
        return [Finding("token", False, "no", "yes")]

    async def never(bench: Bench) -> list[Finding]:
        raise AssertionError("must be skipped")

    checks = (Check("token", broken), Check("trusted_ip", never, "token"), Check("accounts", never, "trusted_ip"))
    monkeypatch.setattr(check, "CHECKS", checks)
    findings = await check._look_at_all(bench, as_json=False)
    assert [(each.ok, each.remedy) for each in findings] == [(False, "yes"), (None, None), (None, None)]
    assert capsys.readouterr().out.count("「access_token」") == 2


async def test_a_fault_in_one_check_costs_only_that(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def faulty(bench: Bench) -> list[Finding]:
        raise ZeroDivisionError("secret stuff")

    monkeypatch.setattr(check, "CHECKS", (Check("clock", faulty), Check("routing", check._routing)))
    first, second = await check._look_at_all(bench, as_json=True)
    assert first.ok is False
    assert "ZeroDivisionError, test_check.py:" in first.detail
    assert "secret" not in first.detail
    assert second.name == "routing"


# -- the echo


def test_the_bots_own_crypto_understands_the_echo() -> None:
    echo = Echo.fresh()
    asked = echo.asked(settings())
    crypto = CallbackCrypto(TOKEN, KEY, CORP)
    answer = crypto.verify_url(asked["msg_signature"], asked["timestamp"], asked["nonce"], asked["echostr"])
    assert answer == echo.text.encode()
    assert abs(int(asked["timestamp"]) - time.time()) < 60


@pytest.mark.parametrize(
    ("status", "same", "seconds", "verdict", "says"),
    [
        (200, True, 0.2, None, "server.public_url"),
        (200, True, 1.4, False, "1.40"),
        (200, False, 0.2, False, "HTTP 200"),
        (404, False, 0.2, False, "HTTP 404"),
        (302, False, 0.2, False, "HTTP 302"),
        (403, False, 0.2, False, "签名"),
    ],
)
def test_what_an_answer_to_the_echo_means(
    bench: Bench, status: int, same: bool, seconds: float, verdict: bool | None, says: str
) -> None:
    found = check._judged(bench, "http://x/callback/kf", status, same, seconds)
    assert found.ok is verdict
    assert says in f"{found.detail} {found.remedy}"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("", "http://127.0.0.1:8080"),
        ("::", "http://[::1]:8080"),
        ("10.1.2.3", "http://10.1.2.3:8080"),
    ],
)
def test_where_the_bot_of_this_machine_is(host: str, url: str) -> None:
    assert check._here(settings(server={"host": host, "port": 8080})) == url


# -- the word of a running bot


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ({"ready": True, "checks": {"storage": "", "token": "", "group": ""}}, ""),
        ({"ready": False, "checks": {"group": "bad bot_id or secret"}}, "bad bot_id or secret"),
        ({"ready": False, "checks": {"probe": "no answer within 3 s"}}, "no answer within 3 s"),
        ({"ready": True}, None),
        (["something else"], None),
    ],
)
async def test_a_bot_that_answers_is_never_disconnected(
    bench: Bench, serve: Serve, answer: Any, word: str | None
) -> None:
    """None, and only None, lets the check connect in its place."""
    assert await check._word_of_the_bot(bench, serve(web.json_response(answer, status=503))) == word


async def test_silence_is_not_taken_for_absence(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*args: Any, **options: Any) -> tuple[int, bytes]:
        raise WeComUnavailable("/readyz", "no answer within 5 s")

    async def refuse(*args: Any, **options: Any) -> tuple[int, bytes]:
        raise WeComUnavailable("/readyz", "cannot connect", sent=False)

    monkeypatch.setattr(bench.core.http, "request", hang)
    assert "http://x" in (await check._word_of_the_bot(bench, "http://x") or "")
    monkeypatch.setattr(bench.core.http, "request", refuse)
    assert await check._word_of_the_bot(bench, "http://x") is None


# -- accounts


async def test_accounts_that_settings_name_and_wecom_does_not_know(tmp_path: Path) -> None:
    core = Core(
        settings(
            storage={"url": f"sqlite:///{tmp_path}/kfbot.db"},
            group={"routes": {"wkROUTE": "wr1", "wkHERE": "wr1"}},
            watch={"accounts": {"wkWATCH": {"hours": ""}, "wkHERE": {"hours": ""}}},
            end={"accounts": {"wkEND": {"policy": "idle"}, "wkHERE": {"policy": "idle"}}},
        )
    )
    found = check._wrong_accounts(Bench(core, [KfAccount("wkHERE")]))
    assert [(each.ok, bool(each.remedy)) for each in found] == [(None, True)] * 3
    for each, words in zip(found, ["group.routes", "watch.accounts", "end.accounts"], strict=True):
        assert words in each.detail
    assert ["wkROUTE" in found[0].detail, "wkWATCH" in found[1].detail, "wkEND" in found[2].detail] == [True] * 3
    await core.close()


# -- what is found in words


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (WeComError(60020, "not allow to access from your ip", "/cgi-bin/x"), "(60020)"),
        (WeComUnavailable("/cgi-bin/x", "no answer within 5 s"), "(no answer within 5 s)"),
        (WeComError(12345, "who knows", "/cgi-bin/x"), "12345"),
    ],
)
def test_a_refusal_is_told_with_its_remedy(bench: Bench, error: WeComError, says: str) -> None:
    found = bench.refused("token", error, "售前: ")
    assert found.detail.startswith("售前: ")
    assert says in found.detail
    assert found.remedy


async def test_a_new_database_is_only_looked_for(bench: Bench, tmp_path: Path) -> None:
    (found,) = await check._storage(bench)
    assert found.ok
    assert not any(tmp_path.iterdir())  # noqa: ASYNC240


def test_a_folder_that_cannot_be_written(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    found = check._place_for(bench, tmp_path / "none" / "kfbot.db")
    assert found.ok is False
    assert f"{tmp_path} " in found.detail


# -- WeCom's clock


@pytest.mark.parametrize(("date", "at"), [(MONDAY, MONDAY_AT), ("yesterday", None), ("", None)])
async def test_the_servers_time(serve: Serve, date: str, at: float | None) -> None:
    base = serve(web.Response(status=404, headers={"Date": date}))
    async with Http() as http:
        assert await http.server_time(f"{base}/") == at


@pytest.mark.parametrize(
    ("theirs", "verdict", "says"),
    [
        (lambda: time.time() - 1, True, "秒"),
        (lambda: time.time() - 20, None, "NTP"),
        (lambda: time.time() + 7, None, "NTP"),
        (lambda: time.time() + 4000, False, "NTP"),
        (lambda: None, None, "Date"),
    ],
)
async def test_how_far_a_clock_may_be_off(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, theirs: Callable[[], float | None], verdict: bool | None, says: str
) -> None:
    async def tell(url: str) -> float | None:
        return theirs()

    monkeypatch.setattr(bench.core, "http", SimpleNamespace(server_time=tell, close=bench.core.http.close))
    (found,) = await check._clock(bench)
    assert found.ok is verdict
    assert says in f"{found.detail} {found.remedy}"
