"""Codes of the web login: each good once, for five minutes. https://developer.work.weixin.qq.com/document/path/91022"""

from typing import Any

from .ids import fresh
from .refusals import Refused

CODE_LIFE = 300.0


class Logins:
    def __init__(self) -> None:
        self._issued: dict[str, tuple[str, bool, float]] = {}

    def issue(self, who: str, is_member: bool, now: float) -> str:
        while self._issued and self._issued[oldest := next(iter(self._issued))][2] <= now:
            del self._issued[oldest]
        code = fresh("L", 24)
        self._issued[code] = (who, is_member, now + CODE_LIFE)
        return code

    def redeem(self, code: str, now: float) -> dict[str, Any]:
        """40029 for one that is unknown, used or too old."""
        who, is_member, expires = self._issued.pop(code, ("", False, 0.0))
        if not who or now >= expires:
            raise Refused(40029)
        return {"userid": who} if is_member else {"openid": f"o{who}"}
