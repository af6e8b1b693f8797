"""Internal groups and single chats with the bot: members and what was said. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .cards import Card
from .config import SandboxConfig
from .ids import fresh
from .ledger import Ledger
from .limits import Quota
from .media import MediaStore

SINGLE, GROUP = 1, 2
_KEPT = 500


@dataclass(slots=True)
class GroupMessage:
    """`source` is member|bot|webhook; `n` counts the messages of all groups.

    `card_for` holds cards that an update changed for some members only.
    """

    id: str
    at: float
    source: str
    by: str
    msgtype: str
    text: str = ""
    card: Card | None = None
    image: str | None = None
    quote: dict[str, str] | None = None
    stream_id: str = ""
    card_for: dict[str, Card] = field(default_factory=dict)
    n: int = 0


@dataclass(slots=True)
class Group:
    """`opened`: somebody has spoken to the bot here, so it may push. Limits: wecom-group.md 4.6, 1.1."""

    chatid: str
    name: str
    kind: str = "group"
    members: dict[str, str] = field(default_factory=dict)
    webhook_key: str = ""
    messages: list[GroupMessage] = field(default_factory=list)
    by_id: dict[str, GroupMessage] = field(default_factory=dict)
    streams: dict[str, GroupMessage] = field(default_factory=dict)
    opened: bool = False
    minute: Quota = field(default_factory=lambda: Quota(30, 60))
    hour: Quota = field(default_factory=lambda: Quota(1000, 3600))
    webhook_minute: Quota = field(default_factory=lambda: Quota(20, 60))

    def add(self, message: GroupMessage) -> GroupMessage:
        self.messages.append(message)
        self.by_id[message.id] = message
        if len(self.messages) > 2 * _KEPT:
            for old in self.messages[:-_KEPT]:
                del self.by_id[old.id]
                self.streams.pop(old.stream_id, None)
            del self.messages[:-_KEPT]
        return message


class Groups:
    """`on_change` hears of anything that a screen would show."""

    def __init__(self, config: SandboxConfig, now: Callable[[], float], ledger: Ledger, media: MediaStore) -> None:
        self.config, self.now, self.ledger, self.media = config, now, ledger, media
        self.cards_in_groups = config.cards_in_groups
        self.groups: dict[str, Group] = {}
        self.people: dict[str, str] = {}
        self.task_ids: set[str] = set()
        self.count = 0
        self._by_webhook: dict[str, Group] = {}
        self.on_change: Callable[[], None] = lambda: None

    def new_group(self, name: str, members: dict[str, str], chatid: str = "") -> Group:
        """The first group made gets the configured webhook key, later ones a numbered one."""
        number = len(self._by_webhook)
        key = f"{self.config.webhook_key}-{number + 1}" if number else self.config.webhook_key
        chatid = chatid or fresh("wrk", 21)
        group = Group(chatid, name, members=dict(members), webhook_key=key)
        self.groups[group.chatid] = self._by_webhook[key] = group
        self.people.update(members)
        self.on_change()
        return group

    def find(self, chatid: str) -> Group | None:
        """A group by chatid, or the single chat of a known person by userid."""
        group = self.groups.get(chatid)
        if group is None and chatid in self.people:
            name = self.people[chatid]
            group = self.groups[chatid] = Group(chatid, name, "single", {chatid: name})
            self.on_change()
        return group

    def by_webhook(self, key: str) -> Group | None:
        return self._by_webhook.get(key)

    def post(self, group: Group, source: str, by: str, msgtype: str, **parts: Any) -> GroupMessage:
        self.count += 1
        message = group.add(GroupMessage(fresh(), self.now(), source, by, msgtype, n=self.count, **parts))
        self.on_change()
        return message

    def mentions_bot(self, text: str) -> bool:
        name = self.config.bot_name
        return f"@{name}" in text or f"＠{name}" in text
