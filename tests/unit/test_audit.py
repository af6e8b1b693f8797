"""Rows of the audit log and their chain: what is hashed, and every way to change it that shows."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.audit import COLUMNS, Door, Entry, Misfit, Place, Row, follow, intended, link, row
from bot.model import Handoff, HandoffStatus, Operator, OperatorType, Via

ANN = "wm7lAnn0000000000000000000000001"
LI = Operator(OperatorType.AGENT, "LiNa")


def digest(external_userid: str) -> str:
    return f"<{external_userid[:4]}>"


def entry(verb: str = "end", who: Operator | None = LI, **more: object) -> Entry:
    return Entry(1.5, Door.GROUP, who, verb, "allowed", 12, "wrA", "wkA", **more)  # type: ignore[arg-type]


def chain(*entries: Entry) -> list[Row]:
    rows: list[Row] = []
    for each in entries:
        place = Place(rows[-1][0], rows[-1][-1]) if rows else Place()
        rows.append(row(place, each, digest))
    return rows


def named(one: Row) -> dict[str, object]:
    return dict(zip(COLUMNS, one, strict=True))


def test_a_row_says_when_by_which_door_who_what_on_what_and_with_what_outcome() -> None:
    [one] = chain(entry(detail={"duration": "10m"}))
    shown = named(one)
    del shown["hash"]
    assert shown == {
        "id": 1, "at": 1.5, "door": "group", "operator_type": "AGENT", "operator_id": "LiNa", "verb": "end",
        "handoff": 12, "chat_id": "wrA", "open_kfid": "wkA", "outcome": "allowed", "detail": '{"duration":"10m"}',
    }  # fmt: skip


def test_of_a_customer_there_is_a_digest_alone() -> None:
    asked = entry(who=Operator(OperatorType.USER, ANN))
    about = entry("forget", customer=ANN, detail={"by": "hand"})
    rows = chain(asked, about)
    assert named(rows[0])["operator_id"] == "<wm7l>"
    assert json.loads(rows[1][10]) == {"by": "hand", "customer": "<wm7l>"}
    assert ANN not in str(rows)


def test_who_is_unknown_has_no_name() -> None:
    shown = named(chain(entry(who=None))[0])
    assert (shown["operator_type"], shown["operator_id"]) == ("", "")


def test_ends_that_come_by_no_door_or_by_the_hundred_are_entered_with_their_intention() -> None:
    handoff = Handoff(12, "ww", "wkA", ANN, HandoffStatus.ACCEPTED, None, 0.0)
    user, agent, rule = (Operator(kind, "who") for kind in OperatorType)
    found = {
        (via, who.type): (entry.door, entry.verb, entry.handoff_id, entry.open_kfid)
        for via in Via
        for who in (user, agent, rule)
        if (entry := intended(1.0, who, via, handoff))
    }
    assert found[Via.API, OperatorType.USER] == (Door.API, "end-by-user", 12, "wkA")
    assert found[Via.API, OperatorType.AGENT] == (Door.API, "complete", 12, "wkA")
    assert found[Via.CHAT, OperatorType.USER] == (Door.CHAT, "end", 12, "wkA")
    assert found[Via.POLICY, OperatorType.SYSTEM] == (Door.POLICY, "end", 12, "wkA")
    assert {via for via, _ in found} == {Via.API, Via.CHAT, Via.POLICY}, "the others are entered at their doors"


def test_anybody_can_compute_the_hash_with_usual_tools() -> None:
    """One line a column, the hash before it first: as SECURITY.md may tell an auditor."""
    rows = chain(entry(), entry("ack", detail={"a": 1}))
    text = f'{rows[0][-1].hex()}\n2\n1.5\ngroup\nAGENT\nLiNa\nack\n12\nwrA\nwkA\nallowed\n{{"a":1}}'
    assert rows[1][-1] == hashlib.sha256(text.encode()).digest()


def test_a_chain_fits_together_in_any_pieces() -> None:
    rows = chain(*(entry(verb) for verb in "abcde"))
    assert follow(Place(), rows) == follow(follow(Place(), rows[:2]), rows[2:]) == Place(5, rows[4][-1])
    assert follow(Place(), []) == Place()


def misfit(rows: list[Row], start: Place | None = None) -> tuple[int, bool]:
    with pytest.raises(Misfit) as found:
        follow(start or Place(), rows)
    return found.value.number, found.value.missing


@pytest.mark.parametrize("column", range(1, 12))
def test_no_column_can_be_changed(column: int) -> None:
    rows = chain(*(entry(verb) for verb in "abc"))
    values: list[object] = list(rows[1])
    values[column] = {1: 1.25, 6: None, 11: bytes(32)}.get(column, "other")
    assert misfit([rows[0], tuple(values), rows[2]]) == (2, False)


def test_a_row_that_is_gone_is_named() -> None:
    rows = chain(*(entry(verb) for verb in "abcde"))
    assert misfit([rows[0], *rows[2:]]) == (2, True)
    assert misfit(rows[1:]) == (1, True)


def test_a_row_that_is_gone_is_found_by_its_followers_though_they_were_numbered_anew() -> None:
    rows = chain(*(entry(verb) for verb in "abcd"))
    assert misfit([rows[0], *((each[0] - 1, *each[1:]) for each in rows[2:])]) == (2, False)


def test_a_row_that_was_put_in_between_or_moved_is_found() -> None:
    rows = chain(*(entry(verb) for verb in "abc"))
    forged = row(Place(1, rows[0][-1]), entry("forged"), digest)
    assert misfit([rows[0], forged, *((each[0] + 1, *each[1:]) for each in rows[1:])]) == (3, False)
    assert misfit([rows[0], (2, *rows[2][1:]), (3, *rows[1][1:])]) == (2, False)


def test_a_chain_written_anew_shows_only_in_its_head() -> None:
    """So the head is noted elsewhere."""
    rows, anew = chain(entry("a"), entry("b")), chain(entry("x"), entry("b"))
    assert follow(Place(), anew).hash != follow(Place(), rows).hash
    assert follow(Place(), rows[:1]).number == 1


def test_what_a_tamperer_puts_into_a_column_is_no_error() -> None:
    [one] = chain(entry())
    for value in (None, b"\xff", "1.5", 2**62, float("inf"), "\ud800".encode(errors="replace").decode()):
        assert misfit([(1, value, *one[2:])]) == (1, False)


@given(st.text(), st.text(), st.text())
def test_lines_cannot_be_cut_anew(verb: str, chat: str, kf: str) -> None:
    """Whatever foreign text holds, two different rows have different hashes."""
    one, other = (
        row(Place(), Entry(1.0, Door.TAP, Operator(OperatorType.AGENT, chat), verb, "allowed", None, *ids), digest)
        for ids in ((chat, kf), (f"{chat}\n{kf}", ""))
    )
    assert (one[:11] == other[:11]) is (one[11] == other[11])
    assert all("\n" not in each for each in one if isinstance(each, str))
    assert link(Place().hash, one) == one[11]


def test_a_place_is_written_and_read_again() -> None:
    place = follow(Place(), chain(entry()))
    assert Place.parse(f" {place}\n") == place and str(place).startswith("1:")
    for wrong in ("", "1", "1:", "x:" + "0" * 64, "1:" + "0" * 63, f"{place}0"):
        with pytest.raises(ValueError, match=r"^"):
            Place.parse(wrong)
