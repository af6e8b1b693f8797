"""Which account a customer is with, when only the customer is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.errors import CredentialRejected, RateLimited, TokenExpired, WeComBusy, WeComError
from bot.locate import locate
from bot.model import KfAccount, Scope, ServiceState, SessionKey
from bot.sessions import customer_wrote, servicer_wrote
from storage.ledger import Ledger
from tests.fakes import ANN, ASSISTANT, BOB, HUMAN, KF, KF2, LI, QUEUED, FakeKf, raising, unavailable

HERE, THERE = SessionKey(KF, ANN), SessionKey(KF2, ANN)
NOW = 1_700_000_000.0


async def has_handoff(ledger: Ledger, *keys: SessionKey) -> None:
    for key in keys:
        await ledger.change(key, lambda session: servicer_wrote(session, NOW, LI, NOW), NOW)


async def is_known(ledger: Ledger, key: SessionKey) -> None:
    await ledger.change(key, lambda session: customer_wrote(session, NOW, "", NOW), NOW)


def with_human(kf: FakeKf, *keys: SessionKey, state: ServiceState = HUMAN) -> None:
    for key in keys:
        kf.session_state(key.open_kfid, key.external_userid, state, LI if state is HUMAN else "")


async def test_an_open_handoff_says_it_without_asking(fake_kf: FakeKf, ledger: Ledger) -> None:
    await has_handoff(ledger, THERE, SessionKey(KF, ANN + "x"))
    assert await locate(fake_kf, ledger, ANN) == [THERE]
    assert fake_kf.calls == []


async def test_open_handoffs_in_two_accounts_need_a_choice(fake_kf: FakeKf, ledger: Ledger) -> None:
    await has_handoff(ledger, HERE, THERE)
    assert await locate(fake_kf, ledger, ANN) == [HERE, THERE]


@pytest.mark.parametrize("state", [QUEUED, HUMAN])
async def test_else_each_account_is_asked_who_is_with_a_human(
    fake_kf: FakeKf, ledger: Ledger, state: ServiceState
) -> None:
    await is_known(ledger, HERE)
    with_human(fake_kf, THERE, state=state)
    assert await locate(fake_kf, ledger, ANN) == [THERE]


async def test_with_a_human_in_two_accounts_needs_a_choice_too(fake_kf: FakeKf, ledger: Ledger) -> None:
    with_human(fake_kf, HERE, THERE)
    assert await locate(fake_kf, ledger, ANN) == [HERE, THERE]


async def test_without_a_human_the_account_on_record_is_meant(fake_kf: FakeKf, ledger: Ledger) -> None:
    await is_known(ledger, THERE)
    assert await locate(fake_kf, ledger, ANN) == [THERE]


async def test_without_a_record_the_account_with_a_session_is_meant(fake_kf: FakeKf, ledger: Ledger) -> None:
    with_human(fake_kf, THERE, state=ASSISTANT)
    assert await locate(fake_kf, ledger, ANN) == [THERE]


async def test_a_customer_without_any_session_is_with_every_account(fake_kf: FakeKf, ledger: Ledger) -> None:
    assert await locate(fake_kf, ledger, BOB) == [SessionKey(KF, BOB), SessionKey(KF2, BOB)]


async def test_a_stranger_is_with_none(fake_kf: FakeKf, ledger: Ledger) -> None:
    assert await locate(fake_kf, ledger, "wmNobody") == []


async def test_accounts_we_do_not_manage_are_not_asked(
    fake_kf: FakeKf, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def accounts() -> list[KfAccount]:
        return [KfAccount(KF), replace(KfAccount(KF2), manage_privilege=False)]

    monkeypatch.setattr(fake_kf, "accounts", accounts)
    assert await locate(fake_kf, ledger, ANN) == [HERE]


ONLY_HERE = Scope(frozenset({KF}), others=False)


async def test_accounts_outside_the_scope_are_not_asked(fake_kf: FakeKf, ledger: Ledger) -> None:
    with_human(fake_kf, THERE)
    assert await locate(fake_kf, ledger, ANN, ONLY_HERE) == [HERE]
    assert [call.args[0] for call in fake_kf.called("state")] == [HERE]


async def test_a_human_in_scope_is_found_though_another_account_has_one_too(fake_kf: FakeKf, ledger: Ledger) -> None:
    with_human(fake_kf, HERE, THERE)
    await has_handoff(ledger, THERE)
    assert await locate(fake_kf, ledger, ANN, ONLY_HERE) == [HERE]


async def test_who_is_on_record_outside_the_scope_alone_is_a_stranger(fake_kf: FakeKf, ledger: Ledger) -> None:
    await is_known(ledger, THERE)
    assert await locate(fake_kf, ledger, ANN, ONLY_HERE) == []
    await is_known(ledger, HERE)
    assert await locate(fake_kf, ledger, ANN, ONLY_HERE) == [HERE]


@pytest.mark.parametrize(
    "error",
    [
        unavailable(),
        WeComBusy(-1, "busy", "/"),
        RateLimited(45009, "freq", "/"),
        CredentialRejected(48002, "forbidden", "/"),
        TokenExpired(42001, "expired", "/"),
    ],
    ids=lambda error: str(error.errcode),
)
async def test_an_account_that_cannot_be_asked_is_not_taken_for_a_no(
    fake_kf: FakeKf, ledger: Ledger, error: WeComError
) -> None:
    with_human(fake_kf, HERE)
    fake_kf.before("state", raising(error))
    with pytest.raises(type(error)):
        await locate(fake_kf, ledger, ANN)
