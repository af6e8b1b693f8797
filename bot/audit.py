"""The audit log: what one row says, and the chain that its rows make. Pure.

Each row has a SHA-256 of its content and of the hash before it. So whoever changes, removes, adds or moves a row has to
write all that follow anew, and then the last hash, the head, is another. Two things the chain cannot show by itself:
that rows are missing at its end, and that it was written anew from some row on. Both show against a head that was noted
elsewhere, so the head is logged once a day, and `audit --verify` tells it.

No key goes into it. One that lies in the same database is known to whoever can write there, so it would stop nobody,
and an auditor could not check without being able to forge.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Any

from bot.errors import KfbotError
from bot.model import Handoff, Operator, OperatorType, Via

COLUMNS = ("id", "at", "door", "operator_type", "operator_id", "verb", "handoff", "chat_id", "open_kfid", "outcome",
           "detail", "hash")  # fmt: skip
Row = tuple[Any, ...]  # by position, for a million of them is checked in seconds
USERID = re.compile(r"[\w.@-]{1,64}", re.ASCII)
"""What may be entered of a member whom somebody has named."""
PRUNE = "prune"
"""The verb of the one row that lets earlier ones go. `detail`: `through` and `hash` of the last that may, and `keep`,
the seconds for which the settings keep the others."""

_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode
_PLACE = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")


class Door(StrEnum):
    """By which way somebody came."""

    GROUP = "group"
    TAP = "tap"
    API = "api"
    LOGIN = "login"
    CLI = "cli"
    CHAT = "chat"  # the customer's own words
    POLICY = "policy"  # nobody: what the settings want


_WITH_INTENTION: Mapping[str, Door] = {Via.CHAT: Door.CHAT, Via.POLICY: Door.POLICY, Via.API: Door.API}
_AT_THE_API = {OperatorType.USER: "end-by-user", OperatorType.AGENT: "complete"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One attempt. `operator` None: nobody knows who. `outcome`, in one word: allowed (before it is done), refused,
    failed (after it had been allowed), over (there was nothing left to do).

    Of a customer only a digest is kept, as operator and as `customer`, whom the attempt is about where no handoff says
    so, and where their id was written in the place of something else: whoever is to be forgotten need not be looked for
    here. `detail` has ids, numbers and words of ours; never what somebody wrote, and no secret.
    """

    at: float
    door: Door
    operator: Operator | None
    verb: str
    outcome: str
    handoff_id: int | None = None
    chat_id: str = ""
    open_kfid: str = ""
    customer: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """A row of a chain with its hash; without a number, where every chain begins."""

    number: int = 0
    hash: bytes = bytes(32)

    def __str__(self) -> str:
        return f"{self.number}:{self.hash.hex()}"

    @classmethod
    def parse(cls, text: str) -> Place:
        """Raises ValueError."""
        found = _PLACE.fullmatch(text.strip().lower())
        if found is None:
            raise ValueError(text)
        return cls(int(found[1]), bytes.fromhex(found[2]))


class Misfit(KfbotError):
    """A row of the audit log does not fit the one before it.

    `number`: of the first such row. `missing`: it is not there; else it is, and is not what was written.
    """

    def __init__(self, number: int, *, missing: bool) -> None:
        self.number, self.missing = number, missing
        super().__init__()


def row(
    before: Place, entry: Entry, digest: Callable[[str], str], conceal: Callable[[str], str] = lambda text: text
) -> Row:
    """As the row after `before`. `conceal`: the same text, or a digest where it is a customer's id."""
    who = entry.operator
    id_ = "" if who is None else digest(who.id) if who.type is OperatorType.USER else who.id
    about = {"customer": digest(entry.customer)} if entry.customer else {}
    texts = (entry.door.value, "" if who is None else who.type.value, id_, entry.verb)
    told = {key: conceal(value) if isinstance(value, str) else value for key, value in entry.detail.items()}
    where = (conceal(entry.chat_id), conceal(entry.open_kfid), entry.outcome, _ENCODE({**told, **about}))
    content = (
        before.number + 1, float(entry.at), *map(_one_line, texts), entry.handoff_id, *map(_one_line, where),
    )  # fmt: skip
    return (*content, link(before.hash, content))


def intended(at: float, operator: Operator, via: str, handoff: Handoff) -> Entry | None:
    """The end of a handoff, where it is entered with its intention, in one transaction: what comes by no door, and what
    may come by the hundred a second. None for all others: whoever lets them in enters them before."""
    door = _WITH_INTENTION.get(via)
    if door is None:
        return None
    verb = _AT_THE_API.get(operator.type, "end") if door is Door.API else "end"
    return Entry(at, door, operator, verb, "allowed", handoff.id, open_kfid=handoff.open_kfid)


def link(before: bytes, row: Row) -> bytes:
    """The hash of a row: one line for each column. None of ours holds the end of a line, so that these lines, cut anew,
    are no other row's."""
    number, at, door, type_, id_, verb, handoff, chat_id, open_kfid, outcome, detail = row[:11]
    lines = (
        f"{before.hex()}\n{number}\n{at!r}\n{door}\n{type_}\n{id_}\n{verb}\n{'' if handoff is None else handoff}\n"
        f"{chat_id}\n{open_kfid}\n{outcome}\n{detail}"
    )
    return sha256(lines.encode()).digest()


def follow(place: Place, rows: Iterable[Row]) -> Place:
    """Go on from a place over the rows after it, in the order of their numbers. Raises Misfit."""
    number, last = place.number, place.hash
    for each in rows:
        number += 1
        if each[0] != number:
            raise Misfit(number, missing=True)
        last = link(last, each)
        if last != each[11]:
            raise Misfit(number, missing=False)
    return Place(number, last)


def _one_line(text: str) -> str:
    """Also without the half characters that a foreign JSON may hold and no file can."""
    return text.replace("\n", " ").encode(errors="replace").decode()
