"""What a request may carry: read or refused with a word, never anything else."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import BadRequest
from bot.export import beginning, end
from bot.web import fields
from bot.wecom.errcodes import meaning_of
from bot.wording import Words

SAY = Words("en", "kfbot", meaning_of, ZoneInfo("Asia/Shanghai"))
ID = fields.whole("id", "body", 1, 9, "")
FIELDS = (
    ID,
    fields.text("reason", "body", 5, ""),
    fields.choice("kind", "body", ("a", "b"), "", "a"),
    fields.whole("limit", "query", 1, 10, "", 7),
    fields.cursor("cursor", ""),
    fields.moment("since", beginning, ""),
    fields.moment("until", end, ""),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda more: st.lists(more) | st.dictionaries(st.text(), more),
)


def read(where: str, found: dict[str, Any]) -> dict[str, Any]:
    return fields.read_all(SAY, FIELDS, where, found)


def test_what_is_absent_is_what_it_stands_for() -> None:
    assert read("body", {"id": 1, "other": [1]}) == {"id": 1, "reason": "", "kind": "a"}
    assert read("query", {}) == {"limit": 7, "cursor": None, "since": None, "until": None}
    assert read("query", {"since": "", "until": ""})["since"] is None
    with pytest.raises(BadRequest, match="id is missing"):
        read("body", {})


@pytest.mark.parametrize(
    ("where", "found", "says"),
    [
        ("body", {"id": 0}, "from 1 to 9"),
        ("body", {"id": "1"}, "whole number"),
        ("body", {"id": True}, "whole number"),
        ("body", {"id": 1, "reason": "sixsix"}, "at most 5"),
        ("body", {"id": 1, "reason": None}, "at most 5"),
        ("body", {"id": 1, "kind": "c"}, "one of: a, b"),
        ("body", {"id": 1, "kind": ["a"]}, "one of: a, b"),
        ("query", {"limit": "1_0"}, "whole number"),
        ("query", {"limit": "+1"}, "whole number"),
        ("query", {"limit": "²"}, "whole number"),
        ("query", {"cursor": "A"}, "cursor"),
        ("query", {"since": "today"}, "since must be a day"),
        ("query", {"until": "2026-02-30"}, "until must be a day"),
    ],
)
def test_what_is_wrong_is_named(where: str, found: dict[str, Any], says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        read(where, found)


@given(st.dictionaries(st.sampled_from(["id", "reason", "kind", "limit", "x"]), JSON))
def test_any_object_is_read_or_refused(found: dict[str, Any]) -> None:
    try:
        values = read("body", found)
    except BadRequest:
        return
    assert 1 <= values["id"] <= 9 and len(values["reason"]) <= 5 and values["kind"] in ("a", "b")
    values["reason"].encode()


@given(st.binary())
def test_any_bytes_are_an_object_or_refused(body: bytes) -> None:
    with suppress(BadRequest):
        assert isinstance(fields.as_object(SAY, body), dict)


def test_a_deep_body_breaks_nothing() -> None:
    with pytest.raises(BadRequest):
        fields.as_object(SAY, b'{"a":' * 50_000 + b"1" + b"}" * 50_000)


@given(st.integers(1, 2**62))
def test_a_cursor_comes_back_as_it_was_given(number: int) -> None:
    given_out = fields.as_cursor(number)
    if len(given_out) <= 12:
        assert read("query", {"cursor": given_out})["cursor"] == number


@given(st.dates(date(1, 1, 2), date(9999, 12, 30)))
def test_a_day_is_the_bots_own(day: date) -> None:
    found = read("query", {"since": day.isoformat(), "until": day.isoformat()})
    assert found["since"] < found["until"] <= found["since"] + 25 * 3600


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_is_what_it_says(time: datetime) -> None:
    found = read("query", {"since": time.isoformat(), "until": time.isoformat().replace("+00:00", "Z")})
    assert (
        found["since"]
        == found["until"]
        == pytest.approx((time - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(seconds=1))
    )


@given(st.from_regex(r"\A[0-9a-z]{0,12}\Z"))
def test_whatever_can_be_written_is_some_place(text: str) -> None:
    place = read("query", {"cursor": text})["cursor"]
    assert place is None or 0 <= place < 2**63


def test_a_schema_says_what_is_read() -> None:
    assert json.loads(json.dumps(ID.schema)) == {"type": "integer", "minimum": 1, "maximum": 9, "description": ""}
