"""Which group serves which kf account: `group.routes`, and the first group for all that it does not name. Pure.

A page's token names a member and no group, and nobody tells us who is in a group: there, whoever serves an account is
of the team that has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set

from bot.model import EVERYTHING, NOTHING, Scope


class Teams:
    """`named`: `group.chat_ids`. `paired`: every group that may talk to the bot, shared with whoever pairs one."""

    def __init__(self, routes: Mapping[str, str], named: Sequence[str], paired: set[str]) -> None:
        self._routes, self._named, self._paired = routes, named, paired
        self._earlier: list[str] = []
        self._serving: dict[str, set[str]] = {}

    def take_up(self, chat_ids: Iterable[str]) -> None:
        """Groups paired by code in earlier lives, the first one first. Where the settings name groups, those alone
        count: else nobody could take back what a code has once given."""
        self._earlier = [] if self._named else list(chat_ids)
        self._paired.update(self._earlier)

    def serve(self, servicers: Iterable[tuple[str, str]]) -> None:
        """Everyone's (userid, open_kfid), as known by now."""
        serving: dict[str, set[str]] = {}
        for userid, open_kfid in servicers:
            serving.setdefault(userid, set()).add(open_kfid)
        self._serving = serving

    @property
    def first(self) -> str:
        """The group for whatever belongs to no other; empty while no group is known."""
        return next(iter(self._in_order()), "")

    def chat_of(self, open_kfid: str) -> str:
        """The group that is alerted about this account; empty while no group is known."""
        return self._routes.get(open_kfid) or self.first

    def scope(self, chat_id: str, is_group: bool, is_admin: bool) -> Scope:
        """The accounts that somebody may see and act upon there."""
        if is_admin:
            return EVERYTHING
        if not is_group or chat_id not in self._paired:
            return NOTHING
        return self._of_groups({chat_id})

    def of_member(self, userid: str, is_admin: bool) -> Scope:
        """The accounts that somebody may see and act upon outside of any group."""
        if is_admin or not self._routes:
            return EVERYTHING
        return self._of_groups({self.chat_of(account) for account in self._serving.get(userid, ())})

    def groups(self) -> list[tuple[str, Scope]]:
        """Each paired group that has something to see, with what it sees; the first group first."""
        scopes = ((chat_id, self._of_groups({chat_id})) for chat_id in self._in_order())
        return [(chat_id, scope) for chat_id, scope in scopes if scope != NOTHING]

    def _of_groups(self, chat_ids: Set[str]) -> Scope:
        if not self._routes:
            return EVERYTHING
        own = frozenset(account for account in self._routes if self.chat_of(account) in chat_ids)
        return Scope(frozenset(self._routes) - own) if self.first in chat_ids else Scope(own, others=False)

    def _in_order(self) -> list[str]:
        """A code is on offer only while no group is paired, so that the last ones have nothing before them."""
        known = [*self._named, *self._earlier, *self._routes.values(), *sorted(self._paired)]
        return [chat_id for chat_id in dict.fromkeys(known) if chat_id]
