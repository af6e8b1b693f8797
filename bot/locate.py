"""Which kf account a customer is with, when only the external_userid is known."""

from __future__ import annotations

from bot.errors import CredentialRejected, RateLimited, WeComError, WeComUnavailable
from bot.model import SessionKey
from bot.ports import KfApi, Ledger
from bot.states import has_human


async def locate(kf: KfApi, ledger: Ledger, external_userid: str) -> list[SessionKey]:
    """The sessions that may be meant: those with a human first, from the ledger, else by asking each account.

    One entry is an answer, none means that no account knows the customer, several need the caller to choose. Raises
    WeComError when WeCom cannot be asked at all.
    """
    open_ = [
        each.key for each in await ledger.open_by_prefix(external_userid) if each.external_userid == external_userid
    ]
    if open_:
        return open_
    asked = await _ask(kf, external_userid)
    if asked:
        return asked
    known = await ledger.sessions_by_prefix(external_userid)
    return [key for key in known if key.external_userid == external_userid]


async def _ask(kf: KfApi, external_userid: str) -> list[SessionKey]:
    """One state read per account: a handful, for the rare customer that nothing is known of."""
    known = []
    for account in await kf.accounts():
        if not account.manage_privilege:
            continue
        key = SessionKey(account.open_kfid, external_userid)
        try:
            reading = await kf.state(key)
        except (CredentialRejected, RateLimited, WeComUnavailable):
            raise
        except WeComError:
            continue  # this account does not know the customer
        if has_human(reading.state):
            return [key]
        known.append(key)
    return known
