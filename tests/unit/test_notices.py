"""Into a chat by the best way that is left: card, markdown, webhook."""

from __future__ import annotations

import pytest

from bot.channels.connection import Lost, Unacknowledged
from bot.errors import ChannelError
from bot.model import Button, Card
from bot.notices import GRACE, TASK_ID_USED, Notices
from tests.fakes import FakeLifeline, raising
from tests.unit.conftest import AFTER, CHAT, Scene

DAY = 86400.0
CARD, TEXT = Card("", "#12 小林 等了 6 分钟", buttons=(Button("结束", "end:12"),)), "⏰ 小林 等了 6 分钟"
ADMIN = "Boss"


def texts(scene: Scene) -> list[tuple[str, str]]:
    return [(chat, text) for chat, _, text in scene.channel.sent]


async def test_a_card_goes_out_with_a_task_id_of_its_own_each_time(scene: Scene) -> None:
    notices = scene.notices()
    assert [await notices.card(CHAT, True, CARD, TEXT) for _ in range(3)] == ["card"] * 3
    ids = [card.task_id for _, _, card in scene.channel.cards]
    assert len(set(ids)) == 3 and all(0 < len(each) <= 128 for each in ids)
    assert scene.channel.cards[0][2].title == CARD.title
    assert scene.channel.sent == []


async def test_what_a_card_is_about_is_on_record_before_anybody_can_tap_it(scene: Scene) -> None:
    seen: list[str] = []

    async def tapped_at_once() -> None:
        seen.append(await scene.chats.last_card(CHAT, "12"))

    scene.channel.before("send_card", tapped_at_once)
    await scene.notices().card(CHAT, True, CARD, TEXT)
    await scene.notices().card(CHAT, True, Card("", "many", buttons=(Button("查看全部", "list:alerts"),)), TEXT)
    first, second = (card.task_id for _, _, card in scene.channel.cards)
    assert seen == [first]
    assert [await scene.chats.card_about(each) for each in (first, second, "forged")] == ["12", "alerts", ""]


async def test_a_task_id_that_is_taken_is_no_reason_to_give_up(scene: Scene) -> None:
    scene.channel.before("send_card", raising(ChannelError("task_id used", TASK_ID_USED)))
    assert await scene.notices().card(CHAT, True, CARD, TEXT) == "card"
    assert len(scene.channel.cards) == 1


# -- a chat that takes no cards


async def test_a_refused_card_becomes_markdown_and_the_chat_is_spared_for_a_day(scene: Scene) -> None:
    scene.channel.takes_cards = False
    assert await scene.notices().card(CHAT, True, CARD, TEXT) == "markdown"
    assert texts(scene) == [(CHAT, TEXT)]
    scene.channel.takes_cards = True
    scene.clock.move(DAY - 1)
    assert await scene.notices().card(CHAT, True, CARD, TEXT) == "markdown"  # another life of the bot remembers
    scene.clock.move(2)
    assert await scene.notices().card(CHAT, True, CARD, TEXT) == "card"


async def test_it_is_remembered_of_that_chat_alone(scene: Scene) -> None:
    notices = scene.notices()
    scene.channel.takes_cards = False
    await notices.card(CHAT, True, CARD, TEXT)
    scene.channel.takes_cards = True
    assert await notices.card(AFTER, True, CARD, TEXT) == "card"


async def test_a_chat_that_still_refuses_after_a_day_is_spared_for_another(scene: Scene) -> None:
    scene.channel.takes_cards = False
    notices = scene.notices()
    await notices.card(CHAT, True, CARD, TEXT)
    scene.clock.move(DAY + 1)
    await notices.card(CHAT, True, CARD, TEXT)
    scene.channel.takes_cards = True
    scene.clock.move(DAY - 1)
    assert await notices.card(CHAT, True, CARD, TEXT) == "markdown"
    assert len(texts(scene)) == 3


# -- no connection


async def test_while_the_connection_is_down_the_webhook_speaks_and_says_why(scene: Scene) -> None:
    scene.channel.problem = "down"
    notices = scene.notices(scene.lifeline)
    assert await notices.card(CHAT, True, CARD, TEXT) == "webhook"
    assert await notices.text(CHAT, True, TEXT) == "webhook"
    assert [each.splitlines() for each in scene.lifeline.sent] == [[TEXT, scene.say("alerts.lifeline")]] * 2


async def test_before_a_group_is_known_the_webhook_has_one(scene: Scene) -> None:
    assert await scene.notices(scene.lifeline).text("", True, TEXT) == "webhook"


@pytest.mark.parametrize("problem", ["", "down"])
async def test_before_a_group_is_paired_the_webhook_says_that_nobody_hears_the_commands(
    scene: Scene, problem: str
) -> None:
    scene.channel.problem = problem
    assert await scene.notices(scene.lifeline).card("", True, CARD, TEXT) == "webhook"
    assert [each.splitlines() for each in scene.lifeline.sent] == [[TEXT, scene.say("alerts.unpaired", bot="kfbot")]]


@pytest.mark.parametrize(("chat", "is_group"), [(AFTER, True), (ADMIN, False)], ids=["another group", "an admin"])
async def test_the_webhook_is_the_first_groups_and_nobody_elses(scene: Scene, chat: str, is_group: bool) -> None:
    scene.channel.problem = "down"
    with pytest.raises(ChannelError):
        await scene.notices(scene.lifeline).card(chat, is_group, CARD, TEXT)
    assert scene.lifeline.sent == []


async def test_a_connection_that_breaks_under_a_card_is_no_loss(scene: Scene) -> None:
    def breaks() -> None:
        scene.channel.problem = "down"
        raise ChannelError("connection lost")

    scene.channel.before("send_card", breaks)
    assert await scene.notices(scene.lifeline).card(CHAT, True, CARD, TEXT) == "webhook"


async def test_without_connection_and_webhook_it_certainly_did_not_arrive(scene: Scene) -> None:
    scene.channel.problem = "down"
    with pytest.raises(ChannelError) as failed:
        await scene.notices().card(CHAT, True, CARD, TEXT)
    assert not failed.value.sent


async def test_a_webhook_that_fails_too_says_so(scene: Scene) -> None:
    scene.channel.problem, scene.lifeline.problem = "down", "robot removed"
    with pytest.raises(ChannelError, match="robot removed"):
        await scene.notices(scene.lifeline).text(CHAT, True, TEXT)


async def test_a_bot_that_has_nothing_but_a_webhook_does_not_excuse_itself(scene: Scene) -> None:
    notices = Notices(None, scene.lifeline, scene.chats, scene.clock, scene.say, lambda: CHAT)
    assert await notices.card(CHAT, True, CARD, TEXT) == "webhook"
    assert scene.lifeline.sent == [TEXT]


# -- a chat that does not take it


@pytest.mark.parametrize("call", ["card", "text"])
async def test_what_the_chat_refuses_for_good_is_told_to_the_caller(scene: Scene, call: str) -> None:
    scene.channel.before("send_card", raising(ChannelError("not in that chat", 93006)))
    scene.channel.before("send", raising(ChannelError("not in that chat", 93006)))
    notices = scene.notices()
    with pytest.raises(ChannelError) as failed:
        await (notices.card(AFTER, True, CARD, TEXT) if call == "card" else notices.text(AFTER, True, TEXT))
    assert failed.value.errcode == 93006


async def test_the_webhook_helps_there_without_a_word_about_the_connection(scene: Scene) -> None:
    scene.channel.before("send_card", raising(ChannelError("too many", 45009)))
    scene.channel.before("send", raising(ChannelError("too many", 45009)))
    assert await scene.notices(scene.lifeline).card(CHAT, True, CARD, TEXT) == "webhook"
    assert scene.lifeline.sent == [TEXT]


@pytest.mark.parametrize("call", ["card", "text"])
async def test_what_goes_unacknowledged_is_not_sent_again(scene: Scene, call: str) -> None:
    lost = raising(Unacknowledged("no answer"))
    scene.channel.before("send_card", lost)
    scene.channel.before("send", lost)
    notices = scene.notices(scene.lifeline)
    sent = notices.card(CHAT, True, CARD, TEXT) if call == "card" else notices.text(CHAT, True, TEXT)
    assert await sent == {"card": "card", "text": "markdown"}[call]
    assert (scene.channel.cards, scene.channel.sent, scene.lifeline.sent) == ([], [], [])


@pytest.mark.parametrize("call", ["card", "text"])
@pytest.mark.parametrize("webhook", [True, False])
async def test_what_is_lost_with_its_connection_the_webhook_says(scene: Scene, call: str, webhook: bool) -> None:
    def breaks() -> None:
        scene.channel.problem = "down"
        raise Lost("no answer")

    scene.channel.before("send_card", breaks)
    scene.channel.before("send", breaks)
    notices = scene.notices(scene.lifeline if webhook else None)
    sent = notices.card(CHAT, True, CARD, TEXT) if call == "card" else notices.text(CHAT, True, TEXT)
    assert await sent == ("webhook" if webhook else {"card": "card", "text": "markdown"}[call])
    assert len(scene.lifeline.sent) == webhook


# -- who can be reached


@pytest.mark.parametrize(
    ("chat", "up", "webhook", "reachable"),
    [
        (CHAT, True, False, True),
        (AFTER, True, False, True),
        ("", True, False, False),
        (CHAT, False, False, False),
        (CHAT, False, True, True),
        ("", False, True, True),
        (AFTER, False, True, False),
        (AFTER, True, True, True),
    ],
)
def test_reachable(scene: Scene, chat: str, up: bool, webhook: bool, reachable: bool) -> None:
    scene.channel.problem = "" if up else "down"
    lifeline: FakeLifeline | None = scene.lifeline if webhook else None
    notices = scene.notices(lifeline)
    notices.reachable(chat)
    scene.clock.move(GRACE)
    assert notices.reachable(chat) is reachable


def test_a_connection_that_has_just_been_lost_may_come_back(scene: Scene) -> None:
    notices = scene.notices(scene.lifeline)
    for _ in range(2):
        assert notices.reachable(CHAT)
        scene.channel.problem = "down"
        assert not notices.reachable(CHAT)
        scene.clock.move(GRACE - 0.1)
        assert not notices.reachable(CHAT)
        scene.channel.problem = ""
    scene.channel.problem = "down"
    scene.clock.move(0.1)
    notices.reachable(CHAT)
    scene.clock.move(-3600)
    assert notices.reachable(CHAT)  # a clock that was set back is no reason to wait
