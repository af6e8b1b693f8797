"""From the moment a rule's time is up to the alert card in the group, in real time.

Subject: the real bot, started as `make run` does, on its real long connection, with a tick of 1 s and
`customer_waiting` after 2 s; 10,000 handoffs are open. A customer writes; WeCom calls back at once, the bot reads the
message and puts it on record. Due is `send_time` + 2 s; arrived is when the fake WeCom has read the card's frame.

`send_time` has whole seconds, so within one life of the bot a message falls due at the same point of every tick. Each
round is another life, started at another part of the second; the row keeps the slowest card of all, not a median.

No floor: what can be done about it is waiting for the tick.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from bench import records, traffic
from bench.bots import Bot, database
from bench.callbacks import call_back
from bench.runner import Goal, Row, Stage, bench, quantile
from bench.wecom import BUSY, Wecom

ROUNDS, EACH = 5, 4  # more than 5 in one tick would be folded into one list
OPEN = 10_000
TICK, AFTER, REPEAT = 1, 2, 3600  # seconds
PATIENCE = 15.0
GOAL = Goal(at_most=TICK + 0.5)
WATCH = {
    "tick": f"{TICK}s",
    "rules": {
        "customer_waiting": {"after": f"{AFTER}s", "repeat": f"{REPEAT}s"},
        "human_idle": "off", "human_open": "off", "queue_waiting": "off",
    },
}  # fmt: skip


@bench("alerts", steps=ROUNDS + 1)
def alerts(stage: Stage) -> Iterator[Row]:
    wecom, folder = Wecom(stage.children), stage.folder / "bot"
    records.fill(database(folder), sessions=OPEN, open_=OPEN, waiting=0, accounts=[BUSY])
    stage.step("records ready")
    late: list[float] = []
    for number in range(ROUNDS):
        _sleep_until(number / ROUNDS)
        bot = Bot(stage.children, wecom, folder, watch=WATCH)
        late += _round(wecom, bot, range(number * EACH, (number + 1) * EACH))
        bot.end()
        stage.step(f"round {number + 1}: {late[-1]:.2f} s")
    detail = f"{len(late)} cards, fastest {min(late):.2f} s, median {quantile(late, 0.5):.2f} s, tick {TICK} s"
    yield Row("due to card in the group", max(late), "s", GOAL, detail=detail)


def _round(wecom: Wecom, bot: Bot, customers: range) -> list[float]:
    """Seconds from due to card for each of these customers, who write one after the other."""
    due: dict[int, float] = {}
    for number in customers:
        at = int(time.time())
        wecom.tell([_message(number, at)])
        call_back(bot, number, BUSY)
        due[number + 1] = at + AFTER
        _sleep_until(random.random())  # somewhere in the next second
    arrived: dict[int, float] = {}
    until = time.monotonic() + PATIENCE
    while arrived.keys() != due.keys():
        if time.monotonic() > until or not arrived.keys() <= due.keys():
            raise bot.child.failed(f"has alerted of {sorted(arrived)}, should of {sorted(due)}")
        time.sleep(0.05)
        arrived |= {_handoff(keys): at for at, keys in wecom.cards()}
    return [arrived[handoff] - at for handoff, at in due.items()]


def _message(number: int, at: int) -> traffic.Item:
    """The customer's; handoffs of `records` have the next number."""
    who = {"open_kfid": BUSY, "external_userid": records.customer(number)}
    return traffic.text(who, "", random.Random(number)) | {"send_time": at}


def _handoff(keys: list[str]) -> int:
    """Which one a card is about; 0 for a list."""
    named = keys[0].partition(":")[2]
    return int(named) if named.isdecimal() else 0


def _sleep_until(part: float) -> None:
    """The next time that the second is so far gone."""
    time.sleep((part - time.time()) % 1.0)
