"""What must hold when a scene is over and everything is settled: the record against the WeCom's own ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from bot.sandbox import GroupMessage
from tests.soak.house import CHAT, KF, House
from tests.soak.scenes import ANN, ENDED

# A message dies with the process between these points, and why that is so.
CODE_IN_MEMORY = ("ending.moving", "ending.settled")  # until then the closing code is in WeCom's answer only
# A claim on a message to the group is never made twice: it may have arrived.
LAST_WORD = ("last_word.claiming", "last_word.said")
OWNING_UP = ("lost.resumed", "lost.told")


async def wrong(house: House) -> list[str]:
    """Everything that does not hold, in words."""
    found = [*_items(house), *_ends(house), *_by_code(house), *_told(house), *_hooks(house)]
    if (ready := await house.status("/readyz")) != 200:
        found.append(f"/readyz says {ready}")
    if checked := house.record.one("PRAGMA integrity_check") != "ok":
        found.append(f"the database is damaged: {checked}")
    return found


def _may_be_lost(house: House, between: tuple[str, str]) -> bool:
    """Some life was killed after the one point and before the other."""
    begun, done = between
    return any(life.passed[begun] > life.passed[done] for life in house.killed)


def _items(house: House) -> Iterator[str]:
    told, known = Counter(house.told()), Counter(house.record.items())
    if told != known:
        yield f"items: WeCom told {sorted(told)}, on record are {sorted(known)}"
    if undone := house.undone():
        yield f"not settled: {undone}"


def _ends(house: House) -> Iterator[str]:
    """Every session here is ended in the end, and WeCom is asked for that once."""
    moves = _calls(house, "trans", service_state=ENDED)
    (ended,) = house.record.rows("SELECT via, status FROM handoffs")
    if house.sandbox.session(KF, ANN).state != ENDED or ended[1] != "COMPLETED":
        yield f"the session is not ended: {ended}"
    wanted = 0 if ended[0] == "client" else 1
    if [each["errcode"] for each in moves] != [0] * wanted:
        yield f"moves to {ENDED}: {moves}"
    events = house.record.rows("SELECT type FROM handoff_events")
    for type_ in ("REQUESTED", "ACCEPTED", "COMPLETED"):
        if events.count((type_,)) != 1:
            yield f"events: {events}"
    given = [each for each in _calls(house, "trans", service_state=3) if each["errcode"] == 0]
    if len(given) != events.count(("TRANSFERRED",)):
        yield f"transfers: {given}, events: {events}"


def _by_code(house: House) -> Iterator[str]:
    """Greetings and goodbyes: one for each code, and one at most where the code was lost with the process."""
    sent = [each for each in _calls(house, "send_msg_on_event") if each["errcode"] == 0]
    texts = Counter(str(each["args"]["msgid"]).partition("-")[0] for each in sent)
    least = 0 if _may_be_lost(house, CODE_IN_MEMORY) else 1
    if texts["greet3"] != 1:
        yield f"greetings: {sent}"
    if not least <= texts["closing"] <= 1:
        yield f"closing messages: {sent}"
    told = dict(house.record.rows("SELECT service_state, state FROM codes"))
    if {"failed", "expired"} & set(told.values()):
        yield f"messages by code: {told}"


def _told(house: House) -> Iterator[str]:
    """In the group."""
    messages = [each for each in house.sandbox.group_messages(CHAT) if each.source == "bot"]
    yield from _cards(house, messages)
    yield from _last_words(house, messages)
    yield from _answers(house, messages)


def _cards(house: House, messages: Sequence[GroupMessage]) -> Iterator[str]:
    cards = [each for each in messages if each.card is not None]
    sends = house.record.one("SELECT coalesce(sum(sends), 0) FROM alerts WHERE rule != 'ended'")
    if len(cards) > sends:
        yield f"{len(cards)} cards for {sends} claims"
    acks = house.record.one("SELECT count(*) FROM quiets")
    if acks > 1:
        yield f"{acks} acks"


def _last_words(house: House, messages: Sequence[GroupMessage]) -> Iterator[str]:
    """One for an alerted session, and none where the group was answered."""
    said = [each.text for each in messages if "已结束：" in each.text]
    alerted = house.record.one("SELECT count(*) FROM alerts WHERE told AND rule != 'ended'")
    least = 0 if not alerted or _may_be_lost(house, LAST_WORD) else 1
    if not least <= len(said) <= bool(alerted):
        yield f"last words: {said}"


def _answers(house: House, messages: Sequence[GroupMessage]) -> Iterator[str]:
    """Each command that was taken up is answered once, or owned up to once; taps are answered by their card."""
    rows = house.record.rows("SELECT msgid, outcome FROM commands WHERE command != 'tap'")
    asks = house.sandbox.replies._asks
    replied = Counter(
        ask.message.id
        for each in _calls(house, "group_respond")
        if each["errcode"] == 0 and (ask := asks[each["args"]["req_id"]]).message is not None
    )
    owned = sum("重启" in each.text for each in messages)
    lost = [msgid for msgid, outcome in rows if outcome == "lost"]
    least = 0 if _may_be_lost(house, OWNING_UP) else len(lost)
    if not least <= owned <= len(lost):
        yield f"owned up {owned} times to {len(lost)} lost commands"
    for msgid, outcome in rows:
        if replied[msgid] > 1 or (outcome != "lost" and replied[msgid] != 1):
            yield f"a command ({outcome}) has {replied[msgid]} answers"


def _hooks(house: House) -> Iterator[str]:
    """Each event of the log that concerns others arrived, by whatever number of tries with one id, in order."""
    keys = [row[0] for row in house.record.rows("SELECT key FROM deliveries ORDER BY id")]
    seen = list(dict.fromkeys(each.headers["X-Kfbot-Delivery"] for each in house.receiver.accepted))
    if seen != keys:
        yield f"webhook: {house.receiver.story} for {len(keys)} deliveries"
    events = Counter((each.handoff, each.event, each.headers["X-Kfbot-Delivery"]) for each in house.receiver.accepted)
    names = Counter((handoff, event) for handoff, event, _ in events)
    if any(count > 1 for count in names.values()):
        yield f"webhook: one event with two ids: {events}"


def _calls(house: House, kind: str, **args: Any) -> list[dict[str, Any]]:
    """What this WeCom was asked for, with these among the arguments."""
    return [each for each in house.sandbox.ledger.of(kind) if args.items() <= each["args"].items()]
