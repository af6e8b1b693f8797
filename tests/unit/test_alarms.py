"""What staff must know of the bot: told when it begins and when it is over, each once, also across restarts."""

from __future__ import annotations

import asyncio

import pytest

from bot.alarms import DAY, Alarms
from bot.errors import StorageError
from bot.model import HandoffStatus, SessionKey, Via
from bot.sessions import Session, customer_wrote, open_handoff
from bot.silence import FINDS, POLLS, Silence
from bot.skew import Skew
from bot.upstream import IN_A_ROW, LASTING, STATE_GET, Upstream
from tests.fakes import ANN, KF, KF2, LI, FakeLifeline, refusal
from tests.unit.conftest import AFTER, CHAT, MINUTE, Scene

POLL = 60.0


class Post:
    """The alarms of one life of the bot. `off`: seconds that our clock is ahead of WeCom's."""

    def __init__(self, scene: Scene, lifeline: FakeLifeline | None = None) -> None:
        self.scene, self.off, self.paired = scene, 0.0, CHAT
        self.upstream = Upstream(scene.clock.now)
        self.silence = Silence(POLL, scene.clock.now())
        self.alarms = Alarms(
            scene.kf, self.upstream, self.silence, Skew(self._ask, scene.clock, scene.clock.now), scene.chats,
            scene.clock, scene.notices(lifeline), scene.say, lambda: self.paired, {KF: CHAT, KF2: AFTER}.__getitem__,
            lambda account: "售前*咨询", self._read_any, self._prove,
        )  # fmt: skip
        self.broken: StorageError | None = None

    async def _prove(self) -> None:
        if self.broken is not None:
            raise self.broken

    async def _ask(self) -> float:
        return self.scene.clock.now() - self.off

    async def _read_any(self) -> None:
        await self.scene.kf.state(SessionKey(KF, ANN))

    def fail(self) -> None:
        for _ in range(IN_A_ROW):
            self.upstream.observe(STATE_GET, "unavailable", LASTING)

    def mend(self) -> None:
        self.upstream.observe(STATE_GET, "ok", 0.1)

    def unheard(self) -> None:
        """Polls find what no callback has announced."""
        for _ in range(max(POLLS, FINDS) + 1):
            self.scene.clock.move(POLL)
            self.silence.found(self.scene.clock.now())

    @property
    def said(self) -> list[str]:
        return [text for _, _, text in self.scene.channel.sent]


@pytest.fixture
def post(scene: Scene) -> Post:
    return Post(scene)


# -- WeCom is down


async def test_an_outage_is_told_once_and_its_end_once(scene: Scene, post: Post) -> None:
    await post.alarms.look()
    post.fail()
    for _ in range(5):
        await post.alarms.look()
        scene.clock.move(60)
    assert [chat for chat, _, _ in scene.channel.sent] == [CHAT]
    assert "不发会话提醒" in post.said[0]
    post.mend()
    for _ in range(3):
        await post.alarms.look()
    assert len(post.said) == 2 and "已恢复，中断约 5 分钟" in post.said[1]


async def test_two_who_look_at_the_same_time_tell_it_once(scene: Scene, post: Post) -> None:
    await post.alarms.look()
    post.fail()
    await asyncio.gather(post.alarms.look(), post.alarms.look())
    assert len(post.said) == 1
    post.mend()
    await asyncio.gather(post.alarms.look(), post.alarms.look())
    assert len(post.said) == 2


async def test_it_says_what_wecom_says(scene: Scene, post: Post) -> None:
    setattr(scene.kf, "last_error", refusal(60020))  # noqa: B010  the real client has it, the port does not
    post.fail()
    await post.alarms.look()
    assert "60020" in post.said[0]


async def test_while_it_is_down_somebody_asks_and_only_then(scene: Scene, post: Post) -> None:
    await post.alarms.look()
    assert scene.kf.names == []
    post.fail()
    scene.kf.down = refusal(-1)
    await post.alarms.look()
    await post.alarms.look()
    assert scene.kf.names == ["state", "state"]


async def test_a_new_life_of_the_bot_knows_what_was_told(scene: Scene, post: Post) -> None:
    post.fail()
    await post.alarms.look()
    again = Post(scene)
    await again.alarms.look()
    again.upstream.observe(STATE_GET, "unavailable", 0.1)
    await again.alarms.look()
    again.fail()
    await again.alarms.look()
    assert len(post.said) == 1
    again.mend()
    await again.alarms.look()
    assert len(post.said) == 2 and "已恢复" in post.said[1]


async def test_an_alarm_that_cannot_be_delivered_is_told_when_it_can(scene: Scene, post: Post) -> None:
    scene.channel.problem = "down"
    post.fail()
    await post.alarms.look()
    scene.channel.problem = ""
    await post.alarms.look()
    await post.alarms.look()
    assert len(post.said) == 1


async def test_what_was_over_before_anybody_could_be_told_is_not_told(scene: Scene, post: Post) -> None:
    scene.channel.problem = "down"
    post.fail()
    await post.alarms.look()
    post.mend()
    scene.channel.problem = ""
    await post.alarms.look()
    assert post.said == []


async def test_the_webhook_carries_alarms_too(scene: Scene) -> None:
    scene.channel.problem = "down"
    post = Post(scene, scene.lifeline)
    for _ in range(3):
        post.fail()
        await post.alarms.look()
        scene.clock.move(10)
    assert len(scene.lifeline.sent) == 1


async def test_before_a_group_is_paired_the_log_has_it(
    scene: Scene, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    post.paired = ""
    post.fail()
    await post.alarms.look()
    assert post.said == [] and "企业微信接口没有正常应答" in caplog.text


async def test_a_database_in_trouble_is_somebody_elses_alarm(
    scene: Scene, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(key: str) -> str:
        raise StorageError("disk full")

    monkeypatch.setattr(scene.chats, "recall", broken)
    post.fail()
    await post.alarms.look()


# -- callbacks do not come


async def test_missing_callbacks_are_told_with_the_time_since_the_last(scene: Scene, post: Post) -> None:
    await post.alarms.look()
    post.unheard()
    await post.alarms.look()
    await post.alarms.look()
    [text] = post.said
    assert "已有 4 分钟没有收到企业微信的回调" in text
    post.silence.callback(scene.clock.now())
    await post.alarms.look()
    assert post.said[1:] == [scene.say("alarm.callback.over")]


async def test_a_new_life_waits_for_a_callback_before_it_says_that_they_come(scene: Scene, post: Post) -> None:
    post.unheard()
    await post.alarms.look()
    again = Post(scene)
    await again.alarms.look()
    assert len(post.said) == 1
    again.silence.callback(scene.clock.now())
    await again.alarms.look()
    assert post.said[1:] == [scene.say("alarm.callback.over")]


async def test_a_bot_without_a_callback_misses_none(scene: Scene) -> None:
    post = Post(scene)
    post.alarms._silence = None
    post.unheard()
    await post.alarms.look()
    assert post.said == []


# -- clocks


async def test_a_clock_that_is_off_is_one_alarm_and_nothing_is_trusted(scene: Scene, post: Post) -> None:
    assert await post.alarms.trustworthy()
    post.off, post.scene.clock.time = 300, scene.clock.time + 3600
    assert [await post.alarms.trustworthy() for _ in range(4)] == [False] * 4
    [text] = post.said
    assert "相差 5 分钟" in text and "NTP" in text
    post.off = 0
    assert await post.alarms.trustworthy()
    assert post.said[1:] == [scene.say("alarm.clock.over")]


async def test_nothing_is_concluded_while_wecom_is_down(scene: Scene, post: Post) -> None:
    post.fail()
    assert not await post.alarms.trustworthy()
    assert post.said == []
    post.mend()
    assert await post.alarms.trustworthy()


# -- customers land with a human first


async def landed(scene: Scene, kf: str = KF, *, asked: float = 0.0) -> Session:
    """The customer wrote again after an end, and was with a servicer so many seconds later."""
    now = scene.clock.now()
    session = Session(kf, ANN, ended_at=now - 10 * MINUTE)
    customer_wrote(session, now, "还在吗", now)
    open_handoff(session, HandoffStatus.ACCEPTED, LI, now + asked, Via.STATE)
    assert session.key == SessionKey(kf, ANN)
    return session


async def test_a_console_that_sends_people_to_humans_is_told_once_a_day_and_account(scene: Scene, post: Post) -> None:
    scene.clock.time = DAY * 19_000 + 3600
    for _ in range(3):
        await post.alarms.landed([await landed(scene), await landed(scene, KF2)])
    assert [chat for chat, _, _ in scene.channel.sent] == [CHAT, AFTER]
    assert "「售前＊咨询」" in post.said[0] and "仅智能助手接待" in post.said[0]
    await Post(scene).alarms.landed([await landed(scene)])
    assert len(post.said) == 2
    scene.clock.move(DAY)
    await post.alarms.landed([await landed(scene)])
    assert len(post.said) == 3


async def test_whom_an_assistant_handed_over_did_not_land(scene: Scene, post: Post) -> None:
    await post.alarms.landed([await landed(scene, asked=30.0)])
    assert post.said == []


# -- the database


FULL = StorageError("kfbot.db: database or disk is full", "full", path="kfbot.db")


async def test_a_database_that_breaks_is_told_once_and_its_end_once(scene: Scene, post: Post) -> None:
    """Where nothing can be put on record, not even that."""
    post.broken = FULL
    for _ in range(5):
        await post.alarms.look()
        scene.clock.move(60)
    assert [chat for chat, _, _ in scene.channel.sent] == [CHAT]
    assert "数据库不可用" in post.said[0] and "kfbot.db 所在的磁盘满了" in post.said[0]
    post.broken = None
    for _ in range(3):
        await post.alarms.look()
    assert len(post.said) == 2 and "数据库已恢复，中断约 5 分钟" in post.said[1]


async def test_a_hiccup_of_the_database_is_not_told(post: Post) -> None:
    for _ in range(3):
        post.broken = FULL
        await post.alarms.look()
        post.broken = None
        await post.alarms.look()
    assert post.said == []


async def test_a_broken_database_is_told_when_the_group_can_be_reached_again(scene: Scene, post: Post) -> None:
    scene.channel.problem = "not connected"
    post.broken = FULL
    for _ in range(3):
        await post.alarms.look()
    assert post.said == []
    scene.channel.problem = ""
    for _ in range(3):
        await post.alarms.look()
    assert len(post.said) == 1
