"""What people do, in scenes that know nothing of each other: every durable step of the bot is taken in one of them.

A scene is over when all it asked for has been done, however often the bot has died meanwhile. Here are the ways a
session ends, and what all scenes share; `scenes_group` and `scenes_record` have the others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from itertools import chain

from bot.sandbox import GroupMessage, NotPossible
from bot.tokens import Tokens
from tests.soak.kills.house import AS_USUAL, CHAT, KF, House, Scenery

ANN, BEN = "wm7lAnn0000000000000000000000001", "wm3kBen0000000000000000000000002"
QUEUED, HUMAN, ENDED = 2, 3, 4
TRANS, STATE = "kf/service_state/trans", "kf/service_state/get"
NOT_ALLOWED = 95016
WAITS = 301.0  # seconds after which a customer who waits is alerted of
REPEATS = 901.0  # and after which that is repeated
IDLE = 601.0  # and after which a session that nobody writes in is ended, where the account wants that

ALERT_HANDED = ("alert.handing", "card.sent")  # a kill between these points may cost an alert

Play = Callable[[House], Awaitable[None]]
SCENES: dict[str, Play] = {}
SCENERY: dict[str, Scenery] = {}


def scene(scenery: Scenery = AS_USUAL) -> Callable[[Play], Play]:
    """Registers a scene by the name of its function."""

    def register(play: Play) -> Play:
        SCENES[play.__name__], SCENERY[play.__name__] = play, scenery
        return play

    return register


@scene()
async def page(house: House) -> None:
    """The customer ends it on the page."""
    number = await with_human(house)
    bearer = token(house)
    answers: list[int] = []

    async def press() -> None:
        path = "/api/customer/handoff/end-by-user"
        answers.append(await house.status(path, bearer, {"handoffRequestId": number}))

    await house.asked(press, lambda: answers[-1:] == [200], "end-by-user")


@scene()
async def command(house: House) -> None:
    """A member ends the session from the group."""
    number = await with_human(house)
    await house.asked(lambda: say(house, f"/end {number}"), lambda: is_over(house, number), "/end")


@scene()
async def phrase(house: House) -> None:
    """The customer ends it in the chat."""
    number = await with_human(house)
    house.sandbox.servicer_writes(KF, ANN, "ZhangSuQuan", "您好")
    house.sandbox.customer_writes(KF, ANN, "结束对话")
    await house.until(lambda: is_over(house, number), "the end in the chat")


@scene()
async def refused(house: House) -> None:
    """The customer ends it in the chat, and WeCom will not have it: people are told, and one ends it later."""
    number = await with_human(house)
    house.sandbox.servicer_writes(KF, ANN, "ZhangSuQuan", "您好")
    house.sandbox.fault(TRANS, "errcode", errcode=NOT_ALLOWED, times=None)
    house.sandbox.customer_writes(KF, ANN, "结束对话")
    await house.until(lambda: refusals(house), "the news of the refusal")
    await house.settled()
    house.sandbox.clear_faults(TRANS)
    await house.asked(lambda: say(house, f"/end {number}"), lambda: is_over(house, number), "/end")


@scene(Scenery(lambda settings: settings.update(end={"policy": "idle", "idle_after": "10m"})))
async def policy(house: House) -> None:
    """Nobody writes any more, and the account's policy ends it."""
    number = await with_human(house)
    house.sandbox.servicer_writes(KF, ANN, "ZhangSuQuan", "您好")
    await house.settled()
    house.move(IDLE)
    await house.until(lambda: is_over(house, number), "the end by policy")


@scene()
async def transfer(house: House) -> None:
    """A member gives the session to another servicer, who ends it in the client."""
    number = await with_human(house)
    session = house.sandbox.session(KF, ANN)
    await house.asked(lambda: say(house, f"/transfer {number} LiNa"), lambda: session.servicer == "LiNa", "/transfer")
    await house.settled()
    await ended_in_client(house, number)


@scene()
async def client(house: House) -> None:
    """The group hears of a customer who waits; the servicer ends it in the client."""
    number = await with_human(house)
    await alerted(house, number)
    await ended_in_client(house, number)


@scene()
async def card(house: House) -> None:
    """The group hears of a customer who waits; one member takes it, another ends it by the card."""
    number = await with_human(house)
    await alerted(house, number)
    acked = "SELECT 1 FROM quiets WHERE handoff_id=? AND acked_at > 0"
    await house.asked(lambda: tap(house, "LiNa", f"ack:{number}"), lambda: house.record.one(acked, number), "ack")
    await house.settled()
    end = f"end:{number}"
    await house.asked(lambda: tap(house, "ChenJing", end), lambda: is_over(house, number), "the end by a tap")


@scene(Scenery(hurried=("SOON",)))
async def slow(house: House) -> None:
    """A member ends it by the card, and WeCom takes longer than a card can wait: it is told in words."""
    number = await with_human(house)
    await alerted(house, number)

    def press() -> None:
        house.sandbox.clear_faults(TRANS)
        house.sandbox.fault(TRANS, "delay", seconds=0.4)
        tap(house, "LiNa", f"end:{number}")

    await house.asked(press, lambda: is_over(house, number), "the end by a tap")


@scene()
async def unanswered(house: House) -> None:
    """A member ends it, WeCom does so and says nothing for a while: the outcome is told when it is known."""
    number = await with_human(house)
    asked: list[str] = []

    def ask() -> None:
        for target in (TRANS, STATE):
            house.sandbox.clear_faults(target)
        house.sandbox.fault(TRANS, "delay", seconds=0.3)
        house.sandbox.fault(TRANS, "reset_after")
        asked.append(f"/end {number}")
        say(house, asked[-1])

    def over() -> bool:
        if asked and not house.sandbox.faults._active.get(TRANS):
            asked.clear()
            house.sandbox.fault(STATE, "reset_before", times=4)
        return is_over(house, number)

    await house.asked(ask, over, "/end")


# -- what they share


async def with_human(house: House, customer: str = ANN) -> int:
    """The customer has written and a servicer has the session, after the history of the account. Returns the handoff's
    number."""
    await house.settled()
    house.move(2.0)  # send_time has no fractions: what is sent in the second of the start may count as history
    house.sandbox.customer_new("小林", customer)
    house.sandbox.customer_writes(KF, customer, "在吗")
    house.sandbox.servicer_takes(KF, customer, "ZhangSuQuan")
    await house.until(lambda: house.record.handoff(customer), "the handoff")
    await house.settled()
    return house.record.handoff(customer)


async def alerted(house: House, number: int) -> None:
    """What died with the bot comes at once with its next life. What may have gone out does not; but it has a repeat."""
    waits = chain([WAITS], again(house, ALERT_HANDED))
    await house.asked(lambda: house.move(next(waits)), lambda: card_with(house, f"end:{number}"), "the alert")
    await house.settled()


def again(house: House, handed: tuple[str, str], pause: float = REPEATS) -> Iterator[float]:
    """How much time has to pass for those who wait for an alert after a kill."""
    while True:
        yield pause if house.died_between(*handed) else 0.0


async def ended_in_client(house: House, number: int) -> None:
    house.sandbox.servicer_ends(KF, ANN)
    await house.until(lambda: is_over(house, number), "the end in the client")


def is_over(house: House, number: int, customer: str = ANN) -> bool:
    over = house.record.one("SELECT 1 FROM handoffs WHERE id=? AND status='COMPLETED'", number)
    return bool(over) and house.sandbox.session(KF, customer).state == ENDED


def refusals(house: House) -> list[str]:
    """What the group was told of it."""
    return [each.text for each in house.sandbox.group_messages(CHAT) if "客户在聊天里要求结束" in each.text]


def say(house: House, words: str) -> None:
    house.sandbox.group_message(CHAT, "LiNa", f"@kfbot {words}")


async def commanded(house: House, words: str) -> str:
    """Say it, and again as long as the bot has not heard it. Returns what came of it; `lost` if it died over it."""
    said: list[str] = []
    outcome = "SELECT outcome FROM commands WHERE msgid=?"
    await house.asked(
        lambda: said.append(house.sandbox.group_message(CHAT, "LiNa", f"@kfbot {words}")),
        lambda: house.record.one(outcome, said[-1]),
        words,
    )
    return str(house.record.one(outcome, said[-1]))


def card_with(house: House, key: str) -> GroupMessage | None:
    """The newest with this button."""
    return next(reversed(cards_with(house, key)), None)


def cards_with(house: House, key: str) -> list[GroupMessage]:
    return [each for each in house.sandbox.group_messages(CHAT) if each.card and key in keys(each)]


def keys(message: GroupMessage) -> list[str]:
    return [str(button.get("key")) for button in (message.card or {}).get("button_list", [])]


def tap(house: House, userid: str, key: str) -> None:
    shown = card_with(house, key)
    assert shown is not None, f"no card has {key}"
    with suppress(NotPossible):  # it has just been changed
        house.sandbox.tap(CHAT, userid, shown.id, key)


def token(house: House) -> str:
    key = bytes.fromhex(house.record.one("SELECT value FROM meta WHERE key='token key'"))
    return Tokens(key, house.clock).customer_token(house.sandbox.config.corp_id, KF, ANN)
