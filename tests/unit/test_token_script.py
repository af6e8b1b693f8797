"""`bot.py token`: what it prints lets in, what it refuses it refuses with a word, and the bot signs the same."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from bot import cli
from bot.core import Core
from bot.registry import Role
from bot.settings_file import load
from bot.tokens import AgentClaims

SETTINGS = "wecom: {corp_id: ww1, secret: sss}\nstorage: {url: 'sqlite:///a.db'}\n"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.upper().startswith("KFBOT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["bot.py", "token", *words])
    with pytest.raises(SystemExit) as left:
        cli.main()
    said = capsys.readouterr()
    assert isinstance(left.value.code, int)
    return left.value.code, said.out, said.err


async def claims(token: str) -> AgentClaims:
    """As another process on the same database reads it."""
    core = Core(load(Path("settings.yaml")))
    await core.open()
    try:
        return core.tokens.agent(token)
    finally:
        await core.close()


def test_it_prints_the_token_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("settings.yaml").write_text(SETTINGS)
    code, out, err = run(monkeypatch, capsys, "--user", "张三")
    assert (code, err) == (0, "")
    found = asyncio.run(claims(out.removesuffix("\n")))
    assert (found.userid, found.role) == ("张三", Role.AGENT)


def test_the_role_must_be_one_that_the_settings_give(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("settings.yaml").write_text(SETTINGS + "roles: {admins: [LiNa], agents: [WangWei]}\nlang: en\n")
    for userid, role, allowed in (("LiNa", "admin", True), ("LiNa", "agent", True), ("WangWei", "agent", True),
                                  ("WangWei", "admin", False), ("Nobody", "agent", False)):  # fmt: skip
        code, out, err = run(monkeypatch, capsys, "--user", userid, "--role", role)
        assert (code, bool(out)) == ((0, True) if allowed else (1, False))
        assert allowed or (userid in err and f"roles.{role}s" in err)


def test_without_roles_everybody_is_an_agent_and_nobody_an_admin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("settings.yaml").write_text(SETTINGS)
    assert run(monkeypatch, capsys, "--user", "LiNa", "--role", "admin")[0] == 1
    assert run(monkeypatch, capsys, "--user", "LiNa")[0] == 0


@pytest.mark.parametrize(
    "words",
    [[], ["--user"], ["--user", " "], ["--user", "a", "--role", "boss"], ["--user", "a", "--ttl", "8"],
     ["--user", "a", "--ttl", "0h"], ["--user", "a", "--ttl", "31d"], ["a"]],
)  # fmt: skip
def test_wrong_use(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    Path("settings.yaml").write_text(SETTINGS)
    code, out, err = run(monkeypatch, capsys, *words)
    assert (code, out) == (2, "") and err.startswith("Usage: bot.py")
    assert not Path("a.db").exists()
