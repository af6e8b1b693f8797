"""Tokens: what they grant, to whom, for how long, and everything that is no token."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import Unauthenticated
from bot.registry import Role
from bot.tokens import AGENT_TTL, CUSTOMER_TTL, AgentClaims, CustomerClaims, Tokens, signing_key
from storage.chats import Chats
from storage.database import Database
from tests.fakes import ANN, KF, TENANT, FakeClock

SECRET = bytes(range(32))
CLOCK = FakeClock()


@pytest.fixture
def tokens(fake_clock: FakeClock) -> Tokens:
    return Tokens(SECRET, fake_clock, tenant_id=TENANT)


def test_a_customers_token_names_one_customer_of_one_account(tokens: Tokens, fake_clock: FakeClock) -> None:
    token = tokens.customer_token(TENANT, KF, ANN)
    until = int(fake_clock.now() + CUSTOMER_TTL)
    assert tokens.customer(token) == CustomerClaims(TENANT, KF, ANN, until)
    assert len(token) < 400, "it stands in a link that customers see"


@pytest.mark.parametrize("tenant_id", ["wwOTHER", "", TENANT.lower() + " "])
def test_a_customers_token_of_another_tenant_is_none(tokens: Tokens, fake_clock: FakeClock, tenant_id: str) -> None:
    with pytest.raises(Unauthenticated):
        tokens.customer(tokens.customer_token(tenant_id, KF, ANN))
    nobodys = Tokens(SECRET, fake_clock)
    with pytest.raises(Unauthenticated):
        nobodys.customer(nobodys.customer_token(tenant_id, KF, ANN))


def test_an_agents_token_names_member_and_role(tokens: Tokens, fake_clock: FakeClock) -> None:
    token = tokens.agent_token("张三", Role.ADMIN)
    assert tokens.agent(token) == AgentClaims("张三", Role.ADMIN, int(fake_clock.now() + AGENT_TTL))


def test_a_token_ends_with_its_time(tokens: Tokens, fake_clock: FakeClock) -> None:
    token = tokens.customer_token(TENANT, KF, ANN, ttl=60)
    fake_clock.move(58)
    tokens.customer(token)
    fake_clock.move(2)
    with pytest.raises(Unauthenticated):
        tokens.customer(token)


def test_one_kind_is_not_the_other(tokens: Tokens) -> None:
    customer, agent = tokens.customer_token(TENANT, KF, ANN), tokens.agent_token("LiNa", Role.AGENT)
    state = tokens.login_state("/console", "b1", 60)
    reads = [(tokens.agent, customer), (tokens.customer, agent), (tokens.customer, state), (tokens.agent, state)]
    for read, token in [*reads, (lambda token: tokens.login(token, "b1"), agent)]:
        with pytest.raises(Unauthenticated):
            read(token)


def test_another_key_signs_nothing_that_is_let_in(tokens: Tokens, fake_clock: FakeClock) -> None:
    forged = Tokens(bytes(32), fake_clock).agent_token("LiNa", Role.ADMIN)
    with pytest.raises(Unauthenticated):
        tokens.agent(forged)


def test_without_a_key_nobody_is_let_in(fake_clock: FakeClock) -> None:
    bare = Tokens(b"", fake_clock)
    with pytest.raises(Unauthenticated):
        bare.customer_token(TENANT, KF, ANN)
    with pytest.raises(Unauthenticated):
        bare.customer(Tokens(SECRET, fake_clock).customer_token(TENANT, KF, ANN))


@pytest.mark.parametrize("header", [{"alg": "none", "typ": "JWT"}, {"alg": "HS512", "typ": "JWT"}])
def test_no_token_chooses_how_it_is_checked(tokens: Tokens, header: dict[str, str]) -> None:
    _, payload, mac = tokens.agent_token("LiNa", Role.AGENT).split(".")
    chosen = urlsafe_b64encode(json.dumps(header, separators=(",", ":")).encode()).rstrip(b"=").decode()
    for forged in (f"{chosen}.{payload}.{mac}", f"{chosen}.{payload}."):
        with pytest.raises(Unauthenticated):
            tokens.agent(forged)


def test_no_character_of_it_may_be_changed(tokens: Tokens) -> None:
    token = tokens.agent_token("LiNa", Role.AGENT)
    for place in range(len(token)):
        other = "A" if token[place] != "A" else "B"
        with pytest.raises(Unauthenticated):
            tokens.agent(token[:place] + other + token[place + 1 :])


@given(st.one_of(st.text(), st.from_regex(r"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9\.[A-Za-z0-9_-]*\.[A-Za-z0-9_=-]*")))
def test_whatever_else_is_written_is_no_token(text: str) -> None:
    tokens = Tokens(SECRET, CLOCK, tenant_id=TENANT)
    for read in (tokens.agent, tokens.customer, lambda token: tokens.login(token, "")):
        with pytest.raises(Unauthenticated):
            read(text)


def test_a_very_long_one_is_not_even_looked_at(tokens: Tokens) -> None:
    began = time.thread_time()
    with pytest.raises(Unauthenticated):
        tokens.agent(tokens.agent_token("LiNa", Role.AGENT) + "A" * 10_000_000)
    assert time.thread_time() - began < 0.5


@pytest.mark.parametrize(
    ("granted", "today", "left"),
    [
        (Role.ADMIN, Role.ADMIN, Role.ADMIN),
        (Role.ADMIN, Role.AGENT, Role.AGENT),
        (Role.AGENT, Role.ADMIN, Role.AGENT),
        (Role.ADMIN, Role.VIEWER, None),
        (Role.AGENT, Role.VIEWER, None),
    ],
)
def test_the_settings_of_today_limit_it(granted: Role, today: Role, left: Role | None) -> None:
    tokens = Tokens(SECRET, CLOCK, lambda userid: today)
    token = tokens.agent_token("LiNa", granted)
    if left is not None:
        assert tokens.agent(token).role is left
    else:
        with pytest.raises(Unauthenticated):
            tokens.agent(token)


def test_there_is_no_token_for_onlookers_and_nobodies(tokens: Tokens) -> None:
    for userid, role in (("LiNa", Role.VIEWER), ("", Role.ADMIN)):
        with pytest.raises(Unauthenticated):
            tokens.agent_token(userid, role)


def test_a_login_comes_back_to_where_it_began(tokens: Tokens) -> None:
    state = tokens.login_state("/console?kf=wk1", "b1", 60)
    assert tokens.login(state, "b1") == "/console?kf=wk1"
    for other in ("", "b2", "é"):
        with pytest.raises(Unauthenticated):
            tokens.login(state, other)


def test_it_is_a_json_web_token(tokens: Tokens, fake_clock: FakeClock) -> None:
    """Other programs may look into one; none but us can make one."""
    header, payload, _ = tokens.agent_token("LiNa", Role.AGENT, 60).split(".")
    shown = [json.loads(urlsafe_b64decode(part + "==")) for part in (header, payload)]
    until = int(fake_clock.now() + 60)
    assert shown == [{"alg": "HS256", "typ": "JWT"}, {"aud": "agent", "sub": "LiNa", "role": "agent", "exp": until}]


# -- the key


async def test_the_key_outlives_the_process_and_is_everybodys(database: Database) -> None:
    chats = Chats(database)
    first = await signing_key(chats)
    assert len(first) == 32 and first != bytes(32)
    beside = Database(database.path)
    await beside.open()
    assert await signing_key(Chats(beside)) == first
    await beside.close()


async def test_two_processes_that_start_at_once_agree(database: Database) -> None:
    chats = Chats(database)
    assert await chats.keep_first("k", "one") == "one"
    assert await chats.keep_first("k", "two") == "one"
