"""`python bot.py check` and `status` in a process of their own, against the sandbox, beside a bot or alone."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from storage.database import Database
from tests.scenario.conftest import ANN, BOB, KF, KF2, Stage
from tests.scenario.test_cli_end import ZHANG, Ran, Terminal, terminal_of

NAMES = [
    "settings", "files", "storage", "clock", "token", "trusted_ip", "accounts", "servicers", "callback", "group",
    "routing",
]  # fmt: skip


@pytest.fixture
def shell(stage: Stage, tmp_path: Path) -> Terminal:
    """Its bot would listen on a port where nobody does."""
    terminal = terminal_of(stage, tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        terminal.with_settings(server={"port": probe.getsockname()[1]})
    return terminal


@pytest.fixture
async def beside(stage: Stage, shell: Terminal) -> AsyncIterator[Terminal]:
    """A bot runs, on the port and the database that the settings name."""
    bot = await stage.live()
    shell.with_settings(server={"port": bot.port})
    yield shell


async def checked(shell: Terminal) -> tuple[Ran, dict[str, list[dict[str, Any]]]]:
    ran = await shell.run("check", "--json")
    found: dict[str, list[dict[str, Any]]] = {}
    for each in ran.document["checks"]:
        assert set(each) == {"name", "ok", "detail", "remedy"}
        found.setdefault(each["name"], []).append(each)
    assert list(found) == NAMES
    return ran, found


def verdicts(found: dict[str, list[dict[str, Any]]], name: str) -> list[bool | None]:
    return [each["ok"] for each in found[name]]


def said(found: dict[str, list[dict[str, Any]]], name: str) -> str:
    return " ".join(f"{each['detail']} {each['remedy'] or ''}" for each in found[name])


# -- all well


async def test_people_get_a_line_for_each(stage: Stage, shell: Terminal) -> None:
    ran = await shell.run("check")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert len(lines) == len(NAMES) + 1  # two accounts have a line each for their servicers
    assert all(line[0] in "✅⚠" for line in lines)
    assert "「仅智能助手接待」" in lines[-1]
    assert "售前咨询" in ran.out
    assert stage.sandbox.config.secret not in ran.out


async def test_scripts_get_one_document(shell: Terminal) -> None:
    ran, found = await checked(shell)
    assert (ran.code, ran.err, ran.document["ok"]) == (0, "", True)
    assert verdicts(found, "servicers") == [True, True]
    assert "2 人正在接待" in said(found, "servicers")
    assert verdicts(found, "callback") == verdicts(found, "routing") == [None]


async def test_nothing_is_left_behind(stage: Stage, shell: Terminal) -> None:
    await shell.run("check")
    assert shell.files() == ["settings.yaml"]
    assert stage.sandbox.ledger.of("trans") == []
    assert stage.sandbox.state()["groups"][0]["messages"] == []
    assert not stage.sandbox.line.connected


async def test_in_english(shell: Terminal) -> None:
    shell.with_settings(lang="en")
    ran = await shell.run("check")
    assert "✅ clock: " in ran.out
    assert "the bot does not run" in ran.out


async def test_an_existing_database_is_tried(beside: Terminal) -> None:
    _, found = await checked(beside)
    assert verdicts(found, "storage") == [True]
    assert "可读写" in said(found, "storage")


async def test_a_database_with_a_damaged_page_is_not_called_good(shell: Terminal) -> None:
    """Nor written to: what can still be saved of it must not become less."""
    database = Database(shell.folder / "kfbot.db")
    await database.open()
    await database.close()
    path = database.path
    with closing(sqlite3.connect(path)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name='handoffs_customer'").fetchone()
    spoilt = bytearray(path.read_bytes())
    spoilt[(root - 1) * 4096 : root * 4096] = b"\x55" * 4096
    path.write_bytes(spoilt)
    ran, found = await checked(shell)
    assert (ran.code, verdicts(found, "storage")) == (1, [False])
    assert "已损坏" in said(found, "storage") and "备份" in said(found, "storage")
    assert path.read_bytes() == spoilt


# -- settings and this machine


async def test_settings_that_do_not_let_a_bot_run(shell: Terminal) -> None:
    shell.with_settings(wecom={"secret": ""}, callback={"token": ""})
    ran, found = await checked(shell)
    assert ran.code == 2
    assert "wecom.secret" in said(found, "settings")
    assert "callback.token" in said(found, "settings")
    for name in ("token", "trusted_ip", "accounts", "servicers", "callback", "group"):
        assert verdicts(found, name) == [None]
        assert "skipped" in said(found, name)
        assert found[name][0]["remedy"] is None


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder to which everybody gets, unlike `tmp_path`."""
    with TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        if not all(each.stat().st_mode & 0o001 for each in Path(made).resolve().parents):
            pytest.skip("temporary files lie where not everybody gets to")
        yield Path(made)


async def test_secrets_that_everybody_can_read_fail(stage: Stage, public: Path) -> None:
    shell, settings, env = terminal_of(stage, public), public / "settings.yaml", public / ".env"
    settings.chmod(0o644)
    ran, found = await checked(shell)
    assert (ran.code, verdicts(found, "files")) == (1, [False])
    assert found["files"][0]["remedy"] == "chmod 600 settings.yaml"
    assert stage.sandbox.config.secret not in ran.out
    settings.chmod(0o640)
    assert verdicts((await checked(shell))[1], "files") == [True]
    env.write_text(f"KFBOT_WECOM__SECRET={stage.sandbox.config.secret}\n")
    env.chmod(0o644)
    assert "chmod 600 .env" in said((await checked(shell))[1], "files")


async def test_invalid_settings_print_no_document(shell: Terminal) -> None:
    shell.with_settings(kf={"accounts": ["kfc123"]})
    ran = await shell.run("check", "--json")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("kf.accounts: ")
    assert "wk…" in ran.err


@pytest.mark.parametrize("url", ["sqlite:///settings.yaml", "sqlite:///settings.yaml/kfbot.db"])
async def test_a_database_that_cannot_be_used(shell: Terminal, url: str) -> None:
    shell.with_settings(storage={"url": url})
    ran, found = await checked(shell)
    assert ran.code == 1
    assert verdicts(found, "storage") == [False]
    assert "storage.url" in said(found, "storage")
    assert verdicts(found, "token") == [True]


@pytest.mark.parametrize(("ahead", "verdict"), [(0.0, True), (30.0, None), (600.0, False)])
async def test_the_clock(stage: Stage, shell: Terminal, ahead: float, verdict: bool | None) -> None:
    stage.sandbox.clock_advance(ahead)
    ran, found = await checked(shell)
    assert verdicts(found, "clock") == [verdict]
    assert ran.code == (1 if verdict is False else 0)
    if ahead:
        assert f"-{ahead:.0f}" in said(found, "clock") or f"-{ahead + 1:.0f}" in said(found, "clock")
        assert "NTP" in said(found, "clock")


# -- WeCom


async def test_nobody_listens_there(shell: Terminal) -> None:
    shell.with_settings(wecom={"api_base": "http://127.0.0.1:9"}, group={"aibot": {"bot_id": "", "secret": ""}})
    ran, found = await checked(shell)
    assert ran.code == 1
    assert (verdicts(found, "clock"), verdicts(found, "token")) == ([None], [False])
    assert "skipped" in said(found, "accounts")
    assert "group.aibot" in said(found, "group")


async def test_a_password_in_an_address_is_not_shown(shell: Terminal) -> None:
    shell.with_settings(wecom={"api_base": "http://gateway:hunter2hunter2@127.0.0.1:9"})
    ran, found = await checked(shell)
    assert "127.0.0.1:9" in said(found, "settings")
    assert "hunter2" not in ran.out


async def test_a_wrong_secret(shell: Terminal) -> None:
    shell.with_settings(wecom={"secret": "wrong-secret"})
    ran, found = await checked(shell)
    assert ran.code == 1
    assert verdicts(found, "token") == [False]
    assert "40001" in said(found, "token")
    assert "应用管理" in said(found, "token")
    assert "wrong-secret" not in ran.out + ran.err


async def test_an_address_that_is_not_trusted(stage: Stage, shell: Terminal) -> None:
    stage.sandbox.fault("kf/account/list", "errcode", errcode=60020, times=None)
    ran, found = await checked(shell)
    assert ran.code == 1
    assert (verdicts(found, "token"), verdicts(found, "trusted_ip")) == ([True], [False])
    assert "企业可信IP" in said(found, "trusted_ip")
    assert "skipped" in said(found, "accounts")
    assert "skipped" in said(found, "servicers")
    assert "❌ 可信IP" in (await shell.run("check")).out


async def test_an_app_that_may_not_call(stage: Stage, shell: Terminal) -> None:
    stage.sandbox.fault("kf/account/list", "errcode", errcode=48002, times=None)
    _, found = await checked(shell)
    assert (verdicts(found, "trusted_ip"), verdicts(found, "accounts")) == ([True], [False])
    assert "可调用接口的应用" in said(found, "accounts")


async def test_accounts_that_do_not_exist(shell: Terminal) -> None:
    shell.with_settings(
        kf={"accounts": [KF, "wkNOWHERE"]},
        group={"routes": {"wkROUTE": "chat"}},
        end={"accounts": {"wkEND": {"policy": "idle"}}},
    )
    ran, found = await checked(shell)
    assert ran.code == 1
    assert verdicts(found, "accounts") == [True, False, None, None]
    for words in ("wkNOWHERE", "kfc", "group.routes", "wkROUTE", "end.accounts", "wkEND"):
        assert words in said(found, "accounts")
    assert verdicts(found, "servicers") == [True]


async def test_no_account_at_all(stage: Stage, shell: Terminal) -> None:
    stage.sandbox.world.accounts.clear()
    ran, found = await checked(shell)
    assert ran.code == 1
    assert "可管理的客服账号" in said(found, "accounts")
    assert "skipped" in said(found, "servicers")


async def test_nobody_receives(stage: Stage, shell: Terminal) -> None:
    for servicer in (ZHANG, "LiNa"):
        stage.sandbox.servicer_status(KF, servicer, 1)
    stage.sandbox.servicer_status(KF2, "LiNa", 1)
    ran, found = await checked(shell)
    assert ran.code == 0
    assert verdicts(found, "servicers") == [None, True]
    assert "已停止接待" in said(found, "servicers")
    assert "1 人正在接待" in said(found, "servicers")


async def test_servicers_that_cannot_be_read(stage: Stage, shell: Terminal) -> None:
    stage.sandbox.fault("kf/servicer/list", "errcode", errcode=60011, times=None)
    ran, found = await checked(shell)
    assert ran.code == 1
    assert verdicts(found, "servicers") == [False, False]
    assert "可见范围" in said(found, "servicers")


# -- callback


async def test_the_callback_of_a_running_bot(beside: Terminal) -> None:
    ran, found = await checked(beside)
    assert ran.code == 0
    assert verdicts(found, "callback") == [None]
    assert "应答正确" in said(found, "callback")
    assert "server.public_url" in said(found, "callback")


async def test_the_public_address_is_asked_as_wecom_does(stage: Stage, beside: Terminal) -> None:
    beside.with_settings(server={"public_url": f"http://localhost:{stage.bot.port}"})
    ran, found = await checked(beside)
    assert (ran.code, verdicts(found, "callback")) == (0, [True])
    assert f"http://localhost:{stage.bot.port}/callback/kf" in said(found, "callback")


async def test_a_bot_with_other_keys(beside: Terminal) -> None:
    beside.with_settings(callback={"token": "AnotherToken"})
    ran, found = await checked(beside)
    assert (ran.code, verdicts(found, "callback")) == (1, [False])
    assert "重启" in said(found, "callback")


async def test_a_public_address_that_leads_nowhere(beside: Terminal) -> None:
    beside.with_settings(server={"public_url": "http://127.0.0.1:9"})
    ran, found = await checked(beside)
    assert (ran.code, verdicts(found, "callback")) == (1, [False])
    assert "反向代理" in said(found, "callback")


async def test_a_public_address_that_leads_to_somebody_else(shell: Terminal) -> None:
    async def welcome(request: web.Request) -> web.Response:
        return web.Response(text="Welcome to nginx!")

    app = web.Application()
    app.router.add_get("/{path:.*}", welcome)
    async with TestServer(app) as server:
        shell.with_settings(server={"public_url": str(server.make_url("")).rstrip("/")})
        ran, found = await checked(shell)
    assert (ran.code, verdicts(found, "callback")) == (1, [False])
    assert "HTTP 200" in said(found, "callback")


async def test_no_bot_and_no_callback(shell: Terminal) -> None:
    _, found = await checked(shell)
    assert "python bot.py run" in said(found, "callback")
    shell.with_settings(callback={"token": "", "encoding_aes_key": ""})
    ran, found = await checked(shell)
    assert (ran.code, verdicts(found, "callback")) == (0, [None])
    assert "设置API接收" in said(found, "callback")


# -- group


async def test_a_running_bot_keeps_its_connection(stage: Stage, beside: Terminal) -> None:
    subscribed = stage.sandbox.ledger.calls["aibot_subscribe"]
    _, found = await checked(beside)
    assert verdicts(found, "group") == [True]
    assert "运行中的机器人" in said(found, "group")
    assert stage.sandbox.ledger.calls["aibot_subscribe"] == subscribed
    assert stage.bot.channel is not None
    assert stage.bot.channel.ready


async def test_the_word_of_a_running_bot_is_taken(stage: Stage, beside: Terminal) -> None:
    assert stage.bot.channel is not None
    await stage.bot.channel.stop()
    ran, found = await checked(beside)
    assert (ran.code, verdicts(found, "group")) == (1, [False])


async def test_a_bot_secret_that_is_wrong(stage: Stage, shell: Terminal) -> None:
    group = stage.sandbox.settings["group"]
    shell.with_settings(group={"aibot": {**group["aibot"], "secret": "wrong-secret"}})
    ran, found = await checked(shell)
    assert (ran.code, verdicts(found, "group")) == (1, [False])
    assert "group.aibot" in said(found, "group")
    assert "wrong-secret" not in ran.out + ran.err


async def test_a_group_address_that_leads_nowhere(stage: Stage, shell: Terminal) -> None:
    group = stage.sandbox.settings["group"]
    shell.with_settings(group={"aibot": {**group["aibot"], "url": "ws://127.0.0.1:9"}})
    ran, found = await checked(shell)
    assert (ran.code, verdicts(found, "group")) == (1, [False])
    assert "cannot connect" in said(found, "group")


# -- status


async def test_status_makes_no_database(shell: Terminal) -> None:
    ran = await shell.run("status")
    assert (ran.code, ran.out) == (1, "")
    assert "还没有数据库" in ran.err
    document = (await shell.run("status", "--json")).document
    assert (document["accounts"], document["open"], document["total"]) == ([], [], 0)
    assert "还没有数据库" in document["error"]
    assert shell.files() == ["settings.yaml"]


async def test_status_of_a_file_that_is_no_database(shell: Terminal) -> None:
    shell.with_settings(storage={"url": "sqlite:///settings.yaml"})
    ran = await shell.run("status", "--json")
    assert ran.code == 1
    assert "settings.yaml" in ran.document["error"]


@pytest.mark.parametrize("still_running", [True, False])
async def test_status_tells_what_is_on_record(stage: Stage, beside: Terminal, still_running: bool) -> None:
    stage.sandbox.customer_writes(KF, ANN, "还有人吗")
    stage.sandbox.servicer_takes(KF, ANN, ZHANG)
    stage.sandbox.customer_writes(KF, ANN, "在吗")
    stage.sandbox.session_state(KF, BOB, 2)
    stage.sandbox.customer_writes(KF, BOB, "排队中")
    await stage.settled()
    handoffs = {each.key.external_userid: each for each in [await stage.open_handoff(), await stage.open_handoff(BOB)]}
    if not still_running:
        await stage.stop()
    ran = await beside.run("status", "--json")
    assert (ran.code, ran.err) == (0, "")
    document = ran.document
    assert set(document) == {"accounts", "open", "total"}
    assert [(each["open_kfid"], each["name"]) for each in document["accounts"]] == [(KF, "售前咨询"), (KF2, "售后服务")]
    first = document["accounts"][0]
    assert (first["human"], first["queued"], first["waiting"]) == (1, 1, 2)
    assert first["oldest_wait_seconds"] >= 0
    assert document["accounts"][1]["oldest_wait_seconds"] is None
    assert document["total"] == 2
    rows = {each["external_userid"]: each for each in document["open"]}
    assert set(rows[ANN]) == {
        *("handoff", "open_kfid", "external_userid", "status"),
        *("servicer", "waiting_seconds", "requested_at"),
    }
    assert (rows[ANN]["handoff"], rows[ANN]["servicer"], rows[ANN]["status"]) == (handoffs[ANN].id, ZHANG, "ACCEPTED")
    assert (rows[BOB]["status"], rows[BOB]["servicer"]) == ("PENDING", None)
    assert rows[ANN]["requested_at"].endswith("Z")


async def test_status_for_people(stage: Stage, beside: Terminal) -> None:
    assert "没有进行中的人工会话" in (await beside.run("status")).out
    stage.sandbox.customer_writes(KF, ANN, "还有人吗")
    stage.sandbox.servicer_takes(KF, ANN, ZHANG)
    handoff = await stage.open_handoff()
    ran = await beside.run("status")
    assert (ran.code, ran.err) == (0, "")
    assert [line.split("\t")[:2] for line in ran.out.splitlines()][1:4] == [
        ["客服账号", "人工"],
        ["售前咨询", "1"],
        ["售后服务", "0"],
    ]
    (row,) = [line.split("\t") for line in ran.out.splitlines() if line.startswith("#")]
    assert row[0] == f"#{handoff.id}"
    assert row[1].endswith(ANN)
    assert row[4] == ZHANG


async def test_status_counts_accounts_that_no_bot_has_listed(stage: Stage, shell: Terminal) -> None:
    stage.sandbox.customer_writes(KF, ANN, "还有人吗")
    stage.sandbox.servicer_takes(KF, ANN, ZHANG)
    stage.sandbox.fault("kf/service_state/trans", "errcode", errcode=95016, times=None)
    await shell.run("end", ANN)
    document = (await shell.run("status", "--json")).document
    assert [(each["open_kfid"], each["human"]) for each in document["accounts"]] == [(KF, 1)]
