"""The numbers of a day or a week, gathered and as the API shows them."""

from __future__ import annotations

from functools import partial

from bot import period, stats
from bot.live import iso
from bot.model import OperatorType, Scope
from bot.period import Kind
from bot.phrases import SCORES
from bot.ports import Clock, Stats
from bot.stats import Numbers, OpenNow, Spread
from bot.web.schemas import TEXT, TIME, Json, closed
from bot.wording import Words

_COUNT: Json = {"type": "integer", "minimum": 0}


def _list(**properties: Json) -> Json:
    return {"type": "array", "items": closed(**properties)}


_WHO: Json = {"type": "string", "enum": [each.value for each in OperatorType]}
_SPREAD: Json = {"oneOf": [{"type": "null"}, closed(median={"type": "number"}, p90={"type": "number"})]}
_NUMBERS = {
    "since": TIME, "until": TIME, "handled": _COUNT, "cancelled": _COUNT,
    "endedBy": closed(**{each.value: _COUNT for each in OperatorType}),
    "waitSeconds": _SPREAD, "lengthSeconds": _SPREAD, "ratings": closed(**dict.fromkeys(SCORES, _COUNT)),
}  # fmt: skip
SCHEMA: Json = closed(
    **_NUMBERS,
    period={"type": "string", "enum": [Kind.TODAY.value, Kind.WEEK.value]},
    before=closed(**_NUMBERS),
    ways=_list(endedBy=_WHO, via=TEXT, count=_COUNT),
    servicers=_list(userId=TEXT, handled=_COUNT, open=_COUNT),
    days=_list(date={"type": "string", "format": "date"}, handled=_COUNT),
    longest={"oneOf": [{"type": "null"}, closed(
        handoffRequestId={"type": "integer"}, userId=TEXT, seconds={"type": "number"},
    )]},
    open=closed(queued=_COUNT, human=_COUNT, waiting=_COUNT),
)  # fmt: skip


class Figures:
    def __init__(self, numbers: Stats, clock: Clock, say: Words) -> None:
        self._numbers, self._clock, self._say = numbers, clock, say

    async def of(self, kind: str, scope: Scope) -> Json:
        """`kind`: today or week, each beside the stretch before it until the same time."""
        now, zone = self._clock.now(), self._say.zone
        stretch = period.week(now, zone) if kind == Kind.WEEK else period.today(now, zone)
        since, until = stretch.since, stretch.until
        numbers = await self._numbers.ended(scope, since, until, partial(stats.add_up, days=stretch.days))
        open_now = stats.open_now(await self._numbers.open_now(scope))
        days = [period.local_day(day, zone).isoformat() for day in stretch.days]
        return {
            **await self._shown(scope, numbers, since, until),
            "period": stretch.kind.value,
            "before": await self._before(scope, stretch.compared_since, stretch.compared_until),
            "ways": [
                {"endedBy": by.value, "via": via, "count": count} for (by, via), count in sorted(numbers.ways.items())
            ],
            "servicers": _servicers(numbers, open_now),
            "days": [{"date": day, "handled": handled} for day, handled in zip(days, numbers.per_day, strict=True)],
            "longest": _longest(numbers),
            "open": {"queued": open_now.queued, "human": open_now.human, "waiting": open_now.waiting},
        }

    async def _before(self, scope: Scope, since: float, until: float) -> Json:
        return await self._shown(scope, await self._numbers.ended(scope, since, until, stats.add_up), since, until)

    async def _shown(self, scope: Scope, numbers: Numbers, since: float, until: float) -> Json:
        ratings = await self._numbers.ratings(scope, since, until)
        return {
            "since": iso(since),
            "until": iso(until),
            "handled": numbers.handled,
            "cancelled": numbers.cancelled,
            "endedBy": {who.value: numbers.ended_by(who) for who in OperatorType},
            "waitSeconds": _spread(numbers.wait),
            "lengthSeconds": _spread(numbers.length),
            "ratings": {score: ratings.get(score, 0) for score in SCORES},
        }


def _spread(spread: Spread | None) -> Json | None:
    return {"median": spread.median, "p90": spread.p90} if spread else None


def _servicers(numbers: Numbers, now: OpenNow) -> list[Json]:
    """Who has handled most, first."""
    team = [(who, numbers.servicers.get(who, 0), now.loads.get(who, 0)) for who in {**numbers.servicers, **now.loads}]
    team.sort(key=lambda each: (-each[1], -each[2], each[0]))
    return [{"userId": who, "handled": handled, "open": load} for who, handled, load in team]


def _longest(numbers: Numbers) -> Json | None:
    longest = numbers.longest
    if longest is None:
        return None
    return {"handoffRequestId": longest.handoff_id, "userId": longest.external_userid, "seconds": longest.seconds}
