"""The JSON control API under /sandbox/api: people's actions, faults and the clock, for the page and for tests."""

from collections.abc import Awaitable, Callable, Mapping
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from . import fields
from .refusals import Refused
from .trouble import as_json
from .world import NotPossible

if TYPE_CHECKING:
    from .server import Sandbox

Json = dict[str, Any]
Action = Callable[["Sandbox", Json], Json | Awaitable[Json | None] | None]

_ROOT = "/sandbox/api"


def _s(body: Json, name: str, default: str | None = None) -> str:
    return fields.text(body, name) if default is None else fields.optional_text(body, name) or default


def _session(body: Json) -> tuple[str, str]:
    return _s(body, "open_kfid"), _s(body, "external_userid")


def _customer_message(sandbox: "Sandbox", body: Json) -> Json:
    msgid = sandbox.customer_writes(
        *_session(body),
        _s(body, "text", ""),
        menu_id=_s(body, "menu_id", ""),
        msgtype=_s(body, "msgtype", "text"),
        content=body.get("content"),
    )
    return {"msgid": msgid}


def _fault(sandbox: "Sandbox", body: Json) -> None:
    sandbox.fault(
        _s(body, "target"),
        _s(body, "kind"),
        errcode=fields.whole(body, "errcode", 0),
        seconds=float(body.get("seconds", 0)),
        times=None if body.get("times", 1) is None else fields.whole(body, "times", 1),
        chance=float(body.get("chance", 1)),
        seed=fields.whole(body, "seed", 0),
    )


def _routing(sandbox: "Sandbox", body: Json) -> None:
    sandbox.account_routing(_s(body, "open_kfid"), _s(body, "routing"))


def _state(sandbox: "Sandbox", body: Json) -> None:
    state = fields.whole(body, "service_state")
    sandbox.session_state(*_session(body), state, _s(body, "servicer_userid", ""))


def _status(sandbox: "Sandbox", body: Json) -> None:
    sandbox.servicer_status(
        _s(body, "open_kfid"),
        _s(body, "servicer_userid"),
        fields.whole(body, "status"),
        fields.whole(body, "stop_type", 0),
    )


def _group_message(sandbox: "Sandbox", body: Json) -> Json:
    quote = _s(body, "quote_id", "")
    return {"id": sandbox.group_message(_s(body, "chatid"), _s(body, "userid"), _s(body, "text"), quote)}


def _connection(sandbox: "Sandbox", body: Json) -> None:
    line = sandbox.line
    actions = {"drop": line.drop, "close": line.close, "half_open": line.half_open, "kick": line.kick}
    action = actions.get(_s(body, "action"))
    if action is None:
        raise NotPossible(f"action is one of {', '.join(actions)}")
    action()


async def _callback(sandbox: "Sandbox", body: Json) -> Json | None:
    if "url" in body:
        sandbox.callback_url = _s(body, "url", "")
    action = _s(body, "action")
    if action == "verify":
        return await sandbox.callback_verify()
    if action == "foreign":
        await sandbox.callback_foreign()
    elif action == "auth_change":
        await sandbox.callback_auth_change(body.get("added", ()), body.get("removed", ()))
    elif action == "duplicate":
        await sandbox.callback_duplicate()
    elif action != "url":
        raise NotPossible("action is one of verify, foreign, auth_change, duplicate, url")
    return None


def _clock(sandbox: "Sandbox", body: Json) -> Json:
    """`speed`, `advance` or both: the speed holds from now on, then the clock leaps."""
    if "speed" in body:
        sandbox.clock_speed(float(body["speed"]))
    if "advance" in body or "speed" not in body:
        sandbox.clock_advance(float(body["advance"]))
    return {"now": sandbox.now(), "speed": sandbox.clock.speed}


async def _script(sandbox: "Sandbox", body: Json) -> None:
    action = _s(body, "action")
    if action not in ("start", "stop"):
        raise NotPossible("action is one of start, stop")
    sandbox.player.start() if action == "start" else await sandbox.player.stop()


def _tokens(sandbox: "Sandbox", body: Json) -> None:
    sandbox.tokens_expire() if _s(body, "action") == "expire" else sandbox.tokens_revoke()


def _new_group(sandbox: "Sandbox", body: Json) -> Json:
    """Members: userids, or {userid, name}; a known person keeps the known name."""
    members: dict[str, str] = {}
    for member in body.get("members") or []:
        userid = str(member["userid"] if isinstance(member, dict) else member)
        known = sandbox.groups.people.get(userid, userid)
        members[userid] = str(member.get("name", known)) if isinstance(member, dict) else known
    return {"chatid": sandbox.group_new(_s(body, "name"), members)}


ACTIONS: Mapping[str, Action] = {
    "customer/new": lambda s, b: {"external_userid": s.customer_new(_s(b, "nickname"))},
    "customer/enter": lambda s, b: {"welcome_code": s.customer_enters(*_session(b), _s(b, "scene", ""))},
    "customer/message": _customer_message,
    "customer/recall": lambda s, b: s.customer_recalls(*_session(b), _s(b, "msgid")),
    "servicer/take": lambda s, b: {"msg_code": s.servicer_takes(*_session(b), _s(b, "servicer_userid"))},
    "servicer/message": lambda s, b: {
        "msgid": s.servicer_writes(*_session(b), _s(b, "servicer_userid"), _s(b, "text"))
    },
    "servicer/recall": lambda s, b: s.servicer_recalls(*_session(b), _s(b, "servicer_userid"), _s(b, "msgid")),
    "servicer/transfer": lambda s, b: s.servicer_transfers(*_session(b), _s(b, "to")),
    "servicer/end": lambda s, b: {"msg_code": s.servicer_ends(*_session(b))},
    "servicer/status": _status,
    "servicer/reject": lambda s, b: s.servicer_rejects(
        *_session(b), _s(b, "servicer_userid"), bool(b.get("reject", True))
    ),
    "account/routing": _routing,
    "session/state": _state,
    "group/message": _group_message,
    "group/tap": lambda s, b: s.tap(_s(b, "chatid"), _s(b, "userid"), _s(b, "message_id"), _s(b, "key")),
    "group/enter": lambda s, b: {"told": s.group_enter(_s(b, "userid"))},
    "group/new": _new_group,
    "faults": _fault,
    "connection": _connection,
    "callback": _callback,
    "tokens": _tokens,
    "clock": _clock,
    "script": _script,
}


class Control:
    def __init__(self, sandbox: "Sandbox") -> None:
        self._sandbox = sandbox

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(f"{_ROOT}/state", self._state),
            web.get(f"{_ROOT}/ledger", self._ledger),
            web.delete(f"{_ROOT}/faults", self._clear),
            web.post(f"{_ROOT}/{{action:.+}}", self._act),
        ]

    async def _state(self, request: web.Request) -> web.Response:
        return as_json(self._sandbox.state())

    async def _ledger(self, request: web.Request) -> web.Response:
        ledger = self._sandbox.ledger
        return as_json({"entries": ledger.entries, "calls": ledger.calls})

    async def _clear(self, request: web.Request) -> web.Response:
        self._sandbox.clear_faults(request.query.get("target", ""))
        return as_json({"ok": True})

    async def _act(self, request: web.Request) -> web.Response:
        action = ACTIONS.get(request.match_info["action"])
        if action is None:
            return as_json({"ok": False, "error": "no such action"}, 404)
        try:
            done = action(self._sandbox, fields.parse(await request.read() or b"{}"))
            answer = await done if isawaitable(done) else done
        except (NotPossible, Refused, LookupError, ValueError, TypeError) as problem:
            return as_json({"ok": False, "error": _said(problem)}, 400)
        return as_json({"ok": True, **(answer or {})})


def _said(problem: Exception) -> str:
    return problem.detail or str(problem.errcode) if isinstance(problem, Refused) else str(problem)
