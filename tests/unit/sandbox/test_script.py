"""The busy afternoon: a table that fits into two minutes, and a player that goes on whatever comes of it."""

import asyncio
from itertools import count, pairwise
from typing import Any

import pytest

from bot.sandbox import NotPossible, Sandbox
from bot.sandbox.callback_frames import Frame
from bot.sandbox.cards import Card
from bot.sandbox.player import AUDIENCE, Played, Player
from bot.sandbox.script import CAST, LENGTH, SCENES
from bot.sandbox.seed import ADMIN, CHATID, PRESALES, SERVICERS, STUCK
from bot.sandbox.staff import Staff
from bot.sandbox.steps import (
    PASSING,
    TALKING,
    Answers,
    Ends,
    Leaps,
    Passes,
    Reaches,
    Rests,
    Routes,
    Scene,
    SeesCard,
    SeesList,
    SeesPicture,
    Step,
    Takes,
    Taps,
    Types,
    Writes,
)

from .conftest import Served, StillClock

STEPS = [step for scene in SCENES for step in scene.steps]
MEMBERS = {**ADMIN, **SERVICERS}
IMAGE = "data:image/png;base64,iVBORw=="
WAITING, LAST = "小林", "许愿"


class Show:
    """A seeded corp whose script takes no time: a rest moves the real clock instead, and `rested` counts it.

    Nobody is connected as the bot; what it would be told stands in `frames`.
    """

    def __init__(self, *steps: Step, patience: float = 0.0) -> None:
        self.clock = StillClock()
        self.corp = Sandbox(now=self.clock, seed=True)
        self.rested = -AUDIENCE  # which nobody comes to end
        self.frames: list[Frame] = []
        self.corp.staff = Staff(self.corp.groups, self.corp.replies, self._push)
        scenes = (Scene(("一", "one"), ("说明", "caption"), steps),) if steps else SCENES
        self.player = self.corp.player = Player(self.corp, scenes, sleep=self.sleep, patience=patience)
        self._numbers = count(1)

    async def sleep(self, seconds: float) -> None:
        self.rested += seconds
        self.clock.time += seconds
        await asyncio.sleep(0)

    def _push(self, frame: Frame) -> bool:
        self.frames.append(frame)
        return True

    async def begun(self) -> "asyncio.Task[None]":
        """It plays, and the first scene is on."""
        playing = asyncio.create_task(self.player.play())
        await self.corp.changes.until(self.player.shown)
        return playing

    def post(self, title: str, *keys: str) -> str:
        """A card of the bot; returns its message id."""
        buttons = [{"text": key, "key": key} for key in keys]
        number = next(self._numbers)
        card: Card = {
            "card_type": "button_interaction",
            "task_id": f"t{number}",
            "main_title": {"title": title},
            "button_list": buttons,
        }
        return self.corp.groups.post(self.corp.groups.groups[CHATID], "bot", "kfbot", "template_card", card=card).id

    def taps(self) -> list[tuple[str, str]]:
        """(member, key) of each tap the bot was told of."""
        events = ((frame["body"]["from"]["userid"], frame["body"].get("event", {})) for frame in self.frames)
        cards = ((userid, event.get("template_card_event", {})) for userid, event in events)
        return [(userid, card["event_key"]) for userid, card in cards if card]


# -- the plan


def test_everybody_in_it_exists() -> None:
    for step in STEPS:
        if customer := getattr(step, "customer", ""):
            assert customer in CAST
        assert getattr(step, "servicer", "LiNa") in SERVICERS
        assert getattr(step, "member", "LiNa") in MEMBERS


def test_it_is_told_in_both_languages() -> None:
    for scene in SCENES:
        for chinese, english in (scene.title, scene.caption):
            assert not chinese.isascii()
            assert sum(map(str.isascii, english)) > 0.8 * len(english)
        assert len(scene.caption[0]) <= 50
        assert len(scene.caption[1]) <= 110


def test_each_button_is_tapped_once_and_only_where_the_script_has_put_somebody() -> None:
    taps = [step for step in STEPS if isinstance(step, Taps)]
    assert sorted(tap.verb for tap in taps) == ["ack", "end", "snooze"]
    assert {WAITING, LAST}.isdisjoint(tap.customer for tap in taps)
    watched = [step.customer for step in STEPS if isinstance(step, SeesCard)]
    assert watched == [WAITING, LAST]


def test_more_than_five_come_due_in_the_same_moment() -> None:
    """A leap ends their wait, so that no tick of the bot can fall among them."""
    rush = next(scene.steps for scene in SCENES if any(isinstance(step, SeesList) for step in scene.steps))
    leap = next(place for place, step in enumerate(rush) if isinstance(step, Leaps))
    waiting = [step.customer for step in rush[:leap] if isinstance(step, Writes)]
    passed = next(step.minutes for step in rush if isinstance(step, Passes))
    talked = len(waiting) * Writes.beat * TALKING / 60
    leapt = next(step.minutes for step in rush if isinstance(step, Leaps))
    assert len(set(waiting)) > 5
    assert talked + passed < 5
    assert leapt > 0
    assert passed + leapt > 5


def test_nobody_ends_or_taps_while_time_flies() -> None:
    assert Passes.speed == PASSING
    assert all(step.speed <= TALKING for step in STEPS if isinstance(step, Taps | Ends | Types))
    for step, after in pairwise(STEPS):
        if isinstance(step, Ends | Taps | Types):
            assert step.beat >= 1 or after.speed <= TALKING


def test_it_asks_for_what_there_is_to_see() -> None:
    typed = [step.command for step in STEPS if isinstance(step, Types)]
    assert [command.split()[0] for command in typed] == ["/status", "/list", "/end", "/stats"]
    assert sum(isinstance(step, SeesPicture) for step in STEPS) == 2
    assert Reaches(LENGTH) in STEPS


# -- the player


async def test_every_step_is_possible_where_it_stands() -> None:
    show = Show()
    stage = Played(show.corp, show.sleep, patience=0.0)
    for step in STEPS:
        await step.play(stage)
        await show.sleep(step.beat)


async def test_the_time_it_takes() -> None:
    """Cards that come in time cost no patience; `AUDIENCE` is for a page that is opened late, or never."""
    show = Show()
    began = show.corp.now() + AUDIENCE
    await show.player.play()
    assert show.rested + AUDIENCE <= 120
    assert LENGTH <= (show.corp.now() - began) / 60 < LENGTH + 3
    assert show.corp.clock.speed == 1


async def test_whoever_stops_it_finds_the_consoles_rules_as_they_were() -> None:
    show = Show(Routes(PRESALES, "human"), SeesList(), patience=60)
    account = show.corp.world.accounts[PRESALES]
    show.player.start()
    await show.corp.changes.until(lambda: account.routing == "human")
    await show.player.stop()
    assert account.routing == "assistant"


async def test_it_taps_the_newest_card_about_the_customer() -> None:
    show = Show(Taps("LiNa", "ack", WAITING), patience=5)
    playing = await show.begun()
    show.post("大鹏 等了 5 分钟", "end:1", "snooze:1", "ack:1")
    show.post(f"{WAITING} 正在结束", "refresh:2")
    assert not playing.done()
    show.post(f"{WAITING} 等了 5 分钟", "end:2", "snooze:2", "ack:2")
    show.post("客户在等回复", f"ack:{WAITING}")
    await playing
    assert show.taps() == [("LiNa", "ack:2")]


async def test_a_card_that_names_only_the_id_is_known_too() -> None:
    show = Show(Taps("LiNa", "end", WAITING), patience=5)
    playing = await show.begun()
    show.post(f"{STUCK[:10]}… 等了很久", "end:1")
    await playing
    assert show.taps() == [("LiNa", "end:1")]


async def test_a_card_of_before_the_first_scene_counts() -> None:
    show = Show(Taps("LiNa", "end", WAITING))
    show.post(f"{WAITING} 等了 26 分钟", "end:1")
    await show.player.play()
    assert show.taps() == [("LiNa", "end:1")]


async def test_a_command_names_a_customer_by_the_beginning_of_the_id() -> None:
    show = Show(Types("LiNa", f"/end {{{WAITING}}} 已答复"))
    await show.player.play()
    assert show.corp.group_messages(CHATID)[-1].text == f"@kfbot /end {STUCK[:8]} 已答复"


async def test_it_goes_on_without_what_does_not_come() -> None:
    show = Show(
        Taps("LiNa", "end", WAITING), SeesCard(WAITING), SeesList(), SeesPicture(), Types("ChenJing", "/status")
    )
    await show.player.play()
    assert show.taps() == []
    assert show.corp.group_messages(CHATID)[-1].text == "@kfbot /status"


async def test_what_somebody_else_has_done_meanwhile_is_left_out() -> None:
    show = Show(Ends("LiNa", "晓彤"), Takes("LiNa", WAITING), Answers("ZhangSuQuan", WAITING, "您好"))
    await show.player.play()
    assert show.corp.session(PRESALES, STUCK).lines[-1].text == "您好"


async def test_one_card_for_many_and_the_picture_are_recognised() -> None:
    show = Show(SeesList(), SeesPicture(), patience=5)
    show.post("早先的一张", "list:0")
    playing = await show.begun()
    show.post(f"{WAITING} 等了 26 分钟", "end:1")
    assert show.player.shown()
    show.post("7 位客户在等", "list:1")
    show.corp.groups.post(show.corp.groups.groups[CHATID], "bot", "kfbot", "image", image=IMAGE)
    async with asyncio.timeout(30):
        await playing


async def test_the_page_is_told_what_plays() -> None:
    show = Show(Writes("晓彤", "在吗"), Takes("LiNa", "晓彤"), Passes(1))
    seen: list[dict[str, Any]] = []
    sleep = show.sleep

    async def looking(seconds: float) -> None:
        seen.append(show.corp.state())
        await sleep(seconds)

    show.player = Player(show.corp, show.player.scenes, sleep=looking, patience=0)
    show.corp.player = show.player
    await show.player.play()
    wrote, took, passing = (state for state in seen if state["script"])
    assert {name: wrote["script"][name] for name in ("scene", "scenes", "title", "caption")} == {
        "scene": 1,
        "scenes": 1,
        "title": {"zh": "一", "en": "one"},
        "caption": {"zh": "说明", "en": "caption"},
    }
    assert (wrote["script"]["open_kfid"], wrote["script"]["servicer_userid"]) == (PRESALES, "")
    assert took["script"] == {**wrote["script"], "servicer_userid": "LiNa"}
    assert (wrote["speed"], passing["speed"]) == (TALKING, PASSING)
    last = show.corp.state()
    assert (last["script"], last["speed"]) == (None, 1)


@pytest.mark.parametrize(("comes", "waited"), [(4.0, 4.0), (1000.0, AUDIENCE)])
async def test_it_waits_a_while_for_somebody_to_watch(served: Served, comes: float, waited: float) -> None:
    await served.dial()
    show = Show(Rests(0))
    show.corp.line, rested = served.corp.line, AUDIENCE
    show.player.audience = lambda: show.rested + rested >= comes
    await show.player.play()
    assert show.rested + rested == waited


async def test_a_corp_without_a_group_has_no_stage() -> None:
    with pytest.raises(NotPossible, match="needs a group"):
        Sandbox().player.start()


def test_the_seed_lets_the_bot_speak_first() -> None:
    assert Sandbox(seed=True).groups.groups[CHATID].opened


# -- started and stopped over the control API


@pytest.fixture
async def theatre(served: Served) -> Served:
    """The bot has come; the script only passes time."""
    scenes = (Scene(("一", "one"), ("说明", "caption"), (Passes(600),)),)
    served.corp.player = Player(served.corp, scenes)
    await served.dial()
    return served


async def script(served: Served, action: str) -> dict[str, Any]:
    return await served.post("/sandbox/api/script", {"action": action})


async def test_it_is_started_once_and_stopped_by_anybody(theatre: Served) -> None:
    corp = theatre.corp
    assert await script(theatre, "start") == {"ok": True}
    await corp.changes.until(corp.player.shown)
    assert await script(theatre, "start") == {"ok": False, "error": "the script is playing already"}
    for _ in range(2):
        assert await script(theatre, "stop") == {"ok": True}
        assert (corp.state()["script"], corp.state()["speed"], corp.player.playing) == (None, 1, False)
    assert await script(theatre, "start") == {"ok": True}
    await corp.changes.until(corp.player.shown)


async def test_the_end_of_the_sandbox_is_its_end(theatre: Served) -> None:
    corp = theatre.corp
    corp.player.start()
    await corp.changes.until(corp.player.shown)
    await corp.stop()
    assert not corp.player.playing


async def test_an_open_page_is_an_audience(served: Served) -> None:
    assert not served.corp.player.audience()
    async with served.http.ws_connect(served.corp.ws_url + "/sandbox/ws") as page:
        await page.receive_json(timeout=30)
        assert served.corp.player.audience()
