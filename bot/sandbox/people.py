"""What customers do in WeChat, servicers in the WeCom client, and admins in the console (wecom-kf.md 3.6).

These, unlike service_state/trans, produce events. Pure; raises NotPossible for what the apps do not offer.
"""

from collections.abc import Mapping
from typing import Any

from . import captions
from .codes import Occasion
from .ids import customer_id, fresh
from .refusals import Refused
from .sessions import WINDOW, Line, Session
from .states import ENDED, HUMAN, NEW, QUEUED
from .world import RECEIVING, ROUTINGS, STOPPED, Account, Customer, NotPossible, Servicer, World


class People:
    def __init__(self, world: World) -> None:
        self.world = world

    def new_customer(self, nickname: str, external_userid: str = "") -> str:
        userid = external_userid or customer_id()
        self.world.customers[userid] = Customer(userid, nickname)
        self.world.on_change()
        return userid

    def new_account(self, open_kfid: str, name: str, servicers: dict[str, str], routing: str) -> None:
        account = Account(open_kfid, name)
        account.servicers = {userid: Servicer(userid, called) for userid, called in servicers.items()}
        self.world.accounts[open_kfid] = account
        self.world.members.update(servicers)
        self.set_routing(open_kfid, routing)

    def enter(self, open_kfid: str, external_userid: str, scene: str = "", scene_param: str = "") -> str:
        """Open the chat. Returns the welcome code, "" when WeCom gives none."""
        session = self._session(open_kfid, external_userid)
        customer = self.world.customer(external_userid)
        customer.seen_at = self.world.now()
        customer.scene, customer.scene_param = scene, scene_param
        code = self._welcome_code(session)
        fields = {"external_userid": external_userid, "scene": scene, "scene_param": scene_param}
        self.world.publish_event(open_kfid, "enter_session", {**fields, "welcome_code": code})
        self.world.touch(session)
        return code

    def _welcome_code(self, session: Session) -> str:
        now = self.world.now()
        welcomed = session.welcomed_at is not None and now - session.welcomed_at <= WINDOW
        if welcomed or session.wrote_within(now):
            return ""
        return self.world.codes.issue(Occasion.WELCOME, session, now)

    def write(
        self,
        open_kfid: str,
        external_userid: str,
        text: str,
        menu_id: str = "",
        msgtype: str = "text",
        content: Mapping[str, Any] | None = None,
    ) -> str:
        """The customer writes, or taps a menu item. Starts a session when there is none. Returns the msgid."""
        session = self._session(open_kfid, external_userid)
        session.customer_wrote(self.world.now())
        self.world.customer(external_userid).seen_at = self.world.now()
        if session.state == ENDED:
            self._begin(session)
        said = dict(content or ({"content": text} if msgtype == "text" else {"media_id": fresh("M")}))
        if menu_id:
            said["menu_id"] = menu_id
        return self._said(session, 3, "", msgtype, said, text)

    def _begin(self, session: Session) -> None:
        """A new session, put where the console's routing says; silently, as the console does."""
        session.coded.clear()
        account = self.world.account(session.open_kfid)
        servicer = account.next_receiving() if account.routing == "human" else ""
        if servicer:
            session.move(HUMAN, servicer)
        else:
            session.move(NEW if account.routing == "assistant" else QUEUED)
        self.world.say(session, captions.by_routing(session.state, self.world.name_of(servicer)))

    def _said(self, session: Session, origin: int, by: str, msgtype: str, content: dict[str, Any], text: str) -> str:
        item: dict[str, Any] = {
            "msgid": fresh(),
            "open_kfid": session.open_kfid,
            "external_userid": session.external_userid,
            "send_time": int(self.world.now()),
            "origin": origin,
            "msgtype": msgtype,
            msgtype: content,
        }
        if by:
            item["servicer_userid"] = by
        source = "servicer" if by else "customer"
        session.show(Line(item["msgid"], self.world.now(), source, by, msgtype, text or f"[{msgtype}]"))
        self.world.touch(session)
        self.world.publish(session.open_kfid, item)
        return str(item["msgid"])

    def recall(self, open_kfid: str, external_userid: str, msgid: str, servicer: str = "") -> None:
        """Take a message back; by the customer, or by the servicer when one is named."""
        self._session(open_kfid, external_userid)
        event = "servicer_recall_msg" if servicer else "user_recall_msg"
        fields = {"external_userid": external_userid, "recall_msgid": msgid, "servicer_userid": servicer}
        self.world.publish_event(open_kfid, event, fields)

    def take(self, open_kfid: str, external_userid: str, servicer: str) -> str:
        """A servicer picks the session from the pool (change_type 1). Returns the reply code."""
        session = self._session(open_kfid, external_userid)
        self._servicer(open_kfid, servicer)
        if session.state in (HUMAN, ENDED):
            raise NotPossible("the session is not waiting")
        if session.state != QUEUED:
            session.move(QUEUED)
        session.move(HUMAN, servicer)
        session.first_time(HUMAN)
        code = self.world.codes.issue(Occasion.ACCEPT, session, self.world.now())
        self._status_change(session, 1, new_servicer_userid=servicer, msg_code=code)
        return code

    def servicer_writes(self, open_kfid: str, external_userid: str, servicer: str, text: str) -> str:
        """A servicer writes; into an ended or handed-over session this takes it back first (change_type 4)."""
        session = self._session(open_kfid, external_userid)
        self._servicer(open_kfid, servicer)
        if session.state not in (HUMAN, ENDED):
            raise NotPossible("take the session first")
        if session.servicer != servicer:
            self._reopen(session, servicer)
        return self._said(session, 5, servicer, "text", {"content": text}, text)

    def _reopen(self, session: Session, servicer: str) -> None:
        if not session.wrote_within(self.world.now()):
            raise NotPossible("the customer has not written for 48 hours")
        old = session.servicer or session.last_servicer or servicer
        session.move(HUMAN, servicer)
        self._status_change(session, 4, old_servicer_userid=old, new_servicer_userid=servicer)

    def transfer(self, open_kfid: str, external_userid: str, to: str) -> None:
        session = self._human(open_kfid, external_userid)
        self._servicer(open_kfid, to)
        old = session.servicer
        session.move(HUMAN, to)
        self._status_change(session, 2, old_servicer_userid=old, new_servicer_userid=to)

    def end(self, open_kfid: str, external_userid: str) -> str:
        """The servicer ends the session (change_type 3). Returns the ending code, good for 20 s."""
        session = self._human(open_kfid, external_userid)
        old = session.servicer
        session.move(ENDED)
        code = self.world.codes.issue(Occasion.END, session, self.world.now())
        self._status_change(session, 3, old_servicer_userid=old, msg_code=code)
        return code

    def _status_change(self, session: Session, change_type: int, **fields: str) -> None:
        event = {"external_userid": session.external_userid, "change_type": change_type, **fields}
        self.world.publish_event(session.open_kfid, "session_status_change", event)
        names = [self.world.name_of(fields.get(f"{which}_servicer_userid", "")) for which in ("old", "new")]
        self.world.say(session, captions.by_servicer(change_type, *names))

    def set_status(self, open_kfid: str, servicer: str, status: int, stop_type: int = 0) -> None:
        """In servicer/list's numbers (0 receiving, 1 stopped); the event says 1 and 2 instead."""
        person = self._servicer(open_kfid, servicer)
        if status not in (RECEIVING, STOPPED):
            raise NotPossible("status is 0 or 1")
        person.status, person.stop_type = status, stop_type
        fields: dict[str, Any] = {"servicer_userid": servicer, "status": status + 1}
        if status == STOPPED:
            fields["stop_type"] = stop_type
        self.world.publish_event(open_kfid, "servicer_status_change", fields)

    def set_reject(self, open_kfid: str, external_userid: str, servicer: str, reject: bool) -> None:
        self._session(open_kfid, external_userid)
        self._servicer(open_kfid, servicer)
        fields = {
            "servicer_userid": servicer,
            "external_userid": external_userid,
            "reject_switch": int(reject),
        }
        self.world.publish_event(open_kfid, "reject_customer_msg_switch_change", fields)

    def set_routing(self, open_kfid: str, routing: str) -> None:
        if routing not in ROUTINGS:
            raise NotPossible(f"routing is one of {', '.join(ROUTINGS)}")
        self.world.account(open_kfid).routing = routing
        self.world.on_change()

    def put(self, open_kfid: str, external_userid: str, state: int, servicer: str = "") -> None:
        """Another program (or the console) puts the session there; nobody is told."""
        session = self._session(open_kfid, external_userid)
        if not NEW <= state <= ENDED or (state == HUMAN and not servicer):
            raise NotPossible("service_state is 0 to 4, and 3 needs a servicer_userid")
        if state != ENDED and not session.wrote_within(self.world.now()):
            session.customer_wrote(self.world.now())
            session.coded.clear()
        session.move(state, servicer)
        self.world.say(session, captions.by_other(state, self.world.name_of(servicer)))

    def fail_delivery(self, open_kfid: str, external_userid: str, msgid: str, fail_type: int) -> None:
        """A message the API accepted does not reach the customer after all."""
        fields = {"external_userid": external_userid, "fail_msgid": msgid, "fail_type": fail_type}
        self.world.publish_event(open_kfid, "msg_send_fail", fields)

    def _human(self, open_kfid: str, external_userid: str) -> Session:
        session = self._session(open_kfid, external_userid)
        if session.state != HUMAN:
            raise NotPossible("no servicer has the session")
        return session

    def _session(self, open_kfid: str, external_userid: str) -> Session:
        try:
            return self.world.session(open_kfid, external_userid)
        except Refused as refused:
            raise NotPossible(f"unknown {'customer' if refused.errcode == 40096 else 'account'}") from None

    def _servicer(self, open_kfid: str, userid: str) -> Servicer:
        try:
            return self.world.account(open_kfid).servicers[userid]
        except (KeyError, Refused):
            raise NotPossible(f"{userid} does not serve {open_kfid}") from None
