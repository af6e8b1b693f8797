"""The HTTP side of the group: the send-only robot, and the one-shot response_url (wecom-group.md 1, 3.6)."""

import base64
import binascii
import hashlib
from collections.abc import Callable
from typing import Any

from aiohttp import web

from . import cards
from .bot_messages import shown, written
from .faults import Faults
from .fields import Body, parse, part, text
from .groups import Group, GroupMessage, Groups
from .media import image_url
from .refusals import Refused, refusal
from .replies import Replies
from .trouble import Answer, answered
from .uploading import kept, uploaded

Say = Callable[[Body, Body], object]
"""Does what one call asks, given its query and its body."""

_LIMITS = {"text": 2048, "markdown": 4096, "markdown_v2": 4096}


class GroupApi:
    def __init__(self, groups: Groups, replies: Replies, faults: Faults) -> None:
        self._groups, self._replies, self._faults = groups, replies, faults

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/cgi-bin/webhook/send", self._webhook),
            web.post("/cgi-bin/webhook/upload_media", self._upload),
            web.post("/cgi-bin/aibot/response", self._response_url),
        ]

    async def _webhook(self, request: web.Request) -> web.StreamResponse:
        return await self._serve("webhook/send", "webhook", request, self._robot_says)

    async def _response_url(self, request: web.Request) -> web.StreamResponse:
        return await self._serve("aibot/response", "response_url", request, self._bot_says)

    async def _serve(self, path: str, kind: str, request: web.Request, say: Say) -> web.StreamResponse:
        self._groups.ledger.calls[path] += 1
        raw = await request.read()
        faults = self._faults.take(path)
        return await answered(request, faults, lambda code: self._said(kind, request.query, raw, say, code))

    def _said(self, kind: str, query: Body, raw: bytes, say: Say, errcode: int) -> Answer:
        body: Body = {}
        try:
            body = parse(raw)
            if errcode:
                raise Refused(errcode)
            say(query, body)
            answer: Answer = {"errcode": 0, "errmsg": "ok"}
        except Refused as refused:
            answer = refusal(refused.errcode, refused.detail)
        self._groups.ledger.write(kind, self._groups.now(), body, answer["errcode"], {})
        self._groups.on_change()
        return answer

    def _robot_says(self, query: Body, body: Body) -> GroupMessage:
        group = self._group(query)
        if not group.webhook_minute.spend(self._groups.now()):
            raise Refused(45009)
        msgtype = text(body, "msgtype")
        return self._groups.post(group, "webhook", "webhook", msgtype, **_robot_parts(self._groups, body))

    def _group(self, query: Body) -> Group:
        group = self._groups.by_webhook(query.get("key", ""))
        if group is None:
            raise Refused(93000)
        return group

    def _bot_says(self, query: Body, body: Body) -> GroupMessage:
        """One answer within the hour; a card update is refused here (n8n-nodes-wecom issue 24)."""
        if body.get("msgtype") not in ("markdown", "template_card"):
            raise Refused(40008)
        group = self._replies.use_url(query.get("response_code", ""), self._groups.now())
        return shown(self._groups, group, body)

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        self._groups.ledger.calls["webhook/upload_media"] += 1
        faults = self._faults.take("webhook/upload_media")
        file = await uploaded(request)
        return await answered(request, faults, lambda code: self._kept(request.query, *file, code))

    def _kept(self, query: Body, filename: str, data: bytes, errcode: int) -> Answer:
        try:
            if errcode:
                raise Refused(errcode)
            self._group(query)
            return kept(self._groups.media, query.get("type", ""), filename, data, self._groups.now())
        except Refused as refused:
            return refusal(refused.errcode, refused.detail)


def _robot_parts(groups: Groups, body: Body) -> dict[str, Any]:
    """What the group shows of a robot message; 40008 for a type or card the robot may not send."""
    msgtype = text(body, "msgtype")
    if msgtype in _LIMITS:
        return {"text": written(part(body, msgtype), _LIMITS[msgtype])}
    if msgtype == "image":
        return {"image": image_url(_picture(part(body, "image")))}
    if msgtype == "news":
        return {"text": "\n".join(text(article, "title") for article in part(body, "news").get("articles", []))}
    if msgtype in ("file", "voice"):
        return {"text": groups.media.get(part(body, msgtype).get("media_id"), groups.now()).filename}
    if msgtype == "template_card" and part(body, msgtype).get("card_type") in cards.NOTICES:
        return {"card": cards.check(body["template_card"])}
    raise Refused(40008)


def _picture(image: dict[str, Any]) -> bytes:
    """2 MB at most, and its md5 must be that of the raw bytes."""
    try:
        data = base64.b64decode(text(image, "base64"), validate=True)
    except binascii.Error:
        raise Refused(40058, "base64") from None
    if len(data) > 2 << 20:
        raise Refused(40009)
    if hashlib.md5(data, usedforsecurity=False).hexdigest() != text(image, "md5").lower():
        raise Refused(40058, "md5")
    return data
