"""Which customer somebody means: full id, unique prefix, handoff number, or the one a quoted message names."""

from __future__ import annotations

import re

from bot.errors import CommandError
from bot.model import Handoff, SessionKey
from bot.ports import Ledger, People
from bot.registry import Target
from bot.wording import Words

SHORTEST_PREFIX = 4
CANDIDATES = 8
FULL_ID = 20  # characters; real ids have 32
_NUMBER = re.compile(r"#?(\d{1,12})")
_SHORTENED = re.compile(r"(\S+?)(?:…|\.{2,3})(\S+)")
_QUOTED_NUMBER = re.compile(r"#(\d{1,12})\b")
_QUOTED_ID = re.compile(r"\bwm[0-9A-Za-z_-]{18,62}")


class Targets:
    def __init__(self, ledger: Ledger, people: People, say: Words) -> None:
        self._ledger, self._people, self._say = ledger, people, say

    async def named(self, word: str) -> Target:
        """Raises CommandError with the candidates when the word fits several, and with advice when it fits none."""
        number = _NUMBER.fullmatch(word)
        if number:
            return await self._numbered(int(number[1]))
        head, tail = self._parts(word)
        if len(head) < SHORTEST_PREFIX:
            raise CommandError(self._say("usage.short", word=self._say.plain(word)), "usage")
        open_ = [each for each in await self._ledger.open_by_prefix(head) if each.external_userid.endswith(tail)]
        if len(open_) == 1:
            return await self._target(open_[0].key, open_[0])
        if open_:
            raise CommandError(await self._candidates(word, open_), "ambiguous")
        return await self._not_open(word, head, tail)

    async def quoted(self, text: str) -> Target | None:
        """The one customer a quoted message names; None when it names none."""
        numbers = set(_QUOTED_NUMBER.findall(text))
        ids = set(_QUOTED_ID.findall(text))
        if len(numbers) > 1 or (not numbers and len(ids) > 1):
            raise CommandError(self._say("target.quote_many"), "ambiguous")
        if numbers:
            return await self._numbered(int(numbers.pop()))
        return await self.named(ids.pop()) if ids else None

    async def _numbered(self, number: int) -> Target:
        handoff = await self._ledger.handoff(number)
        if handoff is None:
            raise CommandError(self._say("target.no_handoff", number=number), "unknown")
        return await self._target(handoff.key, handoff)

    async def _not_open(self, word: str, head: str, tail: str) -> Target:
        keys = [key for key in await self._ledger.sessions_by_prefix(head) if key.external_userid.endswith(tail)]
        if len(keys) == 1:
            return await self._target(keys[0], None)
        if keys:
            raise CommandError(await self._candidates_by_key(word, keys), "ambiguous")
        raise CommandError(self._say("target.none", word=self._say.plain(word)), "unknown")

    async def _target(self, key: SessionKey, handoff: Handoff | None) -> Target:
        names = await self._people.nicknames([key.external_userid])
        return Target(key, handoff, names.get(key.external_userid, ""))

    async def _candidates(self, word: str, handoffs: list[Handoff]) -> str:
        names = await self._people.nicknames([each.external_userid for each in handoffs])
        rows = [
            f"> {self._say.who(each, each.external_userid, names.get(each.external_userid, ''))} `{each.open_kfid}`"
            for each in handoffs[:CANDIDATES]
        ]
        return "\n".join([self._say("target.many", word=self._say.plain(word)), *rows])

    async def _candidates_by_key(self, word: str, keys: list[SessionKey]) -> str:
        rows = [f"> `{key.external_userid}` · `{key.open_kfid}`" for key in keys[:CANDIDATES]]
        return "\n".join([self._say("target.many", word=self._say.plain(word)), *rows])

    @staticmethod
    def _parts(word: str) -> tuple[str, str]:
        """`wm7l…OUPw` as the group shows ids; phones like to write the first letter large."""
        if word[:2].casefold() == "wm":
            word = "wm" + word[2:]
        shortened = _SHORTENED.fullmatch(word)
        return (shortened[1], shortened[2]) if shortened else (word, "")
