"""What customers wrote, byte by byte: where `storage.keep_text` keeps it, and for how long."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from bot import log
from bot.model import EVERYTHING, SessionKey
from bot.stats import add_up
from tests.receiver import Receiver, receiving
from tests.scenario.conftest import ANN, CHAT, KF, Stage, a_stage
from tests.scenario.test_cli_end import terminal_of
from tests.scenario.test_webhooks import with_webhook

FIRST, LAST, ANSWER = "我的卡号是六二二八四八", "密码是甲乙丙丁戊己", "您的卡号已经登记好了"
BEFORE = "接入之前我说过这一句话"
WORDS = {"before": BEFORE, "first": FIRST, "last": LAST, "answer": ANSWER}


def standing(folder: Path) -> set[str]:
    """Which of the words stand in any file of the bot's: database, write-ahead log, log files, as text or escaped."""
    whole = b"".join(each.read_bytes() for each in folder.rglob("*") if each.is_file())
    return {
        name
        for name, text in WORDS.items()
        if any(form in whole for form in (text.encode(), text.encode("utf-16-le"), _escaped(text)))
    }


def _escaped(text: str) -> bytes:
    return text.encode("unicode_escape")


@contextmanager
def logging_everything(stage: Stage) -> Iterator[None]:
    """As `run` does, at the level that says most."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    listener = log.start(stage.settings.log.dir, "DEBUG", False, (), to_stdout=False)
    try:
        yield
    finally:
        listener.stop()
        root.handlers[:] = handlers
        root.setLevel(level)


@asynccontextmanager
async def a_kept_stage(folder: Path, keep: str, receiver: Receiver) -> AsyncIterator[Stage]:
    path = folder / "kfbot.db"
    async with a_stage(folder, storage={"url": f"sqlite:///{path}", "keep_text": keep}) as stage:
        stage.settings = with_webhook(stage.settings, receiver)
        with logging_everything(stage):
            await stage.live()
            yield stage


async def lived(stage: Stage, folder: Path) -> dict[str, set[str]]:
    """A handoff from before its beginning to after its end, with all that follows from it; what stood where, when."""
    stage.sandbox.customer_writes(KF, ANN, BEFORE)
    await stage.settled()
    found = {"before": standing(folder)}
    number = await stage.with_human(ANN, text=FIRST)
    stage.sandbox.servicer_writes(KF, ANN, "ZhangSuQuan", ANSWER)
    stage.sandbox.customer_writes(KF, ANN, LAST)
    await stage.later(360)  # the group is alerted
    await stage.ask(f"/status {number}")
    await stage.ask(f"/ack {number}")
    found["open"] = standing(folder)
    assert "✅" in await stage.ask(f"/end {number}")
    await stage.no_handoff()
    await stage.settled()
    return found


async def test_a_clock_that_runs_ahead_deletes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record would be gone for good, however soon somebody sets the clock right."""
    async with a_stage(tmp_path) as stage:
        await stage.live()
        number = await stage.with_human()
        assert "✅" in await stage.ask(f"/end {number}")
        await stage.no_handoff()
        right = stage.bot.core.clock.now
        monkeypatch.setattr(type(stage.bot.core.clock), "now", lambda _: right() + 400 * 86400)
        await pruned(stage)
        assert await stage.bot.core.ledger.handoff(number) is not None
        monkeypatch.undo()
        await stage.later(400 * 86400)
        await pruned(stage)
        assert await stage.bot.core.ledger.handoff(number) is None


async def pruned(stage: Stage) -> None:
    await stage.bot._prune()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.mark.parametrize(
    ("keep", "open_", "over"),
    [
        ("none", set(), set()),
        ("last", {"first", "last", "before"}, set()),
        ("all", {"before", "first", "last", "answer"}, {"before", "first", "last", "answer"}),
    ],
)
async def test_what_customers_wrote_is_kept_as_the_settings_say_and_no_longer(
    tmp_path: Path, receiver: Receiver, keep: str, open_: set[str], over: set[str]
) -> None:
    folder = tmp_path / "bot"
    folder.mkdir()
    async with a_kept_stage(folder, keep, receiver) as stage:
        found = await lived(stage, folder)
        assert found["open"] <= open_ and ("last" in found["open"]) is (keep != "none"), found
        told = repr(stage.sandbox.groups.groups[CHAT].messages)
        assert {name for name, text in WORDS.items() if text in told} == ({"last"} if keep != "none" else set())
        await pruned(stage)
        assert standing(folder) == over
        for table in ("commands", "audit", "deliveries", "alerts", "cards", "meta"):
            rows = await rows_of(stage, table)
            assert not any(text in rows for text in WORDS.values()), table
        assert receiver.received
        assert not any(text in f"{each.body}" for each in receiver.received for text in WORDS.values())
    assert standing(folder) == over


async def rows_of(stage: Stage, table: str) -> str:
    found = await stage.bot.core.database.read(lambda db: db.execute(f"SELECT * FROM {table}").fetchall())
    return repr(found)


async def again(stage: Stage, keep: str) -> None:
    """The bot is started anew with another setting."""
    await stage.stop()
    storage = stage.settings.storage.model_copy(update={"keep_text": keep})
    stage.settings = stage.settings.model_copy(update={"storage": storage})
    await stage.start()


async def test_who_keeps_less_from_now_on_has_the_rest_erased_at_the_next_run(
    tmp_path: Path, receiver: Receiver
) -> None:
    folder = tmp_path / "bot"
    folder.mkdir()
    async with a_kept_stage(folder, "all", receiver) as stage:
        await lived(stage, folder)
        await stage.with_human(ANN, text=FIRST)
        stage.sandbox.customer_writes(KF, ANN, LAST)
        await stage.settled()
        assert standing(folder) == set(WORDS)
        await again(stage, "last")
        await pruned(stage)
        assert standing(folder) == {"last"}, "of the open handoff"
        assert (await stage.open_handoff()).last_text == LAST
        await again(stage, "none")
        await pruned(stage)
        assert standing(folder) == set()


async def test_nothing_is_left_of_who_is_forgotten_but_what_is_told(tmp_path: Path, receiver: Receiver) -> None:
    """Neither here nor in a backup made since. Older backups and the log files are somebody else's to look after."""
    folder, copies = tmp_path / "bot", tmp_path / "copies"
    folder.mkdir()
    copies.mkdir()
    async with a_kept_stage(folder, "all", receiver) as stage:
        await lived(stage, folder)
        shell = terminal_of(stage, folder)
        before = await numbers(stage)
        ran = await shell.run("forget", "--yes", ANN)
        assert (ran.code, ran.err) == (0, "")
        assert "日志" in ran.out and "备份" in ran.out
        await shell.run("backup", "--to", str(copies))
        for place in (*folder.glob("kfbot.db*"), *copies.iterdir()):
            assert not any(text.encode() in place.read_bytes() for text in (ANN, "小林", *WORDS.values())), place
        assert await numbers(stage) == before


async def numbers(stage: Stage) -> object:
    numbers = stage.bot.core.stats
    ended = await numbers.ended(EVERYTHING, 0.0, 9e9, add_up)
    return replace(ended, longest=None), await numbers.ratings(EVERYTHING, 0.0, 9e9)


async def test_a_running_bot_forgets_too(tmp_path: Path, receiver: Receiver) -> None:
    """What it holds in memory to show beside an alert, and what it would tell a page that was away."""
    async with a_kept_stage(tmp_path, "all", receiver) as stage:
        await lived(stage, tmp_path)
        bot, key = stage.bot, SessionKey(KF, ANN)
        assert bot.alerting.words.of(key) == LAST
        assert any(ANN in each.text for each in bot.live.since(0) or [])
        assert (await terminal_of(stage, tmp_path).run("forget", "--yes", ANN)).code == 0
        await pruned(stage)
        assert bot.alerting.words.of(key) == ""
        assert not any(ANN in each.text for each in bot.live.since(0) or [])
