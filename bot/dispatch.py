"""Group message → access → command → reply → log. The one place where an error becomes a reply."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bot.errors import ChannelError, CommandError, KfbotError, WeComError
from bot.handoffs import Handoffs
from bot.model import GroupMessage, Operator, OperatorType
from bot.parsing import CommandLine, parse_command
from bot.ports import Chats, Clock, GroupChannel, Ledger, People
from bot.registry import Command, Context, Desk, Parameter, Registry, Rest, Role
from bot.targets import Targets
from bot.wording import Words

log = logging.getLogger("kfbot.dispatch")
LONGEST_LOGGED = 200


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what. With no agents named, everyone in a paired group is one."""

    admins: frozenset[str] = frozenset()
    agents: frozenset[str] = frozenset()

    def role(self, userid: str) -> Role:
        if userid in self.admins:
            return Role.ADMIN
        return Role.AGENT if not self.agents or userid in self.agents else Role.VIEWER

    def who_may(self, role: Role) -> list[str]:
        return sorted(self.admins if role is Role.ADMIN else self.admins | self.agents)


@dataclass(slots=True)
class Dispatch:
    """One instance a process. `handle` is what the channel calls for each message; it never raises."""

    registry: Registry
    access: Access
    say: Words
    clock: Clock
    channel: GroupChannel | None
    chats: Chats
    ledger: Ledger
    people: People
    handoffs: Handoffs
    desk: Desk
    observe: Callable[[str, str, float], None] = lambda command, outcome, seconds: None
    paired: set[str] = field(default_factory=set)

    async def start(self) -> None:
        """Take up the groups paired in earlier lives; `paired` is shared with whoever pairs."""
        self.paired.update(await self.chats.paired())

    async def handle(self, message: GroupMessage) -> None:
        """Everything may arrive twice: a msgid is worked on once, across restarts."""
        began = time.perf_counter()
        line = parse_command(message.text)
        name = self._name(line)
        logged = message.text[:LONGEST_LOGGED]
        claimed = await self.chats.claim(message, name, logged, self.clock.now())
        if claimed is None:
            return
        reply, outcome, incident = await self._answer(message, line)
        if reply:
            await self._deliver(message, reply)
        seconds = time.perf_counter() - began
        await self.chats.settle(claimed, outcome, seconds, incident)
        self.observe(name, outcome, seconds)
        log.info(
            "command %s | %s by=%s chat=%s %.0f ms", outcome, name, message.userid, message.chat_id, seconds * 1000
        )

    async def _answer(self, message: GroupMessage, line: CommandLine | None) -> tuple[str, str, str]:
        """(reply, outcome, incident id). The outermost loop of a command: nothing gets past it."""
        try:
            return await self._run(message, line), "ok", ""
        except CommandError as refused:
            return str(refused), refused.outcome, ""
        except WeComError as failed:
            return self.say.error(failed), "wecom", ""
        except Exception:
            incident = secrets.token_hex(4)
            log.exception("command failed | incident=%s text=%r", incident, message.text[:LONGEST_LOGGED])
            return self.say("incident", incident=incident), "incident", incident

    async def _run(self, message: GroupMessage, line: CommandLine | None) -> str:
        role = self.access.role(message.userid)
        found = self._find(message, line, role)
        self._admit(message, found, role)
        operator = Operator(OperatorType.AGENT, message.userid)
        context = Context(
            message, role, operator, self.clock.now(), self.say, self.registry,
            self.handoffs, self.ledger, self.people, self.desk,
        )  # fmt: skip
        return await found.run(context, *await self._arguments(found, line, message))

    def _find(self, message: GroupMessage, line: CommandLine | None, role: Role) -> Command:
        """A mention without a word, or with words that are no command, gets the help."""
        found = self.registry.find(line.name) if line else None
        if found is not None:
            return found
        if line is None or not line.slash:
            overview = self.registry.find("help")
            assert overview is not None
            return overview
        raise CommandError(self.registry.unknown(line.name, role, self.say), "unknown")

    def _admit(self, message: GroupMessage, found: Command, role: Role) -> None:
        if message.is_group:
            if message.chat_id not in self.paired and found.name not in ("bind", "whoami"):
                raise CommandError(self.say("refused.unpaired", bot=self.say.bot_name), "forbidden")
        elif role is not Role.ADMIN and not found.anywhere:
            raise CommandError(self.say("refused.single"), "forbidden")
        if role < found.role:
            allowed = " ".join(self.access.who_may(found.role)) or self.say("refused.nobody")
            needed = self.say(f"role.{found.role.value}")
            raise CommandError(
                self.say("refused.role", command=found.name, needed=needed, allowed=allowed), "forbidden"
            )

    async def _arguments(self, found: Command, line: CommandLine | None, message: GroupMessage) -> list[Any]:
        """Words to values by the command's signature, all refusals with the usage line."""
        if line is None or self.registry.find(line.name) is not found:
            return []
        reader = _Reader(line, Targets(self.ledger, self.people, self.say), self.say, message.quote)
        try:
            return [await reader.take(parameter) for parameter in found.parameters] + reader.leftover()
        except CommandError as misused:
            if misused.outcome != "usage":
                raise
            usage = self.say("usage", usage=found.usage(self.say))
            raise CommandError(f"{misused}\n{usage}".strip(), "usage") from None

    async def _deliver(self, message: GroupMessage, reply: str) -> None:
        assert self.channel is not None  # a message came through it
        try:
            await self.channel.reply(message, reply)
        except ChannelError as undelivered:
            log.warning("reply not delivered | %s chat=%s", undelivered, message.chat_id)
        except KfbotError:
            log.exception("reply failed | chat=%s", message.chat_id)

    def _name(self, line: CommandLine | None) -> str:
        found = self.registry.find(line.name) if line else None
        return found.name if found else "?"


class _Reader:
    """Takes arguments off a command line from left to right."""

    def __init__(self, line: CommandLine, targets: Targets, say: Words, quote: str) -> None:
        self._line, self._targets, self._say, self._quote = line, targets, say, quote
        self._taken = 0
        self._greedy = False

    async def take(self, parameter: Parameter) -> Any:
        match parameter.kind:
            case "target":
                return await self._target(parameter)
            case "rest":
                self._greedy = True
                return Rest(self._line.after(self._taken))
            case "number":
                return self._number()
            case "choice":
                return self._choice(parameter)
            case _:
                return self._word(parameter)

    def leftover(self) -> list[Any]:
        """Nothing, or a refusal: a word that no parameter takes is a misunderstanding."""
        word = self._peek()
        if word and not self._greedy:
            raise CommandError(self._say("usage.extra", word=self._say.plain(word)), "usage")
        return []

    def _peek(self) -> str:
        return self._line.args[self._taken] if self._taken < len(self._line.args) else ""

    def _next(self) -> str:
        word = self._peek()
        self._taken += 1
        return word

    async def _target(self, parameter: Parameter) -> Any:
        if self._quote:
            quoted = await self._targets.quoted(self._quote)
            if quoted is not None and not _names_customer(self._peek()):
                return quoted
        word = self._peek()
        if word:
            self._taken += 1
            return await self._targets.named(word)
        if parameter.required:
            raise CommandError(self._say("usage.target"), "usage")
        return None

    def _number(self) -> int:
        word = self._next()
        if not word:
            return 1
        if not word.isascii() or not word.isdigit() or not 0 < int(word) < 10_000:
            raise CommandError(self._say("usage.number", word=self._say.plain(word)), "usage")
        return int(word)

    def _choice(self, parameter: Parameter) -> str:
        word = self._peek().casefold()
        if word in parameter.choices:
            self._taken += 1
            return word
        if parameter.required or (word and not word.isdigit()):
            choices = " ".join(f"`{choice}`" for choice in parameter.choices)
            raise CommandError(self._say("usage.choice", word=self._say.plain(word), choices=choices), "usage")
        return ""

    def _word(self, parameter: Parameter) -> str:
        word = self._next()
        if parameter.required and not word:
            raise CommandError("", "usage")
        return word


def _names_customer(word: str) -> bool:
    """With a quote, the first word is a customer only if it looks like one; else it begins the reason."""
    head = word.lstrip("#")
    return head[:2].casefold() == "wm" or (word.startswith("#") and head.isdigit()) or (head.isdigit() and bool(head))
