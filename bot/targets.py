"""Which customer somebody means: full id, unique prefix, handoff number, or the one a quoted message names."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from bot.errors import CommandError
from bot.model import EVERYTHING, Handoff, Scope, SessionKey
from bot.ports import People, Questions
from bot.registry import Target
from bot.wording import Words

SHORTEST_PREFIX = 4
CANDIDATES = 8
LOOKED_THROUGH = 10_000  # all customers of one corp share their first characters, so a shortened id's end decides
_NUMBER = re.compile(r"#?([0-9]{1,12})")
_SHORTENED = re.compile(r"(\S+?)(?:…+|\.{2,})(\S+)")
_FULL_ID = re.compile(r"wm[0-9A-Za-z_-]{18,62}")  # real ids have 32 characters
_QUOTED_NUMBER = re.compile(r"#([0-9]{1,12})\b")
_QUOTED_ID = re.compile(r"\bwm(?:[0-9A-Za-z_-]{18,62}|[0-9A-Za-z_-]{4}…[0-9A-Za-z_-]{4})")

Locate = Callable[[str, Scope], Awaitable[list[SessionKey]]]


class Targets:
    """`locate`: the sessions, within `scope`, of a full id that the ledger does not know, by asking WeCom."""

    def __init__(
        self, ledger: Questions, people: People, say: Words, locate: Locate | None = None, scope: Scope = EVERYTHING
    ) -> None:
        self._ledger, self._people, self._say, self._locate, self._scope = ledger, people, say, locate, scope

    async def named(self, word: str) -> Target:
        """Raises CommandError with the candidates when the word fits several, and with advice when it fits none."""
        number = _NUMBER.fullmatch(word)
        if number:
            return await self._numbered(int(number[1]))
        head, tail = self._parts(word)
        if len(head) < SHORTEST_PREFIX:
            raise CommandError(self._say("usage.short", word=self._say.plain(word)), "usage")
        open_ = await self._open(head, tail)
        if len(open_) == 1:
            return await self._target(open_[0].key, open_[0])
        if open_:
            raise CommandError(await self._candidates(word, [(each.key, each) for each in open_]), "ambiguous")
        return await self._not_open(word, head, tail)

    async def quoted(self, text: str) -> Target | None:
        """The one customer a quoted message names; None when it names none."""
        numbers = set(_QUOTED_NUMBER.findall(text))
        ids = set(_QUOTED_ID.findall(text))
        if len(numbers) > 1 or (not numbers and len(_without_shortened(ids)) > 1):
            raise CommandError(self._say("target.quote_many"), "ambiguous")
        if numbers:
            return await self._numbered(int(numbers.pop()))
        return await self.named(max(ids, key=len)) if ids else None

    async def _open(self, head: str, tail: str) -> list[Handoff]:
        found = await self._ledger.open_by_prefix(head, LOOKED_THROUGH if tail else CANDIDATES + 1)
        return [each for each in found if each.external_userid.endswith(tail)]

    async def _numbered(self, number: int) -> Target:
        handoff = await self._ledger.handoff(number)
        if handoff is None:
            raise CommandError(self._say("target.no_handoff", number=number), "unknown")
        return await self._target(handoff.key, handoff)

    async def _not_open(self, word: str, head: str, tail: str) -> Target:
        found = await self._ledger.sessions_by_prefix(head, LOOKED_THROUGH if tail else CANDIDATES + 1)
        keys = [key for key in found if key.external_userid.endswith(tail)]
        if not keys and self._locate is not None and _FULL_ID.fullmatch(head) and not tail:
            keys = await self._locate(head, self._scope)
        if len(keys) == 1:
            return await self._target(keys[0], None)
        if keys:
            last = [(key, await self._last(key)) for key in keys[: CANDIDATES + 1]]
            raise CommandError(await self._candidates(word, last), "ambiguous")
        raise CommandError(self._say("target.none", word=self._say.plain(word)), "unknown")

    async def _last(self, key: SessionKey) -> Handoff | None:
        return next(iter(await self._ledger.history(key, 1)), None)

    async def _target(self, key: SessionKey, handoff: Handoff | None) -> Target:
        names = await self._people.nicknames([key.external_userid])
        return Target(key, handoff, names.get(key.external_userid, ""))

    async def _candidates(self, word: str, found: list[tuple[SessionKey, Handoff | None]]) -> str:
        """Each with its number, by which it can be named where ids and names are alike, and its account."""
        names = await self._people.nicknames([key.external_userid for key, _ in found])
        accounts = {each.open_kfid: each.name for each in await self._ledger.counts()}
        rows = [
            f"> {self._say.who(handoff, key.external_userid, names.get(key.external_userid, ''))}"
            f" · {self._say.plain(accounts.get(key.open_kfid) or key.open_kfid)}"
            for key, handoff in found[:CANDIDATES]
        ]
        more = [self._say("target.more")] if len(found) > CANDIDATES else []
        return "\n".join([self._say("target.many", word=self._say.plain(word)), *rows, *more])

    @staticmethod
    def _parts(word: str) -> tuple[str, str]:
        """`wm7l…OUPw` as the group shows ids; phones like to write the first letter large."""
        if word[:2].casefold() == "wm":
            word = "wm" + word[2:]
        shortened = _SHORTENED.fullmatch(word)
        return (shortened[1], shortened[2]) if shortened else (word, "")


def _without_shortened(ids: set[str]) -> set[str]:
    """A reply may show an id in short and in full; that is one customer."""
    full = {id_ for id_ in ids if "…" not in id_}
    short = {id_ for id_ in ids if "…" in id_}
    return full | {id_ for id_ in short if not any(_fits(each, id_) for each in full)}


def _fits(full: str, short: str) -> bool:
    head, _, tail = short.partition("…")
    return full.startswith(head) and full.endswith(tail)
