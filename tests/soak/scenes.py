"""What people do, in scenes that know nothing of each other: every durable step of the bot is taken in one of them.

A scene is over when all it asked for has been done, however often the bot has died meanwhile.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from bot.sandbox import GroupMessage, NotPossible
from bot.tokens import Tokens
from tests.soak.house import CHAT, KF, House

ANN = "wm7lAnn0000000000000000000000001"
ENDED = 4
WAITS = 301.0  # seconds after which a customer who waits is alerted of
REPEATS = 901.0  # and after which that is repeated

IDLE = 601.0  # and after which a session that nobody writes in is ended, where the account wants that

SETTINGS: dict[str, dict[str, Any]] = {"policy": {"end": {"policy": "idle", "idle_after": "10m"}}}
Play = Callable[[House], Awaitable[None]]
SCENES: dict[str, Play] = {}


def scene(play: Play) -> Play:
    SCENES[play.__name__] = play
    return play


@scene
async def page(house: House) -> None:
    """The customer ends it on the page."""
    number = await _with_human(house)
    token = _token(house)
    answers: list[int] = []

    async def press() -> None:
        path = "/api/customer/handoff/end-by-user"
        answers.append(await house.status(path, token, {"handoffRequestId": number}))

    await house.asked(press, lambda: answers[-1:] == [200], "end-by-user")


@scene
async def command(house: House) -> None:
    """A member ends the session from the group."""
    number = await _with_human(house)
    await house.asked(lambda: _say(house, f"/end {number}"), lambda: _is_over(house, number), "/end")


@scene
async def phrase(house: House) -> None:
    """The customer ends it in the chat."""
    number = await _with_human(house)
    house.sandbox.servicer_writes(KF, ANN, "ZhangSuQuan", "您好")
    house.sandbox.customer_writes(KF, ANN, "结束对话")
    await house.until(lambda: _is_over(house, number), "the end in the chat")


@scene
async def policy(house: House) -> None:
    """Nobody writes any more, and the account's policy ends it."""
    number = await _with_human(house)
    house.sandbox.servicer_writes(KF, ANN, "ZhangSuQuan", "您好")
    await house.settled()
    house.move(IDLE)
    await house.until(lambda: _is_over(house, number), "the end by policy")


@scene
async def transfer(house: House) -> None:
    """A member gives the session to another servicer, who ends it in the client."""
    number = await _with_human(house)
    session = house.sandbox.session(KF, ANN)
    await house.asked(lambda: _say(house, f"/transfer {number} LiNa"), lambda: session.servicer == "LiNa", "/transfer")
    await house.settled()
    house.sandbox.servicer_ends(KF, ANN)
    await house.until(lambda: _is_over(house, number), "the end in the client")


@scene
async def client(house: House) -> None:
    """The group hears of a customer who waits; the servicer ends it in the client."""
    number = await _with_human(house)
    await _alerted(house, number)
    house.sandbox.servicer_ends(KF, ANN)
    await house.until(lambda: _is_over(house, number), "the end in the client")


@scene
async def card(house: House) -> None:
    """The group hears of a customer who waits; one member takes it, another ends it by the card."""
    number = await _with_human(house)
    await _alerted(house, number)
    acked = "SELECT 1 FROM quiets WHERE handoff_id=? AND acked_at > 0"
    await house.asked(lambda: _tap(house, "LiNa", f"ack:{number}"), lambda: house.record.one(acked, number), "ack")
    await house.settled()
    tap = f"end:{number}"
    await house.asked(lambda: _tap(house, "ChenJing", tap), lambda: _is_over(house, number), "the end by a tap")


# -- what they share


async def _with_human(house: House) -> int:
    """The customer has written and a servicer has the session, after the history of the account. Returns the handoff's
    number."""
    await house.settled()
    house.move(2.0)  # send_time has no fractions: what is sent in the second of the start may count as history
    house.sandbox.customer_new("小林", ANN)
    house.sandbox.customer_writes(KF, ANN, "在吗")
    house.sandbox.servicer_takes(KF, ANN, "ZhangSuQuan")
    await house.until(lambda: house.record.handoff(ANN), "the handoff")
    await house.settled()
    return house.record.handoff(ANN)


async def _alerted(house: House, number: int) -> None:
    """A claim whose message died with the bot is not made again; but the alert has a repeat."""
    waits = iter((WAITS,))
    await house.asked(lambda: house.move(next(waits, REPEATS)), lambda: _card(house, f"end:{number}"), "the alert")
    await house.settled()


def _is_over(house: House, number: int) -> bool:
    over = house.record.one("SELECT 1 FROM handoffs WHERE id=? AND status='COMPLETED'", number)
    return bool(over) and house.sandbox.session(KF, ANN).state == ENDED


def _say(house: House, words: str) -> None:
    house.sandbox.group_message(CHAT, "LiNa", f"@kfbot {words}")


def _card(house: House, key: str) -> GroupMessage | None:
    """The newest with this button."""
    found = (each for each in reversed(house.sandbox.group_messages(CHAT)) if each.card)
    return next((each for each in found if key in _keys(each)), None)


def _keys(message: GroupMessage) -> list[str]:
    return [str(button.get("key")) for button in (message.card or {}).get("button_list", [])]


def _tap(house: House, userid: str, key: str) -> None:
    shown = _card(house, key)
    assert shown is not None, f"no card has {key}"
    with suppress(NotPossible):  # it has just been changed
        house.sandbox.tap(CHAT, userid, shown.id, key)


def _token(house: House) -> str:
    key = bytes.fromhex(house.record.one("SELECT value FROM meta WHERE key='token key'"))
    return Tokens(key, house.clock).customer_token(house.sandbox.config.corp_id, KF, ANN)
