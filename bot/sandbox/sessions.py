"""One customer's session with one account: state, servicer, send window, and what the page shows of it."""

from dataclasses import dataclass, field
from typing import Any

from .states import ENDED, HUMAN

WINDOW = 48 * 3600.0
BUDGET = 5
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Line:
    """One message as a person reading over the shoulder sees it; `source` is customer|servicer|api|system."""

    id: str
    at: float
    source: str
    by: str
    msgtype: str
    text: str
    menu: dict[str, Any] | None = None


@dataclass(slots=True, eq=False)
class Session:
    """`epoch` counts state changes. `lapsed`: it ended by itself, 48 h after the customer's last message."""

    open_kfid: str
    external_userid: str
    state: int = ENDED
    servicer: str = ""
    last_servicer: str = ""
    customer_at: float | None = None
    welcomed_at: float | None = None
    budget: int = 0
    coded: set[int] = field(default_factory=set)
    epoch: int = 0
    lapsed: bool = False
    lines: list[Line] = field(default_factory=list)

    def lapse(self, now: float) -> None:
        """End silently when the customer's last message is over 48 h old; idempotent."""
        if self.state != ENDED and not self.wrote_within(now):
            self.move(ENDED)
            self.lapsed = True

    def wrote_within(self, now: float, seconds: float = WINDOW) -> bool:
        return self.customer_at is not None and now - self.customer_at <= seconds

    def move(self, state: int, servicer: str = "") -> None:
        if state != self.state:
            self.epoch += 1
            self.lapsed = False
        if self.servicer:
            self.last_servicer = self.servicer
        self.state, self.servicer = state, servicer if state == HUMAN else ""

    def first_time(self, state: int) -> bool:
        """True once per session and state: WeCom gives a reply code only the first time."""
        fresh = state not in self.coded
        self.coded.add(state)
        return fresh

    def customer_wrote(self, now: float) -> None:
        """Renew the send window: 5 messages, 48 h."""
        self.customer_at, self.budget = now, BUDGET

    def show(self, line: Line) -> None:
        self.lines.append(line)
        if len(self.lines) > 2 * _SHOWN:
            del self.lines[:-_SHOWN]
