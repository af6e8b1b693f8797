"""The report as the group sees it: words, then a picture drawn by a process of its own and sent up in pieces."""

from __future__ import annotations

import base64
from datetime import datetime, time

from bot.sandbox import GroupMessage
from tests.scenario.conftest import ANN, CHAT, KF, PATIENCE, Stage


async def _handled(stage: Stage) -> None:
    await stage.with_human()
    stage.sandbox.servicer_writes(KF, ANN, "ZhangSuQuan", "在的")
    stage.sandbox.servicer_ends(KF, ANN)
    await stage.no_handoff()


async def _picture(stage: Stage, mark: int) -> bytes:
    shown = await stage.sandbox.wait_for_group_message(lambda said: bool(said.image), 2 * PATIENCE, mark)
    kind, _, data = (shown.image or "").partition(",")
    assert kind == "data:image/png;base64"
    return base64.b64decode(data)


def _reports(stage: Stage) -> list[GroupMessage]:
    return [said for said in stage.sandbox.group_messages(CHAT) if "客服日报" in said.text]


async def test_stats_answers_with_words_and_then_a_picture(running: Stage) -> None:
    await _handled(running)
    mark = running.sandbox.mark
    said = await running.ask("/stats")
    assert "处理 **1** 个" in said and "客服 1（企业微信客户端）" in said
    assert (await _picture(running, mark)).startswith(b"\x89PNG")


async def test_the_daily_report_comes_once_even_across_a_restart(stage: Stage) -> None:
    await stage.start()
    at = time.fromisoformat(stage.settings.report.at)
    slot = datetime.combine(datetime.now(stage.settings.zone).date(), at, stage.settings.zone).timestamp()
    mark = stage.sandbox.mark
    await stage.bot.report.run(slot)
    assert (await _picture(stage, mark)).startswith(b"\x89PNG")
    await stage.stop()
    await stage.start()
    await stage.bot.report.run(slot + 60)
    assert len(_reports(stage)) == 1
