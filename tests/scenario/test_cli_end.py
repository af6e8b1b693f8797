"""`python bot.py end` as people and scripts run it: a process of its own against the sandbox, with a bot or alone."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot.model import HandoffStatus, OperatorType, SessionKey
from storage.database import Database
from storage.ledger import Ledger
from tests.scenario.conftest import ANN, KF, KF2, Stage

BOT = Path(__file__).parents[2] / "bot.py"
ZHANG = "ZhangSuQuan"
SEED_LINES = f"""\
🔧 强制结束客服会话
══════════════════════════════════════════════════════════════════════
✅ 获取access_token成功

📋 目标会话:
   open_kfid: {KF}
   external_userid: {ANN}

📊 步骤1: 查询当前状态
──────────────────────────────────────────────────────────────────────
✅ 当前状态: 人工接待中 (state=3)
   接待人员: ZhangSuQuan

🔧 步骤2: 尝试结束会话 (state=3 → state=4)
──────────────────────────────────────────────────────────────────────
💡 当前是人工接待状态，添加 servicer_userid: ZhangSuQuan
📤 请求数据: {{'open_kfid': '{KF}', 'external_userid': '{ANN}', 'service_state': 4, 'servicer_userid': 'ZhangSuQuan'}}
📥 响应: {{'errcode': 0, 'errmsg': 'ok'}}

✅ 成功！会话已结束

📊 步骤3: 确认状态变更
──────────────────────────────────────────────────────────────────────
✅ 当前状态: 已结束 (state=4)

🎉 完美！会话已成功结束

"""


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str
    seconds: float

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document; fails where there is anything else on stdout."""
        assert self.out.count("\n") == 1, self.out
        document = json.loads(self.out)
        assert isinstance(document, dict)
        return document


@dataclass
class Terminal:
    """A shell in `folder`, whose settings.yaml leads to the sandbox. `with_settings` changes single sections."""

    folder: Path
    values: dict[str, Any] = field(default_factory=dict)

    def with_settings(self, **changes: dict[str, Any] | str) -> None:
        for name, change in changes.items():
            self.values[name] = {**self.values.get(name, {}), **change} if isinstance(change, dict) else change
        (self.folder / "settings.yaml").write_text(json.dumps(self.values, ensure_ascii=False), "utf-8")

    async def run(self, *words: str) -> Ran:
        environment = {name: value for name, value in os.environ.items() if not name.upper().startswith("KFBOT_")}
        started = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(BOT),
            *words,
            cwd=self.folder,
            env={**environment, "LOGNAME": "operator"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode is not None
        assert b"Traceback" not in err, err.decode()
        return Ran(process.returncode, out.decode(), err.decode(), time.monotonic() - started)

    def files(self) -> list[str]:
        return sorted(each.name for each in self.folder.iterdir())

    def log(self) -> str:
        return "".join(file.read_text("utf-8") for file in sorted((self.folder / "logs").glob("app_*.log")))


def terminal_of(stage: Stage, folder: Path) -> Terminal:
    terminal = Terminal(folder, stage.sandbox.settings)
    terminal.with_settings(
        storage={"url": f"sqlite:///{folder / 'kfbot.db'}"},
        log={"dir": "logs"},
        server={"host": "127.0.0.1", "port": 0},
    )
    return terminal


@pytest.fixture
def shell(stage: Stage, tmp_path: Path) -> Terminal:
    return terminal_of(stage, tmp_path)


@pytest.fixture
def stuck(stage: Stage) -> Stage:
    """Ann is with a servicer, and no bot runs."""
    stage.sandbox.customer_writes(KF, ANN, "还有人吗")
    stage.sandbox.servicer_takes(KF, ANN, ZHANG)
    return stage


def state(stage: Stage) -> int:
    return int(stage.sandbox.session(KF, ANN).state)


# -- the way it should go


async def test_the_steps_are_the_seeds(stuck: Stage, shell: Terminal) -> None:
    ran = await shell.run("end", ANN)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(SEED_LINES)
    assert "「仅智能助手接待」" in ran.out.removeprefix(SEED_LINES)
    assert state(stuck) == 4


async def test_the_document(stuck: Stage, shell: Terminal) -> None:
    ran = await shell.run("end", ANN, "--kf", KF, "--json")
    document = ran.document
    assert "「仅智能助手接待」" in document.pop("hint")
    assert document == {
        "ok": True,
        "open_kfid": KF,
        "external_userid": ANN,
        "before": 3,
        "after": 4,
        "servicer": ZHANG,
        "errcode": 0,
        "handoff": 1,
    }
    assert (ran.code, ran.err) == (0, "")


async def test_it_leaves_the_records_of_any_end(stuck: Stage, shell: Terminal, tmp_path: Path) -> None:
    await shell.run("end", ANN, "--reason", "下班了")
    database = Database(tmp_path / "kfbot.db")
    ledger = Ledger(database, stuck.sandbox.config.corp_id)
    (handoff,) = await ledger.history(SessionKey(KF, ANN))
    events = await ledger.events(handoff.id)
    await database.close()
    assert handoff.status is HandoffStatus.COMPLETED
    assert (handoff.ended_by, handoff.operator_id, handoff.via) == (OperatorType.AGENT, "operator", "cli")
    assert handoff.reason == "下班了"
    assert handoff.tenant_id == stuck.sandbox.config.corp_id
    assert {"ENDING", "COMPLETED", "CLOSING"} <= {event.type.value for event in events}
    assert len(stuck.goodbyes()) == 1


async def test_the_log_has_the_seeds_lines_and_nothing_secret(stuck: Stage, shell: Terminal) -> None:
    await shell.run("end", ANN)
    said = shell.log()
    for words in (
        "📊 当前会话状态: 人工接待中 (state=3) | 接待人: ZhangSuQuan",
        "🔄 尝试自动结束会话",
        "✅ 成功结束会话",
    ):
        assert words in said
    assert stuck.sandbox.config.secret not in said


async def test_ending_twice_is_no_mistake(stuck: Stage, shell: Terminal) -> None:
    await shell.run("end", ANN)
    again = await shell.run("end", ANN, "--json")
    assert again.code == 0
    assert (again.document["ok"], again.document["before"], again.document["handoff"]) == (True, 4, 1)
    assert len(stuck.moves()) == 1
    assert len(stuck.goodbyes()) == 1


async def test_a_dry_run_only_reads(stuck: Stage, shell: Terminal) -> None:
    ran = await shell.run("end", ANN, "--dry-run")
    assert ran.code == 0
    assert "(state=3)" in ran.out
    assert "演练" in ran.out
    assert "步骤2" not in ran.out
    document = (await shell.run("end", ANN, "--dry-run", "--json")).document
    assert (document["ok"], document["before"], document["after"], document["handoff"]) == (True, 3, 3, None)
    assert stuck.moves() == []
    assert state(stuck) == 3


async def test_in_english(stuck: Stage, shell: Terminal) -> None:
    shell.with_settings(lang="en")
    ran = await shell.run("end", ANN)
    assert "Step 2: end the session (state=3 → state=4)" in ran.out
    assert "强制" not in ran.out


async def test_beside_a_running_bot(running: Stage, shell: Terminal) -> None:
    running.sandbox.customer_writes(KF, ANN, "还有人吗")
    running.sandbox.servicer_takes(KF, ANN, ZHANG)
    handoff = await running.open_handoff()
    ran = await shell.run("end", ANN, "--json")
    assert (ran.code, ran.document["handoff"]) == (0, handoff.id)
    ended = await running.no_handoff()
    assert (ended.id, ended.ended_by, ended.via) == (handoff.id, OperatorType.AGENT, "cli")
    assert len(running.goodbyes()) == 1
    assert running.sandbox.line.connected


# -- nothing to end


async def test_a_session_with_the_assistant(stage: Stage, shell: Terminal) -> None:
    stage.sandbox.customer_writes(KF, ANN, "你好")
    stage.sandbox.session_state(KF, ANN, 1)
    ran = await shell.run("end", ANN, "--kf", KF, "--json")
    assert ran.code == 1
    assert (ran.document["ok"], ran.document["before"], ran.document["errcode"]) == (False, 1, 0)
    assert "人工" in ran.document["hint"]
    assert stage.moves() == []


async def test_a_customer_whom_nobody_knows(stage: Stage, shell: Terminal) -> None:
    ran = await shell.run("end", "wmNOBODY")
    assert ran.code == 1
    assert "没有客服账号认识客户 wmNOBODY" in ran.out
    document = (await shell.run("end", "wmNOBODY", "--json")).document
    assert (document["ok"], document["before"], document["open_kfid"]) == (False, -1, "")


async def test_a_customer_unknown_to_the_named_account(stage: Stage, shell: Terminal) -> None:
    ran = await shell.run("end", "wmNOBODY", "--kf", KF)
    assert ran.code == 1
    assert "40096" in ran.out
    assert "未执行任何操作" in ran.out
    assert "仍然打开" not in ran.out


async def test_an_account_that_is_none(stage: Stage, shell: Terminal) -> None:
    document = (await shell.run("end", ANN, "--kf", "kfc123", "--json")).document
    assert (document["ok"], document["errcode"]) == (False, 95000)
    assert "wk" in document["hint"]


async def test_humans_at_two_accounts_need_a_choice(stuck: Stage, shell: Terminal) -> None:
    """Both are on record, as a bot that ran before would have left them."""
    stuck.sandbox.customer_writes(KF2, ANN, "也在这里")
    stuck.sandbox.servicer_takes(KF2, ANN, "LiNa")
    stuck.sandbox.fault("kf/service_state/trans", "errcode", errcode=95016, times=None)
    for account in (KF, KF2):
        await shell.run("end", ANN, "--kf", account)
    ran = await shell.run("end", ANN)
    assert ran.code == 1
    assert f"--kf 指定：{KF} {KF2}" in ran.out


# -- what WeCom refuses


async def test_95014_is_tried_again_without_the_servicer(stuck: Stage, shell: Terminal) -> None:
    stuck.sandbox.fault("kf/service_state/trans", "errcode", errcode=95014)
    ran = await shell.run("end", ANN)
    assert ran.code == 0
    first, _, second = ran.out.partition("💡 不带 servicer_userid 再试一次")
    assert "📥 响应: {'errcode': 95014, 'errmsg': 'user is not a servicer'}" in first
    assert "📥 响应: {'errcode': 0, 'errmsg': 'ok'}" in second
    assert [move["args"].get("servicer_userid") for move in stuck.moves()] == [ZHANG, None]


@pytest.mark.parametrize("errcode", [95014, 95016])
async def test_the_seeds_advice_where_nothing_helps(stuck: Stage, shell: Terminal, errcode: int) -> None:
    stuck.sandbox.fault("kf/service_state/trans", "errcode", errcode=errcode, times=None)
    ran = await shell.run("end", ANN)
    assert ran.code == 1
    assert "❌ 未能结束，会话仍然打开" in ran.out
    for words in (str(errcode), "长按", "删除会话", "「仅智能助手接待」"):
        assert words in ran.out.partition("❌ 未能结束")[2]
    document = (await shell.run("end", ANN, "--json")).document
    assert (document["ok"], document["errcode"], document["before"], document["after"]) == (False, errcode, 3, 3)
    assert "删除会话" in document["hint"]
    assert state(stuck) == 3


@pytest.mark.parametrize(
    ("target", "errcode", "says"),
    [
        ("gettoken", 40001, "secret"),
        ("kf/account/list", 60020, "企业可信IP"),
        ("kf/account/list", 48002, "可调用接口的应用"),
    ],
)
async def test_what_is_wrong_with_the_app(stuck: Stage, shell: Terminal, target: str, errcode: int, says: str) -> None:
    stuck.sandbox.fault(target, "errcode", errcode=errcode, times=None)
    ran = await shell.run("end", ANN, "--json")
    assert ran.code == 1
    assert ran.document["errcode"] == errcode
    assert says in ran.document["hint"]


async def test_a_wrong_secret(stuck: Stage, shell: Terminal) -> None:
    shell.with_settings(wecom={"secret": "wrong-secret"})
    ran = await shell.run("end", ANN)
    assert ran.code == 1
    assert "40001" in ran.out
    assert "wrong-secret" not in ran.out + ran.err + shell.log()


# -- when WeCom does not answer


async def timed(stage: Stage, running: Coroutine[Any, Any, Ran]) -> tuple[Ran, float]:
    """And the seconds from its first question to WeCom: how long a Python takes to start, the machine decides."""
    calls, task = stage.sandbox.ledger.calls, asyncio.create_task(running)
    while not (calls.total() or task.done()):  # noqa: ASYNC110  the sandbox tells nobody of a call that only asks
        await asyncio.sleep(0.01)
    began = time.monotonic()
    return await task, time.monotonic() - began


async def test_a_lost_answer_is_read_back(stuck: Stage, shell: Terminal) -> None:
    stuck.sandbox.fault("kf/service_state/trans", "reset_after")
    ran = await shell.run("end", ANN)
    assert ran.code == 0
    assert "📥 响应: 没有应答" in ran.out
    assert ran.out.count("(state=4)") == 1
    assert len(stuck.moves()) == 1


async def test_a_silent_wecom_costs_less_than_ten_seconds(stuck: Stage, shell: Terminal) -> None:
    stuck.sandbox.fault("*", "delay", seconds=60, times=None)
    ran, seconds = await timed(stuck, shell.run("end", ANN, "--json"))
    assert ran.code == 1
    assert (ran.document["ok"], ran.document["errcode"]) == (False, -2)
    assert ran.document["hint"]
    assert seconds < 10


async def test_nobody_listens_there(stuck: Stage, shell: Terminal) -> None:
    shell.with_settings(wecom={"api_base": "http://127.0.0.1:9"})
    ran = await shell.run("end", ANN)
    assert ran.code == 1
    assert "没有应答" in ran.out
    assert ran.seconds < 10


async def test_an_end_of_unknown_outcome_is_settled_by_the_next_bot(stuck: Stage, shell: Terminal) -> None:
    """WeCom is silent from the move on: told in time, kept on record, and looked at again by who comes next."""
    stuck.sandbox.fault("kf/service_state/trans", "delay", seconds=60, times=None)
    ran, seconds = await timed(stuck, shell.run("end", ANN, "--json"))
    assert (ran.code, ran.document["before"], ran.document["handoff"]) == (1, 3, 1)
    assert "意图已记录" in ran.document["hint"]
    assert seconds < 10
    stuck.sandbox.clear_faults()
    await stuck.start()
    await stuck.sandbox.wait_for_state(KF, ANN, 4, timeout=30)


async def test_an_end_that_wecom_has_agreed_to_is_done_though_it_is_slow_to_confirm_it(
    stuck: Stage, shell: Terminal
) -> None:
    """Its answer to the move had a code, which it gives for an end alone: so that is on record already."""
    stuck.sandbox.fault("kf/service_state/trans", "delay", seconds=1.0)
    task = asyncio.create_task(timed(stuck, shell.run("end", ANN, "--json")))
    while not (stuck.sandbox.ledger.calls["kf/service_state/trans"] or task.done()):  # noqa: ASYNC110  as in `timed`
        await asyncio.sleep(0.01)
    stuck.sandbox.fault("kf/service_state/get", "delay", seconds=60, times=None)
    ran, seconds = await task
    assert (ran.code, ran.document["ok"], ran.document["before"], ran.document["after"]) == (0, True, 3, -1)
    assert seconds < 10
    assert stuck.goodbyes()


# -- this machine


async def test_bad_settings_print_no_document(shell: Terminal) -> None:
    shell.with_settings(lang="fr", wecom={"secret": "", "api_base": "nowhere"})
    ran = await shell.run("end", ANN, "--json")
    assert (ran.code, ran.out) == (2, "")
    assert [line.partition(":")[0] for line in ran.err.splitlines()] == ["lang", "wecom.api_base"]
    assert shell.files() == ["settings.yaml"]


@pytest.mark.parametrize("place", [{"log": {"dir": "settings.yaml"}}, {"storage": {"url": "sqlite:///settings.yaml"}}])
async def test_a_place_that_cannot_be_used_is_in_the_document(
    stuck: Stage, shell: Terminal, place: dict[str, dict[str, Any]]
) -> None:
    shell.with_settings(**place)
    ran = await shell.run("end", ANN, "--json")
    assert ran.code == 1
    assert ran.document["ok"] is False
    assert "settings.yaml" in ran.document["hint"]
    assert state(stuck) == 3
