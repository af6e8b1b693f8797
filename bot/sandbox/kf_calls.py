"""What each kf call means: a body in, an answer out, or Refused. Pure; the HTTP edge is kf_api.py."""

from collections.abc import Callable, Mapping
from typing import Any

from . import captions, outgoing
from .codes import Occasion
from .fields import Body, optional_text, own_msgid, text, whole
from .ids import fresh
from .refusals import Refused
from .sessions import Line, Session
from .states import ASSISTANT, ENDED, HUMAN, MAY_SEND, NEW, QUEUED, refusal_of
from .stream import Page
from .world import STOPPED, Account, Customer, World

Answer = dict[str, Any]
Call = Callable[[World, Body], Answer]

DUPLICATE_MSGID = 40058
"""A msgid used before in the account is refused; the live number is UNVERIFIED."""


def get_token(world: World, query: Body) -> Answer:
    if not query.get("corpid"):
        raise Refused(41002)
    secret = query.get("corpsecret")
    if not secret:
        raise Refused(41004)
    if query["corpid"] != world.config.corp_id:
        raise Refused(40013)
    if not str(secret).replace("-", "").replace("_", "").isalnum():
        raise Refused(40091)
    if secret != world.config.secret:
        raise Refused(40001)
    return {"access_token": world.access.issue(world.now()), "expires_in": int(world.config.token_ttl)}


def account_list(world: World, body: Body) -> Answer:
    offset, limit = whole(body, "offset", 0), whole(body, "limit", 100)
    if offset < 0 or not 1 <= limit <= 100:
        raise Refused(40058, "invalid limit")
    accounts = list(world.accounts.values())[offset : offset + limit]
    return {"account_list": [_account_row(account) for account in accounts]}


def _account_row(account: Account) -> Answer:
    return {
        "open_kfid": account.open_kfid,
        "name": account.name,
        "avatar": "https://wwcdn.weixin.qq.com/node/wework/images/kf_head_image_url.png",
        "manage_privilege": True,
    }


def servicer_list(world: World, query: Body) -> Answer:
    rows = []
    for person in world.account(text(query, "open_kfid")).servicers.values():
        row: Answer = {"userid": person.userid, "status": person.status}
        if person.status == STOPPED:
            row["stop_type"] = person.stop_type
        rows.append(row)
    return {"servicer_list": rows}


def get_user_info(world: World, query: Body) -> Answer:
    """Who has come back from the login with this code; a customer has no userid here."""
    return world.logins.redeem(text(query, "code"), world.now())


def customer_batchget(world: World, body: Body) -> Answer:
    """Only customers seen within 48 h are told about; the others come back as invalid (2025-11 text)."""
    wanted = body.get("external_userid_list")
    if not isinstance(wanted, list) or not 1 <= len(wanted) <= 100:
        raise Refused(40058, "external_userid_list")
    context = whole(body, "need_enter_session_context", 0) == 1
    known = [world.customers.get(userid) for userid in wanted]
    told = [customer for customer in known if customer and world.seen_lately(customer)]
    shown = {customer.external_userid for customer in told}
    return {
        "customer_list": [_customer_row(customer, context) for customer in told],
        "invalid_external_userid": [userid for userid in wanted if userid not in shown],
    }


def _customer_row(customer: Customer, context: bool) -> Answer:
    row: Answer = {
        "external_userid": customer.external_userid,
        "nickname": customer.nickname,
        "avatar": "http://wx.qlogo.cn/mmopen/sandbox/0",
        "gender": 0,
    }
    if context and customer.scene:
        row["enter_session_context"] = {"scene": customer.scene, "scene_param": customer.scene_param}
    return row


def service_state_get(world: World, body: Body) -> Answer:
    session = _session(world, body)
    answer: Answer = {"service_state": session.state}
    if session.state == HUMAN:
        answer["servicer_userid"] = session.servicer
    return answer


def service_state_trans(world: World, body: Body) -> Answer:
    """Answers the reply or ending code where WeCom gives one; makes no event."""
    session = _session(world, body)
    target = whole(body, "service_state")
    servicer = optional_text(body, "servicer_userid")
    if not NEW <= target <= ENDED or (target == HUMAN and not servicer):
        raise Refused(40058, "service_state or servicer_userid")
    if refused := refusal_of(session.state, target):
        raise Refused(refused)
    _check_servicer(world.account(session.open_kfid), servicer, target)
    session.move(target, servicer)
    world.say(session, captions.by_api(target, world.name_of(servicer)))
    return _reply_code(world, session)


def _session(world: World, body: Body) -> Session:
    return world.session(text(body, "open_kfid"), text(body, "external_userid"))


def _check_servicer(account: Account, userid: str, target: int) -> None:
    if not userid:
        return
    person = account.servicers.get(userid)
    if person is None:
        raise Refused(95014)
    if target == HUMAN and person.status == STOPPED:
        raise Refused(95019)


def _reply_code(world: World, session: Session) -> Answer:
    occasions = {QUEUED: Occasion.POOL, HUMAN: Occasion.ACCEPT, ENDED: Occasion.END}
    occasion = occasions.get(session.state)
    if occasion is None or (session.state != ENDED and not session.first_time(session.state)):
        return {}
    return {"msg_code": world.codes.issue(occasion, session, world.now())}


def sync_msg(world: World, body: Body) -> Answer:
    page = sync_page(world, body)
    return {"next_cursor": page.cursor, "has_more": int(page.more), "msg_list": page.items}


def sync_page(world: World, body: Body) -> Page:
    """One page for a good token; without a token only some calls a minute are let through."""
    account = world.account(text(body, "open_kfid"))
    limit = whole(body, "limit", 1000) or 1000
    if not 1 <= limit <= 1000 or whole(body, "voice_format", 0) not in (0, 1):
        raise Refused(40058, "limit or voice_format")
    cursor = optional_text(body, "cursor", 64)
    if token := optional_text(body, "token", 128):
        world.sync_tokens.check(token, account.open_kfid, world.now())
    elif not world.token_less.spend(world.now()):
        raise Refused(45009)
    return account.stream.page(cursor, min(limit, world.config.page_limit), world.now())


def send_msg(world: World, body: Body) -> Answer:
    msgid = own_msgid(body)
    session = world.session(text(body, "open_kfid"), text(body, "touser"))
    msgtype, content = outgoing.check(body, lambda media_id: world.media.get(media_id, world.now()))
    account = world.account(session.open_kfid)
    _check_window(session)
    if msgid in account.msgids:
        raise Refused(DUPLICATE_MSGID, "duplicate msgid")
    session.budget -= 1
    if session.state == NEW:
        session.move(ASSISTANT)
    return _sent(world, session, msgid, msgtype, content)


def _check_window(session: Session) -> None:
    if session.lapsed:
        raise Refused(95002)
    if session.state not in MAY_SEND:
        raise Refused(95018)
    if session.budget <= 0:
        raise Refused(95001)


def send_msg_on_event(world: World, body: Body) -> Answer:
    """One message for one code; a refused message leaves the code unused."""
    msgid = own_msgid(body)
    code = text(body, "code")
    ticket = world.codes.find(code, world.now())
    msgtype, content = outgoing.check(body, lambda media_id: None)
    if msgtype not in ticket.occasion.msgtypes:
        raise Refused(40008)
    if msgid in world.account(ticket.session.open_kfid).msgids:
        raise Refused(DUPLICATE_MSGID, "duplicate msgid")
    world.codes.use(code, ticket)
    if ticket.occasion is Occasion.WELCOME:
        ticket.session.welcomed_at = world.now()
    return _sent(world, ticket.session, msgid, msgtype, content)


def _sent(world: World, session: Session, msgid: str, msgtype: str, content: dict[str, Any]) -> Answer:
    """Shown to the customer, but never in the stream: sync_msg does not return what the API sent."""
    msgid = msgid or fresh()
    world.account(session.open_kfid).msgids.add(msgid)
    menu = outgoing.menu_shown(content) if msgtype == "msgmenu" else None
    words = outgoing.as_read(msgtype, content)
    session.show(Line(msgid, world.now(), "api", "", msgtype, words, menu))
    world.touch(session)
    return {"msgid": msgid}


CALLS: Mapping[str, Call] = {
    "gettoken": get_token,
    "auth/getuserinfo": get_user_info,
    "kf/account/list": account_list,
    "kf/servicer/list": servicer_list,
    "kf/customer/batchget": customer_batchget,
    "kf/service_state/get": service_state_get,
    "kf/service_state/trans": service_state_trans,
    "kf/sync_msg": sync_msg,
    "kf/send_msg": send_msg,
    "kf/send_msg_on_event": send_msg_on_event,
}

LEDGER_KINDS = {
    "kf/service_state/trans": "trans",
    "kf/send_msg": "send_msg",
    "kf/send_msg_on_event": "send_msg_on_event",
}
