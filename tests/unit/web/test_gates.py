"""Who may pass to the live events, and what they hear."""

from __future__ import annotations

import pytest

from bot.errors import Unauthenticated
from bot.model import EVERYTHING, Scope, SessionKey
from bot.registry import Role
from bot.tokens import AgentClaims, Tokens
from bot.web import gates as module
from bot.web.gates import Gate, gates
from tests.fakes import ANN, KF, KF2, LI, TENANT, WU, FakeClock

ONLY = Scope(frozenset({KF2}), others=False)


def scope_of(claims: AgentClaims) -> Scope:
    return ONLY if claims.userid == WU else EVERYTHING


@pytest.fixture
def tokens(fake_clock: FakeClock) -> Tokens:
    return Tokens(b"secret", fake_clock, tenant_id=TENANT)


@pytest.fixture
def both(tokens: Tokens) -> tuple[Gate, Gate]:
    return gates(tokens, scope_of)


def test_a_customer_hears_of_the_session_in_the_token(tokens: Tokens, both: tuple[Gate, Gate]) -> None:
    customer, agent = both
    token = tokens.customer_token(TENANT, KF, ANN)
    assert customer.admit(token) == SessionKey(KF, ANN)
    with pytest.raises(Unauthenticated):
        agent.admit(token)


def test_a_member_hears_of_their_accounts(tokens: Tokens, both: tuple[Gate, Gate]) -> None:
    customer, agent = both
    assert agent.admit(tokens.agent_token(LI, Role.ADMIN)) == EVERYTHING
    assert agent.admit(tokens.agent_token(WU, Role.AGENT)) == ONLY
    with pytest.raises(Unauthenticated):
        customer.admit(tokens.agent_token(LI, Role.ADMIN))


def test_a_token_of_another_company_hears_nothing(tokens: Tokens, both: tuple[Gate, Gate]) -> None:
    with pytest.raises(Unauthenticated):
        both[0].admit(tokens.customer_token("wwOTHER", KF, ANN))


def test_an_expired_token_hears_nothing(tokens: Tokens, both: tuple[Gate, Gate], fake_clock: FakeClock) -> None:
    token = tokens.customer_token(TENANT, KF, ANN, ttl=60.0)
    both[0].admit(token)
    fake_clock.move(61)
    with pytest.raises(Unauthenticated):
        both[0].admit(token)


@pytest.mark.parametrize(
    ("files", "customers", "agents"), [(100_000, 5000, 2500), (4500, 3000, 1500), (768, 512, 256), (0, 0, 0)]
)
def test_customers_never_take_the_places_of_agents(
    tokens: Tokens, monkeypatch: pytest.MonkeyPatch, files: int, customers: int, agents: int
) -> None:
    monkeypatch.setattr(module, "places", lambda: files)
    assert [gate.most for gate in gates(tokens, scope_of)] == [customers, agents]
