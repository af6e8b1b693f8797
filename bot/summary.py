"""Numbers told: as markdown for a phone, and as a picture. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bot.model import OperatorType
from bot.period import Kind, Period, local_day
from bot.phrases import SCORES
from bot.picture import Bar, Drawing, Figure, Panel
from bot.stats import Longest, Numbers, OpenNow, Spread
from bot.wording import Words, plain, short_id

LINES = 14  # of markdown, on a phone one screen
MOST_NAMES, MOST_ENDERS = 3, 3
MOST_WAYS, MOST_SERVICERS = 6, 8  # bars
Member = tuple[str, int, int]  # a servicer's userid, handled, open now
TONES = {OperatorType.USER: "customer", OperatorType.AGENT: "staff", OperatorType.SYSTEM: "system"}


@dataclass(frozen=True, slots=True)
class Summary:
    """`before`: the numbers of the stretch it is compared with. `nickname`: of the customer of the longest handoff."""

    period: Period
    numbers: Numbers
    before: Numbers
    open: OpenNow
    ratings: Mapping[str, int] = field(default_factory=dict)
    accounts: Sequence[str] = ()
    nickname: str = ""


def markdown(say: Words, summary: Summary) -> str:
    lines = [_title(say, summary), _handled(say, summary), *_endings(say, summary.numbers), *_times(say, summary)]
    if summary.period.days:
        days = zip(_weekdays(say, summary.period), summary.numbers.per_day, strict=True)
        lines.append(say("stats.days", days=_listed(days)))
    scores = [(say(f"rating.{score}"), summary.ratings[score]) for score in SCORES if score in summary.ratings]
    if scores:
        lines.append(say("stats.ratings", scores=_listed(scores)))
    now = summary.open
    lines.append(say("stats.open", human=now.human, queued=now.queued, waiting=now.waiting))
    return "\n".join([*lines, *_servicers(say, summary, LINES - len(lines))])


def _title(say: Words, summary: Summary) -> str:
    names = _names(say, [plain(name, 12) for name in summary.accounts])
    accounts = say("stats.accounts", names=names) if names else ""
    title = say(f"stats.title.{summary.period.kind}")
    return say("stats.head", title=title, time=_time(say, summary.period), accounts=accounts)


def _handled(say: Words, summary: Summary) -> str:
    numbers, before = summary.numbers, summary.before
    cancelled = say("stats.cancelled", count=numbers.cancelled) if numbers.cancelled else ""
    compared = _compared(say, summary.period, str(before.handled)) if before.handled else ""
    if not numbers.handled:
        return say("stats.none", compared=compared, cancelled=cancelled)
    return say("stats.handled", count=numbers.handled, compared=compared, cancelled=cancelled)


def _endings(say: Words, numbers: Numbers) -> list[str]:
    if not numbers.handled:
        return []
    user, agent, system = (_part(say, numbers, who) for who in OperatorType)
    lines = [say("stats.ended", user=user, agent=agent, system=system)]
    enders = [(plain(userid, 20), count) for userid, count in _most(numbers.enders)[:MOST_ENDERS]]
    if enders:
        lines.append(say("stats.enders", people=_listed(enders)))
    return lines


def _part(say: Words, numbers: Numbers, who: OperatorType) -> str:
    """How many they ended, and by which ways."""
    ways = {_via(say, via): count for (by, via), count in numbers.ways.items() if by is who and via}
    named = [f"{via} {count}" if len(ways) > 1 else via for via, count in _most(ways)]
    shown = say("stats.part", ways=say("stats.names_and").join(named)) if named else ""
    return f"{numbers.ended_by(who)}{shown}"


def _times(say: Words, summary: Summary) -> list[str]:
    lines, longest = [], summary.numbers.longest
    for key in ("wait", "length"):
        now, before = _spread(summary.numbers, key), _spread(summary.before, key)
        if now is not None:
            compared = _compared(say, summary.period, say.lasted(before.median)) if before is not None else ""
            median, p90 = say.lasted(now.median), say.lasted(_rounded_up(now.p90))
            lines.append(say(f"stats.{key}", median=median, p90=p90, compared=compared))
    if longest is not None:
        who = say.who(None, longest.external_userid, summary.nickname)
        lines.append(say("stats.longest", number=longest.handoff_id, who=who, took=say.lasted(longest.seconds)))
    return lines


def _servicers(say: Words, summary: Summary, room: int) -> list[str]:
    """So many lines at most; the last stands for those who do not fit."""
    named, rest = _team(summary, room)
    lines = [say("stats.servicer", who=plain(who, 20), handled=handled, load=load) for who, handled, load in named]
    if rest:
        people, handled, load = _together(rest)
        lines.append(say("stats.servicers_more", people=people, handled=handled, load=load))
    return lines


# -- the picture


def drawing(say: Words, summary: Summary) -> Drawing:
    """What people typed goes in as it is: a picture has no marks to be interpreted."""
    names = _names(say, summary.accounts)
    subtitle = _time(say, summary.period) + (say("stats.accounts", names=names) if names else "")
    panels = (panel for panel in _panels(say, summary) if panel.bars)
    title = say(f"stats.title.{summary.period.kind}")
    return Drawing(title, subtitle, _figures(say, summary), tuple(panels), tuple(_notes(say, summary)))


def _figures(say: Words, summary: Summary) -> tuple[Figure, ...]:
    numbers, before, now = summary.numbers, summary.before, summary.open

    def note(value: str) -> str:
        return say(f"picture.compared.{summary.period.kind}", value=value)

    def time(key: str) -> Figure:
        current, earlier = _spread(numbers, key), _spread(before, key)
        shown = _brief(say, current.median) if current else "–"
        return Figure(shown, say(f"picture.{key}"), note(_brief(say, earlier.median)) if earlier else "")

    handled = Figure(str(numbers.handled), say("picture.handled"), note(str(before.handled)) if before.handled else "")
    waiting = say("picture.waiting", count=now.waiting) if now.waiting else ""
    return handled, time("wait"), time("length"), Figure(str(now.human + now.queued), say("picture.open"), waiting)


def _panels(say: Words, summary: Summary) -> Iterable[Panel]:
    numbers = summary.numbers
    if summary.period.days and numbers.handled:
        days = zip(_weekdays(say, summary.period), numbers.per_day, strict=True)
        bars = [Bar(day, count, str(count)) for day, count in days]
        today = Bar(say("choice.today"), bars[-1].value, bars[-1].text, pale=True)  # it is not over yet
        yield Panel(say("picture.days"), (*bars[:-1], today), upright=True)
    ways = (Bar(label, count, str(count), tone) for label, count, tone in _ways(say, numbers))
    yield Panel(say("picture.ways"), tuple(ways))
    yield Panel(say("picture.waits"), _spread_bars(say, numbers.wait, "wait"), half=True)
    yield Panel(say("picture.lengths"), _spread_bars(say, numbers.length, "length"), half=True)
    yield Panel(say("picture.servicers"), tuple(_team_bars(say, summary)))
    scores = ((score, summary.ratings[score]) for score in SCORES if score in summary.ratings)
    rated = (Bar(say(f"rating.{score}"), count, str(count), score) for score, count in scores)
    yield Panel(say("picture.ratings"), tuple(rated))


def _spread_bars(say: Words, spread: Spread | None, tone: str) -> tuple[Bar, ...]:
    if spread is None:
        return ()
    return (
        Bar(say("picture.median"), spread.median, _brief(say, spread.median), tone),
        Bar(say("picture.p90"), spread.p90, _brief(say, _rounded_up(spread.p90)), tone, pale=True),
    )


def _team_bars(say: Words, summary: Summary) -> Iterable[Bar]:
    named, rest = _team(summary, MOST_SERVICERS + 1)
    people, *both = _together(rest)
    more: list[Member] = [(say("picture.more", people=people), both[0], both[1])] if rest else []
    for who, handled, load in named + more:
        text = say("picture.load", handled=handled, load=load) if load else str(handled)
        yield Bar(who, handled, text, pale=(who, handled, load) in more)


def _notes(say: Words, summary: Summary) -> Iterable[str]:
    longest, cancelled = summary.numbers.longest, summary.numbers.cancelled
    if longest is None:
        yield say("picture.nobody")
    else:
        yield say(
            "picture.longest", number=longest.handoff_id, who=_customer(longest, summary.nickname),
            took=_brief(say, longest.seconds),
        )  # fmt: skip
    if cancelled:
        yield say("picture.cancelled", count=cancelled)


# -- what both tell


def _ways(say: Words, numbers: Numbers) -> list[tuple[str, int, str]]:
    """(label, count, tone): customers first, then staff, then the system, the most frequent of each first."""
    order = list(OperatorType)
    found = sorted(numbers.ways.items(), key=lambda way: (order.index(way[0][0]), -way[1], way[0][1]))
    ways = [(_way(say, who, via), count, TONES[who]) for (who, via), count in found]
    if len(ways) <= MOST_WAYS:
        return ways
    kept = sorted(ways, key=lambda way: -way[1])[: MOST_WAYS - 1]
    rest = sum(count for _, count, _ in ways) - sum(count for _, count, _ in kept)
    return [*(way for way in ways if way in kept), (say("picture.other"), rest, "system")]


def _way(say: Words, who: OperatorType, via: str) -> str:
    by = say(f"stats.by.{who}")
    return say("stats.way", by=by, via=_via(say, via)) if via else by


def _via(say: Words, via: str) -> str:
    return say.named(f"via.{via}", plain(via))


def _team(summary: Summary, room: int) -> tuple[list[Member], list[Member]]:
    """Busiest first: those who get a line of their own, and the rest, who share one."""
    handled, loads = summary.numbers.servicers, summary.open.loads
    team = [(who, handled.get(who, 0), loads.get(who, 0)) for who in {**handled, **loads}]
    team.sort(key=lambda each: (-each[1], -each[2], each[0]))
    return (team, []) if len(team) <= room else (team[: room - 1], team[room - 1 :])


def _together(members: list[Member]) -> tuple[int, int, int]:
    """(how many, handled, open now)"""
    return len(members), sum(each[1] for each in members), sum(each[2] for each in members)


def _names(say: Words, names: Sequence[str]) -> str:
    shown = say("stats.names_and").join(names[:MOST_NAMES])
    more = len(names) - MOST_NAMES
    return say("stats.names_more", names=shown, more=more) if more > 0 else shown


def _time(say: Words, period: Period) -> str:
    since, until = (datetime.fromtimestamp(at, say.zone) for at in (period.since, period.now))
    day = "%m-%d"
    match period.kind:
        case Kind.TODAY:
            weekday, clock = say(f"weekday.{until.weekday()}"), until.strftime("%H:%M")
            return say("stats.until", day=until.strftime(day), weekday=weekday, until=clock)
        case Kind.WEEK:
            return say("stats.between", since=since.strftime(day), until=until.strftime(day))
        case Kind.DAILY:
            moment = f"{day} %H:%M"
            return say("stats.between", since=since.strftime(moment), until=until.strftime(moment))


def _weekdays(say: Words, period: Period) -> list[str]:
    return [say(f"weekday.{local_day(day, say.zone).weekday()}") for day in period.days]


def _compared(say: Words, period: Period, value: str) -> str:
    return say("stats.compared", compared=say(f"stats.compared.{period.kind}", value=value))


def _spread(numbers: Numbers, key: str) -> Spread | None:
    return numbers.wait if key == "wait" else numbers.length


def _brief(say: Words, seconds: float) -> str:
    """As `Words.lasted`, for narrow places."""
    minutes = int(seconds) // 60
    if minutes < 60 or (minutes % 60 == 0 and minutes < 1440):
        return say.lasted(seconds)
    if minutes < 1440:
        return say("brief.hours", h=minutes // 60, m=minutes % 60)
    return say("brief.days", d=minutes // 1440, h=minutes % 1440 // 60)


def _rounded_up(seconds: float) -> float:
    """To the next of the units that will be told, so that "within" is true."""
    unit = 1 if seconds < 60 else 60 if seconds < 86400 else 3600
    return math.ceil(seconds / unit) * unit


def _customer(longest: Longest, nickname: str) -> str:
    return nickname or short_id(longest.external_userid)


def _most(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))


def _listed(pairs: Iterable[tuple[str, int]]) -> str:
    return " · ".join(f"{name} {count}" for name, count in pairs)
