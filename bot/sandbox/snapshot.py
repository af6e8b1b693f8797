"""The state of everything as one JSON document, for the page and for tests. Pure."""

from dataclasses import asdict
from typing import Any

from .groups import Group, GroupMessage, Groups
from .sessions import Line, Session
from .world import Account, World

SESSIONS = 50
MESSAGES = 100

Shown = dict[str, Any]


def state(world: World, groups: Groups, connected: bool, seq: int) -> Shown:
    """The latest 50 sessions and 100 messages of each; only the customers of those sessions, and the newest."""
    sessions = list(world.recent(SESSIONS))
    return {
        "now": world.now(),
        "corp_id": world.config.corp_id,
        "bot": {"name": world.config.bot_name, "connected": connected, "page": world.config.bot_page},
        "accounts": [_account(account) for account in world.accounts.values()],
        "customers": _customers(world, sessions),
        "sessions": [_session(session, world.now()) for session in sessions],
        "groups": [_group(group) for group in groups.groups.values()],
        "seq": seq,
    }


def _account(account: Account) -> Shown:
    people = account.servicers.values()
    servicers = [{"userid": who.userid, "name": who.name, "status": who.status} for who in people]
    named = {"open_kfid": account.open_kfid, "name": account.name}
    return {**named, "routing": account.routing, "servicers": servicers}


def _customers(world: World, sessions: list[Session]) -> list[Shown]:
    newest = list(world.customers)[-SESSIONS:] if len(world.customers) <= 1000 else []
    userids = dict.fromkeys([*newest, *(session.external_userid for session in sessions)])
    named = world.customers
    return [{"external_userid": userid, "nickname": named[userid].nickname} for userid in userids]


def _session(session: Session, now: float) -> Shown:
    session.lapse(now)
    return {
        "open_kfid": session.open_kfid,
        "external_userid": session.external_userid,
        "service_state": session.state,
        "servicer_userid": session.servicer,
        "messages": [_line(line) for line in session.lines[-MESSAGES:]],
    }


def _line(line: Line) -> Shown:
    shown = asdict(line)
    shown["from"] = shown.pop("source")
    return shown


def _group(group: Group) -> Shown:
    return {
        "chatid": group.chatid,
        "name": group.name,
        "kind": group.kind,
        "members": [{"userid": userid, "name": name} for userid, name in group.members.items()],
        "messages": [_message(message) for message in group.messages[-MESSAGES:]],
    }


def _message(message: GroupMessage) -> Shown:
    return {
        "id": message.id,
        "at": message.at,
        "from": message.source,
        "by": message.by,
        "msgtype": message.msgtype,
        "text": message.text,
        "card": message.card,
        "image": message.image,
        "quote": message.quote,
    }
