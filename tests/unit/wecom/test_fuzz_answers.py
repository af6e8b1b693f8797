"""Answers of WeCom with something wrong about them, always the same: an error that is foreseen, or what can be read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import pytest
import stamina

from bot.errors import WeComError, WeComUnavailable
from bot.http import Http, decode
from bot.kf_sync import KfSync
from bot.model import Message, ServiceState, SessionKey
from bot.ports import Committed
from bot.wecom import protocol
from bot.wecom.client import KfClient
from storage.ledger import Ledger
from storage.sync_store import SyncStore
from tests.fakes import ANN, BOB, KF, FakeClock, FakeKf, FakeSleep
from tests.soak.fuzz.dice import Dice

COUNT = 300
KEY = SessionKey(KF, ANN)
Json = dict[str, Any]

ITEMS: list[Json] = [
    {"msgid": "m1", "open_kfid": KF, "external_userid": ANN, "send_time": 1_700_000_000, "origin": 3, "msgtype": "text",
     "text": {"content": "在吗", "menu_id": "1"}},
    {"msgid": "m2", "open_kfid": KF, "external_userid": BOB, "send_time": 1_700_000_001, "origin": 5,
     "msgtype": "image", "servicer_userid": "LiNa", "image": {"media_id": "x"}},
    {"msgid": "m3", "send_time": 1_700_000_002, "origin": 4, "msgtype": "event", "event": {
        "event_type": "session_status_change", "open_kfid": KF, "external_userid": ANN, "change_type": 1,
        "old_servicer_userid": "", "new_servicer_userid": "LiNa", "msg_code": "C"}},
    {"msgid": "m4", "send_time": 1_700_000_003, "origin": 4, "msgtype": "event", "event": {
        "event_type": "enter_session", "open_kfid": KF, "external_userid": BOB, "scene": "s", "welcome_code": "W"}},
    {"msgid": "m5", "send_time": 1_700_000_004, "origin": 4, "msgtype": "event", "event": {
        "event_type": "msg_send_fail", "open_kfid": KF, "external_userid": ANN, "fail_msgid": "m1", "fail_type": 4}},
    {"msgid": "m6", "send_time": 1_700_000_005, "origin": 4, "msgtype": "event", "event": {
        "event_type": "user_recall_msg", "open_kfid": KF, "external_userid": ANN, "recall_msgid": "m1"}},
]  # fmt: skip
ANSWERS: dict[str, tuple[Json, Callable[[KfClient], Awaitable[Any]]]] = {
    protocol.ACCOUNT_LIST: ({"account_list": [{"open_kfid": KF, "name": "售前", "manage_privilege": True}]},
                            lambda client: client.accounts()),
    protocol.SERVICER_LIST: ({"servicer_list": [{"userid": "LiNa", "status": 0}, {"department_id": 2}]},
                             lambda client: client.servicers(KF)),
    protocol.CUSTOMER_BATCHGET: ({"customer_list": [{"external_userid": ANN, "nickname": "小林"}]},
                                 lambda client: client.nicknames([ANN])),
    protocol.STATE_GET: ({"service_state": 3, "servicer_userid": "LiNa"}, lambda client: client.state(KEY)),
    protocol.STATE_TRANS: ({"msg_code": "C"}, lambda client: client.trans(KEY, ServiceState.ENDED)),
    protocol.SEND_MSG: ({"msgid": "m"}, lambda client: client.send(KEY, Message("hi"), "m")),
    protocol.SYNC_MSG: ({"next_cursor": "C2", "has_more": 0, "msg_list": ITEMS}, lambda client: client.sync(KF, "C1")),
    protocol.GETUSERINFO: ({"userid": "LiNa"}, lambda client: client.member("CODE")),
    protocol.GETTOKEN: ({"access_token": "T0KEN", "expires_in": 7200}, lambda client: client.check_token()),
}  # fmt: skip


class JunkyHttp:
    """`bot.http.Http`, as far as the client needs it; what it gets is what was written of a hurt answer."""

    def __init__(self, dice: Dice, junky: str) -> None:
        self._dice, self._junky = dice, junky

    async def json(self, method: str, url: str, *, endpoint: str = "", **_: Any) -> Json:
        whole = {"errcode": 0, "errmsg": "ok", **ANSWERS[endpoint][0]}
        if endpoint != self._junky:
            return whole
        answer = decode(self._dice.written(self._dice.hurt(whole)))
        if not isinstance(answer, dict):
            raise WeComUnavailable(endpoint, "an answer that is no JSON object")
        return answer


@pytest.mark.parametrize("path", ANSWERS)
async def test_a_strange_answer_is_read_or_is_an_error_of_wecoms(path: str) -> None:
    dice = Dice(path)
    with stamina.set_testing(True, attempts=1):
        for _ in range(COUNT):
            client = KfClient(cast(Http, JunkyHttp(dice, path)), "ww1", "S3CRET")
            try:
                await ANSWERS[path][1](client)
            except WeComError as told:
                assert str(told)


@pytest.fixture
async def sync(
    fake_kf: FakeKf, sync_store: SyncStore, ledger: Ledger, fake_clock: FakeClock, fake_sleep: FakeSleep
) -> AsyncIterator[KfSync]:
    async def follow(_: Committed) -> None:
        return

    async def turn() -> None:
        return

    yield (sync := KfSync(fake_kf, sync_store, fake_clock, follow, turn, keep_text=True, sleep=fake_sleep))
    await sync.stop()


async def test_whatever_items_a_page_has_the_account_goes_on(
    sync: KfSync, fake_kf: FakeKf, sync_store: SyncStore
) -> None:
    dice = Dice("pages")
    await sync.sync(KF)
    for number in range(COUNT):
        items = [dice.hurt({**each, "msgid": f"{each['msgid']}-{number}"}) for each in ITEMS]
        whole = {"next_cursor": f"C{number}", "has_more": 0, "msg_list": items}
        answer = decode(dice.written(whole))
        if not isinstance(answer, dict) or answer.get("next_cursor") != f"C{number}":
            continue
        fake_kf.pages(protocol.parse_page(answer, KF))
        await sync.sync(KF)
        [account] = [each for each in await sync_store.accounts() if each.open_kfid == KF]
        assert account.cursor == f"C{number}", items
