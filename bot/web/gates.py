"""The two ways to the live events: who may pass, what they hear behind it, and how many there is room for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bot.model import Scope, SessionKey
from bot.tokens import AgentClaims, Tokens
from bot.web.doors import AGENT_COOKIE, CUSTOMER_COOKIE
from bot.web.peer import Audience
from bot.web.room import places

CUSTOMERS, AGENTS = 5000, 2500
CUSTOMERS_SHARE = 2 / 3  # of the sockets we can afford, where that is less
AN_OFFICE = 200  # agents at one address
A_HOUSEHOLD = 20  # customers' pages there


@dataclass(frozen=True, slots=True)
class Gate:
    """`admit` says what the bearer of a token may hear, or raises Unauthenticated; a page's `cookie` may hold one."""

    name: str
    admit: Callable[[str], Audience]
    cookie: str
    most: int = CUSTOMERS
    per_address: int = A_HOUSEHOLD


def gates(tokens: Tokens, scope_of: Callable[[AgentClaims], Scope]) -> tuple[Gate, Gate]:
    def customer(token: str) -> SessionKey:
        claims = tokens.customer(token)
        return SessionKey(claims.open_kfid, claims.external_userid)

    def agent(token: str) -> Scope:
        return scope_of(tokens.agent(token))

    affordable = places()
    customers = min(CUSTOMERS, int(affordable * CUSTOMERS_SHARE))
    agents = min(AGENTS, affordable - customers)
    return (
        Gate("customer", customer, CUSTOMER_COOKIE, customers, A_HOUSEHOLD),
        Gate("agent", agent, AGENT_COOKIE, agents, AN_OFFICE),
    )
