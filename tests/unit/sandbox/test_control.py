"""The control API and the page: what a browser or another process can make this WeCom do."""

from typing import Any

import pytest

from bot.sandbox import Sandbox, SandboxConfig, seed, settings_for

from .conftest import KF, LI, ROOM, WM, WU, Served, StillClock

API = "/sandbox/api/"
SESSION = {"open_kfid": KF, "external_userid": WM}


async def act(served: Served, path: str, /, **body: Any) -> dict[str, Any]:
    return await served.post(API + path, body)


async def test_a_whole_conversation(served: Served) -> None:
    steps: list[tuple[str, dict[str, Any]]] = [
        ("customer/enter", SESSION),
        ("customer/message", {**SESSION, "text": "hello"}),
        ("servicer/take", {**SESSION, "servicer_userid": LI}),
        ("servicer/message", {**SESSION, "servicer_userid": LI, "text": "hi"}),
        ("servicer/transfer", {**SESSION, "to": WU}),
        ("servicer/end", SESSION),
        ("servicer/status", {"open_kfid": KF, "servicer_userid": LI, "status": 1}),
    ]
    for action, body in steps:
        assert (await act(served, action, **body))["ok"] is True, action
    kinds = [event["event_type"] for event in served.corp.events()]
    assert kinds == ["enter_session", *["session_status_change"] * 3, "servicer_status_change"]


async def test_the_state_shows_it_all(served: Served) -> None:
    await act(served, "customer/message", **SESSION, text="hello")
    await act(served, "group/message", chatid=ROOM, userid=LI, text="@kfbot hi")
    state = await served.get(API + "state")
    assert state["bot"] == {"name": "kfbot", "connected": False, "page": ""}
    assert state["accounts"][0]["servicers"][0] == {"userid": LI, "name": "李娜", "status": 0}
    assert state["customers"] == [{"external_userid": WM, "nickname": "小林"}]
    session = state["sessions"][0]
    assert (session["service_state"], session["servicer_userid"]) == (0, "")
    assert [message["from"] for message in session["messages"]] == ["system", "customer"]
    assert set(session["messages"][1]) == {"id", "at", "from", "by", "msgtype", "text", "menu"}
    message = state["groups"][0]["messages"][0]
    assert set(message) == {"id", "at", "from", "by", "msgtype", "text", "card", "image", "quote"}
    assert state["groups"][0]["kind"] == "group"


async def test_the_state_is_trimmed(served: Served) -> None:
    for number in range(60):
        customer = served.corp.customer_new(str(number))
        served.corp.customer_writes(KF, customer, "hello")
    for number in range(250):
        served.corp.customer_writes(KF, customer, str(number))
    sessions = (await served.get(API + "state"))["sessions"]
    assert len(sessions) == 50
    assert (sessions[0]["external_userid"], len(sessions[0]["messages"])) == (customer, 100)
    assert sessions[0]["messages"][-1]["text"] == "249"


async def test_a_page_is_told_of_changes(served: Served) -> None:
    async with served.http.ws_connect(served.corp.ws_url + "/sandbox/ws") as socket:
        first = await socket.receive_json(timeout=30)
        assert (first["type"], first["sessions"]) == ("state", [])
        for number in range(10):
            await act(served, "customer/message", **SESSION, text=str(number))
        while len(shown := (await socket.receive_json(timeout=30))["sessions"][0]["messages"]) < 11:
            pass
    assert shown[-1]["text"] == "9"


async def test_the_ledger_is_readable(served: Served) -> None:
    await served.token()
    assert await served.get(API + "ledger") == {"entries": [], "calls": {"gettoken": 1}}


@pytest.mark.parametrize(
    ("action", "body", "said"),
    [
        ("customer/message", {}, "missing field open_kfid"),
        ("customer/message", {**SESSION, "external_userid": "wmNobody", "text": "x"}, "unknown customer"),
        ("servicer/end", SESSION, "no servicer has the session"),
        ("account/routing", {"open_kfid": KF, "routing": "fate"}, "routing is one of"),
        ("faults", {"target": "gettoken", "kind": "flood"}, "kind is one of"),
        ("faults", {"target": "kf/sned_msg", "kind": "delay"}, "no such target"),
        ("faults", {"target": "gettoken", "kind": "delay", "chance": 5}, "chance"),
        ("group/message", {"chatid": ROOM, "userid": "Nobody", "text": "x"}, "Nobody is not in"),
        ("group/tap", {"chatid": ROOM, "userid": LI, "message_id": "m", "key": "k"}, "no such message"),
        ("clock", {}, "advance"),
        ("clock", {"advance": -1}, "only goes forward"),
        ("clock", {"advance": float("nan")}, "only goes forward"),
        ("clock", {"speed": 0}, "1 to 600"),
        ("clock", {"speed": 601}, "1 to 600"),
        ("clock", {"speed": "fast"}, "could not convert"),
        ("script", {"action": "rewind"}, "start, stop"),
        ("fly", {}, "no such action"),
    ],
)
async def test_what_cannot_be_done_is_said(served: Served, action: str, body: dict[str, Any], said: str) -> None:
    answer = await act(served, action, **body)
    assert answer["ok"] is False
    assert said in answer["error"]


async def test_faults_come_and_go(served: Served) -> None:
    await act(served, "faults", target="gettoken", kind="errcode", errcode=45009, times=None)
    for _ in range(3):
        assert (await served.get("/cgi-bin/gettoken"))["errcode"] == 45009
    async with served.http.delete(served.corp.base_url + API + "faults") as response:
        assert (await response.json()) == {"ok": True}
    assert (await served.get("/cgi-bin/gettoken"))["errcode"] == 41002


async def test_faults_may_have_a_chance(served: Served) -> None:
    chance = {"chance": 0.5, "seed": 7}
    await act(served, "faults", target="gettoken", kind="errcode", errcode=45009, times=None, **chance)
    for _ in range(40):
        await served.get("/cgi-bin/gettoken")
    assert 0 < served.corp.faults.counts["errcode 45009"] < 40


async def test_clock_and_silent_state(served: Served) -> None:
    await act(served, "session/state", **SESSION, service_state=3, servicer_userid=LI)
    assert served.corp.session(KF, WM).servicer == LI
    before = served.corp.now()
    assert (await act(served, "clock", advance=60))["now"] == before + 60


async def test_the_clock_runs_faster_and_the_page_knows(served: Served) -> None:
    corp, base = served.corp, served.corp.clock.base
    assert isinstance(base, StillClock)
    began = corp.now()
    assert await act(served, "clock", speed=60) == {"ok": True, "now": began, "speed": 60}
    base.time += 2
    assert corp.now() == began + 120
    assert await act(served, "clock", speed=1, advance=30) == {"ok": True, "now": began + 150, "speed": 1}
    state = await served.get(API + "state")
    assert (state["now"], state["speed"], state["script"]) == (began + 150, 1, None)


async def test_a_single_chat_appears_when_it_is_opened(served: Served) -> None:
    async with served.http.ws_connect(served.corp.ws_url + "/sandbox/ws") as page:
        assert len((await page.receive_json(timeout=30))["groups"]) == 1
        await act(served, "group/enter", userid=LI)
        opened = (await page.receive_json(timeout=30))["groups"][1]
    assert (opened["chatid"], opened["kind"]) == (LI, "single")


async def test_the_date_header_tells_the_time_here(served: Served) -> None:
    async with served.http.get(served.corp.base_url + "/cgi-bin/gettoken") as response:
        assert response.headers["Date"] == "Tue, 14 Nov 2023 22:13:20 GMT"


async def test_new_people_and_groups(served: Served) -> None:
    customer = (await act(served, "customer/new", nickname="新人"))["external_userid"]
    assert (customer[:2], len(customer)) == ("wm", 32)
    chatid = (await act(served, "group/new", name="二线", members=[LI, {"userid": "Zoe", "name": "佐伊"}]))["chatid"]
    assert served.corp.groups.groups[chatid].members == {LI: "李娜", "Zoe": "佐伊"}


@pytest.mark.parametrize("action", ["drop", "close", "kick", "half_open"])
async def test_trouble_on_the_line(served: Served, action: str) -> None:
    line = await served.dial()
    assert (await act(served, "connection", action=action))["ok"] is True
    if action in ("drop", "close"):
        await line.socket.receive(timeout=30)
        await served.corp.changes.until(lambda: not served.corp.line.connected)
    assert served.corp.line.connected is (action == "half_open")


async def test_the_page_and_nothing_outside_its_folder(served: Served) -> None:
    async with served.http.get(served.corp.base_url + "/") as response:
        assert response.content_type == "text/html"
    for path in ("/sandbox/static/../server.py", "/sandbox/static/%2e%2e/server.py", "/sandbox/static/none.js"):
        async with served.http.get(served.corp.base_url + path) as response:
            assert response.status == 404


async def test_the_seed_has_a_stuck_session() -> None:
    sandbox = Sandbox(seed=True)
    session = sandbox.session(seed.PRESALES, seed.STUCK)
    assert session.state == 3
    assert session.customer_at is not None
    assert 25 * 60 < sandbox.now() - session.customer_at < 27 * 60
    state = sandbox.state()
    assert (len(state["accounts"]), len(state["customers"]), len(state["groups"])) == (2, 5, 1)
    assert all(len(customer["external_userid"]) == 32 for customer in state["customers"])
    assert all(len(account["open_kfid"]) == 32 for account in state["accounts"])


def test_settings_for_the_bot() -> None:
    settings = settings_for(SandboxConfig(), "http://127.0.0.1:9000")
    assert settings["wecom"]["api_base"] == "http://127.0.0.1:9000"
    assert settings["group"]["aibot"]["url"] == "ws://127.0.0.1:9000"
    assert len(settings["callback"]["encoding_aes_key"]) == 43
