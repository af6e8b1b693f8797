"""Which group serves which account, and who sees what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from bot.model import EVERYTHING, NOTHING, Scope
from bot.teams import Teams

SALES, AFTER, OTHER = "wrSALES", "wrAFTER", "wrOTHER"
KF, KF2, KF3 = "wkSALES", "wkAFTER", "wkUNNAMED"
ROUTES = {KF: SALES, KF2: AFTER}


def teams(
    routes: Mapping[str, str] = ROUTES, named: Iterable[str] = (), earlier: Iterable[str] = (), later: str = ""
) -> Teams:
    """`earlier`: paired by code in earlier lives, in that order. `later`: paired by code now."""
    paired = {*named, *routes.values()}
    made = Teams(routes, tuple(named), paired)
    made.take_up(earlier)
    paired |= {later} - {""}
    return made


@pytest.mark.parametrize(
    ("known", "first"),
    [
        (teams(named=[OTHER, SALES], earlier=[AFTER]), OTHER),
        (teams(earlier=[OTHER, SALES]), OTHER),
        (teams(earlier=[AFTER]), AFTER),
        (teams(), SALES),
        (teams({}, later=OTHER), OTHER),
        (teams({}), ""),
    ],
    ids=[
        "the first named",
        "the one paired first",
        "the one paired, though routed",
        "routed",
        "paired now",
        "none yet",
    ],
)
def test_an_account_that_no_route_names_goes_to_the_first_group(known: Teams, first: str) -> None:
    assert (known.first, known.chat_of(KF3)) == (first, first)


def test_a_routed_account_goes_to_its_group() -> None:
    assert [teams(named=[OTHER]).chat_of(each) for each in (KF, KF2)] == [SALES, AFTER]


def test_a_group_paired_while_running_is_known_at_once() -> None:
    paired: set[str] = set()
    known = Teams({}, (), paired)
    assert (known.scope(OTHER, True, False), known.groups()) == (NOTHING, [])
    paired.add(OTHER)
    assert (known.chat_of(KF), known.scope(OTHER, True, False)) == (OTHER, EVERYTHING)


def test_groups_of_earlier_lives_are_paired_for_everybody() -> None:
    paired: set[str] = set()
    Teams({}, (), paired).take_up([OTHER])
    assert paired == {OTHER}


def test_where_the_settings_name_groups_what_was_once_paired_by_code_is_not_any_more() -> None:
    paired = {SALES}
    known = Teams({}, (SALES,), paired)
    known.take_up([OTHER])
    assert paired == {SALES}
    assert known.scope(OTHER, True, False) == NOTHING


def test_without_routes_every_paired_group_sees_everything() -> None:
    known = teams({}, earlier=[SALES, AFTER])
    assert [known.scope(each, True, False) for each in (SALES, AFTER)] == [EVERYTHING, EVERYTHING]
    assert known.scope(OTHER, True, False) == NOTHING
    assert known.groups() == [(SALES, EVERYTHING), (AFTER, EVERYTHING)]


@pytest.mark.parametrize(
    ("chat", "seen"), [(SALES, [KF, KF3]), (AFTER, [KF2]), (OTHER, [])], ids=["first", "second", "without a route"]
)
def test_with_routes_a_group_sees_its_own_and_the_first_what_nobody_else_has(chat: str, seen: list[str]) -> None:
    scope = teams(named=[SALES, AFTER, OTHER]).scope(chat, True, False)
    assert [each for each in (KF, KF2, KF3) if each in scope] == seen


def test_a_first_group_without_a_route_has_what_is_unnamed() -> None:
    known = teams(named=[OTHER])
    assert known.scope(OTHER, True, False) == Scope(frozenset({KF, KF2}), others=True)
    assert known.scope(SALES, True, False) == Scope(frozenset({KF}), others=False)


@pytest.mark.parametrize(("chat", "is_group"), [(SALES, True), (AFTER, True), ("wrSTRANGE", True), ("Boss", False)])
def test_an_admin_sees_everything_everywhere(chat: str, is_group: bool) -> None:
    assert teams().scope(chat, is_group, True) == EVERYTHING


def test_in_a_single_chat_nobody_else_sees_anything() -> None:
    assert teams({}, named=["LiNa"]).scope("LiNa", False, False) == NOTHING


def test_every_account_is_seen_by_the_group_that_is_alerted_about_it_and_no_other() -> None:
    known = teams(named=[OTHER, SALES])
    for account in (KF, KF2, KF3):
        assert [chat for chat, scope in known.groups() if account in scope] == [known.chat_of(account)]


def test_reports_go_to_the_first_group_first_and_not_to_groups_with_nothing_to_see() -> None:
    known = teams(named=[SALES, OTHER])
    assert [chat for chat, _ in known.groups()] == [SALES, AFTER]


SERVING = [("LiNa", KF), ("ZhangSuQuan", KF2), ("Both", KF), ("Both", KF2), ("Rest", KF3)]


@pytest.mark.parametrize(
    ("userid", "admin", "seen"),
    [
        ("LiNa", False, {KF}),
        ("ZhangSuQuan", False, {KF2}),
        ("Both", False, {KF, KF2}),
        ("Rest", False, {KF3}),
        ("Stranger", False, set()),
        ("Stranger", True, {KF, KF2, KF3}),
    ],
)
def test_whoever_serves_an_account_is_of_its_team(userid: str, admin: bool, seen: set[str]) -> None:
    known = teams(named=[OTHER])
    known.serve(SERVING)
    assert {each for each in (KF, KF2, KF3) if each in known.of_member(userid, admin)} == seen


def test_a_team_has_all_accounts_of_its_group() -> None:
    known = teams({KF: SALES, KF2: SALES, KF3: AFTER})
    known.serve([("LiNa", KF)])
    seen = known.of_member("LiNa", False)
    assert (KF in seen, KF2 in seen, KF3 in seen) == (True, True, False)


def test_one_team_needs_no_servicers() -> None:
    assert teams({}).of_member("Stranger", False) == EVERYTHING
