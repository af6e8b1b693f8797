"""The grey lines between messages on the page: who moved the session where. Chinese, as the people in it read."""

from .states import ENDED, HUMAN, QUEUED

_STATES = ("未处理", "智能助手接待", "待接入池", "人工接待", "已结束")


def by_api(state: int, servicer: str) -> str:
    """After service_state/trans."""
    if state == ENDED:
        return "应用通过接口结束了会话"
    return f"应用通过接口将会话转给{servicer}" if state == HUMAN else f"应用通过接口将会话转入{_STATES[state]}"


def by_other(state: int, servicer: str) -> str:
    """After another program or the console put it there."""
    return f"会话被置为{_STATES[state]}{f'（{servicer}）' if state == HUMAN else ''}"


def by_routing(state: int, servicer: str) -> str:
    """After the console's reception rule placed a new session."""
    if state == HUMAN:
        return f"新会话，按接待规则分配给{servicer}"
    return "新会话，排队中" if state == QUEUED else "新会话，智能助手接待"


def by_servicer(change_type: int, old: str, new: str) -> str:
    """For a session_status_change event, by its change_type."""
    return {
        1: f"{new} 接入了会话",
        2: f"{old} 将会话转接给 {new}",
        3: f"{old} 结束了会话",
        4: f"{new} 重新打开了会话",
    }[change_type]
