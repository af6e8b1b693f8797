"""Every door of the whole bot leaves its row, let in or turned away; `bot.py audit` shows them and what was changed."""

from __future__ import annotations

import json
import logging
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiohttp import ClientSession

from bot.audit import Door, Entry, Place
from bot.audited import staff
from bot.errors import StorageError
from bot.registry import Role
from bot.web.doors import AGENT_COOKIE
from storage.audit import AuditLog
from storage.database import Database
from tests.scenario.conftest import ANN, BOB, CHAT, KF, Stage, a_stage
from tests.scenario.test_alerts import alerted, shown, tapped
from tests.scenario.test_cli_end import Terminal, terminal_of
from tests.scenario.test_login import Browser, _public, a_browser

NOON = datetime(2026, 11, 20, 12, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp()
ZHANG, OURS = "ZhangSuQuan", {"X-Requested-With": "kfbot"}
END, COMPLETE = "/api/customer/handoff/end-by-user", "/api/agent/handoff/complete"

Line = tuple[str, str, str, str, int | None, str]


@pytest.fixture
async def strict(tmp_path: Path) -> AsyncIterator[Stage]:
    """LiNa is the agent and ChenJing, in the same group, only looks."""
    async with a_stage(tmp_path, roles={"agents": ["LiNa"], "admins": ["WangWei"]}) as stage:
        await stage.start()
        yield stage


async def lines(stage: Stage) -> list[Line]:
    """(door, operator's type, id, what, handoff, outcome), and the chain fits."""
    log = stage.bot.core.audit_log
    assert (await log.verify()).misfit is None
    return [(row[2], row[3], row[4], row[5], row[6], row[9]) async for page in log.rows() for row in page]


async def details(stage: Stage) -> list[dict[str, Any]]:
    return [json.loads(row[10]) async for page in stage.bot.core.audit_log.rows() for row in page]


async def with_human(stage: Stage, customer: str = ANN) -> int:
    stage.sandbox.customer_writes(KF, customer, "在吗")
    stage.sandbox.servicer_takes(KF, customer, ZHANG)
    return (await stage.open_handoff(customer)).id


# -- the group


async def test_a_command_that_is_let_and_one_that_is_not(strict: Stage) -> None:
    number = await with_human(strict)
    await strict.ask(f"/end {number}", userid="ChenJing")
    assert "✅" in await strict.ask(f"/end {number} 已解决", userid="LiNa")
    assert await lines(strict) == [
        ("group", "AGENT", "ChenJing", "end", None, "refused"),
        ("group", "AGENT", "LiNa", "end", number, "allowed"),
    ]


async def test_a_viewers_tap_does_nothing_and_is_entered(strict: Stage) -> None:
    number, message = await alerted(strict)
    for verb in ("ack", "snooze", "end"):
        assert "ChenJing 没有权限" in shown(await tapped(strict, message, f"{verb}:{number}", "ChenJing"))
    await tapped(strict, message, f"end:{number}", "LiNa")
    assert await lines(strict) == [
        *(("tap", "AGENT", "ChenJing", verb, number, "refused") for verb in ("ack", "snooze", "end")),
        ("tap", "AGENT", "LiNa", "end", number, "allowed"),
    ]
    assert len(strict.moves()) == 1


async def test_a_group_that_is_unpaired_while_the_bot_runs_taps_in_vain(strict: Stage) -> None:
    number, message = await alerted(strict)
    strict.bot.dispatch.paired.discard(CHAT)
    assert "没有与我配对" in shown(await tapped(strict, message, f"end:{number}", "LiNa"))
    assert "总览" not in await strict.ask("/status")
    assert strict.moves() == []
    assert [(door, verb, outcome) for door, *_, verb, _, outcome in await lines(strict)] == [
        ("tap", "end", "refused"),
        ("group", "status", "refused"),
    ]


# -- nobody at a door


async def test_a_customers_own_end_is_entered_with_its_intention(stage: Stage) -> None:
    await stage.start()
    await stage.synced()
    stage.sandbox.clock_advance(2)  # what was sent in the second of the start is history
    number = await with_human(stage)
    stage.sandbox.customer_writes(KF, ANN, "结束对话")
    await stage.no_handoff()
    [(door, kind, who, *rest)] = await lines(stage)
    assert (door, kind, rest) == ("chat", "USER", ["end", number, "allowed"])
    assert re.fullmatch("[0-9a-f]{32}", who)


async def test_a_policys_end_is_entered_and_what_it_only_thought_of_is_not(tmp_path: Path) -> None:
    async with a_stage(tmp_path, end={"policy": "idle", "idle_after": "1h"}) as stage:
        await stage.start()
        number = await with_human(stage)
        stage.sandbox.servicer_writes(KF, ANN, ZHANG, "您好")
        await stage.later(3500)
        assert await lines(stage) == []
        await stage.later(200)
        await stage.no_handoff()
        assert await lines(stage) == [("policy", "SYSTEM", "idle", "end", number, "allowed")]


async def test_without_a_row_a_policy_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise StorageError("disk full")

    async with a_stage(tmp_path, end={"policy": "idle", "idle_after": "1h"}) as stage:
        await stage.start()
        await with_human(stage)
        stage.sandbox.servicer_writes(KF, ANN, ZHANG, "您好")
        await stage.synced()
        with monkeypatch.context() as patch:
            patch.setattr("storage.ledger.append", broken)
            stage.sandbox.clock_advance(3700)
            with suppress(StorageError):  # unless the bot's own tick has met it
                await stage.tick()
            assert stage.moves() == [] and await lines(stage) == []
        await stage.tick()
        await stage.no_handoff()


# -- the API


async def post(stage: Stage, path: str, token: str, number: int, **more: Any) -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"http://127.0.0.1:{stage.bot.port}{path}"
    async with (
        ClientSession() as http,
        http.post(url, headers=headers, json={"handoffRequestId": number, **more}) as said,
    ):
        return said.status


async def test_a_customer_at_the_api(running: Stage) -> None:
    number = await with_human(running)
    tokens, corp = running.bot.core.tokens, running.settings.wecom.corp_id
    hers, his = (tokens.customer_token(corp, KF, customer) for customer in (ANN, BOB))
    answers = [await post(running, END, token, number) for token in ("", "forged", his, hers, hers)]
    assert answers == [401, 401, 404, 200, 200]
    found = await lines(running)
    assert [(kind, verb, handoff, outcome) for _, kind, _, verb, handoff, outcome in found] == [
        ("", "end-by-user", None, "refused"),
        ("", "end-by-user", None, "refused"),
        ("USER", "end-by-user", number, "refused"),
        ("USER", "end-by-user", number, "allowed"),
        ("USER", "end-by-user", number, "over"),
    ]
    assert found[2][2] != found[3][2] == found[4][2]
    said = await details(running)
    assert [each.get("address") for each in said] == ["127.0.0.1", "127.0.0.1", None, None, None]
    assert ANN not in str(said) and ANN not in str(found)


async def test_staff_at_the_api(strict: Stage) -> None:
    number = await with_human(strict)
    tokens = strict.bot.core.tokens
    agent, viewer = (tokens.agent_token(userid, Role.AGENT) for userid in ("LiNa", "ChenJing"))
    snooze, transfer = "/api/agent/handoff/snooze", "/api/agent/handoff/transfer"
    assert await post(strict, COMPLETE, viewer, number) == 401
    assert await post(strict, COMPLETE, agent, 999) == 404
    assert await post(strict, snooze, agent, number, seconds=600) == 200
    assert await post(strict, transfer, agent, number, servicer="Nobody") == 404
    assert await post(strict, transfer, agent, number) == 400
    assert await post(strict, COMPLETE, agent, number, reason="王先生的订单已解决") == 200
    assert [line[1:] for line in await lines(strict)] == [
        ("", "", "complete", None, "refused"),
        ("AGENT", "LiNa", "complete", 999, "refused"),
        ("AGENT", "LiNa", "snooze", number, "allowed"),
        ("AGENT", "LiNa", "transfer", number, "allowed"),
        ("AGENT", "LiNa", "transfer", number, "refused"),
        ("AGENT", "LiNa", "transfer", None, "refused"),
        ("AGENT", "LiNa", "complete", number, "allowed"),
    ]
    assert "王先生" not in str(await details(strict))


async def test_who_takes_a_file_over_the_api_is_entered(strict: Stage) -> None:
    agent = strict.bot.core.tokens.agent_token("LiNa", Role.AGENT)
    url = f"http://127.0.0.1:{strict.bot.port}/api/agent/export?what=events&kf={KF}"
    for token in (agent, "forged"):
        async with ClientSession() as http, http.get(url, headers={"Authorization": f"Bearer {token}"}) as said:
            await said.read()
    assert [line[1:] for line in await lines(strict)] == [
        ("AGENT", "LiNa", "export", None, "allowed"),
        ("", "", "export", None, "refused"),
    ]
    assert (await details(strict))[0] == {"what": "events"}


async def test_a_customers_id_in_the_place_of_something_else_is_not_entered(strict: Stage) -> None:
    number = await with_human(strict)
    agent = strict.bot.core.tokens.agent_token("LiNa", Role.AGENT)
    assert await post(strict, "/api/agent/handoff/transfer", agent, number, servicer=ANN) == 404
    url = f"http://127.0.0.1:{strict.bot.port}/api/agent/export?what=events&kf={ANN}"
    async with ClientSession() as http, http.get(url, headers={"Authorization": f"Bearer {agent}"}) as said:
        await said.read()
    rows = [row async for page in strict.bot.core.audit_log.rows() for row in page]
    assert [row[5] for row in rows] == ["transfer", "transfer", "export"] and ANN not in str(rows)


async def test_who_is_turned_away_from_what_only_shows_is_entered_too(strict: Stage) -> None:
    port = strict.bot.port
    async with ClientSession() as http:
        for path in ("/api/handoffs", "/api/handoffs/1", "/h/forged"):
            async with http.get(f"http://127.0.0.1:{port}{path}", headers={"Authorization": "Bearer forged"}) as said:
                assert said.status == 401
        async with http.ws_connect(f"http://127.0.0.1:{port}/ws/agent") as socket:
            await socket.send_json({"type": "AUTH", "token": "forged"})
            await socket.receive()
    found = await lines(strict)
    assert [line[1:] for line in found] == [
        ("", "", verb, None, "refused") for verb in ("handoffs", "handoffs", "link", "ws/agent")
    ]
    assert {each["address"] for each in await details(strict)} == {"127.0.0.1"}


async def test_without_a_row_the_api_ends_nothing(running: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    number = await with_human(running)
    token = running.bot.core.tokens.agent_token("LiNa", Role.AGENT)

    def broken(*_: object) -> int:
        raise StorageError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("storage.ledger.append", broken)
        assert await post(running, COMPLETE, token, number) == 503
        assert running.moves() == []
    assert await post(running, COMPLETE, token, number) == 200


async def test_agents_come_in(strict: Stage) -> None:
    _public(strict)
    async for browser in a_browser(strict):
        assert await _came(browser, strict) == [302, 403, 401, 200, 401]
    assert await lines(strict) == [
        ("login", "AGENT", "LiNa", "login", None, "allowed"),
        ("login", "AGENT", "ChenJing", "login", None, "refused"),
        ("login", "", "", "login", None, "refused"),
        ("api", "AGENT", "LiNa", "session", None, "allowed"),
        ("api", "", "", "session", None, "refused"),
    ]
    assert (await details(strict))[0] == {"role": "agent"}


async def _came(browser: Browser, stage: Stage) -> list[int]:
    statuses = [(await browser.log_in(userid))[0] for userid in ("LiNa", "ChenJing")]
    statuses.append((await browser.open("/login/callback?code=x&state=y"))[0])
    token = stage.bot.core.tokens.agent_token("LiNa", Role.AGENT)
    for each in (token, "forged"):
        url = f"{browser.base}/api/agent/session"
        async with browser.http.post(url, headers=OURS, json={"token": each}) as said:
            statuses.append(said.status)
    return statuses


async def test_agents_go_again(strict: Stage) -> None:
    """Whoever is let out without having been in leaves no row, and who is sent by another page is not let."""
    _public(strict)
    async for browser in a_browser(strict):
        url = f"{browser.base}/api/agent/session"

        async def leave(headers: dict[str, str], url: str = url, browser: Browser = browser) -> int:
            async with browser.http.delete(url, headers=headers) as said:
                return said.status

        statuses = [await leave(OURS), (await browser.log_in("LiNa"))[0], await leave({}), await leave(OURS)]
        statuses.append(await leave(OURS))
    assert statuses == [200, 302, 403, 200, 200]
    assert [line[:1] + line[2:4] + line[5:] for line in await lines(strict)] == [
        ("login", "LiNa", "login", "allowed"),
        ("api", "", "logout", "refused"),
        ("login", "LiNa", "logout", "allowed"),
    ]


async def test_who_logs_out_is_let_though_it_cannot_be_entered(strict: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    _public(strict)
    async for browser in a_browser(strict):
        await browser.log_in("LiNa")
        with monkeypatch.context() as patch:
            patch.setattr("storage.audit.append", _broken)
            async with browser.http.delete(f"{browser.base}/api/agent/session", headers=OURS) as said:
                assert said.status == 200 and said.cookies[AGENT_COOKIE].value == ""


def _broken(*_: object) -> int:
    raise StorageError("disk full")


async def test_the_head_is_logged_at_the_start(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "kfbot.app"):
        await stage.start()
        await stage.until(lambda: _logged(caplog))


async def _logged(caplog: pytest.LogCaptureFixture) -> bool:
    return f"audit | head={Place()}" in caplog.messages


# -- the command line


@pytest.fixture
def shell(stage: Stage, tmp_path: Path) -> Terminal:
    return terminal_of(stage, tmp_path)


@pytest.fixture
async def busy(shell: Terminal, tmp_path: Path) -> Terminal:
    """Three rows are on record, and no bot runs."""
    shell.with_settings(timezone="Asia/Shanghai")
    database = Database(tmp_path / "kfbot.db")
    for verb, on in (("login", {}), ("ack", {"handoff_id": 7, "chat_id": CHAT}), ("end", {"open_kfid": KF})):
        entry = Entry(NOON, Door.GROUP, staff("LiNa"), verb, "allowed", **on, detail={"role": "agent"})
        await AuditLog(database).enter(entry)
    await database.close()
    return shell


async def documents(shell: Terminal, *words: str) -> list[dict[str, Any]]:
    ran = await shell.run("audit", "--json", *words)
    assert (ran.code, ran.err) == (0, "")
    found: list[dict[str, Any]] = json.loads(ran.out)
    return found


def tampered(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "kfbot.db", isolation_level=None)) as db:
        for trigger in ("audit_append_only", "audit_kept"):
            db.execute(f"DROP TRIGGER {trigger}")
        db.execute(statement)


async def test_what_is_done_from_the_shell_is_entered(stage: Stage, shell: Terminal) -> None:
    shell.with_settings(roles={"admins": ["LiNa"]})
    stage.sandbox.customer_writes(KF, ANN, "还有人吗")
    stage.sandbox.servicer_takes(KF, ANN, ZHANG)
    done = [
        await shell.run("token", "--user", "LiNa", "--role", "admin"),
        await shell.run("token", "--user", "ChenJing", "--role", "admin"),
        await shell.run("end", ANN, "--dry-run"),
        await shell.run("end", ANN, "--reason", "王先生的订单"),
        await shell.run("export", "events"),
    ]
    assert [each.code for each in done] == [0, 1, 0, 0, 0]
    found = await documents(shell)
    assert [(each["door"], each["operatorId"], each["verb"], each["outcome"]) for each in found] == [
        ("cli", "operator", "token", "allowed"),
        ("cli", "operator", "token", "refused"),
        ("cli", "operator", "end", "allowed"),
        ("cli", "operator", "export", "allowed"),
    ]
    assert found[0]["detail"] == {"role": "admin", "ttl": 28800.0, "user": "LiNa"}
    assert found[2]["openKfid"] == KF and set(found[2]["detail"]) == {"customer"}
    assert found[3]["detail"] == {"what": "events"}
    assert ANN not in json.dumps(found) and "王先生" not in json.dumps(found, ensure_ascii=False)


async def test_what_is_refused_at_the_shell_is_entered(stage: Stage, shell: Terminal) -> None:
    stage.sandbox.customer_writes(KF, ANN, "还有人吗")
    stage.sandbox.servicer_takes(KF, ANN, ZHANG)
    ran = [
        await shell.run("end", "wmNobody0000000000000000000000009"),
        await shell.run("end", "wmNobody0000000000000000000000009", "--dry-run"),
        await shell.run("end", ANN, "--kf", KF, "--reason", "x"),
        await shell.run("forget", "--yes", "wmNobody0000000000000000000000009"),
        await shell.run("backup"),
        await shell.run("audit"),
    ]
    assert [each.code for each in ran] == [1, 1, 0, 1, 0, 0]
    found = await documents(shell)
    assert [(each["verb"], each["outcome"]) for each in found] == [
        ("end", "failed"),
        ("end", "allowed"),
        ("forget", "refused"),
        ("backup", "allowed"),
        ("audit", "allowed"),
    ]
    assert {(each["door"], each["operatorId"]) for each in found} == {("cli", "operator")}
    assert "wmNobody" not in json.dumps(found)


async def test_an_open_session_that_is_not_forgotten_is_entered(stage: Stage, shell: Terminal) -> None:
    await stage.start()
    await with_human(stage)
    assert (await shell.run("forget", "--yes", ANN)).code == 1
    assert [line[3:] for line in await lines(stage)] == [("forget", None, "refused")]
    assert (await details(stage))[0]["why"] == "open"


async def test_who_reads_the_log_stands_in_it_from_then_on_and_who_verifies_changes_nothing(busy: Terminal) -> None:
    assert "audit" not in (await busy.run("audit")).out
    for _ in range(2):
        assert (await busy.run("audit", "--verify", "--json")).document["count"] == 4
    assert [each["verb"] for each in await documents(busy)] == ["login", "ack", "end", "audit"]


async def test_the_log_can_be_read_where_nothing_can_be_written(busy: Terminal, tmp_path: Path) -> None:
    full = tmp_path / "kfbot.db"
    with closing(sqlite3.connect(full, isolation_level=None)) as db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    ran = await busy.run("audit")
    assert ran.code == 0 and len(ran.out.splitlines()) == 4


async def test_what_storage_says_is_told_in_the_language_of_the_settings(busy: Terminal, tmp_path: Path) -> None:
    (tmp_path / "kfbot.db").write_bytes(b"SQLite format 3\0" + b"no such thing" * 1000)
    for words in ([], ["--verify"]):
        ran = await busy.run("audit", *words)
        assert ran.code == 1 and re.search("[一-鿿]", ran.err), ran.err


async def test_rows_are_listed_one_a_line(busy: Terminal) -> None:
    ran = await busy.run("audit")
    head, *rows = ran.out.splitlines()
    assert (ran.code, ran.err) == (0, "")
    assert head.split("\t") == ["编号", "时间", "入口", "谁", "动作", "对象", "结果", "细节"]
    assert [row.split("\t") for row in rows] == [
        ["1", "2026-11-20 12:00:00", "group", "AGENT LiNa", "login", "-", "allowed", '{"role":"agent"}'],
        ["2", "2026-11-20 12:00:00", "group", "AGENT LiNa", "ack", f"#7 {CHAT}", "allowed", '{"role":"agent"}'],
        ["3", "2026-11-20 12:00:00", "group", "AGENT LiNa", "end", KF, "allowed", '{"role":"agent"}'],
    ]


async def test_rows_of_a_time_and_of_none(busy: Terminal) -> None:
    assert len(await documents(busy, "--since", "2026-11-20", "--until", "2026-11-20")) == 3
    assert await documents(busy, "--until", "2026-11-19") == []
    assert (await busy.run("audit", "--until", "2026-11-19")).out == "没有记录\n"


async def test_a_log_that_fits_is_told_with_its_head(busy: Terminal, tmp_path: Path) -> None:
    ran = await busy.run("audit", "--verify")
    assert (ran.code, ran.err) == (0, "") and "共 3 条" in ran.out and "--head" in ran.out
    said = (await busy.run("audit", "--verify", "--json")).document
    assert (said["ok"], said["count"], said["misfit"], said["headKnown"]) == (True, 3, None, None)
    assert said["head"].startswith("3:") and said["head"] in ran.out
    known = await busy.run("audit", "--verify", "--head", said["head"])
    assert known.code == 0 and "第 3 条与记下的哈希一致" in known.out


@pytest.mark.parametrize(
    ("statement", "words", "misfit"),
    [
        ("UPDATE audit SET operator_id='somebody' WHERE id=2", "第 2 条与前一条接不上", {"id": 2, "missing": False}),
        ("DELETE FROM audit WHERE id=1", "缺少第 1 条", {"id": 1, "missing": True}),
    ],
)
async def test_what_was_changed_is_named(
    busy: Terminal, tmp_path: Path, statement: str, words: str, misfit: dict[str, Any]
) -> None:
    tampered(tmp_path, statement)
    ran = await busy.run("audit", "--verify")
    assert (ran.code, ran.out) == (1, "") and words in ran.err
    machine = await busy.run("audit", "--verify", "--json")
    assert (machine.code, machine.document["misfit"], machine.document["head"]) == (1, misfit, None)


async def test_a_cut_tail_shows_against_a_noted_head_alone(busy: Terminal, tmp_path: Path) -> None:
    noted = (await busy.run("audit", "--verify", "--json")).document["head"]
    tampered(tmp_path, "DELETE FROM audit WHERE id=3")
    assert (await busy.run("audit", "--verify")).code == 0
    ran = await busy.run("audit", "--verify", "--head", noted)
    assert ran.code == 1 and "截掉或重写" in ran.err


async def test_a_running_bot_and_the_shell_write_one_chain(running: Stage, shell: Terminal) -> None:
    first, second = await with_human(running), await with_human(running, BOB)
    assert "✅" in await running.ask(f"/end {first}")
    assert (await shell.run("end", BOB, "--kf", KF)).code == 0
    assert (await shell.run("audit", "--verify", "--json")).document["count"] == 2
    assert [line[0] for line in await lines(running)] == ["group", "cli"]
    assert [line[4] for line in await lines(running)] == [first, second]


@pytest.mark.parametrize(
    "words",
    [["--head", "1:00"], ["--verify", "--since", "2026-01-01"], ["--since", "soon"], ["--verify", "--head", "x"]],
)
async def test_wrong_use(busy: Terminal, words: list[str]) -> None:
    ran = await busy.run("audit", *words)
    assert (ran.code, ran.out) == (2, "") and ran.err


async def test_without_a_database_nothing_is_made(shell: Terminal, tmp_path: Path) -> None:
    for words in (["audit"], ["audit", "--verify"], ["export"]):
        ran = await shell.run(*words)
        assert ran.code == 1 and "kfbot.db" in ran.err
    assert not (tmp_path / "kfbot.db").exists()


async def test_what_somebody_is_called_cannot_draw_on_a_terminal(shell: Terminal, tmp_path: Path) -> None:
    database = Database(tmp_path / "kfbot.db")
    log = AuditLog(database)
    await log.enter(Entry(1.8e9, Door.GROUP, staff("\x1b[2Jx\t\ny\u202e"), "end", "refused"))
    await database.close()
    ran = await shell.run("audit")
    assert len(ran.out.splitlines()) == 2 and not set("\x1b\u202e") & set(ran.out)
