"""What a bot that died left behind is taken up by the next one."""

from __future__ import annotations

import asyncio

from bot.app import App
from bot.model import Button, Card, GroupMessage
from bot.sandbox import Sandbox
from tests.fakes import worked
from tests.scenario.conftest import BOB, CHAT, PATIENCE, Stage


async def test_a_command_is_not_run_again_after_a_restart(stage: Stage) -> None:
    await stage.start()
    await stage.ask("/status")
    message = stage.sandbox.group_messages(CHAT)[0]
    await stage.stop()
    await stage.start()
    again = GroupMessage("aibot", message.id, CHAT, True, "LiNa", "/status")
    mark = stage.sandbox.mark
    await worked(stage.bot.dispatch.hear, again)
    assert stage.sandbox.mark == mark


async def test_a_command_cut_off_by_a_crash_is_owned_up_to(stage: Stage) -> None:
    await stage.start()
    await stage.ask("/status")
    lost = GroupMessage("aibot", "m-lost", CHAT, True, "LiNa", "/end wm7l")
    await stage.bot.core.chats.claim(lost, "end", lost.text, stage.bot.core.clock.now())
    await stage.stop()

    mark = stage.sandbox.mark
    await stage.start()

    said = await stage.sandbox.wait_for_group_message(lambda said: "重启" in said.text, PATIENCE, mark)
    assert "/end wm7l" in said.text
    await stage.stop()
    mark = stage.sandbox.mark
    await stage.start()
    await stage.ask("/whoami")
    assert not [each for each in stage.sandbox.group_messages(CHAT) if each.n > mark and "重启" in each.text]


async def test_what_comes_while_the_bot_stops_is_left_to_the_next(stage: Stage) -> None:
    """A command is owned up to, a tap taken up."""
    bot, sandbox = await stage.live(), stage.sandbox
    first, second = await stage.with_human(), await stage.with_human(BOB)
    assert bot.channel is not None
    card = Card("T1", "等了很久", buttons=(Button("结束", f"end:{second}"),))
    await bot.channel.send_card(CHAT, True, card)
    shown = next(each for each in sandbox.group_messages(CHAT) if each.card)
    sandbox.fault("kf/service_state/trans", "delay", seconds=2.0)
    sandbox.group_message(CHAT, "LiNa", f"@kfbot /end {first}")
    await stage.until(lambda: _taken(sandbox))
    stopping = asyncio.create_task(stage.stop())
    await stage.until(lambda: _closing(bot))
    sandbox.group_message(CHAT, "LiNa", "@kfbot /stats")
    sandbox.tap(CHAT, "LiNa", shown.id, f"end:{second}")
    await stopping
    mark = sandbox.mark
    await stage.start()
    said = await sandbox.wait_for_group_message(lambda said: "重启" in said.text, PATIENCE, mark)
    assert "`/stats`" in said.text
    assert (await stage.no_handoff(BOB)).via == "button"


async def _taken(sandbox: Sandbox) -> bool:
    return not sandbox.faults._active.get("kf/service_state/trans")


async def _closing(bot: App) -> bool:
    return bot.channel is not None and not bot.channel._taps._working


async def test_the_handoff_survives_and_ends_after_a_restart(stage: Stage) -> None:
    await stage.live()
    number = await stage.with_human()
    await stage.stop()
    await stage.start()
    assert (await stage.ask(f"/end {number}")).startswith("✅")


async def test_stopping_is_quick_and_leaves_nothing_running(stage: Stage) -> None:
    await stage.start()
    before = asyncio.current_task()
    async with asyncio.timeout(7):
        await stage.stop()
    ours = [task for task in asyncio.all_tasks() if task is not before and "sandbox" not in repr(task.get_coro())]
    assert not [task for task in ours if "bot/" in repr(task.get_coro())]
