"""An end told in words: true in each circumstance, short, in both languages."""

from __future__ import annotations

import pytest

from bot.ending import NOT_ALLOWED, EndResult, Outcome
from bot.errors import WeComError, WeComUnavailable
from bot.model import Handoff, HandoffStatus, OperatorType, ServiceState, SessionKey, StateReading, Via
from bot.replies import end_result, end_result_later
from bot.wecom.errcodes import meaning_of
from bot.wording import Words

KEY = SessionKey("wk1", "wm7lKAAnnaaaaaaaaaaaaaaaaaaaOUPw")
NOW = 1_795_000_000.0
ZH, EN = Words("zh", "kfbot", meaning_of), Words("en", "kfbot", meaning_of)
HUMAN, QUEUED = StateReading(ServiceState.HUMAN, "ZhangSan"), StateReading(ServiceState.QUEUED)
SILENT = WeComUnavailable("kf/service_state/trans", "timed out")
REFUSED = WeComError(NOT_ALLOWED, "refused", "kf/service_state/trans")


def handoff(**changes: object) -> Handoff:
    values = {
        "id": 12,
        "tenant_id": "ww",
        "open_kfid": KEY.open_kfid,
        "external_userid": KEY.external_userid,
        "status": HandoffStatus.COMPLETED,
        "servicer_userid": "ZhangSan",
        "requested_at": NOW - 3600,
        "completed_at": NOW,
        "ended_by": OperatorType.AGENT,
        "via": Via.COMMAND,
        "operator_id": "LiNa",
    }
    return Handoff(**{**values, **changes})  # type: ignore[arg-type]


def told(say: Words, outcome: Outcome, **parts: object) -> str:
    result = EndResult(outcome, KEY, **{"handoff": handoff(), "before": HUMAN, **parts})  # type: ignore[arg-type]
    return end_result(say, result, "小林", NOW)


def test_ended() -> None:
    answer = told(ZH, Outcome.ENDED, closing="sent")
    assert answer.splitlines()[0] == "✅ 已结束 **小林** #12 `wm7lKA…OUPw`，历时 1 小时。结束语已发送。"
    assert "仅智能助手接待" in answer
    first = told(EN, Outcome.ENDED, closing="sent").splitlines()[0]
    assert first == "✅ Ended **小林** #12 `wm7lKA…OUPw` after 1 h. Closing message: sent."


def test_ended_without_a_closing_message() -> None:
    assert told(ZH, Outcome.ENDED).splitlines()[0].endswith("历时 1 小时。")
    assert told(EN, Outcome.ENDED).splitlines()[0].endswith("after 1 h.")


@pytest.mark.parametrize("closing", ["sent", "failed", "expired", "unknown", "sending", "skipped"])
@pytest.mark.parametrize("say", [ZH, EN], ids=["zh", "en"])
def test_every_fate_of_the_closing_message_has_words(say: Words, closing: str) -> None:
    assert say(f"closing.{closing}") in told(say, Outcome.ENDED, closing=closing)


@pytest.mark.parametrize(
    ("changes", "zh", "en"),
    [
        ({}, "LiNa", "by LiNa"),
        ({"ended_by": OperatorType.USER, "operator_id": KEY.external_userid}, "客户本人", "by the customer"),
        ({"operator_id": None, "via": Via.ELSEWHERE}, "某人（没有通过机器人）", "by somebody, not through me"),
        ({"ended_by": OperatorType.SYSTEM, "via": Via.EXPIRED}, "企业微信（客户 48 小时未发消息）", "48 h"),
        ({"ended_by": OperatorType.SYSTEM, "via": Via.POLICY, "operator_id": "idle"}, "系统", "by the system"),
    ],
)
def test_already_ended_says_by_whom_and_when(changes: dict[str, object], zh: str, en: str) -> None:
    assert f"此前已经结束：{zh}" in told(ZH, Outcome.ALREADY, handoff=handoff(**changes))
    assert en in told(EN, Outcome.ALREADY, handoff=handoff(**changes))


def test_already_ended_with_nothing_on_record() -> None:
    assert "当前没有人工会话" in told(ZH, Outcome.ALREADY, handoff=None)


@pytest.mark.parametrize(("state", "name"), [(ServiceState.NEW, "未处理"), (ServiceState.ASSISTANT, "智能助手接待中")])
def test_without_a_human_the_state_is_named_as_it_is(state: ServiceState, name: str) -> None:
    answer = told(ZH, Outcome.NOT_HUMAN, before=StateReading(state))
    assert f"「{name}」（state={int(state)}）" in answer


def test_a_refusal_says_code_meaning_and_what_to_do() -> None:
    answer = told(ZH, Outcome.FAILED, handoff=handoff(status=HandoffStatus.ACCEPTED, completed_at=None), error=REFUSED)
    assert "仍然打开" in answer and "企业微信返回 95016" in answer and "仅智能助手接待" in answer
    assert "排队" not in answer


def test_a_refusal_in_the_queue_gives_the_nearest_advice_first() -> None:
    lines = told(ZH, Outcome.FAILED, before=QUEUED, error=REFUSED).splitlines()
    assert "先让客服接入" in lines[1] and "95016" in lines[2]


def test_without_an_answer_nothing_is_claimed_about_the_session() -> None:
    unread = told(ZH, Outcome.FAILED, before=None, error=SILENT)
    assert unread.startswith("❌ 读不到") and "没有应答" in unread and "仍然打开" not in unread
    unsure = told(ZH, Outcome.FAILED, error=SILENT)
    assert unsure.startswith("❌ 未能结束") and "仍然打开" not in unsure
    assert "-2" not in unread + unsure and "—：" not in unread + unsure


def test_an_unknown_outcome_is_said_once() -> None:
    answer = told(ZH, Outcome.UNKNOWN, error=SILENT)
    assert answer.startswith("⏳") and answer.count("没有应答") == 1
    assert "95016" in told(ZH, Outcome.UNKNOWN, error=REFUSED)


def test_where_somebody_else_is_at_it_nothing_false_is_said_of_wecom() -> None:
    assert "正在结束中" in told(ZH, Outcome.UNKNOWN) and "没有应答" not in told(ZH, Outcome.UNKNOWN)


def test_wecoms_ok_that_does_not_show() -> None:
    assert "读回仍是人工接待" in told(ZH, Outcome.FAILED, after=HUMAN)


def test_another_attempt_that_failed() -> None:
    assert "请重试" in told(ZH, Outcome.FAILED)


def test_a_late_outcome_says_what_it_is_about() -> None:
    result = EndResult(Outcome.ENDED, KEY, HUMAN, None, handoff())
    lines = end_result_later(ZH, result, "小林", NOW).splitlines()
    assert "先前请求结束 **小林** #12" in lines[0] and lines[1].startswith("✅")


def test_an_end_given_up_because_the_conversation_went_on_is_no_failure() -> None:
    open_ = handoff(status=HandoffStatus.ACCEPTED, completed_at=None)
    answer = end_result_later(ZH, EndResult(Outcome.FAILED, KEY, HUMAN, None, open_), "小林", NOW)
    assert "有了新消息" in answer and "请重试" not in answer
