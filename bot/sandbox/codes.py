"""Single-use tickets for send_msg_on_event (wecom-kf.md 5.3)."""

from dataclasses import dataclass
from enum import Enum

from .ids import fresh
from .refusals import Refused
from .sessions import Session

INVALID_CODE = 40058
"""A used, expired or unknown code: the live number is UNVERIFIED."""


class Occasion(Enum):
    """What a code was given for; `life` in seconds, and the message types it may carry."""

    WELCOME = "welcome"
    POOL = "pool"
    ACCEPT = "accept"
    END = "end"

    @property
    def life(self) -> float:
        return 20.0 if self in (Occasion.WELCOME, Occasion.END) else 48 * 3600.0

    @property
    def msgtypes(self) -> tuple[str, ...]:
        return ("text", "msgmenu") if self in (Occasion.WELCOME, Occasion.END) else ("text",)


@dataclass(frozen=True, slots=True)
class Ticket:
    occasion: Occasion
    session: Session
    epoch: int
    expires: float


class Codes:
    def __init__(self) -> None:
        self._open: dict[Occasion, dict[str, Ticket]] = {occasion: {} for occasion in Occasion}

    def issue(self, occasion: Occasion, session: Session, now: float) -> str:
        """A fresh code, good while the session stays as it is now (the welcome: whatever happens)."""
        tickets = self._open[occasion]
        self._forget(tickets, now)
        code = fresh("C", 24)
        tickets[code] = Ticket(occasion, session, session.epoch, now + occasion.life)
        return code

    def find(self, code: str, now: float) -> Ticket:
        """The live ticket of a code, not yet used up; 95018 when the session has moved on."""
        ticket = next((found for tickets in self._open.values() if (found := tickets.get(code))), None)
        if ticket is None or now > ticket.expires:
            raise Refused(INVALID_CODE, "invalid code")
        ticket.session.lapse(now)
        if ticket.occasion is not Occasion.WELCOME and ticket.epoch != ticket.session.epoch:
            raise Refused(95018)
        return ticket

    def use(self, code: str, ticket: Ticket) -> None:
        del self._open[ticket.occasion][code]

    @staticmethod
    def _forget(tickets: dict[str, Ticket], now: float) -> None:
        while tickets and tickets[oldest := next(iter(tickets))].expires < now:
            del tickets[oldest]
