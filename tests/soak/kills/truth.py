"""What must hold when a scene is over and everything is settled: the record against the WeCom's own ledger.

Here is what holds in every scene; what one adds is in `truth_group` and `truth_record`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bot.sandbox import GroupMessage
from tests.soak.kills.house import CHAT, KF, House
from tests.soak.kills.scenes import ALERT_HANDED, ANN, ENDED, HUMAN, NOT_ALLOWED, QUEUED, refusals

# A message dies with the process between these points, and why that is so.
# The closing code is in WeCom's answer, and then in the transaction that settles the end. Nothing else comes between:
# an end that is judged before, by what is read back, would have to keep it.
CODE_IN_MEMORY = (("ending.moving", "ending.settled"), ("ending.moving", "ending.judged"))
# What has been handed over may have arrived: it is not said again. Until then nothing is lost.
WORD_HANDED = ("last_word.handing", "last_word.said")
# What people wait for is put on record as told when it has been told: it may come twice, rather than not at all.
OWNING_UP = ("lost.telling", "lost.settled")


# `bot.py end` takes the code of its goodbye with it. The bot cannot know that it is dead before the code is.
SENT_BESIDE = ("code.taking", "code.sent")

HANDOFFS = {"many": 2, "report": 0, "pairing": 0}  # one in all others
NOT_GREETED = ("first",)  # the code came before the bot did
UNDELIVERED = ("rated",)
CODELESS = ("unanswered",)  # the closing code was in the answer that was cut off
PRUNED = ("old",)
REFUSED = ("refused",)

# How often the group was to hear of what it was told of.
SENDS = "SELECT coalesce(sum(sends), 0) FROM alerts WHERE rule != 'ended' AND told"

Truth = Callable[[House], Iterator[str]]
_of: defaultdict[str, list[Truth]] = defaultdict(list)


def truth_of(scene: str) -> Callable[[Truth], Truth]:
    """Registers what holds besides after that scene."""

    def register(truth: Truth) -> Truth:
        _of[scene].append(truth)
        return truth

    return register


async def wrong(house: House, scene: str) -> list[str]:
    """Everything that does not hold, in words."""
    found = [*_items(house), *_ends(house, scene), *_by_code(house, scene), *_told(house, scene), *_hooks(house, scene)]
    found += [each for truth in _of[scene] for each in truth(house)]
    if (ready := await house.status("/readyz")) != (503 if house.cut_off else 200):
        found.append(f"/readyz says {ready}")
    if (checked := house.record.one("PRAGMA integrity_check")) != "ok":
        found.append(f"the database is damaged: {checked}")
    return found


@truth_of("refused")
def _refused(house: House) -> Iterator[str]:
    """Told at least once: the wish stands until people know of it. Once more where it was tried again after a kill."""
    if not 1 <= len(told := refusals(house)) <= 1 + len(house.killed):
        yield f"refusals: {told}"


def _items(house: House) -> Iterator[str]:
    told, known = Counter(house.told()), Counter(house.record.items())
    if told != known:
        yield f"items: WeCom told {sorted(told)}, on record are {sorted(known)}"
    if undone := house.undone():
        yield f"not settled: {undone}"


def _ends(house: House, scene: str) -> Iterator[str]:
    """Every session here is ended in the end, and WeCom is asked for that once."""
    handoffs = house.record.rows("SELECT id, external_userid, via, status FROM handoffs")
    if len(handoffs) != HANDOFFS.get(scene, 1):
        yield f"handoffs: {handoffs}"
    for number, name, via, status in handoffs:
        customer = ANN if name.startswith("forgotten-") else name
        yield from _end(house, scene, customer, via, status)
        yield from _log(house, number, customer)


def _end(house: House, scene: str, customer: str, via: str, status: str) -> Iterator[str]:
    """A customer who wrote again since is with the assistant."""
    moves = calls(house, "trans", service_state=ENDED, external_userid=customer)
    if house.sandbox.session(KF, customer).state in (QUEUED, HUMAN) or status != "COMPLETED":
        yield f"the session of {customer} is not ended: {via} {status}"
    wanted = 0 if via == "client" else 1
    refused = (NOT_ALLOWED,) if scene in REFUSED else ()
    if [each["errcode"] for each in moves if each["errcode"] not in refused] != [0] * wanted:
        yield f"moves to {ENDED}: {moves}"


def _log(house: House, number: int, customer: str) -> Iterator[str]:
    events = house.record.rows("SELECT type FROM handoff_events WHERE handoff_id=?", number)
    for type_ in ("REQUESTED", "ACCEPTED", "COMPLETED"):
        if events.count((type_,)) != 1:
            yield f"events: {events}"
    moves = calls(house, "trans", service_state=HUMAN, external_userid=customer)
    given = [each for each in moves if each["errcode"] == 0]
    if len(given) != events.count(("TRANSFERRED",)):
        yield f"transfers: {given}, events: {events}"


def _by_code(house: House, scene: str) -> Iterator[str]:
    """Greetings and goodbyes: one for each code, and one at most where the code was lost with the process."""
    sent = [each for each in calls(house, "send_msg_on_event") if each["errcode"] == 0]
    texts = Counter(str(each["args"]["msgid"]).rpartition("-")[0] for each in sent)
    if any(count > 1 for count in texts.values()):
        yield f"messages by code: {sent}"
    lost = scene in CODELESS or all(house.died_between(*between) for between in CODE_IN_MEMORY)
    least = 0 if lost else 1
    if any(life in house.errands for life in house.killed):
        least = 0 if house.died_between(*SENT_BESIDE) else least
    for (number,) in house.record.rows("SELECT id FROM handoffs"):
        if texts[f"greet3-{number}"] != (scene not in NOT_GREETED):
            yield f"greetings: {sent}"
        if texts[f"closing-{number}"] < least:
            yield f"closing messages: {sent}"
    told = dict(house.record.rows("SELECT service_state, state FROM codes"))
    if {"failed", "expired"} & set(told.values()) and scene not in UNDELIVERED:
        yield f"messages by code: {told}"


def _told(house: House, scene: str) -> Iterator[str]:
    """In the group."""
    messages = [each for each in house.sandbox.group_messages(CHAT) if each.source != "member"]
    yield from _cards(house, messages)
    yield from _last_words(house, messages)
    yield from _outcomes(house, messages)
    if scene not in PRUNED:  # there the commands have gone, and their answers stand
        yield from _answers(house, messages)


def _cards(house: House, messages: Sequence[GroupMessage]) -> Iterator[str]:
    """One for each claim, but for one that was handed over at the very moment of death."""
    if not house.cut_off:
        cards = sum(each.card is not None for each in messages)
        sends = house.record.one(SENDS)
        lost = 1 if house.died_between(*ALERT_HANDED) else 0
        if not sends - lost <= cards <= sends:
            yield f"{cards} cards for {sends} claims"
    acks = house.record.one("SELECT count(*) FROM quiets")
    if acks > 1:
        yield f"{acks} acks"


def _last_words(house: House, messages: Sequence[GroupMessage]) -> Iterator[str]:
    """One for an alerted session, and none where the group was answered."""
    said = [each.text for each in messages if " 已结束：" in each.text]
    alerted = house.record.one("SELECT count(DISTINCT handoff_id) FROM alerts WHERE told AND rule != 'ended'")
    least = 0 if house.died_between(*WORD_HANDED) else alerted
    if not least <= len(said) <= alerted:
        yield f"last words: {said}"


def _outcomes(house: House, messages: Sequence[GroupMessage]) -> Iterator[str]:
    """Whoever asked for an end in the group has read what became of it there, and not over and over."""
    ends = house.record.rows("SELECT handoff_id, via, state, owed FROM endings WHERE chat_id != ''")
    for number, via, state, owed in ends:
        if owed != 0:
            yield f"the outcome of the end of #{number} ({via} {state}) is not told: {owed}"
    told = Counter(number for each in messages for number in _ended_in(each, {end[0] for end in ends}))
    most = 2 + len(house.killed)  # with the answer or later, as the last word, and once more for each who died over it
    for number, via in {(number, via) for number, via, state, _ in ends if state == "done"}:
        # Of a tapped end the group reads by the last word, where the card could not be changed.
        least = 0 if via == "button" and house.died_between(*WORD_HANDED) else 1
        if not least <= told[number] <= most:
            yield f"the end of #{number} is told {told[number]} times"


def _ended_in(message: GroupMessage, numbers: set[int]) -> set[int]:
    """Of which ends a message tells: an answer, an outcome, a last word or the last state of a card."""
    text = message.text if message.card is None else str(message.card)
    if not any(word in text for word in ("已结束", "已经结束")):
        return set()
    return {
        number for number in numbers if f"#{number} " in text or f"#{number}\n" in text or text.endswith(f"#{number}")
    }


def _answers(house: House, messages: Sequence[GroupMessage]) -> Iterator[str]:
    """Each command that was taken up is answered once, or owned up to once; taps are answered by their card."""
    rows = house.record.rows("SELECT msgid, outcome, command FROM commands WHERE command != 'tap'")
    asks = house.sandbox.replies._asks
    replied = Counter(
        ask.message.id
        for each in calls(house, "group_respond")
        if each["errcode"] == 0 and (ask := asks.get(each["args"]["req_id"])) and ask.message is not None
    )
    owned = sum("重启" in each.text for each in messages)
    lost = [command for _, outcome, command in rows if outcome == "lost"]
    # What a group is told that is not paired yet was asked for there, and anybody could ask.
    least = len(lost) - lost.count("bind")
    if not least <= owned <= len(lost) + house.died_between(*OWNING_UP):
        yield f"owned up {owned} times to {len(lost)} lost commands"
    for msgid, outcome, _ in rows:
        if replied[msgid] > 1 or (outcome != "lost" and replied[msgid] != 1):
            yield f"a command ({outcome}) has {replied[msgid]} answers"


def _hooks(house: House, scene: str) -> Iterator[str]:
    """Each event of the log that concerns others arrived, by whatever number of tries with one id, and those of one
    handoff in their order."""
    keys = [row[0] for row in house.record.rows("SELECT key FROM deliveries ORDER BY handoff_id, id")]
    accepted = sorted(house.receiver.accepted, key=lambda each: each.handoff)
    seen = list(dict.fromkeys(each.headers["X-Kfbot-Delivery"] for each in accepted))
    if scene in PRUNED:
        seen = [each for each in seen if each in keys]
    if seen != keys:
        yield f"webhook: {house.receiver.story} for {len(keys)} deliveries"
    events = Counter((each.handoff, each.event, each.headers["X-Kfbot-Delivery"]) for each in accepted)
    names = Counter((handoff, event) for handoff, event, _ in events)
    if any(count > 1 for count in names.values()):
        yield f"webhook: one event with two ids: {events}"


def calls(house: House, kind: str, **args: Any) -> list[dict[str, Any]]:
    """What this WeCom was asked for, with these among the arguments."""
    return [each for each in house.sandbox.ledger.of(kind) if args.items() <= each["args"].items()]
