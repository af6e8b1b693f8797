"""sync_msg: pages, cursors, tokens, three days, and pages gone wrong."""

from typing import Any

import pytest

from bot.sandbox.page_faults import twisted
from bot.sandbox.refusals import Refused

from .conftest import KF, WM, Corp, make_corp


def sync(corp: Corp, **body: Any) -> dict[str, Any]:
    token = corp.world.sync_tokens.issue(KF, corp.now())
    return corp.call("kf/sync_msg", **{"open_kfid": KF, "token": token, **body})


def write(corp: Corp, count: int) -> list[str]:
    return [corp.customer_writes(KF, WM, str(number)) for number in range(count)]


def test_pages_of_the_size_asked_until_has_more_is_0(corp: Corp) -> None:
    msgids = write(corp, 5)
    seen, cursor, more = [], "", 1
    while more:
        answer = sync(corp, cursor=cursor, limit=2)
        cursor, more = answer["next_cursor"], answer["has_more"]
        seen += [item["msgid"] for item in answer["msg_list"]]
    assert seen == msgids
    assert sync(corp, cursor=cursor)["msg_list"] == []


def test_a_page_may_be_shorter_than_asked() -> None:
    corp = make_corp(page_limit=3)
    write(corp, 5)
    answer = sync(corp, limit=1000)
    assert (len(answer["msg_list"]), answer["has_more"]) == (3, 1)


def test_an_empty_cursor_begins_three_days_back(corp: Corp) -> None:
    write(corp, 2)
    corp.clock_advance(86_400)
    kept = write(corp, 1)
    corp.clock_advance(2 * 86_400 + 1)
    assert [item["msgid"] for item in sync(corp)["msg_list"]] == kept


def test_an_old_cursor_skips_what_is_gone(corp: Corp) -> None:
    write(corp, 4)
    cursor = sync(corp, limit=1)["next_cursor"]
    corp.clock_advance(3 * 86_400 + 1)
    kept = write(corp, 1)
    assert [item["msgid"] for item in sync(corp, cursor=cursor)["msg_list"]] == kept


@pytest.mark.parametrize("cursor", ["junk", "4gw700000000.1.0", "x" * 65])
def test_a_cursor_of_another_stream_is_refused(corp: Corp, cursor: str) -> None:
    assert sync(corp, cursor=cursor)["errcode"] == 40058


@pytest.mark.parametrize("limit", [-1, 1001, "10"])
def test_limits(corp: Corp, limit: object) -> None:
    assert sync(corp, limit=limit)["errcode"] == 40058


def test_open_kfid_is_required(corp: Corp) -> None:
    assert corp.call("kf/sync_msg", cursor="")["errcode"] == 40058


def test_a_token_is_good_for_ten_minutes_and_any_number_of_pages(corp: Corp) -> None:
    token = corp.world.sync_tokens.issue(KF, corp.now())
    assert [sync(corp, token=token)["errcode"] for _ in range(50)] == [0] * 50
    corp.clock_advance(600)
    assert sync(corp, token=token)["errcode"] == 95007


def test_unknown_token(corp: Corp) -> None:
    assert sync(corp, token="ENCforged")["errcode"] == 95007


def test_without_a_token_ten_a_minute(corp: Corp) -> None:
    codes = [corp.call("kf/sync_msg", open_kfid=KF)["errcode"] for _ in range(12)]
    assert codes == [0] * 10 + [45009] * 2
    assert sync(corp)["errcode"] == 0
    corp.clock_advance(60)
    assert corp.call("kf/sync_msg", open_kfid=KF)["errcode"] == 0


def test_event_items_have_their_ids_inside_only(corp: Corp) -> None:
    corp.customer_enters(KF, WM, "web")
    item = sync(corp)["msg_list"][0]
    assert set(item) == {"msgid", "send_time", "origin", "msgtype", "event"}
    assert (item["origin"], item["event"]["open_kfid"], item["event"]["external_userid"]) == (4, KF, WM)


def twist(corp: Corp, kind: str, **body: Any) -> tuple[int, int, str]:
    token = corp.world.sync_tokens.issue(KF, corp.now())
    answer = twisted(kind, corp.world, {"open_kfid": KF, "token": token, **body})
    return len(answer["msg_list"]), answer["has_more"], answer["next_cursor"]


def test_an_empty_page_that_says_there_is_more(corp: Corp) -> None:
    write(corp, 3)
    count, more, cursor = twist(corp, "empty_page")
    assert (count, more) == (0, 1)
    assert len(sync(corp, cursor=cursor)["msg_list"]) == 3


def test_a_cursor_that_does_not_move(corp: Corp) -> None:
    write(corp, 3)
    first = sync(corp, limit=1)["next_cursor"]
    assert twist(corp, "stuck_cursor", cursor=first) == (2, 1, first)


def test_a_page_that_comes_twice_under_another_cursor(corp: Corp) -> None:
    write(corp, 3)
    first = sync(corp, limit=1)["next_cursor"]
    count, more, again = twist(corp, "repeat_page", cursor=first)
    assert (count, more) == (2, 1)
    assert again != first
    assert len(sync(corp, cursor=again)["msg_list"]) == 2


def test_a_forgotten_cursor_replays_everything(corp: Corp) -> None:
    write(corp, 3)
    last = sync(corp)["next_cursor"]
    assert twist(corp, "forget_cursor", cursor=last)[0] == 3


def test_a_fault_does_not_let_a_bad_call_through(corp: Corp) -> None:
    with pytest.raises(Refused, match="95007"):
        twist(corp, "empty_page", token="ENCforged")
