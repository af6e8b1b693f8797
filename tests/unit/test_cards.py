"""What the group sees of a handoff: enough to decide, safe to show, the same whoever looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC
from typing import Any

import pytest

from bot import cards
from bot.cards import LISTED, SHOWN, Subject
from bot.model import Alert, Card, Handoff, HandoffStatus, OperatorType, Quiet, Rule, Watched
from bot.wecom.errcodes import meaning_of
from bot.wording import Words

T = 1_700_000_000.0  # 22:13:20 UTC
ZH, EN = Words("zh", "kfbot", meaning_of, UTC), Words("en", "kfbot", meaning_of, UTC)
CUSTOMER = "wm7lKAAnnaaaaaaaaaaaaaaaaaaaOUPw"


def a_handoff(**changes: Any) -> Handoff:
    """A customer has waited for six minutes."""
    made = Handoff(
        12, "ww1", "wk1", CUSTOMER, HandoffStatus.ACCEPTED, "LiNa",
        requested_at=T - 900, accepted_at=T - 900, waiting_since=T - 360, active_at=T - 360,
    )  # fmt: skip
    return replace(made, **changes)


def a_subject(handoff: Handoff | None = None, quiet: Quiet | None = None, **changes: Any) -> Subject:
    watched = Watched(handoff or a_handoff(), {}, quiet or Quiet())
    return Subject(watched, **{"nickname": "小林", "account": "售前咨询", "rules": [Rule.CUSTOMER_WAITING], **changes})


def an_ended(**changes: Any) -> Subject:
    values = {
        "status": HandoffStatus.COMPLETED, "completed_at": T, "ended_by": OperatorType.AGENT, "operator_id": "WuMing",
        "via": "button", "waiting_since": None,
    }  # fmt: skip
    return a_subject(a_handoff(**{**values, **changes}))


def shown(card: Card) -> str:
    return "\n".join([card.title, card.desc, card.body, *(f"{name} {value}" for name, value in card.rows)])


def keys(card: Card) -> list[str]:
    return [button.key for button in card.buttons]


# -- the alert


def test_a_card_says_who_waits_for_whom_since_when_and_what_can_be_done() -> None:
    card = cards.alert_card(ZH, a_subject(words="有人吗？", expires_at=T + 3600), T)
    assert card.title == "#12 小林 等了 6 分钟"
    for words in ("售前咨询", "客户 小林 wm7lKA…OUPw", "接待 LiNa", "「有人吗？」", "@kfbot /end 12", "自动结束 23:13"):
        assert words in shown(card)
    assert keys(card) == ["end:12", "snooze:12", "ack:12"]


def test_what_people_typed_stays_words() -> None:
    evil = "<@all> [x](http://e) **b** `c`\n# d"
    subject = a_subject(a_handoff(servicer_userid="Li<@all>"), words=evil, nickname=evil, account=evil)
    ended = an_ended(operator_id="Wu<@all>", last_text=evil)
    said = [
        shown(cards.alert_card(ZH, subject, T, note="x")),
        shown(cards.list_card(ZH, [subject], T)),
        shown(cards.progress_card(ZH, subject, "Wu<@all>", T)),
        shown(cards.final_card(ZH, ended, T)),
        cards.list_text(ZH, [subject], T),
        cards.closing_line(ZH, ended, T),
    ]
    for text in said:
        assert not any(mark in text for mark in ("<@", "[x]", "://", "**b", "`c`", "\n# d"))


def test_long_words_and_names_are_cut() -> None:
    card = cards.alert_card(ZH, a_subject(words="长" * 500, nickname="名" * 50, account="号" * 99), T)
    assert "长" * 59 + "…" in card.body and len(card.body) < 100
    assert len(card.title) < 40 and len(card.desc) == 30


@pytest.mark.parametrize(
    ("rules", "alerts", "title"),
    [
        ([Rule.HUMAN_OPEN], {}, "人工接待已 15 分钟"),
        ([Rule.CUSTOMER_WAITING, Rule.HUMAN_OPEN], {}, "等了 6 分钟"),
        ([], {Rule.HUMAN_OPEN: Alert(Rule.HUMAN_OPEN, T, 1, T, T)}, "人工接待已 15 分钟"),
        ([], {}, "人工接待已 15 分钟"),
    ],
    ids=["the one that speaks", "the gravest first", "what stands open", "nothing any more"],
)
def test_the_title_names_the_reason(rules: list[Rule], alerts: dict[Rule, Alert], title: str) -> None:
    subject = Subject(Watched(a_handoff(), alerts), "小林", "售前咨询", rules=rules)
    assert cards.alert_card(ZH, subject, T).title == f"#12 小林 {title}"


def test_the_customers_whole_wait_is_told_also_what_was_waited_in_the_queue() -> None:
    subject = a_subject(a_handoff(requested_at=T - 3600, accepted_at=T - 300, waiting_since=T - 3600))
    assert "等了 1 小时" in cards.alert_card(ZH, subject, T).title


def test_in_the_queue_nobody_serves() -> None:
    queued = a_handoff(status=HandoffStatus.PENDING, servicer_userid=None, accepted_at=None, requested_at=T - 240)
    card = cards.alert_card(ZH, a_subject(queued, rules=[Rule.QUEUE_WAITING]), T)
    assert card.title == "#12 小林 排队 4 分钟"
    assert "接待 暂无" in shown(card) and "情况 排队 4 分钟" in shown(card)


def test_silence_counts_from_the_last_word() -> None:
    silent = a_subject(a_handoff(accepted_at=T - 3600, waiting_since=None, active_at=T - 1860), rules=[Rule.HUMAN_IDLE])
    assert cards.alert_card(ZH, silent, T).title == "#12 小林 31 分钟无人发言"
    assert "情况 31 分钟无动静" in shown(cards.alert_card(ZH, silent, T))


def test_without_a_name_or_words_it_stays_readable() -> None:
    card = cards.alert_card(ZH, a_subject(nickname=""), T)
    assert card.title == "#12 等了 6 分钟"
    assert card.body == "结束可发：@kfbot /end 12"


# -- after a tap

SNOOZED = Quiet(snoozed_by="WuMing", snoozed_at=T - 5, snoozed_until=T + 600)
ACKED = Quiet(acked_by="LiNa", acked_at=T - 5)
BOTH = replace(SNOOZED, acked_by="LiNa", acked_at=T - 60)


@pytest.mark.parametrize(
    ("quiet", "acked_until", "left", "rows"),
    [
        (SNOOZED, 0.0, ["end:12", "ack:12"], ["稍后 22:23 WuMing"]),
        (ACKED, T + 900, ["end:12", "snooze:12"], ["跟进 LiNa 22:13"]),
        (BOTH, T + 900, ["end:12"], ["稍后 22:23 WuMing", "跟进 LiNa 22:12"]),
        (BOTH, T - 1, ["end:12", "ack:12"], ["稍后 22:23 WuMing"]),
        (ACKED, T, ["end:12", "snooze:12", "ack:12"], []),
        (replace(SNOOZED, snoozed_until=T), 0.0, ["end:12", "snooze:12", "ack:12"], []),
    ],
    ids=["snoozed", "acked", "both", "snoozed after an ack that is over", "ack is over", "snooze is over"],
)
def test_a_card_shows_who_takes_care_and_offers_the_rest(
    quiet: Quiet, acked_until: float, left: list[str], rows: list[str]
) -> None:
    card = cards.alert_card(ZH, a_subject(quiet=quiet), T, acked_until)
    assert keys(card) == left
    assert [f"{name} {value}" for name, value in card.rows if name in ("稍后", "跟进")] == rows


def test_a_note_takes_the_place_of_the_account_which_gets_a_row() -> None:
    card = cards.alert_card(ZH, a_subject(words="有人吗"), T, 0.0, "ChenJing 没有权限", "需要「客服」角色")
    assert (card.desc, card.body) == ("ChenJing 没有权限", "需要「客服」角色")
    assert ("账号", "售前咨询") in card.rows


def test_a_card_never_has_more_rows_than_fit() -> None:
    card = cards.alert_card(ZH, a_subject(quiet=BOTH, expires_at=T + 60), T, T + 900, "note")
    assert len(card.rows) == SHOWN
    assert [name for name, _ in card.rows] == ["客户", "账号", "接待", "情况", "稍后", "跟进"]


def test_while_an_end_is_under_way_one_can_only_ask_again() -> None:
    card = cards.progress_card(ZH, a_subject(), "WuMing", T)
    assert (card.title, card.desc) == ("⏳ 正在结束 #12 小林", "WuMing 22:13 点了结束")
    assert keys(card) == ["refresh:12"]


def test_an_ended_one_says_by_whom_how_long_and_when() -> None:
    card = cards.final_card(ZH, an_ended(), T + 60)
    assert (card.title, card.desc) == ("✅ #12 小林 已结束", "WuMing 22:13")
    for words in ("账号 售前咨询", "结束人 WuMing", "时间 22:13", "历时 15 分钟"):
        assert words in shown(card)
    assert keys(card) == ["noop:12"]


def test_of_a_refusal_nothing_of_the_handoff_is_shown() -> None:
    card = cards.refused_card(ZH, "本群没有与我配对。")
    assert shown(card).split() == ["未执行", "本群没有与我配对。"]
    assert keys(card) == ["list:alerts"]


# -- markdown


def test_markdown_has_the_commands_to_copy() -> None:
    text = cards.alert_text(ZH, a_subject(words="有人吗"), T)
    assert text.splitlines()[0] == "⏰ **小林** #12 `wm7lKA…OUPw` 等了 6 分钟"
    for words in ("售前咨询", "LiNa", "有人吗", "`@kfbot /end 12`", "`@kfbot /snooze 12 10m`", "`@kfbot /ack 12`"):
        assert words in text


# -- many


def many(count: int) -> list[Subject]:
    return [a_subject(a_handoff(id=number), nickname=f"客户{number}") for number in range(1, count + 1)]


def test_many_become_one_card_with_the_first_by_name() -> None:
    card = cards.list_card(ZH, many(9), T)
    assert (card.title, card.desc, card.body) == ("9 个会话需要处理", "售前咨询", "还有 3 个，发送 /list 查看")
    assert [name for name, _ in card.rows] == [f"#{number}" for number in range(1, 7)]
    assert card.rows[0][1] == "客户1 等了 6 分钟"
    assert keys(card) == ["list:alerts"]


def test_where_all_fit_the_card_says_how_to_end_one() -> None:
    assert cards.list_card(ZH, many(6), T).body == "结束可发：@kfbot /end 编号"


def test_accounts_are_named_once() -> None:
    subjects = [replace(each, account=name) for each, name in zip(many(3), ["售前", "售后", "售前"], strict=True)]
    assert cards.list_card(ZH, subjects, T).desc == "售前 · 售后"


@pytest.mark.parametrize(("count", "more"), [(LISTED, False), (LISTED + 5, True)])
def test_the_list_in_words_is_bounded(count: int, more: bool) -> None:
    lines = cards.list_text(ZH, many(count), T).splitlines()
    assert str(count) in lines[0]
    assert sum(line.startswith("> ") for line in lines) == LISTED
    assert ("还有 5 个，发送 /list 查看" in lines) is more


# -- the last word


@pytest.mark.parametrize(
    ("ended", "by"),
    [
        ({}, "WuMing（按钮）"),
        ({"via": "client", "operator_id": "LiNa"}, "LiNa（企业微信客户端）"),
        ({"via": "elsewhere", "operator_id": None}, "某人（没有通过机器人）"),
        ({"ended_by": OperatorType.USER, "via": "api"}, "客户本人（接口）"),
        ({"ended_by": OperatorType.SYSTEM, "via": "policy", "operator_id": "idle"}, "系统（自动规则）"),
        ({"ended_by": OperatorType.SYSTEM, "via": "expired"}, "企业微信（客户 48 小时未发消息）"),
    ],
)
def test_the_last_word_says_who_ended_it_in_whatever_way(ended: dict[str, Any], by: str) -> None:
    line = cards.closing_line(ZH, an_ended(**ended), T + 60)
    assert line == f"✅ **小林** #12 `wm7lKA…OUPw` 已结束：{by}，22:13，历时 15 分钟"


@pytest.mark.parametrize(("count", "more"), [(LISTED, False), (LISTED + 5, True)])
def test_many_last_words_are_one_message(count: int, more: bool) -> None:
    ended = [replace(an_ended(), nickname=f"客户{number}") for number in range(count)]
    lines = cards.closing_lines(ZH, ended, T).splitlines()
    assert lines[0] == f"{count} 个会话已结束："
    assert len(lines) == 1 + LISTED + more
    assert (lines[-1] == "还有 5 个") is more


# -- in English as well


@pytest.mark.parametrize(
    "make",
    [
        lambda: cards.alert_card(EN, a_subject(quiet=BOTH, words="hi", expires_at=T + 9), T, T + 9),
        lambda: cards.list_card(EN, many(9), T),
        lambda: cards.progress_card(EN, a_subject(), "WuMing", T),
        lambda: cards.final_card(EN, an_ended(), T),
        lambda: cards.refused_card(EN, "why"),
    ],
    ids=["alert", "list", "progress", "final", "refused"],
)
def test_labels_keep_the_vendors_recommended_lengths_in_both_languages(make: Callable[[], Card]) -> None:
    """https://developer.work.weixin.qq.com/document/path/101032: five characters a key, ten a button."""
    card = make()
    assert all(len(name) <= 5 for name, _ in card.rows)
    assert all(len(button.text) <= 10 for button in card.buttons)
    assert 1 <= len(card.buttons) <= 6 and len(card.rows) <= SHOWN
    assert "小林" in shown(card) or "客户1" in shown(card) or card.title == "Nothing was done"
