"""Plays a script on a WeCom: one scene after another, in the time of whoever watches the page."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from . import cards
from .groups import Group, GroupMessage
from .script import CAST, SCENES
from .steps import READING, Scene, Step
from .world import NotPossible

if TYPE_CHECKING:
    from .actions import Actions

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]

VERBS = ("end", "snooze", "ack")
PATIENCE = 5.0  # real seconds for a card or a picture to come; then the script goes on without it
AUDIENCE = 15.0  # real seconds for the bot to come and a page to be opened, before the first scene
_LOOK = 0.5
_SHORT = 8  # characters of an external_userid that tell it from the others


class Player:
    """At most one script at a time. `audience` tells whether a page is open; `sleep` and `patience` are real time."""

    def __init__(
        self,
        actions: "Actions",
        scenes: Sequence[Scene] = SCENES,
        *,
        sleep: Sleep = asyncio.sleep,
        patience: float = PATIENCE,
    ) -> None:
        self._actions, self.scenes = actions, tuple(scenes)
        self._sleep, self._patience = sleep, patience
        self.audience: Callable[[], bool] = lambda: True
        self._task: asyncio.Task[None] | None = None
        self._number = 0
        self._stage: Played | None = None

    @property
    def playing(self) -> bool:
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """In the running loop; it plays when the bot has come and somebody watches."""
        if self.playing:
            raise NotPossible("the script is playing already")
        _group(self._actions)
        self._task = asyncio.get_running_loop().create_task(self.play())

    async def stop(self) -> None:
        """In the middle of whatever plays. Sessions stay as they are; the clock goes on at 1×. Idempotent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def play(self) -> None:
        try:
            await self._doors_open()
            self._stage = Played(self._actions, self._sleep, self._patience)
            for number, scene in enumerate(self.scenes, 1):
                self._number = number
                self._stage.begin_scene()
                for step in scene.steps:
                    await self._play(step, self._stage)
        finally:
            self._leave()

    def _leave(self) -> None:
        if self._stage is not None:
            self._stage.clear()
        self._stage = None
        self._actions.clock_speed(READING)

    async def _doors_open(self) -> None:
        for _ in range(round(AUDIENCE / _LOOK)):
            if self._actions.line.connected and self.audience():
                return
            await self._sleep(_LOOK)

    async def _play(self, step: Step, stage: "Played") -> None:
        """What can no longer be done, since a viewer or the bot has been quicker, is left out."""
        if self._actions.clock.speed != step.speed:
            self._actions.clock_speed(step.speed)
        try:
            await step.play(stage)
        except NotPossible:
            return
        if step.beat:
            await self._sleep(step.beat)

    def shown(self) -> dict[str, Any] | None:
        """For the page: which scene, in both languages, and who is in the light. None while nothing plays."""
        if self._stage is None:
            return None
        scene = self.scenes[self._number - 1]
        languages = ("zh", "en")
        return {
            "scene": self._number,
            "scenes": len(self.scenes),
            "title": dict(zip(languages, scene.title, strict=True)),
            "caption": dict(zip(languages, scene.caption, strict=True)),
            **self._stage.light,
        }


class Played:
    """The stage: who is who in this WeCom, and what has come of it in the group."""

    def __init__(self, actions: "Actions", sleep: Sleep, patience: float) -> None:
        self.people = actions
        self._sleep, self._patience = sleep, patience
        self._group = _group(actions)
        self._userids = {name: self._known(name) or actions.customer_new(name) for name in CAST}
        self._began = actions.now()
        self._scene_mark = actions.mark
        self._routings = {account.open_kfid: account.routing for account in actions.world.accounts.values()}
        self.light = {"open_kfid": "", "external_userid": "", "servicer_userid": ""}

    def clear(self) -> None:
        """The console's rules are again what they were."""
        for open_kfid, routing in self._routings.items():
            self.people.account_routing(open_kfid, routing)

    def begin_scene(self) -> None:
        self._scene_mark = self.people.mark
        self.people.changes.bump()

    @property
    def minute(self) -> float:
        return (self.people.now() - self._began) / 60

    def session(self, customer: str, servicer: str = "") -> tuple[str, str]:
        session = CAST[customer], self._userids[customer]
        self.light = {"open_kfid": session[0], "external_userid": session[1], "servicer_userid": servicer}
        return session

    def say(self, member: str, text: str) -> None:
        told = text.format_map({name: userid[:_SHORT] for name, userid in self._userids.items()})
        self.people.group_message(self._group.chatid, member, f"@{self.people.config.bot_name} {told}")

    def tap(self, member: str, card: GroupMessage, verb: str) -> None:
        key = next(iter(_keys(card, verb)), "")
        self.people.tap(self._group.chatid, member, card.id, key)

    def card(self, customer: str, verb: str) -> GroupMessage | None:
        """By what it says: the nickname or the beginning of the id; the bot's own numbers mean nothing here."""
        names = customer, self._userids[customer][:_SHORT]
        return self._newest(0, lambda one: bool(_keys(one, verb)) and _names_one(one, names))

    def folded(self) -> GroupMessage | None:
        return self._newest(self._scene_mark, lambda one: one.card is not None and not _keys(one, "end"))

    def picture(self) -> GroupMessage | None:
        return self._newest(self._scene_mark, lambda one: one.image is not None)

    def _newest(self, mark: int, wanted: Callable[[GroupMessage], bool]) -> GroupMessage | None:
        later = (one for one in reversed(self._group.messages) if one.n > mark and one.source != "member")
        return next((one for one in later if wanted(one)), None)

    async def seen(self, look: Callable[[], T | None]) -> T | None:
        with suppress(TimeoutError):
            return await self.people.changes.until(look, self._patience)
        return None

    async def rest(self, seconds: float) -> None:
        await self._sleep(seconds)

    def _known(self, nickname: str) -> str:
        """The newest of this name."""
        customers = reversed(self.people.world.customers.values())
        return next((one.external_userid for one in customers if one.nickname == nickname), "")


def _group(actions: "Actions") -> Group:
    group = next((one for one in actions.groups.groups.values() if one.kind == "group"), None)
    if group is None:
        raise NotPossible("the script needs a group")
    return group


def _keys(message: GroupMessage, verb: str) -> list[str]:
    """Keys of the card's buttons of this verb; of any verb when it is empty."""
    buttons = (message.card or {}).get("button_list") or []
    return [key for key in (str(button.get("key")) for button in buttons) if _verb(key) in ((verb,) if verb else VERBS)]


def _verb(key: str) -> str:
    return key.partition(":")[0]


def _names_one(message: GroupMessage, names: tuple[str, ...]) -> bool:
    said = cards.words(message.card or {})
    return any(name in said for name in names)
