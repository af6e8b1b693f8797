"""What people want to know of handoffs, gathered for cards and messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bot.cards import Subject
from bot.last_words import LastWords
from bot.model import Rule, Watched
from bot.ports import Ledger, People, SyncStore
from bot.states import SESSION_LIFETIME


class Subjects:
    def __init__(self, ledger: Ledger, people: People, accounts: SyncStore, words: LastWords) -> None:
        self._ledger, self._people, self._accounts, self._words = ledger, people, accounts, words

    async def of(self, watched: Iterable[Watched], rules: Mapping[int, Sequence[Rule]] | None = None) -> list[Subject]:
        """In the same order. `rules`: by handoff id, which ones speak."""
        found = list(watched)
        names = await self._people.nicknames({each.handoff.external_userid for each in found})
        accounts = {each.open_kfid: each.name for each in await self._accounts.accounts()}
        sessions = await self._ledger.sessions([each.handoff.key for each in found])
        subjects = []
        for each in found:
            key = each.handoff.key
            written_at = sessions[key].last_customer_at
            subjects.append(
                Subject(
                    each,
                    names.get(key.external_userid, ""),
                    accounts.get(key.open_kfid) or key.open_kfid,
                    each.handoff.last_text or self._words.of(key),
                    written_at + SESSION_LIFETIME if written_at else None,
                    tuple((rules or {}).get(each.handoff.id, ())),
                )
            )
        return subjects

    async def one(self, watched: Watched) -> Subject:
        return (await self.of([watched]))[0]
