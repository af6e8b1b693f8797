"""Group message → row → access → command → reply → log. The one place where an error becomes a reply."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bot.attention import Attention
from bot.audit import USERID, Door
from bot.audited import Attempt, Audit
from bot.bulk import BulkEnds
from bot.errors import ChannelError, CommandError, StorageError, WeComError
from bot.faults import point
from bot.handoffs import Handoffs
from bot.model import CardTap, GroupMessage, Operator, OperatorType, Scope, SessionKey
from bot.outcomes import ANSWERABLE
from bot.parsing import CommandLine, parse_command
from bot.ports import TAP, Chats, Clock, GroupChannel, Ledger, LostCommand, People, Work
from bot.registry import Command, Context, Desk, Parameter, Parked, Registry, Reporter, Rest, Role, Target, unknown
from bot.targets import Targets
from bot.teams import Teams
from bot.transfer import Transfers
from bot.wording import Words

log = logging.getLogger("kfbot.dispatch")
LONGEST_LOGGED = 200
MOST_NAMED = 10  # people in "who may"
MOST_LOST = 20  # commands named in one notice
TELL_AGAIN = 15.0  # seconds until what could not be told is tried again
ENTERED = {
    "servicer": USERID,
    "duration": re.compile(r"[0-9][!-~]{0,11}|off"),
    "parked": re.compile(r"all|[0-9]{1,12}"),
}
"""Parameters that the audit log tells, where they are what they should be."""
BEFORE_PAIRING = frozenset({"bind", "whoami"})  # all that a group can do that is not paired

_AROUND = "`'\"“”‘’「」『』《》〈〉<>()[]（）【】"  # people copy names together with what stood around them
_BEHIND = "。，、；：？！.,;:?!…~～"
# A keyboard set to Chinese writes `wm7l，已解决`. A bare number needs the punctuation: `3天` is no customer.
_GLUED = re.compile(
    r"(?P<who>wm[0-9a-z_-]+(?:(?:…+|\.{2,})[0-9a-z_-]+)?|#[0-9]{1,12}|[0-9]{1,12}(?=[，。；：、！]))"
    r"(?:[，。；：、！,;:]+|(?=[^\x00-\x7f…]))(?=.*\w)(?P<more>.+)",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what. With no agents named, everyone in a paired group is one; nobody is not."""

    admins: frozenset[str] = frozenset()
    agents: frozenset[str] = frozenset()

    def role(self, userid: str) -> Role:
        if not userid:
            return Role.VIEWER
        if _is_among(userid, self.admins):
            return Role.ADMIN
        return Role.AGENT if not self.agents or _is_among(userid, self.agents) else Role.VIEWER

    def names(self, userid: str) -> bool:
        """Whether the settings give somebody a role, wherever they are."""
        return bool(userid) and (_is_among(userid, self.admins) or _is_among(userid, self.agents))

    def who_may(self, role: Role) -> list[str]:
        """Userids; none where the settings name none."""
        return sorted(self.admins if role is Role.ADMIN else self.admins | self.agents)


def _is_among(userid: str, named: Iterable[str]) -> bool:
    """In whatever case: WeCom has no two members whose userids differ in that alone, and people write the settings by
    hand (https://developer.work.weixin.qq.com/document/path/90195). Of ASCII only, which userids are made of: other
    letters that fold to the same are somebody else's."""
    folded = userid.lower() if userid.isascii() else userid
    return folded in {each.lower() if each.isascii() else each for each in named}


async def _forget(lost: LostCommand) -> bool:
    """Where nobody takes up taps."""
    return False


@dataclass(slots=True)
class Dispatch:
    """One instance a process. `hear` is what the channel calls for each message; neither it nor its work raises.

    `locate`: the sessions of a customer whom the ledger does not know, by asking WeCom.
    """

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
    transfers: Transfers
    bulk: BulkEnds
    attention: Attention
    teams: Teams
    audit: Audit
    observe: Callable[[str, str, float], None] = lambda command, outcome, seconds: None
    resume: Callable[[LostCommand], Awaitable[bool]] = _forget
    paired: set[str] = field(default_factory=set)
    locate: Callable[[str, Scope], Awaitable[list[SessionKey]]] | None = None
    report: Reporter | None = None
    parked: Parked | None = None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _lost: list[LostCommand] = field(default_factory=list)
    _owning: asyncio.Task[bool] | None = None

    async def start(self) -> None:
        """Take up the groups paired in earlier lives (`paired` is shared with whoever pairs) and what they left undone.

        To be called before the channel can bring a message.
        """
        earlier = await self.chats.paired()
        self.teams.take_up(earlier)
        for chat_id in earlier:
            if chat_id not in self.paired:
                log.warning("paired by code, but group.chat_ids does not name it: chat=%s may do nothing", chat_id)
        self._lost = await self.chats.lost(self.clock.now() - ANSWERABLE)

    async def own_up(self) -> None:
        """Tell who waits for an answer that an earlier process took with it, begun or not. Nothing is run again by
        itself. Each chat is told once of all that it has lost; what did not get through, again while anybody waits.

        When it was broken off, it goes on where it was.
        """
        while self._lost:
            for lost in _by_chat(self._lost):
                # Whoever stops this now must not part what is told from its record.
                self._owning = asyncio.create_task(self._own_up(lost))
                if await asyncio.shield(self._owning):
                    self._lost = [each for each in self._lost if each not in lost]
            if self._lost:
                await self.sleep(TELL_AGAIN)

    async def drain(self, seconds: float) -> None:
        """What is being told, until it is on record."""
        if self._owning is not None:
            await asyncio.wait({self._owning}, timeout=seconds)
            self._owning.cancel()

    async def forget_old(self) -> None:
        """Where not even the outcome could be put on record, nobody waits for an answer after so long."""
        await self.chats.lost(self.clock.now() - ANSWERABLE)

    async def _own_up(self, lost: Sequence[LostCommand]) -> bool:
        """One tap, or commands of one chat. False: they could not be told, and may be later."""
        told = False
        if lost[0].command == TAP:
            told = await self._take_up(lost[0])
            point("lost.resumed")
        elif not await self._tell_lost(lost):
            return False
        for each in lost:
            await self.chats.settle(each.id, "lost", 0.0, told=told)
        point("lost.settled")
        return True

    async def _tell_lost(self, lost: Sequence[LostCommand]) -> bool:
        """Before it is on record: to be told twice, by one who dies in between, is better than not at all."""
        chat_id, is_group = lost[0].chat_id, lost[0].is_group
        young = [each for each in lost if each.at >= self.clock.now() - ANSWERABLE]
        if self.channel is None or (is_group and chat_id not in self.paired):
            return True
        if not young:
            log.warning("lost commands not told, nobody waits any more | chat=%s commands=%d", chat_id, len(lost))
            return True
        point("lost.telling")
        try:
            await self.channel.send(chat_id, is_group, self._lost_text(young))
            point("lost.told")
        except ChannelError as undelivered:
            final = undelivered.sent or bool(undelivered.errcode)
            level = logging.WARNING if final else logging.INFO
            log.log(level, "lost commands not told | chat=%s commands=%d %s", chat_id, len(young), undelivered)
            return final
        return True

    def _lost_text(self, lost: Sequence[LostCommand]) -> str:
        texts = [f"`{self.say.plain(each.text)}`" for each in lost[:MOST_LOST]]
        return self.say("command.lost", texts=" ".join(texts) + (f" … ({len(lost)})" if len(lost) > MOST_LOST else ""))

    async def _take_up(self, lost: LostCommand) -> bool:
        """Whether its outcome has been told. One that cannot be taken up must not keep the others from it; without
        storage none can."""
        try:
            return await self.resume(lost)
        except StorageError:
            raise
        except Exception:
            log.exception("lost tap not taken up | %s chat=%s", lost.text, lost.chat_id)
            return False

    async def hear(self, message: GroupMessage) -> Work | None:
        """Everything may arrive twice: a msgid is worked on once, across restarts. Whatever is on record and never
        worked on, the next process owns up to."""
        line = self._read(message.text)
        name = self._name(line)
        try:
            claimed = await self.chats.claim(message, name, message.text[:LONGEST_LOGGED], self.clock.now())
        except Exception as failed:  # without its row a command could run twice, so it does not run at all
            reply, _ = self._incident(message, failed)
            return partial(self._say_no_more, message, reply)
        if claimed is None:
            return None
        point("command.claimed")
        return partial(self._work, message, line, name, claimed)

    async def _say_no_more(self, message: GroupMessage, reply: str) -> None:
        await self._deliver(message, reply)

    async def _work(self, message: GroupMessage, line: CommandLine | None, name: str, claimed: int) -> Work:
        """The answer goes out apart from it: a chat that has had all that a minute allows must not keep the commands of
        others from being run."""
        began = time.perf_counter()
        answer = await self._answer(message, line, claimed)
        point("command.run")
        return partial(self._tell, message, name, claimed, began, answer)

    async def _tell(
        self, message: GroupMessage, name: str, claimed: int, began: float, answer: tuple[str, str, str]
    ) -> None:
        reply, outcome, incident = answer
        told = bool(reply) and await self._deliver(message, reply)
        point("command.replied")
        seconds = time.perf_counter() - began
        self.observe(name, outcome, seconds)
        log.info(
            "command %s | %s by=%s chat=%s %.0f ms", outcome, name, message.userid, message.chat_id, seconds * 1000
        )
        await self._settle(claimed, outcome, seconds, incident, told)
        point("command.settled")

    async def _answer(self, message: GroupMessage, line: CommandLine | None, claimed: int) -> tuple[str, str, str]:
        """(reply, outcome, incident id). The outermost loop of a command: nothing gets past it."""
        try:
            return await self._run(message, line, claimed), "ok", ""
        except CommandError as refused:
            return str(refused), refused.outcome, ""
        except WeComError as failed:
            return self.say.error(failed), "wecom", ""
        except Exception as failed:
            reply, incident = self._incident(message, failed)
            return reply, "incident", incident

    def _incident(self, message: GroupMessage, failed: Exception) -> tuple[str, str]:
        """Only while the exception is handled: (reply, incident id), both also in the log."""
        incident = secrets.token_hex(4)
        if isinstance(failed, StorageError) and failed.kind:
            log.error("command failed | incident=%s %s", incident, failed)
            return self.say.unrecorded(failed), incident
        log.exception("command failed | incident=%s text=%r", incident, message.text[:LONGEST_LOGGED])
        return self.say("incident", incident=incident), incident

    async def _run(self, message: GroupMessage, line: CommandLine | None, claimed: int) -> str:
        context, found = self._context(message, claimed), self._find(line)
        verb, acts, chat = found.name if found else "?", found is not None and found.acts, message.chat_id
        async with self.audit.attempt(Door.GROUP, context.operator, verb, acts=acts, chat_id=chat) as attempt:
            self._admit(message, found, context.role)
            if found is None:
                raise CommandError(unknown(line.name if line else "", context.usable(), self.say), "unknown")
            arguments = await self._arguments(found, line, context)
            await self._enter(attempt, found, arguments)
            return await found.run(context, *arguments)

    async def _enter(self, attempt: Attempt, found: Command, arguments: Sequence[Any]) -> None:
        """On whom and, of the words, those that name people, times and numbers; never a reason, never a code."""
        target = next((each for each in arguments if isinstance(each, Target)), None)
        named = {each.name: word for each, word in zip(found.parameters, arguments, strict=False)}
        words = {name: named[name] for name, is_one in ENTERED.items() if is_one.fullmatch(named.get(name, ""))}
        if target is None:
            await attempt.allowed(**words)
        elif target.handoff is not None:
            await attempt.allowed(target.handoff, **words)
        else:
            key = target.key
            await attempt.allowed(open_kfid=key.open_kfid, customer=key.external_userid, **words)

    def _context(self, message: GroupMessage, claimed: int) -> Context:
        role = self.role_of(message)
        operator = Operator(OperatorType.AGENT, message.userid)
        scope = self.teams.scope(message.chat_id, message.is_group, role is Role.ADMIN)
        return Context(
            message, role, operator, self.clock.now(), self.say, self.registry,
            self.handoffs, self.ledger.within(scope), self.people, self.desk, self.transfers, self.bulk,
            self.attention,
            scope=scope,
            report=self.report,
            parked=self.parked,
            row=claimed,
        )  # fmt: skip

    def role_of(self, message: GroupMessage | CardTap) -> Role:
        """Outside the paired groups nobody is an agent by being there."""
        role = self.access.role(message.userid)
        inside = message.is_group and message.chat_id in self.paired
        return role if inside or self.access.names(message.userid) else Role.VIEWER

    def _read(self, text: str) -> CommandLine | None:
        """A name of two words goes before that of its first word alone."""
        line = parse_command(text)
        longer = line.longer() if line else None
        return longer if longer is not None and self.registry.find(longer.name) else line

    def _find(self, line: CommandLine | None) -> Command | None:
        """A mention without a word, or with words that are no command, gets the help."""
        found = self.registry.find(line.name) if line else None
        return self.registry.find("help") if found is None and (line is None or not line.slash) else found

    def _admit(self, message: GroupMessage, found: Command | None, role: Role) -> None:
        """Raises CommandError for whoever may not. Who may do nothing here is not told what there is either."""
        if message.is_group:
            if message.chat_id not in self.paired and (found is None or found.name not in BEFORE_PAIRING):
                raise CommandError(self._unpaired(message), "forbidden")
        elif role is not Role.ADMIN and (found is None or not found.anywhere):
            raise CommandError(self.say("refused.single"), "forbidden")
        if found is not None and role < found.role:
            raise CommandError(self._not_allowed(found), "forbidden")

    def _unpaired(self, message: GroupMessage) -> str:
        if self.paired:
            return self.say("refused.other", chat=message.chat_id)
        return self.say("refused.unpaired", bot=self.say.bot_name)

    def _not_allowed(self, found: Command) -> str:
        people = self.access.who_may(found.role)
        named = " ".join(f"`{userid}`" for userid in people[:MOST_NAMED])
        allowed = f"{named} …" if len(people) > MOST_NAMED else named or self.say("refused.nobody")
        needed = self.say(f"role.{found.role.value}")
        return self.say("refused.role", command=found.name, needed=needed, allowed=allowed)

    async def _arguments(self, found: Command, line: CommandLine | None, context: Context) -> list[Any]:
        """Words to values by the command's signature, all refusals with the usage line."""
        if line is None or self.registry.find(line.name) is not found:
            return []
        targets = Targets(context.ledger, self.people, self.say, self.locate, context.scope)
        reader = _Reader(line, targets, self.registry, self.say, context.message.quote)
        try:
            return [await reader.take(parameter) for parameter in found.parameters] + reader.leftover()
        except CommandError as misused:
            if misused.outcome != "usage":
                raise
            usage = self.say("usage", usage=found.usage(self.say))
            raise CommandError(f"{misused}\n{usage}".strip(), "usage") from None

    async def _deliver(self, message: GroupMessage, reply: str) -> bool:
        """Whether it has arrived. What was done stays done, and the log says who did not hear of it; the outcome of an
        end is told later."""
        assert self.channel is not None  # a message came through it
        try:
            await self.channel.reply(message, reply)
        except ChannelError as undelivered:
            log.warning("reply not delivered | chat=%s by=%s %s", message.chat_id, message.userid, undelivered)
        except Exception:
            log.exception("reply not delivered | chat=%s by=%s", message.chat_id, message.userid)
        else:
            return True
        return False

    async def _settle(self, claimed: int, outcome: str, seconds: float, incident: str, told: bool) -> None:
        try:
            await self.chats.settle(claimed, outcome, seconds, incident, told=told)
        except Exception:
            log.exception("command row not settled | row=%d outcome=%s", claimed, outcome)

    def _name(self, line: CommandLine | None) -> str:
        found = self.registry.find(line.name) if line else None
        return found.name if found else "?"


def _by_chat(lost: Iterable[LostCommand]) -> list[list[LostCommand]]:
    """Taps one by one, commands together with the others of their chat; in the order of the first of each."""
    found: dict[tuple[object, ...], list[LostCommand]] = {}
    for each in lost:
        found.setdefault((TAP, each.id) if each.command == TAP else (each.chat_id, each.is_group), []).append(each)
    return list(found.values())


class _Reader:
    """Takes arguments off a command line from left to right."""

    def __init__(self, line: CommandLine, targets: Targets, registry: Registry, say: Words, quote: str) -> None:
        self._line, self._targets, self._registry, self._say, self._quote = line, targets, registry, say, quote
        self._taken = 0
        self._greedy = False

    async def take(self, parameter: Parameter) -> Any:
        match parameter.kind:
            case "target":
                return await self._target(parameter)
            case "rest":
                self._greedy = True
                return Rest(self._line.after(self._taken))
            case "command":
                return self._command(parameter)
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
        """The next word, without the marks around it. A word of marks alone stays as it is."""
        word = self._line.args[self._taken] if self._taken < len(self._line.args) else ""
        bare = word.lstrip(_AROUND).rstrip(_AROUND + _BEHIND)
        return bare or word

    def _next(self) -> str:
        word = self._peek()
        self._taken += 1
        return word

    async def _target(self, parameter: Parameter) -> Target | None:
        self._unglue()
        word = self._peek()
        if self._quote:
            if _names_customer(word):
                return await self._agreed(self._next())
            quoted = await self._targets.quoted(self._quote)
            if quoted is not None or not parameter.required:
                return quoted
            raise CommandError(self._say("target.quote_none"), "usage")
        if word:
            return await self._targets.named(self._next())
        if parameter.required:
            raise CommandError(self._say("usage.target"), "usage")
        return None

    async def _agreed(self, word: str) -> Target:
        """A word beside a quote: the word counts, unless the quoted message is about another customer."""
        named = await self._targets.named(word)
        try:
            quoted = await self._targets.quoted(self._quote)
        except CommandError:
            return named
        if quoted is not None and quoted.key != named.key:
            raise CommandError(self._say("target.quote_other", word=self._say.plain(word)), "ambiguous")
        return named

    def _unglue(self) -> None:
        """Part a customer from the reason typed right behind it."""
        found = _GLUED.match(self._line.rest) if self._taken == 0 else None
        parted = parse_command(f"/{self._line.name} {found['who']} {found['more']}") if found else None
        self._line = parted or self._line

    def _command(self, parameter: Parameter) -> str:
        """One word, or two where there is a command of that name."""
        word = self._word(parameter).lstrip("/")
        longer = f"{word} {self._peek()}"
        return f"{word} {self._next()}" if self._registry.find(longer) else word

    def _number(self) -> int:
        word = self._next()
        if not word:
            return 1
        if not word.isascii() or not word.isdigit() or not 0 < int(word) < 10_000:
            raise CommandError(self._say("usage.number", word=self._say.plain(word)), "usage")
        return int(word)

    def _choice(self, parameter: Parameter) -> str:
        word = self._peek().casefold()
        for choice in parameter.choices:
            if word in (choice, self._say.named(f"choice.{choice}", choice)):
                self._taken += 1
                return choice
        if parameter.required or (word and not word.isdigit()):
            names = [self._say.named(f"choice.{choice}", choice) for choice in parameter.choices]
            choices = " ".join(f"`{name}`" for name in names)
            raise CommandError(self._say("usage.choice", word=self._say.plain(word), choices=choices), "usage")
        return ""

    def _word(self, parameter: Parameter) -> str:
        word = self._next()
        if parameter.required and not word:
            raise CommandError(self._say("usage.missing"), "usage")
        return word


def _names_customer(word: str) -> bool:
    """With a quote, the first word is a customer only if it looks like one; else it begins the reason."""
    return bool(re.match(r"(?i)wm[0-9a-z]|#?[0-9]+$", word))
