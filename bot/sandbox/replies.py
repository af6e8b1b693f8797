"""Which callback a reply answers: req_ids and response_urls, and how long each is good for. Pure."""

from dataclasses import dataclass
from enum import Enum

from .groups import Group, GroupMessage
from .ids import fresh
from .refusals import Refused

REPLY_LIFE = 24 * 3600.0
QUICK_LIFE = 5.0
URL_LIFE = 3600.0


class Asked(Enum):
    """The kind of callback, and so what may be said with its req_id."""

    MESSAGE = "message"
    TAP = "tap"
    ENTER = "enter"


@dataclass(frozen=True, slots=True)
class Ask:
    kind: Asked
    group: Group
    at: float
    message: GroupMessage | None = None
    task_id: str = ""


class Replies:
    """846605 for a req_id that was never given out or is of the wrong kind, 846604 when it is too late."""

    def __init__(self) -> None:
        self._asks: dict[str, Ask] = {}
        self._urls: dict[str, tuple[Group, float]] = {}

    def opened(self, req_id: str, ask: Ask) -> None:
        self._forget(ask.at)
        self._asks[req_id] = ask

    def find(self, req_id: str, kind: Asked, now: float) -> Ask:
        ask = self._asks.get(req_id)
        if ask is None or ask.kind is not kind:
            raise Refused(846605)
        if now - ask.at > (REPLY_LIFE if kind is Asked.MESSAGE else QUICK_LIFE):
            raise Refused(846604)
        return ask

    def open_url(self, group: Group, now: float) -> str:
        """A response_code for one answer within the hour."""
        code = fresh("RC", 24)
        self._urls[code] = (group, now)
        return code

    def use_url(self, code: str, now: float) -> Group:
        group, at = self._urls.get(code, (None, 0.0))
        if group is None or now - at > URL_LIFE:
            raise Refused(846605, "response_code")
        del self._urls[code]
        return group

    def _forget(self, now: float) -> None:
        """Drop what is too old to matter; twice the life, so that late replies are told they are late."""
        while self._asks and now - self._asks[oldest := next(iter(self._asks))].at > 2 * REPLY_LIFE:
            del self._asks[oldest]
        while self._urls and now - self._urls[code := next(iter(self._urls))][1] > 2 * URL_LIFE:
            del self._urls[code]
