"""Commands: what they declare, what they get. The signature is the grammar, the first docstring line the English help.

    @command("end", "结束", role=Role.AGENT)
    async def end(ctx: Context, customer: Target, reason: Rest = Rest("")) -> str:
        '''End a session with a human.'''

A parameter without a default is required. `Target` is a customer by id, unique prefix, handoff number or quoted alert;
`Rest`, only as the last, takes what is left of the line; `int` a positive number; a Literal one of its words;
`CommandName` the name of a command. A name may have two words: `/end all` is another command than `/end`.
"""

from __future__ import annotations

import difflib
import inspect
import types
import typing
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum, IntEnum, auto
from typing import Any, Literal, NewType, Protocol, Union, get_args, get_origin, get_type_hints

from bot import replies
from bot.attention import Attention
from bot.attention import Heard as Heard
from bot.bulk import BulkEnds
from bot.bulk import Plan as Plan
from bot.bulk import Tally as Tally
from bot.ending import EndResult
from bot.errors import CommandError, KfbotError
from bot.handoffs import Handoffs
from bot.model import Asker, GroupMessage, Handoff, Operator, Scope, SessionKey
from bot.parsing import DAY, parse_duration
from bot.ports import DeadDelivery as DeadDelivery
from bot.ports import ParkedEnd as ParkedEnd
from bot.ports import ParkedItem as ParkedItem
from bot.ports import People, Questions
from bot.ports import Reception as Reception
from bot.transfer import TransferResult as TransferResult
from bot.transfer import Transfers
from bot.wording import Words

Rest = NewType("Rest", str)
CommandName = NewType("CommandName", str)
LONGEST_QUIET = 30 * DAY


class Role(IntEnum):
    VIEWER = 0
    AGENT = 1
    ADMIN = 2


@dataclass(frozen=True, slots=True)
class Target:
    """A customer somebody named. `handoff`: the one named by number, else the open one, else None."""

    key: SessionKey
    handoff: Handoff | None
    nickname: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """What `/status` says of the bot itself. `problems` are ready sentences in the chat's language."""

    version: str
    uptime: float
    problems: tuple[str, ...]


class Pairing(Enum):
    """What came of a pairing code. `CLOSED`: no code is on offer, because some group is paired."""

    DONE = auto()
    ALREADY = auto()
    WRONG = auto()
    CLOSED = auto()


class Desk(Protocol):
    """What the composition root lends to commands beyond the domain."""

    async def health(self, scope: Scope) -> Health:
        """Of kf accounts, only the troubles of those in scope."""

    async def pair(self, message: GroupMessage, code: str) -> Pairing:
        """Pair the message's group if the code is right; a code works once."""

    async def tell(self, message: GroupMessage, text: str) -> None:
        """Say more in the message's chat than the answer. Best effort: what cannot be delivered is logged."""


class Reporter(Protocol):
    async def stats(self, chat: GroupMessage, kind: str, scope: Scope) -> str:
        """Numbers of `today` (also for an empty `kind`) or `week`, as markdown. A picture follows to the same chat."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of a replay: dead deliveries on their way again, and those whose webhook the settings do not name;
    items of the message stream that could be read now, and those that still cannot; ends that are settled anew."""

    sent: int
    unnamed: int
    read: int = 0
    unread: int = 0
    ends: int = 0


class Parked(Protocol):
    """What waits for a person, of accounts in the scope. Lists come with how many there are in all."""

    async def deliveries(self, scope: Scope, limit: int) -> tuple[int, list[DeadDelivery]]:
        """Events that a webhook has not accepted."""

    async def items(self, scope: Scope, limit: int) -> tuple[int, list[ParkedItem]]:
        """What WeCom told and nobody could read."""

    async def ends(self, scope: Scope, limit: int) -> tuple[int, list[ParkedEnd]]:
        """Ends of sessions whose state WeCom refuses to tell."""

    async def replay(self, scope: Scope, number: int | None) -> Replayed:
        """Send one delivery again; with None all of them, and try to read the items and settle the ends again."""


@dataclass(frozen=True, slots=True)
class Context:
    """All a command may use. `say` is the wording in the group's language; `now` the time the message came.

    `scope`: the accounts that the asker may see and act upon, here. `ledger` knows of no others.
    """

    message: GroupMessage
    role: Role
    operator: Operator
    now: float
    say: Words
    commands: Registry
    handoffs: Handoffs
    ledger: Questions
    people: People
    desk: Desk
    transfers: Transfers
    bulk: BulkEnds
    attention: Attention
    scope: Scope
    report: Reporter | None = None
    parked: Parked | None = None
    row: int | None = None

    @property
    def asker(self) -> Asker:
        """Who is owed the outcome of what the command begins; the command's answer tells it, where it can."""
        return Asker(self.message.chat_id, self.message.is_group, self.row)

    def usable(self) -> list[Command]:
        """The commands that the asker may run, here."""
        everywhere = self.message.is_group or self.role is Role.ADMIN
        return [each for each in self.commands if self.role >= each.role and (everywhere or each.anywhere)]

    def may(self, name: str) -> bool:
        return any(each.name == name for each in self.usable())

    async def nicknames(self, handoffs: Iterable[Handoff]) -> dict[str, str]:
        return await self.people.nicknames({handoff.external_userid for handoff in handoffs})

    def tell_end(self, result: EndResult, named: Target) -> str:
        """The result in words, with the handoff's number even where the result came too early to have it."""
        told = result if result.handoff is not None else replace(result, handoff=named.handoff)
        return replies.end_result(self.say, told, named.nickname, self.now)


Run = Callable[..., Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """`kind`: target, rest, command, number, choice or word. `choices` only for choice."""

    name: str
    kind: str
    required: bool
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    aliases: tuple[str, ...]
    role: Role
    run: Run
    parameters: tuple[Parameter, ...]
    summary: str
    anywhere: bool  # also in a single chat with somebody who is no admin
    acts: bool  # changes something; entered in the audit log

    def usage(self, say: Words) -> str:
        words = [self._word(parameter, say) for parameter in self.parameters]
        return " ".join([f"/{self.name}", *words])

    def help(self, say: Words) -> str:
        """The first docstring line in English; the Chinese one stands in the wording, under the command's name."""
        return self.summary if say.lang == "en" else say.named(f"help.{self.name}", self.summary)

    @staticmethod
    def _word(parameter: Parameter, say: Words) -> str:
        choices = "|".join(say.named(f"choice.{choice}", choice) for choice in parameter.choices)
        word = choices or say.named(f"parameter.{parameter.name}", parameter.name)
        return word if parameter.required else f"[{word}]"


def command(
    name: str, *aliases: str, role: Role = Role.VIEWER, anywhere: bool = False, acts: bool = False
) -> Callable[[Run], Command]:
    """Declare a command. What takes a role acts, too. Raises TypeError at import when the signature is not of the
    grammar above."""

    def declare(run: Run) -> Command:
        summary = (inspect.getdoc(run) or "").partition("\n")[0]
        if not summary:
            raise TypeError(f"command {name}: the first docstring line is its help, and it is missing")
        acting = acts or role > Role.VIEWER
        return Command(name, aliases, role, run, tuple(_parameters(name, run)), summary, anywhere, acting)

    return declare


def _parameters(name: str, run: Run) -> Iterator[Parameter]:
    hints = get_type_hints(run)
    declared = list(inspect.signature(run).parameters.values())
    for parameter in declared[1:]:
        kind, choices = _kind(hints.get(parameter.name))
        if not kind:
            raise TypeError(f"command {name}: parameter {parameter.name} is of no known kind")
        if kind == "rest" and parameter is not declared[-1]:
            raise TypeError(f"command {name}: nothing can stand behind {parameter.name}, which takes the whole rest")
        yield Parameter(parameter.name, kind, parameter.default is inspect.Parameter.empty, choices)


def _kind(hint: Any) -> tuple[str, tuple[str, ...]]:
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(option for option in get_args(hint) if option is not type(None))
    if get_origin(hint) is Literal:
        return "choice", tuple(choice for choice in get_args(hint) if choice)
    kinds: Mapping[Any, str] = {
        Target: "target", Rest: "rest", CommandName: "command", int: "number", str: "word"
    }  # fmt: skip
    return kinds.get(hint, ""), ()


class Registry:
    """Every command by name and alias, case-blind. A clash of names fails at start and names both places."""

    def __init__(self, commands: Iterable[Command]) -> None:
        self._by_word: dict[str, Command] = {}
        self._commands = sorted(commands, key=lambda each: (each.anywhere, each.name))
        for each in self._commands:
            for word in (each.name, *each.aliases):
                self._add(word.casefold(), each)

    def _add(self, word: str, each: Command) -> None:
        other = self._by_word.get(word)
        if other is not None:
            places = f"{_place(other)} and {_place(each)}"
            raise KfbotError(f"two commands are called {word}: {places}")
        self._by_word[word] = each

    def __iter__(self) -> Iterator[Command]:
        return iter(self._commands)

    def find(self, word: str) -> Command | None:
        return self._by_word.get(word.casefold())


def read_duration(word: str, say: Words) -> float:
    """Seconds of `90s`, `10m`, `2h`, `1d` or 10分钟. Raises CommandError, also for more than 30 days."""
    try:
        return parse_duration(word, LONGEST_QUIET)
    except ValueError:
        raise CommandError(say("usage.duration", word=say.plain(word)), "usage") from None


def unknown(word: str, usable: Iterable[Command], say: Words) -> str:
    """What to answer to a word that is no command: the nearest of those that the asker may run, each once."""
    near: dict[str, str] = {}
    names = {name.casefold(): each.name for each in usable for name in (each.name, *each.aliases)}
    for name in difflib.get_close_matches(word.casefold(), names, n=5, cutoff=0.5):
        near.setdefault(names[name], name)
    shown = " ".join(f"`/{name}`" for name in list(near.values())[:3])
    hint = say("unknown.near", near=shown) if near else say("unknown.help")
    return f"{say('unknown.command', name=say.plain(word, 32))}\n{hint}"


def _place(each: Command) -> str:
    return inspect.getsourcefile(typing.cast(Any, each.run)) or each.name
