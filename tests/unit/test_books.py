"""From the settings to the rules of an account."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from bot.books import Books
from bot.model import Handoff, HandoffStatus, Rule
from bot.ports import AccountState
from bot.rules import Limit, Policy
from bot.settings import Settings
from tests.fakes import KF, KF2

T = 1_700_000_000.0  # Tuesday, 22:13:20 UTC


def books(**settings: Any) -> Books:
    return Books(Settings(**settings))


def account(live_from: float | None, kf: str = KF) -> AccountState:
    return AccountState(kf, "", "c", live_from, False, T, None)


def test_what_is_shipped() -> None:
    book = books()(KF)
    assert book.limits == {
        Rule.CUSTOMER_WAITING: Limit(300, 900),
        Rule.HUMAN_IDLE: Limit(1800, 3600),
        Rule.HUMAN_OPEN: Limit(14400, 14400),
        Rule.QUEUE_WAITING: Limit(180, 600),
    }
    assert (book.policy, book.idle_after) == (Policy.ALERT, 3600)
    assert book.hours.is_open(T)


def test_an_account_has_what_it_changes_and_the_rest_from_all() -> None:
    made = books(
        watch={
            "hours": "Mon-Fri 09:00-18:00 UTC",
            "rules": {"human_open": "off"},
            "accounts": {KF2: {"hours": "", "rules": {"customer_waiting": {"after": "1m"}, "human_idle": "off"}}},
        },
        end={"policy": "idle", "accounts": {KF2: {"policy": "on_message"}}},
    )
    assert not made(KF).hours.is_open(T) and made(KF2).hours.is_open(T)
    assert made(KF).limits[Rule.CUSTOMER_WAITING] == Limit(300, 900)
    assert made(KF2).limits[Rule.CUSTOMER_WAITING] == Limit(60, 900)
    assert set(made(KF).limits) == set(Rule) - {Rule.HUMAN_OPEN}
    assert set(made(KF2).limits) == {Rule.CUSTOMER_WAITING, Rule.QUEUE_WAITING}
    assert (made(KF).policy, made(KF2).policy) == (Policy.IDLE, Policy.ON_MESSAGE)


def test_what_is_history_is_not_known_until_it_is_learned() -> None:
    made = books()
    assert made(KF).live_from == inf
    made.learn([account(T + 0.9), account(None, KF2)])
    assert (made(KF).live_from, made(KF2).live_from) == (T, 0.0)
    made.learn([account(T + 60)])
    assert (made(KF).live_from, made(KF2).live_from) == (T + 60, 0.0)


def test_a_book_is_made_once() -> None:
    made = books()
    made.learn([account(T)])
    first = made(KF)
    made.learn([account(T)])
    assert made(KF) is first


def test_the_earliest_look_follows_the_accounts_own_rules() -> None:
    made = books(watch={"accounts": {KF2: {"rules": {"customer_waiting": {"after": "1m"}}}}})

    def earliest(kf: str) -> float:
        handoff = Handoff(1, "ww", kf, "wm1", HandoffStatus.ACCEPTED, "LiNa", T, T, waiting_since=T, active_at=T)
        return made.earliest(handoff)

    assert (earliest(KF), earliest(KF2)) == (T + 300, T + 60)


@pytest.mark.parametrize(
    "change",
    [
        {"watch": {"rules": {"human_open": "off"}}},
        {"watch": {"hours": "Mon-Fri 09:00-18:00 UTC"}},
        {"watch": {"holidays": ["2026-10-01"]}},
        {"watch": {"accounts": {KF: {"rules": {"human_open": "off"}}}}},
        {"end": {"policy": "idle"}},
        {"end": {"accounts": {KF: {"idle_after": "2h"}}}},
    ],
)
def test_the_fingerprint_tells_that_rules_have_changed(change: dict[str, Any]) -> None:
    assert books(**change).fingerprint != books().fingerprint


def test_and_it_is_the_same_for_the_same_rules() -> None:
    assert books(lang="en", kf={"poll": "1m"}).fingerprint == books().fingerprint
