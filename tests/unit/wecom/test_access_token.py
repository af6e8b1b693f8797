"""One token for all, one fetch in flight."""

from __future__ import annotations

import asyncio

import pytest

from bot.errors import CredentialRejected, WeComError, WeComUnavailable
from bot.wecom.access_token import REFUSAL_SECONDS, AccessToken
from tests.fakes_http import Ticks


class Vendor:
    """Stands for gettoken: counts, waits for `go`, then grants or raises."""

    def __init__(self) -> None:
        self.asked = 0
        self.go = asyncio.Event()
        self.go.set()
        self.error: Exception | None = None
        self.values: list[str] = []
        self.lifetime = 7200.0

    async def __call__(self) -> tuple[str, float]:
        self.asked += 1
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return (self.values.pop(0) if self.values else f"T{self.asked}"), self.lifetime


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
async def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
def token(vendor: Vendor, ticks: Ticks) -> AccessToken:
    return AccessToken(vendor, ticks)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_fetched_once_for_all_who_wait_and_kept(token: AccessToken, vendor: Vendor) -> None:
    vendor.go.clear()
    waiting = [asyncio.create_task(token.get(5)) for _ in range(10)]
    await settle()
    vendor.go.set()
    assert {granted.value for granted in await asyncio.gather(*waiting)} == {"T1"}
    assert (await token.get(5)).value == "T1"
    assert vendor.asked == 1


async def test_a_cancelled_waiter_leaves_the_fetch_to_the_others(token: AccessToken, vendor: Vendor) -> None:
    vendor.go.clear()
    first, second = (asyncio.create_task(token.get(5)) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    vendor.go.set()
    assert (await second).value == "T1"
    assert first.cancelled()
    assert vendor.asked == 1


@pytest.mark.parametrize("error", [None, WeComError(7, "x", "/p"), CredentialRejected(40001, "x", "/p")])
async def test_when_all_waiters_are_cancelled_nothing_is_left_to_complain(
    token: AccessToken, vendor: Vendor, error: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    vendor.go.clear()
    vendor.error = error
    waiting = [asyncio.create_task(token.get(5)) for _ in range(3)]
    await settle()
    for waiter in waiting:
        waiter.cancel()
    await settle()
    vendor.go.set()
    await settle()
    assert not caplog.records
    vendor.error = None
    if not isinstance(error, CredentialRejected):
        assert (await token.get(5)).value.startswith("T")


async def test_a_waiter_gives_up_in_time_and_the_fetch_goes_on(token: AccessToken, vendor: Vendor) -> None:
    vendor.go.clear()
    with pytest.raises(WeComUnavailable) as caught:
        await token.get(0.01)
    assert not caught.value.sent
    vendor.go.set()
    await settle()
    assert (await token.get(0)).value == "T1"
    assert vendor.asked == 1


@pytest.mark.parametrize(("lifetime", "good", "over"), [(7200, 6899, 6901), (100, 89, 91), (1, 0.8, 0.95)])
async def test_renewed_shortly_before_it_expires(
    token: AccessToken, vendor: Vendor, ticks: Ticks, lifetime: float, good: float, over: float
) -> None:
    vendor.lifetime = lifetime
    await token.get(5)
    ticks.move(good)
    assert (await token.get(5)).value == "T1"
    ticks.move(over - good)
    assert (await token.get(5)).value == "T2"


async def test_a_late_rejection_of_an_older_token_is_of_no_effect(token: AccessToken, vendor: Vendor) -> None:
    old = await token.get(5)
    token.reject(old)
    new = await token.get(5)
    token.reject(old)
    assert await token.get(5) is new
    assert vendor.asked == 2


async def test_nor_when_wecom_grants_the_same_words_again(token: AccessToken, vendor: Vendor) -> None:
    vendor.values = ["SAME", "SAME"]
    old = await token.get(5)
    token.reject(old)
    await token.get(5)
    token.reject(old)
    await token.get(5)
    assert vendor.asked == 2


async def test_a_wrong_secret_is_not_asked_about_again_for_a_while(
    token: AccessToken, vendor: Vendor, ticks: Ticks
) -> None:
    vendor.error = CredentialRejected(40001, "invalid credential", "/cgi-bin/gettoken")
    seen = []
    for _ in range(20):
        with pytest.raises(CredentialRejected) as caught:
            await token.get(5)
        seen.append(caught.value)
        ticks.move(1)
    assert vendor.asked == 1
    assert len({id(error) for error in seen}) == 20
    assert {str(error) for error in seen} == {"/cgi-bin/gettoken: 40001 invalid credential"}
    ticks.move(REFUSAL_SECONDS)
    vendor.error = None
    assert (await token.get(5)).value == "T2"


async def test_other_failures_are_asked_about_at_once(token: AccessToken, vendor: Vendor) -> None:
    vendor.error = WeComUnavailable("/cgi-bin/gettoken", "HTTP 502", sent=True)
    with pytest.raises(WeComUnavailable) as caught:
        await token.get(5)
    assert not caught.value.sent  # the call that wanted the token was never sent
    vendor.error = None
    assert (await token.get(5)).value == "T2"


async def test_every_waiter_gets_an_exception_of_its_own(token: AccessToken, vendor: Vendor) -> None:
    vendor.error = WeComError(60020, "not allow to access from your ip", "/cgi-bin/gettoken")
    errors = await asyncio.gather(*(token.get(5) for _ in range(5)), return_exceptions=True)
    assert len({id(error) for error in errors}) == 5
    assert vendor.asked == 1


async def test_the_token_is_not_shown(token: AccessToken) -> None:
    granted = await token.get(5)
    assert "T1" not in repr(granted) + repr(token)
