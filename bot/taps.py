"""Taps on cards: who, what, then the card changed for everybody within WeCom's 5 s, with the truth on it.

A tap is recorded before anything is done about it; what a crash interrupts is taken up again by `resume`. Whatever a
card says, the handoff on record decides: a card of a session that is over ends nothing.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from bot import cards
from bot.attention import Answer, Attention, Heard
from bot.audit import Door
from bot.audited import Audit
from bot.cards import Subject
from bot.ending import EndResult, Outcome
from bot.errors import ChannelError, StorageError, WeComError
from bot.faults import point
from bot.handoffs import Handoffs
from bot.model import Asker, Card, CardTap, Handoff, Operator, OperatorType, Scope, Via, Watched
from bot.ports import TAP, Chats, Clock, GroupChannel, Ledger, LostCommand, Work
from bot.registry import Role
from bot.replies import end_result
from bot.subjects import Subjects
from bot.wording import Words

log = logging.getLogger("kfbot.taps")

SOON = 3.0  # seconds an end may take to be shown on the card; WeCom takes a card's change for 5 s after the tap
PROGRESS = "progress"
NEEDS = {"end": Role.AGENT, "snooze": Role.AGENT, "ack": Role.AGENT, "refresh": Role.VIEWER, "noop": Role.VIEWER}
"""Of every button that is about a handoff. One that is not named here is none."""
_KEY = re.compile(rf"({'|'.join(NEEDS)}):([0-9]{{1,12}})|(list):alerts")


class Refused(Exception):
    """Nothing was done. `reason` is shown on the card; `watched` only to those who may see the handoff."""

    def __init__(self, reason: str, watched: Watched | None = None, outcome: str = "unknown") -> None:
        super().__init__(reason)
        self.reason, self.watched, self.outcome = reason, watched, outcome


@dataclass(frozen=True, slots=True)
class Rights:
    """What the sender of a tap may do in that chat. `open`: the chat may be shown anything at all."""

    role: Role
    scope: Scope
    open: bool


class Taps:
    """`feel` is what the channel calls for each tap; neither it nor its work raises. `wake` has the watch look now."""

    def __init__(
        self,
        channel: GroupChannel,
        chats: Chats,
        ledger: Ledger,
        handoffs: Handoffs,
        attention: Attention,
        subjects: Subjects,
        clock: Clock,
        say: Words,
        rights: Callable[[CardTap], Rights],
        who_may: Callable[[Role], Sequence[str]],
        wake: Callable[[], None],
        audit: Audit,
        observe: Callable[[str, str, float], None] = lambda command, outcome, seconds: None,
        soon: float = SOON,
    ) -> None:
        self._channel, self._chats, self._ledger = channel, chats, ledger
        self._handoffs, self._attention, self._subjects = handoffs, attention, subjects
        self._clock, self._say, self._rights, self._who_may = clock, say, rights, who_may
        self._wake, self._audit, self._observe, self._soon = wake, audit, observe, soon
        self._ending: set[asyncio.Task[Any]] = set()

    async def feel(self, tap: CardTap) -> Work | None:
        """Everything may arrive twice: a tap's msgid is worked on once, across restarts. What is on record and never
        worked on, the next process resumes."""
        try:
            claimed = await self._chats.claim(tap, TAP, tap.key, self._clock.now())
        except Exception as failed:  # without its row a tap could count twice, so it does not count at all
            return partial(self._incident, tap, failed)
        if claimed is None:
            return None
        point("tap.claimed")
        return partial(self._work, tap, claimed)

    async def _work(self, tap: CardTap, claimed: int) -> None:
        began = time.perf_counter()
        outcome, told = await self._answer(tap, claimed)
        point("tap.answered")
        seconds = time.perf_counter() - began
        self._observe(TAP, outcome, seconds)
        log.info("tap %s | %s by=%s chat=%s %.0f ms", outcome, tap.key, tap.userid, tap.chat_id, seconds * 1000)
        if outcome != PROGRESS:
            await self._settle(claimed, outcome, seconds, told)
            point("tap.settled")

    async def resume(self, lost: LostCommand) -> bool:
        """A tap that an earlier process took with it. Its card cannot be changed any more, so the outcome is a message.
        Returns whether that has arrived.

        An end is carried out unless somebody has written since: then people decide anew.
        """
        tap = CardTap("", "", lost.chat_id, lost.is_group, lost.userid, lost.text)
        try:
            action, watched = await self._admit(tap)
        except Refused:
            return False
        point("tap.taken_up")
        handoff = watched.handoff if watched else None
        if handoff is None or not handoff.status.is_open:
            return False
        if action == "ack":
            await self._attention.ack(handoff.id, tap.userid)
        elif action == "snooze":
            await self._attention.snooze(handoff.id, tap.userid, self._attention.pause)
        elif action == "end" and handoff.active_at <= lost.at:
            return await self._report(tap, watched, await self._end(tap, handoff, lost.id))
        elif action == "end":
            who = self._say.who(handoff, handoff.external_userid)
            await self._send(tap, self._say("tap.gone", who=self._say.plain(tap.userid), customer=who))
        return False

    async def drain(self, seconds: float) -> None:
        """Ends that are under way behind a card which says so, and messages beside cards."""
        if self._ending:
            await asyncio.wait(self._ending, timeout=seconds)

    async def _answer(self, tap: CardTap, claimed: int) -> tuple[str, bool]:
        """The outermost loop of a tap. Returns the outcome in one word, and whether the card shows it."""
        try:
            card, outcome = await self._card(tap, claimed)
        except Exception as failed:
            await self._incident(tap, failed)
            return "incident", False
        point("tap.done")
        return outcome, await self._update(tap, card)

    async def _card(self, tap: CardTap, claimed: int) -> tuple[Card, str]:
        try:
            action, watched = await self._admit(tap)
            return await self._act(tap, claimed, action, watched)
        except Refused as refused:
            return await self._refused(tap, refused), refused.outcome
        except WeComError as failed:
            return cards.refused_card(self._say, self._say.error(failed)), "wecom"

    async def _admit(self, tap: CardTap) -> tuple[str, Watched | None]:
        """As `_judge`, and entered in the audit log."""
        found, who = _KEY.fullmatch(tap.key), Operator(OperatorType.AGENT, tap.userid)
        verb, number = (found[1] or found[3], int(found[2] or 0) or None) if found else ("?", None)
        acts = found is None or NEEDS.get(verb, Role.VIEWER) > Role.VIEWER
        attempt = self._audit.attempt(Door.TAP, who, verb, acts=acts, handoff_id=number, chat_id=tap.chat_id)
        try:
            action, watched = await self._judge(tap)
        except Refused as refused:
            await attempt.refused(refused.outcome)
            raise
        if watched is None:
            await attempt.allowed()
        else:
            await (attempt.allowed if watched.handoff.status.is_open else attempt.over)(watched.handoff)
        return action, watched

    async def _judge(self, tap: CardTap) -> tuple[str, Watched | None]:
        """The action, and the handoff it is about (None for `list`). Raises Refused."""
        found, rights = _KEY.fullmatch(tap.key), self._rights(tap)
        if not rights.open:
            raise Refused(self._say("tap.unpaired"), outcome="forbidden")
        if found is None or not await self._on_card(tap):
            raise Refused(self._say("tap.unknown"))
        if found[3]:
            return found[3], None
        action, number = found[1], int(found[2])
        watched = await self._attention.watched(number)
        if watched is None or watched.handoff.open_kfid not in rights.scope:
            raise Refused(self._say("tap.no_handoff", number=number))
        needed = NEEDS[action]
        if rights.role < needed and watched.handoff.status.is_open:
            raise Refused(self._not_allowed(needed), watched, "forbidden")
        return action, watched

    async def _on_card(self, tap: CardTap) -> bool:
        """Whether the card may have such a button. One that is not on record says nothing against it."""
        about = await self._chats.card_about(tap.task_id) if tap.task_id else ""
        return about in ("", tap.key.partition(":")[2]) or tap.key.endswith(":0")

    async def _act(self, tap: CardTap, claimed: int, action: str, watched: Watched | None) -> tuple[Card, str]:
        if watched is None:
            return await self._list(tap), "ok"
        if not watched.handoff.status.is_open or action in ("refresh", "noop"):
            return await self._truth(watched, tap), "ok"
        if action == "end":
            return await self._end_soon(tap, claimed, watched)
        if action == "ack":
            return await self._quiet(tap, await self._attention.ack(watched.handoff.id, tap.userid))
        return await self._quiet(
            tap, await self._attention.snooze(watched.handoff.id, tap.userid, self._attention.pause)
        )

    # -- end

    async def _end_soon(self, tap: CardTap, claimed: int, watched: Watched) -> tuple[Card, str]:
        """The final card if it is done soon; else one that says so, and the outcome as a message."""
        ending = asyncio.create_task(self._end(tap, watched.handoff, claimed))
        done, _ = await asyncio.wait({ending}, timeout=self._soon)
        if done:
            result = ending.result()
            self._wake()
            return await self._ended(tap, watched, result), result.outcome.value
        waiting = asyncio.create_task(self._report_later(tap, claimed, watched, ending))
        self._ending.add(waiting)
        waiting.add_done_callback(self._ending.discard)
        subject = await self._subjects.one(watched)
        return cards.progress_card(self._say, subject, tap.userid, self._clock.now()), PROGRESS

    async def _end(self, tap: CardTap, handoff: Handoff, claimed: int) -> EndResult:
        operator = Operator(OperatorType.AGENT, tap.userid)
        notify = Asker(tap.chat_id, tap.is_group, claimed)
        return await self._handoffs.end(handoff.key, operator, Via.BUTTON, notify=notify, handoff_id=handoff.id)

    async def _ended(self, tap: CardTap, watched: Watched, result: EndResult) -> Card:
        """What the card says after it; where the end failed, it keeps its buttons and the chat is told why."""
        after = await self._attention.watched(watched.handoff.id) or watched
        subject, now = await self._subjects.one(after), self._clock.now()
        if not after.handoff.status.is_open:
            return cards.final_card(self._say, subject, now)
        await self._send_aside(tap, end_result(self._say, result, subject.nickname, now))
        if result.outcome is Outcome.UNKNOWN:
            return cards.progress_card(self._say, subject, tap.userid, now)
        why = self._say.error(result.error) if result.error else ""
        note = self._say("tap.failed", who=self._say.plain(tap.userid, 12))
        return cards.alert_card(self._say, subject, now, self._attention.acked_until(after), note, why)

    async def _report_later(
        self, tap: CardTap, claimed: int, watched: Watched, ending: asyncio.Task[EndResult]
    ) -> None:
        """Until then the tap counts as unsettled: should the process die, the next one takes it up."""
        try:
            result = await ending
            told = await self._report(tap, watched, result)
            point("tap.reported")
            await self._settle(claimed, result.outcome.value, 0.0, told)
        except Exception as failed:
            await self._incident(tap, failed)

    async def _report(self, tap: CardTap, watched: Watched | None, result: EndResult) -> bool:
        """The outcome as a message, unless the last word on an alerted handoff says it in this very chat. Whether the
        chat has heard, or will."""
        over = result.outcome in (Outcome.ENDED, Outcome.ALREADY)
        self._wake()
        if over and tap.is_group and watched is not None and watched.told:
            return True
        names = await self._subjects.of([watched] if watched else [])
        nickname = names[0].nickname if names else ""
        return await self._send(tap, end_result(self._say, result, nickname, self._clock.now()))

    # -- the other buttons

    async def _quiet(self, tap: CardTap, answer: Answer | None) -> tuple[Card, str]:
        if answer is None:
            raise Refused(self._say("tap.unknown"))
        if answer.heard is Heard.OVER:
            return await self._truth(answer.watched, tap), "ok"
        subject = await self._subjects.one(answer.watched)
        quiet, late = answer.watched.quiet, answer.heard is Heard.ALREADY
        first = quiet.acked_by if tap.key.startswith("ack") else quiet.snoozed_by
        note = self._say("tap.already", who=self._say.plain(first, 12)) if late and first != tap.userid else ""
        note = self._say("tap.nothing") if answer.heard is Heard.NOTHING else note
        until = self._attention.acked_until(answer.watched)
        return cards.alert_card(self._say, subject, self._clock.now(), until, note), "late" if late else "ok"

    async def _truth(self, watched: Watched, tap: CardTap) -> Card:
        subject, now = await self._subjects.one(watched), self._clock.now()
        if not watched.handoff.status.is_open:
            return cards.final_card(self._say, subject, now)
        ending = (await self._ledger.session(watched.handoff.key)).ending
        if ending is not None:
            return cards.progress_card(self._say, subject, ending.operator.id or tap.userid, now)
        return cards.alert_card(self._say, subject, now, self._attention.acked_until(watched))

    async def _list(self, tap: CardTap) -> Card:
        """The card shows what is left of it, and a message shows all of that."""
        scope, now = self._rights(tap).scope, self._clock.now()
        open_ = await self._attention.open(scope)
        if not open_:
            return Card("", self._say("alerts.none"), buttons=cards.all_done(self._say))
        subjects: list[Subject] = await self._subjects.of(open_)
        await self._send_aside(tap, cards.list_text(self._say, subjects, now))
        return cards.list_card(self._say, subjects, now)

    async def _refused(self, tap: CardTap, refused: Refused) -> Card:
        if refused.watched is None:
            return cards.refused_card(self._say, refused.reason)
        subject = await self._subjects.one(refused.watched)
        note = self._say("tap.not_allowed", who=self._say.plain(tap.userid, 12))
        until = self._attention.acked_until(refused.watched)
        return cards.alert_card(self._say, subject, self._clock.now(), until, note, refused.reason)

    def _not_allowed(self, needed: Role) -> str:
        named = " ".join(self._who_may(needed)) or self._say("refused.nobody")
        return self._say("refused.tap", needed=self._say(f"role.{needed.value}"), allowed=self._say.plain(named, 80))

    # -- out

    async def _update(self, tap: CardTap, card: Card) -> bool:
        """Some taps come without the card's task_id, which the change must name: then it was most likely the newest."""
        try:
            task_id = tap.task_id or await self._chats.last_card(tap.chat_id, tap.key.partition(":")[2])
            await self._channel.update_card(tap, replace(card, task_id=task_id))
        except (ChannelError, StorageError) as undelivered:  # what was done stays done, and the next tap shows it
            log.warning("card not changed | %s chat=%s %s", tap.key, tap.chat_id, undelivered)
            return False
        return True

    async def _send(self, tap: CardTap, text: str) -> bool:
        try:
            await self._channel.send(tap.chat_id, tap.is_group, text)
        except ChannelError as undelivered:
            log.warning("outcome not delivered | %s chat=%s %s", tap.key, tap.chat_id, undelivered)
            return False
        return True

    async def _send_aside(self, tap: CardTap, text: str) -> None:
        """Before the card if that is quick. A chat may make messages wait for their turn, but no card has that time."""
        sending = asyncio.create_task(self._send(tap, text))
        self._ending.add(sending)
        sending.add_done_callback(self._ending.discard)
        await asyncio.wait({sending}, timeout=self._soon / 3)

    async def _settle(self, claimed: int, outcome: str, seconds: float, told: bool) -> None:
        try:
            await self._chats.settle(claimed, outcome, seconds, told=told)
        except Exception:
            log.exception("tap's row not settled | row=%d outcome=%s", claimed, outcome)

    async def _incident(self, tap: CardTap, failed: Exception) -> None:
        incident = secrets.token_hex(4)
        if isinstance(failed, StorageError) and failed.kind:
            log.error("tap failed | incident=%s key=%r %s", incident, tap.key[:100], failed)
            await self._update(tap, cards.refused_card(self._say, self._say.unrecorded(failed)))
            return
        log.error("tap failed | incident=%s key=%r", incident, tap.key[:100], exc_info=failed)
        await self._update(tap, cards.refused_card(self._say, self._say("incident", incident=incident)))
