"""What the group is shown of a handoff that needs somebody: cards, and the same as markdown. Pure.

Lengths are cut by the channel to what the vendor recommends; what matters most stands first.
https://developer.work.weixin.qq.com/document/path/101032
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from bot.model import Button, Card, Handoff, HandoffStatus, Rule, Watched
from bot.rules import clock
from bot.wording import Words, plain, short_id

LISTED = 20  # handoffs named in one folded message
SHOWN = 6  # rows that a card has
WORDS = 60  # characters of the customer's last words
PLAIN, DANGER, FAINT = 1, 2, 4  # button styles; the colours differ between clients, so nothing rests on them


@dataclass(frozen=True, slots=True)
class Subject:
    """A handoff and what people want to know of it. `words`: the customer's last; `expires_at`: WeCom's own end."""

    watched: Watched
    nickname: str = ""
    account: str = ""
    words: str = ""
    expires_at: float | None = None
    rules: Sequence[Rule] = ()

    @property
    def handoff(self) -> Handoff:
        return self.watched.handoff


def key(action: str, handoff: Handoff) -> str:
    return f"{action}:{handoff.id}"


def alert_card(
    say: Words, subject: Subject, now: float, acked_until: float = 0.0, note: str = "", reason: str = ""
) -> Card:
    """`acked_until`: as long as somebody's ack holds. `note`: what came of a tap, in a few words, and `reason` why.
    Without a task_id."""
    handoff, quiet = subject.handoff, subject.watched.quiet
    rows = [
        (say("card.customer"), f"{_name(subject)} {short_id(handoff.external_userid)}"),
        (say("card.servicer"), plain(handoff.servicer_userid or "") or say("card.nobody")),
        (say("card.wait"), _clock(say, subject, now)),
    ]
    if note:
        rows.insert(1, (say("card.account"), plain(subject.account, 26)))
    if quiet.snoozed_until > now:
        rows.append((say("card.snoozed"), f"{say.when(quiet.snoozed_until, now)} {plain(quiet.snoozed_by)}"))
    if acked_until > now:
        rows.append((say("card.acked"), f"{plain(quiet.acked_by)} {say.when(quiet.acked_at, now)}"))
    if subject.expires_at is not None:
        rows.append((say("card.expires"), say.when(subject.expires_at, now)))
    return Card(
        task_id="",
        title=_title(say, subject, now),
        desc=note or plain(subject.account, 30),
        body=reason or _body(say, subject),
        rows=tuple(rows[:SHOWN]),
        buttons=_buttons(say, subject, now, acked_until),
    )


def alert_text(say: Words, subject: Subject, now: float) -> str:
    """The card as markdown, with the commands to copy instead of buttons."""
    handoff = subject.handoff
    who = say.who(handoff, handoff.external_userid, subject.nickname)
    lines = [say("alert.text", what=_what(say, subject, now), who=who)]
    servicer = plain(handoff.servicer_userid or "") or say("card.nobody")
    lines.append(f"> {plain(subject.account)} · {say('card.servicer')} {servicer} · {_clock(say, subject, now)}")
    if subject.words:
        lines.append(say("state.text", text=plain(subject.words, WORDS)))
    lines.append(say("alert.commands", bot=say.bot_name, number=handoff.id))
    return "\n".join(lines)


def list_card(say: Words, subjects: Sequence[Subject], now: float) -> Card:
    """Many at once, the longest waiting by name; a tap on it shows all."""
    rows = [(f"#{each.handoff.id}", f"{_name(each)} {_what(say, each, now)}") for each in subjects[:SHOWN]]
    more = len(subjects) - len(rows)
    return Card(
        task_id="",
        title=say("alerts.title", count=len(subjects)),
        desc=_accounts(subjects),
        body=say("alerts.more", count=more) if more > 0 else say("alerts.how", bot=say.bot_name),
        rows=tuple(rows),
        buttons=(Button(say("button.all"), "list:alerts"),),
    )


def list_text(say: Words, subjects: Sequence[Subject], now: float) -> str:
    rows = [_line(say, each, now) for each in subjects[:LISTED]]
    more = len(subjects) - len(rows)
    tail = [say("alerts.more", count=more)] if more > 0 else []
    head = say("alerts.text", count=len(subjects))
    return "\n".join([head, *rows, *tail, say("alerts.how", bot=say.bot_name)])


def progress_card(say: Words, subject: Subject, userid: str, now: float) -> Card:
    """While ending takes long. Only a tap can change a card, so it has a button to ask how it went."""
    refresh = Button(say("button.refresh"), key("refresh", subject.handoff))
    title, desc = say("card.ending", who=_named(subject)), say("card.asked", by=plain(userid), when=say.when(now, now))
    return replace(alert_card(say, subject, now), title=title, desc=desc, buttons=(refresh,))


def final_card(say: Words, subject: Subject, now: float) -> Card:
    """Ended by whom, how and when: the same for everybody, whoever tapped."""
    handoff = subject.handoff
    ended_at = handoff.completed_at or now
    rows = (
        (say("card.customer"), f"{_name(subject)} {short_id(handoff.external_userid)}"),
        (say("card.account"), plain(subject.account, 26)),
        (say("card.ended_by"), say.ended_by(handoff)),
        (say("card.when"), say.when(ended_at, now)),
        (say("card.took"), say.lasted(ended_at - handoff.requested_at)),
    )
    done = Button(say("button.done"), key("noop", handoff), FAINT)
    desc = say("card.by", by=say.ended_by(handoff), when=say.when(ended_at, now))
    return Card("", say("card.ended", who=_named(subject)), desc, "", rows, (done,))


def refused_card(say: Words, why: str) -> Card:
    """Where nothing of the handoff may be shown."""
    return Card("", say("card.refused"), "", why, (), all_done(say))


def all_done(say: Words) -> tuple[Button, ...]:
    """A card has to have a button."""
    return (Button(say("button.all"), "list:alerts", FAINT),)


def closing_line(say: Words, subject: Subject, now: float) -> str:
    """The one last word on an alerted handoff."""
    handoff = subject.handoff
    ended_at = handoff.completed_at or now
    via = say.via(handoff)
    return say(
        "alert.closed",
        who=say.who(handoff, handoff.external_userid, subject.nickname),
        by=say.ended_by(handoff),
        via=via,
        when=say.when(ended_at, now),
        took=say.lasted(ended_at - handoff.requested_at),
    )


def closing_lines(say: Words, subjects: Sequence[Subject], now: float) -> str:
    """Several in one message."""
    rows = [f"> {closing_line(say, each, now)}" for each in subjects[:LISTED]]
    more = len(subjects) - len(rows)
    return "\n".join(
        [say("alerts.closed", count=len(subjects)), *rows, *([say("alerts.and", count=more)] if more else [])]
    )


def _title(say: Words, subject: Subject, now: float) -> str:
    return f"{_named(subject)} {_what(say, subject, now)}"


def _what(say: Words, subject: Subject, now: float) -> str:
    """The gravest rule in words."""
    speaking = subject.rules or subject.watched.alerts
    rule = next((rule for rule in Rule if rule in speaking), Rule.HUMAN_OPEN)
    return say(f"rule.{rule.value}", wait=say.lasted(now - _since(subject.handoff, rule)))


def _since(handoff: Handoff, rule: Rule) -> float:
    """The customer's whole wait, also where the rule counts from the servicer's acceptance."""
    if rule is Rule.CUSTOMER_WAITING and handoff.waiting_since is not None:
        return handoff.waiting_since
    return clock(handoff, rule) or handoff.requested_at


def _clock(say: Words, subject: Subject, now: float) -> str:
    handoff = subject.handoff
    if handoff.status is HandoffStatus.PENDING:
        return say("rule.queue_waiting", wait=say.lasted(now - handoff.requested_at))
    if handoff.waiting_since is not None:
        return say("list.waiting", wait=say.lasted(now - handoff.waiting_since))
    return say("list.idle", wait=say.lasted(now - handoff.active_at))


def _line(say: Words, subject: Subject, now: float) -> str:
    handoff = subject.handoff
    who = say.who(handoff, handoff.external_userid, subject.nickname)
    servicer = f" · {plain(handoff.servicer_userid)}" if handoff.servicer_userid else ""
    return f"> {who}{servicer} · {_what(say, subject, now)}"


def _body(say: Words, subject: Subject) -> str:
    command = say("card.command", bot=say.bot_name, number=subject.handoff.id)
    words = say("card.words", text=plain(subject.words, WORDS)) + "\n" if subject.words else ""
    return words + command


def _buttons(say: Words, subject: Subject, now: float, acked_until: float) -> tuple[Button, ...]:
    handoff = subject.handoff
    buttons = [Button(say("button.end"), key("end", handoff), DANGER)]
    if subject.watched.quiet.snoozed_until <= now:
        buttons.append(Button(say("button.snooze"), key("snooze", handoff), PLAIN))
    if acked_until <= now:
        buttons.append(Button(say("button.ack"), key("ack", handoff), PLAIN))
    return tuple(buttons)


def _name(subject: Subject) -> str:
    return plain(subject.nickname, 12)


def _named(subject: Subject) -> str:
    name = _name(subject)
    return f"#{subject.handoff.id} {name}".rstrip()


def _accounts(subjects: Iterable[Subject]) -> str:
    return " · ".join(dict.fromkeys(plain(each.account, 12) for each in subjects))
