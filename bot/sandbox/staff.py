"""What staff do in the group: write, quote, tap buttons, open the bot's chat. Pure, but for the push handed in."""

from collections.abc import Callable

from . import callback_frames, cards
from .callback_frames import Frame
from .groups import Group, GroupMessage, Groups
from .replies import Ask, Asked, Replies
from .world import NotPossible

_DAY = 86_400.0


class Staff:
    """`push` sends a callback to whatever bot is subscribed; `base_url` is where response_url points."""

    def __init__(self, groups: Groups, replies: Replies, push: Callable[[Frame], bool]) -> None:
        self.groups, self.replies, self._push = groups, replies, push
        self.base_url = ""
        self._entered: dict[str, float] = {}

    def write(self, chatid: str, userid: str, text: str, quote_id: str = "") -> str:
        """Say something; the bot hears it when it is mentioned, and always in a single chat. Returns the id."""
        group = self._member(chatid, userid)
        quoted = self._message(group, quote_id) if quote_id else None
        shown = {"id": quoted.id, "text": _first_words(quoted)} if quoted else None
        said = self.groups.post(group, "member", userid, "text", text=text, quote=shown)
        if group.kind == "single" or self.groups.mentions_bot(text):
            group.opened = True
            config, url = self.groups.config, self._response_url(group)
            frame = callback_frames.message(config, group, said, quoted, url)
            self._ask(frame, Ask(Asked.MESSAGE, group, self.groups.now(), said))
        return said.id

    def tap(self, chatid: str, userid: str, message_id: str, key: str) -> None:
        """Press a button on a card. Sent once; the bot has 5 s to change the card."""
        group = self._member(chatid, userid)
        message = self._message(group, message_id)
        card = message.card_for.get(userid, message.card)
        if card is None or not cards.has_key(card, key):
            raise NotPossible("there is no such button")
        task_id = card.get("task_id", "")
        detail = {"card_type": card["card_type"], "event_key": key, "task_id": task_id}
        now = self.groups.now()
        frame = callback_frames.event(
            self.groups.config, now, "template_card_event", group, userid, self._response_url(group), **detail
        )
        self._ask(frame, Ask(Asked.TAP, group, now, message, task_id))

    def enter(self, userid: str) -> bool:
        """Open the single chat with the bot; the bot is told of the first time in a day only."""
        group = self._member(userid, userid)
        now = self.groups.now()
        if now - self._entered.get(userid, float("-inf")) < _DAY:
            return False
        self._entered[userid] = now
        frame = callback_frames.event(self.groups.config, now, "enter_chat", group, userid)
        self._ask(frame, Ask(Asked.ENTER, group, now))
        return True

    def _ask(self, frame: Frame, ask: Ask) -> None:
        self.replies.opened(frame["headers"]["req_id"], ask)
        self._push(frame)

    def _response_url(self, group: Group) -> str:
        code = self.replies.open_url(group, self.groups.now())
        return f"{self.base_url}/cgi-bin/aibot/response?response_code={code}"

    def _member(self, chatid: str, userid: str) -> Group:
        group = self.groups.find(chatid)
        if group is None or userid not in group.members:
            raise NotPossible(f"{userid} is not in {chatid}")
        return group

    @staticmethod
    def _message(group: Group, message_id: str) -> GroupMessage:
        message = group.by_id.get(message_id)
        if message is None:
            raise NotPossible("there is no such message")
        return message


def _first_words(message: GroupMessage) -> str:
    text = cards.words(message.card) if message.card else message.text
    return text.split("\n", 1)[0]
