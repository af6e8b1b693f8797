"""The rules that hold for each kf account, from the settings."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from bot.model import Handoff, Rule
from bot.ports import AccountState
from bot.rules import Limit, Policy, RuleBook, earliest
from bot.settings import Settings


class Books:
    """`books(open_kfid)` is the account's. May be asked in any thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._live_from: dict[str, float] = {}
        self._books: dict[str, RuleBook] = {}

    def __call__(self, open_kfid: str) -> RuleBook:
        book = self._books.get(open_kfid)
        if book is None:
            book = self._books[open_kfid] = self._book(open_kfid)
        return book

    def earliest(self, handoff: Handoff) -> float:
        return earliest(handoff, self(handoff.open_kfid))

    def learn(self, accounts: Iterable[AccountState]) -> None:
        """Since when each account has been read live; what is older must not end a session. WeCom's times have no
        fractions, so what was sent in that second counts as news."""
        for account in accounts:
            live_from = float(int(account.live_from or 0.0))
            if self._live_from.get(account.open_kfid) != live_from:
                self._live_from[account.open_kfid] = live_from
                self._books.pop(account.open_kfid, None)

    @property
    def fingerprint(self) -> str:
        """Changes when a setting does that decides when something is due."""
        return f"{self._settings.watch!r} {self._settings.end!r}"

    def _book(self, open_kfid: str) -> RuleBook:
        watch = self._settings.watch
        rules = watch.rules_of(open_kfid)
        limits = {
            rule: Limit(setting.after, setting.repeat)
            for rule in Rule
            if (setting := getattr(rules, rule.value)) is not None
        }
        policy, idle_after = self._settings.end.of(open_kfid)
        live_from = self._live_from.get(open_kfid, inf)  # nothing ends by itself before we know what is history
        return RuleBook(limits, watch.hours_of(open_kfid), Policy(policy), idle_after, live_from)
