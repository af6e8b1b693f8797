"""The error codes WeCom answers with, and the envelope they come in (wecom-kf.md 1.2, 1.4, 7)."""

from collections.abc import Mapping
from itertools import count
from typing import Any

TEXTS: Mapping[int, str] = {
    -1: "system busy",
    40001: "invalid credential",
    40007: "invalid media_id",
    40008: "invalid message type",
    40009: "invalid media size",
    40013: "invalid corpid",
    40014: "invalid access_token",
    40029: "invalid code",
    40058: "invalid Request Parameter",
    40091: "secret is invalid",
    40096: "invalid external userid",
    41001: "access_token missing",
    41002: "corpid missing",
    41004: "corpsecret missing",
    42001: "access_token expired",
    42014: "invalid template_card task_id",
    44004: "empty content",
    45002: "content size out of limit",
    45009: "api freq out of limit",
    45033: "concurrent calls out of limit",
    48002: "api forbidden",
    48007: "api forbidden for no kfid privilege",
    60020: "not allow to access from your ip",
    86001: "invalid chatid",
    93000: "invalid webhook url",
    95000: "invalid open_kfid",
    95001: "send msg count limit",
    95002: "send msg time limit",
    95004: "open_kfid not exist",
    95007: "invalid msg token",
    95008: "menu item count limit",
    95009: "invalid menu item type",
    95013: "conversation end",
    95014: "user is not a servicer",
    95016: "not allow transition state",
    95017: "api disabled",
    95018: "send msg session status invalid",
    95019: "servicer is stopped",
    846604: "reply window closed",
    846605: "invalid req_id",
    846608: "stream message expired",
    846609: "not subscribed",
    853000: "invalid bot_id or secret",
}

_HINTS = count(1_700_000_000_000_000_000)


class Refused(Exception):
    """WeCom says no: carries the errcode, and a detail that goes into errmsg."""

    def __init__(self, errcode: int, detail: str = "") -> None:
        super().__init__(errcode, detail)
        self.errcode = errcode
        self.detail = detail


def errmsg(errcode: int, detail: str = "") -> str:
    """The short text, without the tail; program on the number only."""
    text = TEXTS.get(errcode, "error")
    return f"{text}: {detail}" if detail else text


def refusal(errcode: int, detail: str = "", ip: str = "127.0.0.1") -> dict[str, Any]:
    """The HTTP answer of a refused call, with the tail the live service adds."""
    tail = (
        f", hint: [{next(_HINTS)}], from ip: {ip}, "
        f"more info at https://open.work.weixin.qq.com/devtool/query?e={errcode}"
    )
    return {"errcode": errcode, "errmsg": errmsg(errcode, detail) + tail}
