"""What must hold after a load: the record against what the WeCom has told and was asked for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tests.soak.load.seen import Seen
from tests.soak.load.shape import ENDS, Customer, Shape
from tests.soak.record import Record

ENDED = 4
BAD = re.compile(r"^.*(?:\b(?:ERROR|CRITICAL)\b|Traceback|incident).*$", re.MULTILINE)
SHOWN = 3

Entry = dict[str, Any]


def wrong(seen: Seen, record: Record, shape: Shape) -> list[str]:
    """Everything that does not hold, in words; speed is not judged here."""
    return [
        *_callbacks(seen),
        *_items(seen, record),
        *_ends(seen, record, [each for each in shape.everybody() if each.leaves]),
        *_by_code(seen),
        *_bot(seen, record),
    ]


def _callbacks(seen: Seen) -> Iterator[str]:
    if seen.told["lost"]:
        yield f"callbacks given up: {seen.told['lost']}, answers: {seen.told['answers']}"


def _items(seen: Seen, record: Record) -> Iterator[str]:
    told = Counter((kf, msgid) for kf, items in seen.truth["items"].items() for msgid in items)
    known = Counter(record.rows("SELECT open_kfid, msgid FROM items"))
    if told != known:
        yield f"items: {(told - known).total()} are not on record, {(known - told).total()} are too many there"
    if parked := record.one("SELECT count(*) FROM items WHERE state='parked'"):
        yield f"items parked: {parked}"


def _ends(seen: Seen, record: Record, leavers: list[Customer]) -> Iterator[str]:
    """Each session that should be ended is ended once, by whom it was, and no other is."""
    moved = Counter(str(each["args"]["external_userid"]) for each in _done(seen, "trans"))
    asked = {each.external_userid: int(each.leaves != "client") for each in leavers}
    if twice := [who for who, count in moved.items() if count > asked.get(who, 0)]:
        yield f"ended twice, or not to be ended: {len(twice)}, {twice[:SHOWN]}"
    if missing := [who for who, count in asked.items() if moved[who] < count]:
        yield f"not ended by the bot: {len(missing)}, {missing[:SHOWN]}"
    if left := [each.external_userid for each in leavers if seen.truth["states"][each.external_userid] != ENDED]:
        yield f"still open in WeCom: {len(left)}, {left[:SHOWN]}"
    rows = record.rows("SELECT external_userid, status, ended_by FROM handoffs WHERE completed_at IS NOT NULL")
    expected = Counter((each.external_userid, "COMPLETED", ENDS[each.leaves]) for each in leavers)
    if (differ := Counter(rows)) != expected:
        yield f"ends on record: missing {list(expected - differ)[:SHOWN]}, too many {list(differ - expected)[:SHOWN]}"
    events = record.rows("SELECT handoff_id, count(*) FROM handoff_events WHERE type='COMPLETED' GROUP BY 1")
    if many := [each for each in events if each[1] != 1]:
        yield f"ended twice in the log: {many[:SHOWN]}"


def _by_code(seen: Seen) -> Iterator[str]:
    """Greetings and goodbyes: none twice, though an answer may have been lost."""
    sent = Counter(str(each["args"]["code"]) for each in _done(seen, "send_msg_on_event"))
    if twice := [code for code, count in sent.items() if count > 1]:
        yield f"messages sent twice by a code: {len(twice)}"


def _bot(seen: Seen, record: Record) -> Iterator[str]:
    if bad := BAD.findall(seen.log):
        yield f"the log has {len(bad)} bad lines: {bad[:SHOWN]}"
    if (checked := record.one("PRAGMA integrity_check")) != "ok":
        yield f"the database is damaged: {checked}"


def _done(seen: Seen, kind: str) -> list[Entry]:
    return [each for each in seen.truth["ledger"] if each["kind"] == kind and each["errcode"] == 0]
