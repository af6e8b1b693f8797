"""What each long-connection command does: a body in, an ack body out, or Refused. Pure (wecom-group.md 4)."""

from collections.abc import Callable, Mapping
from typing import Any

from . import cards
from .bot_messages import bounded, shown, spend
from .fields import Body, part, text, whole
from .groups import GROUP, SINGLE, Group, GroupMessage, Groups
from .refusals import Refused
from .replies import Ask, Asked, Replies
from .uploads import Uploads

AckBody = dict[str, Any]
STREAM_LIFE = 600.0


class BotCommands:
    def __init__(self, groups: Groups, replies: Replies) -> None:
        self.groups, self.replies = groups, replies
        self._uploads = Uploads(groups.media)
        self.table: Mapping[str, Callable[[str, Body], AckBody]] = {
            "aibot_respond_msg": self._respond,
            "aibot_respond_welcome_msg": self._welcome,
            "aibot_respond_update_msg": self._update,
            "aibot_send_msg": self._send,
            "aibot_upload_media_init": lambda req_id, body: self._uploads.init(body, groups.now()),
            "aibot_upload_media_chunk": lambda req_id, body: self._uploads.chunk(body, groups.now()),
            "aibot_upload_media_finish": lambda req_id, body: self._uploads.finish(body, groups.now()),
        }

    def run(self, cmd: str, req_id: str, body: Body) -> AckBody:
        act = self.table.get(cmd)
        if act is None:
            raise Refused(40058, f"unknown cmd {cmd}")
        return act(req_id, body)

    def _respond(self, req_id: str, body: Body) -> AckBody:
        ask = self.replies.find(req_id, Asked.MESSAGE, self.groups.now())
        if body.get("msgtype") == "stream":
            self._stream(ask.group, part(body, "stream"))
        else:
            shown(self.groups, ask.group, body)
        return {}

    def _stream(self, group: Group, stream: dict[str, Any]) -> None:
        """The whole text so far; the same id replaces what it showed before, for ten minutes."""
        stream_id = text(stream, "id")
        content = bounded(str(stream.get("content", "")))
        message = group.streams.get(stream_id)
        if message is None:
            spend(self.groups, group)
            group.streams[stream_id] = self._post_stream(group, stream_id, content)
            return
        if self.groups.now() - message.at > STREAM_LIFE:
            raise Refused(846608)
        message.text = content
        self.groups.on_change()

    def _post_stream(self, group: Group, stream_id: str, content: str) -> GroupMessage:
        name = self.groups.config.bot_name
        return self.groups.post(group, "bot", name, "stream", text=content, stream_id=stream_id)

    def _welcome(self, req_id: str, body: Body) -> AckBody:
        """Text or card, within 5 s of enter_chat."""
        ask = self.replies.find(req_id, Asked.ENTER, self.groups.now())
        if body.get("msgtype") == "text":
            content = text(part(body, "text"), "content")
            self.groups.post(ask.group, "bot", self.groups.config.bot_name, "text", text=content)
        elif body.get("msgtype") == "template_card":
            shown(self.groups, ask.group, body)
        else:
            raise Refused(40008)
        return {}

    def _update(self, req_id: str, body: Body) -> AckBody:
        """Change the tapped card, within 5 s of the tap; for the named members of a group, else for all."""
        ask = self.replies.find(req_id, Asked.TAP, self.groups.now())
        if body.get("response_type") != "update_template_card":
            raise Refused(40058, "response_type")
        card = cards.check(body.get("template_card"))
        if card.get("task_id") != ask.task_id or ask.message is None:
            raise Refused(42014)
        _replace(ask, ask.message, card, body.get("userids"))
        self.groups.on_change()
        return {}

    def _send(self, req_id: str, body: Body) -> AckBody:
        chatid, chat_type = text(body, "chatid"), whole(body, "chat_type", 0)
        group = self.groups.find(chatid)
        kinds = {SINGLE: ("single",), GROUP: ("group",)}.get(chat_type, ("group", "single"))
        if group is None or group.kind not in kinds or not group.opened:
            raise Refused(86001)
        shown(self.groups, group, body)
        return {}


def _replace(ask: Ask, message: GroupMessage, card: cards.Card, userids: Any) -> None:
    if userids and ask.group.kind == "group":
        message.card_for.update(dict.fromkeys(userids, card))
    else:
        message.card = card
        message.card_for.clear()
