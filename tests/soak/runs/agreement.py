"""What must hold when the trouble is over: the record agrees with what this WeCom has seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from bot.model import SessionKey
from bot.sandbox.states import ENDED, HUMAN, QUEUED
from tests.soak.runs.ears import Ears
from tests.soak.runs.play import KEYS, Play
from tests.soak.runs.stretches import BOT, CLIENT, LAPSED, OTHER, msgid_of

TICK = 15.0
PAUSED = 150.0  # seconds for which a limit or a refusal puts calls off
POLL = 301.0
QUIET = 1801.0  # seconds after which what nobody tells is found by reading
OPEN = {QUEUED: ("PENDING",), HUMAN: ("ACCEPTED", "IN_PROGRESS")}
ENDS = {CLIENT: "client/AGENT", OTHER: "elsewhere/AGENT", LAPSED: "expired/SYSTEM"}


async def wrong(play: Play, ears: Ears) -> list[str]:
    """Everything that does not hold, in words, two ticks after the last trouble."""
    await play.calm()
    await play.wait(PAUSED)
    await play.leap(POLL)
    if play.stretches.silent:
        await play.leap(QUIET)
    for _ in range(2):
        await play.wait(TICK + 1)
    found = [*play.broken, *ears.heard, *_items(play), *_codes(play), *_moves(play)]
    for key in KEYS:
        found += [f"{_name(key)}: {each}" for each in _session(play, key)]
    found += await _healthy(play)
    return found


def _items(play: Play) -> Iterator[str]:
    ours = {msgid_of(item) for item in play.stretches.items if "msgid" not in item}  # two that are alike are one
    told = Counter([*ours, *(msgid_of(item) for item in play.stretches.items if "msgid" in item)])
    known = Counter(play.record.items())
    if told != known:
        yield f"items: {told - known} are not on record, {known - told} are too many"
    if undone := {what: at for what, at in play.record.undone().items() if at <= play.sandbox.now()}:
        yield f"not settled: {undone}"


def _session(play: Play, key: SessionKey) -> Iterator[str]:
    stretches, session = play.stretches.of.get(key, []), play.sandbox.session(key.open_kfid, key.external_userid)
    sql = """SELECT status, servicer_userid, via || '/' || ended_by, id FROM handoffs
        WHERE open_kfid=? AND external_userid=? ORDER BY id"""
    handoffs = play.record.rows(sql, key.open_kfid, key.external_userid)
    shown = f"WeCom saw {' '.join(map(str, stretches))}, on record is {handoffs}"
    current = [row for row in handoffs if row[0] in ("PENDING", "ACCEPTED", "IN_PROGRESS")]
    if session.state in OPEN:
        if [row[0] in OPEN[session.state] for row in current] != [True]:
            yield f"the state is {session.state}; {shown}"
        elif session.state == HUMAN and current[0][1] != session.servicer:
            yield f"{session.servicer} has it; {shown}"
    elif current:
        yield f"the state is {session.state}; {shown}"
    least = _least(play, key)
    if not least <= len(handoffs) <= len(stretches):
        yield f"{len(handoffs)} handoffs; {shown}"
    elif len(handoffs) == len(stretches):
        yield from (f"{said}; {shown}" for said in _ends(play, key, handoffs))
    sql = "SELECT count(*) FROM handoff_events WHERE type = 'COMPLETED' AND handoff_id=?"
    for row in handoffs:
        if (count := play.record.one(sql, row[3])) != (row[0] in ("COMPLETED", "CANCELLED")):
            yield f"{count} ends of handoff {row[3]}; {shown}"


def _least(play: Play, key: SessionKey) -> int:
    """How many the bot must know. What another program has ended, or a move without an answer, unheard, and what came
    after it, may seem one, and so may those of which the state was read before the stream."""
    count, stretches = 0, play.stretches.of.get(key, [])
    for last, each in zip([None, *stretches[:-1]], stretches, strict=True) if stretches else ():
        unheard = last is not None and (last.ended_by == OTHER or play.stretches.unseen(key, last, each))
        count += each.is_known and not unheard
    return count


def _ends(play: Play, key: SessionKey, handoffs: list[tuple[Any, ...]]) -> Iterator[str]:
    """Who ended each, where it was one alone."""
    for stretch, (_, _, end, number) in zip(play.stretches.of.get(key, []), handoffs, strict=True):
        asked = play.stretches.asked(key, stretch)
        if stretch.ended is None or end is None:
            continue
        if stretch.ended_by == BOT:
            if end not in asked:
                yield f"#{number} was ended by {end}, but asked for by {asked}"
        elif not asked and stretch.ended_by in ENDS and end != ENDS[stretch.ended_by]:
            yield f"#{number} was ended by {end}, but that was {ENDS[stretch.ended_by]}"


def _codes(play: Play) -> Iterator[str]:
    """No more goodbyes than ends, and none of them twice."""
    sent = [each for each in play.sandbox.ledger.of("send_msg_on_event") if each["errcode"] == 0]
    about = Counter(str(each["args"]["msgid"]).rpartition("-")[0] for each in sent)
    if doubled := {name: count for name, count in about.items() if count > 1}:
        yield f"messages by code: {doubled}"


def _moves(play: Play) -> Iterator[str]:
    moves = [each for each in play.sandbox.ledger.of("trans") if each["args"].get("service_state") == ENDED]
    done = sum(each["errcode"] == 0 for each in moves)
    ended = play.record.one("SELECT count(*) FROM handoffs WHERE completed_at IS NOT NULL")
    if done > ended + sum(_merged(play, key) for key in KEYS):
        yield f"{done} moves to {ENDED} for {ended} ended handoffs"


def _merged(play: Play, key: SessionKey) -> int:
    stretches = play.stretches.of.get(key, [])
    return sum(play.stretches.unseen(key, *pair) for pair in pairwise(stretches))


async def _healthy(play: Play) -> list[str]:
    found = []
    ready = await play.stage.bot.health.readiness()
    if not ready.ready:
        found.append(f"/readyz: {ready.checks}")
    verified = await play.stage.bot.core.audit_log.verify()
    if verified.misfit is not None:
        found.append(f"the audit chain: {verified.misfit}")
    if (checked := play.record.one("PRAGMA integrity_check")) != "ok":
        found.append(f"the database is damaged: {checked}")
    return found


def _name(key: SessionKey) -> str:
    return f"{key.external_userid[:6]} at {key.open_kfid[-2:]}"
