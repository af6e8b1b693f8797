"""The HTTP edge of the kf API: paths, access tokens, envelopes, ledger (wecom-kf.md 1-6)."""

from functools import partial

from aiohttp import web

from .faults import PAGE_KINDS, Fault, Faults
from .fields import Body, parse
from .kf_calls import CALLS, LEDGER_KINDS, Answer
from .page_faults import twisted
from .people import People
from .refusals import Refused, refusal
from .trouble import answered, as_json
from .uploading import kept, uploaded
from .world import World

_BY_QUERY = ("gettoken", "kf/servicer/list", "auth/getuserinfo")
_BY_EITHER = ("kf/account/list",)


class KfApi:
    def __init__(self, world: World, faults: Faults) -> None:
        self.world, self.faults = world, faults
        self._people = People(world)

    def routes(self) -> list[web.RouteDef]:
        calls = [web.route("*", f"/cgi-bin/{path}", partial(self._serve, path)) for path in CALLS]
        return [
            *calls,
            web.post("/cgi-bin/media/upload", self._upload),
            web.get("/cgi-bin/media/get", self._download),
        ]

    async def _serve(self, path: str, request: web.Request) -> web.StreamResponse:
        self.world.ledger.calls[path] += 1
        raw = await request.read()
        faults = self.faults.take(path)
        return await answered(request, faults, lambda code: self._answer(path, request, raw, faults, code))

    def _answer(self, path: str, request: web.Request, raw: bytes, faults: list[Fault], errcode: int) -> Answer:
        """The envelope of one call, and its ledger entry where the call changes something."""
        body: Body = {}
        try:
            body = _body(path, request, raw)
            if errcode:
                raise Refused(errcode)
            if path != "gettoken":
                self.world.access.check(request.query.get("access_token", ""), self.world.now())
            answer = {"errcode": 0, "errmsg": "ok", **self._effect(path, body, faults)}
        except Refused as refused:
            answer = refusal(refused.errcode, refused.detail, request.remote or "127.0.0.1")
        if kind := LEDGER_KINDS.get(path):
            self.world.ledger.write(kind, self.world.now(), body, answer["errcode"], answer)
            self.world.on_change()
        return answer

    def _effect(self, path: str, body: Body, faults: list[Fault]) -> Answer:
        for fault in faults:
            if fault.kind in PAGE_KINDS:
                return twisted(fault.kind, self.world, body)
        answer = CALLS[path](self.world, body)
        for fault in faults:
            if fault.kind == "fail_later":
                self._people.fail_delivery(body["open_kfid"], body["touser"], answer["msgid"], fault.errcode)
        return answer

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        """Minimal: one multipart part named `media`, any bytes."""
        self.world.ledger.calls["media/upload"] += 1
        faults = self.faults.take("media/upload")
        file = await uploaded(request)
        return await answered(request, faults, lambda code: self._kept(request.query, *file, code))

    def _kept(self, query: Body, filename: str, data: bytes, errcode: int) -> Answer:
        try:
            if errcode:
                raise Refused(errcode)
            self.world.access.check(query.get("access_token", ""), self.world.now())
            return kept(self.world.media, query.get("type", ""), filename, data, self.world.now())
        except Refused as refused:
            return refusal(refused.errcode, refused.detail)

    async def _download(self, request: web.Request) -> web.StreamResponse:
        self.world.ledger.calls["media/get"] += 1
        try:
            self.world.access.check(request.query.get("access_token", ""), self.world.now())
            media = self.world.media.get(request.query.get("media_id"), self.world.now())
        except Refused as refused:
            return as_json(refusal(refused.errcode, refused.detail))
        headers = {"Content-Disposition": f'attachment; filename="{media.filename or "media"}"'}
        return web.Response(body=media.data, content_type="application/octet-stream", headers=headers)


def _body(path: str, request: web.Request, raw: bytes) -> Body:
    """The call's fields: from the query for the GET calls, else from the JSON body; a wrong method is 40058."""
    if path in _BY_QUERY or (path in _BY_EITHER and request.method == "GET"):
        if request.method != "GET":
            raise Refused(40058, "require GET method")
        return {} if path in _BY_EITHER else request.query
    if request.method != "POST":
        raise Refused(40058, "require POST method")
    return parse(raw)
