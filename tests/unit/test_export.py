"""Rows to text: what a spreadsheet and a script get, and which times are meant by a day."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import stats
from bot.export import (
    EVENT_FIELDS,
    HANDOFF_COLUMNS,
    HANDOFF_FIELDS,
    Form,
    Row,
    Sheet,
    What,
    beginning,
    end,
    harmless,
    local_times,
)
from tests.fakes import ANN, KF, LI, TENANT

SHANGHAI, NEW_YORK = ZoneInfo("Asia/Shanghai"), ZoneInfo("America/New_York")
AT = datetime(2026, 11, 20, 8, 0, 0, tzinfo=UTC).timestamp()
EVENT: Row = (7, 12, "COMPLETED", "USER", ANN, AT, '{"endedBy":"USER","via":"chat","text":"再见, \\"谢谢\\""}')


def handoff(**changes: Any) -> Row:
    """Answered after a minute, ended by its servicer after ten."""
    values: dict[str, Any] = {
        "id": 12, "tenant_id": TENANT, "open_kfid": KF, "account_name": "售前咨询", "external_userid": ANN,
        "nickname": "小林", "status": "COMPLETED", "servicer_userid": LI, "requested_at": AT, "accepted_at": AT + 20,
        "replied_at": AT + 60, "completed_at": AT + 620, "ended_by": "AGENT", "via": "client", "operator_id": LI,
        "reason": None, "previous_id": None,
    }  # fmt: skip
    return tuple((values | changes)[column] for column in HANDOFF_COLUMNS)


def as_csv(*rows: Row, what: What = What.HANDOFFS) -> list[dict[str, str]]:
    sheet = Sheet(what, Form.CSV, SHANGHAI)
    return list(csv.DictReader(StringIO(sheet.head + sheet.text(rows), newline=""), strict=True))


def as_json(*rows: Row, what: What = What.HANDOFFS) -> list[dict[str, Any]]:
    sheet = Sheet(what, Form.JSONL, SHANGHAI)
    return [json.loads(line) for line in (sheet.head + sheet.text(rows)).split("\n") if line]


# -- handoffs


def test_a_handoff_in_csv() -> None:
    [row] = as_csv(handoff(reason="问题解决, 下班"))
    assert tuple(row) == HANDOFF_FIELDS
    assert list(row.values()) == [
        "12", TENANT, KF, "售前咨询", ANN, "小林", "COMPLETED", LI, "2026-11-20T16:00:00+08:00",
        "2026-11-20T16:00:20+08:00", "2026-11-20T16:01:00+08:00", "2026-11-20T16:10:20+08:00", "AGENT", "client", LI,
        "问题解决, 下班", "", "60", "600",
    ]  # fmt: skip


def test_a_handoff_in_json() -> None:
    [row] = as_json(handoff())
    assert tuple(row) == HANDOFF_FIELDS
    assert (row["id"], row["nickname"], row["reason"], row["previousId"]) == (12, "小林", None, None)
    assert (row["requestedAt"], row["waitSeconds"], row["lengthSeconds"]) == ("2026-11-20T16:00:00+08:00", 60, 600)


def test_what_has_not_happened_is_empty() -> None:
    waiting = handoff(status="PENDING", servicer_userid=None, accepted_at=None, replied_at=None, completed_at=None)
    [row], [document] = as_csv(waiting), as_json(waiting)
    for name in ("agentId", "acceptedAt", "repliedAt", "completedAt", "waitSeconds", "lengthSeconds"):
        assert (row[name], document[name]) == ("", None)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"accepted_at": None},
        {"replied_at": None},
        {"replied_at": AT - 5},
        {"previous_id": 11},
        {"status": "CANCELLED", "accepted_at": None, "replied_at": None},
    ],
)
def test_waits_and_lengths_are_those_that_stats_count(changes: dict[str, Any]) -> None:
    row = handoff(**changes)
    named = dict(zip(HANDOFF_COLUMNS, row, strict=True))
    numbers = stats.add_up([stats.EndedRow(*(named[column] for column in stats.EndedRow._fields))])
    [document] = as_json(row)
    assert document["waitSeconds"] == (numbers.wait.median if numbers.wait else None)
    assert document["lengthSeconds"] == (numbers.length.median if numbers.length else None)


# -- events


def test_an_event_carries_its_data_as_text_or_as_an_object() -> None:
    [row], [document] = as_csv(EVENT, what=What.EVENTS), as_json(EVENT, what=What.EVENTS)
    assert tuple(row) == tuple(document) == EVENT_FIELDS
    assert json.loads(row["data"]) == document["data"] == {"endedBy": "USER", "via": "chat", "text": '再见, "谢谢"'}
    assert (row["handoffId"], document["handoffId"]) == ("12", 12)
    assert row["at"] == document["at"] == "2026-11-20T16:00:00+08:00"


# -- what people type


@pytest.mark.parametrize("first", list("=+-@\t\r\n＝＋－＠"))
def test_no_cell_is_a_formula(first: str) -> None:
    typed = f"{first}cmd|'/c calc'!A1"
    [row] = as_csv(handoff(nickname=typed, reason=typed, account_name=typed, operator_id=typed))
    for name in ("nickname", "reason", "accountName", "operatorId"):
        assert row[name] == f"'{typed}"
    assert as_json(handoff(nickname=typed))[0]["nickname"] == typed


def test_numbers_and_times_are_left_alone() -> None:
    sheet = Sheet(What.HANDOFFS, Form.CSV, SHANGHAI)
    assert "'" not in sheet.text([handoff(id=-12, previous_id=-1)])


@pytest.mark.parametrize("text", ["", "小林", "a=b", "1-2", " =1", "'", '"'])
def test_other_words_are_left_alone(text: str) -> None:
    assert harmless(text) == text


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_any_words_come_back_from_both(texts: list[str]) -> None:
    rows = [handoff(nickname=text) for text in texts]
    assert [row["nickname"] for row in as_csv(*rows)] == [harmless(text) for text in texts]
    assert [row["nickname"] for row in as_json(*rows)] == texts


# -- times


@pytest.mark.parametrize("zone", [UTC, SHANGHAI, NEW_YORK, ZoneInfo("Asia/Kathmandu")])
@given(at=st.floats(0, 10**11))
def test_times_are_local_and_say_so(zone: ZoneInfo, at: float) -> None:
    said = datetime.fromisoformat(local_times(zone)(at))
    assert said.timestamp() == int(at)
    assert said.utcoffset() == datetime.fromtimestamp(at, zone).utcoffset()


def test_without_a_zone_times_are_the_machines() -> None:
    said = datetime.fromisoformat(local_times(None)(AT))
    assert said.utcoffset() == datetime.fromtimestamp(AT, UTC).astimezone().utcoffset()
    assert beginning("2026-11-20", None) == datetime(2026, 11, 20).astimezone().timestamp()


@pytest.mark.parametrize(
    ("words", "starts", "stops"),
    [
        ("2026-11-20", "2026-11-19T16:00:00Z", "2026-11-20T16:00:00Z"),
        ("2026-11-20T08:00:00Z", "2026-11-20T08:00:00Z", "2026-11-20T08:00:00Z"),
        ("2026-11-20t08:00:00.5z", "2026-11-20T08:00:00.5Z", "2026-11-20T08:00:00.5Z"),
        ("2026-11-20T08:00:00-05:00", "2026-11-20T13:00:00Z", "2026-11-20T13:00:00Z"),
        ("2026-11-20T08:00", "2026-11-20T00:00:00Z", "2026-11-20T00:00:00Z"),
        ("2026-11-20 08:00", "2026-11-20T00:00:00Z", "2026-11-20T00:00:00Z"),
    ],
)
def test_a_day_is_meant_whole_and_a_time_to_the_moment(words: str, starts: str, stops: str) -> None:
    assert beginning(words, SHANGHAI) == datetime.fromisoformat(starts).timestamp()
    assert end(words, SHANGHAI) == datetime.fromisoformat(stops).timestamp()


def test_a_day_on_which_clocks_are_changed_has_its_own_length() -> None:
    day = "2026-11-01"
    assert end(day, NEW_YORK) - beginning(day, NEW_YORK) == 25 * 3600


@pytest.mark.parametrize("words", ["", "yesterday", "2026-02-30", "2026-11-20T25:00", "11/20/2026", "١٢", "9999-12-31"])
def test_what_is_no_time_is_refused(words: str) -> None:
    with pytest.raises(ValueError):
        end(words, SHANGHAI)


@given(st.text())
def test_any_other_words_are_refused_and_nothing_worse(words: str) -> None:
    for read in (beginning, end):
        for zone in (SHANGHAI, None):
            try:
                read(words, zone)
            except ValueError:
                continue
