"""/parked and /replay"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from bot.http import Http
from bot.kf_sync import KfSync
from bot.model import SyncPage
from bot.outbox import Webhooks
from bot.parked import Parked
from bot.ports import Committed
from bot.settings import OutgoingWebhook
from bot.wecom.protocol import parse_page
from commands.parked import SHOWN
from storage.outbox import Outbox
from storage.parked_ends import ParkedEnds
from storage.sync_store import SyncStore
from tests.receiver import Receiver, receiving
from tests.unit.commands.conftest import AFTER, ANN, BOB, KF, KF2, Room, a_room

READABLE = {"msgid": "p1", "send_time": 1, "origin": 3, "msgtype": "text", "external_userid": ANN, "text": {}}


class Post:
    """A room whose bot has a webhook, and what that receives."""

    def __init__(self, room: Room, receiver: Receiver, http: Http) -> None:
        self.room, self.receiver = room, receiver
        hook = OutgoingWebhook(url=receiver.url, secret=SecretStr("s"), events=["handoff.accepted"])
        self.outbox, self.store = Outbox(room.database), SyncStore(room.database, "wwcorp")
        self.webhooks = Webhooks(self.outbox, http.post, room.clock, [hook])
        sync = KfSync(room.kf, self.store, room.clock, self._follow, self._turn, keep_text=True)
        room.dispatch.parked = Parked(
            self.outbox, self.store, ParkedEnds(room.database), self.webhooks, sync, room.clock, parse_page
        )

    async def _follow(self, committed: Committed) -> None: ...

    async def _turn(self) -> None: ...

    async def send(self) -> None:
        await self.webhooks.look()
        await self.webhooks.idle()

    async def park(self, *raw: Any, kf: str = KF, why: str = "no msgtype") -> None:
        broken = [(each, why) for each in raw]
        await self.store.commit(kf, SyncPage([], "", False, broken), lambda loaded, items: None, self.room.clock.time)

    async def refuse(self, *customers: str, kf: str = KF) -> None:
        """The webhook wants no more of what has just begun."""
        self.receiver.status = 410
        for customer in customers:
            await self.room.open(customer, kf)
        await self.send()
        self.receiver.status = 200


@pytest.fixture
async def post(room: Room) -> AsyncIterator[Post]:
    async with receiving() as receiver, Http() as http:
        made = Post(room, receiver, http)
        await made.webhooks.open()
        yield made


@pytest.fixture
async def two(two_groups: Room) -> AsyncIterator[Post]:
    async with receiving() as receiver, Http() as http:
        made = Post(two_groups, receiver, http)
        await made.webhooks.open()
        yield made


def boss(post: Post, text: str, **values: Any) -> Any:
    return post.room.ask(text, "Boss", **values)


async def test_nothing_is_parked(post: Post) -> None:
    assert await boss(post, "/parked") == await boss(post, "/积压") == await boss(post, "/replay all") == "没有积压。"


async def test_only_admins(post: Post) -> None:
    for text in ("/parked", "/replay 1", "/replay all"):
        assert "需要「管理员」角色" in await post.room.ask(text)


async def test_both_kinds_with_why(post: Post) -> None:
    await post.refuse(ANN)
    await post.park({"msgid": "p1"}, why="send_time is '<@all>'")
    at = post.room.dispatch.say.when(post.room.clock.time, post.room.clock.time)
    assert (await boss(post, "/parked")).splitlines() == [
        "**没能送达的事件** 1 个：",
        f"> `1` · 127.0.0.1 · accepted · #1 `wm7lKA…OUPw` · {at} 放弃，试了 1 次：HTTP 410",
        "**没能读懂的消息** 1 条：",
        f"> {KF} · 刚刚 · send＿time is '＜＠all＞'",
        "对方恢复后重发：`/replay 1`，或 `/replay all` 全部重来",
    ]
    assert "S3CRETKEY" not in await boss(post, "/parked")


async def test_many_are_cut(post: Post) -> None:
    await post.refuse(*(f"wmEach{number:026}" for number in range(SHOWN + 3)))
    await post.park(*({"msgid": f"p{number}"} for number in range(SHOWN + 2)))
    lines = (await boss(post, "/parked")).splitlines()
    assert [line for line in lines if line.startswith("还有")] == ["还有 3 个", "还有 2 个"]
    assert len(lines) == 2 * SHOWN + 5


async def test_items_alone(post: Post) -> None:
    await post.park({"msgid": "p1"})
    assert (await boss(post, "/parked")).splitlines()[-1] == "升级后可以再读一次：`/replay all`"


async def test_one_is_sent_again(post: Post) -> None:
    await post.refuse(ANN, BOB)
    assert await boss(post, "/replay 2") == "🔄 1 个事件重新发送中"
    await post.send()
    assert post.receiver.story == [(2, "accepted")]
    assert "没能送达的事件** 1 个" in await boss(post, "/parked")


async def test_all_are_sent_again_and_read_again(post: Post) -> None:
    await post.refuse(ANN, BOB)
    await post.park(READABLE, {"msgid": "p2"})
    assert (await boss(post, "/replay 全部")).splitlines() == [
        "🔄 2 个事件重新发送中",
        "✅ 1 条消息现在能读懂了，已补上",
        "⚠️ 1 条消息仍然读不懂",
    ]
    await post.send()
    assert sorted(post.receiver.story) == [(1, "accepted"), (2, "accepted")]
    assert (await boss(post, "/parked")).startswith("**没能读懂的消息** 1 条")


@pytest.mark.parametrize("word", ["7", "#7", "99999999999999999999", "abc", "-1", "²"])
async def test_what_is_no_dead_event(post: Post, word: str) -> None:
    await post.refuse(ANN)
    answer = await boss(post, f"/replay {word}")
    if word.strip("#") == "7":
        assert answer == "没有编号为 7 的未送达事件，见 /parked"
    else:
        assert "不是有效的数字" in answer
    assert await post.outbox.due(9e12) == []


async def test_a_webhook_that_is_no_more_cannot_be_sent_to(post: Post, room: Room) -> None:
    await post.refuse(ANN)
    await Outbox(room.database).open({}, room.clock.time)
    assert "已不在 settings.yaml 里" in await boss(post, "/replay 1")


async def test_admins_see_those_of_all_groups(two: Post) -> None:
    await two.refuse(ANN, kf=KF)
    await two.refuse(BOB, kf=KF2)
    await two.park({"msgid": "p1"}, kf=KF)
    await two.park({"msgid": "p2"}, kf=KF2)
    everything = await boss(two, "/parked", single=True)
    assert "没能送达的事件** 2 个" in everything and "没能读懂的消息** 2 条" in everything
    assert await boss(two, "/parked") == await boss(two, "/parked", chat=AFTER) == everything


async def test_english(tmp_path: Any) -> None:
    async with a_room(tmp_path / "kfbot.db", "en") as room, receiving() as receiver, Http() as http:
        post = Post(room, receiver, http)
        await post.webhooks.open()
        await post.refuse(ANN)
        answer = await boss(post, "/parked")
        assert answer.startswith("**Events not delivered**, 1:\n> `1` · 127.0.0.1 · accepted · #1 ")
        assert answer.endswith("everything: `/replay all`")
        assert await boss(post, "/replay #1") == "🔄 1 events are on their way again"


async def test_ends_that_wecom_does_not_let_be_settled(post: Post) -> None:
    room = post.room
    handoff = await room.open()
    asked = "INSERT INTO endings (handoff_id, open_kfid, external_userid, operator_type, operator_id, via, reason,"
    asked += (
        " state, requested_at, attempts, lease_until, errcode) VALUES (?,?,?,'AGENT','LiNa','command','',?,?,1,?,95004)"
    )
    values = (handoff.id, KF, ANN, "parked", room.clock.time - 60, 9e9)
    await room.database.write(lambda db: db.execute(asked, values))
    told = await boss(post, "/parked")
    assert "没能结束的会话" in told and f"#{handoff.id}" in told and "LiNa" in told and "95004" in told
    assert "1 个没能结束的会话" in await boss(post, "/replay all")
    assert [each.ending.handoff_id for each in await room.ledger.due_endings(room.clock.time)] == [handoff.id]
