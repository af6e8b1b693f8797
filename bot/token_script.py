"""`bot.py token`: an agent token for the API and the console, signed as the running bot signs."""

from __future__ import annotations

from bot.audit import Door
from bot.audit_script import whoever
from bot.core import Core
from bot.errors import Forbidden
from bot.registry import Role
from bot.settings import Settings
from bot.tokens import ROLES


async def agent_token(settings: Settings, userid: str, role_name: str, ttl: float) -> str:
    """Raises Forbidden for a role that the settings do not give, StorageError."""
    core, role = Core(settings), ROLES[role_name]
    try:
        await core.open()
        async with core.audit.attempt(Door.CLI, whoever(), "token", user=userid, role=role_name, ttl=ttl) as attempt:
            if core.access.role(userid) < role:
                key = "roles.admins" if role is Role.ADMIN else "roles.agents"
                raise Forbidden(core.say("token.role", userid=userid, role=core.say(f"role.{role.value}"), key=key))
            await attempt.allowed()
            return core.tokens.agent_token(userid, role, ttl)
    finally:
        await core.close()
