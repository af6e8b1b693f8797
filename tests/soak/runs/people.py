"""What people do, time does and the bot suffers in a sequence: steps with numbers for what they are about.

A step that cannot be taken as the world stands does what leads there, or nothing.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
from hypothesis import strategies as st

from bot.model import OperatorType, SessionKey, Via
from bot.registry import Role
from bot.sandbox import GroupMessage, NotPossible
from bot.sandbox.sessions import Session
from bot.sandbox.states import ALLOWED, ENDED, HUMAN
from tests.scenario.conftest import CHAT, KF, KF2
from tests.soak.runs.play import KEYS, MEMBERS, SERVICERS, Play
from tests.soak.runs.stretches import CLIENT, CONSOLE, OTHER
from tests.soak.runs.trouble import TROUBLE, strike

Act = Callable[..., Awaitable[None] | None]

WORDS = ("在吗", "好的", "那个订单呢")
PHRASE = "结束对话"
SECONDS = (0.01, 1.0, 3.0, 12.0, 20.0)
MINUTES = (1.0, 3.5, 6.0, 11.0, 32.0)
HOURS = (1.0, 4.5, 12.0)
ROUTINGS = ("assistant", "human", "queue")
CARDS = 4  # the newest cards, of which one may be tapped
STAFF = tuple(SERVICERS)
GROUP = tuple(MEMBERS)


@dataclass(frozen=True, slots=True)
class Kind:
    """`each`: how many there are to choose from, for each of its numbers. `weight`: how often it happens. `about`: its
    first number names a session."""

    act: Act
    each: tuple[int, ...]
    weight: int
    about: bool


@dataclass(frozen=True, slots=True, repr=False)
class Step:
    """Written as it is read: its name and its numbers."""

    name: str
    numbers: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return " ".join((self.name, *map(str, self.numbers)))

    @classmethod
    def read(cls, text: str) -> Step:
        """Raises ValueError, with how it is written."""
        name, *numbers = text.split() or [""]
        if name not in KINDS:
            raise ValueError(f"{name!r} is no step; there are {', '.join(map(_written, sorted(KINDS)))}")
        try:
            given = tuple(map(int, numbers))
        except ValueError:
            given = (-1,)
        most = KINDS[name].each
        if len(given) != len(most) or not all(0 <= each < bound for each, bound in zip(given, most, strict=True)):
            raise ValueError(f"{text.strip()!r} is no step; it is written {_written(name)}")
        return cls(name, given)


KINDS: dict[str, Kind] = {}
REST = Step("rest")


def _written(name: str) -> str:
    """With the numbers it takes: `tap 0-3 0-2`."""
    return " ".join((name, *(f"0-{most - 1}" for most in KINDS[name].each)))


def step(*each: int, weight: int = 2) -> Callable[[Act], Act]:
    def register(act: Act) -> Act:
        KINDS[act.__name__] = Kind(act, each, weight, "who" in inspect.signature(act).parameters)
        return act

    return register


async def take(play: Play, taken: Step) -> None:
    kind = KINDS[taken.name]
    if kind.about:
        await play.turn(KEYS[taken.numbers[0]])
    act = kind.act(play, *taken.numbers)
    if inspect.isawaitable(act):
        await act


def steps(count: int) -> st.SearchStrategy[list[Step]]:
    """So many steps. They shrink to rests, which are left out when a sequence is told."""
    ways = [_way_to(name, kind) for name, kind in KINDS.items() for _ in range(kind.weight)]
    return st.lists(st.one_of(ways), min_size=count, max_size=count)


def _way_to(name: str, kind: Kind) -> st.SearchStrategy[Step]:
    def one(numbers: tuple[int, ...]) -> Step:
        return Step(name, numbers)

    return st.tuples(*(st.sampled_from(range(most)) for most in kind.each)).map(one)


def told(taken: Sequence[Step]) -> str:
    return ", ".join(str(each) for each in taken if each != REST)


def read(text: str) -> list[Step]:
    return [Step.read(each) for each in text.split(",")]


@step(weight=1)
def rest(play: Play) -> None:
    """The least that can happen."""


# -- customers


@step(len(KEYS), len(WORDS), weight=6)
def writes(play: Play, who: int, words: int) -> None:
    _says(play, KEYS[who], WORDS[words])


@step(len(KEYS))
def shows(play: Play, who: int) -> None:
    with play.stretches.by(CONSOLE):
        play.sandbox.customer_writes(*_pair(KEYS[who]), "", msgtype="image")


@step(len(KEYS), weight=3)
def ends_in_chat(play: Play, who: int) -> None:
    play.stretches.ask(KEYS[who], _way(Via.CHAT, OperatorType.USER))
    _says(play, KEYS[who], PHRASE)


@step(len(KEYS), 2, weight=3)
async def ends_on_page(play: Play, who: int, twice: int) -> None:
    if (number := _open(play, KEYS[who])) and play.up:
        play.stretches.ask(KEYS[who], _way(Via.API, OperatorType.USER))
        tokens, key = play.stage.bot.core.tokens, KEYS[who]
        token = tokens.customer_token(play.sandbox.config.corp_id, *_pair(key))
        for _ in range(1 + twice):
            play.begin(_post(play, play.stage.bot.port, "/api/customer/handoff/end-by-user", token, number))


@step(len(KEYS), 3, weight=1)
def rates(play: Play, who: int, score: int) -> None:
    session = _session(play, KEYS[who])
    menu = next((line.menu for line in reversed(session.lines) if line.menu), None)
    if menu is not None:
        item = menu["items"][score % len(menu["items"])]
        _says(play, KEYS[who], str(item["content"]), str(item["id"]))


@step(len(KEYS), weight=1)
def enters(play: Play, who: int) -> None:
    play.sandbox.customer_enters(*_pair(KEYS[who]))


# -- servicers, the console, another program


@step(len(KEYS), len(STAFF), weight=6)
def takes(play: Play, who: int, servicer: int) -> None:
    key = KEYS[who]
    if _session(play, key).state == ENDED:
        _says(play, key, WORDS[0])
    with suppress(NotPossible), play.stretches.by(CLIENT):
        play.sandbox.servicer_takes(*_pair(key), STAFF[servicer])


@step(len(KEYS), len(STAFF), weight=4)
def answers(play: Play, who: int, servicer: int) -> None:
    """Into an ended session, or one that another servicer has, too: this takes it back."""
    key = KEYS[who]
    with suppress(NotPossible), play.stretches.by(CLIENT):
        play.sandbox.servicer_writes(*_pair(key), STAFF[servicer], "您好")


@step(len(KEYS), weight=4)
def ends_in_client(play: Play, who: int) -> None:
    key = KEYS[who]
    with suppress(NotPossible), play.stretches.by(CLIENT):
        play.sandbox.servicer_ends(*_pair(key))


@step(len(KEYS), len(STAFF), weight=1)
def hands_over(play: Play, who: int, servicer: int) -> None:
    key = KEYS[who]
    with suppress(NotPossible), play.stretches.by(CLIENT):
        play.sandbox.servicer_transfers(*_pair(key), STAFF[servicer])


@step(2, len(ROUTINGS), weight=1)
def routes(play: Play, account: int, routing: int) -> None:
    play.sandbox.account_routing((KF, KF2)[account], ROUTINGS[routing])


@step(len(KEYS), 4, len(STAFF), weight=1)
def other_program(play: Play, who: int, state: int, servicer: int) -> None:
    """What the API allows, and nobody tells."""
    key, after = KEYS[who], 1 + state
    if after in ALLOWED[_session(play, key).state]:
        with play.stretches.by(OTHER):
            play.sandbox.session_state(*_pair(key), after, STAFF[servicer] if after == HUMAN else "")


# -- the group and the console


@step(len(KEYS), len(GROUP), 2, weight=4)
async def command_end(play: Play, who: int, member: int, by_number: int) -> None:
    key = KEYS[who]
    number = _open(play, key) if by_number else 0
    meant = [key] if number else [each for each in KEYS if each.external_userid == key.external_userid]
    for each in meant:  # a customer's id is one of a session in whatever account
        if each != key:
            await play.turn(each)
        play.stretches.ask(each, _way(Via.COMMAND, OperatorType.AGENT))
    _mentions(play, member, f"/end {number or key.external_userid}")


@step(len(KEYS), len(GROUP), len(STAFF), weight=1)
def command_transfer(play: Play, who: int, member: int, servicer: int) -> None:
    _mentions(play, member, f"/transfer {_open(play, KEYS[who]) or 1} {STAFF[servicer]}")


@step(len(KEYS), len(GROUP), 4, weight=2)
def command(play: Play, who: int, member: int, which: int) -> None:
    number = _open(play, KEYS[who]) or 1
    words = (f"/ack {number}", f"/snooze {number} 10m", f"/status {number}", "/list")
    _mentions(play, member, words[which])


@step(len(GROUP), 2, weight=1)
async def command_end_all(play: Play, member: int, at_once: int) -> None:
    """And confirms it, when the list has come."""
    await _turns(play)
    mark = play.sandbox.mark
    _mentions(play, member, ("/end all idle>5m", "/end all open>1m")[at_once])
    play.begin(_confirm(play, member, mark))


@step(CARDS, 3, len(GROUP), 2, weight=4)
async def taps(play: Play, card: int, button: int, member: int, twice: int) -> None:
    await _turns(play)
    cards = [each for each in reversed(play.sandbox.group_messages(CHAT)) if each.card][: card + 1]
    for shown in cards[-1:]:
        keys = _keys(shown)
        for by in (member, member + 1)[: 1 + twice] if keys else ():
            _tap(play, shown, keys[button % len(keys)], GROUP[by % len(GROUP)])


@step(len(KEYS), weight=3)
async def completes(play: Play, who: int) -> None:
    """An agent, by the API."""
    if (number := _open(play, KEYS[who])) and play.up:
        play.stretches.ask(KEYS[who], _way(Via.API, OperatorType.AGENT))
        token = play.stage.bot.core.tokens.agent_token("ChenJing", Role.ADMIN)
        play.begin(_post(play, play.stage.bot.port, "/api/agent/handoff/complete", token, number))


# -- time, the bot, trouble


@step(len(SECONDS), weight=14)
async def waits(play: Play, seconds: int) -> None:
    await play.wait(SECONDS[seconds])


@step(len(MINUTES), weight=3)
async def minutes(play: Play, number: int) -> None:
    await play.leap(60 * MINUTES[number])


@step(len(HOURS), weight=1)
async def hours(play: Play, number: int) -> None:
    await play.leap(3600 * HOURS[number])


@step(weight=1)
async def stops_or_starts(play: Play) -> None:
    """The bot; whoever does something meanwhile does it without it."""
    if play.up:
        await play.stage.stop()
    else:
        await play.stage.start()


@step(len(TROUBLE), 3, weight=12)
async def trouble(play: Play, which: int, times: int) -> None:
    await strike(play, which, 1 + times)


# -- what they share


async def _turns(play: Play) -> None:
    """Before what may be about any session."""
    for key in KEYS:
        await play.turn(key)


def _says(play: Play, key: SessionKey, words: str, menu_id: str = "") -> None:
    with play.stretches.by(CONSOLE):
        play.sandbox.customer_writes(*_pair(key), words, menu_id=menu_id)


def _session(play: Play, key: SessionKey) -> Session:
    return play.sandbox.session(*_pair(key))


def _pair(key: SessionKey) -> tuple[str, str]:
    return key.open_kfid, key.external_userid


def _way(via: Via, by: OperatorType) -> str:
    return f"{via}/{by}"


def _open(play: Play, key: SessionKey) -> int:
    """Number of the handoff that is open on record; 0 for none."""
    sql = """SELECT id FROM handoffs WHERE open_kfid=? AND external_userid=?
        AND status IN ('PENDING', 'ACCEPTED', 'IN_PROGRESS')"""
    return int(play.record.one(sql, *_pair(key)) or 0)


def _mentions(play: Play, member: int, words: str) -> None:
    play.sandbox.group_message(CHAT, GROUP[member], f"@kfbot {words}")


async def _confirm(play: Play, member: int, mark: int) -> None:
    def lists(said: GroupMessage) -> Any:
        return re.search(r"/confirm (\w+)", said.text)

    with suppress(TimeoutError):
        listed = await play.sandbox.wait_for_group_message(lists, 15.0, mark)
        for key in KEYS:
            play.stretches.ask(key, _way(Via.COMMAND, OperatorType.AGENT))
        _mentions(play, member, f"/confirm {lists(listed)[1]}")


def _keys(message: GroupMessage) -> list[str]:
    return [str(button.get("key")) for button in (message.card or {}).get("button_list", [])]


def _tap(play: Play, shown: GroupMessage, key: str, member: str) -> None:
    if key.startswith("end:"):
        found = play.record.rows("SELECT open_kfid, external_userid FROM handoffs WHERE id=?", int(key[4:]))
        for row in found:
            play.stretches.ask(SessionKey(*row), _way(Via.BUTTON, OperatorType.AGENT))
    with suppress(NotPossible):
        play.sandbox.tap(CHAT, member, shown.id, key)


async def _post(play: Play, port: int, path: str, token: str, number: int) -> None:
    headers, address = {"Authorization": f"Bearer {token}"}, f"http://127.0.0.1:{port}{path}"
    with suppress(aiohttp.ClientError, TimeoutError):
        async with play.http.post(address, headers=headers, json={"handoffRequestId": number}) as answer:
            await answer.read()
            if answer.status >= 500 and answer.status not in (502, 503):
                play.broken.append(f"{path} answers {answer.status}")
