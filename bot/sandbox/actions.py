"""Everything people and trouble can do to one WeCom, as plain methods; and waiting for what the bot does."""

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import Any

from . import seed, snapshot
from .bot_commands import BotCommands
from .callbacks import Callbacks
from .changes import Changes
from .clock import Clock
from .config import SandboxConfig
from .faults import EVENT, Fault, Faults, struck
from .groups import GroupMessage, Groups
from .ledger import Entry, Ledger
from .long_connection import LongConnection
from .people import People
from .player import Player
from .replies import Replies
from .sessions import Session
from .staff import Staff
from .world import World


class Actions:
    """A WeCom in this process, not listening yet. Its clock is `now`, moved by `clock_advance` and `clock_speed`."""

    def __init__(
        self, config: SandboxConfig | None = None, *, now: Callable[[], float] = time.time, seed: bool = False
    ) -> None:
        self.config = config or SandboxConfig()
        self.clock = Clock(now)
        self.changes = Changes()
        self.faults = Faults()
        self._build_kf()
        self._build_group()
        self.player = Player(self)
        if seed:
            self.seed()

    def _build_kf(self) -> None:
        self.world = World(self.config, self.now)
        self.people = People(self.world)
        self.callbacks = Callbacks(self.world, self.faults)
        self.world.on_news = self.callbacks.news
        self.world.on_change = self.changes.bump
        self.world.nameless = lambda: struck(self.faults.take(EVENT), "no_msgid") is not None

    def _build_group(self) -> None:
        self.groups = Groups(self.config, self.now, self.world.ledger, self.world.media)
        self.groups.on_change = self.changes.bump
        self.replies = Replies()
        self.line = LongConnection(self.groups, BotCommands(self.groups, self.replies), self.faults)
        self.staff = Staff(self.groups, self.replies, self.line.push)

    @property
    def callback_url(self) -> str:
        return self.callbacks.url

    @callback_url.setter
    def callback_url(self, url: str) -> None:
        self.callbacks.url = url

    @property
    def ledger(self) -> Ledger:
        return self.world.ledger

    def seed(self) -> None:
        """Plant the demo cast of seed.py."""
        seed.plant(self.people, self.groups)

    # time

    def now(self) -> float:
        return self.clock.now()

    def clock_advance(self, seconds: float) -> float:
        """Move this WeCom's clock forward; every life and limit follows. Returns the new time."""
        self.clock.advance(seconds)
        self.changes.bump()
        return self.now()

    def clock_speed(self, factor: float) -> None:
        """Let this WeCom's clock run 1 to 600 times as fast, from where it is."""
        self.clock.run(factor)
        self.changes.bump()

    # kf: what people do

    def account_new(self, open_kfid: str, name: str, servicers: dict[str, str], routing: str = "assistant") -> None:
        """`servicers`: userid → name, all receiving."""
        self.people.new_account(open_kfid, name, servicers, routing)

    def account_routing(self, open_kfid: str, routing: str) -> None:
        self.people.set_routing(open_kfid, routing)

    def customer_new(self, nickname: str, external_userid: str = "") -> str:
        return self.people.new_customer(nickname, external_userid)

    def customer_enters(self, open_kfid: str, external_userid: str, scene: str = "", scene_param: str = "") -> str:
        return self.people.enter(open_kfid, external_userid, scene, scene_param)

    def customer_writes(
        self,
        open_kfid: str,
        external_userid: str,
        text: str,
        *,
        menu_id: str = "",
        msgtype: str = "text",
        content: Mapping[str, Any] | None = None,
    ) -> str:
        """Returns the msgid. `content` is the part named by `msgtype`, for other types than text."""
        return self.people.write(open_kfid, external_userid, text, menu_id, msgtype, content)

    def customer_recalls(self, open_kfid: str, external_userid: str, msgid: str) -> None:
        self.people.recall(open_kfid, external_userid, msgid)

    def servicer_takes(self, open_kfid: str, external_userid: str, servicer: str) -> str:
        return self.people.take(open_kfid, external_userid, servicer)

    def servicer_writes(self, open_kfid: str, external_userid: str, servicer: str, text: str) -> str:
        return self.people.servicer_writes(open_kfid, external_userid, servicer, text)

    def servicer_recalls(self, open_kfid: str, external_userid: str, servicer: str, msgid: str) -> None:
        self.people.recall(open_kfid, external_userid, msgid, servicer)

    def servicer_transfers(self, open_kfid: str, external_userid: str, to: str) -> None:
        self.people.transfer(open_kfid, external_userid, to)

    def servicer_ends(self, open_kfid: str, external_userid: str) -> str:
        return self.people.end(open_kfid, external_userid)

    def servicer_status(self, open_kfid: str, servicer: str, status: int, stop_type: int = 0) -> None:
        self.people.set_status(open_kfid, servicer, status, stop_type)

    def servicer_rejects(self, open_kfid: str, external_userid: str, servicer: str, reject: bool) -> None:
        """The servicer refuses this customer's messages, or takes that back."""
        self.people.set_reject(open_kfid, external_userid, servicer, reject)

    def delivery_fails(self, open_kfid: str, external_userid: str, msgid: str, fail_type: int) -> None:
        """A message the API accepted earlier did not reach the customer (msg_send_fail)."""
        self.people.fail_delivery(open_kfid, external_userid, msgid, fail_type)

    def inject(self, open_kfid: str, item: dict[str, Any]) -> None:
        """Put any item into the account's stream: unknown types, or an event without msgid."""
        self.world.publish(open_kfid, item)

    def session_state(self, open_kfid: str, external_userid: str, state: int, servicer: str = "") -> None:
        """Put the session there silently, as another program would."""
        self.people.put(open_kfid, external_userid, state, servicer)

    def session(self, open_kfid: str, external_userid: str) -> Session:
        """The truth about one session: `.state`, `.servicer`, `.lines`, …"""
        return self.world.session(open_kfid, external_userid)

    # group: what staff do

    def group_new(self, name: str, members: dict[str, str], chatid: str = "") -> str:
        """`members`: userid → name. Returns the chatid."""
        return self.groups.new_group(name, members, chatid).chatid

    def group_message(self, chatid: str, userid: str, text: str, quote_id: str = "") -> str:
        """Returns the message's id, which is also the msgid the bot is given."""
        return self.staff.write(chatid, userid, text, quote_id)

    def tap(self, chatid: str, userid: str, message_id: str, key: str) -> None:
        self.staff.tap(chatid, userid, message_id, key)

    def group_enter(self, userid: str) -> bool:
        return self.staff.enter(userid)

    def group_messages(self, chatid: str) -> list[GroupMessage]:
        group = self.groups.find(chatid)
        return group.messages if group else []

    # trouble

    def fault(
        self,
        target: str,
        kind: str,
        *,
        errcode: int = 0,
        seconds: float = 0.0,
        times: int | None = 1,
        chance: float = 1.0,
        seed: int = 0,
    ) -> None:
        """Targets, kinds and chances: faults.py. `times` None lasts until cleared."""
        self.faults.add(Fault(target, kind, errcode, seconds, times, chance, seed))

    def clear_faults(self, target: str = "") -> None:
        self.faults.clear(target)

    def tokens_expire(self) -> None:
        self.world.access.expire()

    def tokens_revoke(self) -> None:
        self.world.access.revoke()

    # callbacks beside news

    async def callback_verify(self) -> dict[str, Any]:
        return await self.callbacks.verify()

    async def callback_foreign(self) -> None:
        await self.callbacks.foreign()

    async def callback_auth_change(self, added: Sequence[str] = (), removed: Sequence[str] = ()) -> None:
        await self.callbacks.auth_change(added, removed)

    async def callback_duplicate(self) -> None:
        await self.callbacks.duplicate()

    # looking and waiting

    def state(self) -> dict[str, Any]:
        """The snapshot of /sandbox/api/state."""
        shown = snapshot.state(self.world, self.groups, self.line.connected, self.changes.seq)
        return {**shown, "speed": self.clock.speed, "script": self.player.shown()}

    async def settled(self) -> None:
        """Until every callback and frame has been handed over (or given up)."""
        await self.callbacks.settled()
        await self.line.settled()

    async def wait_connected(self, timeout: float = 30.0) -> None:
        await self.changes.until(lambda: self.line.connected, timeout)

    @property
    def mark(self) -> int:
        """A place in the group's talk: hand it to wait_for_group_message as `after`."""
        return self.groups.count

    async def wait_for_group_message(
        self,
        predicate: Callable[[GroupMessage], object] = lambda message: True,
        timeout: float = 30.0,
        after: int = 0,
    ) -> GroupMessage:
        """The latest message of the bot or the robot that satisfies `predicate`, already there or to come."""
        return await self.changes.until(lambda: self._said(predicate, after), timeout)

    def _said(self, predicate: Callable[[GroupMessage], object], after: int) -> GroupMessage | None:
        said = (
            message
            for group in self.groups.groups.values()
            for message in takewhile(lambda message: message.n > after, reversed(group.messages))
            if message.source != "member" and predicate(message)
        )
        return next(said, None)

    async def wait_for_ledger(
        self, predicate: Callable[[Entry], object], timeout: float = 30.0, after: int = 0
    ) -> Entry:
        """The first ledger entry later than number `after` that satisfies `predicate`, there or to come."""
        return await self.changes.until(self.ledger.finder(predicate, after), timeout)

    async def wait_for_state(self, open_kfid: str, external_userid: str, state: int, timeout: float = 30.0) -> Session:
        session = self.session(open_kfid, external_userid)
        return await self.changes.until(lambda: session if session.state == state else None, timeout)
