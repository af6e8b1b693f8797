"""Which addresses a webhook may lead to."""

from __future__ import annotations

import pytest

from bot.addresses import is_private_host, is_public

INSIDE = [
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "100.127.255.254", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::808:808",
    "2002:7f00:1::", "2002:c0a8:101::", "2001:0:7f00:1::1", "100::1", "", "example.com", "256.1.1.1",
]  # fmt: skip
OUTSIDE = [
    "8.8.8.8", "1.1.1.1", "172.32.0.1", "172.15.0.1", "100.63.0.1", "100.128.0.1", "223.5.5.5", "2606:4700::1111",
    "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1", "2400:3200::1",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_the_own_network_is_inside(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_the_internet_is_outside(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost.", "a.localhost", "127.0.0.1", "10.0.0.1", "::1", "fe80::1%eth0", "::ffff:a00:1"]
)
def test_hosts_that_say_by_themselves_that_they_are_inside(host: str) -> None:
    assert is_private_host(host)


@pytest.mark.parametrize("host", ["example.com", "8.8.8.8", "2606:4700::1111", "localhost.example.com", "intranet", ""])
def test_of_other_names_nobody_can_tell(host: str) -> None:
    assert not is_private_host(host)
