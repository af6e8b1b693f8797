"""Tokens for the HTTP API and the live events: signed, expiring, each for one purpose only.

JSON Web Tokens, HMAC with SHA-256 (RFC 7519). The header is compared whole, so that nobody else's is even parsed and no
token can choose how it is checked. Each purpose signs with a key of its own.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.types import Options

from bot.errors import Unauthenticated
from bot.ports import Chats, Clock
from bot.registry import Role

CUSTOMER_TTL = 48 * 3600.0  # as long as WeCom lets a session live after the customer's last message
AGENT_TTL = 8 * 3600.0
LONGEST = 2048  # characters; ours have a few hundred
KEY_BYTES = 32
_KEPT_AS = "token key"
_ALGORITHM, _HEADER = "HS256", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."  # {"alg":"HS256","typ":"JWT"}

ROLES = {"agent": Role.AGENT, "admin": Role.ADMIN}
_NAMES = {role: name for name, role in ROLES.items()}


@dataclass(frozen=True, slots=True)
class CustomerClaims:
    tenant_id: str
    open_kfid: str
    external_userid: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class AgentClaims:
    """`role`: what the token grants, and no more than the settings grant that user today."""

    userid: str
    role: Role
    expires_at: float


def as_before(userid: str) -> Role:
    """Where no settings take a role away."""
    return Role.ADMIN


class Tokens:
    """`secret` may be empty until `use` brings it; until then nothing is signed and nothing let in.

    `role_of`: what the settings say today; whoever has lost the role is refused, whatever the token says.
    `tenant_id`: whose customers are let in; empty for nobody's.
    """

    def __init__(
        self, secret: bytes, clock: Clock, role_of: Callable[[str], Role] = as_before, tenant_id: str = ""
    ) -> None:
        self._clock, self.role_of, self._tenant = clock, role_of, tenant_id
        self.use(secret)

    def use(self, secret: bytes) -> None:
        self._customers, self._agents, self._states = (
            _Signer(secret, purpose) for purpose in ("customer", "agent", "login")
        )

    def customer_token(self, tenant_id: str, open_kfid: str, external_userid: str, ttl: float = CUSTOMER_TTL) -> str:
        """For one customer, in one account, of one tenant."""
        return self._customers.sign(
            {"tid": tenant_id, "kf": open_kfid, "sub": external_userid, "exp": self._until(ttl)}
        )

    def agent_token(self, userid: str, role: Role, ttl: float = AGENT_TTL) -> str:
        """`role`: agent or admin; anything less raises Unauthenticated, for it could do nothing."""
        if role not in _NAMES or not userid:
            raise Unauthenticated
        return self._agents.sign({"sub": userid, "role": _NAMES[role], "exp": self._until(ttl)})

    def login_state(self, goal: str, browser: str, ttl: float) -> str:
        """What goes with somebody to WeCom's login and back: where they wanted to go, and in which browser."""
        return self._states.sign({"goal": goal, "browser": browser, "exp": self._until(ttl)})

    def customer(self, token: str) -> CustomerClaims:
        """Raises Unauthenticated, for every fault the same, another tenant's token among them."""
        claims = self._open(self._customers, token)
        if not self._tenant or claims["tid"] != self._tenant:
            raise Unauthenticated
        return CustomerClaims(claims["tid"], claims["kf"], claims["sub"], claims["exp"])

    def agent(self, token: str) -> AgentClaims:
        """Raises Unauthenticated, for every fault the same."""
        claims = self._open(self._agents, token)
        role = min(ROLES[claims["role"]], self.role_of(claims["sub"]))
        if role not in _NAMES:
            raise Unauthenticated
        return AgentClaims(claims["sub"], role, claims["exp"])

    def login(self, state: str, browser: str) -> str:
        """Where they wanted to go. Raises Unauthenticated, for another browser too."""
        claims = self._open(self._states, state)
        if not hmac.compare_digest(claims["browser"].encode(), browser.encode()):
            raise Unauthenticated
        goal: str = claims["goal"]
        return goal

    def _open(self, signer: _Signer, token: str) -> dict[str, Any]:
        claims = signer.open(token)
        if self._clock.now() >= claims["exp"]:
            raise Unauthenticated
        return claims

    def _until(self, ttl: float) -> int:
        return int(self._clock.now() + ttl)


class _Signer:
    """JSON Web Tokens for one purpose: the audience, which has a key of its own."""

    def __init__(self, secret: bytes, purpose: str) -> None:
        self._purpose, self._ready = purpose, bool(secret)
        self._key = hmac.digest(secret, purpose.encode(), "sha256")

    def sign(self, claims: dict[str, Any]) -> str:
        if not self._ready:
            raise Unauthenticated
        return jwt.encode({"aud": self._purpose, **claims}, self._key, _ALGORITHM)

    def open(self, token: str) -> dict[str, Any]:
        """Raises Unauthenticated: not signed here, or not for this purpose. Whether it is over, our own clock says."""
        if not self._ready or len(token) > LONGEST or not token.isascii() or not token.startswith(_HEADER):
            raise Unauthenticated
        options: Options = {"verify_exp": False, "require": ["exp", "aud"]}
        try:
            return jwt.decode(token, self._key, [_ALGORITHM], options, audience=self._purpose)
        except jwt.InvalidTokenError:
            raise Unauthenticated from None


async def signing_key(chats: Chats) -> bytes:
    """The one key of this database: made at the first use, by whichever process comes first, and kept with it."""
    kept = await chats.recall(_KEPT_AS) or await chats.keep_first(_KEPT_AS, secrets.token_hex(KEY_BYTES))
    return bytes.fromhex(kept)
