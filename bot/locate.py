"""Which kf account a customer is with, when only the external_userid is known."""

from __future__ import annotations

from collections.abc import Iterable

from bot.errors import WeComError
from bot.model import EVERYTHING, Scope, ServiceState, SessionKey
from bot.ports import KfApi, Ledger
from bot.states import has_human


async def locate(kf: KfApi, ledger: Ledger, external_userid: str, scope: Scope = EVERYTHING) -> list[SessionKey]:
    """The sessions that may be meant: those with a human, by the ledger or else by asking each account; where there is
    none, those on record, and then those that any account knows of. Accounts outside the scope are not asked.

    One entry is an answer, several need the caller to choose, none means that no account knows the customer, or only
    those outside the scope do. Raises WeComError when WeCom cannot be asked at all.
    """
    record = ledger.within(scope)
    open_ = _of(external_userid, [each.key for each in await record.open_by_prefix(external_userid)])
    if open_:
        return open_
    states = await _ask(kf, external_userid, scope)
    found = [key for key, state in states.items() if has_human(state)]
    found = found or _of(external_userid, await record.sessions_by_prefix(external_userid))
    if found or _of(external_userid, await ledger.sessions_by_prefix(external_userid)):
        return found  # none of another team's: WeCom knows them for every account, yet they are to look like strangers
    return [key for key, state in states.items() if state is not ServiceState.ENDED] or list(states)


def _of(external_userid: str, keys: Iterable[SessionKey]) -> list[SessionKey]:
    """Without those whose longer id merely begins so."""
    return [key for key in keys if key.external_userid == external_userid]


async def _ask(kf: KfApi, external_userid: str, scope: Scope) -> dict[SessionKey, ServiceState]:
    """One state read per account: a handful, for the rare customer that nothing is known of."""
    states = {}
    for account in await kf.accounts():
        if not account.manage_privilege or account.open_kfid not in scope:
            continue
        key = SessionKey(account.open_kfid, external_userid)
        try:
            states[key] = (await kf.state(key)).state
        except WeComError as refused:
            if type(refused) is not WeComError:
                raise  # WeCom cannot be asked; a plain refusal says that this account does not know the customer
    return states
