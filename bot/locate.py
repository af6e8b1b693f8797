"""Which kf account a customer is with, when only the external_userid is known."""

from __future__ import annotations

from bot.errors import WeComError
from bot.model import ServiceState, SessionKey
from bot.ports import KfApi, Ledger
from bot.states import has_human


async def locate(kf: KfApi, ledger: Ledger, external_userid: str) -> list[SessionKey]:
    """The sessions that may be meant: those with a human, by the ledger or else by asking each account; where there is
    none, those on record, and then those that any account knows of.

    One entry is an answer, none means that no account knows the customer, several need the caller to choose. Raises
    WeComError when WeCom cannot be asked at all.
    """
    open_ = [
        each.key for each in await ledger.open_by_prefix(external_userid) if each.external_userid == external_userid
    ]
    if open_:
        return open_
    states = await _ask(kf, external_userid)
    known = [key for key in await ledger.sessions_by_prefix(external_userid) if key.external_userid == external_userid]
    return (
        [key for key, state in states.items() if has_human(state)]
        or known
        or [key for key, state in states.items() if state is not ServiceState.ENDED]
        or list(states)
    )


async def _ask(kf: KfApi, external_userid: str) -> dict[SessionKey, ServiceState]:
    """One state read per account: a handful, for the rare customer that nothing is known of."""
    states = {}
    for account in await kf.accounts():
        if not account.manage_privilege:
            continue
        key = SessionKey(account.open_kfid, external_userid)
        try:
            states[key] = (await kf.state(key)).state
        except WeComError as refused:
            if type(refused) is not WeComError:
                raise  # WeCom cannot be asked; a plain refusal says that this account does not know the customer
    return states
