"""What a script is made of: each step is something a person does, or time that passes. Values; a stage plays them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeVar

from .groups import GroupMessage

READING, TALKING, PASSING = 1.0, 10.0, 60.0
"""Speeds of the clock: while the viewer reads, while people write, while nobody does anything.

A closing code lives 20 s and a tap 5 s of that clock, so nobody ends or taps anything while it is PASSING.
"""

T = TypeVar("T")


class People(Protocol):
    """The part of `Actions` that steps use."""

    def account_routing(self, open_kfid: str, routing: str) -> None: ...
    def clock_advance(self, seconds: float) -> float: ...
    def customer_writes(self, open_kfid: str, external_userid: str, text: str) -> str: ...
    def servicer_takes(self, open_kfid: str, external_userid: str, servicer: str) -> str: ...
    def servicer_writes(self, open_kfid: str, external_userid: str, servicer: str, text: str) -> str: ...
    def servicer_ends(self, open_kfid: str, external_userid: str) -> str: ...


class Stage(Protocol):
    """Where a step is played."""

    @property
    def people(self) -> People:
        """Who can do what steps ask for."""

    @property
    def minute(self) -> float:
        """Of the script, by the sandbox's clock."""

    def session(self, customer: str, servicer: str = "") -> tuple[str, str]:
        """(open_kfid, external_userid) of a customer of the cast, who is in the light from now on."""

    def say(self, member: str, text: str) -> None:
        """In the group, to the bot."""

    def tap(self, member: str, card: GroupMessage, verb: str) -> None: ...

    def card(self, customer: str, verb: str) -> GroupMessage | None:
        """The newest card about the customer with a button of this verb."""

    def folded(self) -> GroupMessage | None:
        """A card of this scene that is not about one customer."""

    def picture(self) -> GroupMessage | None:
        """A picture the bot has posted in this scene."""

    async def seen(self, look: Callable[[], T | None]) -> T | None:
        """What `look` sees within the stage's patience."""

    async def rest(self, seconds: float) -> None:
        """Real seconds."""


class Step:
    """`speed` is the clock's from here on; `beat` the real seconds after it, for the viewer to follow."""

    speed: ClassVar[float] = TALKING
    beat: ClassVar[float] = 0.7

    async def play(self, stage: Stage) -> None:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Scene:
    """`title` and `caption` are what the page shows meanwhile, in Chinese and English."""

    title: tuple[str, str]
    caption: tuple[str, str]
    steps: tuple[Step, ...]


# -- what people do


@dataclass(frozen=True, slots=True)
class Writes(Step):
    customer: str
    text: str

    async def play(self, stage: Stage) -> None:
        stage.people.customer_writes(*stage.session(self.customer), self.text)


@dataclass(frozen=True, slots=True)
class Takes(Step):
    servicer: str
    customer: str

    async def play(self, stage: Stage) -> None:
        stage.people.servicer_takes(*stage.session(self.customer, self.servicer), self.servicer)


@dataclass(frozen=True, slots=True)
class Answers(Step):
    servicer: str
    customer: str
    text: str

    async def play(self, stage: Stage) -> None:
        stage.people.servicer_writes(*stage.session(self.customer, self.servicer), self.servicer, self.text)


@dataclass(frozen=True, slots=True)
class Ends(Step):
    """In the WeCom client."""

    beat: ClassVar[float] = 1.4
    servicer: str
    customer: str

    async def play(self, stage: Stage) -> None:
        stage.people.servicer_ends(*stage.session(self.customer, self.servicer))


@dataclass(frozen=True, slots=True)
class Routes(Step):
    """The console's reception rule for new sessions."""

    beat: ClassVar[float] = 0.0
    open_kfid: str
    routing: str

    async def play(self, stage: Stage) -> None:
        stage.people.account_routing(self.open_kfid, self.routing)


@dataclass(frozen=True, slots=True)
class Types(Step):
    """In the group; the bot is mentioned. `{nickname}` stands for the beginning of a customer's id."""

    speed: ClassVar[float] = READING
    beat: ClassVar[float] = 2.4
    member: str
    command: str

    async def play(self, stage: Stage) -> None:
        stage.say(self.member, self.command)


@dataclass(frozen=True, slots=True)
class Taps(Step):
    """Waits for a card about the customer, lets the viewer read it, taps `verb` on it. No card: goes on."""

    speed: ClassVar[float] = READING
    beat: ClassVar[float] = 2.2
    member: str
    verb: str
    customer: str

    async def play(self, stage: Stage) -> None:
        card = await stage.seen(lambda: stage.card(self.customer, self.verb))
        if card is not None:
            await stage.rest(1.6)
            stage.tap(self.member, card, self.verb)


# -- what is waited for, and time


@dataclass(frozen=True, slots=True)
class SeesCard(Step):
    """About one customer; nobody of the script taps it."""

    speed: ClassVar[float] = READING
    beat: ClassVar[float] = 2.0
    customer: str

    async def play(self, stage: Stage) -> None:
        await stage.seen(lambda: stage.card(self.customer, ""))


@dataclass(frozen=True, slots=True)
class SeesList(Step):
    """One card in place of many."""

    speed: ClassVar[float] = READING
    beat: ClassVar[float] = 3.0

    async def play(self, stage: Stage) -> None:
        await stage.seen(stage.folded)


@dataclass(frozen=True, slots=True)
class SeesPicture(Step):
    speed: ClassVar[float] = READING
    beat: ClassVar[float] = 4.0

    async def play(self, stage: Stage) -> None:
        await stage.seen(stage.picture)


@dataclass(frozen=True, slots=True)
class Rests(Step):
    """Real seconds for the viewer."""

    speed: ClassVar[float] = READING
    beat: ClassVar[float] = 0.0
    seconds: float

    async def play(self, stage: Stage) -> None:
        await stage.rest(self.seconds)


@dataclass(frozen=True, slots=True)
class Passes(Step):
    """Minutes in which nobody does anything."""

    speed: ClassVar[float] = PASSING
    beat: ClassVar[float] = 0.0
    minutes: float

    async def play(self, stage: Stage) -> None:
        await stage.rest(self.minutes * 60 / PASSING)


@dataclass(frozen=True, slots=True)
class Leaps(Step):
    """Minutes that pass at once, so that all who wait come due in the same moment."""

    speed: ClassVar[float] = READING
    beat: ClassVar[float] = 0.0
    minutes: float

    async def play(self, stage: Stage) -> None:
        stage.people.clock_advance(self.minutes * 60)


@dataclass(frozen=True, slots=True)
class Reaches(Step):
    """Until this minute of the script."""

    speed: ClassVar[float] = PASSING
    beat: ClassVar[float] = 0.0
    minute: float

    async def play(self, stage: Stage) -> None:
        await stage.rest(max(0.0, self.minute - stage.minute) * 60 / PASSING)
